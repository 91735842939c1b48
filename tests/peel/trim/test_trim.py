"""Trimmed scripts compute what the whole ones do, and hold less."""

from tests.peel.trim.sources import sources, trimmed

from satsuma.peel.trim import trim


def test_refusals_go_with_their_conditions():
    text = trimmed('''
        import warnings

        def half(x: int, how: str = "down") -> int:
            """Half of x.

            Raises `ValueError` for a negative x.
            """
            if x < 0:
                shown = str(x)
                raise ValueError(f"x is {shown}")
            if how not in ("down", "up"):
                raise ValueError("how")
            elif x == 4:
                return 2
            if x > 1000:
                warnings.warn("large")
            assert x >= 0
            try:
                found = x // 2
            except TypeError as error:
                raise ValueError("x") from error
            return found

        def main():
            return [half(x, "down") for x in range(9)]
    ''')
    for gone in ("raise", "assert", "warn", "try", "shown", "Raises", "x < 0", "how"):
        assert gone not in text


def test_a_refusal_that_somebody_waits_for_stays():
    text = trimmed("""
        def inner(x):
            if x % 2:
                raise ValueError("odd")
            return x

        def outer(x):
            try:
                return inner(x)
            except ValueError:
                return -x

        def main():
            return [outer(x) for x in range(5)]
    """)
    assert 'raise ValueError("odd")' in text
    assert "return -x" in text


def test_the_last_way_is_taken_where_any_other_is_refused():
    text = trimmed("""
        def pick(x):
            if x == 1:
                return "one"
            elif x == 2:
                return "two"
            raise ValueError(x)

        def kind(x):
            if x > 0:
                return "above"
            elif x == 0:
                return "zero"
            else:
                raise ValueError(x)

        def main():
            return [(pick(x), kind(x - 1)) for x in (1, 2)]
    """)
    assert "raise" not in text


def test_facts_decide_branches():
    text = trimmed(
        """
        import os

        def where(n):
            if os.path.exists("/nowhere"):
                n = n + 1
            elif os.path.exists("/neither"):
                n = n + 2
            else:
                n = n * 3
            return n

        def main():
            return where(len("abc"))
        """,
        facts={'os.path.exists("/nowhere")': "False", 'os.path.exists("/neither")': "False"},
    )
    assert "os" not in text
    assert "n * 3" in text
    assert "else" not in text


def test_a_parameter_that_is_always_the_same_becomes_it():
    text = trimmed('''
        from functools import partial

        def square(x):
            y = x * x
            return y + 1

        def scaled(x, *, factor=2.0, then=None, offset=0, noise=0.0):
            """x times `factor`.

            factor: what it is multiplied by. offset: what is added.
            """
            if noise:
                x = x + noise
            x = x * factor + offset
            return x if then is None else then(x)

        def runs(words):
            run = partial(scaled, factor=3.0, then=square, noise=0.0)
            other = partial(scaled, factor=3.0, then=square, offset=len(words))
            return [run(x) for x in range(3)] + [other(1)]

        def main():
            return runs(["a", "b"])
    ''')
    assert "noise" not in text
    assert "def scaled(x, *, offset=0)" in text
    assert "factor: " not in text
    assert "offset: what is added." in text
    assert "then" not in text
    assert "return square(x)" in text or "y = x * x" in text


def test_settings_that_main_spells_out_stay_there():
    text = trimmed("""
        def scaled(x, *, factor=2.0, noise=0.0):
            y = x + noise if noise else x
            total = 0.0
            for _ in range(2):
                total += y * factor
            return total

        def main():
            return [scaled(x, factor=3.0, noise=0.0) for x in range(3)]
    """)
    assert "scaled(x, factor=3.0)" in text
    assert "noise" not in text


def test_a_keyword_that_a_value_may_be_called_with_stays():
    text = trimmed("""
        def drawn(x, *, rng=None):
            return x if rng is None else x + rng

        def apply(function, x):
            return function(x, rng=1) + function(x)

        def main():
            return [apply(f, 2) for f in (drawn, drawn)]
    """)
    assert "rng=None" in text


def test_the_users_own_code_is_not_touched():
    text = trimmed(
        """
        import math

        def helper(x, y=1):
            if x < 0:
                raise ValueError(x)
            return math.sqrt(x) + y

        def mine(x):
            if None is None:
                pass
            if x < 0: raise ValueError( "mine" )
            return helper(x, y=1)

        def main():
            return mine(4.0)
        """,
        own=("mine",),
    )
    assert 'if x < 0: raise ValueError( "mine" )' in text
    assert "return helper(x, y=1)" in text
    assert "y=1)" in text.split("def mine")[0]
    assert "raise ValueError(x)" not in text


