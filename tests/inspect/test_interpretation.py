"""`Interpretation`: numbers as scikit-learn's, samples in the order that is promised, and clear refusals."""

import functools

import numpy as np
import pytest
import torch
from tests.inspect.made import made_predictions
from torch import nn

import satsuma as sm
from satsuma.inspect.certainty import best_threshold
from satsuma.inspect.interpretation import Interpretation
from satsuma.learner.features import FeaturesOf

CATEGORY = Interpretation(made_predictions("category", 211, 7))
MULTI = Interpretation(made_predictions("multi", 211, 5))
NUMBERS = Interpretation(made_predictions("regression", 211, 3))
TWO = Interpretation(made_predictions("category", 211, 2))


def conv_model():
    parts = nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU()
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 3))


@pytest.fixture(scope="module")
def learn():
    """Bright pictures, dark ones, and those that are bright on one side; trained for a moment."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 3
    x = torch.rand(90, 1, 8, 8, generator=g) * 0.4
    x[y == 1] += 0.6
    x[y == 2, :, :, :4] += 0.6
    data = sm.DataLoaders.from_arrays(x, np.array(["dark", "bright", "half"])[y], bs=30)
    learn = sm.Learner(data, conv_model, progress=False, metrics=sm.accuracy)
    learn.fit(3, 1e-2)
    return learn


def test_the_confusion_matrix_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    found = CATEGORY.predictions
    wanted = metrics.confusion_matrix(found.targets, found.decided)
    assert np.array_equal(CATEGORY.confusion_matrix(), wanted)
    shares = metrics.confusion_matrix(found.targets, found.decided, normalize="true")
    assert np.allclose(CATEGORY.confusion_matrix(normalize=True), shares)


def test_a_class_without_samples_has_a_row_of_zeros():
    found = made_predictions("category", 30, 3)
    targets = np.where(found.targets == 2, 1, found.targets)
    one = Interpretation(made_predictions("category", 30, 3, targets=targets))
    assert one.confusion_matrix().shape == (3, 3)
    assert one.confusion_matrix(normalize=True)[2].tolist() == [0, 0, 0]
    assert one.classification_report().row("class 2")["recall"] == 0


def test_the_most_confused_come_first():
    matrix = CATEGORY.confusion_matrix()
    pairs = CATEGORY.most_confused()
    vocab = CATEGORY.predictions.vocab
    assert [n for _, _, n in pairs] == sorted((n for _, _, n in pairs), reverse=True)
    assert sum(n for _, _, n in pairs) == matrix.sum() - np.trace(matrix)
    assert all(matrix[vocab.index(i), vocab.index(j)] == n for i, j, n in pairs)
    least = pairs[0][2]
    assert CATEGORY.most_confused(min_val=least) == [pair for pair in pairs if pair[2] >= least]
    label, answer, n = pairs[0]
    cell = CATEGORY.confused(label, answer)
    assert len(cell) == n
    assert {(row.label, row.answer) for row in cell} == {(label, answer)}
    assert [row.probability for row in cell] == sorted((row.probability for row in cell), reverse=True)


@pytest.mark.parametrize("interp", [CATEGORY, MULTI], ids=["classes", "labels"])
def test_the_report_is_scikit_learns(interp):
    metrics = pytest.importorskip("sklearn.metrics")
    found = interp.predictions
    wanted = metrics.classification_report(
        found.targets, found.decided, target_names=found.vocab, output_dict=True, zero_division=0
    )
    table = interp.classification_report()
    means = {"macro mean": "macro avg", "weighted mean": "weighted avg", "micro mean": "micro avg"}
    assert table.column(table.header[0])[: len(found.vocab)] == list(found.vocab)
    for row in table.rows:
        theirs = wanted[means.get(row[0], row[0])]
        values = [theirs[key] for key in ("precision", "recall", "f1-score", "support")]
        assert np.allclose(row[1:5], values), row[0]


def test_labels_have_the_scores_of_label_report():
    found = MULTI.predictions
    wanted = sm.label_report(
        torch.from_numpy(found.outputs), torch.from_numpy(found.targets), found.vocab, sigmoid=False
    )
    table = MULTI.classification_report()
    for row in wanted.rows:
        mine = table.row(row.label)
        assert (mine["samples"], mine["said"]) == (row.items, row.said)
        assert mine["average precision"] == pytest.approx(row.average_precision)
        assert mine["f1"] == pytest.approx(row.f1)


def test_top_losses_are_the_highest_and_nan_comes_first():
    losses = CATEGORY.predictions.losses
    picks = CATEGORY.top_losses(5)
    assert picks.indices == np.argsort(-losses, kind="stable")[:5].tolist()
    assert [row.loss for row in picks] == [pytest.approx(losses[i]) for i in picks.indices]
    assert picks[0].name == CATEGORY.predictions.names[picks[0].index]
    broken = losses.copy()
    broken[17] = np.nan
    assert Interpretation(made_predictions("category", 211, 7, losses=broken)).top_losses(1).indices == [17]


def test_most_correct_incorrect_and_uncertain_of_classes():
    found = CATEGORY.predictions
    truth = found.outputs[np.arange(211), found.targets]
    top = np.sort(found.outputs, 1)
    for label, mask in ((None, np.ones(211, bool)), ("class 3", found.targets == 3)):
        right, wrong = mask & (found.decided == found.targets), mask & (found.decided != found.targets)
        for picks, among, key in (
            (CATEGORY.most_correct(6, label), right, -truth),
            (CATEGORY.most_incorrect(6, label), wrong, truth),
            (CATEGORY.most_uncertain(6, label), mask, top[:, -1] - top[:, -2]),
        ):
            places = np.flatnonzero(among)
            assert picks.indices == places[np.argsort(key[places], kind="stable")][:6].tolist()


def test_of_two_classes_the_most_uncertain_is_nearest_to_a_half():
    nearest = int(np.abs(TWO.predictions.outputs[:, 1] - 0.5).argmin())
    assert TWO.most_uncertain(1).indices == [nearest]


def test_of_several_labels_the_least_sure_one_counts():
    found = MULTI.predictions
    truth = np.where(found.targets, found.outputs, 1 - found.outputs)  # [N K]
    right = (found.decided == found.targets).all(1)
    best = np.flatnonzero(right)[np.argsort(-truth.min(1)[right], kind="stable")]
    assert MULTI.most_correct(4).indices == best[:4].tolist()
    one = found.decided[:, 2] != found.targets[:, 2]
    worst = np.flatnonzero(one)[np.argsort(truth[one, 2], kind="stable")]
    assert MULTI.most_incorrect(4, "class 2").indices == worst[:4].tolist()
    clear = np.abs(found.outputs[:, 2] - 0.5)
    assert MULTI.most_uncertain(1, "class 2").indices == [int(clear.argmin())]


def test_each_class_has_its_own():
    found = CATEGORY.each_class(2)
    assert list(found) == list(CATEGORY.predictions.vocab)
    assert list(found["class 1"]) == ["most correct", "most incorrect", "most uncertain"]
    for label, picks in found.items():
        assert {row.label for kind in picks.values() for row in kind} == {label}
        assert all(row.right for row in picks["most correct"])
        assert not any(row.right for row in picks["most incorrect"])


def test_some_at_random_are_the_same_each_time_and_of_all():
    right = CATEGORY.some_correct(5)
    assert right.indices == CATEGORY.some_correct(5).indices != CATEGORY.some_correct(5, seed=1).indices
    assert len(set(right.indices)) == 5
    assert all(row.right for row in right)
    wrong = CATEGORY.some_incorrect(1000)
    assert len(wrong) == int((~CATEGORY.predictions.right).sum())


@pytest.mark.parametrize("bins", [5, 15])
def test_calibration_is_scikit_learns_and_guos(bins):
    calibration = pytest.importorskip("sklearn.calibration")
    found = CATEGORY.predictions
    surest, right = found.outputs.max(1), found.decided == found.targets
    mine = CATEGORY.calibration(bins=bins)
    there = mine.counts > 0
    accuracy, confidence = calibration.calibration_curve(right, surest, n_bins=bins)
    assert np.allclose(mine.accuracy[there], accuracy)
    assert np.allclose(mine.confidence[there], confidence)
    error = 0.0
    for i in range(bins):  # Guo and others 2017, equation 3
        inside = (surest > i / bins) & (surest <= (i + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - surest[inside].mean())
    assert mine.error == pytest.approx(error, abs=1e-6)
    assert mine.counts.sum() == len(found)


def test_probabilities_that_come_true_have_no_calibration_error():
    n = 40_000
    rng = np.random.default_rng(0)
    yes = rng.random(n).astype(np.float32)
    targets = (rng.random(n) < yes).astype(np.int64)
    outputs = np.stack([1 - yes, yes], 1)
    true = made_predictions("category", n, 2, outputs=outputs, targets=targets, decided=outputs.argmax(1))
    assert Interpretation(true).calibration().error < 0.01
    squashed = 0.5 + (outputs - 0.5) * 0.5
    timid = made_predictions("category", n, 2, outputs=squashed, targets=targets, decided=outputs.argmax(1))
    assert Interpretation(timid).calibration().error == pytest.approx(0.125, abs=0.01)  # the mean of |p - 0.5| / 2


@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("interp", [TWO, MULTI], ids=["two classes", "labels"])
def test_no_threshold_scores_higher_than_the_best(interp, beta):
    metrics = pytest.importorskip("sklearn.metrics")
    found = interp.predictions
    table = interp.best_thresholds(beta=beta)
    score = "f1" if beta == 1 else "f2"
    for row in table.rows[: len(table.rows) - table.totals]:
        k = found.vocab.index(row[0])
        truth = found.targets == k if found.kind == "category" else found.targets[:, k]
        stated, values = found.outputs[:, k], dict(zip(table.header, row, strict=True))
        said = stated >= np.unique(stated)[:, None]  # [thresholds N]
        every = (1 + beta**2) * (said & truth).sum(1) / (beta**2 * truth.sum() + said.sum(1))
        assert values[score] == pytest.approx(every.max())
        at = metrics.fbeta_score(truth, stated >= values["threshold"], beta=beta, zero_division=0)
        assert at == pytest.approx(values[score])
        now = metrics.fbeta_score(truth, stated >= 0.5, beta=beta, zero_division=0)
        assert values[f"{score} now"] == pytest.approx(now)


def test_one_threshold_for_all_labels():
    found = MULTI.predictions
    row = MULTI.best_thresholds().row("one for all")
    stated, truth = found.outputs.ravel(), found.targets.ravel()
    every = [2 * (truth & (stated >= t)).sum() / (truth.sum() + (stated >= t).sum()) for t in np.unique(stated)]
    assert row["f1"] == pytest.approx(max(every))


def test_a_label_that_no_sample_has_has_no_threshold():
    targets = MULTI.predictions.targets.copy()
    targets[:, 1] = False
    table = Interpretation(made_predictions("multi", 211, 5, targets=targets)).best_thresholds()
    assert table.row("class 1")["threshold"] is None
    assert "-" in repr(table)


def test_a_regression_has_residuals():
    metrics = pytest.importorskip("sklearn.metrics")
    found = NUMBERS.predictions
    residuals = NUMBERS.residuals()
    assert np.allclose(residuals.values, found.targets - found.outputs, atol=1e-6)
    row = residuals.table().row("number 1")
    assert row["mean absolute"] == pytest.approx(metrics.mean_absolute_error(found.targets[:, 1], found.outputs[:, 1]))
    assert row["R²"] == pytest.approx(metrics.r2_score(found.targets[:, 1], found.outputs[:, 1]), abs=1e-6)
    worst = np.abs(residuals.values).max(1).argmax()
    assert NUMBERS.largest_residuals(1).indices == [worst]
    assert NUMBERS.largest_residuals(1, output=2).indices == [np.abs(residuals.values[:, 2]).argmax()]
    with pytest.raises(ValueError, match="output is 0 to 2, got 3"):
        NUMBERS.largest_residuals(output=3)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (NUMBERS.confusion_matrix, "is for one class a sample, and this is a regression: classification_report"),
        (MULTI.confusion_matrix, "this is several labels a sample: classification_report"),
        (MULTI.most_confused, "most_incorrect"),
        (NUMBERS.classification_report, r"residuals\(\)"),
        (NUMBERS.most_correct, r"use top_losses\(\) or largest_residuals\(\)"),
        (NUMBERS.calibration, "regression"),
        (CATEGORY.best_thresholds, "of 7 classes the surest is said"),
        (CATEGORY.residuals, "is for a regression, and this is one class a sample: top_losses"),
        (functools.partial(CATEGORY.most_correct, label="clas 3"), "did you mean 'class 3'"),
        (functools.partial(CATEGORY.top_losses, 0), "whole number of 1 or more, got 0"),
        (functools.partial(CATEGORY.calibration, bins=1), "2 or more"),
        (functools.partial(MULTI.best_thresholds, beta=0), "beta is above 0"),
        (functools.partial(CATEGORY.picture, 0), "no data to show"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_a_learner_is_interpreted_with_pictures_and_heat(learn):
    interp = learn.interpret()
    assert isinstance(interp, sm.Interpretation)
    assert sm.ClassificationInterpretation is sm.Interpretation
    accuracy = learn.validate().metrics["accuracy"]
    counts = interp.confusion_matrix()
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy)
    wrong = round((1 - accuracy) * 18)
    assert repr(interp).startswith(f"Interpretation of 18 samples (valid): {wrong} wrong")
    x = learn.dls.valid.dataset[4][0]
    picture = interp.picture(4)
    assert picture.dtype == np.uint8
    assert np.abs(picture[..., 0] / 255 - x[0].numpy()).max() <= 0.5 / 255 + 1e-6
    plain, hot = interp.plot_top_losses(5), interp.plot_top_losses(5, heat=True)
    assert len(plain) == len(hot) == 5
    assert [card.caption for card in plain.cards] == [card.caption for card in hot.cards]
    assert any((a.picture != b.picture).any() for a, b in zip(plain.cards, hot.cards, strict=True))
    assert "<img" in interp.top_losses(2)._repr_html_()
    page = interp._repr_html_()
    assert "<svg" in page
    assert "macro mean" in page


def test_training_is_interpreted_in_its_own_order(learn):
    interp = learn.interpret(ds_idx=0)
    for i in (0, 7, 71):
        x, y = learn.dls.train.dataset[i]
        assert np.abs(interp.picture(i)[..., 0] / 255 - x[0].numpy()).max() < 0.01
        assert interp.predictions.label(i) == learn.dls.vocab[int(y)]


def test_predictions_alone_are_shown_as_tables():
    html = CATEGORY.top_losses(3)._repr_html_()
    assert "<img" not in html
    assert CATEGORY.predictions.names[CATEGORY.top_losses(1).indices[0]] in html
    assert CATEGORY.plot_top_losses(3).cards[0].picture is None
    assert "number 0" in NUMBERS._repr_html_()


def test_predictions_of_other_data_are_refused(learn):
    with pytest.raises(ValueError, match="211 predictions, but loader 1 has 18 samples"):
        Interpretation(CATEGORY.predictions, learn.dls)


def test_cards_say_how_sure_the_model_was():
    wrong = CATEGORY.most_incorrect(1)[0]
    card = wrong.card(None)
    assert card.caption == f"is {wrong.label}, said {wrong.answer}"
    assert card.tone == "bad"
    assert card.detail.startswith(f"{wrong.answer}: ")
    assert f", {wrong.label}: " in card.detail
    right = CATEGORY.most_correct(1)[0].card(None)
    assert (right.caption, right.tone) == (CATEGORY.most_correct(1)[0].label, "good")


def test_features_in_place_of_pictures_are_no_pictures():
    head = nn.Sequential(nn.Linear(16, 3))
    data = sm.DataLoaders.from_arrays(torch.rand(40, 16), np.arange(40) % 3, bs=10)
    learn = sm.Learner(data, head, progress=False)
    assert learn.interpret().has_pictures  # 16 numbers may be a picture of 4 by 4
    learn.features_of = FeaturesOf("body", nn.Identity(), ())
    assert not Interpretation(learn.interpret(0).predictions, data, 0, learn).has_pictures


def test_cards_of_several_labels_say_which_were_missed_and_added():
    found = MULTI.predictions
    row = MULTI.most_incorrect(1)[0]
    names = np.array(found.vocab)
    target, said = found.targets[row.index], found.decided[row.index]
    assert row.missed == tuple(names[target & ~said])
    assert row.added == tuple(names[said & ~target])
    card = row.card(None)
    assert card.caption == f"is {row.label}"
    assert ("missed: " in card.detail, "added: " in card.detail) == (bool(row.missed), bool(row.added))
    one = MULTI.most_incorrect(1, "class 2")[0]
    stated = float(found.outputs[one.index, 2])
    there = bool(found.targets[one.index, 2])
    assert (one.label, one.answer) == (("class 2", "not class 2") if there else ("not class 2", "class 2"))
    assert one.truth == pytest.approx(stated if there else 1 - stated)
    assert one.probability == pytest.approx(1 - one.truth)


def test_the_macro_mean_of_labels_has_their_mean_average_precision():
    found = MULTI.predictions
    wanted = sm.mean_average_precision(torch.from_numpy(found.outputs), torch.from_numpy(found.targets))
    assert MULTI.classification_report().row("macro mean")["average precision"] == pytest.approx(float(wanted))


def test_samples_of_equal_probability_are_on_one_side_of_a_threshold():
    assert best_threshold(np.array([0.5, 0.5]), np.array([True, False]), 1.0) == (0.25, pytest.approx(2 / 3))
