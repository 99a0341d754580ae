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

activation : {hidden}, Activation or callable, default='relu'
    Activation of the hidden layers: a name, an object of :mod:`sknn_iitb.activations`, or a function
    ``g(z)`` of your own that returns value and derivative at a number.

solver : {solvers}, Optimizer or callable, default='adam'
    How the weights move: a name, an object of :mod:`sknn_iitb.optimizers`, or a function ``f(theta, gradient, slots,
    hyper, rate, decay, step)`` of your own. A name takes its hyperparameters from `momentum`, `nesterovs_momentum`,
    `beta_1`, `beta_2` and `epsilon`; an object has its own.

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

early_stopping : bool, default=False
    Whether to hold out samples, to stop when their score stalls, and to keep the weights of the best epoch.

validation_fraction : float in [0, 1), default=0.1
    The part of the samples that early stopping holds out.

beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
    Decay of the running means of the gradient and of its square, for the solvers of Adam's kin and lion.

epsilon : float, default=1e-8
    Keeps denominators from zero.

n_iter_no_change : int or np.inf, default=10
    Training stops after more epochs in a row without improvement.

max_fun : int, default=15000
    For lbfgs, the largest number of evaluations of the loss.

output_activation : {{'auto'}} or {outputs} or Activation, default='auto'
    Activation of the last layer. 'auto' is the first that is legal for the loss{auto_output}. Legal are:
{legal}

init : {initializers}, Initializer or (coefs, intercepts), default='auto'
    The weights before training; 'auto' is scikit-learn's way.

dtype : {{'float32', 'float64'}} or None, default=None
    Type of the weights and of all computation; None follows X. float32 is about twice as fast."""

_ATTRIBUTES = """\
coefs_, intercepts_ : list of ndarray
    Weight matrices of shape (fan_in, fan_out), so that a neuron is a column, and bias vectors. They are views into
    `parameters_`; what you assign to them, whole, an item or a number, is what predict and further training use.

parameters_ : ndarray of shape (n_parameters,)
    All weights, then all biases.

loss_ : float
    Loss of the last epoch, penalty included.

best_loss_ : float or None
    Smallest loss; None under early stopping.

loss_curve_, learning_rate_curve_ : list of float
    Loss of each epoch, and the learning rate of its first update. Not for lbfgs.

validation_scores_, best_validation_score_ : list of float and float, or None
    Accuracy or R2 on the held-out samples after each epoch, under early stopping.

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
    )
    losses = _names(LOSSES, lambda c: getattr(c, which))
    texts = {"introduction": _INTRODUCTION, "parameters": parameters, "attributes": _ATTRIBUTES, "losses": losses}
    # Python 3.13 strips the indentation of docstrings, earlier ones do not
    doc = textwrap.dedent("    " + cls.__doc__ if not cls.__doc__.startswith(("\n", " ")) else cls.__doc__)
    for name, text in texts.items():
        doc = doc.replace("{" + name + "}", text)
    cls.__doc__ = doc
    return cls
