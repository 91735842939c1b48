"""MixUp and CutMix: the remade batch against its definition, sample by sample."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satsuma.data.loader import DataLoader
from satsuma.train.loop import train
from satsuma.train.lr_find import copied_run
from satsuma.train.mixing import CutMix, MixUp, box_masks, random_boxes
from satsuma.train.objectives import supervised_mixed
from satsuma.train.run import Run

B, C, H, W, K = 11, 3, 13, 17, 5
X = torch.randn(B, C, H, W, generator=torch.Generator().manual_seed(0))
Y = torch.arange(B)  # so that a target tells its sample


def rng(seed=3):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("mix", [MixUp(), CutMix()])
def test_the_batch_is_remade_from_partners_and_shares(mix):
    before = X.clone()
    x, own, partners, shares = mix(X, Y, rng=rng())
    assert torch.equal(X, before)
    assert torch.equal(own, Y)
    assert sorted(partners.tolist()) == Y.tolist()
    assert x.shape == X.shape
    assert shares.shape == (B,)
    assert ((shares >= 0) & (shares <= 1)).all()
    again = mix(X, Y, rng=rng())
    assert all(torch.equal(a, b) for a, b in zip((x, own, partners, shares), again, strict=True))
    assert not torch.equal(mix(X, Y, rng=rng(4))[0], x)


def test_mixup_blends():
    x, _, partners, shares = MixUp(0.7)(X, Y, rng=rng())
    for i in range(B):
        torch.testing.assert_close(x[i], shares[i] * X[i] + (1 - shares[i]) * X[partners[i]])
    assert len(set(shares.tolist())) == B  # each sample has its own


def test_cutmix_pastes_a_box_and_shares_by_its_pixels():
    x, _, partners, shares = CutMix()(X, Y, rng=rng())
    for i in range(B):
        other = (x[i] == X[partners[i]]).all(0)  # [H W]
        own = (x[i] == X[i]).all(0)
        assert (own | other).all()
        if partners[i] != i:
            assert other.sum().item() == round((1 - shares[i].item()) * H * W)
            rows, columns = other.any(1), other.any(0)
            assert other.sum() == rows.sum() * columns.sum()  # a whole rectangle...
            for line in (rows, columns):
                assert line.int().diff().abs().sum() + line[0] + line[-1] in (0, 2)  # ...in one piece
    assert len(set(shares.tolist())) > B // 2


def test_shares_are_beta_distributed():
    shares = MixUp(0.4)(torch.zeros(20000, 1), rng=rng(), n_inp=1)[-1].numpy()
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.003)


def test_boxes_before_they_are_cut_off_have_the_share_left_out():
    boxes = random_boxes(1.0, 20000, 2000, 3000, rng())
    top, bottom, left, right = boxes
    whole = (top > 0) & (bottom < 2000) & (left > 0) & (right < 3000)
    ratios = (bottom - top)[whole] / (right - left)[whole]
    assert np.median(ratios) == pytest.approx(2 / 3, abs=0.001)  # the picture's own
    assert boxes.min() == 0
    assert (bottom.max(), right.max()) == (2000, 3000)
    assert (bottom >= top).all()
    assert (right >= left).all()


def test_masks_are_the_boxes():
    boxes = np.array([[1, 0], [4, 2], [2, 3], [9, 3]])  # [4 2]
    masks = box_masks(torch.from_numpy(boxes), 5, 11)
    assert masks.shape == (2, 1, 5, 11)
    expected = torch.zeros(5, 11, dtype=torch.bool)
    expected[1:4, 2:9] = True
    assert torch.equal(masks[0, 0], expected)
    assert not masks[1].any()


@pytest.mark.parametrize("mix", [MixUp(), CutMix()])
def test_channels_last_stays_so_and_types_stay(mix):
    x = X.contiguous(memory_format=torch.channels_last)
    found = mix(x, Y, rng=rng())[0]
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, mix(X, Y, rng=rng())[0])
    assert mix(X.to(torch.bfloat16), Y, rng=rng())[0].dtype == torch.bfloat16


def test_several_inputs_and_targets_have_the_same_partners():
    second = X * 2
    a, b, _, _, p1, p2, shares = MixUp()(X, second, Y, Y + 100, rng=rng(), n_inp=2)
    torch.testing.assert_close(b, a * 2)
    assert torch.equal(p2, p1 + 100)
    assert shares.shape == (B,)
    a, b, _, _ = CutMix()(X, second, Y, rng=rng(), n_inp=2)[:4]
    assert torch.equal(b, a * 2)


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ValueError, match=r"MixUp: input 1 is torch.int64; only floating-point inputs can be mixed"):
        MixUp()(X, Y, Y, rng=rng(), n_inp=2)
    with pytest.raises(ValueError, match=r"CutMix: expected inputs \[B C H W\] of one height and width, got \[11, 7\]"):
        CutMix()(torch.zeros(B, 7), Y, rng=rng())
    with pytest.raises(ValueError, match="of one height and width"):
        CutMix()(X, X[..., 1:], Y, rng=rng(), n_inp=2)
    with pytest.raises(ValueError, match="MixUp: alpha is a number above 0"):
        MixUp(0)
    with pytest.raises(ValueError, match="CutMix: alpha is a number above 0"):
        CutMix(alpha=-1.0)
    with pytest.raises(TypeError, match="did you mean 'alpha'"):
        MixUp(aplha=0.2)


# --- in the loop ---------------------------------------------------------------------------------------------------


def make_run(mix, **settings):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, K))
    objective = functools.partial(supervised_mixed, loss_func=F.cross_entropy)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Run(model=model, optimizer=optimizer, objective=objective, schedule=float, mix=mix, **settings)


def constant_run(mix, **settings):
    run = make_run(mix, **settings)
    run.schedule = one
    return run


def one(step):
    return 1.0


def losses_of(run, data, **options):
    return [step.loss.item() for step in train(run, data, epochs=2, **options)]


def loader():
    labels = torch.arange(23) % K
    pictures = torch.randn(23, C, H, W, generator=torch.Generator().manual_seed(1))
    return DataLoader((pictures, labels), B, True, seed=5)


@pytest.mark.parametrize("mix", [MixUp(), CutMix()])
def test_training_on_mixtures_is_a_function_of_the_seed_and_the_step(mix):
    plain = losses_of(constant_run(mix, seed=7), loader())
    torch.manual_seed(99)
    np.random.seed(99)
    assert losses_of(constant_run(mix, seed=7), loader()) == plain
    assert losses_of(constant_run(mix, seed=8), loader()) != plain
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("mix", [MixUp(), CutMix()])
@pytest.mark.parametrize("micro", [1, 4])
def test_slices_of_the_batch_add_up_to_the_mixed_batch(mix, micro):
    whole, sliced = constant_run(mix), constant_run(mix)
    assert losses_of(sliced, loader(), micro=micro) == pytest.approx(losses_of(whole, loader()), rel=1e-5)
    for a, b in zip(whole.model.parameters(), sliced.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_every_step_of_every_fit_has_its_own_draw():
    seen = []
    for first_epoch in (0, 2):
        losses_of(constant_run(functools.partial(noting, seen), first_epoch=first_epoch), loader())
    assert len(seen) == len(set(seen)) == 2 * 2 * len(loader())


def noting(seen, x, y, *, rng):
    seen.append(rng.random())
    return x, y, y, torch.ones(len(x))


def test_a_resumed_run_mixes_as_one_that_never_stopped():
    straight, stopped = constant_run(MixUp()), constant_run(MixUp())
    expected = losses_of(straight, loader())
    begun = []
    for step in train(stopped, loader(), epochs=2):
        begun.append(step.loss.item())
        if len(begun) == 2:
            break
    rest = [step.loss.item() for step in train(stopped, loader(), epochs=2)]
    assert begun + rest == expected


def test_a_rate_finder_mixes_too():
    run = constant_run(MixUp())
    assert copied_run(run).mix is run.mix
