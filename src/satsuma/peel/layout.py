"""Sources → the text of a script: docstring, imports, sections under banners, `main`; formatted as ruff would."""

import ast
import textwrap
from collections.abc import Iterator, Mapping

from satsuma.peel.commas import without_last_commas
from satsuma.peel.imports import sorted_imports
from satsuma.peel.pieces import Piece, Sources
from satsuma.peel.wrap import wrapped
from satsuma.peel.wrap_doc import WIDTH

YOURS, OTHER = "yours", "training"
SECTIONS = ("random numbers", "data", "model", "loss and metrics", "optimiser", OTHER)
ROOMS = {  # the longest that fits decides
    "satsuma.data": "data",
    "satsuma.data.seeds": "random numbers",
    "satsuma.vision": "data",
    "satsuma.nn": "model",
    "satsuma.functional": "loss and metrics",
    "satsuma.functional.activations": "model",
    "satsuma.optim": "optimiser",
    "satsuma.train": "training",
    "satsuma.hooks": "training",
}
LADDER = {  # the beginning of a file's name in a rung of the ladder
    "seeds": "random numbers",
    "random": "random numbers",
    "data": "data",
    "mixing": "data",
    "losses": "loss and metrics",
    "weighted_losses": "loss and metrics",
    "metrics": "loss and metrics",
    "optimizers": "optimiser",
    "adam": "optimiser",
    "adaptive": "optimiser",
    "sgd": "optimiser",
    "groups": "optimiser",
    "penalties": "optimiser",
}
FEW = 3  # pieces of the last section that `main` stands beside without a banner of its own
MAIN_CALL = 'if __name__ == "__main__":\n    main()\n'


def laid_out(sources: Sources, title: str) -> str:
    """The script's text. Code of the library and `main` come out formatted, the user's own as it was written."""
    parts = [title_text(title)]
    if sources.imports:
        parts.append("\n" + sorted_imports(sources.imports) + "\n")
    name, pieces = "", list[Piece]()
    blank = "\n"  # ruff wants one line below imports, two between definitions
    for name, pieces in arranged(sources.pieces):
        parts.append(f"{blank}{banner(name)}\n")
        blank, before = "\n\n", ""
        for piece in pieces:
            constant = piece.kind == "constant"
            apart = 0 if constant and before == "constant" else 1 if constant and not before else 2
            text = piece.text.strip("\n") + "\n" if piece.own else formatted(piece)
            parts.append("\n" * apart + text)
            before = piece.kind
    if name != OTHER or len(pieces) > FEW:
        parts.append(f"{blank}{banner('main')}\n")
    parts += ["\n\n", wrapped(sources.main.strip("\n")), "\n\n", MAIN_CALL]
    return "".join(parts)


def formatted(piece: Piece) -> str:
    """A piece of the library as ruff has it; rows stand on one line where they fit, as trimming may have made them."""
    text = piece.text.strip("\n")
    return wrapped(text if piece.kind == "constant" else without_last_commas(text))


def title_text(title: str) -> str:
    """`title` as a docstring: long lines wrapped, quotes and backslashes escaped where they must be."""
    safe = title.strip().replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    rows: list[str] = []
    for row in safe.splitlines():
        first = "" if rows else '""" ' if row.startswith('"') else '"""'
        rows += textwrap.wrap(first + row, WIDTH - 3 * bool(first), break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
    if not rows:
        rows = ['"""A training script.']
    if len(rows) > 1:
        return "\n".join(rows) + '\n"""\n'
    row = rows[0]
    return (row[:-1] + '\\"' if row.endswith('"') else row) + '"""\n'


def banner(name: str) -> str:
    return f"# --- {name} ".ljust(WIDTH, "-")


def is_one_line_number(piece: Piece) -> bool:
    """Whether a piece is a constant of one line that needs no other: these stand at the top of their section."""
    plain = piece.kind == "constant" and "\n" not in piece.text.strip()
    return plain and not piece.own and not any(isinstance(n, ast.Name | ast.Call) for n in right_side(piece.text))


def right_side(text: str) -> Iterator[ast.AST]:
    """The nodes of what a line assigns."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from ast.walk(statement.value)


def section_of(piece: Piece) -> str:
    """The section that a piece belongs into, by the room it comes from."""
    if piece.own:
        return YOURS
    if piece.room.startswith("satsuma.ladder."):
        return LADDER.get(piece.room.split(".")[3] if piece.room.count(".") > 2 else "", "model")
    fitting = [room for room in ROOMS if f"{piece.room}.".startswith(f"{room}.")]
    return ROOMS[max(fitting, key=len)] if fitting else OTHER


def arranged(pieces: tuple[Piece, ...]) -> Iterator[tuple[str, list[Piece]]]:
    """The sections that hold something; what a definition needs when the script is read stands before it.

    Such pieces move up into the section that needs them. The user's section stands behind those that it needs.
    """
    known = {piece.name: piece for piece in pieces}
    needs = {piece.name: [name for name in needed_names(piece, known) if name != piece.name] for piece in pieces}
    order = list(SECTIONS)
    for_own = [section_of(known[name]) for piece in pieces if piece.own for name in needs[piece.name]]
    order.insert(max((order.index(name) + 1 for name in for_own if name != YOURS), default=0), YOURS)
    placed: set[str] = set()
    for section in order:
        found: list[Piece] = []
        mine = [piece for piece in pieces if section_of(piece) == section]
        for piece in sorted(mine, key=lambda piece: not is_one_line_number(piece)):
            place(piece, known, needs, placed, found)
        if found:
            yield section, found


def place(
    piece: Piece, known: Mapping[str, Piece], needs: Mapping[str, list[str]], placed: set[str], found: list[Piece]
) -> None:
    """Add a piece to `found`, after those that it needs and that are not placed yet."""
    if piece.name in placed:
        return
    placed.add(piece.name)
    for name in needs[piece.name]:
        place(known[name], known, needs, placed, found)
    found.append(piece)


def needed_names(piece: Piece, known: Mapping[str, Piece]) -> list[str]:
    """The pieces that must be there when Python reads this one: its bases, decorators, defaults, annotations.

    What is called at that time, or may be, needs all that it uses itself.
    """
    annotations, others = read_names(ast.parse(piece.text))
    found = [name for name in annotations if name in known]
    waiting = [name for name in others if name in known]
    while waiting:
        name = waiting.pop(0)
        if name not in found or name in annotations:
            annotations.discard(name)
            found = [*(n for n in found if n != name), name]
            used = (n.id for n in ast.walk(ast.parse(known[name].text)) if isinstance(n, ast.Name))
            waiting += [n for n in dict.fromkeys(used) if n in known and n not in found and n != piece.name]
    return found


def read_names(tree: ast.Module) -> tuple[set[str], list[str]]:
    """The names that are looked up while a definition is read: in annotations, and elsewhere."""
    annotations: dict[str, None] = {}
    others: dict[str, None] = {}
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            given = node.args
            waiting += [d for d in (*given.defaults, *given.kw_defaults) if d is not None]
            if isinstance(node, ast.Lambda):
                continue
            waiting += node.decorator_list
            parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            told = [p.annotation for p in parameters if p is not None] + [node.returns]
            annotations |= dict.fromkeys(n.id for t in told if t for n in ast.walk(t) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign):
            annotations |= dict.fromkeys(n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name))
            waiting += [node.value] if node.value is not None else []
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            others[node.id] = None
        else:
            waiting += list(ast.iter_child_nodes(node))
    return set(annotations), list(others)
