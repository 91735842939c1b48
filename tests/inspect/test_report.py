"""The report: one file that needs nothing else, and in which names are text and never markup."""

import html.parser
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import satsuma as sm
from satsuma.inspect import predictions as predictions_file
from satsuma.inspect.report import Report, ReportSection, report_section, write_report
from satsuma.inspect.report_sections import figure_html
from satsuma.learner.report_data import label_doubts
from satsuma.learner.reporting import write_run_report
from satsuma.learner.trained import trained_learner
from satsuma.plots.figure import ShownFigure

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


def check_page(page):
    """It holds all that it shows, runs nothing, fetches nothing, and is valid HTML; its pictures and drawings."""
    tags = Tags(page).found
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe", "object", "embed")]
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    addresses = [v for _, attrs in tags for name, v in attrs.items() if name in ("src", "href", "xlink:href", "srcset")]
    assert all(value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,", "#")) for value in addresses)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "@import" not in styles
    assert "url(" not in styles
    assert "default-src 'none'" in page  # a browser would load nothing, whatever else stood there
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert "could not be made" not in page
    html5lib = pytest.importorskip("html5lib")
    html5lib.HTMLParser(strict=True).parse(page)
    return [a for a in addresses if a.startswith("data:image/jpeg")], [a for t, a in tags if t == "svg"]


def headings(page):
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page)


def read(path):
    return path.read_text(encoding="utf-8")


def test_a_report_shows_what_it_is_given(tmp_path):
    figure = ShownFigure(title="a <line>")
    figure.add_subplot().plot([1, 2, 3])
    report = Report(
        title="A & B",
        headline="<b>head</b>",
        result="accuracy 0.9",
        tiles=[("accuracy", "0.9")],
        sections=[ReportSection(key="one", title="The <first>", html=figure_html(figure, "A <curve>"))],
    )
    page = read(write_report(tmp_path / "größe" / "report.html", report))
    _, (drawn,) = check_page(page)
    assert drawn["aria-label"] == "a <line>"
    for text in ("A &amp; B", "&lt;b&gt;head", "accuracy 0.9", "A &lt;curve&gt;", 'href="#one"', "The &lt;first&gt;"):
        assert text in page
    assert 'lang="en"' in page


def test_a_part_that_fails_is_told_and_loses_nothing_else():
    def fails():
        raise RuntimeError("no <luck>\n today")

    section = report_section("a", "A part", fails)
    assert section.html == '<p class="told">This part could not be made: no &lt;luck&gt; today</p>'
    assert report_section("b", "Nothing to show", lambda: "") is None


def test_a_report_that_would_be_too_large_leaves_out_its_largest_part(tmp_path):
    sections = [
        ReportSection(key=k, title=k, html=f"<p>{k * n}</p>") for k, n in (("a", 2000), ("b", 90_000), ("c", 3000))
    ]
    report = Report(title="t", headline="", result="", sections=sections)
    page = read(write_report(tmp_path / "r.html", report, most=60_000))
    assert len(page) < 60_000
    assert "a" * 2000 in page
    assert "c" * 3000 in page
    assert "Left out: it is 0.1 MB, and the report would not stay below 0.06 MB" in page


def test_a_learners_report(tmp_path):
    data = sm.DataLoaders.from_arrays(X, NAMES[X[:, :3].argmax(1)], bs=11)
    learn = sm.Learner(data, sm.linear_model(7, 3), metrics=sm.accuracy, progress=False)
    with pytest.raises(ValueError, match="report: nothing is trained yet; call fit first"):
        learn.report(tmp_path / "report.html")
    learn.fit(2)
    before = torch.get_rng_state(), [p.clone() for p in learn.parameters()]
    page = read(learn.report(tmp_path / "report.html"))
    assert torch.equal(before[0], torch.get_rng_state())  # it only looks
    assert all(torch.equal(a, b) for a, b in zip(before[1], learn.parameters(), strict=True))
    assert learn.model.training
    pictures, drawings = check_page(page)
    assert pictures == []  # rows of numbers are shown as tables
    assert [d["aria-label"].split(" by ")[0] for d in drawings][:2] == ["loss", "accuracy"]
    last = learn.recorder.epochs[-1]
    assert f"After 2 epochs: valid_loss {last.valid_loss:.4f}, accuracy {last.metrics['accuracy']:.4f}" in page
    assert "learn = sm.Learner(" in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    wrong = int((~learn.interpret().predictions.right).sum())
    assert f"<dt>wrong of {len(data.valid.dataset)}</dt><dd>{wrong}</dd>" in page
    assert headings(page)[:3] == ["How it learnt", "What it confuses", "Its worst answers"]


