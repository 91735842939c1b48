"""The batch that a run is training, made once more: its samples and draws follow from the seed, epoch and place."""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from satsuma.data.show import as_picture, title, undone
from satsuma.inspect.samples import looks_like_picture, picture_bytes, thumbnail
from satsuma.workbench.items import Items, is_outside

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

SHOWN, SIDE = 16, 112  # pictures of a batch, and pixels of their longer side


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPictures:
    """Some pictures of a batch of `total` samples, each `{"jpeg": base64, "label": text}`."""

    pictures: list[dict[str, str]]
    total: int


def batch_pictures(dls: "DataLoaders", epoch: int, batch: int, items: Items | None = None) -> BatchPictures:
    """The first `SHOWN` samples of a training batch as the model sees them; none where they are no pictures.

    `items`: the training half's; of these, files that are links out of the data's folder are left out.
    """
    made: Any = dls.train.one_batch(epoch, batch)
    parts = made if isinstance(made, tuple) else (made,)
    inputs = parts[0]
    if not isinstance(inputs, Tensor) or not looks_like_picture(inputs[0]):
        return BatchPictures(pictures=[], total=len(parts[0]))
    found = []
    places = dls.train.indices(epoch, batch)
    for i in range(min(SHOWN, len(inputs))):
        if items is not None and is_outside(dls, items, places[i]):
            continue
        picture = picture_bytes(as_picture(undone(dls, inputs[i])))
        jpeg = base64.b64encode(thumbnail(picture, SIDE)).decode()
        found.append({"jpeg": jpeg, "label": title(dls, parts, i).encode("utf-8", "replace").decode()})
    return BatchPictures(pictures=found, total=len(inputs))
