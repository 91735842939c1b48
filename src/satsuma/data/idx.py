"""Reader of the idx files that MNIST and its kin are kept in."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np

LARGEST_IDX = 2**32  # bytes, once unpacked
MOST_DIMS = 32  # as many as every version of NumPy holds
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an idx file (plain or .gz), in the machine's byte order: images [N H W] uint8, labels [N] uint8.

    Raises `ValueError` naming the file if it is not idx or its length does not fit its header.
    Source of the format: LeCun, Cortes and Burges, *The MNIST database*.
    """
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(LARGEST_IDX + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from error
    if len(raw) > LARGEST_IDX:
        raise ValueError(f"{path}: more than the limit of {LARGEST_IDX:,} bytes")
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_DTYPES or raw[3] > MOST_DIMS:
        raise ValueError(f"{path}: not an idx file (it must begin with two zero bytes and a known type code)")
    n_dims = raw[3]
    start = 4 + 4 * n_dims
    shape = struct.unpack(f">{n_dims}I", raw[4:start]) if len(raw) >= start else ()
    dtype = np.dtype(IDX_DTYPES[raw[2]])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(shape) != n_dims or len(raw) != expected:
        raise ValueError(f"{path}: its header says shape {list(shape)}, {expected} bytes; it has {len(raw)}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def load_mnist(folder: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`x_train [60000 28 28], y_train [60000], x_test [10000 28 28], y_test [10000]`, uint8, from MNIST's four files.

    `folder` holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k-` files, plain or `.gz`.
    """
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    x_train, y_train, x_test, y_test = (read_idx(idx_file(Path(folder), f"{name}-ubyte")) for name in names)
    return x_train, y_train, x_test, y_test


def idx_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{folder}: has neither {name} nor {name}.gz")
