"""`satsuma doctor --loader PATH`: which number and kind of workers load a folder of images fastest."""

from pathlib import Path

from rich.console import Console

from satsuma.data.block import default_workers
from satsuma.data.checks import examine_all, listing
from satsuma.data.loader import DataLoader
from satsuma.data.loader_speed import loader_speeds
from satsuma.data.prepare import make_samples
from satsuma.data.samples import identity
from satsuma.vision.aug_transforms import aug_transforms
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.geometry import Resize
from satsuma.vision.image import get_image_files, open_photo
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize

console = Console(highlight=False, soft_wrap=True)
PRESIZE, SIZE, BATCH = 460, 224, 64
SECONDS = 1.0  # of each setting, in each round


def show_loader(path: Path) -> None:
    """Load the images below `path`, augmented as for training, with every setting; print the rates and the best."""
    files = get_image_files(path)
    if not files:
        raise ValueError(f"{path}: no images there; --loader takes a folder with .jpg, .png... files in it or below")
    files = readable(files)
    first = open_photo(files[0])
    console.print(
        f"{len(files):,} images below {path}, the first {first.width}×{first.height} pixels; augmented to {SIZE} "
        f"pixels, batches of {BATCH}",
        markup=False,
    )
    console.print(str(loader_speeds(augmented_loader(files), seconds=SECONDS)), markup=False)


def readable(files: list[Path]) -> list[Path]:
    """The files that can be read; says which cannot, and how training leaves them out. `ValueError` if none can."""
    problems = [facts.problem for facts in examine_all(files, ImageBlock().examine)]
    bad = [f"{file}: {problem}" for file, problem in zip(files, problems, strict=True) if problem]
    if len(bad) == len(files):
        raise ValueError(f"none of the {len(files):,} images can be read: {listing(bad)}")
    if bad:
        told = f"warning: {len(bad)} of {len(files):,} images cannot be read and are left out: {listing(bad)}. "
        told += 'Training leaves them out with --skip-unreadable, or on_unreadable="skip"'
        console.print(told, style="yellow", markup=False)
    return [file for file, problem in zip(files, problems, strict=True) if not problem]


def augmented_loader(files: list[Path]) -> DataLoader:
    """A loader of `files` with presizing and the usual augmentations, and the default workers."""
    batch_tfms = (*aug_transforms(size=SIZE), Normalize(IMAGENET_MEAN, IMAGENET_STD))  # any would cost the same
    samples, steps = make_samples(files, (identity,), (ImageBlock(),), (Resize(PRESIZE),), batch_tfms)
    return DataLoader(samples, BATCH, True, workers=default_workers(True), batch_steps=steps)
