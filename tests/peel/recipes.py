"""Runs of many kinds, each small enough to train in about a second: the rows of the matrix of recipes and depths."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.peel import yours
from tests.peel.digits import picture_folder, pictures, resnet_weights, ten_digits, three_or_seven
from torch import nn
from torch.nn import functional as F

import satsuma as sm

DEPTHS = ("loop", "torch", "tensors", "numpy")
SAME, REFUSED, EITHER = "same", "refused", "either"  # what peeling to a depth has to end in


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run. `make` gives a fresh learner, `train` trains it. `depths`: what is expected of each."""

    make: Callable[[Path], sm.Learner]
    train: Callable[[sm.Learner], Any]
    depths: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(DEPTHS, SAME))
    reason: str = ""  # what the refusal has to name, as a regular expression
    rtol: float = 1e-4  # at tensors and numpy
    rtol_weights: float | None = None  # of the weights, where it is not `rtol`
    resnet: bool = False  # so large that its tests are slow


NO_NUMPY = dict.fromkeys(DEPTHS, SAME) | {"numpy": REFUSED}
MAYBE_NUMPY = dict.fromkeys(DEPTHS, SAME) | {"numpy": EITHER}
MAYBE_BELOW = dict.fromkeys(DEPTHS, SAME) | {"tensors": EITHER, "numpy": EITHER}


def learner(dls: sm.DataLoaders, model: Any, **settings: Any) -> sm.Learner:
    given = {"progress": False, "device": "cpu", "precision": "float32", "seed": 7, **settings}
    return sm.Learner(dls, model, **given)


def arrays(x: Any, y: Any, **options: Any) -> sm.DataLoaders:
    return sm.DataLoaders.from_arrays(x, y, **{"bs": 32, "seed": 3, **options})


# --- models of arrays ---------------------------------------------------------------------------------------------


def linear(tmp_path: Path) -> sm.Learner:
    model = functools.partial(sm.linear_model, 64)
    return learner(
        arrays(*three_or_seven()), model, loss_func=sm.mnist_loss, opt_func=sm.SGD, metrics=sm.binary_accuracy
    )


def simple_net(tmp_path: Path) -> sm.Learner:
    """The model is an instance, whose first weights no seed of ours gives."""
    torch.manual_seed(11)
    model = sm.simple_net(64, 13)
    return learner(
        arrays(*three_or_seven()), model, loss_func=sm.mnist_loss, opt_func=sm.SGD, metrics=sm.binary_accuracy
    )


def logistic(tmp_path: Path) -> sm.Learner:
    model = functools.partial(sm.logistic_regression, 64, 10, log_softmax=True)
    return learner(arrays(*ten_digits()), model, loss_func=sm.nll, opt_func=sm.Adam, metrics=sm.accuracy)


def dropout_mlp(tmp_path: Path) -> sm.Learner:
    model = functools.partial(sm.mlp, (64, 30, 10), dropout=0.2)
    return learner(arrays(*ten_digits()), model, metrics=[sm.accuracy, sm.error_rate], wd=0.1)


def mlp(**settings: Any) -> Callable[[Path], sm.Learner]:
    """A perceptron of ten digits with other settings than the learner's own."""
    model = settings.pop("model", functools.partial(sm.mlp, (64, 20, 10)))
    options = settings.pop("options", {})

    def make(tmp_path: Path) -> sm.Learner:
        return learner(arrays(*ten_digits(), **options), model, **{"metrics": sm.accuracy, **settings})

    return make


def regression(tmp_path: Path) -> sm.Learner:
    x, _ = ten_digits()
    y = (3 * x[:, 20] - x[:, 30:34].sum(1)).astype(np.float32)
    model = functools.partial(sm.mlp, (64, 15, 1), activation=nn.Tanh)
    return learner(arrays(x, y), model, loss_func=sm.mse, opt_func=sm.Adam, metrics=[sm.rmse, sm.r2_score])


def double(tmp_path: Path) -> sm.Learner:
    x, y = ten_digits()
    return learner(arrays(torch.from_numpy(x).double(), y), yours.double_mlp, opt_func=sm.Adam, metrics=sm.accuracy)


def with_valid(tmp_path: Path) -> sm.Learner:
    (x, y), model = ten_digits(200), functools.partial(sm.mlp, (64, 20, 10))
    return learner(arrays(x[:150], y[:150], valid=(x[150:], y[150:])), model, opt_func=sm.SGD, metrics=sm.accuracy)


def pixels(tmp_path: Path) -> sm.Learner:
    """uint8, which the loaders scale, and names as labels."""
    x, y = ten_digits()
    names = np.array(["even", "odd"])[y % 2]
    model = functools.partial(sm.mlp, (64, 20, 2))
    return learner(arrays((x * 255).astype(np.uint8), names), model, opt_func=sm.RMSprop)


