"""First numbers of the tensors rung: torch's and Satsuma's own from the same seed, to the last bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ladder.tensors.compare import DTYPES, QUICK, SEEDS, assert_same_weights, mirrored
from torch import nn

from satsuma.ladder.tensors import init
from satsuma.ladder.tensors.initialise import INIT_SCHEMES, initialise
from satsuma.nn.cnn import small_cnn
from satsuma.nn.init import INIT_SCHEMES as PRODUCTION_SCHEMES
from satsuma.nn.init import initialise as production_initialise
from satsuma.nn.linear import mlp

FILLS = [
    ("kaiming_normal_", {}),
    ("kaiming_normal_", {"a": 0.3, "mode": "fan_out"}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": 5**0.5}),
    ("xavier_normal_", {}),
    ("xavier_uniform_", {}),
    ("xavier_normal_", {"gain": 1.7}),
    ("xavier_uniform_", {"gain": 1.7}),
    ("normal_", {"mean": 0.3, "std": 2.0}),
    ("uniform_", {"a": -1.0, "b": 3.0}),
    ("trunc_normal_", {"std": 0.02}),
    ("trunc_normal_", {"std": 2.0, "mean": 0.5, "a": -1.0, "b": 1.5}),
]
CONSTANTS = [("zeros_", {}), ("ones_", {}), ("constant_", {"val": 0.3})]


@pytest.mark.parametrize(("name", "settings"), FILLS)
@QUICK
@given(shape=st.lists(st.integers(1, 7), min_size=2, max_size=4), dtype=DTYPES, seed=SEEDS)
def test_fills_are_torchs(name, settings, shape, dtype, seed):
    drawn = []
    for fill in (getattr(init, name), getattr(nn.init, name)):
        torch.manual_seed(seed)
        weight = torch.empty(shape, dtype=dtype)
        assert fill(weight, **settings) is weight
        again = fill(torch.empty(shape, dtype=dtype), **settings, generator=torch.Generator().manual_seed(seed))
        drawn.append((weight, again))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])


@pytest.mark.parametrize(("name", "settings"), CONSTANTS)
def test_fills_of_one_number_are_torchs(name, settings):
    weights = [getattr(room, name)(torch.empty(3, 5).requires_grad_(), **settings) for room in (init, nn.init)]
    assert torch.equal(*weights)


@pytest.mark.parametrize("scheme", PRODUCTION_SCHEMES)
def test_initialise_is_satsumas(scheme):
    for production in (small_cnn(), mlp((5, 7, 3), batch_norm=True), nn.Sequential(nn.Linear(3, 2, bias=False))):
        twin = mirrored(production)
        production(
            torch.ones(2, *((1, 28, 28) if isinstance(production[0], nn.Conv2d) else (production[0].in_features,)))
        )
        initialise(twin, scheme=scheme, seed=7, std=0.3)
        production_initialise(production, scheme=scheme, seed=7, std=0.3)
        assert_same_weights(twin, production, 0)


def test_an_unknown_scheme_is_refused():
    assert INIT_SCHEMES == PRODUCTION_SCHEMES
    with pytest.raises(ValueError, match="kaiming_normal"):
        initialise(mirrored(nn.Linear(3, 2)), scheme="kaiming")
