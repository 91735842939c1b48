"""From a file to its row of the batch: one decode, one warp, one colour map.

The item transforms, and the batch transforms up to the first that is not ours, are laid out once as *stages*. Within
a stage all geometry composes into one frame and all colour into one map, whatever their order; the effects on pixels
come after the warp. What is foreign (any other callable) ends a stage and gets the picture as it then is.

B batch, C channels, H height, W width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.cache import SourceCache
from satsuma.data.checks import warn_user
from satsuma.data.paths import called
from satsuma.data.stopwatch import Stopwatch
from satsuma.data.transforms import part_label, takes_rng
from satsuma.vision.colour import ColourMap, plain_colours
from satsuma.vision.foreign import call_foreign, draws_globally
from satsuma.vision.frame import Frame, codec_shrink, whole_frame
from satsuma.vision.image import Photo, open_photo
from satsuma.vision.uncoloured import Uncoloured
from satsuma.vision.warp import warp

LIKE_BYTES = 50.0  # a float tensor with values above this was hardly scaled
KINDS = ("place", "colour", "pixels")  # the methods by which a transform of ours is told


@dataclass(frozen=True, slots=True)
class Stage:
    """One warp, effects and colours, then (but for the last stage) a foreign transform."""

    fused: tuple[Any, ...]  # geometry and colour, in order
    effects: tuple[Any, ...]
    foreign: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo's size, and where it is: a `Photo` that keeps no bytes."""

    name: Any
    height: int
    width: int

    def pixels(self, channels: int, shrink: int = 1) -> np.ndarray:
        return open_photo(self.name).pixels(channels, shrink)


def known_photo(value: Any) -> KnownPhoto:
    photo = open_photo(value)
    return KnownPhoto(value, photo.height, photo.width)


def is_fusible(transform: Any) -> bool:
    """Whether `transform` is one of ours, which become part of the one warp or the one colour map."""
    return any(acts_by(transform, kind) for kind in KINDS)


def acts_by(transform: Any, kind: str) -> bool:
    """Whether `transform` has the method `kind` (and not merely a setting of that name)."""
    return callable(getattr(transform, kind, None))


def lay_out(transforms: Sequence[Any]) -> tuple[Stage, ...]:
    """The stages of `transforms`; there is always one after the last foreign transform."""
    stages: list[Stage] = []
    fused: list[Any] = []
    effects: list[Any] = []
    for transform in transforms:
        if not is_fusible(transform):
            stages.append(Stage(tuple(fused), tuple(effects), transform))
            fused, effects = [], []
        elif acts_by(transform, "pixels"):
            effects.append(transform)
        else:
            fused.append(transform)
    return (*stages, Stage(tuple(fused), tuple(effects)))


