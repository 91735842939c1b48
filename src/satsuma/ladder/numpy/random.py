"""torch's random numbers without torch: the same numbers from the same seed.

torch's generator on the CPU is the Mersenne Twister (Matsumoto and Nishimura 1998, "Mersenne Twister: A
623-Dimensionally Equidistributed Uniform Pseudo-Random Number Generator"). It starts from the low 32 bits of a seed,
exactly as NumPy's `RandomState` does, whose numbers NumPy promises to keep for ever. A draw is a *word* of 32 bits;
each function below says how many words make one of its numbers.
"""

# mypy: disable-error-code="no-any-return"

import math

import numpy as np

from satsuma.ladder.numpy.cephes import cephes_cos_sin, cephes_log


class Generator:
    """A stream of words, as `torch.Generator().manual_seed(seed)`."""

    def __init__(self, seed: int) -> None:
        self.twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self.spare: float | None = None  # the scalar normal numbers come in pairs; the one that waits

    def manual_seed(self, seed: int) -> None:
        """Start the stream anew."""
        self.twister, self.spare = np.random.RandomState(seed & 0xFFFFFFFF), None

    def words(self, n: int) -> np.ndarray:
        """The next `n` words, uint32 [n]."""
        return self.twister.randint(0, 2**32, size=n, dtype=np.uint32)


def randperm(n: int, generator: Generator) -> np.ndarray:
    """`torch.randperm`: the numbers 0..n-1 shuffled, int64 [n], by n - 1 words (Fisher and Yates 1938).

    >>> randperm(5, Generator(42))
    array([2, 4, 3, 0, 1])
    """
    order = list(range(n))  # each place, from the first on, changes its number with a place at or after it
    left = np.arange(n, 1, -1)  # n, n-1 ... 2: how many places are at or after each
    for i, ahead in enumerate((generator.words(max(n - 1, 0)) % left).tolist()):
        order[i], order[i + ahead] = order[i + ahead], order[i]
    return np.array(order, dtype=np.int64)


def unit_interval(n: int, generator: Generator) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 [n]: 24 bits of a word each."""
    return (generator.words(n) & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)


def unit_interval_64(n: int, generator: Generator) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 [n]: 53 bits of two words each."""
    pairs = generator.words(2 * n).astype(np.uint64).reshape(n, 2)
    long_words = (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]
    return (long_words & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53


def uniform(shape: tuple[int, ...], generator: Generator, *, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """`Tensor.uniform_(low, high)` of float32, to the bit: numbers in [low, high).

    >>> uniform((3,), Generator(42))
    array([0.88226926, 0.91500396, 0.38286376], dtype=float32)
    """
    unit = (generator.words(math.prod(shape)) & 0xFFFFFF) * np.float64(2.0**-24)  # 24 bits of a word each
    least, spread = np.float32(low), np.float32(high) - np.float32(low)
    numbers: np.ndarray = (unit * np.float64(spread) + np.float64(least)).astype(np.float32)  # one rounding, as torch's
    return np.where(numbers == np.float32(high), least, numbers).reshape(shape)


def uniform_64(shape: tuple[int, ...], generator: Generator, *, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """`Tensor.uniform_(low, high)` of float64, to the last bit."""
    numbers: np.ndarray = unit_interval_64(math.prod(shape), generator) * (high - low) + low
    return np.where(numbers == high, low, numbers).reshape(shape)


def normal(shape: tuple[int, ...], generator: Generator, *, std: float = 1.0, dtype: type = np.float32) -> np.ndarray:
    """`Tensor.normal_(0, std)`: mean 0, deviation `std`.

    float32: to the bit where torch runs its AVX2 code (any x86 of the last ten years), else to the last bit or two.
    Source: Box and Muller 1958, "A Note on the Generation of Random Normal Deviates".

    >>> normal((2,), Generator(42)), normal((16,), Generator(42))[:2]
    (array([0.33669037, 0.1288094 ], dtype=float32), array([1.9269153, 1.4872841], dtype=float32))
    """
    n = math.prod(shape)
    if n < 16:
        return np.array([next_normal(generator) * std for _ in range(n)], dtype=dtype).reshape(shape)
    draw = unit_interval if dtype == np.float32 else unit_interval_64
    unit = draw(n, generator)
    numbers: np.ndarray = np.empty(n, dtype)
    whole = n // 16 * 16
    numbers[:whole] = box_muller(unit[:whole])
    if n > whole:
        numbers[-16:] = box_muller(draw(16, generator))  # the last block is drawn again, in full
    return (numbers * dtype(std)).reshape(shape)


def box_muller(unit: np.ndarray) -> np.ndarray:
    """Uniform numbers [n], n a multiple of 16, to normal ones: of each block of 16, number i goes with number i + 8."""
    first, second = unit.reshape(-1, 2, 8).transpose(1, 0, 2)  # [n/16 8] each
    angle = second.dtype.type(2 * math.pi) * second
    if unit.dtype == np.float32:
        radius = np.sqrt(-2 * cephes_log(1 - first))
        cos, sin = cephes_cos_sin(angle)
    else:
        radius, cos, sin = np.sqrt(-2 * np.log(1 - first)), np.cos(angle), np.sin(angle)
    return np.stack((radius * cos, radius * sin), axis=1).reshape(-1)  # [n/16 2 8] to [n]


def next_normal(generator: Generator) -> float:
    """One normal number, in float64: torch's way for fewer than 16. Four words make two of them."""
    if generator.spare is not None:
        number, generator.spare = generator.spare, None
        return number
    turn, size = unit_interval_64(2, generator).tolist()
    radius = math.sqrt(-2.0 * math.log1p(-size))
    generator.spare = radius * math.sin(2.0 * math.pi * turn)
    return radius * math.cos(2.0 * math.pi * turn)


def bernoulli(shape: tuple[int, ...], generator: Generator, *, p: float) -> np.ndarray:
    """`Tensor.bernoulli_(p)`: True with probability `p`. Two words each.

    torch does so on all processors but Intel's: see `bernoulli_intel`.

    >>> bernoulli((4,), Generator(42), p=0.5)
    array([ True,  True,  True,  True])
    """
    return (unit_interval_64(math.prod(shape), generator) < p).reshape(shape)


def bernoulli_intel(shape: tuple[int, ...], generator: Generator, *, p: float) -> np.ndarray:
    """`Tensor.bernoulli_(p)` of float32 where torch runs on an Intel processor. One word for all.

    There torch asks the library MKL, whose generator MCG31m1 multiplies its last number by a constant, modulo a prime
    (L'Ecuyer 1999, "Tables of Linear Congruential Generators of Different Sizes and Good Lattice Structure").

    >>> bernoulli_intel((4,), Generator(42), p=0.5)
    array([False, False,  True,  True])
    """
    n, prime, factor = math.prod(shape), 2**31 - 1, 1132489760
    first = int(generator.words(1)[0]) % prime or 1
    numbers = np.array([first], np.uint64)
    while len(numbers) < n:  # number i + m is number i times factor^m: twice as many at each turn
        numbers = np.concatenate((numbers, numbers * np.uint64(pow(factor, len(numbers), prime)) % np.uint64(prime)))
    return (numbers[:n].astype(np.float32) * np.float32(2.0**-31) < np.float32(p)).reshape(shape)
