"""Faults as one HTML file, and in one sentence."""

from pathlib import Path

from jinja2 import Environment, PackageLoader

from satsuma.inspect.faults import KINDS, Faults
from satsuma.inspect.gallery import fragment_css
from satsuma.plots.theme import PALETTE_CSS
from satsuma.train.checkpoint import write_whole

WORDS = {  # kind → (one, several)
    "leak": ("leak across the split", "leaks across the split"),
    "label": ("label that may be wrong", "labels that may be wrong"),
    "twin": ("twin within a half", "twins within a half"),
    "outlier": ("outlier", "outliers"),
    "odd": ("odd picture", "odd pictures"),
    "imbalance": ("small class", "small classes"),
}


def count_words(faults: Faults) -> str:
    """How many of each kind, in words.

    >>> count_words(Faults((), looked=("leak", "odd")))
    '0 leaks across the split, 0 odd pictures'
    """
    counts = faults.counts
    return ", ".join(f"{counts[kind]:,} {WORDS[kind][counts[kind] != 1]}" for kind in KINDS if kind in counts)


def write_fault_page(file: str | Path, faults: Faults, title: str) -> Path:
    """Write the tables as one page that needs no network."""
    page = Environment(loader=PackageLoader("satsuma.inspect"), autoescape=True).get_template("faults.html")
    text = page.render(
        title=title, summary=f"{count_words(faults)}.", tables=faults.html(), palette=PALETTE_CSS, css=fragment_css()
    )
    write_whole(Path(file), text.encode("utf-8", "replace"))
    return Path(file)
