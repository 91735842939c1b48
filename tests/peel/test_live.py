"""What a script would say and the run did not do is refused: files edited, parts replaced, globals changed."""

import functools
import importlib
import os
import textwrap

import numpy as np
import pytest
import torch
from tests.peel.run_script import run_script
from tests.peel.trained import assert_reproduces, saved
from torch.nn import functional as F

import satsuma as sm
from satsuma.errors import PeelError
from satsuma.peel.homes import home_of_module
from satsuma.peel.live import live_definition

HEAD = "import functools\nimport random\n\nimport numpy as np\nimport torch\nfrom torch import nn\n"
HEAD += "from torch.nn import functional as F\n\n"
PLAIN = "def loss(o, t):\n    return F.cross_entropy(o, t) * {}\n"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Text → a module of the user's, in a file."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = iter(range(100))

    def made(text):
        name = f"mine_{os.getpid()}_{tmp_path.name}_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(HEAD + textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return made


def trained(loss, **settings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 4)).astype("float32")
    data = sm.DataLoaders.from_arrays(x, (x[:, 0] > 0).astype("int64"), bs=8, seed=3)
    model = functools.partial(sm.mlp, (4, 3, 2))
    learn = sm.Learner(data, model, loss_func=loss, progress=False, device="cpu", seed=7, **settings)
    learn.fit(1, 0.1)
    return learn


def assert_same(learn, tmp_path, depth="torch"):
    assert_reproduces(learn, run_script(saved(learn.peel(depth), tmp_path / "alone"), depth=depth), 0)


