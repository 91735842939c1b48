import inspect
import math

import numpy as np
import pytest

from satsuma.vision.aug_transforms import aug_transforms
from satsuma.vision.effects import RandomErasing
from satsuma.vision.frame import points_onto_photo, whole_frame
from satsuma.vision.geometry import Dihedral, Flip, RandomResizedCrop, Resize, Rotate, Zoom
from satsuma.vision.lighting import Brightness, Contrast
from satsuma.vision.perspective import Warp

# fastai 2's signature and defaults, but for mode, align_corners and batch, which say how a batch is sampled on a GPU
FASTAI = {
    "mult": 1.0,
    "do_flip": True,
    "flip_vert": False,
    "max_rotate": 10.0,
    "min_zoom": 1.0,
    "max_zoom": 1.1,
    "max_lighting": 0.2,
    "max_warp": 0.2,
    "p_affine": 0.75,
    "p_lighting": 0.75,
    "xtra_tfms": None,
    "size": None,
    "pad_mode": "reflection",
    "min_scale": 1.0,
}


def placed(transforms, seed, height=460, width=460):
    rng = None if seed is None else np.random.default_rng(seed)
    frame = whole_frame(height, width)
    for transform in transforms:
        if hasattr(transform, "place"):
            frame = transform.place(frame, rng)
    return frame


def test_the_signature_is_fastais():
    found = {name: p.default for name, p in inspect.signature(aug_transforms).parameters.items()}
    assert found == FASTAI
    assert list(found) == list(FASTAI)


def test_the_defaults():
    assert aug_transforms() == [
        Flip(0.5),
        Warp(0.2, 0.75),
        Rotate(10.0, 0.75),
        Zoom(1.0, 1.1, 0.75),
        Brightness(0.2, 0.75),
        Contrast(0.2, 0.75),
    ]


def test_mult_scales_how_far_they_go():
    doubled = {type(t): t for t in aug_transforms(mult=2)}
    assert doubled[Rotate].max_deg == 20
    assert doubled[Warp].magnitude == doubled[Brightness].max_lighting == doubled[Contrast].max_lighting == 0.4
    assert doubled[Zoom].max_zoom == 1.1
    assert aug_transforms(mult=0) == [Flip(0.5), Zoom(1.0, 1.1, 0.75)]


def test_what_is_switched_off_is_left_out():
    assert aug_transforms(do_flip=False, max_warp=0, max_rotate=0, max_zoom=1, max_lighting=0) == []
    assert aug_transforms(flip_vert=True)[0] == Dihedral(0.5)
    assert aug_transforms(p_affine=1.0, pad_mode="zeros")[2] == Rotate(10.0, 1.0, pad_mode="zeros")


def test_the_size_is_squished_to_or_cropped_to():
    assert Resize(224, "squish") in aug_transforms(size=224)
    cropping = aug_transforms(size=(224, 168), min_scale=0.75)
    assert cropping[-1] == RandomResizedCrop((224, 168), min_scale=0.75, ratio=(1.0, 1.0))
    assert not any(isinstance(t, Resize) for t in cropping)
    with pytest.raises(ValueError, match=r"min_scale=0.5 takes crops, and needs their size="):
        aug_transforms(min_scale=0.5)


def test_extra_transforms_follow():
    assert aug_transforms(xtra_tfms=RandomErasing())[-1] == RandomErasing()
    assert aug_transforms(xtra_tfms=[RandomErasing(), Flip()])[-2:] == [RandomErasing(), Flip()]


def test_validation_is_a_plain_resize():
    frame = placed(aug_transforms(size=224), None)
    assert frame.matrix == (460 / 224, 0, 0, 0, 460 / 224, 0, 0, 0, 1)


def test_what_is_drawn_is_what_fastai_draws():
    """Its maps, written out: output coordinates in -1..1 → zoom, rotate, flip → the perspective → input coordinates."""
    transforms = aug_transforms(size=224, p_affine=1.0, do_flip=False)
    for seed in range(50):
        frame = placed(transforms, seed)
        rng = np.random.default_rng(seed)
        draws = [rng.random() for _ in range(4)]  # of Warp: whether, and by how much, along x and y
        x, y = 0.4 * draws[1] - 0.2, 0.4 * draws[3] - 0.2
        assert rng.random() < 1
        angle = math.radians(20 * rng.random() - 10)
        assert rng.random() < 1
        step = 1 / (1 + 0.1 * rng.random())
        column, row = (1 - step) * (2 * rng.random() - 1), (1 - step) * (2 * rng.random() - 1)
        cos, sin = math.cos(angle), math.sin(angle)
        affine = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) @ np.array(
            [[step, 0, column], [0, step, row], [0, 0, 1]]
        )
        originals = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        targets = np.array([(-1 - y, -1 - x), (-1 + y, 1 + x), (1 + y, -1 + x), (1 - y, 1 - x)])
        grid = np.array([(0, 0), (100, 20), (224, 224), (30, 200)])
        units = np.column_stack([grid / 112 - 1, np.ones(4)]) @ affine.T
        expected = perspective(units[:, :2], targets, originals)
        np.testing.assert_allclose(points_onto_photo(grid, frame) / 230 - 1, expected, atol=1e-9)


def perspective(points, sources, goals):
    """Points through the homography that takes four `sources` to `goals`."""
    rows = []
    for (x, y), (u, v) in zip(sources, goals, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y, -u), (0, 0, 0, x, y, 1, -v * x, -v * y, -v)]
    matrix = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]
