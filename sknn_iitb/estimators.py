"""The scikit-learn estimators."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import column_or_1d, validate_data

from sknn_iitb._base import BaseMLP
from sknn_iitb._docstrings import documented
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import LBFGS
from sknn_iitb.targets import ClassTargets, NumberTargets

__all__ = ["MLPClassifier", "MLPRegressor"]


def _assign(estimator, arguments):
    """Store the arguments of __init__ unchanged, as scikit-learn's get_params expects."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def _is_first_order(estimator):
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


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
    classes_ : ndarray of shape (n_classes,)
        The class labels; for multilabel y the numbers of its columns.

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
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"auto", *LOSSES.names(lambda c: c.classifier_outputs)}), LOSSES.base, callable],
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
        init="auto",
        dtype=None,
    ):
        _assign(self, locals())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 and float64 are kept unless `dtype` says otherwise; other numbers become float64.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or a matrix of 0 and 1 with a column for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError
            If parameters or data are not legal, or training diverges. The estimator is then as it was before.
        """
        return self._fit(X, y, sample_weight)

    @available_if(_is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch, going on where the last call stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`, and for a label that was not announced.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _validate(self, X, y, reset):
        X, y = validate_data(self, X, y, multi_output=True, dtype=self._dtypes(reset), order="C", reset=reset)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _find_targets(self, y, continues, incremental, classes):
        if not continues:
            if incremental and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            targets = ClassTargets.from_y(y, classes)
            self.classes_ = targets.classes
            return targets
        if classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        found = ClassTargets.from_y(y).classes
        if not incremental and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {found}"
            )
        return self._targets

    def _default_loss(self, output):
        names = {"tanh": "squared_error", "identity": "squared_error", "step": "perceptron"}
        return LOSSES.resolve(names.get(output and output.names[0], "log_loss"))

    def _legal_outputs(self, loss):
        return loss.classifier_outputs

    def predict(self, X):
        """Class labels; a tie goes to the first class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        score = self._outputs(X, activate_output=False)
        return self._targets.decode(score)

    def decision_function(self, X):
        """Raw scores: what the last layer computes before its activation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one number, positive for ``classes_[1]``.
        """
        score = self._outputs(X, activate_output=False)
        return self._targets.decision(score)

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Probabilities of the classes, for the output activations softmax, logistic and tanh.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to 1, except for multilabel y, where each label has a probability of its own.
        """
        return self._probabilities(X, log=False)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
        """Logarithms of the probabilities, finite where the probability rounds to 0 too.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._probabilities(X, log=True)

    def _probabilities(self, X, log):
        score = self._outputs(X, activate_output=False)
        return self._targets.probabilities(score, self._network.output.names[0], log)


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Feed-forward neural network for regression.

    {introduction}

    Parameters
    ----------
    loss : {losses}, Loss or callable, default='squared_error'
        What training minimises: a name, an object of :mod:`sknn_iitb.losses`, or a function
        ``f(value, target)`` of your own that returns loss and derivative. The squared error is halved; squared_error,
        absolute_error, huber, quantile and log_cosh report their mean over the outputs, and step against the gradient
        of the sum.

    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : The same network for labels.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = make_pipeline(StandardScaler(), MLPRegressor(loss="huber", early_stopping=True, random_state=0))
    >>> model = TransformedTargetRegressor(net, transformer=StandardScaler())
    >>> scores = cross_val_score(model, X, y)
    >>> bool(scores.mean() > 0.4)
    True
    """

    _parameter_constraints: dict = {
        **BaseMLP._parameter_constraints,
        "loss": LOSSES.constraint(lambda c: c.regressor_outputs),
    }

    def __init__(
        self,
        loss="squared_error",
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
        output_activation="auto",
        init="auto",
        dtype=None,
    ):
        _assign(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 and float64 are kept unless `dtype` says otherwise; other numbers become float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            If parameters or data are not legal, or training diverges. The estimator is then as it was before.
        """
        return self._fit(X, y, sample_weight)

    @available_if(_is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch, going on where the last call stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _validate(self, X, y, reset):
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=self._dtypes(reset), order="C", reset=reset
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _find_targets(self, y, continues, incremental, classes):
        return NumberTargets.from_y(y)

    def _default_loss(self, output):
        raise AssertionError("a regressor's loss has no 'auto'")

    def _legal_outputs(self, loss):
        return loss.regressor_outputs

    def predict(self, X):
        """Predicted numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        value = self._outputs(X, activate_output=True)
        return self._targets.decode(value)
