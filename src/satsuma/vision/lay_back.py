"""`picture_onto_photo`: the way back from a window to its photo, for heat maps. H height, W width, C channels."""

import cv2
import numpy as np

from satsuma.vision.frame import Frame, mapped

TILE = 16_384  # OpenCV's warps make up to 32,767 pixels a side


def picture_onto_photo(picture: np.ndarray, frame: Frame) -> np.ndarray:
    """A picture of what the window shows, laid back onto the photo: [h w] or [h w C] → [photo_height photo_width ...].

    `picture` may be coarser than the window, as heat maps are: it is stretched over it. What the window does not show
    is 0. uint8 or float32; other floats become float32.
    """
    if picture.dtype != np.uint8:
        picture = picture.astype(np.float32)
    into = np.linalg.inv(np.array(frame.matrix, np.float64).reshape(3, 3))  # photo → window
    stretch = np.diag((picture.shape[1] / frame.width, picture.shape[0] / frame.height, 1.0))
    laid = np.zeros((frame.photo_height, frame.photo_width, *picture.shape[2:]), picture.dtype)
    low, high = shown_box(frame)
    for top in range(low[1], high[1], TILE):
        for left in range(low[0], high[0], TILE):
            height, width = min(TILE, high[1] - top), min(TILE, high[0] - left)
            shift = np.array(((1, 0, left), (0, 1, top), (0, 0, 1.0)))
            part = one_perspective(picture, stretch @ into @ shift, (height, width))
            part[~shown_there(into @ shift, (height, width), frame)] = 0
            laid[top : top + height, left : left + width] = part.reshape(height, width, *picture.shape[2:])
    return laid


def shown_box(frame: Frame) -> tuple[tuple[int, int], tuple[int, int]]:
    """(left, top) and (right, bottom) of the photo's part that holds all that the window shows of it."""
    corners = np.array(((0, 0), (frame.width, 0), (0, frame.height), (frame.width, frame.height)))
    places = mapped(corners, np.array(frame.matrix).reshape(3, 3))
    limit = (frame.photo_width, frame.photo_height)
    low = np.floor(places.min(0)).clip(0, limit).astype(int).tolist()
    high = np.ceil(places.max(0)).clip(0, limit).astype(int).tolist()
    return (low[0], low[1]), (high[0], high[1])


def one_perspective(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """OpenCV's warp by a homography [3 3] that counts from pixels' corners."""
    half = np.array(((1, 0, 0.5), (0, 1, 0.5), (0, 0, 1.0)))
    place = np.linalg.inv(half) @ matrix @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(picture, place, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def shown_there(into: np.ndarray, size: tuple[int, int], frame: Frame) -> np.ndarray:
    """Which pixels [H W] of a part of the photo have their centre in the window; `into`: part → window."""
    x, y = np.arange(size[1]) + 0.5, (np.arange(size[0]) + 0.5)[:, None]
    depth = into[2, 0] * x + into[2, 1] * y + into[2, 2]
    at_x = (into[0, 0] * x + into[0, 1] * y + into[0, 2]) / depth
    at_y = (into[1, 0] * x + into[1, 1] * y + into[1, 2]) / depth
    inside: np.ndarray = (at_x >= 0) & (at_x < frame.width) & (at_y >= 0) & (at_y < frame.height)
    return inside