def numbers():
    return sm.DataLoaders.from_arrays(X[:, :1], X[:, 0]), sm.linear_model(1), {}


def bare():
    loader = sm.DataLoader((X, X[:, :1]), 11)
    return sm.DataLoaders(loader, loader), sm.linear_model(7), {"loss_func": sm.mse}


def nothing_held_out():
    loader = sm.DataLoader((X, X[:, :3].argmax(1)), 11)
    return sm.DataLoaders(loader), sm.linear_model(7, 3), {"loss_func": sm.cross_entropy}


def several_labels():
    items = [(row, [n for n, v in zip("abc", row, strict=False) if v > 0]) for row in X.numpy()]
    block = sm.DataBlock(
        blocks=(sm.TransformBlock(), sm.MultiCategoryBlock()), get_x=sm.ItemGetter(0), get_y=sm.ItemGetter(1)
    )
    return block.dataloaders(items, bs=11), sm.linear_model(7, 3), {}


KINDS = {
    numbers: "How far it is off",
    bare: "How far it is off",
    nothing_held_out: "What it confuses (on the training data: nothing is held out)",
    several_labels: "How well it knows each label",
}


@pytest.mark.parametrize("make", KINDS)
def test_every_kind_of_task_has_a_report(make, tmp_path):
    data, model, more = make()
    learn = sm.Learner(data, model, progress=False, **more)
    learn.fit(1)
    page = read(learn.report(tmp_path / "report.html"))
    check_page(page)
    assert headings(page)[1] == KINDS[make]


