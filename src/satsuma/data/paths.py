"""Paths: how one position of a sample is made, from what its getter gives to what is stacked into a batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from satsuma.data.blocks import Block
from satsuma.data.transforms import Steps, is_random, make_steps, part_label


class SamplePath(Protocol):
    """What `Samples` asks for each position.

    `path(value, rng, frame, out)` gives the part (a tensor or an array) and the frame: what the sample's first picture
    went through, which is handed to the positions after it (masks, points), None before any. Random transforms draw
    from `rng`, or do their deterministic best without. A picture is written into `out` if one of its shape is given.
    """

    @property
    def random(self) -> bool: ...

    @property
    def needs_processes(self) -> bool:
        """Whether a transform draws from generators that all threads share."""
        ...

    def for_device(self, device: torch.device) -> "SamplePath":
        """This, for batches on `device`, to which it may leave some of the work."""
        ...

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        """Seconds by stage of one part; empty where there are none."""
        ...

    def __call__(self, value: Any, rng: np.random.Generator | None, frame: Any, out: np.ndarray | None) -> Any: ...

    def walk(self, value: Any) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class PlainPath:
    """`block.load`, the item transforms one after the other, `block.to_tensor`."""

    block: Block
    steps: Steps

    @property
    def random(self) -> bool:
        return any(is_random(transform) for transform in self.steps.transforms)

    @property
    def needs_processes(self) -> bool:
        return False

    def for_device(self, device: torch.device) -> "PlainPath":
        return self

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        return {}

    def __call__(
        self, value: Any, rng: np.random.Generator | None, frame: Any = None, out: np.ndarray | None = None
    ) -> tuple[torch.Tensor, Any]:
        part = self.block.load(value)
        for transform, draws in zip(self.steps.transforms, self.steps.random, strict=True):
            part = called(transform, part, rng=rng) if draws else called(transform, part)
        return self.block.to_tensor(part), frame

    def walk(self, value: Any) -> Iterator[Any]:
        """For `summary`: each step's name before it runs, then what it gave."""
        yield type(self.block).__name__
        part = self.block.load(value)
        yield part
        for transform, draws in zip(self.steps.transforms, self.steps.random, strict=True):
            yield part_label(transform)
            part = transform(part, rng=None) if draws else transform(part)
            yield part
        yield "to_tensor"
        yield self.block.to_tensor(part)


@dataclass(frozen=True, slots=True)
class LabelPath:
    """`block.load`, then `block.to_tensor`: of what no transform is for, such as a class."""

    block: Block

    random = False
    needs_processes = False

    def for_device(self, device: torch.device) -> "LabelPath":
        return self

    def timed(self, value: Any, rng: np.random.Generator | None) -> dict[str, float]:
        return {}

    def __call__(
        self, value: Any, rng: np.random.Generator | None, frame: Any = None, out: np.ndarray | None = None
    ) -> tuple[torch.Tensor, Any]:
        return self.block.to_tensor(self.block.load(value)), frame

    def walk(self, value: Any) -> Iterator[Any]:
        """For `summary`: each step's name before it runs, then what it gave."""
        yield type(self.block).__name__
        part = self.block.load(value)
        yield part
        yield "to_tensor"
        yield self.block.to_tensor(part)


def called(transform: Callable[..., Any], part: Any, **rng: Any) -> Any:
    """`transform(part)`; a failure is told with its name."""
    try:
        return transform(part, **rng)
    except Exception as error:
        raise ValueError(f"the item transform {part_label(transform)} failed: {error}") from error


def block_path(
    block: Block, item_tfms: Sequence[Callable[..., Any]], batch_tfms: Sequence[Callable[..., Any]]
) -> tuple[SamplePath, Steps]:
    """The path of a position, and what is left to do to its stacked batch.

    A block with a method `path` decides itself (pictures fuse most batch transforms into the making of a sample).
    """
    own = getattr(block, "path", None)
    if own is not None:
        path, rest = own(tuple(item_tfms), tuple(batch_tfms))
        return path, make_steps(rest)
    steps = block.batch_steps().transforms
    if not block.takes_tfms:
        return LabelPath(block), make_steps(steps)
    return PlainPath(block, make_steps(item_tfms)), make_steps(steps + tuple(batch_tfms))
