"""Test-time augmentation against views made one by one."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.data.seeds import SAMPLE, numpy_generator

D, K, N = 7, 3, 40


@dataclass(frozen=True)
class Jitter:
    """Adds noise in training."""

    training_only = True

    def __call__(self, x, rng=None):
        return x if rng is None else x + torch.tensor(rng.normal(size=D), dtype=torch.float32)


def make_learner(item_tfms=(), batch_tfms=()):
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    items = [(row, int(row[:K].argmax())) for row in x]
    block = sm.DataBlock(
        blocks=(sm.TransformBlock, sm.CategoryBlock),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    torch.manual_seed(1)
    learn = sm.Learner(block.dataloaders(items, bs=5), sm.mlp((D, 13, K), dropout=0.5), progress=False)
    learn.fit(1, 0.05)
    return learn


def test_views_are_those_that_training_draws():
    learn = make_learner(Jitter())
    found = learn.tta(n=3)
    assert found.views.shape == (4, 8, K)
    learn.model.eval()
    valid = learn.dls.valid.dataset
    for number in range(3):
        rows = [Jitter()(valid.items[i][0], numpy_generator(learn.dls.valid.seed, SAMPLE, number, i)) for i in range(8)]
        torch.testing.assert_close(found.views[number], learn.model(torch.stack(rows)).softmax(1).detach())
    plain, targets = learn.get_preds()
    assert torch.equal(found.views[3], plain)
    assert torch.equal(found.targets, targets)


def test_the_mix_is_fastais():
    learn = make_learner(Jitter())
    found = learn.tta(n=3, beta=0.4)
    expected = torch.lerp(found.views[:3].mean(0), found.views[3], 0.4)
    torch.testing.assert_close(found.preds, expected)
    torch.testing.assert_close(found.preds.sum(1), torch.ones(8))
    assert torch.equal(learn.tta(n=3, use_max=True).preds, found.views.amax(0))
    preds, targets = learn.tta(n=3, beta=1)
    assert torch.equal(preds, found.views[3])
    assert torch.equal(targets, found.targets)


def test_nothing_changes_and_every_call_is_the_same():
    learn = make_learner(Jitter())
    before = [p.clone() for p in learn.model.parameters()]
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = learn.tta(), learn.tta()
    assert torch.equal(first.views, second.views)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters(), strict=True))
    assert learn.model.training


def test_random_batch_transforms_and_other_loaders():
    def shake(x, rng=None):
        return x if rng is None else x + torch.randn(x.shape, generator=rng)

    learn = make_learner(batch_tfms=shake)
    assert not torch.equal(learn.tta(n=1).views[0], learn.tta(n=1).views[1])
    preds, targets = learn.tta(ds_idx=0, n=1)
    assert torch.equal(targets, learn.get_preds(ds_idx=0)[1])
    assert len(preds) == 32
    new = learn.dls.test_dl([torch.zeros(D), torch.ones(D)])
    found = learn.tta(new, n=2)
    assert found.views.shape == (3, 2, K)
    assert found.targets is None


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(ValueError, match="no random transforms, so all views of an item would be the same"):
        make_learner().tta()
    learn = make_learner(Jitter())
    for n in (0, 1.5, True):
        with pytest.raises(ValueError, match="n is how many augmented views"):
            learn.tta(n=n)
    with pytest.raises(ValueError, match=r"beta is the plain view's share of the mix, 0..1, got 1.5"):
        learn.tta(beta=1.5)
    learn.model = nn.Sequential(learn.model, Twice())
    with pytest.raises(TypeError, match="the model gives a tuple; only a single tensor can be averaged"):
        learn.tta()


class Twice(nn.Module):
    def forward(self, x):
        return x, x


# --- pictures -----------------------------------------------------------------------------------------------------


def pictured(target, answer, item_tfms, batch_tfms=()):
    """A learner of twelve pictures [23 31], each with `answer` as its target."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 23, 31, 3), np.uint8)
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, target),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    data = block.dataloaders([(picture, answer) for picture in pixels], bs=4)
    model = nn.Conv2d(3, 2, 1) if isinstance(target, sm.MaskBlock) else nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    loss = None if isinstance(target, sm.MaskBlock | sm.PointBlock) else sm.mse
    return sm.Learner(data, model, loss_func=loss, progress=False)


PLACES = [
    (sm.MaskBlock(codes=("ground", "sky")), np.zeros((23, 31), np.uint8)),
    (sm.PointBlock(), (3, 5)),
    (sm.BoxBlock(), [(3, 5, 7, 11)]),
]


@pytest.mark.parametrize(("target", "answer"), PLACES)
def test_answers_about_places_are_not_averaged_over_moved_views(target, answer):
    name = type(target).__name__
    for moving in ((sm.Resize(17),), (sm.Resize(17, method="squish"), sm.Flip())):
        with pytest.raises(ValueError, match=rf"tta: (Resize|Flip).* moves each view .* answers for a {name}"):
            pictured(target, answer, moving).tta()


@pytest.mark.parametrize(("target", "answer"), PLACES[:2])
def test_answers_about_places_are_averaged_over_lights(target, answer):
    learn = pictured(target, answer, sm.Resize(17, method="squish"), sm.Brightness(p=1.0))
    views = learn.tta(n=2).views
    assert not torch.equal(views[0], views[1])


@pytest.mark.parametrize("still", [sm.Resize(17, method="squish"), sm.Resize(17, method="pad"), sm.CropPad(17)])
def test_a_resize_that_draws_nothing_makes_no_views(still):
    target = sm.RegressionBlock(n_out=2)
    learn = pictured(target, (0.3, 0.7), still, sm.Normalize(mean=(0.5,), std=(0.5,)))
    assert not learn.dls.train.dataset.random
    with pytest.raises(ValueError, match="no random transforms, so all views of an item would be the same"):
        learn.tta()
    assert pictured(target, (0.3, 0.7), sm.Resize(17)).dls.train.dataset.random
