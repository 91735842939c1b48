"""Freezing and fine-tuning through `Learner`."""

import functools
import json
import signal

import pytest
import torch
from torch import nn

import satsuma as sm

pytestmark = pytest.mark.usefixtures("no_scripts")

N, D, K, BS = 53, 7, 3, 11


def make_data(**options):
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    return sm.DataLoaders.from_arrays(x, x[:, :K].argmax(1), bs=BS, **options)


def make_model():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(D, 13), nn.BatchNorm1d(13), nn.ReLU(), nn.Identity(), nn.Linear(13, 5), nn.ReLU(), nn.Linear(5, K)
    )


def thirds(model):
    """Three layer groups, as modules."""
    return [model[:4], model[4], model[6]]


def make_learner(**settings):
    given = {"splitter": thirds, "opt_func": sm.SGD, "progress": False, **settings}
    return sm.Learner(make_data(), make_model(), **given)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trains(learn):
    return [name for name, p in learn.model.named_parameters() if p.requires_grad]


# --- freezing -----------------------------------------------------------------------------------------------------

HEAD, MIDDLE, NORM = ["6.weight", "6.bias"], ["4.weight", "4.bias"], ["1.weight", "1.bias"]
FIRST = ["0.weight", "0.bias"]


def test_freeze_leaves_the_head_and_normalisation_to_learn():
    learn = make_learner()
    learn.freeze()
    assert trains(learn) == NORM + HEAD
    learn.freeze_to(1)
    assert trains(learn) == NORM + MIDDLE + HEAD
    learn.freeze_to(-2)
    assert trains(learn) == NORM + MIDDLE + HEAD
    learn.unfreeze()
    assert trains(learn) == FIRST + NORM + MIDDLE + HEAD


def test_frozen_normalisation_neither_learns_nor_follows_the_data():
    learn = make_learner(batch_norm="frozen")
    learn.freeze()
    assert trains(learn) == HEAD
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.model.eval()  # as after use elsewhere
    learn.fit(2, 0.1)
    changed = [k for k, v in learn.model.state_dict().items() if not torch.equal(v, before[k])]
    assert changed == HEAD
    learn.unfreeze()
    assert learn.model[1].training
    learn.fit(1, 0.1)
    assert int(learn.model[1].num_batches_tracked) == len(learn.dls.train)


def test_learning_normalisation_follows_the_data():
    learn = make_learner()
    learn.freeze()
    learn.fit(1, 0.1)
    changed = {k for k, v in learn.model.state_dict().items() if not torch.equal(v, make_model().state_dict()[k])}
    assert changed == {*HEAD, *NORM, "1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_the_optimiser_holds_only_what_learns():
    learn = make_learner(batch_norm="frozen")
    learn.freeze_to(1)
    held = {id(p) for group in learn.make_run().optimizer.param_groups for p in group["params"]}
    assert held == {id(learn.model.get_parameter(name)) for name in MIDDLE + HEAD}


class Dropping(nn.Module):
    """Dropout between frozen layers, that belongs to no smaller part of the model."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.second = nn.Linear(D, 13), nn.Dropout(), nn.Linear(13, 5)
        self.late_drop, self.head = nn.Dropout(), nn.Linear(5, K)

    def forward(self, x):
        return self.head(self.late_drop(self.second(self.drop(self.first(x)))))


def body_and_head(model):
    return [nn.Sequential(model.first, model.drop, model.second), nn.Sequential(model.late_drop, model.head)]


def test_dropout_rests_with_its_frozen_group():
    learn = sm.Learner(make_data(), Dropping(), splitter=body_and_head, progress=False)
    learn.freeze()
    for _ in range(2):
        assert [learn.model.drop.training, learn.model.late_drop.training] == [False, True]
        learn.fit(1)
        learn.model.eval()  # as after use elsewhere
        learn.make_run()
    learn.unfreeze()
    assert learn.model.drop.training


def test_a_layer_that_the_user_rests_stays_at_rest():
    learn = make_learner()
    learn.model[3].eval()
    learn.freeze()
    learn.unfreeze()
    assert not learn.model[3].training


def test_freezing_by_hand_is_the_same():
    """As `requires_grad = False` and an optimiser of the rest."""
    learn, plain = make_learner(batch_norm="frozen"), make_model()
    learn.freeze()
    learn.fit(2, 0.1)
    plain[:6].eval()
    optimizer = torch.optim.SGD(plain[6].parameters(), lr=0.1)
    for epoch in range(2):
        for x, y in make_data().train.epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(x), y).backward()
            optimizer.step()
    assert torch.equal(weights(learn.model), weights(plain))


def test_what_cannot_be_frozen_is_refused():
    learn = make_learner()
    for n in (3, -4):
        with pytest.raises(ValueError, match=rf"no layer group {n}; the model has 3, 0..2, and -1 is the last"):
            learn.freeze_to(n)
    with pytest.raises(TypeError, match=r"n is the number of a layer group, a whole number, got 1.5"):
        learn.freeze_to(1.5)
    with pytest.raises(ValueError, match='batch_norm is "train" or "frozen"'):
        make_learner(batch_norm="eval")
    whole = make_learner(splitter=None)
    with pytest.warns(UserWarning, match="one layer group, so nothing is frozen; splitter= divides it"):
        whole.freeze()
    assert trains(whole) == FIRST + NORM + MIDDLE + HEAD


def test_the_headline_says_what_is_frozen():
    learn = make_learner()
    assert "frozen" not in learn.headline()
    learn.freeze()
    assert "; 2 of 3 layer groups frozen, their normalisation learns; 44 parameters learn; 42 train" in learn.headline()


# --- fine-tuning --------------------------------------------------------------------------------------------------


def fine_tuned_by_hand(learn, epochs, base_lr=2e-3, freeze_epochs=1, lr_mult=100, pct_start=0.3, div=5.0):
    """fastai's `Learner.fine_tune`, line by line."""
    learn.freeze()
    learn.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99)
    base_lr /= 2
    learn.unfreeze()
    learn.fit_one_cycle(epochs, slice(base_lr / lr_mult, base_lr), pct_start=pct_start, div=div)


