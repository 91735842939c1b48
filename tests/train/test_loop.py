"""The loop against the same lines written out with torch alone: equal to the last bit."""

import functools
import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.data.loader import DataLoader
from satsuma.data.seeds import STEP, mix_seed
from satsuma.optim.schedules import cosine, one_cycle, one_cycle_momentum
from satsuma.train.loop import train
from satsuma.train.objectives import supervised
from satsuma.train.run import Run

N, D, K, BS = 53, 7, 3, 11  # samples, features, classes, batch size: the last batch of an epoch has 9


def make_data(workers=0):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(N, D, generator=generator), torch.randint(0, K, (N,), generator=generator)
    if workers:  # a data set that is read item by item
        return DataLoader(Items(x, y), BS, True, workers=workers, seed=5)
    return DataLoader((x, y), BS, True, seed=5)


class Items:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.y[index])


def make_model(dropout=0.0, dtype=torch.float32):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(D, 13), nn.ReLU(), nn.Dropout(dropout), nn.Linear(13, K)).to(dtype)


def make_run(model=None, optimizer=None, **settings):
    model = make_model() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer
    objective = functools.partial(supervised, loss_func=F.cross_entropy)
    return Run(model=model, optimizer=optimizer, **{"objective": objective, "schedule": constant, **settings})


def constant(step):
    return 1.0


def run_to_end(run, data, epochs, **options):
    return [step.loss.item() for step in train(run, data, epochs=epochs, **options)]


def weights_of(model):
    return {name: t.clone() for name, t in model.state_dict().items()}


def assert_equal_weights(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_the_loop_is_short():
    assert len(inspect.getsource(train).splitlines()) <= 60


# --- equal to a loop written by hand ------------------------------------------------------------------------------


def by_hand(model, optimizer, data, epochs, *, rate=None, momentum=None, max_norm=None):
    """What a careful engineer would have written. `rate(step)` and `momentum(step)` set the groups."""
    losses, step = [], 0
    base = [group["lr"] for group in optimizer.param_groups]
    for epoch in range(epochs):
        for x, y in data.epoch(epoch):
            for group, lr in zip(optimizer.param_groups, base, strict=True):
                if rate is not None:
                    group["lr"] = lr * rate(step)
                if momentum is not None and "betas" in group:
                    group["betas"] = (momentum(step), group["betas"][1])
                elif momentum is not None:
                    group["momentum"] = momentum(step)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if max_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            losses.append(loss.item())
            step += 1
    return losses


def discriminative_sgd(model):
    layers = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[3].parameters(), "lr": 0.1}]
    return torch.optim.SGD(layers, lr=0.1)


