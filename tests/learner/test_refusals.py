"""Parts of the wrong kind are refused when they are given, with what is expected instead."""

from functools import partial

import pytest
import torch

import satsuma as sm


@pytest.fixture
def dls() -> sm.DataLoaders:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(35, 2, generator=generator)
    return sm.DataLoaders.from_arrays(x, (x[:, 0] > 0).long(), bs=7)


def made(dls: sm.DataLoaders, **arguments) -> sm.Learner:
    return sm.Learner(dls, sm.mlp((2, 3, 2)), progress=False, **arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"opt_func": "adam"}, "opt_func is a function, such as sm.AdamW; got 'adam'"),
        ({"loss_func": "mse"}, "loss_func is a function, such as sm.cross_entropy; got 'mse'"),
        ({"metrics": "accuracy"}, "a metric is a function"),
        ({"loss_func": partial(sm.cross_entropy, lable_smoothing=0.1)}, "did you mean 'label_smoothing'?"),
        ({"opt_func": partial(sm.SGD, momentun=0.9)}, "did you mean 'momentum'?"),
        ({"metrics": partial(sm.top_k_accuracy, kk=3)}, "has no argument 'kk'"),
        ({"lerning_rate": 0.1}, "has no argument 'lerning_rate'"),
    ],
)
def test_a_learner_refuses_parts_of_the_wrong_kind(dls, arguments, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        made(dls, **arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"schedule": sm.cosine}, "partial(sm.cosine, total="),
        ({"schedule": 0.1}, "schedule is a function"),
        ({"schedule": partial(sm.cosine, totl=3)}, "did you mean 'total'?"),
        ({"early_stopping": 3}, "sm.EarlyStopping(patience=3)"),
        ({"learning_rate": 0.1}, "has no argument 'learning_rate'"),
    ],
)
def test_fit_refuses_arguments_of_the_wrong_kind(dls, arguments, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        made(dls).fit(1, **arguments)
    assert said in str(caught.value)


def test_one_cycle_points_from_lr_to_lr_max(dls) -> None:
    with pytest.raises(TypeError, match="did you mean 'lr_max'"):
        made(dls).fit_one_cycle(1, lr=0.1)


def test_builders_and_optimisers_point_to_the_nearest_argument() -> None:
    with pytest.raises(TypeError, match="did you mean 'dropout'"):
        sm.mlp((2, 5, 2), drop=0.5)
    with pytest.raises(TypeError, match="has no argument 'num_classes'"):
        sm.resnet18(num_classes=3)


def test_a_fit_echoes_one_line_at_the_prompt_and_is_a_list_of_rows(dls) -> None:
    rows = made(dls, metrics=sm.accuracy).fit(2)
    assert repr(rows) == f"2 epochs: valid_loss {rows[-1].valid_loss:.4f}, accuracy {rows[-1].metrics['accuracy']:.4f}"
    assert [row.epoch for row in rows] == [0, 1]


def test_training_only_transforms_stay_out_of_model_files(tmp_path) -> None:
    pictures = [torch.full((8, 8, 3), 20 * i, dtype=torch.uint8).numpy() for i in range(12)]
    tfms = (sm.Normalize((0.5,), (0.5,)), sm.Flip(), sm.Shift(1))
    dls = sm.ImageDataLoaders.from_lists(pictures, [i % 2 for i in range(12)], batch_tfms=tfms, bs=4)
    learn = sm.Learner(dls, "small_cnn", progress=False)
    loaded = sm.load_learner(learn.export(tmp_path / "m.safetensors"))
    assert loaded.batch_tfms == (sm.Normalize((0.5,), (0.5,)),)
    torch.testing.assert_close(loaded.predict(pictures[3]).probabilities, learn.predict(pictures[3]).probabilities)


@pytest.mark.usefixtures("no_scripts")
def test_in_a_run_folder_export_and_report_go_there_and_the_folder_loads(dls, tmp_path) -> None:
    learn = made(dls, run_dir=tmp_path / "run")
    learn.fit(1)
    assert learn.export() == tmp_path / "run" / "model.safetensors"
    assert learn.report() == tmp_path / "run" / "report.html"
    assert sm.load_learner(tmp_path / "run").vocab == (0, 1)


def test_numbers_that_the_model_cannot_take_are_told_by_shape_and_dtype(dls) -> None:
    with pytest.raises(ValueError, match=r"cannot take inputs \[1 3\] of torch.float32"):
        made(dls).predict([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"of torch\.int64"):
        made(dls).predict([1, 2])


def test_a_backend_that_torch_does_not_have_is_refused(dls) -> None:
    with pytest.raises(ValueError, match=r"compile='inductr' is no backend of torch\.compile: did you mean 'inductor'"):
        made(dls, compile="inductr")


def test_micro_is_named_where_it_leaves_one_sample_alone(dls) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    dls = sm.DataLoaders(dls.train.new(batch_size=4, drop_last=True), dls.valid)
    sm.Learner(dls, model, progress=False, micro=2, loss_func=sm.cross_entropy).check()
    with pytest.raises(ValueError, match="micro=3 leaves a slice of 1 in a batch: use another micro"):
        sm.Learner(dls, model, progress=False, micro=3, loss_func=sm.cross_entropy).check()
