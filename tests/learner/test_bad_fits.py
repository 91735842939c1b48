"""What does not fit together is refused before the first step, in words that say what to do."""

import functools
import math

import pytest
import torch
from tests.ids import plain
from torch import nn
from torch.nn import functional as F

import satsuma as sm

N, D, K, BS = 53, 7, 3, 11
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
Y = X[:, :K].argmax(1)


def classes(**options):
    return sm.DataLoaders.from_arrays(X, Y, bs=BS, **options)


def pairs(x, y, bs=BS, **options):
    return sm.DataLoaders(sm.DataLoader((x, y), bs, True, **options))


def quiet(data, model=None, **settings):
    return sm.Learner(data, sm.linear_model(D, K) if model is None else model, progress=False, **settings)


def refused(learn, message, error=ValueError):
    """Every way to train refuses, and the weights are as they were."""
    before = [p.clone() for p in learn.model.parameters()]
    for train in (lambda: learn.fit(1), lambda: learn.fit_one_cycle(1), lambda: learn.lr_find()):
        with pytest.raises(error, match=message):
            train()
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters(), strict=True))
    assert learn.recorder.losses == []


# --- model and data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [None, F.cross_entropy, nn.CrossEntropyLoss()], ids=plain)
def test_outputs_that_are_not_the_number_of_classes(loss):
    too_few, too_many = sm.linear_model(D, 2), sm.linear_model(D, 5)
    build = r"gives \[11 2\] but the data has 3 classes: .* Build the model with 3 outputs"
    refused(quiet(classes(), too_few, loss_func=loss), build)
    refused(quiet(classes(), too_many, loss_func=loss), r"gives \[11 5\] but the data has 3 classes")
    one_number = nn.Sequential(nn.Linear(D, 1), nn.Flatten(0))
    refused(quiet(classes(), one_number, loss_func=loss), r"gives \[11\] but the data has 3 classes")


def test_labels_beyond_the_outputs_where_classes_are_not_known():
    refused(quiet(pairs(X, Y + 5), loss_func=sm.cross_entropy), r"loss cross_entropy fails .* labels reach 7")


def test_inputs_of_another_width():
    wide = sm.linear_model(D + 1, K)
    refused(quiet(classes(), wide), r"model fails on a batch of inputs \[11 7\] of torch\.float32: mat1 and mat2")


def test_inputs_of_another_number_format():
    doubled = quiet(pairs(X.double(), Y), loss_func=F.cross_entropy)
    refused(doubled, r"weights are torch\.float32, the inputs torch\.float64: convert one of them")
    whole = quiet(pairs(Y[:, None], Y), sm.linear_model(1, K), loss_func=F.cross_entropy)
    refused(whole, r"inputs \[11 1\] of torch\.int64: .* convert them with x\.float\(\)")
    double_model = quiet(classes(), sm.linear_model(D, K).double())
    refused(double_model, r"weights are torch\.float64, the inputs torch\.float32")


def test_targets_of_another_number_format():
    learn = quiet(pairs(X, Y.float()), loss_func=F.cross_entropy)
    refused(learn, r"the loss cross_entropy fails on outputs \[11 3\], targets \[11\]")


def test_data_without_targets():
    learn = quiet(sm.DataLoaders(sm.DataLoader(X, BS)), loss_func=F.mse_loss)
    refused(learn, r"inputs without targets; training needs pairs \(x, y\)")


def test_targets_that_are_text():
    data = sm.DataLoaders(sm.DataLoader([(torch.zeros(D), "cat"), (torch.zeros(D), "dog")], 2))
    refused(quiet(data, loss_func=F.cross_entropy), "a batch's y0 is a tuple, not a tensor: .'cat', 'dog'")


# --- losses -------------------------------------------------------------------------------------------------------


def own_loss(predictions, targets):
    return (predictions - targets).pow(2).mean()


def own_absolute(predictions, targets):
    return torch.abs(torch.sub(targets, predictions)).mean()


LOSSES = [sm.mse, sm.mae, sm.smooth_l1, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, nn.MSELoss(), own_loss]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss", [*LOSSES, own_absolute, functools.partial(F.mse_loss, reduction="mean")], ids=plain)
@pytest.mark.parametrize("flat", ["predictions", "targets"])
def test_a_column_against_a_row_is_refused_and_not_broadcast(loss, flat):
    """[B] against [B 1] would silently compare every prediction with every target."""
    squeezed = nn.Sequential(nn.Linear(D, 1), nn.Flatten(0))
    model, y = (squeezed, X[:, :1]) if flat == "predictions" else (sm.linear_model(D), X[:, 0])
    told = r"every prediction against every target|would broadcast to \[11 11\]"
    refused(quiet(pairs(X, y), model, loss_func=loss), told)


