"""Transforms of other libraries as item transforms."""

import functools
import random
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from satsuma.data.transforms import TrainingOnly
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.foreign import call_foreign, draws_globally

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L")


def noisy(image: Image.Image, rng: np.random.Generator | None = None) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels if rng is None else pixels ^ rng.integers(0, 2, pixels.shape, dtype=np.uint8)


def test_a_function_gets_a_pil_image_and_the_channels_stay() -> None:
    found = call_foreign(grey, PICTURE, None)
    np.testing.assert_array_equal(found, np.asarray(Image.fromarray(PICTURE).convert("L").convert("RGB")))


def test_a_function_with_rng_draws_in_training_alone() -> None:
    np.testing.assert_array_equal(call_foreign(noisy, PICTURE, None), PICTURE)
    drawn = call_foreign(noisy, PICTURE, np.random.default_rng(3))
    np.testing.assert_array_equal(drawn, call_foreign(noisy, PICTURE, np.random.default_rng(3)))
    assert (drawn != PICTURE).any()


def test_training_only_leaves_validation_alone() -> None:
    np.testing.assert_array_equal(call_foreign(TrainingOnly(grey), PICTURE, None), PICTURE)
    assert len(np.unique(call_foreign(TrainingOnly(grey), PICTURE, np.random.default_rng(0))[0, 0])) == 1


def test_a_tensor_stays_a_plain_tensor() -> None:
    class Kind(torch.Tensor):
        pass

    found = call_foreign(lambda image: torch.zeros(3, 2, 5).as_subclass(Kind), PICTURE, None)
    assert type(found) is torch.Tensor


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "it gave NoneType"),
        (np.zeros((5, 7, 3)), r"it gave float64 \[5, 7, 3\]"),
        (np.zeros((5, 7, 4), np.uint8), r"expected a PIL image, a tensor \[C H W\], or a uint8 array \[H W 3\]"),
    ],
)
def test_what_is_no_picture_is_refused_by_the_transforms_name(result: object, told: str) -> None:
    def broken(image: Image.Image) -> object:
        return result

    with pytest.raises(ValueError, match=f"the item transform broken failed: .*{told}"):
        call_foreign(broken, PICTURE, None)


@pytest.fixture
def albumentations(monkeypatch: pytest.MonkeyPatch) -> type:
    """A stand-in for albumentations' own manners: a call by name, a dictionary back, a generator of its own."""

    class Salt:
        def __init__(self) -> None:
            self.rng = np.random.default_rng()

        def set_random_seed(self, seed: int) -> None:
            self.rng = np.random.default_rng(seed)

        def __call__(self, *, image: np.ndarray) -> dict[str, np.ndarray]:
            return {"image": image ^ self.rng.integers(0, 2, image.shape, dtype=np.uint8)}

    Salt.__module__ = "albumentations.pixel"
    monkeypatch.setitem(sys.modules, "albumentations.pixel", types.ModuleType("albumentations.pixel"))
    return Salt


def test_albumentations_are_called_their_way_and_repeat(albumentations: type) -> None:
    salt = albumentations()
    one, two = (call_foreign(salt, PICTURE, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != PICTURE).any()


def test_albumentations_alone_draw_anew_in_each_epoch(albumentations: type) -> None:
    path = ImageBlock().path((albumentations(),), ())[0]
    assert path.random
    one, two = (path(PICTURE, np.random.default_rng(i))[0] for i in range(2))
    assert (one != two).any()


def test_other_libraries_are_known_through_wrappings(albumentations: type) -> None:
    class Own(albumentations):  # type: ignore[misc, valid-type]
        pass

    class Module(torch.nn.Module):
        pass

    Module.__module__ = "torchvision.transforms.v2"
    for transform in (Own(), functools.partial(albumentations()), torch.nn.Sequential(Module())):
        assert draws_globally(transform)


def numpy_drawn(image: Image.Image) -> Image.Image:
    return image.rotate(np.random.rand() * 90)


def torch_drawn(image: Image.Image) -> Image.Image:
    return image.rotate(float(torch.rand(())) * 90)


def python_drawn(image: Image.Image) -> Image.Image:
    return image.rotate(random.random() * 90)


def numpy_used(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.mark.parametrize("function", [numpy_drawn, torch_drawn, python_drawn])
def test_functions_that_draw_where_all_threads_draw_are_known_by_their_code(function) -> None:
    assert draws_globally(function)
    assert draws_globally(TrainingOnly(function))
    assert not draws_globally(numpy_used)
    assert not draws_globally(noisy)  # draws from the `rng` that it is given


def test_other_libraries_draw_where_all_threads_draw(albumentations: type) -> None:
    assert draws_globally(albumentations())
    assert draws_globally(TrainingOnly(albumentations()))
    assert not draws_globally(grey)


def cut_to_nothing(image):
    return image.crop((2, 2, 2, 2))


def test_a_transform_that_gives_no_pixel_is_named():
    with pytest.raises(ValueError, match="item transform cut_to_nothing failed: it gave a picture without a pixel"):
        call_foreign(cut_to_nothing, np.zeros((5, 7, 3), np.uint8), None)
