"""Run every benchmark, each in a process of its own: an hour and a half on two cores.

`--quick`: fewer rounds, photos and seeds where a script knows how; some ten minutes.
Names of scripts run these alone: `run_all.py image_path train_step`.
"""

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "start_up",
    "mlp_speed",
    "peel_speed",
    "mnist_lessons",
    "colour",
    "warp_quality",
    "loader",
    "image_path",
    "train_step",
    "cifar",
    "voc_multilabel",
    "pets_breeds",
    "workbench",
)
QUICK = {"loader", "image_path", "train_step", "cifar", "voc_multilabel", "pets_breeds", "workbench"}


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--quick"] or list(SCRIPTS)
    for name in names:
        if name not in SCRIPTS:
            raise SystemExit(f"{name}: no such benchmark; there are {', '.join(SCRIPTS)}")
    for name in names:
        print(f"\n## {name}\n", flush=True)
        quick = ["--quick"] if "--quick" in sys.argv and name in QUICK else []
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py")), *quick], check=True)


if __name__ == "__main__":
    main()
