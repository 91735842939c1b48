"""The code that makes a run's loaders again, from their live values."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from satsuma.data.buffers import Buffers
from satsuma.data.edits import original_getter
from satsuma.data.finished import Finished
from satsuma.data.in_memory import InMemory, InMemoryViews
from satsuma.data.loader import DataLoader, worker_processes
from satsuma.data.samples import Samples, item_name
from satsuma.data.streamed import BatchMaker, Streamed
from satsuma.peel.edited_code import (
    EditedItems,
    edited_getters_code,
    edited_items,
    edited_parts_code,
    labels_code,
)
from satsuma.peel.method_code import method_code, snake_case
from satsuma.peel.picture_code import getter_code, pictures_code
from satsuma.peel.words import Words
from satsuma.vision.image import IMAGE_EXTENSIONS, get_image_files


def has_source(dls: Any) -> bool:
    """Whether the loaders' items are listed anew from a file or folder."""
    return dls.block is not None and isinstance(dls.source, str | Path) and dls.block.get_items is not None


def loaders_code(dls: Any, words: Words, seed: int, prefix: str) -> str:
    """Statements that make `train_data` and, where something is held out, `valid_data`.

    They use `args.data`, `args.seed`, and `arrays`, which holds what is in `words.arrays`.
    """
    if words.pictures is dls:
        lines, loaders = parts_code(dls, words, prefix), {"train": dls.train, "valid": dls.valid}
        for name, made in pictures_code(dls, words, seed).items():
            lines.append(f"{name}_data = {finished_code(loaders[name], made, words, seed)}")
        return "\n".join(lines)
    lines = samples_code(dls, words, prefix) if isinstance(dls.train.dataset, Samples) else []
    for name, loader in (("train", dls.train), ("valid", dls.valid)):
        if loader is not None:
            lines.append(f"{name}_data = {loader_code(loader, f'{prefix}{name}', words, seed)}")
    return "\n".join(lines)


def samples_code(dls: Any, words: Words, prefix: str) -> list[str]:
    """The items, their split, and what makes samples of them."""
    train: Samples = dls.train.batches.maker.dataset  # as it is made for the loader's device
    words.name(Samples)
    lines = parts_code(dls, words, prefix)
    edited = edits_of_data(dls, words)
    if edited is not None and edited.labels:
        lines += edited_getters_code(dls, edited, input_code(dls, words), words, prefix)
    else:
        lines.append(f"getters = {words.value(train.getters)}")
    return [*lines, f"paths = {words.value(train.paths)}"]


def edits_of_data(dls: Any, words: Words) -> EditedItems | None:
    """The edits that the run's data have; None if there are none."""
    if dls.block is None or dls.block.edits is None:
        return None
    return edited_items(dls, has_source(dls), words, input_code(dls, words))


def input_code(dls: Any, words: Words) -> str:
    """The expression for the file of `item`, or where there is none for its input."""
    if all(isinstance(item, Path) for item in dls.train.dataset.items):
        return "item"
    return getter_code(original_getter(dls.train.dataset.getters[0]), "item", words)


def parts_code(dls: Any, words: Words, prefix: str) -> list[str]:
    """The items and their split."""
    train: Samples = dls.train.batches.maker.dataset
    lines = [f"items = {listing_code(dls, words)}"]
    names = [name for name, _ in dls.report.unreadable]
    skipped = [str(Path(name).absolute()) for name in names] if has_source(dls) else names  # as args.data is
    if skipped:
        words.name(item_name)
        getter = words.value(original_getter(train.getters[0]))
        lines.append(f"unreadable = {words.value(tuple(skipped))}  # found by the library, left out of the run")
        lines.append(f"items = [item for item in items if item_name(item, {getter}) not in unreadable]")
    held_out = "_" if dls.valid is None else "valid_part"
    lines.append(f"train_part, {held_out} = {split_code(dls, words)}")
    edited = edits_of_data(dls, words)
    if edited is None:
        return lines
    lines += edited_parts_code(dls, edited, words, prefix)
    if words.pictures is dls and edited.labels:
        get_y = getter_code(original_getter(train.getters[-1]), "item", words)
        lines.append(labels_code(edited, get_y, words, prefix))
    return lines


