"""From a draft in torch's terms to one of tensors and their gradients alone, in `ladder.tensors`' terms."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from satsuma.functional import activations as own_activations
from satsuma.functional import each_loss as own_each_loss
from satsuma.functional import losses as own_losses
from satsuma.ladder.tensors import activations, each_loss, initialise, losses
from satsuma.ladder.tensors.adam import Adam, AdamW
from satsuma.ladder.tensors.adaptive import AdaGrad, RMSprop
from satsuma.ladder.tensors.sgd import SGD
from satsuma.peel.pieces import Draft
from satsuma.peel.tensor_terms import in_tensor_terms
from satsuma.peel.torch_twins import CLIPPING, FUNCTIONS, LAYERS, OPTIMIZERS, STARTS, WALKS


def twins_of(own: Any, theirs: Any) -> dict[str, Any]:
    """The functions of a production file that the ladder's file has under the same name."""
    return {
        f"{own.__name__}.{name}": getattr(theirs, name)
        for name, value in vars(own).items()
        if callable(value) and getattr(value, "__module__", "") == own.__name__ and hasattr(theirs, name)
    }


def torch_twins() -> dict[str, Any]:
    """What stands for torch's own objects, wherever a script comes upon them by another name."""
    found = {f"torch.nn.{name}": twin.value for name, twin in LAYERS.items() if not twin.as_function}
    found |= {
        f"torch.nn.functional.{name}": twin.value for name, twin in FUNCTIONS.items() if twin.original is not None
    }
    found |= {f"torch.nn.init.{name}": twin.value for name, twin in STARTS.items()}
    found |= {f"torch.nn.utils.{name}": twin.value for name, twin in CLIPPING.items()}
    found |= {f"torch.optim.{name}": twin.value for name, twin in OPTIMIZERS.items()}
    return found


# full name of what production uses → what stands in a script of tensors instead
TWINS: Mapping[str, Any] = {
    **torch_twins(),
    **twins_of(own_losses, losses),
    **twins_of(own_activations, activations),
    **twins_of(own_each_loss, each_loss),
    "satsuma.nn.init.initialise": initialise.initialise,
    "satsuma.optim.optimizers.SGD": SGD,
    "satsuma.optim.optimizers.AdaGrad": AdaGrad,
    "satsuma.optim.optimizers.RMSprop": RMSprop,
    "satsuma.optim.optimizers.Adam": Adam,
    "satsuma.optim.optimizers.AdamW": AdamW,
}


LINES = ("import torch", "from torch import Tensor", "from typing import Any", "from functools import partial")


def ladder_names() -> dict[str, Any]:
    """The pieces of the ladder that `in_tensor_terms` brings in, by name."""
    pieces = [twin.value for room in (LAYERS, FUNCTIONS, STARTS, CLIPPING, OPTIMIZERS) for twin in room.values()]
    return {value.__name__: value for value in (*pieces, *WALKS)}


def tensors_draft(draft: Draft) -> Draft:
    """The draft in tensors alone; lift it with `twins=TWINS`, and show the script to `refuse_leftovers`."""
    before = draft.rewrite
    return replace(
        draft,
        main=in_tensor_terms(draft.main),
        names={**ladder_names(), **draft.names},
        imports=tuple(dict.fromkeys((*draft.imports, *LINES))),
        facts={in_tensor_terms(said): value for said, value in draft.facts.items()},
        written={name: in_tensor_terms(text) for name, text in draft.written.items()},
        rewrite=in_tensor_terms if before is None else partial(after, before, in_tensor_terms),
    )


def after(first: Any, second: Any, text: str) -> str:
    """`second(first(text))`."""
    return str(second(first(text)))
