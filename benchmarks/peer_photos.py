"""Photos through torchvision v2 and albumentations in torch's own DataLoader, and decoding alone.

The augmentations are those of each library that come nearest to the book's `Resize(460)` + `aug_transforms(size=224)`:
random crop, flip, rotation with zoom, perspective, brightness and contrast, each as likely. Module-level, because
worker processes must be able to load them.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from photos import IMAGENET_MEAN, IMAGENET_STD
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

P, DEGREES, ZOOM, WARP, LIGHT = 0.75, 10.0, 1.1, 0.2, 0.2


class Photos(Dataset[tuple[Tensor, int]]):
    def __init__(self, files: Sequence[Path], read: Callable[[Path], Any], change: Callable[[Any], Tensor]) -> None:
        self.files, self.read, self.change = files, read, change

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.change(self.read(self.files[index])), 0


def torch_loader(photos: Photos, *, bs: int, workers: int) -> DataLoader[tuple[Tensor, int]]:
    """Workers are kept between epochs, so that starting them is not counted."""
    return DataLoader(photos, bs, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def one_epoch(loader: Any) -> int:
    """Run through the batches; how many samples there were."""
    return sum(len(batch[0]) for batch in loader)


def read_with_pillow(file: Path) -> Any:
    return Image.open(file).convert("RGB")


def read_with_cv2(file: Path) -> Any:
    import cv2

    return cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)


def torchvision_train(size: int) -> Callable[[Any], Tensor]:
    from torchvision.transforms import v2

    bilinear = v2.InterpolationMode.BILINEAR
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(size, scale=(0.75, 1.0), ratio=(1.0, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.RandomAffine(DEGREES, scale=(1.0, ZOOM), interpolation=bilinear)], P),
            v2.RandomPerspective(WARP, P, interpolation=bilinear),
            v2.RandomApply([v2.ColorJitter(LIGHT, LIGHT)], P),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def on_array(compose: Any, picture: Any) -> Tensor:
    return compose(image=picture)["image"]  # type: ignore[no-any-return]


def albumentations_train(size: int, crop_first: bool) -> Callable[[Any], Tensor]:
    """`crop_first`: cheaper, but what lies beside the crop is lost to it when it is turned, and mirrored in; else the
    whole photo is turned, then cropped, as presizing means."""
    import albumentations as al
    import cv2
    from albumentations.pytorch import ToTensorV2

    crop = [al.RandomResizedCrop((size, size), scale=(0.75, 1.0), ratio=(1.0, 1.0))]
    mirror = cv2.BORDER_REFLECT_101
    compose = al.Compose(
        [
            *(crop if crop_first else []),
            al.HorizontalFlip(),
            al.Affine(scale=(1.0, ZOOM), rotate=(-DEGREES, DEGREES), border_mode=mirror, p=P),
            al.Perspective(scale=(0.0, WARP / 2), border_mode=mirror, p=P),
            *([] if crop_first else crop),
            al.RandomBrightnessContrast(LIGHT, LIGHT, p=P),
            al.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ToTensorV2(),
        ]
    )
    return partial(on_array, compose)


def albumentations_valid(size: int) -> Callable[[Any], Tensor]:
    """The centred square at `size`, with cv2 (area where it shrinks, as ours filters too)."""
    import albumentations as al
    import cv2
    from albumentations.pytorch import ToTensorV2

    compose = al.Compose(
        [
            al.SmallestMaxSize(size, interpolation=cv2.INTER_AREA),
            al.CenterCrop(size, size),
            al.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ToTensorV2(),
        ]
    )
    return partial(on_array, compose)


def decode_alone(files: Sequence[Path], threads: int) -> int:
    """Read and decode at full size with simplejpeg (the quicker transform, as ours): nothing else."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(decoded, files))


def decoded(file: Path) -> int:
    import simplejpeg

    return int(simplejpeg.decode_jpeg(file.read_bytes(), fastdct=True).shape[2] > 0)


def pillow_square(file: Path, size: int) -> Any:
    """Pillow's full decode, the centred square, resized at once with its antialiased bilinear filter."""
    picture = Image.open(file).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def pillow_alone(files: Sequence[Path], size: int, threads: int) -> int:
    with ThreadPoolExecutor(threads) as pool:
        return sum(1 for _ in pool.map(partial(pillow_square, size=size), files))
