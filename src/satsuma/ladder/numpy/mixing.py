"""Mixup: training on blends of two samples. B batch, K classes."""

import numpy as np

from satsuma.ladder.numpy.losses import indicator


def mixup(
    x: np.ndarray, targets: np.ndarray, *, alpha: float, classes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each sample blended with another of its batch, share from Beta(alpha, alpha); the targets likewise.

    x: [B ...]. targets: class numbers, integers [B]. Gives the blends [B ...] and probabilities [B K], with which
    `cross_entropy` is the blend of the two samples' losses: it is linear in its targets.
    Source: Zhang and others 2017, "mixup: Beyond Empirical Risk Minimization".
    """
    partners = rng.permutation(len(x))
    shares = rng.beta(alpha, alpha, len(x)).astype(np.float32).astype(x.dtype)  # [B]
    wanted = indicator(targets, classes, x.dtype)  # [B K]
    mine = shares.reshape(-1, *[1] * (x.ndim - 1))  # [B 1 ...]
    return mine * x + (1 - mine) * x[partners], shares[:, None] * wanted + (1 - shares[:, None]) * wanted[partners]


def mixup_values(
    x: np.ndarray, targets: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`mixup` where the targets [B n] are numbers in 0..1 already, of which `binary_cross_entropy` is linear."""
    partners = rng.permutation(len(x))
    shares = rng.beta(alpha, alpha, len(x)).astype(np.float32).astype(x.dtype)  # [B]
    mine = shares.reshape(-1, *[1] * (x.ndim - 1))  # [B 1 ...]
    yours = shares.reshape(-1, *[1] * (targets.ndim - 1))
    return mine * x + (1 - mine) * x[partners], yours * targets + (1 - yours) * targets[partners]
