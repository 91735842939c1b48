"""Logarithm, cosine and sine of float32 to the bit as torch computes them for normal numbers on x86 (AVX2).

They are the polynomials of Moshier's Cephes library (1984 on; `logf.c`, `sinf.c`), eight numbers at a time in torch.
np.log, np.cos and np.sin differ from them in the last bit, and a network that starts one bit off ends several off.
"""

import numpy as np


def cephes_log(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of float32 numbers in (0, 1], any shape."""
    mantissa, exponent = np.frexp(x)  # x = mantissa * 2^exponent, mantissa in [1/2, 1)
    low = mantissa < np.float32(0.5**0.5)
    exponent = (exponent - low).astype(np.float32)
    t = np.where(low, mantissa - 1 + mantissa, mantissa - 1)  # log(x) = log(1 + t) + exponent * log(2)
    square = t * t
    series = np.full_like(t, 7.0376836292e-2)
    for coefficient in (
        *(-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    ):
        series = fused(series, t, np.float32(coefficient))
    tail = fused(series * t, square, exponent * np.float32(-2.12194440e-4))  # log(2) in two parts: this is the small
    tail = fused(square, np.float32(-0.5), tail)
    return fused(exponent, np.float32(0.693359375), t + tail)


def cephes_cos_sin(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of float32 angles in [0, 2π], any shape."""
    octant = (angle * np.float32(1.27323954473516)).astype(np.int32)  # eighths of a turn: angle * 4/π
    octant = (octant + 1) & ~1  # the nearest quarter turn, 0, 2, 4, 6 or 8
    t = angle
    for part in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8):  # -π/4 in three parts
        t = fused(octant.astype(np.float32), np.float32(part), t)  # what is left: -π/4..π/4
    square = t * t
    near_one = fused(np.full_like(t, 2.443315711809948e-5), square, np.float32(-1.388731625493765e-3))
    near_one = fused(near_one, square, np.float32(4.166664568298827e-2)) * square
    near_one = 1 + fused(near_one, square, square * np.float32(-0.5))  # cos(t)
    near_zero = fused(np.full_like(t, -1.9515295891e-4), square, np.float32(8.3321608736e-3))
    near_zero = fused(near_zero, square, np.float32(-1.6666654611e-1)) * square
    near_zero = fused(near_zero, t, t)  # sin(t)
    swapped = (octant & 2) != 0  # after a quarter turn, sine and cosine change places
    cos = np.where(swapped, near_zero, near_one) * np.where((octant + 2) & 4, np.float32(-1), np.float32(1))
    sin = np.where(swapped, near_one, near_zero) * np.where(octant & 4, np.float32(-1), np.float32(1))
    return cos, sin


def fused(a: np.ndarray, b: np.ndarray | np.float32, c: np.ndarray | np.float32) -> np.ndarray:
    """`a * b + c` rounded once, as the processor's fused multiply-add: float64 holds the product of two float32."""
    return (a.astype(np.float64) * b + c).astype(np.float32)
