"""The transforms of some data as a page shows and changes them: what may be set, within which bounds, and as code."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.cache import with_cache
from satsuma.data.prepare import make_samples
from satsuma.data.samples import Samples
from satsuma.data.seeds import BATCH, torch_generator
from satsuma.data.show import as_picture
from satsuma.data.streamed import load_sample
from satsuma.data.transforms import BatchSteps, part_label
from satsuma.inspect.samples import picture_bytes
from satsuma.ship.recipe import changed_fields
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.effects import FILLS, CoarseDropout, RandomBlur, RandomErasing, RandomJPEG, RandomNoise
from satsuma.vision.frame import BORDERS
from satsuma.vision.geometry import (
    METHODS,
    CropPad,
    Dihedral,
    Flip,
    RandomResizedCrop,
    Resize,
    Rotate,
    Shear,
    Shift,
    Zoom,
)
from satsuma.vision.lighting import Brightness, Contrast, Hue, RandomGrey, Saturation
from satsuma.vision.normalize import Normalize
from satsuma.vision.perspective import Warp

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(Flip, Dihedral, Rotate, Warp, Zoom, Shift, Shear, RandomResizedCrop, Resize, CropPad),
        *(Brightness, Contrast, Saturation, Hue, RandomGrey),
        *(RandomErasing, CoarseDropout, RandomNoise, RandomBlur, RandomJPEG),
    )
}
SIZED = (Resize, RandomResizedCrop, CropPad)  # these need a size, which no default gives
USUAL_SIZE = 224
WHERE = ("item", "batch")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field may be. `form`: "number", "whole", "switch" or "choice" (of `choices`)."""

    form: str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    choices: tuple[str, ...] = ()


