"""From JPEG files to batches: augmented and normalised for training, centred for validation, and large photos.

Two cores, batch 64, 224 pixels, each library with its default settings; photos a second, in turn, five rounds.

- train path, `Resize(460)` + `aug_transforms(size=224)`: at least 15 × fastai (its workers, or none), 3 × torchvision
  v2 and 2.5 × albumentations for like augmentations, 0.65 of decoding alone with as many threads;
- validation path: at least 8 × fastai, 1.2 × albumentations with cv2;
- photos of 4000×3000: at least 4 × Pillow's full decode and resize, and no farther than fastai's route from a
  high-quality reduction of the full photo (PSNR, dB).

`--quick`: two rounds over fewer photos.  `--only train|valid|large|quality`: one part.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import peer_photos as peer
import torch
from common import interleaved_rates, machine, print_rates
from peers import fastai_loaders, need_peers
from photos import IMAGENET_MEAN, IMAGENET_STD, breed, copies, held_back, large_photos, pets_original, pets_small
from PIL import Image

import satsuma as sm

SIZE, PRESIZE, BATCH, THREADS = 224, 460, 64, 2
Loaders = Any


def our_loaders(files: Sequence[Path], valid: Sequence[int]) -> Loaders:
    """The book's block in our words."""
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        splitter=sm.IndexSplitter(tuple(valid)),
        get_y=breed,
        item_tfms=sm.Resize(PRESIZE),
        batch_tfms=(*sm.aug_transforms(size=SIZE), sm.Normalize(IMAGENET_MEAN, IMAGENET_STD)),
    )
    return block.dataloaders(list(files), bs=BATCH, check=False)


def their_loaders(files: Sequence[Path], valid: Sequence[int], workers: int | None) -> Loaders:
    from fastai.vision.all import Normalize

    loaders = fastai_loaders(files, breed, valid, size=SIZE, presize=PRESIZE, bs=BATCH, workers=workers)
    loaders.add_tfms([Normalize.from_stats(IMAGENET_MEAN, IMAGENET_STD)], "after_batch")
    return loaders


def train_path(title: str, files: list[Path], slow: list[Path], repeats: int) -> None:
    """`files` for the fast contestants, `slow` (fewer) for fastai."""
    ours = our_loaders(files, range(1))
    v2 = peer.torch_loader(
        peer.Photos(files, peer.read_with_pillow, peer.torchvision_train(SIZE)), bs=BATCH, workers=THREADS
    )
    crop_last, crop_first = (
        peer.torch_loader(
            peer.Photos(files, peer.read_with_cv2, peer.albumentations_train(SIZE, first)), bs=BATCH, workers=THREADS
        )
        for first in (False, True)
    )
    contestants: dict[str, Callable[[], int]] = {
        "satsuma": partial(peer.one_epoch, ours.train),
        "fastai, its default workers": partial(peer.one_epoch, their_loaders(slow, range(1), None).train),
        "fastai, no workers": partial(peer.one_epoch, their_loaders(slow, range(1), 0).train),
        "torchvision v2, two workers": partial(peer.one_epoch, v2),
        "albumentations, two workers": partial(peer.one_epoch, crop_last),
        "albumentations, cropping first": partial(peer.one_epoch, crop_first),
        "decoding alone, two threads": partial(peer.decode_alone, files, THREADS),
    }
    asked = dict(zip(list(contestants)[1:], (15, 15, 3, 2.5, 2.5, 0.65), strict=True))
    print_rates(f"Train path, {title}", interleaved_rates(contestants, repeats), "satsuma", asked)


def valid_path(title: str, files: list[Path], slow: list[Path], repeats: int) -> None:
    albumentations = peer.torch_loader(
        peer.Photos(files, peer.read_with_cv2, peer.albumentations_valid(SIZE)), bs=BATCH, workers=THREADS
    )
    contestants: dict[str, Callable[[], int]] = {
        "satsuma": partial(peer.one_epoch, our_loaders(files, held_back(files)).valid),
        "fastai, its default workers": partial(peer.one_epoch, their_loaders(slow, held_back(slow), None).valid),
        "albumentations with cv2, two workers": partial(peer.one_epoch, albumentations),
    }
    asked = dict(zip(list(contestants)[1:], (8, 1.2), strict=True))
    print_rates(f"Validation path, {title}", interleaved_rates(contestants, repeats), "satsuma", asked)


