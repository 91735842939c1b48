"""Confident learning: against a count by hand, planted flips, and a regression of scikit-learn's."""

import numpy as np
import pytest

from satsuma.inspect.label_faults import class_thresholds, confident_joint, label_candidates
from satsuma.inspect.out_of_fold import out_of_fold, softmax_answers, stratified_folds


def clouds(n: int, classes: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    centres = rng.normal(size=(classes, 11)) * 3
    return centres[labels] + spread * rng.normal(size=(n, 11)), labels


def joint_by_hand(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The paper's definition, sample by sample, and its calibration."""
    classes = probabilities.shape[1]
    thresholds = [probabilities[labels == k, k].mean() for k in range(classes)]
    counted = np.zeros((classes, classes))
    for row, label in zip(probabilities, labels, strict=True):
        above = [k for k in range(classes) if row[k] >= thresholds[k]]
        if above:
            counted[label, max(above, key=lambda k: row[k])] += 1
    for k in range(classes):
        counted[k] *= (labels == k).sum() / counted[k].sum()
    return counted


def test_the_joint_is_the_papers() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(5, size=211)
    probabilities = rng.dirichlet(np.ones(5), size=211)
    probabilities[np.arange(211), labels] += 1
    probabilities /= probabilities.sum(1, keepdims=True)
    assert np.allclose(confident_joint(probabilities, labels), joint_by_hand(probabilities, labels))


def test_a_class_without_samples_has_threshold_1_and_is_never_counted() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.7, 0.2, 0.1]])
    assert class_thresholds(probabilities, np.array([0, 1, 0])).tolist() == pytest.approx([0.65, 0.7, 1.0])
    assert confident_joint(probabilities, np.array([0, 1, 0]))[:, 2].sum() == 0


def test_planted_flips_come_first() -> None:
    features, true = clouds(700, 5, seed=1)
    rng = np.random.default_rng(2)
    flipped = rng.choice(700, 35, replace=False)
    labels = true.copy()
    labels[flipped] = (true[flipped] + rng.integers(1, 5, size=35)) % 5
    found = label_candidates(out_of_fold(features, labels, 5, folds=3, repeats=1), labels)
    assert np.isin(found.places[:35], flipped).mean() > 0.95
    assert 30 <= len(found.places) <= 42  # as many as the joint says, which is about what was planted
    right = np.isin(found.places, flipped)
    assert (found.suggestions[right] == true[found.places[right]]).mean() > 0.95
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.max() <= 1
    assert found.scores.min() >= 0


def test_right_labels_of_separate_classes_give_no_candidates() -> None:
    features, labels = clouds(300, 3, seed=5, spread=0.1)
    assert len(label_candidates(out_of_fold(features, labels, 3), labels).places) == 0


def test_a_class_with_two_samples_is_not_doubted() -> None:
    features, labels = clouds(200, 3, seed=7)
    labels[:2], features[:2] = 3, features[2:4]
    found = label_candidates(out_of_fold(features, labels, 4), labels)
    assert not np.isin([0, 1], found.places).any()


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [(np.ones((3, 2)), np.zeros(2, int)), (np.full((3, 2), np.nan), np.zeros(3, int)), (np.ones(3), np.zeros(3, int))],
)
def test_what_does_not_fit_is_refused(probabilities: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="label_candidates"):
        label_candidates(probabilities, labels)


def test_folds_spread_each_class_and_follow_the_seed() -> None:
    labels = np.repeat([0, 1, 2], [20, 13, 3])
    folds = stratified_folds(labels, 4, seed=1)
    counts = np.array([np.bincount(folds[labels == k], minlength=4) for k in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert (folds == stratified_folds(labels, 4, seed=1)).all()
    assert (folds != stratified_folds(labels, 4, seed=2)).any()
    with pytest.raises(ValueError, match="2 folds or more"):
        stratified_folds(labels, 1, seed=1)


def test_the_regression_is_scikit_learns() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = clouds(200, 4, seed=9, spread=3)
    ours = softmax_answers(features, labels, features[:50], 4, 0.1)
    standard = (features - features.mean(0)) / features.std(0)
    theirs = linear_model.LogisticRegression(C=1 / (0.1 * 200), tol=1e-8, max_iter=1000).fit(standard, labels)
    assert np.abs(ours - theirs.predict_proba(standard[:50])).max() < 2e-3


def test_nobody_is_judged_by_what_was_learnt_from_itself() -> None:
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(120, 200)), rng.integers(3, size=120)  # noise, which a fit would memorise
    probabilities = out_of_fold(features, labels, 3, folds=3)
    assert (probabilities.argmax(1) == labels).mean() < 0.5
    assert (out_of_fold(features, labels, 3, folds=3) == probabilities).all()
