"""Galleries: pictures with captions, as a piece of HTML, as a PNG or an SVG."""

import base64
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from satsuma.data.show import grid
from satsuma.inspect.samples import thumbnail
from satsuma.plots.theme import PALETTE_CSS, escaped

SIDE = 160  # pixels of a card's picture, the longer side
ACROSS = 6  # cards in a row of a saved picture
WIDTH = 22  # letters in a line of a saved picture's caption


@dataclass(frozen=True, slots=True)
class Card:
    """One picture with what to say of it. `tone`: "good", "bad" or "", which colours its edge."""

    picture: np.ndarray | None  # uint8 [H W] or [H W 3]; None for a sample that is no picture
    caption: str
    detail: str = ""
    tone: str = ""

    def html(self) -> str:
        """A `<figure>`; its texts are text, whatever they hold."""
        words = "; ".join(part for part in (self.caption, self.detail) if part)
        picture = "" if self.picture is None else picture_html(np.ascontiguousarray(self.picture), SIDE, words)
        detail = f'<span class="detail">{escaped(self.detail)}</span>' if self.detail else ""
        tone = f" {self.tone}" if self.tone in ("good", "bad") else ""
        return (
            f'<figure class="card{tone}">{picture}'
            f'<figcaption><span class="caption">{escaped(self.caption)}</span>{detail}</figcaption></figure>'
        )


@dataclass(frozen=True, slots=True)
class Gallery:
    """Cards in their order under a title. A notebook shows it; `save` writes a PNG or an SVG."""

    title: str
    cards: Sequence[Card]

    def __len__(self) -> int:
        return len(self.cards)

    def html(self) -> str:
        """A piece of HTML without styles of its own: a page around it holds `fragment_css()`."""
        cards = "".join(card.html() for card in self.cards) or '<p class="none">none</p>'
        title = f'<p class="fragment-title">{escaped(self.title)}</p>' if self.title else ""
        return f'<div class="gallery" role="group" aria-label="{escaped(self.title)}">{title}{cards}</div>'

    def _repr_html_(self) -> str:
        return shown_fragment(self.html())

    def save(self, file: str | Path) -> Path:
        """Write the cards as one picture; the ending says of which kind."""
        path = Path(file)
        if not self.cards:
            raise ValueError(f"{path}: there are no cards to save in {self.title!r}")
        blank = np.ones((1, 1))
        pictures = [blank if card.picture is None else card.picture / 255 for card in self.cards]
        titles = ["\n".join(caption_lines(card.caption) + caption_lines(card.detail)) for card in self.cards]
        across = min(ACROSS, len(self.cards))
        figure = grid(pictures, titles, nrows=-(-len(self.cards) // across), ncols=across, size=2.0)
        figure.savefig(path)
        return path


def picture_html(source: str | np.ndarray, side: int, alt: str) -> str:
    """An `<img>` that holds the picture: a file, or uint8 [H W] or [H W 3]. Raises as `thumbnail`."""
    data = base64.b64encode(thumbnail(source, side)).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escaped(alt)}" loading="lazy">'


def caption_lines(text: str) -> list[str]:
    """A caption in lines of a saved picture's width."""
    return textwrap.wrap(text, WIDTH)


@cache
def fragment_css() -> str:
    """The styles of fragments: cards, ranked tables, heat cells. Its colours are the theme's variables."""
    return files("satsuma.inspect").joinpath("fragments.css").read_text(encoding="utf-8")


def shown_fragment(html: str) -> str:
    """A fragment as a notebook shows it: with the theme and the styles that it needs."""
    return f"<style>{PALETTE_CSS}{fragment_css()}</style>{html}"
