"""Data sets that tests share; at module level, so that they can be sent to other processes."""

import os
import random
import threading
import time
from typing import Any

import numpy as np
import torch


class Pictures:
    """Pictures [3 H W] made of their index and draws, as `Samples` makes them: also whole batches in buffers."""

    random = True
    needs_processes = False

    def __init__(self, n: int, size: tuple[int, int] = (5, 7)) -> None:
        self.n, self.size = n, size

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.sample(index, None)

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        draws = np.zeros((*self.size, 3)) if rng is None else rng.random((*self.size, 3))
        return (index + draws).astype(np.float32)

    def sample(self, index: int, rng: np.random.Generator | None) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.picture(index, rng)).permute(2, 0, 1), index % 3

    def name(self, index: int) -> str:
        return f"pets/{index}.jpg"

    def batch(self, indices: Any, rngs: Any, buffers: Any) -> tuple[torch.Tensor, torch.Tensor]:
        array = buffers.take((len(indices), *self.size, 3), np.float32)
        for row, (index, rng) in enumerate(zip(indices, rngs, strict=True)):
            array[row] = self.picture(index, rng)
        return torch.from_numpy(array).permute(0, 3, 1, 2), torch.tensor([i % 3 for i in indices])


class Stacked(Pictures):
    """The same, sample by sample."""

    batch = None  # type: ignore[assignment]


class Torn(Pictures):
    """Sample 5 cannot be read."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        if index == 5:
            raise OSError("broken data stream")
        return super().picture(index, rng)


class Global(Pictures):
    """Samples that draw from the generators which a whole process shares."""

    needs_processes = True

    def sample(self, index: int, rng: np.random.Generator | None) -> tuple[torch.Tensor, int]:
        drawn = [float(torch.rand(())), float(np.random.rand()), random.random()]
        return torch.tensor(drawn, dtype=torch.float64), index


class Deadly(Pictures):
    """Sample 5 ends the process that reads it, as the kernel does when memory runs out."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        if index == 5 and threading.current_thread() is threading.main_thread():
            os._exit(9)
        return super().picture(index, rng)


class Slow(Pictures):
    """Each picture takes a while."""

    def picture(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        time.sleep(0.002)
        return super().picture(index, rng)
