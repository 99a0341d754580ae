"""Losses, which training minimizes as a weighted mean over the samples.

A loss is a scalar function: ``f(value, target)`` or ``f(value, target, parameter)`` returns the loss and its derivative
with respect to the value. ``sknn_iitb._loops`` turns it into the compiled loop over a batch, which sums over the
outputs of a row. Float literals take the type of the data.

The value is the output g(z) of the last layer, which itself applies the derivative of g. If loss and output activation
are simpler together, a *fused* function takes the raw score z instead. Softmax couples the outputs of a row; its losses
(*rowwise*) are loops of their own.

A custom loss is a function ``f(value, target)`` of this form, passed as ``loss=f``.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval

from sknn_iitb._jit.math import exp, log1p_unit, sigmoid, tanh
from sknn_iitb._loops import pointwise
from sknn_iitb._registry import Component, Custom, Kernel, Registry
from sknn_iitb._rowwise import gaussian, quantiles, softmax_focal, softmax_log_loss, softmax_squared_error

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Focal",
    "Gamma",
    "Gaussian",
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


class Loss(Component):
    """Base of the losses.

    Attributes
    ----------
    function : function or None
        ``function(value, target, *hyperparameters)`` returns the loss and its derivative with respect to the value.
    fused : dict of str to function
        The same for the raw score instead of the value, by the name of the output activation that it includes.
    rowwise : dict of str to function
        ``loop(score, target, weight, gradient, hyper, groups)`` over matrices, by the name of the output activation.
    classifier_outputs, regressor_outputs : tuple of str
        Valid values of ``output_activation`` for each kind of estimator, the default first; empty if there are none.
    mean_over_outputs : bool
        Whether the reported loss is the mean over a row's outputs (the gradient is always that of the sum).
    soft_targets : bool
        Whether targets may lie between those of two classes, as with label smoothing.
    """

    function: Kernel | None = None
    fused: dict[str, Kernel] = {}
    rowwise: dict[str, Kernel] = {}
    classifier_outputs: tuple[str, ...] = ()
    regressor_outputs: tuple[str, ...] = ()
    mean_over_outputs: bool = False
    soft_targets: bool = False

    def check_target(self, y: NDArray[Any]) -> None:
        """Raise ValueError if a target value is outside the loss's domain."""

    def loop(self, output: str) -> tuple[Kernel, Kernel | None, bool]:
        """The loop for an output activation: the function to compile, its template, and whether it takes raw scores."""
        if output in self.rowwise:
            return self.rowwise[output], None, True
        if output in self.fused:
            return self.fused[output], pointwise, True
        return self.function, pointwise, False

    # for regressors; these defaults are for one output per target

    def widen(self, Y: NDArray[Any]) -> NDArray[Any]:
        """The matrix that the network learns, from targets of shape (n_samples, n_targets)."""
        return Y

    def narrow(self, value: NDArray[Any]) -> NDArray[Any]:
        """Predictions of shape (n_samples, n_targets) or (n_samples, n_targets, n_each), from the outputs."""
        return value

    def transformable(self, n_targets: int) -> bool:
        """Whether scikit-learn's TransformedTargetRegressor supports all predictions."""
        return True

    # not named `score`, because scikit-learn would add metadata requests for it
    def quality(self, y: NDArray[Any], prediction: NDArray[Any], sample_weight: ArrayLike | None = None) -> float:
        """Score predictions: the coefficient of determination R2."""
        return sklearn.metrics.r2_score(y, prediction, sample_weight=sample_weight)


_REGRESSOR_OUTPUTS = ("identity", "tanh", "logistic", "exponential", "softplus")
_POSITIVE_OUTPUTS = ("exponential", "softplus")


class _CustomLoss(Custom, Loss):
    """A custom loss of output values."""

    form = "f(value, target)"

    classifier_outputs: tuple[str, ...] = ("logistic", "tanh", "identity")
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS


