"""What kind of data is open: which targets, which classes, and whether samples can be shown as pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from satsuma.data.blocks import CategoryBlock, RegressionBlock
from satsuma.data.multi_category import MultiCategoryBlock, label_names
from satsuma.data.samples import Samples, get_value
from satsuma.inspect.samples import has_pictures
from satsuma.vision.blocks import ImageBlock
from satsuma.workbench.subjects import Subject

if TYPE_CHECKING:
    from satsuma.data.dataloaders import DataLoaders

KINDS_OF_TARGET = (("category", CategoryBlock), ("multi", MultiCategoryBlock), ("regression", RegressionBlock))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`kind`: "category", "multi", "regression", or "none" for targets that are no label. `classes`: as text."""

    kind: str
    classes: tuple[str, ...]
    pictures: bool

    @property
    def labelled(self) -> bool:
        """Whether a sample's label is one class or several."""
        return self.kind in ("category", "multi")


def traits_of(subject: Subject) -> Traits:
    """The traits of a subject's data; raises `Waiting` as its parts do."""
    dls = subject.dls()
    found: Traits = subject.part("traits", lambda: read_traits(dls))
    return found


def read_traits(dls: "DataLoaders") -> Traits:
    block = dls.targets[0] if dls.targets else None
    kind = next((name for name, made in KINDS_OF_TARGET if isinstance(block, made)), "none")
    classes = tuple(str(name) for name in block.vocab) if isinstance(block, CategoryBlock | MultiCategoryBlock) else ()
    return Traits(kind=kind, classes=classes, pictures=isinstance(dls.blocks[0], ImageBlock) or has_pictures(dls))


def labels_of(subject: Subject, traits: Traits, half: int, i: int) -> list[str]:
    """A sample's labels as they stand in the data, each as text."""
    if traits.kind != "multi":
        return [subject.items(half).labels[i]]
    dls = subject.dls()
    dataset, block = dls[half].dataset, dls.targets[0]
    if not isinstance(dataset, Samples) or not isinstance(block, MultiCategoryBlock):
        return [str(name) for name in dls.targets[0].decode(dataset[i][dls.n_inp])]
    value = get_value(dataset.getters[dls.n_inp], dataset.items[i])
    if block.encoded:
        return [name for name, there in zip(traits.classes, value, strict=True) if there]
    return [str(name) for name in label_names(value)]
