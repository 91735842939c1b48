"""`find_faults`: planted faults are found in folders and arrays, with a model and without, and the rest is told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.inspect.textures import encoded, scaled, texture

import satsuma as sm
from satsuma.inspect.faults import Faults
from satsuma.learner.fold_fits import refitted_answers
from satsuma.learner.known_features import features_of_weights, weights_here
from satsuma.train.checkpoint import save_tensors

SIDE, CLASSES = 20, 3


def shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures [N 20 20] of a bar that lies, stands or is a block, somewhere, in noise; and which it is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=n)
    pictures = rng.integers(60, size=(n, SIDE, SIDE))
    for picture, label in zip(pictures, labels, strict=True):
        height, width = ((3, 14), (14, 3), (7, 7))[label]
        top, left = rng.integers(SIDE - height), rng.integers(SIDE - width)
        picture[top : top + height, left : left + width] += 150
    return pictures.astype(np.uint8), labels


def flipped(labels: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = rng.choice(len(labels), n, replace=False)
    wrong = labels.copy()
    wrong[places] = (labels[places] + rng.integers(1, CLASSES, n)) % CLASSES
    return wrong, places


@pytest.fixture(scope="module")
def planted() -> tuple[sm.DataLoaders, set[tuple[str, int]], np.ndarray]:
    """Loaders of 400 shapes with 20 wrong labels, which these are by half and index, and the true labels."""
    pictures, true = shapes(400, 1)
    labels, places = flipped(true, 20, 2)
    dls = sm.DataLoaders.from_arrays(
        pictures[:320, None], labels[:320], valid=(pictures[320:, None], labels[320:]), bs=32
    )
    return dls, {("train", p) if p < 320 else ("valid", p - 320) for p in places.tolist()}, true


def precision(found: Faults, planted: set[tuple[str, int]]) -> float:
    first = found.of("label")[: len(planted)]
    return sum((row.half, row.index) in planted for row in first) / len(planted)


@pytest.fixture(scope="module")
def learn(planted: tuple[sm.DataLoaders, set[tuple[str, int]], np.ndarray]) -> sm.Learner:
    learn = sm.Learner(planted[0], lambda: sm.small_cnn(1, CLASSES), progress=False)
    learn.fit_one_cycle(8, 0.01)
    return learn


def test_wrong_labels_without_a_model(planted: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsuma.learner.fold_fits.SAMPLES_SEEN", 1200)
    dls, wrong, true = planted
    found = sm.find_faults(dls, folds=2, kinds=["label"])
    assert precision(found, wrong) >= 0.9
    assert found.looked == ("label",)
    right = [row for row in found.of("label") if (row.half, row.index) in wrong]
    places = [row.index + 320 * (row.half == "valid") for row in right]
    assert [row.suggestion for row in right] == [str(true[p]) for p in places]
    assert all(row.label != row.suggestion for row in found.rows)
    assert found == sm.find_faults(dls, folds=2, kinds=["label"])  # the same again


def test_a_model_changes_nothing_of_who_judges_small_pictures(
    planted: tuple, learn: sm.Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learner has learnt the wrong labels by heart; its features must not say that they are right."""
    monkeypatch.setattr("satsuma.learner.fold_fits.SAMPLES_SEEN", 1500)
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    found = learn.find_faults(kinds=["label", "outlier"], folds=2)
    assert precision(found, planted[1]) >= 0.85
    assert all(torch.equal(value, before[name]) for name, value in learn.model.state_dict().items())
    assert set(found.looked) == {"label", "outlier"}


def test_features_that_were_learnt_from_the_labels_are_told(planted: tuple, learn: sm.Learner) -> None:
    monkey = pytest.MonkeyPatch()
    monkey.setattr("satsuma.learner.data_faults.SMALL_SIDE", 8)
    with monkey.context():
        found = learn.find_faults(kinds=["label"])
    monkey.undo()
    assert found.looked == ("label",)
    assert any("refit=True" in note for note in found.notes)


def test_wrong_labels_by_the_model_trained_anew(planted: tuple, learn: sm.Learner) -> None:
    calls = list(learn.calls)
    found = learn.find_faults(kinds=["label"], folds=2, refit=True)
    assert precision(found, planted[1]) >= 0.85
    assert "trained without it" in found.of("label")[0].reason
    assert learn.calls == calls


def test_a_module_that_was_given_is_trained_anew_from_its_beginning(planted: tuple) -> None:
    dls = planted[0]
    torch.manual_seed(1)
    learn = sm.Learner(dls, sm.small_cnn(1, CLASSES, width=2), progress=False)
    labels = np.concatenate([loader.dataset.tensors[1].numpy() for loader in dls.loaders])
    untrained = refitted_answers(learn, labels, 2, 1, lambda done, total: None)  # by one epoch
    learn.fit_one_cycle(1)
    trained = refitted_answers(learn, labels, 2, 1, lambda done, total: None)
    assert np.allclose(trained.sum(1), 1, atol=1e-3)
    assert (trained == untrained).all()  # the same beginning, and the same fit


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of two classes in halves; planted: an equal, an encoded and a resized copy, and a black one."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(60):
        half, label = ("train", "valid")[i % 3 == 2], ("cat", "dog")[i % 2]
        (root / half / label).mkdir(parents=True, exist_ok=True)
        (root / half / label / f"{i:02}.jpg").write_bytes(encoded(texture(i), 90))
    (root / "valid/cat/equal.jpg").write_bytes((root / "train/cat/00.jpg").read_bytes())
    (root / "valid/dog/encoded.jpg").write_bytes(encoded(texture(4), 55))
    Image.fromarray(scaled(texture(7), 0.6)).save(root / "valid/dog/resized.png")
    (root / "train/dog/again.jpg").write_bytes(encoded(texture(13), 60))
    Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(root / "train/dog/black.png")
    return root


