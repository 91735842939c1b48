"""Where in a picture a convolutional model finds its reasons: Grad-CAM.

Source: Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra 2017, "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization".

Shapes: B batch, C channels, H height, W width, h w the size of the layer's maps, K outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from satsuma.errors import nearest, spelled
from satsuma.functional.losses import shape_text
from satsuma.inspect.watched import as_written, in_precision_of, refuse_scripted, watched_calls
from satsuma.plots.theme import HEAT
from satsuma.train.evaluate import evaluation_mode

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure

STRENGTH = 0.75  # how much of the colour covers the photo where the heat is 1


@dataclass(slots=True)
class KeptMaps:
    """A forward hook that cuts the graph after a layer, so that the score's gradient goes no further back than there.

    It also hands on a copy, since the next layer may work in place.
    """

    maps: Tensor | None = field(default=None)

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        if not is_maps(output):
            return None
        self.maps = output.detach().requires_grad_()  # [B C h w]
        return self.maps.clone()


@dataclass(frozen=True, slots=True)
class HeatPicture:
    """A picture with its heat map: shows itself, `save(file)`. `picture`: uint8 [H W 3]; `heat`: [h w], 0 to 1.

    `said`: the model's answer. `why`: for which output the heat speaks.
    """

    picture: np.ndarray
    heat: Tensor
    said: str
    why: str

    @property
    def covered(self) -> np.ndarray:
        """The picture with the heat over it, uint8 [H W 3]."""
        return overlay(self.picture, self.heat)

    def figure(self) -> "ShownFigure":
        """The picture beside the covered one."""
        from satsuma.plots.heat import plot_heat

        return plot_heat(self.picture, self.covered, said=self.said, why=self.why)

    def save(self, file: str | Path) -> None:
        """Write both as `.png` or `.svg`."""
        self.figure().savefig(file)

    def _repr_html_(self) -> str:
        return self.figure()._repr_html_()

    def __repr__(self) -> str:
        return f"HeatPicture({self.said}; {self.why})"


@spelled
def heat_map(
    model: nn.Module, x: Tensor | Sequence[Tensor], *, layer: str | None = None, target: int | Tensor | None = None
) -> Tensor:
    """How much each place of the pictures speaks for an output: [B h w], float32, 0 to 1, on the CPU.

    `x`: pictures [B C H W], or the model's inputs as a tuple. `layer`: the name of the layer whose maps are weighed;
    the last one whose outputs are maps unless given. `target`: the number of the output to explain, one for all [] or
    one each [B]; each picture's highest unless given. Each map is scaled to its own highest place; where nothing speaks
    for the output it is 0 all over. The model runs in evaluation mode and is left as it was, its gradients too.
    Raises `ValueError` for a model without such a layer, an unknown layer, a target that the model does not give, and
    numbers that are not finite.

    >>> heat_map(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 3)), torch.ones(2, 1, 5, 5)).shape
    torch.Size([2, 3, 3])
    """
    inputs = in_precision_of(model, (x,) if isinstance(x, Tensor) else x)
    found = last_map_layer(model, inputs) if layer is None else layer
    modules = dict(model.named_modules())
    if found not in modules:
        raise ValueError(f"heat_map: the model has no layer {found!r}: {nearest(found, [n for n in modules if n])}")
    refuse_scripted(model)
    kept = KeptMaps()
    watch = modules[found].register_forward_hook(kept)
    try:
        with evaluation_mode(model), as_written(model), torch.enable_grad():
            outputs = model(*inputs)
    finally:
        watch.remove()
    if kept.maps is None:
        raise ValueError(
            f"heat_map: layer {found!r}, a {type(modules[found]).__name__}, gives no maps [B C h w]; leave layer= out "
            f"to have one found"
        )
    score = chosen_outputs(outputs, target).sum()  # the samples do not touch each other in evaluation mode
    (gradient,) = torch.autograd.grad(score, kept.maps, allow_unused=True)
    if gradient is None:
        raise ValueError(f"heat_map: the model's output does not depend on layer {found!r}; name another")
    weights = gradient.float().mean((2, 3), keepdim=True)  # [B C 1 1]
    heat = torch.relu((weights * kept.maps.detach().float()).sum(1))  # [B h w]
    highest = heat.amax((1, 2), keepdim=True)
    if not bool(highest.isfinite().all()):
        raise ValueError("heat_map: the model's numbers are NaN or infinite for these pictures, which no map can show")
    return (heat / torch.where(highest > 0, highest, 1)).cpu()


def is_maps(output: Any) -> bool:
    """Whether a layer's output is maps [B C h w] of more than one place."""
    return isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point() and output[0, 0].numel() > 1


def last_map_layer(model: nn.Module, inputs: Sequence[Tensor]) -> str:
    """The name of the last layer, in the order of the forward pass, that gives maps; the outermost of nested ones."""
    names = [call.name for call in watched_calls(model, [part[:1] for part in inputs]) if is_maps(call.output)]
    inner = [name for name in names if name]
    if not inner:
        raise ValueError(
            f"heat_map: no layer of this {type(model).__name__} gives maps [B C h w] of more than one place, so it "
            f"cannot say where; heat maps are for convolutional models on pictures large enough for them"
        )
    return str(inner[-1])


def chosen_outputs(outputs: Any, target: int | Tensor | None) -> Tensor:
    """The score of each picture that is to be explained, [B]."""
    if not isinstance(outputs, Tensor):
        raise ValueError(f"heat_map: the model gives a {type(outputs).__name__}; expected one tensor, [B K]")
    scores = outputs.float().reshape(len(outputs), -1)  # [B K]
    if outputs.ndim > 2:  # a class for every pixel: the mean over the picture
        scores = outputs.float().flatten(2).mean(2)
    if target is None:
        return scores.amax(1)
    places = torch.as_tensor(target, device=scores.device).long()
    if places.numel() and not (int(places.min()) >= 0 and int(places.max()) < scores.shape[1]):
        raise ValueError(
            f"heat_map: target={target}, but the model gives {shape_text(outputs)}: outputs 0 to {scores.shape[1] - 1}"
        )
    return scores.gather(1, places.expand(len(scores)).reshape(-1, 1))[:, 0]


def overlay(picture: np.ndarray, heat: Tensor | np.ndarray, *, strength: float = STRENGTH) -> np.ndarray:
    """A heat map [h w], 0..1, laid over a picture uint8 [H W 3] (or [H W]): uint8 [H W 3].

    The hotter, the more of the colour and the less of the photo, which loses its own colour, so that none is mistaken.

    >>> overlay(np.zeros((4, 6, 3), np.uint8), np.zeros((2, 2))).shape
    (4, 6, 3)
    """
    import cv2
    import matplotlib

    height, width = picture.shape[:2]
    colours = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, 2)
    grey = colours.astype(np.float32).mean(2, keepdims=True)  # [H W 1]
    map_ = np.ascontiguousarray(np.asarray(heat, np.float32))
    shares = cv2.resize(map_, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)  # [H W]
    hot = matplotlib.colormaps[HEAT](shares)[:, :, :3].astype(np.float32) * 255  # [H W 3]
    cover = strength * shares[:, :, None]
    mixed: np.ndarray = (0.75 * grey + 0.25 * colours) * (1 - cover) + hot * cover
    return mixed.round().clip(0, 255).astype(np.uint8)