TAKEN = ["loss", "x", "model", "schedule", "outputs", "arrays"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_loss_may_be_called_as_something_in_main(name, mine, tmp_path):
    learn = trained(getattr(mine(PLAIN.format(1.5).replace("loss", name, 1)), name))
    assert_same(learn, tmp_path)


def test_at_the_loops_depth_too(mine, tmp_path):
    assert_same(trained(mine(PLAIN.format(1.5)).loss), tmp_path, "loop")


@pytest.mark.parametrize("name", ["main", "evaluate", "train", "mix_seed", "Path", "time", "save_file"])
def test_a_name_that_the_script_needs_is_refused(name, mine):
    learn = trained(getattr(mine(PLAIN.format(1.5).replace("loss", name, 1)), name))
    with pytest.raises(PeelError, match=f"(?s){name}.*rename"):
        learn.peel("torch")


BRANCHES = "FAST = True\nif FAST:\n    def loss(o, t):\n        return F.cross_entropy(o, t) * 2\nelse:\n"
BRANCHES += "    def loss(o, t):\n        return F.cross_entropy(o, t) * 3\n"


def test_of_two_definitions_the_one_that_ran_is_taken(mine, tmp_path):
    assert_same(trained(mine(BRANCHES).loss), tmp_path)


def test_noise_of_the_users_loss_is_that_of_the_run(mine, tmp_path):
    assert_same(trained(mine(PLAIN.format("torch.rand(1)")).loss), tmp_path)


REFUSED = {
    "a dictionary": ("STATE = {'n': 0}\ndef loss(o, t):\n    STATE['n'] += 1\n    return F.cross_entropy(o, t)\n",
                     "changes the global 'STATE'"),
    "a list": ("SEEN = []\ndef loss(o, t):\n    SEEN.append(1)\n    return F.cross_entropy(o, t)\n", "'SEEN'"),
    "itself": ("def loss(o, t):\n    loss.n = 1\n    return F.cross_entropy(o, t)\n", "attribute 'n'"),
    "its class": ("class Loss:\n    n = 0\n    def __call__(self, o, t):\n        Loss.n += 1\n"
                  "        return F.cross_entropy(o, t)\nloss = Loss()\n", "its n is"),
    "its arguments": ("class Loss:\n    def __init__(self, k=1):\n        self.k = k\n    def __call__(self, o, t):\n"
                      "        self.k += 1\n        return F.cross_entropy(o, t) * self.k\nloss = Loss()\n", "its 'k'"),
    "its buffer": ("class Loss(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                   "        self.register_buffer('n', torch.zeros(()))\n    def forward(self, o, t):\n"
                   "        self.n += 1\n        return F.cross_entropy(o, t) * self.n\nloss = Loss()\n", "of its own"),
    "numpy's generator": (PLAIN.format("np.random.rand()"), "draws by np.random.rand"),
    "python's generator": (PLAIN.format("random.random()"), "draws by random.random"),
    "wrapped": ("def twice(f):\n    @functools.wraps(f)\n    def inner(o, t):\n        return 2 * f(o, t)\n"
                f"    return inner\n{PLAIN.format(1)}loss = twice(loss)\n", "wrapped by a call"),
    "registered": ("@functools.singledispatch\ndef factor(o):\n    return 1\n@factor.register\n"
                   f"def _(o: torch.Tensor):\n    return 3\n{PLAIN.format('factor(o)')}", "dispatches"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_text_does_not_tell_is_refused(name, mine):
    text, match = REFUSED[name]
    learn = trained(mine(text).loss)
    with pytest.raises(PeelError, match=match):
        learn.peel("torch")


HELPED = "def factor(o, by=2.0):\n    return by\n\n\ndef other(o):\n    return 7.0\n\n\n" + PLAIN.format("factor(o)")
NET = "class Net(nn.Linear):\n    scale = 1.0\n    def forward(self, x):\n        return x * self.scale\n"


@pytest.mark.parametrize("change", [
    lambda module: setattr(module, "factor", lambda o: 5.0),
    lambda module: setattr(module, "factor", module.other),
    lambda module: setattr(module.factor, "__defaults__", (5.0,)),
    lambda module: setattr(module.factor, "__defaults__", (5,)),
])  # fmt: skip
def test_a_part_that_was_replaced_is_refused(change, mine):
    module = mine(HELPED)
    change(module)
    learn = trained(module.loss)
    with pytest.raises(PeelError, match="not as its file has it"):
        learn.peel("torch")


def test_a_file_that_was_edited_while_it_trained_is_refused(mine):
    module = mine(PLAIN.format(2))
    learn = trained(module.loss)
    with open(module.__file__, "w") as file:
        file.write(HEAD + PLAIN.format(3))
    with pytest.raises(PeelError, match="changed after it was imported"):
        learn.peel("torch")
    with open(module.__file__, "w") as file:  # elsewhere in the file something may change
        file.write(HEAD + "# what we train by\n\n" + PLAIN.format(2))
    assert "* 2" in learn.peel("torch").text


@pytest.mark.parametrize(("name", "value"), [("scale", 3.0), ("added", 1), ("forward", lambda self, x: x)])
def test_a_class_that_was_changed_is_refused(name, value, mine):
    module = mine(NET)
    home = home_of_module(module.__name__)
    assert live_definition(home, "Net", module.Net) is not None
    setattr(module.Net, name, value)
    with pytest.raises(PeelError, match="not as its file has it"):
        live_definition(home, "Net", module.Net)


def swapped(learn):
    learn.model[1] = torch.nn.Tanh()


def hooked(learn):
    learn.model[0].register_forward_hook(lambda layer, given, out: 2 * out)


@pytest.mark.parametrize("change", [swapped, hooked])
def test_a_model_that_was_changed_by_hand_is_refused(change):
    learn = trained(functools.partial(F.cross_entropy))
    assert learn.peel("torch").text
    change(learn)
    with pytest.raises(PeelError, match="changed by hand"):
        learn.peel("torch")


def test_a_setting_changed_between_fits_is_refused():
    learn = trained(functools.partial(F.cross_entropy))
    learn.wd = 0.5
    with pytest.raises(PeelError, match=r"learn\.wd was set after a fit"):
        learn.peel("torch")
    learn.fit(1, 0.1)
    learn.wd = None
    with pytest.raises(PeelError, match=r"learn\.wd was set between two fits"):
        learn.peel("torch")


def test_a_fit_that_broke_off_is_told_or_refused():
    learn = trained(functools.partial(F.cross_entropy))
    with pytest.raises(FloatingPointError):
        learn.fit(3, float("1e38"))
    assert "broke off" in learn.peel("torch").text
    learn.fit(1, 0.1)
    with pytest.raises(PeelError, match="a fit broke off after"):
        learn.peel("torch")


def test_an_optimiser_without_weight_decay(tmp_path):
    learn = trained(functools.partial(F.cross_entropy), opt_func=torch.optim.Rprop)
    assert_same(learn, tmp_path)
