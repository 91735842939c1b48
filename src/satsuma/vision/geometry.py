"""Geometry: transforms that say where to look, as maps of `Frame`s. No pixel is touched until all have spoken.

Each has `place(frame, rng)`: the frame of the picture so far → that of the picture after. `rng` is NumPy's generator,
or `None` in validation: then sizes are what they are in training, and all else does nothing. Each can also be called by
itself on a PIL image, uint8 [H W C] or [H W], or a float batch [B C H W]. Where a turned picture shows what lies beside
a crop but still on the photo, it shows the photo, not a mirror image.

`pad_mode` is what lies outside the photo: "reflection", "border" or "zeros"; the first transform of a sample that says
something else than "reflection" decides.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from satsuma.errors import spelled_class
from satsuma.vision.frame import BORDERS, Frame, Matrix, view_of
from satsuma.vision.settings import check_number, check_share, whole_or_none
from satsuma.vision.warp import placed_alone

METHODS = ("crop", "squish", "pad")
MOST_ZOOM = 100.0  # beyond, a picture is less than a pixel or a pixel is the whole picture
# the eight ways to lay a square down: (xx, xy, yx, yy), by which window offsets from the middle become photo offsets
DIHEDRAL_MEMBERS = (
    *((1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)),
    *((0, 1, 1, 0), (0, -1, 1, 0), (0, 1, -1, 0), (0, -1, -1, 0)),
)


def height_and_width(size: Any, owner: str) -> tuple[int, int]:
    """(height, width) of a whole number or a pair; `ValueError` for anything else."""
    pair = is_row(size) and len(size) == 2
    height, width = (whole_or_none(side) for side in (size if pair else (size, size)))
    if height is None or width is None or height < 1 or width < 1:
        raise ValueError(
            f"{owner}: size is a number of pixels, or (height, width), got {size!r}; "
            f"give whole numbers, 1 or more, such as {owner}(224)"
        )
    return height, width


def plain_size(size: Any, owner: str) -> int | tuple[int, int]:
    """`size` in Python's own numbers: one if one was given, else (height, width)."""
    sides = height_and_width(size, owner)
    return sides if is_row(size) else sides[0]


def is_row(size: Any) -> bool:
    return isinstance(size, tuple | list) or (isinstance(size, np.ndarray) and size.ndim == 1)


def refuse_pad_mode(pad_mode: str, owner: str) -> None:
    if pad_mode not in BORDERS:
        raise ValueError(f"{owner}: pad_mode is one of {', '.join(BORDERS)}, got {pad_mode!r}")


def about_middle(frame: Frame, xx: float, xy: float, yx: float, yy: float) -> Matrix:
    """The matrix of the linear map [[xx xy] [yx yy]] about the middle of the window."""
    x, y = frame.width / 2, frame.height / 2
    return xx, xy, x - xx * x - xy * y, yx, yy, y - yx * x - yy * y, 0.0, 0.0, 1.0


def part_of(frame: Frame, box: tuple[float, float, float, float], size: tuple[int, int], pad_mode: str) -> Frame:
    """The part `box` (left, top, width, height) of the window, stretched to `size` (height, width)."""
    left, top, width, height = box
    matrix = (width / size[1], 0.0, left, 0.0, height / size[0], top, 0.0, 0.0, 1.0)
    return view_of(frame, matrix, size[0], size[1], pad_mode)


