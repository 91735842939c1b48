"""Constants are worked out without a change of value."""

import pytest
from tests.peel.trim.sources import trimmed


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("x if None is None else -x", "return x"),
        ("(x + 1) if not 0.0 else 2", "return x + 1"),
        ("x and True or x", "x and True or x"),
        ("[*(x, 2), *()]", "[x, 2]"),
        ("{'a': x, **{}}", "{'a': x}"),
        ("x * (3 if False else x + 1)", "x * (x + 1)"),
        ("(len is None or x > 1) and x", "x > 1) and x"),
        ("x if (True and x > 2) else 0", "x if x > 2 else 0"),
        ("isinstance(0.5, str) or x", "return x"),
        ("(1 - 0.25) * x", "0.75 * x"),
        ("-x if 3 in (1, 2) else 2 ** x", "return 2 ** x"),
    ],
)
def test_constants_are_worked_out(expression, left):
    text = trimmed(f"""
        def f(x):
            x += 0
            return {expression}

        def main():
            return [f(x) for x in range(5)]
    """)
    assert left in text