def listing_code(dls: Any, words: Words) -> str:
    """The Python for all items of the source, in their order."""
    if has_source(dls) and lists_plainly(dls):
        words.named("IMAGE_EXTENSIONS", IMAGE_EXTENSIONS)
        return 'sorted(file for file in args.data.rglob("*") if file.suffix.lower() in IMAGE_EXTENSIONS)'
    if has_source(dls):
        get_items = words.value(dls.block.get_items)
        return source_call(dls.block.get_items, get_items, "args.data", words)
    return words.items(dls.block.items(dls.source))


def lists_plainly(dls: Any) -> bool:
    """Whether the run's items are the pictures of a folder without links, hidden files or others left out."""
    source = Path(dls.source).absolute()
    if dls.block.get_items is not get_image_files or not source.is_dir():
        return False
    found = sorted(file for file in source.rglob("*") if file.suffix.lower() in IMAGE_EXTENSIONS)
    return found == [Path(item).absolute() for item in dls.block.items(dls.source)]


def split_code(dls: Any, words: Words) -> str:
    splitter = dls.block.splitter
    name = snake_case(type(splitter).__name__).replace("_splitter", "_split")
    ours = type(splitter).__module__.startswith("satsuma.")
    spelled = name if ours and method_code(splitter, "__call__", name, words) else words.value(splitter)
    if "labels" in inspect.signature(splitter).parameters:
        getter = original_getter(dls.train.dataset.getters[dls.block.n_inp])
        labels = f"[{getter_code(getter, 'item', words)} for item in items]"
        return f"{spelled}(items, labels={labels})"
    return f"{spelled}(items)"


def source_call(function: Any, spelled: str, argument: str, words: Words) -> str:
    """The call of a spelled function; a `partial` is written as the call that it is."""
    if function is not None and hasattr(function, "keywords") and not function.args:
        inner = words.value(function.func)
        given = "".join(f", {k}={words.value(v)}" for k, v in function.keywords.items())
        return f"{inner}({argument}{given})"
    return f"{spelled}({argument})"


def loader_code(loader: DataLoader, name: str, words: Words, seed: int) -> str:
    """The Python for a loader's batches."""
    drawn = "args.seed" if loader.seed == seed else str(loader.seed)
    batches = loader.batches
    if isinstance(batches, InMemory):
        made = in_memory_code(batches, name, words, drawn)
    elif isinstance(batches, InMemoryViews):
        views = [in_memory_code(view, f"{name}_{i}", words, drawn) for i, view in enumerate(batches.views)]
        words.name(InMemoryViews)
        made = f"InMemoryViews(views={tupled(views)}, first_epoch={batches.first_epoch})"
    else:
        made = streamed_code(loader, batches, name, words, drawn)
    return finished_code(loader, made, words, seed)


def finished_code(loader: DataLoader, made: str, words: Words, seed: int) -> str:
    """Batches on the loader's device, after its batch transforms."""
    if loader.batch_steps is None and loader.device.type == "cpu":
        return made
    words.name(Finished)
    drawn = "args.seed" if loader.seed == seed else str(loader.seed)
    steps, device = words.value(loader.batch_steps), words.value(loader.device)
    return f"Finished(source={made}, steps={steps}, device={device}, seed={drawn}, augment={loader.augment})"


def in_memory_code(batches: InMemory, name: str, words: Words, seed: str) -> str:
    parts = [words.array(f"{name}_{i}", tensor) for i, tensor in enumerate(batches.tensors)]
    return (
        f"{words.name(InMemory)}(tensors={tupled(parts)}, batch_size={batches.batch_size}, shuffle={batches.shuffle}, "
        f"drop_last={batches.drop_last}, seed={seed})"
    )


def streamed_code(loader: DataLoader, batches: Streamed, name: str, words: Words, seed: str) -> str:
    dataset = loader.dataset
    if isinstance(dataset, Samples):
        part = name.rpartition("_")[2] + "_part"
        made = f"Samples(items=[items[i] for i in {part}], getters=getters, blocks=(), paths=paths)"
    else:
        made = words.value(dataset)
    for used in (BatchMaker, Streamed, Buffers):
        words.name(used)
    maker = (
        f"BatchMaker(dataset={made}, seed={seed}, augment={loader.augment}, "
        f"buffers=Buffers({2 * (loader.workers + 4)}, pinned={loader.device.type == 'cuda'}))"
    )
    processes = "None"
    if batches.processes is not None:
        processes = f"{words.name(worker_processes)}({maker}, {loader.workers})"
    return (
        f"Streamed(maker={maker}, batch_size={batches.batch_size}, shuffle={batches.shuffle}, "
        f"drop_last={batches.drop_last}, workers={batches.workers}, processes={processes})"
    )


def tupled(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
