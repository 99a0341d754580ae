"""Activation functions: what a neuron makes of the weighted sum of its inputs.

An activation is a function ``f(z, slope, hyper)`` over flat arrays of one float type. It works in place: on return `z`
holds the value g(z) and `slope` the derivative g'(z). One loop yields both because they share their costly part.
`hyper` (float64) holds the part's hyperparameters.

A user's own activation is a function of that form, given as ``activation=f``.
"""

import math
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sknn_iitb._math import exp, log1p_unit, sigmoid, tanh
from sknn_iitb._parts import Part, Registry

__all__ = [
    "ACTIVATIONS",
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Exponential",
    "HardSigmoid",
    "HardTanh",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "Mish",
    "ReLU",
    "SiLU",
    "Softmax",
    "Softplus",
    "Softsign",
    "Step",
    "Tanh",
]


class Activation(Part):
    """Base of the activations.

    Attributes
    ----------
    kernel : function
        ``kernel(z, slope, hyper)``, see the module's text; None for softmax, which is no function of one number.
    hidden, output : bool
        Whether it may stand in a hidden layer, and whether it may be an estimator's ``output_activation``.
    """

    kernel = None
    hidden = True
    output = False


class CustomActivation(Activation):
    """A user's activation function, in a hidden layer."""

    def __init__(self, function):
        self.function = function

    @property
    def kernel(self):
        """The user's function."""
        return self.function


ACTIVATIONS = Registry("activation", Activation, CustomActivation)


def identity(z, slope, hyper):
    one = z.dtype.type(1)
    for i in range(z.size):
        slope[i] = one


@ACTIVATIONS.add
class Identity(Activation):
    """g(z) = z, the linear neuron."""

    names = ("identity", "linear")
    kernel = staticmethod(identity)
    output = True


def logistic(z, slope, hyper):
    one = z.dtype.type(1)
    for i in range(z.size):
        s = sigmoid(z[i])
        z[i] = s
        slope[i] = s * (one - s)


@ACTIVATIONS.add
class Logistic(Activation):
    """g(z) = 1 / (1 + e**-z), the sigmoid."""

    names = ("logistic", "sigmoid")
    kernel = staticmethod(logistic)
    output = True


def hyperbolic_tangent(z, slope, hyper):
    one = z.dtype.type(1)
    for i in range(z.size):
        t = tanh(z[i])
        z[i] = t
        slope[i] = one - t * t


@ACTIVATIONS.add
class Tanh(Activation):
    """g(z) = (e**z - e**-z) / (e**z + e**-z)."""

    names = ("tanh",)
    kernel = staticmethod(hyperbolic_tangent)
    output = True


def relu(z, slope, hyper):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for i in range(z.size):
        # written so that a NaN stays a NaN
        slope[i] = one if z[i] > zero else zero
        z[i] = zero if z[i] < zero else z[i]


@ACTIVATIONS.add
class ReLU(Activation):
    """g(z) = max(0, z); slope 0 at 0."""

    names = ("relu",)
    kernel = staticmethod(relu)


def step(z, slope, hyper):
    zero, half, one = z.dtype.type(0), z.dtype.type(0.5), z.dtype.type(1)
    for i in range(z.size):
        slope[i] = half if abs(z[i]) <= one else zero
        z[i] = one if z[i] > zero else (zero if z[i] < zero else z[i] + half)


@ACTIVATIONS.add
class Step(Activation):
    """g(z) = (sign(z) + 1) / 2, so g(0) = 1/2.

    Its derivative is 0, from which backpropagation learns nothing. Training takes the slope of the straight line
    that joins the two levels instead, 1/2 where abs(z) <= 1 and 0 elsewhere: the straight-through estimator with
    saturation (Bengio, Leonard and Courville, arXiv:1308.3432; Hubara et al., arXiv:1602.02830, eq. 4).
    """

    names = ("step",)
    kernel = staticmethod(step)
    output = True


def leaky_relu(z, slope, hyper):
    zero, one, leak = z.dtype.type(0), z.dtype.type(1), z.dtype.type(hyper[0])
    for i in range(z.size):
        s = one if z[i] > zero else leak
        slope[i] = s
        z[i] *= s


