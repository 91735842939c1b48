"""Damaged model files and checkpoints: refused, naming the file, or loaded equal; never a crash, never code run.

About 10,000 cases: prefixes of each file; bits flipped singly in every byte that says what is where, and at random
elsewhere; bytes put in, taken out, overwritten; blocks of zeros, as a disk leaves them; files joined.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ship.damage import (
    flipped,
    header_end,
    loaded_header,
    loaded_model,
    loaded_state,
    loaded_tensors,
    outcome,
    tiny_checkpoint,
    tiny_model,
)

KINDS = {
    "model": (tiny_model, loaded_model),
    "header": (tiny_model, loaded_header),
    "checkpoint": (tiny_checkpoint, loaded_state),
    "weights": (tiny_model, loaded_tensors),
}
often = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Victim:
    """One file, what it loads as, and a place to write damaged copies."""

    def __init__(self, kind, folder):
        make, self.load = KINDS[kind]
        self.raw = make(folder).read_bytes()
        self.end = header_end(self.raw)
        self.path = folder / "damaged.safetensors"
        self.path.write_bytes(self.raw)
        self.expected = self.load(self.path)  # and so all is imported that loading imports
        assert self.outcome(self.raw) == "equal"
        self.outcome(self.raw[:-1])

    def outcome(self, content):
        self.path.write_bytes(content)
        return outcome(self.load, self.path, self.expected)


@pytest.fixture(scope="module", params=KINDS)
def victim(request, tmp_path_factory):
    return Victim(request.param, tmp_path_factory.mktemp("victim"))


def test_every_prefix_is_refused(victim):
    """Every third, and all up to the header's first bytes and about the header's end and the file's."""
    size = len(victim.raw)
    near = {place + i for place in (0, victim.end, size) for i in range(-40, 40)}
    lengths = sorted({*range(0, size, 3), *near} & set(range(size)))
    assert {victim.outcome(victim.raw[:length]) for length in lengths} == {"refused"}


def test_single_bits_of_length_and_places_are_refused_or_harmless(victim):
    """The header's length; and the JSON's names, formats, shapes and offsets of tensors, which come last in it."""
    places = victim.raw.rindex(b'"}', 0, victim.end)
    bits = [*range(64), *range(8 * places, 8 * victim.end, 5)]
    found = Counter(victim.outcome(flipped(victim.raw, bit)) for bit in bits)
    assert victim.load is loaded_header or found["equal"] == 0


@often
@given(share=st.floats(0, 1, exclude_max=True))
def test_single_bits_anywhere_are_refused_or_harmless(victim, share):
    victim.outcome(flipped(victim.raw, int(share * 8 * len(victim.raw))))


@often
@given(share=st.floats(0, 1, exclude_max=True))
def test_single_bits_of_the_weights_are_always_refused(victim, share):
    bit = 8 * victim.end + int(share * 8 * (len(victim.raw) - victim.end))
    result = victim.outcome(flipped(victim.raw, bit))
    assert result == ("equal" if victim.load is loaded_header else "refused")


@often
@given(data=st.data())
def test_bytes_put_in_taken_out_and_overwritten(victim, data):
    raw = victim.raw
    start = data.draw(st.integers(0, len(raw)))
    length = data.draw(st.integers(0, 64))
    kind = data.draw(st.sampled_from(["overwritten", "zeros", "put in", "taken out", "repeated", "moved"]))
    extra = data.draw(st.binary(min_size=length, max_size=length)) if kind in ("overwritten", "put in") else bytes(512)
    changed = {
        "overwritten": raw[:start] + extra + raw[start + len(extra) :],
        "zeros": raw[:start] + extra + raw[start + len(extra) :],
        "put in": raw[:start] + extra + raw[start:],
        "taken out": raw[:start] + raw[start + length :],
        "repeated": raw[: start + length] + raw[start:],
        "moved": raw[start:] + raw[:start],
    }[kind]
    victim.outcome(changed)


@often
@given(content=st.binary(max_size=300))
def test_random_bytes(victim, content):
    victim.outcome(content)
    victim.outcome(len(content).to_bytes(8, "little") + content)


@often
@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=40))
def test_many_bits_at_once(victim, places):
    victim.outcome(flipped(victim.raw, *(int(share * 8 * len(victim.raw)) for share in places)))


@pytest.mark.slow
def test_single_bits_of_the_whole_file(victim):
    """Every seventh: what loads is in the name of the digest, or of metadata that nobody asks for."""
    bits = range(0, 8 * len(victim.raw), 7)
    found = Counter(victim.outcome(flipped(victim.raw, bit)) for bit in bits)
    assert victim.load is loaded_header or found["equal"] <= len("satsuma_contents_sha256") * 8 / 7 + 1
