"""A model whose parameters, gradients and optimiser's state are spread over processes (FSDP2), and its whole state."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from satsuma.train.run import Run


def sharded_copy(model: nn.Module, device: torch.device, size: int) -> nn.Module:
    """A copy of the model, of whose parameters each of `size` processes keeps its part on `device`.

    Blocks are brought together one at a time while they compute: see `sharding_blocks`.
    Source: Zhao and others, *PyTorch FSDP: experiences on scaling fully sharded data parallel*, 2023.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh, made = init_device_mesh(device.type, (size,)), copy.deepcopy(model)
    for parameter in made.parameters():
        parameter.data = parameter.data.contiguous()  # it takes no other order in memory, such as channels last
    for block in [*sharding_blocks(made), made]:
        fully_shard(block, mesh=mesh)
    for buffer_owner in made.modules():
        for name, buffer in buffer_owner._buffers.items():
            if buffer is not None:
                buffer_owner._buffers[name] = buffer.to(device)
    return made


def sharding_blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The largest parts that hold parameters and are no mere lists of parts (`nn.Sequential`, `nn.ModuleList`)."""
    for child in model.children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            yield from sharding_blocks(child)
        elif any(True for _ in child.parameters()):
            yield child


def swap_parameters(optimizer: Optimizer, old: nn.Module, new: nn.Module) -> None:
    """Let an optimiser that has made no step train `new` in the place of `old`, which it was made for."""
    names = {id(p): name for name, p in old.named_parameters()}
    found = dict(new.named_parameters())
    for group in optimizer.param_groups:
        group["params"] = [found[names[id(p)]] for p in group["params"]]
        if "fused" in group and not isinstance(optimizer, torch.optim.Adam):
            group["fused"] = False  # of the fused kernels only Adam's take tensors that are spread


def whole_state(value: Any) -> Any:
    """Tensors, and dicts, lists and tuples of them, with each that is spread brought together on the CPU."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, Mapping):
        return {key: whole_state(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole_state(part) for part in value)
    return value


def spread_like(own: Any, whole: Any) -> Any:
    """This process's part of a whole tensor, where `own` is spread over the processes; else the tensor as it is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(own, DTensor) or not isinstance(whole, Tensor) or isinstance(whole, DTensor):
        return whole
    there = whole.to(device=own.device, dtype=whole.dtype)
    return distribute_tensor(there, own.device_mesh, own.placements, src_data_rank=None)


def spread_fit(run: Run, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a fit (`fit_state`) with its tensors spread as those of `run.model` and its optimiser are."""
    own, found = run.model.state_dict(), dict(state)
    for name in ("model", "whole"):
        found[name] = spread_weights(own, state[name])
    if state["best"] is not None:
        found["best"] = {**state["best"], "weights": spread_weights(own, state["best"]["weights"])}
    parameters = [p for group in run.optimizer.param_groups for p in group["params"]]
    kept = {
        i: {k: spread_like(parameters[i], v) if is_shaped(v, parameters[i]) else v for k, v in entry.items()}
        for i, entry in state["optimizer"]["state"].items()
    }
    groups = [
        {**group, "fused": own_group["fused"]} if "fused" in own_group else group
        for group, own_group in zip(state["optimizer"]["param_groups"], run.optimizer.param_groups, strict=True)
    ]
    found["optimizer"] = {"state": kept, "param_groups": groups}
    return found


def spread_weights(own: Mapping[str, Any], weights: Any) -> Any:
    """Weights by name, spread as `own` are; what is no such thing as it is."""
    return {k: spread_like(own.get(k), v) for k, v in weights.items()} if isinstance(weights, Mapping) else weights


def is_shaped(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
