"""Training a head on features that were computed once, against training it through the frozen body."""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import satsuma as sm

N, SIZE = 26, 17


class BodyAndHead(nn.Module):
    """A body with batch normalisation, and the head of a transfer."""

    def __init__(self, concat_pool=True):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
        self.head = sm.create_head(5, 3, hidden=7, dropout=0.4, concat_pool=concat_pool)

    def forward(self, x):
        return self.head(self.body(x))


def groups(model):
    return [model.body, model.head]


@dataclass(frozen=True)
class Jitter:
    def __call__(self, x, rng=None):
        return x if rng is None else x + torch.tensor(rng.normal(size=(1, SIZE, SIZE)), dtype=torch.float32)


def make_learner(item_tfms=(), model=None, **settings):
    x = torch.randn(N, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    items = [(row, int(row[0, 0, :3].argmax())) for row in x]
    block = sm.DataBlock(
        blocks=(sm.TransformBlock, sm.CategoryBlock),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        item_tfms=item_tfms,
    )
    torch.manual_seed(1)
    given = {"splitter": groups, "batch_norm": "frozen", "progress": False, "precision": "float32", **settings}
    learn = sm.Learner(block.dataloaders(items, bs=5), BodyAndHead() if model is None else model, **given)
    learn.freeze()
    return learn


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_plain_features_train_the_head_as_the_whole_does():
    through, ahead = (make_learner(metrics=sm.accuracy, label_smoothing=0.1, l2=1e-3) for _ in range(2))
    pre = ahead.precompute(views=0)
    wanted, found = through.fit_one_cycle(3, 0.05), pre.fit_one_cycle(3, 0.05)
    torch.testing.assert_close(weights(ahead.model), weights(through.model), rtol=1e-5, atol=1e-5)
    for a, b in zip(found, wanted, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-4)
        assert a.valid_loss == pytest.approx(b.valid_loss, rel=1e-4)
        assert a.metrics == b.metrics


def test_a_view_for_each_epoch_is_training_with_augmentation():
    through, ahead = (make_learner(Jitter()) for _ in range(2))
    through.fit(3, 0.05)
    ahead.precompute(views=3).fit(3, 0.05)
    torch.testing.assert_close(weights(ahead.model), weights(through.model), rtol=1e-5, atol=1e-5)


def test_views_come_again_after_the_last():
    train = make_learner(Jitter()).precompute(views=2).dls.train
    first, second = (view[0] for view in train.dataset.views)
    assert not torch.equal(first, second)
    for loader in (train, train.new(batch_size=4), train.to("cpu")):  # a loader made from it keeps the views
        for epoch, view in enumerate([first, second, first, second]):
            x, _ = next(loader.epoch(epoch))
            assert torch.equal(x, view[loader.indices(epoch, 0)])
    assert len(train) == 4


def test_a_later_fit_goes_on_with_the_views_of_its_epochs():
    through, ahead = (make_learner(Jitter()) for _ in range(2))
    for learn in (through, ahead):
        learn.fit(1, 0.05)
    through.fit(2, 0.05)
    ahead.precompute(views=2).fit(2, 0.05)
    torch.testing.assert_close(weights(ahead.model), weights(through.model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("concat_pool", "width"), [(True, 10), (False, 5)])
def test_only_the_pooled_features_are_kept(concat_pool, width):
    learn = make_learner(model=BodyAndHead(concat_pool))
    pre = learn.precompute(views=0)
    x, y = pre.dls.train.one_batch()
    assert x.shape == (5, width)
    assert y.dtype == torch.int64
    assert pre.dls.vocab == learn.dls.vocab
    assert pre.get_preds()[0].shape == (5, 3)
    torch.testing.assert_close(pre.get_preds()[0], learn.get_preds()[0])


def test_a_head_without_pooling_gets_whole_feature_maps():
    model = BodyAndHead()
    model.head = nn.Sequential(nn.Conv2d(5, 3, 3), *model.head[:2], nn.Linear(6, 3))
    pre = make_learner(model=model).precompute(views=0)
    assert pre.dls.train.one_batch()[0].shape == (5, 5, 15, 15)
    pre.fit(1)


def test_the_body_is_left_alone_and_the_head_is_shared():
    learn = make_learner(batch_norm="train")
    body = copy.deepcopy(learn.model.body.state_dict())
    pre = learn.precompute(views=0)
    assert learn.model.body[1].training
    before = weights(learn.model.head)
    pre.fit(1, 0.1)
    assert all(torch.equal(v, body[k]) for k, v in learn.model.body.state_dict().items())
    assert not torch.equal(weights(learn.model.head), before)
    learn.fine_tune(1)  # goes on with the whole
    assert not torch.equal(learn.model.body[0].weight, body["0.weight"])


def test_the_body_cannot_be_trained_on_its_features():
    pre = make_learner().precompute(views=0)
    for attempt in (pre.unfreeze, pre.freeze, lambda: pre.fine_tune(1)):
        with pytest.raises(ValueError, match="trains a head on features of BodyAndHead that were computed once"):
            attempt()
    assert pre.calls == []


def test_what_cannot_be_precomputed_is_refused():
    learn = make_learner()
    with pytest.raises(ValueError, match="have no random transforms, so all views of an item would be the same"):
        learn.precompute(views=2)
    for views in (-1, 1.5):
        with pytest.raises(ValueError, match="views is how many augmented views of each item are kept"):
            learn.precompute(views=views)
    whole = sm.Learner(learn.dls, nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 3)), progress=False)
    with pytest.raises(ValueError, match="the model, a Sequential, has no body and head; vision_learner makes one"):
        whole.precompute()


def test_it_says_what_is_kept(capsys):
    make_learner(Jitter(), progress=True).precompute(views=2)
    assert "precomputed: 2 × 21 training items, 0 MiB of features\n" in capsys.readouterr().out
