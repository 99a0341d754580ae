"""The text that the estimators' docstrings share; names of parts come from the registries."""

import textwrap

from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

__all__ = ["documented"]


def _names(registry, condition=lambda cls: True):
    return "{" + ", ".join(repr(name) for name in registry.names(condition)) + "}"


_INTRODUCTION = """\
f(x) = g_l(W_l ... g_1(W_1 x + b_1) ... + b_l): layers of neurons, each the activation g of a weighted sum, trained by
backpropagation in compiled code. The parameters are scikit-learn's, with their defaults, and some more; with the same
`random_state`, float64 data and scikit-learn's own options it is the same model, epoch by epoch.

What training minimises is the mean loss over the samples of a batch plus `alpha` / (2 * rows) times the sum of the
squared weights. With `sample_weight` w a batch's gradient is sum(w_i g_i) / (rows * mean(w)), where the mean is that of
all training samples; samples of weight zero are left out before anything else."""

_PARAMETERS = """\
hidden_layer_sizes : array-like of int, default=(100,)
    Number of neurons in each hidden layer; empty for none.

activation : {hidden}, Activation, callable or list, default='relu'
    Activation of the hidden layers: a name, an object of :mod:`sknn_iitb.activations`, or a function
    ``g(z)`` of your own that returns value and derivative at a number; or a list of them, one for each hidden layer.

solver : {solvers}, Optimizer or callable, default='adam'
    How the weights move: a name, an object of :mod:`sknn_iitb.optimizers`, or a function ``f(theta, gradient, slots,
    hyper, rate, decay, step)`` of your own. 'sgd' takes `momentum` and `nesterovs_momentum`, 'adam' `beta_1`, `beta_2`
    and `epsilon`; the others by name have the defaults of their objects, and an object has its own parameters.

alpha : float, default=0.0001
    Strength of the L2 penalty on the weights (not the biases).

batch_size : int, 'auto' or 'full', default='auto'
    Samples per update. 'auto' is min(200, n_samples), and all of them for rprop. 'full' is batch gradient descent. 1 is
    stochastic gradient descent, with ``shuffle=False`` in the fixed sequence of the samples.

learning_rate : {schedules}, Schedule or callable, default='constant'
    How the learning rate changes, with every solver but lbfgs: a name, an object of :mod:`sknn_iitb.schedules`, or a
    function ``f(step, n_steps)`` of your own. A decay that is given by name extends over `max_iter` epochs; one that
    ends there gives no ConvergenceWarning when it does.
    'invscaling' takes `power_t`.

learning_rate_init : float, default=0.001
    The rate that the schedule scales.

power_t : float, default=0.5
    The exponent of 'invscaling'.

max_iter : int, default=200
    Largest number of epochs; of iterations for lbfgs.

shuffle : bool, default=True
    Whether the samples come in another order in each epoch.

random_state : int, RandomState instance or None, default=None
    Determines the initial weights, the validation split and the order of the samples.

tol : float, default=1e-4
    An epoch that betters the best loss (the best validation score under `early_stopping`) by less is no improvement.
    For lbfgs the gradient's largest component at which it stops.

verbose : bool or int, default=False
    1 or True shows the progress in one live line in a terminal or a notebook, and prints a line for each epoch
    elsewhere; 2 or more prints a line for each epoch everywhere.

warm_start : bool, default=False
    Whether fit goes on from the weights that are there.

momentum : float in [0, 1), default=0.9
    For solver='sgd'.

nesterovs_momentum : bool, default=True
    For solver='sgd'.

early_stopping : bool or 'auto', default=False
    Whether to hold out samples, to stop when their score stalls, and to keep the weights of the best epoch. 'auto' does
    if `X_val` is given to fit, or for more than 10,000 samples.

validation_fraction : float in [0, 1) or CV splitter, default=0.1
    The part of the samples that early stopping holds out if it is not given any, or a splitter, the last of whose
    splits is used: ``TimeSeriesSplit()``, ``StratifiedShuffleSplit()``, ``GroupShuffleSplit()`` with `groups` of fit.

beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
    Decay rates of the running means of the gradient and of its square, for solver='adam'.

epsilon : float, default=1e-8
    Added to the denominator for numerical stability, for solver='adam'.

n_iter_no_change : int or np.inf, default=10
    Training stops after more epochs in a row without improvement.

max_fun : int, default=15000
    For lbfgs, the largest number of evaluations of the loss.

output_activation : {{'auto'}} or {outputs} or Activation, default='auto'
    Activation of the last layer. 'auto' is the first that is legal for the loss{auto_output}. Legal are:
{legal}

{of_classes}dropout : float in [0, 1) or array-like of them, default=0.0
    The share of neurons of each hidden layer that is left out at random in each step of training; a list has one number
    for the inputs and then one for each hidden layer. What remains is scaled up, so that predictions need nothing.
    (Srivastava et al., JMLR 15, 2014.)

batch_norm : bool, default=False
    Whether the weighted sums of the hidden layers are standardised, in training by the mean and the variance of the
    batch, in prediction by their running means. (Ioffe and Szegedy, arXiv:1502.03167.)

l1 : float, default=0.0
    Strength of the L1 penalty on the weights: l1 / rows times the sum of their absolute values, beside `alpha`'s. Its
    derivative at 0 is taken to be 0.

max_norm : float or None, default=None
    Largest length of the vector of the weights that come into a neuron; longer ones are shortened after each step.

clip_norm, clip_value : float or None, default=None
    Largest length of the gradient of a step, and largest size of its components; what exceeds them is shortened, the
    components first.

scoring : str, callable or None, default=None
    What validation scores: None is what `score` gives, 'loss' the negative loss, else a name that scikit-learn has a
    scorer for, or a scorer ``f(estimator, X, y)``. More is better. It has no effect where nothing is validated, without
    `early_stopping` and `X_val` or with lbfgs, so that a grid may search over those while it is set.

init : {initializers}, Initializer or (coefs, intercepts), default='auto'
    The weights before training; 'auto' is scikit-learn's way.

dtype : {{'float32', 'float64'}} or None, default=None
    Type of the weights and of all computation; None follows X. float32 is about twice as fast.

n_threads : int, default=1
    Number of BLAS threads for the matrix products of training. More than one pays off for large layers and batches on
    idle cores; beside other busy processes it slows training down. The limit holds for the whole process: of several
    networks that train at the same time, the smallest `n_threads` counts. Results differ by rounding only, and are
    reproducible for the same number of threads. For hyperparameter search, use `n_jobs` instead."""

