"""The classifier for tables as they come."""

from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._engine.targets import ClassTargets, label_weights, weigh
from sknn_iitb._registry import Kernel, one_of
from sknn_iitb._typing import ClassWeight, RandomState, Splitter
from sknn_iitb.activations import ACTIVATIONS, Activation
from sknn_iitb.optimizers import Optimizer
from sknn_iitb.schedules import Schedule
from sknn_iitb.tabular._base import BaseTabularMLP
from sknn_iitb.tabular._columns import as_numpy
from sknn_iitb.tabular._metrics import CLASSIFIER_METRICS

__all__ = ["TabularMLPClassifier"]


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """A few small nets for a table as it comes, averaged: a classifier that needs no preprocessing.

    Categories, missing values and numbers of any scale go in as they are (:class:`TableEncoder`). Each member learns
    from another part of the samples and is kept as in its best epoch on the rest. The recipe is that of
    arXiv:2407.04491 in its simpler form: a factor for each column, layers with rates of their own, adam with a short
    memory, a rate in cycles, labels made less certain.

    Parameters
    ----------
    preset : {"fast", "default", "best"}, default="default"
        How many nets, and how long they learn.
    metric : {"accuracy", "balanced_accuracy", "log_loss", "roc_auc"}, default="accuracy"
        What the best epoch is best at. For "log_loss" probabilities are calibrated, and labels are not smoothed.
    n_estimators : int, default=None
        Nets; None for the preset's.
    hidden_layer_sizes : array-like of int, default=(128, 128, 128)
    activation : str or Activation, default=None
        None for "selu".
    n_bins : int, default=16
        Pieces that every second net sees of each column of numbers, besides the number, at most 1024; None for no
        pieces.
    dropout : float, default=0.0
        The share of the neurons that is left out in training.
    solver : str or Optimizer, default=None
        Any first-order one; None for ``Adam(beta_2=0.95)``.
    learning_rate : str or Schedule, default=None
        None for "coslog".
    learning_rate_init : float, default=None
        The highest rate; None for 0.04.
    max_iter : int, default=None
        Epochs; None for the preset's, times the root of 4,000 / n_samples if there are more.
    batch_size : int, default=256
    label_smoothing : float or "auto", default="auto"
        The certainty that labels lack; "auto" leaves it to the metric.
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Which columns are categories: see :class:`TableEncoder`.
    validation_fraction : float or CV splitter, default=0.2
        Share of the samples that each member holds out to choose its best epoch. If ``1 / validation_fraction`` is a
        whole number, the held-out samples are the folds of a cross-validation; otherwise each member has a random
        split of that size. Splits are stratified by class, and keep the `groups` passed to `fit` together.
    class_weight : dict, "balanced" or None, default=None
    max_time : float, default=None
        Seconds, after which the best so far is returned.
    random_state : int, RandomState or None, default=None
    n_jobs : int, default=None
        Nets that are trained, and that predict, at a time, in threads.
    verbose : int, default=0
        1 keeps one line up to date; 2 prints a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray
    encoder_ : TableEncoder
    members_ : list
        The nets.
    n_iter_ : int
        Epochs of the longest training.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb.tabular import TabularMLPClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> TabularMLPClassifier(preset="fast", random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        **BaseTabularMLP._parameter_constraints,
        "metric": [one_of(CLASSIFIER_METRICS)],
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _defaults = "selu", 0.04
    _plain_every = 2

    def __init__(
        self,
        preset: str = "default",
        metric: str = "accuracy",
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
        label_smoothing: float | Literal["auto"] = "auto",
        categorical_features: ArrayLike | None = "from_dtype",
        validation_fraction: float | Splitter = 0.2,
        class_weight: ClassWeight = None,
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
        self.label_smoothing = label_smoothing
        self.categorical_features = categorical_features
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.max_time = max_time
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _checked_targets(self, y):
        y = check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y", estimator=self)
        check_classification_targets(y)
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Go on training: an epoch for all nets on these samples, at 0.03 of the highest rate.

        Scales, levels and class weights stay as they are. The first call, without a `fit` before, is one.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come, for the first call; None for those in y.

        Returns
        -------
        self : TabularMLPClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`, and for a class that is new. The estimator stays as it was.
        """
        if not hasattr(self, "members_"):
            return self._unchanged_on_error(self._fit, TrainingData(X, y, sample_weight), as_numpy(classes))
        if classes is not None and not self._targets.is_same(classes):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return self._unchanged_on_error(self._fit_further, TrainingData(X, y, sample_weight))

    def _targets_of(self, y, classes):
        targets = ClassTargets.from_y(y, classes)
        if not isinstance(targets, ClassTargets):
            raise ValueError("y with several columns must have 0 and 1 only, for labels; fit one net for each column.")
        if len(targets.classes) < 2 and not targets.multilabel:
            raise ValueError(f"y has one class only, {targets.classes.tolist()[0]!r}; a classifier needs two at least.")
        self.classes_ = targets.classes
        return targets

    def _metric(self):
        return CLASSIFIER_METRICS[self.metric]

    def _output(self):
        return ACTIVATIONS.resolve("logistic" if self._targets.multilabel else "softmax")

    def _smoothing(self):
        return self._metric().label_smoothing if self.label_smoothing == "auto" else self.label_smoothing

    def _numbers(self, y):
        return self._targets.encode(y, self._output().names[0], np.float32)

    def _scaled(self, Y, weight, training):
        return Y

    def _strata(self, Y):
        return None if self._targets.multilabel else Y.argmax(axis=1)

    def _weigh(self, y, weight, training):
        if self.class_weight is None:
            return weight
        if training:
            self._label_weights = label_weights(self._targets, y, self.class_weight, weight)
        return weigh(self._targets, y, self._label_weights, weight)

    def predict_proba(self, X):
        """Probabilities of the classes, averaged over the members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of float32, shape (n_samples, n_classes)
            Rows sum to 1, except for multilabel y.
        """
        return self._in_batches(X, self._predicted).astype(np.float32, copy=False)

    def _predicted(self, Z):
        """What is predicted of the encoded table, as numbers."""
        output = self._output().names[0]
        return np.mean([self._targets.probabilities(score, output) for score in self._scores(Z)], axis=0)

    def predict(self, X):
        """Class labels.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        probabilities = self.predict_proba(X)
        if self._targets.multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
