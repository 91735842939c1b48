"""Training through `Learner`: the same results as the steps written out, and nothing left behind."""

import copy
import functools
import json
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.data.seeds import STEP, mix_seed
from satsuma.optim.schedules import one_cycle_momentum
from satsuma.train.loop import train

N, D, K, BS = 53, 7, 3, 11


def make_data(**options):
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    return sm.DataLoaders.from_arrays(x, x[:, :K].argmax(1), bs=BS, **options)


def make_model(dropout=0.0):
    torch.manual_seed(1)
    return sm.mlp((D, 13, K), dropout=dropout)


def make_learner(model=None, data=None, **settings):
    return sm.Learner(
        make_data() if data is None else data, make_model() if model is None else model, progress=False, **settings
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --- the same as by hand ------------------------------------------------------------------------------------------


def test_fit_is_the_plain_loop():
    learn, plain = make_learner(opt_func=sm.SGD, metrics=sm.accuracy), make_model()
    data = make_data()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for epoch in range(3):
        for x, y in data.train.epoch(epoch):
            optimizer.zero_grad()
            F.cross_entropy(plain(x), y).backward()
            optimizer.step()
    rows = learn.fit(3, 0.1)
    assert torch.equal(weights(learn.model), weights(plain))
    x, y = data.valid.dataset.tensors
    assert rows[-1].valid_loss == pytest.approx(F.cross_entropy(plain(x), y).item(), rel=1e-6)
    assert rows[-1].metrics["accuracy"] == float((plain(x).argmax(1) == y).float().mean())


def test_fit_one_cycle_is_the_plain_loop_with_rate_and_momentum():
    learn, plain, data = make_learner(max_norm=0.5, wd=0.1), make_model(), make_data()
    decayed, others = [p for p in plain.parameters() if p.ndim > 1], [p for p in plain.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.05, fused=True)
    total, step = 2 * len(data.train), 0
    for epoch in range(2):
        for x, y in data.train.epoch(epoch):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * sm.one_cycle(step, total=total)
                group["betas"] = (one_cycle_momentum(step, total=total), 0.999)
            optimizer.zero_grad()
            F.cross_entropy(plain(x), y).backward()
            nn.utils.clip_grad_norm_([*decayed, *others], 0.5)
            optimizer.step()
            step += 1
    learn.fit_one_cycle(2, 0.05)
    assert torch.equal(weights(learn.model), weights(plain))


def test_discriminative_rates_go_to_their_layers():
    learn = make_learner(opt_func=sm.SGD, splitter=lambda model: [model[0].parameters(), model[2].parameters()])
    run = learn.make_run(slice(0.01, 0.1))
    assert [group["base_lr"] for group in run.optimizer.param_groups] == [0.01, 0.1]
    learn.fit(1, [0.0, 0.1])
    first = make_model()[0].weight
    assert torch.equal(learn.model[0].weight, first)


def test_micro_is_exact_through_the_learner():
    whole, sliced = make_learner(opt_func=sm.SGD), make_learner(opt_func=sm.SGD, micro=4)
    rows = [learn.fit(2, 0.1) for learn in (whole, sliced)]
    torch.testing.assert_close(weights(whole.model), weights(sliced.model), rtol=1e-5, atol=1e-6)
    assert rows[0][-1].train_loss == pytest.approx(rows[1][-1].train_loss, rel=1e-5)


def test_bf16_trains_too():
    learn = make_learner(precision="bf16", metrics=sm.accuracy)
    losses = [row.train_loss for row in learn.fit(3, 0.05)]
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in learn.model.parameters())


# --- one fit after another ----------------------------------------------------------------------------------------


def test_the_global_generator_is_as_it_was():
    learn = make_learner(make_model(0.5), input_noise=0.1)
    torch.manual_seed(9)
    state = torch.get_rng_state()
    learn.fit(1)
    learn.fit_one_cycle(1)
    learn.lr_find(steps=10)
    learn.validate()
    learn.predict(torch.zeros(D))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_global_generator_decides_nothing():
    found = []
    for seed in (0, 1):
        learn = make_learner(make_model(0.5), input_noise=0.1)
        torch.manual_seed(seed)
        learn.fit(2)
        found.append(weights(learn.model))
    assert torch.equal(*found)


