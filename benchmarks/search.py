"""Grid search compared with scikit-learn's MLP: 24 candidates, 5 folds, breast cancer, two workers.

``python -m benchmarks.search``. Both search the same grid with warm worker processes (loky). This package then searches
it with one and with two threads. 200 epochs without early stopping. The matrix products of all networks, in their
batches and their dtype and nothing else, say how fast the search could be.
"""

import argparse
import os
import warnings
from math import prod
from statistics import median
from time import perf_counter

import sklearn.neural_network
from joblib import parallel_config
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import sknn_iitb
from benchmarks.figures import figure, parse, save
from benchmarks.products import time_products

GRID = {
    "hidden_layer_sizes": [(50,), (100,)],
    "alpha": [1e-5, 1e-3, 1e-1],
    "learning_rate_init": [1e-3, 1e-2],
    "activation": ["relu", "tanh"],
}
TARGETS = {"processes": 10, "threads": 1.6}


def search(module, n_epochs, backend, n_jobs):
    """The seconds of the search and its best score."""
    X, y = load_breast_cancer(return_X_y=True)
    net = module.MLPClassifier(max_iter=n_epochs, n_iter_no_change=n_epochs, tol=0, random_state=0)
    grid = {f"net__{key}": values for key, values in GRID.items()}
    pipeline = Pipeline([("scale", StandardScaler()), ("net", net)])
    start = perf_counter()
    with parallel_config(backend=backend, n_jobs=n_jobs):
        found = GridSearchCV(pipeline, grid, cv=5).fit(X, y)
    return perf_counter() - start, found.best_score_


def products(n_epochs):
    """The seconds that the matrix products of the search take on one core."""
    X, _ = load_breast_cancer(return_X_y=True)
    n_nets = 5 * prod(len(values) for key, values in GRID.items() if key != "hidden_layer_sizes")
    n_batches = n_nets * n_epochs * (0.8 * len(X) / 200)
    return sum(n_batches * time_products((X.shape[1], *h, 1), 200, X.dtype, 0.5) for h in GRID["hidden_layer_sizes"])


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description="A grid search.")
    arguments = parse(parser, "few epochs, one turn")
    n_turns, n_epochs = (1, 5) if arguments.quick else (3, 200)
    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # for the workers

    ways = {
        "ours, 2 processes": (sknn_iitb, "loky", 2),
        "scikit-learn, 2 processes": (sklearn.neural_network, "loky", 2),
        "ours, 1 thread": (sknn_iitb, "threading", 1),
        "ours, 2 threads": (sknn_iitb, "threading", 2),
    }
    for module, backend, n_jobs in ways.values():
        search(module, 2, backend, n_jobs)  # starts and warms up the workers
    turns = {way: [] for way in ways}
    for _ in range(n_turns):
        for way, (module, backend, n_jobs) in ways.items():
            turns[way].append(search(module, n_epochs, backend, n_jobs))
    seconds = {way: median(took for took, _ in each) for way, each in turns.items()}
    for way, took in seconds.items():
        print(f"{way:28} {took:7.2f} s   best score {turns[way][0][1]:.4f}")
    ours, theirs, one, two = seconds.values()
    print(f"processes: {theirs / ours:.1f} times as fast as scikit-learn (target {TARGETS['processes']})")
    limit = theirs / (products(n_epochs) / 2)
    print(f"processes: the matrix products alone would be {limit:.1f} times as fast")
    print(f"threads: 2 threads are {one / two:.2f} times as fast as 1 (target {TARGETS['threads']})")
    figures = {
        "two processes, compared with scikit-learn": figure([theirs / ours], 1, "times as fast", TARGETS["processes"]),
        "two processes, matrix products alone, compared with scikit-learn": figure([limit], 1, "times as fast"),
        "two threads, compared with one thread of this package": figure(
            [one / two], 1, "times as fast", TARGETS["threads"]
        ),
    }
    save(arguments.save, "search", figures)


if __name__ == "__main__":
    main()
