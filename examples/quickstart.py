"""
Quick start
===========

Three data sets that ship with scikit-learn. For each one: a pipeline, a grid search
over activation, solver and learning-rate schedule, and a cross-validation of the best
combination next to scikit-learn's own network.

The first two rows of each table are the same network with the same settings, seed and
scores. The third row uses the best combination of the grid search. Its score is
slightly optimistic, because the search used the same samples, though with different
folds. All fits use one thread.
"""

import time
import warnings

from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sknn_iitb

# schedules span max_iter epochs, so reaching max_iter is intended and not a failure to
# converge
warnings.filterwarnings("ignore", category=ConvergenceWarning)

SETTINGS = {"learning_rate_init": 0.003, "max_iter": 50, "random_state": 0}

GRID = {
    "activation": ["relu", "tanh", "silu"],
    "solver": ["adam", "rmsprop"],
    "learning_rate": ["constant", "cosine", "exponential"],
}


def pipeline(net):
    """Standardize the features and, for regression, the target."""
    model = Pipeline([("scale", StandardScaler()), ("net", net)])
    if is_classifier(net):
        return model
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def search(net, X, y, folds):
    """Run the grid search."""
    prefix = "net__" if is_classifier(net) else "regressor__net__"
    grid = {prefix + name: values for name, values in GRID.items()}
    cv = folds(3, shuffle=True, random_state=0)
    return GridSearchCV(pipeline(net), grid, cv=cv).fit(X, y)


def print_row(label, model, X, y, folds, note=""):
    """Cross-validate a model and print its row of the table."""
    # a second BLAS thread slows networks of this size down, especially if another
    # program needs the core
    with threadpool_limits(1):
        result = cross_validate(model, X, y, cv=folds(5, shuffle=True, random_state=1))
    score, milliseconds = result["test_score"], 1000 * result["fit_time"].mean()
    row = f"{label:<30}{score.mean():.3f} +- {score.std():.3f}{milliseconds:8.0f} ms"
    print(f"  {row}  {note}".rstrip())


def main():
    start = time.perf_counter()
    X, y = load_breast_cancer(return_X_y=True)
    pipeline(sknn_iitb.MLPClassifier(**SETTINGS)).fit(X, y)
    duration = time.perf_counter() - start
    print(f"first fit: {duration:.1f} s (the very first one compiles)\n")

    for name, load, estimator, folds in [
        ("breast cancer", load_breast_cancer, "MLPClassifier", StratifiedKFold),
        ("digits", load_digits, "MLPClassifier", StratifiedKFold),
        ("diabetes", load_diabetes, "MLPRegressor", KFold),
    ]:
        X, y = load(return_X_y=True)
        metric = "accuracy" if estimator == "MLPClassifier" else "R2"
        theirs = getattr(neural_network, estimator)(**SETTINGS)
        ours = getattr(sknn_iitb, estimator)(**SETTINGS)
        before = time.perf_counter()
        found = search(ours, X, y, folds)
        n_fits = found.n_splits_ * len(found.cv_results_["params"]) + 1
        duration = time.perf_counter() - before

        print(f"{name}: {X.shape[0]} samples, {X.shape[1]} features")
        print(f"  grid search: {n_fits} fits in {duration:.1f} s")
        print(f"  {'':<30}{metric:<17}fit time")
        print_row("scikit-learn", pipeline(theirs), X, y, folds)
        print_row("sknn_iitb, same settings", pipeline(ours), X, y, folds)
        best = ", ".join(found.best_params_.values())
        print_row("sknn_iitb, tuned", found.best_estimator_, X, y, folds, best)
        print()
    print(f"total: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
