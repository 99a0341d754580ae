"""The same net trained here and by scikit-learn on the user's own data: whether they agree, and which is faster."""

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
from sknn_iitb.mlp._base import BaseMLP
from sknn_iitb.mlp._sklearn import counterpart, translated

__all__ = ["DIFFERENCES", "Comparison", "Pair", "compare_with_sklearn"]

# relative; what rounding makes of a few hundred epochs is far below, every difference in what is computed far above
_SAME = 1e-6


class Pair(NamedTuple):
    """What belongs to this package's net, and to scikit-learn's."""

    ours: Any
    sklearn: Any


_Run = namedtuple("_Run", ["seconds", "net", "error", "curve"])  # a fit: the net, or what it raised instead
_Case = namedtuple("_Case", ["net", "X", "y", "weight", "runs"])  # `net` has scikit-learn's parameters


def _first_order(case):
    return case.net.solver != "lbfgs"


def _diverges(case):
    return any("non-finite" in str(run.error) or not np.isfinite(run.curve).all() for run in case.runs)


def _scores_are_nan(case):
    return any(np.isnan(getattr(run.net, "validation_scores_", None) or 0.0).any() for run in case.runs)


def _has_several_outputs(case):
    return case.net.loss == "squared_error" and case.y.ndim == 2 and case.y.shape[1] > 1


def _is_sure_and_wrong(case):
    """Whether a label's probability is so small that scikit-learn clips it."""
    net = case.runs.ours.net
    if net is None or not is_classifier(net):
        return False
    p = net.predict_proba(case.X)
    labels = case.y != 0 if case.y.ndim == 2 else case.y[:, None] == net.classes_
    return bool((p[labels] < np.finfo(float).eps).any())


