"""Whole-program simplification of a script: what this run cannot reach does not appear, what it computes stays."""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping

from satsuma.peel.pieces import Sources
from satsuma.peel.trim.bodies import placed_bodies
from satsuma.peel.trim.defaults import default_arguments
from satsuma.peel.trim.detached import needless_detach
from satsuma.peel.trim.documents import without_errors, without_examples
from satsuma.peel.trim.fields import record_fields_settled, unread_attributes
from satsuma.peel.trim.fold import fold
from satsuma.peel.trim.guards import guards
from satsuma.peel.trim.inline import inlined, unread_parameters, unread_results
from satsuma.peel.trim.local_names import local_names
from satsuma.peel.trim.parameters import constant_parameters
from satsuma.peel.trim.program import Change, Program
from satsuma.peel.trim.records import records
from satsuma.peel.trim.rows import known_rows
from satsuma.peel.trim.stale import stale_documents
from satsuma.peel.trim.tidy import blank_runs, tidied
from satsuma.peel.trim.unused import only_annotations, unused_imports, unused_members, unused_units

ROUNDS = 200  # far more than any script needs; what is left then is sound, only longer


def trim(sources: Sources, facts: Mapping[str, str]) -> Sources:
    """The script without what it cannot reach. `facts`: expressions, as text, that are constants in this run.

    The user's own pieces are never edited. What is not understood stays as it is.
    """
    program = Program(sources)
    passes: tuple[Callable[[Program], Iterator[Change]], ...] = (
        guards,
        lambda program: fold(program, facts),
        tidied,
        local_names,
        records,
        constant_parameters,
        unread_parameters,
        unread_results,
        record_fields_settled,
        unread_attributes,
        unused_members,
        only_annotations,
        known_rows,
        default_arguments,
        needless_detach,
    )
    with garbage_left():
        settle_all(program, (without_examples, without_errors))
        settle_all(program, passes)
        settle_all(program, (*passes, inlined, placed_bodies))
        settle_all(program, (stale_documents,))
        for unit in program.library:
            program.put(unit.with_text(blank_runs(unit)))
    return program.result()


@contextlib.contextmanager
def garbage_left() -> Iterator[None]:
    """Python's collector at rest: it would search a growing heap of trees, a third of the time, and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle_all(program: Program, passes: tuple[Callable[[Program], Iterator[Change]], ...]) -> None:
    """Run passes until none finds anything to do."""
    for _ in range(ROUNDS):
        changed = False
        for single in passes:
            while program.apply(program.once(found_by, single)):
                changed = True
            changed = unused_units(program) or changed
        changed = unused_imports(program) or changed
        if not changed:
            return


def found_by(program: Program, single: Callable[[Program], Iterator[Change]]) -> list[Change]:
    return list(single(program))
