"""Text with places where it may break: the algebra that formatters such as ruff's print with.

After Wadler (2003), "A prettier printer", with the additions of ruff's formatter: what depends on whether a certain
group broke, and brackets that count as fitting when they fit broken.
"""

import unicodedata
from dataclasses import dataclass, field
from typing import Union

WIDTH, STEP = 120, 4


@dataclass(frozen=True, slots=True)
class Line:
    """A possible line break; `flat` is what stands there otherwise, None where it always breaks."""

    flat: str | None


@dataclass(slots=True, eq=False)
class Group:
    """Stays on one line if it fits. `when`: only a group of its own if that other group broke."""

    content: "Doc"
    broken: bool = False
    when: "Group | None" = None


@dataclass(frozen=True, slots=True)
class Indent:
    """Moved right; with `when`, only if that group broke."""

    content: "Doc"
    when: Group | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two, by whether `group` (None: the one that encloses it) broke."""

    broken: "Doc"
    flat: "Doc"
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class FitsBroken:
    """Counts as fitting if it fits broken, as long as `group` is flat."""

    content: "Doc"
    group: Group


@dataclass(frozen=True, slots=True)
class BestFit:
    """In parentheses on lines of its own if it fits there and not here."""

    content: "Doc"


@dataclass(frozen=True, slots=True)
class Comment:
    """At the end of the line."""

    text: str


Doc = Union[str, Line, Group, Indent, Choice, FitsBroken, BestFit, Comment, "list[Doc]"]
SOFT, SPACE, HARD = Line(""), Line(" "), Line(None)


def breaks(doc: Doc) -> bool:
    """Whether something within must break; marks the groups around it."""
    match doc:
        case str() | Choice() | Comment():
            return False
        case Line():
            return doc.flat is None
        case list():
            return sum(breaks(part) for part in doc) > 0  # all are marked
        case Group():
            doc.broken = breaks(doc.content) or doc.broken
            return doc.broken
        case FitsBroken():
            breaks(doc.content)
            return False
        case Indent() | BestFit():
            return breaks(doc.content)


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


@dataclass(frozen=True, slots=True)
class Part:
    """What is still to be printed, and how. `all_lines`: measured, every line must fit, not only the first."""

    doc: Doc
    indent: int
    flat: bool
    all_lines: bool = False

    def of(self, doc: Doc) -> "Part":
        return Part(doc, self.indent, self.flat, self.all_lines)


@dataclass(slots=True)
class Printer:
    """Prints a document from column `indent` on."""

    indent: int
    rows: list[str] = field(default_factory=list)
    row: str = ""
    column: int = 0
    comments: str = ""
    flat: dict[int, bool] = field(default_factory=dict)  # id of a group → whether it is on one line
    fits_checked: bool = False

    def print(self, doc: Doc) -> str:
        breaks(doc)
        self.row, self.column = " " * self.indent, self.indent
        stack = [Part(doc, self.indent, flat=False)]
        while stack:
            self.step(stack.pop(), stack)
        self.end_row()
        return "\n".join(self.rows)

    def end_row(self) -> None:
        self.rows.append((self.row + self.comments).rstrip())
        self.comments = ""

    def step(self, part: Part, stack: list[Part]) -> None:
        doc = part.doc
        match doc:
            case str():
                self.row += doc
                self.column += width(doc)
            case Comment():
                self.comments += f"  {doc.text}"
            case list():
                stack.extend(part.of(each) for each in reversed(doc))
            case Line():
                if part.flat and doc.flat is not None:
                    self.row += doc.flat
                    self.column += len(doc.flat)
                else:
                    self.end_row()
                    self.row, self.column = " " * part.indent, part.indent
                    self.fits_checked = False
            case Indent():
                moved = doc.when is None or not self.is_flat(doc.when, part)
                stack.append(Part(doc.content, part.indent + STEP * moved, part.flat))
            case Choice():
                stack.append(part.of(doc.flat if self.is_flat(doc.group, part) else doc.broken))
            case FitsBroken():
                if self.is_flat(doc.group, part):
                    self.fits_checked = False
                stack.append(part.of(doc.content))
            case Group():
                self.step_group(doc, part, stack)
            case BestFit():
                self.step_best_fit(doc, part, stack)

    def step_group(self, group: Group, part: Part, stack: list[Part]) -> None:
        if group.when is not None and self.is_flat(group.when, part):
            stack.append(part.of(group.content))
            return
        flat = Part(group.content, part.indent, flat=True)
        if group.broken:
            on_one_line = False
        elif part.flat and self.fits_checked:
            on_one_line = True
        else:
            self.flat[id(group)] = True
            on_one_line = self.fits(flat, stack)
            self.fits_checked = on_one_line
        self.flat[id(group)] = on_one_line
        stack.append(flat if on_one_line else Part(group.content, part.indent, flat=False))

    def step_best_fit(self, doc: BestFit, part: Part, stack: list[Part]) -> None:
        flat = Part(doc.content, part.indent, flat=True)
        lines: Doc = ["(", Indent([HARD, doc.content]), HARD, ")"]
        if (
            part.flat
            or self.fits(flat, stack)
            or not self.fits(Part(lines, part.indent, flat=False, all_lines=True), stack)
        ):
            stack.append(flat)
        else:
            stack.append(Part(lines, part.indent, flat=False))

    def is_flat(self, group: Group | None, part: Part) -> bool:
        return part.flat if group is None else self.flat.get(id(group), False)

    def fits(self, first: Part, rest: list[Part]) -> bool:
        """Whether `first` and what follows it up to the next break fit on the line."""
        stack, below, column, noted = [first], len(rest), self.column, width(self.comments)
        known = dict(self.flat)
        try:
            while stack or below:
                if stack:
                    part = stack.pop()
                else:
                    below -= 1
                    part = rest[below]
                doc = part.doc
                match doc:
                    case str():
                        column += width(doc)
                    case Comment():
                        noted += 0 if is_pragma(doc.text) else 2 + width(doc.text)
                    case list():
                        stack.extend(part.of(each) for each in reversed(doc))
                    case Line():
                        if part.flat and doc.flat is not None:
                            column += len(doc.flat)
                        elif part.all_lines:
                            column, noted = part.indent, 0
                        else:
                            return column + noted <= WIDTH
                    case Indent():
                        moved = doc.when is None or not self.is_flat(doc.when, part)
                        stack.append(Part(doc.content, part.indent + STEP * moved, part.flat, part.all_lines))
                    case Choice():
                        stack.append(part.of(doc.flat if self.is_flat(doc.group, part) else doc.broken))
                    case FitsBroken():
                        broken = self.is_flat(doc.group, part) and part.flat
                        stack.append(Part(doc.content, part.indent, False, True) if broken else part.of(doc.content))
                    case Group():
                        if doc.when is None or not self.is_flat(doc.when, part):
                            flat = part.flat and not doc.broken
                            self.flat[id(doc)] = flat
                            stack.append(Part(doc.content, part.indent, flat, part.all_lines))
                        else:
                            stack.append(part.of(doc.content))
                    case BestFit():
                        if not part.flat and not part.all_lines:
                            return column + noted + 1 <= WIDTH
                        stack.append(Part(doc.content, part.indent, True, part.all_lines))
                if column + noted > WIDTH:
                    return False
            return True
        finally:
            self.flat = {**known, **{key: value for key, value in self.flat.items() if key in known}}


def is_pragma(comment: str) -> bool:
    """A comment for a tool, which may stand beyond the last column."""
    return comment.removeprefix("#").lstrip().startswith(("noqa", "type:", "pyright:", "pylint:", "flake8:", "ruff:"))
