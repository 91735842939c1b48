"""A Jupyter that is not there."""

import sys
from types import ModuleType, SimpleNamespace

import pytest


class Handle:
    def __init__(self, page):
        self.pages = [page]

    def update(self, page):
        self.pages.append(page)


@pytest.fixture
def fake_jupyter(monkeypatch):
    """Stands in for IPython in a notebook; `.handles` are the outputs, each with the `pages` it showed in turn."""
    notebook = SimpleNamespace(handles=[])

    def display(page, *, display_id):
        assert display_id is True
        notebook.handles.append(Handle(page))
        return notebook.handles[-1]

    ipython, shown = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=True)
    ipython.display = shown
    shown.HTML, shown.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return notebook
