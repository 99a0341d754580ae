"""Comparison with scikit-learn on the user's data: whether both train the same network, and which is faster."""

import time
import warnings
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from sknn_iitb._engine.targets import ClassTargets
from sknn_iitb._typing import MatrixLike
from sknn_iitb.inspection._estimators import steps_and_last
from sknn_iitb.mlp._base import BaseMLP
from sknn_iitb.mlp._sklearn import counterpart, translated

__all__ = ["DIFFERENCES", "Comparison", "Pair", "compare_with_sklearn"]

# Relative tolerance of the losses: far above the rounding errors of a few hundred epochs, and far below any difference
# between the algorithms.
_TOLERANCE = 1e-6


class Pair(NamedTuple):
    """A value for this package's network and one for scikit-learn's."""

    ours: Any
    sklearn: Any


_Run = namedtuple("_Run", ["seconds", "net", "error", "curve"])  # a fit, with either the fitted net or the error
_Case = namedtuple("_Case", ["net", "X", "y", "weight", "runs"])  # `net` has scikit-learn's parameters


def _first_order(case):
    return case.net.solver != "lbfgs"


def _diverges(case):
    return any("non-finite" in str(run.error) or not np.isfinite(run.curve).all() for run in case.runs)


def _scores_are_nan(case):
    return any(np.isnan(getattr(run.net, "validation_scores_", None) or 0.0).any() for run in case.runs)


def _has_several_outputs(case):
    return case.net.loss == "squared_error" and case.y.ndim == 2 and case.y.shape[1] > 1


def _clips_probabilities(case):
    """Whether the probability of a true label is so small that scikit-learn clips it."""
    net = case.runs.ours.net
    if net is None or not is_classifier(net):
        return False
    p = net.predict_proba(case.X)
    labels = case.y != 0 if case.y.ndim == 2 else case.y[:, None] == net.classes_
    return bool((p[labels] < np.finfo(float).eps).any())