def all_pairs(predictions, targets):
    """A ranking loss, which is right to compare every prediction with every other."""
    better = (targets[:, None] > targets).float()
    return (better * (predictions - predictions[:, None]).relu()).mean()


def test_losses_that_mean_to_compare_all_pairs_are_let_be():
    squeezed = nn.Sequential(nn.Linear(D, 1), nn.Flatten(0))
    assert quiet(pairs(X, X[:, 0]), squeezed, loss_func=all_pairs).fit(1)


def test_a_loss_that_is_no_single_number():
    vector = quiet(classes(), loss_func=functools.partial(F.cross_entropy, reduction="none"))
    refused(vector, r"gives \[11\] for outputs \[11 3\], targets \[11\]; it must be one number")
    refused(quiet(classes(), loss_func=lambda p, t: 0.5), r"gives a float .* one number, a tensor")


def test_no_loss_is_guessed_where_none_is_right():
    with pytest.raises(ValueError, match=r"which loss fits is not clear, .* give loss_func="):
        quiet(pairs(X, Y))


def test_a_choice_of_loss_is_said(capsys):
    sm.Learner(classes(), sm.linear_model(D, K)).fit(1)
    said = "loss: cross_entropy, since the target is one of several classes (loss_func= overrides)"
    assert said in capsys.readouterr().out
    assert quiet(sm.DataLoaders.from_arrays(X, X[:, 0])).loss_func is sm.mse


# --- metrics ------------------------------------------------------------------------------------------------------


def test_a_metric_that_fails_is_refused_with_its_name_and_the_shapes():
    def mine(outputs, targets):
        return outputs @ targets

    refused(quiet(classes(), metrics=mine), r"metric mine failed on outputs \[11 3\], targets \[11\]")
    column = sm.DataLoaders.from_arrays(X, X[:, :1])
    refused(quiet(column, sm.linear_model(D), metrics=sm.accuracy), r"metric accuracy failed .*binary_accuracy")


# --- batches of one -----------------------------------------------------------------------------------------------


def normed():
    return nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.Linear(5, K))


@pytest.mark.parametrize(("n", "bs", "micro"), [(13, 1, None), (12, 11, None), (16, 5, None), (16, 5, 2)])
def test_a_batch_of_one_and_batch_normalisation(n, bs, micro):
    learn = quiet(pairs(X[:n], Y[:n], bs=bs), normed(), loss_func=F.cross_entropy, micro=micro)
    refused(learn, r"the layer 1 normalises over the batch, .* there is a batch of 1: use drop_last=True or another")


@pytest.mark.parametrize(("n", "bs", "micro"), [(24, 12, 1), (11, 11, 5), (12, 4, 3)])
def test_micro_is_named_where_it_leaves_a_slice_of_one(n, bs, micro):
    learn = quiet(pairs(X[:n], Y[:n], bs=bs), normed(), loss_func=F.cross_entropy, micro=micro)
    refused(learn, rf"the layer 1 normalises over the batch, .* micro={micro} leaves a slice of 1 in a batch: use an")


def test_where_a_batch_of_one_can_be_normalised_it_is_trained_on():
    assert quiet(pairs(X[:12], Y[:12], drop_last=True), normed(), loss_func=F.cross_entropy).fit(1)
    frozen = normed()
    frozen[1].eval()
    assert quiet(pairs(X[:12], Y[:12]), frozen, loss_func=F.cross_entropy).fit(1)
    pictures = torch.randn(5, 1, 8, 8)
    over_pixels = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert quiet(pairs(pictures, Y[:5], bs=2), over_pixels, loss_func=F.cross_entropy).fit(1)
    over_one = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Flatten())
    refused(quiet(pairs(pictures, Y[:5], bs=2), over_one, loss_func=F.cross_entropy), "the layer 2 normalises")


# --- arguments ----------------------------------------------------------------------------------------------------

