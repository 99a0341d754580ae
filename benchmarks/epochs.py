"""The error of the tabular estimators against the number of epochs, for numbers of rows.

``python -m benchmarks.epochs --out epochs.jsonl`` fits with multiples of the number of epochs that the default preset
chooses, on random rows of each table, and scores up to 20,000 others. Means of several seeds for few rows. Lines that
are in the file already are not measured again. ``--figure FILE`` plots them, relative to the default.

The data are those of :mod:`benchmarks.tables`: ``--data MODULE`` and ``--tables`` choose larger ones.
"""

import argparse
import importlib
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from benchmarks.tables import SHIPPED
from sknn_iitb.inspection._figures import WIDTH
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

FACTORS = 0.25, 0.5, 1, 2
SEEDS = 4  # for up to 1,000 rows; half as many for ten times the rows
MOST_TESTED = 20_000
NAMES = {"binary": "classification error", "multiclass": "classification error", "regression": "RMSE"}


def error(X, y, task, n_rows, factor, seed):
    """The number of epochs, and the error with it."""
    sizes = {"train_size": n_rows, "test_size": min(MOST_TESTED, len(y) - n_rows)}
    stratify = None if task == "regression" else y
    X_train, X_test, y_train, y_test = train_test_split(X, y, **sizes, random_state=seed, stratify=stratify)
    net = (TabularMLPRegressor if task == "regression" else TabularMLPClassifier)(random_state=seed)
    net.set_params(max_iter=max(1, round(factor * net._config(n_rows).max_iter))).fit(X_train, y_train)
    if task == "regression":
        return net.max_iter, root_mean_squared_error(y_test, net.predict(X_test)) / np.std(y_test)
    return net.max_iter, 1 - net.score(X_test, y_test)


def plot(lines, path):
    """The error against the number of epochs: a panel for each task, a line for each number of rows."""
    from matplotlib import pyplot as plt

    key = ["name", "n_rows", "table", "factor"]
    means = lines.assign(name=lines["task"].map(NAMES)).groupby(key)["error"].mean().unstack()
    relative = 100 * (means.div(means[1.0], axis=0) - 1).groupby(["name", "n_rows"]).mean()
    names = relative.index.unique("name")
    figure, axes = plt.subplots(len(names), figsize=(WIDTH, 2.7 * len(names)), sharex=True, layout="constrained")
    for ax, name in zip(np.atleast_1d(axes), names, strict=True):
        for (n_rows, changes), style in zip(relative.loc[name].iterrows(), ("o-", "s--", "D-.", "^:"), strict=False):
            ax.plot(changes.index, changes, style, label=f"{n_rows:,} rows")
        ax.axhline(0, color="0.7", lw=0.8)
        ax.set(xscale="log", ylabel=f"{name}, change in %")
        ax.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
        ax.minorticks_off()
        ax.legend()
    axes = np.atleast_1d(axes)
    axes[-1].set_xlabel("number of epochs, relative to the default")
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
    text = arguments.out.read_text() if arguments.out.exists() else ""
    keys = "table", "n_rows", "factor", "seed"
    done = {tuple(line[key] for key in keys) for line in map(json.loads, text.splitlines())}
    for table in arguments.tables.split(","):
        X, y, task = module.load(table)
        for n_rows in map(int, arguments.rows.split(",")):
            if n_rows > 0.8 * len(y):
                continue
            seeds = range(max(1, round(SEEDS / max(1, n_rows / 1000) ** np.log10(2))))
            for case in [
                (table, n_rows, factor, s) for s in seeds for factor in map(float, arguments.factors.split(","))
            ]:
                if case in done:
                    continue
                n_epochs, found = error(X, y, task, *case[1:])
                line = dict(zip(keys, case, strict=True)) | {"task": task, "epochs": n_epochs, "error": found}
                print(json.dumps(line, default=float), flush=True)
                with arguments.out.open("a") as file:
                    file.write(json.dumps(line, default=float) + "\n")


if __name__ == "__main__":
    main()
