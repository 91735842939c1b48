"""All randomness is a function of (seed, purpose, epoch, index): no state to save, nothing to restore.

`mix_seed`, `numpy_generator` and the purposes are copies of those in `satsuma.data.seeds`, which imports torch; a test
holds them equal.
"""

import numpy as np

from satsuma.ladder.numpy.random import Generator, randperm

# Purposes: two draws for different purposes never share a stream.
ORDER, SAMPLE, BATCH, STEP, SPLIT, WEIGHTS, MIX = 1, 2, 3, 4, 5, 6, 7
MASK64 = 0xFFFFFFFFFFFFFFFF


def mix_seed(seed: int, *keys: int) -> int:
    """Fold `keys` into a 64-bit seed (SplitMix64; Steele, Lea and Flood 2014); near-by keys give unrelated ones.

    >>> mix_seed(42, ORDER, 0) != mix_seed(42, ORDER, 1)
    True
    """
    state = seed & MASK64
    for key in keys:
        state = (state + 0x9E3779B97F4A7C15 * (key + 1)) & MASK64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK64
        state ^= state >> 31
    return state


def numpy_generator(seed: int, *keys: int) -> np.random.Generator:
    """A generator of NumPy's, seeded by `mix_seed`."""
    return np.random.Generator(np.random.PCG64(mix_seed(seed, *keys)))


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order of `n` samples in one epoch: int64 [n], a function of (seed, epoch) alone.

    >>> epoch_order(5, 42, 0)
    array([1, 4, 0, 2, 3])
    """
    return randperm(n, Generator(mix_seed(seed, ORDER, epoch)))
