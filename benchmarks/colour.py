"""Lighting and normalising: one table against the chain of float operations, 224-pixel pictures, one thread each.

The chain: /255, logit, multiply, add, sigmoid, subtract the mean, divide by the deviation, each sample with its own
brightness and contrast. It runs on the batch, as batch transforms do, and again picture by picture, where every
intermediate value stays in the processor's cache.
"""

import cv2
import numpy as np
import torch
from common import interleaved, machine, print_ratios
from torch import Tensor

from satsuma.vision.colour import ColourMap, plain_colours
from satsuma.vision.lighting import Brightness, Contrast, Hue, Saturation
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize

BATCH, SIZE = 64, 224
MEAN = torch.tensor(IMAGENET_MEAN)[:, None, None]
STD = torch.tensor(IMAGENET_STD)[:, None, None]
LIGHT = (Brightness(p=1.0), Contrast(p=1.0), Normalize(IMAGENET_MEAN, IMAGENET_STD))
ALL = (Brightness(p=1.0), Contrast(p=1.0), Saturation(p=1.0), Hue(p=1.0), Normalize(IMAGENET_MEAN, IMAGENET_STD))


def pictures() -> np.ndarray:
    """Smooth noise: uint8 [B H W 3]."""
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (BATCH, 14, 14, 3), dtype=np.uint8)
    return np.stack([cv2.resize(p, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for p in low])


def float_chain(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """uint8 [B C H W] to float32 [B C H W], a pass over the memory for each operation."""
    x = torch.logit(pixels / 255, eps=1e-7)
    return (torch.sigmoid(x * scale + shift) - MEAN) / STD


def float_chain_one_by_one(pixels: Tensor, scale: Tensor, shift: Tensor) -> None:
    for i in range(len(pixels)):
        float_chain(pixels[i : i + 1], scale[i : i + 1], shift[i : i + 1])


def drawn_map(transforms: tuple, rng: np.random.Generator) -> ColourMap:
    colours = plain_colours(3)
    for transform in transforms:
        colours = transform.colour(colours, rng)
    return colours


def one_map(pixels: np.ndarray, out: np.ndarray, transforms: tuple) -> None:
    """Draw, build the table, apply it: everything that a sample costs."""
    rng = np.random.default_rng(0)
    for i in range(len(pixels)):
        drawn_map(transforms, rng).apply(pixels[i], out[i])


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pixels = pictures()
    out = np.empty(pixels.shape, np.float32)
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    scale, shift = torch.rand(BATCH, 1, 1, 1) + 0.5, torch.rand(BATCH, 1, 1, 1) - 0.5
    contestants = {
        "float chain": lambda: float_chain(planes, scale, shift),
        "float chain, picture by picture": lambda: float_chain_one_by_one(planes, scale, shift),
        "one map: brightness, contrast, normalise": lambda: one_map(pixels, out, LIGHT),
        "one map: also saturation and hue": lambda: one_map(pixels, out, ALL),
    }
    print(machine())
    seconds = interleaved(contestants)
    print_ratios(f"{BATCH} pictures of {SIZE} × {SIZE}", seconds, "float chain")


if __name__ == "__main__":
    main()
