import gzip
import struct

import numpy as np
import pytest

from satsuma.data.idx import load_mnist, read_idx


def idx_bytes(array, code):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type_plain_and_packed(tmp_path, dtype, code, pack):
    array = np.arange(2 * 3 * 5, dtype=dtype).reshape(2, 3, 5)
    (tmp_path / "digits").write_bytes(pack(idx_bytes(array, code)))
    read = read_idx(tmp_path / "digits")
    assert read.dtype == np.dtype(dtype)
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


GOOD = idx_bytes(np.zeros((2, 3), "u1"), 8)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG....", "not an idx file"),
        (GOOD[:-1], r"its header says shape \[2, 3\], 18 bytes; it has 17"),
        (GOOD + b"x", "18 bytes; it has 19"),
        (GOOD[:7], "it has 7"),
        (gzip.compress(GOOD, mtime=0)[:-9], "damaged gzip file"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 30, "damaged gzip file"),
    ],
)
def test_damaged_files_are_named(tmp_path, raw, message):
    (tmp_path / "t10k").write_bytes(raw)
    with pytest.raises(ValueError, match=f"t10k: .*{message}"):
        read_idx(tmp_path / "t10k")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz"):
        load_mnist(tmp_path)


def test_mnist(shared_data):
    x_train, y_train, x_test, y_test = load_mnist(shared_data("mnist"))
    assert x_train.shape == (60_000, 28, 28)
    assert x_test.shape == (10_000, 28, 28)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert x_train.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # the figure everyone normalises by


def test_what_unpacks_to_too_much_or_has_too_many_dimensions(tmp_path, monkeypatch):
    monkeypatch.setattr("satsuma.data.idx.LARGEST_IDX", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(10_000, np.uint8), 8)))
    with pytest.raises(ValueError, match=r"bomb\.gz: more than the limit of 1,000 bytes"):
        read_idx(tmp_path / "bomb.gz")
    (tmp_path / "deep").write_bytes(struct.pack(">BBBB200I", 0, 0, 8, 200, *([1] * 200)) + b"\0")
    with pytest.raises(ValueError, match=r"deep: not an idx file"):
        read_idx(tmp_path / "deep")
