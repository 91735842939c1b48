"""Each transform of geometry: what it draws, where it places the window, and what it does when called by itself."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F

from satsuma.vision.frame import points_into_frame, points_onto_photo, whole_frame
from satsuma.vision.geometry import (
    CropPad,
    Dihedral,
    Flip,
    RandomResizedCrop,
    Resize,
    Rotate,
    Shear,
    Shift,
    Zoom,
)
from satsuma.vision.perspective import Warp
from satsuma.vision.warp import warp

BILINEAR = Image.Resampling.BILINEAR
NOISE = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)
WIDE, TALL = Image.fromarray(NOISE), Image.fromarray(NOISE.swapaxes(0, 1))
X = torch.rand(11, 3, 5, 7, generator=torch.Generator().manual_seed(0))
MOVING = [Flip(1.0), Dihedral(1.0), Rotate(p=1.0), Zoom(p=1.0), Shift(), Shear(p=1.0), Warp(p=1.0)]
SIZING = [Resize(31), Resize(31, "pad"), Resize(31, "squish"), RandomResizedCrop(31), CropPad(31)]


def rng(seed=0):
    return np.random.default_rng(seed)


def torch_rng(seed=3):
    return torch.Generator().manual_seed(seed)


def corners(frame):
    """Where the window's corners lie in the photo: upper left, upper right, lower right, lower left."""
    h, w = frame.height, frame.width
    return points_onto_photo(np.array([(0, 0), (w, 0), (w, h), (0, h)]), frame)


def box(frame):
    """(left, top, right, bottom) in the photo."""
    return (*corners(frame)[0], *corners(frame)[2])


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def close(a, b):
    assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1


# all of them


@pytest.mark.parametrize("transform", MOVING)
def test_in_validation_nothing_moves(transform):
    frame = whole_frame(70, 110)
    assert transform.place(frame, None) is frame
    assert transform(X) is X
    same(transform(WIDE), WIDE)
    assert transform.training_only


@pytest.mark.parametrize("transform", MOVING + SIZING)
def test_the_same_generator_places_the_same(transform):
    frame = whole_frame(70, 110)
    assert transform.place(frame, rng(5)) == transform.place(frame, rng(5))
    places = {transform.place(frame, rng(seed)) for seed in range(20)}
    random = transform not in (Flip(1.0), Resize(31, "pad"), Resize(31, "squish"), CropPad(31))
    assert (len(places) > 3) == random


@pytest.mark.parametrize("transform", MOVING + SIZING)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_pictures_of_any_mode_keep_it(transform, mode):
    moved = transform(WIDE.convert(mode), rng=rng())
    assert moved.mode == mode
    assert moved.size == ((31, 31) if transform in SIZING else WIDE.size)


@pytest.mark.parametrize("transform", MOVING + SIZING)
def test_arrays_and_pil_images_are_treated_alike(transform):
    same(transform(NOISE, rng=rng(1)), transform(WIDE, rng=rng(1)))
    same(transform(NOISE[..., 0], rng=rng(1)), transform(WIDE.getchannel(0), rng=rng(1)))
    mask = NOISE[..., 0].astype(np.int64) * 1000
    assert {*transform(mask, rng=rng(1)).ravel().tolist()} <= {*mask.ravel().tolist(), 0}


@pytest.mark.parametrize("transform", MOVING)
def test_a_batch_has_a_draw_for_each_picture(transform):
    x = torch.rand(1, 3, 9, 9).expand(11, -1, -1, -1).contiguous()
    before = x.clone()
    one, two, other = transform(x, rng=torch_rng()), transform(x, rng=torch_rng()), transform(x, rng=torch_rng(5))
    assert (one.shape, one.dtype) == (x.shape, x.dtype)
    assert torch.equal(one, two)
    assert torch.equal(x, before)
    if transform != Flip(1.0):
        assert not torch.equal(one, other)
        assert len({tuple(image.flatten().tolist()) for image in one}) > 1


@pytest.mark.parametrize("transform", MOVING + SIZING)
def test_a_batch_of_another_shape_is_refused(transform):
    with pytest.raises(
        ValueError, match=rf"{type(transform).__name__}: a batch of pictures is \[B C H W\], got \[3, 5"
    ):
        transform(X[0], rng=torch_rng())


