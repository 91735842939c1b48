"""All randomness is a function of (seed, purpose, epoch, index): no state to save, nothing to restore."""

import operator
import secrets

import numpy as np
import torch

# Purposes: two draws for different purposes never share a stream.
ORDER, SAMPLE, BATCH, STEP, SPLIT, WEIGHTS, MIX = 1, 2, 3, 4, 5, 6, 7
STAND_IN = 8
MASK64 = 0xFFFFFFFFFFFFFFFF


def as_seed(seed: int) -> int:
    """A seed as Python's own whole number; `TypeError` for anything else."""
    try:
        return operator.index(seed)
    except TypeError:
        raise TypeError(f"a seed is a whole number, such as 42, got {seed!r} ({type(seed).__name__})") from None


def drawn_seed() -> int:
    """A seed that no one chose, 0 to 2**32 - 1, from the system's source of randomness."""
    return secrets.randbits(32)


def mix_seed(seed: int, *keys: int) -> int:
    """Fold `keys` into `seed`, giving a 64-bit seed; near-by keys give unrelated seeds.

    Source: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014 (SplitMix64).

    >>> mix_seed(42, ORDER, 0) != mix_seed(42, ORDER, 1)
    True
    """
    state = as_seed(seed) & MASK64
    for key in keys:
        state = (state + 0x9E3779B97F4A7C15 * (operator.index(key) + 1)) & MASK64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK64
        state ^= state >> 31
    return state


def torch_generator(seed: int, *keys: int) -> torch.Generator:
    """A CPU generator of torch's, seeded by `mix_seed`."""
    return torch.Generator().manual_seed(mix_seed(seed, *keys))


def numpy_generator(seed: int, *keys: int) -> np.random.Generator:
    """A generator of NumPy's, seeded by `mix_seed`."""
    return np.random.Generator(np.random.PCG64(mix_seed(seed, *keys)))


def sample_generators(rng: torch.Generator | None, n: int) -> list[np.random.Generator | None]:
    """A NumPy generator for each of `n` samples, drawn from a torch generator; None of None."""
    if rng is None:
        return [None] * n
    seeds = torch.randint(1 << 62, (n,), generator=rng, device=rng.device).tolist()
    return [numpy_generator(seed) for seed in seeds]


def epoch_order(n: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of `n` samples in one epoch: int64 [n], a function of (seed, epoch) alone."""
    return torch.randperm(n, generator=torch_generator(seed, ORDER, epoch))


def set_seed(seed: int) -> None:
    """Seed the global generator that `torch.nn` layers draw their first weights from (CPU and every GPU)."""
    torch.manual_seed(as_seed(seed) & MASK64)
