import numpy as np
import pytest
import torch

from satsuma.data.seeds import ORDER, SAMPLE, epoch_order, mix_seed, numpy_generator, set_seed, torch_generator


def test_every_key_matters_and_so_does_their_order():
    seeds = {mix_seed(42, *keys) for keys in [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (ORDER, 5, 7), (SAMPLE, 5, 7)]}
    assert len(seeds) == 8


def test_seeds_of_a_grid_do_not_collide():
    assert len({mix_seed(s, SAMPLE, e, i) for s in range(7) for e in range(11) for i in range(101)}) == 7 * 11 * 101


def test_negative_and_large_seeds_are_welcome():
    assert torch.rand(1, generator=torch_generator(-1, 0)) != torch.rand(1, generator=torch_generator(1, 0))
    assert numpy_generator(2**70 + 3, 0).random() == numpy_generator(2**70 + 3, 0).random()


def test_generators_repeat():
    assert torch.equal(torch.rand(3, generator=torch_generator(5, 2)), torch.rand(3, generator=torch_generator(5, 2)))
    assert numpy_generator(5, 2).random() == numpy_generator(5, 2).random()
    assert numpy_generator(5, 2).random() != numpy_generator(5, 3).random()


def test_an_epochs_order_is_a_permutation_that_depends_on_seed_and_epoch():
    order = epoch_order(101, seed=3, epoch=2)
    assert sorted(order.tolist()) == list(range(101))
    assert torch.equal(order, epoch_order(101, seed=3, epoch=2))
    assert not torch.equal(order, epoch_order(101, seed=3, epoch=1))
    assert not torch.equal(order, epoch_order(101, seed=2, epoch=2))


def test_set_seed_seeds_the_layers_first_weights():
    with torch.random.fork_rng():
        set_seed(7)
        first = torch.nn.Linear(2, 3).weight
        set_seed(7)
        assert torch.equal(first, torch.nn.Linear(2, 3).weight)


def test_any_whole_number_is_a_seed_and_nothing_else():
    assert mix_seed(np.int64(42), np.int64(3)) == mix_seed(42, 3)
    set_seed(2**70 + 5)
    with_mask = torch.rand(2)
    set_seed(5)
    assert torch.equal(with_mask, torch.rand(2))
    for wrong in (1.5, "a", None):
        with pytest.raises(TypeError, match="a seed is a whole number"):
            mix_seed(wrong)
        with pytest.raises(TypeError, match="a seed is a whole number"):
            set_seed(wrong)
