"""Losses: what training minimises, as a weighted mean over the samples.

A loss is a function of two numbers: ``f(value, target)``, or ``f(value, target, parameter)``, returns the loss and
its derivative with respect to the value. :func:`pointwise` makes the loop over a batch of it, which is compiled;
outputs of a row are added up. Float literals take the type of the data.

The value is the output g(z) of the last layer, whose derivative the layer itself contributes. Where loss and output
activation are simpler together, a *fused* function takes the raw score z instead. Softmax ties the outputs of a row
together; its losses (*rowwise*) are loops of their own.

A user's own loss is a function ``f(value, target)`` of that form, given as ``loss=f``.
"""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sknn_iitb._intrinsics import first, inlined
from sknn_iitb._math import exp, log1p_unit, sigmoid, tanh
from sknn_iitb._parts import Custom, Part, Registry

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
    function : function or None
        ``function(value, target, *hyperparameters)`` returns the loss and its derivative with respect to the value.
    fused : dict of str to function
        The same for the raw score in place of the value, by the name of the output activation that it contains.
    rowwise : dict of str to function
        ``loop(score, target, weight, gradient, hyper, blocks)`` over matrices, by the name of the output activation.
    classifier_outputs, regressor_outputs : tuple of str
        The legal ``output_activation`` for each kind of estimator, the default first; empty if it cannot be used there.
    mean_over_outputs : bool
        Whether the reported loss is the mean over a row's outputs (the gradient is that of the sum in any case).
    """

    function = None
    fused = {}
    rowwise = {}
    classifier_outputs = ()
    regressor_outputs = ()
    mean_over_outputs = False

    def check_target(self, y):
        """Raise ValueError if a target value is outside the loss's domain."""

    def loop(self, output):
        """The loop for an output activation: the function to compile, its template, and whether it takes raw scores."""
        if output in self.rowwise:
            return self.rowwise[output], None, True
        if output in self.fused:
            return self.fused[output], pointwise, True
        return self.function, pointwise, False


def pointwise(function, n_arguments):
    """The batch's loop: gradient <- weight f', the weighted sum of f is returned."""

    parameters_in = first(n_arguments - 2)

    def batch_loss(value, target, weight, gradient, hyper, blocks):
        v, y, w, g = value.ravel(), target.ravel(), weight.ravel(), gradient.ravel()
        parameters = parameters_in(hyper)
        total = 0.0
        for i in range(v.size):
            loss, slope = function(v[i], y[i], *parameters)
            total += w[i] * loss
            g[i] = w[i] * slope
        return total

    return batch_loss


_REGRESSOR_OUTPUTS = ("identity", "tanh", "logistic", "exponential", "softplus")
_POSITIVE_OUTPUTS = ("exponential", "softplus")


class CustomLoss(Custom, Loss):
    """A user's loss of output values."""

    form = "f(value, target)"

    classifier_outputs = ("logistic", "tanh", "identity")
    regressor_outputs = _REGRESSOR_OUTPUTS


LOSSES = Registry("loss", Loss, CustomLoss)


# --- classification ---------------------------------------------------------------------------------------------


def exponentials(score, out, blocks):
    """Write e**(z - the largest z of its block) into `out`."""
    for i in range(score.shape[0]):
        for b in range(blocks.size - 1):
            largest = score[i, blocks[b]]
            for j in range(blocks[b] + 1, blocks[b + 1]):
                largest = max(largest, score[i, j])
            for j in range(blocks[b], blocks[b + 1]):
                out[i, j] = score[i, j] - largest
    flat = out.ravel()  # rows are short: exp is vector code only over all of them
    for i in range(flat.size):
        flat[i] = exp(flat[i])


exponentials = inlined(exponentials)


def softmax_log_loss(score, target, weight, gradient, hyper, blocks):
    exponentials(score, gradient, blocks)
    total = 0.0
    for i in range(score.shape[0]):
        z, y, g = score[i], target[i], gradient[i]
        for b in range(blocks.size - 1):
            mass, in_target, below = z.dtype.type(0), z.dtype.type(0), z.dtype.type(0)
            largest = z[blocks[b]]
            for j in range(blocks[b] + 1, blocks[b + 1]):
                largest = max(largest, z[j])
            for j in range(blocks[b], blocks[b + 1]):
                mass += g[j]
                in_target += y[j]
                below += y[j] * (largest - z[j])
            # sum_j y_j (log sum_k e**z_k - z_j), both relative to the largest z: scores may be large
            total += weight[i, 0] * (in_target * np.log(mass) + below)
            inverse = weight[i, 0] / mass
            for j in range(blocks[b], blocks[b + 1]):
                g[j] = g[j] * inverse - weight[i, 0] * y[j]
    return total


def logistic_log_loss(z, y):
    # log(1 + e**z) - y z, with an exponential that cannot overflow
    return max(z, 0.0) - y * z + log1p_unit(exp(-abs(z))), sigmoid(z) - y


@LOSSES.add
class LogLoss(Loss):
    """Cross entropy: -sum_j y_j log p_j with softmax, -sum_j (y_j log p_j + (1 - y_j) log(1 - p_j)) with logistic."""

    names = ("log_loss", "cross_entropy")
    fused = {"logistic": logistic_log_loss}
    rowwise = {"softmax": softmax_log_loss}
    classifier_outputs = ("logistic", "softmax")


def hinge(value, y):
    shortfall = 1.0 - y * value
    return max(shortfall, 0.0), -y if shortfall > 0.0 else 0.0


