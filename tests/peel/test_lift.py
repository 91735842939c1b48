import importlib.util
import linecache
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from satsuma.data.getters import RegexLabeller, get_files, using_attr
from satsuma.data.seeds import STEP
from satsuma.errors import PeelError
from satsuma.functional.losses import cross_entropy
from satsuma.ladder.numpy.losses import cross_entropy as numpy_cross_entropy
from satsuma.ladder.tensors.losses import cross_entropy as tensor_cross_entropy
from satsuma.nn.resnet import resnet18
from satsuma.optim.schedules import one_cycle
from satsuma.peel.lift import lift
from satsuma.peel.pieces import Draft, Sources
from satsuma.train.loop import set_rates, train
from satsuma.vision.path import ImagePath


def lifted(main: str, twins: dict[str, Any] | None = None, library: bool = True, **names: Any) -> Sources:
    return lift(Draft(title="", main=main, names=names), twins=twins, library=library)


def text_of(sources: Sources) -> str:
    return "\n\n\n".join(["\n".join(sources.imports), *(piece.text for piece in sources.pieces), sources.main]) + "\n"


def ran(sources: Sources, *, alone: bool = True) -> dict[str, Any]:
    """The names that a script defines, run by itself."""
    text = text_of(sources)
    assert not alone or "satsuma" not in text
    module = ModuleType("script_of_a_test")
    sys.modules["script_of_a_test"] = module  # where dataclasses look their annotations up
    try:
        exec(compile(text, "script", "exec"), vars(module))
    finally:
        del sys.modules["script_of_a_test"]
    return vars(module)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module of the user's and loads it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written: list[str] = []

    def write(text: str, name: str = "mine_of_a_test") -> Any:
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        written.append(name)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_schedule_is_copied_with_what_it_calls_and_gives_the_same() -> None:
    sources = lifted("def main():\n    return one_cycle(3, total=10)", one_cycle=one_cycle)
    assert [p.name for p in sources.pieces] == [
        "check_positive",
        "progress_of",
        "cosine_between",
        "two_waves",
        "one_cycle",
    ]
    assert sources.imports == ("import math",)
    assert ran(sources)["main"]() == one_cycle(3, total=10)
    assert {(p.kind, p.room, p.own) for p in sources.pieces} == {("function", "satsuma.optim.schedules", False)}


def test_a_constant_of_peels_own_is_not_taken_for_one_of_the_run() -> None:
    (step,) = lifted("def main():\n    return STEP", STEP=STEP).pieces
    assert step.room.startswith(("satsuma.data.", "satsuma.ladder."))  # `wrap_doc` has a STEP = 4 too
    (other,) = lifted("def main():\n    return LONGEST", LONGEST=100).pieces  # as `table_code` has it
    assert other.room == "script"


def test_constants_come_along_with_their_comments() -> None:
    sources = lifted("def main():\n    pass\nmain = set_rates, train", set_rates=set_rates, train=train)
    (step,) = [p for p in sources.pieces if p.name == "STEP"]
    assert step.kind == "constant"
    assert step.text == f"STEP = {STEP}"
    assert "type: ignore" not in text_of(sources)
    assert "# here, so that whoever reads a step" in text_of(sources)


def test_decorators_that_better_messages_are_dropped_and_dataclasses_kept() -> None:
    names = {"RegexLabeller": RegexLabeller, "using_attr": using_attr}
    sources = lifted('label = using_attr(RegexLabeller(r"(.+)_\\d+.jpg$"), "name")', **names)
    assert "spelled" not in text_of(sources)
    assert ran(sources)["label"](Path("a/great_pyrenees_173.jpg")) == "great_pyrenees"


def test_a_large_draft_leaves_no_name_undefined(tmp_path: Path) -> None:
    names = {f.__name__: f for f in (ImagePath, train, one_cycle, resnet18, get_files)}
    sources = lifted(f"def main():\n    return {', '.join(names)}", **names)
    file = tmp_path / "script.py"
    file.write_text(text_of(sources))
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    model = ran(sources)["resnet18"](classes=7)
    assert repr(model) == repr(resnet18(classes=7))


