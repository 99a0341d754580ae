"""The regressor."""

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d, validate_data

from sknn_iitb._engine.targets import NumberTargets
from sknn_iitb._engine.validation import Given
from sknn_iitb.losses import LOSSES, Gaussian
from sknn_iitb.mlp._base import BaseMLP, is_first_order
from sknn_iitb.mlp._docstrings import documented
from sknn_iitb.mlp._parameters import ParametersMixin

__all__ = ["MLPRegressor"]


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
        **ParametersMixin._parameter_constraints,
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
        self.loss = loss
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
        self.output_activation = output_activation
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, groups=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 are kept unless `dtype` says otherwise. Whole numbers are converted a batch at a time.
            Sparse X is used as CSR, and never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
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
        self : MLPRegressor

        Raises
        ------
        ValueError
            If parameters or data are not legal, or training diverges. The estimator is then as it was before.
        """
        return self._fit(X, y, sample_weight, Given(X_val, y_val, sample_weight_val, groups))

    @available_if(is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train for one epoch, going on where the last call stopped.

        With `early_stopping`, which needs `X_val`, the net is the best so far after each call, and a call does nothing
        once training has stopped: k calls on the same data are a fit with ``max_iter=k``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Samples to validate on; without `early_stopping` they are scored after each epoch and nothing else.
        y_val : array-like, default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Their weights >= 0 in score and loss.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, Given(X_val, y_val, sample_weight_val), incremental=True)

    def _validate(self, X, y, reset):
        checks = {"multi_output": True, "y_numeric": True, "accept_sparse": "csr", "order": "C", "reset": reset}
        X, y = validate_data(self, X, y, dtype=self._input_types(reset), **checks)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _find_targets(self, y, loss, continues, incremental, classes):
        return NumberTargets.from_y(y, loss)

    def _default_loss(self, output):
        raise AssertionError("a regressor's loss has no 'auto'")

    def _legal_outputs(self, loss):
        return loss.regressor_outputs

    def predict(self, X, return_std=False):
        """Predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations as well, which ``loss="gaussian"`` learns.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With several quantiles these are the last axis.
        std : ndarray of the same shape
            Only with `return_std`.

        Raises
        ------
        ValueError
            If the loss learns no deviations.
        """
        value = self._outputs(X, activate_output=True)
        if not return_std:
            return self._targets.decode(value)
        if not isinstance(self._loss, Gaussian):
            raise ValueError(f"return_std=True needs loss='gaussian', this net has loss={self.loss!r}.")
        return self._targets.decode(value), self._targets.one(self._loss.deviation(value))

    def score(self, X, y, sample_weight=None):
        """The coefficient of determination R2; of quantiles the D2 pinball score, of several of them the mean.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        prediction = self.predict(X)
        return self._loss.quality(y, prediction, sample_weight)
