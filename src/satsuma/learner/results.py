"""A learner's answers: what gives them, and pictures of them."""

from typing import TYPE_CHECKING

from torch.utils.data import Subset

from satsuma.data.multi_category import label_text
from satsuma.data.show import as_picture, grid, title, undone
from satsuma.data.transforms import is_training_only
from satsuma.learner.features import refuse_items
from satsuma.ship.predictor import Predictor
from satsuma.train.precision import autocast_dtype

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.learner.learner import Learner


def show_results(learn: "Learner", nrows: int, ncols: int) -> "Figure":
    """Validation samples from all over the set, which may be sorted, each under what it is and what the model said."""
    loader = learn.loader(None, 1 if learn.dls.valid else 0)
    total = len(loader.dataset)
    n = min(nrows * ncols, total)
    batch = loader.new(Subset(loader.dataset, [i * total // n for i in range(n)]), batch_size=n).one_batch()
    predictor = learn.predictor()
    answers = predictor.answers(predictor.outputs(batch[: learn.dls.n_inp]))
    titles = [f"is {title(learn.dls, batch, i)}\nsaid {label_text(answers[i].label)}" for i in range(n)]
    pictures = [as_picture(undone(learn.dls, batch[0][i])) for i in range(n)]
    return grid(pictures, titles, nrows=nrows, ncols=ncols)


def make_predictor(learn: "Learner") -> Predictor:
    """The learner's model with all it needs to predict; `ValueError` where how to read an item is not known."""
    refuse_items(learn)
    dls = learn.dls
    if not dls.blocks:
        raise ValueError(
            "these loaders were not made from blocks, so how to read one item is not known; "
            "use DataBlock, DataLoaders.from_arrays, or call learn.model on a batch"
        )
    return Predictor(
        model=learn.model,
        blocks=dls.blocks,
        n_inp=dls.n_inp,
        item_tfms=() if dls.block is None else dls.block.item_tfms,
        batch_tfms=() if dls.block is None else tuple(t for t in dls.block.batch_tfms if not is_training_only(t)),
        loss=learn.loss_func,
        device=learn.device,
        autocast=autocast_dtype(learn.precision),
    )
