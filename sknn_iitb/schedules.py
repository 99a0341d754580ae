"""Schedules, which change the learning rate during training; they work with every optimizer.

The learning rate of an update is ``learning_rate_init / divisor * factor``. The *factor* is a pure function of the
update's number, computed for many updates at once (:meth:`Schedule.factors`); most schedules define nothing else. The
*divisor* starts at 1. Schedules that react to the course of training change it between epochs.

A custom schedule is a plain function ``f(step, n_steps)``, passed as ``learning_rate=f``. It takes the numbers of the
updates, from 0, as an int64 array, and the total number of updates, and returns the factors.
"""

import math
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from sknn_iitb._registry import Component, Custom, Kernel, Registry

__all__ = [
    "SCHEDULES",
    "Adaptive",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Coslog",
    "Exponential",
    "InvScaling",
    "InverseTime",
    "Linear",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Schedule",
    "StepDecay",
    "WarmUp",
]

_FRACTION = [Interval(Real, 0, 1, closed="both")]
_FACTOR = [Interval(Real, 0, 1, closed="neither")]
_CYCLES = [Interval(Integral, 1, 1000, closed="both")]


class Schedule(Component):
    """Base of the schedules: a constant factor and divisor.

    Attributes
    ----------
    ends : bool
        Whether the learning rate decays until the last planned update: reaching it is not a failure to converge.
    """

    ends: bool = False

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """The factor of each update.

        Parameters
        ----------
        step : ndarray of int64
            Numbers of updates, from 0 to ``n_steps - 1``.
        n_steps : int
            Number of updates of the planned training.
        steps_per_epoch : int

        Returns
        -------
        factors : ndarray of float64, shape of step
        """
        return np.ones(len(step))

    def after_epoch(self, divisor: float, n_samples: int, stalled: int) -> float:
        """The divisor of the learning rate in the next epoch.

        Parameters
        ----------
        divisor : float
            The current divisor, initially 1.
        n_samples : int
            Samples seen so far, in all epochs.
        stalled : int
            Consecutive epochs without an improvement of tol.

        Returns
        -------
        divisor : float
            The divisor in the next epoch.
        """
        return divisor

    def instead_of_stopping(self, divisor: float, learning_rate: float) -> float | None:
        """A new divisor to continue with when training would stop, or None to stop."""


class _CustomSchedule(Custom, Schedule):
    """A custom function of the update's number."""

    form = "f(step, n_steps)"

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        try:
            returned = self.function(step, n_steps)
        except (TypeError, ValueError):  # written for one number at a time
            returned = [self.function(int(s), n_steps) for s in step]
        try:
            factors = np.asarray(returned, dtype=np.float64)
        except (TypeError, ValueError):
            factors = np.array(np.nan)
        if factors.shape not in ((), step.shape) or not np.all(np.isfinite(factors)) or np.any(factors < 0):
            raise ValueError(
                f"learning_rate={self.function.__name__}: a schedule must return finite factors >= 0, one for each "
                f"step, got {returned!r}."
            )
        return np.broadcast_to(factors, step.shape)


SCHEDULES: Registry = Registry("learning_rate", Schedule, _CustomSchedule)


@SCHEDULES.add("constant")
class Constant(Schedule):
    """The learning rate stays constant."""


@SCHEDULES.add("invscaling")
class InvScaling(Schedule):
    """learning_rate_init / (t + 1)**power_t after t samples; updated after each epoch, as in scikit-learn.

    Parameters
    ----------
    power_t : float in [0, inf), default=0.5
        Exponent of the decay.
    """

    _parameter_constraints = {"power_t": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, power_t: float = 0.5) -> None:
        self.power_t = power_t

    def after_epoch(self, divisor: float, n_samples: int, stalled: int) -> float:
        with np.errstate(over="ignore"):  # the learning rate is zero then
            return float(np.power(float(n_samples + 1), self.power_t))


@SCHEDULES.add("adaptive")
class Adaptive(Schedule):
    """Divides the learning rate by 5 each time training would stop, down to 1e-6, as in scikit-learn."""

    def instead_of_stopping(self, divisor: float, learning_rate: float) -> float | None:
        return divisor * 5 if learning_rate > 1e-6 else None


