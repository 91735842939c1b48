"""`vision_learner`: a learner of images on a network that has been trained on other images."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satsuma.data.arrays import pixels_to_float
from satsuma.data.blocks import TransformBlock
from satsuma.data.dataloaders import DataLoaders
from satsuma.data.transforms import BatchSteps
from satsuma.errors import nearest, spelled
from satsuma.learner.beginnings import note_built
from satsuma.learner.choices import model_outputs
from satsuma.learner.freezing import set_frozen
from satsuma.learner.learner import Learner
from satsuma.learner.recording import given_arguments
from satsuma.nn.registry import NETWORKS
from satsuma.nn.transfer import TransferModel, transfer_groups
from satsuma.optim.optimizers import AdamW
from satsuma.ship.weights import known_weights, load_pretrained, pretrained_statistics
from satsuma.train.fit import Observer
from satsuma.train.mixing import CutMix, MixUp
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.lighting import LUMA
from satsuma.vision.normalize import Normalize


@spelled
def vision_learner(
    dls: DataLoaders,
    arch: str | Callable[..., nn.Module],
    *,
    pretrained: bool = True,
    weights: str | Path | None = None,
    normalize: bool = True,
    hidden: int = 512,
    dropout: float = 0.5,
    concat_pool: bool = True,
    first_bn: bool = True,
    y_range: tuple[float, float] | None = None,
    outputs: int | None = None,
    loss_func: Callable[..., Tensor] | None = None,
    opt_func: Callable[..., torch.optim.Optimizer] = AdamW,
    lr: float = 1e-3,
    metrics: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
    wd: float | None = None,
    splitter: Callable[[Any], Sequence[Any]] = transfer_groups,
    batch_norm: str = "train",
    max_norm: float | None = None,
    micro: int | str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    input_noise: float = 0.0,
    mixup: MixUp | CutMix | None = None,
    label_smoothing: float = 0.0,
    seed: int | None = 42,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool | str = False,
    parallel: str = "ddp",
    sync_batch_norm: bool = False,
    hooks: Sequence[Observer] = (),
    run_dir: str | Path | None = None,
    save_steps: int | None = None,
    save_minutes: float | None = 10.0,
    path: str | Path = ".",
    progress: bool = True,
) -> Learner:
    """A learner whose model is the body of `arch` with trained weights, frozen, and a new head.

    `arch`: a name ("resnet18", "squeezenet1_1", ... or "timm:NAME"), or the function of that name (`sm.resnet34`).
    `pretrained=False`: random weights, nothing frozen. `weights`: a file or URL of them; None: `find_weights` looks
    for them. `normalize`: normalise the images as those that the weights come from were, unless the loaders have a
    `Normalize` that was given its mean and deviation. `hidden`, `dropout`, `concat_pool`, `first_bn`, `y_range`: see
    `create_head`; `outputs`: how many, where the loaders' blocks do not say it. All else as in `Learner`.
    Raises `WeightsError` where no weights are found, `ValueError` for loaders without images.

    >>> learn = vision_learner(data, "resnet18", metrics=error_rate)  # doctest: +SKIP
    >>> learn.fine_tune(3)  # doctest: +SKIP
    """
    refuse_weights(pretrained, weights)
    name = arch_name(arch)
    channels = image_channels(dls)
    source: dict[str, Any] = {"pretrained": pretrained, "weights": weights, "normalize": normalize, "hidden": hidden}
    source |= {"dropout": dropout, "concat_pool": concat_pool, "first_bn": first_bn, "y_range": y_range}
    source |= {"outputs": outputs, "splitter": splitter}
    if pretrained and weights is None:
        known_weights(name)  # before anything is built
    statistics = colour_statistics(name, channels) if pretrained and normalize else None
    learn = Learner(
        dls if statistics is None else normalised(dls, statistics),
        functools.partial(
            TransferModel,
            name,
            model_outputs(dls) if outputs is None else outputs,
            in_channels=channels,
            hidden=hidden,
            dropout=dropout,
            concat_pool=concat_pool,
            first_bn=first_bn,
            y_range=y_range,
        ),
        loss_func=loss_func,
        opt_func=opt_func,
        lr=lr,
        metrics=metrics,
        wd=wd,
        splitter=splitter,
        batch_norm=batch_norm,
        max_norm=max_norm,
        micro=micro,
        l1=l1,
        l2=l2,
        input_noise=input_noise,
        mixup=mixup,
        label_smoothing=label_smoothing,
        seed=seed,
        device=device,
        precision=precision,
        compile=compile,
        parallel=parallel,
        sync_batch_norm=sync_batch_norm,
        hooks=hooks,
        run_dir=run_dir,
        save_steps=save_steps,
        save_minutes=save_minutes,
        path=path,
        progress=progress,
    )
    learn.normalize = statistics
    learn.title = f"{name} from scratch"
    if pretrained:
        assert isinstance(learn.model, TransferModel)
        file = load_pretrained(learn.model, weights)
        learn.title = f"{name} pretrained ({file.name})"
        learn.past.weights_file = file
        note_built(learn)
        set_frozen(learn, -1)
    learn.made = ("vision_learner", {"arch": name, **given_arguments(vision_learner, source)})
    return learn


def refuse_weights(pretrained: Any, weights: Any) -> None:
    """`TypeError` or `ValueError` for weights that are no file or URL, or that are not to be used."""
    if weights is None:
        return
    if not isinstance(weights, str | Path):
        raise TypeError(f"vision_learner: weights is a file or a URL, or None; got {weights!r}")
    if not pretrained:
        raise ValueError(
            f"vision_learner: weights={str(weights)!r} and pretrained=False exclude each other: leave out "
            f"pretrained=False to start from these weights, or weights= to start from random ones"
        )


def arch_name(arch: Any) -> str:
    """The name of an architecture that is given by its name or its function."""
    if isinstance(arch, str):
        return arch
    for name, function in NETWORKS.items():
        if arch is function:
            return name
    called = getattr(arch, "__name__", None) or type(arch).__name__
    raise ValueError(
        f"vision_learner: arch is a name such as 'resnet18', or one of Satsuma's own functions; got {called}; for a "
        f"model of yours use Learner(dls, model, splitter=...); {nearest(called, NETWORKS)}"
    )


def image_channels(dls: Any) -> int:
    """The channels of the loaders' images; `ValueError` for loaders of something else."""
    if not isinstance(dls, DataLoaders):
        raise TypeError(f"vision_learner: dls must be DataLoaders, got {type(dls).__name__}")
    if dls.blocks and isinstance(dls.blocks[0], ImageBlock) and dls.n_inp == 1:
        return dls.blocks[0].channels
    batch = dls.one_batch()
    x = batch[0] if isinstance(batch, tuple) else batch
    if dls.n_inp != 1 or not isinstance(x, Tensor) or x.ndim != 4:
        raise ValueError("vision_learner: the loaders' samples are no images, [C H W] each; use Learner(dls, model)")
    return int(x.shape[1])


