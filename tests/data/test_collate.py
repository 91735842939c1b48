import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from satsuma.data.collate import collate


def test_tensors_and_arrays_are_stacked_as_torch_does():
    pictures = torch.randint(256, (5, 3, 2, 7), dtype=torch.uint8)
    samples = [(torch.rand(2, 3), np.float32([i, i]), pictures[i]) for i in range(5)]
    for ours, torchs in zip(collate(samples), default_collate(samples), strict=True):
        assert torch.equal(ours, torchs)


def test_numbers_become_one_tensor():
    assert collate([1, 2]).dtype == torch.int64
    assert collate([1.5, 2]).dtype == torch.float32
    assert collate([True, False]).dtype == torch.bool
    assert collate([np.bool_(True)]).dtype == torch.bool
    assert collate([np.float64(1)]).dtype == torch.float32
    assert collate([np.array([1.0])]).dtype == torch.float32
    assert collate([np.array([1], np.uint16)]).dtype == torch.int64


def test_what_is_no_number_stays_a_tuple():
    assert collate(["a", "b"]) == ("a", "b")
    assert collate([(1, "a", None)])[1:] == (("a",), (None,))


def test_images_of_different_sizes_say_how_to_mend_it():
    with pytest.raises(ValueError, match=r"image 0 is \[3 375 500\], image 2 is \[3 500 375\].*item_tfms=Resize"):
        collate([(torch.zeros(s), 0) for s in [(3, 375, 500), (3, 375, 500), (3, 500, 375)]])
    with pytest.raises(ValueError, match=r"sample 0 is \[2\], sample 1 is \[3\].*pad or crop"):
        collate([torch.zeros(2), torch.zeros(3)])


def test_tuples_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="sample 0 has 2 parts, sample 1 has 3 parts"):
        collate([(1, 2), (1, 2, 3)])
    with pytest.raises(ValueError, match="sample 0 has 2 parts, sample 1 is a int"):
        collate([(1, 2), 3])
