"""Pictures that differ in kind from the rest: in size, shape, light, colour or sharpness, by robust statistics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from satsuma.inspect.picture_facts import PictureFacts

LIMIT, DETAIL_LIMIT = 7.0, 4.5  # robust deviations from the median; sharpness differs more among photos, and evenly
ONE_COLOUR = 2.0  # deviation of grey and of each channel, 0..255, below which a picture holds nothing
GREY, COLOURED = 1.0, 8.0  # mean difference of the channels below which a picture is grey, above which it is not
RARE = 0.01  # share up to which grey pictures among coloured ones are odd


@dataclass(frozen=True, slots=True)
class OddPicture:
    """A picture by its place, how surely it is of another kind (0..1), and in what."""

    place: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a picture. least: the smallest deviation that counts, so that in a homogeneous set nothing does."""

    value: Callable[[PictureFacts], float]
    least: float
    told: Callable[[PictureFacts, PictureFacts], str]
    limit: float = LIMIT


def size_value(f: PictureFacts) -> float:
    return float(np.log2(f.height * f.width)) / 2


def shape_value(f: PictureFacts) -> float:
    return float(np.log2(f.width / f.height))


def size_reason(f: PictureFacts, usual: PictureFacts) -> str:
    larger = "larger" if size_value(f) > size_value(usual) else "smaller"
    return f"much {larger} than the others: {size_words(f)}, a usual one is {size_words(usual)}"


def shape_reason(f: PictureFacts, usual: PictureFacts) -> str:
    wider = "wider" if shape_value(f) > shape_value(usual) else "taller"
    return f"much {wider} than the others: {size_words(f)}, a usual one is {size_words(usual)}"


def light_reason(f: PictureFacts, usual: PictureFacts) -> str:
    brighter = "brighter" if f.brightness > usual.brightness else "darker"
    return f"much {brighter} than the others: {f.brightness:.0f} of 255 on average, usual are {usual.brightness:.0f}"


def contrast_reason(f: PictureFacts, usual: PictureFacts) -> str:
    more = "more" if f.contrast > usual.contrast else "less"
    return f"much {more} contrast than the others: its pixels vary by {f.contrast:.0f}, usual are {usual.contrast:.0f}"


def detail_reason(f: PictureFacts, usual: PictureFacts) -> str:
    edges = f"{np.exp(usual.detail):.1f}%"
    if f.detail < usual.detail:
        return f"blurred: its edges are {np.exp(f.detail):.1f}% of its contrast, usual are {edges}"
    return f"much sharper or noisier: its edges are {np.exp(f.detail):.1f}% of its contrast, usual are {edges}"


def size_words(f: PictureFacts) -> str:
    return f"{f.width}×{f.height}"


MEASURES = (
    Measure(size_value, 1.0, size_reason),  # twice the side
    Measure(shape_value, 0.7, shape_reason),
    Measure(lambda f: f.brightness, 50.0, light_reason),
    Measure(lambda f: f.contrast, 30.0, contrast_reason),
    Measure(lambda f: f.detail, 1.5, detail_reason, DETAIL_LIMIT),
)


def odd_pictures(facts: Sequence[PictureFacts]) -> list[OddPicture]:
    """The pictures of another kind than most, the surest first; each once, for what is oddest in it.

    A measure is odd that is more than its `limit` of robust deviations from the median (by the median absolute
    deviation on its own side), and by more than an amount that anyone would see.
    """
    places = [i for i, f in enumerate(facts) if not f.problem]
    found: dict[int, OddPicture] = {}
    for i in places:
        if facts[i].contrast < ONE_COLOUR:
            found[i] = OddPicture(i, 1.0, one_colour(facts[i]))
    rest = [i for i in places if i not in found]
    if len(rest) < 8:  # too few to say what is usual
        return sorted(found.values(), key=lambda o: o.place)
    usual = usual_picture([facts[i] for i in rest])
    for measure in MEASURES:
        values = np.array([measure.value(facts[i]) for i in rest])
        for i, sure in zip(rest, oddness(values, measure.least, measure.limit), strict=True):
            if sure > 0 and (i not in found or found[i].score < sure):
                found[i] = OddPicture(i, float(sure), measure.told(facts[i], usual))
    grey = [i for i in rest if facts[i].colour < GREY]
    if usual.colour > COLOURED and len(grey) <= RARE * len(rest):
        for i in grey:
            found.setdefault(i, OddPicture(i, 0.5, "grey, where the others are in colour"))
    return sorted(found.values(), key=lambda o: (-o.score, o.place))


def oddness(values: np.ndarray, least: float, most: float) -> np.ndarray:
    """How surely each value is far from the others, 0..1: 0 within the limits, 0.5 at them, towards 1 beyond."""
    away = values - np.median(values)
    found = np.zeros(len(values))
    for side in (away > 0, away < 0):
        if side.any():
            spread = 1.4826 * float(np.median(np.abs(away[side | (away == 0)])))
            limit = max(most * spread, least)
            found[side] = np.where(np.abs(away[side]) > limit, 1 - 0.5 * limit / np.abs(away[side]), 0.0)
    return found


def one_colour(f: PictureFacts) -> str:
    """What to say of a picture that holds nothing."""
    name = "black" if f.brightness < 8 else "white" if f.brightness > 247 else ""
    return f"all {name}" if name else f"all of one colour (brightness {f.brightness:.0f} of 255)"


def usual_picture(facts: Sequence[PictureFacts]) -> PictureFacts:
    """The median of each number."""

    def median(name: str) -> float:
        return float(np.median([getattr(f, name) for f in facts]))

    sizes = (int(median("height")), int(median("width")))
    return PictureFacts("", b"", *sizes, median("brightness"), median("contrast"), median("colour"), median("detail"))
