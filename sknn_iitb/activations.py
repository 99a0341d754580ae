"""Activation functions, applied to the weighted sums of a layer's inputs.

An activation is a scalar function: ``g(z)`` or ``g(z, parameter)`` returns the value and the derivative at z together,
because they share the costly part. ``sknn_iitb._loops`` turns it into the compiled loop over a layer. Float literals
take the type of the data.

A custom activation is a function ``g(z)`` of this form, passed as ``activation=g``.
"""

from numbers import Real

from sklearn.utils._param_validation import Interval

from sknn_iitb._jit.math import exp, expm1, log1p_unit, scaled_tail, sigmoid, tanh
from sknn_iitb._registry import Component, Custom, Kernel, Registry

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


class Activation(Component):
    """Base of the activations.

    Attributes
    ----------
    function : function
        ``function(z, *hyperparameters)`` returns value and derivative; None for softmax, which is not elementwise.
    hidden, output : bool
        Whether it can be used in a hidden layer, and as an estimator's ``output_activation``.
    """

    function: Kernel | None = None
    hidden: bool = True
    output: bool = False

    @property
    def label(self) -> str:
        """The name to show: the first of `names`, or that of a custom function."""
        return self.names[0] if self.names else getattr(self.function, "__name__", type(self).__name__)


class _CustomActivation(Custom, Activation):
    """A custom activation function for hidden layers."""

    form = "g(z)"


ACTIVATIONS: Registry = Registry("activation", Activation, _CustomActivation)


def _identity(z):
    return z, 1.0


@ACTIVATIONS.add("identity", "linear")
class Identity(Activation):
    """g(z) = z, the linear neuron."""

    function: Kernel = staticmethod(_identity)
    output = True


def _logistic(z):
    s = sigmoid(z)
    return s, s * (1.0 - s)


@ACTIVATIONS.add("logistic", "sigmoid")
class Logistic(Activation):
    """g(z) = 1 / (1 + e**-z), the sigmoid."""

    function: Kernel = staticmethod(_logistic)
    output = True


def _hyperbolic_tangent(z):
    t = tanh(z)
    return t, 1.0 - t * t


@ACTIVATIONS.add("tanh")
class Tanh(Activation):
    """g(z) = (e**z - e**-z) / (e**z + e**-z)."""

    function: Kernel = staticmethod(_hyperbolic_tangent)
    output = True


def _relu(z):
    # not max(z, 0.0), which takes a quarter of a second longer to compile; NaN remains NaN
    return 0.0 if z < 0.0 else z, 1.0 if z > 0.0 else 0.0


@ACTIVATIONS.add("relu")
class ReLU(Activation):
    """g(z) = max(0, z); slope 0 at 0."""

    function: Kernel = staticmethod(_relu)


def _step(z):
    value = 1.0 if z > 0.0 else (0.0 if z < 0.0 else z + 0.5)  # NaN remains NaN
    return value, 0.5 if abs(z) <= 1.0 else 0.0


@ACTIVATIONS.add("step")
class Step(Activation):
    """g(z) = (sign(z) + 1) / 2, so g(0) = 1/2.

    Its derivative is 0, so backpropagation would learn nothing. Training instead uses the slope of a straight line
    between the two levels, 1/2 where abs(z) <= 1 and 0 elsewhere: the straight-through estimator with saturation
    (Bengio, Leonard and Courville, arXiv:1308.3432; Hubara et al., arXiv:1602.02830, eq. 4).
    """

    function: Kernel = staticmethod(_step)
    output = True


def _leaky_relu(z, negative_slope):
    slope = 1.0 if z > 0.0 else negative_slope
    return slope * z, slope