def drawn(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


@spelled_class
@dataclass(frozen=True, slots=True)
class Resize:
    """Bring every picture to `size`.

    `size`: in pixels, an int for a square, or (height, width). `method`: "crop" fits the shorter side and cuts the
    longer, at a random place in training and centred otherwise; "squish" ignores the aspect ratio; "pad" fits the
    longer side and fills the rest by `pad_mode`.
    """

    size: int | tuple[int, int]
    method: str = "crop"
    pad_mode: str = "zeros"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Resize: method is one of {', '.join(METHODS)}, got {self.method!r}")
        refuse_pad_mode(self.pad_mode, "Resize")
        object.__setattr__(self, "size", plain_size(self.size, "Resize"))

    @property
    def random(self) -> bool:
        """Whether training draws where to crop."""
        return self.method == "crop"

    @property
    def height_width(self) -> tuple[int, int]:
        return height_and_width(self.size, "Resize")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        height, width = self.height_width
        across, down = frame.width / width, frame.height / height  # old pixels for one new
        if self.method == "squish":
            return part_of(frame, (0.0, 0.0, frame.width, frame.height), (height, width), "reflection")
        if self.method == "pad":
            return self.padded(frame, max(across, down))
        step = min(across, down)
        crop_w, crop_h = min(width * step, frame.width), min(height * step, frame.height)
        along_x, along_y = (0.5, 0.5) if rng is None else (rng.random(), rng.random())
        left, top = (frame.width - crop_w) * along_x, (frame.height - crop_h) * along_y
        return part_of(frame, (left, top, crop_w, crop_h), (height, width), "reflection")

    def padded(self, frame: Frame, step: float) -> Frame:
        """The whole picture in the middle, on a whole number of pixels."""
        height, width = self.height_width
        inner_w, inner_h = (max(1, round(side / step)) for side in (frame.width, frame.height))
        across, down = frame.width / inner_w, frame.height / inner_h
        left, top = -round((width - inner_w) / 2) * across, -round((height - inner_h) / 2) * down
        return part_of(frame, (left, top, width * across, height * down), (height, width), self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomResizedCrop:
    """A crop of random area and aspect ratio, brought to `size`; in validation the largest centred crop.

    `min_scale`: the least share of the picture's area; `ratio`: the least and the largest width / height. In validation
    the crop has the aspect ratio of `size`, so that nothing is stretched.
    """

    size: int | tuple[int, int]
    min_scale: float = 0.35
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", plain_size(self.size, "RandomResizedCrop"))
        object.__setattr__(self, "ratio", tuple(self.ratio))
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"RandomResizedCrop: min_scale is a share of the area, above 0 to 1, got {self.min_scale}")
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"RandomResizedCrop: ratio is the least and the largest width / height, got {self.ratio}")

    @property
    def height_width(self) -> tuple[int, int]:
        return height_and_width(self.size, "RandomResizedCrop")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        size = self.height_width
        shape = None if rng is None else self.drawn_shape(frame, rng)
        if shape is None or rng is None:
            aspect = size[1] / size[0]
            if rng is not None:  # no crop of such a ratio fits: the nearest that does
                aspect = min(max(frame.width / frame.height, self.ratio[0]), self.ratio[1])
            width, height = min(frame.width, frame.height * aspect), min(frame.height, frame.width / aspect)
            left, top = (frame.width - width) / 2, (frame.height - height) / 2
        else:
            width, height = shape
            left, top = (frame.width - width) * rng.random(), (frame.height - height) * rng.random()
        return part_of(frame, (left, top, width, height), size, "reflection")

    def drawn_shape(self, frame: Frame, rng: np.random.Generator) -> tuple[float, float] | None:
        """(width, height) of a crop that lies in the window; None if ten draws gave none."""
        low, high = (math.log(r) for r in self.ratio)
        for _ in range(10):
            area = drawn(rng, self.min_scale, 1.0) * frame.width * frame.height
            aspect = math.exp(drawn(rng, low, high))
            width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
            if width <= frame.width and height <= frame.height:
                return width, height
        return None

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class CropPad:
    """The middle of the picture at its own scale: cut where it is larger than `size`, filled where it is smaller."""

    random = False

    size: int | tuple[int, int]
    pad_mode: str = "zeros"

    def __post_init__(self) -> None:
        refuse_pad_mode(self.pad_mode, "CropPad")
        object.__setattr__(self, "size", plain_size(self.size, "CropPad"))

    @property
    def height_width(self) -> tuple[int, int]:
        return height_and_width(self.size, "CropPad")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        height, width = self.height_width
        left, top = (frame.width - width) // 2, (frame.height - height) // 2
        return part_of(frame, (left, top, width, height), (height, width), self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror left and right with probability `p`."""

    training_only = True

    p: float = 0.5

    def __post_init__(self) -> None:
        check_share(self, "p")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p:
            return frame
        return view_of(frame, about_middle(frame, -1.0, 0.0, 0.0, 1.0), frame.height, frame.width)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Dihedral:
    """With probability `p` one of the eight ways to lay a square down, each as likely: mirrored, turned by quarters.

    A picture that is no square keeps its shape: it is drawn from the four of them that do so.
    """

    training_only = True

    p: float = 0.5

    def __post_init__(self) -> None:
        check_share(self, "p")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p:
            return frame
        members = DIHEDRAL_MEMBERS if frame.height == frame.width else DIHEDRAL_MEMBERS[:4]
        member = members[int(rng.random() * len(members))]
        return view_of(frame, about_middle(frame, *member), frame.height, frame.width)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Rotate:
    """Turn about the middle by up to `max_deg` degrees either way, with probability `p`."""

    training_only = True

    max_deg: float = 10.0
    p: float = 0.5
    pad_mode: str = "reflection"

    def __post_init__(self) -> None:
        check_share(self, "p")
        check_number(self, "max_deg", below=360.0, what="degrees")
        refuse_pad_mode(self.pad_mode, "Rotate")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p or not self.max_deg:
            return frame
        angle = math.radians(drawn(rng, -self.max_deg, self.max_deg))
        cos, sin = math.cos(angle), math.sin(angle)
        return view_of(frame, about_middle(frame, cos, sin, -sin, cos), frame.height, frame.width, self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Zoom:
    """Magnify by `min_zoom` to `max_zoom` about a random point, with probability `p`; below 1 it shrinks."""

    training_only = True

    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    pad_mode: str = "reflection"

    def __post_init__(self) -> None:
        check_share(self, "p")
        refuse_pad_mode(self.pad_mode, "Zoom")
        check_number(self, "min_zoom")
        check_number(self, "max_zoom")
        if not 0 < self.min_zoom <= self.max_zoom:
            raise ValueError(f"Zoom: min_zoom is above 0 and at most max_zoom, got {self.min_zoom} and {self.max_zoom}")
        if self.min_zoom < 1 / MOST_ZOOM or self.max_zoom > MOST_ZOOM:
            limits = f"min_zoom and max_zoom are {1 / MOST_ZOOM:g} to {MOST_ZOOM:g}"
            raise ValueError(f"Zoom: {limits}, got {self.min_zoom} and {self.max_zoom}; 0.9 to 1.1 is usual")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p:
            return frame
        step = 1 / drawn(rng, self.min_zoom, self.max_zoom)
        left, top = frame.width * (1 - step) * rng.random(), frame.height * (1 - step) * rng.random()
        box = (left, top, frame.width * step, frame.height * step)
        return part_of(frame, box, (frame.height, frame.width), self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Shift:
    """Move by up to `pixels` whole pixels each way, with probability `p`."""

    training_only = True

    pixels: int = 2
    p: float = 1.0
    pad_mode: str = "border"

    def __post_init__(self) -> None:
        check_share(self, "p")
        refuse_pad_mode(self.pad_mode, "Shift")
        if not isinstance(self.pixels, int) or isinstance(self.pixels, bool) or self.pixels < 0:
            raise ValueError(f"Shift: pixels is a whole number, 0 or more, got {self.pixels}")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p or not self.pixels:
            return frame
        left, top = (int(rng.random() * (2 * self.pixels + 1)) - self.pixels for _ in "xy")
        return part_of(frame, (left, top, frame.width, frame.height), (frame.height, frame.width), self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Shear:
    """Slant rows, and columns, by up to `max_deg` degrees either way about the middle, with probability `p`."""

    training_only = True

    max_deg: float = 10.0
    p: float = 0.5
    pad_mode: str = "reflection"

    def __post_init__(self) -> None:
        check_share(self, "p")
        check_number(self, "max_deg", below=45.0, what="degrees")
        refuse_pad_mode(self.pad_mode, "Shear")

    def place(self, frame: Frame, rng: np.random.Generator | None) -> Frame:
        if rng is None or rng.random() >= self.p:
            return frame
        x, y = (math.tan(math.radians(drawn(rng, -self.max_deg, self.max_deg))) for _ in "xy")
        return view_of(frame, about_middle(frame, 1.0, x, y, 1.0), frame.height, frame.width, self.pad_mode)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return placed_alone(self, picture, rng)
