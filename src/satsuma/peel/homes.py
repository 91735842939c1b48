"""Where an object's source is: the text of its module, what is defined there, and what is imported."""

import ast
import functools
import importlib
import importlib.util
import inspect
import linecache
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

INSTALLED = tuple(
    {Path(p).resolve() for k, p in sysconfig.get_paths().items() if k in ("stdlib", "purelib", "platlib")}
)
NOT_ABOUT_IT = re.compile(r"# *(mypy:|ruff:|pyright:|!|-\*-|[-=#]{3})")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import binds to a name: `attr` of `module`, or the module itself."""

    module: str
    attr: str | None
    line: str
    whole: bool = False  # `import a.b` without a name of its own: it binds `a`


@dataclass(frozen=True, slots=True)
class Home:
    """A module as text. `cell`: typed at a prompt, so that the names around it are known by their values alone."""

    name: str
    text: str
    namespace: Mapping[str, Any]
    cell: bool = False
    imports: Mapping[str, Imported] = field(default_factory=dict)
    definitions: Mapping[str, ast.stmt] = field(default_factory=dict)
    lazy_types: bool = False  # `from __future__ import annotations`

    @property
    def own(self) -> bool:
        """Whether it is the user's."""
        return not is_library(self.name)


def is_library(module: str) -> bool:
    return module.split(".")[0] == "satsuma"


def is_installed(module: str) -> bool:
    """Whether a script can import `module` wherever the package is installed: not the library, not the user's file."""
    root = module.split(".")[0]
    if root in sys.stdlib_module_names or root in sys.builtin_module_names:
        return True
    if is_library(module) or root == "__main__":
        return False
    loaded = sys.modules.get(root)
    file = getattr(loaded, "__file__", None)
    if loaded is None or file is None:
        spec = importlib.util.find_spec(root) if loaded is None else loaded.__spec__
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        file = next((p for p in places if p not in (None, "namespace", "built-in", "frozen")), None)
    if file is None:
        return False
    path = Path(file).resolve()
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return True
    return any(path.is_relative_to(folder) for folder in INSTALLED)


def home_of_module(name: str, module: ModuleType | None = None) -> Home:
    """The home that a module is; without text if it has none. Loads the module if need be."""
    module = module or sys.modules.get(name) or importlib.import_module(name)
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):
        text = ""
    package = getattr(module, "__package__", None) or name.rpartition(".")[0]
    return read_home(name, text, vars(module), package, cell=not text)


def home_of(value: Any) -> Home:
    """The home of a function or class; without text if it has none."""
    module = sys.modules.get(value.__module__)
    code = code_of(value)
    if code is None:
        return home_of_module(value.__module__) if module is not None else Home(value.__module__, "", {})
    namespace = namespace_of(value)
    if module is not None and namespace is vars(module):
        home = home_of_module(value.__module__, module)
        file = inspect.getsourcefile(module) if home.text else None
        if file == code.co_filename:
            return home
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, dict(namespace)))
    cell = not Path(code.co_filename).is_file()
    return read_home(value.__module__, text, namespace, str(namespace.get("__package__") or ""), cell=cell)


def code_of(value: Any) -> Any:
    """The code of a function, or of one of a class's own methods that was not generated."""
    if inspect.isfunction(value):
        return value.__code__
    for method in vars(value).values():
        inner = inspect.unwrap(method) if inspect.isfunction(method) else None
        written = inner is not None and not inner.__code__.co_filename.startswith("<string")
        if inner is not None and written and inner.__qualname__.startswith(value.__qualname__ + "."):
            return inner.__code__
    return None


def namespace_of(value: Any) -> Mapping[str, Any]:
    """The globals of a function, or those of a class's methods."""
    if inspect.isfunction(value):
        return value.__globals__
    code = code_of(value)
    for method in vars(value).values():
        if inspect.isfunction(method) and inspect.unwrap(method).__code__ is code:
            return inspect.unwrap(method).__globals__  # type: ignore[no-any-return]
    return {}


def cell_with(name: str) -> Home | None:
    """The newest piece of text typed at a prompt that defines `name` at its top level."""
    main = sys.modules["__main__"]
    for file in reversed([f for f in linecache.cache if not Path(f).is_file()]):
        home = read_home("__main__", "".join(linecache.getlines(file)), vars(main), "", cell=True)
        if name in home.definitions:
            return home
    return None


def read_home(name: str, text: str, namespace: Mapping[str, Any], package: str, *, cell: bool) -> Home:
    try:
        imports, definitions, lazy_types = read_text(text, package)
    except SyntaxError:  # a cell with a shell command or magic
        return Home(name, "", namespace, True)
    return Home(name, text, namespace, cell, imports, definitions, lazy_types)


@functools.lru_cache(maxsize=512)
def read_text(text: str, package: str) -> tuple[dict[str, Imported], dict[str, ast.stmt], bool]:
    imports: dict[str, Imported] = {}
    definitions: dict[str, ast.stmt] = {}
    lazy_types = False
    for node in top_statements(ast.parse(text).body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            lazy_types |= any(a.name == "annotations" for a in node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports |= imported(node, package)
        else:
            definitions |= dict.fromkeys(defined(node), node)
    return imports, definitions, lazy_types


def top_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module's top level, those under `if` and `try` among them."""
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            inner = [*node.body, *getattr(node, "orelse", ())]
            inner += [s for handler in getattr(node, "handlers", ()) for s in handler.body]
            yield from top_statements(inner)
        else:
            yield node


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    if type(node).__name__ == "TypeAlias":
        targets = [node.name]  # type: ignore[attr-defined]
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, Imported]:
    """What an import statement binds, name by name."""
    found = {}
    if isinstance(node, ast.Import):
        for a in node.names:
            tail = f" as {a.asname}" if a.asname else ""
            name = a.asname or a.name.split(".")[0]
            found[name] = Imported(a.name, None, f"import {a.name}{tail}", whole=not a.asname)
        return found
    module = node.module or ""
    if node.level:
        module = importlib.util.resolve_name("." * node.level + module, package) if package else module
    for a in node.names:
        tail = f" as {a.asname}" if a.asname else ""
        found[a.asname or a.name] = Imported(module, a.name, f"from {module} import {a.name}{tail}")
    found.pop("*", None)
    return found


def source_of(home: Home, node: ast.stmt) -> str:
    """A definition's text: its decorators, the comments within it and directly above it, and one at its end."""
    lines = home.text.split("\n")
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    last = node.end_lineno or node.lineno
    column = node.col_offset
    while first > 1 and lines[first - 2].startswith("#") and not NOT_ABOUT_IT.match(lines[first - 2]):
        first -= 1
    return "\n".join(line[column:] if line[:column].isspace() else line for line in lines[first - 1 : last])
