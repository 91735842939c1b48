"""A digest of all that predictions depend on beside the weights, so that kept ones are told when they are stale."""

import hashlib
import re
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from satsuma.data.arrays import ArrayDataset, ArrayViews
from satsuma.data.samples import Samples, get_value
from satsuma.functional.links import part_name
from satsuma.train.checkpoint import weights_digest

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

DEEPEST = 4  # how far parts within parts are followed
ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def maker_digest(learn: "Learner", ds_idx: int) -> str:
    """SHA-256 of a loader's samples and their labels, the transforms, classes, loss and precision.

    "" for a data set of the user's own, of which nobody can tell whether it is the same.
    """
    dls = learn.dls
    dataset = dls[ds_idx].dataset
    if not isinstance(dataset, Samples | ArrayDataset | ArrayViews):
        return ""
    found = hashlib.sha256(dls.fingerprints[ds_idx].encode())
    if isinstance(dataset, Samples):
        for getter in dataset.getters[dls.n_inp :]:
            for item in dataset.items:
                found.update(f"{get_value(getter, item)!r}\n".encode(errors="surrogatepass"))
    transforms: tuple[Any, ...] = () if dls.block is None else (*dls.block.item_tfms, *dls.block.batch_tfms)
    steps = dls.train.batch_steps
    parts = (*dls.blocks, *transforms, steps, learn.loss_func)
    found.update("\n".join(part_as_text(part) for part in parts).encode(errors="surrogatepass"))
    found.update(f"{part_name(learn.loss_func)} {learn.precision} {dls.vocab}".encode(errors="surrogatepass"))
    return found.hexdigest()


def part_as_text(part: Any, depth: int = 0) -> str:
    """A part as text that is alike in every process: a function by its name, its code and what it holds on to, an
    object by its class and attributes, never by an address.
    """
    if depth > DEEPEST:
        return ADDRESS.sub("", repr(part))
    if isinstance(part, partial):
        given = [part_as_text(value, depth + 1) for value in part.args]
        given += [f"{name}={part_as_text(value, depth + 1)}" for name, value in sorted(part.keywords.items())]
        return f"{part_as_text(part.func, depth + 1)}({', '.join(given)})"
    if isinstance(part, FunctionType):
        held = [cell.cell_contents for cell in part.__closure__ or ()]
        code = [*part.__code__.co_consts, *part.__code__.co_names, *(part.__defaults__ or ()), *held]
        texts = " ".join(part_as_text(value, depth + 1) for value in code)
        return f"{part.__module__}.{part.__qualname__} {part.__code__.co_code!r} {texts}"
    if isinstance(part, Tensor):
        return f"{part.tolist()}"
    if isinstance(part, nn.Module):
        return f"{part!r} {weights_digest(part)}"
    if isinstance(part, set | frozenset):
        return f"{{{', '.join(sorted(map(repr, part)))}}}"
    text = repr(part)
    if ADDRESS.search(text) and hasattr(part, "__dict__") and not isinstance(part, type):
        attributes = [f"{name}={part_as_text(value, depth + 1)}" for name, value in sorted(vars(part).items())]
        text = f"{text} {', '.join(attributes)}"
    return ADDRESS.sub("", text)
