"""The loss of an estimator as a function of its parameters."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import last_step

__all__ = ["LossFunction"]

# Step of the finite differences of gradients, along a direction of length one. It is shorter than a smooth loss needs,
# because a ReLU that switches within the step adds an error.
_STEP = 1e-7


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

    def at(self, vector: Array) -> Self:
        """The same loss at other parameters, those of a network of the same layout."""
        n_trained = len(self.theta)
        return self._replace(theta=vector[:n_trained].astype(np.float64), rest=vector[n_trained:].astype(np.float64))

    @property
    def arrays(self) -> dict[str, slice]:
        """Where each array of parameters lies in `theta`, by its name in the estimator, such as ``coefs_[0]``."""
        entries = (entry for entry in self.network.layout.entries if entry.stop <= len(self.theta))
        return {f"{entry.name}_[{entry.block}]": slice(entry.start, entry.stop) for entry in entries}

    @property
    def biases(self) -> list[slice]:
        """Where the biases of each layer lie in `theta`."""
        return [where for name, where in self.arrays.items() if name.startswith("intercepts_")]

    def terms(self, theta: Array) -> tuple[float, float]:
        """The mean loss of the samples, and the penalties, at these parameters."""
        with BLASThreads(1):
            loss, penalty = self.objective.evaluate(np.concatenate([theta, self.rest]))
        return float(loss), float(penalty)

    def value(self, theta: Array) -> float:
        """The loss at these parameters."""
        return sum(self.terms(theta))

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """The loss and its gradient at these parameters."""
        value = self.value(theta)
        return value, self.objective.gradient[: len(self.theta)].copy()

    def gradient(self, theta: Array) -> Array:
        """The gradient at these parameters."""
        return self.value_and_gradient(theta)[1]

    def hessian_product(self, direction: Array, step: float = _STEP) -> Array:
        """The Hessian at `theta` times a vector, by a central difference of gradients."""
        length = np.linalg.norm(direction)
        if length == 0:
            return np.zeros_like(direction)
        move = step / length * direction
        return (self.gradient(self.theta + move) - self.gradient(self.theta - move)) * (length / (2 * step))
