"""A digest of what a run trains on, so that going on with, or repeating, a run on other data is noticed."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.data.edits import EditedLabel, PlacedLabel, file_text
from satsuma.data.samples import Samples, short

LARGEST = 2**30  # bytes of a tensor that are looked at whole; of a larger one every n-th row


def data_fingerprint(dataset: Any) -> str:
    """SHA-256 of a data set's samples in their order, as 16 hexadecimal digits.

    Of files it counts their names (with the folder they lie in) and sizes, so that a data set may be moved; of arrays
    the numbers; of anything else only the class and the length. It reads no file's contents: one that was edited and
    kept its size is not noticed. Labels count where edits gave them.
    """
    found = hashlib.sha256(f"{type(dataset).__name__} {len(dataset)}\n".encode())
    if isinstance(dataset, Samples):
        for item in dataset.items:
            found.update(item_text(item).encode(errors="surrogatepass"))
        found.update(edited_labels_text(dataset).encode(errors="surrogatepass"))
    else:
        for tensor in getattr(dataset, "tensors", ()):
            if isinstance(tensor, Tensor):
                found.update(f"{tensor.dtype} {list(tensor.shape)}\n".encode())
                found.update(looked_at_bytes(tensor))
    return found.hexdigest()[:16]


def edited_labels_text(samples: Samples) -> str:
    """The labels that edits gave to samples, each on a line with the sample's number."""
    text = ""
    for getter in samples.getters:
        if isinstance(getter, EditedLabel):
            files = (file_text(item, getter.get_x) for item in samples.items)
            found = [(i, getter.labels[file]) for i, file in enumerate(files) if file in getter.labels]
        elif isinstance(getter, PlacedLabel):
            places = (item[0] for item in samples.items)
            found = [(i, getter.labels[place]) for i, place in enumerate(places) if place in getter.labels]
        else:
            continue
        text += "".join(f"{i} {label!r}\n" for i, label in found)
    return text


def item_text(item: Any) -> str:
    """What counts of an item, on one line: of a path, its name and folder and the file's size."""
    if isinstance(item, Path):
        try:
            size = item.stat().st_size
        except OSError:
            size = -1
        return f"{item.parent.name}/{item.name} {size}\n"
    if isinstance(item, np.ndarray):
        return f"{item.dtype} {item.shape} {hashlib.sha256(np.ascontiguousarray(item).data).hexdigest()}\n"
    if isinstance(item, list | tuple):
        return "".join(item_text(part) for part in item)
    return f"{short(item)}\n"


def looked_at_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, or of as many of its rows, evenly taken, as are not too much to read."""
    size = tensor.element_size() * tensor.numel()
    taken = tensor if size <= LARGEST else tensor[:: -(-size // LARGEST)]
    return taken.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
