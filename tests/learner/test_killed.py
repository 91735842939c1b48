"""Runs killed by SIGKILL at random moments, some of them several times, and gone on with.

`make soak` tries sixty; ten of them, one a recipe, stand in the suite.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).parents[2]
NAMES = [
    "mlp_dropout_one_cycle", "early_stopping", "several_fits", "mixup_smoothing", "frozen_first_layer",
    "cnn_of_arrays", "momentum", "micro", "cnn_of_a_folder", "larger_pictures",
]  # fmt: skip
# how often each moment comes in the shortest of these runs, so that nearly every kill hits
MOMENTS = {"step": 8, "kept": 5, "evaluation": 2, "epoch": 2, "sync": 12, "rename": 8, "rows": 3}
TRIED = int(os.environ.get("SATSUMA_KILLS", "10"))


def drawn_cases(n: int) -> list[tuple[str, list[tuple[str, int]]]]:
    """`n` recipes in turn, each with one to three moments at which the process dies."""
    rng = np.random.default_rng(2026)
    cases = []
    for i in range(n):
        kinds = rng.choice(list(MOMENTS), size=rng.integers(1, 4))
        cases.append((NAMES[i % len(NAMES)], [(str(k), int(rng.integers(1, MOMENTS[str(k)] + 1))) for k in kinds]))
    return cases


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes to be killed are made by fork")
def test_a_killed_run_goes_on_to_the_very_same_weights(tmp_path):
    cases = drawn_cases(TRIED)
    done = subprocess.run(
        [sys.executable, "-m", "tests.learner.kills", str(tmp_path)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) == TRIED
    for case, result in zip(cases, results, strict=True):
        told = (case, result, done.stderr[-2000:])
        assert "error" not in result, told
        assert result["same_weights"], told
        assert result["same_steps"], told
        assert result["same_epochs"], told
        assert result["each_once"], told
    assert sum(result["killed"] for result in results) >= TRIED, "too few of the kills hit"
