"""Losses: what training minimises, as a weighted mean over the samples.

A loss is a function ``f(score, target, weight, gradient, hyper)`` over matrices of shape (rows, n_outputs) and one float
type. It writes the derivative of the weighted sum into `gradient`, row i times ``weight[i]``, and returns the sum. The
outputs of a row are added up. `weight` is scaled by the caller so that the sum is the batch's mean.

Most losses are functions of the output *value* g(z) and leave the derivative of the output activation g to the last
layer. A *fused* kernel takes the raw score z instead and owns its activation: softmax with cross entropy is shorter,
faster and free of overflow that way.

A user's own loss is a function of the same form, given as ``loss=f``; it takes raw scores.
"""

import math
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sknn_iitb._math import exp, log1p_unit, sigmoid, tanh
from sknn_iitb._parts import Part, Registry

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Gamma",
    "Hinge",
    "Huber",
    "LogCosh",
    "LogLoss",
    "Loss",
    "Perceptron",
    "Poisson",
    "Quantile",
    "SquaredError",
]


class Loss(Part):
    """Base of the losses.

    Attributes
    ----------
    kernel : function or None
        The loss of output values, see the module's text.
    fused : dict of str to function
        Kernels on raw scores, by the name of the output activation that each contains.
    classifier_outputs, regressor_outputs : tuple of str
        The legal ``output_activation`` for each kind of estimator, the default first; empty if it cannot be used there.
    mean_over_outputs : bool
        Whether the reported loss is the mean over a row's outputs (the gradient is that of the sum in any case).
    """

    kernel = None
    fused = {}
    classifier_outputs = ()
    regressor_outputs = ()
    mean_over_outputs = False

    def check_target(self, y):
        """Raise ValueError if a target value is outside the loss's domain."""


_REGRESSOR_OUTPUTS = ("identity", "tanh", "logistic", "exponential", "softplus")
_POSITIVE_OUTPUTS = ("exponential", "softplus")


class CustomLoss(Loss):
    """A user's loss of raw scores, under any output activation."""

    classifier_outputs = ("logistic", "softmax", "tanh", "identity")
    regressor_outputs = _REGRESSOR_OUTPUTS

    def __init__(self, function):
        self.function = function

    @property
    def fused(self):
        """The user's function, whatever the output activation."""
        return dict.fromkeys((*self.classifier_outputs, *self.regressor_outputs), self.function)


LOSSES = Registry("loss", Loss, CustomLoss)


# --- classification ---------------------------------------------------------------------------------------------


def softmax_log_loss(score, target, weight, gradient, hyper):
    total = 0.0
    for i in range(score.shape[0]):
        largest = score[i, 0]
        for j in range(1, score.shape[1]):
            largest = max(largest, score[i, j])
        mass = target.dtype.type(0)
        for j in range(score.shape[1]):
            e = exp(score[i, j] - largest)
            gradient[i, j] = e
            mass += e
        log_mass = largest + np.log(mass)
        inverse = weight[i] / mass
        row = target.dtype.type(0)
        for j in range(score.shape[1]):
            row += target[i, j] * (log_mass - score[i, j])
            gradient[i, j] = gradient[i, j] * inverse - weight[i] * target[i, j]
        total += weight[i] * row
    return total


def logistic_log_loss(score, target, weight, gradient, hyper):
    zero = score.dtype.type(0)
    total = 0.0
    for i in range(score.shape[0]):
        row = zero
        for j in range(score.shape[1]):
            s, y = score[i, j], target[i, j]
            # log(1 + e**s) - y s, with an exponential that cannot overflow
            row += max(s, zero) - y * s + log1p_unit(exp(-abs(s)))
            gradient[i, j] = weight[i] * (sigmoid(s) - y)
        total += weight[i] * row
    return total


@LOSSES.add
class LogLoss(Loss):
    """Cross entropy: -sum_j y_j log p_j with softmax, -sum_j (y_j log p_j + (1 - y_j) log(1 - p_j)) with logistic."""

    names = ("log_loss", "cross_entropy")
    fused = {"softmax": softmax_log_loss, "logistic": logistic_log_loss}
    classifier_outputs = ("logistic", "softmax")


