"""Drafts of torch → drafts of tensors: whole scripts that compute what the library does, without torch.nn."""

import importlib
import re
import sys
from functools import partial

import pytest
import torch
from tests.ladder.tensors.compare import default_dtype, normal
from tests.peel import yours
from torch import nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.functional.losses import cross_entropy
from satsuma.ladder.tensors import adam, losses
from satsuma.ladder.tensors import linear as ladder_linear
from satsuma.nn.linear import mlp
from satsuma.optim.groups import build_optimizer
from satsuma.optim.optimizers import AdamW
from satsuma.peel.leftovers import leftovers, refuse_leftovers
from satsuma.peel.lift import lift
from satsuma.peel.pieces import Draft
from satsuma.peel.to_tensors import TWINS, tensors_draft
from satsuma.train.evaluate import predict_batches
from satsuma.train.loop import set_rates, train
from satsuma.train.mixing import MixUp
from satsuma.train.objectives import penalised, supervised, supervised_mixed
from satsuma.train.run import Run

MAIN = """
def main(x, y):
    torch.manual_seed(3)
    model = {model}
    run = Run(
        model=model,
        optimizer=build_optimizer({optimizer}, model, lr=0.01, weight_decay=0.1),
        objective=partial({objective}),
        schedule=partial(one_cycle, total=12),
        momentum=partial(one_cycle_momentum, total=12),
        max_norm={max_norm},
        mix={mix},
        seed=5,
    )
    data = InMemory(tensors=(x, y), batch_size=8, shuffle=True, drop_last=False, seed=3)
    losses = [step.loss.item() for step in train(run, data, epochs={epochs})]
    best = copied_weights(model)
    model.load_state_dict(best)
    outputs, _ = predict_batches(model, data)
    return losses, outputs, {{name: value.clone() for name, value in model.state_dict().items()}}
"""
NAMES = {
    "Run": Run,
    "AdamW": AdamW,
    "MixUp": MixUp,
    "build_optimizer": build_optimizer,
    "copied_weights": importlib.import_module("satsuma.train.early_stopping").copied_weights,
    "cross_entropy": cross_entropy,
    "focal": yours.focal,
    "GatedNet": yours.GatedNet,
    "InMemory": importlib.import_module("satsuma.data.in_memory").InMemory,
    "mlp": mlp,
    "one_cycle": sm.one_cycle,
    "one_cycle_momentum": sm.one_cycle_momentum,
    "penalised": penalised,
    "predict_batches": predict_batches,
    "resnet18": sm.resnet18,
    "set_rates": set_rates,
    "small_cnn": sm.small_cnn,
    "supervised": supervised,
    "supervised_mixed": supervised_mixed,
    "TransferModel": importlib.import_module("satsuma.nn.transfer").TransferModel,
    "train": train,
}
LINES = (
    "import torch",
    "from functools import partial",
    "from torch import nn",
    "from torch.nn import functional as F",
)


def draft_of(main):
    return Draft(title="a run", main=main, names=NAMES, imports=LINES, facts={"isinstance(x, nn.Module)": "True"})


def script_of(draft):
    """The whole text, without trimming."""
    sources = lift(tensors_draft(draft), twins=TWINS)
    return "\n\n\n".join(["\n".join(sources.imports), *(piece.text for piece in sources.pieces), sources.main])


def run_text(text, tmp_path, monkeypatch):
    file = tmp_path / "tensors_script.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, file.stem, raising=False)
    return importlib.import_module(file.stem)


def settings(**changed):
    given = {"model": "mlp((6, 5, 3), dropout=0.3, batch_norm=True)", "optimizer": "AdamW", "max_norm": None}
    return given | {"objective": "supervised, loss_func=cross_entropy", "mix": None, "epochs": 3} | changed


