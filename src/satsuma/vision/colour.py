"""All colour work on a picture as one look-up: tone (brightness, contrast), mixing (saturation, hue), normalising.

Whatever the order in which they are asked for, they act in this order: tone on each value alone, then mixing of the
channels, then normalising. Tone is a straight line in logit space, so any number of tones is one scale and one shift;
mixing is a matrix; normalising goes into the table, or, where channels mix, into the matrix.
B batch, C channels, H height, W width.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from satsuma.data.seeds import sample_generators
from satsuma.vision.settings import refuse_generator

EPS = 1e-7  # logits of 0 and 1 are infinite: values are kept this far away, as fastai does
VALUES = np.arange(256) / 255
LOGITS = np.log(np.clip(VALUES, EPS, 1 - EPS)) - np.log1p(-np.clip(VALUES, EPS, 1 - EPS))  # of the 256 values


@dataclass(frozen=True, slots=True)
class ColourMap:
    """What happens to the colours of a picture: uint8 [H W C] to float32 [H W C]; /255 if nothing else is asked for.

    `scale`, `shift`: tone, `sigmoid(scale * logit(value / 255) + shift)`. `mixing`: 9 numbers, row by row, from RGB to
    RGB, none where channels do not mix; mixed values may lie outside 0..1. `mean`, `std`: by channel, taken off and
    divided by at the end. Tone and mixing leave the fourth channel, transparency, alone.

    >>> lighter = plain_colours(1).toned(1.0, shift=1.3863)
    >>> round(lighter.apply(np.full((2, 3, 1), 51, np.uint8))[0, 0, 0].item(), 3)  # 51 is 0.2
    0.5
    """

    channels: int
    scale: float = 1.0
    shift: float = 0.0
    mixing: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def toned(self, scale: float, shift: float) -> "ColourMap":
        """This, then `scale * logit + shift`: contrast is a scale, brightness a shift."""
        scale, shift = self.scale * scale, self.shift * scale + shift
        return ColourMap(self.channels, scale, shift, self.mixing, self.mean, self.std)

    def mixed(self, matrix: np.ndarray) -> "ColourMap":
        """This, then a matrix [3 3] on RGB. A picture of one channel has nothing to mix."""
        if self.channels < 3:
            return self
        before = np.reshape(self.mixing, (3, 3)) if self.mixing else np.eye(3)
        return replace(self, mixing=tuple((matrix @ before).ravel().tolist()))

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "ColourMap":
        """This, then `(value - mean) / std`, by channel or one for all."""
        mean, std = spread_over(mean, self.channels), spread_over(std, self.channels)
        if self.std:  # (x - m) / s again with m2, s2 is (x - m - s m2) / (s s2)
            mean = tuple(m + s * m2 for m, s, m2 in zip(self.mean, self.std, mean, strict=True))
            std = tuple(s * s2 for s, s2 in zip(self.std, std, strict=True))
        return ColourMap(self.channels, self.scale, self.shift, self.mixing, mean, std)

    def apply(self, picture: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Map `picture`, uint8 [H W C], to float32 [H W C]: into `out`, contiguous, if given."""
        refuse_picture("ColourMap", picture, self.channels)
        if out is None:
            out = np.empty(picture.shape, np.float32)
        elif out.dtype != np.float32 or out.shape != picture.shape or not out.flags.c_contiguous:
            raise ValueError(f"ColourMap: out is {out.dtype} {out.shape}, expected contiguous float32 {picture.shape}")
        return self.write(picture, out)

    def write(self, picture: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Map `picture`, uint8 [H W C], into `out`, contiguous float32 [H W C], which it gives."""
        cv2.LUT(picture, self.table()[None], out)
        if self.mixing:
            cv2.transform(out, self.mixing_matrix(), out)
        return out

    def as_uint8(self, picture: np.ndarray) -> np.ndarray:
        """Map `picture` and bring it back to uint8, rounded, clipped, without normalising: for what wants a picture."""
        bare = replace(self, mean=(), std=())
        if bare == plain_colours(self.channels):
            return picture
        if not self.mixing:
            refuse_picture("ColourMap", picture, self.channels)
            table = np.rint(bare.table() * 255).astype(np.uint8)
            return cv2.LUT(picture, table[None]).reshape(picture.shape)
        found = bare.apply(picture)
        np.multiply(found, 255, out=found)
        np.rint(found, out=found)
        whole: np.ndarray = np.clip(found, 0, 255, out=found).astype(np.uint8)
        return whole

    def table_and_matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """The same for `colour_on_device`: float32 [256 C], and [C C+1], the identity where no channels mix."""
        table = np.ascontiguousarray(np.broadcast_to(self.table(), (256, self.channels)))
        unmixed = np.eye(self.channels, self.channels + 1, dtype=np.float32)
        return table, self.mixing_matrix() if self.mixing else unmixed

    def table(self) -> np.ndarray:
        """What each of the 256 values becomes, before channels mix: float32 [256 C].

        Where all channels have the same table it is [256 1], which OpenCV looks up in half the time.
        """
        columns = self.curve()[:, None]  # [256 1]
        if self.channels == 4:
            columns = np.hstack((columns, columns, columns, VALUES[:, None]))
        if self.std and not self.mixing:
            columns = (columns - np.array(self.mean)) * (1 / np.array(self.std))
        return columns.astype(np.float32)

    def mixing_matrix(self) -> np.ndarray:
        """Mixing and normalising, float32 [C C+1]."""
        matrix = np.eye(self.channels, self.channels + 1)
        matrix[:3, :3] = np.reshape(self.mixing, (3, 3))
        if self.std:
            matrix[:, -1] = -np.array(self.mean)
            matrix /= np.array(self.std)[:, None]
        return matrix.astype(np.float32)

    def curve(self) -> np.ndarray:
        """The 256 values after tone, float64 [256] in 0..1."""
        if self.scale == 1 and self.shift == 0:
            return VALUES
        toned: np.ndarray = np.tanh(LOGITS * (self.scale / 2) + self.shift / 2) / 2 + 0.5  # the sigmoid; no overflow
        return toned


def plain_colours(channels: int) -> ColourMap:
    """The map that only divides by 255."""
    return ColourMap(channels)


def spread_over(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One value for each channel: `values` themselves, or the only one again and again."""
    if len(values) not in (1, channels):
        raise ValueError(f"Normalize: {len(values)} channel means for images of {channels} channels")
    return values if len(values) == channels else values * channels


def refuse_picture(name: str, picture: Any, channels: int | None = None) -> None:
    """Raise the error that says what a picture's array should look like, unless `picture` is uint8 [H W C]."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        raise TypeError(f"{name}: expected a uint8 array, got {getattr(picture, 'dtype', type(picture).__name__)}")
    if picture.ndim != 3 or picture.shape[2] != (channels or picture.shape[2]) or picture.shape[2] not in (1, 3, 4):
        wanted = "1, 3 or 4" if channels is None else channels
        raise ValueError(f"{name}: expected a picture [H W C] of {wanted} channels, got {list(picture.shape)}")
    if picture.size == 0:
        got = list(picture.shape)
        raise ValueError(f"{name}: expected a picture of one pixel or more, got {got}; look at what cropped it")


def refuse_batch(name: str, batch: Tensor) -> None:
    """Raise the error that says what a batch should look like, unless `batch` is float [B C H W] of 1, 3 or 4."""
    if batch.ndim != 4 or batch.shape[1] not in (1, 3, 4) or not batch.is_floating_point():
        hint = "" if batch.is_floating_point() else "; use batch.float() / 255"
        raise ValueError(
            f"{name}: expected a float batch [B C H W] of 1, 3 or 4 channels, got {list(batch.shape)} of "
            f"{batch.dtype}{hint}"
        )


def colour_on_device(pixels: Tensor, tables: Tensor, matrices: Tensor | None = None) -> Tensor:
    """`ColourMap.apply` for a batch where it lies: uint8 [B H W C] to float32 [B C H W], channels last.

    tables: float32 [B 256 C], each sample's own. matrices: float32 [B C C+1]; None where no sample's channels mix.
    """
    b, h, w, c = pixels.shape
    offset = torch.arange(c, device=pixels.device)  # [C]
    places = pixels.reshape(b, h * w, c).int() * c + offset  # the place in a table's 256*C numbers
    start = torch.arange(b, device=pixels.device)[:, None, None] * (256 * c)
    colours = tables.reshape(-1)[places + start]  # [B H*W C]
    if matrices is not None:
        colours = torch.baddbmm(matrices[:, None, :, -1], colours, matrices[:, :, :-1].transpose(1, 2))
    return colours.reshape(b, h, w, c).permute(0, 3, 1, 2)


def colours_on_floats(x: Tensor, maps: list[ColourMap]) -> Tensor:
    """`ColourMap.apply` for a batch that is no longer bytes: float [B C H W] in 0..1 to the same shape."""
    c = x.shape[1]
    shades = min(c, 3)  # transparency keeps its tone
    tones = torch.tensor([(m.scale, m.shift) for m in maps], dtype=x.dtype, device=x.device)
    scale, shift = tones[:, 0].reshape(-1, 1, 1, 1), tones[:, 1].reshape(-1, 1, 1, 1)
    toned = torch.sigmoid(torch.logit(x[:, :shades].clamp(EPS, 1 - EPS), eps=EPS) * scale + shift)
    y = torch.where((scale == 1) & (shift == 0), x[:, :shades], toned)
    if any(m.mixing for m in maps):
        mixing = np.stack([np.reshape(m.mixing or np.eye(3), (3, 3)) for m in maps])
        y = torch.einsum("bij,bjhw->bihw", torch.as_tensor(mixing, dtype=x.dtype, device=x.device), y)
    y = torch.cat((y, x[:, shades:]), 1) if c > shades else y
    mean = torch.tensor([m.mean or (0.0,) * c for m in maps], dtype=x.dtype, device=x.device)[..., None, None]
    std = torch.tensor([m.std or (1.0,) * c for m in maps], dtype=x.dtype, device=x.device)[..., None, None]
    return (y - mean) / std


def coloured_alone(transform: Any, picture: Any, rng: Any = None) -> Any:
    """A colour transform on its own: `picture` as given, with its colours changed.

    picture: PIL image or uint8 array [H W] or [H W C], with `rng` a NumPy generator; or float batch [B C H W] in 0..1,
    with `rng` a torch generator, from which each sample has a draw of its own. The kind that goes in comes out.
    """
    if isinstance(picture, Tensor):
        refuse_batch(type(transform).__name__, picture)
        refuse_generator(transform, rng, batch=True)
        plain = plain_colours(picture.shape[1])
        maps = [transform.colour(plain, own) for own in sample_generators(rng, len(picture))]
        return picture if all(m == plain for m in maps) else colours_on_floats(picture, maps)
    pixels = picture_pixels(type(transform).__name__, picture)
    refuse_generator(transform, rng, batch=False)
    return like_picture(transform.colour(plain_colours(pixels.shape[2]), rng).as_uint8(pixels), pixels, picture)


def picture_pixels(name: str, picture: Any) -> np.ndarray:
    """The uint8 [H W C] of a PIL image or an array; `name` is who asks, for the error."""
    if isinstance(picture, Image.Image) and picture.mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"{name}: an image of mode {picture.mode}; expected L, RGB or RGBA. Use image.convert('RGB')")
    if not isinstance(picture, Image.Image | np.ndarray):
        got = type(picture).__name__
        raise TypeError(
            f"{name}: expected a PIL image, a uint8 array or a float batch [B C H W], got {got}; "
            f"read a file by read_image(path)"
        )
    pixels = np.asarray(picture)
    pixels = np.ascontiguousarray(pixels[..., None] if pixels.ndim == 2 else pixels)
    refuse_picture(name, pixels)
    return pixels


def like_picture(result: np.ndarray, pixels: np.ndarray, picture: Any) -> Any:
    """`result` [H W C] in the kind and shape of `picture`; `picture` itself where nothing became of its `pixels`."""
    if result is pixels:
        return picture
    whole = result[..., 0] if result.shape[2] == 1 and np.asarray(picture).ndim == 2 else result
    return Image.fromarray(whole) if isinstance(picture, Image.Image) else whole
