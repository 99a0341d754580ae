"""Estimators as they are inspected: alone or behind the steps of a pipeline, fitted or cloned."""

from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._typing import MatrixLike
from sknn_iitb.mlp._base import BaseMLP, is_first_order
from sknn_iitb.mlp._fitting import Call

__all__ = [
    "check_count",
    "cloned_mlp",
    "column_names",
    "fitted_mlp",
    "last_step",
    "names_of",
    "new_run",
    "steps_and_last",
    "steps_and_net",
]


def steps_and_last(estimator: Any) -> tuple[Any, Any]:
    """The steps of a pipeline before its last, None if there are none, and the last; or None and the estimator."""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return estimator[:-1] if len(estimator) > 1 else None, estimator[-1]


def last_step(estimator: Any, X: MatrixLike | None = None) -> tuple[Any, Any]:
    """The fitted last step of a pipeline, and X as it receives it; or the estimator and X.

    Raises
    ------
    TypeError
        If the estimator is not one of this package.
    NotFittedError
        If it is not fitted.
    """
    steps, last = steps_and_last(estimator)
    if not hasattr(last, "_exact_objective"):
        raise TypeError(f"estimator must be one of sknn_iitb, or a pipeline that ends with one, got {estimator!r}.")
    check_is_fitted(last)
    return last, X if X is None or steps is None else steps.transform(X)


def fitted_mlp(estimator: Any, X: MatrixLike) -> tuple[Any, Any]:
    """As :func:`last_step`, for an MLPClassifier or MLPRegressor; X is validated."""
    net, X = last_step(estimator, X)
    _check_mlp(net, estimator)
    return net, net._checked(X)


def cloned_mlp(estimator: Any, X: MatrixLike, y: ArrayLike, what: str) -> tuple[Any, Any]:
    """A clone of an MLPClassifier or MLPRegressor, and X after clones of the steps before it.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        Fitted or not.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like
    what : str
        What the solver 'lbfgs' does not have.

    Returns
    -------
    net : MLPClassifier or MLPRegressor
    X : {array-like, sparse matrix}

    Raises
    ------
    TypeError
        If the estimator is of another kind.
    ValueError
        If its solver is 'lbfgs', or a parameter is invalid.
    """
    steps, last = steps_and_last(estimator)
    _check_mlp(last, estimator)
    try:
        is_first_order(last)
    except AttributeError:
        raise ValueError(f"solver='lbfgs' has no {what}; choose a first-order solver.") from None
    net = clone(last)
    net._validate_params()
    return net, X if steps is None else clone(steps).fit_transform(X, y)


def steps_and_net(estimator: Any) -> tuple[Any, Any]:
    """As :func:`steps_and_last`, for an estimator of this package.

    Raises
    ------
    TypeError
        If it is of another kind.
    """
    steps, net = steps_and_last(estimator)
    if not hasattr(net, "_matrix"):
        raise TypeError(
            "This requires a TabularMLPClassifier, TabularMLPRegressor, MLPClassifier or MLPRegressor, or a Pipeline "
            f"that ends with one, got {type(net).__name__}. Permutation importance accepts any estimator."
        )
    return steps, net


def names_of(estimator: Any) -> Any:
    """Names of the columns that an estimator receives."""
    return getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(estimator.n_features_in_)])


def column_names(estimator: Any) -> Any:
    """Names of the columns that the network, alone or at the end of a pipeline, receives."""
    steps, net = steps_and_net(estimator)
    if steps is None or hasattr(net, "feature_names_in_"):
        return names_of(net)
    try:
        return steps.get_feature_names_out()
    except AttributeError:  # a step does not name its output
        return names_of(net)


def new_run(net: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
    """The run that `fit` would begin; it gives the network its initial parameters."""
    return net._begin(TrainingData(X, y, sample_weight), Call(continues=False, incremental=False, classes=None))


def check_count(name: str, value: Any, least: int) -> None:
    """Raise a ValueError unless the value is an integer that is large enough."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")


def _check_mlp(net, estimator):
    if not isinstance(net, BaseMLP):
        raise TypeError(
            "estimator must be an MLPClassifier or MLPRegressor of sknn_iitb, or a pipeline that ends with one, got "
            f"{estimator!r}."
        )
