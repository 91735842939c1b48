"""Files that vanish or break after the check: other samples stand in, the same ones whoever loads them."""

import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.fakes import Pictures, Torn

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.broken import BrokenFiles, Mended, MendingMaker, allowed_broken
from satsuma.data.getters import parent_label
from satsuma.data.loader import DataLoader
from satsuma.data.seeds import STAND_IN, mix_seed
from satsuma.data.splitters import RandomSplitter
from satsuma.learner.learner import Learner
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.geometry import Flip
from satsuma.vision.image import get_image_files, open_photo
from satsuma.vision.loaders import ImageDataLoaders
from satsuma.vision.normalize import Normalize

N = 23  # of each class
BLOCK = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    get_items=get_image_files,
    get_y=parent_label,
    splitter=RandomSplitter(0.1, 0),
    batch_tfms=[Flip(), Normalize((0.5,) * 3, (0.3,) * 3)],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(N):
            noise = np.random.default_rng([i, kind == "cat"]).integers(0, 256, (11, 13, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "pets" / kind / f"{i:02}.png")
    return tmp_path / "pets"


def epoch_of(loader, epoch=3, start=0):
    """The batches of an epoch joined, and the texts of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = list(loader.epoch(epoch, start=start))
    return [torch.cat(column) for column in zip(*batches, strict=True)], [str(w.message) for w in caught]


def placed(loader, epoch=3):
    """Which sample stands at each place of an epoch."""
    return [i for batch in range(len(loader)) for i in loader.indices(epoch, batch)]


def test_another_sample_stands_in_and_no_other_place_changes(folder):
    loader = BLOCK.dataloaders(folder, bs=8, drop_last=False, workers=0).train
    (x, y), texts = epoch_of(loader)
    assert texts == []
    places = placed(loader)
    gone, torn = places[4], places[17]
    loader.dataset.items[gone].unlink()
    raw = loader.dataset.items[torn].read_bytes()
    loader.dataset.items[torn].write_bytes(raw[: len(raw) // 2])
    loader = loader.new(max_broken=0.05)
    (x_now, y_now), texts = epoch_of(loader)
    expected = {}
    for place, index in ((4, gone), (17, torn)):
        attempt = 1
        while (other := mix_seed(42, STAND_IN, 3, index, attempt) % len(loader.dataset)) in (gone, torn):
            attempt += 1
        expected[place] = places.index(other)
    for place in range(len(places)):
        there = expected.get(place, place)
        assert torch.equal(x_now[place], x[there])
        assert y_now[place] == y[there]
    assert len(texts) == 2
    assert f"{loader.dataset.items[gone]}: there is no such file; other training samples take its place" in texts
    assert any("damaged or cut off" in text for text in texts)
    assert set(loader.broken.reasons) == {str(loader.dataset.items[i]) for i in (gone, torn)}
    assert loader.broken.replaced == 2


@pytest.mark.parametrize(
    ("workers", "kind"), [(1, "threads"), (2, "threads"), (4, "threads"), (1, "processes"), (2, "processes")]
)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than cores
def test_workers_change_nothing(folder, workers, kind):
    loader = BLOCK.dataloaders(folder, bs=8, drop_last=False, workers=0, max_broken=0.2).train
    for i in (0, 1, 2, 5, 11):
        loader.dataset.items[i].unlink()
    other = loader.new(workers=workers, worker_kind=kind)
    whole, texts = epoch_of(loader)
    assert len(texts) == 5
    found, told = epoch_of(other)
    assert sorted(told) == sorted(texts)
    assert epoch_of(other, 4)[1] == []  # each file is told once
    assert other.broken.replaced == 2 * loader.broken.replaced == 10
    for part, same in zip(found, whole, strict=True):
        assert torch.equal(part, same)
    resumed, _ = epoch_of(other.new(), start=2)
    for part, same in zip(resumed, whole, strict=True):
        assert torch.equal(part, same[16:])


@pytest.mark.parametrize("workers", [0, 3])
def test_a_batch_made_in_parts(folder, workers):
    loader = BLOCK.dataloaders(folder, bs=64, drop_last=False, workers=0, max_broken=0.1).train
    loader.dataset.items[7].unlink()
    whole, _ = epoch_of(loader)
    parts, texts = epoch_of(loader.new(workers=workers))
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert len(texts) == 1


def test_a_file_that_is_put_back_is_read_again(folder):
    loader = BLOCK.dataloaders(folder, bs=8, workers=2).train
    before, _ = epoch_of(loader)
    file = loader.dataset.items[placed(loader)[0]]
    raw = file.read_bytes()
    file.unlink()
    without, _ = epoch_of(loader)
    assert not torch.equal(without[0], before[0])
    file.write_bytes(raw)
    again, _ = epoch_of(loader)
    assert torch.equal(again[0], before[0])
    assert loader.broken.replaced == 1


def test_a_file_that_is_whole_at_a_second_look_keeps_its_place(folder, monkeypatch):
    """As one that is being written while it is read."""
    loader = BLOCK.dataloaders(folder, bs=8, workers=0).train
    before, _ = epoch_of(loader)
    failures = [loader.dataset.items[placed(loader)[3]]] * 3  # of the batch, of the sample, of the look at it

    def torn(value):
        if value in failures:
            failures.remove(value)
            raise ValueError(f"{value}: damaged or cut off")
        return open_photo(value)

    monkeypatch.setattr("satsuma.vision.path.open_photo", torn)
    found, texts = epoch_of(loader)
    assert failures == texts == []
    assert all(torch.equal(a, b) for a, b in zip(found, before, strict=True))
    assert loader.broken.reasons == {}


def test_beyond_the_share_the_run_stops_and_names_all(folder):
    loader = BLOCK.dataloaders(folder, bs=8, drop_last=False, workers=2, max_broken=0.05).train
    files = [loader.dataset.items[i] for i in placed(loader)[5:32:9]]
    assert (len(loader.dataset), loader.broken.limit) == (41, 3)
    for file in files[:3]:
        file.unlink()
    epoch_of(loader)
    extra = loader.dataset.items[placed(loader)[40]]
    extra.write_bytes(b"")
    with pytest.raises(ValueError, match=r"4 of 41 training files cannot be read any more, and 3 may") as caught:
        list(loader.epoch(3))
    assert all(f"  {file}: there is no such file" in str(caught.value) for file in files[:3])
    assert f"  {extra}: the file is empty (0 bytes)" in str(caught.value)
    assert "max_broken=0.05" in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_that_vanishes_stops_the_run(folder, workers):
    loader = BLOCK.dataloaders(folder, bs=8, workers=workers).train
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"2 of 41 training files cannot be read any more, and 1 may"):
        list(loader.epoch(0))


def test_without_a_share_the_first_one_stops_the_run(folder):
    dls = BLOCK.dataloaders(folder, bs=8, workers=0, max_broken=0)
    file = dls.train.dataset.items[placed(dls.train, 0)[0]]
    file.unlink()
    with pytest.raises(ValueError, match=file.name):
        list(dls.train)


def test_validation_and_predictions_never_see_another_sample(folder):
    dls = BLOCK.dataloaders(folder, bs=8, workers=0, max_broken=0.5)
    assert dls.valid.max_broken == 0
    dls.valid.dataset.items[1].unlink()
    with pytest.raises(ValueError, match=r"\.png"):
        list(dls.valid)
    dls.train.dataset.items[0].unlink()
    ordered = dls.train.new(shuffle=False, augment=False)
    assert ordered.max_broken == 0
    with pytest.raises(ValueError, match=r"\.png"):
        list(ordered)
    assert dls.train.to("cpu").max_broken == 0.5
    with pytest.raises(ValueError, match="max_broken is for a loader that shuffles"):
        DataLoader(Pictures(3), max_broken=0.1)


def odd(picture):
    if picture.getpixel((0, 0)) == odd.at:
        raise OSError("no such overlay")
    return picture


def test_a_transform_or_a_label_that_fails_is_no_broken_file(folder):
    dls = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=odd)
    odd.at = None
    loader = dls.dataloaders(folder, bs=8, workers=0, max_broken=0.5).train
    first = loader.dataset.items[placed(loader)[0]]
    odd.at = Image.open(first).getpixel((0, 0))
    with pytest.raises(ValueError, match=rf"{first.name}: the item transform odd failed: no such overlay"):
        list(loader.epoch(3))
    loader = BLOCK.dataloaders(folder, bs=8, workers=0, max_broken=0.5).train
    loader.dataset.items[placed(loader)[0]] = folder / "cow" / "1.png"
    (folder / "cow").mkdir()
    shutil.copy(first, folder / "cow" / "1.png")
    with pytest.raises(ValueError, match="label 'cow' is not in the vocab"):
        list(loader.epoch(3))
    assert loader.broken.reasons == {}


def test_numbers_in_files_of_ones_own(tmp_path):
    for i in range(12):
        np.save(tmp_path / f"{i:02}.npy", np.full(3, i, np.float32))
    block = DataBlock(blocks=(TransformBlock(np.load), CategoryBlock), get_y=first_digit)
    loader = block.dataloaders(sorted(tmp_path.iterdir()), bs=4, drop_last=False, max_broken=0.1).train
    loader.dataset.items[2].unlink()
    (x, _), texts = epoch_of(loader)
    assert len(x) == len(loader.dataset)
    assert "No such file" in texts[0]


def first_digit(path):
    return path.name[0]


@pytest.mark.parametrize(("workers", "kind"), [(0, "auto"), (2, "threads"), (2, "processes")])
def test_a_data_set_of_ones_own_says_it_by_an_os_error(workers, kind):
    loader = DataLoader(Torn(9), 4, True, workers=workers, worker_kind=kind, max_broken=0.1)
    (_, y), texts = epoch_of(loader)
    assert len(y) == 9
    assert texts == ["pets/5.jpg: broken data stream; other training samples take its place"]


def test_one_batch_is_mended_too(folder):
    loader = BLOCK.dataloaders(folder, bs=8, workers=2).train
    loader.dataset.items[placed(loader, 0)[0]].unlink()
    with pytest.warns(UserWarning, match="there is no such file"):
        x, _ = loader.one_batch()
    assert len(x) == 8


def test_a_mended_batch_is_pinned_as_any():
    class Part:
        def pin_memory(self):
            return "pinned"

    assert Mended((Part(), 3), {"a": "gone"}, 1).pin_memory() == Mended(("pinned", 3), {"a": "gone"}, 1)


def test_how_many_may_break():
    assert [allowed_broken(0.01, n) for n in (1, 2, 100, 101, 1000)] == [0, 1, 1, 2, 10]
    assert allowed_broken(0, 1000) == 0
    assert allowed_broken(0.07, 100) == 7
    for share in (-0.1, 1, float("nan"), True):
        with pytest.raises(ValueError, match="max_broken is a share"):
            allowed_broken(share, 10)


def test_nothing_is_done_where_nothing_breaks(monkeypatch):
    loader = DataLoader(Pictures(9), 4, True, max_broken=0.5)
    monkeypatch.setattr(MendingMaker, "look_at", None)
    monkeypatch.setattr(loader.dataset, "sample", None)  # whole batches are made, once
    assert [len(x) for x, _ in loader.epoch(0)] == [4, 4, 1]


def test_what_is_told_in_the_end(folder, capsys):
    dls = ImageDataLoaders.from_folder(folder, bs=8, workers=0, valid_pct=0.2)
    assert dls.train.broken == BrokenFiles(1, 37)
    assert dls.train.broken.line == ""
    gone = dls.train.dataset.items[placed(dls.train, 0)[0]]
    gone.unlink()
    with pytest.warns(UserWarning, match=r"there is no such file; other training samples take its place"):
        learn = Learner(dls, "small_cnn")
    learn.fit(2, 0.01)
    lines = capsys.readouterr().out.splitlines()
    (told,) = [line for line in lines if "training file" in line]
    assert told.startswith("1 training file of 37 could not be read; other samples took their place ")
    assert told.endswith(f"times: {gone} (there is no such file)")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs a user whose rights can be taken")
def test_rights_that_are_taken_away(folder):
    """As another user than root, whom no permission binds."""
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        copied = Path(shutil.copytree(folder, Path(open_to_all) / "pets"))
        loader = BLOCK.dataloaders(copied, bs=8, workers=0).train
        file = loader.dataset.items[placed(loader)[3]]
        for path in (copied, *copied.rglob("*")):
            os.chown(path, 65534, 65534)
        assert as_nobody(told_without_rights, loader, file) == [
            f"{file}: cannot be read: Permission denied; other training samples take its place"
        ]


def told_without_rights(loader, file):
    file.chmod(0)
    return epoch_of(loader)[1]


def as_nobody(function, *arguments):
    """What `function` gives in a process of a user without rights, as JSON holds it."""
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os.write(here, json.dumps(function(*arguments)).encode())
        except BaseException as error:
            os.write(here, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(here)
    with os.fdopen(there, "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(child, 0)
    return found