MISSPELT = [
    (lambda learn: sm.Learner(learn.dls, learn.model, metric=1), r"Learner\(\) .* 'metric': did you mean 'metrics'"),
    (lambda learn: sm.Learner(learn.dls, learn.model, loss_fn=1), r"'loss_fn': did you mean 'loss_func'"),
    (lambda learn: learn.fit(1, lr_max=1), r"Learner\.fit\(\) has no argument 'lr_max': "),
    (lambda learn: learn.fit(1, earlystopping=None), r"Learner\.fit\(\) .* did you mean 'early_stopping'"),
    (lambda learn: learn.fit_one_cycle(1, div_finl=3), r"Learner\.fit_one_cycle\(\) .* did you mean 'div_final'"),
    (lambda learn: learn.lr_find(step=3), r"Learner\.lr_find\(\) .* did you mean 'steps'"),
    (lambda learn: learn.get_preds(with_los=True), r"Learner\.get_preds\(\) .* did you mean 'with_loss'"),
    (lambda learn: sm.EarlyStopping(patiance=3), r"EarlyStopping\(\) .* 'patiance': did you mean 'patience'"),
]


@pytest.mark.parametrize(("call", "message"), MISSPELT)
def test_misspelt_arguments_get_the_nearest(call, message):
    with pytest.raises(TypeError, match=message):
        call(quiet(classes()))


@pytest.mark.parametrize("n_epoch", [0, -1, 2.5, "3", None, True])
def test_epochs_are_a_whole_number_of_one_or_more(n_epoch):
    for fit in (quiet(classes()).fit, quiet(classes()).fit_one_cycle):
        with pytest.raises(ValueError, match="n_epoch must be 1 or more, a whole number, got"):
            fit(n_epoch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"micro": 0}, "micro must be above 0, or None, got 0"),
        ({"max_norm": -1.0}, "max_norm must be above 0, or None, got -1"),
        ({"l1": -0.1}, r"l1 must be 0 or more, got -0\.1"),
        ({"input_noise": math.nan}, "input_noise must be 0 or more, got nan"),
        ({"precision": "fp16", "device": "cpu"}, 'precision="fp16" needs a CUDA device, this is cpu'),
        ({"device": "tpu"}, "device"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        quiet(classes(), **settings)


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ([sm.Hook], r"got the class Hook: give an object, Hook\(\)"),
        ([3], r"a hook inherits from sm\.Hook; got 3 without on_fit_start"),
        (lambda: None, "without on_fit_start"),
    ],
)
def test_hooks_that_are_none(hooks, message):
    with pytest.raises(TypeError, match=message):
        quiet(classes(), hooks=hooks)


def test_an_unknown_architecture_and_models_that_are_none():
    with pytest.raises(ValueError, match="the model 'resnet18' is for images, and the data has none"):
        quiet(classes(), "resnet18")
    pictures = torch.randint(0, 256, (6, 8, 8), dtype=torch.uint8).numpy()
    block = sm.DataBlock(blocks=(sm.ImageBlock(1), sm.CategoryBlock))
    data = block.dataloaders([(picture, i % 2) for i, picture in enumerate(pictures)], bs=2)
    with pytest.raises(ValueError, match="unknown architecture 'resnet81': did you mean 'resnet18'"):
        quiet(data, "resnet81")
    with pytest.raises(TypeError, match=r"model gave a int; expected a torch\.nn\.Module"):
        quiet(classes(), lambda: 3)


@pytest.mark.parametrize(
    "data", [None, [(X, Y)], sm.DataLoader((X, Y), 3), torch.utils.data.DataLoader([1])], ids=plain
)
def test_data_that_are_no_dataloaders(data):
    with pytest.raises(TypeError, match=r"dls must be DataLoaders, got \w+: DataLoaders\(train, valid\)"):
        quiet(data)


def test_all_frozen():
    model = sm.linear_model(D, K)
    model.requires_grad_(False)
    refused(quiet(classes(), model), r"no trainable parameters\. Is all of the model frozen")


def test_what_early_stopping_watches_must_exist_and_have_a_direction():
    def mine(outputs, targets):
        return 1.0

    learn = quiet(classes(), metrics=[sm.accuracy, mine])
    for monitor, message in [("acuracy", "did you mean 'accuracy'"), ("mine", 'say better="higher" or better="lower"')]:
        with pytest.raises(ValueError, match=message):
            learn.fit(1, early_stopping=sm.EarlyStopping(monitor=monitor))
    assert learn.recorder.losses == []
    assert learn.fit(2, early_stopping=sm.EarlyStopping(monitor="mine", better="lower", patience=1))