@pytest.mark.parametrize("options", [{}, {"base_lr": 0.1, "freeze_epochs": 2, "lr_mult": 10, "div": 4.0}])
def test_fine_tune_is_fastais_schedule(options):
    learn, by_hand = make_learner(opt_func=sm.AdamW), make_learner(opt_func=sm.AdamW)
    rows = learn.fine_tune(2, **options)
    fine_tuned_by_hand(by_hand, 2, **options)
    assert torch.equal(weights(learn.model), weights(by_hand.model))
    assert learn.recorder.lrs == by_hand.recorder.lrs
    assert learn.recorder.values == by_hand.recorder.values
    assert [row.epoch for row in rows] == list(range(2 + options.get("freeze_epochs", 1)))
    assert learn.frozen_to == 0


def test_the_rates_of_the_groups():
    learn, seen = make_learner(), []

    class Rates(sm.Hook):
        def on_step(self, run, row):
            found = {group["layer_group"]: group["base_lr"] for group in run.optimizer.param_groups}
            seen.append(tuple(found[k] for k in sorted(found)))

    learn.hooks = (Rates(),)
    learn.fine_tune(1, 0.1, lr_mult=100)
    assert seen[0] == pytest.approx((0.01, 0.1))  # the first group's normalisation, and the head; the middle is frozen
    assert seen[-1] == pytest.approx((0.0005, 0.005, 0.05))


def test_without_frozen_epochs_all_layers_learn_at_once():
    learn, by_hand = make_learner(), make_learner()
    assert len(learn.fine_tune(2, 0.1, 0)) == 2
    by_hand.fit_one_cycle(2, slice(0.05 / 100, 0.05), pct_start=0.3, div=5.0)
    assert torch.equal(weights(learn.model), weights(by_hand.model))


def test_fine_tune_is_one_call_of_the_recipe(tmp_path):
    learn = make_learner(splitter=None, run_dir=tmp_path / "run")
    learn.unfreeze()
    learn.fine_tune(2, 0.1, wd=0.05)
    learn.freeze_to(0)
    learn.fit(1)
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert [call["method"] for call in recipe["fits"]] == ["unfreeze", "fine_tune", "freeze_to", "fit"]
    assert recipe["fits"][1]["arguments"] == {"epochs": 2, "base_lr": 0.1, "wd": 0.05}
    code = (tmp_path / "run" / "recipe.py").read_text()
    assert (
        "\nlearn.unfreeze()\nlearn.fine_tune(epochs=2, base_lr=0.1, wd=0.05)\nlearn.freeze_to(n=0)\nlearn.fit(" in code
    )
    epochs = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in epochs if row["kind"] == "epoch"] == [0, 1, 2, 3]
    second = make_learner(run_dir=tmp_path / "run")
    second.freeze()
    with pytest.raises(ValueError, match="holds another run already"):
        second.fine_tune(1)
    assert second.calls == [("freeze", {})]


