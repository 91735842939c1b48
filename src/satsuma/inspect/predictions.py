"""`Predictions`: what a model says of one data set, computed once. N samples, K classes, D features."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.data.checks import warn_user
from satsuma.data.edits import HALVES, keys_of
from satsuma.inspect.answers import Answers, read_answers
from satsuma.inspect.provenance import maker_digest
from satsuma.inspect.samples import sample_names
from satsuma.train.checkpoint import read_tensors, save_tensors, weights_digest

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

MOST_FEATURES = 2**28  # numbers of features that are kept; 1 GiB
ARRAYS = ("outputs", "targets", "decided", "losses", "features")
ONE_AT_A_TIME = threading.Lock()  # of several threads that ask at once, one computes and the others read
FORMAT = "1"  # of the file; another one's is not read
SHARED = {"outputs": (2, "f"), "losses": (1, "f"), "features": (2, "f")}  # of each array: dimensions, NumPy's kind
EXPECTED = {
    "category": {"targets": (1, "i"), "decided": (1, "i")},
    "multi": {"targets": (2, "b"), "decided": (2, "b")},
    "regression": {"targets": (2, "f"), "decided": (2, "f")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model says of one data set. N samples, K classes, D features.

    `kind`: "category" (one class of K), "multi" (any number of K labels) or "regression".
    """

    kind: str
    names: tuple[str, ...]  # [N] what each sample is called in messages: a file's path, or "sample 17"
    keys: tuple[str, ...]  # [N] what an edit calls it
    vocab: tuple[str, ...]  # K classes as text; () for a regression
    outputs: np.ndarray  # float32 [N K] probabilities, or [N n] values of a regression
    targets: np.ndarray  # int64 [N]; bool [N K]; float32 [N n]
    decided: np.ndarray  # as targets
    losses: np.ndarray  # float32 [N]
    features: np.ndarray | None  # float32 [N D], what enters the last linear layer; None where there is none
    digest: str  # of the weights
    half: str  # "train", "valid", or "loader_2" of a third loader
    made_by: str = ""  # digest of all else that the numbers depend on: data, labels, transforms, loss

    def __len__(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        classes = f", {len(self.vocab)} classes" if self.vocab else ""
        return f"Predictions({self.kind} of {len(self)} samples of {self.half}{classes}, mean loss {self.loss:.4g})"

    @property
    def loss(self) -> float:
        """The mean of the samples' losses."""
        return float(self.losses.mean(dtype=np.float64)) if len(self) else float("nan")

    @property
    def right(self) -> np.ndarray:
        """bool [N]: whether what was decided is the target, of several labels all of them."""
        if self.kind == "regression":
            raise ValueError("a regression is not right or wrong; look at its losses, or at Interpretation.residuals()")
        same = np.asarray(self.decided == self.targets)
        return np.asarray(same.all(1)) if same.ndim == 2 else same

    def label(self, i: int) -> str:
        """The target of sample `i`, for people."""
        return self.text_of(self.targets[i])

    def answer(self, i: int) -> str:
        """What was decided of sample `i`, for people."""
        return self.text_of(self.decided[i])

    def text_of(self, value: Any) -> str:
        """A row of `targets` or `decided` as words."""
        if self.kind == "category":
            return self.vocab[int(value)]
        if self.kind == "multi":
            return ", ".join(self.vocab[k] for k in np.flatnonzero(value)) or "(none)"
        return ", ".join(f"{v:.4g}" for v in np.ravel(value))

    def save(self, file: str | Path) -> Path:
        """Write a safetensors file that `load` reads. It holds numbers and text, and no code."""
        tensors = {name: torch.from_numpy(np.array(a)) for name in ARRAYS if (a := getattr(self, name)) is not None}
        texts = {"names": self.names, "keys": self.keys, "vocab": self.vocab}
        tensors |= {name: torch.from_numpy(text_bytes(value)) for name, value in texts.items()}
        plain = {"kind": self.kind, "digest": self.digest, "half": self.half, "made_by": self.made_by}
        return save_tensors(tensors, Path(file), {"satsuma_predictions": FORMAT, **plain})

    @classmethod
    def load(cls, file: str | Path) -> "Predictions":
        """Read what `save` wrote. Raises `FileNotFoundError`; `ValueError` for any other file, or a damaged one."""
        tensors, noted = read_tensors(Path(file))
        if noted.get("satsuma_predictions") != FORMAT:
            raise ValueError(f"{file}: no predictions of this version's; compute them anew: learn.interpret()")
        try:
            texts = {name: text_rows(tensors[name]) for name in ("names", "keys", "vocab")}
            arrays = {name: tensors[name].clone().numpy() if name in tensors else None for name in ARRAYS}
            plain = {name: noted[name] for name in ("kind", "digest", "half", "made_by")}
            found = cls(**texts, **arrays, **plain)  # type: ignore[arg-type]
            refuse_unfit(found)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{file}: no whole file of predictions ({error}); compute them anew") from error
        return found


def refuse_unfit(found: Predictions) -> None:
    """Raise `ValueError` where the parts are not what `Predictions` says of them, as in a file from elsewhere."""
    shapes = EXPECTED.get(found.kind)
    if shapes is None:
        raise ValueError(f"its kind is {found.kind!r}, expected one of {', '.join(EXPECTED)}")
    for name, (ndim, kind) in (shapes | SHARED).items():
        array = getattr(found, name)
        if name == "features" and array is None:
            continue
        if array is None or array.ndim != ndim or array.dtype.kind != kind:
            got = "missing" if array is None else f"{list(array.shape)} of {array.dtype}"
            raise ValueError(f"its {name} are {got}")
    arrays = [array for name in ARRAYS if (array := getattr(found, name)) is not None]
    lengths = {len(part) for part in (found.names, found.keys, *arrays)}
    if len(lengths) != 1:
        raise ValueError(f"its parts differ in length: {sorted(lengths)}")
    columns = {a.shape[1] for a in (found.outputs, found.targets, found.decided) if a.ndim == 2}
    if found.kind != "regression":
        columns.add(len(found.vocab))
    if len(columns) != 1:
        raise ValueError(f"its outputs, targets and classes differ in number: {sorted(columns)}")
    if found.kind == "category" and len(found):
        numbers = np.concatenate([found.targets, found.decided])
        if numbers.min() < 0 or numbers.max() >= len(found.vocab):
            raise ValueError(f"its classes are numbered {numbers.min()}..{numbers.max()}, and {len(found.vocab)} named")


def text_bytes(texts: tuple[str, ...]) -> np.ndarray:
    """Texts as the bytes of a JSON list, uint8: a file's header has little room for them."""
    return np.frombuffer(json.dumps(texts).encode("ascii"), dtype=np.uint8).copy()


def text_rows(held: Tensor) -> tuple[str, ...]:
    """The texts of `text_bytes`."""
    rows = json.loads(held.clone().numpy().tobytes().decode("ascii"))
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise ValueError("its names are not a list of texts")
    return tuple(rows)


def predictions_of(learn: "Learner", ds_idx: int = 1) -> Predictions:
    """What `learn` says of its loader `ds_idx` (0: training, without augmentation): one pass over the data.

    With a run's folder they are kept there, in `inspect/valid.safetensors`, and read from there as long as weights,
    data, labels, transforms and loss are the same (not for a data set of your own class). Raises `ValueError` for
    targets of which a sample has many, such as masks and boxes.
    """
    half = half_name(learn, ds_idx)
    with ONE_AT_A_TIME:
        return found_or_made(learn, ds_idx, half)


def found_or_made(learn: "Learner", ds_idx: int, half: str) -> Predictions:
    """The kept predictions, or new ones, which are then kept."""
    digest, made_by = weights_digest(learn.model), maker_digest(learn, ds_idx)
    file = None if learn.run_dir is None else learn.run_dir / "inspect" / f"{half}.safetensors"
    kept = None if file is None or not made_by else kept_predictions(file, digest, made_by)
    if kept is not None:
        return kept
    answers, features = answers_of(learn, ds_idx)
    found = Predictions(
        kind=answers.kind,
        names=sample_names(learn.dls, ds_idx),
        keys=tuple(keys_of(learn.dls, ds_idx)),
        vocab=answers.vocab,
        outputs=answers.outputs,
        targets=answers.targets,
        decided=answers.decided,
        losses=answers.losses,
        features=features,
        digest=digest,
        half=half,
        made_by=made_by,
    )
    if file is not None and made_by and learn.world.rank == 0:
        try:
            found.save(file)
        except OSError as error:  # a folder that may only be read is no reason to show nothing
            warn_user(f"the predictions are not kept: {error}")
    return found


def half_name(learn: "Learner", ds_idx: int) -> str:
    """ "train", "valid", or of a further loader its number. Raises `ValueError` where there is none."""
    loaders = learn.dls.loaders
    if not isinstance(ds_idx, int) or not 0 <= ds_idx < len(loaders):
        held = "; nothing is held out to validate on, so use ds_idx=0" if ds_idx == 1 else ""
        raise ValueError(f"there is no loader {ds_idx!r}; the learner has {len(loaders)} (0 is training){held}")
    return HALVES[ds_idx] if ds_idx < len(HALVES) else f"loader_{ds_idx}"


def kept_predictions(file: Path, digest: str, made_by: str) -> Predictions | None:
    """The predictions in `file` if it holds those of these weights and this data, else None: they are made anew."""
    try:
        found = Predictions.load(file)
    except (OSError, ValueError):
        return None
    return found if (found.digest, found.made_by) == (digest, made_by) else None


def answers_of(learn: "Learner", ds_idx: int) -> tuple[Answers, np.ndarray | None]:
    """The answers to a loader's samples, and the features [N D] that entered the last linear layer, in one pass."""
    watch = FeatureWatch(len(learn.dls[ds_idx].dataset))
    layers = [layer for layer in learn.model.modules() if isinstance(layer, nn.Linear)]
    handle = layers[-1].register_forward_pre_hook(watch) if layers else None
    compiled = getattr(learn.model, "_compiled_call_impl", None)  # compiled code does not heed a hook that came later
    if compiled is not None:
        learn.model._compiled_call_impl = None
    try:
        probabilities, targets, losses = learn.get_preds(ds_idx=ds_idx, with_loss=True)
    finally:
        if handle is not None:
            handle.remove()
        if compiled is not None:
            learn.model._compiled_call_impl = compiled
    blocks = learn.dls.targets
    return read_answers(probabilities, targets, losses, learn.loss_func, blocks), watch.found()


class FeatureWatch:
    """A forward pre-hook that keeps a layer's inputs [B D] of a pass over `n` samples; nothing if they are too many."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.rows: list[np.ndarray] = []
        self.refused = False

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or x.ndim != 2 or self.n * x.shape[1] > MOST_FEATURES:
            self.refused = True
            self.rows.clear()
        if not self.refused:
            self.rows.append(x.detach().float().cpu().numpy().copy())  # type: ignore[union-attr]

    def found(self) -> np.ndarray | None:
        """[N D]; None if the layer was not asked once for each sample."""
        if self.refused or sum(len(rows) for rows in self.rows) != self.n:
            return None
        return np.concatenate(self.rows)
