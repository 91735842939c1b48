"""What outputs and targets become: one class, several labels, or numbers. N samples, K classes."""

import numpy as np
import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.inspect.answers import read_answers

LOSSES = torch.tensor([0.1, 0.2, 0.3])
CATS = sm.CategoryBlock(vocab=("no", "yes"))


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_yes_or_no_model_of_one_column_has_two_classes(shape):
    yes = torch.tensor([0.9, 0.5, 0.2]).reshape(shape)
    labels = torch.tensor([1.0, 0.0, 0.0]).reshape(shape)
    found = read_answers(yes, labels, LOSSES, sm.mnist_loss, [CATS])
    assert found.kind == "category"
    assert found.vocab == ("no", "yes")
    assert np.allclose(found.outputs, [[0.1, 0.9], [0.5, 0.5], [0.8, 0.2]])
    assert found.decided.tolist() == [1, 1, 0]
    assert found.targets.tolist() == [1, 0, 0]
    assert found.targets.dtype == np.int64


def test_without_blocks_the_loss_says_what_outputs_are():
    rows = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])
    classes = read_answers(rows, torch.tensor([1, 1, 0]), LOSSES, nn.CrossEntropyLoss(), [])
    assert (classes.kind, classes.vocab) == ("category", ("0", "1"))
    labels = read_answers(rows, (rows > 0.4).float(), LOSSES, nn.BCEWithLogitsLoss(), [])
    assert labels.kind == "multi"
    assert labels.decided.tolist() == [[False, True], [True, False], [True, True]]
    numbers = read_answers(rows, rows + 1, LOSSES, nn.MSELoss(), [])
    assert numbers.kind == "regression"


def test_numbers_0_and_1_under_a_yes_or_no_loss_are_classes():
    yes = torch.tensor([[0.9], [0.4], [0.2]])
    block = sm.RegressionBlock()
    two = read_answers(yes, torch.tensor([[1.0], [0.0], [1.0]]), LOSSES, sm.mnist_loss, [block])
    assert (two.kind, two.vocab, two.targets.tolist()) == ("category", ("0", "1"), [1, 0, 1])
    soft = read_answers(yes, torch.tensor([[0.9], [0.0], [1.0]]), LOSSES, sm.mnist_loss, [block])
    assert soft.kind == "regression"
    assert read_answers(yes, torch.tensor([[1.0], [0.0], [1.0]]), LOSSES, sm.mse, [block]).kind == "regression"


def own_loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)


def test_under_a_loss_of_ones_own_classes_are_probabilities_in_any_case():
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.7], [0.0, 3.0]])
    labels = torch.tensor([0, 1, 1])
    found = read_answers(logits, labels, LOSSES, own_loss, [CATS])
    assert np.allclose(found.outputs, torch.softmax(logits, 1).numpy())
    given = read_answers(torch.softmax(logits, 1), labels, LOSSES, own_loss, [CATS])
    assert np.allclose(given.outputs, found.outputs)
    column = read_answers(logits[:, :1], labels, LOSSES, own_loss, [CATS])
    assert np.allclose(column.outputs[:, 1], torch.sigmoid(logits[:, 0]).numpy())


def test_points_are_numbers_in_one_row():
    points = torch.rand(3, 5, 2)
    found = read_answers(points, points + 1, LOSSES, sm.mse, [sm.PointBlock()])
    assert found.kind == "regression"
    assert found.outputs.shape == found.targets.shape == (3, 10)


@pytest.mark.parametrize(
    ("outputs", "targets", "blocks", "told"),
    [
        (torch.rand(3, 2, 5, 5), torch.zeros(3, 5, 5), [sm.MaskBlock(codes=("a", "b"))], "one answer"),
        (torch.rand(3, 2), (torch.zeros(3), torch.zeros(3)), [CATS, CATS], "one target"),
        ((torch.rand(3, 2), torch.rand(3)), torch.zeros(3), [CATS], "one target"),
        (torch.rand(3, 2), torch.tensor([0, 1, 2]), [CATS], "label is 2; the model's classes are numbered 0..1"),
        (torch.rand(3, 2, 5), torch.tensor([0, 1, 1]), [CATS], "one class"),
        (torch.rand(3, 2), torch.rand(3, 1), [sm.RegressionBlock()], "one answer"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(outputs, targets, blocks, told):
    with pytest.raises(ValueError, match=told):
        read_answers(outputs, targets, LOSSES, sm.cross_entropy, blocks)
