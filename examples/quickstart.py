"""
Quick start
===========

Three data sets that scikit-learn ships. For each: a pipeline, a grid search over an activation, a solver and a decay of
the learning rate, and a cross-validation of the winner beside scikit-learn's own network.

The first two rows of each table are the same network: same settings, same seed, same scores. The third has the
activation, solver and decay that the search chose. It was chosen on the same samples, though in other folds, so its
score flatters it a little. All run on one thread.
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

# a decay is spread over max_iter epochs, so to use them all is the plan here and no failure to converge
warnings.filterwarnings("ignore", category=ConvergenceWarning)

SETTINGS = {"learning_rate_init": 0.003, "max_iter": 50, "random_state": 0}

GRID = {
    "activation": ["relu", "tanh", "silu"],
    "solver": ["adam", "rmsprop"],
    "learning_rate": ["constant", "cosine", "exponential"],
}


def pipeline(net):
    """Scale the features; for numbers to predict, the target too."""
    model = Pipeline([("scale", StandardScaler()), ("net", net)])
    return model if is_classifier(net) else TransformedTargetRegressor(model, transformer=StandardScaler())


def search(net, X, y, folds):
    """Return the best of all combinations."""
    prefix = "net__" if is_classifier(net) else "regressor__net__"
    grid = {prefix + name: values for name, values in GRID.items()}
    return GridSearchCV(pipeline(net), grid, cv=folds(3, shuffle=True, random_state=0)).fit(X, y)


def print_row(label, model, X, y, folds, remark=""):
    """Cross-validate a model and print its line of the table."""
    # a second BLAS thread makes nets of this size slower, and much slower where another program wants the core
    with threadpool_limits(1):
        result = cross_validate(model, X, y, cv=folds(5, shuffle=True, random_state=1))
    score, fit_time = result["test_score"], result["fit_time"]
    print(f"  {label:<30}{score.mean():.3f} +- {score.std():.3f}{1000 * fit_time.mean():8.0f} ms  {remark}".rstrip())


def main():
    start = time.perf_counter()
    X, y = load_breast_cancer(return_X_y=True)
    pipeline(sknn_iitb.MLPClassifier(**SETTINGS)).fit(X, y)
    print(f"first fit: {time.perf_counter() - start:.1f} s (the first ever compiles, and keeps the result on disk)\n")

    for name, load, estimator, folds, metric in [
        ("breast cancer", load_breast_cancer, "MLPClassifier", StratifiedKFold, "accuracy"),
        ("digits", load_digits, "MLPClassifier", StratifiedKFold, "accuracy"),
        ("diabetes", load_diabetes, "MLPRegressor", KFold, "R2"),
    ]:
        X, y = load(return_X_y=True)
        theirs = getattr(neural_network, estimator)(**SETTINGS)
        ours = getattr(sknn_iitb, estimator)(**SETTINGS)
        before = time.perf_counter()
        found = search(ours, X, y, folds)
        n_fits = found.n_splits_ * len(found.cv_results_["params"]) + 1
        duration = time.perf_counter() - before

        print(f"{name}: {X.shape[0]} samples, {X.shape[1]} features; grid search: {n_fits} fits in {duration:.1f} s")
        print(f"  {'':<30}{metric:<17}a fit takes")
        print_row("scikit-learn", pipeline(theirs), X, y, folds)
        print_row("sknn_iitb, the same settings", pipeline(ours), X, y, folds)
        print_row("sknn_iitb, the winner", found.best_estimator_, X, y, folds, ", ".join(found.best_params_.values()))
        print()
    print(f"all of it: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