# the headline in docs/differences.md -> whether that difference can act
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
    "Cross-entropy is not clipped.": _is_sure_and_wrong,
}


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare_with_sklearn` has found; as a string, the report.

    Attributes
    ----------
    agree : bool
        Whether both took the same number of epochs, and their losses are the same to a millionth.
    loss_difference : float
        The largest relative difference between the losses of an epoch; for lbfgs, which has no curve, of the last loss.
    n_same : int or None
        The number of epochs after which they first differ by more than a millionth; None for lbfgs.
    n_iter, train_score, test_score, seconds : Pair
        Epochs; accuracy or R2 on the rows trained on, and on the others; time to fit. Each of both nets.
    errors : Pair
        What fit raised, or None.
    differences : tuple of str
        Where the two do not agree: headlines of the documented differences that act in this configuration.
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
        """How many times as fast as scikit-learn's the fit was."""
        return self.seconds.sklearn / self.seconds.ours

    def __str__(self) -> str:
        """The report."""
        rows = [
            ("", "sknn_iitb", "scikit-learn"),
            ("epochs", *map(str, self.n_iter)),
            ("score, training", *(f"{score:.4f}" for score in self.train_score)),
            ("score, held out", *(f"{score:.4f}" for score in self.test_score)),
            ("seconds to fit", *(f"{seconds:.3f}" for seconds in self.seconds)),
        ]
        lines = [f"{name:<16}{ours:>14}{sklearn:>14}" for name, ours, sklearn in rows]
        lines[-1] += f"   {self.speed_ratio:.1f} times as fast"
        if self.agree:
            lines.append(f"The losses agree: they differ by {self.loss_difference:.1e} at most (relative).")
            return "\n".join(lines)
        lines += [f"{name}: {error!r}" for name, error in zip(rows[0][1:], self.errors, strict=True) if error]
        if not any(self.errors):
            since = "" if self.n_same is None else f", from epoch {self.n_same + 1} on"
            lines.append(f"The losses do not agree: they differ by up to {self.loss_difference:.1e} (relative){since}.")
        if self.differences:
            lines.append("What is different on purpose, and acts here (the reasons are in docs/differences.md):")
            lines += [f"- {headline}" for headline in self.differences]
        else:
            lines.append(
                "None of the documented differences acts here. Losses that part late, or in a long run of lbfgs, do so "
                "by rounding, which training amplifies; those that part early are a bug: please report it."
            )
        return "\n".join(lines)


def compare_with_sklearn(
    estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> Comparison:
    """Train the net here and with scikit-learn, on the same data, and print how the two compare.

    Both start from the same `random_state` and compute in float64, on three quarters of the rows; the others are held
    out. Ours has compiled what it needs before the clock starts.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        One of ours, or a pipeline that ends with one. It is cloned, so it need not be fitted and stays as it is.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    comparison : Comparison
        The same facts as numbers.

    Raises
    ------
    ValueError
        If a parameter has a value that scikit-learn has not; all such parameters are named. Also if y has several
        columns of classes, which scikit-learn's net does not take, or if both fail to fit.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPClassifier, compare_with_sklearn
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> net = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, random_state=0))
    >>> found = compare_with_sklearn(net, X, y)  # doctest: +ELLIPSIS
                         sknn_iitb  scikit-learn
    epochs                      20            20...
    The losses agree: they differ by ...
    >>> found.agree
    True
    """
    is_pipeline = isinstance(estimator, sklearn.pipeline.Pipeline)
    before, net = (estimator[:-1], estimator[-1]) if is_pipeline else ((), estimator)
    if not isinstance(net, BaseMLP):
        raise TypeError(f"compare_with_sklearn takes an MLPClassifier or MLPRegressor of sknn_iitb, got {net!r}.")
    seed = net.random_state if isinstance(net.random_state, Integral) else 0
    ours = clone(net).set_params(random_state=seed, verbose=False)
    parameters, refused = translated(ours)
    if refused:
        raise ValueError(f"There is nothing to compare with. {' '.join(refused.values())}")
    theirs = counterpart(type(ours))(**parameters)
    if np.ndim(y) == 2 and np.shape(y)[1] == 1:
        y = column_or_1d(y, warn=True)  # as both would
    if is_classifier(ours) and ClassTargets.from_y(y if issparse(y) else np.asarray(y)).output_groups is not None:
        raise ValueError(
            f"There is nothing to compare with. scikit-learn's {type(theirs).__name__} takes no y with several columns "
            "of classes; legal are labels in one column, or a matrix of 0 and 1."
        )

    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    split = sklearn.model_selection.train_test_split
    X, X_test, y, y_test, weight, weight_test = split(X, y, weight, random_state=seed)
    if len(before):
        before = clone(before)
        X, X_test = before.fit_transform(X, y), before.transform(X_test)
    X, X_test = (check_array(part, accept_sparse="csr", dtype=np.float64) for part in (X, X_test))
    if sample_weight is None:
        train, test = (X, y), (X_test, y_test)
    else:
        train, test = (X, y, weight), (X_test, y_test, weight_test)

    _fit(clone(ours).set_params(max_iter=1), train)  # so that it is compiled
    runs = Pair(_fit(ours, train), _fit(theirs, train))
    if all(run.error for run in runs):
        raise runs.ours.error
    n_same, difference = _compare(*(run.curve for run in runs))
    n_iter = Pair(*(len(run.curve) if run.net is None else run.net.n_iter_ for run in runs))
    agree = difference <= _SAME and n_iter.ours == n_iter.sklearn
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
        differences=() if agree else tuple(headline for headline, acts in DIFFERENCES.items() if acts(case)),
    )
    print(comparison)
    return comparison


def _fit(net, data):
    error = None
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both say the same about convergence; NumPy about what overflows
        try:
            net.fit(*data)
        except (ValueError, ArithmeticError) as raised:
            error = raised
    seconds = time.perf_counter() - begin
    if error is not None:
        return _Run(seconds, None, error, np.array([]))
    # lbfgs has its last loss alone
    return _Run(seconds, net, None, np.array(getattr(net, "loss_curve_", [net.loss_]), float))


def _compare(ours, theirs):
    """The number of epochs before the curves differ, and the largest relative difference."""
    n = min(len(ours), len(theirs))
    with np.errstate(invalid="ignore"):
        apart = abs(ours[:n] - theirs[:n]) / np.maximum(abs(theirs[:n]), np.finfo(float).tiny)
    apart[np.isnan(apart)] = np.inf
    differs = np.append(apart > _SAME, True)
    return int(differs.argmax()), float(apart.max(initial=0.0 if n else np.inf))


def _score(net, data):
    return np.nan if net is None else net.score(*data)
