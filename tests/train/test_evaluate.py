"""Evaluation against one call on the whole set."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.data.loader import DataLoader
from satsuma.functional.metrics import accuracy
from satsuma.train.evaluate import evaluate, evaluation_mode, named_metrics, predict_batches

N, D, K = 53, 7, 3
torch.manual_seed(0)
X, Y = torch.randn(N, D), torch.randint(0, K, (N,))
MODEL = nn.Linear(D, K)


def loader(bs):
    return DataLoader((X, Y), bs)


@pytest.mark.parametrize("bs", [1, 2, 11, 52, 53, 100])
def test_loss_and_metrics_are_those_of_the_whole_set(bs):
    """A class-weighted loss shows it: the mean of the batches' means would be another number."""
    weight = torch.tensor([0.1, 1.0, 5.0])
    found = evaluate(MODEL, loader(bs), loss_func=nn.CrossEntropyLoss(weight=weight), metrics=[accuracy, spread])
    assert found.loss == pytest.approx(F.cross_entropy(MODEL(X), Y, weight=weight).item(), rel=1e-5)
    assert found.metrics["accuracy"] == pytest.approx(float((MODEL(X).argmax(1) == Y).float().mean()))
    assert found.metrics["spread"] == pytest.approx(MODEL(X).std().item(), rel=1e-5)


def spread(outputs, targets):
    return outputs.std()


def test_predictions_come_in_order_and_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, K))
    model[1].eval()  # kept frozen by its user
    outputs, (targets,) = predict_batches(model, loader(11))
    assert [m.training for m in model] == [True, False, True, True]
    with evaluation_mode(model), torch.no_grad():
        torch.testing.assert_close(outputs, model(X))
    assert torch.equal(targets, Y)
    assert not outputs.requires_grad


def test_evaluation_mode_ends_with_an_error_too():
    model = nn.Sequential(nn.Dropout())
    with pytest.raises(ZeroDivisionError), evaluation_mode(model):
        1 / 0  # noqa: B018
    assert model.training
    assert model[0].training


class TwoOutputs(nn.Module):
    def forward(self, x):
        return x[:, :2], x.sum(1)


class ADict(nn.Module):
    def forward(self, x):
        return {"logits": x}


def test_several_outputs_are_joined_one_by_one():
    outputs, _ = predict_batches(TwoOutputs(), loader(11))
    assert torch.equal(outputs[0], X[:, :2])
    torch.testing.assert_close(outputs[1], X.sum(1))
    with pytest.raises(TypeError, match="the model gives a dict; expected a tensor, or a tuple of tensors"):
        predict_batches(ADict(), loader(11))


def test_a_loader_without_targets_gives_none():
    outputs, targets = predict_batches(MODEL, DataLoader(X, 11))
    assert targets == ()
    assert outputs.shape == (N, K)


def broken(outputs, targets):
    raise KeyError("no such\nthing")


def matrix(outputs, targets):
    return outputs.T @ outputs


def test_a_failing_metric_is_named_with_the_shapes():
    with pytest.raises(ValueError, match=r"metric broken failed on outputs \[53 3\], targets \[53\]: 'no such.nthing'"):
        evaluate(MODEL, loader(11), loss_func=F.cross_entropy, metrics=[broken])
    with pytest.raises(ValueError, match=r"metric matrix failed .* it gave \[3 3\], one number is expected"):
        evaluate(MODEL, loader(11), loss_func=F.cross_entropy, metrics=[matrix])


def test_without_strict_it_is_nan_and_a_warning_and_the_others_stand():
    with pytest.warns(UserWarning, match="metric broken failed"):
        found = evaluate(MODEL, loader(11), loss_func=F.cross_entropy, metrics=[broken, accuracy], strict=False)
    assert math.isnan(found.metrics["broken"])
    assert found.metrics["accuracy"] > 0


def test_metrics_of_one_name_are_numbered_and_table_columns_are_not_taken():
    def valid_loss(outputs, targets):
        return outputs.mean()

    names = list(named_metrics([accuracy, accuracy, valid_loss, lambda o, t: 1.0, lambda o, t: 2.0]))
    assert names == ["accuracy", "accuracy_2", "valid_loss_2", "<lambda>", "<lambda>_2"]
    found = evaluate(MODEL, loader(11), loss_func=F.cross_entropy, metrics=[lambda o, t: 1.0, lambda o, t: 2.0])
    assert found.metrics == {"<lambda>": 1.0, "<lambda>_2": 2.0}


def test_torchmetrics_objects_count_over_the_whole_set():
    torchmetrics = pytest.importorskip("torchmetrics", exc_type=ImportError)
    f1 = torchmetrics.classification.MulticlassF1Score(K, average="macro")
    several = torchmetrics.MetricCollection(
        [torchmetrics.classification.MulticlassAccuracy(K, average="micro")], prefix="tm_"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [
            evaluate(MODEL, loader(bs), loss_func=F.cross_entropy, metrics=[f1, several, accuracy]) for bs in (2, 53)
        ]
    assert results[0].metrics == pytest.approx(results[1].metrics)
    assert list(results[0].metrics) == ["MulticlassF1Score", "tm_MulticlassAccuracy", "accuracy"]
    assert results[0].metrics["tm_MulticlassAccuracy"] == pytest.approx(results[0].metrics["accuracy"])
