"""Masks, points and boxes go where their picture goes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from satsuma.data.block import DataBlock
from satsuma.data.getters import ItemGetter
from satsuma.data.splitters import IndexSplitter
from satsuma.vision.blocks import ImageBlock
from satsuma.vision.frame import Frame, points_into_frame, whole_frame
from satsuma.vision.geometry import Flip, Resize, Rotate, Zoom
from satsuma.vision.targets import BoxBlock, MaskBlock, PointBlock, read_mask
from satsuma.vision.warp import warp

HEIGHT, WIDTH = 41, 67


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture whose red is 200 in the left half, and its mask is 1 there."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2, 0] = 200
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray((pixels[..., 0] > 0).astype(np.uint8)).save(tmp_path / "mask.png")
    return tmp_path / "photo.png"


def loaders(photo: Path, block: object, target: object, check: bool = True, **tfms: object):
    block = DataBlock(
        blocks=(ImageBlock, block),
        get_x=ItemGetter(0),
        get_y=ItemGetter(1),
        splitter=IndexSplitter((0,)),
        **tfms,
    )
    return block.dataloaders([(photo, target)] * 4, bs=3, workers=0, check=check)


TURNS = {"item_tfms": Resize(40), "batch_tfms": (Rotate(60.0, p=1.0), Flip(), Zoom(max_zoom=1.5, p=1.0))}


@pytest.mark.filterwarnings("ignore:1 file")
def test_a_mask_is_cut_and_turned_as_its_image(photo: Path) -> None:
    x, mask = loaders(photo, MaskBlock(codes=("right", "left")), photo.with_name("mask.png"), **TURNS).one_batch()
    assert (mask.dtype, mask.shape) == (torch.int64, (3, 40, 40))
    red = x[:, 0]
    clear = (red < 0.05) | (red > 0.7)  # not on the edge, where the image is between its values
    assert clear.float().mean() > 0.8
    assert torch.equal((red > 0.5)[clear].long(), mask[clear])
    assert len({row.tobytes() for row in mask.numpy()}) == 3  # each sample was turned in its own way


@pytest.mark.filterwarnings("ignore:1 file")
def test_points_lie_where_the_image_shows_them(photo: Path) -> None:
    marked = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    marked[20:23, 30:33] = 255  # its middle is at (31.5, 21.5)
    Image.fromarray(marked).save(photo)
    x, points = loaders(photo, PointBlock(), [(31.5, 21.5)], **TURNS).one_batch()
    for picture, point in zip(x[:, 0], points, strict=True):
        rows, cols = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
        weight = picture / picture.sum()
        centre = torch.stack(((weight * (cols + 0.5)).sum(), (weight * (rows + 0.5)).sum()))
        assert torch.allclose((point + 1) * 20, centre, atol=0.15)


@pytest.mark.filterwarnings("ignore:1 file")
def test_boxes_enclose_their_turned_corners_and_are_padded(photo: Path) -> None:
    made = loaders(photo, BoxBlock(most=3), [(10, 5, 30, 25), (0, 0, 2, 2)], item_tfms=Resize(40, method="squish"))
    _, boxes = made.one_batch()
    scale = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) / 2
    np.testing.assert_allclose(boxes[0, 0], np.array([10, 5, 30, 25]) / scale - 1, rtol=1e-6)
    assert boxes[0, 2].tolist() == [0, 0, 0, 0]
    assert len(made.targets[0].decode(boxes[0])) == 2


def test_a_box_that_the_crop_leaves_out_has_no_area() -> None:
    block = BoxBlock(most=1)
    box = block.to_tensor(np.array([[-3.0, -3, -2, -3, -2, -2, -3, -2]]))
    assert block.decode(box) == []


def test_a_mask_of_another_size_is_refused_before_training(photo: Path) -> None:
    Image.fromarray(np.zeros((WIDTH, HEIGHT), np.uint8)).save(photo.with_name("mask.png"))
    with pytest.raises(ValueError, match=r"mask\.png: the mask is 41×67 .* its image 67×41"):
        loaders(photo, MaskBlock(), photo.with_name("mask.png"))


def test_a_mask_array_of_another_size_is_refused_with_its_image_named(photo: Path) -> None:
    mask = np.zeros((5, 7), np.uint8)
    with pytest.raises(ValueError, match=r"photo\.png.*: the mask is 7×5 \(width × height\) and its image 67×41"):
        loaders(photo, MaskBlock(), mask).one_batch()


@pytest.mark.filterwarnings("ignore:1 file")
def test_a_point_outside_its_image_is_refused_with_the_file(photo: Path) -> None:
    with pytest.raises(ValueError, match=r"photo\.png.*PointBlock.*: \(68, 3\) lies outside its image of 67×41"):
        loaders(photo, PointBlock(), [(68, 3)]).one_batch()


def test_the_wrong_number_of_points_is_refused(photo: Path) -> None:
    with pytest.raises(ValueError, match="expected 4 numbers, got 2"):
        loaders(photo, PointBlock(2), [(3, 3)])


def test_a_mask_value_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value 2, but there are 2 codes"):
        MaskBlock(codes=("a", "b")).load(np.full((3, 5), 2, np.uint8))


def test_a_foreign_transform_beside_a_mask_is_refused(photo: Path) -> None:
    with pytest.raises(TypeError, match="the item transform turned_over is not Satsuma's"):
        loaders(photo, MaskBlock(), photo.with_name("mask.png"), item_tfms=turned_over)


def turned_over(image: Image.Image) -> Image.Image:
    return image.rotate(180)


def test_palette_masks_keep_their_numbers(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png")[..., 0].tolist() == [[0, 1], [2, 1]]
    with pytest.raises(ValueError, match="mode RGB; expected one number a pixel"):
        read_mask(image.convert("RGB"))


def test_masks_take_the_nearest_pixel() -> None:
    values = np.random.default_rng(0).integers(0, 37, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    shown = warp(values, Rotate(30.0, p=1.0).place(whole_frame(HEIGHT, WIDTH), np.random.default_rng(1)), nearest=True)
    assert set(np.unique(shown)) <= set(np.unique(values))


def test_points_and_frames_agree() -> None:
    frame = Frame(10, 20, HEIGHT, WIDTH, (2.0, 0, 3, 0, 2.0, 5, 0, 0, 1))
    np.testing.assert_allclose(points_into_frame(np.array([[3.0, 5.0], [43.0, 25.0]]), frame), [[0, 0], [20, 10]])


@pytest.mark.filterwarnings("ignore:1 file")
def test_an_image_without_boxes_is_a_row_of_zeros(photo: Path) -> None:
    block = DataBlock(
        blocks=(ImageBlock, BoxBlock), get_x=ItemGetter(0), get_y=ItemGetter(1), splitter=IndexSplitter((0,))
    )
    items = [(photo, [(10, 5, 30, 25)]), (photo, []), (photo, [])]
    made = block.dataloaders(items, bs=2, workers=0)
    _, boxes = made.one_batch()
    assert boxes.shape == (2, 1, 4)
    assert boxes.abs().sum() == 0


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("box", [(30, 25, 10, 12), (3, 25, 10, 12), (30, 5, 10, 12), (3, 5, 3, 12)])
def test_a_box_without_area_is_refused_with_the_file_and_the_order(
    photo: Path, box: tuple[int, ...], check: bool
) -> None:
    with pytest.raises(ValueError, match=r"photo\.png: BoxBlock: \(.* has no area as \(left, top, right, bottom\)"):
        loaders(photo, BoxBlock, [(1, 2, 3, 4), box], check=check)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.int32])
@pytest.mark.filterwarnings("ignore:1 file")
def test_masks_as_arrays_of_any_whole_numbers_pass_the_check(photo: Path, dtype: type) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype)
    mask[3:, 5:] = 1
    _, masks = loaders(photo, MaskBlock(("a", "b")), mask).one_batch()
    assert torch.equal(masks[0], torch.from_numpy(mask.astype(np.int64)))


def test_a_mask_with_a_negative_number_or_without_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"whole numbers 0\.\.255, got -1\.\.0"):
        read_mask(np.array([[0, -1]]))
    with pytest.raises(ValueError, match=r"got uint8 \[0, 3\]"):
        read_mask(np.zeros((0, 3), np.uint8))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((HEIGHT, WIDTH), 2, np.uint8), "the mask has the value 2, but there are 2 codes"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "the mask is a picture of mode RGB"),
    ],
)
def test_a_mask_that_cannot_be_used_is_found_at_building(photo: Path, pixels: np.ndarray, reason: str) -> None:
    Image.fromarray(pixels).save(photo.with_name("mask.png"))
    with pytest.raises(ValueError, match=rf"4 of 4 files cannot be read:\n.*mask\.png: {reason}"):
        loaders(photo, MaskBlock(("a", "b")), photo.with_name("mask.png"))


def test_a_mask_file_that_is_none_is_told_by_the_reason(photo: Path) -> None:
    photo.with_name("text.png").write_text("no picture")
    for name, reason in (("text.png", "not an image but a text file"), ("nowhere.png", "there is no such file")):
        assert MaskBlock().examine(photo.with_name(name)).problem == reason
    with pytest.raises(ValueError, match=r"text\.png: not an image but a text file"):
        MaskBlock().load(photo.with_name("text.png"))


@pytest.mark.parametrize(("block", "target"), [(PointBlock, [(68, 3)]), (BoxBlock, [(1, 1, 68, 9)])])
def test_what_lies_outside_its_photo_is_found_at_building(photo: Path, block: type, target: object) -> None:
    with pytest.raises(
        ValueError, match=r"4 of 4 .*\n.*photo\.png: .*Block: \(68, [13]\) lies outside its image of 67×41"
    ):
        loaders(photo, block, target)


@pytest.mark.parametrize("check", [True, False])
def test_the_wrong_number_of_points_names_the_file_and_the_way_out(photo: Path, check: bool) -> None:
    with pytest.raises(ValueError, match=r"photo\.png: PointBlock: expected 2 numbers, got 4: .*PointBlock\(n=2\)"):
        loaders(photo, PointBlock, [(3, 4), (5, 6)], check=check)
    with pytest.raises(ValueError, match=r"photo\.png: BoxBlock: expected 4 numbers for each box .*, got 3"):
        loaders(photo, BoxBlock, [(3, 4, 5)], check=check)
    with pytest.raises(ValueError, match=r"photo\.png: BoxBlock: 2 boxes, more than most=1"):
        loaders(photo, BoxBlock(1), [(3, 4, 5, 6)] * 2, check=check)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoxBlock(most=-1), "most is the largest number of boxes .* 0 or more, got -1"),
        (lambda: PointBlock(n=1.5), "n is the number of points, a whole number, 1 or more, got 1.5"),
        (lambda: PointBlock(n="a"), "n is the number of points, a whole number, 1 or more, got 'a'"),
        (lambda: MaskBlock(codes=3), "list of the classes' names, got 3; give one for each value"),
        (lambda: MaskBlock(codes="background"), "list of the classes' names, got the word 'background'"),
    ],
)
def test_settings_that_are_none_are_refused(make, message) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
    assert type(PointBlock(np.int64(2)).n) is int
