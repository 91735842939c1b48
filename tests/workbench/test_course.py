"""What a run set out to do follows from its recipe, and which batch a step is of."""

from typing import Any

import pytest

from satsuma.workbench.course import course_of


def recipe(*fits: dict[str, Any], ends: tuple[dict[str, Any], ...] = (), n: int = 23, bs: int = 5) -> dict[str, Any]:
    return {"data": {"items": [n, 7], "bs": bs, "drop_last": False}, "fits": list(fits), "ends": list(ends)}


def call(method: str, **arguments: Any) -> dict[str, Any]:
    return {"method": method, "arguments": arguments}


@pytest.mark.parametrize(
    ("fit", "epochs"),
    [
        (call("fit", n_epoch=3), 3),
        (call("fit_one_cycle", n_epoch=2, lr_max=0.1), 2),
        (call("fine_tune", epochs=3), 4),
        (call("fine_tune", epochs=3, freeze_epochs=0), 3),
    ],
)
def test_a_fit_that_runs_is_as_long_as_it_was_asked_to_be(fit: dict[str, Any], epochs: int) -> None:
    course = course_of(recipe(fit))
    assert (course.epochs, course.steps, course.cause) == (epochs, epochs * 5, None)


def test_places_go_on_over_several_fits() -> None:
    data = {"items": [23, 7], "bs": 11, "drop_last": True}
    ends = ({"epochs": 2, "steps": 7, "cause": "interrupted"},)
    course = course_of(recipe(call("fit", n_epoch=3), call("dls", data=data), call("fit", n_epoch=2), ends=ends))
    places = [course.place(steps) for steps in (0, 4, 5, 6, 7, 8, 9, 99)]
    found = [(place.epoch, place.batch, place.stretch.loaders) for place in places if place]
    assert found == [(0, 0, 0), (0, 4, 0), (1, 0, 0), (1, 1, 0), (2, 0, 1), (2, 1, 1), (3, 0, 1), (3, 1, 1)]
    assert (course.epochs, course.steps, course.cause) == (4, 11, None)


@pytest.mark.parametrize("damaged", [{}, {"fits": 3}, {"data": None, "fits": [{"method": "fit"}]}, {"fits": [None]}])
def test_of_a_recipe_that_is_not_whole_nothing_follows(damaged: dict[str, Any]) -> None:
    course = course_of(damaged)
    assert course.place(3) is None
    assert (course.steps, course.epochs) == (0, 0)


def test_the_last_word_is_how_the_last_fit_ended() -> None:
    ends = ({"epochs": 1, "steps": 5, "cause": "interrupted"}, {"epochs": 2, "steps": 10, "cause": ""})
    assert course_of(recipe(call("fit", n_epoch=1), call("fit", n_epoch=2), ends=ends)).cause == ""