def split_batch_tfms(batch_tfms: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Those that can be fused into the making of a sample, and the rest, from the first foreign one on."""
    for i, transform in enumerate(batch_tfms):
        if not is_fusible(transform):
            return tuple(batch_tfms[:i]), tuple(batch_tfms[i:])
    return tuple(batch_tfms), ()


@dataclass(frozen=True, slots=True)
class ImagePath:
    """A picture's way: float32 [H W C], scaled to 0..1 and through all transforms; written into `out` where it fits.

    `on_device`: leave the colours to the device; the part is then an `Uncoloured`. A foreign transform that makes a
    tensor of the picture ends the fusing: what follows acts on that tensor.
    """

    channels: int
    stages: tuple[Stage, ...]
    random: bool
    on_device: bool = False
    cache: SourceCache | None = None

    @property
    def needs_processes(self) -> bool:
        return any(stage.foreign is not None and draws_globally(stage.foreign) for stage in self.stages)

    def for_device(self, device: torch.device) -> "ImagePath":
        return replace(self, on_device=device.type == "cuda")

    def __call__(
        self, value: Any, rng: np.random.Generator | None, frame: Any = None, out: np.ndarray | None = None
    ) -> tuple[Any, tuple[Frame, ...]]:
        return self.made(self.opened(value), rng, out, Stopwatch())

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        """Seconds of the stages of one picture: decode, warp, colour, other."""
        clock = Stopwatch()
        self.made(self.opened(value), rng, None, clock)
        return clock.seconds

    def made(
        self, source: Any, rng: np.random.Generator | None, out: np.ndarray | None, clock: Stopwatch
    ) -> tuple[Any, tuple[Frame, ...]]:
        """The finished picture, and the frame of each stage."""
        frames: list[Frame] = []
        colours = plain_colours(self.channels)
        for i, stage in enumerate(self.stages):
            frame, colours = placed_and_coloured(source, stage, colours, rng)
            frames.append(frame)
            picture = self.shown(source, frame, stage, rng, clock)
            if stage.foreign is None:
                break
            source = call_foreign(stage.foreign, colours.as_uint8(picture), rng)
            colours = normalising_alone(colours)
            clock.lap("other")
            if isinstance(source, Tensor):
                return after_tensor(source, self.stages[i + 1 :], rng), tuple(frames)
        if self.on_device:
            return Uncoloured(picture, *colours.table_and_matrix()), tuple(frames)
        coloured = colours.apply(picture, out if out is not None and out.shape == picture.shape else None)
        clock.lap("colour")
        return coloured, tuple(frames)

    def opened(self, value: Any) -> Photo | KnownPhoto:
        if self.cache is None or is_at_hand(value):
            return open_photo(value)
        if self.cache.kind == "bytes":
            return self.cache.get(str(value), open_photo, value)  # type: ignore[no-any-return]
        return self.cache.get(str(value), known_photo, value)  # type: ignore[no-any-return]

    def shown(
        self, source: Any, frame: Frame, stage: Stage, rng: np.random.Generator | None, clock: Stopwatch
    ) -> np.ndarray:
        """The pixels uint8 [H W C] that `frame` shows of the source, and the stage's effects on them."""
        pixels, shrink = source, 1
        if not isinstance(source, np.ndarray):
            shrink = codec_shrink(frame)
            if self.cache is not None and isinstance(source, KnownPhoto):
                key = (str(source.name), self.channels, shrink)
                pixels = self.cache.get(key, source.pixels, self.channels, shrink)
            else:
                pixels = source.pixels(self.channels, shrink)
            clock.lap("decode")
        picture = warp(pixels, frame, shrink=shrink)
        clock.lap("warp")
        for effect in stage.effects:
            picture = called_as(effect, "pixels", picture, rng)
            clock.lap("other")
        return picture

    def walk(self, value: Any) -> Iterator[Any]:
        """For `summary`: each step's name before it runs, then what it gave."""
        yield "ImageBlock"
        source: Any = open_photo(value)
        yield source.pixels(self.channels)
        colours = plain_colours(self.channels)
        for i, stage in enumerate(self.stages):
            yield f"one warp{listing_of(stage)}"
            frame, colours = placed_and_coloured(source, stage, colours, None)
            picture = self.shown(source, frame, stage, None, Stopwatch())
            yield picture
            if stage.foreign is None:
                yield "one colour map"
                yield colours.apply(picture)
                return
            yield part_label(stage.foreign)
            source = call_foreign(stage.foreign, colours.as_uint8(picture), None)
            colours = normalising_alone(colours)
            yield source
            if isinstance(source, Tensor):
                yield "the rest, one by one"
                yield after_tensor(source, self.stages[i + 1 :], None)
                return


def normalising_alone(colours: ColourMap) -> ColourMap:
    """What of `colours` waits for the end where a foreign transform is given a picture in between."""
    return replace(plain_colours(colours.channels), mean=colours.mean, std=colours.std)


def called_as(transform: Any, kind: str, value: Any, rng: np.random.Generator | None) -> Any:
    """`transform.place(value, rng)`, or `.colour`, or `.pixels`; a failure is told with the transform's name."""
    try:
        return getattr(transform, kind)(value, rng)
    except Exception as error:
        raise ValueError(f"the transform {part_label(transform)} failed: {error}") from error


def listing_of(stage: Stage) -> str:
    """The names of a stage's transforms, in brackets."""
    names = ", ".join(part_label(t).partition("(")[0] for t in (*stage.fused, *stage.effects))
    return f" ({names})" if names else ""


def is_at_hand(value: Any) -> bool:
    """Whether a picture, or its file's bytes, is given itself and not by a name."""
    return isinstance(value, bytes | np.ndarray | Image.Image)


def placed_and_coloured(
    source: Any, stage: Stage, colours: ColourMap, rng: np.random.Generator | None
) -> tuple[Frame, ColourMap]:
    """What a stage's geometry comes to, and its colours on top of `colours`, drawn in their order."""
    size = source.shape[:2] if isinstance(source, np.ndarray) else (source.height, source.width)
    frame = whole_frame(*size)
    for transform in stage.fused:
        if acts_by(transform, "place"):
            frame = called_as(transform, "place", frame, rng)
        else:
            colours = called_as(transform, "colour", colours, rng)
    return frame, colours


def after_tensor(part: Tensor, stages: Sequence[Stage], rng: np.random.Generator | None) -> Tensor:
    """What is left to do to a picture that a foreign transform has made a tensor [C H W]: one thing after another.

    Within a stage in the order of the fused way: geometry, effects on the picture, colours.
    """
    generator = None if rng is None else torch.Generator().manual_seed(int(rng.integers(2**63)))
    x = part[None].float() / 255 if part.dtype == torch.uint8 else part[None]
    if part.is_floating_point() and part.numel() and float(part.max()) > LIKE_BYTES:
        warn_user(
            f"an item transform gives a float tensor with values up to {float(part.max()):.4g}; 0..1 is expected: "
            f"divide by 255, or give uint8"
        )
    for stage in stages:
        geometry = [t for t in stage.fused if acts_by(t, "place")]
        colours = [t for t in stage.fused if not acts_by(t, "place")]
        for transform in (*geometry, *stage.effects, *colours):
            x = transform(x, rng=generator) if takes_rng(transform) else transform(x)
        if stage.foreign is not None:
            given = {"rng": rng} if takes_rng(stage.foreign) else {}
            x = called(stage.foreign, x[0], **given)[None]
    return x[0]
