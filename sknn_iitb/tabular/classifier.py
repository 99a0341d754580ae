"""The classifier for raw tables."""

from collections.abc import Sequence
from numbers import Real
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets

from sknn_iitb._engine.class_weights import label_weights, weigh
from sknn_iitb._engine.samples import TrainingData
from sknn_iitb._engine.targets import ClassTargets, checked_labels
from sknn_iitb._registry import one_of
from sknn_iitb._suggestions import names_checked
from sknn_iitb._typing import Array, ClassWeight, MatrixLike, RandomState, Splitter
from sknn_iitb.activations import ACTIVATIONS, Activation
from sknn_iitb.mlp._callbacks import with_callbacks
from sknn_iitb.optimizers import Optimizer
from sknn_iitb.schedules import Schedule
from sknn_iitb.tabular._base import PRESETS, BaseTabularMLP
from sknn_iitb.tabular._columns import as_numpy
from sknn_iitb.tabular._metrics import CLASSIFIER_METRICS
from sknn_iitb.tabular._race import Favourites
from sknn_iitb.tabular.views import View

__all__ = ["TabularMLPClassifier"]


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Ensemble of neural networks for the classification of raw tables.

    Categories, missing values and numbers of any scale are encoded by :class:`TableEncoder`. Each member trains on a
    different subset of the samples, finds its best epoch with the held-out rest, and from there trains on all samples
    for a few more epochs. Its probabilities are calibrated on the held-out samples by the temperature of the lowest log
    loss [2]_, whatever the `metric`. Predicted probabilities are averaged over the members, and calibrated once more.

    If `views` is None and it improves the predictions of held-out samples, a logistic regression joins the members.

    The members are trained with the RealMLP-TD-S recipe [1]_: a learned scaling factor for each column, separate
    learning rates for scaling factors, weights and biases, Adam with a small `beta_2`, a cyclic learning rate and label
    smoothing.

    Parameters
    ----------
    preset : {'fast', 'default', 'best', 'tuned'}, default='default'
        Number of members and epochs: 'fast' trains fastest, and 'best' has the most members. 'tuned' searches for views
        and parameters, and selects the members from all networks of the search.

    metric : {'accuracy', 'balanced_accuracy', 'log_loss', 'roc_auc'}, default='accuracy'
        Score that determines the best epoch. With 'log_loss', labels are not smoothed.

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
        'selu'.

    views : list of str or View, or None, default=None
        How the members see numbers: 'bins', 'smooth', 'wide', 'spline', 'discrete' or any :class:`View`, used in turn.
        None uses 'smooth' for the first member, and chooses the views of the others by the log loss of their average
        on held-out samples, after a fifth of the epochs [3]_. Up to two members have 'bins' and 'smooth'.

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
        Maximum learning rate, which the schedule scales. None uses 0.04.

    max_iter : int or None, default=None
        Maximum number of epochs of each member. None uses the number of the preset, multiplied by
        sqrt(4,000 / n_samples) if there are more than 4,000 samples. The last 24th also uses the held-out samples. With
        the default learning rates, a member whose best epoch is among the first fifth stops after 7/15 of the epochs.

    batch_size : int or None, default=None
        Number of samples per update. None uses 256.

    label_smoothing : float in [0, 1) or 'auto', default='auto'
        Fraction of the target probability that is spread evenly over all classes. 'auto' uses 0.1, or 0 if `metric` is
        'log_loss'.

    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        Columns to treat as categorical, as in :class:`TableEncoder`.

    validation_fraction : float in (0, 1) or CV splitter, default=0.2
        Fraction of the samples that each member holds out to select its best epoch. If ``1 / validation_fraction`` is
        an integer, the held-out samples are the folds of a cross-validation; otherwise each member has a random
        split of that size. Splits are stratified by class, and keep the `groups` passed to `fit` together.
        With a splitter, the members use its splits in turn.

    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes in the loss, multiplied by `sample_weight`. 'balanced' gives every class the same total
        weight.

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
    classes_ : ndarray of shape (n_classes,)
        Class labels. For multilabel y, the column numbers.

    encoder_ : TableEncoder
        Fitted encoder of the table.

    members_ : list
        Trained members. The last may be a linear model.

    loss_curves_, validation_curves_ : list of list of float
        For each member, the training loss of each epoch and the error on its held-out samples after it: the log loss
        if that is the `metric`, otherwise one minus the `metric`. The last epochs and `partial_fit` have losses only.

    views_ : dict of str to float
        Share of each view in the weights of the members, and of 'linear', the linear model, if it has one.

    view_errors_ : dict of str to float
        Log loss of each view on held-out samples after a fifth of the epochs, or of its best trial for 'tuned'. Empty
        if the views were not compared.

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
    TabularMLPRegressor : The same ensemble for regression.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
       Tabular Data", arXiv:2407.04491, 2024.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    .. [3] R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble Selection from Libraries of Models", ICML
       2004.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb.tabular import TabularMLPClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> TabularMLPClassifier(preset="fast", random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    classes_: Array

    _parameter_constraints: dict = {
        **BaseTabularMLP._parameter_constraints,
        "metric": [one_of(CLASSIFIER_METRICS)],
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _defaults = "selu", 0.04
    _batch_sizes = {0: 256}  # for more samples than these
    _presets = PRESETS
    # a smooth first member is better than one chosen freely, on average over twelve tables
    _favourites = Favourites(few=("bins", "smooth"), first=("smooth",))

    @names_checked
    def __init__(
        self,
        preset: str = "default",
        metric: str = "accuracy",
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
        self.label_smoothing = label_smoothing
        self.categorical_features = categorical_features
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.max_time = max_time
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _checked_targets(self, y):
        y = checked_labels(y, self)
        check_classification_targets(y)
        return y

    @with_callbacks
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train each member for one more epoch on these samples, at 0.03 times the maximum learning rate.

        Scales, categories and class weights stay the same. Without a previous fit, the call is equivalent to `fit`.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
            Raw table, with the columns passed to `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or a matrix of 0 and 1 with a column for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        classes : array-like of shape (n_classes,), default=None
            All classes that can occur in any call. Used in the first call, where None means the classes in y.

        Returns
        -------
        self : TabularMLPClassifier

        Raises
        ------
        ValueError
            As in :meth:`fit`, and if y contains a new class. The estimator is then unchanged.
        """
        if not hasattr(self, "members_"):
            return self._unchanged_on_error(self._fit, TrainingData(X, y, sample_weight), as_numpy(classes))
        if classes is not None and not self._targets.is_same(classes):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return self._unchanged_on_error(self._fit_further, TrainingData(X, y, sample_weight))

    def _labels(self, y):
        return np.unique(y) if y.ndim == 1 else None

    def _targets_of(self, y, classes):
        targets = ClassTargets.from_y(y, classes)
        if not isinstance(targets, ClassTargets):
            raise ValueError(
                "y with several columns must contain only 0 and 1, for multilabel classification. Otherwise fit one "
                "estimator per column."
            )
        if len(targets.classes) < 2 and not targets.multilabel:
            raise ValueError(f"y contains only one class, {targets.classes.tolist()[0]!r}. At least 2 are required.")
        self.classes_ = targets.classes
        return targets

    def _metric(self):
        return CLASSIFIER_METRICS[self.metric]

    def _output(self):
        return ACTIVATIONS.resolve("logistic" if self._targets.multilabel else "softmax")

    def _smoothing(self):
        return self._metric().label_smoothing if self.label_smoothing == "auto" else self.label_smoothing

    def _encoded_targets(self, y):
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
        elif not hasattr(self, "_label_weights"):
            raise ValueError(f"class_weight={self.class_weight!r} was set after fit. Call fit again to use it.")
        return weigh(self._targets, y, self._label_weights, weight)

    def predict_proba(self, X: MatrixLike) -> Array:
        """Predict class probabilities, averaged over the members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of float32 of shape (n_samples, n_classes)
            Rows sum to 1, except for multilabel y, where each label has an independent probability.
        """
        return self._in_batches(X, self._predicted).astype(np.float32, copy=False)

    def predict_log_proba(self, X: MatrixLike) -> Array:
        """Predict the logarithms of the class probabilities, which stay finite if a probability rounds to 0.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of float32 of shape (n_samples, n_classes)
        """
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float32).tiny))

    def _predicted(self, Z, row_by_row=False):
        """Mean probabilities for an encoded table."""
        return self._targets.probabilities(self._mean_score(Z, row_by_row), self._output().names[0])

    def predict(self, X: MatrixLike) -> Array:
        """Predict class labels.

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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
