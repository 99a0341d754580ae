"""Prediction time: one row, many rows, and the first row in a new process.

``python -m benchmarks.predict``. On one thread, scikit-learn and this package take turns; figures are medians.
`efficiency` is the time of the matrix products alone, with the same BLAS, divided by our time. The first row is
predicted by an unpickled network in a new process whose cache is empty and read-only, as in a container; imports are
excluded. ``--tables`` measures the tabular estimators, of the default preset, with one thread and with those of BLAS.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import sknn_iitb
from benchmarks.figures import figure, parse, save
from benchmarks.products import products_of_prediction

# hidden layers; rows, columns
NETS = {"100": (100,), "256, 256": (256, 256)}
ROWS = (1, 100, 100_000)
N_COLUMNS = 100
FIRST_ROW_TARGET = 2  # seconds
TABLE, TABLE_TARGET = (10_000, 20), 45  # rows and columns; milliseconds

FIRST_ROW = """
import pickle, sys, time
import numpy as np
import sknn_iitb
with open(sys.argv[1], "rb") as file:
    net = pickle.load(file)
start = time.perf_counter()
net.predict(np.zeros((1, net.n_features_in_)))
print(time.perf_counter() - start)
"""


def timed(function, seconds):
    """Median seconds per call, over calls that take this many seconds in total."""
    function()
    start = perf_counter()
    function()
    n_calls = max(3, round(seconds / max(perf_counter() - start, 1e-6)))
    times = []
    for _ in range(n_calls):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return median(times)


def first_row(net):
    """Seconds for the first row in a new process without a cache."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "net.pickle"
        path.write_bytes(pickle.dumps(net))
        # no cache directory can be created at the path of a file
        environment = os.environ | {"NUMBA_CACHE_DIR": str(path), "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", FIRST_ROW, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def tables(seconds):
    """The figures of predictions for a table of numbers."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=TABLE)
    y, figures = X[:, 0] * X[:, 1], {}
    for cls, targets in ((sknn_iitb.TabularMLPClassifier, y > 0), (sknn_iitb.TabularMLPRegressor, y)):
        net = cls(random_state=0, max_iter=2).fit(X[:1000], targets[:1000])
        for n_jobs, threads in ((1, "one thread"), (None, "all threads")):
            net.n_jobs = n_jobs
            milliseconds = 1e3 * timed(lambda net=net: net.predict(X), seconds)
            name = f"`{cls.__name__}`, {TABLE[0]:,} rows of {TABLE[1]} columns, {threads}"
            figures[name] = figure([milliseconds], None, "ms", TABLE_TARGET)
            print(f"{name}: {milliseconds:.0f} ms")
    return figures


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description="Prediction time.")
    parser.add_argument("--tables", action="store_true", help="the tabular estimators instead")
    arguments = parse(parser, "one short turn")
    n_turns, seconds_each = (1, 0.02) if arguments.quick else (5, 0.3)
    if arguments.tables:
        save(arguments.save, "predict --tables", tables(10 * seconds_each))
        return
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.RandomState(0)

    row = "{:10} {:8} {:>8} {:>10} {:>13} {:>7} {:>11}".format
    print(row("hidden", "dtype", "rows", "ours us", "scikit-learn", "ratio", "efficiency"))
    ratios, efficiencies = ({n_rows: [] for n_rows in ROWS} for _ in range(2))
    for name, hidden in NETS.items():
        for dtype in ("float32", "float64"):
            X = rng.normal(size=(max(ROWS), N_COLUMNS)).astype(dtype)
            y = rng.randint(2, size=1000)
            settings = {"hidden_layer_sizes": hidden, "max_iter": 2, "random_state": 0}
            nets = [module.MLPClassifier(**settings).fit(X[:1000], y) for module in (sknn_iitb, sklearn.neural_network)]
            for n_rows in ROWS:
                calls = [lambda net=net, n=n_rows, X=X: net.predict_proba(X[:n]) for net in nets]
                units = [N_COLUMNS, *nets[0].hidden_layer_sizes, nets[0].n_outputs_]
                calls.append(products_of_prediction(X[:n_rows], units))
                with threadpool_limits(1, "blas"):
                    turns = [[timed(call, seconds_each) for call in calls] for _ in range(n_turns)]
                ours, theirs, alone = map(median, zip(*turns, strict=True))
                ratios[n_rows].append(theirs / ours)
                efficiencies[n_rows].append(alone / ours)
                shown = f"{1e6 * ours:.0f}", f"{1e6 * theirs:.0f}", f"{theirs / ours:.1f}", f"{alone / ours:.2f}"
                print(row(name, dtype, n_rows, *shown), flush=True)
    seconds = median(first_row(nets[0]) for _ in range(min(3, n_turns)))
    first = f"first row of an unpickled network without a cache: {seconds:.2f} s"
    print(f"{first}, imports excluded (target {FIRST_ROW_TARGET})")
    one, *_, many = ROWS
    figures = {
        "one row, compared with scikit-learn": figure(ratios[one], 1, "times as fast", 3),
        f"{many:,} rows of {N_COLUMNS} columns, share of matrix products": figure(efficiencies[many], 2, target=0.8),
        "first row of an unpickled network without any cache": figure([seconds], 1, "s", FIRST_ROW_TARGET),
    }
    save(arguments.save, "predict", figures)


if __name__ == "__main__":
    main()
