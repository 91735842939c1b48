"""A graph of computation, drawn from top to bottom without a layout program.

A box is a dictionary: `label`, `kind`, `size` and `name` (texts), `sources` (places of boxes before it) and `frame`
(the text of the frame that it stands in, "" for none). They come in the order of the computation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from satsuma.plots.figure import ShownFigure
from satsuma.plots.theme import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PAPER, PINK, RULE, YELLOW

WIDTH, HEIGHT, GAP = 3.7, 0.32, 0.2  # of a box, and between two of them, in inches
APART = 0.35  # between columns
MARGIN, LANE = 0.3, 0.13  # beside the boxes, and for each shortcut there
LETTERS = 46  # of a label in a box
COLOURS = (("Conv", BLUE), ("Linear", ORANGE), ("Pool", GREEN), ("+", PINK), ("concatenate", PINK), ("×", PINK),
           ("block", YELLOW), ("Attention", YELLOW))  # fmt: skip

Box = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each box stands: its row from the top, its column, and the lane of each shortcut between rows."""

    rows: list[int]
    columns: list[int]
    lanes: dict[tuple[int, int], int]


def plot_graph(boxes: Sequence[Box], *, title: str) -> ShownFigure:
    """The boxes and the arrows between them; arrows that pass other boxes run at the left side."""
    layout = graph_layout([tuple(box["sources"]) for box in boxes])
    columns = max(layout.columns, default=0) + 1
    left = MARGIN + LANE * (1 + max(layout.lanes.values(), default=-1))
    width = left + columns * WIDTH + (columns - 1) * APART + MARGIN
    height = (max(layout.rows, default=0) + 1) * (HEIGHT + GAP) + GAP
    figure = ShownFigure(figsize=(width, height), title=title, layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    corners = [
        (left + column * (WIDTH + APART), GAP + row * (HEIGHT + GAP))
        for row, column in zip(layout.rows, layout.columns, strict=True)
    ]
    draw_frames(axes, boxes, corners, left)
    for place, box in enumerate(boxes):
        draw_box(axes, box, *corners[place])
        for source in box["sources"]:
            draw_arrow(axes, corners[source], corners[place], layout.lanes.get((source, place)))
    return figure


def graph_layout(sources: Sequence[tuple[int, ...]]) -> Layout:
    """Rows by the longest way from the start; the longest way to the end stands in the first column."""
    rows: list[int] = []
    for before in sources:
        rows.append(1 + max((rows[s] for s in before), default=-1))
    on_way, place = set(), len(sources) - 1
    while place >= 0:
        on_way.add(place)
        place = max(sources[place], key=lambda s: rows[s], default=-1)
    columns: list[int] = []
    taken = {(rows[i], 0) for i in on_way}
    for i, before in enumerate(sources):
        column = 0 if i in on_way else max([1, *(columns[s] for s in before)])
        while i not in on_way and (rows[i], column) in taken:
            column += 1
        taken.add((rows[i], column))
        columns.append(column)
    return Layout(rows, columns, shortcut_lanes(sources, rows, columns))


def shortcut_lanes(
    sources: Sequence[tuple[int, ...]], rows: Sequence[int], columns: Sequence[int]
) -> dict[tuple[int, int], int]:
    """The lane of each arrow that passes a box of its own column; those that overlap get different ones."""
    filled = set(zip(rows, columns, strict=True))
    spans = [
        (rows[i] - rows[s], s, i)
        for i, before in enumerate(sources)
        for s in before
        if columns[s] == columns[i] and any((row, columns[i]) in filled for row in range(rows[s] + 1, rows[i]))
    ]
    lanes: dict[tuple[int, int], int] = {}
    for _, start, end in sorted(spans):
        used = {lane for (a, b), lane in lanes.items() if rows[a] < rows[end] and rows[start] < rows[b]}
        lanes[start, end] = next(lane for lane in range(len(spans) + 1) if lane not in used)
    return lanes


def draw_frames(axes: Any, boxes: Sequence[Box], corners: Sequence[tuple[float, float]], left: float) -> None:
    """A faint frame around the boxes of each block, with its name."""
    from matplotlib.patches import FancyBboxPatch

    pad = GAP * 0.42
    for frame in dict.fromkeys(box["frame"] for box in boxes if box["frame"]):
        inside = [corners[i] for i, box in enumerate(boxes) if box["frame"] == frame]
        top, bottom = min(y for _, y in inside) - pad, max(y for _, y in inside) + HEIGHT + pad
        right = max(x for x, _ in inside) + WIDTH + pad
        first = min(inside, key=lambda corner: corner[1])
        shape = FancyBboxPatch(
            (left - pad, top), right - left + pad, bottom - top, boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=RULE, edgecolor="none", alpha=0.35,
        )  # fmt: skip
        axes.add_patch(shape)
        if len(inside) > 1:  # in the gap below its first box
            axes.text(left + WIDTH - 0.05, first[1] + HEIGHT + GAP / 2, frame, fontsize=7, color=FAINT, ha="right",
                      va="center", parse_math=False)  # fmt: skip


def draw_box(axes: Any, box: Box, x: float, y: float) -> None:
    """A box with its label at the left and the size of what it gives at the right."""
    from matplotlib.patches import FancyBboxPatch

    colour = next((c for part, c in COLOURS if part in box["kind"]), GREY)
    label = box["label"] if len(box["label"]) <= LETTERS else box["label"][: LETTERS - 1] + "…"
    shape = FancyBboxPatch(
        (x, y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", facecolor=PAPER,
        edgecolor=colour, linewidth=1.1,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x + 0.09, y + HEIGHT / 2, label, fontsize=8, color=INK, va="center", parse_math=False)
    axes.text(x + WIDTH - 0.08, y + HEIGHT / 2, box["size"], fontsize=7.5, color=FAINT, va="center", ha="right",
              parse_math=False)  # fmt: skip


def draw_arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], lane: int | None) -> None:
    """From the foot of a box to the head of the next; a shortcut leaves and enters at the side."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x, y), (to_x, to_y) = start, end
    middle, to_middle = x + WIDTH / 2, to_x + WIDTH / 2
    if lane is not None:
        side = x - 0.12 - LANE * lane
        points = [
            (x, y + HEIGHT * 0.65),
            (side, y + HEIGHT * 0.65),
            (side, to_y + HEIGHT / 2),
            (to_x, to_y + HEIGHT / 2),
        ]
    elif x == to_x:
        points = [(middle, y + HEIGHT), (to_middle, to_y)]
    elif x < to_x:  # to a branch: out at the side, down into it
        points = [(x + WIDTH, y + HEIGHT / 2), (to_middle, y + HEIGHT / 2), (to_middle, to_y)]
    else:  # back from a branch: down, in at the side
        points = [(middle, y + HEIGHT), (middle, to_y + HEIGHT / 2), (to_x + WIDTH, to_y + HEIGHT / 2)]
    arrow = FancyArrowPatch(
        path=Path(points), arrowstyle="-|>", mutation_scale=7, color=GREY if lane is None else PINK, linewidth=1.0,
        joinstyle="round", fill=None,
    )  # fmt: skip
    axes.add_patch(arrow)
