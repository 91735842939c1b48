"""Several processes under torchrun against one: the same weights, losses and metrics, also after a stop or a death."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from satsuma.learner.together import refuse_parallel
from satsuma.train.world import World, lost_message

sys.path.insert(0, str(Path(__file__).parent))
import together

WORKER = Path(together.__file__)
pytestmark = pytest.mark.slow


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TORCHRUN += ["--monitor-interval", "0.1"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def under_torchrun(folder: Path, *jobs: str, restarts: int) -> subprocess.CompletedProcess[str]:
    """Do the jobs in two processes."""
    command = [*TORCHRUN, "--max-restarts", str(restarts), str(WORKER), str(folder), *jobs]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=ENV, check=False)


@pytest.fixture(scope="module", name="two")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One start of torchrun: a death, going on with runs of one process, and runs in two, two of them cut off."""
    folder = tmp_path_factory.mktemp("together")
    for name in ("one", "one_fsdp"):
        together.begun(folder / name)
    # the death comes first: the processes that are started again do all that follows, and once
    jobs = ("killed", "go_on_one", "go_on_one_fsdp", "begin_two", "begin_fsdp")
    jobs += ("float64", "float32", "micro", "summed", "fsdp", "stopped", "diverged", "batch_norm")
    jobs += ("go_on_two_again", "go_on_fsdp_again")  # copies: the runs themselves are gone on with by one process
    done = under_torchrun(folder, *jobs, restarts=1)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {name: torch.load(folder / f"{name}.pt", weights_only=False) for name in jobs}
    return {**found, "folder": folder, "log": done.stderr}


@pytest.fixture(scope="module", name="one")
def one_process() -> dict[str, Any]:
    return together.trained()


def largest_error(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """The largest relative error of a weight matrix or vector, by its norm."""
    pairs = [(found["weights"][name], value) for name, value in expected["weights"].items()]
    return max(float((a - b).double().norm() / b.double().norm()) for a, b in pairs)


def same_bits(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(torch.equal(found["weights"][k], value) for k, value in expected["weights"].items())


@pytest.mark.parametrize("name", ["float64", "micro", "fsdp"])
def test_two_processes_are_one_in_float64(two: Any, one: dict[str, Any], name: str) -> None:
    assert len(one["steps"]) == 105
    assert largest_error(two[name], one) < 1e-12
    torch.testing.assert_close(two[name]["steps"], one["steps"], rtol=1e-12, atol=0)  # losses and norms


def test_two_processes_are_one_in_float32(two: Any) -> None:
    assert largest_error(two["float32"], together.trained(torch.float32)) < 1e-6


def test_a_loss_that_is_a_sum_stays_one(two: Any) -> None:
    assert largest_error(two["summed"], together.trained(loss_func=torch.nn.MSELoss(reduction="sum"))) < 1e-12


def test_all_processes_stop_early_at_the_same_epoch_with_the_best_weights(two: Any) -> None:
    alone = together.stopped_early()
    assert two["stopped"]["epochs"] == alone["epochs"]
    assert alone["epochs"][0] < 15
    assert largest_error(two["stopped"], alone) < 1e-12


def test_a_loss_that_breaks_ends_all_processes_with_the_weights_of_before(two: Any) -> None:
    alone = together.diverged()
    assert two["diverged"]["told"].split(". ")[0] == alone["told"].split(". ")[0]  # the step and the batch's items
    assert same_bits(two["diverged"], alone)


def test_metrics_over_seven_samples_on_two_processes_are_exact(two: Any, one: dict[str, Any]) -> None:
    for name in ("float64", "fsdp"):
        torch.testing.assert_close(torch.tensor(two[name]["valid"]), torch.tensor(one["valid"]), rtol=1e-12, atol=0)
    *_, spread, mae = two["float64"]["valid"][-1]
    assert (spread, mae) == pytest.approx(tuple(two["float64"]["whole"].values()), rel=1e-12)


def test_weights_and_statistics_are_the_same_in_every_process(two: Any) -> None:
    found = two["batch_norm"]
    first, mean = found["theirs"]
    assert found["mine"] == first == mean
    assert found["changed"]


def test_a_single_sample_for_batch_normalisation_is_refused_before_the_first_step(two: Any) -> None:
    assert "2 processes share a batch of 3, which leaves one of them a single sample" in two["batch_norm"]["lonely"]


@pytest.mark.parametrize("name", ["two", "fsdp"])
def test_a_run_of_two_processes_goes_on_in_one(two: Any, one: dict[str, Any], name: str) -> None:
    assert two[f"begin_{name}"]["code"] == 143
    assert largest_error(together.gone_on(two["folder"] / name), one) < 1e-12


@pytest.mark.parametrize("name", ["one", "one_fsdp"])
def test_a_run_of_one_process_goes_on_in_two(two: Any, one: dict[str, Any], name: str) -> None:
    assert largest_error(two[f"go_on_{name}"], one) < 1e-12


def test_two_processes_go_on_to_the_same_bits(two: Any) -> None:
    assert same_bits(two["go_on_two_again"], two["float64"])
    assert same_bits(two["go_on_fsdp_again"], two["fsdp"])


def test_a_killed_process_is_started_again_and_the_run_ends_as_if_nothing_had_been(two: Any) -> None:
    assert "exitcode: -9" in two["log"]
    assert len(two["killed"]["steps"]) == 105 - 30  # from the last checkpoint before the death at step 40
    assert same_bits(two["killed"], two["float64"])


def test_one_history_is_written(two: Any) -> None:
    lines = (two["folder"] / "killed" / "history.jsonl").read_text().splitlines()
    assert len(lines) == 105 + 15


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parallel": "zero"}, 'parallel is "ddp"'),
        ({"sync_batch_norm": True}, "sync_batch_norm=True needs CUDA"),
        ({"parallel": "fsdp", "micro": 4, "l1": 0.1}, 'micro and l1 cannot go with parallel="fsdp"'),
        ({"device": torch.device("mps")}, 'train on "cpu" .gloo. or "cuda"'),
    ],
)
def test_what_several_processes_cannot_do_is_refused(settings: dict[str, Any], words: str) -> None:
    given = {"parallel": "ddp", "sync_batch_norm": False, "device": torch.device("cpu"), **settings}
    with pytest.raises(ValueError, match=words):
        refuse_parallel(world=World(0, 2), **given)


