"""
One fit on a cluster
====================

Train a network on Parquet files with the workers of a Dask cluster, and compare it with
one machine. The cluster here is two processes on this machine; on another, only the
address that `Client` connects to would change.

The files are read where the workers are, and stay there. Each worker takes steps on
batches of its own rows, and then the weights are averaged, so only weights travel.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from sknn_iitb import MLPClassifier
from sknn_iitb.dask import DaskMLPClassifier

N_FEATURES = 20
NAMES = [f"x{i}" for i in range(N_FEATURES)]


def table(n_rows, seed):
    """Rows of three classes, which depend on products of features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_FEATURES)).astype(np.float32)
    score = X[:, 0] * X[:, 1] + X[:, 2] ** 2 - X[:, 3]
    frame = pd.DataFrame(X, columns=NAMES)
    return frame.assign(y=np.digitize(score, [0.2, 1.7]))


def write(folder, n_files, rows_per_file):
    """Write Parquet files; on a cluster, each could be larger than memory."""
    for number in range(n_files):
        table(rows_per_file, seed=number).to_parquet(folder / f"{number:03}.parquet")


def fit(net, X, y):
    """Fit, and return the seconds that it took."""
    start = perf_counter()
    net.fit(X, y)
    return perf_counter() - start


def main(n_files=8, rows_per_file=25_000, n_epochs=10):
    """Train on a cluster and on one machine, and print speed and accuracy."""
    recipe = {
        "hidden_layer_sizes": (128, 128),
        "max_iter": n_epochs,
        "learning_rate": "cosine",
        "random_state": 0,
    }
    test = table(20_000, seed=12345)
    n_rows = n_files * rows_per_file
    found = {}
    with (
        TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        write(Path(folder), n_files, rows_per_file)
        data = dd.read_parquet(folder)
        net = DaskMLPClassifier(**recipe)
        net.set_params(max_iter=1).fit(data[NAMES], data["y"])  # compiles
        net.set_params(max_iter=n_epochs)
        seconds = fit(net, data[NAMES], data["y"])
        found["cluster"] = (
            n_rows * net.n_iter_ / seconds,
            net.score(test[NAMES], test.y),
        )

        # one machine needs all rows in its memory
        frame = data.compute()
        net = MLPClassifier(**recipe)
        seconds = fit(net, frame[NAMES], frame["y"])
        found["one machine"] = (
            n_rows * net.n_iter_ / seconds,
            net.score(test[NAMES], test.y),
        )
    for name, (rate, accuracy) in found.items():
        print(f"{name:12} {rate:10,.0f} rows per second, accuracy {accuracy:.3f}")
    return found


# the guard is necessary: the processes of the cluster import this file
if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
