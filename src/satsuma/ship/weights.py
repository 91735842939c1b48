"""Trained weights by the name of their network: which are known, where they lie, and how they are fetched.

`find_weights` looks, in this order, at the file or URL it is given, in the folder $SATSUMA_WEIGHTS, in the cache, and
on the Hugging Face hub. Only safetensors files are read, which can hold no code. What the table pins by SHA-256 is
checked each time it is taken from the cache. For what it does not pin, the first download's digest is written beside
the file (`FILE.sha256`) and later ones are checked against that. Random weights are never given instead.
"""

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import torch
from torch import Tensor

from satsuma.errors import WeightsError, nearest
from satsuma.nn.registry import ARCHITECTURES
from satsuma.nn.timm_body import TIMM, load_timm
from satsuma.nn.transfer import TransferModel, load_body
from satsuma.ship.download import digest_path, download, file_digest
from satsuma.train.checkpoint import read_weights, save_tensors
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD

Colour = tuple[float, float, float]
HUB = "https://huggingface.co"
SUFFIX = ".safetensors"
HOW_TO_CONVERT = "Convert it once, which runs no code of the file: satsuma.convert_weights({0!r}, {1!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWeights:
    """Where a network's weights lie on the hub, and what pictures they were trained with.

    repo: None if there is no safetensors file of them that we would fetch unasked. sha256: None if it is not known;
    the first download's is then recorded. mean, std: of the colours, 0..1.
    """

    repo: str | None
    revision: str = "main"
    file: str = "model.safetensors"
    sha256: str | None = None
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD


# digests as public projects pin them for the same revision; not all of the projects are independent of each other
KNOWN: Mapping[str, KnownWeights] = MappingProxyType(
    {
        "resnet18": KnownWeights(
            repo="timm/resnet18.tv_in1k",
            revision="bbd144b3e5565108aad885f145491d11bc6ce807",
            sha256="694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
        ),
        "resnet34": KnownWeights(
            repo="timm/resnet34.tv_in1k",
            revision="1b7b21cca82ff974d341713f777bf740c2db38c4",
            sha256="0bb82595a564991a9d424708b33f5d843f5aaed7f6c0886ff10849ff97022235",
        ),
        "resnet50": KnownWeights(
            repo="timm/resnet50.tv_in1k",
            revision="78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
            sha256="5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
        ),
        "squeezenet1_1": KnownWeights(repo=None),
        "mobilenetv3_large_100": KnownWeights(
            repo="timm/mobilenetv3_large_100.ra_in1k",
            revision="96f46a1c52932f27492dff66c72378eb99b443a7",
            sha256="f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85",
        ),
        "convnext_atto": KnownWeights(repo="timm/convnext_atto.d2_in1k"),
        "convnext_femto": KnownWeights(repo="timm/convnext_femto.d1_in1k"),
        "convnext_pico": KnownWeights(repo="timm/convnext_pico.d1_in1k"),
        "convnext_nano": KnownWeights(repo="timm/convnext_nano.in12k_ft_in1k"),
        "convnext_tiny": KnownWeights(
            repo="timm/convnext_tiny.in12k_ft_in1k",
            revision="aa096f03029c7f0ec052013f64c819b34f8ad790",
            sha256="a1aefa409b513cf209b085424eb3efffe4e4a9f511491bc2c12ea35209e6bb95",
        ),
    }
)


def known_weights(arch: str) -> KnownWeights:
    """What is known of a network's weights; for "timm:NAME" what timm says. `WeightsError` for a network without."""
    if arch.startswith(TIMM):
        return timm_weights(arch.removeprefix(TIMM))
    if arch not in KNOWN:
        reason = "has no trained weights." if arch in ARCHITECTURES else f"is unknown: {nearest(arch, KNOWN)}"
        raise WeightsError(f"{arch} {reason} Networks with weights: {', '.join(KNOWN)}, timm:NAME; or pretrained=False")
    return KNOWN[arch]


