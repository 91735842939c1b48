"""Blocks: what kind of thing each position of a sample is. K classes.

A block takes what a getter gives to a tensor, and back to what a person reads. It is a frozen value: `setup` returns
the block that has learnt its vocabulary.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from satsuma.data.arrays import to_tensor
from satsuma.data.getters import as_python
from satsuma.data.transforms import NO_TRANSFORMS, Steps, make_steps
from satsuma.errors import nearest, spelled_class


@runtime_checkable
class Block(Protocol):
    """What `DataBlock` asks of a block. `takes_tfms`: whether item and batch transforms apply to it."""

    @property
    def takes_tfms(self) -> bool: ...

    def setup(self, values: Sequence[Any]) -> "Block":
        """The block fitted to the values of all items; those of inputs are not read for it (an empty sequence)."""
        ...

    def load(self, value: Any) -> Any:
        """From what the getter gave to a sample's part, to which item transforms apply."""
        ...

    def to_tensor(self, part: Any) -> Tensor:
        """From the transformed part to the tensor that is stacked."""
        ...

    def batch_steps(self) -> Steps:
        """What happens to the stacked batch on its device, before batch transforms."""
        ...

    def decode(self, tensor: Tensor) -> Any:
        """From one element of a batch (or of decoded predictions) to what a person reads."""
        ...


@spelled_class
@dataclass(frozen=True, slots=True)
class CategoryBlock:
    """One label of K: int64 [] in 0..K-1, its place in `vocab` (by default all labels, sorted)."""

    vocab: tuple[Any, ...] = ()

    takes_tfms = False

    def __post_init__(self) -> None:
        given: Any = self.vocab
        if isinstance(given, str):
            raise TypeError(f"CategoryBlock: vocab is the classes in their order, got one text: {given!r}")
        object.__setattr__(self, "vocab", tuple(given))
        if len(set(self.vocab)) != len(self.vocab):
            raise ValueError(f"CategoryBlock: vocab names a class twice: {self.vocab}")

    def setup(self, values: Sequence[Any]) -> "CategoryBlock":
        try:
            found = {as_python(v) for v in values}
        except TypeError:
            strange = [v for v in values if not isinstance(v, Hashable)][:1]
            raise ValueError(f"CategoryBlock: an item has one label, text or a number, got {strange}") from None
        if self.vocab:
            unknown = sorted(str(v) for v in found.difference(self.vocab))
            if unknown:
                raise ValueError(
                    f"CategoryBlock: {len(unknown)} labels are not in the vocab: {', '.join(unknown[:5])}. "
                    f"The first: {nearest(unknown[0], [str(v) for v in self.vocab])}"
                )
            return self
        try:
            vocab = sorted(found)
        except TypeError:  # numbers and text together
            vocab = sorted(found, key=str)
        if len(vocab) < 2:
            only = f"the only label is {vocab[0]!r}" if vocab else "there are no labels"
            raise ValueError(
                f"CategoryBlock: at least two classes are needed, and {only}. Check where the labels are read from."
            )
        return replace(self, vocab=tuple(vocab))

    def load(self, value: Any) -> int:
        try:
            return self.vocab.index(as_python(value))
        except ValueError:
            known = [str(v) for v in self.vocab]
            raise ValueError(f"label {value!r} is not in the vocab: {nearest(str(value), known)}") from None

    def to_tensor(self, part: int) -> Tensor:
        return torch.tensor(part)

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> Any:
        return self.vocab[int(tensor)]


@spelled_class
@dataclass(frozen=True, slots=True)
class RegressionBlock:
    """Numbers: float32 [n_out]; a single number is [1], so that a batch is [B 1] as a model with one output gives."""

    n_out: int = 1

    takes_tfms = False

    def __post_init__(self) -> None:
        if self.n_out < 1:
            raise ValueError(f"RegressionBlock: n_out must be 1 or more, got {self.n_out}")

    def setup(self, values: Sequence[Any]) -> "RegressionBlock":
        for value in values:
            self.load(value)
        return self

    def load(self, value: Any) -> Tensor:
        try:
            part = torch.as_tensor(value, dtype=torch.float32).reshape(-1)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"RegressionBlock: {value!r} is no number") from None
        if len(part) != self.n_out:
            raise ValueError(f"RegressionBlock(n_out={self.n_out}): got {len(part)} numbers: {value!r}")
        if not bool(torch.isfinite(part).all()):
            raise ValueError(f"RegressionBlock: the target {value!r} is NaN or infinite as float32")
        return part

    def to_tensor(self, part: Tensor) -> Tensor:
        return part

    def batch_steps(self) -> Steps:
        return NO_TRANSFORMS

    def decode(self, tensor: Tensor) -> Any:
        values = [float(f"{v:.6g}") for v in tensor.flatten().tolist()]  # as many digits as float32 holds
        return values[0] if len(values) == 1 else values


@spelled_class
@dataclass(frozen=True, slots=True)
class TransformBlock:
    """Anything: `type_tfms` turn what the getter gives into an array or tensor, `batch_tfms` act on the batch."""

    type_tfms: tuple[Callable[[Any], Any], ...] = ()
    batch_tfms: tuple[Callable[..., Any], ...] = ()

    takes_tfms = True

    def __post_init__(self) -> None:
        for name in ("type_tfms", "batch_tfms"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if callable(given) else tuple(given))

    def setup(self, values: Sequence[Any]) -> "TransformBlock":
        return self

    def load(self, value: Any) -> Any:
        for transform in self.type_tfms:
            value = transform(value)
        return value

    def to_tensor(self, part: Any) -> Tensor:
        return to_tensor(part, name="a sample")

    def batch_steps(self) -> Steps:
        return make_steps(self.batch_tfms)

    def decode(self, tensor: Tensor) -> Any:
        return tensor
