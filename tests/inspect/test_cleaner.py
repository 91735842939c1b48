"""`ImageClassifierCleaner`: the worst images of a class, and edits of them by number or key."""

import csv
import html.parser

import numpy as np
import pytest
from PIL import Image
from torch import nn

import satsuma as sm
from satsuma.inspect.cleaner import ImageClassifierCleaner
from satsuma.inspect.journal import Journal

SHADES = {"black": 20, "white": 220}
PLANTED = ("black/00.png", "white/03.png")  # which are white and black


def painted(folder):
    for name, shade in SHADES.items():
        (folder / name).mkdir(parents=True)
        for i in range(10):
            key = f"{name}/{i:02}.png"
            noise = np.random.default_rng(i + 50 * (key in PLANTED)).integers(0, 20, (9, 9))
            Image.fromarray((noise + (240 - shade if key in PLANTED else shade)).astype(np.uint8)).save(folder / key)
    return folder


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    folder = painted(tmp_path_factory.mktemp("data") / "shades")
    dls = sm.ImageDataLoaders.from_folder(folder, channels=1, bs=4, workers=0, valid_pct=0.5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(81, 2))
    made = sm.Learner(dls, model, lr=0.05, seed=3, progress=False)
    made.fit(6)
    return made


@pytest.fixture
def cleaner(learn, tmp_path):
    return ImageClassifierCleaner(learn, edits=tmp_path / "edits.jsonl", half="train")


class Pictures(html.parser.HTMLParser):
    """The alternative texts of the pictures of a page; there is nothing that runs in it."""

    def __init__(self):
        super().__init__()
        self.alts = []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object")
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "img":
            self.alts.append(dict(attrs)["alt"])


def shown(cleaner):
    found = Pictures()
    found.feed(cleaner._repr_html_())
    return found.alts


def planted_in(cleaner):
    return [number for number in range(len(cleaner)) if cleaner.key(number) in PLANTED]


def test_the_worst_images_of_a_class_and_half_come_first(learn, cleaner):
    for half in ("train", "valid"):
        for name in SHADES:
            cleaner.show(name, half)
            keys = cleaner.keys(range(len(cleaner)))
            assert all(key.startswith(name) for key in keys)
            planted = planted_in(cleaner)
            assert planted in ([], [0])
            alts = shown(cleaner)
            assert len(alts) == len(cleaner) == len(keys)
            assert alts[0].startswith(f"0: labelled {name}; the model says ")
    everything = [len(cleaner.show(half=half, most=100)) for half in ("train", "valid")]
    assert sum(everything) == 20
    assert len(cleaner.show(most=3)) == 3


def test_edits_go_to_the_journal_and_are_shown(cleaner, tmp_path):
    cleaner.show("black", "train", most=4).relabel(0, "white", why="bright").exclude([1, 2]).move(3, "valid")
    now = Journal(tmp_path / "edits.jsonl").now()
    keys = cleaner.keys(range(4))
    assert [now[key].label for key in keys] == ["white", None, None, None]
    assert [now[key].excluded for key in keys] == [False, True, True, False]
    assert now[keys[3]].half == "valid"
    alts = shown(cleaner)
    assert alts[0].startswith("0: now white; labelled black")
    assert alts[1].startswith("1: left out; labelled black")
    assert alts[3].startswith("3: to valid; labelled black")
    assert "4 edits in force" in repr(cleaner)
    line = cleaner.edits.history()[0]
    assert (line.was, line.to, line.why) == ("black", "white", "bright")
    assert cleaner.undo().key == keys[3]
    assert cleaner.undo().key == keys[2]
    assert cleaner.redo().key == keys[2]
    cleaner.include(1)
    assert [key in cleaner.edits.now() for key in keys] == [True, False, True, False]
    # they hold for who comes later, and when other images are looked at
    again = ImageClassifierCleaner(cleaner.learn, "black", "train", edits=tmp_path / "edits.jsonl")
    assert shown(again)[0].startswith("0: now white")
    again.show("white").exclude(keys[0])
    assert cleaner.edits.now()[keys[0]].excluded


