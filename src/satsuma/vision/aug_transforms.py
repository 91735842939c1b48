"""`aug_transforms`: the usual augmentations of photos, as a list."""

from collections.abc import Callable, Sequence
from typing import Any

from satsuma.errors import spelled
from satsuma.vision.geometry import Dihedral, Flip, RandomResizedCrop, Resize, Rotate, Zoom
from satsuma.vision.lighting import Brightness, Contrast
from satsuma.vision.perspective import Warp


@spelled
def aug_transforms(
    mult: float = 1.0,
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    size: int | tuple[int, int] | None = None,
    pad_mode: str = "reflection",
    min_scale: float = 1.0,
) -> list[Any]:
    """Flip, perspective, rotation, zoom, brightness and contrast: with the draws of fastai 2.

    `mult` scales `max_rotate` (degrees), `max_warp` (of half a side) and `max_lighting`; `p_affine` and `p_lighting`
    are each one's probability. `flip_vert` flips and turns by quarters too. `size` is the final size: squished to it,
    or, with a `min_scale` below 1, random square crops of at least that share of the picture. `xtra_tfms` follow.

    After `Resize(460)` as an item transform this is presizing (J. Howard and S. Gugger, Deep Learning for Coders, 2020,
    chapter 5), but all of it is one warp from the photo to `size`.

    >>> aug_transforms(max_rotate=0, max_warp=0, max_lighting=0)
    [Flip(p=0.5), Zoom(min_zoom=1.0, max_zoom=1.1, p=0.75, pad_mode='reflection')]
    """
    transforms: list[Any] = []
    if do_flip:
        transforms.append(Dihedral(p=0.5) if flip_vert else Flip(p=0.5))
    if max_warp * mult:
        transforms.append(Warp(magnitude=max_warp * mult, p=p_affine, pad_mode=pad_mode))
    if max_rotate * mult:
        transforms.append(Rotate(max_deg=max_rotate * mult, p=p_affine, pad_mode=pad_mode))
    if min_zoom < 1 or max_zoom > 1:
        transforms.append(Zoom(min_zoom=min_zoom, max_zoom=max_zoom, p=p_affine, pad_mode=pad_mode))
    if size is not None and min_scale == 1:
        transforms.append(Resize(size, method="squish"))
    if max_lighting * mult:
        transforms.append(Brightness(max_lighting=max_lighting * mult, p=p_lighting))
        transforms.append(Contrast(max_lighting=max_lighting * mult, p=p_lighting))
    if min_scale != 1:
        if size is None:
            raise ValueError(f"aug_transforms: min_scale={min_scale} takes crops, and needs their size=")
        transforms.append(RandomResizedCrop(size, min_scale=min_scale, ratio=(1.0, 1.0)))
    extra = () if xtra_tfms is None else (xtra_tfms,) if callable(xtra_tfms) else tuple(xtra_tfms)
    return transforms + list(extra)
