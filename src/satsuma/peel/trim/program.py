"""A script while it is being trimmed: its parts, and edits by position."""

import ast
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from satsuma.peel.pieces import Piece, Sources
from satsuma.peel.trim.unit import Unit, attributes_by_name, import_names, quoted_words, reads_by_name

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `text[start:end]` of a unit by `new`."""

    unit: Unit
    start: int
    end: int
    new: str


Change = Sequence[Edit]  # edits that only make sense together


class Program:
    """All units, the last of which is `main`, and the import lines."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.imports = list(sources.imports)
        self.units = [Unit(p.name, p.text, kind=p.kind, own=p.own, number=i) for i, p in enumerate(sources.pieces)]
        self.found: dict[Any, Any] = {}  # what was worked out of the script as it now is
        self.units.append(Unit("main", sources.main, kind="main", own=False, number=len(self.units)))

    def result(self) -> Sources:
        pieces: list[Piece] = []
        for unit in self.units[:-1]:
            if unit.text.strip():
                pieces.append(replace(self.sources.pieces[unit.number], text=unit.text))
        return replace(self.sources, imports=tuple(self.imports), pieces=tuple(pieces), main=self.units[-1].text)

    @property
    def library(self) -> list[Unit]:
        """The units that may be edited."""
        return [unit for unit in self.units if not unit.own and unit.text]

    @property
    def imported(self) -> set[str]:
        """The names that the import lines bind."""
        return {name for line in self.imports for name in import_names(line)}

    def once(self, make: Callable[..., R], *given: Hashable) -> R:
        """`make(program, *given)` of the script as it now is, worked out once."""
        key = (make, *given)
        if key not in self.found:
            self.found[key] = make(self, *given)
        return cast(R, self.found[key])

    def each(self, look: Callable[..., Iterator[Change]], *names: frozenset[str]) -> Iterator[Change]:
        """The changes that `look(unit, ...)` finds in each unit, told those of `names` that the unit has.

        It only looks again where the unit or what it is told is new.
        """
        for unit in self.library:
            yield from unit.once(changes_of, look, *(some & unit.words for some in names))

    def functions(self) -> dict[str, tuple[Unit, ast.FunctionDef]]:
        """The library's top-level functions, those of `main` among them, by name."""
        return self.once(Program.find_functions)

    def find_functions(self) -> dict[str, tuple[Unit, ast.FunctionDef]]:
        found: dict[str, tuple[Unit, ast.FunctionDef]] = {}
        for unit in self.library:
            for node in unit.tree.body:
                if isinstance(node, ast.FunctionDef):
                    found[node.name] = (unit, node)
        return found

    def classes(self) -> dict[str, tuple[Unit, ast.ClassDef]]:
        """The library's classes by name."""
        return self.once(Program.find_classes)

    def find_classes(self) -> dict[str, tuple[Unit, ast.ClassDef]]:
        return {
            node.name: (unit, node)
            for unit in self.library
            for node in unit.tree.body
            if isinstance(node, ast.ClassDef)
        }

    def attributes(self) -> dict[str, list[tuple[Unit, ast.Attribute]]]:
        """Every attribute that is read or set anywhere, by name."""
        return self.once(Program.joined, attributes_by_name)

    def joined(self, make: Callable[[Unit], dict[str, list[R]]]) -> dict[str, list[R]]:
        """The lists that `make` gives for all units."""
        found: dict[str, list[R]] = {}
        for unit in self.units:
            for name, listed in unit.once(make).items():
                found.setdefault(name, []).extend(listed)
        return found

    def quoted(self) -> set[str]:
        """Every word in quotes: what a name that is worked out may be."""
        return self.once(Program.find_quoted)

    def find_quoted(self) -> set[str]:
        return self.together(quoted_words)

    def together(self, make: Callable[[Unit], set[str]]) -> set[str]:
        """What `make` gives for all units."""
        return set().union(*(unit.once(make) for unit in self.units))

    def uses(self, name: str) -> list[tuple[Unit, ast.Name]]:
        """Where the script's own name `name` is read."""
        return self.once(Program.joined, reads_by_name).get(name, [])

    def apply(self, changes: Iterable[Change]) -> bool:
        """Make the changes that can be made side by side; True if there was one. The others are for the next round.

        A change to several units goes alone in each of them: what it was computed from must still hold.
        """
        accepted: list[Change] = []
        touched: dict[Unit, list[Edit]] = {}
        alone: set[Unit] = set()
        for change in changes:
            units = {edit.unit for edit in change}
            if any(unit.own for unit in units) or units & alone or not change:
                continue
            single = len(units) == 1
            if not single and units & set(touched):
                continue
            if any(clash(edit, other) for edit in change for other in touched.get(edit.unit, ())):
                continue
            accepted.append(change)
            for edit in change:
                touched.setdefault(edit.unit, []).append(edit)
            if not single:
                alone |= units
        made = edited(edit for change in accepted for edit in change)
        broken = {unit for unit, new in made.items() if not new.is_python}
        if broken:  # changes that each leave something of a block, but not together: one at a time
            first: dict[Unit, Change] = {}
            for change in accepted:
                for unit in {edit.unit for edit in change} & broken:
                    if edited(change)[unit].is_python:
                        first.setdefault(unit, change)
            spoilt = {id(c) for c in accepted if {e.unit for e in c} & broken} - {id(c) for c in first.values()}
            made = edited(edit for change in accepted if id(change) not in spoilt for edit in change)
        if not all(new.is_python for new in made.values()):
            return False
        for new in made.values():
            self.put(new)
        return bool(made)

    def put(self, unit: Unit) -> None:
        """Let a unit take the place of the one that it was made of."""
        self.found.clear()
        self.units[unit.number] = unit


def changes_of(unit: Unit, look: Callable[..., Iterator[Change]], *given: Any) -> list[Change]:
    return [change for change in look(unit, *given) if change]


def edited(edits: Iterable[Edit]) -> dict[Unit, Unit]:
    """What becomes of each unit."""
    by_unit: dict[Unit, list[Edit]] = {}
    for edit in edits:
        by_unit.setdefault(edit.unit, []).append(edit)
    found = {}
    for unit, listed in by_unit.items():
        text = unit.text
        for edit in sorted(listed, key=lambda e: (e.start, e.end), reverse=True):
            text = text[: edit.start] + edit.new + text[edit.end :]
        found[unit] = unit.with_text(text)
    return found


def clash(one: Edit, two: Edit) -> bool:
    if one.start == one.end or two.start == two.end:
        return one.start <= two.end and two.start <= one.end
    return one.start < two.end and two.start < one.end
