"""Optimizers, which update the parameters from the gradient and a learning rate.

An optimizer is a function ``f(theta, gradient, optimizer_state, hyper, step)`` that updates the flat parameter vector
`theta` in place. `optimizer_state`, of shape (n_state_vectors, theta.size), starts at zero and persists between steps.
`hyper` (float64) holds the hyperparameters. ``step.number`` counts from 1, and ``step.learning_rate`` includes the
schedule. ``step.decay`` is 1 for weights and 0 for biases, for optimizers with decoupled weight decay.

The learning rate and the decay have theta's dtype. Cast values computed in float64 to that dtype; otherwise the whole
loop runs in float64.

A custom optimizer is a function of this form, passed as ``solver=f``; its state has two vectors.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sknn_iitb._jit.identity import digest
from sknn_iitb._registry import Component, Custom, Kernel, Registry

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "Rprop",
]

_FRACTION = [Interval(Real, 0, 1, closed="left")]
_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_BETAS = {"beta_1": _FRACTION, "beta_2": _FRACTION, "epsilon": _POSITIVE}


class Optimizer(Component):
    """Base of the optimizers.

    Attributes
    ----------
    kernel : function or None
        ``kernel(theta, gradient, optimizer_state, hyper, step)``, see the module's docstring; None for lbfgs, which is
        SciPy's.
    n_state_vectors : int
        Number of vectors of the size of theta in the optimizer's state.
    decays : bool
        Whether it reads ``step.decay``.
    full_batch : bool
        Whether ``batch_size="auto"`` means all samples.
    normalizes : bool
        Whether it divides the gradient by its usual size, so that steps become smaller if the gradient is noisier.
    """

    kernel: Kernel | None = None
    n_state_vectors: int = 0
    decays: bool = False
    full_batch: bool = False
    normalizes: bool = False

    @property
    def identity(self) -> str:
        """A key of the state: another optimizer can continue from it only if its key is the same."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


class _CustomOptimizer(Custom, Optimizer):
    """A custom update function."""

    form = "f(theta, gradient, optimizer_state, hyper, step)"
    n_state_vectors = 2
    decays = True

    @property
    def kernel(self) -> Kernel:
        """The user's function."""
        return self.function

    @property
    def identity(self) -> str:
        """A digest of the function's code, which a pickle does not change."""
        return digest(self.function)


OPTIMIZERS: Registry = Registry("solver", Optimizer, _CustomOptimizer)


def _sgd(theta, gradient, optimizer_state, hyper, step):
    eta, momentum, nesterov = step.learning_rate, theta.dtype.type(hyper[0]), hyper[1] != 0
    velocity = optimizer_state[0]
    if nesterov:
        for i in range(theta.size):
            velocity[i] = momentum * velocity[i] - eta * gradient[i]
            theta[i] += momentum * velocity[i] - eta * gradient[i]
    else:
        for i in range(theta.size):
            velocity[i] = momentum * velocity[i] - eta * gradient[i]
            theta[i] += velocity[i]


@OPTIMIZERS.add("sgd")
class SGD(Optimizer):
    """Gradient descent: v <- momentum v - eta g; theta <- theta + v.

    With Nesterov's momentum, theta <- theta + momentum v - eta g, which anticipates the next step along v (Sutskever et
    al., ICML 2013, in the form of Bengio et al., arXiv:1212.0901, eq. 7).

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        Fraction of the velocity v that each update keeps.
    nesterovs_momentum : bool, default=True
        Whether to use Nesterov's momentum.
    """

    kernel: Kernel = staticmethod(_sgd)
    n_state_vectors = 1
    _parameter_constraints = {"momentum": _FRACTION, "nesterovs_momentum": ["boolean"]}

    def __init__(self, momentum: float = 0.9, nesterovs_momentum: bool = True) -> None:
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum

    def hyper(self) -> tuple[float, ...]:
        return self.momentum, self.nesterovs_momentum


def _rmsprop(theta, gradient, optimizer_state, hyper, step):
    f, eta = theta.dtype.type, step.learning_rate
    rho, rest, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1])
    square = optimizer_state[0]
    for i in range(theta.size):
        square[i] = rho * square[i] + rest * gradient[i] * gradient[i]
        theta[i] -= eta * gradient[i] / (np.sqrt(square[i]) + epsilon)


