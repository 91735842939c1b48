"""How Sphinx builds the manual: `make docs` writes it to docs/_build."""

import inspect
import re
from importlib import import_module

import satsuma
from satsuma.version import __version__

project = "Satsuma"
author = "The Satsuma authors"
copyright = "The Satsuma authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Satsuma {__version__}"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b8500a", "color-brand-content": "#b8500a"},
    "dark_css_variables": {"color-brand-primary": "#f0a060", "color-brand-content": "#f0a060"},
}
html_copy_source = False
trim_doctest_flags = True

ROOMS = {
    "learner": "the facade: data, model, loss and optimiser in one hand",
    "data": "items → split → label → sample → batch",
    "vision": "images",
    "train": "the loop, and what goes around it",
    "hooks": "observers",
    "inspect": "what came out of it, and why",
    "optim": "optimisers and schedules",
    "nn": "models and layers",
    "functional": "losses, metrics, activations",
    "ship": "model files",
    "errors": "the exceptions",
}


def reference() -> str:
    """The public names by room, each with its arguments and its docstring, as Markdown."""
    lines = []
    for room, purpose in ROOMS.items():
        lines += [f"## {room}: {purpose}", ""]
        for home, names in satsuma.HOMES.items():
            if home.split(".")[1] == room:
                for name in names.split():
                    lines += entry(name, getattr(import_module(home), name))
    return "\n".join(lines)


def entry(name: str, part: object) -> list[str]:
    lines = [f"### {name}", "", "```python", name + arguments(part), "```", "", *described(part)]
    for method, function in vars(part).items() if isinstance(part, type) else ():
        function = getattr(function, "__func__", function)
        if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
            lines += ["", "```python", f".{method}{arguments(function)}", "```", "", *described(function)]
    return [*lines, ""]


def arguments(part: object) -> str:
    """The names and defaults of a part's arguments; types are left to the editor."""
    try:
        signature = inspect.signature(part)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    bare = inspect.Parameter.empty
    shown = [p.replace(annotation=bare) for p in signature.parameters.values() if p.name != "self"]
    text = str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return re.sub(r"<(?:function|class) '?(?:\w+\.)*(\w+)[^>]*>", r"\1", text)


def described(part: object) -> list[str]:
    """A docstring, with its examples between fences."""
    text = inspect.getdoc(part) or ""
    return re.sub(r"(?m)(^>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", text).split("\n")


def insert_reference(app: object, docname: str, source: list[str]) -> None:
    if docname == "api":
        source[0] = source[0].replace("REFERENCE", reference())


def setup(app: object) -> None:
    app.connect("source-read", insert_reference)  # type: ignore[attr-defined]