SHARE = Setting("number", step=0.01)
SETTINGS: dict[str, Setting] = {
    "p": Setting("number", step=0.05),
    "size": Setting("whole", 8, 512, 1),
    "method": Setting("choice", choices=METHODS),
    "pad_mode": Setting("choice", choices=BORDERS),
    "min_scale": Setting("number", 0.01, 1.0),
    "ratio": Setting("number", 0.2, 5.0, 0.05),
    "max_deg": Setting("number", 0, 180, 1),
    "Shear.max_deg": Setting("number", 0, 44, 1),
    "min_zoom": Setting("number", 0.25, 4.0, 0.05),
    "max_zoom": Setting("number", 0.25, 4.0, 0.05),
    "pixels": Setting("whole", 0, 64, 1),
    "magnitude": Setting("number", 0, 0.9),
    "symmetric": Setting("switch"),
    "max_lighting": Setting("number", 0, 0.95),
    "max_hue": Setting("number", 0, 0.5),
    "min_area": SHARE,
    "max_area": SHARE,
    "min_ratio": Setting("number", 0.05, 1.0, 0.05),
    "fill": Setting("choice", choices=FILLS),
    "max_holes": Setting("whole", 1, 40, 1),
    "max_size": SHARE,
    "max_std": Setting("number", 0, 0.5),
    "min_sigma": Setting("number", 0.1, 10.0, 0.1),
    "max_sigma": Setting("number", 0.1, 10.0, 0.1),
    "min_quality": Setting("whole", 1, 100, 1),
    "max_quality": Setting("whole", 1, 100, 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transform of a pipeline. `kind`: of `KINDS` with `values`, or "" for the data's own number `own`."""

    where: str
    kind: str
    values: dict[str, Any]
    on: bool = True
    own: int | None = None
    label: str = ""  # of one that cannot be set
    fixed: bool = False  # nor switched off


def steps_of(dls: "DataLoaders") -> list[Step]:
    """The pipeline of the data; `ValueError` where the samples are no images made by a `DataBlock`."""
    block, dataset = dls.block, dls.train.dataset
    if block is None or not isinstance(dataset, Samples) or not isinstance(dataset.blocks[0], ImageBlock):
        raise ValueError("augmentation acts on images, and these samples are none")
    return [
        step_of(transform, where, own)
        for where, transforms in (("item", block.item_tfms), ("batch", block.batch_tfms))
        for own, transform in enumerate(transforms)
    ]


def step_of(transform: Any, where: str, own: int) -> Step:
    kind = type(transform).__name__
    if KINDS.get(kind) is not type(transform):
        fixed = isinstance(transform, Normalize)
        return Step(where=where, kind="", values={}, own=own, label=part_label(transform), fixed=fixed)
    return Step(where=where, kind=kind, values=values_of(transform), own=own)


def values_of(transform: Any) -> dict[str, Any]:
    """A transform's fields as JSON has them: a pair is a list."""
    found = {field.name: getattr(transform, field.name) for field in dataclasses.fields(transform)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def usual_values(kind: str) -> dict[str, Any]:
    """The values that a transform has unless told otherwise."""
    cls = KINDS[kind]
    return values_of(cls(USUAL_SIZE) if cls in SIZED else cls())


def setting_of(kind: str, name: str, value: Any = None) -> Setting:
    """The bounds of a field, widened to `value`, which the data may have set beyond them."""
    setting = SETTINGS.get(f"{kind}.{name}") or SETTINGS[name]
    if setting.form == "choice" and isinstance(value, int):  # the one value that fills a hole
        return Setting("whole", 0, 255, 1)
    if setting.form not in ("number", "whole") or value is None:
        return setting
    parts = value if isinstance(value, list) else [value]
    return dataclasses.replace(setting, low=min(setting.low, *parts), high=max(setting.high, *parts))


def built(step: Step, dls: "DataLoaders", known: Sequence[Step]) -> Any:
    """The transform of a step, which came from outside: `ValueError` unless each value is of its kind and in bounds.

    `known`: the data's own pipeline, whose values are allowed wherever they lie.
    """
    assert dls.block is not None
    if not step.kind:
        own = dls.block.item_tfms if step.where == "item" else dls.block.batch_tfms
        if step.own is None or not 0 <= step.own < len(own):
            raise ValueError(f"the data has no {step.where} transform number {step.own}")
        return own[step.own]
    if step.kind not in KINDS:
        raise ValueError(f"there is no transform {step.kind[:40]!r}")
    kind: Any = KINDS[step.kind]
    names = {field.name for field in dataclasses.fields(kind)}
    if set(step.values) != names:
        raise ValueError(f"{step.kind}: its settings are {', '.join(sorted(names))}")
    originals = [own.values for own in known if own.kind == step.kind]
    values = {n: checked(step.kind, n, value, [o[n] for o in originals]) for n, value in step.values.items()}
    return kind(**values)


def checked(kind: str, name: str, value: Any, originals: Sequence[Any]) -> Any:
    """One value, in its bounds; a pair as a tuple."""
    if value in originals and type(value) in {type(original) for original in originals}:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, list):
        if len(value) != 2 or name not in ("size", "ratio"):
            raise ValueError(f"{kind}: {name} is no pair")
        return tuple(checked(kind, name, part, []) for part in value)
    setting = setting_of(kind, name, next((o for o in originals if type(o) is not str), None))
    if setting.form == "choice" and isinstance(value, str) and value in setting.choices:
        return value
    if setting.form == "switch" and isinstance(value, bool):
        return value
    whole = setting.form == "whole"
    if setting.form in ("number", "whole") and not isinstance(value, bool | str) and value is not None:
        if setting.low <= value <= setting.high and (not whole or value == int(value)):
            return int(value) if whole else float(value)
        raise ValueError(f"{kind}: {name} is {setting.low:g} to {setting.high:g} here, got {value:g}")
    raise ValueError(f"{kind}: {name} cannot be {str(value)[:40]!r}")


def transforms_of(
    steps: Sequence[Step], dls: "DataLoaders"
) -> tuple[tuple[Callable[..., Any], ...], tuple[Callable[..., Any], ...]]:
    """Item and batch transforms of the steps that are on. Raises as `built`."""
    known = steps_of(dls)
    made = [(step.where, built(step, dls, known)) for step in steps if step.on]
    item, batch = (tuple(transform for at, transform in made if at == where) for where in WHERE)
    return item, batch


def many_ways(
    dls: "DataLoaders", item_tfms: Any, batch_tfms: Any, place: int, epochs: Sequence[int]
) -> list[np.ndarray]:
    """Training sample `place` as validation would see it, then as training does in each of `epochs`: uint8 [H W 3].

    With the data's own transforms these are the pictures that training sees, draw by draw; but transforms of other
    libraries that act on a whole batch draw for that batch.
    """
    loader, old = dls.train, dls.train.dataset
    samples, left = make_samples(old.items, old.getters[:1], old.blocks[:1], item_tfms, batch_tfms)
    samples = with_cache(samples, "pixels")  # decoded once for all
    found = []
    for epoch in (None, *epochs):
        drawn = epoch is not None
        x = load_sample(samples, place, loader.seed, epoch or 0, drawn)[0][None]  # [1 C H W]
        if left is not None:
            rng = torch_generator(loader.seed, BATCH, epoch or 0, 0) if drawn and left.random else None
            x = BatchSteps(left.steps[:1])((x,), rng)[0]
        for transform in reversed(batch_tfms):
            undo = getattr(transform, "decode", None)
            x = x if undo is None else undo(x)
        found.append(shown(x[0]))
    return found


def shown(x: Tensor) -> np.ndarray:
    """uint8 [H W 3] of a picture [C H W]; stronger colours than there are, are cut, as a screen does."""
    if x.numel() and float(x.min()) > -1 and float(x.max()) < 2:
        x = torch.clamp(x, 0, 1)
    return picture_bytes(as_picture(x))


def code_of(item_tfms: Sequence[Any], batch_tfms: Sequence[Any]) -> str:
    """The pipeline as Python. What is none of the house's is named in a comment."""
    lists = [code_list(f"{where}_tfms", tfms) for where, tfms in zip(WHERE, (item_tfms, batch_tfms), strict=True)]
    use = "# ImageDataLoaders.from_folder(..., item_tfms=item_tfms, batch_tfms=batch_tfms), or a DataBlock"
    return "\n".join(("import satsuma as sm", "", *lists, use, ""))


def code_list(name: str, transforms: Sequence[Any]) -> str:
    rows = "".join(f"    {code_row(transform)}\n" for transform in transforms)
    return f"{name} = [\n{rows}]" if rows else f"{name} = []"


def code_row(transform: Any) -> str:
    kind = type(transform).__name__
    if isinstance(transform, Normalize):
        return "sm.Normalize()," if transform.fitted else f"sm.{transform!r},"
    if KINDS.get(kind) is not type(transform):
        return f"# and your own: {' '.join(part_label(transform).split())}"
    texts = [repr(v) if name == "size" else f"{name}={v!r}" for name, v in changed_fields(transform).items()]
    return f"sm.{kind}({', '.join(texts)}),"
