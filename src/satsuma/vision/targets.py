"""Targets that lie in a picture: masks, points and boxes, which follow the frame of the sample's first picture.

H height, W width, N points or boxes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.checks import FileFacts
from satsuma.data.transforms import NO_TRANSFORMS, Steps, part_label, takes_rng
from satsuma.errors import spelled_class
from satsuma.vision.frame import Frame, points_into_frame, whole_frame
from satsuma.vision.image import examine_image, named_bytes, open_image
from satsuma.vision.path import acts_by, is_fusible, split_batch_tfms
from satsuma.vision.warp import warp


@spelled_class
@dataclass(frozen=True, slots=True)
class MaskBlock:
    """A class for each pixel, from a grey or palette image: int64 [H W], warped with the image, to the nearest pixel.

    `codes`: the classes' names, in the order of the pixel values 0, 1, 2, ...; values above are refused.
    """

    codes: tuple[str, ...] = ()

    takes_tfms = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", tuple(self.codes))

    def setup(self, values: Sequence[Any]) -> "MaskBlock":
        return self

    def examine(self, value: Any) -> FileFacts:
        return examine_image(value)

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple["MaskPath", tuple[Callable[..., Any], ...]]:
        transforms = geometry_of("MaskBlock", item_tfms, batch_tfms)
        return MaskPath(self, transforms, any(takes_rng(t) for t in transforms)), ()

    def load(self, value: Any) -> np.ndarray:
        """Pixel values uint8 [H W 1]; those of a palette image are its indices."""
        pixels = read_mask(value)
        if self.codes and int(pixels.max()) >= len(self.codes):
            raise ValueError(
                f"the mask has the value {int(pixels.max())}, but there are {len(self.codes)} codes, for values "
                f"0..{len(self.codes) - 1}"
            )
        return pixels

    def to_tensor(self, part: np.ndarray) -> Tensor:
        return torch.from_numpy(part[..., 0].astype(np.int64))

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> Tensor:
        return tensor


@spelled_class
@dataclass(frozen=True, slots=True)
class PointBlock:
    """`n` points (x, y) in pixels of the photo: float32 [2n] in -1..1 over the final picture (x0, y0, x1, y1, ...).

    A point that the crop leaves out lies outside -1..1. One that is outside its photo is refused.
    """

    n: int = 1

    takes_tfms = True

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"PointBlock: n is the number of points, 1 or more, got {self.n}")

    @property
    def n_out(self) -> int:
        """How many numbers that is."""
        return 2 * self.n

    def setup(self, values: Sequence[Any]) -> "PointBlock":
        for value in values:
            self.load(value)
        return self

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple["PointPath", tuple[Callable[..., Any], ...]]:
        geometry_of("PointBlock", item_tfms, batch_tfms)
        return PointPath(self), ()

    def load(self, value: Any) -> np.ndarray:
        return listed_points("PointBlock", value, self.n, 2)

    def to_tensor(self, part: np.ndarray) -> Tensor:
        return torch.from_numpy(part.astype(np.float32).reshape(-1))

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> list[list[float]]:
        """[n][x, y] in -1..1."""
        return [[float(f"{v:.6g}") for v in row] for row in tensor.reshape(-1, 2).tolist()]


@spelled_class
@dataclass(frozen=True, slots=True)
class BoxBlock:
    """Up to `most` boxes (left, top, right, bottom) in pixels of the photo: float32 [most 4] in -1..1, then zeros.

    Each becomes the smallest upright box around its four warped corners, cut at the picture's edge; a box that lies
    wholly outside has no area. `most`: found in the data unless given.
    """

    most: int = 0

    takes_tfms = True

    def setup(self, values: Sequence[Any]) -> "BoxBlock":
        counts = [len(listed_points("BoxBlock", value, None, 4)) for value in values]
        if self.most and counts and max(counts) > self.most:
            raise ValueError(f"BoxBlock: an item has {max(counts)} boxes, more than most={self.most}")
        return self if self.most else replace(self, most=max(counts, default=1) or 1)

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple["PointPath", tuple[Callable[..., Any], ...]]:
        geometry_of("BoxBlock", item_tfms, batch_tfms)
        return PointPath(self), ()

    def load(self, value: Any) -> np.ndarray:
        return listed_points("BoxBlock", value, None, 4)

    def to_tensor(self, part: np.ndarray) -> Tensor:
        """[N 8], warped corners in -1..1, to [most 4]."""
        corners = part.reshape(-1, 4, 2)
        boxes = np.concatenate((corners.min(1), corners.max(1)), axis=1).clip(-1, 1)  # [N 4]
        padded = np.zeros((self.most, 4), np.float32)
        padded[: len(boxes)] = boxes
        return torch.from_numpy(padded)

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> list[list[float]]:
        """[N][left, top, right, bottom] in -1..1, those without area left out."""
        rows = tensor.reshape(-1, 4).tolist()
        return [[float(f"{v:.6g}") for v in row] for row in rows if row[2] > row[0] and row[3] > row[1]]


@dataclass(frozen=True, slots=True)
class MaskPath:
    """A mask's way: the frame of its image, or where it comes first its own, to the nearest pixel."""

    block: MaskBlock
    transforms: tuple[Any, ...]  # geometry
    random: bool

    @property
    def needs_processes(self) -> bool:
        return False

    def for_device(self, device: torch.device) -> "MaskPath":
        return self

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        return {}

    def __call__(
        self, value: Any, rng: np.random.Generator | None, frame: Any = None, out: np.ndarray | None = None
    ) -> tuple[Tensor, Any]:
        pixels = self.block.load(value)
        if frame is None:
            own = whole_frame(*pixels.shape[:2])
            for transform in self.transforms:
                own = transform.place(own, rng)
            frame = (own,)
        refuse_other_size(pixels, frame[0])
        return self.block.to_tensor(warp(pixels, frame[0], nearest=True)), frame

    def walk(self, value: Any) -> Iterator[Any]:
        yield "MaskBlock"
        yield self.block.load(value)


