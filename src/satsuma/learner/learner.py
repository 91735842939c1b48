"""`Learner`: data, model, loss and optimiser in one hand, with the book's words. It has no maths of its own."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader
from satsuma.data.seeds import as_seed
from satsuma.errors import spelled
from satsuma.functional.links import activation_for, decode_for, part_name
from satsuma.hooks.interrupt import INTERRUPTED, StopOnInterrupt
from satsuma.hooks.progress import Progress, say
from satsuma.hooks.recorder import Recorder
from satsuma.learner.arguments import (
    refuse_course,
    refuse_cycle,
    refuse_loader,
    refuse_negative,
    refuse_not_positive,
    refuse_settings,
    refuse_stopping,
    split_groups,
    whole_epochs,
)
from satsuma.learner.checks import check_first_batch, check_weights, explained, items_losses
from satsuma.learner.choices import (
    build_model,
    choose_loss,
    initialise_lazy,
    listed_hooks,
    listed_metrics,
    make_checkpoint,
)
from satsuma.learner.recording import (
    given_arguments,
    named_weights,
    non_finite_message,
    refuse_used,
    result_facts,
    weights_path,
    write_recipe,
)
from satsuma.learner.results import make_predictor, show_results
from satsuma.learner.table import EpochTable
from satsuma.optim.groups import build_optimizer
from satsuma.optim.optimizers import AdamW
from satsuma.optim.schedules import constant, one_cycle, one_cycle_momentum
from satsuma.ship.model_file import write_model
from satsuma.ship.predictor import Prediction, Predictor
from satsuma.train.checkpoint import load_weights, save_weights
from satsuma.train.early_stopping import EarlyStopping, resolved
from satsuma.train.evaluate import Evaluation, evaluate, predict_batches
from satsuma.train.fit import NonFiniteLossError, Observer, Validation, fit
from satsuma.train.lr_find import RateFinder, lr_find
from satsuma.train.objectives import penalised, supervised
from satsuma.train.precision import autocast_dtype, pick_device, pick_precision, placed_model
from satsuma.train.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Learner:
    """Trains `model` on `dls`, and uses it.

    `model`: a module; a function without arguments that builds one (under `seed`); or an architecture's name.
    `loss_func(outputs, *targets)`: chosen by the target's block if not given, and said. `opt_func(groups, lr=)`: any
    of `sm.SGD, Adam, AdamW, AdaGrad, RMSprop` or torch's. `metrics`: functions `(outputs, targets)`, or torchmetrics'.
    `wd`: weight decay, not applied to biases and normalisation. `splitter(model)`: lists of parameters, the layer
    groups that discriminative rates are spread over. `max_norm`: clip the gradients' norm. `micro`: the most samples
    at once in the model (memory). `l1`, `l2`: penalties on weights. `input_noise`: deviation of noise on inputs.
    `precision`: "float32", "bf16", "fp16" (CUDA) or "auto". `hooks`: observers beside the table and the recorder.
    `run_dir`: a folder for history, checkpoints and recipe. `progress=False`: print nothing.
    Raises `ValueError` before the first step where data, model, loss and metrics do not fit together.
    """

    @spelled
    def __init__(
        self,
        dls: DataLoaders,
        model: nn.Module | Callable[[], nn.Module] | str,
        *,
        loss_func: Callable[..., Tensor] | None = None,
        opt_func: Callable[..., torch.optim.Optimizer] = AdamW,
        lr: float = 1e-3,
        metrics: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
        wd: float | None = None,
        splitter: Callable[[nn.Module], Sequence[Iterable[nn.Parameter]]] | None = None,
        max_norm: float | None = None,
        micro: int | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        input_noise: float = 0.0,
        seed: int = 42,
        device: str | torch.device = "auto",
        precision: str = "auto",
        hooks: Sequence[Observer] = (),
        run_dir: str | Path | None = None,
        path: str | Path = ".",
        progress: bool = True,
    ) -> None:
        if not isinstance(dls, DataLoaders):
            raise TypeError(f"Learner: dls must be DataLoaders, got {type(dls).__name__}: DataLoaders(train, valid)")
        refuse_settings(opt_func, loss_func, lr, wd, progress, run_dir)
        refuse_negative(l1=l1, l2=l2, input_noise=input_noise)
        refuse_not_positive(max_norm=max_norm, micro=micro)
        self.seed = as_seed(seed)
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.device = pick_device(device)
        self.dls = dls if self.device.type == "cpu" else dls.to(self.device)
        self.model_source = model
        self.model = placed_model(build_model(model, self.dls, self.seed), self.device)
        initialise_lazy(self.model, self.dls, self.seed, self.device)
        chosen, self.loss_reason = (loss_func, "") if loss_func is not None else choose_loss(dls.targets)
        self.loss_func: Callable[..., Tensor] = chosen.to(self.device) if isinstance(chosen, nn.Module) else chosen
        self.opt_func, self.lr, self.wd, self.splitter = opt_func, lr, wd, splitter
        self.metrics = listed_metrics(metrics)
        self.max_norm, self.micro = max_norm, micro
        self.l1, self.l2, self.input_noise = l1, l2, input_noise
        self.precision = pick_precision(precision, self.device, self.model)
        self.path = Path(path)
        self.progress = progress
        self.recorder = Recorder(None if self.run_dir is None else self.run_dir / "history.jsonl")
        self.checkpoint = make_checkpoint(self.run_dir, self.metrics, dls.valid is not None)
        self.hooks = listed_hooks(hooks)
        self.epochs_done = 0
        self.weights_epoch: int | None = None  # the evaluated epoch that the weights are of; None where there is none
        self.calls: list[tuple[str, dict[str, Any]]] = []  # the fits so far, for the recipe
        self.checked = False

    def __repr__(self) -> str:
        return f"Learner({self.headline()})"

    def headline(self) -> str:
        """What is trained on what, in one line."""
        parameters = sum(p.numel() for p in self.model.parameters())
        valid = f", {len(self.dls.valid.dataset):,} valid" if self.dls.valid else ""
        name = self.model_source if isinstance(self.model_source, str) else type(self.model).__name__
        return (
            f"{name}, {parameters:,} parameters; {len(self.dls.train.dataset):,} train{valid} samples; "
            f"batch size {self.dls.bs}; {self.device}, {self.precision}"
        )

    # --- training -------------------------------------------------------------------------------------------------

    @spelled
    def fit(
        self,
        n_epoch: int,
        lr: float | slice | Sequence[float] | None = None,
        *,
        schedule: Callable[[int], float] = constant,
        momentum: Callable[[int], float] | None = None,
        wd: float | None = None,
        early_stopping: EarlyStopping | None = None,
    ) -> EpochTable:
        """Train for `n_epoch` epochs at rate `lr` times `schedule(step)`; the rows of the epoch table.

        `lr`: a number; `slice(low, high)` over the layer groups; or one number for each.
        Raises `FloatingPointError` when the loss becomes NaN, naming the step and the batch's items; the weights are
        then as they were before that epoch.
        `KeyboardInterrupt` after Ctrl-C, once the epoch is evaluated and saved.
        """
        n_epoch = whole_epochs("fit", n_epoch)
        call: dict[str, Any] = {"n_epoch": n_epoch, "lr": lr, "schedule": schedule, "momentum": momentum, "wd": wd}
        call["early_stopping"] = early_stopping
        run = self._checked_run(lr, schedule=schedule, momentum=momentum, wd=wd)
        return self._trained(run, n_epoch, early_stopping, ("fit", given_arguments(self.fit, call)))

    @spelled
    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: float | slice | Sequence[float] | None = None,
        *,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        moms: tuple[float, float] | None = (0.95, 0.85),
        wd: float | None = None,
        early_stopping: EarlyStopping | None = None,
    ) -> EpochTable:
        """Train with one cycle of the rate: from `lr_max / div` up over `pct_start` of the steps, then down to near 0.

        `moms`: momentum goes from the first to the second and back (None: leave it).
        Source: Smith and Topin, *Super-convergence: very fast training of neural networks using large learning rates*,
        2018.
        """
        n_epoch = whole_epochs("fit_one_cycle", n_epoch)
        refuse_cycle(div, div_final, pct_start, moms)
        call: dict[str, Any] = {"n_epoch": n_epoch, "lr_max": lr_max, "div": div, "div_final": div_final}
        call |= {"pct_start": pct_start, "moms": moms, "wd": wd, "early_stopping": early_stopping}
        total = n_epoch * len(self.dls.train)
        schedule = functools.partial(one_cycle, total=total, pct_start=pct_start, div=div, div_final=div_final)
        momentum = None
        if moms is not None:
            high, low = moms
            momentum = functools.partial(one_cycle_momentum, total=total, pct_start=pct_start, high=high, low=low)
        run = self._checked_run(lr_max, schedule=schedule, momentum=momentum, wd=wd)
        return self._trained(run, n_epoch, early_stopping, ("fit_one_cycle", given_arguments(self.fit_one_cycle, call)))

    def _checked_run(
        self,
        lr: float | slice | Sequence[float] | None,
        *,
        schedule: Callable[[int], float],
        momentum: Callable[[int], float] | None,
        wd: float | None,
    ) -> Run:
        """`make_run` after a look at whether everything fits together."""
        refuse_course(self.lr if lr is None else lr, wd, schedule, momentum)
        self.check()
        check_weights(self.model)
        return self.make_run(lr, schedule=schedule, momentum=momentum, wd=wd)

    def _trained(
        self, run: Run, n_epoch: int, early_stopping: EarlyStopping | None, call: tuple[str, dict[str, Any]]
    ) -> EpochTable:
        """Both fits: train, and leave the records in order however it ends. `call`: the method and its arguments."""
        refuse_stopping(early_stopping)
        stopping = None
        if early_stopping is not None:
            stopping = resolved(early_stopping, self.metrics, self.dls.valid is not None)
        if self.run_dir is not None and not self.calls:
            refuse_used(self.run_dir)
        self.calls.append(call)
        if self.run_dir is not None:
            write_recipe(self, self.run_dir)
        try:
            rows = fit(
                run,
                self.dls.train,
                epochs=n_epoch,
                batch_size=min(self.dls.bs, len(self.dls.train.dataset)),
                validation=self.validation(),
                hooks=self._observers(),
                micro=self.micro,
                early_stopping=stopping,
            )
        except NonFiniteLossError as error:
            kept = f"before epoch {error.restored}" if stopping is None else named_weights(run.weights_epoch)
            message = f"{non_finite_message(self, error)} The weights are back as they were {kept}."
            raise FloatingPointError(message) from error
        except RuntimeError as error:
            raise explained(error, self.model, self.dls) from error
        finally:
            self.epochs_done += math.ceil(run.step / len(self.dls.train))
            self.weights_epoch = run.weights_epoch
            if not run.step:  # nothing was trained
                self.calls.pop()
        if run.stop == INTERRUPTED:
            raise KeyboardInterrupt
        if self.progress and run.stop:
            say(f"stopped: {run.stop}")
        if self.progress and run.weights_epoch != rows[-1].epoch:
            say(f"the weights are those of epoch {run.weights_epoch}, the best")
        return EpochTable(rows, run.weights_epoch)

    def make_run(
        self,
        lr: float | slice | Sequence[float] | None = None,
        *,
        schedule: Callable[[int], float] = constant,
        momentum: Callable[[int], float] | None = None,
        wd: float | None = None,
    ) -> Run:
        """A fresh `Run` of this learner's model: what `fit` trains, for a loop of your own."""
        groups = split_groups(self.splitter, self.model)
        rate = self.lr if lr is None else lr
        decay = self.wd if wd is None else wd
        return Run(
            model=self.model,
            optimizer=build_optimizer(self.opt_func, groups, lr=rate, weight_decay=decay),
            objective=self.objective(),
            schedule=schedule,
            momentum=momentum,
            max_norm=self.max_norm,
            scaler=GradScaler(self.device.type) if self.precision == "fp16" else None,
            seed=self.seed,
            first_epoch=self.epochs_done,
            weights_epoch=self.weights_epoch,
        )

    def objective(self) -> Callable[..., Tensor]:
        """What is minimised: the loss, with noise and penalties if asked for."""
        objective: Callable[..., Tensor] = functools.partial(
            supervised,
            loss_func=self.loss_func,
            n_inp=self.dls.n_inp,
            autocast=autocast_dtype(self.precision),
            input_noise=self.input_noise,
        )
        if self.l1 or self.l2:
            return functools.partial(penalised, objective=objective, l1=self.l1, l2=self.l2)
        return objective

    def validation(self) -> Validation | None:
        """How an epoch is judged; None without validation data."""
        if self.dls.valid is None:
            return None
        return Validation(
            data=self.dls.valid,
            loss_func=self.loss_func,
            metrics=self.metrics,
            n_inp=self.dls.n_inp,
            autocast=autocast_dtype(self.precision),
        )

    def _observers(self) -> list[Observer]:
        """Those that keep what was trained come first, so that one that fails after them loses nothing."""
        own: list[Observer] = [StopOnInterrupt(), self.recorder]
        if self.checkpoint is not None:
            own.append(self.checkpoint)
        return [*own, *([Progress()] if self.progress else []), *self.hooks]

    def check(self) -> None:
        """Once: say what will be trained, and refuse what does not fit together."""
        if self.checked:
            return
        autocast = autocast_dtype(self.precision)
        check_first_batch(self.model, self.dls, self.loss_func, self.metrics, autocast, self.micro)
        self.checked = True
        if self.progress:
            say(self.headline())
            if self.loss_reason:
                say(f"loss: {part_name(self.loss_func)}, since {self.loss_reason} (loss_func= overrides)")

    @spelled
    def lr_find(
        self, *, start_lr: float = 1e-7, end_lr: float = 10.0, steps: int = 100, diverged: float = 4.0
    ) -> RateFinder:
        """Sweep the learning rate on a copy of the model: suggestions, and `.plot()`. The learner does not change."""
        self.check()
        try:
            found = lr_find(
                self.make_run(),
                self.dls.train,
                start_lr=start_lr,
                end_lr=end_lr,
                steps=steps,
                diverged=diverged,
                micro=self.micro,
            )
        except RuntimeError as error:
            raise explained(error, self.model, self.dls) from error
        if self.progress:
            say(
                f"suggested rates: minimum/10 {found.minimum:.2g}, steepest {found.steepest:.2g}, valley "
                f"{found.valley:.2g}; valley is the careful choice"
            )
        return found

    # --- using the model ------------------------------------------------------------------------------------------

    def loader(self, dl: DataLoader | None, ds_idx: int) -> DataLoader:
        if dl is not None:
            refuse_loader(dl)
            return dl.to(self.device)
        if not isinstance(ds_idx, int) or not 0 <= ds_idx < len(self.dls.loaders):
            raise ValueError(f"there is no loader {ds_idx!r}; the learner has {len(self.dls.loaders)} (0 is training)")
        loader = self.dls[ds_idx]
        return loader.new(shuffle=False, drop_last=False, augment=False) if ds_idx == 0 else loader

    @spelled
    def validate(self, dl: DataLoader | None = None, ds_idx: int = 1) -> Evaluation:
        """Loss and metrics over a loader: the validation data unless given."""
        return evaluate(
            self.model,
            self.loader(dl, ds_idx),
            loss_func=self.loss_func,
            metrics=self.metrics,
            n_inp=self.dls.n_inp,
            autocast=autocast_dtype(self.precision),
        )

    @spelled
    def get_preds(
        self, dl: DataLoader | None = None, ds_idx: int = 1, *, with_loss: bool = False, with_decoded: bool = False
    ) -> tuple[Any, ...]:
        """Predictions (probabilities [N K], or values) and targets of a loader: `preds, targets[, decoded][, losses]`.

        `with_decoded` adds the decided classes [N], `with_loss` each item's own loss [N]. A loader without targets
        gives None for them.
        """
        loader = self.loader(dl, ds_idx)
        outputs, targets = predict_batches(
            self.model, loader, n_inp=self.dls.n_inp, autocast=autocast_dtype(self.precision)
        )
        probabilities = activation_for(self.loss_func)(outputs)
        found: list[Any] = [probabilities, targets[0] if len(targets) == 1 else (targets or None)]
        if with_decoded:
            found.append(decode_for(self.loss_func)(probabilities))
        if with_loss:
            if not targets:
                raise ValueError("get_preds: with_loss=True needs a loader that has targets")
            with torch.no_grad():
                found.append(items_losses(self.loss_func, outputs, targets))
        return tuple(found)

    def predictor(self) -> Predictor:
        """The model with all it needs to predict, and nothing of training. It shares the learner's weights."""
        return make_predictor(self)

    def predict(self, item: Any) -> Prediction:
        """The answer for one item (an image's path, an array): `label, decided, probabilities`."""
        return self.predictor().predict(item)

    def show_results(self, *, nrows: int = 3, ncols: int = 3) -> "Figure":
        """Validation samples with their target above the model's answer."""
        return show_results(self, nrows, ncols)

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, file: str | Path) -> Path:
        """Write the model's weights, and only them, to `models/FILE.safetensors` (or to a path with folders)."""
        return save_weights(self.model, weights_path(self.path, file))

    def load(self, file: str | Path) -> "Learner":
        """Read weights that `save` (or the checkpoint hook) wrote. `ValueError` names layers that do not fit."""
        load_weights(self.model, weights_path(self.path, file))
        self.weights_epoch = None
        return self

    def export(self, file: str | Path | None = None) -> Path:
        """Write one file for use elsewhere: weights, vocabulary, model and inference transforms; no code.

        `file`: `model.safetensors` in the run's folder, or `export.safetensors` here, unless given.
        `sm.load_learner(file).predict(item)` needs nothing else. Parts of your own that a file cannot hold are
        named there, and asked for on loading.
        """
        facts = {"run": self.headline(), **result_facts(self)}
        default = "export.safetensors" if self.run_dir is None else self.run_dir / "model.safetensors"
        return write_model(default if file is None else file, self.predictor(), facts)

    def report(self, file: str | Path | None = None) -> Path:
        """Write one self-contained HTML file: result, curves, the hardest samples, and the run as code.

        `file`: `report.html`, in the run's folder if there is one, unless given.
        """
        from satsuma.learner.reporting import write_learner_report

        default = Path("report.html") if self.run_dir is None else self.run_dir / "report.html"
        return write_learner_report(self, default if file is None else Path(file))

    def parameters(self) -> Iterable[nn.Parameter]:
        """The model's parameters."""
        return self.model.parameters()
