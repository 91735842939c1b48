"""What a window onto a photo should show, computed the slow way in float64."""

import numpy as np


def smooth_picture(height, width, channels=3, seed=0):
    """uint8 [H W C] of waves a few pixels to a few dozen long, as photos have them, over the full range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + 0.5
    waves = np.zeros((height, width, channels))
    for c in range(channels):
        for length in (60, 30, 17, 11, 7):
            angle, phase = rng.random() * np.pi, rng.random() * 6
            waves[..., c] += length * np.sin((np.cos(angle) * x + np.sin(angle) * y) * 6.28 / length + phase)
    waves = (waves - waves.min()) / (waves.max() - waves.min())
    return (waves * 255).round().astype(np.uint8)


def bordered_index(index, length, border):
    if border == "reflection":
        index = index % (2 * length)
        return np.where(index < length, index, 2 * length - 1 - index)
    return index.clip(0, length - 1)


def pixel_at(pixels, columns, rows, border):
    height, width = pixels.shape[:2]
    found = pixels[bordered_index(rows, height, border), bordered_index(columns, width, border)].astype(np.float64)
    if border == "zeros":
        found[(columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)] = 0
    return found


def photo_points(frame, x, y):
    a, b, c, d, e, f, g, h, i = frame.matrix
    depth = g * x + h * y + i
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def reference(pixels, frame, samples=4):
    """float64 [height width C]: the mean of `samples`² bilinear samples in each pixel of the window."""
    n = samples
    y, x = (np.mgrid[: frame.height * n, : frame.width * n] + 0.5) / n
    px, py = photo_points(frame, x, y)
    px, py = px - 0.5, py - 0.5
    columns, rows = np.floor(px).astype(int), np.floor(py).astype(int)
    right, below = (px - columns)[..., None], (py - rows)[..., None]
    planes = pixels if pixels.ndim == 3 else pixels[..., None]
    upper = pixel_at(planes, columns, rows, frame.border) * (1 - right)
    upper += pixel_at(planes, columns + 1, rows, frame.border) * right
    lower = pixel_at(planes, columns, rows + 1, frame.border) * (1 - right)
    lower += pixel_at(planes, columns + 1, rows + 1, frame.border) * right
    shown = upper * (1 - below) + lower * below
    shown = shown.reshape(frame.height, n, frame.width, n, -1).mean((1, 3))
    return shown if pixels.ndim == 3 else shown[..., 0]


def psnr(a, b):
    """Decibels between two pictures of 0..255."""
    return 10 * np.log10(255**2 / max(np.square(a.astype(np.float64) - b).mean(), 1e-9))
