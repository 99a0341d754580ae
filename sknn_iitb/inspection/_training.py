"""Training from the beginning: a run that has not begun, and the parameters during one."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sknn_iitb._engine.training import train
from sknn_iitb._jit.patience import announced
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import last_step, steps_and_last
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.mlp._base import BaseMLP, is_first_order

__all__ = ["Beginning", "TrainingPath", "begin", "check_has_epochs", "training_path"]


class Beginning:
    """A run that has not begun.

    Attributes
    ----------
    run : Run
    theta : ndarray
        The initial parameters, which training changes.
    """

    def __init__(self, run: Any, theta: Array, *estimator_and_data: Any) -> None:
        self.run, self.theta, self._estimator_and_data = run, theta, estimator_and_data

    @property
    def loss(self) -> LossFunction:
        """The loss on all samples, at the present parameters."""
        return LossFunction.of(*self._estimator_and_data).at(self.theta)


class TrainingPath(NamedTuple):
    """The path of a training.

    Attributes
    ----------
    loss : LossFunction
        The loss on all samples, at the parameters that the training ended with.
    epochs : ndarray of int of shape (n_points,)
        Beginning with 0.
    thetas : ndarray of shape (n_points, n_parameters)
        The parameters after these epochs, as in `parameters_`.
    """

    loss: LossFunction
    epochs: Array
    thetas: Array


class _Recorder:
    """An observer that copies the parameters after some epochs: every one at first, then ever fewer."""

    def __init__(self, parameters, n_points):
        self._parameters, self._n_points = parameters, n_points
        self._every, self.epochs, self.thetas = 1, [], []

    def begin(self):
        if not self.epochs:
            self._record(0)

    def end(self, history):
        if history.n_iter % self._every == 0:
            self._record(history.n_iter)
        return False

    def _record(self, epoch):
        self.epochs.append(epoch)
        self.thetas.append(self._parameters.astype(np.float64))
        if len(self.epochs) > self._n_points:
            self._every *= 2
            kept = [k for k, each in enumerate(self.epochs) if each % self._every == 0]
            self.epochs, self.thetas = ([values[k] for k in kept] for values in (self.epochs, self.thetas))


def begin(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    member: int = 0,
    **changes: Any,
) -> Beginning:
    """Prepare to train the network of an estimator, which stays as it is, from the beginning.

    Parameters
    ----------
    estimator : estimator or Pipeline
        An MLPClassifier or MLPRegressor, fitted or not, and clones of the steps before it; or a fitted tabular
        estimator, whose encoder and steps are used.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : array-like
    sample_weight : array-like of shape (n_samples,), default=None
    member : int, default=0
        Which network of a tabular estimator.
    **changes : dict
        Parameters of an MLPClassifier or MLPRegressor to set.

    Returns
    -------
    beginning : Beginning

    Raises
    ------
    TypeError
        If the estimator is of another kind.
    NotFittedError
        If a tabular estimator is not fitted.
    ValueError
        If a parameter or the data are invalid.
    """
    steps, last = steps_and_last(estimator)
    if not isinstance(last, BaseMLP):
        last, X = last_step(estimator, X)
        run, theta = last._new_run(X, y, sample_weight, member)
    else:
        last = clone(last).set_params(**changes)
        last._validate_params()
        if steps is not None:
            X = clone(steps).fit_transform(X, y)
        run, theta = last._new_run(X, y, sample_weight, member)
    return Beginning(run, theta, last, X, y, sample_weight, member)


def check_has_epochs(estimator: Any) -> None:
    """Raise a ValueError if an MLPClassifier or MLPRegressor has the solver 'lbfgs'."""
    last = steps_and_last(estimator)[1]
    try:
        isinstance(last, BaseMLP) and is_first_order(last)
    except AttributeError:
        raise ValueError("solver='lbfgs' has no epochs and no learning rate; choose a first-order solver.") from None


def training_path(
    estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None, member: int, n_points: int
) -> TrainingPath:
    """Train from the beginning and record the parameters after up to `n_points` epochs, evenly spaced."""
    check_has_epochs(estimator)
    beginning = begin(estimator, X, y, sample_weight, member)
    run, theta = beginning.run, beginning.theta
    recorder = _Recorder(theta[: run.objective.network.layout.n_trained], n_points)
    run.observers = (recorder,)
    with announced():
        train(run, theta)
    return TrainingPath(beginning.loss, np.array(recorder.epochs), np.array(recorder.thetas))