def test_a_process_that_has_lost_the_others_says_so() -> None:
    """Not of the killed run above: torchrun may end the other process before it has spoken."""
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:54990.")
    assert "process 0 of 2 cannot reach the others" in lost_message(lost, World(0, 2))
    assert not lost_message(RuntimeError("mat1 and mat2 cannot be multiplied"), World(0, 2))
    assert not lost_message(lost, World())


def test_one_process_takes_no_notice_of_options_for_several() -> None:
    alone = together.trained(parallel="fsdp", micro=16)
    assert same_bits(alone, together.trained(micro=16))


def test_the_command_goes_on_by_itself_after_a_death(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(21):
            pixels = draw.integers(0, 100, (16, 16, 3), dtype=np.uint8) + (100 if name == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    command = [*TORCHRUN, "--max-restarts", "1", "-m", "satsuma", "train", "photos", "--epochs", "30"]
    command += ["--batch-size", "8", "--save-steps", "5", "--device", "cpu"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=ENV, **pipes) as torchrun:
        kill_last_child_after(torchrun, tmp_path / "runs/photos-1/checkpoints/resume-000000020.safetensors")
        out, errors = torchrun.communicate(timeout=200)
    assert torchrun.returncode == 0, errors[-3000:]
    assert "resumed at step" in out
    assert out.count("wrote runs/photos-1") == 1  # by one process alone
    assert [run.name for run in (tmp_path / "runs").iterdir()] == ["photos-1"]
    lines = [json.loads(line) for line in (tmp_path / "runs/photos-1/history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, 30 * 4 + 1))


def kill_last_child_after(torchrun: "subprocess.Popen[str]", file: Path) -> None:
    """SIGKILL the worker that was started last, once `file` is there."""
    until = time.monotonic() + 120
    while not file.exists():
        assert torchrun.poll() is None, torchrun.stderr and torchrun.stderr.read()[-3000:]
        assert time.monotonic() < until
        time.sleep(0.02)
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