def test_a_second_fit_goes_on_with_new_orders_and_new_optimizer():
    learn = make_learner(opt_func=sm.SGD)
    seen = []

    class Orders(sm.Hook):
        def on_step(self, run, row):
            seen.append((row.epoch, row.step))

    learn.hooks = (Orders(),)
    learn.fit(2, 0.1)
    learn.fit(1, 0.1)
    assert [epoch for epoch, step in seen if step == 1] == [0, 2]
    assert [row.epoch for row in learn.recorder.epochs] == [0, 1, 2]
    whole = make_learner(opt_func=sm.SGD)
    whole.fit(3, 0.1)
    assert torch.equal(weights(whole.model), weights(learn.model))  # plain SGD at one rate keeps nothing between fits


def test_lr_find_changes_nothing_of_what_comes_after():
    plain, searched = make_learner(make_model(0.3)), make_learner(make_model(0.3))
    searched.lr_find(steps=20)
    searched.lr_find(steps=20)
    assert [r.train_loss for r in plain.fit(2)] == [r.train_loss for r in searched.fit(2)]
    assert torch.equal(weights(plain.model), weights(searched.model))
    assert searched.recorder.epochs[0].epoch == 0


def test_predicting_between_fits_changes_nothing():
    plain, curious = make_learner(make_model(0.3)), make_learner(make_model(0.3))
    for learn in (plain, curious):
        learn.fit(1)
        if learn is curious:
            learn.get_preds(with_loss=True)
            learn.predict(torch.zeros(D))
            learn.validate(ds_idx=0)
            learn.show_results()
        learn.fit(1)
    assert torch.equal(weights(plain.model), weights(curious.model))


def test_fit_after_load_starts_from_the_loaded_weights(tmp_path):
    first = make_learner(opt_func=sm.SGD)
    first.fit(1, 0.1)
    second = make_learner(nn.Sequential(*copy.deepcopy(list(make_model()))), opt_func=sm.SGD)
    second.load(first.save(tmp_path / "weights" / "one"))
    second.epochs_done = 1
    first.fit(1, 0.1)
    second.fit(1, 0.1)
    assert torch.equal(weights(first.model), weights(second.model))


def test_gradients_left_by_the_user_do_not_count():
    clean, littered = make_learner(), make_learner()
    x, y = littered.dls.one_batch()
    F.cross_entropy(littered.model(x), y).backward()
    clean.fit(1)
    littered.fit(1)
    assert torch.equal(weights(clean.model), weights(littered.model))


def test_layers_kept_in_evaluation_mode_stay_there_through_fits():
    torch.manual_seed(1)
    model = sm.mlp((D, 5, K), batch_norm=True)
    model[1].eval()
    learn = make_learner(model)
    learn.fit(2)
    learn.predict(torch.zeros(D))
    learn.fit(1)
    assert not model[1].training
    assert int(model[1].num_batches_tracked) == 0


def test_a_loop_of_ones_own():
    """`make_run` and `train` are the fit, opened."""
    fitted, opened = make_learner(make_model(0.2)), make_learner(make_model(0.2))
    fitted.fit(2, 0.01)
    for _step in train(opened.make_run(0.01), opened.dls.train, epochs=2):
        pass
    assert torch.equal(weights(fitted.model), weights(opened.model))


@pytest.mark.usefixtures("no_scripts")
def test_without_validation_data_everything_works(tmp_path, capsys):
    data = make_data(valid_pct=0)
    learn = sm.Learner(data, make_model(), metrics=sm.accuracy, run_dir=tmp_path / "run")
    (row,) = learn.fit(1)
    assert row.valid_loss is None
    assert "valid_loss" not in capsys.readouterr().out
    learn.fit_one_cycle(1, early_stopping=sm.EarlyStopping(monitor="train_loss"))
    learn.lr_find(steps=10)
    learn.recorder.plot_loss()
    learn.recorder.plot_metrics()
    learn.export(tmp_path / "m")
    learn.show_results()
    assert learn.report(tmp_path / "report.html").exists()
    assert learn.validate(ds_idx=0).loss > 0
    with pytest.raises(ValueError, match=r"there is no loader 1; the learner has 1 \(0 is training\)"):
        learn.validate()


