"""The classifier."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from sknn_iitb._engine.targets import ClassTargets, SeveralClassTargets, label_weights, weigh
from sknn_iitb._engine.validation import Given
from sknn_iitb._registry import one_of
from sknn_iitb.losses import LOSSES
from sknn_iitb.mlp._base import BaseMLP, is_first_order
from sknn_iitb.mlp._docstrings import documented
from sknn_iitb.mlp._parameters import ParametersMixin

__all__ = ["MLPClassifier"]


def _has_probabilities(classifier):
    output = classifier._settled_output()
    if output in ("identity", "step"):
        raise AttributeError(f"There are no probabilities with output activation {output!r}; use decision_function.")
    return True


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Feed-forward neural network for classification.

    {introduction}

    Parameters
    ----------
    {parameters}

    loss : 'auto', {losses}, Loss or callable, default='auto'
        What training minimises: a name, an object of :mod:`sknn_iitb.losses`, or a function ``f(value, target)`` of
        your own that returns loss and derivative. 'auto' is cross entropy, with output_activation 'tanh' or
        'identity' the squared error and with 'step' the perceptron's loss.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The class labels, of each column if y has several classes in several columns; for multilabel y the numbers of
        its columns.

    {attributes}

    See Also
    --------
    MLPRegressor : The same network for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> net = MLPClassifier(solver="rmsprop", learning_rate="cosine", max_iter=50, random_state=0)
    >>> scores = cross_val_score(make_pipeline(StandardScaler(), net), X, y)
    >>> bool(scores.mean() > 0.95)
    True
    """

    _parameter_constraints: dict = {
        **ParametersMixin._parameter_constraints,
        "loss": [one_of(["auto", *LOSSES.names(lambda c: c.classifier_outputs)]), LOSSES.base, callable],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="auto",
        output_activation="auto",
        class_weight=None,
        label_smoothing=0.0,
        dropout=0.0,
        batch_norm=False,
        l1=0.0,
        max_norm=None,
        clip_norm=None,
        clip_value=None,
        scoring=None,
        init="auto",
        dtype=None,
        n_threads=1,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.output_activation = output_activation
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l1 = l1
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.scoring = scoring
        self.init = init
        self.dtype = dtype
        self.n_threads = n_threads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, groups=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 are kept unless `dtype` says otherwise. Whole numbers are converted a batch at a time.
            Sparse X is used as CSR, and never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, in one or several columns, or a matrix of 0 and 1 with a column for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Samples to validate on; without `early_stopping` they are scored after each epoch and nothing else.
        y_val : array-like, default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Their weights >= 0 in score and loss.
        groups : array-like of shape (n_samples,), default=None
            For a splitter as `validation_fraction` that keeps groups together.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError
            If parameters or data are not legal, or training diverges. The estimator is then as it was before.
        """
        return self._fit(X, y, sample_weight, Given(X_val, y_val, sample_weight_val, groups))

    @available_if(is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train for one epoch, going on where the last call stopped.

        With `early_stopping`, which needs `X_val`, the net is the best so far after each call, and a call does nothing
        once training has stopped: k calls on the same data are a fit with ``max_iter=k``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,) or list of them, default=None
            All labels that will ever come, of each column of y if they are several; needed in the first call.
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Samples to validate on; without `early_stopping` they are scored after each epoch and nothing else.
        y_val : array-like, default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Their weights >= 0 in score and loss.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`, and for a label that was not announced.
        """
        given = Given(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given, incremental=True, classes=classes)

    def _validate(self, X, y, reset):
        types = self._input_types(reset)
        X, y = validate_data(self, X, y, multi_output=True, accept_sparse="csr", dtype=types, order="C", reset=reset)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _find_targets(self, y, loss, continues, incremental, classes):
        if not continues:
            if incremental and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            targets = ClassTargets.from_y(y, classes)
            self.classes_ = targets.classes
            return targets
        before, now = self._targets.n_columns, y.shape[1] if y.ndim == 2 else 1
        if before != now:
            raise ValueError(
                f"y must have {before} column{'s' * (before > 1)}, as when the net was fitted; it has {now}."
            )
        if classes is not None and not self._targets.is_same(classes):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        if not incremental and not self._targets.is_same(found := self._targets.new_classes(y)):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {found}"
            )
        return self._targets

    def _weigh(self, targets, y, sample_weight, incremental, training):
        if self.class_weight is None:
            return sample_weight
        if training:  # validation and loss_and_gradient use the same weights
            if incremental and self.class_weight == "balanced":
                raise ValueError(
                    "class_weight='balanced' is not for partial_fit, which does not see all samples; pass a dict, as "
                    "sklearn.utils.class_weight.compute_class_weight gives it."
                )
            self._label_weights = label_weights(targets, y, self.class_weight, sample_weight)
        return weigh(targets, y, self._label_weights, sample_weight)

    def _soften(self, targets, Y, loss, output):
        if self.label_smoothing == 0:
            return Y
        if not loss.soft_targets:
            names = ", ".join(map(repr, LOSSES.names(lambda c: c.soft_targets and c.classifier_outputs)))
            raise ValueError(
                f"label_smoothing={self.label_smoothing!r} is not legal with loss={self.loss!r}; legal are {names}."
            )
        return targets.smooth(Y, self.label_smoothing, output.names[0])

    def _default_loss(self, output):
        names = {"tanh": "squared_error", "identity": "squared_error", "step": "perceptron"}
        return LOSSES.resolve(names.get(output and output.names[0], "log_loss"))

    def _legal_outputs(self, loss):
        return loss.classifier_outputs

    def predict(self, X):
        """Class labels; a tie goes to the first class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        score = self._outputs(X, activate_output=False)
        return self._targets.decode(score)

    def score(self, X, y, sample_weight=None):
        """Accuracy: the share of samples whose label, or whose every label, is right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        if isinstance(self._targets, SeveralClassTargets):
            y, prediction = np.asarray(y), self.predict(X)
            if y.shape != prediction.shape:
                raise ValueError(f"y has the shape {y.shape}, predictions have {prediction.shape}.")
            right = np.all(y == prediction, axis=1)
            return float(np.average(right, weights=sample_weight))
        return super().score(X, y, sample_weight)

    def decision_function(self, X):
        """Raw scores: what the last layer computes before its activation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), or list of them
            For two classes one number, positive for ``classes_[1]``. A list has one for each column of y.
        """
        score = self._outputs(X, activate_output=False)
        return self._targets.decision(score)

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Probabilities of the classes, for the output activations softmax, logistic and tanh.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or list of them
            Rows sum to 1, except for multilabel y, where each label has a probability of its own. A list has one for
            each column of y, if they have several classes.
        """
        return self._probabilities(X, log=False)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
        """Logarithms of the probabilities, finite where the probability rounds to 0 too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or list of them
        """
        return self._probabilities(X, log=True)

    def _probabilities(self, X, log):
        score = self._outputs(X, activate_output=False)
        return self._targets.probabilities(score, self._network.output.names[0], log)
