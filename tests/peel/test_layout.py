"""The text of a script: its order, and its form as `ruff` wants it."""

import ast
import random
from pathlib import Path

import pytest
from tests.peel.rewritten import joined, renamed, ruff_faults, ruff_format

import satsuma
from satsuma.peel import layout
from satsuma.peel.imports import sorted_imports
from satsuma.peel.pieces import Piece, Sources
from satsuma.peel.wrap import wrapped

HOME = Path(satsuma.__file__).parent
ROOMS = ("data", "train", "optim", "nn", "functional", "ladder", "hooks", "vision")
FILES = sorted(f for room in ROOMS for f in (HOME / room).rglob("*.py") if f.stat().st_size)
MAIN = "def main(arguments: list[str] | None = None) -> list[float]:\n    return [float(len(arguments or []))]\n"


def piece(name: str, text: str, room: str, *, own: bool = False) -> Piece:
    kind = "class" if text.lstrip("@").partition("\n")[0].find("class ") == 0 or "\nclass " in text else "function"
    return Piece(
        name=name, text=text, kind=kind if "def " in text or kind == "class" else "constant", room=room, own=own
    )


def laid_out(*pieces: Piece, title: str = "A script.", imports: tuple[str, ...] = ()) -> str:
    return layout.laid_out(Sources(imports=imports, pieces=pieces, main=MAIN), title)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(HOME)))
def test_what_ruff_has_formatted_stays_as_it_is(file: Path) -> None:
    text = file.read_text()
    if ruff_format(text) == text:  # a file that someone is writing may not be
        assert wrapped(text) == text


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_joined_and_renamed_statements_come_out_as_from_ruff(share: float) -> None:
    """All statements of a file; one in a hundred may be broken elsewhere, where a name fills most of a line."""
    same, lines = 0, 0
    for number, file in enumerate(FILES):
        if number % 8 != 5:
            continue
        rng = random.Random(number)
        text = joined(renamed(file.read_text(), rng, share), rng)
        want, found = ruff_format(text).splitlines(), wrapped(text).splitlines()
        assert ast.dump(ast.parse("\n".join(found))) == ast.dump(ast.parse("\n".join(want)))
        if share == 0.0:
            assert found == want
        lines += len(want)
        same += len(set(want) & set(found)) + len(want) - len(set(want))
    assert same > 0.99 * lines


@pytest.mark.parametrize(
    ("written", "formatted"),
    [
        ("x = (a)\n", "x = a\n"),
        ("f((a), k=(b + 1))\n", "f(a, k=b + 1)\n"),
        ("x = (a + b) * (c)\n", "x = (a + b) * c\n"),
        ("f(\n    a,\n    b\n)\n", "f(a, b)\n"),
        ("f(\n    a,\n    b,\n)\n", "f(\n    a,\n    b,\n)\n"),
        ("x = 'a'\n", 'x = "a"\n'),
        ("x = a[i * 2:n]\n", "x = a[i * 2 : n]\n"),
        ('def f():\n    """Claim.\n\n    """\n', 'def f():\n    """Claim."""\n'),
        ("def f():\n\n    a = 1\n\n\n\n    return a\n", "def f():\n    a = 1\n\n    return a\n"),
        ("class A:\n    a: int\n    def f(self): ...\n", "class A:\n    a: int\n\n    def f(self): ...\n"),
        ("x = {  # why\n    'a': 1\n}\n", 'x = {  # why\n    "a": 1\n}\n'),
        ("f(\n    a,  # one\n    b  # two\n)\n", "f(\n    a,  # one\n    b,  # two\n)\n"),
    ],
)
def test_what_trimming_leaves_behind_is_mended(written: str, formatted: str) -> None:
    assert wrapped(written) == formatted
    assert ruff_format(formatted) == formatted


def test_imports_are_merged_and_sorted() -> None:
    lines = [
        "import torch",
        "from b import c",
        "from b import A, B2",
        "import os",
        "from b import XY",
        "import numpy as np",
    ]
    assert sorted_imports([*lines, "import os"]) == (
        "import os\n\nimport numpy as np\nimport torch\nfrom b import B2, XY, A, c"
    )
    long = sorted_imports(["from package import " + ", ".join(f"name_number_{i:02}" for i in range(12))])
    assert long.splitlines()[:2] == ["from package import (", "    name_number_00,"]
    assert ruff_format(long + "\n") == long + "\n"