# sizes


@pytest.mark.parametrize("image", [WIDE, TALL])
@pytest.mark.parametrize("size", [(55, 70), (70, 55), (110, 130)])
def test_squish_is_pillows_resize(image, size):
    close(Resize(size, method="squish")(image), image.resize(size[::-1], BILINEAR))


def test_resize_takes_the_middle_in_validation():
    same(Resize(70)(WIDE), WIDE.crop((20, 0, 90, 70)))
    same(Resize(70)(TALL), TALL.crop((0, 20, 70, 90)))
    close(Resize(49)(WIDE), WIDE.resize((49, 49), BILINEAR, box=(20, 0, 90, 70)))
    close(Resize((35, 55))(WIDE), WIDE.resize((55, 35), BILINEAR))
    assert box(Resize(49).place(whole_frame(70, 111), None)) == pytest.approx((20.5, 0, 90.5, 70))


def test_pad_shows_all_and_fills_the_rest():
    padded = np.asarray(Resize(70, "pad")(WIDE))
    close(padded[12:57], np.asarray(ImageOps.pad(WIDE, (70, 70), BILINEAR))[12:57])
    assert padded[:12].max() == padded[57:].max() == 0
    reflected = np.asarray(Resize(70, "pad", pad_mode="reflection")(WIDE))
    close(reflected[:12], padded[12:24][::-1])
    close(np.asarray(Resize(70, "pad", pad_mode="border")(WIDE))[:12], padded[12:13].repeat(12, 0))


@pytest.mark.parametrize("seed", range(7))
def test_resize_crops_at_random_along_the_long_side_in_training(seed):
    left, top, right, bottom = box(Resize(49).place(whole_frame(70, 110), rng(seed)))
    assert (top, bottom, right - left) == pytest.approx((0, 70, 70))
    assert 0 <= left <= 40
    assert box(Resize(49).place(whole_frame(110, 70), rng(seed)))[0] == 0


def test_the_places_of_crops_cover_the_long_side():
    draws = rng()
    lefts = [box(Resize(49).place(whole_frame(70, 110), draws))[0] for _ in range(300)]
    assert min(lefts) < 1
    assert max(lefts) > 39
    assert np.mean(lefts) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("transform", [Resize, CropPad, RandomResizedCrop])
@pytest.mark.parametrize("size", [1, 7, 224, (3, 5), [5, 3]])
@pytest.mark.parametrize("source", [(1, 1), (500, 3), (3, 500)])
def test_the_size_is_height_then_width(transform, size, source):
    image = transform(size)(Image.new("RGB", source), rng(0))
    assert image.size == ((size, size) if isinstance(size, int) else (size[1], size[0]))


def test_a_random_crop_has_the_area_and_the_ratio_it_may_have():
    transform = RandomResizedCrop(31, min_scale=0.2, ratio=(0.5, 1.5))
    shares, ratios = [], []
    for seed in range(300):
        left, top, right, bottom = box(transform.place(whole_frame(70, 110), rng(seed)))
        assert min(left, top) > -1e-9
        assert right < 110 + 1e-9
        assert bottom < 70 + 1e-9
        shares.append((right - left) * (bottom - top) / 7700)
        ratios.append((right - left) / (bottom - top))
    assert 0.2 < min(shares) < 0.22
    assert max(shares) > 0.85
    assert 0.5 < min(ratios) < 0.53
    assert 1.45 < max(ratios) < 1.5


def test_a_random_crop_that_does_not_fit_is_the_nearest_that_does():
    place = RandomResizedCrop(31, min_scale=1.0, ratio=(1.0, 1.0)).place(whole_frame(70, 110), rng())
    assert box(place) == pytest.approx((20, 0, 90, 70))


def test_the_random_crop_is_the_largest_centred_one_in_validation():
    assert box(RandomResizedCrop(31).place(whole_frame(70, 110), None)) == pytest.approx((20, 0, 90, 70))
    assert box(RandomResizedCrop((20, 40)).place(whole_frame(70, 110), None)) == pytest.approx((0, 7.5, 110, 62.5))


