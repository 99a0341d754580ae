"""The parameters of a network during its training."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import cloned_mlp

__all__ = ["TrainingPath", "training_path"]


class TrainingPath(NamedTuple):
    """The path of a fit.

    Attributes
    ----------
    net : MLPClassifier or MLPRegressor
        The fitted network.
    X : array-like
        The samples as it receives them.
    epochs : ndarray of int of shape (n_points,)
        Beginning with 0.
    thetas : ndarray of shape (n_points, n_parameters)
        The parameters after these epochs, as in `parameters_`.
    """

    net: Any
    X: Any
    epochs: Array
    thetas: Array


class _Recorder:
    """An observer that copies the parameters after some epochs: every one at first, then ever fewer."""

    def __init__(self, net, n_points):
        self._net, self._n_points = net, n_points
        self._every, self.epochs, self.thetas = 1, [], []
        self.expose = None

    def begin(self):
        if not self.epochs:
            self._record(0)

    def end(self, history):
        if history.n_iter % self._every == 0:
            self._record(history.n_iter)
        return False

    def _record(self, epoch):
        self.epochs.append(epoch)
        self.thetas.append(self._net.parameters_.copy())
        if len(self.epochs) > self._n_points:
            self._every *= 2
            kept = [k for k, each in enumerate(self.epochs) if each % self._every == 0]
            self.epochs, self.thetas = ([values[k] for k in kept] for values in (self.epochs, self.thetas))

    def close(self):
        """Nothing is left to do."""


def training_path(
    estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None, n_points: int
) -> TrainingPath:
    """Train a clone and record its parameters after up to `n_points` epochs, evenly spaced."""
    net, X = cloned_mlp(estimator, X, y, "epochs to record")
    recorder = _Recorder(net, n_points)
    net._fit(TrainingData(X, y, sample_weight), observers=(recorder,))
    return TrainingPath(net, X, np.array(recorder.epochs), np.array(recorder.thetas, np.float64))
