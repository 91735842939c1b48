"""Run every benchmark, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

for name in ("start_up", "mlp_speed", "mnist_lessons"):
    print(f"\n## {name}\n", flush=True)
    subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