def test_the_table_says_the_stages(capsys):
    learn = make_learner(progress=True)
    learn.fine_tune(1)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("stage")] == [
        *("stage 1 of 2: 2 layer groups frozen", "stage 2 of 2: all layers learn")
    ]
    assert [line.split()[0] for line in lines if line.strip()[:1].isdigit()] == ["0", "1"]


def test_early_stopping_watches_each_stage():
    class Worse:
        """Every epoch is worse than the one before."""

        __name__ = "worse"
        seen = 0

        def __call__(self, outputs, targets):
            self.seen += 1
            return self.seen

    stopping = sm.EarlyStopping(monitor="worse", better="lower", patience=2)
    learn = make_learner(metrics=Worse())
    rows = learn.fine_tune(9, 0.01, 5, early_stopping=stopping)
    assert [row.epoch for row in rows] == [0, 1, 2, 3, 4, 5]  # each stage stops after two that are no better
    assert rows.weights_epoch == learn.weights_epoch == 3
    assert learn.epochs_done == 6


@pytest.mark.parametrize("stage", [0, 1])
def test_an_interruption_keeps_what_was_trained(stage):
    class Interrupt(sm.Hook):
        def on_step(self, run, row):
            if row.epoch == stage and row.step == 2:
                signal.raise_signal(signal.SIGINT)

    learn = make_learner(hooks=Interrupt())
    with pytest.raises(KeyboardInterrupt):
        learn.fine_tune(3)
    assert [name for name, _ in learn.calls] == ["fine_tune"]
    assert [row.epoch for row in learn.recorder.epochs] == list(range(stage + 1))
    assert learn.epochs_done == stage + 1
    assert learn.frozen_to == (2 if stage == 0 else 0)


def test_a_loss_that_breaks_leaves_the_weights_of_before():
    learn = make_learner()
    with pytest.raises(FloatingPointError, match="The weights are back as they were before epoch"):
        learn.fine_tune(2, 1e25)
    assert bool(torch.isfinite(weights(learn.model)).all())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "fine_tune: n_epoch must be 1 or more"),
        ((1, slice(0.1)), TypeError, "base_lr is a number, got slice.*use fit_one_cycle"),
        ((1, 0.0), ValueError, "base_lr must be a number above 0"),
        ((1, 0.1, -1), ValueError, "freeze_epochs is a whole number, 0 or more, got -1"),
    ],
)
def test_what_cannot_be_fine_tuned_by_is_refused(arguments, error, message):
    learn = make_learner()
    with pytest.raises(error, match=message):
        learn.fine_tune(*arguments)
    assert learn.calls == []


# --- new loaders --------------------------------------------------------------------------------------------------