def large(files: list[Path], repeats: int) -> None:
    """All but one photo of each breed are held out, and read by the validation path."""
    held = held_back(files)
    contestants: dict[str, Callable[[], int]] = {
        "satsuma": partial(peer.one_epoch, our_loaders(files, held).valid),
        "Pillow, full decode and resize, two threads": partial(peer.pillow_alone, files, SIZE, THREADS),
        "fastai, its default workers": partial(peer.one_epoch, their_loaders(files, held, None).valid),
    }
    asked = {"Pillow, full decode and resize, two threads": 4}
    print_rates("Photos of 4000×3000, validation", interleaved_rates(contestants, repeats), "satsuma", asked)


def overlaps(inner: int, outer: int) -> np.ndarray:
    """[outer inner]: how much of each of `inner` pixels lies in each of `outer` equal stretches; rows sum to 1."""
    edges = np.arange(outer + 1) * inner / outer
    pixels = np.arange(inner)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shares, 0, None) * outer / inner


def exact_area(file: Path) -> np.ndarray:
    """The centred square as the exact mean over each target pixel's area, float64 [H W C] in 0..255."""
    picture = np.asarray(Image.open(file).convert("RGB"), np.float64)
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    weights = overlaps(side, SIZE)
    square = picture[top : top + side, left : left + side]
    return np.einsum("yh,hwc,xw->yxc", weights, square, weights, optimize=True)


def lanczos(file: Path) -> np.ndarray:
    """The centred square by Pillow's Lanczos filter in float32, channel by channel, [H W C] in 0..255."""
    picture = Image.open(file).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    channels = [band.convert("F").resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box) for band in picture.split()]
    return np.stack([np.asarray(channel, np.float64) for channel in channels], 2)


def psnr(picture: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((picture - reference) ** 2)))


def batch_pictures(x: torch.Tensor) -> np.ndarray:
    """A normalised batch [B C H W] as pictures [B H W C] in 0..255."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((torch.as_tensor(x) * std + mean) * 255).permute(0, 2, 3, 1).double().numpy()


def validation_pictures(loaders: Loaders) -> np.ndarray:
    return np.concatenate([batch_pictures(batch[0].float()) for batch in loaders.valid])


def quality(title: str, files: list[Path]) -> None:
    """PSNR of the validation pictures to two references; fewer dB than fastai's would be a loss."""
    held = held_back(files)
    routes = {
        "satsuma": validation_pictures(our_loaders(files, held)),
        "fastai": validation_pictures(their_loaders(files, held, 0)),
        "Pillow, full decode": np.stack([np.asarray(peer.pillow_square(files[i], SIZE), np.float64) for i in held]),
    }
    references = {"exact area": [exact_area(files[i]) for i in held], "Lanczos": [lanczos(files[i]) for i in held]}
    print(f"\n{title}: PSNR in dB to\n| route | {' | '.join(references)} |\n|---|{'---|' * len(references)}")
    for name, pictures in routes.items():
        found = [np.mean([psnr(a, b) for a, b in zip(pictures, wanted, strict=True)]) for wanted in references.values()]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in found)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("train", "valid", "large", "quality"))
    options = parser.parse_args()
    need_peers()
    print(machine())
    repeats, slow = (2, 192) if options.quick else (5, 512)
    fast = 512 if options.quick else 1_216
    small, original = pets_small(), copies(pets_original(), 1_216)
    sets = {
        "pets, at most 320 pixels": small[:: max(1, len(small) // fast)],
        "500×375 originals": original[:: len(original) // fast],
    }
    for title, files in sets.items():
        few = files[:: len(files) // slow][:slow]
        if options.only in (None, "train"):
            train_path(title, files, few, repeats)
        if options.only in (None, "valid"):
            valid_path(title, files, few, repeats)
    big = large_photos()
    if options.only in (None, "large"):
        large(copies(big, 34 if options.quick else 66), repeats)
    if options.only in (None, "quality"):
        quality("Photos of 4000×3000", big)
        quality("500×375 originals", pets_original())


if __name__ == "__main__":
    main()