def test_twins_stand_in_for_what_they_are_named_after() -> None:
    logits, targets = np.array([[1.0, 2.0, -1.0], [0.0, 0.5, 0.25]]), np.array([2, 0])
    main = "def main(z, y):\n    return cross_entropy(z, y)"
    twins = {"satsuma.functional.losses.cross_entropy": tensor_cross_entropy}
    ours = ran(lifted(main, twins=twins, cross_entropy=cross_entropy))["main"]
    theirs = ran(lifted(main, cross_entropy=numpy_cross_entropy))["main"]
    assert "nn" not in lifted(main, twins=twins, cross_entropy=cross_entropy).imports
    expected = float(cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets)))
    assert float(ours(torch.from_numpy(logits), torch.from_numpy(targets))) == pytest.approx(expected, rel=1e-12)
    assert float(theirs(logits, targets)) == pytest.approx(expected, rel=1e-12)


USERS = '''
import math
from typing import TYPE_CHECKING

import numpy as np
import satsuma as sm
from satsuma import one_cycle as the_cycle
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS = (0.5, 0.25)  # of the two parts
SCALE = math.sqrt(2.0)


class Base(nn.Module):
    pass


class Net(Base):
    def __init__(self, hidden: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.lin = nn.Linear(5, hidden)

    def forward(self, x):  # [B 5]
        return self.lin(x) * SCALE  # noqa: mine


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)


def weighted(preds, target, names: "Sequence[str]" = ()):
    """Two parts."""
    accuracy = sm.accuracy(preds, target)  # a local name like the library's
    return WEIGHTS[0] * sm.cross_entropy(preds, target) + WEIGHTS[1] * accuracy * the_cycle(0, total=4)
'''


def test_the_users_own_code_stands_word_for_word_but_for_the_library(mine: Any) -> None:
    module = mine(USERS)
    main = "def main(x, y):\n    assert even(4)\n    return weighted(x, y)\nnet = Net(hidden=7)"
    sources = lifted(main, weighted=module.weighted, Net=module.Net, even=module.even)
    script = ran(sources)
    logits, targets = torch.randn(3, 5), torch.tensor([0, 4, 2])
    assert torch.equal(script["main"](logits, targets), module.weighted(logits, targets))
    assert script["net"].hidden == 7
    by_name = {p.name: p for p in sources.pieces}
    assert by_name["WEIGHTS"].text == "WEIGHTS = (0.5, 0.25)  # of the two parts"
    assert by_name["SCALE"].text == f"SCALE = {module.SCALE!r}"
    assert by_name["Net"].own
    assert by_name["Net"].text in USERS
    assert "from collections.abc import Sequence" in sources.imports
    order = [p.name for p in sources.pieces]
    assert order.index("Base") < order.index("Net")


def test_at_the_loops_depth_the_library_is_imported_and_the_users_code_copied(mine: Any) -> None:
    module = mine(USERS)
    names = {"weighted": module.weighted, "one_cycle": one_cycle}
    sources = lifted("def main(x, y):\n    return weighted(x, y) * one_cycle(1, total=3)", library=False, **names)
    assert {p.name for p in sources.pieces} == {"WEIGHTS", "weighted"}
    assert "from satsuma.optim.schedules import one_cycle" in sources.imports
    assert "import satsuma as sm" in sources.imports
    logits, targets = torch.randn(3, 5), torch.tensor([0, 4, 2])
    expected = module.weighted(logits, targets) * one_cycle(1, total=3)
    assert torch.equal(ran(sources, alone=False)["main"](logits, targets), expected)


def test_other_files_of_the_users_are_copied_too(mine: Any) -> None:
    mine("EPS = 0.5\n\n\ndef helped(x):\n    return x + EPS\n", "helpers_of_a_test")
    module = mine(
        "import helpers_of_a_test\nfrom helpers_of_a_test import helped as h\n\n\n"
        "def score(x):\n    return h(x) * helpers_of_a_test.helped(x) - helpers_of_a_test.EPS\n"
    )
    sources = lifted("answer = score(2.0)", score=module.score)
    assert "helpers_of_a_test" not in text_of(sources)
    assert ran(sources)["answer"] == module.score(2.0)


def test_types_that_are_not_evaluated_stay_so(mine: Any) -> None:
    module = mine(
        "from __future__ import annotations\n\n\nclass A:\n    other: B | None = None\n\n\nclass B(A):\n    pass\n"
    )
    sources = lifted("made = B()", B=module.B)
    assert sources.imports == ("from __future__ import annotations",)
    assert [p.name for p in sources.pieces] == ["A", "B"]
    assert ran(sources)["made"].other is None


