"""The computations of the package in readable NumPy, written from the published formulas.

Nothing here uses the package. A component is passed as an object with its name, ``names[0]``, and its hyperparameters,
``get_params()``, and looked up in the dictionaries below. Arithmetic uses the dtype of the arguments; the tests pass
float64 or a longer type, whatever dtype they test.
"""

from collections import defaultdict, namedtuple
from itertools import pairwise

import numpy as np
from scipy.special import erfc, expit, log_expit, log_softmax, ndtr, xlogy
from scipy.special import huber as scipy_huber
from scipy.special import softmax as scipy_softmax

# --- activations: value and derivative at z ---------------------------------------------------------------------


def identity(z):
    return z, np.ones_like(z)


def logistic(z):
    return expit(z), expit(z) * expit(-z)


def tanh(z):
    # 1 / cosh(z)**2 in terms of functions that cannot overflow
    return np.tanh(z), 4 * expit(2 * z) * expit(-2 * z)


def relu(z):
    return np.maximum(z, 0), np.where(z > 0, 1.0, 0.0)


def step(z):
    # the slope of the straight-through estimator
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
    # the outputs hold all quantiles of the first target, then those of the next
    q = np.resize(quantile, value.shape[1])
    return np.maximum(q * (y - value), (q - 1) * (y - value)), np.where(value > y, 1 - q, -q)


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
    """Cross-entropy of scores: log p keeps the digits that p rounds away."""
    if output == "softmax":
        return -y * log_softmax(score, axis=1), y.sum(axis=1, keepdims=True) * softmax(score)[0] - y
    return y * np.logaddexp(0, -score) + (1 - y) * np.logaddexp(0, score), expit(score) - y


def focal(score, y, output, gamma):
    """-(1 - p)**gamma log p of the true class (Lin et al., arXiv:1708.02002, eq. 4), also of scores."""

    def of(p, q, log_p):
        return -(q**gamma) * log_p, gamma * q ** (gamma - 1) * log_p - q**gamma / p

    if output == "softmax":
        p, derivative = softmax(score)
        losses, slope = of(p, 1 - p, log_softmax(score, axis=1))
        return y * losses, np.einsum("ri,rij->rj", y * slope, derivative)
    p, q = expit(score), expit(-score)
    (one, one_slope), (zero, zero_slope) = of(p, q, log_expit(score)), of(q, p, log_expit(-score))
    return y * one + (1 - y) * zero, (y * one_slope - (1 - y) * zero_slope) * p * q


