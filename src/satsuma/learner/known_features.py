"""Features of all samples, by the model at hand or by trained weights that lie on this machine. N samples, D features.

Nothing is fetched from anywhere.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satsuma.data.dataloaders import DataLoaders
from satsuma.errors import WeightsError
from satsuma.inspect.predictions import predictions_of
from satsuma.learner.precompute import divided_model, features
from satsuma.nn.transfer import TransferModel
from satsuma.ship.weights import KNOWN, cache_folder, local_weights

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

# the networks whose weights are looked for, in this order: what they cost beside what they see
PREFERRED = (
    *("resnet18", "resnet34", "mobilenetv3_large_100", "convnext_atto", "convnext_femto", "squeezenet1_1"),
    *("convnext_pico", "convnext_nano", "resnet50", "convnext_tiny"),
)


def features_of_learner(learn: "Learner", told: Callable[[int, int], None]) -> np.ndarray | None:
    """What the model makes of all training and validation samples, float32 [N D]; None where it has no such layer.

    Of a network with a trained body what the body gives, which knows least of the labels; else what enters the last
    linear layer.
    """
    halves = range(min(2, len(learn.dls.loaders)))
    if isinstance(learn.model, TransferModel):
        return body_features(learn, told)
    found = [predictions_of(learn, half).features for half in halves]
    return None if any(part is None for part in found) else np.concatenate(found)  # type: ignore[arg-type]


def body_features(learn: "Learner", told: Callable[[int, int], None]) -> np.ndarray:
    """The pooled answers of a `TransferModel`'s body to all samples, float32 [N D]."""
    body, _ = divided_model(learn.model)
    loaders = [loader.new(shuffle=False, drop_last=False, augment=False) for loader in learn.dls.loaders[:2]]
    total = sum(len(loader) for loader in loaders)
    done = 0
    parts = []
    for loader in loaders:
        part, *_ = features(learn, body, Counted(loader, done, total, told))
        parts.append(part.float().cpu().numpy().reshape(len(part), -1))
        done += len(loader)
    return np.concatenate(parts)


class Counted:
    """Batches that tell how many of all have been made."""

    def __init__(self, loader: Any, before: int, total: int, told: Callable[[int, int], None]) -> None:
        self.loader, self.before, self.total, self.told = loader, before, total, told

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Any]:
        for n, batch in enumerate(self.loader.epoch(epoch, start=start)):
            yield batch
            self.told(self.before + n + 1, self.total)


def weights_here() -> tuple[str, Path] | None:
    """A network of `PREFERRED` and the file of its trained weights on this machine; None if there is none."""
    for arch in PREFERRED:
        try:
            file = local_weights(arch)
        except WeightsError:  # no such folder, or several files of that name
            file = None
        kept = cache_folder() / f"{arch}-{KNOWN[arch].sha256[:12]}.safetensors" if KNOWN[arch].sha256 else None  # type: ignore[index]
        file = kept if file is None and kept is not None and kept.is_file() else file
        if file is not None:
            return arch, file
    return None


def features_of_weights(dls: DataLoaders, arch: str, file: Path, told: Callable[[int, int], None]) -> np.ndarray:
    """What a network with these weights makes of all pictures, normalised as it expects them, float32 [N D]."""
    from satsuma.learner.vision import vision_learner

    return body_features(vision_learner(dls, arch, weights=file, outputs=2, device="cpu", progress=False), told)