def test_crop_pad_keeps_the_scale():
    padded = CropPad((100, 50))(WIDE)
    same(np.asarray(padded)[15:85], NOISE[:, 30:80])
    assert np.asarray(padded)[:15].max() == np.asarray(padded)[85:].max() == 0
    same(CropPad((71, 110), pad_mode="border")(WIDE), np.concatenate([NOISE[:1], NOISE]))


# movements


def test_flip_mirrors_left_and_right():
    same(Flip(1.0)(NOISE, rng()), NOISE[:, ::-1])
    assert torch.equal(Flip(1.0)(X, rng=torch_rng()), X.flip(3))
    assert torch.equal(Flip(0.0)(X, rng=torch_rng()), X)
    assert sum(Flip().place(whole_frame(5, 7), rng(s)) != whole_frame(5, 7) for s in range(300)) == pytest.approx(
        150, abs=30
    )


def test_the_eight_ways_to_lay_a_square_down():
    square = np.random.default_rng(0).integers(0, 256, (5, 5), dtype=np.uint8)
    ways = {np.rot90(s, k).tobytes(): i for i, s in enumerate((square, square.T)) for k in range(4)}
    assert len(ways) == 8
    found = Counter(np.ascontiguousarray(Dihedral(1.0)(square, rng(seed))).tobytes() for seed in range(800))
    assert found.keys() == ways.keys()
    assert min(found.values()) > 60


def test_a_picture_that_is_no_square_keeps_its_shape():
    ways = {NOISE[::y, ::x].tobytes() for x in (1, -1) for y in (1, -1)}
    assert {np.ascontiguousarray(Dihedral(1.0)(NOISE, rng(seed))).tobytes() for seed in range(60)} == ways


def test_rotation_turns_about_the_middle_without_stretching():
    angles = []
    for seed in range(200):
        frame = Rotate(30.0, 1.0).place(whole_frame(70, 110), rng(seed))
        ends = points_onto_photo(np.array([(55, 35), (56, 35), (55, 36)]), frame)
        np.testing.assert_allclose(ends[0], (55, 35))
        across, down = ends[1] - ends[0], ends[2] - ends[0]
        assert np.hypot(*across) == pytest.approx(1)
        np.testing.assert_allclose(down, (-across[1], across[0]), atol=1e-12)
        angles.append(math.degrees(math.atan2(across[1], across[0])))
    assert -30 <= min(angles) < -28
    assert 28 < max(angles) <= 30


def test_zoom_magnifies_inside_the_picture():
    zooms = []
    for seed in range(200):
        left, top, right, bottom = box(Zoom(1.0, 2.0, 1.0).place(whole_frame(70, 110), rng(seed)))
        assert min(left, top) >= 0
        assert right <= 110
        assert bottom <= 70
        assert (right - left) / 110 == pytest.approx((bottom - top) / 70)
        zooms.append(110 / (right - left))
    assert 1 <= min(zooms) < 1.05
    assert 1.95 < max(zooms) <= 2
    left, top, right, bottom = box(Zoom(0.5, 0.5, 1.0).place(whole_frame(70, 110), rng()))
    assert right - left == pytest.approx(220)


def test_shift_moves_whole_pixels_and_repeats_the_edge():
    padded = F.pad(X, (2, 2, 2, 2), mode="replicate")
    windows = [padded[:, :, r : r + 5, c : c + 7] for r in range(5) for c in range(5)]
    moved = Shift(2)(X, rng=torch_rng())
    for i in range(len(X)):
        assert any(torch.equal(moved[i], window[i]) for window in windows)
    assert torch.equal(Shift(0)(X, rng=torch_rng()), X)
    assert len({Shift(2).place(whole_frame(5, 7), rng(s)).matrix for s in range(400)}) == 25


def test_shear_slants_about_the_middle():
    for seed in range(20):
        frame = Shear(20.0, 1.0).place(whole_frame(70, 110), rng(seed))
        a, b, _, d, e, _ = frame.matrix[:6]
        assert a == e == 1
        assert max(abs(b), abs(d)) <= math.tan(math.radians(20))
        np.testing.assert_allclose(points_onto_photo(np.array([(55, 35)]), frame), [(55, 35)])