def test_small_functions_stand_where_they_are_called():
    text = trimmed('''
        def step(optimizer):
            """Move on."""
            optimizer.append(1)

        def plain(batch, unused):
            return batch

        def twice(x):
            return x + x

        def main():
            optimizer, batch = [], [5, 6]
            step(optimizer)
            for b in plain(batch, 3):
                optimizer.append(twice(b) * 2)
            optimizer.append(twice(optimizer.pop()))
            return optimizer
    ''')
    assert "def step" not in text
    assert "def plain" not in text
    assert "for b in batch:" in text
    assert "twice(optimizer.pop())" in text


def test_order_of_effects_is_kept():
    text = trimmed("""
        def pair(x, log):
            return log.append("pair") or x

        def note(log, word):
            log.append(word)
            return word

        def main():
            log = []
            found = pair(note(log, "argument"), log)
            return found, log
    """)
    assert "def pair" in text


def test_what_is_not_reached_goes():
    text = trimmed('''
        import math
        import os.path as paths
        from collections import Counter, deque
        from dataclasses import dataclass, field

        ONE = 1
        TWO = 2
        NEVER = paths.join("a", "b")

        @dataclass(frozen=True)
        class Box:
            """A box."""

            width: int
            kind: str = "plain"
            notes: list = field(default_factory=list)

            def area(self):
                return self.width * TWO if self.kind == "plain" else math.inf

            def unused(self):
                return deque()

            def __repr__(self):
                return "a box"

            def __len__(self):
                return self.width

        class Other:
            pass

        def size(x):
            if isinstance(x, Other):
                return Counter()
            return x.area()

        def main():
            return size(Box(3)), size(Box(width=len("four")))
    ''')
    for gone in ("ONE", "NEVER", "paths", "deque", "Counter", "unused", "__repr__", "Other", "kind", "notes", "math"):
        assert gone not in text
    assert "__len__" in text


def test_unread_values_go_and_effects_stay():
    text = trimmed('''
        def highest(groups):
            """The highest, having changed them all."""
            factor, top = 0.5, 0.0
            for group in groups:
                group["lr"] = group["lr"] * factor
                top = max(top, group["lr"])
            return top

        def main():
            groups = [{"lr": 1.0}, {"lr": 2.0}]
            rate = highest(groups)
            norm = None
            gone = groups.pop()
            return groups if norm is None else norm
    ''')
    assert "top" not in text
    assert "groups.pop()" in text
    assert "norm" not in text


def test_comments_and_text_of_what_stays_survive():
    text = trimmed('''
        def shown(x):
            # the colour × of it
            if True:  # always
                # first
                words = str(x) + """two
        lines"""
                return words + f"{x!r}, {x}"  # last
            # never
            return None

        def main():
            x = shown(7)
            return x
    ''')
    assert "# the colour × of it" in text
    assert '"""two\nlines"""' in text
    assert "# last" in text
    assert "# never" not in text


def test_a_class_only_named_in_annotations_is_any():
    text = trimmed("""
        from typing import Protocol

        class Batches(Protocol):
            def epoch(self) -> list: ...

        def total(data: Batches) -> int:
            found = 0
            for x in data.epoch():
                found += x
            return found

        class Data:
            def epoch(self) -> list:
                return [1, 2]

        def main():
            return total(Data())
    """)
    assert "data: Any" in text
    assert "from typing import Any" in text
    assert "Protocol" not in text


def test_yield_keeps_a_generator_one():
    text = trimmed("""
        def numbers(n):
            return
            yield n

        def main():
            return list(numbers(3))
    """)
    assert "yield" in text


def test_nothing_to_do_changes_nothing():
    given = sources('''
        import math

        def area(r):
            """Source: Archimedes."""
            r = float(r)
            return math.pi * r**2

        def main():
            return [area(x) for x in range(3)]
    ''')
    assert trim(given, {}) == given


def test_a_block_may_lose_everything_at_once():
    text = trimmed("""
        class Share:
            def __init__(self, p):
                self.p = p
                self.check()

            def check(self):
                check_share(self.p)
                if self.p > 1:
                    raise ValueError(self.p)
                assert self.p >= 0

        def check_share(p):
            if p < 0:
                raise ValueError(p)

        def main():
            return Share(0.5).p
    """)
    assert "raise" not in text
    assert "check_share" not in text
