"""What a learner answers, against softmax and cross-entropy by hand."""

import numpy as np
import pytest
import torch
from tests.ids import plain
from torch import nn
from torch.nn import functional as F

import satsuma as sm
from satsuma.functional.losses import shape_text

N, D, K, BS = 53, 7, 3, 11
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
Y = X[:, :K].argmax(1)


@pytest.fixture
def learn():
    """A classifier with a little training behind it."""
    data = sm.DataLoaders.from_arrays(X, np.array(["ape", "bee", "cow"])[Y], bs=BS)
    torch.manual_seed(1)
    learner = sm.Learner(data, sm.mlp((D, 13, K), dropout=0.5), metrics=sm.accuracy, progress=False)
    learner.fit(2, 0.05)
    return learner


def logits_of(learn):
    """The model's outputs and the targets of the validation set, by hand."""
    x, y = learn.dls.valid.dataset.tensors
    learn.model.eval()
    with torch.no_grad():
        outputs = learn.model(x)
    learn.model.train()
    return outputs, y


def test_get_preds_gives_probabilities_targets_decisions_and_losses(learn):
    outputs, y = logits_of(learn)
    preds, targets, decided, losses = learn.get_preds(with_loss=True, with_decoded=True)
    assert [shape_text(t) for t in (preds, targets, decided, losses)] == ["[11 3]", "[11]", "[11]", "[11]"]
    torch.testing.assert_close(preds, outputs.softmax(1))
    torch.testing.assert_close(preds.sum(1), torch.ones(11))
    assert torch.equal(targets, y)
    assert torch.equal(decided, outputs.argmax(1))
    torch.testing.assert_close(losses, F.cross_entropy(outputs, y, reduction="none"))
    assert len(learn.get_preds()) == 2


def test_validate_is_the_last_row_of_the_table(learn):
    judged = learn.validate()
    outputs, y = logits_of(learn)
    assert [judged.loss, judged.metrics["accuracy"]] == learn.recorder.values[-1][1:]
    assert judged.loss == pytest.approx(F.cross_entropy(outputs, y).item(), rel=1e-6)


def test_the_training_data_can_be_judged_too_in_order_and_whole(learn):
    preds, targets = learn.get_preds(ds_idx=0)
    assert len(preds) == 42
    assert torch.equal(targets, learn.dls.train.dataset.tensors[1])
    with pytest.raises(ValueError, match="there is no loader 2; the learner has 2"):
        learn.get_preds(ds_idx=2)


def test_new_items_without_targets(learn):
    preds, targets = learn.get_preds(learn.dls.test_dl(X[:5]))
    assert targets is None
    assert preds.shape == (5, K)
    with pytest.raises(ValueError, match="with_loss=True needs a loader that has targets"):
        learn.get_preds(learn.dls.test_dl(X[:5]), with_loss=True)


def test_predict_is_one_row_of_get_preds(learn):
    preds, _ = learn.get_preds(learn.dls.test_dl(X[:5]))
    for row, answer in zip(preds, (learn.predict(x) for x in X[:5]), strict=True):
        torch.testing.assert_close(answer.probabilities, row)
        assert answer.label == ("ape", "bee", "cow")[int(row.argmax())]
        assert int(answer.decided) == int(row.argmax())
    assert learn.predict(X[0].numpy()).label == learn.predict(X[0].tolist()).label == learn.predict(X[0]).label
    assert learn.model.training  # as it was


def test_a_list_of_items_is_not_one_text(learn):
    with pytest.raises(TypeError, match="predict_batch takes a list of items, got one text: use"):
        learn.predictor().predict_batch("images/cat.png")
    assert [a.label for a in learn.predictor().predict_batch(list(X[:5]), bs=2)] == [
        learn.predict(x).label for x in X[:5]
    ]


def test_regression_predicts_numbers():
    data = sm.DataLoaders.from_arrays(X, 3 * X[:, :2], bs=BS)
    learn = sm.Learner(data, sm.linear_model(D, 2), progress=False, opt_func=sm.SGD)
    learn.fit(30, 0.1)
    preds, targets, losses = learn.get_preds(with_loss=True)
    torch.testing.assert_close(losses, (preds - targets).square().mean(1))
    assert learn.predict(X[0]).label == pytest.approx((3 * X[0, :2]).tolist(), abs=0.05)


def test_yes_or_no():
    data = sm.DataLoaders(sm.DataLoader((X, (X[:, :1] > 0).long()), BS), sm.DataLoader((X, (X[:, :1] > 0).long()), BS))
    learn = sm.Learner(data, sm.linear_model(D), loss_func=sm.mnist_loss, metrics=sm.binary_accuracy, progress=False)
    preds, targets, decided, losses = learn.get_preds(with_loss=True, with_decoded=True)
    with torch.no_grad():
        torch.testing.assert_close(preds, learn.model(X).sigmoid())
    assert torch.equal(decided, preds >= 0.5)
    torch.testing.assert_close(losses, torch.where(targets == 1, 1 - preds, preds).flatten())
    with pytest.raises(
        ValueError, match="these loaders were not made from blocks, so how to read one item is not known"
    ):
        learn.predict(X[0])


def own(outputs, targets):
    return (outputs - F.one_hot(targets, K)).abs().mean()


