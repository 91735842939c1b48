import random
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fakes import Global, Pictures, Slow, Stacked, Torn

from satsuma.data.loader import DataLoader
from satsuma.data.streamed import pick_worker_kind


def loader_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("satsuma-loader")]


def same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 23),
    batch_size=st.integers(1, 7),
    workers=st.integers(1, 5),
    shuffle=st.booleans(),
    epoch=st.integers(0, 3),
    start=st.integers(0, 4),
)
def test_workers_and_whole_batches_change_nothing(n, batch_size, workers, shuffle, epoch, start):
    alone = DataLoader(Stacked(n), batch_size, shuffle)
    threads = DataLoader(Pictures(n), batch_size, shuffle, workers=workers)
    same(alone.epoch(epoch, start=start), threads.epoch(epoch, start=start))


def test_augmentation_is_as_drawn_sample_by_sample():
    for augment in (False, True):
        one, other = (DataLoader(kind(7), 3, augment=augment, workers=1) for kind in (Pictures, Stacked))
        same(one.epoch(2), other.epoch(2))
    x, _ = DataLoader(Pictures(7), 3).one_batch()
    assert x[2].unique().tolist() == [2]  # validation draws nothing


@pytest.mark.parametrize("workers", [0, 2])
def test_a_torn_file_in_a_whole_batch_is_named(workers):
    with pytest.raises(
        ValueError, match=r"sample 5, pets/5.jpg cannot .*epoch 3.* OSError: broken data stream"
    ) as caught:
        list(DataLoader(Torn(9), 4, workers=workers).epoch(3))
    assert isinstance(caught.value.__cause__, OSError)
    assert loader_threads() == []


@pytest.mark.parametrize("workers", [1, 3])
def test_leaving_early_ends_the_threads_at_once(workers):
    data = Slow(4000)
    asked = []
    data.name = asked.append
    for batch in DataLoader(data, 2, workers=workers):
        assert len(batch[0]) == 2
        break
    assert loader_threads() == []


def test_no_more_is_made_ahead_than_the_bound():
    made = []

    class Counted(Pictures):
        def batch(self, indices, rngs, buffers):
            made.append(list(indices))
            return super().batch(indices, rngs, buffers)

    batches = DataLoader(Counted(100), 1, workers=2).epoch(0)
    next(batches)
    threading.Event().wait(0.05)
    assert 1 <= len(made) <= 2 + 2
    batches.close()


def test_two_epochs_at_a_time_do_not_mix():
    loader = DataLoader(Pictures(23), 5, True, workers=2)
    both = list(zip(loader.epoch(0), loader.epoch(1), strict=True))
    same([a for a, _ in both], loader.epoch(0))
    same([b for _, b in both], loader.epoch(1))


# draws from global generators


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def test_global_draws_depend_on_seed_epoch_and_index_alone():
    draws = {}
    for size in (5, 7):
        for x, indices in DataLoader(Global(23), size, True).epoch(2):
            for i, drawn in zip(indices.tolist(), x.tolist(), strict=True):
                assert draws.setdefault(i, drawn) == drawn
    assert len({value for drawn in draws.values() for value in drawn}) == 3 * 23
    other = {i: d for x, y in DataLoader(Global(23), 5).epoch(3) for i, d in zip(y.tolist(), x.tolist(), strict=True)}
    assert all(other[i] != draws[i] for i in draws)


def test_global_generators_are_left_as_they_were():
    before = states()
    list(DataLoader(Global(7), 3))
    assert states() == before
    with pytest.raises(ValueError, match="sample 0"):
        list(DataLoader(GlobalTorn(7), 3))
    assert states() == before


class GlobalTorn(Global):
    def sample(self, index, rng):
        torch.rand(())
        raise OSError("gone")


def test_the_kind_of_worker():
    assert pick_worker_kind("auto", Pictures(3), 2) == "threads"
    assert pick_worker_kind("auto", Global(3), 2) == "processes"
    assert pick_worker_kind("threads", Global(3), 0) == "threads"
    with pytest.raises(ValueError, match="draws from global random generators, which threads share"):
        DataLoader(Global(3), workers=2, worker_kind="threads")
    with pytest.raises(ValueError, match='worker_kind is "threads", "processes" or "auto", got \'fibres\''):
        DataLoader(Pictures(3), worker_kind="fibres")


# parts that are made whole on the device


class Half:
    def __init__(self, values):
        self.values = values

    def to(self, device, non_blocking=False):
        return Half(self.values.to(device, non_blocking=non_blocking))

    def finished(self):
        return self.values.float() / 255


class Bytes(Pictures):
    device = None

    def for_device(self, device):
        made = Bytes(self.n)
        made.device = device
        return made

    def batch(self, indices, rngs, buffers):
        assert self.device is not None
        return Half(torch.tensor(indices, dtype=torch.uint8)), torch.tensor(indices)


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_are_finished_on_the_device(workers):
    loader = DataLoader(Bytes(5), 3, workers=workers)
    assert [x.tolist() for x, _ in loader] == [(torch.arange(5).float() / 255)[i : i + 3].tolist() for i in (0, 3)]
    there = loader.to("meta")
    assert there.batches.maker.dataset.device == torch.device("meta")
    assert all(x.device.type == y.device.type == "meta" for x, y in there)


# what is told


def test_the_share_of_waiting():
    loader = DataLoader(Slow(12), 2)
    for _ in loader:
        pass
    assert loader.waiting.waited_s >= 12 * 0.002
    for _ in loader.epoch(0, start=4):
        threading.Event().wait(0.01)
    assert loader.waiting.worked_s >= 2 * 0.01  # of the last epoch alone
    waited, worked = loader.waiting.waited_s, loader.waiting.worked_s
    assert loader.waiting.share == pytest.approx(waited / (waited + worked))


def test_a_loader_like_another_keeps_its_workers():
    loader = DataLoader(Pictures(5), 2, workers=2, worker_kind="threads")
    for other in (loader.new(batch_size=3), loader.to("meta")):
        assert (other.workers, other.worker_kind) == (2, "threads")
    other = loader.new(workers=0, worker_kind="auto")
    assert (other.workers, other.worker_kind, other.batches.processes) == (0, "auto", None)


@pytest.mark.parametrize("n", [5, 7, 2])
def test_of_fewer_batches_than_threads_each_is_made_in_parts_and_is_the_same(n):
    plain, parts = (DataLoader(Pictures(n), n, True, workers=workers) for workers in (0, 4))
    (x, y), (x_parts, y_parts) = next(iter(plain.epoch(3))), next(iter(parts.epoch(3)))
    assert torch.equal(x, x_parts)
    assert x.stride() == x_parts.stride()
    assert torch.equal(y, y_parts)


def test_a_file_that_fails_in_a_part_of_a_batch_is_named():
    with pytest.raises(ValueError, match=r"pets/5\.jpg"):
        list(DataLoader(Torn(7), 7, workers=3))
