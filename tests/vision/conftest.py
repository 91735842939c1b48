import numpy as np
import pytest
from PIL import Image


def picture(seed, height=30, width=20):
    """Smooth colours that survive JPEG: uint8 [H W 3], another for each seed."""
    low = np.random.default_rng(seed).integers(0, 256, (3, 2, 3), dtype=np.uint8)
    return Image.fromarray(low).resize((width, height), Image.Resampling.BILINEAR)


@pytest.fixture
def make_picture():
    return picture


@pytest.fixture
def make_folder(tmp_path):
    """Writes small JPEGs, each another, at the paths given below a fresh folder; gives the folder."""

    def make(*names):
        for seed, name in enumerate(names):
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed).save(path, quality=95)
        return tmp_path / "images"

    return make
