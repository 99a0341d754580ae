"""Memory use: training from a file on disk that is larger than memory, and the tabular estimators.

``python -m benchmarks.memory`` writes a float32 table of `--gigabytes` (default 4), memory-maps it and trains with
early stopping in a separate process, which reports its peak anonymous memory, that is, without the mapped file. Most
memory per row, apart from the data, is used while scikit-learn splits off the validation set.

The script then fits and predicts with a `TabularMLPRegressor` and reports the growth of the process in addition to X.
Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.figures import figure, parse, save

N_COLUMNS = 400
TARGET = 600  # megabytes

TRAIN = """
import sys, threading, time, warnings
import numpy as np
from sknn_iitb import MLPClassifier

warnings.simplefilter("ignore")
largest = {"RssAnon": 0}

def watch():
    while True:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("RssAnon"):
                    largest["RssAnon"] = max(largest["RssAnon"], int(line.split()[1]))
        time.sleep(0.02)

X = np.memmap(sys.argv[1], np.float32, "r").reshape(-1, int(sys.argv[2]))
y = np.arange(len(X)) % 2
threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
net = MLPClassifier(50, max_iter=1, batch_size=1000, early_stopping=True, random_state=0)
net.fit(X, y)
print(time.perf_counter() - start, largest["RssAnon"] / 1024, len(X))
"""

TABULAR = """
import sys, time, warnings
import numpy as np
from scipy import sparse
from sknn_iitb.tabular import TabularMLPRegressor

def megabytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1024

def made(n_samples):
    if kind == "sparse":
        return sparse.random(n_samples, n_columns, 0.001, "csr", random_state=0)
    return np.random.default_rng(0).standard_normal((n_samples, n_columns), np.float32)

warnings.simplefilter("ignore")
method, kind, n_samples, n_columns = *sys.argv[1:3], *map(int, sys.argv[3:])
net = TabularMLPRegressor(preset="fast", n_estimators=1, max_iter=1, max_time=60, random_state=0)
few = made(2000)
net.fit(few, np.arange(2000.0)).predict(few)  # compiles
X, y = made(n_samples), np.random.default_rng(1).standard_normal(n_samples)
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # resets the peak
before, start = megabytes("VmRSS"), time.perf_counter()
net.fit(X, y) if method == "fit" else net.predict(X)
print(megabytes("VmHWM") - before, time.perf_counter() - start)
"""

CASES = [
    # method, kind of table, rows, columns, target in megabytes
    ("fit", "dense", 1_000_000, 50, 500),
    ("predict", "dense", 1_000_000, 50, 100),
    ("fit", "sparse", 2000, 20_000, 400),
    ("predict", "sparse", 2000, 20_000, 120),
]


def growth(method, kind, n_samples, n_columns):
    """Peak growth of the process in `fit` or `predict` in megabytes, and seconds."""
    command = [sys.executable, "-c", TABULAR, method, kind, str(n_samples), str(n_columns)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Memory use.")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    arguments = parse(parser, "0.1 gigabytes, and a tenth of the rows")
    n_rows = int((0.1 if arguments.quick else arguments.gigabytes) * 1e9 / 4 / N_COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table"
        rng = np.random.default_rng(0)
        with path.open("wb") as file:
            for start in range(0, n_rows, 100_000):
                file.write(rng.standard_normal((min(100_000, n_rows - start), N_COLUMNS), np.float32))
        command = [sys.executable, "-c", TRAIN, str(path), str(N_COLUMNS)]
        seconds, anonymous, n_rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"{n_rows} rows x {N_COLUMNS}, an epoch with early stopping: {float(seconds):.1f} s")
    print(f"anonymous memory at most {float(anonymous):.0f} MB (target {TARGET})")
    size = f"{int(n_rows):,} x {N_COLUMNS} ({int(n_rows) * N_COLUMNS * 4e-9:g} GB)"
    figures = {f"`MLPClassifier.fit`, memory-mapped {size}": figure([float(anonymous)], None, "MB", TARGET)}
    for method, kind, n_samples, n_columns, target in CASES:
        n_samples = n_samples // 10 if arguments.quick else n_samples
        more, seconds = growth(method, kind, n_samples, n_columns)
        print(
            f"TabularMLPRegressor.{method}, {kind} {n_samples} rows x {n_columns}: {more:.0f} MB more "
            f"(target {target}), {seconds:.1f} s"
        )
        size = f"{n_samples:,} x {n_columns:,} ({n_samples * n_columns * 4e-6:g} MB)"
        figures[f"`TabularMLPRegressor.{method}`, {kind} {size}"] = figure([more], None, "MB", target)
    save(arguments.save, "memory", figures)


if __name__ == "__main__":
    main()
