"""A learner among several processes that torchrun started: what it refuses, trains, judges and writes there."""

import functools
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from satsuma.data.seeds import mix_seed
from satsuma.data.share import Share
from satsuma.functional.each_loss import reduction_of
from satsuma.hooks.base import Hook
from satsuma.hooks.checkpoint import Checkpoint
from satsuma.hooks.interrupt import StopOnInterrupt
from satsuma.learner.checks import refuse_lonely
from satsuma.train.fit import INTERRUPTED, TERMINATED, EpochRow, Plan, StepRow, Validation
from satsuma.train.precision import autocast_dtype
from satsuma.train.run import Batches, Run
from satsuma.train.sharding import sharded_copy, swap_parameters, whole_state
from satsuma.train.together import SharedObjective, mixed_share
from satsuma.train.world import World, copy_first, copy_first_model

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

PARALLEL = ("ddp", "fsdp")
# statistics are process 0's when they are used, so they need not be the same in between; torch 2.13 renamed the option
NO_BUFFERS = "forward_sync_buffers"
if NO_BUFFERS not in inspect.signature(DistributedDataParallel).parameters:
    NO_BUFFERS = "broadcast_buffers"
SIGNALLED = ("", INTERRUPTED, TERMINATED)  # the later one counts


def refuse_parallel(parallel: str, sync_batch_norm: bool, world: World, device: torch.device, **settings: Any) -> None:
    """`ValueError` for what several processes cannot do. `settings`: of the learner, those that FSDP lacks."""
    if parallel not in PARALLEL:
        raise ValueError(f'Learner: parallel is "ddp" (a whole model each) or "fsdp" (a part each), got {parallel!r}')
    if not isinstance(sync_batch_norm, bool):
        raise TypeError(f"Learner: sync_batch_norm is True or False, got {sync_batch_norm!r}")
    if world.size == 1:
        return
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f'{world.size} processes train on "cpu" (gloo) or "cuda" (NCCL), this is {device.type}')
    if sync_batch_norm and device.type != "cuda":
        raise ValueError(
            "Learner: sync_batch_norm=True needs CUDA: PyTorch's SyncBatchNorm has no version for the CPU. Leave it "
            "out; each process then normalises over its own part of the batch"
        )
    given = [name for name, value in settings.items() if value]
    if parallel == "fsdp" and given:
        raise ValueError(f'Learner: {" and ".join(given)} cannot go with parallel="fsdp"; leave out, or use "ddp"')


def refuse_lonely_share(learn: "Learner") -> None:
    """`ValueError` where batch normalisation would see one sample alone, since a batch is shared by too many."""
    size = learn.world.size
    if size == 1 or learn.sync_batch_norm:
        return
    least = min(training_share(learn).batch_sizes)
    if max(1, least // size) > 1:
        return
    inputs = tuple(part.to(learn.device) for part in learn.dls.train.one_batch()[: learn.dls.n_inp])
    try:
        refuse_lonely(learn.model, inputs, autocast_dtype(learn.precision), None)
    except ValueError as error:
        raise ValueError(
            f"{size} processes share a batch of {least}, which leaves one of them a single sample, and the model "
            f"normalises over the batch: use drop_last=True, another batch size or fewer processes"
        ) from error


def same_start(model: nn.Module, world: World, sync_batch_norm: bool) -> nn.Module:
    """The model as process 0 made it, its batch normalisation over whole batches if asked for."""
    if world.size == 1:
        return model
    copy_first_model(model)
    return nn.SyncBatchNorm.convert_sync_batchnorm(model) if sync_batch_norm else model  # type: ignore[no-untyped-call]


def shared_run(learn: "Learner", run: Run) -> Run:
    """The run as this process trains its share of it; as it is where there is one process."""
    world = learn.world
    if world.size == 1:
        return run
    if world.rank:
        run.seed = mix_seed(run.seed, world.rank)  # dropout and noise of its own
    if run.mix is not None:
        run.mix = functools.partial(mixed_share, mix=run.mix)
    if learn.parallel == "fsdp":
        learn.model.to("cpu")  # until the fit ends: the device holds a part
        shared = run.model = sharded_copy(learn.model, learn.device, world.size)
        swap_parameters(run.optimizer, learn.model, run.model)
    else:
        devices = [torch.cuda.current_device()] if learn.device.type == "cuda" else None
        options: dict[str, Any] = {"device_ids": devices, NO_BUFFERS: False}
        shared = DistributedDataParallel(run.model, **options)
    summed = reduction_of(learn.loss_func) == "sum"
    run.objective = SharedObjective(objective=run.objective, model=shared, size=world.size, summed=summed)
    return run


def training_data(learn: "Learner") -> Batches:
    """The training batches, or this process's weighed share of each."""
    return learn.dls.train if learn.world.size == 1 else training_share(learn)


def training_share(learn: "Learner") -> Share:
    return Share(loader=learn.dls.train, rank=learn.world.rank, size=learn.world.size, weighed=True)


def shared_validation(learn: "Learner") -> Validation | None:
    """How an epoch is judged, each process predicting its share."""
    world, found = learn.world, learn.validation()
    if world.size == 1 or found is None:
        return found
    return replace(found, data=Share(loader=learn.dls.loaders[1], rank=world.rank, size=world.size))


def take_whole(learn: "Learner", run: Run) -> None:
    """After a fit that has ended for all processes alike: give the learner's model what was trained."""
    if learn.world.size == 1:
        return
    copy_first(list(run.model.buffers()))
    if run.model is not learn.model:
        learn.model.load_state_dict(whole_state(run.model.state_dict()))


def share_records(learn: "Learner") -> None:
    """Give every process the history that process 0 has read."""
    recorder = learn.recorder
    kept = (recorder.losses, recorder.lrs, recorder.epochs, recorder.epoch_ends, recorder.metric_names)
    told = learn.world.first(kept)
    recorder.losses, recorder.lrs, recorder.epochs, recorder.epoch_ends, recorder.metric_names = told


class StopTogether(StopOnInterrupt):
    """`StopOnInterrupt` of several processes: a signal to any of them ends the fit of all after the same step."""

    def __init__(self, world: World, *, terminate: bool = False) -> None:
        super().__init__(terminate=terminate)
        self.world = world

    def stop(self, run: Run) -> None:
        """Not before the others know: see `on_step`."""

    def on_step(self, run: Run, row: StepRow) -> None:
        found = SIGNALLED[self.world.largest(SIGNALLED.index(self.wanted))]
        run.stop = run.stop or found


class KeepWhole(Hook):
    """`Checkpoint` of a model that processes hold parts of, or of which only process 0 writes."""

    def __init__(self, learn: "Learner", checkpoint: Checkpoint) -> None:
        self.learn, self.checkpoint = learn, checkpoint

    def on_fit_start(self, run: Run, plan: Plan) -> None:
        self.checkpoint.on_fit_start(run, plan)

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        model = self.learn.model
        if run.model is not model:
            model.load_state_dict(whole_state(run.model.state_dict()))  # by all processes
        if self.learn.world.rank == 0:
            self.checkpoint.on_epoch(replace(run, model=model), row)
