"""One fit on two cores: speedup, reproducibility, and the cost next to a busy process.

``python -m benchmarks.threads``. Times an epoch of the workloads with large matrix products with `n_threads` 1 and 2 in
turns, then with 2 threads next to a process that keeps one core busy, relative to 1 thread without it. The float64
weights after an epoch should agree with those of one thread to 1e-10, and be identical from run to run.
"""

import argparse
import multiprocessing
import warnings
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.figures import figure, parse, save
from benchmarks.fit import WORKLOADS, description
from sknn_iitb import MLPClassifier, MLPRegressor


def _busy():
    number = 0
    while True:
        number += 1


def _task(name, dtype):
    n_rows, n_inputs, hidden, n_outputs, batch_size, _, _, _ = WORKLOADS[name]
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, n_inputs)).astype(dtype)
    y = rng.normal(size=n_rows) if n_outputs == 1 else rng.randint(n_outputs, size=n_rows)
    estimator = MLPRegressor if n_outputs == 1 else MLPClassifier
    common = {"tol": 0, "n_iter_no_change": 1000, "random_state": 0, "dtype": dtype}
    net = estimator(hidden_layer_sizes=hidden, batch_size=batch_size, **common)
    return net, X, y


def _seconds(task, n_threads, n_epochs):
    net, X, y = task
    start = perf_counter()
    net.set_params(n_threads=n_threads, max_iter=n_epochs).fit(X, y)
    return (perf_counter() - start) / n_epochs


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description="One fit on two cores.")
    arguments = parse(parser, "one turn of one epoch")
    n_turns, n_epochs = (1, 1) if arguments.quick else (5, 4)
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{'':12} {'1 thread':>10} {'2 threads':>10} {'ratio':>6} {'difference':>11} {'same':>5} {'busy core':>10}")
    figures, slowdowns = {}, []
    for name in ("W4", "W7"):
        ratios = []
        for dtype in ("float32", "float64"):
            task = _task(name, dtype)
            weights = []
            for n_threads in (1, 2, 2):
                _seconds(task, n_threads, 1)
                weights.append(task[0].parameters_.copy())
            difference, same = abs(weights[1] - weights[0]).max(), np.array_equal(weights[1], weights[2])
            one, two = (
                median(times)
                for times in zip(*[[_seconds(task, k, n_epochs) for k in (1, 2)] for _ in range(n_turns)], strict=True)
            )
            neighbour = multiprocessing.get_context("spawn").Process(target=_busy, daemon=True)
            neighbour.start()
            start = perf_counter()
            shared = []
            while not shared or (perf_counter() - start < 5 and n_turns > 1):
                shared.append(_seconds(task, 2, n_epochs))
            neighbour.kill()
            neighbour.join()
            slower = sum(shared) / len(shared) / one
            ratios.append(one / two)
            slowdowns.append(slower)
            print(
                f"{name:4} {dtype:7} {1e3 * one:7.0f} ms {1e3 * two:7.0f} ms {one / two:6.2f} {difference:11.0e} "
                f"{'yes' if same else 'NO':>5} {slower:10.2f}"
            )
        figures[f"{description(name)}, two threads on idle cores"] = figure(ratios, 1, "times as fast")
    figures["either network, two threads, one core busy with another process"] = figure(slowdowns, 1, "times as long")
    save(arguments.save, "threads", figures)


if __name__ == "__main__":
    main()
