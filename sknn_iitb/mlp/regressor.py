"""The regressor."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from sknn_iitb._engine.samples import TrainingData, ValidationData
from sknn_iitb._engine.targets import NumberTargets
from sknn_iitb._engine.times import refuse_times
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._registry import Kernel
from sknn_iitb._suggestions import names_checked
from sknn_iitb._typing import Array, MatrixLike, RandomState, Splitter
from sknn_iitb.activations import Activation
from sknn_iitb.initializers import Initializer
from sknn_iitb.losses import LOSSES, Gaussian, Loss
from sknn_iitb.mlp._base import BaseMLP, is_first_order
from sknn_iitb.mlp._parameters import ParametersMixin
from sknn_iitb.optimizers import Optimizer
from sknn_iitb.schedules import Schedule

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Feed-forward neural network for regression.

    Layers of neurons, f(x) = g_L(W_L ... g_1(W_1 x + b_1) ... + b_L), trained by backpropagation in compiled code. The
    parameters include all of scikit-learn's, with the same defaults. With the same `random_state`, float64 data and
    options that scikit-learn has, training reproduces scikit-learn's model epoch by epoch.

    Training minimizes the mean loss over the samples of a batch plus `alpha` / (2 * batch_size) times the sum of the
    squared weights. With `sample_weight` w, the gradient of a batch is sum(w_i g_i) / (batch_size * mean(w)), where the
    mean is over all training samples. Samples of weight zero are dropped before training.

    Parameters
    ----------
    loss : str, Loss or callable, default='squared_error'
        Loss function: one of {'squared_error', 'mse', 'absolute_error', 'huber', 'quantile', 'log_cosh', 'poisson',
        'gamma', 'gaussian'}, an object of :mod:`sknn_iitb.losses`, or your own function ``f(value, target)`` that
        returns the loss and its derivative. The squared error is halved. 'squared_error', 'absolute_error', 'huber',
        'quantile' and 'log_cosh' report the mean over the outputs, but training follows the gradient of their sum.

    hidden_layer_sizes : array-like of int, default=(100,)
        Number of neurons in each hidden layer. Empty for a linear model.

    activation : str, Activation, callable or list, default='relu'
        Activation function of the hidden layers: one of {'identity', 'linear', 'logistic', 'sigmoid', 'tanh', 'relu',
        'step', 'leaky_relu', 'elu', 'selu', 'celu', 'gelu', 'silu', 'swish', 'mish', 'softplus', 'softsign',
        'hard_sigmoid', 'hard_tanh'}, an object of :mod:`sknn_iitb.activations`, or your own function ``g(z)`` that
        returns the value and the derivative at a scalar z. A list has one activation for each hidden layer.

    solver : str, Optimizer or callable, default='adam'
        Optimizer of the weights: one of {'sgd', 'rmsprop', 'adagrad', 'adadelta', 'adam', 'amsgrad', 'adamax', 'nadam',
        'adamw', 'lion', 'rprop', 'lbfgs'}, an object of :mod:`sknn_iitb.optimizers`, or your own function ``f(theta,
        gradient, optimizer_state, hyper, step)``. By name, 'sgd' uses `momentum` and `nesterovs_momentum`, 'adam'
        uses `beta_1`, `beta_2` and `epsilon`, and the others use the defaults of their classes. An object carries its
        own hyperparameters.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights. Biases are not penalized.

    batch_size : int, 'auto' or 'full', default='auto'
        Number of samples per update. 'auto' is min(200, n_samples), except for 'rprop', where it is all samples. 'full'
        uses all samples. 1 is stochastic gradient descent, which visits the samples in their given order if
        ``shuffle=False``.

    learning_rate : str, Schedule or callable, default='constant'
        Learning rate schedule of all solvers except 'lbfgs': one of {'constant', 'invscaling', 'adaptive', 'step',
        'exponential', 'inverse_time', 'polynomial', 'linear', 'cosine', 'cosine_restarts', 'one_cycle', 'coslog',
        'plateau'}, an object of :mod:`sknn_iitb.schedules`, or your own function ``f(step, n_steps)``. 'invscaling'
        uses `power_t`. A decay selected by name spans `max_iter` epochs; reaching its end raises no ConvergenceWarning.

    learning_rate_init : float or 'auto', default=0.001
        Initial learning rate, which the schedule scales. 'auto' finds it by a range test over 120 batches at the
        beginning of `fit`, see :func:`sknn_iitb.inspection.learning_rate_range_test`.

    power_t : float, default=0.5
        Exponent of the schedule 'invscaling'.

    max_iter : int, default=200
        Maximum number of epochs, or of iterations for 'lbfgs'.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the validation split and the order of the samples. Pass an int for reproducible
        results.

    tol : float, default=1e-4
        Minimum improvement over the best loss, or over the best validation score with `early_stopping`, for an epoch to
        count as progress. 'lbfgs' stops when no component of the gradient is larger.

    verbose : bool or int, default=False
        If True or 1, show progress as a live line in a terminal or a notebook, and as one line per epoch elsewhere. If
        greater than 1, always print one line per epoch.

    warm_start : bool, default=False
        Whether `fit` continues from the current weights.

    momentum : float in [0, 1), default=0.9
        Momentum of the solver 'sgd'.

    nesterovs_momentum : bool, default=True
        Whether the solver 'sgd' uses Nesterov's momentum.

    early_stopping : bool or 'auto', default=False
        Whether to hold out a validation set, stop when its score no longer improves, and keep the weights of the best
        epoch. 'auto' enables early stopping if `X_val` is passed to `fit` or if there are more than 10,000 samples.
        With fewer than about 1,000 samples, the held-out set is too small for a reliable score, and False or `X_val`
        is usually better.

    validation_fraction : float in [0, 1) or CV splitter, default=0.1
        Fraction of the samples to hold out for early stopping if `X_val` is not given, or a splitter such as
        ``TimeSeriesSplit()``, ``StratifiedShuffleSplit()`` or, with `groups` passed to `fit`, ``GroupShuffleSplit()``.
        The last split of a splitter is used.

    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decay rates of the running means of the gradient and of its square, for the solver 'adam'.

    epsilon : float, default=1e-8
        Value added to the denominator for numerical stability, for the solver 'adam'.

    n_iter_no_change : int or np.inf, default=10
        Training stops when more than this many consecutive epochs make no progress.

    max_fun : int, default=15000
        Maximum number of loss evaluations for the solver 'lbfgs'.

    output_activation : str or Activation, default='auto'
        Activation function of the output layer: 'auto', one of {'identity', 'linear', 'logistic', 'sigmoid', 'tanh',
        'step', 'softplus', 'exponential', 'exp', 'softmax'}, or an object of :mod:`sknn_iitb.activations`. 'auto' is
        the first that is listed for the loss:

        - loss 'squared_error' or 'mse': 'identity', 'tanh', 'logistic', 'exponential', 'softplus'
        - loss 'absolute_error': 'identity', 'tanh', 'logistic', 'exponential', 'softplus'
        - loss 'huber': 'identity', 'tanh', 'logistic', 'exponential', 'softplus'
        - loss 'quantile': 'identity', 'tanh', 'logistic', 'exponential', 'softplus'
        - loss 'log_cosh': 'identity', 'tanh', 'logistic', 'exponential', 'softplus'
        - loss 'poisson': 'exponential', 'softplus'
        - loss 'gamma': 'exponential', 'softplus'
        - loss 'gaussian': 'identity'

    dropout : float in [0, 1) or array-like, default=0.0
        Fraction of the neurons of each hidden layer that is dropped at random in each training step [1]_. An array-like
        has one fraction for the inputs, followed by one for each hidden layer. The remaining values are scaled up
        during training, and prediction uses all neurons.

    batch_norm : bool, default=False
        Whether to apply batch normalization to the hidden layers, before their activation [2]_. Training uses the mean
        and variance of the batch, prediction their running averages.

    layer_norm : bool, default=False
        Whether to apply layer normalization to the hidden layers, before their activation [3]_: the weighted sums of
        each sample are normalized over the neurons of the layer. Cannot be combined with `batch_norm`.

    l1 : float, default=0.0
        Strength of the L1 penalty, `l1` / batch_size times the sum of the absolute weights, in addition to the L2
        penalty of `alpha`. Its subgradient at zero is zero.

    max_norm : float or None, default=None
        Maximum Euclidean norm of the incoming weights of a neuron. Larger weight vectors are rescaled after each step.

    clip_norm, clip_value : float or None, default=None
        Maximum Euclidean norm of the gradient, and maximum absolute value of its components. If both are given, the
        components are clipped first.

    scoring : str, callable or None, default=None
        Validation score: a scikit-learn scorer name, a scorer ``f(estimator, X, y)``, 'loss' for the negative loss, or
        None for `score`. Higher is better. It is ignored if there is no validation, that is, without `early_stopping`
        and `X_val`, or with 'lbfgs'.

    init : str, Initializer or (coefs, intercepts), default='auto'
        Initial weights: one of {'auto', 'glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal', 'lecun_uniform',
        'lecun_normal', 'orthogonal', 'zeros'}, an object of :mod:`sknn_iitb.initializers`, or the arrays themselves.
        'auto' draws the weights as scikit-learn does.

    dtype : {'float32', 'float64'} or None, default=None
        Data type of the weights and of all computation. None uses the type of X. float32 is about twice as fast.

    n_threads : int, default=1
        Number of BLAS threads for the matrix products of training. More than one pays off for large layers and batches
        on idle cores, and slows training down when other processes are busy. The limit applies to the whole process: if
        several networks train at the same time, the smallest `n_threads` applies. Results differ by rounding only, and
        are reproducible for a given number of threads. For hyperparameter search, use `n_jobs` instead.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weight matrices of shape (n_in, n_out) and bias vectors of shape (n_out,), one for each layer. They are views
        into `parameters_`. You can assign to them, as a whole, by item or by element; prediction and further training
        use the assigned values.

    parameters_ : ndarray of shape (n_parameters,)
        All weights, followed by all biases and all normalization scales.

    loss_ : float
        Loss of the last epoch, including the penalties.

    best_loss_ : float or None
        Minimum loss reached during training, or None with early stopping.

    learning_rate_init_ : float
        Initial learning rate: `learning_rate_init`, or what 'auto' has found. Not available for 'lbfgs'.

    loss_curve_, learning_rate_curve_ : list of float
        Loss of each epoch, and learning rate of its first update. Not available for 'lbfgs'.

    validation_scores_, validation_loss_curve_, best_validation_score_ : list of float, list of float and float, or None
        Score and loss on the validation set after each epoch, and the best score. The score is accuracy or R2 unless
        `scoring` is set. None without `early_stopping` and `X_val`.

    scales_, means_, variances_ : list of ndarray
        For each hidden layer: the learned scales with `batch_norm` or `layer_norm`, and with `batch_norm` the running
        mean and variance of the weighted sums.

    n_iter_ : int
        Number of epochs of the last fit.

    t_ : int
        Number of samples processed in training, summed over the epochs.

    n_layers_, n_outputs_ : int
        Number of layers, including input and output, and number of outputs.

    out_activation_ : str
        Name of the activation function of the output layer.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only defined if X has feature names that are all strings.

    See Also
    --------
    MLPClassifier : The same network for classification.

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    .. [2] S. Ioffe and C. Szegedy, "Batch Normalization", arXiv:1502.03167, 2015.
    .. [3] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", arXiv:1607.06450, 2016.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = make_pipeline(
    ...     StandardScaler(), MLPRegressor(loss="huber", tol=1e-3, random_state=0)
    ... )
    >>> model = TransformedTargetRegressor(net, transformer=StandardScaler())
    >>> scores = cross_val_score(model, X, y)
    >>> bool(scores.mean() > 0.4)
    True
    """

    _parameter_constraints: dict = {
        **ParametersMixin._parameter_constraints,
        "loss": LOSSES.constraint(lambda c: c.regressor_outputs),
    }

    @names_checked
    def __init__(
        self,
        loss: str | Loss | Kernel = "squared_error",
        hidden_layer_sizes: ArrayLike = (100,),
        activation: str | Activation | Kernel | Sequence[str | Activation | Kernel] = "relu",
        *,
        solver: str | Optimizer | Kernel = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto", "full"] = "auto",
        learning_rate: str | Schedule | Kernel = "constant",
        learning_rate_init: float | Literal["auto"] = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: RandomState = None,
        tol: float = 1e-4,
        verbose: int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | Literal["auto"] = False,
        validation_fraction: float | Splitter = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        output_activation: str | Activation = "auto",
        dropout: ArrayLike = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        l1: float = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        scoring: str | Callable[[Any, Any, Any], float] | None = None,
        init: str | Initializer | tuple[Sequence[ArrayLike], Sequence[ArrayLike]] = "auto",
        dtype: DTypeLike | None = None,
        n_threads: int = 1,
    ) -> None:
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
        self.layer_norm = layer_norm
        self.l1 = l1
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.scoring = scoring
        self.init = init
        self.dtype = dtype
        self.n_threads = n_threads

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        resume_from: str | PathLike[str] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 keep their dtype unless `dtype` is set. Integers and booleans are converted in batches.
            A sparse X is used in CSR form and never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, not negative.
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Validation set, scored after each epoch. It stops training only with `early_stopping`. A Pipeline transforms
            it like X only with ``transform_input=["X_val"]``. A set on another scale than X raises a warning.
        y_val : array-like, default=None
            Targets of the validation set.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set, not negative, for its score and loss.
        groups : array-like of shape (n_samples,), default=None
            Group labels for a splitter as `validation_fraction` that keeps groups together.
        resume_from : str or path-like, default=None
            File of a :class:`~sknn_iitb.callbacks.Checkpoint`. Training continues from it; the data and the parameters
            must be the same.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or training diverges. The estimator is then unchanged.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val, groups)
        return self._fit(TrainingData(X, y, sample_weight, validation), resume_from=resume_from)

    @available_if(is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch, continuing from the last call.

        k calls on the same data are equivalent to a fit with ``max_iter=k``. With `early_stopping`, which requires
        `X_val`, each call leaves the best weights so far, and does nothing once training has stopped.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Validation set, scored after each epoch. It stops training only with `early_stopping`.
        y_val : array-like, default=None
            Targets of the validation set.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set, not negative, for its score and loss.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        return self._fit(TrainingData(X, y, sample_weight, validation), incremental=True)

    def _checked_targets(self, y):
        refuse_times(y, "y")
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        y = y.astype(np.float64) if y.dtype.kind == "O" else y
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _find_targets(self, y, loss, call):
        return NumberTargets.from_y(y, loss)

    def _distinct(self, y):
        return np.zeros(1, np.int64), np.zeros(len(y), np.int64)  # which numbers there are does not matter

    def _default_loss(self, output):
        raise AssertionError("a regressor's loss has no 'auto'")

    def _legal_outputs(self, loss):
        return loss.regressor_outputs

    @overload
    def predict(self, X: MatrixLike, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, X: MatrixLike, return_std: Literal[True]) -> tuple[Array, Array]: ...

    def predict(self, X: MatrixLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Predict.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations too; requires ``loss="gaussian"``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Several quantiles form the last axis.
        std : ndarray of the same shape
            Only with `return_std`.

        Raises
        ------
        ValueError
            If `return_std` is set and the loss is not gaussian.
        """
        value = self._outputs(X, activate_output=True)
        if not return_std:
            return self._targets.decode(value)
        if not isinstance(self._loss, Gaussian):
            raise ValueError(f"return_std=True needs loss='gaussian', this network has loss={self.loss!r}.")
        return self._targets.decode(value), self._targets.one(self._loss.deviation(value))

    def _predicted(self, Z):
        """Predictions for rows that have been checked."""
        with BLASThreads(1):
            return self._targets.decode(self._network.predict(Z, self._parameters.vector, activate_output=True))

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R2; for quantiles, the D2 pinball score averaged over them.

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
