"""One decode, one warp, one colour map: what a sample's picture goes through."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock
from satsuma.data.getters import ItemGetter
from satsuma.data.splitters import IndexSplitter
from satsuma.data.transforms import TrainingOnly
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.colour import plain_colours
from satsuma.vision.effects import CoarseDropout, RandomErasing
from satsuma.vision.frame import whole_frame
from satsuma.vision.geometry import Flip, Resize, Rotate, Shift
from satsuma.vision.lighting import Brightness, Contrast
from satsuma.vision.normalize import Normalize
from satsuma.vision.path import ImagePath, lay_out, split_batch_tfms
from satsuma.vision.uncoloured import Uncoloured
from satsuma.vision.warp import warp

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
NORMALIZE = Normalize(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def path_of(*item_tfms, batch_tfms=(), channels=3):
    return ImageBlock(channels=channels).path(item_tfms, batch_tfms)[0]


def made(path: ImagePath, value=PIXELS, rng=None) -> np.ndarray:
    return path(value, rng, None, None)[0]


def test_without_transforms_a_picture_is_its_pixels_in_0_to_1() -> None:
    np.testing.assert_allclose(made(path_of()), PIXELS / np.float32(255), rtol=1e-6)


def test_item_and_batch_transforms_are_one_warp_and_one_map() -> None:
    turns = (Resize(29), Rotate(20.0, p=1.0), Flip())
    lights = (Brightness(p=1.0), Contrast(p=1.0), NORMALIZE)
    path = path_of(turns[0], batch_tfms=(turns[1], lights[0], turns[2], *lights[1:]))
    found = made(path, rng=np.random.default_rng(5))
    rng = np.random.default_rng(5)  # drawn in the order in which the transforms stand
    frame, colours = whole_frame(37, 53), plain_colours(3)
    for transform in (turns[0], turns[1], lights[0], turns[2], *lights[1:]):
        if hasattr(transform, "place"):
            frame = transform.place(frame, rng)
        else:
            colours = transform.colour(colours, rng)
    np.testing.assert_array_equal(found, colours.apply(warp(PIXELS, frame)))


def test_it_is_written_into_the_row_that_is_given() -> None:
    out = np.empty((29, 29, 3), np.float32)
    assert path_of(Resize(29))(PIXELS, None, None, out)[0] is out
    np.testing.assert_array_equal(out, made(path_of(Resize(29))))


def double_contrast(x: Tensor) -> Tensor:
    return x * 2


def test_what_follows_a_foreign_batch_transform_is_left_to_the_batch() -> None:
    fused, rest = split_batch_tfms((Flip(), NORMALIZE, double_contrast, Rotate()))
    assert fused == (Flip(), NORMALIZE)
    assert rest == (double_contrast, Rotate())


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def halved(image: Image.Image) -> Image.Image:
    return image.reduce(2)


def test_a_foreign_item_transform_sees_the_picture_as_it_then_is() -> None:
    brighter = Brightness(p=1.0)
    found = made(path_of(Resize(28), brighter, halved, mirrored, Resize(7)), rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    frame = Resize(28).place(whole_frame(37, 53), rng)
    lit = brighter.colour(plain_colours(3), rng).as_uint8(warp(PIXELS, frame))
    small = np.asarray(mirrored(halved(Image.fromarray(lit))))
    expected = warp(small, Resize(7).place(whole_frame(14, 14), rng)) / np.float32(255)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def to_tensor_twice(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 * 2


def test_a_foreign_transform_may_make_a_tensor_which_the_rest_then_acts_on() -> None:
    found = made(path_of(to_tensor_twice, batch_tfms=(NORMALIZE,)))
    expected = NORMALIZE(torch.from_numpy(PIXELS).permute(2, 0, 1)[None] / 255 * 2)[0]
    assert torch.allclose(found, expected)


def test_after_a_tensor_effects_come_before_normalising_as_in_the_fused_way() -> None:
    grey = RandomErasing(p=1.0, fill=0)
    found = made(path_of(as_tensor, batch_tfms=(grey, NORMALIZE)), rng=np.random.default_rng(3))
    assert float(found.min()) == pytest.approx(-2.5)  # black, normalised: not cut to 0..1 afterwards


def as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def doubled(x: Tensor) -> Tensor:
    return x * 2


def test_after_a_tensor_foreign_transforms_act_once_each_and_know_training() -> None:
    path = path_of(as_tensor, doubled, doubled, TrainingOnly(doubled))
    plain = torch.from_numpy(PIXELS).permute(2, 0, 1) / 255
    assert torch.allclose(made(path), plain * 4)
    assert torch.allclose(made(path, rng=np.random.default_rng(0)), plain * 8)


def unscaled(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def test_a_float_tensor_that_was_not_scaled_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="values up to 255; 0..1 is expected: divide by 255"):
        made(path_of(unscaled))


def test_transforms_may_come_as_a_generator() -> None:
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), batch_tfms=(t for t in (Flip(), NORMALIZE)))
    assert block.batch_tfms == (Flip(), NORMALIZE)


@pytest.mark.filterwarnings("ignore:1 file")
def test_photos_of_different_sizes_may_be_resized_by_a_batch_transform() -> None:
    items = [(PIXELS, "a"), (PIXELS[:31], "b")] * 3
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_x=ItemGetter(0), get_y=ItemGetter(1), batch_tfms=Resize(16)
    )
    assert block.dataloaders(items, bs=2, workers=0).one_batch()[0].shape == (2, 3, 16, 16)


def test_a_failing_transform_of_ours_is_named() -> None:
    with pytest.raises(ValueError, match=r"the transform Normalize\(.*failed: Normalize\(\) has no values yet"):
        made(path_of(Normalize()))


def test_normalising_among_item_transforms_waits_for_the_end() -> None:
    np.testing.assert_allclose(made(path_of(NORMALIZE, mirrored)), made(path_of(mirrored, NORMALIZE)), rtol=1e-6)


def test_effects_come_after_the_warp() -> None:
    holes = CoarseDropout(p=1.0)
    (stage,) = lay_out((Resize(29), holes, Rotate()))
    assert stage.fused == (Resize(29), Rotate())
    assert stage.effects == (holes,)


def test_a_setting_that_is_called_pixels_makes_no_effect_of_a_transform() -> None:
    (stage,) = lay_out((Shift(pixels=2),))
    assert stage.fused == (Shift(pixels=2),)


def test_validation_draws_nothing() -> None:
    path = path_of(Resize(29), batch_tfms=(Flip(p=1.0), Rotate(p=1.0), Brightness(p=1.0)))
    assert path.random
    np.testing.assert_array_equal(made(path), made(path_of(Resize(29))))


def test_towards_a_gpu_bytes_travel_and_come_to_the_same_numbers() -> None:
    path = path_of(Resize(29), batch_tfms=(Brightness(p=1.0), NORMALIZE))
    there = path.for_device(torch.device("cuda"))
    parts = [there(PIXELS, np.random.default_rng(i), None, None)[0] for i in range(2)]
    assert isinstance(parts[0], Uncoloured)
    assert parts[0].pixels.dtype == np.uint8
    finished = parts[0].joined(parts).to("cpu").finished()
    expected = np.stack([made(path, rng=np.random.default_rng(i)) for i in range(2)])
    assert torch.allclose(finished, torch.from_numpy(expected).permute(0, 3, 1, 2), atol=1e-6)


def test_pictures_of_different_sizes_towards_a_gpu_are_refused() -> None:
    path = path_of().for_device(torch.device("cuda"))
    one, other = path(PIXELS, None, None, None)[0], path(PIXELS[:31], None, None, None)[0]
    with pytest.raises(ValueError, match=r"image 0 is \[3, 37, 53\], image 1 is \[3, 31, 53\]"):
        one.joined([one, other])


@pytest.mark.parametrize("cache", ["bytes", "pixels"])
def test_what_is_cached_needs_no_file_and_changes_no_number(tmp_path: Path, cache: str) -> None:
    files = [tmp_path / f"{i}.jpg" for i in range(4)]
    for i, file in enumerate(files):
        Image.fromarray(np.roll(PIXELS.repeat(8, 0).repeat(8, 1), i * 13, 0)).save(file)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(("a", "b"))),
        get_x=ItemGetter(0),
        get_y=ItemGetter(1),
        splitter=IndexSplitter((0,)),
        item_tfms=Resize(40),
        batch_tfms=(Rotate(p=1.0), Brightness()),
    )
    items = list(zip(files, "abab", strict=True))
    plain = block.dataloaders(items, bs=3, workers=0)
    cached = block.dataloaders(items, bs=3, workers=0, cache=cache)
    first = cached.one_batch()
    assert torch.equal(first[0], plain.one_batch()[0])
    for file in files[1:]:
        file.unlink()
    assert torch.equal(cached.one_batch()[0], first[0])
    with pytest.raises(ValueError, match=r"\d\.jpg"):
        plain.one_batch()


def test_an_unknown_cache_is_refused() -> None:
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_x=ItemGetter(0), get_y=ItemGetter(1))
    items = [(PIXELS, label) for label in "abababab"]
    with pytest.raises(ValueError, match="cache='pixel': did you mean 'pixels'"):
        block.dataloaders(items, cache="pixel")


def test_the_stages_of_a_sample_are_timed() -> None:
    seconds = path_of(Resize(29), mirrored, batch_tfms=(NORMALIZE,)).timed(PIXELS, np.random.default_rng(0))
    assert set(seconds) == {"decode", "warp", "other", "colour"}
    assert all(spent >= 0 for spent in seconds.values())
