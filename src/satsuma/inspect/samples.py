"""Samples for the eye: pictures as the model sees them, and small JPEGs of them. H height, W width, C channels."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

from satsuma.data.show import as_picture, undone
from satsuma.data.streamed import sample_name
from satsuma.vision.image import named_bytes, open_image, open_photo
from satsuma.vision.jpeg import jpeg_header

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

SHRINKS = (8, 4, 2)  # at which a JPEG is decoded without reading all of it
LARGEST_WHOLE = 2**26  # pixels of a picture that must be decoded whole to be made small
JPEG_QUALITY = 82


def sample_batch(dls: "DataLoaders", ds_idx: int, places: Sequence[int]) -> tuple[Any, ...]:
    """The samples `places` of a loader as one batch, as validation sees them: each part [n ...] on its device.

    Raises `ValueError` for a loader or a place that there is not.
    """
    if not 0 <= ds_idx < len(dls.loaders):
        raise ValueError(f"there is no loader {ds_idx}; there are {len(dls.loaders)} (0 is training)")
    loader = dls[ds_idx]
    total = len(loader.dataset)
    outside = [place for place in places if not 0 <= place < total]
    if outside:
        raise ValueError(f"there is no sample {outside[0]}; loader {ds_idx} has {total}, counted from 0")
    chosen = Subset(loader.dataset, [int(place) for place in places])
    few = loader.new(chosen, batch_size=len(places), shuffle=False, drop_last=False, augment=False, workers=0)
    batch = few.one_batch()
    return tuple(batch) if isinstance(batch, tuple | list) else (batch,)


def picture_of(dls: "DataLoaders", ds_idx: int, i: int) -> np.ndarray:
    """Sample `i` of a loader as the model sees it, with normalisation undone: uint8 [H W 3].

    Raises `ValueError` for a sample whose first input is no picture.
    """
    return sample_pictures(dls, ds_idx, [i])[0]


def sample_pictures(dls: "DataLoaders", ds_idx: int, places: Sequence[int]) -> list[np.ndarray]:
    """`picture_of` for several samples, in one batch."""
    if not places:
        return []
    inputs = sample_batch(dls, ds_idx, places)[0]  # [n *dims]
    if not isinstance(inputs, Tensor) or not looks_like_picture(inputs[0]):
        got = f"{list(inputs.shape[1:])}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise ValueError(f"the samples are no pictures: the first input of one is {got}; expected [C H W] or [H W]")
    return [picture_bytes(as_picture(undone(dls, x))) for x in inputs]


def has_pictures(dls: "DataLoaders") -> bool:
    """Whether the first input of a sample can be shown as a picture."""
    inputs = sample_batch(dls, 0, [0])[0]
    return isinstance(inputs, Tensor) and looks_like_picture(inputs[0])


def looks_like_picture(x: Tensor) -> bool:
    """[C H W] of 1, 3 or 4 channels, [H W], or a vector whose length is a square, as of flattened digits."""
    if x.ndim == 1:
        side = round(len(x) ** 0.5)
        return bool(side > 3 and side * side == len(x))
    return x.ndim == 2 or (x.ndim == 3 and x.shape[0] in (1, 3, 4))


def picture_bytes(picture: np.ndarray) -> np.ndarray:
    """[H W] or [H W 3] float in 0..1 as uint8 [H W 3]."""
    grey = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    return np.round(grey * 255).astype(np.uint8)


def sample_names(dls: "DataLoaders", ds_idx: int) -> tuple[str, ...]:
    """What each of a loader's samples is called in messages: its file, else "sample 17"."""
    dataset = dls[ds_idx].dataset
    return tuple(sample_name(dataset, i) for i in range(len(dataset)))


def thumbnail(source: Any, side: int) -> bytes:
    """A picture as a JPEG whose longer side is `side` pixels or less; tiny ones are enlarged pixel by pixel.

    `source`: a path, bytes, or an array uint8 [H W] or [H W C]. Raises `ValueError` that names the file and says what
    is wrong with it, as for one of too many pixels; `FileNotFoundError` if there is none.
    """
    if not isinstance(source, np.ndarray):
        refuse_undecoded(source)
    photo = open_photo(source)
    longer = max(photo.height, photo.width)
    shrink = next((n for n in SHRINKS if photo.header is not None and longer >= side * n), 1)
    small = Image.fromarray(photo.pixels(3, shrink))
    if longer * 2 <= side:
        times = side // longer
        small = small.resize((photo.width * times, photo.height * times), Image.Resampling.NEAREST)
    else:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def refuse_undecoded(source: Any) -> None:
    """`ValueError` for a picture of too many pixels that could only be made small by decoding all of it.

    Its header alone is read, since other ways to learn its size may decode it.
    """
    name, raw = named_bytes(source)
    header = jpeg_header(raw)
    if header is not None and header.plain:
        return  # is decoded at a fraction of its size
    try:
        width, height = open_image(raw).size
    except Exception:  # which `open_photo` tells in words
        return
    if width * height > LARGEST_WHOLE:
        raise ValueError(
            f"{name}: {width} by {height} pixels are too many for a thumbnail; scale the picture down, or leave it out"
        )
