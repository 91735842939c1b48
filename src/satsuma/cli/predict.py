"""`satsuma predict`."""

import json
from pathlib import Path

import typer

from satsuma.errors import UserError
from satsuma.ship.model_file import load_learner
from satsuma.ship.predictor import Prediction, Predictor
from satsuma.ship.schema import printable
from satsuma.vision.image import get_image_files


def run_predict(model: Path, items: list[Path], *, top: int, as_json: bool, device: str) -> None:
    """Print an answer a file; a file that cannot be read is told at the end, after all others are answered."""
    if top < 1:
        raise UserError(f"--top is how many classes to show, 1 or more, got {top}")
    predictor = load_learner(model, device=device)
    files = [file for item in items for file in (get_image_files(item) if item.is_dir() else [item])]
    if not files:
        raise UserError(f"no images in {', '.join(str(i) for i in items)}")
    width = max(len(str(f)) for f in files)
    failed = []
    for file in files:
        try:
            answer = predictor.predict(file)
        except (ValueError, OSError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            failed.append(text if str(file) in text else f"{file}: {text.lower()}")
            continue
        typer.echo(as_line(file, answer, predictor, top, width) if not as_json else as_object(file, answer, predictor))
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} files could not be read:\n" + "\n".join(failed))


def as_line(file: Path, answer: Prediction, predictor: Predictor, top: int, width: int) -> str:
    if not predictor.vocab:
        return f"{str(file).ljust(width)}  {printable(answer.label)}"
    order = answer.probabilities.argsort(descending=True).tolist()[:top]
    shares = "  ".join(f"{printable(predictor.vocab[i])} {answer.probabilities[i]:.1%}" for i in order)
    return f"{str(file).ljust(width)}  {shares}"


def as_object(file: Path, answer: Prediction, predictor: Predictor) -> str:
    found: dict[str, object] = {"file": str(file), "label": answer.label}
    if predictor.vocab:
        shares = answer.probabilities.tolist()
        found["probabilities"] = {str(v): round(p, 6) for v, p in zip(predictor.vocab, shares, strict=True)}
    return json.dumps(found, ensure_ascii=False)
