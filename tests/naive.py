"""What the package computes, in readable NumPy, written from the published formulas.

Nothing of the package is used here. A part comes in as an object with its name, ``names[0]``, and its hyperparameters,
``get_params()``, and is looked up in the tables below. Arithmetic is done in the type of the arrays that come in; the
tests hand over float64, or more, whatever the type of what they test.
"""

from collections import defaultdict, namedtuple
from itertools import pairwise

import numpy as np
from scipy.special import erfc, expit, log_softmax, ndtr, xlogy
from scipy.special import huber as scipy_huber
from scipy.special import softmax as scipy_softmax

# --- activations: value and derivative at z ---------------------------------------------------------------------


def identity(z):
    return z, np.ones_like(z)


def logistic(z):
    return expit(z), expit(z) * expit(-z)


def tanh(z):
    # 1 / cosh(z)**2 by functions that cannot overflow
    return np.tanh(z), 4 * expit(2 * z) * expit(-2 * z)


def relu(z):
    return np.maximum(z, 0), np.where(z > 0, 1.0, 0.0)


def step(z):
    # the slope is the straight-through estimator's
    return (np.sign(z) + 1) / 2, np.where(abs(z) <= 1, 0.5, 0.0)


def leaky_relu(z, negative_slope):
    return np.where(z > 0, z, negative_slope * z), np.where(z > 0, 1.0, negative_slope)


def elu(z, alpha):
    negative = np.minimum(z, 0)
    return np.where(z > 0, z, alpha * np.expm1(negative)), np.where(z > 0, 1.0, alpha * np.exp(negative))


# the fixed point (mean, variance) = (0, 1): Klambauer et al., arXiv:1706.02515, eq. 14
_TAIL = erfc(np.sqrt(0.5)) * np.sqrt(np.e)
_SELU_ALPHA = -np.sqrt(2 / np.pi) / (_TAIL - 1)
_SELU_LAMBDA = (1 - _TAIL) * np.sqrt(2 * np.pi)
_SELU_LAMBDA /= np.sqrt(2 * erfc(np.sqrt(2)) * np.e**2 + np.pi * _TAIL**2 - 2 * (2 + np.pi) * _TAIL + np.pi + 2)


def selu(z):
    value, slope = elu(z, _SELU_ALPHA)
    return _SELU_LAMBDA * value, _SELU_LAMBDA * slope


def celu(z, alpha):
    negative = np.minimum(z, 0) / alpha
    return np.where(z > 0, z, alpha * np.expm1(negative)), np.where(z > 0, 1.0, np.exp(negative))


def gelu(z):
    return z * ndtr(z), ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def silu(z):
    return z * expit(z), expit(z) + z * expit(z) * expit(-z)


def mish(z):
    value, slope = tanh(np.logaddexp(0, z))
    return z * value, value + z * slope * expit(z)


def softplus(z):
    return np.logaddexp(0, z), expit(z)


def softsign(z):
    return z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2


def hard_sigmoid(z):
    return np.clip(z / 6 + 0.5, 0, 1), np.where(abs(z) < 3, 1 / 6, 0.0)


def hard_tanh(z):
    return np.clip(z, -1, 1), np.where(abs(z) < 1, 1.0, 0.0)


def exponential(z):
    return np.exp(z), np.exp(z)


def softmax(z):
    """Values (rows, n), and for each row the Jacobian dp_i / dz_j = p_i (1[i = j] - p_j), (rows, n, n)."""
    p = scipy_softmax(z, axis=1)
    return p, p[:, :, None] * (np.eye(z.shape[1]) - p[:, None, :])


ACTIVATIONS = {
    function.__name__: function
    for function in (
        *(identity, logistic, tanh, relu, step, leaky_relu, elu, selu, celu, gelu, silu, mish),
        *(softplus, softsign, hard_sigmoid, hard_tanh, exponential, softmax),
    )
}


def activate(activation, z):
    return ACTIVATIONS[activation.names[0]](z, **activation.get_params())


# --- losses: loss and derivative at an output value --------------------------------------------------------------


def squared_error(value, y):
    return (value - y) ** 2 / 2, value - y


def absolute_error(value, y):
    return abs(value - y), np.sign(value - y)


def huber(value, y, delta):
    return scipy_huber(delta, value - y), np.clip(value - y, -delta, delta)


def quantile(value, y, quantile):
    loss = np.maximum(quantile * (y - value), (quantile - 1) * (y - value))
    return loss, np.where(value > y, 1 - quantile, -quantile)


def log_cosh(value, y):
    return np.logaddexp(value - y, y - value) - np.log(2), np.tanh(value - y)


def poisson(value, y):
    return xlogy(y, y / value) - y + value, 1 - y / value


