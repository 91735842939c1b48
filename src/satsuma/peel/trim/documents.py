"""Docstrings keep up with the code: what they say of parameters that are gone goes."""

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping

from satsuma.peel.trim.program import Change, Edit, Program
from satsuma.peel.trim.unit import FunctionNode, Unit

WIDTH = 120
ENTRY = re.compile(r"(?:(?<=\n)|(?<=[.;)] )|(?<=^)) *((?:`?[a-z_][a-z_0-9]*`?)(?:, `?[a-z_][a-z_0-9]*`?)*): ")
END = re.compile(r"(?<=[.)])\s+(?=(?:Raises|Source|Sources|ValueError|TypeError|Each|The|Of|Where|Shapes)\b)")


def docstring_node(node: FunctionNode | ast.ClassDef) -> ast.Constant | None:
    if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
        return node.body[0].value if isinstance(node.body[0].value.value, str) else None
    return None


def without_descriptions(
    unit: Unit, node: FunctionNode | ast.ClassDef, names: set[str], values: Mapping[str, str] | None = None
) -> list[Edit]:
    """Take what a docstring says of `names` away: entries ("name: ...") and sentences that begin with the name.

    Where it goes on naming one of `values` (numbers, as text), that number stands there.
    """
    found = docstring_node(node)
    if found is None:
        return []
    text = unit.source(found)
    new = text
    for name in names:
        new = without_entry(new, name)
    for name, value in (values or {}).items():
        if re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?", value):
            new = new.replace(f"`{name}`", value)
    return [Edit(unit, *unit.span(found), new)] if new != text else []


def without_entry(text: str, name: str) -> str:
    """`text` (quotes included) without the entry or the sentence of one name."""
    quotes = text[:3] if text[:3] in ('"""', "'''") else ""
    if not quotes:
        return text
    paragraphs = re.split(r"(\n[ \t]*\n)", text[3:-3])
    for i, paragraph in enumerate(paragraphs):
        if i == 0 or i % 2:
            continue
        starts = list(ENTRY.finditer(paragraph))
        for j, start in enumerate(starts):
            names = [n.strip(" `") for n in start[1].split(",")]
            if name not in names:
                continue
            if len(names) > 1:
                left = ", ".join(part.strip() for part in start[1].split(",") if part.strip(" `") != name)
                paragraphs[i] = paragraph[: start.start(1)] + left + paragraph[start.end(1) :]
                break
            stop = starts[j + 1].start() if j + 1 < len(starts) else len(paragraph)
            ended = END.search(paragraph, start.end(), stop)
            stop = ended.start() if ended else stop
            paragraphs[i] = refilled(joined_paragraph(paragraph[: start.start()], paragraph[stop:]), paragraph)
            break
        else:
            sentence = re.search(rf"(?:^|(?<=\. )|(?<=\n))\s*(?:With )?`{name}`(?: [^.]*)?\.(?:\s+|$)", paragraph)
            if sentence:
                rest = joined_paragraph(paragraph[: sentence.start()], paragraph[sentence.end() :])
                paragraphs[i] = refilled(rest, paragraph)
    kept = paragraphs[:1]
    for gap, paragraph in zip(paragraphs[1::2], paragraphs[2::2], strict=True):
        kept += [gap, paragraph] if paragraph.strip() or paragraph is paragraphs[-1] else []
    whole = "".join(kept)
    return quotes + (whole if not whole.strip() or "\n" in whole.strip() else whole.strip()) + quotes


def refilled(paragraph: str, before: str) -> str:
    """A paragraph in lines of 120 columns again, at the indent that it had."""
    words = paragraph.split()
    if not words:
        return ""
    found = re.match(r"\s*", before)
    indent = found[0].rpartition("\n")[2] if found else ""
    lines = textwrap.fill(" ".join(words), WIDTH, initial_indent=indent, subsequent_indent=indent,
                          break_long_words=False, break_on_hyphens=False)  # fmt: skip
    tail = before[len(before.rstrip()) :]
    return lines + tail


def joined_paragraph(before: str, after: str) -> str:
    indent = re.match(r"\s*", before)[0] if before.strip() else ""  # type: ignore[index]
    if not before.strip():
        found = re.match(r"\s*", before + after)
        margin = found[0].lstrip("\n") if found else ""
        return (margin + after.lstrip()) if after.strip() else after.lstrip(" ")
    if not after.strip():
        return before.rstrip() + ("\n" + indent if after.endswith("\n") or "\n" in after else "")
    between = "\n" + indent if before.endswith("\n") or after.startswith("\n") else " "
    return before.rstrip() + between + after.lstrip()


def without_examples(program: Program) -> Iterator[Change]:
    """Examples (`>>>`) of the library's docstrings go: they belong to the function as it was."""
    return program.each(unit_without_examples)


def unit_without_examples(unit: Unit) -> Iterator[Change]:
    for node in unit.nodes:
        if not isinstance(node, FunctionNode | ast.ClassDef):
            continue
        found = docstring_node(node)
        if found is None or ">>>" not in str(found.value):
            continue
        text = unit.source(found)
        paragraphs = re.split(r"\n[ \t]*\n", text[3:-3])
        kept = [p for p in paragraphs if not re.match(r"\s*>>>", p)]
        whole = "\n\n".join(kept).rstrip()
        margin = " " * (found.col_offset)
        yield [Edit(unit, *unit.span(found), text[:3] + whole + (f"\n{margin}" if "\n" in whole else "") + text[:3])]


ERRORS = re.compile(r"(?:^|(?<=[.:;)`\"] )|(?<=\n))\s*(?:Raises|`?[A-Z][a-z]+Error`?) (?:[^.]|\.(?=\S))*\.(?=\s|$)")


def without_errors(program: Program) -> Iterator[Change]:
    """Sentences on what a function raises go, as what it raised went."""
    return program.each(unit_without_errors)


def unit_without_errors(unit: Unit) -> Iterator[Change]:
    for node in unit.nodes:
        found = docstring_node(node) if isinstance(node, FunctionNode | ast.ClassDef) else None
        if found is None or not unit.source(found).startswith('"""'):
            continue
        text = unit.source(found)
        parts = re.split(r"(\n[ \t]*\n)", text[3:-3])
        for i in range(0, len(parts), 2):
            less = ERRORS.sub("", parts[i]) if "Raises" in parts[i] or "Error" in parts[i] else parts[i]
            if less != parts[i] and (less.strip() or i):
                parts[i] = refilled(less, parts[i]) if less.strip() else ""
        whole = "".join(p for i, p in enumerate(parts) if p or not i)
        if not whole.endswith("\n" + " " * found.col_offset) and "\n" in whole.strip():
            whole = whole.rstrip() + "\n" + " " * found.col_offset
        elif "\n" not in whole.strip():
            whole = whole.strip()
        whole = re.sub(r"(\n[ \t]*){3,}", lambda m: "\n\n" + m[0].rpartition("\n")[2], whole)
        if whole != text[3:-3]:
            yield [Edit(unit, *unit.span(found), f'"""{whole}"""')]
