"""Weights on disk: whole or not at all, and refused where they do not fit."""

import os

import pytest
import torch
from torch import nn

from satsuma.train import checkpoint
from satsuma.train.checkpoint import assign_weights, load_weights, save_weights, write_whole


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
