"""`Learner`: data, model, loss and optimiser in one hand, with the book's words. It has no maths of its own."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from satsuma.data.checks import warn_user
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.loader import DataLoader
from satsuma.data.seeds import as_seed, drawn_seed
from satsuma.errors import spelled
from satsuma.functional.label_metrics import LabelReport
from satsuma.functional.links import part_name
from satsuma.hooks.progress import say
from satsuma.hooks.recorder import Recorder
from satsuma.inspect.activations import Activations
from satsuma.inspect.heat_map import HeatPicture
from satsuma.inspect.model_graph import ModelGraph
from satsuma.inspect.model_table import ModelTable
from satsuma.learner.arguments import (
    given_micro,
    refuse_auto_micro,
    refuse_cycle,
    refuse_fine_tune,
    refuse_mixing,
    refuse_negative,
    refuse_not_positive,
    refuse_settings,
    whole_epochs,
)
from satsuma.learner.beginnings import Past, note_built, without_cache
from satsuma.learner.choices import (
    build_model,
    choose_loss,
    initialise_lazy,
    listed_hooks,
    listed_metrics,
    make_checkpoint,
    model_maker,
    without_watchers,
)
from satsuma.learner.compiling import CompileCost
from satsuma.learner.features import FeaturesOf
from satsuma.learner.fitting import fine_tuned, fitted, rates_found
from satsuma.learner.freezing import frozen_text, set_frozen
from satsuma.learner.largest import largest_batch_of
from satsuma.learner.looking import activations_of, graph_of, learner_heat, summary_of
from satsuma.learner.memory import checked, explaining_memory
from satsuma.learner.nan_report import BrokenStep, NanReport, explained_nan
from satsuma.learner.peeling import peel_learner
from satsuma.learner.predicting import chosen_loader, predictions, scores_of_labels
from satsuma.learner.recording import data_recipe, given_arguments, result_facts, weights_path
from satsuma.learner.resizing import changed_loaders
from satsuma.learner.results import make_predictor, show_results
from satsuma.learner.resuming import ResumePoints
from satsuma.learner.running import checked_run, new_run, objective_of, one_cycle_run, validation_of
from satsuma.learner.table import EpochTable
from satsuma.learner.together import refuse_lonely_share, refuse_parallel, same_start
from satsuma.learner.tta import TTA, augmented_answers
from satsuma.optim.optimizers import AdamW
from satsuma.optim.schedules import constant
from satsuma.ship.model_file import write_model
from satsuma.ship.predictor import Prediction, Predictor
from satsuma.train.checkpoint import load_weights, save_weights
from satsuma.train.early_stopping import EarlyStopping
from satsuma.train.evaluate import Evaluation, evaluate
from satsuma.train.fit import Observer, Validation
from satsuma.train.largest_batch import MOST, LargestBatch
from satsuma.train.lr_find import RateFinder
from satsuma.train.memory import Slices
from satsuma.train.mixing import CutMix, MixUp
from satsuma.train.precision import autocast_dtype, pick_device, pick_precision, placed_model
from satsuma.train.profile import Profile, profile
from satsuma.train.run import Run
from satsuma.train.world import join_world

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satsuma.inspect.faults import Faults
    from satsuma.inspect.interpretation import Interpretation
    from satsuma.peel.script import Script


class Learner:
    """Trains `model` on `dls`, and uses it.

    `model`: a module; a function without arguments that builds one (under `seed`); or an architecture's name.
    `loss_func(outputs, *targets)`: chosen by the target's block if not given, and said. `opt_func(groups, lr=)`: any
    of `sm.SGD, Adam, AdamW, AdaGrad, RMSprop` or torch's. `metrics`: functions `(outputs, targets)`, or torchmetrics'.
    `wd`: weight decay, not applied to biases and normalisation. `splitter(model)`: lists of parameters, the layer
    groups that discriminative rates are spread over and `freeze` freezes. `batch_norm`: in frozen groups normalisation
    goes on learning ("train"), or is "frozen" as well. `max_norm`: clip the gradients' norm. `micro`: the most samples
    at once in the model (memory); "auto": all of a batch, and half as many each time that memory runs out.
    `l1`, `l2`: penalties on weights. `input_noise`: deviation of noise on inputs.
    `mixup`: `MixUp()` or `CutMix()`, and `label_smoothing`, the share of a target that is spread over all classes:
    both in training only, so that validation losses stay comparable.
    `precision`: "float32", "bf16", "fp16" (CUDA) or "auto". `compile`: True, or a backend's name, for `torch.compile`;
    the first step then takes long, and the learner says how long. `hooks`: observers beside the table and the recorder.
    `parallel`: where torchrun started several processes, each holds the whole model ("ddp") or a part ("fsdp"); `bs`
    samples an update go through all of them together. `sync_batch_norm`: normalise over all of these (CUDA).
    `seed`: of weights, dropout and other noise; None draws one and prints it. `run_dir`: a folder for history,
    checkpoints and recipe. There the run's whole state is kept at the ends of epochs, every `save_steps` steps and
    after `save_minutes` without, for `fit(resume=True)`. `progress=False`: print nothing.
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
        splitter: Callable[[nn.Module], Sequence[Any]] | None = None,
        batch_norm: str = "train",
        max_norm: float | None = None,
        micro: int | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        input_noise: float = 0.0,
        mixup: MixUp | CutMix | None = None,
        label_smoothing: float = 0.0,
        seed: int | None = 42,
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool | str = False,
        parallel: str = "ddp",
        sync_batch_norm: bool = False,
        hooks: Sequence[Observer] = (),
        run_dir: str | Path | None = None,
        save_steps: int | None = None,
        save_minutes: float | None = 10.0,
        path: str | Path = ".",
        progress: bool = True,
    ) -> None:
        if not isinstance(dls, DataLoaders):
            raise TypeError(f"Learner: dls must be DataLoaders, got {type(dls).__name__}: DataLoaders(train, valid)")
        refuse_settings(opt_func, loss_func, lr, wd, batch_norm, compile, progress, run_dir)
        refuse_negative(l1=l1, l2=l2, input_noise=input_noise)
        refuse_not_positive(
            max_norm=max_norm, micro=given_micro(micro), save_steps=save_steps, save_minutes=save_minutes
        )
        self.seed, self.seed_drawn = (drawn_seed(), True) if seed is None else (as_seed(seed), False)
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.world = join_world()
        if self.seed_drawn:
            self.seed = self.world.first(self.seed)
        self.device = pick_device(device)
        lacking = {"micro": micro, "l1": l1, "l2": l2, "compile": compile}
        refuse_parallel(parallel, sync_batch_norm, self.world, self.device, **lacking)
        refuse_auto_micro(micro, self.world.size)
        self.parallel, self.sync_batch_norm = parallel, sync_batch_norm
        self._dls = dls if self.device.type == "cpu" else dls.to(self.device)
        self.model_source = model
        self.maker = model_maker(model, self.dls)
        self.model = placed_model(build_model(self.maker, self.seed), self.device)
        initialise_lazy(self.model, self.dls, self.seed, self.device)
        self.model = same_start(self.model, self.world, sync_batch_norm)
        chosen, self.loss_reason = (loss_func, "") if loss_func is not None else choose_loss(dls.targets)
        self.loss_func: Callable[..., Tensor] = chosen.to(self.device) if isinstance(chosen, nn.Module) else chosen
        refuse_mixing(self.loss_func, mixup, label_smoothing)
        self.label_smoothing, self.mixup = label_smoothing, mixup
        self.opt_func, self.lr, self.wd = opt_func, lr, wd
        self.splitter, self.batch_norm = splitter, batch_norm
        self.frozen_to = 0  # the first layer group that learns
        self.resting: list[nn.Module] = []  # the layers that freezing has put into evaluation mode
        self.metrics = listed_metrics(metrics)
        self.max_norm, self.micro = max_norm, given_micro(micro)
        self.slices = Slices() if micro == "auto" else None
        self.l1, self.l2, self.input_noise = l1, l2, input_noise
        self.precision = pick_precision(precision, self.device, self.model)
        self.compile = compile
        self.compile_cost: CompileCost | None = None  # once the model is compiled
        self.path, self.progress = Path(path), progress and self.world.rank == 0
        writes = self.run_dir is not None and self.world.rank == 0
        self.recorder = Recorder(self.run_dir / "history.jsonl" if self.run_dir and writes else None)
        self.checkpoint = make_checkpoint(self.run_dir, self.metrics, dls.valid is not None)
        self.resume_points = None if run_dir is None else ResumePoints(self, save_steps, save_minutes)
        self.hooks, self.watchers = without_watchers(listed_hooks(hooks))
        self.epochs_done = 0
        self.weights_epoch: int | None = None  # the evaluated epoch that the weights are of; None where there is none
        self.calls: list[tuple[str, dict[str, Any]]] = []  # the fits so far, for the recipe
        self.checked = False
        self.title = model if isinstance(model, str) else type(self.model).__name__
        self.made: tuple[str, dict[str, Any]] = ("Learner", {})  # the function that made it, for the recipe
        self.normalize: Any = None  # what the data are normalised by, where that follows the model's weights
        self.features_of: FeaturesOf | None = None  # where this learner's data come from, if they are features
        self.broken: BrokenStep | None = None  # the step that ended the last fit, if its loss was not finite
        self.past = Past()
        note_built(self)

    @property
    def dls(self) -> DataLoaders:
        """The loaders. Others may be given between fits (larger images, say), if their targets are the same."""
        return self._dls

    @dls.setter
    def dls(self, dls: DataLoaders) -> None:
        changed = changed_loaders(self, dls)
        self.past.loaders.append(without_cache(self._dls))
        self._dls, self.checked = changed, False
        self.calls.append(("dls", {"data": data_recipe(self._dls)}))

    @property
    def compile_s(self) -> float | None:
        """Seconds that the first step of a compiled model took; None before it."""
        return None if self.compile_cost is None else self.compile_cost.seconds

    def __repr__(self) -> str:
        return f"Learner({self.headline()})"

    def headline(self) -> str:
        """What is trained on what, in one line."""
        parameters = sum(p.numel() for p in self.model.parameters())
        valid = f", {len(self.dls.valid.dataset):,} valid" if self.dls.valid else ""
        compiled = ", compiled" if self.compile else ""
        return (
            f"{self.title}, {parameters:,} parameters{frozen_text(self)}; {len(self.dls.train.dataset):,} train{valid} "
            f"samples; batch size {self.dls.bs}; {self.device}, {self.precision}{compiled}"
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
        resume: bool = False,
    ) -> EpochTable:
        """Train for `n_epoch` epochs at rate `lr` times `schedule(step)`; the rows of the epoch table.

        `lr`: a number; `slice(low, high)` over the layer groups; or one number for each.
        Raises `FloatingPointError` when the loss becomes NaN, naming the step and the batch's items; the weights are
        then as they were before that epoch. `KeyboardInterrupt` after Ctrl-C, once the epoch is evaluated and saved;
        `SystemExit` after SIGTERM, once the state is saved in the run's folder.
        `resume`: go on with the run in the learner's `run_dir`, if one was cut off there, to the very same weights;
        fits that it had completed are passed over. Refused (`ValueError`) where data, model or settings are others.
        """
        n_epoch = whole_epochs("fit", n_epoch)
        call: dict[str, Any] = {"n_epoch": n_epoch, "lr": lr, "schedule": schedule, "momentum": momentum, "wd": wd}
        call["early_stopping"] = early_stopping
        run = checked_run(self, lr, schedule=schedule, momentum=momentum, wd=wd)
        return fitted(self, run, n_epoch, early_stopping, ("fit", given_arguments(self.fit, call)), resume=resume)

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
        resume: bool = False,
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
        run = one_cycle_run(self, n_epoch, lr_max, div=div, div_final=div_final, pct_start=pct_start, moms=moms, wd=wd)
        made = ("fit_one_cycle", given_arguments(self.fit_one_cycle, call))
        return fitted(self, run, n_epoch, early_stopping, made, resume=resume)

    @spelled
    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        *,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        div_final: float = 1e5,
        moms: tuple[float, float] | None = (0.95, 0.85),
        wd: float | None = None,
        early_stopping: EarlyStopping | None = None,
        resume: bool = False,
    ) -> EpochTable:
        """Train the last layer group alone for `freeze_epochs`, then all of them for `epochs`; the rows of both.

        Each stage is one cycle: first to `base_lr`; then to half of it in the last group, spread down to `lr_mult`
        times less in the first. `early_stopping` watches each stage by itself.
        Source: Howard and Gugger, *fastai: A Layered API for Deep Learning*, 2020 (`Learner.fine_tune`).
        """
        epochs = whole_epochs("fine_tune", epochs)
        refuse_fine_tune(base_lr, freeze_epochs, lr_mult)
        refuse_cycle(div, div_final, pct_start, moms)
        call: dict[str, Any] = {"epochs": epochs, "base_lr": base_lr, "freeze_epochs": freeze_epochs}
        call |= {"lr_mult": lr_mult, "pct_start": pct_start, "div": div, "div_final": div_final, "moms": moms}
        call |= {"wd": wd, "early_stopping": early_stopping}
        return fine_tuned(
            self,
            epochs,
            base_lr,
            freeze_epochs=freeze_epochs,
            lr_mult=lr_mult,
            pct_start=pct_start,
            div=div,
            div_final=div_final,
            moms=moms,
            wd=wd,
            early_stopping=early_stopping,
            resume=resume,
            call=("fine_tune", given_arguments(self.fine_tune, call)),
        )

    def freeze(self) -> None:
        """Only the last layer group learns from now on."""
        set_frozen(self, -1)
        if not self.frozen_to:
            warn_user("freeze: the model is one layer group, so nothing is frozen; splitter= divides it into several")
        self.calls.append(("freeze", {}))

    def freeze_to(self, n: int) -> None:
        """Only the layer groups from number `n` on learn from now on; -2 is the last two."""
        set_frozen(self, n)
        self.calls.append(("freeze_to", {"n": n}))

    def unfreeze(self) -> None:
        """All layer groups learn from now on."""
        set_frozen(self, 0)
        self.calls.append(("unfreeze", {}))

    @spelled
    def precompute(self, *, views: int = 0) -> "Learner":
        """A learner of this model's head on the features of its body, which are computed here and now.

        Training it costs almost nothing and trains this learner's head, since they share it; the body stays as it is,
        normalisation too. `views`: how many augmented views of each training item are kept, of which each epoch sees
        the next; 0: the items as validation sees them. Left out, whatever this learner's are: `mixup` and
        `input_noise`, which are of pictures; `micro` and `compile`, which so small a model does not need; `run_dir`.
        Raises `ValueError` for a model without body and head.
        """
        from satsuma.learner.precompute import head_learner

        return head_learner(self, views)

    def make_run(
        self,
        lr: float | slice | Sequence[float] | None = None,
        *,
        schedule: Callable[[int], float] = constant,
        momentum: Callable[[int], float] | None = None,
        wd: float | None = None,
    ) -> Run:
        """A fresh `Run` of this learner's model: what `fit` trains, for a loop of your own."""
        return new_run(self, lr, schedule=schedule, momentum=momentum, wd=wd)

    def objective(self) -> Callable[..., Tensor]:
        """What is minimised: the loss, with noise and penalties if asked for."""
        return objective_of(self)

    def validation(self) -> Validation | None:
        """How an epoch is judged; None without validation data."""
        return validation_of(self)

    def check(self) -> None:
        """Once: say what will be trained, and refuse what does not fit together."""
        if self.checked:
            return
        checked(self)
        refuse_lonely_share(self)
        self.checked = True
        if self.progress:
            say(self.headline())
            if self.seed_drawn:
                say(f"seed: {self.seed}, drawn; seed={self.seed} gives this run again")
            if self.loss_reason:
                say(f"loss: {part_name(self.loss_func)}, since {self.loss_reason} (loss_func= overrides)")

    @spelled
    def lr_find(
        self, *, start_lr: float = 1e-7, end_lr: float = 10.0, steps: int = 100, diverged: float = 4.0
    ) -> RateFinder:
        """Sweep the learning rate on a copy of the model: suggestions, and `.plot()`. The learner does not change."""
        return rates_found(self, start_lr=start_lr, end_lr=end_lr, steps=steps, diverged=diverged)

    def explain_nan(self) -> NanReport:
        """After a loss that became NaN or infinite: that step again, from the run's last checkpoint, under watch.

        It names the layer out of which the first value comes that is not finite, the range of that layer's inputs, the
        samples, and what autograd's anomaly detection finds. The learner does not change. Raises `ValueError` where
        the last fit did not end so, or without a `run_dir`.
        """
        return explained_nan(self)

    @spelled
    def largest_batch(self, *, most: int = MOST) -> LargestBatch:
        """The largest batch, a power of two up to `most`, whose steps there is memory for. The learner does not change.

        On a GPU steps are made in earnest; on a CPU, whose memory must not run out, it follows from a few small ones.
        """
        return largest_batch_of(self, most)

    @spelled
    def profile(self, *, steps: int = 20) -> Profile:
        """Where the time of `steps` training steps goes, from files to updates. The learner does not change."""
        self.check()
        run = self.make_run()
        return profile(run, self.dls.train, validation=self.validation(), steps=steps, micro=self.micro)

    # --- using the model ------------------------------------------------------------------------------------------

    def loader(self, dl: DataLoader | None, ds_idx: int) -> DataLoader:
        return chosen_loader(self, dl, ds_idx)

    @spelled
    def validate(self, dl: DataLoader | None = None, ds_idx: int = 1) -> Evaluation:
        """Loss and metrics over a loader: the validation data unless given."""
        with explaining_memory(self):
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

        `with_decoded` adds the decided classes [N] (of several labels each True or False, [N K]), `with_loss` each
        item's own loss [N]. A loader without targets gives None for them.
        """
        with explaining_memory(self):
            return predictions(self, self.loader(dl, ds_idx), with_loss=with_loss, with_decoded=with_decoded)

    @spelled
    def tta(
        self,
        dl: DataLoader | None = None,
        ds_idx: int = 1,
        *,
        n: int = 4,
        beta: float = 0.25,
        use_max: bool = False,
    ) -> TTA:
        """Predictions from `n` augmented views of each item and the plain one: `preds, targets = learn.tta()`.

        The views go through the transforms of training. `beta`: the plain view's share; the others' mean has the
        rest. `use_max`: the highest of all views instead. The learner and its data do not change.
        Raises `ValueError` where no transform draws, or where masks, points or boxes would be moved.
        """
        return augmented_answers(self, self.loader(dl, ds_idx), n, beta, use_max)

    def label_report(self, dl: DataLoader | None = None, ds_idx: int = 1) -> LabelReport:
        """Precision, recall, F1 and average precision of every label, where an item has any number of them."""
        return scores_of_labels(self, self.loader(dl, ds_idx))

    @spelled
    def interpret(self, ds_idx: int = 1) -> "Interpretation":
        """What the model gets right and wrong on a loader (1: validation, 0: training), in numbers and pictures."""
        from satsuma.inspect.interpretation import Interpretation

        return Interpretation.from_learner(self, ds_idx)

    @spelled
    def find_faults(
        self, *, kinds: Sequence[str] | None = None, folds: int = 5, seed: int = 42, refit: bool = False
    ) -> "Faults":
        """What seems wrong in the data, judged with this model: twins, labels, outliers and more; see `find_faults`."""
        from satsuma.learner.data_faults import find_faults

        return find_faults(
            self.dls, learn=self, kinds=kinds, folds=folds, seed=seed, refit=refit, progress=self.progress
        )

    def predictor(self) -> Predictor:
        """The model with all it needs to predict, and nothing of training. It shares the learner's weights."""
        return make_predictor(self)

    def predict(self, item: Any) -> Prediction:
        """The answer for one item (an image's path, an array): `label, decided, probabilities`."""
        return self.predictor().predict(item)

    def show_results(self, *, nrows: int = 3, ncols: int = 3) -> "Figure":
        """Validation samples with their target above the model's answer."""
        return show_results(self, nrows, ncols)

    # --- looking into the model -----------------------------------------------------------------------------------

    @spelled
    def heat_map(
        self, item: Any, *, target: int | str | None = None, layer: str | None = None, ds_idx: int = 1
    ) -> HeatPicture:
        """Where in a picture the model finds its reasons, by Grad-CAM: shows itself; `.save(file)`.

        `item`: the number of a sample of loader `ds_idx` (1: validation), or an image's path or array. `target`: the
        class, or the output's number, to explain; the highest unless given. `layer`: see `sm.heat_map`.
        Raises `ValueError` for a model without convolutions, and data that are no pictures.
        """
        return learner_heat(self, item, target=target, layer=layer, ds_idx=ds_idx)

    def summary(self) -> ModelTable:
        """The model as a table, for one sample: layers, output shapes, parameters, multiply-adds, what is frozen."""
        return summary_of(self)

    def model_graph(self) -> ModelGraph:
        """The model as a drawing of what it computes, with its shortcuts: shows itself; `.save(file)`."""
        return graph_of(self)

    @spelled
    def activations(self, n: int = 64) -> Activations:
        """Each layer's outputs on the first `n` validation samples: mean, deviation, near 0, dead ReLU units by name.

        `.plot()` draws them. While training: the hook `sm.ActivationStats`.
        """
        return activations_of(self, n)

    def first_layer(self) -> "Figure":
        """The weights of the first convolution or linear layer as pictures: what it looks for."""
        from satsuma.inspect.first_layer import plot_first_layer

        return plot_first_layer(self.model)

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, file: str | Path) -> Path:
        """Write the model's weights, and only them, to `models/FILE.safetensors` (or to a path with folders)."""
        path = weights_path(self.path, file)
        return save_weights(self.model, path) if self.world.rank == 0 else path

    def load(self, file: str | Path) -> "Learner":
        """Read weights that `save` (or the checkpoint hook) wrote. `ValueError` names layers that do not fit."""
        path = weights_path(self.path, file)
        load_weights(self.model, path)
        self.weights_epoch = None
        self.calls.append(("load", {"file": path.absolute()}))
        return self

    def export(self, file: str | Path | None = None) -> Path:
        """Write one file for use elsewhere: weights, vocabulary, model and inference transforms; no code.

        `file`: `model.safetensors` in the run's folder, or `export.safetensors` here, unless given.
        `sm.load_learner(file).predict(item)` needs nothing else. Parts of your own that a file cannot hold are
        named there, and asked for on loading.
        """
        facts = {"run": self.headline(), **result_facts(self)}
        default = "export.safetensors" if self.run_dir is None else self.run_dir / "model.safetensors"
        path = Path(default if file is None else file)
        return write_model(path, self.predictor(), facts) if self.world.rank == 0 else path

    def report(self, file: str | Path | None = None) -> Path:
        """Write one self-contained HTML file: result, curves, the hardest samples, and the run as code.

        `file`: `report.html`, in the run's folder if there is one, unless given.
        """
        from satsuma.learner.reporting import write_learner_report

        default = Path("report.html") if self.run_dir is None else self.run_dir / "report.html"
        path = default if file is None else Path(file)
        return write_learner_report(self, path) if self.world.rank == 0 else path

    @spelled
    def peel(self, depth: str = "torch") -> "Script":
        """This run as one file of plain Python, with the same losses: before, during or after training.

        `depth`: what it still uses: "loop" (Satsuma without learner and recipe), "torch", "tensors" (of torch, nothing
        else of it) or "numpy". Raises `PeelError` naming the part that no script can hold, and why.

        >>> learn.peel("torch").save("train.py")  # doctest: +SKIP
        """
        return peel_learner(self, depth)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The model's parameters."""
        return self.model.parameters()
