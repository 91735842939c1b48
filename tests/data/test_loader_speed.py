import random

import numpy as np
import pytest
import torch
from tests.data.fakes import Global, Pictures, Slow, Torn

from satsuma.data.loader import DataLoader
from satsuma.data.loader_speed import LoaderSpeeds, loader_speeds, many_takes, worker_settings

ONE, TWO, PAIR = (1, "threads"), (2, "threads"), (2, "processes")


def speeds(*rates, usual=TWO):
    return LoaderSpeeds(dict(zip((ONE, TWO, PAIR), rates, strict=True)), usual, {})


def test_what_is_tried():
    assert worker_settings(8, (8, "threads"))[-3:] == [(2, "processes"), (4, "processes"), (8, "processes")]
    assert worker_settings(1, (3, "threads")) == [(n, "threads") for n in (0, 1, 2, 3)] + [PAIR]
    assert worker_settings(2, PAIR, threads=False) == [(0, "threads"), PAIR]


def test_every_setting_is_measured():
    found = loader_speeds(DataLoader(Slow(40), 4, True, workers=2), seconds=0.1, settings=[(0, "threads"), ONE, TWO])
    assert list(found.rates) == [(0, "threads"), ONE, TWO]
    assert all(0 < rate < workers / 0.002 for (workers, _), rate in found.rates.items() if workers)
    assert found.rates[found.best] == max(found.rates.values())
    assert found.sample_seconds["sample"] >= 0.002
    assert "2 threads" in str(found)
    assert "one sample: sample " in str(found)


def test_the_setting_now_is_always_among_them():
    found = loader_speeds(DataLoader(Pictures(40), 4, workers=1), seconds=0.01, settings=[PAIR])
    assert (found.usual, list(found.rates)) == (ONE, [ONE, PAIR])


def test_global_draws_are_measured_in_processes_and_do_not_move():
    before = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
    found = loader_speeds(DataLoader(Global(40), 4, True, workers=2), seconds=0.01)
    assert found.usual == PAIR
    assert all(kind == "processes" for workers, kind in found.rates if workers)
    after = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
    assert before == after


def test_batches_go_round():
    loader = DataLoader(Pictures(5), 3, True)
    takes = many_takes(loader, 4)
    order = [*loader.indices(0, 0), *loader.indices(0, 1)]
    assert [i for take in takes for i in take] == (order * 3)[:12]
    assert many_takes(DataLoader(Pictures(2), 3), 2) == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (speeds(100, 190, 150), "best: 2 threads, 190 samples/s; that is the setting now."),
        (speeds(184, 190, 150, usual=ONE), "now 1 thread, as fast within 5%."),
        (speeds(100, 200, 150, usual=ONE), 'now 1 thread, 50% slower: set workers=2, worker_kind="threads".'),
        (speeds(100, 110, 190), 'set workers=2, worker_kind="processes".\nThreads do not scale here: transforms hold'),
    ],
)
def test_what_is_advised(found, said):
    assert said in found.advice
    assert found.holds_lock == ("hold the interpreter" in found.advice)


def test_faults_are_told():
    with pytest.raises(ValueError, match="this data lies in memory"):
        loader_speeds(DataLoader(torch.zeros(5), 2))
    with pytest.raises(ValueError, match=r"pets/5.jpg cannot be loaded"):
        loader_speeds(DataLoader(Torn(40), 4), settings=[TWO])
