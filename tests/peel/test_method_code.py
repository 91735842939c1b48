"""Methods as functions of their own."""

from dataclasses import dataclass

import satsuma as sm
from satsuma.peel.method_code import method_code, snake_case
from satsuma.peel.words import Words

SLOPE = 2.0


@dataclass(frozen=True)
class Line:
    """Goes up from `start` by `step`.

    More about it.
    """

    start: float
    step: float = -1.0

    @property
    def twice(self) -> float:
        return 2 * self.step

    def at(self, x: float) -> float:
        rise = self.risen(x)  # from the start
        return self.start + rise - self.step + self.twice

    def risen(self, x: float) -> float:
        """How far."""
        return SLOPE * x * self.step

    def itself(self) -> "Line":
        return self


def written(instance, method, name):
    words = Words()
    return method_code(instance, method, name, words), words


def run(words, name):
    space = {**words.names}
    for text in words.written.values():
        exec(text, space)
    return space[name]


def test_what_the_object_holds_stands_in_the_function():
    done, words = written(Line(1.5), "at", "height_of_line")
    assert done
    assert "self" not in "".join(words.written.values())
    assert "SLOPE" in words.names
    assert run(words, "height_of_line")(3.0) == Line(1.5).at(3.0)


def test_the_descriptions_hold_the_values():
    _, words = written(Line(1.5), "at", "height_of_line")
    assert '"""Goes up from 1.5 by -1."""' in words.written["height_of_line"]
    assert '"""How far."""' in words.written["risen"]
    assert "# from the start" in words.written["height_of_line"]


def test_a_method_that_hands_the_object_on_stays_one():
    done, words = written(Line(1.5), "itself", "same")
    assert not done
    assert not words.written


def test_a_helper_is_not_named_as_something_of_the_library():
    _, words = written(sm.Resize(8, method="pad"), "place", "resize_frame")
    assert set(words.written) == {"resize_frame", "resize_frame_padded"}  # `padded` is a function for texts
    assert "(8, 8)" in words.written["resize_frame_padded"]


def test_wording_that_names_the_object_is_left_out():
    done, words = written(sm.RegexLabeller(r"(\d)\.jpg"), "__call__", "label")
    assert done
    assert run(words, "label")("a_7.jpg") == "7"


def test_names_of_functions():
    assert snake_case("RandomResizedCrop") == "random_resized_crop"


def test_a_second_object_gets_helpers_of_its_own():
    words = Words()
    assert method_code(sm.Warp(magnitude=0.1), "place", "warp_frame", words)
    assert method_code(sm.Warp(magnitude=0.3), "place", "warp_frame_again", words)
    assert "0.1" in words.written["symmetric_corners"]
    assert "0.3" in words.written["warp_frame_again_symmetric_corners"]
