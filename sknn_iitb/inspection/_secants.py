"""Functions with exact differences: how much of the change of an output is due to each input.

A step is a function of the values at all points of some lines, of shape (n_points, n_rows, n_inputs). It returns what
becomes of them, and a function that pulls multipliers back: given m, of shape (..., n_points - 1, n_rows, n_outputs),
such that ``m . change`` between neighbouring points is equal to the change of some quantity, it returns those of the
inputs. In the limit of close points the multipliers are derivatives.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special

from sknn_iitb._engine.layers.layer_norm import EPSILON
from sknn_iitb._typing import Array
from sknn_iitb.inspection._units import values_and_slopes

__all__ = [
    "Pull",
    "Step",
    "activate",
    "clip",
    "grouped",
    "layer_norm",
    "linear",
    "logistic",
    "normalized_logistic",
    "softmax",
    "tempered",
    "through",
]

Pull = Callable[[Array], Array]
Step = Callable[[Array], tuple[Array, Pull]]

# for shorter changes, derivatives replace the secants
_CLOSE = 1e-9


def through(steps: Sequence[Step], points: Array) -> tuple[Array, Pull]:
    """One step after the other."""
    pulls = []
    for step in steps:
        points, pull = step(points)
        pulls.append(pull)

    def pull_all(m):
        for pull in reversed(pulls):
            m = pull(m)
        return m

    return points, pull_all


def linear(weights: Array, biases: Array | float = 0.0) -> Step:
    """``x W + b``."""
    return lambda points: (points @ weights + biases, lambda m: m @ weights.T)


def elementwise(values_and_derivatives: Callable[[Array], tuple[Array, Array]]) -> Step:
    """A function of each element, given with its derivative."""

    def step(points):
        values, derivatives = values_and_derivatives(points)
        slopes = _secants(points, values, derivatives)
        return values, lambda m: m * slopes

    return step


def _secants(points, values, derivatives):
    """``(f(b) - f(a)) / (b - a)`` of neighbours, or the mean derivative where they are too close."""
    apart = np.diff(points, axis=0)
    close = np.flatnonzero(abs(apart) <= _CLOSE)
    apart.flat[close] = 1
    slopes = np.diff(values, axis=0) / apart
    slopes.flat[close] = (derivatives[:-1].flat[close] + derivatives[1:].flat[close]) / 2
    return slopes


def activate(activation: Any) -> Step:
    """The activation of a layer."""
    if activation.function is None:
        return softmax

    def both(z):
        found = values_and_slopes(activation, z.reshape(-1, z.shape[-1]))
        return [each.reshape(z.shape) for each in found]

    return elementwise(both)


def clip(low: Array, high: Array) -> Step:
    """Limits of each column."""
    return elementwise(lambda z: (np.clip(z, low, high), ((z >= low) & (z <= high)).astype(z.dtype)))


def _logistic(z):
    p = scipy.special.expit(z)
    return p, p * scipy.special.expit(-z)


logistic = elementwise(_logistic)


def softmax(points: Array) -> tuple[Array, Pull]:
    """The softmax of each row: ``e / sum(e)`` with ``e = exp(z - c)``, for any c that neighbours share."""
    shift = np.maximum(points[:-1], points[1:]).max(axis=-1, keepdims=True)
    a, b = np.exp(points[:-1] - shift), np.exp(points[1:] - shift)
    apart = points[1:] - points[:-1]
    close = abs(apart) <= _CLOSE
    slopes = np.where(close, (a + b) / 2, (b - a) / np.where(close, 1, apart))
    sum_a, sum_b = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    # a product changes by the mean of one factor times the change of the other
    mean, factor, slope_of_factor = (a + b) / 2, (1 / sum_a + 1 / sum_b) / 2, -1 / (sum_a * sum_b)

    def pull(m):
        return (m * factor + (m * mean).sum(axis=-1, keepdims=True) * slope_of_factor) * slopes

    return scipy.special.softmax(points, axis=-1), pull


def normalized_logistic(points: Array) -> tuple[Array, Pull]:
    """Logistic functions divided by their sum: the probabilities of one-vs-rest outputs."""
    return through([elementwise(lambda z: (scipy.special.log_expit(z), scipy.special.expit(-z))), softmax], points)


def grouped(step: Step, groups: Array) -> Step:
    """A step for each group of columns."""

    def step_of_all(points):
        found, pulls = zip(*map(step, np.split(points, groups[1:-1], axis=-1)), strict=True)

        def pull(m):
            parts = np.split(m, groups[1:-1], axis=-1)
            return np.concatenate([each(part) for each, part in zip(pulls, parts, strict=True)], axis=-1)

        return np.concatenate(found, axis=-1), pull

    return step_of_all


def tempered(temperature: float, least: float, multilabel: bool) -> Sequence[Step]:
    """Probabilities of which the scores are divided by a temperature."""
    if temperature == 1:
        return []

    def scores(p):
        inside = np.clip(p, least, 1 - least)
        if multilabel:
            return scipy.special.logit(inside) / temperature, 1 / (temperature * inside * (1 - inside))
        return np.log(inside) / temperature, 1 / (temperature * inside)

    return [elementwise(scores), logistic if multilabel else softmax]


def layer_norm(scales: Array, biases: Array) -> Step:
    """Layer normalization, with a learned scale and bias for each unit."""

    def step(points):
        deviation = points - points.mean(axis=-1, keepdims=True)
        variance = np.mean(deviation**2, axis=-1, keepdims=True)
        factor = (variance + EPSILON) ** -0.5
        slope = _secants(variance, factor, -0.5 * (variance + EPSILON) ** -1.5)
        # a product changes by the mean of one factor times the change of the other
        mean_deviation, mean_factor = ((each[:-1] + each[1:]) / 2 for each in (deviation, factor))

        def pull(m):
            m = m * scales
            of_variance = (m * mean_deviation).sum(axis=-1, keepdims=True) * slope
            of_deviation = m * mean_factor + of_variance * 2 * mean_deviation / points.shape[-1]
            return of_deviation - of_deviation.mean(axis=-1, keepdims=True)

        return scales * deviation * factor + biases, pull

    return step