def test_planted_copies_and_odd_pictures_of_a_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SATSUMA_WEIGHTS", raising=False)
    monkeypatch.setenv("SATSUMA_CACHE", str(photos / "none"))
    with pytest.warns(UserWarning, match="byte for byte"):
        dls = sm.ImageDataLoaders.from_folder(photos)
    found = sm.find_faults(dls)
    leaks = {row.key: (row.other, row.half, row.other_half) for row in found.leaks}
    assert leaks == {
        "valid/cat/equal.jpg": ("train/cat/00.jpg", "valid", "train"),
        "valid/dog/encoded.jpg": ("train/cat/04.jpg", "valid", "train"),
        "valid/dog/resized.png": ("train/dog/07.jpg", "valid", "train"),
    }
    assert found.leaks[0].score == 1.0
    assert "labelled dog here and cat there" in next(r.reason for r in found.leaks if "encoded" in r.key)
    assert "resized (77×58, the other 128×96)" in next(r.reason for r in found.leaks if "resized" in r.key)
    assert {(row.key, row.other) for row in found.of("twin")} == {("train/dog/again.jpg", "train/dog/13.jpg")}
    assert [(row.key, row.reason) for row in found.of("odd")] == [("train/dog/black.png", "all black")]
    assert found.looked == ("leak", "twin", "odd", "imbalance")  # photos are judged by weights, and there are none
    assert "there are no trained weights on this machine" in " ".join(found.notes)
    assert found.html(3).count("<img") == 2 * 3 + 2 + 1


def test_photos_are_judged_by_weights_that_lie_here(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = sm.squeezenet1_1()
    save_tensors({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "squeezenet1_1.safetensors")
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SATSUMA_CACHE", str(tmp_path / "none"))
    assert weights_here() == ("squeezenet1_1", tmp_path / "squeezenet1_1.safetensors")
    dls = sm.ImageDataLoaders.from_folder(photos, size=64, check=False)
    asked: list[tuple[int, int]] = []
    features = features_of_weights(dls, *weights_here(), lambda done, total: asked.append((done, total)))  # type: ignore[misc]
    assert features.shape == (65, 1024)
    assert asked[-1][0] == asked[-1][1]
    found = sm.find_faults(dls, kinds=["label", "outlier"])
    assert set(found.looked) == {"label", "outlier"}


def test_arrays_that_are_no_pictures() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(2, size=90)
    x[:, 0] += 6 * y
    x[80] = x[3]
    y[10] = 1 - y[10]
    dls = sm.DataLoaders.from_arrays(x[:70], y[:70], valid=(x[70:], y[70:]))
    found = sm.find_faults(dls)
    assert [(row.key, row.half, row.other) for row in found.leaks] == [("10", "valid", "3")]
    assert "the same numbers" in found.leaks[0].reason
    assert found.of("label")[0].index == 10
    assert "odd" not in found.looked
    assert any("only equal ones are found" in note for note in found.notes)


def test_targets_that_are_no_classes_are_told() -> None:
    x = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    found = sm.find_faults(sm.DataLoaders.from_arrays(x, x[:, 0]))
    assert found.looked == ("leak", "twin", "outlier")
    assert any("each sample has one class" in note for note in found.notes)


def test_what_cannot_be_is_refused(planted: tuple, learn: sm.Learner) -> None:
    dls = planted[0]
    with pytest.raises(ValueError, match="no kind 'leaks': did you mean 'leak'"):
        sm.find_faults(dls, kinds=["leaks"])
    with pytest.raises(ValueError, match="folds is a whole number, 2 or more, got 1"):
        sm.find_faults(dls, folds=1)
    with pytest.raises(ValueError, match="give learn="):
        sm.find_faults(dls, refit=True)
    pictures, labels = shapes(30, 3)
    with pytest.raises(ValueError, match=r"set learn\.dls = dls first"):
        sm.find_faults(sm.DataLoaders.from_arrays(pictures[:, None], labels), learn=learn)
    with pytest.raises(TypeError, match="did you mean 'folds'"):
        sm.find_faults(dls, fold=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("n", [4, 6])
def test_fewer_samples_than_folds(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsuma.learner.fold_fits.SAMPLES_SEEN", 8)
    pictures, labels = shapes(n, 1)[0][:, None], np.arange(n) % 2
    half = n // 2
    dls = sm.DataLoaders.from_arrays(pictures[:half], labels[:half], valid=(pictures[half:], labels[half:]), bs=2)
    found = sm.find_faults(dls, folds=7, kinds="label", progress=False)  # type: ignore[arg-type]
    assert found.looked == ("label",)
    learn = sm.Learner(dls, lambda: sm.small_cnn(1, 2), progress=False)
    assert refitted_answers(learn, labels, 7, 1, lambda done, total: None).sum() == pytest.approx(n, rel=1e-3)


@pytest.mark.parametrize("given", ["photos", None, []])
def test_what_holds_no_data_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="find_faults: expected DataLoaders, got a"):
        sm.find_faults(given)  # type: ignore[arg-type]
