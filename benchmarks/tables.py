"""Accuracy of the tabular estimators on collections of tables: presets, and views one by one.

``python -m benchmarks.tables --out results.jsonl`` measures the presets on tables that scikit-learn ships, one line per
table and seed; lines that are in the file already are not measured again. ``--print results.jsonl`` shows the means of
each configuration, and ``--save NAME`` writes them to docs/accuracy.json. ``--figures docs/images``
draws error against time from that file, which also holds other models.

``--data MODULE`` uses another collection: a module with ``load(name)``, which returns a data frame, targets and
``'binary'``, ``'multiclass'`` or ``'regression'``, and the names as ``--tables a,b,c``.
"""

import argparse
import importlib
import json
import os
import sys
import warnings
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder

from sknn_iitb.inspection._figures import HEIGHT, WIDTH
from sknn_iitb.tabular import TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb.tabular.views import VIEWS

LINEAR = "linear model"
CONFIGURATIONS = {
    "fast": {"preset": "fast"},
    "default": {},
    "best": {"preset": "best"},
    "tuned": {"preset": "tuned"},
    "equal": {"views": list(VIEWS)},  # each view once, without a race
    "bins+smooth": {"views": ["bins", "smooth"]},
    **{view: {"views": [view]} for view in VIEWS},
    LINEAR: {},
}

# name -> loader and task of the tables in scikit-learn
SHIPPED = {
    "breast_cancer": (datasets.load_breast_cancer, "binary"),
    "wine": (datasets.load_wine, "multiclass"),
    "digits": (datasets.load_digits, "multiclass"),
    "diabetes": (datasets.load_diabetes, "regression"),
}

FILE = Path(__file__).parents[1] / "docs" / "accuracy.json"
# where names stand, in points from their dots, so that they do not overlap; the others stand centred above or below
LABELS = {
    LINEAR: ("right", (10, 6)),
    "LightGBM": ("right", (-6, -3)),
    "CatBoost": ("right", (12, 6)),
    "HistGB": ("left", (-2, 6)),
    "RealMLP TD-S": ("left", (6, -3)),
    "RealMLP TD": ("left", (6, -3)),
    "default": ("right", (10, -15)),
    "tuned": ("left", (-5, -15)),
}

# rare classes cannot be split; more rows take long
_RAREST, _MOST_ROWS = 20, 4000
SECONDS = "s / 1,000 rows"


def load(name):
    """A table of scikit-learn: data frame, targets and task."""
    function, task = SHIPPED[name]
    X, y = function(return_X_y=True, as_frame=True)
    return X, y, task


def split(X, y, task, seed, most):
    """Training and test rows."""
    if task != "regression":
        frequent = (y.map(y.value_counts()) >= _RAREST).to_numpy()
        X, y = X[frequent], y[frequent]
        y = pd.Series(LabelEncoder().fit_transform(y.astype(str)), index=X.index)
    n = min(most, int(0.8 * len(y)))
    sizes = {"train_size": n, "test_size": min(most, len(y) - n)}
    return train_test_split(X, y, **sizes, random_state=seed, stratify=None if task == "regression" else y)


def calibration_error(probabilities, y, n_bins=15):
    """Expected calibration error of the most probable class (Guo et al., arXiv:1706.04599, equation 3)."""
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    which = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gaps = [abs(np.sum(correct[which == b] - confidence[which == b])) for b in range(n_bins)]
    return sum(gaps) / len(y)


def model(name, task, seed):
    """The estimator of a configuration."""
    if name == LINEAR:  # on the same encoding as the networks
        if task == "regression":
            return make_pipeline(TableEncoder(), RidgeCV(np.logspace(-3, 4, 15)))
        strengths = np.logspace(-3, 2, 6)
        return make_pipeline(TableEncoder(), LogisticRegressionCV(Cs=strengths, scoring="neg_log_loss", max_iter=1000))
    cls = TabularMLPRegressor if task == "regression" else TabularMLPClassifier
    return cls(random_state=seed, **CONFIGURATIONS[name])


def measure(name, data, seed):
    """Scores and seconds of a configuration."""
    X, y, task, most = data
    X_train, X_test, y_train, y_test = split(X, y, task, seed, most)
    start = perf_counter()
    net = model(name, task, seed).fit(X_train, y_train)
    scores = {
        "seconds": perf_counter() - start,
        "rows": len(y_train),
        "views": {str(v): s for v, s in getattr(net, "views_", {}).items()},
    }
    if task == "regression":
        return scores | {"error": root_mean_squared_error(y_test, net.predict(X_test)) / np.std(y_test)}
    P, y_test = net.predict_proba(X_test).astype(float), np.asarray(y_test)
    P /= P.sum(axis=1, keepdims=True)
    area = roc_auc_score(y_test, P[:, 1]) if P.shape[1] == 2 else roc_auc_score(y_test, P, multi_class="ovr")
    scores |= {"error": np.mean(P.argmax(axis=1) != y_test), "log_loss": log_loss(y_test, P)}
    return scores | {"1 - AUC": 1 - area, "ECE": calibration_error(P, y_test)}


