"""The libraries that the benchmarks stand beside, made to run here, and what several scripts do with them.

torchvision's wheels on the package index are built for CUDA: beside a CPU-only torch their compiled part does not load,
and importing torchvision fails where it describes two of its compiled operators. All that is measured here (models, v2
transforms, what fastai takes from it) is Python, and imports once these two are declared; nothing here calls them.
"""

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

NEEDED = ("fastai", "torchvision", "albumentations", "cv2", "simplejpeg")
BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def make_torchvision_importable() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(name, BOXES)
        importlib.import_module("torchvision")


def need_peers(names: Sequence[str] = NEEDED) -> None:
    """Leave with what to install where a peer is missing; make the others ready to be imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"{', '.join(missing)}: not installed; `make bench` makes an environment that has them")
    warnings.filterwarnings("ignore")  # theirs, about their own future versions
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for a newer one when imported
    make_torchvision_importable()


def squeezenet_body(file: Path) -> Callable[..., torch.nn.Module]:
    """torchvision's `squeezenet1_1` with the weights of `file`, as an `arch` that fastai knows how to cut and split."""
    import torchvision
    from fastai.vision.learner import model_meta

    def squeezenet_from_file(weights: Any = None) -> torch.nn.Module:
        model = torchvision.models.squeezenet1_1()
        model.load_state_dict({name: value.float() for name, value in load_file(file).items()})
        return model

    model_meta[squeezenet_from_file] = model_meta[torchvision.models.squeezenet1_1]
    return squeezenet_from_file


def fastai_loaders(
    files: Sequence[Path],
    label: Callable[[Path], Any],
    valid: Sequence[int],
    *,
    size: int,
    presize: int = 0,
    bs: int = 64,
    workers: int | None = None,
    several: bool = False,
    augment: bool = True,
) -> Any:
    """fastai's loaders of photos as its book builds them; `presize`: `Resize(presize)` before `aug_transforms(size=)`.

    `several`: the label is a list of categories. `valid`: positions in `files`.
    """
    from fastai.vision import all as fastai

    block = fastai.DataBlock(
        blocks=(fastai.ImageBlock, fastai.MultiCategoryBlock if several else fastai.CategoryBlock),
        get_items=list,
        splitter=fastai.IndexSplitter(list(valid)),
        get_y=label,
        item_tfms=fastai.Resize(presize or size),
        batch_tfms=fastai.aug_transforms(**({"size": size} if presize else {})) if augment else None,
    )
    return block.dataloaders(list(files), bs=bs, num_workers=workers)


def seeded_fastai(seed: int) -> None:
    from fastai.torch_core import set_seed

    set_seed(seed, reproducible=True)
