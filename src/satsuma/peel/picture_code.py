"""The code that makes batches of pictures from files, where all transforms are ours and each sample has one label.

What is an algorithm (placing, warping, colouring, decoding) is lifted from the library. What only holds it together is
written here for the run: no caches, no processes, no other kinds of source.
"""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from satsuma.data.blocks import CategoryBlock
from satsuma.data.edits import EditedLabel
from satsuma.data.getters import using_attr
from satsuma.data.loader import DataLoader
from satsuma.data.paths import LabelPath
from satsuma.data.samples import Samples, get_value, identity
from satsuma.data.seeds import SAMPLE, epoch_order, numpy_generator
from satsuma.data.streamed import Streamed
from satsuma.peel.method_code import method_code, snake_case
from satsuma.peel.unroll import indented
from satsuma.peel.words import Words
from satsuma.vision.colour import ColourMap, spread_over
from satsuma.vision.frame import codec_shrink, whole_frame
from satsuma.vision.image import ORIENTATION, to_mode, upright_size
from satsuma.vision.jpeg import jpeg_pixels, upright_pixels
from satsuma.vision.normalize import Normalize
from satsuma.vision.path import ImagePath, acts_by
from satsuma.vision.warp import box_filtered, warp

LOAD = '''\
def load_picture(file: str | Path, rng: np.random.Generator | None) -> tuple[np.ndarray, ColourMap]:
    """The picture of a file, uint8 [H W {channels}], and what is left to do to its colours; random with `rng` only."""
    raw = Path(file).read_bytes()
    image = Image.open(io.BytesIO(raw))
    width, height = upright_size(image)
    frame, colours = whole_frame(height, width), {colours}
{transforms}
    shrink = codec_shrink(frame)
    picture = warp(decoded(raw, image, shrink), frame, shrink=shrink)
{effects}
    return picture, colours
'''

DECODED = '''\
def decoded(raw: bytes, image: Image.Image, shrink: int) -> np.ndarray:
    """The upright pixels of a file at 1/`shrink` of its size, uint8 [H W {channels}]."""
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        try:
            pixels = jpeg_pixels(raw, image.height, image.width, {channels}, shrink)
            return upright_pixels(pixels, image.getexif().get(ORIENTATION, 1))
        except ValueError:
            pass  # Pillow reads more
    pixels = np.array(to_mode(image, {channels})){plane}
    height, width = pixels.shape[:2]
    return pixels if shrink == 1 else box_filtered(pixels, (0, width), (0, height), shrink, shrink)
'''

PICTURES = '''\
@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Batches of pictures x float32 [B {channels} H W], channels last, and {targets}."""

    items: list[{kind}]{labels}
    batch_size: int
    seed: int
{fields}

    def __len__(self) -> int:
        return {length}

    def batch(self, indices: list[int], epoch: int) -> tuple[Tensor, Tensor]:
        """What is random depends on (seed, epoch, index) alone, not on the thread that makes the batch."""
        rngs = [numpy_generator(self.seed, SAMPLE, epoch, i) if {augment} else None for i in indices]
        loaded = [load_picture({file}, rng) for i, rng in zip(indices, rngs, strict=True)]
        pictures = np.stack([picture for picture, _ in loaded])  # uint8 [B H W {channels}]
        x = np.empty(pictures.shape, np.float32)
        for place, (_, colours) in enumerate(loaded):
            colours.write(pictures[place], x[place])
        return torch.from_numpy(x).permute(0, 3, 1, 2), {target}

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of one epoch from batch `start` on{ahead}."""
        n, size = len(self.items), self.batch_size
        order = epoch_order(n, self.seed, epoch).tolist() if {shuffle} else list(range(n))
        takes = [order[i * size : (i + 1) * size] for i in range(start, len(self))]
{loop}
'''

IN_TURN = """\
for take in takes:
    yield self.batch(take, epoch)"""

AHEAD = """\
with ThreadPoolExecutor({workers}) as pool:
    waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
    for take in takes:
        waiting.append(pool.submit(self.batch, take, epoch))
        if len(waiting) > {most}:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()"""