def hinge(value, target, weight, gradient, hyper):
    zero, one = value.dtype.type(0), value.dtype.type(1)
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            shortfall = one - target[i, j] * value[i, j]
            gradient[i, j] = -weight[i] * target[i, j] if shortfall > zero else zero
            total += weight[i] * (zero if shortfall < zero else shortfall)
    return total


@LOSSES.add
class Hinge(Loss):
    """max(0, 1 - y z) with y = -1 or 1; with several classes each against the rest."""

    names = ("hinge",)
    kernel = staticmethod(hinge)
    classifier_outputs = ("identity",)


def perceptron(score, target, weight, gradient, hyper):
    zero = score.dtype.type(0)
    total = 0.0
    for i in range(score.shape[0]):
        for j in range(score.shape[1]):
            margin = target[i, j] * score[i, j]
            gradient[i, j] = zero if margin > zero else -weight[i] * target[i, j]
            total -= weight[i] * (zero if margin > zero else margin)
    return total


@LOSSES.add
class Perceptron(Loss):
    """max(0, -y z) with y = -1 or 1, its slope -y at z = 0: Rosenblatt's rule; several classes each against the rest.

    It looks at the raw score, so a step output, which has no slope of its own, trains like a linear one.
    """

    names = ("perceptron",)
    fused = {"identity": perceptron, "step": perceptron}
    classifier_outputs = ("identity", "step")


# --- classification and regression ------------------------------------------------------------------------------


def squared_error(value, target, weight, gradient, hyper):
    half = value.dtype.type(0.5)
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            residual = value[i, j] - target[i, j]
            gradient[i, j] = weight[i] * residual
            total += weight[i] * (half * residual * residual)
    return total


def softmax_squared_error(score, target, weight, gradient, hyper):
    half = score.dtype.type(0.5)
    total = 0.0
    for i in range(score.shape[0]):
        largest = score[i, 0]
        for j in range(1, score.shape[1]):
            largest = max(largest, score[i, j])
        mass = score.dtype.type(0)
        for j in range(score.shape[1]):
            e = exp(score[i, j] - largest)
            gradient[i, j] = e
            mass += e
        row, inner = score.dtype.type(0), score.dtype.type(0)
        for j in range(score.shape[1]):
            p = gradient[i, j] / mass
            gradient[i, j] = p
            row += half * (p - target[i, j]) * (p - target[i, j])
            inner += p * (p - target[i, j])
        for j in range(score.shape[1]):
            # the Jacobian diag(p) - p p' applied to p - y
            p = gradient[i, j]
            gradient[i, j] = weight[i] * p * ((p - target[i, j]) - inner)
        total += weight[i] * row
    return total


@LOSSES.add
class SquaredError(Loss):
    """Half the squared error, sum_j (g(z)_j - y_j)**2 / 2."""

    names = ("squared_error", "mse")
    kernel = staticmethod(squared_error)
    fused = {"softmax": softmax_squared_error}
    classifier_outputs = ("logistic", "softmax", "tanh", "identity")
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


# --- regression -------------------------------------------------------------------------------------------------


def absolute_error(value, target, weight, gradient, hyper):
    zero = value.dtype.type(0)
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            residual = value[i, j] - target[i, j]
            gradient[i, j] = weight[i] if residual > zero else (-weight[i] if residual < zero else zero)
            total += weight[i] * abs(residual)
    return total


@LOSSES.add
class AbsoluteError(Loss):
    """abs(g(z) - y), which the conditional median minimises."""

    names = ("absolute_error",)
    kernel = staticmethod(absolute_error)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def huber(value, target, weight, gradient, hyper):
    half, delta = value.dtype.type(0.5), value.dtype.type(hyper[0])
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            residual = value[i, j] - target[i, j]
            clipped = min(max(residual, -delta), delta)
            gradient[i, j] = weight[i] * clipped
            total += weight[i] * (clipped * (residual - half * clipped))
    return total


@LOSSES.add
class Huber(Loss):
    """r**2 / 2 for abs(r) <= delta, else delta * (abs(r) - delta / 2), of the residual r (Huber, 1964)."""

    names = ("huber",)
    kernel = staticmethod(huber)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, delta=1.0):
        self.delta = delta

    def hyper(self):
        return (self.delta,)


