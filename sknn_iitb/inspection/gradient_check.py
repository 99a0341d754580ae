"""A check of backpropagation against finite differences."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_random_state

from sknn_iitb._typing import MatrixLike, RandomState
from sknn_iitb.inspection._loss_function import LossFunction

__all__ = ["check_gradients"]

# step of the five-point differences, relative to the parameter or to 1
_STEP = 1e-4


def check_gradients(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_parameters: int = 50,
    member: int = 0,
    random_state: RandomState = 0,
) -> Bunch:
    """Compare the gradient that training uses with finite differences of the loss, array by array.

    Use it for a custom activation or loss: if its derivative is wrong, the errors are of the order of 1. Correct
    derivatives of an activation with a kink, such as ReLU, have errors of up to 1e-2 for the few parameters whose step
    passes the kink; their medians are about 1e-10. Without kinks, all errors are below 1e-7, and mostly about 1e-9.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator of this package, or a pipeline that ends with one. It is not changed.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples that define the loss; a few hundred suffice.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    n_parameters : int, default=50
        Maximum number of parameters of each array that are checked, drawn at random. Each takes four evaluations of the
        loss.
    member : int, default=0
        Which network of a tabular estimator.
    random_state : int, RandomState instance or None, default=0
        Determines the parameters that are drawn.

    Returns
    -------
    result : Bunch
        - `errors`, dict of str to float: for each array of parameters, such as ``coefs_[0]``, the largest difference
          between the gradient and finite differences, relative to the largest derivative in the array.
        - `medians`, dict of str to float: the median difference, which few kinks do not affect.
        - `max_error`, float: the largest of the errors.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an estimator of this package.
    ValueError
        If a parameter or the samples are invalid.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import check_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), activation="tanh", solver="lbfgs", tol=1).fit(X, y)
    >>> check_gradients(net, X, y).max_error < 1e-6
    True
    """
    if not isinstance(n_parameters, Integral) or n_parameters < 1:
        raise ValueError(f"n_parameters must be a positive integer, got {n_parameters!r}.")
    loss = LossFunction.of(estimator, X, y, sample_weight, member)
    rng = check_random_state(random_state)
    gradient = loss.gradient(loss.theta)
    errors, medians = {}, {}
    for name, where in loss.arrays.items():
        n = where.stop - where.start
        chosen = where.start + rng.choice(n, min(n, n_parameters), replace=False)
        found = np.array([_derivative(loss, i) for i in chosen])
        largest = max(abs(gradient[where]).max(), abs(found).max(), np.finfo(float).tiny)
        differences = abs(gradient[chosen] - found) / largest
        errors[name], medians[name] = float(differences.max()), float(np.median(differences))
    return Bunch(errors=errors, medians=medians, max_error=max(errors.values()))


def _derivative(loss, i):
    """The derivative of the loss by parameter i, by five-point differences with an error of the order step**4."""
    step, values = _STEP * max(1.0, abs(loss.theta[i])), {}
    for k in (-2, -1, 1, 2):
        moved = loss.theta.copy()
        moved[i] += k * step
        values[k] = loss.value(moved)
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