@ACTIVATIONS.add("leaky_relu")
class LeakyReLU(Activation):
    """g(z) = z for z > 0, else negative_slope * z (Maas, Hannun and Ng, 2013).

    Parameters
    ----------
    negative_slope : float in [0, inf), default=0.01
        Slope for negative z.
    """

    function: Kernel = staticmethod(_leaky_relu)
    _parameter_constraints = {"negative_slope": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def hyper(self) -> tuple[float, ...]:
        return (self.negative_slope,)


def _elu(z, alpha):
    e = alpha * expm1(min(z, 0.0))
    return (z, 1.0) if z > 0.0 else (e, e + alpha)


@ACTIVATIONS.add("elu")
class ELU(Activation):
    """g(z) = z for z > 0, else alpha * (e**z - 1) (Clevert, Unterthiner and Hochreiter, arXiv:1511.07289).

    Parameters
    ----------
    alpha : float in (0, inf), default=1.0
        g(z) approaches -alpha for large negative z.
    """

    function: Kernel = staticmethod(_elu)
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def hyper(self) -> tuple[float, ...]:
        return (self.alpha,)


def _selu(z):
    e = 1.0507009873554805 * 1.6732632423543772 * expm1(min(z, 0.0))
    return (1.0507009873554805 * z, 1.0507009873554805) if z > 0.0 else (e, e + 1.0507009873554805 * 1.6732632423543772)


@ACTIVATIONS.add("selu")
class SELU(Activation):
    """g(z) = 1.0507 * ELU(z; alpha=1.6733), which keeps mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515)."""

    function: Kernel = staticmethod(_selu)


def _celu(z, alpha):
    e = expm1(min(z, 0.0) / alpha)
    return (z, 1.0) if z > 0.0 else (alpha * e, e + 1.0)


@ACTIVATIONS.add("celu")
class CELU(Activation):
    """g(z) = z for z > 0, else alpha * (e**(z / alpha) - 1) (Barron, arXiv:1704.07483).

    Parameters
    ----------
    alpha : float in (0, inf), default=1.0
        g(z) approaches -alpha for large negative z.
    """

    function: Kernel = staticmethod(_celu)
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def hyper(self) -> tuple[float, ...]:
        return (self.alpha,)


def _gelu(z):
    # From the tail of |z|: z P(Z <= z) = max(z, 0) - |z| P(Z > |z|), and the slope likewise. Beyond 100 the bell is
    # negligible but not exactly 0, so its product with a large z would not be.
    size = abs(z)
    size = 100.0 if size > 100.0 else size
    bell = exp(-0.5 * size * size)
    tail = bell * scaled_tail(size)
    slope = tail - size * (0.3989422804014327 * bell)  # 1 / sqrt(2 pi)
    return (z if z > 0.0 else 0.0) - size * tail, slope if z < 0.0 else 1.0 - slope


@ACTIVATIONS.add("gelu")
class GELU(Activation):
    """g(z) = z * P(Z <= z) for a standard normal Z, not its tanh approximation (arXiv:1606.08415)."""

    function: Kernel = staticmethod(_gelu)


def _silu(z):
    z = -1000.0 if z < -1000.0 else z  # s is negligible there, but not exactly 0
    s = sigmoid(z)
    return z * s, s * (1.0 + z * (1.0 - s))


@ACTIVATIONS.add("silu", "swish")
class SiLU(Activation):
    """g(z) = z / (1 + e**-z) (Elfwing, Uchibe and Doya, arXiv:1702.03118)."""

    function: Kernel = staticmethod(_silu)


def _mish(z):
    # tanh(log(1 + e)) = ((1 + e)**2 - 1) / ((1 + e)**2 + 1), which rounds to 1 beyond z = 20
    z = -1000.0 if z < -1000.0 else z  # e is negligible there, but not exactly 0
    near = 20.0 if z > 20.0 else z
    e = exp(near)
    n = e * (e + 2.0)
    t = n / (n + 2.0)
    return z * t, t + near * (1.0 - t * t) * (e / (1.0 + e))


@ACTIVATIONS.add("mish")
class Mish(Activation):
    """g(z) = z * tanh(log(1 + e**z)) (Misra, arXiv:1908.08681)."""

    function: Kernel = staticmethod(_mish)


def _softplus(z):
    return max(z, 0.0) + log1p_unit(exp(-abs(z))), sigmoid(z)


@ACTIVATIONS.add("softplus")
class Softplus(Activation):
    """g(z) = log(1 + e**z)."""

    function: Kernel = staticmethod(_softplus)
    output = True


def _softsign(z):
    inverse = 1.0 / (1.0 + abs(z))
    return z * inverse, inverse * inverse


@ACTIVATIONS.add("softsign")
class Softsign(Activation):
    """g(z) = z / (1 + abs(z))."""

    function: Kernel = staticmethod(_softsign)


def _hard_sigmoid(z):
    return min(max(z / 6.0 + 0.5, 0.0), 1.0), 1.0 / 6.0 if abs(z) < 3.0 else 0.0


@ACTIVATIONS.add("hard_sigmoid")
class HardSigmoid(Activation):
    """g(z) = z / 6 + 1/2, clipped to [0, 1]."""

    function: Kernel = staticmethod(_hard_sigmoid)


def _hard_tanh(z):
    return min(max(z, -1.0), 1.0), 1.0 if abs(z) < 1.0 else 0.0


@ACTIVATIONS.add("hard_tanh")
class HardTanh(Activation):
    """g(z) = z, clipped to [-1, 1]."""

    function: Kernel = staticmethod(_hard_tanh)


def _exponential(z):
    e = exp(z)
    return e, e


@ACTIVATIONS.add("exponential", "exp")
class Exponential(Activation):
    """g(z) = e**z, for positive targets; output layer only."""

    function: Kernel = staticmethod(_exponential)
    hidden = False
    output = True


@ACTIVATIONS.add("softmax")
class Softmax(Activation):
    """g(z)_i = e**z_i / sum_j e**z_j over the outputs of a row; output layer only.

    It acts on a whole layer, not on single neurons: the losses apply it, with its full Jacobian.
    """

    hidden = False
    output = True
