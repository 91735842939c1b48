"""Schedules: the lessons' formulas, torch's schedulers as oracles, compositions equal to their pieces by hand."""

import math
from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler

from satsuma.optim.schedules import (
    constant,
    cosine,
    exponential_decay,
    inverse_decay,
    joined,
    linear,
    one_cycle,
    one_cycle_momentum,
    piecewise,
    product,
    step_decay,
    warm_restarts,
    warmup,
)


def torch_factors(build, steps):
    """The rates that a torch scheduler gives at base rate 1, and the momenta beside them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = build(optimizer)
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    return rates, momenta


@pytest.mark.parametrize(
    ("schedule", "scheduler"),
    [
        (partial(step_decay, every=7), partial(lr_scheduler.StepLR, step_size=7, gamma=0.5)),
        (partial(step_decay, every=3, factor=0.1), partial(lr_scheduler.StepLR, step_size=3, gamma=0.1)),
        (partial(exponential_decay, k=0.1), partial(lr_scheduler.ExponentialLR, gamma=math.exp(-0.1))),
        (partial(cosine, total=23, floor=0.1), partial(lr_scheduler.CosineAnnealingLR, T_max=23, eta_min=0.1)),
        (partial(warm_restarts, period=7), partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=7)),
        (
            partial(warm_restarts, period=3, factor=2, floor=0.1),
            partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=3, T_mult=2, eta_min=0.1),
        ),
        (
            partial(linear, total=23, floor=0.1),
            partial(lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.1, total_iters=23),
        ),
        (
            partial(piecewise, boundaries=(5, 11), values=(1.0, 0.3, 0.09)),
            partial(lr_scheduler.MultiStepLR, milestones=[5, 11], gamma=0.3),
        ),
    ],
)
def test_schedules_equal_torchs(schedule, scheduler):
    rates, _ = torch_factors(scheduler, 23)
    assert [schedule(step) for step in range(23)] == pytest.approx(rates, rel=1e-9)


def test_one_cycle_and_its_momentum_equal_torchs():
    """torch's phases end on its last step; ours on `total`, one later: hence its 101 steps and the shifted share."""
    total, pct = 100, 0.25
    rates, momenta = torch_factors(
        partial(
            lr_scheduler.OneCycleLR,
            max_lr=1.0,
            total_steps=total + 1,
            pct_start=(pct * total + 1) / (total + 1),
            div_factor=25.0,
            final_div_factor=1e5 / 25,
        ),
        total,
    )
    assert [one_cycle(step, total=total, pct_start=pct) for step in range(total)] == pytest.approx(rates, rel=1e-9)
    ours = [one_cycle_momentum(step, total=total, pct_start=pct) for step in range(total)]
    assert ours == pytest.approx(momenta, rel=1e-9)


def test_the_lessons_formulas():
    assert [step_decay(step, every=10) for step in range(0, 40, 10)] == [1, 1 / 2, 1 / 4, 1 / 8]
    for step in (0, 3, 17):
        assert inverse_decay(step, k=0.3) == pytest.approx(1 / (1 + 0.3 * step))
        assert exponential_decay(step, k=0.3) == pytest.approx(math.exp(-0.3 * step))
        assert constant(step) == 1


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    factors = [one_cycle(step, total=20, pct_start=0.25, div=10, div_final=1000) for step in range(21)]
    assert [factors[0], factors[5], factors[20]] == pytest.approx([1 / 10, 1, 1 / 1000])
    assert factors[:6] == sorted(factors[:6])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert one_cycle(0, total=20, pct_start=0) == one_cycle(20, total=20, pct_start=1) == 1


def test_momentum_is_lowest_where_the_rate_is_highest():
    steps = range(20)
    assert max(steps, key=partial(one_cycle, total=20)) == min(steps, key=partial(one_cycle_momentum, total=20)) == 5


def test_warm_restarts_with_a_fractional_factor_start_anew_at_the_sums():
    starts = [0, 8, 8 + 12, 8 + 12 + 18]
    assert [warm_restarts(step, period=8, factor=1.5) for step in starts] == pytest.approx([1] * 4)
    assert warm_restarts(14, period=8, factor=1.5) == pytest.approx(cosine(6, total=12))


def test_warmup_never_has_a_rate_of_0_and_is_full_after_its_steps():
    assert [warmup(step, steps=3) for step in range(5)] == [1 / 4, 2 / 4, 3 / 4, 1, 1]
    assert warmup(0, steps=0) == 1


def test_joined_equals_the_pieces_by_hand():
    pieces = (partial(warmup, steps=5), partial(cosine, total=7), partial(step_decay, every=2))
    whole = partial(joined, schedules=pieces, boundaries=(5, 12))
    by_hand = [pieces[0](t) for t in range(5)] + [pieces[1](t) for t in range(7)] + [pieces[2](t) for t in range(6)]
    assert [whole(step) for step in range(18)] == by_hand


def test_product_equals_the_factors_by_hand():
    factors = (partial(warmup, steps=5), partial(inverse_decay, k=0.1), partial(step_decay, every=3))
    for step in range(11):
        assert product(step, schedules=factors) == factors[0](step) * factors[1](step) * factors[2](step)


def test_after_the_end_the_last_value_stays():
    for schedule in (linear, cosine):
        assert schedule(100, total=7, floor=0.25) == schedule(7, total=7, floor=0.25) == 0.25
    assert one_cycle(100, total=7) == one_cycle(7, total=7) == pytest.approx(1e-5)


@pytest.mark.parametrize("schedule", [linear, cosine, one_cycle, one_cycle_momentum])
def test_a_total_of_no_steps_is_refused(schedule):
    with pytest.raises(ValueError, match=rf"{schedule.__name__}: total=0; expected a number of steps of at least 1"):
        schedule(0, total=0)


def test_other_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="every=0"):
        step_decay(0, every=0)
    with pytest.raises(ValueError, match="pct_start=25"):
        one_cycle(0, total=7, pct_start=25)
    with pytest.raises(ValueError, match=r"factor=0.5; expected 1 or more"):
        warm_restarts(0, period=7, factor=0.5)
    with pytest.raises(ValueError, match="2 values and 2 boundaries"):
        piecewise(0, boundaries=(3, 5), values=(1.0, 0.1))
    with pytest.raises(ValueError, match="expected rising steps"):
        joined(0, schedules=(constant, constant, constant), boundaries=(5, 3))
