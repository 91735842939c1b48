"""Any network of the timm library as a body: "timm:NAME". The library is loaded when first asked for."""

import difflib
from typing import Any

from torch import Tensor, nn

from satsuma.errors import MissingExtraError

TIMM = "timm:"
INSTALL = 'pip install "satsuma[timm]"'


def load_timm() -> Any:
    """The timm module. Raises MissingExtraError that says what to install, or that torchvision does not fit torch."""
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name not in ("timm", "torchvision", "huggingface_hub", "yaml"):
            raise
        raise MissingExtraError(f"architectures 'timm:NAME' need {error.name}: {INSTALL}") from error
    except (ImportError, RuntimeError, OSError) as error:  # torchvision's compiled part, built for another torch
        raise MissingExtraError(
            f"timm is installed but cannot be loaded: {' '.join(str(error).split())[:200]}. Most often torchvision was "
            f"built for another torch: install the two together, from the same index, then {INSTALL}"
        ) from error
    return timm


class TimmBody(nn.Module):
    """A network of timm without classifier or pooling: [B in_channels H W] to [B n_features h w].

    Channels-last features (Swin) are turned round; tokens (ViT) become a map of one column, without the class token.
    No weights are fetched. Raises MissingExtraError without timm, ValueError for a name that it does not know.
    """

    def __init__(self, name: str, in_channels: int = 3) -> None:
        super().__init__()
        timm = load_timm()
        if ":" in name or "/" in name or not timm.is_model(name):  # "hf-hub:..." would read from the network
            close = difflib.get_close_matches(name.split("/")[-1], timm.list_models(), n=3)
            raise ValueError(f"timm has no model {name!r}: perhaps {', '.join(close) or 'one of timm.list_models()'}")
        self.name, self.in_channels = name, in_channels
        self.net = timm.create_model(name, pretrained=False, in_chans=in_channels, num_classes=0, global_pool="")
        self.n_features = int(self.net.num_features)
        last = self.net.pretrained_cfg.get("classifier", "fc")
        self.classifier = (last,) if isinstance(last, str) else tuple(last)  # names in weights that are not the body's

    def forward(self, x: Tensor) -> Tensor:
        x = self.net.forward_features(x)
        return features_as_map(x, self.n_features, int(getattr(self.net, "num_prefix_tokens", 0)))  # [B F h w]


def features_as_map(x: Tensor, features: int, prefix_tokens: int) -> Tensor:
    """[B F h w] from any of [B F h w], [B h w F] and tokens [B T F].

    >>> features_as_map(Tensor(2, 1 + 49, 192), 192, prefix_tokens=1).shape
    torch.Size([2, 192, 49, 1])
    """
    if x.ndim == 3:
        return x[:, prefix_tokens:].transpose(1, 2).unsqueeze(-1)  # [B F T 1]
    if x.shape[1] != features and x.shape[-1] == features:
        return x.permute(0, 3, 1, 2)  # [B F h w]
    return x