def gamma(value, y):
    return y / value - np.log(y / value) - 1, 1 / value - y / value**2


def hinge(value, y):
    return np.maximum(1 - y * value, 0), np.where(1 - y * value > 0, -y, 0.0)


def perceptron(score, y):
    return np.maximum(-y * score, 0), np.where(y * score > 0, 0.0, -y)


def log_loss(score, y, output):
    """Cross entropy, in scores: log p does not lose what p has rounded away."""
    if output == "softmax":
        return -y * log_softmax(score, axis=1), y.sum(axis=1, keepdims=True) * softmax(score)[0] - y
    return y * np.logaddexp(0, -score) + (1 - y) * np.logaddexp(0, score), expit(score) - y


LOSSES = {
    function.__name__: function
    for function in (
        *(squared_error, absolute_error, huber, quantile, log_cosh, poisson, gamma, hinge, perceptron, log_loss),
    )
}


def loss_of_scores(loss, output, score, y):
    """The loss, summed over a row's outputs, (rows,), and its derivative with respect to the scores, (rows, n)."""
    function, parameters = LOSSES[loss.names[0]], loss.get_params()
    if function is log_loss:
        losses, delta = log_loss(score, y, output.names[0])
    elif function is perceptron:
        losses, delta = perceptron(score, y)
    else:
        value, derivative = activate(output, score)
        losses, slope = function(value, y, **parameters)
        delta = np.einsum("ri,rij->rj", slope, derivative) if derivative.ndim == 3 else slope * derivative
    return losses.sum(axis=1), delta


# --- nets --------------------------------------------------------------------------------------------------------

# units: inputs, neurons in each hidden layer, outputs; hidden: an activation for each hidden layer
Net = namedtuple("Net", "units hidden output loss alpha")


def unpack(net, theta):
    """Matrices (fan_in, fan_out) and biases from the vector of all weights, then all biases."""
    coefs, intercepts, start = [], [], 0
    for n_in, n_out in pairwise(net.units):
        coefs.append(theta[start : start + n_in * n_out].reshape(n_in, n_out))
        start += n_in * n_out
    for n_out in net.units[1:]:
        intercepts.append(theta[start : start + n_out])
        start += n_out
    return coefs, intercepts


def forward(net, theta, X):
    """Each layer's weighted sums; each layer's input; the slope of each hidden layer."""
    sums, inputs, slopes = [], [X], []
    for k, (W, b) in enumerate(zip(*unpack(net, theta), strict=True)):
        sums.append(inputs[-1] @ W + b)
        if k < len(net.hidden):
            value, slope = activate(net.hidden[k], sums[-1])
            inputs.append(value)
            slopes.append(slope)
    return sums, inputs, slopes


def loss_and_gradient(net, theta, X, Y, weight=None, mean_weight=None):
    """Mean loss of a batch, its L2 penalty, and the gradient of their sum by backpropagation.

    ``sum(w_i l_i) / (rows * mean weight) + alpha / (2 * rows * mean weight) * |W|**2``, where the mean weight is that
    of all training samples, by default the batch's.
    """
    weight = np.ones(len(X)) if weight is None else weight
    divisor = len(X) * (np.mean(weight) if mean_weight is None else mean_weight)
    coefs, _ = unpack(net, theta)
    sums, inputs, slopes = forward(net, theta, X)
    losses, delta = loss_of_scores(net.loss, net.output, sums[-1], Y)
    delta = delta * weight[:, None] / divisor
    coef_gradients, intercept_gradients = [], []
    for k in reversed(range(len(coefs))):
        coef_gradients.insert(0, inputs[k].T @ delta + net.alpha / divisor * coefs[k])
        intercept_gradients.insert(0, delta.sum(axis=0))
        if k > 0:
            delta = delta @ coefs[k].T * slopes[k - 1]
    penalty = net.alpha / (2 * divisor) * sum(np.sum(W**2) for W in coefs)
    gradient = np.concatenate([part.ravel() for part in coef_gradients + intercept_gradients])
    return weight @ losses / divisor, penalty, gradient


def train(net, theta, X, Y, weight, optimizer, batches, rates):
    """One step for each batch, an array of row numbers; the parameters, and the sums of rows times loss and penalty."""
    n_coefs = sum(n_in * n_out for n_in, n_out in pairwise(net.units))
    decay = (np.arange(theta.size) < n_coefs).astype(float)
    mean_weight = 1.0 if weight is None else np.mean(weight)
    memory, sum_loss, sum_penalty = defaultdict(float), 0.0, 0.0
    for t, (rows, rate) in enumerate(zip(batches, rates, strict=True), start=1):
        batch_weight = None if weight is None else weight[rows]
        loss, penalty, gradient = loss_and_gradient(net, theta, X[rows], Y[rows], batch_weight, mean_weight)
        sum_loss, sum_penalty = sum_loss + len(rows) * loss, sum_penalty + len(rows) * penalty
        theta = update(optimizer, theta, gradient, memory, rate, decay, t)
    return theta, sum_loss, sum_penalty