@pytest.mark.parametrize(
    "loss", [own, nn.CrossEntropyLoss(label_smoothing=0.1), F.cross_entropy, nn.NLLLoss()], ids=plain
)
def test_each_items_loss_for_any_loss(loss):
    learn = sm.Learner(sm.DataLoaders.from_arrays(X, Y), sm.linear_model(D, K), loss_func=loss, progress=False)
    losses = learn.get_preds(with_loss=True)[-1]
    assert losses.shape == (11,)
    assert losses.mean().item() == pytest.approx(learn.validate().loss, rel=1e-5)
    assert getattr(loss, "reduction", "mean") == "mean"  # a module is asked on a copy


class Deaf(nn.Module):
    """A loss that has a reduction and does not heed it."""

    reduction = "mean"

    def forward(self, outputs, targets):
        return F.cross_entropy(outputs, targets)


def test_a_loss_that_does_not_heed_its_reduction_is_refused():
    learn = sm.Learner(sm.DataLoaders.from_arrays(X, Y), sm.linear_model(D, K), loss_func=Deaf(), progress=False)
    with pytest.raises(ValueError, match=r"the loss Deaf gives \[\] with reduction='none'; expected a loss for each"):
        learn.get_preds(with_loss=True)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(D, K), nn.Linear(D, 1)

    def forward(self, x):
        return self.first(x), self.second(x)


def both(outputs, labels):
    return F.cross_entropy(outputs[0], labels) + outputs[1].square().mean()


def first_right(outputs, labels):
    return sm.accuracy(outputs[0], labels)


def test_a_model_with_several_outputs(tmp_path):
    data = sm.DataLoaders.from_arrays(X, Y, bs=BS)
    learn = sm.Learner(data, TwoHeads(), loss_func=both, metrics=first_right, progress=False)
    learn.fit(2)
    preds, _targets, losses = learn.get_preds(with_loss=True)
    assert [shape_text(p) for p in preds] == ["[11 3]", "[11 1]"]
    assert losses.mean().item() == pytest.approx(learn.validate().loss, rel=1e-5)
    assert learn.report(tmp_path / "report.html").exists()
    with pytest.raises(TypeError, match="the model gives a tuple, and only a single tensor can be read as answers"):
        learn.predict(X[0])


def test_torchmetrics_in_the_table(capsys):
    torchmetrics = pytest.importorskip("torchmetrics", exc_type=ImportError)
    several = torchmetrics.MetricCollection(
        {
            "f1": torchmetrics.classification.MulticlassF1Score(K),
            "recall": torchmetrics.classification.MulticlassRecall(K),
        }
    )
    learn = sm.Learner(sm.DataLoaders.from_arrays(X, Y, bs=BS), sm.linear_model(D, K), metrics=[several, sm.accuracy])
    learn.fit(1, early_stopping=sm.EarlyStopping(monitor="f1"))
    assert learn.recorder.metric_names == ("f1", "recall", "accuracy")
    assert not np.isnan(learn.recorder.values).any()
    assert "f1      recall    accuracy" in capsys.readouterr().out


def test_show_results_draws_from_all_over_the_set_with_truth_and_answer(learn):
    figure = learn.show_results(nrows=2, ncols=3)
    x, y = learn.dls.valid.dataset.tensors
    shown = [i * len(x) // 6 for i in range(6)]  # the validation set may be sorted by class
    answers = [a.label for a in learn.predictor().predict_batch([x[i] for i in shown])]
    truth = [learn.dls.vocab[y[i]] for i in shown]
    wanted = [f"is {t}\nsaid {a}" for t, a in zip(truth, answers, strict=True)]
    assert [axes.get_title() for axes in figure.axes] == wanted


# --- weights ------------------------------------------------------------------------------------------------------


def test_save_and_load(learn, tmp_path):
    learn.path = tmp_path
    file = learn.save("stage-1")
    assert file == tmp_path / "models" / "stage-1.safetensors"
    kept = learn.get_preds()[0]
    learn.fit(1)
    assert not torch.equal(learn.get_preds()[0], kept)
    assert learn.load("stage-1") is learn
    assert torch.equal(learn.get_preds()[0], kept)
    assert learn.save(tmp_path / "v1.2").name == "v1.2.safetensors"


def test_weights_that_do_not_fit_are_named(learn, tmp_path):
    file = learn.save(tmp_path / "w")
    other = sm.Learner(learn.dls, sm.mlp((D, 5, K)), progress=False)
    with pytest.raises(
        ValueError, match=r"do not fit this model: 0.bias is \[13\], the model's is \[5\]; 0.weight is \[13 7\]"
    ):
        other.load(file)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors: there is no such file"):
        learn.load(tmp_path / "nowhere")


def test_a_model_function_is_built_under_the_seed():
    data = sm.DataLoaders.from_arrays(X, Y, bs=BS)
    state = torch.get_rng_state()
    first, second, third = (sm.Learner(data, lambda: sm.linear_model(D, K), seed=s, progress=False) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.model.weight, second.model.weight)
    assert not torch.equal(first.model.weight, third.model.weight)


def test_a_learner_says_what_it_is(learn):
    assert repr(learn) == (
        "Learner(Sequential, 146 parameters; 42 train, 11 valid samples; batch size 11; cpu, float32)"
        if learn.device.type == "cpu"
        else repr(learn)
    )
