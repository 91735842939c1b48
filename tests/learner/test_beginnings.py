"""What a learner keeps of how its run began and how its fits ended."""

import functools
import json
import signal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import satsuma as sm
from satsuma.learner.beginnings import first_weights, loaders_in_turn, note_begin
from satsuma.train.checkpoint import weights_digest

pytestmark = pytest.mark.usefixtures("no_scripts")

X = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)


def made():
    return sm.mlp((7, 5, 3))


KNOWN = functools.partial(sm.mlp, (7, 5, 3))


def quiet(model=KNOWN, **settings):
    return sm.Learner(sm.DataLoaders.from_arrays(X, Y, bs=11), model, **{"progress": False, **settings})


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- first weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [KNOWN, made, lambda: nn.Sequential(nn.LazyLinear(3))])
def test_weights_that_the_seed_gives_are_not_kept(model):
    learn = quiet(model)
    assert first_weights(learn) is None
    learn.fit(1)
    assert first_weights(learn) is None


def test_those_of_a_module_that_was_given_are_kept_as_they_are_when_the_first_fit_begins():
    learn = quiet(made())
    assert same(first_weights(learn), learn.model.state_dict())
    nn.init.constant_(learn.model[0].weight, 0.3)
    began = copied(learn.model)
    assert same(first_weights(learn), began)
    learn.fit(1)
    learn.fit(1)
    assert same(first_weights(learn), began)
    assert not same(began, learn.model.state_dict())


@pytest.mark.parametrize("model", [KNOWN, made])
def test_those_changed_after_building_are_kept(model):
    learn = quiet(model)
    learn.model[0].weight.data.neg_()
    began = copied(learn.model)
    assert same(first_weights(learn), began)
    learn.fit(1)
    assert same(first_weights(learn), began)


def test_a_function_that_gives_a_model_of_before_does_not_count_as_drawn():
    model = made()
    learn = quiet(lambda: model)
    began = copied(model)
    assert same(first_weights(learn), began)
    learn.fit(1)
    assert same(first_weights(learn), began)


def test_what_a_hook_sees_while_the_first_fit_runs_is_how_it_began():
    class Looks(sm.Hook):
        def on_epoch(self, run, row):
            self.seen = first_weights(self.learn)

    looks = Looks()
    learn = looks.learn = quiet(made(), hooks=looks)
    began = copied(learn.model)
    learn.fit(1)
    assert same(looks.seen, began)


def test_a_fit_that_never_steps_does_not_count_as_the_beginning():
    def broken(groups, lr):
        optimizer = torch.optim.SGD(groups, lr=lr)
        optimizer.step = lambda: 1 / 0
        return optimizer

    learn = quiet(made(), opt_func=broken)
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
    assert learn.past.ends == []
    learn.opt_func = sm.SGD
    nn.init.zeros_(learn.model[0].weight)
    began = copied(learn.model)
    learn.fit(1)
    assert same(first_weights(learn), began)


@pytest.mark.parametrize("change", ["value", "order", "format", "name"])
def test_the_digest_tells_weights_apart(change):
    layer = nn.Linear(5, 5)
    before = weights_digest(layer)
    assert weights_digest(layer) == before
    with torch.no_grad():
        if change == "value":
            layer.bias[3] = torch.nextafter(layer.bias[3], torch.tensor(9.0))
        elif change == "order":
            layer.weight.copy_(layer.weight.flip(0))
        elif change == "format":
            layer.half()
        else:
            layer = nn.ParameterDict({"gain": layer.weight, "bias": layer.bias})
    assert weights_digest(layer) != before


# --- calls --------------------------------------------------------------------------------------------------------


def test_load_is_a_call_and_its_weights_are_the_first_ones(tmp_path):
    file = quiet(made(), path=tmp_path).save("mine")
    learn = quiet(path=tmp_path, run_dir=tmp_path / "run")
    learn.load("mine")
    assert learn.calls == [("load", {"file": file.absolute()})]
    learn.fit(1)
    assert same(first_weights(learn), load_file(file))
    assert same(load_file(tmp_path / "run" / "checkpoints" / "first.safetensors"), load_file(file))