def test_sections_stand_in_their_order_and_the_whole_is_clean() -> None:
    text = laid_out(
        piece("train", "def train(seed: int) -> int:\n    return seed + np.pi + ONE\n", "satsuma.train.loop"),
        piece("mse", "def mse(a: float) -> float:\n    return a\n", "satsuma.functional.losses"),
        piece("relu", "def relu(a: float) -> float:\n    return a\n", "satsuma.functional.activations"),
        piece("ONE", "ONE = 1", "satsuma.data.seeds"),
        piece("TWO", "TWO = 2  # a pair", "satsuma.data.seeds"),
        piece("sgd", "def sgd(a: float) -> float:\n    return a\n", "satsuma.ladder.numpy.optimizers"),
        piece("mine", "def mine(a: float) -> float:\n    return a\n", "__main__", own=True),
        imports=("import numpy as np",),
    )
    banners = [line[6:].rstrip("-").strip() for line in text.splitlines() if line.startswith("# ---")]
    assert banners == ["yours", "random numbers", "model", "loss and metrics", "optimiser", "training"]
    assert all(len(line) == 120 for line in text.splitlines() if line.startswith("# ---"))
    assert "ONE = 1\nTWO = 2  # a pair\n" in text
    assert text.endswith('\n\n\nif __name__ == "__main__":\n    main()\n')
    assert ruff_faults(text) == ""


def test_main_has_a_banner_of_its_own_below_many_pieces() -> None:
    pieces = [piece(f"f{i}", f"def f{i}() -> int:\n    return {i}\n", "satsuma.train.loop") for i in range(4)]
    assert "# --- main ---" not in laid_out(*pieces[:3])
    assert "# --- main ---" in laid_out(*pieces)
    assert "# --- main ---" in laid_out(piece("relu", "def relu() -> int:\n    return 1\n", "satsuma.nn.layers"))


def test_numbers_stand_at_the_top_of_their_section_and_rows_on_one_line() -> None:
    text = laid_out(
        piece("f", "def f(\n    a: int,\n    b: int,\n) -> int:\n    return a + b\n", "satsuma.train.loop"),
        piece("ONE", "ONE = 1", "satsuma.train.loop"),
    )
    assert text.index("ONE = 1") < text.index("def f(a: int, b: int) -> int:")


def test_what_is_needed_when_the_script_is_read_stands_first() -> None:
    text = laid_out(
        piece("table", "table = made(3)", "satsuma.data.samples"),
        piece("made", "def made(n: int) -> list[int]:\n    return [SIZE] * n\n", "satsuma.train.loop"),
        piece("SIZE", "SIZE = 2", "satsuma.vision.image"),
        piece("Net", "class Net(Base):\n    pass\n", "__main__", own=True),
        piece("Base", "class Base:\n    pass\n", "satsuma.nn.layers"),
        piece("step", "def step(run: Run) -> None:\n    later()\n", "satsuma.optim.groups"),
        piece("Run", "class Run:\n    pass\n", "satsuma.train.run"),
        piece("later", "def later() -> None:\n    return None\n", "satsuma.train.run"),
    )
    exec(compile(text, "script", "exec"), {"__name__": "script"})
    assert text.index("class Net") < text.index("def main")
    assert text.index("def step") < text.index("def later")
    assert ruff_faults(text, "RET501", "PLR1711") == ""


@pytest.mark.parametrize(
    "title", ['Say "so"', '"quoted"', "C:\\new \\N{x}", 'three """ quotes', "word " * 60, "one\n\ntwo", ""]
)
def test_any_title_is_a_docstring(title: str) -> None:
    text = laid_out(title=title)
    found = ast.get_docstring(ast.parse(text)) or ""
    assert " ".join(found.split()) == " ".join((title or "A training script.").split())
    assert max(map(len, text.splitlines())) <= 120
    assert ruff_faults(text) == ""


def test_the_users_own_code_stands_word_for_word() -> None:
    odd = "def  mine( a ) :\n  return  (a)"
    assert odd in laid_out(piece("mine", odd, "__main__", own=True))