OPTIMIZERS = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    "SGD with momentum": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "AdamW": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
    "discriminative rates": discriminative_sgd,
}
TOTAL = 3 * 5
SETTINGS = {
    "plain": {},
    "cosine": {"rate": functools.partial(cosine, total=TOTAL)},
    "one cycle": {
        "rate": functools.partial(one_cycle, total=TOTAL),
        "momentum": functools.partial(one_cycle_momentum, total=TOTAL),
    },
    "clipped": {"max_norm": 0.05},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_equals_a_plain_loop_bit_for_bit(optimizer, setting):
    data, plain, ours = make_data(), make_model(), make_model()
    told = SETTINGS[setting]
    expected = by_hand(plain, OPTIMIZERS[optimizer](plain), data, 3, **told)
    run = make_run(
        ours,
        OPTIMIZERS[optimizer](ours),
        schedule=told.get("rate", constant),
        momentum=told.get("momentum"),
        max_norm=told.get("max_norm"),
    )
    assert run_to_end(run, data, 3) == expected
    assert_equal_weights(plain, ours)


def test_a_step_tells_epoch_number_rate_and_the_norm_before_clipping():
    run = make_run(make_model(), schedule=functools.partial(cosine, total=20), max_norm=1e-3)
    steps = list(train(run, make_data(), epochs=2))
    assert [s.step for s in steps] == list(range(1, 11))
    assert [s.epoch for s in steps] == [0] * 5 + [1] * 5
    assert [s.lr for s in steps] == [0.1 * cosine(i, total=20) for i in range(10)]
    assert all(float(s.grad_norm) > 1e-3 for s in steps)
    assert all(s.grad_norm is None for s in train(make_run(), make_data(), epochs=1))


# --- slices of a batch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro", [1, 2, 3, 5, 10, 11, 100])
def test_micro_changes_memory_and_not_the_update(micro):
    """In float64, where adding in another order is all that differs; batches of 11 and 9 have short last slices."""
    x, y = torch.randn(N, D, dtype=torch.float64), torch.randint(0, K, (N,))
    data = DataLoader((x, y), BS, True, seed=5)
    whole, sliced = make_model(dtype=torch.float64), make_model(dtype=torch.float64)
    expected = run_to_end(make_run(whole), data, 2)
    assert run_to_end(make_run(sliced), data, 2, micro=micro) == pytest.approx(expected, rel=1e-12)
    for a, b in zip(whole.parameters(), sliced.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_micro_never_sends_more_samples_through_the_model():
    seen = []
    model = make_model()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    run_to_end(make_run(model), make_data(), 1, micro=4)
    assert set(seen) == {4, 3, 1}
    assert sum(seen) == N


def test_gradients_add_up_until_they_are_cleared():
    """LESSONS A.5: backward twice gives twice the gradient; the loop starts every step from none."""
    model, data = make_model(), make_data()
    x, y = data.one_batch()
    F.cross_entropy(model(x), y).backward()
    once = model[0].weight.grad.clone()
    F.cross_entropy(model(x), y).backward()
    assert torch.equal(model[0].weight.grad, 2 * once)
    clean = make_model()  # the same weights without left-over gradients
    run_to_end(make_run(model), data, 1)
    run_to_end(make_run(clean), data, 1)
    assert_equal_weights(model, clean)


def test_gradients_of_the_step_can_be_read_between_yields():
    run = make_run()
    for step in train(run, make_data(), epochs=1):
        norm = torch.stack([p.grad.norm() for p in run.model.parameters()]).norm()
        assert 0 < float(norm) < float("inf"), step


def test_parameters_that_no_group_holds_do_not_count_for_clipping():
    model = make_model()
    head = torch.optim.SGD(model[3].parameters(), lr=0.1)
    run = make_run(model, head, max_norm=0.05)
    norms = [float(s.grad_norm) for s in train(run, make_data(), epochs=4)]
    assert max(norms[-5:]) < 2 * max(norms[:5])  # the first layer's forgotten gradients grow with every step


# --- stopping and resuming ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_at", [1, 4, 5, 7, 13])
def test_break_and_resume_equals_never_having_stopped(stop_at):
    """Dropout included: its draws depend on the step, not on how often the generator was used."""
    whole = make_run(make_model(dropout=0.3), schedule=functools.partial(cosine, total=15))
    run_to_end(whole, make_data(), 3)

    first = make_run(make_model(dropout=0.3), schedule=functools.partial(cosine, total=15))
    for step in train(first, make_data(), epochs=3):
        if step.step == stop_at:
            break
    torch.randn(17)
    again = make_run(make_model(dropout=0.3), schedule=functools.partial(cosine, total=15))
    again.model.load_state_dict(first.model.state_dict())
    again.optimizer.load_state_dict(first.optimizer.state_dict())
    again.step = first.step
    assert len(run_to_end(again, make_data(), 3)) == 15 - stop_at
    assert_equal_weights(whole.model, again.model)


def test_stop_ends_after_the_step():
    run = make_run()
    for step in train(run, make_data(), epochs=9):
        if step.step == 3:
            run.stop = "enough"
    assert run.step == 3


# --- what happens between the yields does not matter --------------------------------------------------------------


def test_evaluating_and_drawing_between_yields_changes_nothing():
    quiet, noisy = make_run(make_model(dropout=0.5)), make_run(make_model(dropout=0.5))
    run_to_end(quiet, make_data(), 2)
    data = make_data()
    for _ in train(noisy, data, epochs=2):
        noisy.model.eval()
        with torch.no_grad():
            noisy.model(data.one_batch()[0])
        next(iter(data))
        torch.randn(3)
        torch.manual_seed(0)
    assert_equal_weights(quiet.model, noisy.model)


def test_three_workers_give_what_none_gives():
    items = make_data(workers=3)
    alone, threads = make_run(make_model(dropout=0.2)), make_run(make_model(dropout=0.2))
    run_to_end(alone, DataLoader(items.dataset, BS, True, workers=0, seed=5), 2)
    run_to_end(threads, items, 2)
    assert_equal_weights(alone.model, threads.model)


def test_a_later_fit_sees_other_orders_and_other_dropout():
    same, later = make_run(make_model(dropout=0.5)), make_run(make_model(dropout=0.5), first_epoch=1)
    steps = [list(train(run, make_data(), epochs=1)) for run in (same, later)]
    assert [s.epoch for s in steps[1]] == [1] * 5
    assert not torch.equal(same.model[0].weight, later.model[0].weight)
    assert mix_seed(0, STEP, 0, 0) != mix_seed(0, STEP, 1, 0)


def test_layers_frozen_by_hand_stay_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.Linear(5, K))
    model[1].eval()
    run_to_end(make_run(model), make_data(), 1)
    assert model.training
    assert int(model[1].num_batches_tracked) == 0


def test_without_a_base_rate_the_schedule_multiplies_the_first_rate():
    run = make_run(schedule=functools.partial(cosine, total=10))
    run_to_end(run, make_data(), 1)
    assert run.optimizer.param_groups[0]["base_lr"] == 0.1
    assert run.optimizer.param_groups[0]["lr"] == 0.1 * cosine(4, total=10)
