"""`peeled`: a run as a script, at one of four depths."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from satsuma.errors import PeelError, nearest
from satsuma.peel.describe import Beginning
from satsuma.peel.hidden import hidden_names
from satsuma.peel.layout import laid_out
from satsuma.peel.leftovers import refuse_leftovers
from satsuma.peel.lift import lift
from satsuma.peel.pieces import Draft, Sources
from satsuma.peel.script import Script
from satsuma.peel.to_loop import loop_draft
from satsuma.peel.to_numpy import numpy_draft
from satsuma.peel.to_tensors import TWINS, tensors_draft
from satsuma.peel.to_torch import torch_draft
from satsuma.peel.trim import trim

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

DEPTHS = ("loop", "torch", "tensors", "numpy")


def peeled(learn: "Learner", depth: str, beginning: Beginning) -> Script:
    """The learner's run as a script. Raises `ValueError` for another depth, `PeelError` for what no script can hold."""
    if depth not in DEPTHS:
        raise ValueError(f"peel: depth is one of {', '.join(DEPTHS)}, got {depth!r}: {nearest(str(depth), DEPTHS)}")
    sources, draft = lifted(learn, depth, beginning)
    text = laid_out(trim(sources, draft.facts), draft.title)
    if depth == "tensors":
        refuse_leftovers(text)
    return Script(text=text, depth=depth, arrays=dict(draft.arrays), name=beginning.name)


def lifted(learn: "Learner", depth: str, beginning: Beginning) -> tuple[Sources, Draft]:
    """The script's sources, and the draft they come from, in which what has a hidden name is given a second one."""
    hidden: frozenset[str] = frozenset()
    while True:
        draft, twins = drafted(learn, depth, beginning, hidden)
        found = hidden_names(draft, ())
        if found <= hidden:
            sources = lift(draft, twins=twins, library=depth != "loop")
            found = hidden_names(draft, sources.pieces)
        if found <= hidden:
            return sources, draft
        hidden |= found


def drafted(
    learn: "Learner", depth: str, beginning: Beginning, hidden: frozenset[str]
) -> tuple[Draft, Mapping[str, Any]]:
    """The draft at a depth, and what is lifted in the place of the library's own pieces."""
    if depth == "loop":
        return loop_draft(learn, beginning, hidden), {}
    if depth == "numpy":
        return numpy_draft(learn, beginning), {}
    if depth == "tensors" and learn.precision != "float32":
        raise PeelError(
            f"precision={learn.precision!r} rounds within torch's own kernels, which a script of tensors does without: "
            f'peel to "torch", or train with precision="float32"'
        )
    draft = torch_draft(learn, beginning, depth=depth, hidden=hidden)
    return (draft, {}) if depth == "torch" else (tensors_draft(draft), TWINS)