def test_rates_that_do_not_fit_the_layer_groups():
    with pytest.raises(ValueError, match="2 rates for 1 layer groups"):
        quiet(classes()).fit(1, [0.1, 0.2])
    with pytest.raises(ValueError, match="expected rates of 0 or more"):
        quiet(classes()).fit(1, -0.1)


# --- values of arguments ------------------------------------------------------------------------------------------

FIT_VALUES = [
    ({"lr": True}, TypeError, "lr is a number"),
    ({"lr": "1"}, TypeError, "lr is a number"),
    ({"lr": math.nan}, ValueError, "expected rates of 0 or more, and finite"),
    ({"lr": math.inf}, ValueError, "expected rates of 0 or more, and finite"),
    ({"lr": [0.1, None]}, TypeError, "lr is a number"),
    ({"lr": X[0].numpy()}, TypeError, "lr is a number"),
    ({"wd": -1}, ValueError, "wd, the weight decay, is a number of 0 or more"),
    ({"wd": "a"}, ValueError, "wd, the weight decay, is a number of 0 or more"),
    ({"momentum": lambda step: "high"}, TypeError, "gives 'high' at step 0; a schedule gives a number"),
]


@pytest.mark.parametrize(("settings", "error", "message"), FIT_VALUES)
def test_values_that_a_fit_refuses(settings, error, message):
    with pytest.raises(error, match=message):
        quiet(classes()).fit(1, **settings)
    if "momentum" not in settings:
        with pytest.raises(error, match=message):
            quiet(classes(), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"div": 0}, "div divides the rate"),
        ({"div_final": -1}, "div_final divides the rate"),
        ({"pct_start": 1.5}, r"pct_start is a share of the steps, 0\.\.1"),
        ({"moms": (0.9,)}, "moms are two momenta"),
        ({"moms": (0.9, 1.5)}, "moms are two momenta"),
        ({"moms": 0.9}, "moms are two momenta"),
    ],
)
def test_cycles_that_are_none(settings, message):
    with pytest.raises(ValueError, match=message):
        quiet(classes()).fit_one_cycle(1, **settings)


@pytest.mark.parametrize("settings", [{"seed": "a"}, {"seed": 1.5}])
def test_seeds_that_are_no_whole_numbers(settings):
    with pytest.raises(TypeError, match="seed is a whole number"):
        quiet(classes(), **settings)


def test_settings_of_another_type(tmp_path):
    (tmp_path / "file").write_text("")
    for settings, error, message in [
        ({"micro": 1.5}, TypeError, "micro is a number of samples, a whole number"),
        ({"max_norm": "a"}, TypeError, "max_norm must be a number above 0"),
        ({"compile": 3}, TypeError, "compile is True, False or the name of a backend"),
        ({"run_dir": tmp_path / "file"}, NotADirectoryError, "is a file; give a folder"),
        ({"loss_func": nn.CrossEntropyLoss}, TypeError, r"the class CrossEntropyLoss: give an object"),
    ]:
        with pytest.raises(error, match=message):
            quiet(classes(), **settings)
    with pytest.raises(TypeError, match="progress is True or False, got 'no'"):
        sm.Learner(classes(), sm.linear_model(D, K), progress="no")
    for model in (5, [nn.Linear(D, K)]):
        with pytest.raises(TypeError, match=r"model is a torch\.nn\.Module, a function or a name; got a"):
            quiet(classes(), model)
    with pytest.raises(TypeError, match="the class Linear cannot be built without arguments"):
        quiet(classes(), nn.Linear)


@pytest.mark.parametrize("settings", [{"min_delta": math.nan}, {"min_delta": -1}, {"patience": 1.5}, {"monitor": None}])
def test_early_stopping_that_is_none(settings):
    with pytest.raises((TypeError, ValueError), match=f"EarlyStopping: {next(iter(settings))}"):
        sm.EarlyStopping(**settings)


def test_uses_of_what_is_no_loader_and_names_that_are_none(tmp_path):
    learn = quiet(classes(), path=tmp_path)
    for use in (lambda: learn.get_preds("x"), lambda: learn.validate([1])):
        with pytest.raises(TypeError, match="dl must be a DataLoader, got a"):
            use()
    with pytest.raises(ValueError, match="diverged is how many times"):
        learn.lr_find(diverged=math.nan)
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        learn.export(tmp_path)
    with pytest.raises(ValueError, match="give the file of weights a name"):
        learn.save("")