def gaussian(value, y, var_floor):
    """log s + (y - m)**2 / (2 s**2); the first half of the outputs is m, the second log(s**2 - var_floor)."""
    mean, spread = value[:, : value.shape[1] // 2], np.exp(value[:, value.shape[1] // 2 :])
    y, variance = y[:, : mean.shape[1]], spread + var_floor
    losses = np.log(variance) / 2 + (mean - y) ** 2 / (2 * variance)
    to_variance = 1 / (2 * variance) - (mean - y) ** 2 / (2 * variance**2)
    return losses, np.hstack([(mean - y) / variance, to_variance * spread])


LOSSES = {
    function.__name__: function
    for function in (
        *(squared_error, absolute_error, huber, quantile, log_cosh, poisson, gamma, gaussian),
        *(hinge, perceptron, log_loss, focal),
    )
}


def loss_of_scores(loss, output, score, y, output_groups=None):
    """The loss, summed over a row's outputs, (rows,), and its derivative with respect to the scores, (rows, n).

    `output_groups` holds the start of each output group and, last, the number of outputs; None means a single group.
    """
    if output_groups is not None:
        of_groups = [
            loss_of_scores(loss, output, score[:, start:stop], y[:, start:stop])
            for start, stop in pairwise(output_groups)
        ]
        losses, deltas = zip(*of_groups, strict=True)
        return sum(losses), np.hstack(deltas)
    function, parameters = LOSSES[loss.names[0]], loss.get_params()
    if function in (log_loss, focal):
        losses, delta = function(score, y, output.names[0], **parameters)
    elif function is perceptron:
        losses, delta = perceptron(score, y)
    else:
        value, derivative = activate(output, score)
        losses, slope = function(value, y, **parameters)
        delta = np.einsum("ri,rij->rj", slope, derivative) if derivative.ndim == 3 else slope * derivative
    return losses.sum(axis=1), delta


# --- dropout -----------------------------------------------------------------------------------------------------


def hash32(x):
    """A 32-bit hash of a 32-bit number, by shifts and wrapping multiplications."""
    x = (x ^ (x >> 16)) * np.uint32(0x119DE1F3)
    x = (x ^ (x >> 16)) * np.uint32(0x119DE1F3)
    return x ^ (x >> 16)


def mask(key, layer, rows, n_columns, rate):
    """The factors of a layer's values under dropout, (rows, columns): 0 where the draw is below the dropout rate."""
    # 32-bit arrays, whose sums and products wrap
    low, high, layer, golden = np.array([[key & 0xFFFFFFFF], [key >> 32], [layer], [0x9E3779B9]], np.uint32)
    seeds = hash32(hash32(hash32(hash32(low) + np.asarray(rows, np.uint32)) ^ high) + layer)
    draws = hash32(seeds[:, None] + golden * np.arange(n_columns, dtype=np.uint32)) / 2.0**32
    return np.where(draws < rate, 0, 1 / (1 - rate))


def masks(net, dropout, key, rows):
    """Masks of the inputs and of each hidden layer; `dropout` lists their dropout rates."""
    return [mask(key, k, rows, n, rate) for k, (n, rate) in enumerate(zip(net.units[:-1], dropout, strict=True))]


# --- batch normalization -----------------------------------------------------------------------------------------

EPSILON = 1e-5


def batch_norm_backward(delta, centred, variance, share):
    """dl/dx from dl/dx_hat (Ioffe and Szegedy, arXiv:1502.03167, section 3); `share` is 1/m, weighted."""
    root = np.sqrt(variance + EPSILON)
    to_variance = -(delta * centred).sum(axis=0) / (2 * root**3)
    to_mean = -(delta / root).sum(axis=0) - 2 * to_variance * (share * centred).sum(axis=0)
    return delta / root + share * (2 * to_variance * centred + to_mean)


def layer_norm_backward(delta, centred, variance):
    """dl/dx from dl/dx_hat: each row times the Jacobian of the normalization (Ba et al., arXiv:1607.06450, eq. 3)."""
    n = centred.shape[1]
    rows = []
    for d, c, root in zip(delta, centred, np.sqrt(variance + EPSILON), strict=True):
        # dx_hat_i / dx_j for x_hat = (x - mean) / root
        rows.append((np.eye(n) - 1 / n) @ (np.eye(n) / root - np.outer(c, c) / (n * root**3)) @ d)
    return np.array(rows)


# --- nets --------------------------------------------------------------------------------------------------------

# units: inputs, neurons in each hidden layer, outputs; hidden: one activation per hidden layer
Net = namedtuple("Net", "units hidden output loss alpha l1 normalization output_groups", defaults=[0.0, None, None])

# each layer's weighted sums and input; each hidden layer's slope; with a normalization, each hidden layer's weighted
# sums minus their mean, and their mean and variance, by column (batch normalization) or by row (layer normalization)
Passed = namedtuple("Passed", "sums inputs slopes centred moments")


def count_coefs(net):
    return sum(n_in * n_out for n_in, n_out in pairwise(net.units))


def count_trained(net):
    """The number of weights, biases and scales: all parameters but the running moments."""
    return count_coefs(net) + sum(net.units[1:]) + bool(net.normalization) * sum(net.units[1:-1])


def unpack(net, theta):
    """Matrices (fan_in, fan_out), biases, scales of a normalization, running means and running variances."""
    neurons = [(n,) for n in net.units[1:]]
    scales = neurons[:-1] if net.normalization else []
    running = neurons[:-1] if net.normalization == "batch_norm" else []
    arrays, start = [], 0
    for group in ([*pairwise(net.units)], neurons, scales, running, running):
        arrays.append([])
        for shape in group:
            arrays[-1].append(theta[start : start + np.prod(shape)].reshape(shape))
            start += np.prod(shape)
    return arrays


def shares(weight):
    """Each sample's share of the batch's weight, as a column."""
    return (weight / np.sum(weight))[:, None]


def forward(net, theta, X, weight=None, masks=None, running=False):
    """The intermediate values of a forward pass; `running` uses the running moments, as prediction does."""
    share = shares(np.ones(len(X)) if weight is None else weight)
    coefs, intercepts, scales, means, variances = unpack(net, theta)
    passed = Passed([], [X if masks is None else X * masks[0]], [], [], [])
    for k, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = passed.inputs[-1] @ W
        if net.normalization == "layer_norm" and k < len(net.hidden):
            mean, variance = z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)
            passed.centred.append(z - mean)
            passed.moments.append((mean, variance))
            z = scales[k] * (z - mean) / np.sqrt(variance + EPSILON)
        if net.normalization == "batch_norm" and k < len(net.hidden):
            mean = means[k] if running else (share * z).sum(axis=0)
            variance = variances[k] if running else (share * (z - mean) ** 2).sum(axis=0)
            passed.centred.append(z - mean)
            passed.moments.append((mean, variance))
            z = scales[k] * (z - mean) / np.sqrt(variance + EPSILON)
        passed.sums.append(z + b)
        if k < len(net.hidden):
            value, slope = activate(net.hidden[k], passed.sums[-1])
            mask = 1 if masks is None else masks[k + 1]
            passed.inputs.append(value * mask)
            passed.slopes.append(slope * mask)
    return passed


def moments(net, theta, X, weight=None, masks=None):
    """Means of all hidden layers, then their variances, in the order of theta."""
    means, variances = zip(*forward(net, theta, X, weight, masks).moments, strict=True)
    return np.concatenate(means + variances)


