"""The learner of a run's folder with the weights that the run came to."""

from pathlib import Path

from satsuma.errors import UserError
from satsuma.learner.learner import Learner
from satsuma.learner.rebuilt import rebuilt_learner
from satsuma.ship.model_file import read_model
from satsuma.train.checkpoint import assign_weights, load_weights

CHECKPOINTS = ("checkpoints/last.safetensors", "checkpoints/best.safetensors")


def trained_learner(folder: Path, learn: Learner | None = None) -> Learner:
    """The learner of the run in `folder` with its weights: of its model file, or of its last epoch while it trains.

    `learn`: the run's learner if it was made otherwise than by the recipe; it is given the weights.
    Raises `UserError` as `rebuilt_learner` does, and where no epoch is done yet.
    """
    file = weights_file(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no run. Give the folder of one, as satsuma train writes it to runs/NAME")
    if file is None:
        raise UserError(f"{folder}: it has no weights yet; they are there after its first epoch")
    learn = rebuilt_learner(folder) if learn is None else learn
    if file.name == "model.safetensors":
        assign_weights(learn.model, read_model(file)[1], str(file))
    else:
        load_weights(learn.model, file)
    return learn


def weights_file(folder: Path) -> Path | None:
    """Where the weights of a run lie that `trained_learner` takes; None where there are none yet."""
    return next((folder / name for name in ("model.safetensors", *CHECKPOINTS) if (folder / name).is_file()), None)