def test_splitters_that_do_not_split():
    with pytest.raises(TypeError, match="splitter: gave a NoneType; expected lists of parameters"):
        quiet(classes(), splitter=lambda model: None).fit(1)
    with pytest.raises(ValueError, match=r"splitter: gives the parameter 0\.weight twice|gives the parameter weight"):
        quiet(classes(), splitter=lambda model: [model.parameters(), model.parameters()]).fit(1)


# --- models -------------------------------------------------------------------------------------------------------


class Own(nn.Linear):
    """A linear layer whose output is changed by `change`."""

    def __init__(self, change, before=None):
        super().__init__(D, K)
        self.change, self.before = change, before

    def forward(self, x):
        return self.change(super().forward(x if self.before is None else self.before(x)))


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (Own(lambda out: {"logits": out}), F.cross_entropy, "fails on outputs that are a dict"),
        (Own(lambda out: (out, out)), F.cross_entropy, "fails on outputs of several tensors"),
        (Own(lambda out: None), F.cross_entropy, "fails on outputs that are a NoneType"),
        (Own(lambda out: out), lambda p, t: p.sum() * 1j, "must be a real, floating-point one"),
    ],
    ids=["dict", "tuple", "none", "complex"],
)
def test_outputs_that_a_loss_cannot_take(model, loss, message):
    refused(quiet(classes(), model, loss_func=loss), message)


def test_what_cannot_learn_is_told_apart():
    detached = quiet(classes(), Own(lambda out: out.detach()))
    with pytest.raises(ValueError, match="nothing can be learnt, since the model's outputs are cut off"):
        detached.fit(1)
    constant = quiet(classes(), loss_func=lambda p, t: torch.tensor(1.0))
    with pytest.raises(ValueError, match="nothing can be learnt, since the loss does not depend on the model's"):
        constant.lr_find()


def test_layers_that_wait_for_their_input_get_their_weights():
    learn = quiet(classes(), lambda: nn.Sequential(nn.LazyLinear(K)))
    again = quiet(classes(), lambda: nn.Sequential(nn.LazyLinear(K)))
    assert torch.equal(learn.model[0].weight, again.model[0].weight)
    assert learn.fit(1)


def test_indices_beyond_an_embedding():
    model = nn.Sequential(nn.Embedding(2, K), nn.Flatten(1))
    learn = quiet(pairs(Y[:, None], Y), model, loss_func=F.cross_entropy)
    refused(learn, r"Indices reach 2, embeddings have 2 rows")


def test_a_recurrent_network_in_bf16():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.LSTM(D, K, batch_first=True)

        def forward(self, x):
            return self.body(x[:, None])

    def loss(outputs, targets):
        return F.cross_entropy(outputs[0][:, 0], targets)

    assert quiet(pairs(X, Y), Recurrent(), loss_func=loss, precision="bf16").fit(1)


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (nn.Sequential(nn.ReLU(inplace=True), nn.Linear(D, K)), "in the layer 0"),
        (Own(lambda out: out, before=lambda x: x.mul_(2)), "in its forward"),
    ],
    ids=["layer", "forward"],
)
def test_models_that_change_the_data(model, where):
    before = X.clone()
    refused(quiet(pairs(X, Y), model, loss_func=F.cross_entropy), f"changes its input in place .{where}")
    assert torch.equal(X, before)


def test_validation_data_are_looked_at_before_the_first_step():
    def learner(*valid, metrics=()):
        data = sm.DataLoaders(sm.DataLoader((X, Y), BS, True), sm.DataLoader(*valid))
        return quiet(data, loss_func=F.cross_entropy, metrics=metrics)

    refused(learner(X, 9), "the validation data: the data set gives inputs without targets")
    refused(learner((X[:9, :5], Y[:9]), 9), "the validation data: the model fails on a batch")
    refused(learner((X[:9], Y[:9] + 5), 9), "the validation data: the loss cross_entropy fails")

    def of_two_classes(outputs, targets):
        if len(targets.unique()) < 2:
            raise ValueError("only one class")
        return 0.5

    learn = learner((X[:9], Y[:9] * 0), 9, metrics=of_two_classes)
    with pytest.warns(UserWarning, match="only one class"):
        assert learn.fit(1)
