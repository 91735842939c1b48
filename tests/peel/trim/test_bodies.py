"""Functions of a few statements stand where `main` calls them, and compute there what they computed before."""

from tests.peel.trim.sources import trimmed


def test_statements_stand_in_the_place_of_their_call():
    text = trimmed("""
        def set_rates(groups, schedule, step):
            factor = schedule(step)
            for group in groups:
                group["lr"] = group["base"] * factor  # this step's rate

        def clear(groups):
            for group in groups:
                group["grad"] = None

        def total(groups):
            rates = [group["lr"] for group in groups]
            rates.sort()
            return rates[-1] * 2

        def half(step):
            return 1 / (step + 1)

        def main():
            groups = [{"base": 2.0}, {"base": 3.0}]
            for step in range(3):
                set_rates(groups, half, step)  # before the step
                clear(groups)
            highest = total(groups)
            return groups, highest
    """)
    assert "def set_rates" not in text
    assert "def clear" not in text
    assert "    # before the step\n" in text
    assert 'group["lr"] = group["base"] * factor  # this step\'s rate' in text


def test_a_name_that_means_something_else_there_keeps_the_function():
    text = trimmed("""
        def shifted(row):
            first = row[0]
            row.append(first)
            return row[0] - first

        def counted(row):
            number = len(row)
            row.append(number)

        def number(x):
            return f"{x:.1f}{x:.1f}" if x > 1 else str(x)

        def main():
            first, row = 5, [1, 2]
            found = shifted(row)
            counted(row)
            return first, found, row, [number(x) for x in row], number(9)
    """)
    assert "def shifted" in text
    assert "def counted" in text


def test_an_argument_is_worked_out_once_and_in_its_turn():
    text = trimmed("""
        def kept(log, value):
            log.append("before")
            log.append(value)

        def main():
            log = []
            kept(log, log.append("argument"))
            return log
    """)
    assert "def kept" in text


def test_a_row_of_arguments_is_spread():
    text = trimmed("""
        def loss(model, *batch):
            return wrong(model(*batch[:1]), *batch[1:])

        def wrong(outputs, targets):
            return sum((a - b) ** 2 for a, b in zip(outputs, targets, strict=True))

        def main():
            x, y = [1, 2, 3], [1, 0, 1]
            found = loss(list, x, y)
            return found
    """)
    assert "wrong(list(x), y)" in text or "zip(list(x), y" in text
    assert "batch" not in text


def test_a_comment_that_would_be_too_long_stands_above():
    comment = "# why: " + "because " * 11
    text = trimmed(f"""
        def noted(log, n):
            log.append(n)
            log.append(n + 1)  {comment}

        def main():
            log = []
            for n in range(2):
                noted(log, n)
            return log
    """)
    assert "def noted" not in text
    assert comment.strip() in text
    assert max(map(len, text.splitlines())) <= 120


def test_one_function_that_only_calls_another_takes_its_body():
    text = trimmed("""
        def uniform(n, low, high):
            width = high - low
            return low + width / n

        def first(n, inputs):
            bound = 1 / inputs
            return uniform(n, -bound, bound)

        def main():
            return first(3, 4), first(5, 8)
    """)
    assert text.count("def ") == 2
