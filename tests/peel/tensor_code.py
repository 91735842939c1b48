"""What the tests of the tensors depth share: a module's source in tensor terms, run beside the original."""

import ast
import importlib
import inspect
from textwrap import dedent

import torch
from tests.ladder.tensors.compare import assert_close
from torch import nn

from satsuma.ladder.tensors.model import named_parameters, set_training, state_dict
from satsuma.peel.leftovers import leftovers
from satsuma.peel.tensor_terms import in_tensor_terms
from satsuma.peel.to_tensors import LINES, ladder_names


def run_original(code):
    """The names that `code`, in torch.nn's terms, defines."""
    names = {"torch": torch, "nn": nn, "F": nn.functional, "Tensor": torch.Tensor}
    exec(compile(dedent(code), "original", "exec", dont_inherit=True), names)
    return names


def known_names():
    names = ladder_names()
    exec("\n".join(LINES), names)
    return names


def run_converted(code):
    """The names that it defines in tensor terms; no piece of torch.nn is to be had."""
    text = in_tensor_terms(dedent(code))
    assert leftovers(text) == [], text
    names = known_names()
    exec(compile(text, "converted", "exec", dont_inherit=True), names)
    return names


def converted_files(*modules):
    """Several files of satsuma, in tensor terms, as one: without what they import of torch.nn and of each other."""
    names = known_names()
    for module in modules:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
        tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and is_dropped(node, modules))]
        text = in_tensor_terms(ast.unparse(tree))
        exec(compile(text, module, "exec", dont_inherit=True), names)
    return names


def is_dropped(node, modules):
    return (node.module or "").startswith("torch") or node.module in modules


def assert_alike(build, build_twin, *inputs, train=True, tolerance=1e-9, seed=5):
    """Equal first weights from one seed, then equal outputs, gradients and buffers; both models as they then are."""
    models = []
    for make in (build, build_twin):
        torch.manual_seed(seed)
        models.append(make())
    model, twin = models
    expected = model.state_dict()
    own = state_dict(twin)
    assert list(own) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(own[name], tensor), name
    model.train(train)
    set_training(twin, train)
    outs = []
    for each in models:
        torch.manual_seed(seed)
        out = each(*inputs)
        direction = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).reshape(out.shape)
        (out * direction).sum().backward()
        outs.append(out)
    assert_close(outs[1].detach(), outs[0].detach(), tolerance)
    gradients = named_parameters(twin)
    assert list(gradients) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert gradients[name].requires_grad == parameter.requires_grad
        if parameter.grad is not None:
            scale = max(1.0, float(parameter.grad.abs().max()))
            assert_close(gradients[name].grad / scale, parameter.grad / scale, tolerance)
    own = state_dict(twin)
    for name, tensor in model.state_dict().items():
        assert_close(own[name], tensor, tolerance)
    return model, twin
