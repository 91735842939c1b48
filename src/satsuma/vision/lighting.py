"""Random light and colour: brightness, contrast, saturation, hue, grey. Each adds itself to a `ColourMap`.

Called alone they take a PIL image, a uint8 array [H W] or [H W C], or a float batch [B C H W] in 0..1. Without a
generator they change nothing. B batch, C channels, H height, W width.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from satsuma.errors import spelled_class
from satsuma.vision.colour import ColourMap, coloured_alone
from satsuma.vision.settings import check_share

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)
TO_YIQ = np.array([LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])  # luma, two colour axes
FROM_YIQ = np.linalg.inv(TO_YIQ)


@spelled_class
@dataclass(frozen=True, slots=True)
class Brightness:
    """Lighter or darker: logits shifted to where mid-grey becomes 0.5 * (1 ± `max_lighting`), uniformly drawn.

    Source: fastai's `Brightness` (Howard and Gugger 2020).
    """

    training_only = True

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        check_share(self, "max_lighting", below_one=True)
        check_share(self, "p")

    def colour(self, colours: ColourMap, rng: np.random.Generator | None) -> ColourMap:
        if rng is None or rng.random() >= self.p:
            return colours
        grey = 0.5 * rng.uniform(1 - self.max_lighting, 1 + self.max_lighting)
        return colours.toned(1.0, math.log(grey / (1 - grey)))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return coloured_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Contrast:
    """More or less contrast about mid-grey: logits times a factor from 1 - `max_lighting` to its inverse, log-uniform.

    Source: fastai's `Contrast` (Howard and Gugger 2020).
    """

    training_only = True

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        check_share(self, "max_lighting", below_one=True)
        check_share(self, "p")

    def colour(self, colours: ColourMap, rng: np.random.Generator | None) -> ColourMap:
        if rng is None or rng.random() >= self.p:
            return colours
        return colours.toned(factor_within(self.max_lighting, rng), 0.0)

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return coloured_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Saturation:
    """Paler or stronger colours: their distance from grey times 1 - `max_lighting` to its inverse, log-uniform."""

    training_only = True

    max_lighting: float = 0.2
    p: float = 0.75

    def __post_init__(self) -> None:
        check_share(self, "max_lighting", below_one=True)
        check_share(self, "p")

    def colour(self, colours: ColourMap, rng: np.random.Generator | None) -> ColourMap:
        if rng is None or rng.random() >= self.p:
            return colours
        return colours.mixed(saturation_matrix(factor_within(self.max_lighting, rng)))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return coloured_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class Hue:
    """Other colours of the same brightness: turned about the grey axis by up to ± `max_hue` of the whole circle."""

    training_only = True

    max_hue: float = 0.1
    p: float = 0.75

    def __post_init__(self) -> None:
        check_share(self, "max_hue")
        check_share(self, "p")

    def colour(self, colours: ColourMap, rng: np.random.Generator | None) -> ColourMap:
        if rng is None or rng.random() >= self.p:
            return colours
        return colours.mixed(hue_matrix(rng.uniform(-self.max_hue, self.max_hue)))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return coloured_alone(self, picture, rng)


@spelled_class
@dataclass(frozen=True, slots=True)
class RandomGrey:
    """No colours at all, with probability `p`: every channel becomes the brightness of the three."""

    training_only = True

    p: float = 0.1

    def __post_init__(self) -> None:
        check_share(self, "p")

    def colour(self, colours: ColourMap, rng: np.random.Generator | None) -> ColourMap:
        if rng is None or rng.random() >= self.p:
            return colours
        return colours.mixed(saturation_matrix(0.0))

    def __call__(self, picture: Any, rng: Any = None) -> Any:
        return coloured_alone(self, picture, rng)


def saturation_matrix(factor: float) -> np.ndarray:
    """[3 3] that blends grey (factor 0) with the colours as they are (1), and beyond."""
    return np.eye(3) * factor + np.array(LUMA) * (1 - factor)


def hue_matrix(turn: float) -> np.ndarray:
    """[3 3] that turns hues by `turn` of the circle, red towards yellow; greys and brightness stay (YIQ colours)."""
    cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    matrix: np.ndarray = FROM_YIQ @ np.array([(1, 0, 0), (0, cos, sin), (0, -sin, cos)]) @ TO_YIQ
    return matrix


def factor_within(share: float, rng: np.random.Generator) -> float:
    """A factor from 1 - `share` to 1 / (1 - share): as often below 1 as above."""
    most = math.log(1 / (1 - share))
    return math.exp(rng.uniform(-most, most))
