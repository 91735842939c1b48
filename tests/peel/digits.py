"""scikit-learn's handwritten digits, 8 × 8, as arrays and as files: what the recipes train on."""

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

import satsuma as sm


@functools.cache
def all_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [1797 64] of 0..1 and digits [1797]."""
    pixels, digits = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32), digits.astype(np.int64)


def ten_digits(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n 64] and digits [n]."""
    pixels, digits = all_digits()
    return pixels[:n].copy(), digits[:n].copy()


def three_or_seven(n: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n 64], and 1.0 for each 3, 0.0 for each 7 [n]."""
    pixels, digits = all_digits()
    chosen = np.isin(digits, (3, 7))
    return pixels[chosen][:n].copy(), (digits[chosen][:n] == 3).astype(np.float32)


def pictures(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n 1 size size], each digit's enlarged, and digits [n]; `size` a multiple of 8."""
    pixels, digits = ten_digits(n)
    return np.kron(pixels.reshape(n, 1, 8, 8), np.ones((1, 1, size // 8, size // 8), np.float32)), digits


def picture_folder(folder: Path, *, classes: int = 3, n: int = 60, odd_sizes: bool = False) -> Path:
    """A folder for each class, of PNG files of 16 × 16, or with `odd_sizes` of JPEG files of different sizes."""
    pixels, digits = all_digits()
    chosen = np.flatnonzero(digits < classes)[:n]
    for number, row in enumerate(chosen):
        place = folder / f"digit_{digits[row]}"
        place.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((pixels[row].reshape(8, 8) * 255).astype(np.uint8)).convert("RGB")
        width, height = (32 + number % 5 * 3, 36 + number % 3 * 4) if odd_sizes else (16, 16)
        file = place / f"{number:03}.{'jpg' if odd_sizes else 'png'}"
        grey.resize((width, height), Image.Resampling.BILINEAR).save(file)
    return folder


def resnet_weights(file: Path) -> Path:
    """A file of ResNet-18's weights, random under a seed."""
    state = torch.get_rng_state()
    torch.manual_seed(5)
    save_file({name: value.contiguous() for name, value in sm.resnet18().state_dict().items()}, file)
    torch.set_rng_state(state)
    return file
