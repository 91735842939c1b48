"""*Try*: an image, a row or a sample, and what the model says of it, is said as `learn.predict` says it."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

pytest.importorskip("fastapi", reason="the workbench needs satsuma[workbench]")

import satsuma as sm
from satsuma.inspect.answers import Answers
from satsuma.inspect.predictions import predictions_of
from satsuma.learner.trained import trained_learner
from satsuma.workbench.pages.trying import bars_of, others_of, words_of
from satsuma.workbench.trials import Trials, nearest_samples, numbers_in, trials_of_learner

HERE = "/open/shapes-1/try"
ORIGIN = {"Origin": "http://127.0.0.1:8123"}


@pytest.fixture(scope="module")
def learn(trained: Path) -> Any:
    return trained_learner(trained)


@pytest.fixture(scope="module")
def tried(browser: Any) -> Any:
    browser.page(HERE)
    return browser


@pytest.fixture(scope="module")
def file(pictures: Path) -> Path:
    return pictures / "pole" / "03.png"


def shown(base64_text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(base64_text))), np.int64)


def test_the_answer_is_that_of_predict(tried: Any, learn: Any, file: Path) -> None:
    answer = tried.client.post(f"{HERE}/image", content=file.read_bytes(), headers=ORIGIN)
    found, wanted = answer.json(), learn.predict(file)
    assert found["words"].startswith(f"{wanted.label}, with") or found["words"].startswith(
        f"Not sure: {wanted.label} ("
    )
    shares = {bar["label"]: bar["share"] for bar in found["bars"]}
    assert shares == {
        label: pytest.approx(float(p), abs=1e-4) for label, p in zip(learn.dls.vocab, wanted.probabilities, strict=True)
    }
    assert [bar["decided"] for bar in found["bars"]] == [True, False, False]
    assert found["size"] == "16 × 16"
    assert float(found["ms"].replace(",", "")) > 0


def test_the_picture_is_what_the_model_saw_with_a_heat_map_over_it(tried: Any, file: Path) -> None:
    found = tried.client.post(f"{HERE}/image", content=file.read_bytes(), headers=ORIGIN).json()
    pixels = np.asarray(Image.open(file), np.int64)
    large = shown(found["picture"])
    assert large.shape == (336, 336, 3)
    assert np.abs(large[10::21, 10::21] - pixels).mean() < 12  # a JPEG of squares of 21 pixels
    hot = shown(found["heat"])
    assert hot.shape == large.shape
    assert np.abs(hot - large).mean() > 2


def test_the_nearest_are_those_by_cosine_and_a_training_image_is_nearest_to_itself(
    tried: Any, learn: Any, browser: Any
) -> None:
    names = predictions_of(learn, 0).names
    place = 7
    found = tried.client.post(f"{HERE}/image", content=Path(names[place]).read_bytes(), headers=ORIGIN).json()
    answer = browser.sent(f"{HERE}/nearest", {"features": found["features"]})
    assert answer.status_code == 200, answer.text
    near = answer.json()["nearest"]
    assert len(near) == 8
    assert near[0]["place"] == place
    assert near[0]["alike"] == pytest.approx(1, abs=0.01)
    assert near[0]["label"] == Path(names[place]).parent.name
    assert [row["alike"] for row in near] == sorted((row["alike"] for row in near), reverse=True)


def test_nearest_samples_against_all_cosines(learn: Any) -> None:
    predictions = predictions_of(learn, 0)
    known = predictions.features
    wanted = (known @ known[5]) / np.linalg.norm(known, axis=1) / np.linalg.norm(known[5])
    found = nearest_samples(known[5], predictions, 6)
    assert [i for i, _ in found] == np.argsort(-wanted, kind="stable")[:6].tolist()
    assert [cosine for _, cosine in found] == pytest.approx(np.sort(wanted)[::-1][:6].tolist(), abs=1e-5)
    assert nearest_samples(known[5][:3], predictions, 6) == []
    assert len(nearest_samples(known[5], predictions, 10_000)) == len(known)


def test_a_sample_of_the_data_is_told_with_its_label(browser: Any, tried: Any, learn: Any) -> None:
    held = predictions_of(learn, 1)
    found = browser.sent(f"{HERE}/sample", {"half": 1, "place": 4}).json()
    assert found["label"] == held.label(4)
    assert held.names[4].endswith(found["name"])
    assert found["bars"][0]["share"] == pytest.approx(float(held.outputs[4].max()), abs=1e-3)
    assert browser.send(f"{HERE}/sample", {"half": 1, "place": 15}).status_code == 404
    assert browser.send(f"{HERE}/sample", {"half": 0, "place": -1}).status_code == 422


def test_features_that_are_none_are_refused(browser: Any, tried: Any) -> None:
    for features in (["x"], [None], "x", [1e308], [[1]]):
        assert browser.send(f"{HERE}/nearest", {"features": features}).status_code == 422
    answer = browser.send(f"{HERE}/nearest", {"features": [1.0, 2.0]})
    assert answer.status_code in (200, 202)


def test_the_model_of_the_page_is_a_copy(learn: Any, file: Path) -> None:
    """Other pages look through the learner's model meanwhile, by hooks of their own."""
    trials = trials_of_learner(learn)
    before = [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in learn.model.modules()]
    trial = trials.of_item(file)
    assert trials.predictor.model is not learn.model
    assert [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in learn.model.modules()] == before
    assert not any(m._forward_pre_hooks for m in trials.predictor.model.modules())
    assert trial.features is not None