@LOSSES.add
class Hinge(Loss):
    """max(0, 1 - y z) with y = -1 or 1; with several classes each against the rest."""

    names = ("hinge",)
    function = staticmethod(hinge)
    classifier_outputs = ("identity",)


def perceptron(z, y):
    return max(-y * z, 0.0), 0.0 if y * z > 0.0 else -y


@LOSSES.add
class Perceptron(Loss):
    """max(0, -y z) with y = -1 or 1, its slope -y at z = 0: Rosenblatt's rule; several classes each against the rest.

    It looks at the raw score, so a step output, which has no slope of its own, trains like a linear one.
    """

    names = ("perceptron",)
    fused = {"identity": perceptron, "step": perceptron}
    classifier_outputs = ("identity", "step")


# --- classification and regression ------------------------------------------------------------------------------


def squared_error(value, y):
    residual = value - y
    return 0.5 * residual * residual, residual


def softmax_squared_error(score, target, weight, gradient, hyper, blocks):
    half = score.dtype.type(0.5)
    exponentials(score, gradient, blocks)
    total = 0.0
    for i in range(score.shape[0]):
        for b in range(blocks.size - 1):
            y, g = target[i, blocks[b] : blocks[b + 1]], gradient[i, blocks[b] : blocks[b + 1]]
            mass = g.sum()
            row, inner = y.dtype.type(0), y.dtype.type(0)
            for j in range(g.size):
                p = g[j] / mass
                g[j] = p
                row += half * (p - y[j]) * (p - y[j])
                inner += p * (p - y[j])
            for j in range(g.size):
                # the Jacobian diag(p) - p p' applied to p - y
                g[j] = weight[i, 0] * g[j] * ((g[j] - y[j]) - inner)
            total += weight[i, 0] * row
    return total


@LOSSES.add
class SquaredError(Loss):
    """Half the squared error, sum_j (g(z)_j - y_j)**2 / 2."""

    names = ("squared_error", "mse")
    function = staticmethod(squared_error)
    rowwise = {"softmax": softmax_squared_error}
    classifier_outputs = ("logistic", "softmax", "tanh", "identity")
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


# --- regression -------------------------------------------------------------------------------------------------


def absolute_error(value, y):
    residual = value - y
    return abs(residual), 1.0 if residual > 0.0 else (-1.0 if residual < 0.0 else residual)


@LOSSES.add
class AbsoluteError(Loss):
    """abs(g(z) - y), which the conditional median minimises."""

    names = ("absolute_error",)
    function = staticmethod(absolute_error)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def huber(value, y, delta):
    residual = value - y
    clipped = min(max(residual, -delta), delta)
    return clipped * (residual - 0.5 * clipped), clipped


@LOSSES.add
class Huber(Loss):
    """r**2 / 2 for abs(r) <= delta, else delta * (abs(r) - delta / 2), of the residual r (Huber, 1964)."""

    names = ("huber",)
    function = staticmethod(huber)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, delta=1.0):
        self.delta = delta

    def hyper(self):
        return (self.delta,)


def quantile(value, y, q):
    residual = value - y
    slope = 1.0 - q if residual > 0.0 else (-q if residual < 0.0 else residual)
    return slope * residual, slope


@LOSSES.add
class Quantile(Loss):
    """The pinball loss: (1 - quantile) r for a residual r = g(z) - y > 0, else -quantile r.

    (Koenker and Bassett, Econometrica 46, 1978.)
    """

    names = ("quantile",)
    function = staticmethod(quantile)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"quantile": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def hyper(self):
        return (self.quantile,)


def log_cosh(value, y):
    size = abs(value - y)
    return size + log1p_unit(exp(-2.0 * size)) - 0.6931471805599453, tanh(value - y)


@LOSSES.add
class LogCosh(Loss):
    """log(cosh(g(z) - y)): the squared error near zero, the absolute error far away."""

    names = ("log_cosh",)
    function = staticmethod(log_cosh)
    regressor_outputs = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def poisson(value, y):
    p = max(value, 1e-15)  # its square is still a float32
    return (y * np.log(y / p) if y > 0.0 else 0.0) - y + p, 1.0 - y / p


def exponential_poisson(z, y):
    p = exp(z)
    return (y * (np.log(y) - z) if y > 0.0 else 0.0) - y + p, p - y


@LOSSES.add
class Poisson(Loss):
    """Half the Poisson deviance, y log(y / p) - y + p, for counts y >= 0 and p = g(z) > 0."""

    names = ("poisson",)
    function = staticmethod(poisson)
    fused = {"exponential": exponential_poisson}
    regressor_outputs = _POSITIVE_OUTPUTS

    def check_target(self, y):
        if np.min(y) < 0:
            raise ValueError(f"loss='poisson' requires y >= 0, got a minimum of {np.min(y)}.")


def gamma(value, y):
    p = max(value, 1e-15)  # its square is still a float32
    return y / p - np.log(y / p) - 1.0, (1.0 - y / p) / p


def exponential_gamma(z, y):
    ratio = y * exp(-z)
    return ratio - (np.log(y) - z) - 1.0, 1.0 - ratio


@LOSSES.add
class Gamma(Loss):
    """Half the gamma deviance, y / p - log(y / p) - 1, for y > 0 and p = g(z) > 0."""

    names = ("gamma",)
    function = staticmethod(gamma)
    fused = {"exponential": exponential_gamma}
    regressor_outputs = _POSITIVE_OUTPUTS

    def check_target(self, y):
        if np.min(y) <= 0:
            raise ValueError(f"loss='gamma' requires y > 0, got a minimum of {np.min(y)}.")