@SCHEDULES.add("step")
class StepDecay(Schedule):
    """factor**(epoch // every).

    Parameters
    ----------
    factor : float in (0, 1), default=0.1
        Factor per step.
    every : int in [1, inf) or None, default=None
        Number of epochs per step. None uses a third of the epochs.
    """

    _parameter_constraints = {"factor": _FACTOR, "every": [Interval(Integral, 1, None, closed="left"), None]}

    def __init__(self, factor: float = 0.1, every: int | None = None) -> None:
        self.factor = factor
        self.every = every

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        every = math.ceil(n_steps / steps_per_epoch / 3) if self.every is None else self.every
        return np.power(float(self.factor), step // steps_per_epoch // every)


@SCHEDULES.add("exponential")
class Exponential(Schedule):
    """factor**epoch.

    Parameters
    ----------
    factor : float in (0, 1) or None, default=None
        Factor per epoch. With None, the learning rate falls to a hundredth during training.
    """

    _parameter_constraints = {"factor": [*_FACTOR, None]}

    def __init__(self, factor: float | None = None) -> None:
        self.factor = factor

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        factor = 0.01 ** (1 / (n_steps / steps_per_epoch)) if self.factor is None else float(self.factor)
        return np.power(factor, step // steps_per_epoch)


@SCHEDULES.add("inverse_time")
class InverseTime(Schedule):
    """1 / (1 + decay * epoch).

    Parameters
    ----------
    decay : float in [0, inf) or None, default=None
        Decay rate per epoch. With None, the learning rate falls to a tenth during training.
    """

    _parameter_constraints = {"decay": [Interval(Real, 0, None, closed="left"), None]}

    def __init__(self, decay: float | None = None) -> None:
        self.decay = decay

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        decay = 9 / (n_steps / steps_per_epoch) if self.decay is None else self.decay
        return 1 / (1 + decay * (step // steps_per_epoch))


@SCHEDULES.add("polynomial")
class Polynomial(Schedule):
    """end + (1 - end) * (1 - t)**power after a fraction t of training.

    Parameters
    ----------
    power : float in (0, inf), default=2.0
        Exponent of the decay; 1 is linear.
    end : float in [0, 1], default=0.0
        Factor at the end of training.
    """

    ends = True
    _parameter_constraints = {"power": [Interval(Real, 0, None, closed="neither")], "end": _FRACTION}

    def __init__(self, power: float = 2.0, end: float = 0.0) -> None:
        self.power = power
        self.end = end

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        return self.end + (1 - self.end) * (1 - step / n_steps) ** self.power


@SCHEDULES.add("linear")
class Linear(Schedule):
    """end + (1 - end) * (1 - t) after a fraction t of training.

    Parameters
    ----------
    end : float in [0, 1], default=0.0
        Factor at the end of training.
    """

    ends = True
    _parameter_constraints = {"end": _FRACTION}

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        return self.end + (1 - self.end) * (1 - step / n_steps)


@SCHEDULES.add("cosine")
class Cosine(Schedule):
    """end + (1 - end) * (1 + cos(pi t)) / 2 after a fraction t of training (arXiv:1608.03983).

    Parameters
    ----------
    end : float in [0, 1], default=0.0
        Factor at the end of training.
    """

    ends = True
    _parameter_constraints = {"end": _FRACTION}

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        return self.end + (1 - self.end) * (1 + np.cos(np.pi * (step / n_steps))) / 2


@SCHEDULES.add("cosine_restarts")
class CosineRestarts(Schedule):
    """`cycles` cosine descents, each `growth` times as long as the previous one (SGDR, arXiv:1608.03983, eq. 5).

    Parameters
    ----------
    cycles : int in [1, 1000], default=4
        Number of cycles.
    growth : float in [1, inf), default=1.0
        Length of a cycle relative to the previous one.
    """

    ends = True
    _parameter_constraints = {
        "cycles": _CYCLES,
        "growth": [Interval(Real, 1, None, closed="left")],
    }

    def __init__(self, cycles: int = 4, growth: float = 1.0) -> None:
        self.cycles = cycles
        self.growth = growth

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        ends = np.cumsum(float(self.growth) ** np.arange(self.cycles))
        ends = np.concatenate([[0.0], ends / ends[-1]])
        t = step / n_steps
        cycle = np.searchsorted(ends, t, side="right") - 1
        return (1 + np.cos(np.pi * (t - ends[cycle]) / (ends[cycle + 1] - ends[cycle]))) / 2


@SCHEDULES.add("one_cycle")
class OneCycle(Schedule):
    """Rises from start to 1 in the first fraction `rise` of training, then falls to end, both along a cosine.

    ``learning_rate_init`` is the peak (Smith and Topin, arXiv:1708.07120).

    Parameters
    ----------
    rise : float in (0, 1), default=0.3
        Fraction of training in which the learning rate rises.
    start : float in [0, 1], default=0.04
        Factor at the start of training.
    end : float in [0, 1], default=1e-4
        Factor at the end of training.
    """

    ends = True
    _parameter_constraints = {"rise": _FACTOR, "start": _FRACTION, "end": _FRACTION}

    def __init__(self, rise: float = 0.3, start: float = 0.04, end: float = 1e-4) -> None:
        self.rise = rise
        self.start = start
        self.end = end

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        t = step / n_steps
        up = self.start + (1 - self.start) * (1 - np.cos(np.pi * t / self.rise)) / 2
        down = self.end + (1 - self.end) * (1 + np.cos(np.pi * (t - self.rise) / (1 - self.rise))) / 2
        return np.where(t < self.rise, up, down)


@SCHEDULES.add("coslog")
class Coslog(Schedule):
    """(1 - cos(2 pi log2(1 + (2**cycles - 1) t))) / 2: cycles that double in length (arXiv:2407.04491, section 3).

    Parameters
    ----------
    cycles : int in [1, 1000], default=4
        Number of cycles.
    """

    ends = True
    _parameter_constraints = {"cycles": _CYCLES}

    def __init__(self, cycles: int = 4) -> None:
        self.cycles = cycles

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        return (1 - np.cos(2 * np.pi * np.log2(1 + (2**self.cycles - 1) * (step / n_steps)))) / 2


@SCHEDULES.add("plateau")
class Plateau(Schedule):
    """Multiplies the learning rate by `factor` after every `patience` consecutive epochs without an improvement of tol.

    Choose `patience` below ``n_iter_no_change``, which stops training.

    Parameters
    ----------
    factor : float in (0, 1), default=0.5
        Factor of the learning rate at a plateau.
    patience : int in [1, inf), default=4
        Number of consecutive epochs without an improvement that make a plateau.
    """

    _parameter_constraints = {"factor": _FACTOR, "patience": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, factor: float = 0.5, patience: int = 4) -> None:
        self.factor = factor
        self.patience = patience

    def after_epoch(self, divisor: float, n_samples: int, stalled: int) -> float:
        return divisor / self.factor if stalled and stalled % self.patience == 0 else divisor


@SCHEDULES.add()
class WarmUp(Schedule):
    """Raises the learning rate of another schedule linearly from near zero at first.

    Parameters
    ----------
    schedule : str, Schedule or callable, default="constant"
        The schedule to warm up.
    duration : float in (0, 1) or int in [1, inf), default=0.05
        A float is a fraction of training, an int a number of updates.
    """

    _parameter_constraints = {
        "schedule": SCHEDULES.constraint(),
        "duration": [Interval(Integral, 1, None, closed="left"), Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(self, schedule: str | Schedule | Kernel = "constant", duration: float = 0.05) -> None:
        self.schedule = schedule
        self.duration = duration

    def factors(self, step: NDArray[np.int64], n_steps: int, steps_per_epoch: int) -> NDArray[np.float64]:
        whole = isinstance(self.duration, Integral)
        n_warm = self.duration if whole else max(1, round(self.duration * n_steps))
        return np.minimum(1.0, (step + 1) / n_warm) * self._inner().factors(step, n_steps, steps_per_epoch)

    def after_epoch(self, divisor: float, n_samples: int, stalled: int) -> float:
        return self._inner().after_epoch(divisor, n_samples, stalled)

    def instead_of_stopping(self, divisor: float, learning_rate: float) -> float | None:
        return self._inner().instead_of_stopping(divisor, learning_rate)

    @property
    def ends(self) -> bool:
        """Whether the inner schedule decays until the last planned update."""
        return self._inner().ends

    def validate(self) -> None:
        super().validate()
        self._inner()

    def _inner(self):
        return SCHEDULES.resolve(self.schedule)