# --- rows of numbers --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_rows() -> Trials:
    """Rows of 5 numbers in a 1 by 5 shape; the class is the sign of the first."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1, 5)).astype(np.float32)
    y = ["plus" if row[0, 0] > 0 else "minus" for row in x]
    items = list(zip(x, y, strict=True))
    block = sm.DataBlock(blocks=(sm.TransformBlock(), sm.CategoryBlock()))
    learn = sm.Learner(
        block.dataloaders(items, bs=20),
        nn.Sequential(nn.Flatten(), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2)),
        progress=False,
        device="cpu",
        lr=0.05,
    )
    learn.fit(8)
    return trials_of_learner(learn)


def test_a_row_is_answered_in_the_shape_of_the_training_rows(of_rows: Trials) -> None:
    assert (of_rows.kind, of_rows.shape) == ("row", (1, 5))
    for sign, label in ((3, "plus"), (-3, "minus")):
        trial = of_rows.of_row(numbers_in(f"{sign}, 0 0;0\t0"))
        assert trial.answers.vocab[int(trial.answers.decided[0])] == label
        assert trial.heat is None
        assert trial.features is not None
        assert trial.features.shape == (7,)


def test_a_sample_gives_its_numbers_as_they_would_be_typed(of_rows: Trials) -> None:
    typed = numbers_in(of_rows.row_text(0, 3))
    held = np.ravel(of_rows.dls.train.dataset.items[3][0])
    assert typed == pytest.approx(held.tolist(), rel=1e-4)
    by_place, by_text = of_rows.of_sample(0, 3), of_rows.of_row(typed)
    np.testing.assert_allclose(by_place.answers.outputs, by_text.answers.outputs, atol=1e-4)


@pytest.mark.parametrize(("text", "numbers"), [("1, 2;3\n4\t5", [1, 2, 3, 4, 5]), ("[1e3 -2]", [1000, -2]), ("", [])])
def test_numbers_are_read_however_they_are_parted(text: str, numbers: list[float]) -> None:
    assert numbers_in(text).tolist() == numbers


@pytest.mark.parametrize("text", ["1, two", "0x10", "1..2", "1,2,<b>", "٣,x"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"two|0x10|1\.\.2|<b>|x"):
        numbers_in(text)


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory: pytest.TempPathFactory, open_in_browser: Any) -> Any:
    """A browser on a run whose data were arrays: its recipe cannot hold them, its model file holds the model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    folder = tmp_path_factory.mktemp("arrays") / "arrays-1"
    dls = sm.DataLoaders.from_arrays(x, np.where(x[:, 1] > 0, "up", "down"), bs=20)
    learn = sm.Learner(dls, sm.mlp([3, 5, 2]), progress=False, device="cpu", lr=0.1, run_dir=folder)
    learn.fit(6)
    learn.export()
    return open_in_browser(folder)


def test_a_run_on_arrays_is_tried_by_its_model_file_alone(of_arrays: Any) -> None:
    text = of_arrays.page("/open/arrays-1/try")
    assert 'data-kind="row"' in text
    assert "Type a row of 3 numbers<" in text
    for number, label in ((2, "up"), (-2, "down")):
        answer = of_arrays.send("/open/arrays-1/try/row", {"text": f"0 {number} 0"}).json()
        assert answer["bars"][0]["label"] == label
        assert answer["features"] is None
    assert "takes 3" in of_arrays.send("/open/arrays-1/try/row", {"text": "1 2"}).json()["error"]
    assert of_arrays.send("/open/arrays-1/try/sample", {"half": 0, "place": 0}).status_code == 404
    assert of_arrays.send("/open/arrays-1/try/row", {"text": "1e39 0 0"}).status_code == 422


# --- words ------------------------------------------------------------------------------------------------------------


def answers_of(kind: str, outputs: list[float], decided: Any, vocab: tuple[str, ...]) -> Answers:
    row = np.array([outputs], np.float32)
    return Answers(kind=kind, vocab=vocab, outputs=row, targets=row, decided=np.array([decided]), losses=np.zeros(1))


def test_the_answer_in_words() -> None:
    names = ("cat", "dog", "ant")
    assert words_of("en", answers_of("category", [0.1, 0.8, 0.1], 1, names)) == "dog, with a probability of 80.0%."
    unsure = words_of("en", answers_of("category", [0.3, 0.4, 0.3], 1, names))
    assert unsure == "Not sure: dog (40.0%), or else cat (30.0%)."
    assert words_of("en", answers_of("multi", [0.9, 0.2, 0.7], [True, False, True], names)) == "Labels: cat, ant."
    assert words_of("en", answers_of("multi", [0.1, 0.2, 0.3], [False] * 3, names)) == "No label is likely enough."
    assert words_of("en", answers_of("regression", [1.23456, -7], [1.0, -7.0], ())) == "The value is 1.235, -7."


def test_bars_show_the_ten_largest_and_what_the_others_come_to() -> None:
    shares = [0.02] * 10 + [0.6, 0.2]
    found = answers_of("category", shares, 10, tuple(f"class {k}" for k in range(12)))
    bars = bars_of(found)
    assert [bar["label"] for bar in bars[:3]] == ["class 10", "class 11", "class 0"]
    assert len(bars) == 10
    assert [bar["decided"] for bar in bars] == [True] + [False] * 9
    assert others_of(found) == {"count": 2, "share": pytest.approx(0.04, abs=1e-3)}
    assert bars_of(answers_of("regression", [1.0], [1.0], ())) == []
