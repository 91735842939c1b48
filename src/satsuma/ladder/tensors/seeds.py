"""The order of an epoch as a function of (seed, epoch): no state to save, nothing to restore."""

import torch
from torch import Tensor

ORDER = 1  # what the numbers are for: draws for different purposes never share a stream
MASK64 = 0xFFFFFFFFFFFFFFFF


def mix_seed(seed: int, *keys: int) -> int:
    """Fold `keys` into `seed`, giving a 64-bit seed; near-by keys give unrelated seeds.

    Source: Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators" (SplitMix64).

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


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order of `n` samples in one epoch: int64 [n].

    >>> epoch_order(5, 42, 0).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    generator = torch.Generator().manual_seed(mix_seed(seed, ORDER, epoch))
    return torch.randperm(n, generator=generator)
