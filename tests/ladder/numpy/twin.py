"""From a torch module to its twin in NumPy, and the checks that the two are equal."""

import numpy as np
import torch
from torch import nn

from satsuma.ladder.numpy import activations, convolution, layers, normalisation, optimizers, pooling
from satsuma.ladder.numpy.groups import add_weight_decay
from satsuma.ladder.numpy.model import load_state, set_dtype, set_training
from satsuma.ladder.numpy.random import Generator, bernoulli, bernoulli_intel

PLAIN = {
    nn.ReLU: activations.ReLU,
    nn.Sigmoid: activations.Sigmoid,
    nn.Tanh: activations.Tanh,
    nn.Softmax: activations.Softmax,
    nn.LogSoftmax: activations.LogSoftmax,
    nn.Flatten: layers.Flatten,
    nn.Identity: layers.Identity,
}


def torchs_bernoulli():
    """The one of the two functions that draws what torch draws on this processor."""
    theirs = torch.empty(64).bernoulli_(0.5, generator=torch.Generator().manual_seed(0)).numpy()
    return bernoulli if (bernoulli((64,), Generator(0), p=0.5) == theirs).all() else bernoulli_intel


def built(module, generator):
    """A NumPy layer, or `Sequential` of them, shaped as `module`; its first numbers come from `generator`."""
    if type(module) in PLAIN:
        return PLAIN[type(module)]()
    match module:
        case nn.Sequential():
            return layers.Sequential(*(built(part, generator) for part in module))
        case nn.Linear():
            return layers.Linear(module.in_features, module.out_features, generator, bias=module.bias is not None)
        case nn.Conv2d():
            k, stride, padding = module.kernel_size[0], module.stride[0], module.padding[0]
            return convolution.Conv2d(
                module.in_channels,
                module.out_channels,
                k,
                generator,
                stride=stride,
                padding=padding,
                bias=module.bias is not None,
            )
        case nn.MaxPool2d():
            return pooling.MaxPool2d(module.kernel_size, stride=module.stride, padding=module.padding)
        case nn.AvgPool2d():
            return pooling.AvgPool2d(module.kernel_size, stride=module.stride, padding=module.padding)
        case nn.AdaptiveAvgPool2d():
            return pooling.AdaptiveAvgPool2d(module.output_size)
        case nn.BatchNorm1d():
            return normalisation.BatchNorm1d(module.num_features, eps=module.eps, momentum=module.momentum)
        case nn.BatchNorm2d():
            return normalisation.BatchNorm2d(module.num_features, eps=module.eps, momentum=module.momentum)
        case nn.LeakyReLU():
            return activations.LeakyReLU(module.negative_slope)
        case nn.Dropout():
            return layers.Dropout(module.p, generator, torchs_bernoulli())
    raise TypeError(f"no twin of {module}")


def twin(module, generator=None):
    """The NumPy model with `module`'s numbers, in their precision and mode."""
    model = built(module, generator or Generator(0))
    floats = [t for t in module.state_dict().values() if t.is_floating_point()]
    set_dtype(model, floats[0].numpy().dtype.type if floats else np.float64)
    load_state(model, {name: t.detach().numpy().copy() for name, t in module.state_dict().items()})
    set_training(model, module.training)
    return model


def torch_state(module):
    return {name: t.detach().numpy() for name, t in module.state_dict().items()}


def assert_equal(ours, theirs, tolerance=1e-9):
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_same_layer(module, x, tolerance=1e-9):
    """Output, gradient of the input and gradients of the parameters, for a random error from the right."""
    model = twin(module)
    x = x.clone().requires_grad_(True)
    y = module(x)
    error = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(7))
    (y * error).sum().backward()
    ours = model.forward(x.detach().numpy())
    assert_equal(ours, y, tolerance)
    assert_equal(model.backward(error.numpy()), x.grad, tolerance)
    gradients = getattr(model, "gradients", {})
    assert gradients.keys() == dict(module.named_parameters()).keys()
    for name, parameter in module.named_parameters():
        assert_equal(gradients[name], parameter.grad, tolerance)
    return model


def numbers(*shape, seed=0, spread=1.0):
    """Normal float64 numbers: a tensor."""
    return spread * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def twin_optimizer(rule, arrays, *, lr, groups=None, weight_decay=None, momentum=0.0, nesterov=False, **options):
    """The NumPy optimiser that takes the steps of the library's `rule` with these options."""
    decay = (0.01 if rule == "AdamW" else 0.0) if weight_decay is None else weight_decay
    groups = groups or [{"params": list(arrays), "lr": lr, "base_lr": lr, "weight_decay": decay}]
    if momentum:
        rule, options = f"{'Nesterov' if nesterov else 'Momentum'}{rule}", {**options, "momentum": momentum}
    return getattr(optimizers, rule)(arrays, groups, **options)


def twin_step(optimizer, gradients):
    """One step, weight decay included."""
    if not isinstance(optimizer, optimizers.AdamW):
        add_weight_decay(optimizer.parameters, gradients, optimizer.param_groups)
    optimizer.step(gradients)