@ACTIVATIONS.add
class LeakyReLU(Activation):
    """g(z) = z for z > 0, else negative_slope * z (Maas, Hannun and Ng, 2013)."""

    names = ("leaky_relu",)
    kernel = staticmethod(leaky_relu)
    _parameter_constraints = {"negative_slope": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def hyper(self):
        return (self.negative_slope,)


def elu(z, slope, hyper):
    zero, one, alpha = z.dtype.type(0), z.dtype.type(1), z.dtype.type(hyper[0])
    for i in range(z.size):
        e = exp(min(z[i], zero))
        slope[i] = one if z[i] > zero else alpha * e
        z[i] = z[i] if z[i] > zero else alpha * (e - one)


@ACTIVATIONS.add
class ELU(Activation):
    """g(z) = z for z > 0, else alpha * (e**z - 1) (Clevert, Unterthiner and Hochreiter, arXiv:1511.07289)."""

    names = ("elu",)
    kernel = staticmethod(elu)
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def hyper(self):
        return (self.alpha,)


def selu(z, slope, hyper):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    alpha, scale = z.dtype.type(1.6732632423543772), z.dtype.type(1.0507009873554805)
    for i in range(z.size):
        e = exp(min(z[i], zero))
        slope[i] = scale * (one if z[i] > zero else alpha * e)
        z[i] = scale * (z[i] if z[i] > zero else alpha * (e - one))


@ACTIVATIONS.add
class SELU(Activation):
    """g(z) = 1.0507 * ELU(z; alpha=1.6733), which keeps mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515)."""

    names = ("selu",)
    kernel = staticmethod(selu)


def celu(z, slope, hyper):
    zero, one, alpha = z.dtype.type(0), z.dtype.type(1), z.dtype.type(hyper[0])
    for i in range(z.size):
        e = exp(min(z[i], zero) / alpha)
        slope[i] = one if z[i] > zero else e
        z[i] = z[i] if z[i] > zero else alpha * (e - one)


@ACTIVATIONS.add
class CELU(Activation):
    """g(z) = z for z > 0, else alpha * (e**(z / alpha) - 1) (Barron, arXiv:1704.07483)."""

    names = ("celu",)
    kernel = staticmethod(celu)
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def hyper(self):
        return (self.alpha,)


def gelu(z, slope, hyper):
    half, one = z.dtype.type(0.5), z.dtype.type(1)
    inverse_sqrt_2 = z.dtype.type(math.sqrt(0.5))
    inverse_sqrt_2pi = z.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(z.size):
        cumulative = half * (one + z.dtype.type(math.erf(z[i] * inverse_sqrt_2)))
        density = inverse_sqrt_2pi * exp(-half * z[i] * z[i])
        slope[i] = cumulative + z[i] * density
        z[i] *= cumulative


@ACTIVATIONS.add
class GELU(Activation):
    """g(z) = z * P(Z <= z) for a standard normal Z, not its tanh approximation (arXiv:1606.08415)."""

    names = ("gelu",)
    kernel = staticmethod(gelu)


def silu(z, slope, hyper):
    one = z.dtype.type(1)
    for i in range(z.size):
        s = sigmoid(z[i])
        slope[i] = s * (one + z[i] * (one - s))
        z[i] *= s


@ACTIVATIONS.add
class SiLU(Activation):
    """g(z) = z / (1 + e**-z) (Elfwing, Uchibe and Doya, arXiv:1702.03118)."""

    names = ("silu", "swish")
    kernel = staticmethod(silu)


def mish(z, slope, hyper):
    one, two, large = z.dtype.type(1), z.dtype.type(2), z.dtype.type(20)
    for i in range(z.size):
        # tanh(log(1 + e)) = ((1 + e)**2 - 1) / ((1 + e)**2 + 1), and 1 to rounding beyond z = 20
        e = exp(min(z[i], large))
        n = e * (e + two)
        t = n / (n + two)
        slope[i] = t + z[i] * (one - t * t) * (e / (one + e))
        z[i] *= t


@ACTIVATIONS.add
class Mish(Activation):
    """g(z) = z * tanh(log(1 + e**z)) (Misra, arXiv:1908.08681)."""

    names = ("mish",)
    kernel = staticmethod(mish)


def softplus(z, slope, hyper):
    zero = z.dtype.type(0)
    for i in range(z.size):
        slope[i] = sigmoid(z[i])
        z[i] = max(z[i], zero) + log1p_unit(exp(-abs(z[i])))


@ACTIVATIONS.add
class Softplus(Activation):
    """g(z) = log(1 + e**z)."""

    names = ("softplus",)
    kernel = staticmethod(softplus)
    output = True


def softsign(z, slope, hyper):
    one = z.dtype.type(1)
    for i in range(z.size):
        inverse = one / (one + abs(z[i]))
        slope[i] = inverse * inverse
        z[i] *= inverse


@ACTIVATIONS.add
class Softsign(Activation):
    """g(z) = z / (1 + abs(z))."""

    names = ("softsign",)
    kernel = staticmethod(softsign)


def hard_sigmoid(z, slope, hyper):
    zero, half, one, three, sixth = (
        z.dtype.type(0),
        z.dtype.type(0.5),
        z.dtype.type(1),
        z.dtype.type(3),
        z.dtype.type(1 / 6),
    )
    for i in range(z.size):
        slope[i] = sixth if abs(z[i]) < three else zero
        z[i] = min(max(z[i] * sixth + half, zero), one)


@ACTIVATIONS.add
class HardSigmoid(Activation):
    """g(z) = z / 6 + 1/2, kept between 0 and 1."""

    names = ("hard_sigmoid",)
    kernel = staticmethod(hard_sigmoid)


def hard_tanh(z, slope, hyper):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for i in range(z.size):
        slope[i] = one if abs(z[i]) < one else zero
        z[i] = min(max(z[i], -one), one)


@ACTIVATIONS.add
class HardTanh(Activation):
    """g(z) = z, kept between -1 and 1."""

    names = ("hard_tanh",)
    kernel = staticmethod(hard_tanh)


def exponential(z, slope, hyper):
    for i in range(z.size):
        e = exp(z[i])
        z[i] = e
        slope[i] = e


@ACTIVATIONS.add
class Exponential(Activation):
    """g(z) = e**z, for positive targets; an output only."""

    names = ("exponential", "exp")
    kernel = staticmethod(exponential)
    hidden = False
    output = True


@ACTIVATIONS.add
class Softmax(Activation):
    """g(z)_i = e**z_i / sum_j e**z_j over the outputs of a row; an output only.

    It belongs to a whole layer, not to a neuron: the losses apply it, with its full Jacobian.
    """

    names = ("softmax",)
    hidden = False
    output = True
