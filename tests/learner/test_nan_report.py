"""A loss that becomes NaN or infinite: the largest gradients are told, and `explain_nan` shows where it begins."""

import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.train.gradient_norms import gradient_norms, norms_text

pytestmark = pytest.mark.usefixtures("no_scripts")

N, D, K, BS = 44, 7, 3, 11  # four steps an epoch
PLACE = 17  # the sample that breaks the network
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
X[PLACE, 0] = 50.0
Y = X[:, 1 : 1 + K].argmax(1)


class Exponent(nn.Module):
    """exp(x * x): infinite beyond 9.4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * x).exp()


class Narrow(nn.Module):
    """A layer that leaves all but its first input out, and gives 50 for none but the sample that breaks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1] > 40, x[:, :1], x[:, :1] * 0 + 1)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Identity(), Narrow(), Exponent(), nn.Linear(1, K))


def learner(model=network, run_dir=None, **settings) -> sm.Learner:
    dls = sm.DataLoaders(sm.DataLoader((X, Y), BS, True, seed=5))
    settings = {"loss_func": nn.functional.cross_entropy, "progress": False, "device": "cpu", **settings}
    return sm.Learner(dls, model, precision="float32", run_dir=run_dir, **settings)


def failing_step(learn: sm.Learner) -> int:
    """In which step of the first epoch the sample comes, from 1."""
    return 1 + next(i for i in range(4) if PLACE in learn.dls.train.indices(0, i))


def broken(learn: sm.Learner, epochs: int = 1) -> str:
    with pytest.raises(FloatingPointError) as caught:
        learn.fit(epochs)
    return str(caught.value)


def test_the_gradients_are_told_by_layer():
    learn = learner()
    text = broken(learn)
    step = failing_step(learn)
    assert f"at step {step}, epoch 0, batch {step - 1} of 4" in text
    assert "In that step the gradients of all 1 layers are NaN or infinite." in text
    assert "explain_nan" not in text


def test_norms_are_those_of_the_parameters():
    model = sm.mlp((D, 5, K))
    model(X[:10]).square().sum().backward()
    found = gradient_norms(model)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    assert found.keys() == layers.keys()
    for name, layer in layers.items():
        whole = torch.cat([layer.weight.grad.flatten(), layer.bias.grad])
        assert found[name] == pytest.approx(float(whole.norm()), rel=1e-5)
    first, second = found
    model.get_submodule(second).bias.grad[1] = float("inf")
    assert f"NaN or infinite in layer {second}; of the others the largest are of layers {first}" in norms_text(
        gradient_norms(model)
    )


def test_the_layer_the_sample_and_the_range_are_named(tmp_path):
    learn = learner(run_dir=tmp_path / "run", save_steps=1)
    assert "learn.explain_nan() makes it again" in broken(learn)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    found = learn.explain_nan()
    assert torch.equal(torch.rand(1), drawn)
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    step = failing_step(learn)
    assert (found.step, found.epoch, found.place) == (step, 0, "2")
    assert "it comes out of layer 2 (Exponent): its inputs are 1 to 50 (1 of 11 values)" in found.source
    assert found.samples == tuple(learn.dls.train.names([PLACE]))
    assert "returned nan values" in found.anomaly
    text = str(found)
    assert f"step {step}, epoch 0, made again from resume-" in text
    assert "the loss is nan" in text
    assert not torch.is_anomaly_enabled()
    assert not any(m._forward_hooks for m in learn.model.modules())


class Growing(nn.Module):
    """Weights that a step doubles, whatever the loss: finite for some steps, then not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.mark.parametrize("save_steps", [1, None])
def test_a_step_far_into_the_fit_is_made_again_with_the_optimisers_state(tmp_path, save_steps):
    """The rate is so high that the weights overflow: in the same step, with the same losses before."""
    settings = {"lr": 1e18, "loss_func": nn.functional.mse_loss, "opt_func": sm.Adam}
    dls = sm.DataLoaders(sm.DataLoader((X, X[:, :K].clone()), BS, True, seed=5))
    learn = sm.Learner(
        dls, Growing, progress=False, device="cpu", run_dir=tmp_path / "run", save_steps=save_steps, **settings
    )
    text = broken(learn, epochs=3)
    found = learn.explain_nan()
    assert found.step == len(learn.recorder.losses) + 1
    assert f"at step {found.step}," in text
    assert not found.loss < float("inf")
    assert found.place == "the loss"
    assert "the loss function makes it, of finite outputs" in found.source
    assert found.samples == ()


def test_values_between_layers_and_of_the_loss(tmp_path):
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(D, K), nn.Linear(K, K)

        def forward(self, x):
            return self.last(torch.where(x[:, :1] > 40, torch.inf, self.first(x)))

    learn = learner(Between, tmp_path / "run", save_steps=1)
    broken(learn)
    found = learn.explain_nan()
    assert found.place == "between layers"
    assert "it comes into layer last (Linear) from what stands after layer first (3 of 33 values)" in found.source
    assert found.samples == tuple(learn.dls.train.names([PLACE]))


def test_slices_count_their_samples_on(tmp_path):
    learn = learner(run_dir=tmp_path / "run", micro=4)
    broken(learn)
    assert learn.explain_nan().samples == tuple(learn.dls.train.names([PLACE]))


def test_the_second_fit_is_found_by_its_own_checkpoint(tmp_path):
    learn = learner(lambda: nn.Sequential(*network()[:2], nn.Identity(), nn.Linear(1, K)), tmp_path / "run")
    learn.fit(1)
    learn.model[2] = Exponent()
    text = broken(learn)
    assert "epoch 1" in text
    found = learn.explain_nan()
    assert (found.epoch, found.place) == (1, "2")


def test_without_a_run_or_a_nan_it_says_so(tmp_path):
    learn = learner()
    with pytest.raises(ValueError, match="did not end by a loss"):
        learn.explain_nan()
    broken(learn)
    with pytest.raises(ValueError, match=r"train with run_dir=\.\.\."):
        learn.explain_nan()
    kept = learner(run_dir=tmp_path / "run")
    broken(kept)
    for file in (tmp_path / "run" / "checkpoints").glob("resume-*"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="no whole checkpoint from before step"):
        kept.explain_nan()