class PoolThenLinear(nn.Module):
    """Takes images of any size."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(1, 5, 3), nn.Linear(5, 2)

    def forward(self, x):
        return self.linear(self.conv(x).relu().mean((2, 3)))


def images(size, labels=("cat", "dog")):
    x = torch.randn(23, 1, size, size, generator=torch.Generator().manual_seed(size))
    return sm.DataLoaders.from_arrays(x, [labels[i % len(labels)] for i in range(23)], bs=5)


def test_larger_images_go_on_from_the_weights():
    learn = sm.Learner(images(11), PoolThenLinear(), progress=False)
    learn.fit(1)
    before = weights(learn.model)
    learn.dls = images(17)
    assert torch.equal(weights(learn.model), before)
    (row,) = learn.fit(1)
    assert row.epoch == 1
    assert not torch.equal(weights(learn.model), before)
    assert [name for name, _ in learn.calls] == ["fit", "dls", "fit"]
    assert learn.dls.one_batch()[0].shape == (5, 1, 17, 17)


def test_the_recipe_says_which_loaders_came_when(tmp_path):
    block = sm.DataBlock(blocks=(sm.TransformBlock, sm.CategoryBlock), get_x=sm.ItemGetter(0), get_y=sm.ItemGetter(1))
    items = [(torch.randn(1, 11, 11), "ab"[i % 2]) for i in range(20)]
    learn = sm.Learner(block.dataloaders(items, bs=4), PoolThenLinear(), progress=False, run_dir=tmp_path)
    learn.fit(1)
    learn.dls = block.dataloaders(items, bs=8)
    learn.fit(1)
    code = (tmp_path / "recipe.py").read_text()
    compile(code, "recipe.py", "exec")
    assert code.index("bs=4") < code.index("learn.fit(") < code.index("learn.dls = sm.DataBlock(") < code.index("bs=8")


def test_other_classes_are_refused_by_name():
    learn = sm.Learner(images(11), PoolThenLinear(), progress=False)
    old = learn.dls
    with pytest.raises(ValueError, match=r"3 classes instead of 2; new: emu. Give the blocks of the new data vocab="):
        learn.dls = images(11, ("cat", "dog", "emu"))
    with pytest.raises(ValueError, match="new: emu; missing: dog"):
        learn.dls = images(11, ("cat", "emu"))
    with pytest.raises(ValueError, match="the new targets are RegressionBlock, the model has learnt CategoryBlock"):
        learn.dls = sm.DataLoaders.from_arrays(torch.zeros(9, 1, 5, 5), torch.zeros(9))
    with pytest.raises(TypeError, match="expected DataLoaders, got list"):
        learn.dls = []
    assert learn.dls is old


# --- torch.compile ------------------------------------------------------------------------------------------------


def test_a_compiled_model_trains_the_same_and_says_what_it_cost(capsys, tmp_path):
    plain = make_learner()
    plain.fit(2, 0.1)
    learn = make_learner(compile="eager", progress=True)
    learn.fit(2, 0.1)
    torch.testing.assert_close(weights(learn.model), weights(plain.model))
    assert list(learn.model.state_dict()) == list(plain.model.state_dict())
    assert learn.compile_s > 0
    out = capsys.readouterr().out
    assert out.count("compiled: the first step took ") == 1
    assert ", compiled\n" in out
    learn.lr_find(steps=10)
    torch.testing.assert_close(learn.get_preds()[0], plain.get_preds()[0])
    assert sm.load_learner(learn.export(tmp_path / "m.safetensors")).predict(torch.zeros(D)).label in range(K)
    with pytest.raises(TypeError, match="compile is True, False or the name of a backend"):
        make_learner(compile=3)


# --- mixing, smoothing, profiling ---------------------------------------------------------------------------------


def test_mixing_and_smoothing_are_of_training_alone():
    plain, mixed = make_learner(), make_learner(mixup=sm.MixUp(0.3), label_smoothing=0.1)
    assert mixed.validate() == plain.validate()
    assert torch.equal(mixed.get_preds(with_loss=True)[-1], plain.get_preds(with_loss=True)[-1])
    first, second = plain.fit(1, 0.0)[0], mixed.fit(1, 0.0)[0]
    assert first.train_loss != pytest.approx(second.train_loss)
    again = make_learner(mixup=sm.MixUp(0.3), label_smoothing=0.1)
    assert again.fit(1, 0.0)[0].train_loss == second.train_loss


def test_smoothing_is_that_of_the_loss():
    smoothed = make_learner(label_smoothing=0.2)
    own = make_learner(loss_func=functools.partial(sm.cross_entropy, label_smoothing=0.2))
    smoothed.fit(2, 0.1)
    own.fit(2, 0.1)
    assert torch.equal(weights(smoothed.model), weights(own.model))


def test_mixing_stands_in_the_recipe(tmp_path):
    learn = make_learner(splitter=None, mixup=sm.MixUp(0.3), label_smoothing=0.1, run_dir=tmp_path)
    learn.fit(1)
    code = (tmp_path / "recipe.py").read_text()
    assert "    mixup=sm.MixUp(alpha=0.3),\n" in code
    assert "    label_smoothing=0.1,\n" in code
    assert "compile" not in code
    assert "batch_norm" not in code


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"mixup": 0.4}, TypeError, r"mixup is a value such as sm.MixUp\(\) or sm.CutMix\(\), got 0.4"),
        ({"mixup": sm.MixUp}, TypeError, "mixup is a value such as"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing is a share, 0 to below 1"),
        ({"label_smoothing": "much"}, TypeError, "label_smoothing is a share, 0 to below 1"),
    ],
)
def test_mixing_that_is_none_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        make_learner(**settings)


def test_cutmix_on_what_is_no_picture_is_refused_before_the_first_step():
    with pytest.raises(ValueError, match="CutMix"):
        make_learner(mixup=sm.CutMix()).fit(1)


def test_a_profile_changes_nothing():
    plain, watched = make_learner(), make_learner()
    found = watched.profile(steps=3)
    assert set(found.seconds) >= {"forward", "backward"}
    for learn in (plain, watched):
        learn.fit(1, 0.1)
    assert torch.equal(weights(plain.model), weights(watched.model))