WHOLE, ROUNDED_UP = "len(self.items) // self.batch_size", "-(-len(self.items) // self.batch_size)"
IMPORTS = {
    "from collections import deque",
    "from collections.abc import Iterator",
    "from concurrent.futures import Future, ThreadPoolExecutor",
    "from dataclasses import dataclass",
    "from pathlib import Path",
    "from torch import Tensor",
    "from typing import Any",
}


def has_plain_pictures(dls: Any) -> bool:
    """Whether the loaders give pictures of files with one label each, made by our own transforms on this machine."""
    loaders = [loader for loader in (dls.train, dls.valid) if loader is not None]
    if not all(makes_plain_pictures(loader) for loader in loaders):
        return False
    samples = [loader.batches.maker.dataset for loader in loaders]
    getter, first = samples[0].getters[0], samples[0]
    same = all(s.paths == first.paths and s.getters == first.getters for s in samples)
    workers = {loader.batches.workers for loader in loaders}
    files = all(isinstance(get_value(getter, item), str | Path) for s in samples for item in s.items)
    return same and len(workers) == 1 and files


def makes_plain_pictures(loader: DataLoader) -> bool:
    batches = loader.batches
    if not isinstance(batches, Streamed) or batches.processes is not None or loader.device.type != "cpu":
        return False
    samples = batches.maker.dataset
    if not isinstance(samples, Samples) or len(samples.paths) != 2:
        return False
    image, label = samples.paths
    if not isinstance(image, ImagePath) or not isinstance(label, LabelPath):
        return False
    return not image.on_device and [stage.foreign for stage in image.stages] == [None]


def pictures_code(dls: Any, words: Words, seed: int) -> dict[str, str]:
    """The Python for the batches "train" and "valid" of `items`, `train_part` and `valid_part`."""
    samples = dls.train.batches.maker.dataset
    path, label = samples.paths
    loaders = {name: loader for name, loader in (("train", dls.train), ("valid", dls.valid)) if loader is not None}
    settings = loader_settings(list(loaders.values()), random=samples.random)
    used: tuple[Any, ...] = (whole_frame, codec_shrink, warp, box_filtered, upright_size, to_mode)
    for function in (*used, jpeg_pixels, upright_pixels, epoch_order, numpy_generator):
        words.name(function)
    words.names |= {"np": np, "torch": torch, "io": io, "Image": Image, "ORIENTATION": ORIENTATION, "SAMPLE": SAMPLE}
    words.imports |= IMPORTS
    words.written["load_picture"] = load_code(path, words)
    words.written["decoded"] = DECODED.format(channels=path.channels, plane="[..., None]" if path.channels == 1 else "")
    workers = dls.train.batches.workers
    get_x, get_y = samples.getters
    edited = isinstance(get_y, EditedLabel)
    file = getter_code(get_x, "self.items[i]", words)
    value = "self.labels[i]" if edited else getter_code(get_y, "self.items[i]", words)
    words.written["Pictures"] = PICTURES.format(
        channels=path.channels,
        kind="Path" if all(isinstance(item, Path) for item in samples.items) else "Any",
        labels="\n    labels: list[Any]" if edited else "",
        fields="\n".join(f"    {name}: bool" for name in fields_of(settings)),
        file=file,
        target=target_code(label.block, value, words),
        targets="their classes y int64 [B]" if isinstance(label.block, CategoryBlock) else "targets y [B ...]",
        length=f"{WHOLE} if {settings['drop_last'][0]} else {ROUNDED_UP}",
        augment=settings["augment"][0],
        shuffle=settings["shuffle"][0],
        ahead=", made by threads ahead of time" if workers else "",
        loop=indented(AHEAD.format(workers=workers, most=workers + 1) if workers else IN_TURN, 8),
    )
    made = {}
    for place, (name, loader) in enumerate(loaders.items()):
        drawn = "args.seed" if loader.seed == seed else str(loader.seed)
        given = "".join(f", {field}={values[place]}" for field, values in fields_of(settings).items())
        part = f"items=[items[i] for i in {name}_part]"
        part += f", labels=[labels[i] for i in {name}_part]" if edited else ""
        made[name] = f"Pictures({part}, batch_size={loader.batch_size}, seed={drawn}{given})"
    return made


