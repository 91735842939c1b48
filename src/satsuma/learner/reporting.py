"""What a learner, or a run's folder, puts into its report."""

import functools
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.errors import UserError
from satsuma.hooks.progress import duration
from satsuma.hooks.recorder import Recorder
from satsuma.inspect.first_layer import first_layer
from satsuma.inspect.interpretation import Interpretation
from satsuma.inspect.model_table import short_number
from satsuma.inspect.predictions import Predictions
from satsuma.inspect.report import Report, ReportSection, code_block, fold_html, report_section, write_report
from satsuma.inspect.report_sections import curves_html, figure_html, mistakes_html, notes_html, picks_html, rows_html
from satsuma.learner.beginnings import NO_FITS
from satsuma.learner.looking import activations_of, graph_of, summary_of
from satsuma.learner.peeling import read_recipe, script_path
from satsuma.learner.recording import has_history, learner_recipe, recipe_code
from satsuma.learner.report_data import data_html
from satsuma.learner.run_lock import trains_now
from satsuma.learner.table import row_of
from satsuma.plots.theme import escaped
from satsuma.train.fit import EpochRow

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner

WORST = 12  # samples of a gallery
LOOKED_AT = 64  # samples by which units are called dead
STOPS = ("interrupted", "SystemExit")  # how a fit ends by Ctrl-C and SIGTERM
HEAT_TOLD = (
    "Below each picture the same under a heat map (Grad-CAM): yellow is where the model saw reasons for its answer."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """What a report is made of. `learn`: None where the run cannot be made again, for the reason `why`."""

    name: str
    recorder: Recorder
    recipe: dict[str, Any]
    folder: Path | None
    weights_epoch: int | None
    headline: str
    learn: "Learner | None" = None
    why: str = ""


def write_learner_report(learn: "Learner", path: Path) -> Path:
    """The report of a learner's fits so far. Raises `ValueError` before the first step."""
    run = ReportedRun(
        name="A run" if learn.run_dir is None else learn.run_dir.absolute().name,
        recorder=learn.recorder,
        recipe=learner_recipe(learn),
        folder=learn.run_dir,
        weights_epoch=learn.weights_epoch,
        headline=learn.headline(),
        learn=learn,
    )
    return write_report(path, report_of(run))


def write_run_report(folder: Path, path: Path) -> Path:
    """The report of the run in `folder`, from what it keeps: also of one that was cut off, or that still trains.

    Where the run cannot be made again (parts of the user's own, data that are gone), its history, recipe and script
    are shown, and why there is no more. Raises `UserError` for a folder without a run, and a run without a step.
    """
    from satsuma.learner.rebuilt import rebuilt_learner
    from satsuma.learner.trained import trained_learner, weights_file

    recipe, recorder = read_recipe(folder), Recorder()
    recorder.read(folder / "history.jsonl")
    if not recorder.losses and has_history(folder):
        raise UserError(f"{folder / 'history.jsonl'}: holds no whole line of a step, so there is nothing to report")
    recorder.has_valid = any(row.valid_loss is not None for row in recorder.epochs)
    learn, why, headline, epoch = None, "", "", recipe.get("weights_epoch")
    try:
        learn = trained_learner(folder) if weights_file(folder) is not None else None
        headline = (learn or rebuilt_learner(folder)).headline()
        why = "" if learn is not None else "its first epoch was not finished, so there are no weights to look at"
    except UserError as error:
        why = str(error)
    if learn is not None:
        learn.run_dir = folder  # where the predictions are kept
    if ended_early(recipe) == "cut off" and recorder.epochs:  # the weights are those of the last epoch kept
        epoch = recorder.epochs[-1].epoch
    run = ReportedRun(
        name=folder.absolute().name,
        recorder=recorder,
        recipe=recipe,
        folder=folder,
        weights_epoch=epoch,
        headline=headline,
        learn=learn,
        why=why,
    )
    try:
        return write_report(path, report_of(run))
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from error


def ended_early(recipe: dict[str, Any]) -> str:
    """ "cut off" or "interrupted" of a run that may go on; "" of one that came to its end."""
    fits = [call for call in recipe["fits"] if call["method"] not in NO_FITS]
    ends = recipe.get("ends", ())
    if len(ends) < len(fits):
        return "cut off"
    return "interrupted" if ends and ends[-1].get("cause") in STOPS else ""


def report_of(run: ReportedRun) -> Report:
    """The report's parts, in the order in which a reader wants them."""
    if not run.recorder.losses:
        raise ValueError("report: nothing is trained yet; call fit first")
    sections: list[ReportSection | None] = []
    if run.why:
        sections.append(report_section("missing", "What is missing here", functools.partial(notes_html, [run.why])))
    sections.append(report_section("curves", "How it learnt", functools.partial(curves_html, run.recorder)))
    seen = None
    if run.learn is not None:
        seen, answers = answer_sections(run.learn)
        sections += answers
        sections.append(report_section("data", "The data", functools.partial(data_html, run.learn, seen)))
        sections.append(report_section("model", "The model", functools.partial(model_html, run.learn)))
    sections.append(report_section("recipe", "The recipe", functools.partial(recipe_html, run)))
    sections.append(report_section("repeat", "How to repeat it", functools.partial(repeat_html, run)))
    sections.append(
        report_section("script", "The run as one script of plain PyTorch", functools.partial(script_html, run))
    )
    return Report(
        title=f"Satsuma report: {run.name}",
        headline=run.headline,
        result=reported_result(run),
        tiles=tiles_of(run, None if seen is None else seen.predictions),
        sections=[section for section in sections if section is not None],
        foot="Made by Satsuma. This file needs no network and runs no scripts.",
    )


# --- the result -----------------------------------------------------------------------------------------------------


def reported_row(run: ReportedRun) -> tuple[EpochRow | None, str]:
    """The row of the epoch that the weights are of, and what to say where that is not the last."""
    epochs = run.recorder.epochs
    if not epochs:
        return None, ""
    row = row_of(epochs, run.weights_epoch)
    if row is None:
        return epochs[-1], " (the weights now are not those of an epoch; the numbers are the last epoch's)"
    return row, "" if row is epochs[-1] else f" (the weights are those of epoch {row.epoch})"


def reported_result(run: ReportedRun) -> str:
    """How it came out, in a sentence."""
    row, whose = reported_row(run)
    if row is None:
        losses = run.recorder.losses
        steps = "step" if len(losses) == 1 else "steps"
        return f"No epoch was finished: after {len(losses):,} {steps} the training loss is {losses[-1]:.4f}"
    values = {**({} if row.valid_loss is None else {"valid_loss": row.valid_loss}), **row.metrics}
    result = ", ".join(f"{k} {v:.4f}" for k, v in values.items()) or f"train_loss {row.train_loss:.4f}"
    n = len(run.recorder.epochs)
    began = {"cut off": "Cut off after", "interrupted": "Stopped after"}.get(ended_early(run.recipe), "After")
    return f"{began} {n} epoch{'' if n == 1 else 's'}{whose}: {result}"


def tiles_of(run: ReportedRun, found: Predictions | None) -> list[tuple[str, str]]:
    """The numbers to see first."""
    row, _ = reported_row(run)
    tiles = []
    if row is not None:
        tiles += [(name, f"{value:.4g}") for name, value in row.metrics.items()]
        held = row.valid_loss is not None
        tiles.append(
            ("validation loss" if held else "training loss", f"{row.valid_loss if held else row.train_loss:.4g}")
        )
    if found is not None and found.kind != "regression":
        tiles.append((f"wrong of {len(found):,}", f"{int((~found.right).sum()):,}"))
    if run.learn is not None:
        tiles.append(("training samples", f"{len(run.learn.dls.train.dataset):,}"))
        tiles.append(("parameters", short_number(sum(p.numel() for p in run.learn.model.parameters()))))
    if run.recorder.epochs:
        tiles.append(("time", duration(sum(r.time_s for r in run.recorder.epochs))))
    return tiles


# --- what the model says --------------------------------------------------------------------------------------------


def answer_sections(learn: "Learner") -> tuple[Interpretation | None, list[ReportSection | None]]:
    """What it gets wrong: on the validation data, or without any on the training data, which is said."""
    ds_idx = 1 if learn.dls.valid is not None else 0
    try:
        seen = Interpretation.from_learner(learn, ds_idx)
    except Exception as error:  # targets such as masks and boxes, models with several outputs, data that are gone
        failed = report_section("mistakes", "What it gets wrong", functools.partial(again_raised, error))
        return None, [failed]
    where = "" if ds_idx else " (on the training data: nothing is held out)"
    heat = has_heat(learn, seen)
    try:
        title, html = mistakes_html(seen)
        mistakes = report_section("mistakes", f"{title}{where}", lambda: html)
    except Exception as error:
        mistakes = report_section("mistakes", "What it gets wrong", functools.partial(again_raised, error))
    worst = report_section("worst", f"Its worst answers{where}", functools.partial(worst_html, seen, heat))
    unsure = None
    if seen.predictions.kind != "regression":
        unsure = report_section(
            "uncertain", f"Its most uncertain answers{where}", functools.partial(uncertain_html, seen, heat)
        )
    return seen, [mistakes, worst, unsure]


def again_raised(error: Exception) -> str:
    raise error


def has_heat(learn: "Learner", seen: Interpretation) -> bool:
    """Whether heat maps can be laid over the pictures."""
    if not seen.has_pictures:
        return False
    try:
        learn.heat_map(0, ds_idx=seen.ds_idx)
    except (ValueError, TypeError):
        return False
    return True


def worst_html(seen: Interpretation, heat: bool) -> str:
    """The samples with the highest loss."""
    told = f"Highest loss first. {HEAT_TOLD}" if heat else "Highest loss first."
    return f"<p>{told}</p>{picks_html(seen.top_losses(WORST), heat=heat)}"


def uncertain_html(seen: Interpretation, heat: bool) -> str:
    """The samples between two answers, without those that the worst ones have shown."""
    shown = set(seen.top_losses(WORST).indices)
    order = [i for i in seen.most_uncertain(2 * WORST).indices if i not in shown]
    if not order:
        return ""
    told = "The two highest probabilities lie closest together; samples of the section before are left out."
    return f"<p>{told}</p>{picks_html(seen.picks('Most uncertain', order[:WORST]), heat=heat)}"


# --- model, recipe --------------------------------------------------------------------------------------------------


def model_html(learn: "Learner") -> str:
    """The layers, what is computed, what the first layer looks for, and what comes out of each."""
    table, graph, outputs = summary_of(learn), graph_of(learn), activations_of(learn, LOOKED_AT)
    drawn = figure_html(graph.figure(), "What is computed, from top to bottom", wide=True)
    parts = [fold_html(f"{len(table.rows)} layers as a table", table.html()), fold_html("Drawn as a graph", drawn)]
    if any(isinstance(module, nn.Conv2d | nn.Linear) for module in learn.model.modules()):
        colours = first_layer(learn.model).pictures.ndim == 4
        told = "Weights of three channels as colours" if colours else "Blue weights speak against, orange ones for it"
        parts.append(fold_html("What its first layer looks for", figure_html(learn.first_layer(), told)))
    parts.append(fold_html("What comes out of each layer", outputs.html()))
    return f"<p>{escaped(table.total)}.</p><p>{escaped(sentence(outputs.told))}.</p>{''.join(parts)}"


def sentence(text: str) -> str:
    """With a capital letter in front."""
    return text[:1].upper() + text[1:]


def recipe_html(run: ReportedRun) -> str:
    """The run as code, and what it ran on."""
    recipe = run.recipe
    machine, git = recipe.get("hardware", {}), recipe.get("git")
    rows = [
        (name, str(value)) for name, value in {**recipe.get("versions", {}), **machine}.items() if value is not None
    ]
    if git:
        rows.append(("git commit", git["commit"][:12] + (", changed since" if git.get("changed") else "")))
    digests = [digest for digest in recipe.get("data", {}).get("fingerprints", ()) if digest]
    if digests:
        rows.append(("data, digests", ", ".join(digest[:12] for digest in digests)))
    return code_block(recipe_code(recipe, run.name), "the recipe as code") + rows_html(rows)


def repeat_html(run: ReportedRun) -> str:
    """The commands that repeat the run and use it."""
    if run.folder is None:
        return (
            "<p>The code above trains it again. Give the learner a folder, <code>run_dir=</code>, and the run is kept "
            "there: weights, history, recipe and script.</p>"
        )
    folder = shlex.quote(run.folder.as_posix())
    lines = [f"satsuma rerun {folder}", f"satsuma peel {folder} --to torch", f"satsuma report {folder}"]
    told = [
        "trains it again, and says whether the weights come out bit-equal",
        "prints it as one script",
        "this report",
    ]
    if (run.folder / "model.safetensors").is_file():
        lines.insert(1, f"satsuma predict {folder} FILE_OR_FOLDER")
        told.insert(1, "answers for new items")
    if (early := ended_early(run.recipe)) and not trains_now(run.folder):
        lines.insert(0, f"satsuma train --resume {folder}")
        told.insert(0, f"goes on with it: it was {early}")
    width = max(map(len, lines))
    text = "\n".join(f"{line.ljust(width)}  # {what}" for line, what in zip(lines, told, strict=True))
    return code_block(text, "commands that repeat and use the run")


def script_html(run: ReportedRun) -> str:
    """The peeled script that lies in the run's folder, fold_html up."""
    if run.folder is None:
        return ""
    file = script_path(run.folder, "torch")
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        return fold_html(f"train.py, {len(text.splitlines()):,} lines", code_block(text, "the script train.py"))
    reason = file.with_suffix(".txt")
    if reason.is_file():
        return notes_html([reason.read_text(encoding="utf-8").strip()])
    return "<p>It is written when a fit ends; <code>satsuma peel</code> prints it of this run.</p>"
