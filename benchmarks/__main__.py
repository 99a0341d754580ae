"""Run all benchmarks, save their figures to docs/figures.json and update the documents: ``python -m benchmarks``."""

import subprocess
import sys

from benchmarks.figures import FILE

COMMANDS = [
    "-m benchmarks.fit --save",
    "-m benchmarks.fit --threads 0 --save",
    "-m benchmarks.predict --save",
    "-m benchmarks.predict --tables --save",
    "-m benchmarks.start --save",
    "-m benchmarks.search --save",
    "-m benchmarks.threads --save",
    "-m benchmarks.memory --save",
    "-m benchmarks.growth --save --figure docs/images/growth.png",
    "docs/figures_table.py",
]

if __name__ == "__main__":
    for command in COMMANDS:
        print(f"\npython {command}", flush=True)
        subprocess.run([sys.executable, *command.split()], cwd=FILE.parents[1], check=True)