LOSSES: Registry = Registry("loss", Loss, _CustomLoss)


# --- classification ---------------------------------------------------------------------------------------------


def _logistic_log_loss(z, y):
    # log(1 + e**z) - y z, with an exponential that cannot overflow
    return max(z, 0.0) - y * z + log1p_unit(exp(-abs(z))), sigmoid(z) - y


@LOSSES.add("log_loss", "cross_entropy")
class LogLoss(Loss):
    """Cross entropy: -sum_j y_j log p_j with softmax, -sum_j (y_j log p_j + (1 - y_j) log(1 - p_j)) with logistic."""

    fused: dict[str, Kernel] = {"logistic": _logistic_log_loss}
    rowwise: dict[str, Kernel] = {"softmax": softmax_log_loss}
    classifier_outputs: tuple[str, ...] = ("logistic", "softmax")
    soft_targets = True


def _logistic_focal(z, y, gamma):
    # logarithms of p and q = 1 - p, without overflow and without cancellation where they are small
    rest = log1p_unit(exp(-abs(z)))
    log_p, log_q = min(z, 0.0) - rest, -max(z, 0.0) - rest
    p, q = sigmoid(z), sigmoid(-z)
    of_one, of_zero = exp(gamma * log_q), exp(gamma * log_p)
    loss = -(y * of_one * log_p + (1.0 - y) * of_zero * log_q)
    slope = y * of_one * (gamma * p * log_p - q) + (1.0 - y) * of_zero * (p - gamma * q * log_q)
    return loss, slope


@LOSSES.add("focal")
class Focal(Loss):
    """-(1 - p)**gamma log p of the true class: cross entropy that down-weights well-classified samples.

    (Lin et al., arXiv:1708.02002, eq. 4.)

    Parameters
    ----------
    gamma : float in [0, inf), default=2.0
        Strength of the down-weighting; 0 is cross entropy.
    """

    fused: dict[str, Kernel] = {"logistic": _logistic_focal}
    rowwise: dict[str, Kernel] = {"softmax": softmax_focal}
    classifier_outputs: tuple[str, ...] = ("logistic", "softmax")
    _parameter_constraints = {"gamma": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, gamma: float = 2.0) -> None:
        self.gamma = gamma

    def hyper(self) -> tuple[float, ...]:
        return (self.gamma,)


def _hinge(value, y):
    shortfall = 1.0 - y * value
    return max(shortfall, 0.0), -y if shortfall > 0.0 else 0.0


@LOSSES.add("hinge")
class Hinge(Loss):
    """max(0, 1 - y z) with y = -1 or 1; one-vs-rest for several classes."""

    function: Kernel = staticmethod(_hinge)
    classifier_outputs: tuple[str, ...] = ("identity",)


def _perceptron(z, y):
    return max(-y * z, 0.0), 0.0 if y * z > 0.0 else -y


@LOSSES.add("perceptron")
class Perceptron(Loss):
    """max(0, -y z) with y = -1 or 1 and slope -y at z = 0: Rosenblatt's rule; one-vs-rest for several classes.

    It takes the raw score, so a step output, which has no slope, trains like a linear one.
    """

    fused: dict[str, Kernel] = {"identity": _perceptron, "step": _perceptron}
    classifier_outputs: tuple[str, ...] = ("identity", "step")


# --- classification and regression ------------------------------------------------------------------------------


def _squared_error(value, y):
    residual = value - y
    return 0.5 * residual * residual, residual


@LOSSES.add("squared_error", "mse")
class SquaredError(Loss):
    """Half the squared error, sum_j (g(z)_j - y_j)**2 / 2."""

    function: Kernel = staticmethod(_squared_error)
    rowwise: dict[str, Kernel] = {"softmax": softmax_squared_error}
    classifier_outputs: tuple[str, ...] = ("logistic", "softmax", "tanh", "identity")
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    soft_targets = True


