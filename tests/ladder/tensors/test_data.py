"""Data sets and loaders of the tensors rung: the same batches in the same order as data/."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import QUICK

from satsuma.data import arrays, loader, seeds
from satsuma.ladder.tensors.data import ArrayDataset, DataLoader
from satsuma.ladder.tensors.seeds import epoch_order, mix_seed


def listed(batches):
    return [tuple(p.tolist() if isinstance(p, torch.Tensor) else p for p in b) for b in batches]


@given(st.integers(-(2**70), 2**70), st.lists(st.integers(0, 2**40), max_size=3))
def test_seeds_are_mixed_as_in_data(seed, keys):
    assert mix_seed(seed, *keys) == seeds.mix_seed(seed, *keys)


@QUICK
@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 100))
def test_orders_are_those_of_data(n, seed, epoch):
    assert torch.equal(epoch_order(n, seed, epoch), seeds.epoch_order(n, seed, epoch))


@QUICK
@given(st.integers(1, 23), st.integers(1, 9), st.booleans(), st.booleans(), st.integers(0, 99), st.integers(0, 3))
def test_batches_are_those_of_data(n, batch_size, shuffle, drop_last, seed, start):
    drop_last = drop_last and batch_size <= n  # the production loader refuses to give no batch at all
    x, y = torch.arange(2 * n).reshape(n, 2).float(), torch.arange(n)
    pairs = [(x[i], i) for i in range(n)]
    names = [(x[i], f"name {i}") for i in range(n)]
    settings = {"drop_last": drop_last, "seed": seed}
    for ours, theirs in ((ArrayDataset((x, y)), arrays.ArrayDataset((x, y))), (pairs, pairs), (names, names)):
        mine = DataLoader(ours, batch_size, shuffle, **settings)
        others = loader.DataLoader(theirs, batch_size, shuffle, **settings)
        assert len(mine) == len(others)
        for epoch in (0, 3):
            assert listed(mine.epoch(epoch, start=start)) == listed(others.epoch(epoch, start=start))
        assert listed(mine) == listed(others)  # pass 0
        assert listed(mine) == listed(others)  # pass 1


def test_dtypes_are_those_of_data():
    samples = [(1, 2.0, True, torch.zeros(2), "a"), (3, 4.0, False, torch.ones(2), "b")]
    (mine,), (others,) = DataLoader(samples), loader.DataLoader(samples)
    assert [getattr(p, "dtype", None) for p in mine] == [getattr(p, "dtype", None) for p in others]
    assert [batch.tolist() for batch in DataLoader(range(15), batch_size=5, shuffle=True)] == [
        batch.tolist() for batch in loader.DataLoader(range(15), batch_size=5, shuffle=True)
    ]


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one sample"):
        ArrayDataset((torch.zeros(3), torch.zeros(2)))
