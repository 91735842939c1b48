"""Metrics of many labels against scikit-learn."""

import functools
import math

import pytest
import torch
from sklearn import metrics as sk

from satsuma.functional.label_metrics import (
    accuracy_multi,
    average_precision,
    f1_multi,
    f_beta,
    label_average_precisions,
    label_report,
    mean_average_precision,
)
from satsuma.functional.links import better_direction

N, K = 101, 7


@pytest.fixture
def answers():
    """Logits with many equal ones, and targets; label 3 is never there, label 5 is never said."""
    generator = torch.Generator().manual_seed(42)
    logits = (torch.randn(N, K, generator=generator) * 4).round() / 4
    targets = (torch.rand(N, K, generator=generator) < torch.linspace(0.1, 0.7, K)).float()
    targets[:, 3], logits[:, 5] = 0, -9
    return logits, targets


def test_accuracy_multi_is_the_share_of_right_answers(answers):
    logits, targets = answers
    expected = 1 - sk.hamming_loss(targets.numpy(), (logits.sigmoid() >= 0.3).numpy())
    assert accuracy_multi(logits, targets, threshold=0.3).item() == pytest.approx(expected)
    assert accuracy_multi(logits.sigmoid(), targets.long(), threshold=0.3, sigmoid=False) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_beta_is_sklearns(answers, average, beta):
    logits, targets = answers
    for threshold in (0.2, 0.5):
        said = (logits.sigmoid() >= threshold).numpy()
        expected = sk.fbeta_score(targets.numpy(), said, beta=beta, average=average, zero_division=0)
        found = f_beta(logits, targets, beta=beta, average=average, threshold=threshold)
        assert found.item() == pytest.approx(expected)
        if beta == 1:
            assert f1_multi(logits, targets, average=average, threshold=threshold) == found


def test_average_precision_is_sklearns_also_for_equal_scores(answers):
    logits, targets = answers
    found = label_average_precisions(logits, targets)
    for label in range(K):
        if label == 3:
            assert math.isnan(found[3])
            continue
        expected = sk.average_precision_score(targets[:, label].numpy(), logits[:, label].numpy())
        assert found[label].item() == pytest.approx(expected)
        assert average_precision(logits[:, label], targets[:, label]) == found[label]
        assert average_precision(logits[:, label, None], targets[:, label, None]) == found[label]


def test_mean_average_precision_is_the_mean_over_labels_that_are_there(answers):
    logits, targets = answers
    kept = [k for k in range(K) if k != 3]
    expected = sk.average_precision_score(targets[:, kept].numpy(), logits[:, kept].numpy(), average="macro")
    assert mean_average_precision(logits, targets).item() == pytest.approx(expected)
    assert mean_average_precision(logits * 2 + 1, targets) == mean_average_precision(logits, targets)


def test_the_report_of_labels_is_sklearns(answers):
    logits, targets = answers
    said = (logits.sigmoid() >= 0.5).numpy()
    precision, recall, f1, items = sk.precision_recall_fscore_support(targets.numpy(), said, zero_division=0)
    rows = label_report(logits, targets, list("abcdefg")).rows
    for row, expected in zip(rows, zip(precision, recall, f1, items, said.sum(0), strict=True), strict=True):
        assert (row.precision, row.recall, row.f1, row.items, row.said) == pytest.approx(expected)
    with pytest.raises(ValueError, match="2 labels for 7 columns"):
        label_report(logits, targets, ["a", "b"])


@pytest.mark.parametrize("metric", [accuracy_multi, f_beta, f1_multi, mean_average_precision])
def test_shapes_that_do_not_fit_are_refused(metric):
    with pytest.raises(ValueError, match=r"predictions \[5 3\] against targets \[5\] do not fit together"):
        metric(torch.zeros(5, 3), torch.zeros(5))
    with pytest.raises(ValueError, match=r"predictions \[5\]; expected \[N K\], one column a label"):
        metric(torch.zeros(5), torch.zeros(5))
    assert better_direction(functools.partial(metric)) == "higher"


def test_arguments_that_mean_nothing_are_refused():
    zeros = torch.zeros(5, 3)
    with pytest.raises(ValueError, match="average is 'weighted'; expected one of macro, micro, samples"):
        f_beta(zeros, zeros, average="weighted")
    with pytest.raises(ValueError, match="beta must be above 0"):
        f_beta(zeros, zeros, beta=0)
    with pytest.raises(ValueError, match=r"predictions \[5 3\]; expected the scores of one label"):
        average_precision(zeros, zeros)
