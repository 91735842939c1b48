"""Where and in which number format to compute."""

import pytest
import torch
from torch import nn

from satsuma.train.precision import autocast_dtype, has_bf16_units, pick_device, pick_precision, placed_model

CPU = torch.device("cpu")


def test_devices_by_name():
    assert pick_device("cpu") == CPU
    assert pick_device(CPU) == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match='device is "auto", "cpu", "cuda"'):
        pick_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"sees no CUDA device; use device='cpu'"):
        pick_device("cuda")


def test_fp16_is_refused_on_a_cpu():
    with pytest.raises(ValueError, match='precision="fp16" needs a CUDA device, this is cpu; use "bf16" or "float32"'):
        pick_precision("fp16", CPU, nn.Linear(2, 3))
    with pytest.raises(ValueError, match="precision is one of auto, float32, bf16, fp16, got 'half'"):
        pick_precision("half", CPU, nn.Linear(2, 3))


def test_auto_is_float32_for_small_models_and_follows_the_hardware_for_convolutions():
    assert pick_precision("auto", CPU, nn.Linear(2, 3)) == "float32"
    fast = "bf16" if has_bf16_units(CPU) else "float32"
    assert pick_precision("auto", CPU, nn.Conv2d(2, 3, 3)) == fast
    assert pick_precision("bf16", CPU, nn.Linear(2, 3)) == "bf16"
    assert autocast_dtype("bf16") == torch.bfloat16
    assert autocast_dtype("float32") is None


def test_kernels_are_placed_channels_last():
    model = placed_model(nn.Sequential(nn.Conv2d(2, 3, 5)), CPU)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert placed_model(nn.Linear(2, 3), CPU).weight.is_contiguous()
