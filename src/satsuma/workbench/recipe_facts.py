"""A recipe in a few lines for people: what was trained on what, and how."""

from collections.abc import Callable
from typing import Any

from satsuma.peel.diff import as_code

LONGEST = 300  # characters of a fact


def facts_of(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """Names of texts and what a recipe says under each; what it does not say is left out."""
    asked: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
        ("fact_data", data_text),
        ("fact_items", items_text),
        ("fact_edits", edits_text),
        ("fact_model", model_text),
        ("fact_fits", fits_text),
        ("fact_batch_size", lambda r: str(r["data"]["bs"])),
        ("fact_seed", lambda r: str(r["settings"]["seed"])),
        ("fact_device", device_text),
        ("fact_versions", versions_text),
    )
    found = []
    for name, tell in asked:
        try:
            text = tell(recipe)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue  # a recipe of another version, or one that is not whole
        if text:
            found.append((name, text if len(text) <= LONGEST else text[:LONGEST] + "…"))
    return found


def data_text(recipe: dict[str, Any]) -> str:
    source = recipe["data"]["source"]
    return str(source["path"] if "path" in source else source.get("opaque", ""))


def items_text(recipe: dict[str, Any]) -> str:
    return " + ".join(f"{n:,}" for n in recipe["data"]["items"])


def edits_text(recipe: dict[str, Any]) -> str:
    """How many edits of the data the run was trained with."""
    edits = recipe["data"]["block"]["kwargs"]["edits"]["kwargs"]
    changed = sum(len(edits[part]["mapping"]) for part in ("labels", "moves") if part in edits)
    return str(changed + len(edits.get("excluded", ())))


def model_text(recipe: dict[str, Any]) -> str:
    made = recipe.get("made")
    return str(as_code(made["arguments"]["arch"] if made else recipe["model"]) or "").strip("'")


def fits_text(recipe: dict[str, Any]) -> str:
    return "; ".join(as_code(call) or call["method"] for call in recipe["fits"])


def device_text(recipe: dict[str, Any]) -> str:
    settings, hardware = recipe["settings"], recipe.get("hardware", {})
    machine = hardware.get("gpu") or hardware.get("cpu") or ""
    return ", ".join(str(part) for part in (settings["device"], machine, settings["precision"]) if part)


def versions_text(recipe: dict[str, Any]) -> str:
    return ", ".join(f"{name} {recipe['versions'][name]}" for name in ("satsuma", "torch", "python"))
