"""torch's own random numbers, without torch: equal from the same seed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ladder.numpy.twin import torchs_bernoulli

from satsuma.data import seeds as production
from satsuma.ladder.numpy import seeds
from satsuma.ladder.numpy.random import Generator, bernoulli_intel, normal, randperm, uniform, uniform_64
from satsuma.ladder.numpy.seeds import epoch_order, mix_seed

SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32 + 5, 2**63 + 17, 12345678901234567]
SIZES = [1, 2, 3, 7, 13, 15, 16, 17, 31, 32, 33, 257, 1000, 4999]
AVX2 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
seed_values = st.integers(0, 2**64 - 1)


def torchs(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=seed_values, n=st.integers(0, 700))
@settings(deadline=None)
def test_randperm_of_any_seed_and_size(seed, n):
    assert randperm(n, Generator(seed)).tolist() == torch.randperm(n, generator=torchs(seed)).tolist()


@pytest.mark.parametrize("n", [5000, 30001, 32768, 50000, 60000])
def test_randperm_of_large_sizes(n):
    for seed in SEEDS[::3]:
        ours = randperm(n, Generator(seed))
        assert ours.dtype == np.int64
        assert (ours == torch.randperm(n, generator=torchs(seed)).numpy()).all()


@given(seed=seed_values, n=st.integers(1, 300), bound=st.floats(1e-4, 10))
@settings(deadline=None)
def test_uniform_is_equal_to_the_bit_in_float32(seed, n, bound):
    theirs = torch.empty(n).uniform_(-bound, bound, generator=torchs(seed)).numpy()
    assert (uniform((n,), Generator(seed), low=-bound, high=bound) == theirs).all()
    assert (uniform((n,), Generator(seed)) == torch.rand(n, generator=torchs(seed)).numpy()).all()


@given(seed=seed_values, n=st.integers(1, 300), bound=st.floats(1e-4, 10))
@settings(deadline=None)
def test_uniform_in_float64(seed, n, bound):
    ours = uniform_64((n,), Generator(seed))
    assert (ours == torch.rand(n, generator=torchs(seed), dtype=torch.float64).numpy()).all()
    theirs = torch.empty(n, dtype=torch.float64).uniform_(-bound, bound, generator=torchs(seed)).numpy()
    ours = uniform_64((n,), Generator(seed), low=-bound, high=bound)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=4e-16 * bound)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_normal_in_float32(seed, n):
    theirs = torch.randn(n, generator=torchs(seed)).numpy()
    ours = normal((n,), Generator(seed))
    assert ours.dtype == np.float32
    if AVX2:
        assert (ours == theirs).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_normal_in_float64(n):
    for seed in SEEDS:
        theirs = torch.randn(n, generator=torchs(seed), dtype=torch.float64).numpy()
        np.testing.assert_allclose(normal((n,), Generator(seed), dtype=np.float64), theirs, rtol=1e-13, atol=1e-14)


@pytest.mark.skipif(not AVX2, reason="other processors round otherwise")
def test_a_hundred_thousand_normal_numbers_are_equal_to_the_bit():
    for seed in SEEDS[:3]:
        theirs = torch.empty(100, 1000).normal_(0, 0.05, generator=torchs(seed)).numpy()
        assert (normal((100, 1000), Generator(seed), std=0.05) == theirs).all()


@given(seed=seed_values, n=st.integers(1, 300), p=st.floats(0, 1))
@settings(deadline=None)
def test_bernoulli(seed, n, p):
    theirs = torch.empty(n).bernoulli_(p, generator=torchs(seed)).numpy()
    assert (torchs_bernoulli()((n,), Generator(seed), p=p) == theirs).all()


def test_bernoulli_on_intel_processors():
    """Against masks drawn by MKL 2024.2 itself (`viRngBernoulli` of a stream MCG31), seeded with the first word."""
    for seed, masks in ((42, [34, 35, 165, 151, 132, 39, 120, 97]), (7, [138, 16, 36, 8, 162, 64, 68, 85])):
        assert np.packbits(bernoulli_intel((64,), Generator(seed), p=0.3)).tolist() == masks
    assert np.nonzero(bernoulli_intel((3000,), Generator(42), p=0.001))[0].tolist() == [215, 494, 2122]
    assert bernoulli_intel((10, 100), Generator(42), p=0.8).sum() == 812
    near = bernoulli_intel((963,), Generator(26), p=26 / 97)  # number 232 is below p, but not in float32
    assert not near[232]


@given(seed=seed_values, draws=st.lists(st.tuples(st.sampled_from("nupb"), st.integers(1, 40)), max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_sequence_of_draws_keeps_in_step(seed, draws):
    ours, theirs = Generator(seed), torchs(seed)
    for kind, n in draws:
        if kind == "n":
            np.testing.assert_allclose(normal((n,), ours), torch.randn(n, generator=theirs).numpy(), atol=1e-6)
        elif kind == "u":
            assert (uniform((n,), ours) == torch.rand(n, generator=theirs).numpy()).all()
        elif kind == "p":
            assert randperm(n, ours).tolist() == torch.randperm(n, generator=theirs).tolist()
        else:
            assert (
                torchs_bernoulli()((n,), ours, p=0.3) == torch.empty(n).bernoulli_(0.3, generator=theirs).numpy()
            ).all()


def test_seeding_anew_forgets_what_was_drawn():
    generator = Generator(1)
    normal((3,), generator)
    generator.manual_seed(42)
    assert math.isclose(normal((1,), generator)[0], torch.randn(1, generator=torchs(42)).item(), rel_tol=1e-6)


@given(seed=seed_values, keys=st.lists(st.integers(0, 2**40), max_size=3))
@settings(deadline=None)
def test_mix_seed_is_the_same_function(seed, keys):
    assert mix_seed(seed, *keys) == production.mix_seed(seed, *keys)


def test_the_purposes_are_the_same():
    for name in ("ORDER", "SAMPLE", "BATCH", "STEP", "SPLIT", "WEIGHTS", "MIX", "MASK64"):
        assert getattr(seeds, name) == getattr(production, name)


def test_the_order_of_an_epoch_is_the_same():
    for n, seed, epoch in ((1, 0, 0), (60, 42, 3), (12396, 7, 19)):
        assert epoch_order(n, seed, epoch).tolist() == production.epoch_order(n, seed, epoch).tolist()
