"""The state of a fit as JSON and tensors."""

import json

import torch

from satsuma.train.state import packed, unpacked


def test_tensors_whose_places_read_alike_are_kept_apart():
    state = {"a.b": torch.zeros(2), "a": {"b": torch.ones(3)}, 0: torch.full((5,), 2.0), "0": torch.full((7,), 3.0)}
    tensors = {}
    found = unpacked(json.loads(json.dumps(packed(state, "state", tensors))), tensors)
    assert list(found) == list(state)
    assert torch.equal(found["a.b"], state["a.b"])
    assert torch.equal(found["a"]["b"], state["a"]["b"])
    assert torch.equal(found[0], state[0])
    assert torch.equal(found["0"], state["0"])