# --- optimizers: theta after step t, counted from 1, against the gradient g at the rate eta ----------------------
# `memory` is zero for what has not been written yet; `decay` is 1 for weights and 0 for biases.


def sgd(theta, g, memory, eta, decay, t, momentum, nesterovs_momentum):
    # Nesterov's: the gradient was taken at theta, which looks ahead of phi = theta - momentum v
    previous = memory["v"]
    v = memory["v"] = momentum * previous - eta * g
    if not nesterovs_momentum:
        return theta + v
    phi = theta - momentum * previous
    return phi + v + momentum * v


def rmsprop(theta, g, memory, eta, decay, t, rho, epsilon):
    s = memory["s"] = rho * memory["s"] + (1 - rho) * g**2
    return theta - eta * g / (np.sqrt(s) + epsilon)


def adagrad(theta, g, memory, eta, decay, t, epsilon):
    s = memory["s"] = memory["s"] + g**2
    return theta - eta * g / (np.sqrt(s) + epsilon)


def adadelta(theta, g, memory, eta, decay, t, rho, epsilon):
    s = memory["s"] = rho * memory["s"] + (1 - rho) * g**2
    change = -np.sqrt(memory["u"] + epsilon) / np.sqrt(s + epsilon) * g
    memory["u"] = rho * memory["u"] + (1 - rho) * change**2
    return theta + eta * change


def _moments(g, memory, beta_1, beta_2):
    m = memory["m"] = beta_1 * memory["m"] + (1 - beta_1) * g
    v = memory["v"] = beta_2 * memory["v"] + (1 - beta_2) * g**2
    return m, v


def adam(theta, g, memory, eta, decay, t, beta_1, beta_2, epsilon):
    m, v = _moments(g, memory, beta_1, beta_2)
    return theta - eta * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def amsgrad(theta, g, memory, eta, decay, t, beta_1, beta_2, epsilon):
    m, v = _moments(g, memory, beta_1, beta_2)
    v_hat = memory["v_hat"] = np.maximum(memory["v_hat"], v)
    return theta - eta * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v_hat) + epsilon)


def adamax(theta, g, memory, eta, decay, t, beta_1, beta_2, epsilon):
    m = memory["m"] = beta_1 * memory["m"] + (1 - beta_1) * g
    u = memory["u"] = np.maximum(beta_2 * memory["u"], abs(g) + epsilon)
    return theta - eta / (1 - beta_1**t) * m / u


def nadam(theta, g, memory, eta, decay, t, beta_1, beta_2, epsilon):
    m, v = _moments(g, memory, beta_1, beta_2)
    m_hat = beta_1 * m / (1 - beta_1 ** (t + 1)) + (1 - beta_1) * g / (1 - beta_1**t)
    return theta - eta * m_hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def adamw(theta, g, memory, eta, decay, t, beta_1, beta_2, epsilon, weight_decay):
    m, v = _moments(g, memory, beta_1, beta_2)
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - eta * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * weight_decay * theta)


def lion(theta, g, memory, eta, decay, t, beta_1, beta_2, weight_decay):
    change = np.sign(beta_1 * memory["m"] + (1 - beta_1) * g) + decay * weight_decay * theta
    memory["m"] = beta_2 * memory["m"] + (1 - beta_2) * g
    return theta - eta * change


def rprop(theta, g, memory, eta, decay, t, shrink, grow, min_step, max_step):
    # iRprop-: a gradient that has turned counts as zero, in this step and as the next one's previous; sizes follow eta
    agreement = memory["previous"] * g
    if t == 1:
        size = np.full_like(theta, eta)
    else:
        factor = np.select([agreement > 0, agreement < 0], [grow, shrink], 1.0)
        size = np.clip(memory["size"] * eta / memory["eta"] * factor, min_step, max_step)
    g = np.where(agreement < 0, 0.0, g)
    memory["previous"], memory["size"], memory["eta"] = g, size, eta
    return theta - np.sign(g) * size


OPTIMIZERS = {
    function.__name__: function
    for function in (sgd, rmsprop, adagrad, adadelta, adam, amsgrad, adamax, nadam, adamw, lion, rprop)
}


def update(optimizer, theta, gradient, memory, rate, decay, t):
    return OPTIMIZERS[optimizer.names[0]](theta, gradient, memory, rate, decay, t, **optimizer.get_params())
