"""Predictions made of random numbers, for tests. N samples, K classes."""

import numpy as np

from satsuma.inspect.predictions import Predictions


def made_predictions(kind, n, k, seed=0, **given):
    """Predictions that are mostly right, of `n` samples in the folders a, b and c."""
    rng = np.random.default_rng(seed)
    vocab = tuple(f"class {i}" for i in range(k)) if kind != "regression" else ()
    if kind == "category":
        targets = rng.integers(0, k, n)
        scores = rng.normal(0, 1, (n, k))
        scores[np.arange(n), targets] += 1.5
        outputs = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        decided = outputs.astype(np.float32).argmax(1)
        losses = -np.log(outputs[np.arange(n), targets])
    elif kind == "multi":
        targets = rng.random((n, k)) < 0.3
        outputs = 1 / (1 + np.exp(-rng.normal(0, 1.5, (n, k)) - np.where(targets, 1, -2)))
        decided = outputs.astype(np.float32) >= 0.5
        losses = -np.log(np.where(targets, outputs, 1 - outputs)).mean(1)
    else:
        targets = rng.normal(5, 2, (n, k)).astype(np.float32)
        outputs = targets + rng.normal(0.5, 1, (n, k))
        decided = outputs.astype(np.float32)
        losses = ((outputs - targets) ** 2).mean(1)
    names = tuple(f"photos/{'abc'[i % 3]}/{i}.jpg" for i in range(n))
    parts = {
        "kind": kind,
        "names": names,
        "keys": tuple(name.removeprefix("photos/") for name in names),
        "vocab": vocab,
        "outputs": outputs.astype(np.float32),
        "targets": targets,
        "decided": decided,
        "losses": losses.astype(np.float32),
        "features": None,
        "digest": "",
        "half": "valid",
    }
    return Predictions(**{**parts, **given})
