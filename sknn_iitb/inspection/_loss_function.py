"""The loss of an estimator as a function of its parameters."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._typing import Array, MatrixLike

__all__ = ["LossFunction", "last_step"]

# Step of the finite differences of gradients, along a direction of length one. It is shorter than a smooth loss needs,
# because a ReLU that switches within the step adds an error.
_STEP = 1e-7


def last_step(estimator: Any, X: MatrixLike | None = None) -> tuple[Any, Any]:
    """The last step of a pipeline, and X as it receives it; anything else is returned as it is.

    Raises
    ------
    TypeError
        If the estimator is not one of this package.
    NotFittedError
        If it is not fitted.
    """
    before, last = (estimator[:-1], estimator[-1]) if isinstance(estimator, Pipeline) else ((), estimator)
    if not hasattr(last, "_exact_objective"):
        raise TypeError(f"estimator must be one of sknn_iitb, or a pipeline that ends with one, got {estimator!r}.")
    check_is_fitted(last)
    return last, X if X is None or not len(before) else before.transform(X)


class LossFunction(NamedTuple):
    """The loss that training minimizes on given samples, with its penalties and without dropout, in float64.

    Attributes
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
        The parameters of the estimator that the solver trains.
    objective : Objective
    rest : ndarray
        Running moments, which follow the parameters in the network's vector.
    """

    network: Any
    theta: Array
    objective: Any
    rest: Array

    @classmethod
    def of(cls, estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None, member: int) -> Self:
        """The loss of a fitted estimator or pipeline, which stay as they are."""
        last, X = last_step(estimator, X)
        network, vector, objective = last._exact_objective(X, y, sample_weight, member)
        n_trained = network.layout.n_trained
        return cls(network, vector[:n_trained], objective, vector[n_trained:])

    @property
    def arrays(self) -> dict[str, slice]:
        """Where each array of parameters lies in `theta`, by its name in the estimator, such as ``coefs_[0]``."""
        entries = (entry for entry in self.network.layout.entries if entry.stop <= len(self.theta))
        return {f"{entry.name}_[{entry.block}]": slice(entry.start, entry.stop) for entry in entries}

    def value(self, theta: Array) -> float:
        """The loss at these parameters."""
        with BLASThreads(1):
            return float(sum(self.objective.evaluate(np.concatenate([theta, self.rest]))))

    def gradient(self, theta: Array) -> Array:
        """The gradient at these parameters."""
        self.value(theta)
        return self.objective.gradient[: len(self.theta)].copy()

    def hessian_product(self, direction: Array, step: float = _STEP) -> Array:
        """The Hessian at `theta` times a vector, by a central difference of gradients."""
        length = np.linalg.norm(direction)
        if length == 0:
            return np.zeros_like(direction)
        move = step / length * direction
        return (self.gradient(self.theta + move) - self.gradient(self.theta - move)) * (length / (2 * step))