def by_hand(tmp_path: Path) -> sm.Learner:
    x, y = ten_digits()
    samples = [(torch.from_numpy(row), int(digit)) for row, digit in zip(x, y, strict=True)]
    dls = sm.DataLoaders(
        sm.DataLoader(samples[:150], 32, True, seed=3), sm.DataLoader(samples[150:], 64, seed=3, shuffle=False)
    )
    return learner(dls, functools.partial(sm.mlp, (64, 20, 10)), loss_func=F.cross_entropy, metrics=sm.accuracy)


def own(tmp_path: Path) -> sm.Learner:
    torch.manual_seed(2)
    return learner(
        arrays(*ten_digits()),
        yours.GatedNet(),
        loss_func=yours.focal,
        metrics=[sm.accuracy, yours.sure],
        hooks=yours.LossLog(),
    )


def small_cnn_of_arrays(tmp_path: Path) -> sm.Learner:
    model = functools.partial(sm.small_cnn, width=4)
    return learner(arrays(*pictures(120, 16)), model, metrics=sm.accuracy)


def multi_label(tmp_path: Path) -> sm.Learner:
    x, y = ten_digits(120)
    block = sm.DataBlock(
        blocks=(sm.TransformBlock, sm.MultiCategoryBlock),
        get_x=sm.ItemGetter(0),
        get_y=sm.ItemGetter(1),
        splitter=sm.RandomSplitter(0.2, seed=3),
    )
    labels = [["odd"] * int(d % 2) + ["large"] * int(d > 4) + ["three"] * int(d % 3 == 0) for d in y]
    dls = block.dataloaders([(torch.from_numpy(row), names) for row, names in zip(x, labels, strict=True)], bs=16)
    return learner(dls, functools.partial(sm.mlp, (64, 20, 3)), metrics=[sm.accuracy_multi, sm.f1_multi])


# --- models of pictures -------------------------------------------------------------------------------------------


def from_folder(tmp_path: Path) -> sm.Learner:
    folder = picture_folder(tmp_path / "pictures")
    dls = sm.ImageDataLoaders.from_folder(
        folder, bs=16, seed=3, channels=1, batch_tfms=[*sm.aug_transforms(size=16), sm.Normalize()], workers=2
    )
    return learner(dls, functools.partial(sm.small_cnn, 1, 3, width=4), metrics=sm.accuracy)


def own_transforms(tmp_path: Path) -> sm.Learner:
    folder = picture_folder(tmp_path / "pictures")
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.CategoryBlock),
        get_items=sm.get_image_files,
        get_y=yours.digit_of,
        splitter=sm.RandomSplitter(0.25, seed=3),
        item_tfms=[sm.Resize(16), yours.speckled],
        batch_tfms=[sm.Flip(), yours.shaded, sm.Normalize()],
    )
    dls = block.dataloaders(folder, bs=16, seed=3, workers=0)
    return learner(dls, functools.partial(sm.small_cnn, 3, 3, width=4), metrics=sm.accuracy)


def resnet(tmp_path: Path) -> sm.Learner:
    """In float64: twenty layers of ReLU and batch normalisation enlarge what float32 rounds off.

    The gradients of the first step, in float32, are 9e-6 from those in float64 at tensors and 6e-6 in the library, of
    the largest of each weight. Later steps part by percents in either, where a sum near 0 changes sides.
    """
    x, y = pictures(30, 32)
    return learner(arrays(torch.from_numpy(x).double(), y, bs=12), yours.double_resnet, metrics=sm.accuracy)


def transfer(tmp_path: Path, bs: int = 8, **settings: Any) -> sm.Learner:
    folder = picture_folder(tmp_path / "photos", n=30, odd_sizes=True)
    dls = sm.ImageDataLoaders.from_folder(
        folder, bs=bs, seed=3, item_tfms=sm.Resize(40), batch_tfms=sm.aug_transforms(size=32, min_scale=0.75), workers=2
    )
    return sm.vision_learner(
        dls,
        "resnet18",
        weights=resnet_weights(tmp_path / "resnet18.safetensors"),
        metrics=sm.error_rate,
        hidden=16,
        seed=7,
        device="cpu",
        precision="float32",
        progress=False,
        **settings,
    )


