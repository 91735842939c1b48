"""`satsuma train --batch-size auto`, and what else may stand there."""

import json
from pathlib import Path

import pytest
import torch

import satsuma as sm
from satsuma.cli.train import memory_in_command_words

pytestmark = pytest.mark.usefixtures("model_only")


def test_auto_is_found_said_and_kept(satsuma, colors: Path, tmp_path: Path) -> None:
    result = satsuma("train", colors, "--epochs", "1", "--lr", "0.01", "--batch-size", "auto")
    assert result.code == 0, result.err
    assert "batch size 16: the largest power of two that 24 training samples hold; a step takes" in result.out
    assert result.out.count("labels: the folders' names") == 1
    assert "batch size 16; cpu" in result.out
    command = json.loads((tmp_path / "runs" / "colors-1" / "command.json").read_text())
    assert command["options"]["batch_size"] == 16
    again = satsuma("rerun", tmp_path / "runs" / "colors-1")
    assert again.code == 0, again.err


def test_other_words_are_refused(satsuma, colors: Path) -> None:
    for given, told in (("many", "--batch-size is a number or 'auto', got 'many'"), ("0", "must be 1 or more, got 0")):
        result = satsuma("train", colors, "--batch-size", given)
        assert result.code == 1
        assert told in result.err


def test_memory_that_runs_out_is_told_with_the_commands_options() -> None:
    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    x = torch.randn(23, 7)
    learn = sm.Learner(sm.DataLoaders.from_arrays(x, x[:, 0] > 0), Greedy(), device="cpu", progress=False)
    with pytest.raises(sm.OutOfMemoryError) as found:
        learn.fit(1)
    told = memory_in_command_words(str(found.value))
    assert "2.00 GiB more were asked for" in told
    assert told.endswith("Give --batch-size auto, or a smaller number; or a smaller --size; or --precision bf16.")
    assert "micro" not in told
