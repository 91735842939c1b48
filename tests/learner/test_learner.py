"""What a learner settles as it is made."""

import functools

import torch
from tests.peel.digits import picture_folder

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


def test_the_weights_are_the_same_with_any_number_of_workers(tmp_path):
    folder = picture_folder(tmp_path / "pictures")

    def trained(workers):
        data = sm.ImageDataLoaders.from_folder(
            folder, bs=8, seed=3, channels=1, batch_tfms=[*sm.aug_transforms(size=16), sm.Normalize()], workers=workers
        )
        model = functools.partial(sm.small_cnn, 1, 3, width=4)
        learn = sm.Learner(data, model, seed=5, device="cpu", precision="float32", progress=False)
        learn.fit(2, 0.01)
        return learn.model.state_dict()

    alone = trained(0)
    for workers in (1, 2, 4):
        others = trained(workers)
        assert all(torch.equal(alone[name], others[name]) for name in alone), workers
