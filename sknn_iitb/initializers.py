"""Initializers, which draw the weights before training.

An initializer draws the weight matrix, of shape (fan_in, fan_out), and the biases of each layer in turn.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_iitb._registry import Component, Registry

__all__ = [
    "INITIALIZERS",
    "Auto",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "Zeros",
]

WeightsAndBiases = tuple[NDArray[Any], NDArray[Any]]


class Initializer(Component):
    """Base of the initializers."""

    def draw(self, rng: np.random.RandomState, fan_in: int, fan_out: int, activation: Any) -> WeightsAndBiases:
        """Draw one layer.

        Parameters
        ----------
        rng : RandomState
        fan_in, fan_out : int
        activation : Activation
            The activation of the hidden layers.

        Returns
        -------
        weights : ndarray of shape (fan_in, fan_out)
        biases : ndarray of shape (fan_out,)
        """
        return self.weights(rng, fan_in, fan_out), np.zeros(fan_out)

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        """Draw the weights of one layer; its biases start at zero."""
        raise NotImplementedError


INITIALIZERS: Registry = Registry("init", Initializer)


@INITIALIZERS.add("auto")
class Auto(Initializer):
    """As in scikit-learn: weights and biases uniform in +-sqrt(c / (fan_in + fan_out)), c = 2 for logistic, else 6."""

    def draw(self, rng: np.random.RandomState, fan_in: int, fan_out: int, activation: Any) -> WeightsAndBiases:
        bound = np.sqrt((2.0 if "logistic" in activation.names else 6.0) / (fan_in + fan_out))
        return rng.uniform(-bound, bound, (fan_in, fan_out)), rng.uniform(-bound, bound, fan_out)


def _uniform(rng, variance, shape):
    bound = np.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


@INITIALIZERS.add("glorot_uniform")
class GlorotUniform(Initializer):
    """Variance 2 / (fan_in + fan_out), uniform (Glorot and Bengio, AISTATS 2010)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _uniform(rng, 2 / (fan_in + fan_out), (fan_in, fan_out))


@INITIALIZERS.add("glorot_normal")
class GlorotNormal(Initializer):
    """Variance 2 / (fan_in + fan_out), normal (Glorot and Bengio, AISTATS 2010)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return rng.normal(0, np.sqrt(2 / (fan_in + fan_out)), (fan_in, fan_out))


@INITIALIZERS.add("he_uniform")
class HeUniform(Initializer):
    """Variance 2 / fan_in, uniform (He et al., arXiv:1502.01852)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _uniform(rng, 2 / fan_in, (fan_in, fan_out))


@INITIALIZERS.add("he_normal")
class HeNormal(Initializer):
    """Variance 2 / fan_in, normal (He et al., arXiv:1502.01852)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))


@INITIALIZERS.add("lecun_uniform")
class LecunUniform(Initializer):
    """Variance 1 / fan_in, uniform (LeCun et al., Efficient BackProp, 1998)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return _uniform(rng, 1 / fan_in, (fan_in, fan_out))


@INITIALIZERS.add("lecun_normal")
class LecunNormal(Initializer):
    """Variance 1 / fan_in, normal (LeCun et al., Efficient BackProp, 1998)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return rng.normal(0, np.sqrt(1 / fan_in), (fan_in, fan_out))


@INITIALIZERS.add("orthogonal")
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., arXiv:1312.6120)."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        gaussian = rng.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
        q, r = np.linalg.qr(gaussian)
        q = q * np.sign(np.diag(r))  # without the signs the draw is not uniform over the orthogonal matrices
        return q if fan_in >= fan_out else q.T


@INITIALIZERS.add("zeros")
class Zeros(Initializer):
    """All zero, for a network without hidden layers: the neurons of a hidden layer would stay equal forever."""

    def weights(self, rng: np.random.RandomState, fan_in: int, fan_out: int) -> NDArray[Any]:
        return np.zeros((fan_in, fan_out))
