import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.fakes import Pictures, Stacked

from satsuma.data.buffers import SMALL, Buffers
from satsuma.data.loader import DataLoader

BIG = (2, 101, 103, 3)  # of float32: above SMALL


def place(array):
    return array.ctypes.data


def test_memory_is_used_again_once_it_is_free():
    buffers = Buffers(2)
    first = buffers.take(BIG, np.float32)
    assert (first.shape, first.dtype) == (BIG, np.float32)
    lay = place(first)
    assert place(buffers.take(BIG, np.float32)) != lay
    del first
    assert place(buffers.take(BIG, np.float32)) == lay


def keep_array(array):
    return array


def keep_view(array):
    return array[1, 3:]


def keep_reshaped(array):
    return array.reshape(-1)


def keep_memoryview(array):
    return memoryview(array)


def keep_tensor(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2)


def keep_row(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2)[0, :, 1]


def keep_detached(array):
    return torch.from_numpy(array).requires_grad_().detach()


def keep_storage(array):
    return torch.from_numpy(array).untyped_storage()


def keep_numpy(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2).numpy()


def keep_dlpack(array):
    return torch.from_dlpack(array)


def keep_for_backward(array):
    weight = torch.ones(3, requires_grad=True)
    return (torch.from_numpy(array) * weight).sum()  # autograd saves the batch for the gradient of weight


KEPT = [keep_array, keep_view, keep_reshaped, keep_memoryview, keep_tensor, keep_row, keep_detached, keep_storage,
        keep_numpy, keep_dlpack, keep_for_backward]  # fmt: skip


@pytest.mark.parametrize("keep", KEPT)
def test_what_anyone_holds_is_never_handed_out(keep):
    buffers = Buffers(1)
    array = buffers.take(BIG, np.float32)
    lay = place(array)
    kept = keep(array)
    del array
    others = [buffers.take(BIG, np.float32) for _ in range(3)]
    assert lay not in [place(other) for other in others]
    del kept


@pytest.mark.parametrize("keep", KEPT)
def test_and_is_free_when_that_is_gone(keep):
    buffers = Buffers(1)
    array = buffers.take(BIG, np.float32)
    lay = place(array)
    kept = keep(array)
    del array, kept
    assert place(buffers.take(BIG, np.float32)) == lay


def test_the_gradient_of_a_kept_batch_is_right():
    buffers, weight = Buffers(1), torch.ones(3, requires_grad=True)
    array = buffers.take(BIG, np.float32)
    array[:] = 7
    loss = (torch.from_numpy(array) * weight).sum()
    del array
    buffers.take(BIG, np.float32)[:] = -1
    loss.backward()
    assert weight.grad.tolist() == [7 * 2 * 101 * 103] * 3


def test_shapes_and_dtypes_are_not_mixed_up():
    buffers = Buffers(4)
    for shape, dtype in [(BIG, np.float32), ((1, *BIG[1:]), np.float32), (BIG, np.int32), (BIG, np.float32)]:
        array = buffers.take(shape, dtype)
        assert (array.shape, array.dtype, array.flags.owndata) == (shape, dtype, True)


def test_the_pool_is_bounded_and_leaves_small_arrays_alone():
    buffers = Buffers(2)
    kept = [buffers.take(BIG, np.float32) for _ in range(7)]
    assert len(buffers.arrays) == 2
    assert len({place(a) for a in kept}) == 7
    buffers = Buffers(2)
    buffers.take((SMALL - 1,), np.uint8)
    assert buffers.arrays == []
    with pytest.raises(ValueError, match="limit is how many arrays"):
        Buffers(-1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_begins_empty(copied):
    buffers = Buffers(3)
    buffers.take(BIG, np.float32)
    for other in (copied(buffers), pickle.loads(pickle.dumps(buffers))):
        assert (other.limit, other.pinned, other.arrays) == (3, False, [])
        assert other.lock is not buffers.lock


@given(st.lists(st.sampled_from(["take", "drop first", "drop last"]), max_size=40), st.integers(0, 5))
def test_two_holders_never_share(moves, limit):
    buffers, held, number = Buffers(limit), [], 0
    for move in moves:
        if move == "take":
            number += 1
            array = buffers.take((SMALL,), np.uint8)
            array[:4] = np.frombuffer(np.uint32(number).tobytes(), np.uint8)
            held.append((number, torch.from_numpy(array)[:4]))
            del array
        elif held:
            held.pop(0 if move == "drop first" else -1)
        assert [int(t.numpy().view(np.uint32)[0]) for _, t in held] == [n for n, _ in held]
        assert len(buffers.arrays) <= limit


def test_threads_share_a_pool():
    buffers, faults = Buffers(3), []

    def use(number):
        for _ in range(200):
            array = buffers.take((SMALL,), np.uint8)
            array[:] = number
            if not (array == number).all():
                faults.append(number)

    threads = [threading.Thread(target=use, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_that_a_user_keeps_stay_as_they_came(workers):
    loader = DataLoader(Pictures(41, (101, 103)), 2, True, workers=workers)
    kept = list(loader.epoch(1))
    for (x, _), (want, _) in zip(kept, DataLoader(Stacked(41, (101, 103)), 2, True).epoch(1), strict=True):
        assert torch.equal(x, want)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_a_loop_that_keeps_nothing_uses_few_places():
    loader = DataLoader(Pictures(200, (101, 103)), 2, workers=2)
    places = {x.data_ptr() for x, _ in loader}
    assert len(places) <= 2 * (2 + 4) < len(loader)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_memory_for_a_gpu():
    array = Buffers(pinned=True).take(BIG, np.float32)
    array[:] = 3
    tensor = torch.from_numpy(array)
    assert tensor.is_pinned()
    there = tensor.to("cuda", non_blocking=True)
    del array, tensor
    Buffers(pinned=True).take(BIG, np.float32)[:] = 4  # torch's allocator waits for the copy before it hands it out
    assert (there == 3).all()