def test_a_model_with_several_outputs_has_a_report_that_says_what_it_lacks(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(7, 3)

        def forward(self, x):
            return self.layer(x), self.layer(-x)

    data = sm.DataLoaders.from_arrays(X, X[:, :3].argmax(1))
    learn = sm.Learner(data, Two(), loss_func=lambda out, y: sm.cross_entropy(out[0], y), progress=False)
    learn.fit(1)
    page = read(learn.report(tmp_path / "report.html"))
    assert "What it gets wrong" in headings(page)
    assert "This part could not be made:" in page
    assert "How to repeat it" in headings(page)


# --- of a run's folder ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run on pictures of a bright square, left or right."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels = rng.integers(0, 60, (16, 16), dtype=np.uint8)
        left = 1 + 9 * (i % 2)
        pixels[4:10, left : left + 5] = 220
        place = folder / "squares" / ("train" if i < 28 else "valid") / ("left", "right")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{i}.png")
    data = sm.ImageDataLoaders.from_folder(folder / "squares", train="train", valid="valid", bs=14, channels=1)
    learn = sm.Learner(data, "small_cnn", metrics=sm.accuracy, run_dir=folder / "squares-1", progress=False)
    learn.fit(2, 0.01)
    learn.export()
    return folder / "squares-1"


@pytest.fixture(scope="module")
def written(run):
    """The report of that run."""
    return write_run_report(run, run.parent / "report.html")


def test_the_report_of_a_folder_is_made_from_what_the_run_kept(run, written):
    page = read(written)
    pictures, _ = check_page(page)
    assert headings(page) == [
        "How it learnt",
        "What it confuses",
        "Its worst answers",
        "The data",
        "The model",
        "The recipe",
        "How to repeat it",
        "The run as one script of plain PyTorch",
    ]
    assert len(pictures) >= 2 * 12  # each under its heat map as well
    assert page.count("what the model looked at") == 12
    assert "satsuma rerun" in page
    assert "satsuma predict" in page
    assert len(page) < 1_000_000
    assert (run / "train.py").read_text(encoding="utf-8").splitlines()[0].replace('"', "&quot;") in page
    assert "loading=" not in page  # or a printer would leave pictures out


def test_a_run_that_was_cut_off_has_a_report(run, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    (cut / "model.safetensors").unlink()
    recipe = (cut / "recipe.json").read_text()
    (cut / "recipe.json").write_text(re.sub(r'"ends": \[.*?\n \]', '"ends": []', recipe, flags=re.DOTALL))
    lines = (cut / "history.jsonl").read_text().splitlines()
    page = read(write_run_report(cut, tmp_path / "cut.html"))
    check_page(page)
    assert "satsuma train --resume" in page
    assert "Cut off after 2 epochs: " in page
    shutil.rmtree(cut / "checkpoints")  # cut off before its first epoch was done
    (cut / "history.jsonl").write_text(lines[0] + "\n")
    page = read(write_run_report(cut, tmp_path / "early.html"))
    check_page(page)
    assert "No epoch was finished: after 1 step the training loss is" in page
    assert "its first epoch was not finished, so there are no weights to look at" in page
    (cut / "history.jsonl").write_text("")
    with pytest.raises(sm.UserError, match=r"cut: report: nothing is trained yet"):
        write_run_report(cut, tmp_path / "none.html")


def test_a_run_with_parts_of_the_users_own_shows_its_history_and_says_what_is_missing(run, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(run, mine)
    recipe = json.loads((mine / "recipe.json").read_text())
    (mine / "recipe.json").write_text(json.dumps({**recipe, "model": {"opaque": "mine.Net <1>"}}))
    page = read(write_run_report(mine, tmp_path / "report.html"))
    check_page(page)
    assert headings(page) == [
        "What is missing here",
        "How it learnt",
        "The recipe",
        "How to repeat it",
        "The run as one script of plain PyTorch",
    ]
    assert "its recipe only names what it cannot hold: mine.Net &lt;1&gt;" in page
    with pytest.raises(sm.UserError, match="no run"):
        write_run_report(tmp_path, tmp_path / "report.html")


def test_the_predictions_of_a_report_are_kept_with_the_run(run, written, tmp_path, monkeypatch):
    assert (run / "inspect" / "valid.safetensors").is_file()
    monkeypatch.setattr(predictions_file, "answers_of", None)  # not computed again
    check_page(read(write_run_report(run, tmp_path / "again.html")))


def test_labels_that_the_model_doubts_stand_among_the_faults(run, tmp_path):
    data = run.parent / "squares"
    wrong = next((data / "valid" / "left").iterdir())
    other = tmp_path / "squares"
    shutil.copytree(data, other)
    (other / "valid" / "left" / wrong.name).rename(other / "valid" / "right" / wrong.name)
    seen = sm.ImageDataLoaders.from_folder(other, train="train", valid="valid", bs=14, channels=1)
    learn = sm.Learner(seen, "small_cnn", progress=False)
    learn.model.load_state_dict(trained_learner(run).model.state_dict())
    doubted = label_doubts(learn.interpret())
    assert [(Path(row.name).name, row.label, row.suggestion) for row in doubted] == [(wrong.name, "right", "left")]


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser can be started: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


def test_a_browser_shows_it_without_a_network_to_everyone(browser, written):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for scheme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, color_scheme=scheme, offline=True, bypass_csp=True
        )
        page = context.new_page()
        said = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("requestfailed", lambda request, said=said: said.append(request.url[:80]))
        page.goto(written.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing is wider than a phone
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        found = axe.Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        assert said == []
        context.close()
