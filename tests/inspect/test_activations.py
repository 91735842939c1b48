"""Activation statistics: the numbers are those of the outputs, and dead units are named."""

import math
from functools import partial

import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.inspect.activations import activations, summed_output

N, D = 23, 7


def model_with_dead_units() -> nn.Sequential:
    """Units 1 and 4 of the hidden layer can never rise above 0, whatever comes in."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        model[0].weight[[1, 4]] = 0
        model[0].bias[[1, 4]] = -1
    return model


X = torch.randn(N, D, generator=torch.Generator().manual_seed(1))


def test_the_numbers_are_those_of_the_outputs() -> None:
    model = model_with_dead_units()
    rows = activations(model, X).rows
    outputs = [model[:1](X), model[:2](X), model(X)]
    assert [(row.name, row.kind, row.shape) for row in rows] == [
        ("0", "Linear", (5,)),
        ("1", "ReLU", (5,)),
        ("2", "Linear", (3,)),
    ]
    for row, output in zip(rows, outputs, strict=True):
        assert row.mean == pytest.approx(output.mean().item(), abs=1e-6)
        assert row.std == pytest.approx(output.std(correction=0).item(), rel=1e-5)
        assert row.near_zero == pytest.approx((output.abs() <= 0.05).float().mean().item())


def test_dead_units_are_named_by_layer() -> None:
    found = activations(model_with_dead_units(), X)
    assert found.dead == {"1": (1, 4)}
    assert "2 of 5 (40%): 1, 4" in str(found)
    assert "2 of 5 ReLU units were always 0" in found.html()
    assert [row.dead for row in found.rows] == [None, (1, 4), None]


def test_a_unit_of_pictures_is_a_channel_and_in_place_layers_are_seen_in_time() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(inplace=True))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0, 0.0]).reshape(3, 1, 1, 1))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, -2.0]))
    found = activations(model, torch.ones(2, 1, 3, 5))
    assert found.dead == {"1": (1, 2)}
    assert found.rows[0].mean == pytest.approx(-2 / 3)  # before the ReLU worked in its place


@pytest.fixture(scope="module")
def watched():
    stats = sm.ActivationStats(every=2)
    data = sm.DataLoaders.from_arrays(X.repeat(3, 1), X.repeat(3, 1)[:, :3].argmax(1), bs=11, valid_pct=0.2)
    learn = sm.Learner(data, model_with_dead_units(), hooks=[stats], progress=False)
    learn.fit(2)
    return learn, stats


def test_the_hook_looks_at_one_step_in_so_many_and_at_training_alone(watched) -> None:
    learn, stats = watched
    assert stats.steps == [1, 3, 5, 7, 9]
    assert [len(rows) for rows in stats.rows] == [3] * 5
    assert stats.dead == {"1": (1, 4)}
    assert len(stats.epochs) == 2
    assert all(math.isfinite(row.std) for rows in stats.rows for row in rows)
    assert not any(module._forward_hooks for module in learn.model.modules())
    learn.fit(1)
    assert stats.steps[-3:] == [11, 13, 15]  # counted over all fits


def test_slices_of_a_batch_are_added_up() -> None:
    found = {}
    for micro in (None, 4):
        stats = sm.ActivationStats(every=1)
        data = sm.DataLoaders.from_arrays(X, X[:, :3].argmax(1), bs=N, valid=(X, X[:, :3].argmax(1)))
        sm.Learner(data, model_with_dead_units(), hooks=[stats], micro=micro, precision="float32", progress=False).fit(
            1
        )
        found[micro] = stats.rows[0]
    for whole, sliced in zip(found[None], found[4], strict=True):
        assert (whole.mean, whole.std) == pytest.approx((sliced.mean, sliced.std), rel=1e-5)
        assert whole.dead == sliced.dead


def test_the_figures_show_themselves(watched, tmp_path) -> None:
    learn, stats = watched
    svg = stats.plot().svg()
    for text in ("dead ReLU units", "1 ReLU", "near 0"):
        assert text in svg
    learn.activations(5).plot().savefig(tmp_path / "layers.svg")
    assert "dead units" in (tmp_path / "layers.svg").read_text(encoding="utf-8")
    assert "1, 4" in stats._repr_html_()


def test_a_run_that_was_watched_is_peeled_as_if_it_was_not() -> None:
    scripts = []
    for hooks in ([sm.ActivationStats()], []):
        data = sm.DataLoaders.from_arrays(X, X[:, :3].argmax(1))
        learn = sm.Learner(data, partial(sm.simple_net, D, 5, 3), hooks=hooks, progress=False)
        learn.fit(1)
        scripts.append(learn.peel("torch").text)
    assert scripts[0] == scripts[1]


def test_what_is_asked_wrongly_is_refused(watched) -> None:
    with pytest.raises(ValueError, match=r"every is a whole number of steps, 1 or more, got 0"):
        sm.ActivationStats(every=0)
    with pytest.raises(ValueError, match=r"nothing was watched yet"):
        _ = sm.ActivationStats().dead
    with pytest.raises(ValueError, match=r"n is a whole number of samples, 1 or more, got -1"):
        watched[0].activations(-1)


def test_a_compiled_model_is_said_not_to_be_seen() -> None:
    stats = sm.ActivationStats()
    data = sm.DataLoaders.from_arrays(X, X[:, :3].argmax(1))
    learn = sm.Learner(data, model_with_dead_units(), hooks=[stats], compile="eager", progress=False)
    with pytest.warns(UserWarning, match="the model is compiled, whose layers cannot be watched"):
        learn.fit(1)
    assert stats.epochs == []


class OneReluTwice(nn.Module):
    """A ReLU that stands in two places, of 3 and of 5 channels, as in many a ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 5, 1), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.second(self.act(self.first(x)))).mean((2, 3))


def test_a_relu_in_two_places_is_watched_in_each_and_training_goes_on() -> None:
    stats = sm.ActivationStats(every=1)
    dls = sm.DataLoaders.from_arrays(torch.rand(22, 1, 4, 4), torch.arange(22) % 5, bs=4)
    sm.Learner(dls, OneReluTwice(), loss_func=sm.cross_entropy, hooks=[stats]).fit(2, lr=0.01)
    assert {row.name: row.units for row in stats.last.rows} == {"first": 0, "act": 3, "second": 0, "act (5 units)": 5}
    stats.plot()


def test_sequences_of_different_lengths_have_no_units_to_be_dead() -> None:
    layer = nn.ReLU()
    whole = summed_output(layer, torch.ones(2, 3, 4))
    assert whole is not None
    whole.add(summed_output(layer, torch.zeros(2, 7, 4)))  # type: ignore[arg-type]
    row = whole.row("act", "ReLU")
    assert row.dead is None
    assert row.mean == pytest.approx(24 / 80)
