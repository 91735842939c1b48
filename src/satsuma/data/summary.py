"""`DataBlock.summary`: one sample walked through every step, in words."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from satsuma.data.blocks import CategoryBlock
from satsuma.data.collate import collate
from satsuma.data.edits import all_keys
from satsuma.data.multi_category import MultiCategoryBlock
from satsuma.data.prepare import fit_batch_tfms, make_samples, read_labels
from satsuma.data.samples import Samples, get_value, item_name, short
from satsuma.data.transforms import BatchSteps, Steps, part_label
from satsuma.functional.losses import shape_text

if TYPE_CHECKING:
    from satsuma.data.block import DataBlock


def walk(block: "DataBlock", source: Any, bs: int) -> str:
    """The text of `DataBlock.summary`; a step that fails is the last line but one, the last says why."""
    lines: list[str] = []
    try:
        walk_steps(block, source, bs, lines)
    except Exception as error:
        lines.append(f"FAILED: {error}")
    return "\n".join(lines)


def walk_steps(block: "DataBlock", source: Any, bs: int, lines: list[str]) -> None:
    # each step's name is put down before it runs, so that it stands there if it fails; `done` adds what came out
    lines.append(f"source: {short(source)}")
    lines.append("items" if block.get_items is None else f"items by {part_label(block.get_items)}")
    items = block.items(source)
    done(lines, f"{len(items)}; the first is {short(items[0])}")

    lines.append("labels")
    getters, n_inp = block.getters(items), block.n_inp
    raw = [read_labels(getter, items, getters[0]) for getter in getters[n_inp:]]
    done(lines, f"read by {', '.join(part_label(g) for g in getters[n_inp:]) or 'nothing: there are no targets'}")

    lines.append(f"split by {part_label(block.splitter)}")
    keys = all_keys(items, getters[0], source) if block.edits else []
    data = block.halves(items, keys, getters, raw)
    items, getters, raw, (train, valid) = data.items, data.getters, data.raw, data.halves
    done(lines, f"{len(train)} train, {len(valid)} valid" + (f", by {block.edits}" if block.edits else ""))

    lines.append("blocks")
    blocks = tuple(b.setup(()) for b in block.blocks[:n_inp])
    blocks += tuple(b.setup(values) for b, values in zip(block.blocks[n_inp:], raw, strict=True))
    done(lines, " → ".join(type(b).__name__ for b in blocks))
    for b in blocks[n_inp:]:
        if isinstance(b, CategoryBlock | MultiCategoryBlock):
            lines.append(f"vocab: {len(b.vocab)} classes: {short(', '.join(str(v) for v in b.vocab))}")

    half = [items[i] for i in train]
    walk_sample(
        make_samples(half, getters, blocks, block.item_tfms, unfitted_left_out(block.batch_tfms))[0], n_inp, lines
    )
    lines.append("batch transforms fitted")
    fitted = fit_batch_tfms(half, getters, blocks, block.item_tfms, block.batch_tfms)
    lines.pop()  # of interest only if it fails
    walk_batch(*make_samples(half, getters, blocks, block.item_tfms, fitted), bs, lines)
    lines.append("all steps work")


def walk_sample(samples: Samples, n_inp: int, lines: list[str]) -> None:
    """The first training sample through getter, block and item transforms."""
    item = samples.items[0]
    lines.append(f"one sample, {item_name(item, samples.getters[0])}:")
    for position, (getter, path) in enumerate(zip(samples.getters, samples.paths, strict=True)):
        role = "input" if position < n_inp else "target"
        lines.append(f"  {role} {position} by {part_label(getter)}")
        value = get_value(getter, item)
        done(lines, describe(value))
        steps = path.walk(value)
        for name in steps:
            lines.append(f"    {name}")
            done(lines, describe(next(steps)))


def walk_batch(samples: Samples, steps: BatchSteps | None, bs: int, lines: list[str]) -> None:
    """The first training samples stacked, and through the batch transforms."""
    drawn: list[tuple[Tensor, ...]] = []
    n = min(bs, len(samples))
    lines.append(f"one batch of {n}:")
    for i in range(n):
        lines.append(f"  sample {i}, {samples.name(i)}")
        drawn.append(samples[i])
        done(lines, "  ".join(shape_text(part) for part in drawn[-1]))
    lines.append("  stacked")
    batch = collate(drawn)
    done(lines, "  ".join(describe(part) for part in batch))
    for position, own in enumerate(steps.steps if steps else ()):
        value = batch[position]
        for transform, random in zip(own.transforms, own.random, strict=True):
            lines.append(f"  position {position}: {part_label(transform)}")
            value = Steps((transform,), (random,))(value, None)
            done(lines, describe(value))


def done(lines: list[str], text: str) -> None:
    """Complete the last line by what its step gave."""
    lines[-1] += f": {text}"


def describe(value: Any) -> str:
    """Kind, shape, dtype and range of a value, on one line."""
    if isinstance(value, Tensor | np.ndarray):
        text = f"{shape_text(value)} {str(value.dtype).removeprefix('torch.')}"  # type: ignore[arg-type]
        numbers = not value.is_complex() if isinstance(value, Tensor) else value.dtype.kind in "biuf"
        if numbers and 0 not in value.shape and value.ndim:
            text += f" in {float(value.min()):.3g}..{float(value.max()):.3g}"
        return text
    if hasattr(value, "mode") and hasattr(value, "size"):
        return f"picture of mode {value.mode}, {value.size[0]} wide and {value.size[1]} high"
    text = short(value)
    return f"{type(value).__name__} {text!r}" if isinstance(value, str) else f"{type(value).__name__} {text}"


def unfitted_left_out(batch_tfms: Sequence[Callable[..., Any]]) -> list[Callable[..., Any]]:
    """Those batch transforms that can run before anything is fitted."""
    return [t for t in batch_tfms if not hasattr(t, "fit") or getattr(t, "fitted", False)]
