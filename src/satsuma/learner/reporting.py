"""What a learner puts into its report."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from satsuma.data.multi_category import label_text
from satsuma.data.show import as_picture, grid, undone
from satsuma.hooks.progress import epoch_cells, epoch_header
from satsuma.inspect.report import Report, write_report
from satsuma.learner.recording import learner_recipe, recipe_code
from satsuma.learner.table import row_of
from satsuma.train.fit import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.learner.learner import Learner

WORST = 12  # samples with the highest loss that the report shows


def write_learner_report(learn: "Learner", path: Path) -> Path:
    """The report of a learner's fits so far: result, curves, the samples it finds hardest, the run as code."""
    recorder = learn.recorder
    if not recorder.epochs:
        raise ValueError("report: nothing is trained yet; call fit first")
    plan = Plan(len(recorder.epochs), 0, 1, learn.dls.bs, recorder.has_valid, recorder.metric_names)
    row = row_of(recorder.epochs, learn.weights_epoch)
    last = row or recorder.epochs[-1]
    figures = [("Loss", recorder.plot_loss()), ("Learning rate", recorder.plot_lr())]
    if recorder.metric_names:
        figures.insert(1, ("Metrics on the validation data", recorder.plot_metrics()))
    worst = None if learn.dls.valid is None else hardest(learn)
    if worst is not None:
        figures.append(("The validation samples with the highest loss", worst))
    name = learn.run_dir.name if learn.run_dir is not None else "A run"
    values = {**({} if last.valid_loss is None else {"valid_loss": last.valid_loss}), **last.metrics}
    result = ", ".join(f"{k} {v:.4f}" for k, v in values.items()) or f"train_loss {last.train_loss:.4f}"
    whose = "" if row is recorder.epochs[-1] else f" (the weights are those of epoch {last.epoch})"
    if row is None:
        whose = " (the weights now are not those of an epoch; the numbers are the last epoch's)"
    return write_report(
        path,
        Report(
            title=f"Satsuma report: {name}",
            headline=learn.headline(),
            result=f"After {len(recorder.epochs)} epochs{whose}: {result}",
            header=epoch_header(plan),
            rows=[epoch_cells(row, plan) for row in recorder.epochs],
            figures=figures,
            notes=learn.dls.report.warnings,
            code=recipe_code(learner_recipe(learn), name),
        ),
    )


def hardest(learn: "Learner") -> "Figure | None":
    """The validation samples with the highest loss; None where a sample is no picture with one answer."""
    assert learn.dls.valid is not None
    _, targets, decided, losses = learn.get_preds(with_loss=True, with_decoded=True)
    if not isinstance(targets, Tensor) or not isinstance(decided, Tensor):
        return None
    worst = losses.argsort(descending=True)[:WORST].tolist()
    pictures = pictures_of(learn, worst)
    block = learn.dls.targets[0] if learn.dls.targets else None
    titles = []
    for i in worst:
        names = [
            label_text(t.tolist() if block is None else block.decode(t)) for t in (targets[i].cpu(), decided[i].cpu())
        ]
        titles.append(f"is {names[0]}, said {names[1]}\nloss {float(losses[i]):.2f}")
    return grid(pictures, titles, nrows=-(-len(worst) // 6), ncols=min(6, len(worst)), size=1.5)


def pictures_of(learn: "Learner", wanted: list[int]) -> list[np.ndarray]:
    """The first inputs of these validation samples; one pass, and only they are kept."""
    assert learn.dls.valid is not None
    found, place = {}, 0
    for batch in learn.dls.valid.epoch(0):
        for i in wanted:
            if place <= i < place + len(batch[0]):
                sample = undone(learn.dls, batch[0][i - place])
                found[i] = as_picture(sample if sample.ndim else sample[None])
        place += len(batch[0])
    return [found[i] for i in wanted]
