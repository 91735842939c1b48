"""The report: one file that needs nothing else, and in which names are text and never markup."""

import base64
import html.parser
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import satsuma as sm
from satsuma.inspect.report import Report, write_report

X = torch.randn(53, 7, generator=torch.Generator().manual_seed(0))
NAMES = np.array(["<script>alert(1)</script>", "a & b", "$x_1$"])


class Tags(html.parser.HTMLParser):
    """All tags with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def check_self_contained(page):
    tags = Tags(page).found
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe", "object", "embed")]
    addresses = [value for _, attrs in tags for name, value in attrs.items() if name in ("src", "href")]
    assert all(value.startswith("data:image/svg+xml;base64,") for value in addresses)
    assert not re.search(r"https?:|url\(|@import", page)
    return addresses


def test_a_report_shows_what_it_is_given(tmp_path):
    figure = Figure()
    figure.add_subplot().plot([1, 2, 3])
    report = Report(
        title="A & B",
        headline="<b>head</b>",
        result="accuracy 0.9",
        header=["epoch", "<i>"],
        rows=[["0", "0.5"], ["1", "0.25"]],
        figures=[("A <curve>", figure)],
        notes=["2 twins <found>"],
        code="x < 3",
    )
    path = write_report(tmp_path / "größe" / "report.html", report)
    page = path.read_text(encoding="utf-8")
    (picture,) = check_self_contained(page)
    assert b"<svg" in base64.b64decode(picture.split(",")[1])
    for text in (
        "A &amp; B",
        "&lt;b&gt;head",
        "accuracy 0.9",
        "&lt;i&gt;",
        "<td>0.25</td>",
        "&lt;found&gt;",
        "x &lt; 3",
    ):
        assert text in page
    assert 'lang="en"' in page
    assert 'alt="A &lt;curve&gt;"' in page


def test_a_learners_report(tmp_path):
    data = sm.DataLoaders.from_arrays(X, NAMES[X[:, :3].argmax(1)], bs=11)
    learn = sm.Learner(data, sm.linear_model(7, 3), metrics=sm.accuracy, progress=False)
    with pytest.raises(ValueError, match="report: nothing is trained yet; call fit first"):
        learn.report(tmp_path / "report.html")
    learn.fit(2)
    page = learn.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(check_self_contained(page)) == 4  # loss, metrics, rate, the hardest samples
    last = learn.recorder.epochs[-1]
    assert f"After 2 epochs: valid_loss {last.valid_loss:.4f}, accuracy {last.metrics['accuracy']:.4f}" in page
    assert page.count("<tr>") == 3
    assert "learn = sm.Learner(" in page
    assert "<script>" not in page


def test_a_report_of_numbers_and_of_loaders_without_blocks(tmp_path):
    numbers = sm.Learner(sm.DataLoaders.from_arrays(X[:, :1], X[:, 0]), sm.linear_model(1), progress=False)
    loader = sm.DataLoader((X, X[:, :1]), 11)
    bare = sm.Learner(sm.DataLoaders(loader, loader), sm.linear_model(7), loss_func=sm.mse, progress=False)
    for learn in (numbers, bare):
        learn.fit(1)
        check_self_contained(learn.report(tmp_path / "report.html").read_text(encoding="utf-8"))
