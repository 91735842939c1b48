"""Runs on pictures: of every kind of file, with every kind of transform, a script gives the library's numbers."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.peel import yours
from tests.peel.digits import picture_folder
from tests.peel.recipes import learner
from tests.peel.run_script import run_script
from tests.peel.trained import assert_reproduces, ruff, saved

import satsuma as sm


def odd_files(folder: Path) -> Path:
    """Three classes of files of many kinds: turned by EXIF, grey, with a palette, of 16 bits, of four colours."""
    rng = np.random.default_rng(4)
    place = 0
    for kind in ("turned", "modes", "formats"):
        (folder / kind).mkdir(parents=True)

    def photo() -> Image.Image:
        height, width = rng.integers(40, 90, 2).tolist()
        return Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )

    for orientation in (1, 2, 3, 4, 5, 6, 7, 8, 0, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo().save(folder / "turned" / f"{orientation}.{'tif' if orientation == 7 else 'jpg'}", exif=exif, quality=90)
    for mode in ("L", "CMYK", "RGB"):
        photo().convert(mode).save(folder / "modes" / f"{mode}.jpg")
    for mode in ("1", "P", "RGBA", "LA"):
        photo().convert(mode).save(folder / "modes" / f"{mode}_{place}.png")
    deep = rng.integers(0, 65536, (50, 60), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "modes" / "deep.png")
    Image.fromarray((deep / 65536).astype(np.float32)).save(folder / "modes" / "float.tif")
    for ending in ("png", "bmp", "gif", "webp", "tif", "ppm", "jfif"):
        photo().save(folder / "formats" / f"photo.{ending}")
    large = Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8))
    for name in ("large.jpg", "large.png"):
        large.save(folder / "formats" / name)
    return folder


def usual(folder):
    tfms = [*sm.aug_transforms(size=24, min_scale=0.6), sm.Normalize()]
    return sm.ImageDataLoaders.from_folder(odd_files(folder), bs=8, seed=3, item_tfms=sm.Resize(40), batch_tfms=tfms)


def grey_and_black(folder):
    """One channel, names by a regular expression, black beside the photos, quarter turns; no threads."""
    files = sm.get_image_files(picture_folder(folder, odd_sizes=True))
    for file in files:
        file.rename(folder / f"{file.parent.name}-{file.name}")
    tfms = sm.aug_transforms(flip_vert=True, pad_mode="zeros", max_warp=0)
    return sm.ImageDataLoaders.from_name_re(
        folder,
        r"digit_(\d)-",
        bs=8,
        seed=3,
        channels=1,
        item_tfms=sm.Resize(20, method="pad"),
        batch_tfms=tfms,
        workers=0,
    )


def effects_and_colours(folder):
    """Effects on pixels, mixed colours, the same transform twice, normalised twice; numbers to predict; a user's."""
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.RegressionBlock),
        get_items=sm.get_image_files,
        get_y=yours.number_of,
        splitter=sm.RandomSplitter(0.25, seed=3),
        item_tfms=[sm.Flip(p=0.3), yours.Slipped(), sm.CropPad(24), sm.RandomErasing(), sm.Flip(p=0.6)],
        batch_tfms=[sm.Saturation(), sm.Hue(), sm.Normalize((0.5,), (0.5,)), sm.Normalize(), sm.RandomNoise()],
    )
    return block.dataloaders(picture_folder(folder), bs=8, seed=3, workers=1, drop_last=False)


def listed_files(folder):
    """Files and labels in lists, nothing random, all of one size, kept in memory; no validation."""
    files = sm.get_image_files(picture_folder(folder))
    return sm.ImageDataLoaders.from_lists(
        files, [file.parent.name for file in files], bs=16, seed=3, valid_pct=0.0, cache="pixels"
    )


RUNS = {made.__name__: made for made in (usual, grey_and_black, effects_and_colours, listed_files)}


def trained(dls):
    x, _ = dls.train.one_batch()
    outputs = 1 if isinstance(dls.block.blocks[1], sm.RegressionBlock) else len(dls.vocab)
    learn = learner(dls, functools.partial(sm.small_cnn, x.shape[1], outputs, width=4))
    learn.fit(2, 0.01)
    return learn


@pytest.mark.parametrize("name", RUNS)
def test_a_script_gives_the_librarys_numbers(name, tmp_path):
    learn = trained(RUNS[name](tmp_path / "pictures"))
    script = learn.peel("torch")
    assert "class Samples" not in script.text, "the usual run does without the library's data sets"
    file = saved(script, tmp_path / "script")
    assert ruff(file, "check") == ""
    assert_reproduces(learn, run_script(file), 0.0)


def test_foreign_transforms_are_made_by_the_librarys_own_data_set(tmp_path):
    folder = picture_folder(tmp_path / "pictures")
    tfms = [sm.Resize(16), yours.speckled]
    learn = trained(sm.ImageDataLoaders.from_folder(folder, bs=16, seed=3, item_tfms=tfms))
    script = learn.peel("torch")
    assert "class Samples" in script.text
    assert_reproduces(learn, run_script(saved(script, tmp_path / "script")), 0.0)


def test_loaders_that_change_are_each_made_as_they_were(tmp_path):
    """What holds of the first pictures need not hold of the next: other sizes, borders, colours."""
    folder = picture_folder(tmp_path / "pictures")
    first = sm.ImageDataLoaders.from_folder(folder, bs=16, seed=3, item_tfms=sm.Resize(8), batch_tfms=sm.Normalize())
    tfms = [sm.Dihedral(p=1.0), sm.Warp(p=1.0, pad_mode="zeros"), sm.Normalize((0.5,), (0.3,))]
    learn = learner(first, functools.partial(sm.small_cnn, 3, 3, width=4))
    learn.fit(1, 0.01)
    learn.dls = sm.ImageDataLoaders.from_folder(folder, bs=16, seed=3, item_tfms=sm.Resize(12), batch_tfms=tfms)
    learn.fit(1, 0.01)
    assert_reproduces(learn, run_script(saved(learn.peel("torch"), tmp_path / "script")), 0.0)
