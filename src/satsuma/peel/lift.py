"""Draft → sources: the live source text of everything that `main` uses, in an order that runs."""

import ast
import builtins
import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import satsuma
from satsuma.errors import PeelError
from satsuma.peel.definitions import (
    chains,
    is_literal_line,
    one_of_several,
    refuse_changed_globals,
    refuse_nested,
    without_dropped_decorators,
    without_inner_imports,
)
from satsuma.peel.homes import (
    Home,
    Imported,
    cell_with,
    defined,
    home_of,
    home_of_module,
    is_installed,
    is_library,
    source_of,
)
from satsuma.peel.live import live_definition, refuse_state, wrapped_by_hand
from satsuma.peel.names import (
    free_names,
    names_at_import,
    names_within,
    quoted_names,
    top_bindings,
    with_changes,
    without_tool_notes,
)
from satsuma.peel.order import Entry, in_order
from satsuma.peel.pieces import Draft, Piece, Sources
from satsuma.peel.spell import import_for, is_plain, spelled_value
from satsuma.peel.wrap import wrapped

PUBLIC: Mapping[str, str] = vars(satsuma)["PUBLIC"]  # public name → its module
ANNOTATIONS = "from __future__ import annotations"


def lift(draft: Draft, *, twins: Mapping[str, Any] | None = None, library: bool = True) -> Sources:
    """The source text of what `draft.main` uses, and of what that uses, each piece after those it needs.

    `twins`: full name → the object lifted in its place ("satsuma.functional.losses.cross_entropy", "torch.nn.Linear").
    `library`: whether satsuma's own objects are copied; if not they are imported, and only the user's are copied.
    Raises `PeelError` for what has no source or would not mean the same in a script; it names the part.
    """
    lifter = Lifter(draft, twins_by_identity(twins or {}), library, frozenset(top_bindings(draft.main)))
    used = [lifter.from_main(name) for name in free_names(draft.main)]
    lifter.refuse_hidden_builtins()
    order = in_order(lifter.entries, [n for n in used if n is not None])
    pieces = tuple(dict.fromkeys(lifter.entries[name].piece for name in order))
    lines = [lifter.lines[name] for name in lifter.lines]
    imports = dict.fromkeys(line for several in lines for line in several)
    future = [ANNOTATIONS] if lifter.lazy_types else []
    return Sources(imports=(*future, *imports), pieces=pieces, main=draft.main)


def twins_by_identity(twins: Mapping[str, Any]) -> dict[int, Any]:
    """The object that stands in, by the identity of the one it stands for."""
    found = {}
    for name, twin in twins.items():
        module, _, last = name.rpartition(".")
        found[id(getattr(importlib.import_module(module), last))] = twin
    return found


