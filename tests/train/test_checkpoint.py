"""Weights on disk: whole or not at all, damage noticed, and refused where they do not fit."""

import errno
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from satsuma.train import checkpoint
from satsuma.train.checkpoint import (
    CONTENTS_DIGEST,
    assign_weights,
    contents_digest,
    load_weights,
    read_metadata,
    read_tensors,
    read_weights,
    save_tensors,
    save_weights,
    write_whole,
)


def small():
    return nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))


def test_weights_and_buffers_come_back_bit_for_bit(tmp_path):
    one, other = small(), small()
    one(torch.randn(7, 5))
    load_weights(other, save_weights(one, tmp_path / "deep" / "er" / "ünïcode.safetensors"))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_shared_weights_are_saved_under_both_names(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    again = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_weights(again, save_weights(model, tmp_path / "w.safetensors"))
    assert torch.equal(again[1].weight, model[0].weight)


def test_channels_last_kernels_are_saved_and_stay_channels_last(tmp_path):
    model = nn.Conv2d(2, 3, 5).to(memory_format=torch.channels_last)
    again = nn.Conv2d(2, 3, 5).to(memory_format=torch.channels_last)
    load_weights(again, save_weights(model, tmp_path / "w.safetensors"))
    assert torch.equal(again.weight, model.weight)
    assert again.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    if broken == "write":
        content = memoryview(b"new").cast("B")
        monkeypatch.setattr(checkpoint.Path, "open", fail)
    else:
        content = b"new"
        monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (checkpoint.Path, "replace")), fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, content)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # no half-written part is left behind


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, OSError, "the disk is full: free some space"),
        (errno.EDQUOT, OSError, "your quota is used up"),
        (errno.EROFS, OSError, "the file system is read-only"),
        (errno.EACCES, PermissionError, "you may not write there"),
        (errno.EIO, OSError, "look at the disk"),
    ],
)
@pytest.mark.parametrize("step", ["mkdir", "open", "fsync", "replace"])
def test_what_cannot_be_written_says_why_what_to_do_and_what_stands(tmp_path, monkeypatch, number, kind, advice, step):
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, step)), fail)
    with pytest.raises(kind) as caught:
        write_whole(path, b"new")
    monkeypatch.undo()
    assert caught.value.errno == number
    assert f"{path}: could not be written ({os.strerror(number)}): {advice}" in str(caught.value)
    assert "the file from before is unchanged" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: real(Path("/dev/full"), "wb"))
    with pytest.raises(OSError, match=r"model: could not be written \(No space left on device\)") as caught:
        write_whole(tmp_path / "model", bytes(100_000))
    assert caught.value.errno == errno.ENOSPC
    assert "from before" not in str(caught.value)


def test_impossible_paths_say_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="a part of this path is a file, not a folder"):
        write_whole(tmp_path / "file" / "model", b"")
    with pytest.raises(OSError, match="the name is too long"):
        write_whole(tmp_path / ("x" * 300), b"")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_whole(tmp_path, b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe"):
        write_whole(tmp_path / "pipe", b"")
    assert (tmp_path / "pipe").is_fifo()


def test_file_then_folder_are_synced_and_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    order, real_sync, real_replace = [], os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: (order.append(stat.S_ISDIR(os.fstat(handle).st_mode)), real_sync(handle))
    )
    monkeypatch.setattr(Path, "replace", lambda path, to: (order.append("renamed"), real_replace(path, to))[1])
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".model.part").symlink_to(tmp_path / "mine")
    write_whole(tmp_path / "model", b"new")
    assert order == [False, "renamed", True]
    assert (tmp_path / "model").read_bytes() == b"new"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_synced_is_no_error_unless_the_disk_fails(tmp_path, monkeypatch):
    real = os.fsync

    def failing(number):
        def sync(handle):
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(number, os.strerror(number))
            real(handle)

        return sync

    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    write_whole(tmp_path / "model", b"new")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="may not have reached the disk"):
        write_whole(tmp_path / "model", b"newer")


def every_kind():
    """A tensor of each number format that a file can hold, and of each odd shape."""
    kinds = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 uint16 uint32 uint64 bool complex64"
    kinds = {name: torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, name)) for name in kinds.split()}
    kinds["float8"] = torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn)
    kinds["nan"] = torch.tensor([float("nan"), float("inf"), -0.0])
    return kinds | {
        "number": torch.tensor(3.5),
        "nothing": torch.zeros(0, 3),
        "turned": torch.arange(6.0).reshape(2, 3).T,
    }


