"""Estimators as they are inspected: alone or behind the steps of a pipeline."""

from numbers import Integral
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import MatrixLike

__all__ = [
    "check_count",
    "column_names",
    "last_step",
    "names_of",
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
        raise TypeError(
            f"estimator must be one of sknn_iitb, or a pipeline that ends with one, got {estimator!r} of "
            f"{type(estimator).__module__.partition('.')[0]}." + _advice(estimator)
        )
    check_is_fitted(last)
    return last, X if X is None or steps is None else steps.transform(X)


def _advice(estimator):
    """What to pass instead of an estimator that contains one of this package."""
    if hasattr(estimator, "best_estimator_"):  # also of searches of other packages
        return " Pass the best_estimator_ of the search."
    if isinstance(estimator, TransformedTargetRegressor):
        return " Pass its regressor_, and the targets as its transformer_ returns them."
    return ""


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
            f"that ends with one, got {type(net).__name__}.{_advice(net)} Permutation importance accepts any estimator."
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
        names = steps.get_feature_names_out()
    except (AttributeError, NotFittedError):  # a step does not name its output, or a pipeline has only "passthrough"
        names = None
    return names_of(net) if names is None else names


def check_count(name: str, value: Any, least: int) -> None:
    """Raise a ValueError unless the value is an integer that is large enough."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
