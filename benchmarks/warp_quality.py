"""What is left of a picture after it is rotated, zoomed and seen in perspective: one warp, presizing, or step by step.

Each route goes from the photo to 224 pixels. What they make is compared with the true mean of each pixel, of 4 × 4
bilinear samples of the photo in float64, but only where every route sees the photo: one warp shows what lies beside the
square crop, the others a mirror image of the crop, which is not counted against them. Photos are scikit-learn's two
sample images; the large one is made of noise in octaves.

    python benchmarks/warp_quality.py [--figure docs/figures/warp_quality.png]
"""

import argparse
import io
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from common import interleaved, machine, print_ratios
from PIL import Image
from sklearn.datasets import load_sample_image
from torch.nn import functional as F

from satsuma.vision.frame import Frame, codec_shrink, view_of, whole_frame
from satsuma.vision.geometry import Resize
from satsuma.vision.image import open_photo
from satsuma.vision.warp import warp

SIZE, PRESIZE = 224, 460
# name: degrees, zoom, perspective (how much the corners move, in half sides)
STRENGTHS = {
    "weakest": (1.0, 1.0, 0.01),
    "light": (3.0, 1.03, 0.05),
    "the book's": (10.0, 1.1, 0.2),
    "strong": (25.0, 1.3, 0.35),
    "very strong": (60.0, 1.6, 0.5),
}


def square_in(height: int, width: int) -> tuple[float, float, float]:
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, float(side)


def unit_steps(degrees: float, zoom: float, tilt: float) -> list[np.ndarray]:
    """The three maps, from what is shown to what is there, of the square -1..1."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array(((cos, sin, 0), (-sin, cos, 0), (0, 0, 1.0)))
    near = np.diag((1 / zoom, 1 / zoom, 1.0))
    view = np.array(((1, 0, 0), (0, 1, 0), (tilt / 2, -tilt / 3, 1.0)))
    return [view, turn, near]


def between(size: float, left: float = 0, top: float = 0) -> np.ndarray:
    """From the square -1..1 to a square of `size` pixels."""
    half = size / 2
    return np.array(((half, 0, half + left), (0, half, half + top), (0, 0, 1.0)))


def frame_of(photo: np.ndarray, strength: tuple[float, float, float]) -> Frame:
    left, top, side = square_in(*photo.shape[:2])
    view, turn, near = unit_steps(*strength)
    matrix = between(side, left, top) @ view @ turn @ near @ np.linalg.inv(between(SIZE))
    return view_of(whole_frame(*photo.shape[:2]), tuple(matrix.ravel().tolist()), SIZE, SIZE)


def sampled_by(picture: np.ndarray, matrix: np.ndarray, size: int, dtype: torch.dtype) -> torch.Tensor:
    """grid_sample by a map from window to picture pixels: uint8 [H W C] → [1 C size size] in 0..255."""
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) + 0.5] * 2, indexing="ij")
    at_x, at_y, depth = (row[0] * x + row[1] * y + row[2] for row in torch.from_numpy(matrix))
    height, width = picture.shape[:2]
    grid = torch.stack((2 * at_x / depth / width - 1, 2 * at_y / depth / height - 1), 2)[None].to(dtype)
    planes = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(dtype)
    return F.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)


def as_pixels(planes: torch.Tensor) -> np.ndarray:
    return planes[0].permute(1, 2, 0).numpy()


def truth(photo: np.ndarray, frame: Frame, samples: int = 4) -> np.ndarray:
    matrix = np.array(frame.matrix).reshape(3, 3) @ np.diag((1 / samples, 1 / samples, 1.0))
    return as_pixels(F.avg_pool2d(sampled_by(photo, matrix, SIZE * samples, torch.float64), samples))


def one_warp(photo: np.ndarray, strength: tuple[float, float, float]) -> np.ndarray:
    return warp(photo, frame_of(photo, strength))


def plain_warp(photo: np.ndarray, strength: tuple[float, float, float]) -> np.ndarray:
    """One bilinear warp and no more, as a naive composition would do it."""
    return as_pixels(sampled_by(photo, np.array(frame_of(photo, strength).matrix).reshape(3, 3), SIZE, torch.float32))


def cropped(photo: np.ndarray, size: int) -> np.ndarray:
    left, top, side = square_in(*photo.shape[:2])
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR, box=box))


def presized(photo: np.ndarray, strength: tuple[float, float, float]) -> np.ndarray:
    """As fastai does it: Pillow's resize to 460, then one grid_sample of floats, after area pooling by its own rule."""
    view, turn, near = unit_steps(*strength)
    large = cropped(photo, PRESIZE)
    matrix = view @ turn @ near
    corners = matrix @ np.array(((-1, 1, -1, 1), (-1, -1, 1, 1), (1, 1, 1, 1)))
    reach = corners[:2] / corners[2]
    shrink = PRESIZE / SIZE / 2
    if shrink > 1 and shrink > 2 / (reach.max() - reach.min()):
        planes = torch.from_numpy(np.array(large)).permute(2, 0, 1)[None].float()
        large = as_pixels(F.interpolate(planes, scale_factor=1 / shrink, mode="area", recompute_scale_factor=True))
    matrix = between(large.shape[0]) @ matrix @ np.linalg.inv(between(SIZE))
    return as_pixels(sampled_by(large, matrix, SIZE, torch.float32))


