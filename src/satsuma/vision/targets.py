"""Targets that lie in a picture: masks, points and boxes, which follow the frame of the sample's first picture.

H height, W width, N points or boxes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.checks import FileFacts
from satsuma.data.transforms import NO_TRANSFORMS, Steps, is_random, part_label
from satsuma.errors import spelled_class
from satsuma.vision.frame import Frame, points_into_frame, whole_frame
from satsuma.vision.image import digest_of, examined, named_bytes, open_image, reason_for
from satsuma.vision.path import acts_by, is_fusible, split_batch_tfms
from satsuma.vision.settings import check_whole
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
        given: Any = self.codes
        if isinstance(given, str):
            raise TypeError(
                f"MaskBlock: codes is a list of the classes' names, got the word {given!r}; "
                f"write codes=({given!r},) if it is the only one"
            )
        if not isinstance(given, Iterable):
            raise TypeError(f"MaskBlock: codes is a list of the classes' names, got {given!r}; give one for each value")
        object.__setattr__(self, "codes", tuple(given))

    def setup(self, values: Sequence[Any]) -> "MaskBlock":
        return self

    def examine(self, value: Any) -> FileFacts:
        return examined(value, self.facts)

    def facts(self, value: Any) -> FileFacts:
        """The facts of a mask; raises what `load` raises."""
        pixels = self.load(value)
        digest = digest_of(value if isinstance(value, bytes) else pixels.tobytes())
        return FileFacts("", digest, (pixels.shape[1], pixels.shape[0]))

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple["MaskPath", tuple[Callable[..., Any], ...]]:
        transforms = geometry_of("MaskBlock", item_tfms, batch_tfms)
        return MaskPath(self, transforms, any(is_random(t) for t in transforms)), ()

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
        object.__setattr__(self, "n", check_whole(self, "n", least=1, what="the number of points"))

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
        """float64 [n 2] of nested or flat numbers; `ValueError` for another number of them, or NaN."""
        numbers = finite_numbers("PointBlock", value)
        if numbers.size != 2 * self.n:
            fits = numbers.size and numbers.size % 2 == 0
            way = (
                f"for {numbers.size // 2} a sample use PointBlock(n={numbers.size // 2})"
                if fits
                else "points are (x, y)"
            )
            raise ValueError(f"PointBlock: expected {2 * self.n} numbers, got {numbers.size}: {value!r}; {way}")
        return numbers.reshape(-1, 2)

    def misfit(self, value: Any, size: tuple[int, int] | None) -> str:
        """Why `value` cannot be used with a photo of `size` (width, height; None: unknown); "" if it can."""
        return misfit_of(self, value, size)

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

    def __post_init__(self) -> None:
        what = "the largest number of boxes (0: found in the data)"
        object.__setattr__(self, "most", check_whole(self, "most", least=0, what=what))

    def setup(self, values: Sequence[Any]) -> "BoxBlock":
        counts = [len(self.load(value)) for value in values]
        return self if self.most else replace(self, most=max(counts, default=1) or 1)

    def path(
        self, item_tfms: tuple[Callable[..., Any], ...], batch_tfms: tuple[Callable[..., Any], ...]
    ) -> tuple["PointPath", tuple[Callable[..., Any], ...]]:
        geometry_of("BoxBlock", item_tfms, batch_tfms)
        return PointPath(self), ()

    def load(self, value: Any) -> np.ndarray:
        """float64 [N 4] of nested or flat numbers, N 0 for an empty list; `ValueError` for what are no boxes."""
        numbers = finite_numbers("BoxBlock", value)
        if numbers.size % 4:
            raise ValueError(
                f"BoxBlock: expected 4 numbers for each box (left, top, right, bottom), got {numbers.size}: {value!r}"
            )
        boxes = numbers.reshape(-1, 4)
        if self.most and len(boxes) > self.most:
            raise ValueError(
                f"BoxBlock: {len(boxes)} boxes, more than most={self.most}; raise it, or leave it out to have it found"
            )
        refuse_no_area(boxes)
        return boxes

    def misfit(self, value: Any, size: tuple[int, int] | None) -> str:
        """Why `value` cannot be used with a photo of `size` (width, height; None: unknown); "" if it can."""
        return misfit_of(self, value, size)

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
        corners = corners_of(self.block.load(value))
        points = corners.reshape(-1, 2)
        refuse_outside(name, points, (shown.photo_width, shown.photo_height))
        placed = points_into_frame(points, shown) / (shown.width, shown.height) * 2 - 1
        return self.block.to_tensor(placed.reshape(corners.shape)), frame

    def walk(self, value: Any) -> Iterator[Any]:
        yield type(self.block).__name__
        yield self.block.load(value)


def read_mask(source: Any) -> np.ndarray:
    """The values of a mask, uint8 [H W 1], from a path, bytes, an array or a PIL image: no colour is looked up.

    Raises `ValueError` that names the file for one that cannot be read, or that has colours and so is no mask; for
    values outside 0..255.
    """
    if isinstance(source, np.ndarray):
        values = source
    elif isinstance(source, Image.Image):
        values = numbers_of(source)
    else:
        name, raw = named_bytes(source)
        try:
            values = numbers_of(open_image(raw))
        except Exception as error:  # decoders given damaged files raise nearly anything
            told = reason_for(raw, error)
            raise ValueError(told if source is raw else f"{name}: {told}") from error
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim != 2 or values.dtype.kind not in "biu" or values.size == 0:
        raise ValueError(f"a mask is [H W] of whole numbers 0..255, got {values.dtype} {list(values.shape)}")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 255:
        raise ValueError(f"a mask is [H W] of whole numbers 0..255, got {low}..{high} ({values.dtype})")
    return np.ascontiguousarray(values.astype(np.uint8))[..., None]


def numbers_of(image: Image.Image) -> np.ndarray:
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise ValueError(f"the mask is a picture of mode {image.mode}; expected one number a pixel (grey or palette)")
    return np.asarray(image)


def finite_numbers(name: str, value: Any) -> np.ndarray:
    """float64 of any shape from nested or flat numbers; `ValueError` for anything else, or NaN."""
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a list of numbers, got {value!r}") from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: {value!r} holds NaN or an infinite number")
    return numbers


def refuse_no_area(boxes: np.ndarray) -> None:
    """`ValueError` for a box [N 4] whose right or bottom does not lie beyond its left or top."""
    wrong = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if wrong.any():
        box = ", ".join(f"{v:g}" for v in boxes[wrong][0])
        raise ValueError(
            f"BoxBlock: ({box}) has no area as (left, top, right, bottom), in pixels: right is more than left, bottom "
            f"more than top. If it is (x, y, width, height), give (x, y, x + width, y + height)"
        )


def corners_of(given: np.ndarray) -> np.ndarray:
    """Points [N 2] as they are; boxes [N 4] as their four corners [N 8]."""
    return given if given.shape[1] == 2 else given[:, [0, 1, 2, 1, 2, 3, 0, 3]]


def misfit_of(block: Any, value: Any, size: tuple[int, int] | None) -> str:
    """Why points or boxes cannot be used with a photo of `size` (width, height; None: unknown); "" if they can."""
    try:
        given = block.load(value)
        if size is not None:
            refuse_outside(type(block).__name__, corners_of(given).reshape(-1, 2), size)
    except ValueError as error:
        return str(error)
    return ""


def refuse_other_size(mask: np.ndarray, frame: Frame) -> None:
    if mask.shape[:2] != (frame.photo_height, frame.photo_width):
        raise ValueError(
            f"the mask is {mask.shape[1]}×{mask.shape[0]} (width × height) and its image "
            f"{frame.photo_width}×{frame.photo_height}: a mask has its image's size. Is it the right file?"
        )


def refuse_outside(name: str, points: np.ndarray, size: tuple[int, int]) -> None:
    """`ValueError` for points [N 2] outside a photo of `size` (width, height)."""
    outside = ((points < 0) | (points > np.array(size))).any(1)
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