def means(path):
    """Geometric means over the tables that all configurations have; shifted, so small errors count less."""
    lines = pd.read_json(path, lines=True)
    complete = lines.groupby(["table", "seed"])["configuration"].nunique().eq(lines["configuration"].nunique())
    lines = lines[complete[pd.MultiIndex.from_frame(lines[["table", "seed"]])].to_numpy()]
    shifts = {"error": 0.01, "log_loss": 0.01, "1 - AUC": 0.001, "ECE": 0.001}
    rows = {}
    for name, each in lines.groupby("configuration", sort=False):
        row = rows[name] = {}
        for kind, part in (("class. ", each[each["log_loss"].notna()]), ("nRMSE ", each[each["log_loss"].isna()])):
            for score, shift in shifts.items():
                if part[score].notna().any():
                    means = part.groupby("table")[score].mean()
                    row[kind + score] = np.exp(np.log(means + shift).mean()) - shift
        row[SECONDS] = (each["seconds"] / each["rows"] * 1000).mean()
    print(f"{lines['table'].nunique()} tables, seeds {sorted(lines['seed'].unique().tolist())}")
    print(pd.DataFrame(rows).T.to_string(float_format=lambda x: f"{x:.4f}"))
    return rows


def save(rows, collection):
    """Add the means of a collection of tables to the file of figures."""
    text = json.loads(FILE.read_text()) if FILE.exists() else {}
    rounded = {name: {score: round(value, 4) for score, value in row.items()} for name, row in rows.items()}
    text.setdefault(collection, {}).update(rounded)
    FILE.write_text(json.dumps(text, indent=1) + "\n")


def draw(folder):
    """Draw the figures of the documentation: error against time, for each collection and for all together."""
    from matplotlib import pyplot as plt

    collections = json.loads(FILE.read_text())
    scores = {"class. error": "classification error", "nRMSE error": "RMSE / standard deviation of y"}
    panels = [(name, score) for name in collections for score in scores]
    size = (WIDTH, 2.7 * len(panels))
    figure, axes = plt.subplots(len(panels), figsize=size, sharex=True, layout="constrained")
    for ax, (collection, score) in zip(axes, panels, strict=True):
        models = {name: each[score] for name, each in collections[collection].items() if score in each}
        _plot_models(ax, models, {name: collections[collection][name][SECONDS] for name in models})
        ax.set(title=f"{collection} collection", ylabel=scores[score])
    axes[-1].set_xlabel("seconds for 1,000 rows, one core")
    figure.savefig(folder / "tabular.png", dpi=150)

    figure, ax = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    shared = set.intersection(*map(set, collections.values()))
    errors = {
        name: np.exp(np.mean([np.log(collections[c][name][s] / collections[c]["HistGB"][s]) for c, s in panels]))
        for name in next(iter(collections.values()))
        if name in shared
    }
    seconds = {name: np.mean([each[name][SECONDS] for each in collections.values()]) for name in errors}
    _plot_models(ax, errors, seconds, {"CatBoost": ("center", (0, -15)), "RealMLP TD-S": ("center", (0, 7))})
    ax.set(xlabel="seconds for 1,000 rows, one core", ylabel="error relative to HistGB")
    figure.savefig(folder / "accuracy.png", dpi=150)


def _plot_models(ax, errors, seconds, labels=None):
    """A dot for each model, ours in blue, joined by a line; `labels` differ from those of LABELS."""
    labels = LABELS | (labels or {})
    ours = [name for name in ("fast", "default", "best", "tuned") if name in errors]
    for name, error in errors.items():
        if name in set(CONFIGURATIONS) - {*ours, LINEAR}:
            continue
        color = "C0" if name in ours else "0.4"
        ax.plot(seconds[name], error, "o", color=color)
        text, where = (f'"{name}"', (0, -15)) if name in ours else (name, (0, 6))
        side, where = labels.get(name, ("center", where))
        ax.annotate(text, (seconds[name], error), where, textcoords="offset points", color=color, ha=side)
    ax.plot([seconds[name] for name in ours], [errors[name] for name in ours], color="C0")
    ax.set(xscale="log", xlim=(0.01, 200))
    ax.margins(y=0.15)


def record(path, case, measure):
    """Append the line of a case and what ``measure()`` returns to a file, unless the file has the case already."""
    lines = path.read_text().splitlines() if path.exists() else []
    if any(case.items() <= line.items() for line in map(json.loads, lines)):
        return
    line = json.dumps(case | measure(), default=float)
    print(line, flush=True)
    with path.open("a") as file:
        file.write(line + "\n")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description="Accuracy on tables.")
    parser.add_argument("--out", type=Path, default=Path("tables.jsonl"))
    parser.add_argument("--configurations", default="fast,default", help=f"some of {', '.join(CONFIGURATIONS)}")
    parser.add_argument("--data", default="benchmarks.tables", help="module with load(name)")
    parser.add_argument("--tables", default=",".join(SHIPPED))
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--rows", type=int, default=_MOST_ROWS, help="maximum number of training rows")
    parser.add_argument("--print", type=Path, help="show results instead")
    parser.add_argument("--save", metavar="NAME", help="with --print: the collection's name in docs/accuracy.json")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw docs/accuracy.json instead")
    arguments = parser.parse_args()
    if arguments.figures:
        draw(arguments.figures)
        return
    if arguments.print:
        rows = means(arguments.print)
        if arguments.save:
            save(rows, arguments.save)
        return
    warnings.simplefilter("ignore")
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module(arguments.data)
    for table in arguments.tables.split(","):
        X, y, task = module.load(table)
        for seed in map(int, arguments.seeds.split(",")):
            for name in arguments.configurations.split(","):
                case = {"configuration": name, "table": table, "seed": seed}
                record(arguments.out, case, partial(measure, name, (X, y, task, arguments.rows), seed))


if __name__ == "__main__":
    main()
