"""Planted faults: wrong labels in MNIST and in the pets set, copies of pictures; beside cleanlab on the same answers.

5% of the labels are flipped at random; precision at k, where k is how many were planted. cleanlab is given the same
out-of-fold probabilities: its `find_label_issues` ranked by self-confidence, and its scores of all samples.
`--quick`: 10,000 digits, and one seed of pets. Without cleanlab its columns are left out.
"""

import io
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from common import data_folder
from PIL import Image

import satsuma as sm
from satsuma.inspect.label_faults import label_candidates
from satsuma.inspect.out_of_fold import out_of_fold
from satsuma.inspect.picture_facts import look_at_all
from satsuma.inspect.twins import near_twins
from satsuma.learner.fold_fits import small_network_answers
from satsuma.learner.known_features import features_of_weights

SHARE = 0.05
WAYS = ("quality 50", "quality 75", "half", "0.7", "1.5", "double", "half by area", "0.7 by OpenCV")


def flipped(labels: np.ndarray, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels with `SHARE` of them changed to another class, and which these are."""
    rng = np.random.default_rng(seed)
    places = rng.choice(len(labels), round(SHARE * len(labels)), replace=False)
    wrong = labels.copy()
    wrong[places] = (labels[places] + rng.integers(1, classes, len(places))) % classes
    return wrong, wrong != labels


def compared(name: str, probabilities: np.ndarray, labels: np.ndarray, planted: np.ndarray, seconds: float) -> None:
    """One row: precision at k of ours and of cleanlab's on the same probabilities."""
    k = int(planted.sum())
    ours = label_candidates(probabilities, labels).places
    cells = [f"{planted[ours[:k]].sum() / k:.3f}", f"{len(ours):,}"]
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        issues = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
        ranked = np.argsort(get_label_quality_scores(labels, probabilities), kind="stable")
        cells += [f"{planted[issues[:k]].sum() / k:.3f}", f"{len(issues):,}", f"{planted[ranked[:k]].mean():.3f}"]
    except ImportError:
        cells += ["-", "-", "-"]
    print(f"| {name} | {k:,} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def mnist(n: int) -> tuple[np.ndarray, np.ndarray]:
    folder = data_folder() / "mnist"
    pictures = np.array(sm.read_idx(folder / "train-images-idx3-ubyte.gz"))[:n, None]
    return pictures, np.array(sm.read_idx(folder / "train-labels-idx1-ubyte.gz"))[:n].astype(np.int64)


def pets(folder: Path) -> tuple[sm.DataLoaders, np.ndarray, np.ndarray]:
    """Loaders of the photos in `folder`, their features by the shared weights, and their breeds, in the same order."""
    zipfile.ZipFile(data_folder() / "pets" / "pets_small.zip").extractall(folder)
    dls = sm.ImageDataLoaders.from_name_re(folder, r"(.+)_\d+.jpg$", size=224, check=False)
    weights = data_folder() / "weights" / "squeezenet1_1_imagenet.safetensors"
    features = features_of_weights(dls, "squeezenet1_1", weights, lambda done, total: None)
    place = {v: i for i, v in enumerate(dls.vocab)}
    names = [item.name for loader in dls.loaders for item in loader.dataset.items]
    return dls, features, np.array([place[name.rpartition("_")[0]] for name in names])


def wrong_labels(quick: bool, folder: Path) -> None:
    print("\n| wrong labels in | k | ours: precision at k | found | cleanlab's issues | found | its scores | s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    pictures, digits = mnist(10_000 if quick else 60_000)
    labels, planted = flipped(digits, 10, 1)
    begun = time.perf_counter()
    answers = small_network_answers(pictures, labels, 10, 5, 42, lambda done, total: None)
    compared(f"MNIST, {len(digits):,}, a small network, 5 folds", answers, labels, planted, time.perf_counter() - begun)
    begun = time.perf_counter()
    dls, features, breeds = pets(folder)
    looked = time.perf_counter() - begun
    for seed in range(1 if quick else 5):
        labels, planted = flipped(breeds, len(dls.vocab), seed)
        begun = time.perf_counter()
        answers = out_of_fold(features, labels, len(dls.vocab))
        seconds = looked + time.perf_counter() - begun
        compared(f"pets, 37 breeds, features of SqueezeNet, seed {seed}", answers, labels, planted, seconds)


def copy_of(picture: np.ndarray, way: str) -> np.ndarray:
    image = Image.fromarray(picture)
    if way.startswith("quality"):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(way.split()[1]))
        return np.array(Image.open(file))
    factor = {"half": 0.5, "double": 2.0, "half by area": 0.5}.get(way) or float(way.split()[0])
    size = (round(image.width * factor), round(image.height * factor))
    if way == "half by area":
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if way == "0.7 by OpenCV":
        return cv2.resize(picture, size)
    return np.array(image.resize(size, Image.Resampling.BILINEAR if factor < 1 else Image.Resampling.BICUBIC))


def copies_found(name: str, pictures: list[np.ndarray]) -> None:
    """One row: copies of 400 of the pictures, one way each, looked for among all."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(pictures), min(400, len(pictures) // 3), replace=False)
    ways = [WAYS[i % len(WAYS)] for i in range(len(chosen))]
    copies = [np.ascontiguousarray(copy_of(pictures[i], way)) for i, way in zip(chosen, ways, strict=True)]
    begun = time.perf_counter()
    facts = look_at_all([*pictures, *copies], 0)
    looked = time.perf_counter() - begun
    found = {(t.place, t.other) for t in near_twins(facts)}
    compared_s = time.perf_counter() - begun - looked
    hits = sum((int(i), len(pictures) + j) in found for j, i in enumerate(chosen))
    others = len({pair[1] for pair in found if pair[1] < len(pictures)})
    print(
        f"| {name} | {len(chosen)} | {hits / len(chosen):.4f} | {others} of {len(pictures):,} "
        f"({1000 * others / len(pictures):.2f}) | {looked:.0f} + {compared_s:.0f} |",
        flush=True,
    )


def copies(quick: bool, folder: Path) -> None:
    print("\n| copies in | planted | recall | other pairs (in 1,000) | s to look, to compare |\n|---|---|---|---|---|")
    n = 5_000 if quick else 20_000
    copies_found("MNIST", [p[0] for p in mnist(n)[0]])
    with np.load(data_folder() / "fashion_mnist" / "fashion_mnist_subset.npz") as fashion:
        copies_found("Fashion-MNIST", list(fashion["x_train"][:n]))
    mosaic = np.asarray(Image.open(data_folder() / "cifar10" / "train.webp"))
    small = mosaic.reshape(-1, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    copies_found("CIFAR-10", [np.ascontiguousarray(p) for p in small[:n]])
    photos = sorted(folder.rglob("*.jpg"))
    copies_found("pets", [np.array(Image.open(f).convert("RGB")) for f in photos])


def main() -> None:
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        wrong_labels(quick, Path(folder))
        copies(quick, Path(folder))


if __name__ == "__main__":
    main()
