"""What a learner settles as it is made."""

import functools

import torch

import satsuma as sm


def test_a_seed_that_no_one_chose_is_drawn_and_told(capsys):
    data = sm.DataLoaders.from_arrays(torch.randn(20, 3), torch.arange(20) % 2, bs=10)
    model = functools.partial(sm.mlp, (3, 4, 2))
    learn, other = (sm.Learner(data, model, seed=None, device="cpu") for _ in "ab")
    assert learn.seed != other.seed
    learn.fit(1)
    assert f"seed={learn.seed} gives this run again" in capsys.readouterr().out
    again = sm.Learner(data, model, seed=learn.seed, device="cpu", progress=False)
    again.fit(1)
    assert learn.recorder.losses == again.recorder.losses
