"""Small forms: known rows, defaults of torch's functions, needless detaching, docstrings of what is gone."""

import torch
from tests.peel.trim.sources import sources, trimmed
from torch.nn import functional as F

from satsuma.peel.trim import trim
from satsuma.peel.trim.defaults import argument_defaults


def test_displays_are_written_as_such():
    text = trimmed("""
        def main():
            row = [1]
            row += [2, 3]
            row += []
            kinds = set(("cpu", "cuda"))
            sizes = tuple((row, 2))
            name = "a"
            return row, kinds, sizes, "" + name
    """)
    assert "row = [1, 2, 3]" in text
    assert '{"cpu", "cuda"}' in text
    assert "(row, 2)" in text
    assert "tuple(" not in text
    assert '"" +' not in text


def test_lists_that_read_what_they_add_to_stay_apart():
    text = trimmed("""
        def main():
            row = [1]
            row += [len(row)]
            return row
    """)
    assert "row += [len(row)]" in text


def test_defaults_of_torchs_functions_go():
    text = trimmed("""
        import torch
        from torch.nn import functional as F

        def main():
            x, y = torch.zeros(3, 5), torch.tensor([0, 1, 2])
            a = F.cross_entropy(x, y, weight=None, label_smoothing=0.0, reduction="mean")
            b = F.cross_entropy(x, y, weight=None, label_smoothing=0.1, reduction="sum")
            return float(a), float(b)
    """)
    assert "F.cross_entropy(x, y)" in text
    assert 'F.cross_entropy(x, y, label_smoothing=0.1, reduction="sum")' in text
    assert argument_defaults("torch.nn.functional.cross_entropy")["reduction"] == "mean"
    assert float(F.cross_entropy(torch.zeros(3, 5), torch.tensor([0, 1, 2]))) > 0


def test_a_loss_that_is_only_read_as_a_number_is_not_detached():
    text = trimmed("""
        import torch

        def main():
            losses, kept = [], []
            for _ in range(2):
                loss = torch.ones(1, requires_grad=True).sum()
                loss = loss.detach()
                losses.append(loss.item())
            for _ in range(2):
                other = torch.ones(1, requires_grad=True).sum()
                other = other.detach()
                kept.append(other)
            return losses, [t.requires_grad for t in kept]
    """)
    assert "loss = loss.detach()" not in text
    assert "other = other.detach()" in text


def test_a_docstring_that_explains_what_is_gone_is_cut_to_its_claim():
    whole = sources('''
        def wave(step, kind="sine", size=1.0):
            """A wave at `step`.

            kind: "sine" or "saw". The sizes are those of `SIZES`. Source: Nobody 1999, "Waves".
            """
            value = step * size
            value += step
            return value if step else value + 1

        def ramp(step, size):
            """A ramp.

            size: its height, as `wave` has it.
            """
            value = step * size * wave(step, size=size)
            value += step
            return value if step else value + 1

        def main():
            return [wave(n, size=n) + ramp(n, n + 1) for n in range(3)]
    ''')
    text = "\n".join(piece.text for piece in trim(whole, {}).pieces)
    assert "SIZES" not in text
    assert 'Source: Nobody 1999, "Waves".' in text
    assert "size: its height" in text
