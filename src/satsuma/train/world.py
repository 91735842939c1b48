"""Several processes that train one model, as torchrun starts them: who is who, and what they tell one another."""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

PATIENCE_S = 600.0  # that a process waits for the others before it gives up


@dataclass(frozen=True, slots=True)
class World:
    """Process number `rank` of `size`. All of them make the same calls in the same order; only rank 0 writes files."""

    rank: int = 0
    size: int = 1

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over the processes of each value."""
        told = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(told)
        return list((told / self.size).tolist())

    def largest(self, value: int) -> int:
        """The largest of the processes' numbers."""
        told = torch.tensor(value)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return int(told)

    def first(self, value: Any) -> Any:
        """What process 0 gave; the others' values are ignored."""
        told = [value]
        if self.size > 1:
            dist.broadcast_object_list(told, src=0)
        return told[0]

    def gathered(self, own: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """The processes' tensors [n *dims], of which number r has `counts[r]` rows."""
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own
        found = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(found, padded)
        return [part[:n] for part, n in zip(found, counts, strict=True)]


ALONE = World()


def join_world(timeout_s: float = PATIENCE_S) -> World:
    """This process's place among those that torchrun started; `ALONE` where it started none, or one.

    The first call joins them: gloo carries tensors of the CPU, NCCL those of CUDA, where process r of a machine takes
    GPU r; where there are fewer GPUs than processes, they share them, and gloo carries all. One that waits for the
    others for more than `timeout_s` seconds ends with an error.
    """
    if not dist.is_available() or int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        return ALONE
    if not dist.is_initialized():
        backend = "gloo"
        if torch.cuda.is_available():
            gpus, local = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
            torch.cuda.set_device(local % gpus)
            if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= gpus:  # NCCL has each process on a GPU of its own
                backend = "cpu:gloo,cuda:nccl"
        patience = timedelta(seconds=timeout_s)
        store, rank, size = next(rendezvous("env://", timeout=patience))
        # torchrun's store outlives the processes: without names of their own, those of a second start would look for
        # the first ones' addresses (so it is in torch 2.13)
        own = PrefixStore(f"start-{restarts()}", store)
        dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=patience)
        atexit.register(leave_world)
    return World(dist.get_rank(), dist.get_world_size())


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def restarts() -> int:
    """How often torchrun has started the processes again after one had failed (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def lost_message(error: Exception, world: World) -> str:
    """What to tell of an error that came of another process's end or silence; "" for any other error."""
    if world.size == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
        return ""
    reason = str(error).strip().splitlines()[0]
    return (
        f"process {world.rank} of {world.size} cannot reach the others: one has ended, or waits elsewhere. Its own "
        f"message says why; torchrun --max-restarts N starts all of them again after a failure ({reason})"
    )


def copy_first(tensors: Sequence[Tensor]) -> None:
    """Fill the tensors with those of process 0, in place."""
    for tensor in tensors:
        whole = tensor.detach().contiguous()
        dist.broadcast(whole, src=0)
        tensor.detach().copy_(whole)


def copy_first_model(model: nn.Module) -> None:
    """Give the model the parameters and statistics that process 0 has."""
    copy_first([*model.parameters(), *model.buffers()])
