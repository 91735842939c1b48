"""The rate finder: it changes nothing, and reads known curves right."""

import functools
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.data.loader import DataLoader
from satsuma.train.loop import train
from satsuma.train.lr_find import SMOOTHING, RateFinder, exponential_sweep, lr_find, suggest
from satsuma.train.objectives import supervised
from satsuma.train.run import Run

N, D, K = 53, 7, 3
RATES = [exponential_sweep(i, start=1e-7, end=10.0, steps=97) for i in range(97)]  # twelve to a factor of ten


def constant(step):
    return 1.0


def make_data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator)
    return DataLoader((x, x[:, :K].argmax(1)), 11, True)


def make_run(**settings):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(D, 13), nn.BatchNorm1d(13), nn.ReLU(), nn.Dropout(0.2), nn.Linear(13, K))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    objective = functools.partial(supervised, loss_func=F.cross_entropy)
    return Run(model=model, optimizer=optimizer, objective=objective, schedule=constant, **settings)


def test_the_sweep_is_exponential():
    assert RATES[0] == pytest.approx(1e-7)
    assert RATES[-1] == pytest.approx(10)
    ratios = [b / a for a, b in itertools.pairwise(RATES)]
    assert ratios == pytest.approx([10 ** (1 / 12)] * 96)
    found = lr_find(make_run(), make_data(), start_lr=1e-5, end_lr=0.1, steps=31, diverged=math.inf)
    assert found.lrs == pytest.approx([exponential_sweep(i, start=1e-5, end=0.1, steps=31) for i in range(31)])


def test_the_run_is_as_if_it_had_never_been():
    """Model, optimiser, batch statistics, dropout, data order and the global generator."""
    untouched, swept = make_run(), make_run()
    state = torch.get_rng_state()
    lr_find(swept, make_data(), steps=20)
    assert torch.equal(torch.get_rng_state(), state)
    assert swept.step == 0
    for a, b in zip(untouched.model.state_dict().values(), swept.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    losses = [[s.loss.item() for s in train(run, make_data(), epochs=2)] for run in (untouched, swept)]
    assert losses[0] == losses[1]


def test_the_generator_is_restored_after_a_failure_too():
    run, state = make_run(), torch.get_rng_state()
    run.objective = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        lr_find(run, make_data())
    assert torch.equal(torch.get_rng_state(), state)


def test_groups_keep_their_ratio():
    run = make_run()
    run.optimizer = torch.optim.SGD(
        [{"params": run.model[0].parameters(), "lr": 0.01}, {"params": run.model[4].parameters(), "lr": 0.1}]
    )
    assert lr_find(run, make_data(), start_lr=1e-3, end_lr=1.0, steps=10).lrs[0] == pytest.approx(1e-3)
    assert [group["lr"] for group in run.optimizer.param_groups] == [0.01, 0.1]


def test_it_stops_when_the_loss_has_grown():
    run = make_run()
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.01, momentum=0.99)
    run.objective = functools.partial(supervised, loss_func=lambda p, t: (p - 5).square().mean())
    found = lr_find(run, make_data(), end_lr=1e6)
    assert len(found.lrs) < 100
    assert found.smoothed[-1] > 4 * min(found.smoothed) or max(found.losses) > 1e6


def test_losses_below_zero_are_no_divergence():
    run = make_run()
    run.objective = lambda model, x, y: F.cross_entropy(model(x), y) - 10
    assert len(lr_find(run, make_data(), end_lr=0.1, steps=30).lrs) == 30


# --- suggestions on curves whose answer is known ------------------------------------------------------------------


def test_a_tenth_of_the_rate_at_the_minimum():
    """LESSONS D.3: 0.01 where the minimum is at 0.1."""
    curve = [1 + abs(math.log10(lr / 0.1)) for lr in RATES]
    assert suggest(RATES, curve)[0] == pytest.approx(0.01)


def test_steepest_is_where_a_smooth_fall_is_fastest():
    fall = [-math.tanh(math.log10(lr / 1e-3)) for lr in RATES]
    assert suggest(RATES, fall)[1] == pytest.approx(1e-3)


def valley_curve():
    return [1.0 - max(0, 24 - i) / 1000 - min(max(0, i - 24), 48) / 48 + max(0, i - 72) for i in range(97)]


def test_the_valley_is_two_thirds_down_the_longest_fall():
    """Creeping up to 1e-5, falling over 48 steps to 1e-1, rising after that."""
    assert suggest(RATES, valley_curve())[2] == pytest.approx(RATES[24 + 32])
    assert RATES[24 + 32] == pytest.approx(10 ** (-5 + 4 * 2 / 3))


def test_one_noisy_dip_does_not_make_a_valley():
    curve = valley_curve()
    curve[3] = 0.001
    assert suggest(RATES, curve)[2] == pytest.approx(RATES[24 + 32])


def test_the_plot_shows_losses_and_suggestions():
    curve = tuple(1 + abs(math.log10(lr / 0.1)) for lr in RATES)
    found = RateFinder(tuple(RATES), curve, curve, *suggest(RATES, list(curve)))
    by_rate, by_step = found.plot().axes
    assert list(by_rate.lines[0].get_xdata()) == RATES
    assert list(by_rate.lines[1].get_ydata()) == list(curve)
    assert [t.get_text() for t in by_rate.get_legend().get_texts()][2] == "minimum/10 0.01"
    assert by_rate.get_xscale() == "log"
    assert list(by_step.lines[0].get_ydata()) == RATES
    assert repr(found).startswith("RateFinder(minimum=0.01, ")
    assert found.suggestions == {"minimum": found.minimum, "steepest": found.steepest, "valley": found.valley}


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(0, 1), (-1, 1), (1, 1), (1, 0.1)])
def test_rates_must_rise(start, end):
    with pytest.raises(ValueError, match="rates must rise from above 0"):
        lr_find(make_run(), make_data(), start_lr=start, end_lr=end)


def test_too_few_steps_and_rates_of_zero():
    with pytest.raises(ValueError, match="at least 10 steps"):
        lr_find(make_run(), make_data(), steps=9)
    run = make_run()
    run.optimizer.param_groups[0]["lr"] = 0.0
    with pytest.raises(ValueError, match="must be above 0"):
        lr_find(run, make_data())


def test_a_loss_that_is_nan_from_the_start():
    run = make_run()
    run.objective = lambda model, x, y: model(x).sum() * math.nan
    with pytest.raises(
        ValueError, match=r"after 0 steps, .* check the data for NaN, or begin lower than start_lr=1e-07"
    ):
        lr_find(run, make_data())


def test_smoothing_does_not_lag_into_the_divergence():
    """A loss that falls fastest at a rate of 0.1, and explodes beyond 1, as stochastic gradient descent's does."""
    rates = [10 ** (-7 + 8 * i / 99) for i in range(100)]
    average, smooth = 0.0, []
    for i, rate in enumerate(rates, 1):
        loss = 0.7 - 0.3 / (1 + (0.1 / rate) ** 2) + (10 * math.log10(rate) if rate > 1 else 0)
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smooth.append(average / (1 - SMOOTHING**i))
    minimum, steepest, valley = suggest(rates, smooth)
    assert 0.1 / 2.5 <= steepest <= 0.1 * 2.5  # 0.35 with a smoothing of 0.98
    assert valley <= minimum <= steepest
