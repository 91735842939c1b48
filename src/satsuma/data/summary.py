"""`DataBlock.summary`: one sample walked through every step, in words."""

from typing import TYPE_CHECKING, Any

from satsuma.data.blocks import CategoryBlock
from satsuma.data.collate import collate
from satsuma.data.samples import Samples, get_value, short
from satsuma.data.transforms import Steps, make_steps, part_label
from satsuma.functional.losses import shape_text

if TYPE_CHECKING:
    from satsuma.data.block import DataBlock


def walk(block: "DataBlock", source: Any, bs: int) -> str:
    """The text of `DataBlock.summary`; a step that fails ends it with what failed, on which item, and why."""
    lines: list[str] = []
    try:
        walk_steps(block, source, bs, lines)
    except Exception as error:
        lines.append(f"FAILED: {error}")
    return "\n".join(lines)


def walk_steps(block: "DataBlock", source: Any, bs: int, lines: list[str]) -> None:
    from satsuma.data.block import batch_steps, fit_batch_tfms, read_labels

    lines.append(f"source: {short(source)}")
    items = block.items(source)
    lines.append(f"items: {len(items)}; the first: {short(items[0])}")
    getters = block.getters(items)
    raw = [read_labels(getter, items) for getter in getters[block.n_inp :]]
    train, valid = block.split(items, raw[0] if raw else None)
    lines.append(f"split by {part_label(block.splitter)}: {len(train)} train, {len(valid)} valid")
    n_inp = int(block.n_inp or 1)
    blocks = tuple(b.setup(()) for b in block.blocks[:n_inp])
    blocks += tuple(b.setup(values) for b, values in zip(block.blocks[n_inp:], raw, strict=True))
    for b in blocks[n_inp:]:
        if isinstance(b, CategoryBlock):
            lines.append(f"vocab: {len(b.vocab)} classes: {short(', '.join(str(v) for v in b.vocab))}")

    item = items[train[0]]
    lines.append(f"one sample, from {short(item)}:")
    for position, (getter, part_block) in enumerate(zip(getters, blocks, strict=True)):
        role = "input" if position < n_inp else "target"
        value = get_value(getter, item)
        lines.append(f"  {role} {position}: {part_label(getter)} gives {describe(value)}")
        part = part_block.load(value)
        lines.append(f"    {type(part_block).__name__}.load gives {describe(part)}")
        if part_block.takes_tfms:
            for transform in block.item_tfms:
                lines.append(f"    {part_label(transform)} ...")
                part = make_steps(transform)(part, None)
                lines[-1] = f"    {part_label(transform)} gives {describe(part)}"
        lines.append(f"    to_tensor gives {describe(part_block.to_tensor(part))}")

    samples = Samples([items[i] for i in train], getters, blocks, make_steps(block.item_tfms))
    n = min(bs, len(samples))
    lines.append(f"one batch of {n}:")
    drawn = []
    for i in range(n):
        drawn.append(samples[i])
        lines.append(f"  sample {i}: {' '.join(shape_text(p) for p in drawn[-1])}  {short(samples.items[i])}")
    lines.append("  stacked:")
    batch = collate(drawn)
    lines[-1] = f"  stacked: {'  '.join(describe(p) for p in batch)}"
    steps = batch_steps(blocks, fit_batch_tfms(samples, block.batch_tfms))
    for position, own in enumerate(steps.steps if steps else ()):
        value = batch[position]
        for transform, random in zip(own.transforms, own.random, strict=True):
            value = Steps((transform,), (random,))(value, None)
            lines.append(f"  batch position {position}: {part_label(transform)} gives {describe(value)}")
    lines.append("all steps work")


def describe(value: Any) -> str:
    """Kind, shape, dtype and range of a value, on one line."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        text = f"{shape_text(value)} {str(value.dtype).removeprefix('torch.')}"
        if getattr(value, "ndim", 0) and value.shape[0] and str(value.dtype) not in ("object", "str"):
            low, high = float(value.min()), float(value.max())
            text += f" in {low:.3g}..{high:.3g}"
        return text
    if hasattr(value, "mode") and hasattr(value, "size"):
        return f"a {value.mode} picture, {value.size[0]} wide and {value.size[1]} high"
    return f"{type(value).__name__} {short(value)!r}"