def timm_weights(name: str) -> KnownWeights:
    """What timm's configuration of a network says; without one, that the pictures were normalised as ImageNet's."""
    config = load_timm().get_pretrained_cfg(name)
    if config is None:
        return KnownWeights(repo=None)
    return KnownWeights(
        repo=config.hf_hub_id or None,
        file=config.hf_hub_filename or "model.safetensors",
        mean=tuple(config.mean),
        std=tuple(config.std),
    )


def pretrained_statistics(arch: str) -> tuple[Colour, Colour]:
    """Mean and deviation of each colour, 0..1, that the network's weights expect pictures to be normalised with.

    >>> pretrained_statistics("resnet18")
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    """
    known = known_weights(arch)
    return known.mean, known.std


def load_pretrained(model: TransferModel, weights: str | Path | None = None) -> Path:
    """Fill the model's body with its network's trained weights, in place; the file they came from.

    Raises `WeightsError` as `find_weights`, ValueError for a file that does not fit.
    """
    path = find_weights(model.arch, weights)
    load_body(model, trained_weights(path), str(path))
    return path


def trained_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file. `WeightsError` for another or a damaged file."""
    try:
        return read_weights(path)
    except ValueError as error:
        raise WeightsError(f"{error}. Remove it or give another: weights=FILE") from error


def find_weights(arch: str, weights: str | Path | None = None) -> Path:
    """The safetensors file of a network's trained weights, fetched if need be.

    weights: a file, or an http(s) URL, which may end in "#sha256=...". Else the file `ARCH*.safetensors` in the folder
    $SATSUMA_WEIGHTS; then the cache ($SATSUMA_CACHE/weights, or the platform's folder for caches); then the hub
    ($HF_ENDPOINT, if a mirror is to be used; $HF_HUB_OFFLINE=1 keeps off the network).
    Raises `WeightsError` that says which file is missing, from where it would come, and what to do.
    """
    if weights is not None:
        scheme = re.match("([A-Za-z][A-Za-z0-9+.-]+)://", str(weights))
        if scheme and not is_url(str(weights)):
            raise WeightsError(
                f"{weights}: {scheme[1]} addresses are not read; give the path of a file, or an http(s) URL"
            )
        return given_url(str(weights)) if is_url(str(weights)) else given_file(Path(weights))
    known = known_weights(arch)
    local = local_weights(arch)
    if local is not None:
        return local
    if known.repo is None:
        others = "" if arch.startswith(TIMM) else "\n  - torchvision has them as .pth: see satsuma.convert_weights"
        raise WeightsError(f"{arch}: no safetensors file of its weights is known on the hub.{ways_out(arch)}{others}")
    path = cache_folder() / f"{arch.replace(':', '-')}-{(known.sha256 or known.repo.split('.')[-1])[:12]}{SUFFIX}"
    url = f"{os.environ.get('HF_ENDPOINT', HUB).rstrip('/')}/{known.repo}/resolve/{known.revision}/{known.file}"
    return fetched(url, path, known.sha256, f"{ways_out(arch)}\n  - or fetch it elsewhere and put it at {path}")


def ways_out(arch: str) -> str:
    """What a user without the weights can do, one way a line."""
    return (
        " What to do:"
        f"\n  - put a file {arch.removeprefix(TIMM)}{SUFFIX} into a folder and set SATSUMA_WEIGHTS to the folder"
        "\n  - or give a file: weights=FILE"
        "\n  - or train from scratch: pretrained=False"
    )


def fetched(url: str, path: Path, sha256: str | None, otherwise: str) -> Path:
    """`path`, if it holds what it should; else a fresh download. Errors end with what to do `otherwise`."""
    expected = sha256 or recorded_digest(path)
    if path.is_file():
        if expected is None or file_digest(path) == expected:
            return path
        print(f"{path}: damaged (another SHA-256 than expected); fetching it again", file=sys.stderr)
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        raise WeightsError(f"{path.name} is not on this machine, and HF_HUB_OFFLINE keeps off {url}.{otherwise}")
    try:
        return download(url, path, sha256=expected)
    except WeightsError as error:
        recorded = sha256 is None and expected is not None
        new = f" (what {digest_path(path)} holds from the first download: remove it to take the new file)"
        raise WeightsError(f"{error}{new if recorded else ''}.{otherwise}") from error


def recorded_digest(path: Path) -> str | None:
    """The digest that the first download wrote beside the file; None if there is none."""
    record = digest_path(path)
    words = record.read_text().split() if record.is_file() else []
    return words[0] if words else None


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def given_url(url: str) -> Path:
    address, _, fragment = url.partition("#")
    digest = fragment.removeprefix("sha256=").lower()
    if fragment and not (fragment.startswith("sha256=") and re.fullmatch("[0-9a-f]{64}", digest)):
        raise WeightsError(
            f"{address}: followed by #{fragment}; expected #sha256= and the 64 digits 0-9 a-f of the file's "
            f"SHA-256, or nothing"
        )
    name = Path(urlsplit(address).path).name
    if not name.endswith(SUFFIX):
        raise WeightsError(f"{address}: only {SUFFIX} files are fetched, which can hold no code")
    path = cache_folder() / f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{name}"
    return fetched(address, path, digest or None, " Or give a file: weights=FILE")


def given_file(path: Path) -> Path:
    path = path.expanduser()
    if path.is_dir():
        raise WeightsError(
            f"{path}: a folder; give the {SUFFIX} file in it, or leave weights= out and set SATSUMA_WEIGHTS to it"
        )
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file of weights")
    if path.suffix != SUFFIX:
        how = HOW_TO_CONVERT.format(str(path), str(path.with_suffix(SUFFIX)))
        raise WeightsError(f"{path}: only {SUFFIX} files are read, which can hold no code. {how}")
    return path


def local_weights(arch: str) -> Path | None:
    """The file in $SATSUMA_WEIGHTS that bears the network's name; None if there is none."""
    setting = os.environ.get("SATSUMA_WEIGHTS")
    if not setting:
        return None
    folder, name = Path(setting).expanduser(), arch.removeprefix(TIMM)
    if not folder.is_dir():
        raise WeightsError(f"SATSUMA_WEIGHTS={setting}: there is no such folder")
    exact = folder / f"{name}{SUFFIX}"
    found = sorted(f for f in folder.glob(f"{name}*{SUFFIX}") if f.name[len(name)] in "._-")
    if exact in found or len(found) == 1:
        return exact if exact in found else found[0]
    if found:
        names = ", ".join(f.name for f in found)
        raise WeightsError(f"SATSUMA_WEIGHTS={setting}: several files for {arch}: {names}. Give one: weights=FILE")
    return None


def cache_folder() -> Path:
    """Where fetched weights are kept: $SATSUMA_CACHE/weights, or `satsuma/weights` in the platform's cache folder."""
    if os.environ.get("SATSUMA_CACHE"):
        return Path(os.environ["SATSUMA_CACHE"]).expanduser() / "weights"
    homes = {"darwin": Path.home() / "Library" / "Caches", "win32": Path.home() / "AppData" / "Local"}
    usual = homes.get(sys.platform, Path.home() / ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "satsuma" / "weights"


def convert_weights(source: str | Path, target: str | Path) -> Path:
    """Turn a file of torch.save that holds tensors by name (.pth, .bin) into safetensors. Runs no code of the file.

    Raises `WeightsError` if it holds anything else, or is not there.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise WeightsError(f"{source}: there is no such file")
    try:
        held = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises nearly anything
        raise WeightsError(f"{source}: not a file of weights alone ({' '.join(str(error).split())[:100]})") from error
    for key in ("state_dict", "model"):
        held = held[key] if isinstance(held, dict) and isinstance(held.get(key), dict) else held
    if not (isinstance(held, dict) and held and all(isinstance(value, Tensor) for value in held.values())):
        raise WeightsError(f"{source}: holds a {type(held).__name__}; expected tensors by name")
    if len({str(name) for name in held}) < len(held):
        raise WeightsError(f"{source}: two of its tensors have one name")
    try:
        return save_tensors({str(name): value.detach().contiguous().clone() for name, value in held.items()}, target)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:  # sparse ones, say
        raise WeightsError(f"{source}: holds tensors that safetensors cannot ({error})") from error
