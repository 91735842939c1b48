"""Pictures of a learner's answers."""

from typing import TYPE_CHECKING

from satsuma.data.show import as_picture, grid, title, undone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.learner.learner import Learner


def show_results(learn: "Learner", nrows: int, ncols: int) -> "Figure":
    """The first validation samples, each under its target and the answer."""
    loader = learn.loader(None, 1 if learn.dls.valid else 0)
    batch = loader.one_batch()
    n = min(nrows * ncols, len(batch[0]))
    predictor = learn.predictor()
    answers = predictor.answers(predictor.outputs(tuple(x[:n] for x in batch[: learn.dls.n_inp])))
    titles = [f"{title(learn.dls, batch, i)}\n{answers[i].label}" for i in range(n)]
    pictures = [as_picture(undone(learn.dls, batch[0][i])) for i in range(n)]
    return grid(pictures, titles, nrows=nrows, ncols=ncols)
