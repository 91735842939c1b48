"""A network trained on other pictures, cut where its classifier began, with a new head for the task at hand.

Shapes: B batch, C channels, H height, W width, F features, h w the feature map's size, K outputs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from satsuma.errors import nearest
from satsuma.functional.losses import shape_text
from satsuma.nn.heads import create_head, two_numbers
from satsuma.nn.layers import refuse_small
from satsuma.nn.registry import NETWORKS
from satsuma.nn.timm_body import TIMM, TimmBody

FAULTS_SHOWN = 5  # how many layer names an error lists


@dataclass(frozen=True, slots=True)
class Cut:
    """How a network is taken apart: the children that are its classifier, and how many parts the first group has."""

    classifier: tuple[str, ...]
    first_group: int


# resnets and SqueezeNet as in fastai: what works on the fine half of the picture's scales, and what comes after
CUTS: Mapping[str, Cut] = {
    "ResNet": Cut(("avgpool", "fc"), 6),  # stem, layer1, layer2 | layer3, layer4
    "SqueezeNet": Cut(("classifier",), 5),  # up to the second Fire | the other six
    "MobileNetV3": Cut(("global_pool", "conv_head", "act2", "drop", "classifier"), 6),  # stem, blocks 0 1 2 | 3 4 5 6
    "ConvNeXt": Cut(("head",), 3),  # stem, stages 0 1 | 2 3
}
STACKS = ("features", "blocks", "stages", "layers")  # children whose own children are the parts of a body


class NetworkBody(nn.Sequential):
    """The layers of a network up to its classifier, by its names; pictures of `least_size` pixels or more."""

    def __init__(self, name: str, least_size: int) -> None:
        super().__init__()
        self.name, self.least_size = name, least_size

    def forward(self, x: Tensor) -> Tensor:
        refuse_small(x, self.name, self.least_size)
        return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]  # [B F h w]


class TransferModel(nn.Module):
    """The body of a network and a new head: [B in_channels H W] to [B outputs].

    `body(x)` [B F h w] keeps the layers' names of the network it comes from; `head` is `create_head`'s. `forward` is
    `head(body(x))` and nothing else, so that the features of a frozen body may be kept and used again.
    arch: a name of NETWORKS, or "timm:NAME" with the `timm` extra installed. The weights start random: `load_body`
    brings trained ones. hidden, dropout, concat_pool, first_bn, y_range: see `create_head`.
    In training mode, layers without a trainable parameter stay in evaluation mode: batch normalisation keeps its
    statistics and dropout drops nothing in them, so that what is frozen gives the same numbers throughout.
    Raises ValueError for an unknown name, and in `forward` for pictures too small to leave a feature map.

    >>> model = TransferModel("resnet18", 37)
    >>> model.body(torch.zeros(2, 3, 64, 64)).shape, model(torch.zeros(2, 3, 64, 64)).shape
    (torch.Size([2, 512, 2, 2]), torch.Size([2, 37]))
    """

    def __init__(
        self,
        arch: str,
        outputs: int,
        *,
        in_channels: int = 3,
        hidden: int = 512,
        dropout: float = 0.5,
        concat_pool: bool = True,
        first_bn: bool = True,
        y_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.arch, self.outputs, self.in_channels, self.hidden = arch, outputs, in_channels, hidden
        self.dropout, self.concat_pool, self.first_bn = dropout, concat_pool, first_bn
        self.y_range = None if y_range is None else two_numbers(y_range)
        self.body, self.n_features, self.cut = network_body(arch, in_channels)
        self.head = create_head(
            self.n_features,
            outputs,
            hidden=hidden,
            dropout=dropout,
            concat_pool=concat_pool,
            first_bn=first_bn,
            y_range=self.y_range,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]  # [B K]

    def train(self, mode: bool = True) -> "TransferModel":
        super().train(mode)
        if mode:
            for part in (*frozen_parts(self.body), *frozen_parts(self.head)):
                part.eval()
        return self


def network_body(arch: str, in_channels: int) -> tuple[nn.Module, int, Cut]:
    """The network of this name without its classifier, the channels of what it gives, and where it was cut."""
    if arch.startswith(TIMM):
        wrapped = TimmBody(arch.removeprefix(TIMM), in_channels)
        return wrapped, wrapped.n_features, Cut(wrapped.classifier, len(body_parts(wrapped)) // 2)
    if arch not in NETWORKS:
        raise ValueError(f"TransferModel: unknown architecture {arch!r}: {nearest(arch, NETWORKS)}; or 'timm:NAME'")
    network = NETWORKS[arch](in_channels=in_channels)
    cut = CUTS[type(network).__name__]
    body = NetworkBody(arch, getattr(network, "least_size", 1))
    for name, child in network.named_children():
        if name not in cut.classifier:
            body.add_module(name, child)
    return body, network.n_features, cut


def body_parts(body: nn.Module) -> list[nn.Module]:
    """The body's layers and stages in order: its children, and those of a stack in the stack's place."""
    network = body.net if isinstance(body, TimmBody) else body
    alone = list(network.parameters(recurse=False))  # such as a position's embedding
    parts: list[nn.Module] = [nn.ParameterList(alone)] if alone else []
    for name, child in network.named_children():
        parts += list(child.children()) if name in STACKS else [child]
    return parts


def transfer_groups(model: TransferModel) -> list[nn.Sequential]:
    """Three layer groups, first layers first: the fine half of the body, the coarse half, the head.

    Each is the model's own layers in a row; together they hold every parameter once.

    >>> [sum(p.numel() for p in group.parameters()) for group in transfer_groups(TransferModel("resnet18", 37))]
    [683072, 10493440, 546304]
    """
    parts, first = body_parts(model.body), model.cut.first_group
    groups = [nn.Sequential(*parts[:first]), nn.Sequential(*parts[first:]), nn.Sequential(model.head)]
    for group in groups:
        group.training = model.training  # nn.Sequential starts in training mode, whatever it is made of
    return groups


def frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts of `module`, itself included, that have parameters of which none is trainable."""
    parameters = list(module.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        yield module
        return
    for child in module.children():
        yield from frozen_parts(child)


def adapt_first_layer(weights: Tensor, in_channels: int) -> Tensor:
    """A first convolution for RGB [O 3 h w] made to take `in_channels` channels: [O in_channels h w].

    One channel: the sum over the colours, which for a grey picture gives just what its three equal channels gave.
    Others: the colours' weights again and again, times 3/in_channels, so that the outputs keep their size.

    >>> adapt_first_layer(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), 1).flatten()
    tensor([6.])
    >>> adapt_first_layer(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), 6).flatten()
    tensor([0.5000, 1.0000, 1.5000, 0.5000, 1.0000, 1.5000])
    """
    colours = weights.shape[1]
    if in_channels == colours:
        return weights
    if in_channels == 1:
        return weights.float().sum(1, keepdim=True).to(weights.dtype)  # [O 1 h w]
    order = [channel % colours for channel in range(in_channels)]
    return weights[:, order] * (colours / in_channels)  # [O in_channels h w]


def load_body(model: TransferModel, weights: Mapping[str, Tensor], source: str = "weights") -> None:
    """Fill the body from a network's weights by their usual names (torchvision's or timm's), in place.

    The classifier's weights are left out, the first layer is adapted to the model's channels, float16 becomes the
    model's own format. source: what the errors call the weights, as the file's path.
    Raises ValueError naming the layers that are missing, unexpected or of another shape; the model is then as it was.
    """
    own = model.body.state_dict()
    given = without_classifier(model, weights)
    first = next(name for name, value in own.items() if value.ndim == 4)
    if first in given and given[first].ndim == 4:
        given[first] = adapt_first_layer(given[first], model.in_channels)
    faults = [f"{name} is missing" for name in own if name not in given and not name.endswith("num_batches_tracked")]
    faults += [f"{name} is not in the model" for name in given if name not in own]
    faults += [
        f"{name} is {shape_text(given[name])}, the model's is {shape_text(own[name])}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    faults += [
        f"{name} is {value.dtype}; expected floating-point numbers"
        for name, value in given.items()
        if name in own and own[name].is_floating_point() and not value.is_floating_point()
    ]
    if faults:
        more = f" and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise ValueError(
            f"{source}: these weights do not fit the body of {model.arch}: {'; '.join(faults[:FAULTS_SHOWN])}{more}. "
            f"{prefix_hint(own, weights)}Give weights of the same architecture, or pretrained=False to start without"
        )
    with torch.no_grad():
        for name, value in given.items():
            own[name].copy_(value)  # into the model's own memory, format and device


def prefix_hint(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """A sentence on what stands before all names, as wrappers put it there ("module."), if the rest would be right."""
    prefix = f"{next(iter(weights), '').partition('.')[0]}."
    bare = {name.removeprefix(prefix) for name in weights}
    known = {name.removeprefix("net.") for name in own}  # as a TimmBody's are called in files
    if not all(name.startswith(prefix) for name in weights) or bare.isdisjoint(known):
        return ""
    return f"All their names begin with {prefix!r}, which a wrapper puts there: save them without it. "


def without_classifier(model: TransferModel, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the body, by the body's names."""
    prefix = "net." if isinstance(model.body, TimmBody) else ""
    cut_off = tuple(f"{name}." for name in model.cut.classifier)
    return {prefix + name: value for name, value in weights.items() if not name.startswith(cut_off)}