def colour_statistics(arch: str, channels: int) -> Normalize | None:
    """What the weights of `arch` expect images to be normalised by; for grey ones, by the colours' share of it."""
    mean, std = pretrained_statistics(arch)
    if channels == 3:
        return Normalize(mean=mean, std=std)
    if channels == 1:
        grey = [sum(share * value for share, value in zip(LUMA, values, strict=True)) for values in (mean, std)]
        return Normalize(mean=(grey[0],), std=(grey[1],))
    return None


def normalised(dls: DataLoaders, statistics: Normalize) -> DataLoaders:
    """The loaders with `statistics` in the place of a `Normalize` that was fitted to their images, or at the end.

    One that was given its mean and deviation stays, also among the item transforms. Of loaders that no `DataBlock`
    made, only arrays of pixels (uint8) are normalised: other numbers may have been already.
    """
    if dls.block is None:
        return normalised_arrays(dls, statistics)
    given = list(dls.block.batch_tfms)
    places = [i for i, transform in enumerate(given) if isinstance(transform, Normalize)]
    if any(not given[i].fitted for i in places) or any(isinstance(t, Normalize) for t in dls.block.item_tfms):
        return dls
    for i in places:
        given[i] = statistics
    return dls.with_batch_tfms(given if places else [*given, statistics])


def normalised_arrays(dls: DataLoaders, statistics: Normalize) -> DataLoaders:
    """As `normalised`, for arrays in memory."""
    first = dls.blocks[0] if dls.blocks else None
    if not isinstance(first, TransformBlock) or pixels_to_float not in first.batch_tfms:
        return dls
    blocks = (TransformBlock(first.type_tfms, (*first.batch_tfms, statistics)), *dls.blocks[1:])
    steps = BatchSteps(tuple(block.batch_steps() for block in blocks))
    loaders = [loader.new(batch_steps=steps) for loader in dls.loaders]
    return DataLoaders(*loaders, blocks=blocks, source=dls.source, report=dls.report)
