"""A run on arrays in memory, in one stage: plain tensors and an order an epoch, where others have loaders."""

import re
from typing import TYPE_CHECKING, Any

from satsuma.data.in_memory import InMemory
from satsuma.data.seeds import epoch_order
from satsuma.data.streamed import count_batches
from satsuma.peel.describe import FitStage
from satsuma.peel.known import BATCHES, is_as_known
from satsuma.peel.loop_code import IN_EPOCH, has_plain_batches, judged_by, judgement, looped_code
from satsuma.peel.style import Style
from satsuma.peel.words import Words

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def lies_in_arrays(learn: "Learner", stages: list[FitStage]) -> bool:
    """Whether a run trains once, on pairs of whole tensors that are drawn in a new order each epoch."""
    train, valid = learn.dls.train, learn.dls.valid
    if len(stages) > 1 or not has_plain_batches(learn) or learn.device.type != "cpu" or not is_as_known(BATCHES):
        return False
    for loader in (train, valid):
        if loader is not None and (not isinstance(loader.batches, InMemory) or loader.batch_steps is not None):
            return False
    judged = None if valid is None else valid.batches
    whole = not isinstance(judged, InMemory) or not (judged.shuffle or judged.drop_last)
    return isinstance(train.batches, InMemory) and train.batches.shuffle and whole


def arrays_code(dls: Any, words: Words, seed: int, prefix: str) -> str:
    """Statements that make `train_x`, `train_y` and, where something is held out, `valid_x` and `valid_y`."""
    lines = []
    for name, loader in (("train", dls.train), ("valid", dls.valid)):
        if loader is not None:
            made = [words.array(f"{name}_{i}", tensor) for i, tensor in enumerate(loader.batches.tensors)]
            lines.append(f"{name}_x, {name}_y = {', '.join(made)}")
    batches = dls.train.batches
    count = f"{words.name(count_batches)}(len(train_x), {batches.batch_size}, {batches.drop_last})"
    return "\n".join([*lines, f"batches = {count}  # in an epoch"])


def array_evaluation(learn: "Learner", words: Words) -> str:
    """`evaluate` of two tensors; "" where nothing is held out."""
    if learn.dls.valid is None:
        return ""
    words.imports |= {"from torch import Tensor, nn"}
    return f'''@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, targets: Tensor) -> list[float]:
    """{judged_by(learn)} over all of `x`."""
    model.eval()
    outputs = torch.cat([model(part) for part in x.split({learn.dls.valid.batch_size})])
    return [{judgement(learn, "targets", words)}]'''


def array_loops(learn: "Learner", stage: FitStage, words: Words, epochs: str, stopping: str = "") -> str:
    """The two loops, the inner over the parts of the epoch's order."""
    judged = ", *evaluate(model, valid_x, valid_y)" if learn.dls.valid else ""
    looped = looped_code(learn, stage, words, epochs, stopping, judged)
    batches = learn.dls.train.batches
    assert isinstance(batches, InMemory)
    seed = "args.seed" if learn.dls.train.seed == learn.seed else str(learn.dls.train.seed)
    whole = "[:batches]" if batches.drop_last else ""
    head = re.search(rf"\n( +)for x, y in train_data\.epoch\((.+){re.escape(IN_EPOCH)}\):(.*)", looped)
    assert head is not None, "the loop of train.loop.train has changed: write this one anew"
    margin, epoch, comment = head.groups()
    drawn = (
        f"\n{margin}order = {words.name(epoch_order)}(len(train_x), {seed}, {epoch})"
        f"\n{margin}for part in order.split({batches.batch_size}){whole}:"
        f"\n{margin}    x, y = train_x[part], train_y[part]{comment}"
    )
    return looped[: head.start()] + drawn + looped[head.end() :]


ARRAYS = Style(loaders=arrays_code, evaluation=array_evaluation, loops=array_loops)
