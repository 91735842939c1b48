import copy
import gc
import multiprocessing
import pickle
import threading

import pytest
import torch
from tests.data.fakes import Deadly, Global, Pictures, Stacked, Torn
from tests.data.test_streamed import Bytes, same

from satsuma.data.loader import DataLoader
from satsuma.data.processes import SentBatch, sendable


@pytest.fixture(autouse=True)
def none_left_behind():
    before = set(multiprocessing.active_children())
    yield
    gc.collect()
    assert [p for p in multiprocessing.active_children() if p not in before] == []


def processes(dataset, batch_size, shuffle=False, workers=2):
    return DataLoader(dataset, batch_size, shuffle, workers=workers, worker_kind="processes")


class Pinnable:
    def pin_memory(self):
        return "pinned"


def test_a_sent_batch_pins_all_its_parts():
    parts = (Pinnable(), (Pinnable(), 3), "text")
    assert SentBatch(parts).pin_memory().batch == ("pinned", ("pinned", 3), "text")
    assert SentBatch(Pinnable()).pin_memory().batch == "pinned"


@pytest.mark.parametrize("kind", [Pictures, Stacked, Global])
def test_the_same_batches_as_without(kind):
    loader, alone = processes(kind(23), 5, True), DataLoader(kind(23), 5, True)
    for epoch in (0, 1):
        same(loader.epoch(epoch), alone.epoch(epoch))
    same(loader.epoch(1, start=3), alone.epoch(1, start=3))
    same(loader.epoch(1, start=5), [])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than cores
def test_threads_make_the_same_batches():
    same(processes(Pictures(23), 5, True, workers=3).epoch(4), DataLoader(Pictures(23), 5, True, workers=3).epoch(4))


def test_batches_come_in_channels_last_and_shared_memory():
    for x, y in processes(Pictures(6, (101, 103)), 3):
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert x.is_shared()
        assert y.is_shared()


def test_workers_stay_for_the_next_epoch():
    loader = processes(Pictures(6), 3)
    before = {p.pid for p in multiprocessing.active_children()}
    list(loader)
    first = {p.pid for p in multiprocessing.active_children()} - before
    list(loader)
    assert {p.pid for p in multiprocessing.active_children()} - before == first
    assert len(first) == 2


def test_leaving_early_ends_the_processes():
    before = set(multiprocessing.active_children())
    loader = processes(Pictures(60), 3)
    for _ in loader:
        break
    assert set(multiprocessing.active_children()) == before
    same(loader.epoch(0), DataLoader(Pictures(60), 3).epoch(0))  # and the next epoch starts new ones


def test_two_epochs_at_a_time_do_not_mix():
    loader = processes(Pictures(12), 5, True)
    both = list(zip(loader.epoch(0), loader.epoch(1), strict=True))
    same([a for a, _ in both], loader.epoch(0))
    same([b for _, b in both], loader.epoch(1))


def test_global_generators_do_not_move():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(processes(Global(7), 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_data_that_draws_from_global_generators_gets_processes():
    loader = DataLoader(Global(7), 3, True, workers=2)
    assert loader.batches.processes is not None
    same(loader.epoch(1), DataLoader(Global(7), 3, True).epoch(1))


def test_a_torn_file_is_named_as_by_threads():
    with pytest.raises(
        ValueError, match=r"sample 5, pets/5.jpg cannot .*epoch 3.* OSError: broken data stream"
    ) as caught:
        list(processes(Torn(9), 4).epoch(3))
    assert "in a worker process" in "".join(caught.value.__notes__)


class Odd(Exception):  # noqa: N818
    def __init__(self, one, two):
        super().__init__("odd")


def test_errors_that_cannot_travel_are_told():
    assert str(sendable(Odd(1, 2))) == "Odd: odd"
    kept = sendable(ValueError("torn"))
    assert (type(kept), str(kept)) == (ValueError, "torn")


@pytest.mark.slow
def test_a_process_that_dies_is_told():
    with pytest.raises(RuntimeError, match=r"a worker process of the loader died.*fewer workers"):
        list(processes(Deadly(40), 4))


def test_a_loader_can_be_copied_and_sent():
    loader = processes(Pictures(6), 3, True)
    list(loader)
    for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        same(other.epoch(1), loader.epoch(1))


def test_parts_are_finished_in_the_loops_process():
    loader = processes(Bytes(5), 3)
    assert [x.tolist() for x, _ in loader] == [(torch.arange(5).float() / 255)[i : i + 3].tolist() for i in (0, 3)]


@pytest.mark.filterwarnings("ignore:Got pickle error")  # of torch, before its error
def test_what_cannot_be_pickled_is_told():
    class Local(Pictures):
        pass

    multiprocessing.set_start_method("spawn", force=True)
    try:
        with pytest.raises(ValueError, match=r"cannot be sent to worker processes: .*Local.*worker_kind='threads'"):
            list(processes(Local(5), 3))
    finally:
        multiprocessing.set_start_method(None, force=True)


def test_no_threads_are_left():
    list(processes(Pictures(6), 3))
    gc.collect()
    assert not [t for t in threading.enumerate() if "satsuma" in t.name]
