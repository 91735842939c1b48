"""What of a run a script in NumPy is made of; and what has no place in one, no_twin by name."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.data.arrays import pixels_to_float
from satsuma.data.in_memory import InMemory
from satsuma.functional.each_loss import smoothed_loss
from satsuma.functional.links import part_name
from satsuma.ladder.numpy.losses import binary_cross_entropy, cross_entropy
from satsuma.ladder.numpy.model import load_state, set_dtype, set_training
from satsuma.ladder.numpy.random import Generator
from satsuma.peel.describe import FitStage
from satsuma.peel.numpy_terms import NORMS, RANDOM, Term, built, layer_term, loss_terms, metric_term, no_twin
from satsuma.peel.words import Words
from satsuma.train.evaluate import evaluation_mode, metric_value, named_metrics
from satsuma.train.mixing import MixUp

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

COMPARED = 8  # samples on which the twin and the model have to agree before a script is written


@dataclass(slots=True, kw_only=True)
class Parts:
    """What of a run the script is made of, as terms of the NumPy rung."""

    model: Term
    loss: Term  # as validation has it
    train_loss: Term
    gradient: Term
    metrics: dict[str, Term]
    train: InMemory
    valid: InMemory | None
    pixels: bool  # uint8, which the loaders scale
    random: bool  # whether a generator is needed in training
    outputs: tuple[int, ...] = ()  # the shape of the model's outputs, for a few samples
    words: Words = field(default_factory=Words)

    @property
    def has_modes(self) -> bool:
        """Whether some layer behaves otherwise in training."""
        return any_within(self.model, ("Dropout", "GaussianNoise", "BatchNorm1d", "BatchNorm2d"))

    @property
    def has_buffers(self) -> bool:
        return any_within(self.model, ("BatchNorm1d", "BatchNorm2d"))


def any_within(term: Term, names: tuple[str, ...]) -> bool:
    """Whether a layer with one of these names is in a model's term."""
    inner = [arg for arg in term.args if isinstance(arg, Term)]
    return term.function.__name__ in names or any(any_within(part, names) for part in inner)


def parts_of(learn: "Learner", stages: list[FitStage]) -> Parts:
    """The run's parts as terms. Raises `PeelError` where there is no twin, or where it does not agree."""
    train, valid = in_memory(learn, "train"), in_memory(learn, "valid") if learn.dls.valid else None
    if any(stage.data for stage in stages):
        raise no_twin("the loaders were changed between two fits", "a script in NumPy holds one set of data")
    if learn.precision != "float32":
        raise no_twin(f"precision {learn.precision}", "NumPy computes in float32 or float64")
    model = layer_term(learn.model)
    train_loss, gradient = loss_terms(smoothed_loss(learn.loss_func, learn.label_smoothing))
    parts = Parts(
        model=model,
        loss=loss_terms(learn.loss_func)[0],
        train_loss=train_loss,
        gradient=gradient,
        metrics={name: metric_term(m) for name, m in named_metrics(learn.metrics).items()} if valid else {},
        train=train,
        valid=valid,
        pixels=learn.dls.train.batch_steps is not None,
        random=any(isinstance(m, RANDOM) for m in learn.model.modules()) or learn.input_noise > 0,
    )
    refuse_without_twin(learn, parts, stages)
    parts.outputs = compared_shape(learn, parts)
    return parts


def in_memory(learn: "Learner", which: str) -> InMemory:
    """The arrays of a loader."""
    loader: Any = getattr(learn.dls, which)
    batches = loader.batches
    if not isinstance(batches, InMemory):
        blocks = ", ".join(type(block).__name__ for block in learn.dls.blocks) or type(loader.dataset).__name__
        raise no_twin(
            f"the data are read item by item ({blocks})", "a script in NumPy has no pictures or files, but whole arrays"
        )
    if len(batches.tensors) != 2 or loader.n_inp != 1 or loader.bare:
        raise no_twin("the data", "a script in NumPy has one array of inputs and one of targets")
    steps = [t for part in loader.batch_steps.steps for t in part.transforms] if loader.batch_steps else []
    other = [t for t in steps if t is not pixels_to_float]
    if other:
        raise no_twin(f"the batch transform {part_name(other[0])}")
    return batches


