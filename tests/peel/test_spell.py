import operator
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.ids import plain
from torch import nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.errors import PeelError
from satsuma.nn.heads import create_head
from satsuma.peel.rebuild import same_value
from satsuma.peel.spell import spelled_value


def spelled(value: Any) -> str:
    return spelled_value(value, {}, set())


def built(value: Any) -> Any:
    """What the text of a value builds, with the names and imports that it asks for and no others."""
    names: dict[str, Any] = {}
    imports: set[str] = set()
    text = spelled_value(value, names, imports)
    namespace = dict(names)
    for line in imports:
        exec(line, namespace)
    return eval(text, namespace)


@dataclass(frozen=True)
class Half:
    """A user's own transform."""

    by: float = 0.5
    names: tuple[str, ...] = ()
    seen: dict[str, int] = field(default_factory=dict, compare=False, repr=False)


class Scale:
    def __init__(self, by: float, after: Any = None) -> None:
        self.by = by
        self.after = after


class Keeps(nn.Module):
    def __init__(self, hidden: int, drop: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        self.lin = nn.Linear(5, hidden)
        self.drop = nn.Dropout(drop)


class Forgets(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lin = nn.Linear(5, hidden)


class Hides(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.twice = 2 * factor


def double(x: Any) -> Any:
    return 2 * x


VALUES = [
    *(None, True, 3, 2.5, float("-inf"), float("nan"), "it's", b"x", 2j, range(3)),
    *((), (1,), [1, (2.5, "a")], {"a": {1, 2}, 3: frozenset()}, set(), OrderedDict(a=1)),
    *(slice(3), slice(1, 2), slice(1, None, 2), Path("a/b.csv"), re.compile("(.)", re.I)),
    *(torch.float16, torch.device("cpu"), np.float32(0.1), np.int64(3), np.bool_(True), np.dtype("float32")),
    *(torch.tensor([1.0, float("nan")])[:1], torch.tensor(3), torch.tensor([[1, 2]], dtype=torch.uint8)),
    *(torch.zeros(0, 3), np.array([[1, 2]]), np.array([0.5], np.float32), np.zeros((2, 0)), np.array(["a", "bc"])),
    *(F.relu, F.gelu, torch.relu, torch.Tensor.float, np.tanh, np.clip, len, int, str.lower, operator.add, nn.ReLU),
    *(sm.accuracy, sm.Flip, double, Half, partial(F.cross_entropy, label_smoothing=0.1), partial(double)),
    *(operator.attrgetter("a.b"), operator.itemgetter(1, 2), torch.optim.AdamW),
    *(sm.Resize(224), sm.using_attr(sm.RegexLabeller(r"(.+)_\d+.jpg$"), "name"), sm.aug_transforms(), sm.MixUp()),
    *(Half(), Half(0.25, ("a",)), partial(sm.one_cycle, total=7)),
]


@pytest.mark.parametrize("value", VALUES, ids=plain)
def test_a_value_is_built_again(value: Any) -> None:
    assert same_value(built(value), value)


MODELS = [
    nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)),
    nn.Sequential(OrderedDict(body=nn.Conv2d(3, 5, 3, padding=1), norm=nn.BatchNorm2d(5))),
    nn.ModuleList([nn.Conv2d(2, 4, (3, 5), stride=2, groups=2), nn.MaxPool2d(2), nn.Flatten()]),
    nn.ModuleDict({"a": nn.Embedding(7, 3, padding_idx=0)}),
    nn.Sequential(*[nn.LSTM(3, 5, num_layers=2, batch_first=True), nn.RNN(3, 5, nonlinearity="relu"), nn.GRU(2, 3)]),
    nn.MultiheadAttention(8, 2),
    nn.Linear(2, 3).double(),
    nn.CrossEntropyLoss(weight=torch.ones(3), label_smoothing=0.1),
    sm.resnet18(classes=10),
    create_head(16, 3),
    Keeps(7, drop=0.25),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_model_is_built_again_but_for_its_weights(model: nn.Module) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    spelled(model)
    assert torch.equal(torch.get_rng_state(), state)
    again = built(model)
    assert repr(again) == repr(model)
    assert {k: (v.shape, v.dtype) for k, v in again.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in model.state_dict().items()
    }
    assert same_value(before, dict(model.state_dict()))


def test_layers_are_written_as_one_writes_them() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(5, 2, bias=False))
    assert spelled(model) == "nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(5, 2, bias=False))"
    assert spelled(sm.Resize(224)) == "Resize(size=224)"
    assert spelled(slice(3)) == "slice(3)"
    assert spelled(torch.tensor([1.0, 0.5])) == "torch.tensor([1.0, 0.5])"


def test_what_is_named_is_noted_for_the_lifter() -> None:
    names: dict[str, Any] = {}
    imports: set[str] = set()
    text = spelled_value([Half(0.25), partial(sm.accuracy), nn.ReLU(), F.relu, torch.optim.SGD], names, imports)
    assert text == "[Half(by=0.25), partial(accuracy), nn.ReLU(), F.relu, torch.optim.SGD]"
    assert names == {"Half": Half, "accuracy": sm.accuracy}
    assert imports == {
        "from functools import partial",
        "from torch import nn",
        "from torch.nn import functional as F",
        "import torch",
    }


def test_an_object_is_built_from_attributes_of_its_arguments_names() -> None:
    assert spelled(Scale(0.5)) == "Scale(0.5)"
    assert spelled(Scale(0.5, after=Scale(2))) == "Scale(0.5, after=Scale(2))"
    changed = Scale(0.5)
    changed.other = 3  # type: ignore[attr-defined]
    with pytest.raises(PeelError, match=r"Scale cannot be written as code: built again .* it is another"):
        spelled(changed)


def test_a_cache_that_has_filled_is_left_out() -> None:
    half = Half()
    half.seen["a"] = 1
    assert spelled(half) == "Half()"


def hooked() -> nn.Module:
    model = nn.Linear(2, 3)
    model.register_forward_hook(print)
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def changed() -> nn.Module:
    model = sm.resnet18(classes=10)
    model.add_module("more", nn.Linear(2, 2))
    return model


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (lambda x: x, "a lambda of .*test_spell.* give it a name with def, in a file"),
        (Half().__repr__, "is a method of one Half"),
        (torch.zeros(200, 100), r"a torch.Tensor \[200, 100\] .* keep it in a file"),
        (torch.Generator(), "Generator cannot be written"),
        (np.random.default_rng(0), "Generator cannot be written"),
        (Forgets(3), "Forgets .* argument 'hidden' is kept in no attribute .* give Learner a function that builds it"),
        (Hides(3.0), "Hides cannot be written as code: built again"),
        (hooked(), "Linear has hooks"),
        (tied(), "Sequential share weights"),
        (nn.Sequential(*[nn.Linear(3, 3)] * 2), "Sequential share weights"),
        (changed(), "ResNet cannot be written as code: built again"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), "mixes torch.float32 and torch.float64"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_no_text_builds_is_refused_by_name(value: Any, match: str) -> None:
    with pytest.raises(PeelError, match=match):
        spelled([value])


def test_a_nested_function_is_refused() -> None:
    def inner(x: Any) -> Any:
        return x

    with pytest.raises(PeelError, match=r"<locals>.inner is defined within a function.*functools.partial"):
        spelled(inner)


def test_two_parts_of_one_name_are_refused() -> None:
    other = type("Half", (), {"__module__": "elsewhere"})
    with pytest.raises(PeelError, match=r"Half and elsewhere.Half have one name"):
        spelled([Half, other])
