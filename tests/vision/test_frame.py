import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satsuma.vision.frame import (
    Frame,
    codec_shrink,
    finest_steps,
    points_into_frame,
    points_onto_photo,
    view_of,
    whole_frame,
)

numbers = st.floats(-1, 1)
matrices = st.tuples(*[numbers] * 8).map(
    lambda v: (1 + v[0] / 3, v[1] / 3, 9 * v[2], v[3] / 3, 1 + v[4] / 3, 9 * v[5], v[6] / 900, v[7] / 900, 1.0)
)


def square(matrix):
    return np.array(matrix).reshape(3, 3)


def same_map(one, two):
    one, two = square(one), square(two)
    np.testing.assert_allclose(one / one[2, 2], two / two[2, 2], rtol=1e-9, atol=1e-9)


@given(st.lists(matrices, min_size=1, max_size=5))
@settings(deadline=None)
def test_views_of_views_are_the_product_of_their_matrices(chain):
    frame, product = whole_frame(50, 70), np.eye(3)
    for matrix in chain:
        frame = view_of(frame, matrix, 30, 20)
        product = product @ square(matrix)
    same_map(frame.matrix, product)
    assert (frame.height, frame.width, frame.photo_height, frame.photo_width) == (30, 20, 50, 70)


@given(matrices, st.lists(st.tuples(st.floats(0, 70), st.floats(0, 50)), min_size=1, max_size=5))
@settings(deadline=None)
def test_points_go_into_the_frame_and_back(matrix, points):
    frame = view_of(whole_frame(50, 70), matrix, 30, 20)
    points = np.array(points)
    np.testing.assert_allclose(points_onto_photo(points_into_frame(points, frame), frame), points, atol=1e-9)


def test_points_count_from_the_corner_of_the_first_pixel():
    half = view_of(whole_frame(50, 70), (2, 0, 10, 0, 2, 4, 0, 0, 1), 20, 30)
    found = points_into_frame(np.array([[10, 4], [11, 5], [70, 44]]), half)
    np.testing.assert_allclose(found, [[0, 0], [0.5, 0.5], [30, 20]])
    assert points_into_frame(np.zeros((0, 2)), half).shape == (0, 2)


@pytest.mark.parametrize("points", [[1.0, 2.0], [[1.0, 2.0, 3.0]]])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(ValueError, match=r"points are \[N 2\], x and y of each, got \["):
        points_into_frame(np.array(points), whole_frame(5, 7))


@given(matrices, st.floats(0.3, 30))
@settings(deadline=None)
def test_the_finest_step_is_the_least_of_the_local_maps(matrix, zoom):
    frame = view_of(whole_frame(500, 700), (zoom, 0, 0, 0, zoom, 0, 0, 0, 1), 50, 70)
    frame = view_of(frame, matrix, 50, 70)
    corners = np.array([(0, 0), (70, 0), (0, 50), (70, 50)], float)
    steps = []
    for corner in corners:
        around = corner + 1e-5 * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
        right, left, down, up = points_onto_photo(around, frame)
        jacobian = np.stack([right - left, down - up], 1) / 2e-5  # photo pixels for a pixel of the window
        steps.append(1 / np.linalg.norm(np.linalg.inv(jacobian), axis=0))  # along the photo's x and y
    np.testing.assert_allclose(finest_steps(frame.matrix, 50, 70), np.min(steps, 0), rtol=1e-4)


@pytest.mark.parametrize(("zoom", "shrink"), [(0.5, 1), (1.9, 1), (2, 2), (3.9, 2), (4, 4), (7.8, 4), (8, 8), (99, 8)])
@pytest.mark.parametrize("angle", [0, 30, 90])
def test_the_codec_may_shrink_as_long_as_no_pixel_is_lost(zoom, shrink, angle):
    cos, sin = zoom * math.cos(math.radians(angle)), zoom * math.sin(math.radians(angle))
    assert codec_shrink(view_of(whole_frame(500, 700), (cos, sin, 0, -sin, cos, 0, 0, 0, 1), 50, 70)) == shrink


def test_the_finer_axis_and_the_nearest_corner_decide_on_the_shrink():
    assert codec_shrink(view_of(whole_frame(500, 700), (9, 0, 0, 0, 2.5, 0, 0, 0, 1), 50, 70)) == 2
    # in perspective the far end would allow 8, the near end does not
    near = view_of(whole_frame(5000, 7000), (9, 0, 0, 0, 9, 0, 0.01, 0, 1), 50, 70)
    assert codec_shrink(near) < codec_shrink(view_of(near, (1, 0, 0, 0, 1, 0, 0, 0, 1), 50, 1))


@pytest.mark.parametrize("tilt", [0.02, -0.02, 0.5, -7.0])
def test_no_perspective_reaches_the_horizon(tilt):
    frame = view_of(whole_frame(50, 70), (1, 0, 0, 0, 1, 0, tilt, -tilt, 1), 50, 70)
    corners = np.array([(0, 0, 1), (70, 0, 1), (0, 50, 1), (70, 50, 1)])
    depths = corners @ square(frame.matrix)[2]
    assert depths.min() > 0.05 * depths.max() > 0
    assert np.isfinite(points_onto_photo(corners[:, :2], frame)).all()


def test_the_first_border_that_is_not_reflection_stays():
    frame = whole_frame(5, 7)
    same = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert view_of(frame, same, 5, 7).border == "reflection"
    black = view_of(view_of(frame, same, 5, 7, "reflection"), same, 5, 7, "zeros")
    assert black.border == "zeros"
    assert view_of(black, same, 5, 7, "border").border == view_of(black, same, 5, 7, "reflection").border == "zeros"


def test_a_frame_is_a_value():
    assert whole_frame(5, 7) == Frame(5, 7, 5, 7)
    assert hash(whole_frame(5, 7)) == hash(Frame(5, 7, 5, 7))