def refuse_without_twin(learn: "Learner", parts: Parts, stages: list[FitStage]) -> None:
    """Raise `PeelError` for settings that change the numbers and have no twin."""
    random = [type(m).__name__ for m in learn.model.modules() if isinstance(m, RANDOM)]
    norms = [type(m).__name__ for m in learn.model.modules() if isinstance(m, NORMS)]
    noisy = [*random, *(["input_noise"] if learn.input_noise else [])]
    if noisy and learn.device.type != "cpu":
        raise no_twin(f"{noisy[0]} on {learn.device.type}", "its random numbers are drawn by the device")
    if learn.micro and learn.micro < learn.dls.bs and (noisy or norms):
        raise no_twin(f"micro={learn.micro} with {(noisy or norms)[0]}", "slices draw and normalise on their own")
    if learn.compile and noisy:
        raise no_twin(f"a compiled model with {noisy[0]}", "it draws its own random numbers")
    names = [name for name, _ in learn.model.named_parameters(remove_duplicate=False)]
    if len(names) != len(list(learn.model.parameters())):
        raise no_twin("a layer that stands at several places of the model")
    if any(stage.first for stage in stages) and (random or (norms and learn.batch_norm != "train")):
        raise no_twin(f"frozen layer groups with {(random or norms)[0]}", "which layers rest is not followed")
    if any(not m.training for m in learn.model.modules()) and learn.model.training:
        raise no_twin("a layer put into evaluation mode by hand")
    if learn.mixup is not None:
        classes = parts.train_loss.function is cross_entropy and not parts.train.tensors[1].is_floating_point()
        if not isinstance(learn.mixup, MixUp) or not (classes or parts.train_loss.function is binary_cross_entropy):
            raise no_twin(
                f"{type(learn.mixup).__name__} with {part_name(learn.loss_func)}",
                "only MixUp has a twin, with cross_entropy of class numbers or binary_cross_entropy",
            )


def compared_shape(learn: "Learner", parts: Parts) -> tuple[int, ...]:
    """The outputs' shape for a few samples, on which the twin's outputs, loss and metrics agree, or `PeelError`."""
    batch = next(iter(learn.dls.train.epoch(0)))
    x, y = (t[:COMPARED] for t in batch)
    if not y.is_floating_point() and bool((y < 0).any()):
        raise no_twin("targets below 0", "labels that are left out of the loss are not followed")
    with evaluation_mode(learn.model), torch.no_grad():
        theirs = learn.model(x)
        loss = float(learn.loss_func(theirs, y))
    twin = built(parts.model, Generator(0))
    weights = {name: t.detach().cpu().numpy() for name, t in learn.model.state_dict().items()}
    set_dtype(twin, dtype_of(learn.model))
    load_state(twin, weights)
    set_training(twin, False)
    outputs = twin.forward(x.cpu().numpy())
    tolerance = 1e-3 if outputs.dtype == np.float32 else 1e-8
    same = outputs.shape == theirs.shape and np.allclose(outputs, theirs.cpu().numpy(), tolerance, tolerance)
    if not same or not isinstance(theirs, Tensor):
        raise no_twin("the model", "its twin in NumPy does not give the same outputs")
    if not np.isclose(parts.loss.function(outputs, y.cpu().numpy(), **parts.loss.options), loss, tolerance, tolerance):
        raise no_twin(f"the loss {part_name(learn.loss_func)}", "its twin in NumPy does not give the same number")
    for name, metric in named_metrics(learn.metrics).items() if parts.valid else ():
        value = metric_value(name, metric, theirs, (y,), strict=False)
        ours = parts.metrics[name].function(outputs, y.cpu().numpy(), **parts.metrics[name].options)
        if not np.isclose(ours, value, tolerance, tolerance, equal_nan=True):
            raise no_twin(f"the metric {name}", "its twin in NumPy does not give the same number")
    return tuple(outputs.shape)


def dtype_of(model: nn.Module) -> Any:
    """The precision of a model, as NumPy calls it."""
    found = {p.dtype for p in model.parameters()}
    if not found <= {torch.float32} and not found <= {torch.float64}:
        raise no_twin(f"a model of {', '.join(sorted(map(str, found)))}", "NumPy computes in float32 or float64")
    return np.float64 if torch.float64 in found else np.float32
