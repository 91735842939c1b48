"""The photos that the image benchmarks read: unzipped beside each other, repeated, enlarged; and how they are split."""

import csv
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from common import data_folder
from PIL import Image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@cache
def workplace() -> Path:
    """A folder for unzipped photos; kept in the system's temporary folder, so that the next script finds them."""
    folder = Path(tempfile.gettempdir()) / "satsuma-benchmarks"
    folder.mkdir(exist_ok=True)
    return folder


def unzipped(archive: str) -> list[Path]:
    """The JPEG files of `archive` (below the data folder), by name."""
    target = workplace() / Path(archive).stem
    if not target.exists():
        part = Path(tempfile.mkdtemp(dir=workplace()))
        with zipfile.ZipFile(data_folder() / archive) as file:
            file.extractall(part)
        part.rename(target)
    return sorted(target.rglob("*.jpg"))


def pets_small() -> list[Path]:
    return unzipped("pets/pets_small.zip")


def pets_original() -> list[Path]:
    return unzipped("pets/pets_original.zip")


def copies(files: list[Path], count: int) -> list[Path]:
    """`count` files: `files` again and again, each copy under a name of its own (no library reads one file twice)."""
    target = workplace() / f"{files[0].parent.name}-{len(files)}-{count}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(dir=workplace()))
        for number in range(count):
            source = files[number % len(files)]
            shutil.copy(source, part / f"{source.stem.rsplit('_', 1)[0]}_{number}.jpg")
        part.rename(target)
    return sorted(target.glob("*.jpg"))


def large_photos(count: int = 16, size: tuple[int, int] = (4000, 3000)) -> list[Path]:
    """Originals enlarged to `size` (width, height), with noise so that the finest detail is not empty; JPEG at 90."""
    target = workplace() / f"large-{count}-{size[0]}x{size[1]}"
    if not target.exists():
        part, rng, originals = Path(tempfile.mkdtemp(dir=workplace())), np.random.default_rng(0), pets_original()
        for file in originals[:: len(originals) // count][:count]:
            picture = Image.open(file).convert("RGB").resize(size, Image.Resampling.BICUBIC)
            noisy = np.asarray(picture, np.int16) + rng.normal(0, 6, (size[1], size[0], 3)).astype(np.int16)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(part / file.name, quality=90)
        part.rename(target)
    return sorted(target.glob("*.jpg"))


def breed(file: Path) -> str:
    """`great_pyrenees` of `great_pyrenees_12.jpg`."""
    return file.stem.rsplit("_", 1)[0]


def held_back(files: list[Path]) -> list[int]:
    """Positions of all but the first photo of each breed: to measure validation, training need only know the breeds."""
    return [i for i, file in enumerate(files) if any(breed(earlier) == breed(file) for earlier in files[:i])]


def cat_or_dog(file: Path) -> str:
    """Cat breeds begin with a capital letter."""
    return "cat" if file.name[0].isupper() else "dog"


def random_split(count: int, seed: int, share: float = 0.2) -> tuple[list[int], list[int]]:
    """Positions of a train and a valid part, at random: the same for every contestant."""
    order = np.random.default_rng(seed).permutation(count)
    held = int(count * share)
    return sorted(order[held:].tolist()), sorted(order[:held].tolist())


def voc_photos() -> tuple[list[Path], dict[str, list[str]]]:
    """VOC's 800 photos, and the labels of each by file name."""
    with (data_folder() / "voc2007" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return unzipped("voc2007/voc_images.zip"), {row["fname"]: row["labels"].split() for row in rows}
