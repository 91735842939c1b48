"""`satsuma demo`: the main job on data that comes with scikit-learn."""

import shutil
import sys
from pathlib import Path

from rich.console import Console

from satsuma.cli.train import TrainOptions, run_train
from satsuma.errors import MissingExtraError

console = Console(highlight=False, soft_wrap=True)
SIDE, INNER = 32, 24  # pixels of the pictures written, and of the digit (8 by 8 in the data) within its margin
HELD_OUT = 5  # every fifth digit goes to the validation folder


def run_demo(folder: Path, *, epochs: int, seed: int) -> None:
    """Write the digits as image files, train on them as on anyone's, predict one, and say what to try next."""
    digits = folder / "digits"
    files = write_digits(digits)
    console.print(f"wrote {len(files):,} handwritten digits to {digits}, a folder a class", markup=False)
    options = TrainOptions(epochs=epochs, seed=seed, lr="0.01", batch_size=32)
    learn = run_train(digits, options, name=None, runs_dir=folder / "runs")
    run_dir = learn.run_dir
    shown = next(f for f in files if f.parent.parent.name == "valid")
    answer = learn.predict(shown)
    share = float(answer.probabilities.max())
    console.print(f"{shown} is a {shown.parent.name}; the model says {answer.label} ({share:.1%})", markup=False)
    console.print("\nNext, try:", markup=False)
    command = "satsuma" if shutil.which("satsuma") else Path(sys.argv[0])  # a virtual environment not activated
    console.print(f"  {command} predict {run_dir} {digits / 'valid' / '7'}", markup=False)
    console.print(f"  {command} open {run_dir}        # in the browser", markup=False)
    console.print(f"  {command} show {run_dir}", markup=False)
    console.print(f"  {command} peel {run_dir} --to torch", markup=False)
    console.print(f"  {command} train PATH        # your own folder of images", markup=False)


def write_digits(folder: Path) -> list[Path]:
    """scikit-learn's 1,797 digits as PNG files, `train/7/0001.png` and so on; what is there already is kept."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("the demo's digits come with scikit-learn: pip install 'satsuma[demo]'") from error
    import numpy as np
    from PIL import Image, ImageOps

    data = load_digits()
    files = []
    for i, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        half = "valid" if i % HELD_OUT == 0 else "train"
        file = folder / half / str(label) / f"{i:04}.png"
        files.append(file)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray((image * (255 / 16)).round().astype(np.uint8))  # values 0..16
            drawn = small.resize((INNER, INNER), Image.Resampling.BICUBIC)
            ImageOps.expand(drawn, (SIDE - INNER) // 2, fill=0).save(file)
    return files