def test_what_is_called_at_import_has_all_it_needs_above_it(mine: Any) -> None:
    module = mine(
        "import functools\n\n\ndef twice(func):\n    return functools.partial(run, func)\n\n\n"
        "def run(func, x):\n    return func(func(x))\n\n\n@twice\ndef more(x):\n    return x + 1\n\n\n"
        "def all_of_it(x):\n    return more(x)\n"
    )
    assert module.all_of_it(1) == 3
    text = "def shift(cls):\n    cls.by = amount()\n    return cls\n\n\ndef amount():\n    return 3\n\n\n"
    module = mine(text + "@shift\nclass Shifted:\n    pass\n", "shifted_of_a_test")
    sources = lifted("by = Shifted.by", Shifted=module.Shifted)
    assert [p.name for p in sources.pieces] == ["amount", "shift", "Shifted"]
    assert ran(sources)["by"] == 3


def test_code_typed_at_a_prompt_that_keeps_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "np": np, "K": 3}
    cell = "def of_cell(x):\n    return np.square(x) + K\n"
    monkeypatch.setitem(linecache.cache, "<cell 1>", (len(cell), None, cell.splitlines(keepends=True), "<cell 1>"))
    exec(compile(cell, "<cell 1>", "exec"), namespace)
    sources = lifted("answer = of_cell(4)", of_cell=namespace["of_cell"])
    assert sources.imports == ("import numpy as np",)
    assert ran(sources)["answer"] == 19


def test_rewriting_a_piece_may_bring_in_other_names() -> None:
    draft = Draft(
        title="",
        main="def main():\n    return progress_of('f', 1, 2)",
        names={"progress_of": vars(sys.modules[one_cycle.__module__])["progress_of"], "clamp": np.clip},
        rewrite=lambda text: text.replace("min(1.0, step / total)", "clamp(step / total, 0, 1)"),
    )
    sources = lift(draft)
    assert "from numpy import clip as clamp" in sources.imports
    assert ran(sources)["main"]() == 0.5


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("loss = lambda x, y: x", "loss", "lambda.*give it a name with def"),
        (
            "def outer(k):\n    def inner(x):\n        return x + k\n    return inner\nloss = outer(3)",
            "loss",
            "within a function",
        ),
        ("class C:\n    def f(self):\n        pass\nloss = C().f", "loss", "method of one"),
        ("state = object()\ndef loss(x):\n    return state", "loss", "loss uses the global 'state', a object|mine_of"),
        ("n = 0\ndef loss(x):\n    global n\n    n += 1\n    return x", "loss", "changes the global 'n'"),
        ("def loss(x):\n    return undefined_thing(x)", "loss", "'undefined_thing', which its module does not define"),
        (
            "import satsuma as sm\ndef accuracy(x, y):\n    return sm.accuracy(x, y)",
            "accuracy",
            "both called 'accuracy'",
        ),
        ("def main(x):\n    return x", "main", "a name that the script needs"),
        ("def min(a, b):\n    return a\ndef loss(a):\n    return min(a, 1)", "loss", "hides Python's own 'min'"),
    ],
)
def test_what_no_script_can_hold_is_refused_by_name(mine: Any, text: str, name: str, match: str) -> None:
    module = mine(text)
    main = f"def main():\n    return {name}, one_cycle(1, total=3)" if name != "main" else "def main():\n    pass\nloss"
    with pytest.raises(PeelError, match=match):
        lifted(main, **{name if name != "main" else "loss": getattr(module, name)}, one_cycle=one_cycle)


def test_a_prompt_that_keeps_no_source_is_told() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def typed_in(x):\n    return x", namespace)
    with pytest.raises(PeelError, match=r"typed_in, whose source cannot be found.*put it in a file"):
        lifted("typed_in(1)", typed_in=namespace["typed_in"])


def test_a_constant_may_be_a_partial_of_the_library(mine: Any) -> None:
    module = mine(
        "from functools import partial\nimport satsuma as sm\n\nrate = partial(sm.one_cycle, total=10)\n\n\n"
        "def mine(step):\n    return rate(step)\n"
    )
    sources = lifted("answer = rates(3)", rates=module.mine)
    assert isinstance(module.rate, partial)
    assert ran(sources)["answer"] == one_cycle(3, total=10)
