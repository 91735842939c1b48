import functools

import numpy as np
import pytest
import torch

from satsuma.data.getters import RegexLabeller, using_attr
from satsuma.data.splitters import FuncSplitter
from satsuma.data.transforms import BatchSteps, Steps, is_random, make_steps, part_label, same_draws, takes_rng
from satsuma.vision.geometry import Flip, Resize


def double(x):
    return x * 2


def noise(x, rng=None):
    return x if rng is None else x + rng.random()


def test_a_random_transform_is_one_with_a_parameter_rng():
    assert takes_rng(noise)
    assert not takes_rng(double)
    assert not takes_rng(dict)  # has no signature


def test_steps_apply_in_order_and_only_random_ones_get_the_generator():
    steps = make_steps([double, noise])
    assert steps == Steps((double, noise), (False, True))
    assert steps(3, None) == 6
    assert steps(3, np.random.default_rng(5)) == 6 + np.random.default_rng(5).random()


def test_one_transform_or_none_will_do():
    assert make_steps(double).transforms == (double,)
    assert make_steps(None).transforms == ()


def test_what_is_no_transform_is_refused():
    with pytest.raises(TypeError, match="a transform must be callable, got int: 3"):
        make_steps([3])
    with pytest.raises(TypeError, match=r"Resize is a class of transforms; give one of its values: Resize\(...\)"):
        make_steps(Resize)


def test_names_for_messages():
    assert part_label(double) == part_label(functools.partial(double)) == "double"
    assert part_label(Resize(5)) == "Resize(size=5, method='crop', pad_mode='zeros')"
    assert part_label(using_attr(RegexLabeller("(a)"), "name")).startswith("using_attr(")
    assert part_label(FuncSplitter(double)).startswith("FuncSplitter(")


def test_every_position_of_a_batch_gets_the_same_draws():
    image = torch.rand(17, 3, 2, 5)
    flip = make_steps(Flip())
    x, mask = BatchSteps((flip, flip))((image, image), torch.Generator().manual_seed(3))
    assert torch.equal(x, mask)
    assert not torch.equal(x, image)


def test_same_draws_leaves_the_generator_as_it_was():
    for rng in (np.random.default_rng(5), torch.Generator().manual_seed(5)):
        draws = [np.ravel(r.random() if isinstance(r, np.random.Generator) else torch.rand(1, generator=r)).item()
                 for r in (same_draws(rng), same_draws(rng), rng)]  # fmt: skip
        assert len(set(draws)) == 1
    assert same_draws(None) is None


@pytest.mark.parametrize(
    ("result", "got"), [(None, "NoneType"), (torch.zeros(3), r"\[3\]"), (torch.zeros(()), r"\[\]")]
)
def test_a_batch_transform_that_gives_no_batch_is_named(result, got):
    def broken(x):
        return result

    with pytest.raises(ValueError, match=rf"the batch transform broken gave {got}; expected a tensor of 5 samples"):
        BatchSteps((make_steps(broken),))((torch.zeros(5, 2),), None)


@pytest.mark.parametrize("given", [3, "Resize"])
def test_what_is_no_list_of_transforms_is_refused(given):
    with pytest.raises(TypeError, match=r"transforms are one or a list of them, such as \[Resize\(224\), Flip\(\)\]"):
        make_steps(given)


def test_a_resize_is_random_only_where_it_crops():
    assert [is_random(Resize(64, method=method)) for method in ("crop", "squish", "pad")] == [True, False, False]
    assert BatchSteps((make_steps(Resize(64)),)).random
    assert not BatchSteps((make_steps(Resize(64, method="squish")),)).random
