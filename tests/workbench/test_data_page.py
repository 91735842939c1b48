"""The *Data* page: samples by class and half, counts as bars, edits shown, faults mended."""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from satsuma.learner.data_faults import find_faults
from satsuma.workbench.subjects import Subject

HERE = "/open/shapes-1/data"
HOSTILE = "<b>box"
HOSTILE_FILE = "<img src=x onerror=alert(1)>.png"
ALL_HOSTILE = ("<script>alert(1)</script>", "a\"b'c", "two\nlines", "魚と犬 é")


class Reader(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def tiles(self) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if "data-number" in attrs]


def test_all_samples_are_listed_by_name(browser: Any) -> None:
    tiles = Reader(browser.page(HERE)).tiles()
    assert len(tiles) == 60
    assert len({tile["data-number"] for tile in tiles}) == 60
    names = [tile["data-name"] for tile in tiles]
    assert names[0] == f"{HOSTILE}/00.png"
    assert f"bar/{HOSTILE_FILE}" in names


def test_a_class_and_a_half_have_their_samples(browser: Any) -> None:
    index_page = browser.page(HERE)
    counts = re.findall(r'title="(\d+) \+ (\d+)"', index_page)
    assert len(counts) == 3
    assert sum(int(a) + int(b) for a, b in counts) == 60
    for half in (0, 1):
        tiles = Reader(browser.page(f"{HERE}?half={half}&label=pole")).tiles()
        assert {tile["data-half"] for tile in tiles} == {str(half)}
        assert {str(tile["data-name"]).split("/")[0] for tile in tiles} == {"pole"}
        assert (str(len(tiles)),) in [(pair[half],) for pair in counts]


def test_the_bars_are_shares_of_the_largest_class(browser: Any) -> None:
    widths = [float(w) for w in re.findall(r'<rect class="(?:train|valid)"[^>]*width="([\d.]+)"', browser.page(HERE))]
    assert len(widths) == 6
    assert all(a + b == pytest.approx(100, abs=0.02) for a, b in zip(widths[::2], widths[1::2], strict=True))


def test_pages_follow_each_other(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsuma.workbench.pages.data.A_PAGE", 25)
    pages = [Reader(browser.page(f"{HERE}?leaf={leaf}")).tiles() for leaf in (0, 1, 2)]
    assert [len(tiles) for tiles in pages] == [25, 25, 10]
    assert len({tile["data-number"] for tiles in pages for tile in tiles}) == 60
    assert Reader(browser.page(f"{HERE}?leaf=99")).tiles() == pages[2]
    assert "leaf=1" in browser.page(HERE)
    assert "leaf=2" not in browser.page(HERE)


def test_names_are_text(browser: Any) -> None:
    page = browser.page(f"{HERE}?label=bar")
    assert "onerror=alert(1)>" not in page.replace(html.escape(HOSTILE_FILE), "")
    read = Reader(page)
    assert not [tag for tag, attrs in read.tags if tag == "b" or "onerror" in attrs]
    assert HOSTILE in "".join(read.text)


@pytest.mark.parametrize("name", ALL_HOSTILE)
def test_any_name_of_class_and_file_is_text(name: str, tmp_path: Path, open_in_browser: Callable[[Path], Any]) -> None:
    for k, label in enumerate((name.replace("/", "⁄"), "other")):
        folder = tmp_path / "data" / label
        folder.mkdir(parents=True)
        for i in range(4):
            file = folder / (f"{name.replace('/', '⁄')}{i}.png" if k == 0 else f"{i}.png")
            Image.fromarray(np.full((8, 8, 3), 40 * i + k, np.uint8)).save(file)
    found = open_in_browser(tmp_path / "data")
    shown = name.replace("/", "⁄")
    read = Reader(found.page("/open/data/data"))
    assert any(str(tile["data-name"]).startswith(f"{shown}/{shown}") for tile in read.tiles())
    assert "alert(1)" not in "".join(str(attrs.get("src")) for tag, attrs in read.tags if tag == "script")
    clean = found.page("/open/data/clean")
    assert html.escape(shown, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in clean
    assert "<script>alert" not in clean
    rows = found.json("/open/data/clean/items")["items"]
    assert [shown] in [row["labels"] for row in rows]
    assert len(rows) == 8


def test_the_language_is_that_of_the_reader(browser: Any) -> None:
    assert "すべてのサンプル" in browser.get(HERE, accept="text/html", **{"accept-language": "ja"}).text


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(
    pictures: Path, tmp_path: Path, open_in_browser: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Data whose validation half holds a picture that is in training too; their edits go into the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Subject, "faults", lambda self: find_faults(self.dls(), kinds=("leak", "twin"), progress=False))
    for half, files in (("train", range(2, 14)), ("valid", range(14, 20))):
        for name in ("bar", "pole"):
            folder = tmp_path / "shapes" / half / name
            folder.mkdir(parents=True)
            for i in files:
                (folder / f"{i:02}.png").write_bytes((pictures / name / f"{i:02}.png").read_bytes())
    copy = tmp_path / "shapes" / "valid" / "bar" / "copy.png"
    copy.write_bytes((pictures / "bar" / "05.png").read_bytes())
    return open_in_browser(tmp_path / "shapes")


def test_a_leak_is_shown_with_both_pictures_and_mended_by_one_request(planted: Any) -> None:
    address = "/open/shapes/data?show=faults&kind=leak"
    read = Reader(planted.page(address))
    pair = [tile for tile in read.tiles() if "data-mark" in tile]
    assert {("1", "bar/copy.png"), ("0", "bar/05.png")} <= {(tile["data-half"], tile["data-name"]) for tile in pair}
    sample = next(tile for tile in pair if tile["data-name"] == "bar/copy.png")
    place = [int(str(sample["data-half"])), int(str(sample["data-i"]))]
    answer = planted.send("/open/shapes/clean/edit", {"action": "exclude", "samples": [place]})
    assert answer.json()["edits"]["count"] == 1
    assert "mini changed excluded" in planted.page(address)

    # a fault can be let stand, and stays so
    row = next(attrs for tag, attrs in read.tags if tag == "tr" and "data-key" in attrs)
    asked = {"kind": row["data-kind"], "key": row["data-key"], "other": row["data-other"]}
    assert planted.send("/open/shapes/data/ignore", asked).status_code == 200
    assert 'class="ignored"' in planted.page(address)
    assert planted.send("/open/shapes/data/ignore", {**asked, "ignored": False}).status_code == 200
    assert 'class="ignored"' not in planted.page(address)
    assert planted.send("/open/shapes/data/ignore", {**asked, "kind": "nonsense"}).status_code == 400


def test_edited_samples_are_marked(planted: Any) -> None:
    planted.page("/open/shapes/data")
    planted.send("/open/shapes/clean/edit", {"action": "relabel", "samples": [[0, 0]], "labels": ["pole"]})
    page = planted.page("/open/shapes/data?label=pole")
    assert "<s>bar</s> → pole" in page
