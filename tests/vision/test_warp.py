"""`warp` against float64 sampling, Pillow, and exact indexing."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.vision.oracle import photo_points, pixel_at, psnr, reference, smooth_picture

from satsuma.vision.frame import BORDERS, Frame, codec_shrink, points_into_frame, view_of, whole_frame
from satsuma.vision.geometry import Flip, Resize, Rotate, Shear, Shift, Zoom
from satsuma.vision.lay_back import picture_onto_photo
from satsuma.vision.perspective import Warp
from satsuma.vision.warp import warp
from satsuma.vision.warp_batch import warp_batch

PHOTO = smooth_picture(150, 200)
NOISE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
HARD = [
    Rotate(30.0, 1.0),
    Warp(0.4, 1.0),
    Zoom(0.6, 1.6, 1.0),
    Shear(20.0, 1.0),
    Flip(),
    Warp(0.3, 1.0, symmetric=False),
]


def placed(photo, *transforms, seed=0, border="reflection"):
    rng = None if seed is None else np.random.default_rng(seed)
    frame = Frame(*photo.shape[:2], *photo.shape[:2], border=border)
    for transform in transforms:
        frame = transform.place(frame, rng)
    return frame


def view(photo, size, *, zoom=1.0, angle=0.0, tilt=0.0, border="reflection"):
    """A window of `size` about the middle: `zoom` photo pixels for one of the window, turned by `angle` degrees."""
    height, width = photo.shape[:2]
    cos, sin = zoom * math.cos(math.radians(angle)), zoom * math.sin(math.radians(angle))
    middle = (1, 0, width / 2, 0, 1, height / 2, 0, 0, 1)
    frame = view_of(Frame(height, width, height, width, border=border), middle, height, width)
    frame = view_of(frame, (cos, sin, 0, -sin, cos, 0, 0, 0, 1), height, width)
    frame = view_of(frame, (1, 0, -size[1] / 2, 0, 1, -size[0] / 2, 0, 0, 1), *size)
    return view_of(frame, (1, 0, 0, 0, 1, 0, tilt, 0, 1), *size)


# nothing to do, and whole pixels


def test_the_whole_photo_is_the_photo_itself():
    assert warp(NOISE, whole_frame(50, 70)) is NOISE
    out = np.zeros_like(NOISE)
    assert warp(NOISE, whole_frame(50, 70), out=out) is out
    np.testing.assert_array_equal(out, NOISE)


@pytest.mark.parametrize("channels", [1, 3, 4, None])
@pytest.mark.parametrize("member", range(8))
def test_mirrored_and_turned_by_quarters_is_exact(member, channels):
    square = np.random.default_rng(0).integers(0, 256, (31, 31, channels or 1), dtype=np.uint8)
    square = square if channels else square[..., 0]
    sign_x, sign_y, swap = 1 - 2 * (member & 1), 1 - (member & 2), member & 4
    a, b, d, e = (0, sign_x, sign_y, 0) if swap else (sign_x, 0, 0, sign_y)
    corner = (0 if sign_x > 0 else 31, 0 if sign_y > 0 else 31)
    frame = Frame(31, 31, 31, 31, (a, b, corner[0], d, e, corner[1], 0, 0, 1))
    expected = square[::sign_y, ::sign_x]
    expected = expected.swapaxes(0, 1) if swap else expected
    for nearest in (False, True):
        np.testing.assert_array_equal(warp(square, frame, nearest=nearest), expected)
    floats = torch.from_numpy(square.reshape(31, 31, -1).copy()).permute(2, 0, 1)[None].float()
    moved = warp_batch(floats, [frame])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(moved, expected.reshape(31, 31, -1))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("left", "top"), [(0, 0), (-3, 2), (4, -9), (69, 49), (-65, -45), (150, -120)])
def test_shifts_by_whole_pixels_are_exact(left, top, border):
    frame = view_of(Frame(50, 70, 50, 70, border=border), (1, 0, left, 0, 1, top, 0, 0, 1), 20, 30)
    rows, columns = np.mgrid[top : top + 20, left : left + 30]
    expected = pixel_at(NOISE, columns, rows, border)
    np.testing.assert_array_equal(warp(NOISE, frame), expected)
    np.testing.assert_array_equal(warp(NOISE, frame, nearest=True), expected)
    batch = torch.from_numpy(NOISE).permute(2, 0, 1)[None].double()
    np.testing.assert_array_equal(warp_batch(batch, [frame])[0].permute(1, 2, 0), expected)


# against float64


@given(st.integers(0, 10**6), st.lists(st.sampled_from(HARD), min_size=1, max_size=5), st.sampled_from(BORDERS))
@settings(deadline=None, max_examples=60)
def test_a_chain_of_transforms_is_one_sampling_of_their_composition(seed, chain, border):
    frame = placed(PHOTO, *chain, Resize((60, 80)), seed=seed, border=border)
    shown = warp(PHOTO, frame)
    assert (shown.shape, shown.dtype) == ((60, 80, 3), np.uint8)
    exact = reference(PHOTO, frame)
    assert psnr(shown, exact) > (27 if border != "zeros" else 24)  # far shrunk perspectives are the hardest
    middle = (slice(15, 45), slice(20, 60))
    assert abs(shown[middle].mean() - exact[middle].mean()) < 2.5  # and nothing is shifted or dimmed


@pytest.mark.parametrize("channels", [1, 3, 4, None])
@pytest.mark.parametrize("tilt", [0.0, 0.002])
def test_without_shrinking_it_is_bilinear_to_half_a_step(channels, tilt):
    photo = smooth_picture(150, 200, channels or 1)
    photo = photo if channels else photo[..., 0]
    frame = view(photo, (61, 83), zoom=0.9, angle=17, tilt=tilt)
    found = warp(photo, frame)
    assert found.shape == (61, 83, channels)[: photo.ndim]
    assert np.abs(found - reference(photo, frame, samples=1)).max() < 0.52


@pytest.mark.parametrize("zoom", [1.2, 1.5, 1.9, 2.0, 2.7, 3.3, 5.0])
@pytest.mark.parametrize("angle", [0, 11])
def test_it_shrinks_without_aliasing_where_plain_bilinear_does_not(zoom, angle):
    photo = smooth_picture(410, 530, seed=3)
    photo = (photo.astype(int) + np.random.default_rng(0).integers(-40, 41, photo.shape)).clip(0, 255).astype(np.uint8)
    frame = view(photo, (57, 71), zoom=zoom, angle=angle)
    exact = reference(photo, frame, samples=8)
    matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ np.array(frame.matrix).reshape(3, 3)
    matrix = (matrix @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]))[:2]
    plain = cv2.warpAffine(photo, matrix, (71, 57), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    found = psnr(warp(photo, frame), exact)
    few = zoom < 1.6 and angle  # one bilinear sample will do
    exact_mean = zoom == 2 and not angle  # where bilinear sampling is the mean of four
    assert found > psnr(plain, exact) + (-0.1 if few or exact_mean else 2)
    assert found > 30


@pytest.mark.parametrize("size", [(35, 49), (49, 35), (97, 131), (300, 300), (10, 200)])
def test_an_upright_resize_is_pillows(size):
    photo = smooth_picture(140, 196)
    frame = view_of(whole_frame(140, 196), (196 / size[1], 0, 0, 0, 140 / size[0], 0, 0, 0, 1), *size)
    pillow = np.asarray(Image.fromarray(photo).resize(size[::-1], Image.Resampling.BILINEAR))
    found, exact = warp(photo, frame), reference(photo, frame, samples=8)
    if max(196 / size[1], 140 / size[0]) < 2:
        assert np.abs(found.astype(int) - pillow).max() <= 1
    else:  # where a wide triangle blurs, it is nearer to the mean
        assert psnr(found, exact) > psnr(pillow, exact) + 1


@pytest.mark.parametrize("left", [0.0, 0.25, 0.5, 12.3, 33.7])
@pytest.mark.parametrize("step", [0.7, 1.0, 1.3, 1.674, 2.0, 3.1, 6.5])
def test_crops_by_parts_of_a_pixel_are_in_place(left, step):
    photo = smooth_picture(400, 450, seed=5)
    frame = view_of(whole_frame(400, 450), (step, 0, left, 0, step, left, 0, 0, 1), 50, 60)
    found, aside = warp(photo, frame), view_of(frame, (1, 0, 0.25, 0, 1, 0, 0, 0, 1), 50, 60)
    exact = reference(photo, frame)
    assert psnr(found, exact) > 32
    assert psnr(found, exact) > psnr(reference(photo, aside), exact) + 3


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(90, 90), (40, 90), (90, 40)])
def test_what_lies_outside_is_filled_beside_an_upright_resize(border, size):
    frame = Resize(size, "pad", pad_mode=border).place(whole_frame(150, 200), None)
    # beside a picture the edge is the mean of what the window shows there, in the reference the photo's last pixel
    assert psnr(warp(PHOTO, frame), reference(PHOTO, frame)) > (27 if border == "border" else 34)


@pytest.mark.parametrize("shrink", [2, 4, 8])
@pytest.mark.parametrize("angle", [0, 9])
def test_a_photo_decoded_at_a_fraction_stays_in_place(shrink, angle):
    photo = smooth_picture(403, 509)  # no multiples of the shrink
    frame = view(photo, (40, 50), zoom=shrink * 1.1, angle=angle)
    assert codec_shrink(frame) == shrink
    padded = np.pad(photo, ((0, -403 % shrink), (0, -509 % shrink), (0, 0)), mode="edge")
    small = padded.reshape(padded.shape[0] // shrink, shrink, padded.shape[1] // shrink, shrink, 3).mean((1, 3))
    assert psnr(warp(small.round().astype(np.uint8), frame, shrink=shrink), reference(photo, frame, 16)) > 30


def test_the_result_is_written_where_told():
    frame = view(PHOTO, (30, 40), zoom=1.2, angle=9)
    rows = np.zeros((2, 30, 40, 3), np.uint8)
    assert warp(PHOTO, frame, out=rows[1]).base is rows
    np.testing.assert_array_equal(rows[1], warp(PHOTO, frame))
    assert rows[0].max() == 0


def test_what_it_is_given_is_not_written_to():
    frozen = PHOTO.copy()
    frozen.flags.writeable = False
    for frame in (view(PHOTO, (30, 40), zoom=1.3, angle=9), view(PHOTO, (30, 40), zoom=1.3)):
        warp(frozen, frame)
    np.testing.assert_array_equal(frozen, PHOTO)


# extremes


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 500), (10, 20_000), (20_000, 10), (500, 40_000), (2, 2)])
@pytest.mark.parametrize("method", ["crop", "pad", "squish"])
@pytest.mark.parametrize("turn", [False, True])
def test_pictures_of_extreme_shapes(shape, method, turn):
    value = np.full((*shape, 3), 77, np.uint8)
    turns = (Rotate(10.0, 1.0), Warp(0.2, 1.0)) if turn else ()
    frame = placed(value, Resize((29, 31), method, pad_mode="reflection"), *turns)
    shown = warp(value, frame)
    assert shown.shape == (29, 31, 3)
    assert (shown == 77).all()
    mask = warp(value[..., 0].astype(np.int32), frame, nearest=True)
    assert mask.shape == (29, 31)
    assert (mask == 77).all()


@pytest.mark.parametrize("side", [1, 2, 5])
def test_pictures_smaller_than_the_target_are_magnified(side):
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    frame = placed(photo, Rotate(30.0, 1.0), Resize(64))
    assert psnr(warp(photo, frame), reference(photo, frame)) > 45


@pytest.mark.parametrize("border", BORDERS)
def test_a_window_beside_the_photo(border):
    frame = view_of(Frame(150, 200, 150, 200, border=border), (1, 0.2, 900, -0.2, 1, -700, 0, 0, 1), 30, 40)
    assert np.abs(warp(PHOTO, frame) - reference(PHOTO, frame, samples=1)).max() < 0.52


def test_a_far_zoom_out_is_averaged():
    frame = view(PHOTO, (30, 40), zoom=100, angle=3)
    assert abs(warp(PHOTO, frame).mean() - PHOTO.mean()) < 2


# masks


@given(st.integers(0, 10**6), st.lists(st.sampled_from(HARD), min_size=1, max_size=4), st.sampled_from(BORDERS))
@settings(deadline=None, max_examples=40)
def test_masks_show_the_pixel_under_each_centre(seed, chain, border):
    mask = np.random.default_rng(1).integers(0, 9000, (50, 70))
    frame = placed(mask, *chain, Resize((23, 31)), seed=seed, border=border)
    y, x = np.mgrid[:23, :31] + 0.5
    px, py = photo_points(frame, x, y)
    expected = pixel_at(mask[..., None], np.floor(px).astype(int), np.floor(py).astype(int), border)[..., 0]
    found = warp(mask, frame, nearest=True)
    assert found.dtype == mask.dtype
    tie = (np.abs(px - px.round()) < 1e-6) | (np.abs(py - py.round()) < 1e-6)
    np.testing.assert_array_equal(found[~tie], expected[~tie])


# the way back


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_a_picture_is_laid_back_onto_its_photo(channels):
    photo = smooth_picture(120, 150, channels or 1)
    photo = photo if channels else photo[..., 0]
    frame = view(photo, (90, 110), zoom=0.8, angle=20, tilt=0.001)
    back = picture_onto_photo(warp(photo, frame), frame)
    assert back.shape == photo.shape
    centres = np.stack(np.meshgrid(np.arange(150) + 0.5, np.arange(120) + 0.5), 2).reshape(-1, 2)
    inside = points_into_frame(centres, frame)
    inner = ((inside > 1) & (inside < (109, 89))).all(1).reshape(120, 150)
    outer = ~((inside >= 0) & (inside < (110, 90))).all(1).reshape(120, 150)
    assert inner.sum() > 2000
    assert outer.sum() > 2000
    assert psnr(back[inner], photo[inner]) > 40
    assert (back[outer] == 0).all()


def test_a_heat_map_is_stretched_over_the_window():
    frame = Resize(224).place(whole_frame(100, 300), None)
    heat = np.zeros((7, 7))
    heat[3, 3] = 1
    back = picture_onto_photo(heat, frame)
    assert (back.shape, back.dtype) == ((100, 300), np.float32)
    assert np.unravel_index(back.argmax(), back.shape) == pytest.approx((50, 150), abs=1)
    assert (back[:, :100] == 0).all()
    assert picture_onto_photo(np.ones((7, 7)), frame)[:, 100:200] == pytest.approx(1)


# batches of floats


@given(st.integers(0, 10**6), st.lists(st.sampled_from(HARD), min_size=1, max_size=4), st.sampled_from(BORDERS))
@settings(deadline=None, max_examples=30)
def test_a_batch_is_sampled_as_each_picture_is(seed, chain, border):
    frames = [placed(PHOTO, *chain, Resize((60, 80)), seed=seed + k, border=border) for k in range(2)]
    batch = torch.from_numpy(PHOTO.copy()).permute(2, 0, 1)[None].expand(2, -1, -1, -1).double()
    found = warp_batch(batch, frames)
    assert (found.shape, found.dtype) == ((2, 3, 60, 80), torch.float64)
    for one, frame in zip(found, frames, strict=True):
        assert psnr(one.permute(1, 2, 0).numpy(), warp(PHOTO, frame)) > 25


def test_a_batch_keeps_its_dtype_and_is_not_changed():
    batch = torch.rand(2, 3, 5, 7, dtype=torch.bfloat16)
    frames = [placed(np.zeros((5, 7)), Rotate(30.0, 1.0), seed=s) for s in (0, 1)]
    before = batch.clone()
    found = warp_batch(batch, frames)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()
    assert torch.equal(batch, before)
    assert warp_batch(batch[:0], []).shape == (0, 3, 5, 7)


def test_a_batch_of_windows_of_different_sizes_is_refused():
    with pytest.raises(ValueError, match=r"become of different sizes: \[\(3, 3\), \(5, 7\)\]"):
        warp_batch(torch.rand(2, 1, 5, 7), [whole_frame(5, 7), Resize(3).place(whole_frame(5, 7), None)])


def test_a_shift_of_floats_is_exact():
    x = torch.rand(1, 2, 5, 7)
    frame = Shift(2).place(whole_frame(5, 7), np.random.default_rng(1))
    assert {*warp_batch(x, [frame]).flatten().tolist()} <= {*x.flatten().tolist()}
