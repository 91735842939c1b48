"""Records come apart where that is sure, and stay where it is not."""

import pytest
from tests.peel.trim.sources import trimmed

RUN = '''
    from collections.abc import Callable
    from dataclasses import dataclass

    @dataclass(kw_only=True, slots=True)
    class Run:
        """What runs."""

        model: list
        schedule: Callable[[int], float]
        scaler: object | None = None
        seed: int = 0
        step: int = 0
        stop: str = ""

    def rate(run):
        return run.schedule(run.step)

    def seeded(run: Run) -> int:
        seed = run.seed * 7 + run.step
        return seed

    def update(run: Run, by: float) -> None:
        if run.scaler is None:
            run.model.append(by + seeded(run))
        else:
            run.scaler.step(run.model)

    def falling(step):
        if step > 2:
            return 0.25
        return 1.0

    def main():
        model = [1.0]
        run = Run(model=model, schedule=falling, scaler=None, seed=len(model))
        for _ in range(5):
            update(run, rate(run))
            run.step += 1
        return run.model, run.step
'''


def test_a_record_comes_apart():
    text = trimmed(RUN)
    for gone in ("run", "Run", "scaler", "stop", "dataclass"):
        assert gone not in text
    assert "step = 0" in text
    assert "step += 1" in text


@pytest.mark.parametrize(
    "use",
    ["kept = [run]\n        run = kept[0]", "setattr(run, 'seed', 3)", "print(run, file=open('/dev/null', 'w'))"],
)
def test_a_record_that_is_used_whole_stays(use):
    text = trimmed(RUN.replace("        for _ in", f"        {use}\n        for _ in"))
    assert "class Run" in text


def test_a_name_that_clashes_gets_the_records_in_front():
    text = trimmed("""
        from dataclasses import dataclass

        @dataclass
        class Run:
            rate: float
            count: int

        def rated(run, x):
            total = [rate * run.rate for rate in (x, 2 * x)]
            total.append(run.count)
            return total

        def main():
            run = Run(rate=float(len("abc")), count=len([1, 2]))
            out = []
            for count in range(3):
                out += rated(run, count)
                out.append(run.count)
            return out
    """)
    assert "run_rate" in text
    assert "run_count" in text