def test_a_symmetric_warp_moves_opposite_sides_in_opposite_ways():
    for seed in range(50):
        frame = Warp(0.2, 1.0).place(whole_frame(70, 110), rng(seed))
        photo = np.array([(0, 0), (110, 0), (110, 70), (0, 70)])
        moved = (points_into_frame(photo, frame) - photo) / (55, 35)  # in half sides
        assert np.abs(moved).max() <= 0.2 + 1e-9
        y, x = -moved[0, 0], -moved[0, 1]
        np.testing.assert_allclose(moved, [(-y, -x), (y, x), (-y, -x), (y, x)], atol=1e-9)


def test_a_free_warp_moves_each_corner_by_itself():
    frame = Warp(0.2, 1.0, symmetric=False).place(whole_frame(70, 110), rng())
    photo = np.array([(0, 0), (110, 0), (110, 70), (0, 70)])
    moved = (points_into_frame(photo, frame) - photo) / (55, 35)
    assert np.abs(moved).max() <= 0.1 + 1e-9
    assert len(np.unique(np.abs(moved).round(9))) == 8


@pytest.mark.parametrize("transform", [Rotate(p=0.3), Zoom(p=0.3), Shear(p=0.3), Shift(20, p=0.3)])
def test_probabilities(transform):
    draws, whole = rng(), whole_frame(5, 7)
    moved = sum(transform.place(whole, draws) != whole for _ in range(500))
    assert moved == pytest.approx(150, abs=35)


def test_each_direction_of_a_warp_has_its_own_chance():
    draws, whole = rng(), whole_frame(5, 7)
    moved = sum(Warp(0.2, 0.5).place(whole, draws) != whole for _ in range(500))
    assert moved == pytest.approx(375, abs=35)


# together


def test_a_turn_after_a_crop_shows_the_photo_beside_the_crop():
    photo = np.zeros((100, 300), np.uint8)
    photo[:, :100], photo[:, 200:] = 50, 250  # left and right of the middle crop
    frame = Resize(100).place(whole_frame(100, 300), None)
    frame = Zoom(0.5, 0.5, 1.0).place(frame, rng(1))
    shown = warp(photo, frame)
    assert {50, 0, 250} <= {*shown.ravel().tolist()}  # a mirror image of the crop would have shown 0 only


def test_what_is_padded_black_stays_black_when_it_is_turned():
    white = np.full((50, 100), 255, np.uint8)
    frame = Resize(64, "pad").place(whole_frame(50, 100), rng())
    frame = Rotate(5.0, 1.0).place(frame, rng())
    assert warp(white, frame)[:8].max() == 0


def test_the_two_sizes_of_presizing():
    chain = [Resize(460), Rotate(p=1.0), Resize(224, "squish")]
    training = validation = whole_frame(375, 500)
    for transform in chain:
        training, validation = transform.place(training, rng(1)), transform.place(validation, None)
    assert (training.height, training.width) == (validation.height, validation.width) == (224, 224)
    assert box(validation) == pytest.approx((62.5, 0, 437.5, 375))


# values and refusals


def test_transforms_are_values():
    assert Resize([5, 7]) == Resize((5, 7))
    assert hash(Resize([5, 7])) == hash(Resize((5, 7)))
    assert repr(Resize(224)) == "Resize(size=224, method='crop', pad_mode='zeros')"
    assert RandomResizedCrop(5, ratio=[1, 2]) == RandomResizedCrop(5, ratio=(1, 2))


@pytest.mark.parametrize("transform", [Resize, CropPad, RandomResizedCrop])
@pytest.mark.parametrize("size", [0, (5,), (5, 7, 3), (5, -1), "224", (2.5, 3)])
def test_sizes_that_are_none(transform, size):
    with pytest.raises(ValueError, match=r"size is a number of pixels, or \(height, width\), got"):
        transform(size)


