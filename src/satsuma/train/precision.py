"""Where and in which number format to compute."""

import torch
from torch import nn

PRECISIONS = ("auto", "float32", "bf16", "fp16")
LARGE = 1_000_000  # parameters from which a model without convolutions gains from bf16 on a CPU


def pick_device(device: str | torch.device) -> torch.device:
    """A device by name; "auto" is the first of CUDA, MPS and CPU that is there. `ValueError` if it is not."""
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise ValueError(f'device is "auto", "cpu", "cuda", "cuda:1", "mps", got {device!r}') from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device}: this PyTorch ({torch.__version__}) sees no CUDA device; use device='cpu'")
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device}: this machine has no MPS device; use device='cpu'")
    return wanted


def has_bf16_units(device: torch.device) -> bool:
    """Whether the processor or GPU multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return cpu_multiplies_bf16() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def cpu_multiplies_bf16() -> bool:
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def pick_precision(precision: str, device: torch.device, model: nn.Module) -> str:
    """ "float32", "bf16" or "fp16"; "auto" is bf16 where there are units for it and the model is large enough to gain.

    A small model without convolutions loses more to conversions than the faster products bring.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f'precision="fp16" needs a CUDA device, this is {device.type}; use "bf16" or "float32"')
    if precision != "auto":
        return precision
    large = has_convolutions(model) or sum(p.numel() for p in model.parameters()) >= LARGE
    return "bf16" if large and has_bf16_units(device) else "float32"


def placed_model(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on `device`, its kernels in the layout that convolutions are fastest in (channels last)."""
    model = model.to(device)
    if has_convolutions(model):
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d) for m in model.modules())


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The number format of products for a resolved precision; None for float32."""
    return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