@dataclass(frozen=True, slots=True)
class PointPath:
    """The way of points [N 2] (or boxes, [N 4]): through their image's frames, scaled to -1..1 in the end."""

    block: Any

    @property
    def random(self) -> bool:
        return False

    @property
    def needs_processes(self) -> bool:
        return False

    def for_device(self, device: torch.device) -> "PointPath":
        return self

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        return {}

    def __call__(
        self, value: Any, rng: np.random.Generator | None, frame: Any = None, out: np.ndarray | None = None
    ) -> tuple[Tensor, Any]:
        name = type(self.block).__name__
        if not frame:
            raise ValueError(f"{name}: points lie in a picture, and no ImageBlock comes before them")
        (shown,) = frame
        given = self.block.load(value)  # [N 2] or [N 4]
        corners = given if given.shape[1] == 2 else given[:, [0, 1, 2, 1, 2, 3, 0, 3]]
        points = corners.reshape(-1, 2)
        refuse_outside(name, points, shown)
        placed = points_into_frame(points, shown) / (shown.width, shown.height) * 2 - 1
        return self.block.to_tensor(placed.reshape(len(given), -1)), frame

    def walk(self, value: Any) -> Iterator[Any]:
        yield type(self.block).__name__
        yield self.block.load(value)


def read_mask(source: Any) -> np.ndarray:
    """The values of a mask, uint8 [H W 1], from a path, bytes, an array or a PIL image: no colour is looked up.

    Raises `ValueError` for an image with colours, which is no mask, or for values above 255.
    """
    if isinstance(source, np.ndarray):
        values = source
    else:
        image = source if isinstance(source, Image.Image) else open_image(named_bytes(source)[1])
        if image.mode not in ("1", "L", "P", "I", "I;16"):
            raise ValueError(
                f"the mask is a picture of mode {image.mode}; expected one number a pixel (grey or palette)"
            )
        values = np.asarray(image)
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim != 2 or values.dtype.kind not in "biu" or int(values.max(initial=0)) > 255:
        raise ValueError(f"a mask is [H W] of whole numbers 0..255, got {values.dtype} {list(values.shape)}")
    return np.ascontiguousarray(values.astype(np.uint8))[..., None]


def listed_points(name: str, value: Any, n: int | None, width: int) -> np.ndarray:
    """float64 [N width] from nested or flat numbers; `ValueError` for another number of them, or NaN."""
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected numbers, {width} for each, got {value!r}") from None
    if numbers.size % width or (n is not None and numbers.size != n * width):
        expected = f"{n * width} numbers" if n is not None else f"{width} numbers for each"
        raise ValueError(f"{name}: expected {expected}, got {numbers.size}: {value!r}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: {value!r} holds NaN or an infinite number")
    return numbers.reshape(-1, width)


def refuse_other_size(mask: np.ndarray, frame: Frame) -> None:
    if mask.shape[:2] != (frame.photo_height, frame.photo_width):
        raise ValueError(
            f"the mask is {mask.shape[1]}×{mask.shape[0]} (width × height) and its image "
            f"{frame.photo_width}×{frame.photo_height}: a mask has its image's size. Is it the right file?"
        )


def refuse_outside(name: str, points: np.ndarray, frame: Frame) -> None:
    size = np.array((frame.photo_width, frame.photo_height))
    outside = ((points < 0) | (points > size)).any(1)
    if outside.any():
        x, y = points[outside][0].tolist()
        raise ValueError(
            f"{name}: ({x:g}, {y:g}) lies outside its image of {size[0]}×{size[1]} (width × height); points are (x, y) "
            f"in pixels of the photo as it is stored upright"
        )


def geometry_of(
    name: str, item_tfms: Sequence[Callable[..., Any]], batch_tfms: Sequence[Callable[..., Any]]
) -> tuple[Callable[..., Any], ...]:
    """The geometry among the transforms; `TypeError` for those with which a target would lose its picture's place."""
    foreign = [t for t in item_tfms if not is_fusible(t)]
    if foreign:
        raise TypeError(
            f"{name}: the item transform {part_label(foreign[0])} is not Satsuma's, and may move the picture without "
            f"its target; use Satsuma's geometry and colours, or read both as a TransformBlock"
        )
    fused, rest = split_batch_tfms(batch_tfms)
    moving = [t for t in rest if acts_by(t, "place")]
    if moving:
        raise TypeError(
            f"{name}: {moving[0]!r} stands after the batch transform {part_label(rest[0])}, where targets cannot "
            f"follow; put it first"
        )
    return tuple(t for t in (*item_tfms, *fused) if acts_by(t, "place"))