# headline in docs/differences.md -> whether that difference can affect a case
DIFFERENCES: dict[str, Callable[[Any], bool]] = {
    "`learning_rate` applies to every first-order solver.": (
        lambda case: case.net.solver == "adam" and case.net.learning_rate != "constant"
    ),
    "Sample weights apply across batches.": lambda case: (
        _first_order(case) and len(np.unique(case.weight[case.weight > 0])) > 1
    ),
    "Samples with zero weight are removed first": lambda case: (case.weight == 0).any(),
    "Negative sample weights are an error.": lambda case: (case.weight < 0).any(),
    "Diverging training stops within one epoch.": _diverges,
    "An exploding loss counts as divergence": lambda case: "The loss has risen" in str(case.runs.ours.error),
    "A NaN validation score is not an improvement.": _scores_are_nan,
    "The adaptive learning rate compares losses since its last reduction.": lambda case: (
        case.net.learning_rate == "adaptive"
    ),
    "With lbfgs, a `tol` below 1e-4 trains to the minimum.": (
        lambda case: not _first_order(case) and case.net.tol < 1e-4
    ),
    "With lbfgs and several outputs, the squared error is summed over the outputs": (
        lambda case: not _first_order(case) and _has_several_outputs(case)
    ),
    '`loss="poisson"` requires y >= 0.': lambda case: case.net.loss == "poisson" and (case.y < 0).any(),
    "Cross-entropy is not clipped.": _clips_probabilities,
}


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare_with_sklearn`; ``str(comparison)`` is the report.

    Attributes
    ----------
    agree : bool
        Whether both networks trained for the same number of epochs with the same losses, to a relative 1e-6.

    loss_difference : float
        Maximum relative difference between the losses of an epoch, or between the final losses for lbfgs, which has no
        loss curve.

    n_same : int or None
        Number of epochs before the losses first differ by more than a relative 1e-6. None for lbfgs.

    n_iter : Pair of int
        Number of epochs.

    train_score, test_score : Pair of float
        Accuracy or R2 on the training samples and on the held-out samples.

    seconds : Pair of float
        Fit time.

    errors : Pair of (Exception or None)
        Error raised by `fit`.

    differences : tuple of str
        If the networks disagree, the headlines of the documented differences that apply.
    """

    agree: bool
    loss_difference: float
    n_same: int | None
    n_iter: Pair
    train_score: Pair
    test_score: Pair
    seconds: Pair
    errors: Pair
    differences: tuple[str, ...]

    @property
    def speed_ratio(self) -> float:
        """Fit time of scikit-learn divided by that of this package."""
        return self.seconds.sklearn / self.seconds.ours

    def __str__(self) -> str:
        """The report."""
        rows = [
            ("", "sknn_iitb", "scikit-learn"),
            ("epochs", *map(str, self.n_iter)),
            ("training score", *(f"{score:.4f}" for score in self.train_score)),
            ("test score", *(f"{score:.4f}" for score in self.test_score)),
            ("fit time (s)", *(f"{seconds:.3f}" for seconds in self.seconds)),
        ]
        lines = [f"{name:<16}{ours:>14}{sklearn:>14}" for name, ours, sklearn in rows]
        lines[-1] += f"   {self.speed_ratio:.1f} times as fast"
        difference = f"maximum relative difference {self.loss_difference:.1e}"
        if self.agree:
            lines.append(f"The losses agree ({difference}).")
            return "\n".join(lines)
        lines += [f"{name}: {error!r}" for name, error in zip(rows[0][1:], self.errors, strict=True) if error]
        if not any(self.errors):
            since = "" if self.n_same is None else f" from epoch {self.n_same + 1} on"
            lines.append(f"The losses disagree{since} ({difference}).")
        if self.differences:
            lines.append("These documented differences apply (see docs/differences.md for the reasons):")
            lines += [f"- {headline}" for headline in self.differences]
        else:
            lines.append(
                "None of the documented differences applies. If the losses disagree only in late epochs or after a "
                "long run of lbfgs, the cause is rounding, which training amplifies. If they disagree early, please "
                "report a bug."
            )
        return "\n".join(lines)


def compare_with_sklearn(
    estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> Comparison:
    """Train a network with this package and with scikit-learn, and print a comparison.

    Both start from the same `random_state` and compute in float64. They train on three quarters of the samples and are
    tested on the others. Fit times do not include compilation.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        Estimator of this package, or a pipeline that ends with one, fitted or not. It is cloned and stays unchanged.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target values.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.

    Returns
    -------
    comparison : Comparison
        Results as numbers.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator of this package.
    ValueError
        If scikit-learn does not support some of the parameters, which are all named, or y with several columns of
        classes. Also if both networks fail to fit.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPClassifier, compare_with_sklearn
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> net = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, random_state=0))
    >>> comparison = compare_with_sklearn(net, X, y)  # doctest: +ELLIPSIS
                         sknn_iitb  scikit-learn
    epochs                      20            20...
    The losses agree ...
    >>> comparison.agree
    True
    """
    before, net = steps_and_last(estimator)
    if not isinstance(net, BaseMLP):
        raise TypeError(f"compare_with_sklearn requires an MLPClassifier or MLPRegressor of sknn_iitb, got {net!r}.")
    seed = net.random_state if isinstance(net.random_state, Integral) else 0
    ours = clone(net).set_params(random_state=seed, verbose=False)
    parameters, unsupported = translated(ours)
    if unsupported:
        raise ValueError(f"scikit-learn cannot train this network. {' '.join(unsupported.values())}")
    theirs = counterpart(type(ours))(**parameters)
    if np.ndim(y) == 2 and np.shape(y)[1] == 1:
        y = column_or_1d(y, warn=True)  # as both estimators do
    if is_classifier(ours) and ClassTargets.from_y(y if issparse(y) else np.asarray(y)).output_groups is not None:
        raise ValueError(
            f"scikit-learn's {type(theirs).__name__} does not support y with several columns of classes. Pass labels "
            "in one column, or a matrix of 0 and 1."
        )

    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    split = sklearn.model_selection.train_test_split
    X, X_test, y, y_test, weight, weight_test = split(X, y, weight, random_state=seed)
    if before is not None:
        before = clone(before)
        X, X_test = before.fit_transform(X, y), before.transform(X_test)
    X, X_test = (check_array(matrix, accept_sparse="csr", dtype=np.float64) for matrix in (X, X_test))
    if sample_weight is None:
        train, test = (X, y), (X_test, y_test)
    else:
        train, test = (X, y, weight), (X_test, y_test, weight_test)

    _fit(clone(ours).set_params(max_iter=1), train)  # compile before the clock starts
    runs = Pair(_fit(ours, train), _fit(theirs, train))
    if all(run.error for run in runs):
        raise runs.ours.error
    n_same, difference = _compare(*(run.curve for run in runs))
    n_iter = Pair(*(len(run.curve) if run.net is None else run.net.n_iter_ for run in runs))
    agree = difference <= _TOLERANCE and n_iter.ours == n_iter.sklearn
    case = _Case(theirs, X, np.asarray(y), weight, runs)
    comparison = Comparison(
        agree=agree,
        loss_difference=difference,
        n_same=None if theirs.solver == "lbfgs" else n_same,
        n_iter=n_iter,
        train_score=Pair(*(_score(run.net, train) for run in runs)),
        test_score=Pair(*(_score(run.net, test) for run in runs)),
        seconds=Pair(*(run.seconds for run in runs)),
        errors=Pair(*(run.error for run in runs)),
        differences=() if agree else tuple(headline for headline, applies in DIFFERENCES.items() if applies(case)),
    )
    print(comparison)
    return comparison


def _fit(net, data):
    error = None
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of convergence, and NumPy of overflow
        try:
            net.fit(*data)
        except (ValueError, ArithmeticError) as raised:
            error = raised
    seconds = time.perf_counter() - begin
    if error is not None:
        return _Run(seconds, None, error, np.array([]))
    # lbfgs records only its final loss
    return _Run(seconds, net, None, np.array(getattr(net, "loss_curve_", [net.loss_]), float))


def _compare(ours, theirs):
    """Number of epochs before the curves differ, and their maximum relative difference."""
    n = min(len(ours), len(theirs))
    with np.errstate(invalid="ignore"):
        apart = abs(ours[:n] - theirs[:n]) / np.maximum(abs(theirs[:n]), np.finfo(float).tiny)
    apart[np.isnan(apart)] = np.inf
    differs = np.append(apart > _TOLERANCE, True)
    return int(differs.argmax()), float(apart.max(initial=0.0 if n else np.inf))


def _score(net, data):
    return np.nan if net is None else net.score(*data)