def loss_and_gradient(net, theta, X, Y, weight=None, mean_weight=None, masks=None):
    """Mean loss of a batch, its penalty, and the gradient of their sum by backpropagation, without running moments.

    ``sum(w_i l_i) / (rows * mean weight) + (alpha / 2 * |W|**2 + l1 * |W|_1) / (rows * mean weight)``, where the mean
    weight is taken over all training samples, by default over the batch.
    """
    weight = np.ones(len(X)) if weight is None else weight
    divisor = len(X) * (np.mean(weight) if mean_weight is None else mean_weight)
    coefs, _, scales, _, _ = unpack(net, theta)
    passed = forward(net, theta, X, weight, masks)
    losses, delta = loss_of_scores(net.loss, net.output, passed.sums[-1], Y, net.output_groups)
    delta = delta * weight[:, None] / divisor
    coef_gradients, intercept_gradients, scale_gradients = [], [], []
    for k in reversed(range(len(coefs))):
        intercept_gradients.insert(0, delta.sum(axis=0))
        if net.normalization and k < len(net.hidden):
            centred, (_, variance) = passed.centred[k], passed.moments[k]
            scale_gradients.insert(0, (delta * centred / np.sqrt(variance + EPSILON)).sum(axis=0))
            if net.normalization == "batch_norm":
                delta = batch_norm_backward(delta * scales[k], centred, variance, shares(weight))
            else:
                delta = layer_norm_backward(delta * scales[k], centred, variance)
        penalty_gradient = (net.alpha * coefs[k] + net.l1 * np.sign(coefs[k])) / divisor
        coef_gradients.insert(0, passed.inputs[k].T @ delta + penalty_gradient)
        if k > 0:
            delta = delta @ coefs[k].T * passed.slopes[k - 1]
    penalty = sum(net.alpha / 2 * np.sum(W**2) + net.l1 * np.sum(abs(W)) for W in coefs) / divisor
    arrays = coef_gradients + intercept_gradients + scale_gradients
    return weight @ losses / divisor, penalty, np.concatenate([array.ravel() for array in arrays])


def train(net, theta, X, Y, weight, optimizer, batches, rates, constraints=(), dropout=None, seed=0):
    """Take a step per batch, an array of row indices; return theta and the sums of rows times loss and times penalty.

    `constraints` are (constraint, bound) pairs; step t, counted from 0, draws its masks with the key ``seed + t``.
    """
    n_trained = count_trained(net)
    decay = (np.arange(n_trained) < count_coefs(net)).astype(float)
    mean_weight = 1.0 if weight is None else np.mean(weight)
    memory, sum_loss, sum_penalty = defaultdict(float), 0.0, 0.0
    for t, (rows, rate) in enumerate(zip(batches, rates, strict=True), start=1):
        x, batch_weight = X[rows], None if weight is None else weight[rows]
        of_step = None if dropout is None else masks(net, dropout, seed + t - 1, rows)
        loss, penalty, gradient = loss_and_gradient(net, theta, x, Y[rows], batch_weight, mean_weight, of_step)
        sum_loss, sum_penalty = sum_loss + len(rows) * loss, sum_penalty + len(rows) * penalty
        for constraint, bound in constraints:
            if constraint.names[0] in OF_GRADIENT:
                gradient = OF_GRADIENT[constraint.names[0]](gradient, bound)
        trained, running = theta[:n_trained], theta[n_trained:]
        if net.normalization == "batch_norm":
            share = max(0.1, 1 / t) * len(rows) / max(map(len, batches))  # less for a short batch
            running = running + share * (moments(net, theta, x, batch_weight, of_step) - running)
        theta = np.concatenate([update(optimizer, trained, gradient, memory, rate, decay, t), running])
        for constraint, bound in constraints:
            if constraint.names[0] in OF_WEIGHTS:
                for W in unpack(net, theta)[0]:
                    W[...] = OF_WEIGHTS[constraint.names[0]](W, bound)
    return theta, sum_loss, sum_penalty


# --- constraints: on the gradient before an update, on each weight matrix after it -------------------------------


def clip_value(gradient, bound):
    return np.clip(gradient, -bound, bound)


def clip_norm(gradient, bound):
    # Pascanu et al., arXiv:1211.5063, algorithm 1
    norm = np.linalg.norm(gradient)
    return gradient * bound / norm if norm > bound else gradient


def max_norm(W, bound):
    # Srivastava et al., JMLR 15, 2014, section 5.1: on each neuron's incoming weights
    norms = np.linalg.norm(W, axis=0)
    return W * np.where(norms > bound, bound / np.where(norms > 0, norms, 1), 1)


OF_GRADIENT = {"clip_value": clip_value, "clip_norm": clip_norm}
OF_WEIGHTS = {"max_norm": max_norm}


# --- optimizers: theta after step t, counted from 1, with the gradient g and the learning rate eta ---------------
# `memory` returns zero for missing entries; `decay` is 1 for weights and 0 for biases.


def sgd(theta, g, memory, eta, decay, t, momentum, nesterovs_momentum):
    # Nesterov: the gradient is taken at theta, which looks ahead of phi = theta - momentum v
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
    # iRprop-: a gradient that changes sign counts as zero, now and as the next step's previous; sizes follow eta
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