def test_load_between_fits_and_other_changes_stand_among_the_calls(tmp_path):
    learn = quiet(path=tmp_path, run_dir=tmp_path / "run")
    file = learn.save("mine")
    learn.fit(1)
    learn.load("mine")
    learn.fit(1)
    learn.validate()
    learn.fit(1)
    learn.model[0].bias.data.zero_()
    learn.fit(1)
    assert [name for name, _ in learn.calls] == ["fit", "load", "fit", "fit", "changed", "fit"]
    code = (tmp_path / "run" / "recipe.py").read_text()
    assert f"\nlearn.load(Path({file.absolute().as_posix()!r}))\nlearn.fit(" in code
    compile(code, "recipe.py", "exec")


@pytest.mark.parametrize(
    "look",
    [
        lambda learn: learn.lr_find(steps=10),
        lambda learn: learn.get_preds(),
        lambda learn: learn.profile(steps=2),
        lambda learn: learn.predict(X[0]),
        lambda learn: learn.freeze_to(0),
    ],
)
def test_looking_at_a_learner_is_no_change_of_its_weights(look):
    learn = quiet(nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)))
    learn.fit(1)
    look(learn)
    note_begin(learn)
    assert "changed" not in [name for name, _ in learn.calls]


def test_recipe_py_begins_with_the_weights_that_only_the_run_has(tmp_path):
    learn = quiet(nn.Sequential(nn.Linear(7, 3)), run_dir=tmp_path / "run")
    learn.load(quiet(nn.Sequential(nn.Linear(7, 3)), path=tmp_path).save("mine"))
    learn.fit(1)
    code = (tmp_path / "run" / "recipe.py").read_text()
    first = (tmp_path / "run" / "checkpoints" / "first.safetensors").as_posix()
    assert [line for line in code.splitlines() if "load(" in line] == [f"learn.load(Path({first!r}))"]


# --- ends of fits -------------------------------------------------------------------------------------------------


class Stops(sm.Hook):
    def __init__(self, at):
        self.at = at

    def on_step(self, run, row):
        if row.step == self.at:
            signal.raise_signal(signal.SIGINT)


def test_how_each_fit_ended_is_kept_and_written(tmp_path):
    learn = quiet(run_dir=tmp_path)
    steps = len(learn.dls.train)
    learn.fit(2)
    learn.hooks = (Stops(steps + 1),)
    with pytest.raises(KeyboardInterrupt):
        learn.fit(5)
    learn.hooks = ()
    with pytest.raises(FloatingPointError):
        learn.fit(3, 1e30)
    ends = [(end.epochs, end.steps, end.cause) for end in learn.past.ends]
    assert ends[:2] == [(2, 2 * steps, ""), (2, steps + 1, "interrupted")]
    assert ends[2][2] == "FloatingPointError"
    written = json.loads((tmp_path / "recipe.json").read_text())["ends"]
    assert [(end["epochs"], end["steps"], end["cause"]) for end in written] == ends


def test_both_stages_of_fine_tune_are_one_end():
    learn = quiet()
    learn.fine_tune(2)
    (end,) = learn.past.ends
    assert (end.epochs, end.steps) == (3, 3 * len(learn.dls.train))


# --- loaders ------------------------------------------------------------------------------------------------------


def test_all_loaders_are_kept_in_turn():
    learn = quiet()
    first, second = learn.dls, sm.DataLoaders.from_arrays(X, Y, bs=5)
    learn.fit(1)
    learn.dls = second
    assert loaders_in_turn(learn) == [first, second]
    with pytest.raises(TypeError):
        learn.dls = 3
    assert len(loaders_in_turn(learn)) == 2