def test_training_with_the_edits_knows_better(learn, cleaner, tmp_path):
    for half in ("train", "valid"):
        for name, other in (("black", "white"), ("white", "black")):
            cleaner.show(name, half).relabel(planted_in(cleaner), other)
    dls = cleaner.dataloaders()
    mended = sm.Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(81, 2)), lr=0.05, seed=3, progress=False)
    mended.fit(6)
    assert mended.validate().loss < learn.validate().loss
    with cleaner.save(tmp_path / "labels.csv").open(newline="") as opened:
        rows = {row["file"]: row for row in csv.DictReader(opened)}
    assert [rows[key]["label"] for key in PLANTED] == ["white", "black"]
    assert len(rows) == 20
    assert cleaner.save(tmp_path / "shown.png").stat().st_size > 1000


def test_what_is_not_there_is_refused(cleaner, tmp_path):
    for call, message in [
        (lambda: cleaner.show("grey"), "no class 'grey'"),
        (lambda: cleaner.show("blak"), "did you mean 'black'"),
        (lambda: cleaner.show(half="test"), "half is "),
        (lambda: cleaner.exclude(99), "there is no image 99: 20|10 are shown"),
        (lambda: cleaner.exclude(-1), "there is no image -1"),
        (lambda: cleaner.exclude("black/99.png"), "no image 'black/99.png' in train"),
        (lambda: cleaner.relabel(0, ""), "a label is text"),
        (lambda: cleaner.relabel(0, ["black", "white"]), "an image has one class here"),
        (lambda: cleaner.show(most=0), "most is how many images to show, 1 or more"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    for which in (None, True, 1.5, slice(2)):
        with pytest.raises(TypeError, match="an image is called by its number here or its key"):
            cleaner.exclude(which)
    assert not len(cleaner.edits)
    arrays = sm.DataLoaders.from_arrays(np.zeros((5, 2), np.float32), [0, 1, 0, 1, 0])
    with pytest.raises(ValueError, match="made without one, such as by from_arrays"):
        ImageClassifierCleaner(sm.Learner(arrays, nn.Linear(2, 2), progress=False), edits=tmp_path / "e.jsonl")


def test_the_journal_lies_in_the_run_s_folder(learn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ImageClassifierCleaner(learn).edits.file.name == "edits.jsonl"
    assert not (tmp_path / "edits.jsonl").exists()
    monkeypatch.setattr(learn, "run_dir", tmp_path / "runs" / "x")
    assert ImageClassifierCleaner(learn).edits.file == tmp_path / "runs" / "x" / "edits.jsonl"


def test_text_in_a_class_name_stays_text(tmp_path):
    name = "<script>alert(1)</script>"
    folder = painted(tmp_path / "shades")
    file = folder / "white" / "01.png"
    rows = [(path, name if path == file else path.parent.name) for path in sorted(folder.rglob("*.png"))]
    files, labels = zip(*rows, strict=True)
    dls = sm.ImageDataLoaders.from_lists(files, labels, channels=1, bs=4, workers=0, valid_pct=0.0)
    learn = sm.Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(81, 3)), seed=3, progress=False)
    cleaner = ImageClassifierCleaner(learn, name, "train", edits=tmp_path / "edits.jsonl")
    assert shown(cleaner)[0].startswith(f"0: labelled {name}; the model says ")
    cleaner.relabel(0, "<b onclick='x'>")
    assert shown(cleaner)[0].startswith("0: now <b onclick='x'>;")


def test_several_labels(tmp_path):
    rows = [(np.full((9, 9), 20 * i, np.uint8), tags) for i, tags in enumerate([["x"], ["x", "y"], [], ["y"]])]
    blocks, split = (sm.ImageBlock(channels=1), sm.MultiCategoryBlock), sm.IndexSplitter([3])
    dls = sm.DataBlock(blocks=blocks, splitter=split).dataloaders(rows, bs=1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(81, 2))
    learn = sm.Learner(dls, model, loss_func=sm.binary_cross_entropy, seed=3, progress=False)
    cleaner = ImageClassifierCleaner(learn, half="train", edits=tmp_path / "edits.jsonl")
    cleaner.relabel("1", ["y"])
    (line,) = cleaner.edits.history()
    assert (line.key, line.was, line.to) == ("1", ("x", "y"), ("y",))