def pooled() -> nn.Module:
    """Takes pictures of any size."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(6, 10)
    )


def growing(tmp_path: Path) -> sm.Learner:
    return learner(arrays(*pictures(100, 8)), pooled)


def grown(learn: sm.Learner) -> None:
    learn.fit(1, 0.01)
    learn.dls = arrays(*pictures(100, 16), bs=20)
    learn.fit_one_cycle(1, 0.01)


# --- how they are trained -----------------------------------------------------------------------------------------


def fit(*arguments: Any, **settings: Any) -> Callable[[sm.Learner], Any]:
    return lambda learn: learn.fit(*arguments, **settings)


def one_cycle(*arguments: Any, **settings: Any) -> Callable[[sm.Learner], Any]:
    return lambda learn: learn.fit_one_cycle(*arguments, **settings)


def fine_tune(*arguments: Any, **settings: Any) -> Callable[[sm.Learner], Any]:
    return lambda learn: learn.fine_tune(*arguments, **settings)


def several(learn: sm.Learner) -> None:
    learn.fit(1, 0.01)
    learn.fit_one_cycle(2, 0.02, moms=None, pct_start=0.3)
    learn.fit(1, 0.005, wd=0.2, schedule=functools.partial(sm.exponential_decay, k=0.1))


def frozen(learn: sm.Learner) -> None:
    learn.freeze()
    learn.fit(1, 0.01)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-4, 1e-2))


STOPPING = sm.EarlyStopping(monitor="accuracy", patience=2)
QUICK = fit(2, 0.01)

RECIPES: dict[str, Recipe] = {
    "linear_3_or_7": Recipe(make=linear, train=fit(3, 1.0)),
    "simple_net_3_or_7": Recipe(make=simple_net, train=fit(3, 0.5)),
    "logistic_regression": Recipe(make=logistic, train=fit(3, 0.01)),
    "mlp_dropout_one_cycle": Recipe(make=dropout_mlp, train=one_cycle(3, 0.01)),
    "mlp_batch_norm": Recipe(
        make=mlp(model=functools.partial(sm.mlp, (64, 20, 10), batch_norm=True), opt_func=sm.SGD), train=fit(2, 0.1)
    ),
    "mlp_noise": Recipe(
        make=mlp(model=functools.partial(sm.mlp, (64, 20, 10), noise=0.1, input_dropout=0.1)), train=QUICK
    ),
    "momentum": Recipe(
        make=mlp(opt_func=functools.partial(sm.SGD, momentum=0.9, nesterov=True), wd=1e-3), train=fit(2, 0.1)
    ),
    "adagrad": Recipe(make=mlp(opt_func=sm.AdaGrad), train=fit(2, 0.05)),
    "torch_optimizer": Recipe(make=mlp(opt_func=torch.optim.NAdam), train=QUICK, depths=MAYBE_BELOW),
    "mixup_smoothing": Recipe(make=mlp(mixup=sm.MixUp(0.3), label_smoothing=0.1), train=QUICK),
    "early_stopping": Recipe(make=mlp(opt_func=sm.Adam), train=fit(12, 0.1, early_stopping=STOPPING)),
    "several_fits": Recipe(make=mlp(wd=0.1), train=several),
    "micro": Recipe(make=mlp(micro=12), train=QUICK),
    "max_norm": Recipe(make=mlp(max_norm=0.5, opt_func=sm.SGD), train=fit(2, 0.5)),
    "penalties_and_noise": Recipe(make=mlp(l1=0.01, l2=0.02, input_noise=0.1), train=QUICK),
    "drop_last": Recipe(make=mlp(options={"drop_last": True, "bs": 50}), train=QUICK),
    "no_validation": Recipe(make=mlp(options={"valid_pct": 0.0}, metrics=()), train=QUICK),
    "validation_given": Recipe(make=with_valid, train=fit(2, 0.5)),
    "frozen_first_layer": Recipe(make=mlp(splitter=yours.small_parts), train=frozen),
    "bf16": Recipe(make=mlp(precision="bf16"), train=QUICK, depths=MAYBE_BELOW),
    "pixels_and_names": Recipe(make=pixels, train=QUICK),
    "regression": Recipe(make=regression, train=fit(3, 0.01)),
    "float64": Recipe(make=double, train=fit(2, 0.01), rtol=1e-9),
    "hand_made_loaders": Recipe(make=by_hand, train=QUICK, depths=MAYBE_NUMPY),
    "own_module": Recipe(make=own, train=one_cycle(2, 0.01), depths=NO_NUMPY, reason="GatedNet|focal"),
    "multi_label": Recipe(make=multi_label, train=QUICK, depths=MAYBE_NUMPY),
    "cnn_of_arrays": Recipe(make=small_cnn_of_arrays, train=one_cycle(2, 0.01), depths=MAYBE_NUMPY),
    "cutmix": Recipe(
        make=lambda tmp_path: learner(
            arrays(*pictures(120, 16)), functools.partial(sm.small_cnn, width=4), mixup=sm.CutMix(), seed=4
        ),
        train=QUICK,
        depths=MAYBE_NUMPY,
    ),
    "larger_pictures": Recipe(make=growing, train=grown, depths=MAYBE_NUMPY),
    "cnn_of_a_folder": Recipe(make=from_folder, train=one_cycle(2, 0.01), depths=NO_NUMPY, reason="pictures|Image"),
    "own_transforms": Recipe(make=own_transforms, train=QUICK, depths=MAYBE_BELOW),
    "resnet18": Recipe(make=resnet, train=one_cycle(1, 0.001), depths=MAYBE_NUMPY, rtol=1e-9, resnet=True),
    "transfer": Recipe(  # one step of the head, one of all layers: float32 parts later, as said at `resnet`
        make=functools.partial(transfer, bs=24, opt_func=sm.SGD),
        train=fine_tune(1, 0.01),
        depths=NO_NUMPY,
        reason="pictures|Image",
        rtol_weights=1e-2,
        resnet=True,
    ),
}