@OPTIMIZERS.add("rmsprop")
class RMSprop(Optimizer):
    """s <- rho s + (1 - rho) g**2; theta <- theta - eta g / (sqrt(s) + epsilon) (Hinton's lecture 6e, 2012).

    Parameters
    ----------
    rho : float in [0, 1), default=0.9
        Decay rate of the running mean s of g**2.
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    """

    kernel: Kernel = staticmethod(_rmsprop)
    n_state_vectors = 1
    normalizes = True
    _parameter_constraints = {"rho": _FRACTION, "epsilon": _POSITIVE}

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-8) -> None:
        self.rho = rho
        self.epsilon = epsilon

    def hyper(self) -> tuple[float, ...]:
        return self.rho, self.epsilon


def _adagrad(theta, gradient, optimizer_state, hyper, step):
    eta, epsilon = step.learning_rate, theta.dtype.type(hyper[0])
    square = optimizer_state[0]
    for i in range(theta.size):
        square[i] += gradient[i] * gradient[i]
        theta[i] -= eta * gradient[i] / (np.sqrt(square[i]) + epsilon)


@OPTIMIZERS.add("adagrad")
class Adagrad(Optimizer):
    """s <- s + g**2; theta <- theta - eta g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer, JMLR 2011).

    Its steps only shrink, so ``learning_rate_init`` is usually 0.01 or more.

    Parameters
    ----------
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    """

    kernel: Kernel = staticmethod(_adagrad)
    n_state_vectors = 1
    normalizes = True
    _parameter_constraints = {"epsilon": _POSITIVE}

    def __init__(self, epsilon: float = 1e-8) -> None:
        self.epsilon = epsilon

    def hyper(self) -> tuple[float, ...]:
        return (self.epsilon,)


def _adadelta(theta, gradient, optimizer_state, hyper, step):
    f, eta = theta.dtype.type, step.learning_rate
    rho, rest, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1])
    square, moved = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        square[i] = rho * square[i] + rest * gradient[i] * gradient[i]
        change = np.sqrt(moved[i] + epsilon) / np.sqrt(square[i] + epsilon) * gradient[i]
        moved[i] = rho * moved[i] + rest * change * change
        theta[i] -= eta * change


@OPTIMIZERS.add("adadelta")
class Adadelta(Optimizer):
    """d = sqrt(u + epsilon) / sqrt(s + epsilon) g, with running means s of g**2 and u of d**2; theta <- theta - eta d.

    (Zeiler, arXiv:1212.5701, algorithm 1.) It finds its own step size: use ``learning_rate_init=1``.

    Parameters
    ----------
    rho : float in [0, 1), default=0.95
        Decay rate of the running means s and u.
    epsilon : float in (0, inf), default=1e-6
        Added to s and u for numerical stability and a nonzero first step.
    """

    kernel: Kernel = staticmethod(_adadelta)
    n_state_vectors = 2
    normalizes = True
    _parameter_constraints = {"rho": _FRACTION, "epsilon": _POSITIVE}

    def __init__(self, rho: float = 0.95, epsilon: float = 1e-6) -> None:
        self.rho = rho
        self.epsilon = epsilon

    def hyper(self) -> tuple[float, ...]:
        return self.rho, self.epsilon


def _adam(theta, gradient, optimizer_state, hyper, step):
    f = theta.dtype.type
    eta = f(step.learning_rate * np.sqrt(1 - hyper[1] ** step.number) / (1 - hyper[0] ** step.number))
    beta_1, rest_1, beta_2, rest_2, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(1 - hyper[1]), f(hyper[2])
    mean, square = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        mean[i] = beta_1 * mean[i] + rest_1 * gradient[i]
        square[i] = beta_2 * square[i] + rest_2 * (gradient[i] * gradient[i])
        theta[i] -= eta * mean[i] / (np.sqrt(square[i]) + epsilon)