# --- stopping -----------------------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_weights_and_says_why(capsys):
    values = iter([0, 0.5, 0.7, 0.6, 0.65])  # the first is the check before training

    def score(outputs, targets):
        return next(values)

    at_epoch = {}

    class Keep(sm.Hook):
        def on_epoch(self, run, row):
            at_epoch[row.epoch] = weights(run.model)

    learn = sm.Learner(make_data(), make_model(), metrics=score, hooks=Keep())
    rows = learn.fit(9, 0.05, early_stopping=sm.EarlyStopping(monitor="score", better="higher", patience=2))
    assert len(rows) == 4
    assert torch.equal(weights(learn.model), at_epoch[1])
    assert "stopped: score has not improved for 2 epochs (best 0.7)" in capsys.readouterr().out


def test_any_hook_may_ask_for_a_stop():
    class Enough(sm.Hook):
        def on_step(self, run, row):
            run.stop = "enough" if row.step == 6 else ""

    learn = make_learner(hooks=[Enough()])
    assert len(learn.fit(9)) == 2
    assert learn.epochs_done == 2


# --- when the loss breaks -----------------------------------------------------------------------------------------


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.usefixtures("no_scripts")
def test_a_rate_too_high_is_told_with_step_and_items_and_no_work_is_lost(tmp_path):
    learn = make_learner(opt_func=sm.SGD, run_dir=tmp_path / "läuft")
    learn.fit(1, 0.1)
    good = (tmp_path / "läuft" / "checkpoints" / "best.safetensors").read_bytes()
    with pytest.raises(FloatingPointError) as caught:
        learn.fit(5, 1e30)
    message = str(caught.value)
    assert message.startswith("the loss became ")
    assert "epoch 1, batch 1 of 4. The batch's items: sample " in message
    assert "and 3 more. Their values are finite: lower the learning rate (learn.lr_find()) or clip" in message
    history = rows_of(tmp_path / "läuft" / "history.jsonl")
    assert [row["kind"] for row in history] == ["step"] * 4 + ["epoch", "step"]
    assert (tmp_path / "läuft" / "checkpoints" / "best.safetensors").read_bytes() == good
    assert (tmp_path / "läuft" / "checkpoints" / "last.safetensors").read_bytes() == good
    assert learn.epochs_done == 2

    assert message.endswith(" The weights are back as they were before epoch 1.")
    assert learn.weights_epoch == 0
    saved = load_file(tmp_path / "läuft" / "checkpoints" / "last.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in learn.model.state_dict().items())
    assert learn.fit(1, 0.1)[0].train_loss > 0
    with torch.no_grad():
        next(learn.model.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"weights are NaN or infinite before the first step, in 0\.weight"):
        learn.fit(1, 0.1)


class WithNan:
    """Sample 7 holds a NaN, and each has a file's name."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        x = torch.full((D,), index / N)
        return (x * math.nan if index == 7 else x), index % K

    def name(self, index):
        return f"images/{index}.png"


def test_nan_in_the_data_names_the_file():
    data = sm.DataLoaders(sm.DataLoader(WithNan(), 5, True, seed=3))
    learn = make_learner(data=data, loss_func=F.cross_entropy)
    place = next(i for i in range(11) if 7 in data.train.indices(0, i))
    with pytest.raises(
        FloatingPointError, match=rf"became nan at step {place + 1}, epoch 0, batch {place} of 11"
    ) as caught:
        learn.fit(1)
    assert "The batch's items: images/" in str(caught.value)
    assert str(caught.value).endswith(
        "Their values are NaN or infinite in: images/7.png. Mend or drop them. "
        "The weights are back as they were before epoch 0."
    )


@pytest.mark.usefixtures("no_scripts")
def test_a_hook_that_fails_leaves_whole_files(tmp_path):
    class Fail(sm.Hook):
        def on_epoch(self, run, row):
            if row.epoch == 1:
                raise RuntimeError("mine")

    learn = make_learner(hooks=[Fail()], run_dir=tmp_path / "run")
    with pytest.raises(RuntimeError, match="mine"):
        learn.fit(3)
    rows = rows_of(tmp_path / "run" / "history.jsonl")
    assert [row["epoch"] for row in rows if row["kind"] == "epoch"] == [0, 1]
    make_learner().load(tmp_path / "run" / "checkpoints" / "last")
    learn.hooks = ()
    assert learn.fit(1)[0].epoch == 2


# --- folders of runs ----------------------------------------------------------------------------------------------


def test_a_run_is_a_folder_of_plain_files(tmp_path):
    folder = tmp_path / "läufe" / "größe-1"
    learn = make_learner(run_dir=folder, metrics=sm.accuracy)
    learn.fit(2)
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    weights = [f"checkpoints/{name}.safetensors" for name in ("best", "first", "last")]
    scripts = [name for name in found if name.startswith(("peel/", "train."))]
    resume = [f"checkpoints/resume-{steps:09}.safetensors" for steps in (0, len(learn.recorder.losses))]
    others = [*weights, *resume, "history.jsonl", "recipe.json", "recipe.py"]
    assert [name for name in found if name not in scripts] == others
    epochs = [row for row in rows_of(folder / "history.jsonl") if row["kind"] == "epoch"]
    assert [[row["train_loss"], row["valid_loss"], row["accuracy"]] for row in epochs] == learn.recorder.values
    learn.load(folder / "checkpoints" / "last")


@pytest.mark.usefixtures("no_scripts")
def test_two_runs_do_not_mix_in_one_folder(tmp_path):
    make_learner(run_dir=tmp_path / "run").fit(1)
    before = (tmp_path / "run" / "history.jsonl").read_bytes()
    second = make_learner(run_dir=tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds another run already. To go on .*resume=True.*last\.safetensors"):
        second.fit(1)
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == before
    second.run_dir = None
    assert second.calls == []


# --- less overfitting (LESSONS E.8) -------------------------------------------------------------------------------


def regression(**settings):
    """One feature matters, six do not."""
    x = torch.randn(400, D, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x, 3 * x[:, 0], bs=50, valid_pct=0)
    learn = sm.Learner(data, sm.linear_model(D), opt_func=sm.SGD, progress=False, **settings)
    learn.fit(25, 0.05)
    return learn.model.weight.detach().flatten()


def test_l1_pulls_what_is_useless_to_zero_and_l2_shrinks_what_is_useful():
    plain, lasso, ridge = regression(), regression(l1=0.5), regression(l2=0.5)
    assert float(plain[0]) == pytest.approx(3, abs=1e-3)
    assert float(lasso[1:].abs().max()) < 0.03
    assert float(lasso[0]) == pytest.approx(3 - 0.5 / 2, abs=0.06)  # the slope of |w| against that of (w - 3)²
    assert float(ridge[0]) == pytest.approx(3 / 1.5, abs=0.12)


def test_input_noise_is_noise_from_the_steps_generator():
    learn, plain, data = make_learner(opt_func=sm.SGD, input_noise=0.3, seed=5), make_model(), make_data()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for step, (x, y) in enumerate(data.train.epoch(0)):
        generator = torch.Generator().manual_seed(mix_seed(5, STEP, 0, step))
        noisy = x + torch.randn(x.shape, generator=generator) * 0.3
        optimizer.zero_grad()
        F.cross_entropy(plain(noisy), y).backward()
        optimizer.step()
    learn.fit(1, 0.1)
    assert torch.equal(weights(learn.model), weights(plain))


def test_max_norm_bounds_the_step():
    learn = make_learner(opt_func=sm.SGD, max_norm=0.01)
    before, moved = weights(learn.model), []

    class Moves(sm.Hook):
        def on_step(self, run, row):
            moved.append(float((weights(run.model) - before).norm()) / row.step)

    learn.hooks = (Moves(),)
    learn.fit(1, 0.1)
    assert max(moved) <= 0.1 * 0.01 * 1.001


# --- the same model with ever more help (LESSONS A.6) -------------------------------------------------------------


def by_hand(x, y, w, b, epochs, data, lr):
    """`params.data -= grad * lr`, as chapter 4 writes it."""
    params, losses = (w.clone().requires_grad_(), b.clone().requires_grad_()), []
    for epoch in range(epochs):
        for xb, yb in data.train.epoch(epoch):
            loss = sm.mnist_loss(xb @ params[0] + params[1], yb)
            loss.backward()
            for p in params:
                p.data -= p.grad * lr
                p.grad = None
        losses.append(sm.mnist_loss(x @ params[0] + params[1], y).item())
    return losses


class BasicOptim:
    """The reader's own optimiser."""

    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def step(self):
        for p in self.params:
            p.data -= p.grad.data * self.lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None


def with_own_optimizer(x, y, model, epochs, data, lr):
    optimizer, losses = BasicOptim(model.parameters(), lr), []
    for epoch in range(epochs):
        for xb, yb in data.train.epoch(epoch):
            sm.mnist_loss(model(xb), yb).backward()
            optimizer.step()
            optimizer.zero_grad()
        losses.append(sm.mnist_loss(model(x), y).item())
    return losses


def three_ways(x, y, valid, epochs, bs):
    n_in = x.shape[1]
    data = sm.DataLoaders(sm.DataLoader((x, y), bs, True), sm.DataLoader(valid, 512))
    model = sm.linear_model(n_in)
    again = copy.deepcopy(model)
    first = by_hand(*valid, model.weight.detach().T, model.bias.detach(), epochs, data, 1.0)
    second = with_own_optimizer(*valid, model, epochs, data, 1.0)
    learn = sm.Learner(
        data, again, opt_func=sm.SGD, loss_func=sm.mnist_loss, metrics=sm.binary_accuracy, progress=False
    )
    rows = learn.fit(epochs, lr=1)
    return first, second, [row.valid_loss for row in rows], rows[-1].metrics["binary_accuracy"]


def test_by_hand_with_an_own_optimizer_and_with_a_learner_the_losses_are_the_same():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(211, 23, generator=generator)
    y = (x[:, :3].sum(1, keepdim=True) > 0).long()
    first, second, third, _ = three_ways(x[:150], y[:150], (x[150:], y[150:]), 5, 13)
    assert second == pytest.approx(first, rel=1e-5)
    assert third == pytest.approx(second, rel=1e-6)


def test_three_or_seven_on_mnist(shared_data):
    """LESSONS A.6 on the real digits: the same losses three ways, and 95% after three epochs."""
    images, labels, valid_images, valid_labels = sm.load_mnist(shared_data("mnist"))
    x, y = three_or_seven(images, labels)
    first, second, third, accuracy = three_ways(x, y, three_or_seven(valid_images, valid_labels), 3, 256)
    assert second == pytest.approx(first, rel=1e-4)
    assert third == pytest.approx(second, rel=1e-5)
    assert accuracy > 0.95


def three_or_seven(images, labels):
    """The images of these two digits as rows of pixels, 1 for a three and 0 for a seven."""
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    keep = (labels == 3) | (labels == 7)
    return images[keep].reshape(-1, 28 * 28).float() / 255, (labels[keep] == 3).long().unsqueeze(1)


def test_recorder_values_are_the_table():
    learn = make_learner(metrics=[sm.accuracy, functools.partial(sm.top_k_accuracy, k=2)])
    rows = learn.fit(2)
    assert learn.recorder.values == [
        [row.train_loss, row.valid_loss, row.metrics["accuracy"], row.metrics["top_k_accuracy(k=2)"]] for row in rows
    ]
