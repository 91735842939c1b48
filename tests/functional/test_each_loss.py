"""Each sample's own loss against the loss of that sample alone; smoothing against torch's own."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.functional.each_loss import (
    loss_weights,
    reduction_of,
    refuse_unreducible,
    smoothed_loss,
    unreduced_losses,
)
from satsuma.functional.losses import binary_cross_entropy, cross_entropy, mse, smooth_l1

B, K = 7, 5
LOGITS, LABELS = torch.randn(B, K), torch.arange(B) % K
YES = (torch.arange(B * K).reshape(B, K) % 2).float()


def own_loss(outputs, targets):
    return (outputs - targets).square().mean()


class OwnLoss(nn.Module):
    def forward(self, outputs, targets):
        return own_loss(outputs, targets)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (cross_entropy, LABELS),
        (F.cross_entropy, LABELS),
        (nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
        (functools.partial(cross_entropy, label_smoothing=0.2), LABELS),
        (binary_cross_entropy, YES),
        (nn.BCEWithLogitsLoss(), YES),
        (mse, YES),
        (functools.partial(smooth_l1, beta=0.5), YES),
        (nn.MSELoss(), YES),
    ],
)
def test_they_are_the_losses_of_the_samples_alone(loss, targets):
    found = unreduced_losses(loss, LOGITS, (targets,))
    assert len(found) == B
    alone = torch.stack([loss(LOGITS[i : i + 1], targets[i : i + 1]) for i in range(B)])
    torch.testing.assert_close(found.reshape(B, -1).mean(1), alone)
    assert getattr(loss, "reduction", "mean") == "mean"  # a module is left as it was


def test_a_loss_that_cannot_give_them_is_refused():
    for loss, repair in ((own_loss, "an argument reduction='mean' or 'none'"), (OwnLoss(), "self.reduction")):
        with pytest.raises(ValueError, match=f"MixUp needs each sample's own loss.*{repair}"):
            refuse_unreducible(loss, "MixUp")
    with pytest.raises(ValueError, match="which own_loss cannot give"):
        unreduced_losses(own_loss, YES, (YES,))
    with pytest.raises(ValueError, match=r"OwnLoss gives \[\] with reduction='none'; expected a loss for each"):
        unreduced_losses(OwnLoss(), YES, (YES,))
    for loss in (cross_entropy, nn.CrossEntropyLoss(), functools.partial(mse), F.l1_loss):
        refuse_unreducible(loss, "MixUp")


def test_another_error_of_a_loss_stays_itself():
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        unreduced_losses(mse, YES, ())


def test_weights_make_the_mean_that_torch_makes():
    weight, ignored = torch.rand(K) + 0.1, torch.tensor([0, 1, -100, 2, 3, 4, -100])
    for loss in (
        functools.partial(cross_entropy, weight=weight),
        nn.CrossEntropyLoss(weight=weight),
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(ignore_index=1),
        functools.partial(F.cross_entropy, weight=weight, ignore_index=2),
    ):
        for labels in (LABELS, ignored) if getattr(loss, "ignore_index", -100) == -100 else (LABELS,):
            if isinstance(loss, functools.partial) and "ignore_index" in loss.keywords:
                labels = LABELS
            counts = loss_weights(loss, (labels,))
            total = unreduced_losses(loss, LOGITS, (labels,)).sum() / counts.sum()
            torch.testing.assert_close(total, loss(LOGITS, labels))
    assert loss_weights(mse, (YES,)) is None
    assert loss_weights(cross_entropy, (YES,)) is None


def test_reduction_is_what_the_loss_says():
    assert reduction_of(mse) == reduction_of(nn.MSELoss()) == "mean"
    assert reduction_of(nn.MSELoss(reduction="sum")) == "sum"
    assert reduction_of(functools.partial(mse, reduction="sum")) == "sum"


def test_smoothing_is_torchs():
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    for loss in (cross_entropy, F.cross_entropy, nn.CrossEntropyLoss()):
        assert torch.equal(smoothed_loss(loss, 0.1)(LOGITS, LABELS), expected)
        assert smoothed_loss(loss, 0.0) is loss
    module = nn.CrossEntropyLoss()
    smoothed_loss(module, 0.3)
    assert module.label_smoothing == 0
    found = smoothed_loss(binary_cross_entropy, 0.2)(LOGITS, YES)
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(LOGITS, YES * 0.8 + 0.1))


def test_smoothing_that_cannot_be_is_refused():
    for loss in (mse, nn.BCEWithLogitsLoss(), own_loss):
        with pytest.raises(ValueError, match="knows no smoothing; for classes use cross_entropy"):
            smoothed_loss(loss, 0.1)
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match="a share from 0 to below 1"):
            smoothed_loss(cross_entropy, share)