RUNS = {
    "mlp": settings(),
    "torch_own": settings(
        model="nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))",
        optimizer="partial(torch.optim.RMSprop, alpha=0.9)",
        objective="supervised, loss_func=F.cross_entropy",
        max_norm=0.5,
    ),
    "loss_layer": settings(objective="supervised, loss_func=nn.CrossEntropyLoss(label_smoothing=0.1)"),
    "penalised": settings(
        objective="penalised, objective=partial(supervised, loss_func=cross_entropy, input_noise=0.1), l1=0.01, l2=0.1"
    ),
    "mixed": settings(
        objective="supervised_mixed, loss_func=partial(cross_entropy, label_smoothing=0.1)", mix="MixUp(0.3)"
    ),
    "yours": settings(model="GatedNet(6, 5, 3)", objective="supervised, loss_func=focal"),
    "nesterov": settings(optimizer="partial(torch.optim.SGD, momentum=0.9, nesterov=True)"),
}
PICTURES = {
    "small_cnn": settings(model="small_cnn(3, 3, width=2)"),
    # one epoch: a deep network in training mode soon makes 1e-15 on its inputs 1e-5
    "transfer": settings(model='TransferModel("resnet18", 3, hidden=8)', epochs=1),
}


@pytest.mark.parametrize("name", [*RUNS, *PICTURES])
def test_a_whole_script_computes_what_the_library_does(name, tmp_path, monkeypatch):
    shape = (19, 3, 32, 32) if name in PICTURES else (19, 6)
    x, y = normal(*shape), torch.arange(19) % 3
    main = MAIN.format(**{**RUNS, **PICTURES}[name])
    library = {**NAMES, "torch": torch, "nn": nn, "F": F, "partial": partial}
    exec(main, library)
    text = script_of(draft_of(main))
    with default_dtype(torch.float64):
        expected, outputs, weights = library["main"](x, y)
        found, own_outputs, own_weights = run_text(text, tmp_path, monkeypatch).main(x, y)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(own_outputs, outputs, rtol=1e-7, atol=1e-7)
    assert list(own_weights) == list(weights)
    torch.testing.assert_close(own_weights, weights, rtol=1e-7, atol=1e-7)
    if name != "transfer":  # all networks that could be a body stand in its script until it is trimmed
        refuse_leftovers(text)
        assert not re.search(r"torch\.(nn|optim|utils)\b", re.sub(r'""".*?"""|#.*', "", text, flags=re.S))


def test_a_draft_keeps_what_is_not_torchs():
    draft = tensors_draft(draft_of("def main():\n    return nn.Linear(2, 1)\n"))
    assert draft.title == "a run"
    assert draft.main == "def main():\n    return Linear(2, 1)\n"
    assert draft.facts == {'hasattr(x, "training")': "True"}
    assert draft.names["mlp"] is mlp
    assert draft.names["Linear"] is ladder_linear.Linear
    assert set(LINES) < set(draft.imports)
    assert draft.rewrite is not None
    assert draft.rewrite("F.relu(x)") == "relu(x)"


def test_an_earlier_rewrite_comes_first():
    draft = Draft(title="", main="def main(): ...", names={}, rewrite=str.strip)
    assert tensors_draft(draft).rewrite("  nn.Linear(2, 1)\n") == "Linear(2, 1)"


def test_twins_are_of_their_originals_name_and_role():
    assert TWINS["satsuma.functional.losses.cross_entropy"] is losses.cross_entropy
    assert TWINS["torch.optim.AdamW"] is TWINS["satsuma.optim.optimizers.AdamW"] is adam.AdamW
    for name, twin in TWINS.items():
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last)
        assert twin.__module__.startswith("satsuma.ladder.tensors.")
        if module.startswith("satsuma"):
            assert twin.__name__ == last


def test_what_has_no_twin_is_named_in_the_script():
    main = "def main():\n    return nn.Sequential(nn.Linear(2, 1), nn.Conv1d(1, 1, 3))\n"
    assert "nn.Conv1d(1, 1, 3)" in leftovers(script_of(draft_of(main)))