@dataclass(slots=True)
class Lifter:
    """What has been lifted so far: pieces by name, import lines by the name they bind, and who claims each name."""

    draft: Draft
    twins: dict[int, Any]
    library: bool
    reserved: frozenset[str]  # names that main defines
    entries: dict[str, Entry] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    claims: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # name → (module, name there, identity)
    builtin_uses: dict[str, str] = field(default_factory=dict)  # builtin → a piece that uses it
    lazy_types: bool = False

    def from_main(self, name: str) -> str | None:
        """The bound name of what `name` means in main; None for a builtin."""
        if name in self.draft.written:
            return self.from_written(name)
        if name in self.draft.names:
            return self.from_value(name, self.draft.names[name], "main")
        found = self.from_draft_lines(name)
        if found is None and not hasattr(builtins, name):
            raise PeelError(f"peel: the script's main uses {name!r}, which nothing defines")
        return found

    def from_written(self, name: str) -> str:
        """Bind `name` to the definition that was made for this run, and all that it uses."""
        if not self.claim(name, "script", name):
            return name
        text = self.draft.written[name]
        first = ast.parse(text).body[0]
        kind = "class" if isinstance(first, ast.ClassDef) else "function"
        kind = kind if isinstance(first, ast.ClassDef | ast.FunctionDef) else "constant"
        entry = Entry(Piece(name=name, text=text, kind=kind, room="satsuma.data"))
        self.entries[name] = entry
        entry.uses = [bound for used in free_names(text) if (bound := self.from_main(used)) is not None]
        entry.needs, entry.calls = names_at_import(text, lazy_types=False)
        return name

    def from_draft_lines(self, name: str) -> str | None:
        for line in self.draft.imports:
            if name in top_bindings(line):
                return self.import_line(name, line)
        return None

    def import_line(self, name: str, line: str) -> str:
        """Bind `name` by an import."""
        (alias,) = [a for a in ast.parse(line).body[0].names if name in (a.asname, a.name.split(".")[0])]  # type: ignore
        module = getattr(ast.parse(line).body[0], "module", None)
        self.claim(
            name, *((alias.name, "") if alias.asname else (name, "")) if module is None else (module, alias.name)
        )
        several = self.lines.setdefault(name, [])
        if line not in several and not (several and module is None and alias.asname):
            several.append(line)
        return name

    def claim(self, name: str, module: str, there: str, identity: int = 0) -> bool:
        """Whether `name` is new. Raises `PeelError` if it already stands for something else."""
        mine = (module, there, identity)
        if name in self.reserved:
            raise PeelError(f"peel: {claim_text(mine)} is called {name!r}, a name that the script needs; rename it")
        old = self.claims.setdefault(name, mine)
        if old[:2] != mine[:2] and same_object(old, mine):
            return False
        if old[:2] != mine[:2] or (old[2] and identity and old[2] != identity):
            raise PeelError(
                f"peel: {claim_text(old)} and {claim_text(mine)} are both called {name!r}, and a script has one place "
                f"for a name; rename yours"
            )
        return name not in self.entries and name not in self.lines

    def from_value(self, name: str, value: Any, user: str) -> str:
        """Bind a live value to `name`, or to its own name and that to `name`; the name bound."""
        twin = self.twins.get(id(value))
        if twin is not None:
            return self.alias(name, self.from_value(twin.__name__, twin, user))
        if inspect.ismodule(value):
            return self.from_module(name, value, user)
        base = inspect.unwrap(value) if callable(value) and hasattr(value, "__wrapped__") else value
        if inspect.isfunction(base) or inspect.isclass(base):
            line = import_for(value, name)
            if line is not None:
                return self.import_line(name, line)
            if base is not value and not is_library(base.__module__) and value is not named_in_module(base):
                raise wrapped_by_hand(f"{base.__module__}.{base.__qualname__}")
            return self.from_definition(name, base, user, live=value)
        if inspect.ismethod(value):
            raise PeelError(
                f"peel: {user} uses {value.__qualname__}, a method of one object, which a script has no source for; "
                f"make it a function in a file"
            )
        line = import_for(value, name)
        if line is not None:
            return self.import_line(name, line)
        return self.from_constant(name, value, user)

    def from_module(self, name: str, module: ModuleType, user: str) -> str:
        if is_library(module.__name__) and not self.library:
            return self.import_line(name, module_line(module.__name__, name))
        if not is_installed(module.__name__):
            raise PeelError(
                f"peel: {user} uses the module {module.__name__} as a value; take what you need from it by name "
                f"(from {module.__name__} import ...)"
            )
        return self.import_line(name, module_line(module.__name__, name))

    def from_definition(self, name: str, value: Any, user: str, *, live: Any) -> str:
        """Lift or import a function or class; `live`: with what decorators have put around it."""
        refuse_nested(value, user)
        if is_library(value.__module__) and not self.library:
            line = f"from {value.__module__} import {value.__name__}"
            return self.import_line(name, line if name == value.__name__ else f"{line} as {name}")
        if is_installed(value.__module__):
            raise PeelError(f"peel: {user} uses {value.__qualname__}, which cannot be imported by name")
        home = home_of(value)
        if value.__name__ not in home.definitions and value.__module__ == "__main__":
            home = cell_with(value.__name__) or home
        if value.__name__ not in home.definitions:
            raise PeelError(
                f"peel: {user} uses {value.__name__}, whose source cannot be found (it was typed at a prompt, or its "
                f"file has changed); put it in a file and import it from there"
            )
        return self.alias(name, self.define(home, value.__name__, live))

    def from_constant(self, name: str, value: Any, user: str) -> str:
        """Bind a value that is neither function, class nor module: by the library's own line if there is one."""
        rooms = [m for n, m in sys.modules.items() if is_library(n) and not n.startswith("satsuma.peel.")]
        for module in [m for m in rooms if name in vars(m)]:
            home = home_of_module(module.__name__)
            if vars(module)[name] is value and name in home.definitions:
                return self.resolve(name, home, user) or name
        return self.define_value(name, value, user, "script")

    def define_value(self, name: str, value: Any, user: str, room: str) -> str:
        """A constant spelled out from its live value."""
        if not is_plain(value):
            raise PeelError(
                f"peel: {user} uses the global {name!r}, a {type(value).__name__}, which no line of code stands for; "
                f"make it an argument, or build it where it is used"
            )
        if not self.claim(name, room, name, 0 if isinstance(value, int | float | str) else id(value)):
            return name
        names: dict[str, Any] = {}
        imports: set[str] = set()
        text = f"{name} = {spelled_value(value, names, imports)}"
        entry = Entry(Piece(name=name, text=text, kind="constant", room=room, own=room != "script"))
        self.entries[name] = entry
        entry.uses += [self.from_value(n, v, f"the constant {name}") for n, v in names.items()]
        for line in sorted(imports):
            entry.uses += [self.import_line(bound, line) for bound in top_bindings(line)]
        entry.needs = entry.calls = set(entry.uses)
        return name

    def alias(self, name: str, bound: str) -> str:
        """Let `name` mean what `bound` does."""
        if name == bound:
            return name
        if self.claim(name, "script", bound):
            piece = Piece(name=name, text=f"{name} = {bound}", kind="constant", room="script")
            self.entries[name] = Entry(piece, [bound], {bound})
        return name

    def resolve(self, name: str, home: Home, user: str) -> str | None:
        """The bound name of what `name` means in a module; None for a builtin, and for what is unknown there."""
        live = home.namespace.get(name, MISSING)
        if home.name == "satsuma" and name in PUBLIC:
            return self.resolve(name, home_of_module(PUBLIC[name]), user)
        if live is not MISSING and id(live) in self.twins:
            return self.from_value(name, live, user)
        if not home.cell:
            if name in home.imports:
                return self.from_import(name, home.imports[name], user)
            if name in home.definitions:
                return self.define(home, name, live)
        if live is not MISSING:
            return self.from_value(name, live, user)
        if name in self.draft.names:
            return self.from_value(name, self.draft.names[name], user)
        return self.from_draft_lines(name)

    def from_import(self, name: str, found: Imported, user: str) -> str:
        copied = not is_installed(found.module) and (self.library or not is_library(found.module))
        if found.module == "__future__" or not copied:
            return self.import_line(name, found.line)
        if found.attr is None:
            return self.from_module(name, importlib.import_module(found.module), user)
        module = importlib.import_module(found.module)
        if inspect.ismodule(getattr(module, found.attr, None)):
            return self.from_module(name, getattr(module, found.attr), user)
        home = home_of_module(found.module)
        bound = self.resolve(found.attr, home, user)
        if bound is None and hasattr(module, found.attr):  # made on demand by the module's __getattr__
            bound = self.from_value(found.attr, getattr(module, found.attr), user)
        if bound is None:
            raise PeelError(f"peel: {user} uses {name}, which {found.module} does not define")
        return self.alias(name, bound)

    def define(self, home: Home, name: str, live: Any) -> str:
        """Lift a definition of a module, and all that it uses."""
        node = live_definition(home, name, live) if home.own and live is not MISSING else home.definitions[name]
        constant = not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if f"{home.name}.{name}" == "satsuma.learner.learner.Learner":
            raise PeelError("peel: the code uses Learner itself, which is what a script does without")
        if constant and home.own and not is_literal_line(node, live):
            if hasattr(live, "__wrapped__"):
                raise wrapped_by_hand(f"{home.name}.{name}")
            if callable(live) and import_for(live, name) is None and inspect.isroutine(live):
                return self.from_value(name, live, home.name)
            return self.define_value(name, live, home.name, home.name)
        identity = 0 if constant or live is MISSING else id(inspect.unwrap(live) if callable(live) else live)
        if not self.claim(name, home.name, name, identity):
            return name
        kind = "constant" if constant else "class" if isinstance(node, ast.ClassDef) else "function"
        text = one_of_several(node, name) or source_of(home, node)
        extra: dict[str, Imported] = {}
        if not home.own:
            text = without_tool_notes(without_dropped_decorators(text))
        if self.library:
            text, extra = without_inner_imports(text, home)
        if self.draft.rewrite is not None:
            rewritten = self.draft.rewrite(text)
            text = wrapped(rewritten) if home.own and rewritten != text else rewritten
        full = replace(home, imports={**home.imports, **extra})
        entry = Entry(Piece(name=name, text=text, kind=kind, room=home.name, own=home.own))
        together = [name] if one_of_several(node, name) else defined(node)  # `a, b = f()` is one piece with two names
        self.entries |= dict.fromkeys([n for n in together if n == name or self.claim(n, home.name, n)], entry)
        self.lazy_types |= home.own and home.lazy_types
        text = self.with_bare_names(text, full, entry)
        entry.piece = Piece(name=name, text=text, kind=kind, room=home.name, own=home.own)
        refuse_changed_globals(entry.piece)
        refuse_state(entry.piece, home)
        self.find_uses(entry, full, extra)
        entry.needs, entry.calls = names_at_import(text, lazy_types=home.own and home.lazy_types)
        return name

    def find_uses(self, entry: Entry, home: Home, extra: Mapping[str, Imported]) -> None:
        """Bind every name that a piece reads."""
        piece = entry.piece
        for name in free_names(piece.text):
            if name in entry.uses:
                continue
            inner = extra.get(name)
            bound = self.from_import(name, inner, piece.name) if inner else self.resolve(name, home, piece.name)
            if bound is not None:
                entry.uses.append(bound)
            elif hasattr(builtins, name):
                self.builtin_uses.setdefault(name, piece.name)
            else:
                raise PeelError(f"peel: {piece.name} ({piece.room}) uses {name!r}, which its module does not define")
        for name in quoted_names(piece.text):
            if not hasattr(builtins, name) and name not in entry.uses:
                bound = self.resolve(name, home, piece.name)
                entry.uses += [] if bound is None else [bound]

    def with_bare_names(self, text: str, home: Home, entry: Entry) -> str:
        """`text` with `sm.accuracy` as `accuracy`, and twins by their names; what they mean is lifted."""
        changes: list[tuple[ast.expr, str]] = []
        local = names_within(text)
        free = set(free_names(text))
        for chain in chains(ast.parse(text)):
            root, names = chain[0], [node.attr for node in chain[1:] if isinstance(node, ast.Attribute)]
            assert isinstance(root, ast.Name)
            found = home.imports.get(root.id)
            value = home.namespace.get(root.id, MISSING)
            if value is MISSING and found is not None and found.attr is None:
                value = importlib.import_module(found.module.split(".")[0] if found.whole else found.module)
            if root.id not in free or not inspect.ismodule(value):
                continue
            depth = 0
            while depth < len(names) and inspect.ismodule(getattr(value, names[depth], None)):
                value = getattr(value, names[depth])
                depth += 1
            if depth == len(names):
                continue
            bound = self.from_attribute(value, names[depth], entry.piece.name)
            if bound is None:
                continue
            node = chain[depth + 1]
            if re.sub(r"\s", "", ast.get_source_segment(text, node) or "") != ast.unparse(node):
                raise PeelError(f"peel: {entry.piece.name} has {ast.unparse(node)} within an f-string; take it outside")
            new = bound if bound not in local else self.alias(f"{root.id}_{bound}", bound)
            entry.uses.append(new)
            changes.append((node, new))
        return with_changes(text, changes)

    def from_attribute(self, module: ModuleType, attr: str, user: str) -> str | None:
        """Bind what `module.attr` means if it is to be copied; None if the script imports the module."""
        if not hasattr(module, attr):
            return None
        value = getattr(module, attr)
        if id(value) in self.twins:
            return self.from_value(attr, value, user)
        if is_installed(module.__name__) or (is_library(module.__name__) and not self.library):
            return None
        bound = self.resolve(attr, home_of_module(module.__name__, module), user)
        return bound or self.from_value(attr, value, user)

    def refuse_hidden_builtins(self) -> None:
        """Raise `PeelError` if a piece bears the name of a builtin that another piece uses."""
        for name, user in self.builtin_uses.items():
            if name in self.claims:
                raise PeelError(
                    f"peel: {claim_text(self.claims[name])} hides Python's own {name!r}, which {user} uses; rename it"
                )


MISSING: Any = object()


def named_in_module(base: Any) -> Any:
    """What stands under a function's own name in its module."""
    return base.__globals__.get(base.__name__) if inspect.isfunction(base) else base


def claim_text(claim: tuple[str, str, int]) -> str:
    """A claim in words: the object's full name."""
    return f"{claim[0]}.{claim[1]}" if claim[1] else f"the module {claim[0]}"


def same_object(a: tuple[str, str, int], b: tuple[str, str, int]) -> bool:
    """Whether two full names lead to one object, as `torch.nn.functional` and `functional` of `torch.nn` do."""
    return live_object(a) is live_object(b) is not None


def live_object(claim: tuple[str, str, int]) -> Any:
    module, name, _ = claim
    try:
        found = sys.modules.get(module) or importlib.import_module(module)
    except ImportError:
        return None
    return getattr(found, name, None) if name else found


def module_line(module: str, name: str) -> str:
    """The line that imports a module under a name.

    >>> module_line("torch.nn.functional", "F"), module_line("numpy", "np")
    ('from torch.nn import functional as F', 'import numpy as np')
    """
    package, _, last = module.rpartition(".")
    head = f"from {package} import {last}" if package else f"import {last}"
    return head if last == name else f"{head} as {name}"