# --- regression -------------------------------------------------------------------------------------------------


def _absolute_error(value, y):
    residual = value - y
    return abs(residual), 1.0 if residual > 0.0 else (-1.0 if residual < 0.0 else residual)


@LOSSES.add("absolute_error")
class AbsoluteError(Loss):
    """abs(g(z) - y), minimized by the conditional median."""

    function: Kernel = staticmethod(_absolute_error)
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def _huber(value, y, delta):
    residual = value - y
    clipped = min(max(residual, -delta), delta)
    return clipped * (residual - 0.5 * clipped), clipped


@LOSSES.add("huber")
class Huber(Loss):
    """r**2 / 2 for abs(r) <= delta, else delta * (abs(r) - delta / 2), for the residual r (Huber, 1964).

    Parameters
    ----------
    delta : float in (0, inf), default=1.0
        Absolute residual at which the loss changes from quadratic to linear.
    """

    function: Kernel = staticmethod(_huber)
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def hyper(self) -> tuple[float, ...]:
        return (self.delta,)


def _quantile(value, y, q):
    residual = value - y
    slope = 1.0 - q if residual > 0.0 else (-q if residual < 0.0 else residual)
    return slope * residual, slope


@LOSSES.add("quantile")
class Quantile(Loss):
    """The pinball loss: (1 - quantile) r for a residual r = g(z) - y > 0, else -quantile r.

    One network learns several quantiles, as in ``Quantile([0.1, 0.5, 0.9])``, with an output for each. ``predict`` then
    returns shape (n_samples, n_quantiles), sorted to keep quantiles from crossing, which never makes them worse
    (Chernozhukov et al., Econometrica 78, 2010). ``score`` is the D2 pinball score, averaged over the quantiles.
    (Koenker and Bassett, Econometrica 46, 1978.)

    Parameters
    ----------
    quantile : float in (0, 1) or increasing list of floats, default=0.5
        Quantile to predict, or several.
    """

    function: Kernel = staticmethod(_quantile)
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS
    mean_over_outputs = True
    _parameter_constraints = {"quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"]}

    def __init__(self, quantile: float | Sequence[float] = 0.5) -> None:
        self.quantile = quantile

    def validate(self) -> None:
        super().validate()
        q = self.hyper()
        if not (len(q) and all(isinstance(x, Real) and 0 < x < 1 for x in q) and list(q) == sorted(set(q))):
            raise ValueError(
                f"The 'quantile' parameter of Quantile must be in (0, 1) or an increasing list of such numbers, got "
                f"{self.quantile!r}."
            )

    def hyper(self) -> tuple[float, ...]:
        return (self.quantile,) if isinstance(self.quantile, Real) else tuple(self.quantile)

    @property
    def _several(self):
        return not isinstance(self.quantile, Real)

    def loop(self, output: str) -> tuple[Kernel, Kernel | None, bool]:
        return (quantiles, None, False) if self._several else super().loop(output)

    def widen(self, Y: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(Y, len(self.hyper()), axis=1)

    def narrow(self, value: NDArray[Any]) -> NDArray[Any]:
        return np.sort(value.reshape(len(value), -1, len(self.hyper())), axis=2) if self._several else value

    def transformable(self, n_targets: int) -> bool:
        return not self._several or n_targets == 1  # its transformers do not support a third axis

    def quality(self, y: NDArray[Any], prediction: NDArray[Any], sample_weight: ArrayLike | None = None) -> float:
        each = np.moveaxis(prediction, -1, 0) if self._several else [prediction]
        scores = [
            sklearn.metrics.d2_pinball_score(y, one, sample_weight=sample_weight, alpha=q)
            for one, q in zip(each, self.hyper(), strict=True)
        ]
        return float(np.mean(scores))


def _log_cosh(value, y):
    size = abs(value - y)
    return size + log1p_unit(exp(-2.0 * size)) - 0.6931471805599453, tanh(value - y)


@LOSSES.add("log_cosh")
class LogCosh(Loss):
    """log(cosh(g(z) - y)): like the squared error near zero, and like the absolute error far from it."""

    function: Kernel = staticmethod(_log_cosh)
    regressor_outputs: tuple[str, ...] = _REGRESSOR_OUTPUTS
    mean_over_outputs = True


def _poisson(value, y):
    p = max(value, 1e-15)  # its square still fits in float32
    return (y * np.log(y / p) if y > 0.0 else 0.0) - y + p, 1.0 - y / p


def _exponential_poisson(z, y):
    p = exp(z)
    return (y * (np.log(y) - z) if y > 0.0 else 0.0) - y + p, p - y


@LOSSES.add("poisson")
class Poisson(Loss):
    """Half the Poisson deviance, y log(y / p) - y + p, for counts y >= 0 and p = g(z) > 0."""

    function: Kernel = staticmethod(_poisson)
    fused: dict[str, Kernel] = {"exponential": _exponential_poisson}
    regressor_outputs: tuple[str, ...] = _POSITIVE_OUTPUTS

    def check_target(self, y: NDArray[Any]) -> None:
        if np.min(y) < 0:
            raise ValueError(f"loss='poisson' requires y >= 0, got a minimum of {np.min(y)}.")


def _gamma(value, y):
    p = max(value, 1e-15)  # its square still fits in float32
    return y / p - np.log(y / p) - 1.0, (1.0 - y / p) / p


def _exponential_gamma(z, y):
    ratio = y * exp(-z)
    return ratio - (np.log(y) - z) - 1.0, 1.0 - ratio


@LOSSES.add("gamma")
class Gamma(Loss):
    """Half the gamma deviance, y / p - log(y / p) - 1, for y > 0 and p = g(z) > 0."""

    function: Kernel = staticmethod(_gamma)
    fused: dict[str, Kernel] = {"exponential": _exponential_gamma}
    regressor_outputs: tuple[str, ...] = _POSITIVE_OUTPUTS

    def check_target(self, y: NDArray[Any]) -> None:
        if np.min(y) <= 0:
            raise ValueError(f"loss='gamma' requires y > 0, got a minimum of {np.min(y)}.")


@LOSSES.add("gaussian")
class Gaussian(Loss):
    """log(s) + r**2 / (2 s**2): the negative log-likelihood of a normal distribution with mean g(z) and deviation s.

    Each target has two outputs, the mean and the logarithm of the variance. ``predict(X, return_std=True)`` returns
    means and standard deviations. (Nix and Weigend, ICNN 1994; without the constant.)

    Parameters
    ----------
    var_floor : float in (0, inf), default=1e-6
        Added to the variance, in the squared unit of the targets.
    """

    function: Kernel = staticmethod(gaussian)
    regressor_outputs: tuple[str, ...] = ("identity",)
    _parameter_constraints = {"var_floor": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, var_floor: float = 1e-6) -> None:
        self.var_floor = var_floor

    def hyper(self) -> tuple[float, ...]:
        return (self.var_floor,)

    def loop(self, output: str) -> tuple[Kernel, Kernel | None, bool]:
        return self.function, None, False

    def widen(self, Y: NDArray[Any]) -> NDArray[Any]:
        return np.hstack([Y, np.zeros_like(Y)])

    def narrow(self, value: NDArray[Any]) -> NDArray[Any]:
        return value[:, : value.shape[1] // 2]

    def transformable(self, n_targets: int) -> bool:
        return False  # it has no return_std

    def deviation(self, value: NDArray[Any]) -> NDArray[Any]:
        """Standard deviations of shape (n_samples, n_targets), from the outputs."""
        # the square root of the variance, which itself could overflow
        return np.hypot(np.exp(value[:, value.shape[1] // 2 :] / 2), value.dtype.type(self.var_floor**0.5))
