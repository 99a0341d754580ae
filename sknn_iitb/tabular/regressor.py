"""The regressor for tables as they come."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._engine.targets import NumberTargets
from sknn_iitb._registry import Kernel, one_of
from sknn_iitb._typing import RandomState, Splitter
from sknn_iitb.activations import ACTIVATIONS, Activation
from sknn_iitb.losses import LOSSES, Quantile
from sknn_iitb.optimizers import Optimizer
from sknn_iitb.schedules import Schedule
from sknn_iitb.tabular._base import BaseTabularMLP
from sknn_iitb.tabular._metrics import REGRESSOR_METRICS, pinball

__all__ = ["TabularMLPRegressor"]


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """A few small nets for a table as it comes, averaged: a regressor that needs no preprocessing.

    As :class:`TabularMLPClassifier`; y may be of any scale, and predictions stay within the range that was seen.

    Parameters
    ----------
    preset : {"fast", "default", "best"}, default="default"
        How many nets, and how long they learn.
    metric : {"rmse", "mae"}, default="rmse"
        What is minimised, and what the best epoch is best at.
    n_estimators : int, default=None
        Nets; None for the preset's.
    hidden_layer_sizes : array-like of int, default=(128, 128, 128)
    activation : str or Activation, default=None
        None for "mish".
    n_bins : int, default=16
        Pieces that three of four nets see of each column of numbers, besides the number, at most 1024; None for no
        pieces.
    dropout : float, default=0.0
        The share of the neurons that is left out in training.
    solver : str or Optimizer, default=None
        Any first-order one; None for ``Adam(beta_2=0.95)``.
    learning_rate : str or Schedule, default=None
        None for "coslog".
    learning_rate_init : float, default=None
        The highest rate; None for 0.15.
    max_iter : int, default=None
        Epochs; None for the preset's, times the root of 4,000 / n_samples if there are more.
    batch_size : int, default=256
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Which columns are categories: see :class:`TableEncoder`.
    validation_fraction : float or CV splitter, default=0.2
        Share of the samples that each member holds out to choose its best epoch. If ``1 / validation_fraction`` is a
        whole number, the held-out samples are the folds of a cross-validation; otherwise each member has a random
        split of that size. Splits keep the `groups` passed to `fit` together.
    quantiles : array-like of float, default=None
        What `predict_quantiles` is to predict, increasing; nets of their own are trained for them.
    max_time : float, default=None
        Seconds, after which the best so far is returned.
    random_state : int, RandomState or None, default=None
    n_jobs : int, default=None
        Nets that are trained, and that predict, at a time, in threads.
    verbose : int, default=0
        1 keeps one line up to date; 2 prints a line for each epoch.

    Attributes
    ----------
    encoder_ : TableEncoder
    members_ : list
        The nets.
    quantile_members_ : list
        Those for quantiles, if there are any.
    n_iter_ : int
        Epochs of the longest training.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknn_iitb.tabular import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> TabularMLPRegressor(preset="fast", random_state=0).fit(X, y).score(X, y) > 0.4
    True
    """

    _parameter_constraints = {
        **BaseTabularMLP._parameter_constraints,
        "metric": [one_of(REGRESSOR_METRICS)],
        "quantiles": ["array-like", None],
    }
    _defaults = "mish", 0.15
    _plain_every = 4

    def __init__(
        self,
        preset: str = "default",
        metric: str = "rmse",
        n_estimators: int | None = None,
        hidden_layer_sizes: ArrayLike = (128, 128, 128),
        activation: str | Activation | None = None,
        n_bins: int | None = 16,
        dropout: float = 0.0,
        solver: str | Optimizer | Kernel | None = None,
        learning_rate: str | Schedule | Kernel | None = None,
        learning_rate_init: float | None = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        categorical_features: ArrayLike | None = "from_dtype",
        validation_fraction: float | Splitter = 0.2,
        quantiles: ArrayLike | None = None,
        max_time: float | None = None,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.preset = preset
        self.metric = metric
        self.n_estimators = n_estimators
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_bins = n_bins
        self.dropout = dropout
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.categorical_features = categorical_features
        self.validation_fraction = validation_fraction
        self.quantiles = quantiles
        self.max_time = max_time
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _checked_targets(self, y):
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def partial_fit(self, X, y, sample_weight=None):
        """Go on training: an epoch for all nets on these samples, at 0.03 of the highest rate.

        Scales and levels stay as they are, that of y and its range too. The first call, without a `fit` before, is one.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : TabularMLPRegressor

        Raises
        ------
        ValueError
            As :meth:`fit`. The estimator stays as it was.
        """
        if not hasattr(self, "members_"):
            return self.fit(X, y, sample_weight)
        self._check_quantiles()
        return self._unchanged_on_error(self._fit_further, TrainingData(X, y, sample_weight))

    def _targets_of(self, y, classes):
        return NumberTargets.from_y(y, LOSSES.resolve("squared_error"))

    def _metric(self):
        return REGRESSOR_METRICS[self.metric]

    def _output(self):
        return ACTIVATIONS.resolve("identity")

    def _fit(self, *arguments):
        super()._fit(*arguments)
        self._fitted_quantiles = self._quantile_list()
        return self

    def _quantile_list(self):
        return None if self.quantiles is None else np.ravel(self.quantiles).tolist()

    def _check_quantiles(self):
        if self._quantile_list() != self._fitted_quantiles:
            raise ValueError(f"quantiles={self.quantiles!r} was set after fit, which has to be called again for it.")
        if self.quantiles is not None and not self.quantile_members_:
            raise ValueError("fit was interrupted before a network for `quantiles` was trained; call it again.")

    def _goals(self):
        goals = super()._goals()
        if self.quantiles is not None:
            loss = Quantile(self._quantile_list())
            loss.validate()
            goals["quantile_members_"] = goals["members_"]._replace(loss=loss, metric=pinball(loss))
        return goals

    def _smoothing(self):
        return 0.0

    def _numbers(self, y):
        return y.reshape(len(y), -1)

    def _scaled(self, Y, weight, training):
        if training:
            share = np.full(len(Y), 1 / len(Y)) if weight is None else weight / weight.sum()
            # sizes near 1, for squares may overflow
            largest = np.maximum(abs(Y).max(axis=0), 1e-300)
            self._mean = share @ Y
            spread = np.sqrt(share @ (Y / largest - self._mean / largest) ** 2) * largest
            self._scale = np.where(spread > 0, spread, 1.0)
            self._range = Y.min(axis=0), Y.max(axis=0)
        elif Y.shape[1] != len(self._scale):
            raise ValueError(f"y has {Y.shape[1]} outputs, the estimator was fitted with {len(self._scale)}.")
        return np.ascontiguousarray((Y / self._scale - self._mean / self._scale).astype(np.float32))

    def _strata(self, Y):
        return None

    def _weigh(self, y, weight, training):
        return weight

    def predict(self, X):
        """Predictions, averaged over the members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._in_batches(X, self._predicted)
        return self._targets.one(y)

    def _predicted(self, Z):
        """What is predicted of the encoded table, as numbers."""
        mean = np.mean([score.astype(np.float64) for score in self._scores(Z)], axis=0)
        return np.clip(mean * self._scale + self._mean, *self._range)

    @available_if(lambda self: self.quantiles is not None)
    def predict_quantiles(self, X):
        """The `quantiles`, averaged over their members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            They do not cross.
        """
        check_is_fitted(self)
        self._check_quantiles()
        value = self._in_batches(X, self._predicted_quantiles)
        return value[:, 0] if self._targets.single else value

    def _predicted_quantiles(self, Z):
        loss, scores = Quantile(self._quantile_list()), self._scores(Z, "quantile_members_")
        mean = np.mean([loss.narrow(score.astype(np.float64)) for score in scores], axis=0)
        scale, center, (low, high) = self._scale[:, None], self._mean[:, None], self._range
        return np.clip(mean * scale + center, low[:, None], high[:, None])