def loader_settings(loaders: list[DataLoader], *, random: bool) -> dict[str, tuple[str, tuple[bool, ...]]]:
    """What shuffles, augments and drops the last batch: how the class reads it, and its value in each loader."""
    values = {
        "shuffle": tuple(loader.shuffle for loader in loaders),
        "augment": tuple(loader.augment and random for loader in loaders),
        "drop_last": tuple(loader.drop_last for loader in loaders),
    }
    names: dict[tuple[bool, ...], str] = {}
    for name, given in values.items():
        names.setdefault(given, name)
    if values["shuffle"] == values["augment"]:
        names[values["shuffle"]] = "train"
    return {
        name: (str(given[0]) if len(set(given)) == 1 else f"self.{names[given]}", given)
        for name, given in values.items()
    }


def fields_of(settings: dict[str, tuple[str, tuple[bool, ...]]]) -> dict[str, tuple[bool, ...]]:
    """The fields that the class needs, with their values in each loader."""
    return {read.removeprefix("self."): values for read, values in settings.values() if read.startswith("self.")}


def load_code(path: ImagePath, words: Words) -> str:
    """The function that makes a picture of a file."""
    (stage,) = path.stages
    last, colours = last_colours(path), f"{words.name(ColourMap)}({path.channels})"
    fused = [t for t in stage.fused if last is None or type(t) is not Normalize]
    lines = [transform_code(transform, words) for transform in fused]
    effects = [f"picture = {transform_call(effect, 'pixels', 'picture', words)}" for effect in stage.effects]
    code = LOAD.format(
        channels=path.channels,
        colours=colours,
        transforms=indented("\n".join(lines), 4),
        effects=indented("\n".join(effects), 4),
    )
    return "\n".join(line for line in code.split("\n") if line.strip())


def last_colours(path: ImagePath) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """By channel what is taken off and divided by in the end, wherever the one `Normalize` stands; None if not one."""
    found = [transform for transform in path.stages[0].fused if type(transform) is Normalize]
    if len(found) != 1:
        return None
    return spread_over(found[0].mean, path.channels), spread_over(found[0].std, path.channels)


def transform_code(transform: Any, words: Words) -> str:
    """The statement by which a transform says where to look, or adds its colours."""
    if acts_by(transform, "place"):
        return f"frame = {transform_call(transform, 'place', 'frame', words)}"
    return f"colours = {transform_call(transform, 'colour', 'colours', words)}"


def transform_call(transform: Any, method: str, value: str, words: Words) -> str:
    """The call of a transform's method: as a function of its own where the transform is the library's."""
    name = f"{snake_case(type(transform).__name__)}_{value}"
    while name in words.written:
        name += "_again"
    if type(transform).__module__.startswith("satsuma.") and method_code(transform, method, name, words):
        return f"{name}({value}, rng)"
    return f"{words.value(transform)}.{method}({value}, rng)"


def getter_code(getter: Any, item: str, words: Words) -> str:
    """The expression that a getter stands for, given that of an item; a getter of the library becomes a function."""
    if getter is identity:
        return item
    if isinstance(getter, using_attr):
        return getter_code(getter.func, f"{item}.{getter.attr}", words)
    spelled = words.value(getter)
    if dataclasses.is_dataclass(getter) and type(getter).__module__.startswith("satsuma."):
        name = words.functions.get(spelled, snake_case(type(getter).__name__))
        while name in words.written and spelled not in words.functions:
            name += "_again"
        if spelled in words.functions or method_code(getter, "__call__", name, words):
            words.functions[spelled] = name
            return f"{name}({item})"
    return f"{spelled}({item})"


def target_code(block: Any, value: str, words: Words) -> str:
    """The batch's targets, of what `get_y` gives for each."""
    if isinstance(block, CategoryBlock):
        words.written["VOCAB"] = f"VOCAB = {words.value(block.vocab)}"
        return f"torch.tensor([VOCAB.index({value}) for i in indices])"
    words.written["TARGET"] = f"TARGET = {words.value(block)}"
    return f"torch.stack([TARGET.to_tensor(TARGET.load({value})) for i in indices])"