@OPTIMIZERS.add("adam")
class Adam(Optimizer):
    """m, s: running means of g and g**2; theta <- theta - eta_t m / (sqrt(s) + epsilon).

    eta_t = eta sqrt(1 - beta_2**t) / (1 - beta_1**t) corrects their bias toward zero (Kingma and Ba, arXiv:1412.6980,
    in the form at the end of section 2, as in scikit-learn).

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the running mean m of g.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the running mean s of g**2.
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    """

    kernel: Kernel = staticmethod(_adam)
    n_state_vectors = 2
    normalizes = True
    _parameter_constraints = _BETAS

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def hyper(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon


def _amsgrad(theta, gradient, optimizer_state, hyper, step):
    f = theta.dtype.type
    eta = f(step.learning_rate * np.sqrt(1 - hyper[1] ** step.number) / (1 - hyper[0] ** step.number))
    beta_1, rest_1, beta_2, rest_2, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(1 - hyper[1]), f(hyper[2])
    mean, square, largest = optimizer_state[0], optimizer_state[1], optimizer_state[2]
    for i in range(theta.size):
        mean[i] = beta_1 * mean[i] + rest_1 * gradient[i]
        square[i] = beta_2 * square[i] + rest_2 * (gradient[i] * gradient[i])
        largest[i] = max(largest[i], square[i])
        theta[i] -= eta * mean[i] / (np.sqrt(largest[i]) + epsilon)


@OPTIMIZERS.add("amsgrad")
class AMSGrad(Adam):
    """Adam with the largest s so far instead of s (Reddi, Kale and Kumar, arXiv:1904.09237, algorithm 2).

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the running mean m of g.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the running mean s of g**2.
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    """

    kernel: Kernel = staticmethod(_amsgrad)
    n_state_vectors = 3


def _adamax(theta, gradient, optimizer_state, hyper, step):
    f = theta.dtype.type
    eta = f(step.learning_rate / (1 - hyper[0] ** step.number))
    beta_1, rest_1, beta_2, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(hyper[2])
    mean, norm = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        mean[i] = beta_1 * mean[i] + rest_1 * gradient[i]
        norm[i] = max(beta_2 * norm[i], abs(gradient[i]) + epsilon)
        theta[i] -= eta * mean[i] / norm[i]


@OPTIMIZERS.add("adamax")
class Adamax(Adam):
    """u <- max(beta_2 u, abs(g) + epsilon); theta <- theta - eta / (1 - beta_1**t) m / u.

    (Kingma and Ba, arXiv:1412.6980, algorithm 2.)

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the running mean m of g.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the norm u.
    epsilon : float in (0, inf), default=1e-8
        Added to abs(g) for numerical stability.
    """

    kernel: Kernel = staticmethod(_adamax)


def _nadam(theta, gradient, optimizer_state, hyper, step):
    f = theta.dtype.type
    eta_mean = f(step.learning_rate * hyper[0] / (1 - hyper[0] ** (step.number + 1)))
    eta_gradient = f(step.learning_rate * (1 - hyper[0]) / (1 - hyper[0] ** step.number))
    unbias = f(1 / (1 - hyper[1] ** step.number))
    beta_1, rest_1, beta_2, rest_2, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(1 - hyper[1]), f(hyper[2])
    mean, square = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        mean[i] = beta_1 * mean[i] + rest_1 * gradient[i]
        square[i] = beta_2 * square[i] + rest_2 * (gradient[i] * gradient[i])
        theta[i] -= (eta_mean * mean[i] + eta_gradient * gradient[i]) / (np.sqrt(square[i] * unbias) + epsilon)


@OPTIMIZERS.add("nadam")
class NAdam(Adam):
    """Adam with Nesterov's momentum: m becomes beta_1 m / (1 - beta_1**(t+1)) + (1 - beta_1) g / (1 - beta_1**t).

    (Dozat, ICLR workshop 2016, algorithm 2 with a constant beta_1.)

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the running mean m of g.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the running mean s of g**2.
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    """

    kernel: Kernel = staticmethod(_nadam)


def _adamw(theta, gradient, optimizer_state, hyper, step):
    f = theta.dtype.type
    eta = f(step.learning_rate / (1 - hyper[0] ** step.number))
    unbias = f(1 / (1 - hyper[1] ** step.number))
    keep = f(1 - step.learning_rate * step.decay * hyper[3])
    beta_1, rest_1, beta_2, rest_2, epsilon = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(1 - hyper[1]), f(hyper[2])
    mean, square = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        mean[i] = beta_1 * mean[i] + rest_1 * gradient[i]
        square[i] = beta_2 * square[i] + rest_2 * (gradient[i] * gradient[i])
        theta[i] = keep * theta[i] - eta * mean[i] / (np.sqrt(square[i] * unbias) + epsilon)


@OPTIMIZERS.add("adamw")
class AdamW(Optimizer):
    """Adam plus theta <- theta - eta weight_decay theta, for weights and not for biases.

    (Loshchilov and Hutter, arXiv:1711.05101, algorithm 2.) Unlike the penalty `alpha`, the decay is not scaled like the
    gradient. The two add up, so set ``alpha=0`` to use the decay alone.

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the running mean m of g.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the running mean s of g**2.
    epsilon : float in (0, inf), default=1e-8
        Added to the denominator for numerical stability.
    weight_decay : float in [0, inf), default=0.01
        Strength of the weight decay.
    """

    kernel: Kernel = staticmethod(_adamw)
    n_state_vectors = 2
    normalizes = True
    decays = True
    _parameter_constraints = {**_BETAS, "weight_decay": _NOT_NEGATIVE}

    def __init__(
        self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.01
    ) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def hyper(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon, self.weight_decay


def _lion(theta, gradient, optimizer_state, hyper, step):
    f, eta = theta.dtype.type, step.learning_rate
    zero, keep = f(0), f(1 - eta * step.decay * hyper[2])
    beta_1, rest_1, beta_2, rest_2 = f(hyper[0]), f(1 - hyper[0]), f(hyper[1]), f(1 - hyper[1])
    mean = optimizer_state[0]
    for i in range(theta.size):
        direction = beta_1 * mean[i] + rest_1 * gradient[i]
        change = eta if direction > zero else (-eta if direction < zero else direction)
        theta[i] = keep * theta[i] - change
        mean[i] = beta_2 * mean[i] + rest_2 * gradient[i]


@OPTIMIZERS.add("lion")
class Lion(Optimizer):
    """theta <- theta - eta (sign(beta_1 m + (1 - beta_1) g) + weight_decay theta); m <- beta_2 m + (1 - beta_2) g.

    (Chen et al., arXiv:2302.06675, algorithm 2.) Every weight moves by eta: use about a third of Adam's learning rate.

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
        Weight of m in the update's direction, in which g has the weight 1 - beta_1.
    beta_2 : float in [0, 1), default=0.99
        Decay rate of the running mean m of g.
    weight_decay : float in [0, inf), default=0.0
        Strength of the weight decay.
    """

    kernel: Kernel = staticmethod(_lion)
    n_state_vectors = 1
    normalizes = True
    decays = True
    _parameter_constraints = {"beta_1": _FRACTION, "beta_2": _FRACTION, "weight_decay": _NOT_NEGATIVE}

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float = 0.0) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.weight_decay = weight_decay

    def hyper(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.weight_decay


def _rprop(theta, gradient, optimizer_state, hyper, step):
    f, eta = theta.dtype.type, step.learning_rate
    zero, one, shrink, grow = f(0), f(1), f(hyper[0]), f(hyper[1])
    # step sizes are in units of the learning rate, so schedules act on them
    smallest, largest = f(hyper[2] / eta if eta > 0 else 0), f(hyper[3] / eta if eta > 0 else 1)
    previous, size = optimizer_state[0], optimizer_state[1]
    for i in range(theta.size):
        agreement = previous[i] * gradient[i]
        factor = grow if agreement > zero else (shrink if agreement < zero else one)
        size[i] = one if step.number == 1 else min(max(size[i] * factor, smallest), largest)
        slope = zero if agreement < zero else gradient[i]
        change = size[i] if slope > zero else (-size[i] if slope < zero else slope)
        theta[i] -= eta * change
        previous[i] = slope


@OPTIMIZERS.add("rprop")
class Rprop(Optimizer):
    """Steps by the sign of the gradient; a weight's step grows while its sign persists and shrinks when it flips.

    This is iRprop-, without weight backtracking (Igel and Hüsken, Neurocomputing 50, 2003). The first step equals the
    learning rate. Signs of single batches are noise, so ``batch_size="auto"`` means all samples.

    Parameters
    ----------
    shrink : float in (0, 1), default=0.5
        Factor of the step size when the sign flips.
    grow : float in (1, inf), default=1.2
        Factor of the step size while the sign persists.
    min_step : float in (0, inf), default=1e-6
        Minimum step size.
    max_step : float in (0, inf), default=50.0
        Maximum step size.
    """

    kernel: Kernel = staticmethod(_rprop)
    n_state_vectors = 2
    full_batch = True
    _parameter_constraints = {
        "shrink": [Interval(Real, 0, 1, closed="neither")],
        "grow": [Interval(Real, 1, None, closed="neither")],
        "min_step": _POSITIVE,
        "max_step": _POSITIVE,
    }

    def __init__(self, shrink: float = 0.5, grow: float = 1.2, min_step: float = 1e-6, max_step: float = 50.0) -> None:
        self.shrink = shrink
        self.grow = grow
        self.min_step = min_step
        self.max_step = max_step

    def hyper(self) -> tuple[float, ...]:
        return self.shrink, self.grow, self.min_step, self.max_step


@OPTIMIZERS.add("lbfgs")
class LBFGS(Optimizer):
    """SciPy's L-BFGS-B on all samples (Liu and Nocedal, Mathematical Programming 45, 1989).

    Parameters
    ----------
    memory : int in [1, inf), default=10
        Number of corrections that approximate the Hessian (SciPy's ``maxcor``).
    """

    _parameter_constraints = {"memory": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, memory: int = 10) -> None:
        self.memory = memory
