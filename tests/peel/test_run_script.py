"""The runner of scripts itself: what it blocks, and that scripts do not see each other."""

import pytest
from tests.peel.run_script import ScriptError, run_script

TORCH = """
import torch
from safetensors.torch import save_file

print("hello")


def main(arguments=None):
    torch.manual_seed(1)
    save_file({"w": torch.ones(2)}, arguments[-1])
    print("epoch  train_loss  time")
    print("    0    0.500000  0.1s")
    return [0.1, float(torch.rand(()))]
"""


def test_losses_table_and_weights_come_back(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TORCH)
    first, second = run_script(script), run_script(script)
    assert first.losses == second.losses
    assert first.losses[0] == 0.1
    assert first.stdout.startswith("hello\n")
    assert first.header == ["epoch", "train_loss", "time"]
    assert first.rows == [["0", "0.500000"]]
    assert first.weights["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("depth", "package", "found"),
    [
        *[("loop", "satsuma", True), ("torch", "satsuma", False), ("torch", "tests.peel.yours", False)],
        *[("tensors", "torch", True), ("numpy", "torch", False), ("numpy", "satsuma", False), ("numpy", "numpy", True)],
    ],
)
def test_what_can_be_imported(depth, package, found, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"import {package}\n")
    with pytest.raises(
        ScriptError, match="no attribute 'main'" if found else f"{package.partition('.')[0]}'.* blocked here"
    ):
        run_script(script, depth=depth)


def test_scripts_do_not_see_each_other(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("import sys\nimport math\nmath.left = sys.left = 1\n")
    two.write_text("import sys\nimport math\nassert not hasattr(math, 'left')\nsys.exit(3)\n")
    with pytest.raises(ScriptError, match="main"):
        run_script(one)
    with pytest.raises(ScriptError, match="SystemExit: 3"):
        run_script(two)
