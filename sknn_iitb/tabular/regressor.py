"""The regressor for raw tables."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._engine.targets import NumberTargets
from sknn_iitb._engine.times import refuse_times
from sknn_iitb._registry import one_of
from sknn_iitb._suggestions import names_checked
from sknn_iitb._typing import Array, MatrixLike, RandomState, Splitter
from sknn_iitb.activations import ACTIVATIONS, Activation
from sknn_iitb.losses import LOSSES, Quantile
from sknn_iitb.optimizers import Optimizer
from sknn_iitb.schedules import Schedule
from sknn_iitb.tabular._base import PRESETS, BaseTabularMLP
from sknn_iitb.tabular._metrics import REGRESSOR_METRICS, pinball
from sknn_iitb.tabular._race import Favourites
from sknn_iitb.tabular.views import View

__all__ = ["TabularMLPRegressor"]


def _has_quantiles(estimator):
    if estimator.quantiles is None:
        raise AttributeError(
            f"{type(estimator).__name__} predicts quantiles only if they are chosen before fit. Set, for example, "
            "quantiles=[0.1, 0.5, 0.9]."
        )
    return True


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Ensemble of neural networks for regression on raw tables.

    Categories, missing values and numbers of any scale are encoded by :class:`TableEncoder`. Each member trains on a
    different subset of the samples, finds its best epoch with the held-out rest, and from there trains on all samples
    for a few more epochs. Predictions are averaged over the members. They stay within the range of y in the training
    data, which may have any scale.

    If `views` is None and it improves the predictions of held-out samples, a ridge regression joins the members.

    The members are trained with the RealMLP-TD-S recipe [1]_: a learned scaling factor for each column, separate
    learning rates for scaling factors, weights and biases, Adam with a small `beta_2`, and a cyclic learning rate.

    Parameters
    ----------
    preset : {'fast', 'default', 'best', 'tuned'}, default='default'
        Number of members and epochs: 'fast' trains fastest, and 'best' has the most members. 'tuned' searches for views
        and parameters, and selects the members from all networks of the search.

    metric : {'rmse', 'mae'}, default='rmse'
        Error that training minimizes and that determines the best epoch.

    n_estimators : int or None, default=None
        Number of members, at most 10,000, or of splits that 'tuned' trains each finalist on. None uses the number of
        the preset.

    n_trials : int, default=50
        Number of configurations that the preset 'tuned' tries, at most 10,000. Parameters that differ from their
        defaults are kept.

    hidden_layer_sizes : array-like of int, default=(128, 128, 128)
        Number of neurons in each hidden layer.

    activation : str, Activation or None, default=None
        Activation function of the hidden layers: a name, or an object of :mod:`sknn_iitb.activations`. None uses
        'mish'.

    views : list of str or View, or None, default=None
        How the members see numbers: 'bins', 'smooth', 'wide', 'spline', 'discrete' or any :class:`View`, used in turn.
        None chooses the views by the `metric` of the average on held-out samples, after a fifth of the epochs [2]_; up
        to three members have 'bins', 'wide' and 'spline'.

    n_bins : int or None, default=16
        Maximum number of bins per numeric column, at most 1024, for members whose view has
        :class:`PiecewiseLinearEncoder` features. None disables the bins.

    dropout : float in [0, 1), default=0.0
        Fraction of the neurons of each hidden layer that is dropped at random in each training step.

    solver : str, Optimizer or None, default=None
        First-order optimizer: a name, or an object of :mod:`sknn_iitb.optimizers`. None uses ``Adam(beta_2=0.95)``.

    learning_rate : str, Schedule or None, default=None
        Learning rate schedule: a name, or an object of :mod:`sknn_iitb.schedules`. None uses 'coslog'.

    learning_rate_init : float or None, default=None
        Maximum learning rate, which the schedule scales. None uses 0.15.

    max_iter : int or None, default=None
        Maximum number of epochs of each member. None uses the number of the preset, multiplied by
        sqrt(4,000 / n_samples) if there are more than 4,000 samples. The last 24th also uses the held-out samples. With
        the default learning rates, a member whose best epoch is among the first fifth stops after 7/15 of the epochs.

    batch_size : int or None, default=None
        Number of samples per update. None uses 256, or 512 if there are more than 50,000 samples.

    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        Columns to treat as categorical, as in :class:`TableEncoder`.

    validation_fraction : float in (0, 1) or CV splitter, default=0.2
        Fraction of the samples that each member holds out to select its best epoch. If ``1 / validation_fraction`` is
        an integer, the held-out samples are the folds of a cross-validation; otherwise each member has a random
        split of that size. Splits keep the `groups` passed to `fit` together.
        With a splitter, the members use its splits in turn.

    quantiles : array-like of float or None, default=None
        Increasing quantiles for `predict_quantiles`, such as ``[0.1, 0.5, 0.9]``. They are predicted by a second
        ensemble.

    max_time : float or None, default=None
        Time limit of `fit` in seconds. When it is reached, training stops and the best weights so far are kept.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the validation splits and the order of the samples. Pass an int for reproducible
        results.

    n_jobs : int or None, default=None
        Number of members to train in parallel, in threads, and number of threads for predicting more than 256 rows.
        None means 1 for training, and for prediction the number of BLAS threads, or 1 in a worker of joblib and in a
        thread that the caller has started.

    verbose : bool or int, default=0
        If True or 1, show progress as a live line in a terminal or a notebook, and as one line per epoch elsewhere. If
        greater than 1, always print one line per epoch.

    Attributes
    ----------
    encoder_ : TableEncoder
        Fitted encoder of the table.

    members_ : list
        Trained members. The last may be a linear model.

    quantile_members_ : list
        Trained members for `quantiles`. Only defined if `quantiles` is set.

    loss_curves_, validation_curves_ : list of list of float
        For each member, the training loss of each epoch and the `metric` on its held-out samples after it, in standard
        deviations of y. The last epochs and `partial_fit` have losses only.

    views_ : dict of str to float
        Share of each view in the weights of the members, and of 'linear', the linear model, if it has one.

    view_errors_ : dict of str to float
        Error, in standard deviations of y, of each view on held-out samples after a fifth of the epochs, or of its best
        trial for 'tuned'. Empty if the views were not compared.

    trials_ : dict of ndarray
        What the preset 'tuned' has tried: for each trial its view, its parameters, its number of epochs on the first
        split, its error as in `view_errors_`, and its weight in the ensemble. Only defined for that preset.

    n_iter_ : int
        Maximum number of epochs over the members.

    batch_size_ : int
        Number of samples per update in `fit`.

    n_features_in_ : int
        Number of columns of the table.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Only defined if X has column names that are all strings.

    See Also
    --------
    TabularMLPClassifier : The same ensemble for classification.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
       Tabular Data", arXiv:2407.04491, 2024.
    .. [2] R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble Selection from Libraries of Models", ICML
       2004.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknn_iitb.tabular import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> TabularMLPRegressor(preset="fast", random_state=0).fit(X, y).score(X, y) > 0.4
    True
    """

    quantile_members_: list[Any]

    _parameter_constraints: dict = {
        **BaseTabularMLP._parameter_constraints,
        "metric": [one_of(REGRESSOR_METRICS)],
        "quantiles": ["array-like", None],
    }
    _defaults = "mish", 0.15
    # For more samples than these. In a network with many knots, an update takes as long as the gradient of 256 samples.
    # (The RMSE of 40,000 to 250,000 samples of four tables was up to 3 % lower with 512, and once 1 % higher. For
    # classification, larger batches gained nothing.)
    _batch_sizes = {0: 256, 50_000: 512}
    # More members of fewer epochs are as fast; on 13 tables "fast" is 4 % better, and "default" 1.5 %. Not so for
    # classification, where letter needs all epochs.
    _presets = PRESETS | {
        "fast": {"n_estimators": 3, "max_iter": 21},
        "default": {"n_estimators": 8, "max_iter": 64},
        "best": {"n_estimators": 20, "max_iter": 64},
    }
    _favourites = Favourites(few=("bins", "wide", "spline"))

    @names_checked
    def __init__(
        self,
        preset: str = "default",
        metric: str = "rmse",
        *,
        n_estimators: int | None = None,
        n_trials: int = 50,
        hidden_layer_sizes: ArrayLike = (128, 128, 128),
        activation: str | Activation | None = None,
        views: Sequence[str | View] | None = None,
        n_bins: int | None = 16,
        dropout: float = 0.0,
        solver: str | Optimizer | None = None,
        learning_rate: str | Schedule | None = None,
        learning_rate_init: float | None = None,
        max_iter: int | None = None,
        batch_size: int | None = None,
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
        self.n_trials = n_trials
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.views = views
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
        refuse_times(y, "y")
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def partial_fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train each member for one more epoch on these samples, at 0.03 times the maximum learning rate.

        The scales and categories of X and the scale and range of y stay the same. Without a previous fit, the call is
        equivalent to `fit`.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
            Raw table, with the columns passed to `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : TabularMLPRegressor

        Raises
        ------
        ValueError
            As in :meth:`fit`. The estimator is then unchanged.
        """
        if not hasattr(self, "members_"):
            return self.fit(X, y, sample_weight)
        self._check_quantiles()
        return self._unchanged_on_error(self._fit_further, TrainingData(X, y, sample_weight))

    def _labels(self, y):
        return None

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
        with naming("quantiles"):
            return None if self.quantiles is None else np.ravel(self.quantiles).tolist()

    def _check_quantiles(self):
        if self._quantile_list() != self._fitted_quantiles:
            raise ValueError(f"quantiles={self.quantiles!r} was set after fit. Call fit again to use it.")
        if self.quantiles is not None and not self.quantile_members_:
            raise ValueError("fit was interrupted before a member for `quantiles` was trained. Call fit again.")

    def _goals(self):
        goals = super()._goals()
        if self.quantiles is not None:
            with naming("quantiles"):
                loss = Quantile(self._quantile_list())
                loss.validate()
            # a network knows less about new samples than about those it has learned, and intervals would be too narrow
            changes = {"loss": loss, "metric": pinball(loss), "uses_held_out": False}
            goals["quantile_members_"] = goals["members_"]._replace(**changes)
        return goals

    def _smoothing(self):
        return 0.0

    def _encoded_targets(self, y):
        return y.reshape(len(y), -1)

    def _scaled(self, Y, weight, training):
        if training:
            share = np.full(len(Y), 1 / len(Y)) if weight is None else weight / weight.sum()
            # divided by the largest value, because squares may overflow
            largest = np.maximum(abs(Y).max(axis=0), 1e-300)
            self._mean = share @ Y
            spread = np.sqrt(share @ (Y / largest - self._mean / largest) ** 2) * largest
            self._scale = np.where(spread > 0, spread, 1.0)
            self._range = Y.min(axis=0), Y.max(axis=0)
        elif Y.shape[1] != len(self._scale):
            found, fitted = Y.shape[1], len(self._scale)
            raise ValueError(f"y has {found} column{'s' * (found > 1)}, but the estimator was fitted with {fitted}.")
        return np.ascontiguousarray((Y / self._scale - self._mean / self._scale).astype(np.float32))

    def _strata(self, Y):
        return None

    def _weigh(self, y, weight, training):
        return weight

    def predict(self, X: MatrixLike) -> Array:
        """Predict target values, averaged over the members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._in_batches(X, self._predicted)
        return self._targets.one(y)

    def _predicted(self, Z, row_by_row=False):
        """Mean predictions for an encoded table."""
        mean = self._mean_score(Z, row_by_row).astype(np.float64)
        return np.clip(mean * self._scale + self._mean, *self._range)

    @available_if(_has_quantiles)
    def predict_quantiles(self, X: MatrixLike) -> Array:
        """Predict the `quantiles`, averaged over their members. Not available if `quantiles` is None.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            Quantiles in the order of `quantiles`. They do not cross.

        Raises
        ------
        ValueError
            If X cannot be used, or if `quantiles` was changed after `fit`.
        """
        check_is_fitted(self)
        self._check_quantiles()
        value = self._in_batches(X, self._predicted_quantiles)
        return value[:, 0] if self._targets.single else value

    def _predicted_quantiles(self, Z, row_by_row):
        score = self._mean_score(Z, row_by_row, "quantile_members_")
        mean = Quantile(self._quantile_list()).narrow(score.astype(np.float64))
        scale, center, (low, high) = self._scale[:, None], self._mean[:, None], self._range
        return np.clip(mean * scale + center, low[:, None], high[:, None])