def step_by_step(photo: np.ndarray, strength: tuple[float, float, float]) -> np.ndarray:
    """As a list of single transforms does it: resize and crop to 224, then perspective, rotation and zoom of bytes."""
    picture = cropped(photo, SIZE)
    for step in unit_steps(*strength):
        matrix = between(SIZE) @ step @ np.linalg.inv(between(SIZE))
        if not np.allclose(step, np.eye(3)):
            picture = as_pixels(sampled_by(picture, matrix, SIZE, torch.float32)).round().astype(np.uint8)
    return picture


ROUTES = {"one warp": one_warp, "presizing": presized, "step by step": step_by_step, "one plain warp": plain_warp}


def seen_by_all(strength: tuple[float, float, float]) -> np.ndarray:
    """Which pixels [H W] come from inside the crop by every route, also halfway."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE * 2 - 1
    points = np.stack((x, y, np.ones_like(x)))
    inside = np.ones((SIZE, SIZE), bool)
    for step in reversed(unit_steps(*strength)):
        points = np.einsum("ij,jhw->ihw", step, points)
        points = points / points[2]
        inside &= (np.abs(points[:2]) < 1 - 6 / SIZE).all(0)
    return inside


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.square(a.astype(np.float64) - b)[where].mean())


def sample_photos() -> list[np.ndarray]:
    """Of 500 × 334 pixels, as most photos of the data sets of the field."""
    whole = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    return [cv2.resize(photo, (500, 334), interpolation=cv2.INTER_AREA) for photo in whole]


def large_photo(height: int = 3000, width: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(2, 11):
        noise = rng.standard_normal((2 + height >> octave, 2 + width >> octave, 3)).astype(np.float32)
        total += 2.0**octave * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return ((total - total.mean()) / total.std() * 50 + 128).clip(0, 255).astype(np.uint8)


def as_jpeg(photo: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def from_file(raw: bytes, strength: tuple[float, float, float]) -> np.ndarray:
    photo = open_photo(raw)
    frame = frame_of(np.empty((photo.height, photo.width, 0)), strength)
    shrink = codec_shrink(frame)
    return warp(photo.pixels(3, shrink), frame, shrink=shrink)


def validated(raw: bytes) -> np.ndarray:
    photo = open_photo(raw)
    frame = Resize(SIZE).place(Resize(PRESIZE).place(whole_frame(photo.height, photo.width), None), None)
    shrink = codec_shrink(frame)
    return warp(photo.pixels(3, shrink), frame, shrink=shrink)


def print_quality() -> None:
    photos = sample_photos()
    print(f"\nPSNR in dB to the true means, photos of 500 × 334 to {SIZE}\n| strength | {' | '.join(ROUTES)} |")
    print("|---" * (len(ROUTES) + 1) + "|")
    for name, strength in STRENGTHS.items():
        exact = [truth(photo, frame_of(photo, strength)) for photo in photos]
        where = seen_by_all(strength)
        found = [
            np.mean([psnr(route(p, strength), e, where) for p, e in zip(photos, exact, strict=True)])
            for route in ROUTES.values()
        ]
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in found) + " |")


def print_files() -> None:
    print("\nPSNR in dB, JPEG file to 224\n| file | ours | presizing | one plain warp |\n|---|---|---|---|")
    for name, photos in (("500 × 334", sample_photos()), ("4000 × 3000", [large_photo()])):
        for label, strength in (("validation", (0.0, 1.0, 0.0)), ("the book's", STRENGTHS["the book's"])):
            values = np.mean([file_quality(as_jpeg(photo), label, strength) for photo in photos], 0)
            print(f"| {name}, {label} | " + " | ".join(f"{value:.1f}" for value in values) + " |")


def file_quality(raw: bytes, label: str, strength: tuple[float, float, float]) -> list[float]:
    decoded = np.asarray(Image.open(io.BytesIO(raw)))
    exact = truth(decoded, frame_of(decoded, strength), 4 if len(decoded) < 1000 else 16)
    ours = validated(raw) if label == "validation" else from_file(raw, strength)
    found = (ours, presized(decoded, strength), plain_warp(decoded, strength))
    return [psnr(picture, exact, seen_by_all(strength)) for picture in found]


def print_speed(pictures: int = 64) -> None:
    """Both from pictures in memory, with the book's strengths; grid_sample on a batch of floats of 460 pixels."""
    photo = sample_photos()[0]
    frame = frame_of(photo, STRENGTHS["the book's"])
    batch = torch.rand(pictures, 3, PRESIZE, PRESIZE)
    matrix = torch.tensor(((0.9, 0.15, 0.02), (-0.15, 0.9, 0.01))).expand(pictures, 2, 3)
    contestants = {
        "grid_sample": lambda: F.grid_sample(
            batch,
            F.affine_grid(matrix, [pictures, 3, SIZE, SIZE], align_corners=False),
            padding_mode="reflection",
            align_corners=False,
        ),
        "warp": lambda: [warp(photo, frame) for _ in range(pictures)],
    }
    print_ratios(f"{pictures} warps to {SIZE}", interleaved(contestants), "grid_sample")


def draw_figure(path: Path) -> None:
    """A part of the first photo, magnified, by each route."""
    import matplotlib.pyplot as plt

    photo, strength = sample_photos()[0], STRENGTHS["strong"]
    where = seen_by_all(strength)
    shown = {"the true means": truth(photo, frame_of(photo, strength))}
    shown |= {name: ROUTES[name](photo, strength) for name in ("one warp", "presizing", "step by step")}
    figure, axes = plt.subplots(1, len(shown), figsize=(11, 3.1), constrained_layout=True)
    for axis, (name, picture) in zip(axes, shown.items(), strict=True):
        dB = "" if name == "the true means" else f", {psnr(picture, shown['the true means'], where):.1f} dB"  # noqa: N806
        axis.imshow(picture[60:150, 60:150].round().clip(0, 255).astype(np.uint8), interpolation="nearest")
        axis.set_title(name + dB)
        axis.set_axis_off()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality and speed of the one warp.")
    parser.add_argument("--figure", type=Path, help="draw the routes side by side to this file and do nothing else")
    arguments = parser.parse_args()
    if arguments.figure:
        draw_figure(arguments.figure)
        return
    print(machine())
    print_quality()
    print_files()
    print_speed()


if __name__ == "__main__":
    main()
