"""Sources whose names were made longer or shorter and whose statements were joined: what a formatter has to mend."""

import io
import keyword
import random
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = {"match", "case", "type", "_", "self", "print"}


def renamed(text: str, rng: random.Random, share: float = 0.3) -> str:
    """A share of the names, each everywhere, by one of another length."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    names = sorted({t.string for t in tokens if t.type == tokenize.NAME})
    chosen = [n for n in names if not keyword.iskeyword(n) and n not in KEPT and rng.random() < share]
    lengths = (1, 2, 5, 13, 29, 47)
    new = {n: n[:1] + rng.choice("xyz") * rng.choice(lengths) + str(i) for i, n in enumerate(chosen)}
    lines = text.splitlines(keepends=True)
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in new:
            row, start = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:start] + new[token.string] + line[token.end[1] :]
    return "".join(lines)


def joined(text: str, rng: random.Random, share: float = 0.7) -> str:
    """Statements without comments put on one line each, a share of them."""
    lines = text.splitlines()
    done: list[str] = []
    statement: list[tokenize.TokenInfo] = []
    begun = 1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        statement.append(token)
        if token.type not in (tokenize.NEWLINE, tokenize.ENDMARKER):
            continue
        empty = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
        solid = [t for t in statement if t.type not in empty]
        first, last = solid[0].start[0], token.start[0]
        inside = lines[first - 1 : last]
        several = any(t.start[0] != t.end[0] for t in solid)
        comments = any(t.type == tokenize.COMMENT and first <= t.start[0] <= last for t in statement)
        done += lines[begun - 1 : first - 1]
        if len(inside) > 1 and not several and not comments and rng.random() < share:
            one = inside[0].rstrip()
            for row in inside[1:]:
                closes = row.lstrip()[:1] in tuple(")]}")
                bare = one.removesuffix(",") if closes else one
                one = bare + ("" if closes or bare[-1:] in tuple("([{") else " ") + row.strip()
            done.append(one)
        else:
            done += inside
        begun, statement = last + 1, []
    return "\n".join(done) + "\n"


def ruff_format(text: str) -> str:
    """What `ruff format` makes of it."""
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "format", "--config", ROOT / "pyproject.toml", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def ruff_faults(text: str, *ignored: str) -> str:
    """What `ruff check` finds by the project's rules, and what `ruff format` would change; "" if nothing."""
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--quiet", "--no-cache", "--config", ROOT / "pyproject.toml"]
    command += ["--ignore", ",".join(ignored), "-"] if ignored else ["-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return result.stdout + ("" if ruff_format(text) == text else "not formatted\n")
