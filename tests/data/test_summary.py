import numpy as np
import pytest
import torch

from satsuma.data.block import DataBlock
from satsuma.data.blocks import CategoryBlock, TransformBlock
from satsuma.data.splitters import IndexSplitter
from satsuma.data.summary import describe, walk
from satsuma.vision.normalize import Normalize


def picture(n):
    return np.full((3, n, 5), n / 100, np.float32)


def same_size(n):
    return np.full((3, 2, 5), n / 100, np.float32)


def parity(n):
    return "even" if n % 2 == 0 else "odd"


def double(x):
    return x * 2


def explode(value):
    raise RuntimeError("boom")


def block(**changes):
    given = {
        "blocks": (TransformBlock, CategoryBlock),
        "get_x": same_size,
        "get_y": parity,
        "splitter": IndexSplitter([3]),
    }
    return DataBlock(**{**given, **changes})


def test_every_step_says_what_it_gave(capsys):
    whole = block(item_tfms=double, batch_tfms=Normalize((0.5,), (0.5,)))
    text = walk(whole, [7, 2, 5, 3], 2)
    whole.summary([7, 2, 5, 3], bs=2)
    assert capsys.readouterr().out == text + "\n"
    assert text.splitlines() == [
        "source: [7, 2, 5, 3]",
        "items: 4; the first is 7",
        "labels: read by parity",
        "split by IndexSplitter(valid_idx=(3,)): 3 train, 1 valid",
        "blocks: TransformBlock → CategoryBlock",
        "vocab: 2 classes: even, odd",
        "one sample, 7:",
        "  input 0 by same_size: [3 2 5] float32 in 0.07..0.07",
        "    TransformBlock: [3 2 5] float32 in 0.07..0.07",
        "    double: [3 2 5] float32 in 0.14..0.14",
        "    to_tensor: [3 2 5] float32 in 0.14..0.14",
        "  target 1 by parity: str 'odd'",
        "    CategoryBlock: int 1",
        "    to_tensor: [] int64",
        "one batch of 2:",
        "  sample 0, 7: [3 2 5]  []",
        "  sample 1, 2: [3 2 5]  []",
        "  stacked: [2 3 2 5] float32 in 0.04..0.14  [2] int64 in 0..1",
        "  position 0: Normalize(mean=(0.5,), std=(0.5,)): [2 3 2 5] float32 in -0.92..-0.72",
        "all steps work",
    ]


def test_pictures_that_cannot_be_stacked():
    text = walk(block(get_x=picture), [7, 2, 5, 3], 4)
    assert text.splitlines()[-4:] == [
        "  sample 1, 2: [3 2 5]  []",
        "  sample 2, 5: [3 5 5]  []",
        "  stacked",
        "FAILED: image 0 is [3 7 5], image 1 is [3 2 5]: they cannot be stacked; add item_tfms=Resize(...)",
    ]


@pytest.mark.parametrize(
    ("changes", "step", "reason"),
    [
        ({"get_items": explode}, "items by explode", "boom"),
        ({"get_y": explode}, "labels", "4 of 4 items have no label:"),
        ({"splitter": explode}, "split by explode", "boom"),
        (
            {"get_y": str, "blocks": (TransformBlock, CategoryBlock(("a", "b")))},
            "blocks",
            "4 labels are not in the vocab",
        ),
        ({"get_x": explode}, "  input 0 by explode", "explode failed for 7: boom"),
        ({"blocks": (TransformBlock(type_tfms=explode), CategoryBlock)}, "    TransformBlock", "boom"),
        ({"item_tfms": [double, explode]}, "    explode", "boom"),
        ({"batch_tfms": explode}, "  position 0: explode", "boom"),
    ],
)
def test_the_step_that_fails_is_the_last(changes, step, reason):
    lines = walk(block(**changes), [7, 2, 5, 3], 4).splitlines()
    failed = next(i for i, line in enumerate(lines) if line.startswith("FAILED"))
    assert lines[failed - 1] == step
    assert reason in lines[failed]


def test_descriptions():
    assert describe(torch.zeros(0, 3)) == "[0 3] float32"
    assert describe(np.array(["a"])) == "[1] <U1"
    assert describe(torch.tensor([1j])) == "[1] complex64"
    assert describe("a\nb") == "str 'a b'"
