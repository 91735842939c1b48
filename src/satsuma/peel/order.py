"""The order in which pieces stand: each near where it is used, and below all that it needs as it is defined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from satsuma.peel.pieces import Piece


@dataclass(slots=True)
class Entry:
    """A piece, the bound names that it uses, those that it needs as it is defined, and those called just then."""

    piece: Piece
    uses: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)


def in_order(entries: Mapping[str, Entry], roots: list[str]) -> list[str]:
    """The names of the pieces: each near where it is used, and after all it needs as it is defined."""
    near: list[str] = []
    visit(roots, lambda name: entries[name].uses if name in entries else [], near)
    order: list[str] = []
    visit([n for n in near if n in entries], lambda name: needed_above(entries, name), order)
    return order


def needed_above(entries: Mapping[str, Entry], name: str) -> list[str]:
    """What has to stand above a piece: what it reads as it is defined, and all that what it calls then may reach."""
    entry = entries[name]
    found = [n for n in entry.uses if n in entry.needs and n in entries]
    reached: list[str] = []
    called = [n for n in entry.uses if n in entry.calls and n in entries]
    visit(called, lambda n: [u for u in entries[n].uses if u in entries], reached)
    return [n for n in dict.fromkeys([*reached, *found]) if n != name]


def visit(roots: list[str], next_of: Callable[[str], list[str]], order: list[str]) -> None:
    """Append to `order` the names reached from `roots`, each after those that `next_of` gives; a circle is cut."""
    seen = set(order)

    def step(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for other in next_of(name):
                step(other)
            order.append(name)

    for root in roots:
        step(root)