def test_every_number_format_comes_back_with_its_metadata(tmp_path):
    tensors = every_kind()
    path = save_tensors(tensors, tmp_path / "t.safetensors", {"ünï": "\n{}", "empty": ""})
    again, metadata = read_tensors(path)
    assert again.keys() == tensors.keys() == read_weights(path).keys()
    for name, value in tensors.items():
        assert again[name].dtype == value.dtype
        assert again[name].shape == value.shape
        assert again[name].contiguous().view(-1).view(torch.uint8).equal(value.contiguous().view(-1).view(torch.uint8))
    assert metadata.pop(CONTENTS_DIGEST) == contents_digest(tensors, {"ünï": "\n{}", "empty": ""})
    assert metadata == {"ünï": "\n{}", "empty": ""}
    assert read_metadata(path).keys() == {"ünï", "empty", CONTENTS_DIGEST}


def test_the_digest_tells_all_apart_but_order():
    weights = {"a": torch.zeros(2, 3), "b": torch.ones(5)}
    mine = contents_digest(weights, {"k": "v", "l": ""})
    assert contents_digest(dict(reversed(weights.items())), {"l": "", "k": "v"}) == mine
    others = [
        contents_digest({"a": torch.zeros(3, 2), "b": torch.ones(5)}, {"k": "v", "l": ""}),
        contents_digest({"a": torch.zeros(2, 3), "c": torch.ones(5)}, {"k": "v", "l": ""}),
        contents_digest({"a": torch.zeros(2, 3).int(), "b": torch.ones(5)}, {"k": "v", "l": ""}),
        contents_digest({"a": -torch.zeros(2, 3), "b": torch.ones(5)}, {"k": "v", "l": ""}),
        contents_digest({"a": torch.zeros(2, 3)}, {"k": "v", "l": ""}),
        contents_digest(weights, {"k": "w", "l": ""}),
        contents_digest(weights, {"k": "v"}),
        contents_digest(weights, {"kv": "", "l": ""}),
    ]
    assert len({mine, *others}) == len(others) + 1


def test_a_changed_weight_is_noticed_and_a_file_without_digest_taken(tmp_path):
    path = save_weights(nn.Linear(5, 3), tmp_path / "w.safetensors")
    raw = bytearray(path.read_bytes())
    raw[-7] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"w\.safetensors: damaged, or changed since it was written"):
        load_weights(nn.Linear(5, 3), path)
    foreign = nn.Linear(5, 3).state_dict()
    save_file(foreign, tmp_path / "foreign.safetensors")
    assert read_weights(tmp_path / "foreign.safetensors")["weight"].equal(foreign["weight"])


def test_metadata_is_under_the_digest_too_and_an_old_digest_is_not_carried_over(tmp_path):
    tensors = {"a": torch.zeros(2)}
    path = save_tensors(tensors, tmp_path / "t", {"step": "7"})
    again = save_tensors(*read_tensors(path)[:1], tmp_path / "u", {**read_metadata(path), "step": "8"})
    assert read_tensors(again)[1]["step"] == "8"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"step":"7"', b'"step":"6"'))
    assert path.read_bytes() != raw
    with pytest.raises(ValueError, match="damaged"):
        read_tensors(path)


def test_what_does_not_fit_is_named_with_its_shapes(tmp_path):
    path = save_weights(small(), tmp_path / "w.safetensors")
    with pytest.raises(
        ValueError, match=r"0.bias is \[3\], the model's is \[2\]; 0.weight is \[3 5\], the model's is \[2 5\]"
    ):
        load_weights(nn.Sequential(nn.Linear(5, 2)), path)
    with pytest.raises(ValueError, match=r"1.bias is not in the model; .* and 1 more|1.bias is not in the model"):
        load_weights(nn.Sequential(nn.Linear(5, 3)), path)
    with pytest.raises(ValueError, match=r"2.weight is missing"):
        load_weights(nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)), path)


def test_integers_are_no_weights():
    model = nn.Linear(5, 3, bias=False)
    with pytest.raises(ValueError, match=r"weight is of torch\.int32, the model's is of torch\.float32"):
        assign_weights(model, {"weight": torch.zeros(3, 5, dtype=torch.int32)}, "file")
    assign_weights(model, {"weight": torch.ones(3, 5, dtype=torch.float16)}, "file")
    assert torch.equal(model.weight, torch.ones(3, 5))
    with pytest.raises(ValueError, match=r"weight is of torch\.float16"):
        assign_weights(model, {"weight": torch.ones(3, 5, dtype=torch.float16)}, "file", assign=True)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_weights(small(), tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not a model")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(small(), tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match="a folder; give the safetensors file in it"):
        load_weights(small(), tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: a pipe or device, not a file"):
        load_weights(small(), tmp_path / "pipe")