@pytest.mark.parametrize("transform", [Flip, Dihedral, Rotate, Zoom, Shift, Shear, Warp])
def test_what_is_no_probability_is_refused(transform):
    with pytest.raises(ValueError, match=rf"{transform.__name__}: p is a probability, 0 to 1, got 50"):
        transform(p=50)


@pytest.mark.parametrize("transform", [Rotate, Zoom, Shift, Shear, Warp])
def test_unknown_borders_are_refused(transform):
    with pytest.raises(ValueError, match="pad_mode is one of reflection, border, zeros, got 'mirror'"):
        transform(pad_mode="mirror")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize(5, "stretch"), "method is one of crop, squish, pad, got 'stretch'"),
        (lambda: Zoom(1.2, 1.1), "min_zoom is above 0 and at most max_zoom, got 1.2 and 1.1"),
        (lambda: Zoom(0, 1.1), "min_zoom is above 0"),
        (lambda: Warp(1.5), "magnitude is a share of half a side, 0 to below 1, got 1.5"),
        (lambda: Shear(60), "max_deg is degrees, 0 to below 45, got 60"),
        (lambda: Shift(2.5), "pixels is a whole number, 0 or more, got 2.5"),
        (lambda: RandomResizedCrop(5, min_scale=0), "min_scale is a share of the area, above 0 to 1, got 0"),
        (lambda: RandomResizedCrop(5, ratio=(2, 1)), "ratio is the least and the largest width / height"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [(Resize, "metod", "method"), (Shift, "pixel", "pixels"), (Rotate, "max_degree", "max_deg")],
)
def test_misspelt_arguments_are_refused(kind, wrong, right):
    with pytest.raises(TypeError, match=rf"has no argument '{wrong}': did you mean '{right}'"):
        kind(**{wrong: 1})


@pytest.mark.parametrize("transform", [Resize, CropPad, RandomResizedCrop])
@pytest.mark.parametrize("size", [64.0, None, True, (True, 5), np.float64(5), {5, 7}])
def test_sizes_of_another_kind_are_refused(transform, size):
    with pytest.raises(ValueError, match=r"size is a number of pixels, or \(height, width\), got .*whole numbers"):
        transform(size)


@pytest.mark.parametrize("transform", [Resize, CropPad, RandomResizedCrop])
def test_sizes_may_be_numpys(transform):
    for size, plain in ((np.int64(5), 5), ((np.int64(5), 6), (5, 6)), (np.array([5, 6]), (5, 6))):
        assert transform(size) == transform(plain)
        assert repr(transform(size)) == repr(transform(plain))


def test_a_zoom_of_no_picture_is_refused():
    for low, high in ((1e-9, 1e-9), (1, 1e9)):
        with pytest.raises(ValueError, match=r"min_zoom and max_zoom are 0\.01 to 100, got"):
            Zoom(low, high)


@pytest.mark.parametrize("source", ["x.jpg", None, 5])
def test_what_is_no_picture_is_refused(source):
    with pytest.raises(TypeError, match=r"Resize: expected a PIL image, .* got (str|NoneType|int); read a file by"):
        Resize(16)(source)


def test_a_generator_of_another_kind_is_refused():
    photo = Image.new("RGB", (7, 5))
    batch = torch.zeros(2, 3, 5, 7)
    for rng in (0, torch.Generator()):
        with pytest.raises(TypeError, match=r"Flip: for a picture, rng is a NumPy generator.*default_rng"):
            Flip(1.0)(photo, rng)
    for rng in (0, np.random.default_rng(0)):
        with pytest.raises(TypeError, match=r"Flip: for a batch, rng is a torch\.Generator.*manual_seed"):
            Flip(1.0)(batch, rng)


def test_a_picture_without_a_pixel_and_a_batch_of_bytes_are_refused():
    with pytest.raises(ValueError, match=r"Resize: a picture is .* of one pixel or more, got \[0, 5, 3\]"):
        Resize(16)(np.zeros((0, 5, 3), np.uint8))
    with pytest.raises(TypeError, match=r"Resize: a batch is float, in 0\.\.1, got torch\.uint8; use batch\.float"):
        Resize(16)(torch.zeros(1, 3, 50, 50, dtype=torch.uint8))