_OF_CLASSES = """\
class_weight : dict, list of dict, 'balanced' or None, default=None
    Weights of the classes in the loss, which multiply the samples'; 'balanced' gives each class the same weight in all.
    A list has a dict for each column of y. Probabilities shift accordingly.

label_smoothing : float in [0, 1), default=0.0
    The share of a sample's certainty that is spread over all classes (Szegedy et al., CVPR 2016), for cross entropy and
    squared error.

"""

_ATTRIBUTES = """\
coefs_, intercepts_ : list of ndarray
    Weight matrices of shape (fan_in, fan_out), so that a neuron is a column, and bias vectors. They are views into
    `parameters_`; what you assign to them, whole, an item or a number, is what predict and further training use.

parameters_ : ndarray of shape (n_parameters,)
    All weights, then all biases, then all scales.

loss_ : float
    Loss of the last epoch, penalty included.

best_loss_ : float or None
    Smallest loss; None under early stopping.

loss_curve_, learning_rate_curve_ : list of float
    Loss of each epoch, and the learning rate of its first update. Not for lbfgs.

validation_scores_, validation_loss_curve_, best_validation_score_ : list of float, list of float and float, or None
    Score (accuracy or R2, or as `scoring` says) and loss on the validation samples after each epoch, and the best
    score. None without `early_stopping` and `X_val`.

scales_, means_, variances_ : list of ndarray
    With `batch_norm`, for each hidden layer: the scales, which are trained, and running mean and variance of the
    weighted sums.

n_iter_ : int
    Number of epochs of the last fit.

t_ : int
    Number of samples that training has seen, each counted in every epoch.

n_layers_, n_outputs_ : int
    Number of layers, input and output included, and of outputs.

out_activation_ : str
    Activation of the last layer.

n_features_in_ : int
    Number of features.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, if X had any."""


def documented(cls):
    """Fill the placeholders of an estimator's docstring; a class decorator."""
    if cls.__doc__ is None:  # under python -OO
        return cls
    which = "classifier_outputs" if hasattr(cls, "predict_log_proba") else "regressor_outputs"
    legal = "\n".join(
        f"    - loss {' or '.join(map(repr, loss.names))}: {', '.join(map(repr, getattr(loss, which)))}"
        for loss in LOSSES
        if getattr(loss, which)
    )
    parameters = _PARAMETERS.format(
        hidden=_names(ACTIVATIONS, lambda c: c.hidden),
        outputs=_names(ACTIVATIONS, lambda c: c.output),
        solvers=_names(OPTIMIZERS),
        schedules=_names(SCHEDULES),
        initializers=_names(INITIALIZERS),
        losses=_names(LOSSES, lambda c: getattr(c, which)),
        auto_output=", 'softmax' for more than two classes" if which == "classifier_outputs" else "",
        legal=legal,
        of_classes=_OF_CLASSES if which == "classifier_outputs" else "",
    )
    losses = _names(LOSSES, lambda c: getattr(c, which))
    texts = {"introduction": _INTRODUCTION, "parameters": parameters, "attributes": _ATTRIBUTES, "losses": losses}
    # Python 3.13 strips the indentation of docstrings, earlier ones do not
    doc = textwrap.dedent("    " + cls.__doc__ if not cls.__doc__.startswith(("\n", " ")) else cls.__doc__)
    for name, text in texts.items():
        doc = doc.replace("{" + name + "}", text)
    cls.__doc__ = doc
    return cls
