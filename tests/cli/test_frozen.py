"""The command line's verbs and options are a promise: a change to them must be made here too."""

import typer.main

from satsuma.cli.main import app

MODEL = ["--label", "--label-delim", "--arch", "--weights", "--from-scratch"]
FROZEN = {
    "demo": ["--folder", "--epochs", "--seed"],
    "train": [
        "path", *MODEL, "--epochs", "--freeze-epochs", "--lr", "--size", "--batch-size", "--valid-pct", "--augment",
        "--mixup", "--early-stop", "--skip-unreadable", "--max-broken", "--seed", "--device", "--precision",
        "--workers", "--cache", "--edits", "--save-steps", "--save-minutes", "--resume", "--name", "--runs-dir",
    ],
    "rerun": ["run", "--name"],
    "edits": ["file", "--data", "--label", "--label-delim", "--valid-pct", "--seed", "--csv", "--apply"],
    "lr-find": ["path", *MODEL, "--size", "--batch-size", "--seed", "--device", "--output"],
    "predict": ["model", "items", "--top", "--json", "--device"],
    "show": ["path", "--label", "--label-delim", "--size", "--output"],
    "check": [
        "path", "--label", "--label-delim", "--size", "--seed", "--model", "--edits", "--strict", "--json", "--output",
    ],
    "runs": ["runs_dir"],
    "report": ["run", "--output"],
    "open": ["path", "--label", "--label-delim", "--size", "--edits", "--port", "--browser"],
    "peel": ["run", "--to", "--output"],
    "diff": ["run_a", "run_b", "--code", "--settings"],
    "doctor": ["model", "--loader"],
}  # fmt: skip


def test_verbs_and_options_are_frozen() -> None:
    command = typer.main.get_command(app)
    found = {}
    for name, verb in command.commands.items():  # type: ignore[attr-defined]
        found[name] = [p.opts[0] for p in verb.params if "--help" not in p.opts]
    assert found == FROZEN


def test_every_verb_has_help_with_an_example() -> None:
    command = typer.main.get_command(app)
    for name, verb in command.commands.items():  # type: ignore[attr-defined]
        assert f"satsuma {name}" in (verb.help or ""), name
        for parameter in verb.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
