"""The parts of a report that show what a model learnt, each as a piece of HTML."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from satsuma.hooks.progress import epoch_cells, epoch_header
from satsuma.hooks.recorder import Recorder
from satsuma.inspect.gallery import Card, picture_html
from satsuma.inspect.interpretation import Interpretation
from satsuma.inspect.picks import Picks
from satsuma.inspect.report import fold_html
from satsuma.inspect.tables import ShownTable, html_table
from satsuma.plots.theme import escaped
from satsuma.train.fit import Plan

SHOWN_EPOCHS = 12  # rows of the epoch table that stand open
MOST_CLASSES = 12  # of which a confusion matrix can be read on a phone without scrolling
CONFUSED = 10  # rows of the table of confusions
PICTURES = 12  # of a gallery
HEAT_SIDE = 160  # pixels of a picture with its heat
LONG = ' class="long"'  # a fact that takes the room of several
NAMESPACE = re.compile(r' xmlns(:xlink)?="[^"]*"')  # which SVG in a page of HTML does not need


def figure_html(figure: Any, caption: str, *, wide: bool = False) -> str:
    """A `ShownFigure` with its caption. `wide`: as wide as it was drawn, in a frame that scrolls."""
    svg = NAMESPACE.sub("", figure.svg())
    frame = svg
    if wide:
        frame = f'<div class="scrolls" tabindex="0" role="group" aria-label="{escaped(caption)}">{svg}</div>'
    return f'<figure class="plot{" wide" if wide else ""}">{frame}<figcaption>{escaped(caption)}</figcaption></figure>'


def curves_html(recorder: Recorder) -> str:
    """Loss, metrics and rate as curves, and the epoch table."""
    figures = [(recorder.plot_loss(), "Loss: training by step, smoothed, and validation by epoch")]
    if not recorder.has_valid:
        figures = [(recorder.plot_loss(), "Loss in training by step, raw and smoothed")]
    if recorder.metric_names and len(recorder.epochs) > 1:
        figures.append((recorder.plot_metrics(), "Metrics on the validation data by epoch"))
    figures.append((recorder.plot_lr(), "Learning rate by step"))
    plots = "".join(figure_html(figure, caption) for figure, caption in figures)
    return f'<div class="plots">{plots}</div>{epochs_html(recorder)}'


def epochs_html(recorder: Recorder) -> str:
    """The epoch table; of many epochs it is fold_html up."""
    if not recorder.epochs:
        return ""
    plan = Plan(len(recorder.epochs), 0, 1, 1, recorder.has_valid, recorder.metric_names)
    rows = [epoch_cells(row, plan) for row in recorder.epochs]
    header = epoch_header(plan)
    table = html_table(header, rows, numbers=range(len(header)), label="Results by epoch")
    return table if len(rows) <= SHOWN_EPOCHS else fold_html(f"All {len(rows)} epochs", table)


def mistakes_html(seen: Interpretation) -> tuple[str, str]:
    """A heading and what stands below it: confusions of classes, scores of labels, or residuals of a regression."""
    kind = seen.predictions.kind
    if kind == "category":
        return "What it confuses", confusions_html(seen)
    if kind == "multi":
        return "How well it knows each label", seen.classification_report().html()
    residuals = seen.residuals()
    figure = figure_html(residuals.plot(), "What it said against what is, and what is left")
    return "How far it is off", figure + residuals.table().html()


def confusions_html(seen: Interpretation) -> str:
    """The confusion matrix, the most frequent confusions, and each class's scores."""
    many = len(seen.predictions.vocab) > MOST_CLASSES
    matrix = figure_html(seen.plot_confusion_matrix(), "Rows: what they are; columns: what the model said", wide=many)
    pairs = seen.most_confused()
    listed = ShownTable("Most confused", ("is", "said", "times"), tuple(pairs[:CONFUSED])).html()
    if not pairs:
        listed = "<p>Nothing was confused.</p>"
    elif len(pairs) > CONFUSED:
        listed += f'<p class="fragment-note">and {len(pairs) - CONFUSED} pairs more</p>'
    report = fold_html("Precision, recall and F1 of each class", seen.classification_report().html())
    return f'<div class="beside">{matrix}<div>{listed}</div></div>{report}'


def picks_html(picks: Picks, *, heat: bool) -> str:
    """Samples with their pictures, beside them with what the model looked at; a table where they are no pictures."""
    seen = picks.source
    if not picks:
        return ""
    if not seen.has_pictures:
        return picks.table().html()
    plain = seen.pictures(picks.indices)
    covered = seen.pictures(picks.indices, heat=True) if heat else [None] * len(plain)
    cards = [card_html(row.card(picture), over) for row, picture, over in zip(picks.rows, plain, covered, strict=True)]
    return f'<div class="gallery{" pairs" if heat else ""}">{"".join(cards)}</div>'


def card_html(card: Card, over: np.ndarray | None) -> str:
    """A card, with a second picture below the first: the same under its heat map."""
    html = card.html()
    if over is None:
        return html
    image = picture_html(np.ascontiguousarray(over), HEAT_SIDE, "what the model looked at")
    return html.replace("<figcaption>", f"{image}<figcaption>", 1)


def rows_html(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values as a list of facts."""
    cells = "".join(
        f"<div{LONG if len(value) > 36 else ''}><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in rows
    )
    return f'<dl class="facts">{cells}</dl>'


def notes_html(notes: Sequence[str]) -> str:
    """Sentences as a list."""
    return "<ul>" + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul>" if notes else ""
