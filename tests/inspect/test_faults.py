"""`Faults`: ranked, saved and read back, and shown without letting a name say anything but itself."""

import json
import math
import os
from pathlib import Path

import html5lib
import pytest
from rich.console import Console
from tests.inspect.textures import encoded, texture

from satsuma.inspect.fault_page import count_words, write_fault_page
from satsuma.inspect.faults import KINDS, Fault, Faults, ranked

NASTY = "<script>alert(1)</script>\x1b[31m[bold]&.jpg"


def fault(kind: str = "label", score: float = 0.5, name: str = "a.jpg", **more: str) -> Fault:
    return Fault(kind=kind, key=name, name=name, half="train", score=score, reason="so", **more)  # type: ignore[arg-type]


ROWS = ranked([fault("odd", 0.9), fault("leak", 0.6, other="b.jpg"), fault("leak", 0.7, name="c.jpg"), fault("label")])


def test_rows_are_ranked_by_kind_and_score() -> None:
    assert [(row.kind, row.score) for row in ROWS] == [("leak", 0.7), ("leak", 0.6), ("label", 0.5), ("odd", 0.9)]
    found = Faults(ROWS, looked=("leak", "label", "odd"))
    assert found.counts == {"leak": 2, "label": 1, "odd": 1}
    assert [row.name for row in found.leaks] == ["c.jpg", "a.jpg"]
    assert len(found) == 4
    with pytest.raises(ValueError, match="kind is one of leak"):
        found.of("leaks")
    assert count_words(found) == "2 leaks across the split, 1 label that may be wrong, 1 odd picture"


def test_they_are_saved_and_read_back(tmp_path: Path) -> None:
    found = Faults((*ROWS, fault(name="日本.jpg", suggestion="犬")), ("leak", "label", "odd"), ("something left out",))
    assert Faults.load(found.save(tmp_path / "new" / "faults.json")) == found


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        '{"format": 2, "counts": {}, "notes": [], "faults": []}',
        '{"format": 1, "counts": {}, "notes": [], "faults": [{"kind": "leak"}]}',
        json.dumps(
            {"format": 1, "counts": {}, "notes": [], "faults": [{**Faults(ROWS).as_json()["faults"][0], "x": 1}]}
        ),
        json.dumps(
            {"format": 1, "counts": {}, "notes": [], "faults": [{**Faults(ROWS).as_json()["faults"][0], "score": "1"}]}
        ),
        json.dumps(
            {
                "format": 1,
                "counts": {},
                "notes": [],
                "faults": [{**Faults(ROWS).as_json()["faults"][0], "score": math.nan}],
            }
        ),
        "[" * 100_000,
    ],
)
def test_any_other_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"faults.json: not a file of Faults.save"):
        Faults.load(file)


def test_keys_of_files_that_are_not_utf_8_survive_saving(tmp_path: Path) -> None:
    found = Faults((fault(name=os.fsdecode(b"caf\xe9.jpg"), suggestion="犬"),))
    assert Faults.load(found.save(tmp_path / "faults.json")) == found
    assert "犬" not in found.json_text("ascii")
    assert json.loads(found.json_text("ascii")) == found.as_json()


def test_names_are_shown_as_text_in_html_and_in_a_terminal() -> None:
    found = Faults((fault(name=NASTY, label=NASTY, suggestion=NASTY),), ("label",), (NASTY,))
    html = found._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    html5lib.HTMLParser(strict=True).parseFragment(found.html())
    console = Console(width=200, record=True, force_terminal=False)
    console.print(found.table("label"))
    said = console.export_text()
    assert "\x1b" not in said
    assert "[bold]" in said


def test_the_page_shows_pictures_and_needs_no_network(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(encoded(texture(1), 80))
    pair = fault("leak", name=str(tmp_path / "a.jpg"), other="b.jpg", other_name=str(tmp_path / "b.jpg"))
    found = Faults((pair, fault("odd", name=str(tmp_path / "gone.jpg"))), ("leak", "odd", "label"))
    page = write_fault_page(tmp_path / "page.html", found, "photos & <more>").read_text()
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("data:image/jpeg;base64,") == 2
    assert "photos &amp; &lt;more&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert f"{KINDS['label'][0]}: none" in page
