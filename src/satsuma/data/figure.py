"""A matplotlib figure that shows itself in a notebook. Imported on first use, as matplotlib is."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A `Figure` without pyplot's global state, which notebooks would otherwise print as text."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()
