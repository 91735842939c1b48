"""A learner's model looked into, whatever model it is; and nothing of it is changed by looking."""

import pytest
import torch
from torch import nn

import satsuma as sm


@pytest.fixture(scope="module")
def dls() -> sm.DataLoaders:
    x = torch.rand(22, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return sm.DataLoaders.from_arrays(x, torch.arange(22) % 2, bs=5)


def model() -> nn.Sequential:
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), *pool)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_are_looked_into(dls: sm.DataLoaders, kind: torch.dtype) -> None:
    learn = sm.Learner(dls, model().to(kind), loss_func=sm.cross_entropy)
    assert "Conv2d" in str(learn.summary())
    assert "Conv2d" in str(learn.model_graph())
    assert learn.activations(4).rows[0].shape == (4, 6, 6)
    x = torch.rand(2, 3, 8, 8)
    assert sm.heat_map(learn.model, x).shape == (2, 6, 6)
    with torch.no_grad():
        learn.model[0].weight.fill_(torch.nan)  # type: ignore[index, union-attr]
    with pytest.raises(ValueError, match="NaN or infinite"):
        sm.heat_map(learn.model, x)
    assert {p.dtype for p in learn.model.parameters()} == {kind}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_compiled_model_is_looked_into_as_it_is_written(dls: sm.DataLoaders, wrapped: bool) -> None:
    compilations: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
        compilations.append(graph)
        return graph.forward

    whole = model()
    if wrapped:
        whole = torch.compile(whole, backend=backend)  # type: ignore[assignment]
    else:
        whole.compile(backend=backend)
    learn = sm.Learner(dls, whole, loss_func=sm.cross_entropy)
    compilations.clear()
    assert "Conv2d" in str(learn.summary())
    assert "Conv2d" in str(learn.model_graph())
    assert len(learn.activations(4).rows) == 7
    assert sm.heat_map(learn.model, torch.rand(2, 3, 8, 8)).shape == (2, 6, 6)
    assert not compilations


@pytest.mark.filterwarnings("ignore")  # torch's, that it is deprecated
def test_a_scripted_model_is_refused_in_words(dls: sm.DataLoaders) -> None:
    learn = sm.Learner(dls, torch.jit.script(model()), loss_func=sm.cross_entropy)
    for look in (learn.summary, learn.model_graph, learn.activations, lambda: learn.heat_map(0)):
        with pytest.raises(ValueError, match=r"the model is made by torch\.jit"):
            look()


def test_a_run_looked_into_between_its_fits_becomes_the_same_model(dls: sm.DataLoaders, tmp_path) -> None:
    def trained(*, looked: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        learn = sm.Learner(dls, model(), loss_func=sm.cross_entropy, hooks=[sm.ActivationStats(every=1)] * looked)
        learn.fit(1, lr=0.01)
        if looked:
            state = torch.get_rng_state()
            looks = (learn.summary, learn.model_graph, learn.activations, learn.first_layer)
            for look in (
                *looks,
                lambda: learn.heat_map(0),
                learn.interpret,
                lambda: learn.find_faults(kinds=["outlier"]),
            ):
                look()  # type: ignore[operator]
            learn.interpret().plot_top_losses(2, heat=True)
            assert torch.equal(torch.get_rng_state(), state)
            assert all(layer.training for layer in learn.model.modules())
            assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in learn.model.modules())
        learn.fit(1, lr=0.01)
        return learn.model.state_dict()

    plain, looked = trained(looked=False), trained(looked=True)
    assert all(torch.equal(plain[name], looked[name]) for name in plain)
