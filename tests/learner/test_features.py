"""What a learner of precomputed features refuses: features of a body that has changed since, and items."""

import pytest
import torch
from torch import nn

import satsuma as sm

N, SIZE = 26, 11


class BodyAndHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
        self.head = sm.create_head(5, 3, hidden=7)

    def forward(self, x):
        return self.head(self.body(x))


def groups(model):
    return [model.body, model.head]


@pytest.fixture
def learn():
    x = torch.randn(N, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x, x[:, 0, 0, :3].argmax(1), bs=6)
    torch.manual_seed(1)
    made = sm.Learner(data, BodyAndHead(), splitter=groups, batch_norm="frozen", progress=False, precision="float32")
    made.freeze()
    return made


def test_features_of_a_body_that_has_learnt_since_are_refused(learn):
    pre = learn.precompute()
    pre.fit(1)
    learn.fit(1)  # of the head alone: the features still hold
    pre.fit(1)
    learn.unfreeze()
    learn.fit(1)
    for attempt in (lambda: pre.fit(1), lambda: pre.fit_one_cycle(1), pre.make_run, pre.validate, pre.get_preds):
        with pytest.raises(ValueError, match=r"has changed since these features were computed: call precompute"):
            attempt()
    learn.precompute().fit(1)


def test_statistics_of_the_body_count_as_well(learn):
    pre = learn.precompute()
    learn.model.body[1].running_mean += 0.5
    with pytest.raises(ValueError, match="has changed since"):
        pre.fit(1)


def test_items_are_refused(learn, tmp_path):
    pre = learn.precompute()
    for attempt in (lambda: pre.predict(torch.zeros(1, SIZE, SIZE)), lambda: pre.export(tmp_path / "m.safetensors")):
        with pytest.raises(ValueError, match=r"cannot read an item: predict and export with the learner that"):
            attempt()
    assert not list(tmp_path.iterdir())
