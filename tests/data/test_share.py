"""Shares of batches: together they are the batches, whatever the loader and the number of processes."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import satsuma as sm
from satsuma.data.share import Share, share_bounds, share_taken
from satsuma.data.transforms import BatchSteps, make_steps
from satsuma.train.together import whole_of

N, B = 23, 7  # the last batch has 2 samples: fewer than 3 processes


class Squares:
    """A data set that is loaded sample by sample, and counts what is loaded."""

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        self.loaded.append(i)
        return torch.tensor([float(i)]), torch.tensor([float(i * i)])


def shaken(values: Tensor, *, rng: torch.Generator) -> Tensor:
    return values + torch.rand(len(values), 1, generator=rng)


def loader(kind: str) -> sm.DataLoader:
    numbers = torch.arange(N, dtype=torch.float32).unsqueeze(1)
    if kind == "arrays":
        return sm.DataLoader((numbers, numbers**2), B, shuffle=True)
    if kind == "random batch transforms":
        steps = BatchSteps((make_steps(shaken), make_steps(None)))
        return sm.DataLoader(Squares(), B, shuffle=True, batch_steps=steps)
    return sm.DataLoader(Squares(), B, shuffle=True, workers=2 if kind == "threads" else 0)


@pytest.mark.parametrize("kind", ["arrays", "samples", "threads", "random batch transforms"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("start", [0, 2])
def test_the_shares_of_all_processes_are_the_batches(kind: str, size: int, start: int) -> None:
    whole = list(loader(kind).epoch(5, start=start))
    shares = [
        list(Share(loader=loader(kind), rank=r, size=size, weighed=True).epoch(5, start=start)) for r in range(size)
    ]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        counted = [part for part in parts if part[-1][0, 0] > 0]
        for position, expected in enumerate(batch):
            assert torch.equal(torch.cat([part[position] for part in counted]), expected)
        weights = [part[-1][0, 0].item() for part in parts]
        assert weights == pytest.approx([len(p[0]) / len(batch[0]) if p[-1][0, 0] > 0 else 0 for p in parts])
        assert sum(weights) == pytest.approx(1)
        assert all(part[-1][:, 1].tolist() == list(range(len(part[0]) - 1, -1, -1)) for part in parts)


def test_a_process_loads_its_share_alone() -> None:
    whole = loader("samples")
    list(Share(loader=whole, rank=0, size=2).epoch(0))
    assert len(whole.dataset.loaded) == 3 + 3 + 3 + 1


def test_a_process_without_samples_takes_one_that_counts_nothing() -> None:
    assert share_bounds(1, 0, 2) == (0, 0)
    assert share_taken(1, 0, 2) == slice(0, 1)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_rows_come_back_in_the_order_of_the_samples(size: int) -> None:
    sizes, rows = [7, 7, 7, 2], torch.arange(23)
    batches = torch.split(rows, sizes)
    parts = [torch.cat([b[slice(*share_bounds(len(b), r, size))] for b in batches]) for r in range(size)]
    assert torch.equal(whole_of(parts, sizes), rows)


def test_mixed_parts_keep_their_weights() -> None:
    from satsuma.train.together import mixed_share

    share = Share(loader=loader("arrays"), rank=1, size=2, weighed=True)
    batch = next(share.epoch(0))
    mix = functools.partial(sm.MixUp(), n_inp=1)
    mixed = mixed_share(*batch, rng=np.random.default_rng(0), mix=mix)
    alone = mix(*batch[:-1], rng=np.random.default_rng(0))
    assert all(torch.equal(a, b) for a, b in zip(mixed, (*alone, batch[-1]), strict=True))