def quantile(value, target, weight, gradient, hyper):
    zero, one, q = value.dtype.type(0), value.dtype.type(1), value.dtype.type(hyper[0])
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            residual = value[i, j] - target[i, j]
            slope = one - q if residual > zero else (-q if residual < zero else zero)
            gradient[i, j] = weight[i] * slope
            total += weight[i] * (slope * residual)
    return total


@LOSSES.add
class Quantile(Loss):
    """The pinball loss: (1 - quantile) r for a residual r = g(z) - y > 0, else -quantile r (Koenker and Bassett, 1978)."""

    names = ("quantile",)
    kernel = staticmethod(quantile)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"quantile": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def hyper(self):
        return (self.quantile,)


def log_cosh(value, target, weight, gradient, hyper):
    two, log_2 = value.dtype.type(2), value.dtype.type(math.log(2))
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            residual = value[i, j] - target[i, j]
            size = abs(residual)
            gradient[i, j] = weight[i] * tanh(residual)
            total += weight[i] * (size + log1p_unit(exp(-two * size)) - log_2)
    return total


@LOSSES.add
class LogCosh(Loss):
    """log(cosh(g(z) - y)): the squared error near zero, the absolute error far away."""

    names = ("log_cosh",)
    kernel = staticmethod(log_cosh)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def poisson(value, target, weight, gradient, hyper):
    one, zero = value.dtype.type(1), value.dtype.type(0)
    tiny = value.dtype.type(1e-15)  # its square is still a float32
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            y, p = target[i, j], max(value[i, j], tiny)
            log_ratio = np.log(y / p) if y > zero else zero
            gradient[i, j] = weight[i] * (one - y / p)
            total += weight[i] * (y * log_ratio - y + p)
    return total


def exponential_poisson(score, target, weight, gradient, hyper):
    zero = score.dtype.type(0)
    total = 0.0
    for i in range(score.shape[0]):
        for j in range(score.shape[1]):
            y, s = target[i, j], score[i, j]
            log_y = np.log(y) if y > zero else zero
            p = exp(s)
            gradient[i, j] = weight[i] * (p - y)
            total += weight[i] * (y * (log_y - s) - y + p)
    return total


@LOSSES.add
class Poisson(Loss):
    """Half the Poisson deviance, y log(y / p) - y + p, for counts y >= 0 and p = g(z) > 0."""

    names = ("poisson",)
    kernel = staticmethod(poisson)
    fused = {"exponential": exponential_poisson}
    regressor_outputs = _POSITIVE_OUTPUTS

    def check_target(self, y):
        if np.min(y) < 0:
            raise ValueError(f"loss='poisson' requires y >= 0, got a minimum of {np.min(y)}.")


def gamma(value, target, weight, gradient, hyper):
    one = value.dtype.type(1)
    tiny = value.dtype.type(1e-15)  # its square is still a float32
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            p = max(value[i, j], tiny)
            ratio = target[i, j] / p
            gradient[i, j] = weight[i] * ((one - ratio) / p)
            total += weight[i] * (ratio - np.log(ratio) - one)
    return total


def exponential_gamma(score, target, weight, gradient, hyper):
    one = score.dtype.type(1)
    total = 0.0
    for i in range(score.shape[0]):
        for j in range(score.shape[1]):
            y, s = target[i, j], score[i, j]
            ratio = y * exp(-s)
            gradient[i, j] = weight[i] * (one - ratio)
            total += weight[i] * (ratio - (np.log(y) - s) - one)
    return total


@LOSSES.add
class Gamma(Loss):
    """Half the gamma deviance, y / p - log(y / p) - 1, for y > 0 and p = g(z) > 0."""

    names = ("gamma",)
    kernel = staticmethod(gamma)
    fused = {"exponential": exponential_gamma}
    regressor_outputs = _POSITIVE_OUTPUTS

    def check_target(self, y):
        if np.min(y) <= 0:
            raise ValueError(f"loss='gamma' requires y > 0, got a minimum of {np.min(y)}.")
