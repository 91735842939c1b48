import numpy as np
import pytest
import torch
from PIL import Image

from satsuma.vision.blocks import ImageBlock

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_is_bytes_with_channels_first(channels):
    block = ImageBlock(channels=channels)
    tensor = block.to_tensor(block.load(RGB))
    assert (tensor.shape, tensor.dtype) == ((channels, 5, 7), torch.uint8)
    assert tensor.is_contiguous()  # stacking views with turned axes takes 100 times as long
    if channels > 1:
        assert torch.equal(tensor[:3], torch.tensor(RGB).permute(2, 0, 1))


def test_a_tensor_is_a_copy_that_may_be_written_to():
    image = Image.fromarray(RGB[..., 0])
    ImageBlock(1).to_tensor(image).zero_()
    np.testing.assert_array_equal(np.asarray(image), RGB[..., 0])


def test_what_item_transforms_have_made_a_tensor_stays():
    tensor = torch.zeros(3, 2, 5)
    assert ImageBlock().to_tensor(tensor) is tensor


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="channels is 1, 3 or 4, got 2"):
        ImageBlock(2)
