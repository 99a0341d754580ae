"""The error of the tabular estimators against the number of epochs, by the number of rows.

``python -m benchmarks.epochs --out epochs.jsonl`` fits with multiples of the number of epochs that the default preset
chooses, on random rows of each table, and scores up to 20,000 others, with several seeds if there are few rows. Lines
that are in the file already are not measured again. ``--figure FILE`` plots means over the seeds and tables, relative
to the default.

The data are those of :mod:`benchmarks.tables`: ``--data MODULE`` and ``--tables`` choose larger ones.
"""

import argparse
import importlib
import os
import sys
import warnings
from functools import partial
from itertools import cycle, product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from benchmarks.tables import SHIPPED, record
from sknn_iitb.inspection._figures import WIDTH
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

FACTORS = 0.25, 0.5, 1, 2
SEEDS = 4  # for up to 1,000 rows; half as many for ten times the rows
MOST_TESTED = 20_000
NAMES = {"binary": "classification error", "multiclass": "classification error", "regression": "RMSE"}


def measure(X, y, task, n_rows, factor, seed):
    """The task, the number of epochs, and the error with it."""
    sizes = {"train_size": n_rows, "test_size": min(MOST_TESTED, len(y) - n_rows)}
    stratify = None if task == "regression" else y
    X_train, X_test, y_train, y_test = train_test_split(X, y, **sizes, random_state=seed, stratify=stratify)
    net = (TabularMLPRegressor if task == "regression" else TabularMLPClassifier)(random_state=seed)
    net.set_params(max_iter=max(1, round(factor * net._config(n_rows).max_iter))).fit(X_train, y_train)
    if task == "regression":
        error = root_mean_squared_error(y_test, net.predict(X_test)) / np.std(y_test)
    else:
        error = 1 - net.score(X_test, y_test)
    return {"task": task, "epochs": net.max_iter, "error": error}


def plot(lines, path):
    """The error against the number of epochs: a panel for each task, a line for each number of rows."""
    from matplotlib import pyplot as plt

    key = ["name", "n_rows", "table", "factor"]
    means = lines.assign(name=lines["task"].map(NAMES)).groupby(key)["error"].mean().unstack()
    relative = 100 * (means.div(means[1.0], axis=0) - 1).groupby(["name", "n_rows"]).mean()
    names = relative.index.unique("name")
    size = (WIDTH, 2.7 * len(names))
    figure, axes = plt.subplots(len(names), figsize=size, sharex=True, squeeze=False, layout="constrained")
    for ax, name in zip(axes[:, 0], names, strict=True):
        for (n_rows, changes), style in zip(relative.loc[name].iterrows(), cycle(("o-", "s--", "D-.", "^:"))):
            ax.plot(changes.index, changes, style, label=f"{n_rows:,} rows")
        ax.axhline(0, color="0.7", lw=0.8)
        ax.set(xscale="log", ylabel=f"{name}, change in %")
        ax.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
        ax.minorticks_off()
        ax.legend()
    ax.set_xlabel("number of epochs, relative to the default")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epochs", description="Error against epochs.")
    parser.add_argument("--out", type=Path, default=Path("epochs.jsonl"))
    parser.add_argument("--data", default="benchmarks.tables", help="module with load(name)")
    parser.add_argument("--tables", default=",".join(SHIPPED))
    parser.add_argument("--rows", default="1000,10000,100000", help="numbers of training rows")
    parser.add_argument("--factors", default=",".join(map(str, FACTORS)))
    parser.add_argument("--figure", type=Path, help="plot the results instead")
    arguments = parser.parse_args()
    if arguments.figure:
        plot(pd.read_json(arguments.out, lines=True), arguments.figure)
        return
    warnings.simplefilter("ignore")
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module(arguments.data)
    for table in arguments.tables.split(","):
        X, y, task = module.load(table)
        for n_rows in map(int, arguments.rows.split(",")):
            if n_rows > 0.8 * len(y):
                continue
            seeds = range(max(1, round(SEEDS / max(1, n_rows / 1000) ** np.log10(2))))
            for seed, factor in product(seeds, map(float, arguments.factors.split(","))):
                case = {"table": table, "n_rows": n_rows, "factor": factor, "seed": seed}
                record(arguments.out, case, partial(measure, X, y, task, n_rows, factor, seed))


if __name__ == "__main__":
    main()
