"""One fit on a Dask cluster: rows per second of two workers against one, and the accuracy of local steps.

``python -m benchmarks.dask_fit`` trains on a million rows on one and on two processes of one thread each, in turns, and
prints the ratio of their rows per second. On a machine with other work, take fewer rows with ``--rows``.

``python -m benchmarks.dask_fit --data MODULE --tables a,b`` compares the errors of several numbers of threads and steps
with that of one machine, on tables of a module as for ``benchmarks.tables``.
"""

import argparse
import importlib
import os
import sys
import warnings
from statistics import mean, median
from time import perf_counter

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from benchmarks.figures import figure, parse, save
from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.dask import DaskMLPClassifier, DaskMLPRegressor
from sknn_iitb.dask._cluster import SerialCluster
from sknn_iitb.tabular import TableEncoder

N_FEATURES, HIDDEN = 50, (256, 256)
# what is trained for the accuracy: the same epochs everywhere
RECIPE = {
    "hidden_layer_sizes": (128, 128),
    "learning_rate": "cosine",
    "learning_rate_init": 0.002,
    "max_iter": 30,
    "n_iter_no_change": 1000,
    "dtype": "float32",
}


def cluster(n_workers):
    """Processes of one thread each."""
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def seconds(client, n_rows, parameters, n_epochs):
    """The time of a fit on rows that are on the workers already."""
    chunks = n_rows // 8
    X = da.random.default_rng(0).normal(size=(n_rows, N_FEATURES), chunks=(chunks, N_FEATURES)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int8)
    X, y = client.persist([X, y])
    wait([X, y])
    net = DaskMLPClassifier(HIDDEN, client=client, max_iter=n_epochs, tol=0, random_state=0, **parameters)
    start = perf_counter()
    net.fit(X, y)
    return perf_counter() - start


def speed(n_rows, n_epochs, n_turns):
    """Rows per second on one and on two processes, in turns."""
    figures = {}
    with cluster(1) as one, cluster(2) as two, Client(one) as first, Client(two) as second:
        for name, parameters in (("local steps", {}), ("lbfgs", {"solver": "lbfgs"})):
            for client in (first, second):
                seconds(client, n_rows // 10, parameters, 1)  # compiles
            times = [[seconds(c, n_rows, parameters, n_epochs) for c in (first, second)] for _ in range(n_turns)]
            ratio = median(a / b for a, b in times)
            rates = [n_rows * n_epochs / median(column) for column in zip(*times, strict=True)]
            print(f"{name:12} {rates[0]:12,.0f} {rates[1]:12,.0f} rows/s {ratio:6.2f}", flush=True)
            figures[name] = {"speedup": figure([ratio], 2, target=1.6 if name == "local steps" else None)}
    return figures


def errors(X, y, task, n_seeds):
    """Test errors by configuration, averaged over the seeds: of one machine, and of threads with local steps."""
    found = {}
    for seed in range(n_seeds):
        split = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=None if task == "regression" else y)
        encoder = TableEncoder().fit(split[0])
        X_train, X_test = (np.asarray(encoder.transform(each), np.float32) for each in split[:2])
        y_train, y_test = (each.to_numpy() for each in split[2:])
        if task == "regression":
            y_train, y_test = np.split(scale(np.log(np.concatenate([y_train, y_test]))), [len(y_train)])
        plain, on_dask = (
            (MLPRegressor, DaskMLPRegressor) if task == "regression" else (MLPClassifier, DaskMLPClassifier)
        )
        nets = {"one machine": plain(**RECIPE, random_state=seed)}
        for n_threads in (2, 8):
            for steps in (10, "auto"):
                net = on_dask(**RECIPE, local_steps=steps, random_state=seed, client=SerialCluster(n_threads))
                nets[f"{n_threads} threads, local_steps={steps}"] = net
        for name, net in nets.items():
            chunks = 1000  # the result of a cluster of these threads, computed in this process
            given = (X_train, y_train)
            if name != "one machine":
                given = [da.from_array(each, chunks=(chunks, *each.shape[1:])) for each in given]
            net.fit(*given)
            wrong = net.predict(X_test) - y_test if task == "regression" else net.predict(X_test) != y_test
            error = np.sqrt(np.mean(wrong**2)) if task == "regression" else np.mean(wrong)
            found.setdefault(name, []).append(float(error))
            print(f"    {name:42} {error:.5f}", flush=True)
    return {name: mean(values) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_fit", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a fit; default: 3")
    parser.add_argument("--turns", type=int, default=3, help="default: 3")
    parser.add_argument("--data", help="module with load(name): measure the accuracy on its tables")
    parser.add_argument("--tables", default="adult,diamonds", help="default: adult,diamonds")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    arguments = parse(parser, "one turn on 20,000 rows")
    warnings.simplefilter("ignore")
    if not arguments.data:
        quick = (20_000, 1, 1)
        figures = speed(*(quick if arguments.quick else (arguments.rows, arguments.epochs, arguments.turns)))
        save(arguments.save, "dask", figures)
        return
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module(arguments.data)
    for table in arguments.tables.split(","):
        print(table)
        found = errors(*module.load(table), arguments.seeds)
        for name, error in found.items():
            print(f"{name:42} {error:.5f} {error / found['one machine'] - 1:+7.2%}", flush=True)


if __name__ == "__main__":
    main()
