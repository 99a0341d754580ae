"""Cost of compilation: the first fit with an empty cache, and process start-up with a filled one.

``python -m benchmarks.start``. Each measurement runs in a separate process. The warm start is compared with a process
that imports scikit-learn and numba and runs one trivial function from numba's cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.figures import figure, parse, save

TARGETS = {"cold": 5.0, "warm": 0.15}  # seconds

FIRST_FIT = """
import time, warnings
import numpy as np
from sknn_iitb import MLPClassifier
warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X, y = rng.normal(size=(150, 4)), rng.randint(3, size=150)
start = time.perf_counter()
MLPClassifier(max_iter=5).fit(X, y)
print(time.perf_counter() - start)
"""

REFERENCE = """
import numba
import {module}

@numba.njit(cache=True)
def add_one(x):
    return x + 1

add_one(1.0)
"""


def run(script, cache):
    """Run a script in a new process. Return its seconds and its output."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(__file__).parents[1])}
    # Python's bytecode cache, which installation fills on a user's machine
    environment["PYTHONPYCACHEPREFIX"] = str(cache.parent / "bytecode")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = perf_counter()
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    return perf_counter() - start, done.stdout


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description="Cold and warm starts.")
    arguments = parse(parser, "one turn")
    n_turns = 1 if arguments.quick else 11

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        scripts = {
            "fit": FIRST_FIT,
            "scikit-learn": REFERENCE.format(module="sklearn"),
            "its MLP": REFERENCE.format(module="sklearn.neural_network"),
        }
        for script, text in scripts.items():
            (directory / f"{script}.py").write_text(text, encoding="utf-8")
        cold = median(
            float(run(directory / "fit.py", directory / f"cache {turn}")[1]) for turn in range(min(n_turns, 3))
        )
        cache = directory / "cache 0"
        for script in scripts:
            run(directory / f"{script}.py", cache)
        turns = [[run(directory / f"{script}.py", cache)[0] for script in scripts] for _ in range(n_turns)]

    warm, bare, mlp = map(median, zip(*turns, strict=True))
    more, than_mlp = median(a - b for a, b, _ in turns), median(a - c for a, _, c in turns)
    row = "{:66} {:>8} {:>8}".format
    print(row("", "seconds", "target"))
    print(row("first fit, empty cache", f"{cold:.2f}", f"{TARGETS['cold']:.2f}"))
    print(row("process that imports sknn_iitb and fits, filled cache", f"{warm:.2f}", ""))
    print(row("process that imports sklearn, numba, runs a cached function", f"{bare:.2f}", ""))
    print(row("  difference, median of pairs", f"{more:.2f}", f"{TARGETS['warm']:.2f}"))
    print(row("process that imports sklearn.neural_network, numba, runs the same", f"{mlp:.2f}", ""))
    print(row("  difference, median of pairs", f"{than_mlp:.2f}", ""))
    figures = {
        "first fit with an empty cache": figure([cold], 1, "s", TARGETS["cold"]),
        "start-up with a filled cache, beyond scikit-learn and numba": figure([more], 2, "s", TARGETS["warm"]),
    }
    save(arguments.save, "start", figures)


if __name__ == "__main__":
    main()
