"""What the tests of this rung share: a piece and its production twin, given the same numbers."""

from contextlib import contextmanager

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from satsuma.ladder.tensors import (
    activation_layers,
    convolution,
    linear,
    noise,
    normalisation,
    pooling,
    recurrent,
)
from satsuma.ladder.tensors.model import Sequential, named_parameters, state_dict

QUICK = settings(max_examples=15, deadline=None)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
DTYPES = st.sampled_from((torch.float32, torch.float64))
SEEDS = st.integers(0, 10**6)
ROOMS = (activation_layers, convolution, linear, noise, normalisation, pooling, recurrent)
TWINS = {name: getattr(room, name) for room in ROOMS for name in vars(room) if isinstance(getattr(room, name), type)}


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def both(kind, *args, dtype=torch.float64, seed=0, **settings):
    """The ladder's layer and torch's (or Satsuma's, if `kind` is a class of its), both new from one seed."""
    production_class = getattr(nn, kind) if isinstance(kind, str) else kind
    with default_dtype(dtype):
        torch.manual_seed(seed)
        production = production_class(*args, **settings)
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        twin = TWINS[production_class.__name__](*args, **settings)
        assert torch.equal(torch.get_rng_state(), state), "they drew a different number of random numbers"
    assert_same_weights(twin, production, 0)
    return twin, production


def assert_same_weights(twin, production, tolerance):
    """Same names in the same order, same dtypes, same numbers: to the last bit if the tolerance is 0."""
    own, others = state_dict(twin), production.state_dict()
    assert list(own) == list(others)
    for name in others:
        assert_close(own[name], others[name], tolerance)


def assert_close(value, expected, tolerance):
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


def assert_same_results(twin, production, *inputs, seed=0, tolerance=None):
    """Equal outputs, and equal gradients of inputs and parameters for a random direction of the output."""
    tolerance = TOLERANCE[inputs[0].dtype] if tolerance is None else tolerance
    results = []
    for model in (twin, production):
        given = [x.clone().requires_grad_() for x in inputs]
        torch.manual_seed(seed)  # for dropout
        out = model(*given)
        outputs = out if isinstance(out, tuple) else (out,)
        directions = torch.Generator().manual_seed(seed)
        loss = sum((o * torch.randn(o.shape, generator=directions, dtype=torch.float64)).sum() for o in outputs)
        for parameter in parameters_of(model).values():
            parameter.grad = None
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in parameters_of(model).items()}
        gradients |= {i: x.grad for i, x in enumerate(given)}
        results.append((outputs, gradients))
    (outputs, gradients), (expected_outputs, expected_gradients) = results
    assert gradients.keys() == expected_gradients.keys()
    for value, expected in zip(outputs, expected_outputs, strict=True):
        assert_close(value, expected, tolerance)
    for name, expected in expected_gradients.items():
        scale = max(1.0, float(expected.abs().max()))
        assert_close(gradients[name] / scale, expected / scale, tolerance)


def parameters_of(model):
    if isinstance(model, nn.Module):
        return dict(model.named_parameters())
    return named_parameters(model) if hasattr(model, "training") else {}


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def mirrored(module):
    """The ladder's twin of a module that is made of known parts, with the same weights."""
    twin = new_twin(module)
    for name, parameter in named_parameters(twin).items():
        parameter.data = module.get_parameter(name).detach().clone()
    for name, buffer in module.named_buffers():
        owner = twin
        for part in name.split(".")[:-1]:
            owner = owner.layers[int(part)] if isinstance(owner, Sequential) else getattr(owner, part)
        setattr(owner, name.split(".")[-1], buffer.clone())
    return twin


def new_twin(module):
    if isinstance(module, nn.Sequential):
        return Sequential(*[new_twin(part) for part in module])
    names = {
        "Linear": ("in_features", "out_features"),
        "Conv2d": ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
        "BatchNorm1d": ("num_features", "eps", "momentum"),
        "BatchNorm2d": ("num_features", "eps", "momentum"),
        "MaxPool2d": ("kernel_size", "stride", "padding"),
        "AdaptiveAvgPool2d": ("output_size",),
        "Dropout": ("p",),
        "LogSoftmax": ("dim",),
    }.get(type(module).__name__, ())
    settings = {"bias": module.bias is not None} if isinstance(module, nn.Linear | nn.Conv2d) else {}
    return TWINS[type(module).__name__](*[getattr(module, name) for name in names], **settings)
