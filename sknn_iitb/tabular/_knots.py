"""Linear splines of columns, which the first layer looks up instead of storing them as columns."""

from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import inlined
from sknn_iitb.tabular._lookup import end_of_column, find

__all__ = ["Knots", "add_splines", "gradient_of_splines"]


@kind("Knots")
class Knots(NamedTuple):
    """Knots of linear splines, as :class:`SplineEncoder` has them.

    The value of a knot is `height` where x[column] is equal to its position. It falls linearly to zero at the knots
    beside it, and stays the same beyond the first and the last knot of the column.

    Parameters
    ----------
    column : ndarray of int64, shape (n_knots,)
    position : ndarray of shape (n_knots,)
        Increasing in each column, which has at least two knots.
    slope : ndarray of shape (n_knots,)
        One over the distance to the next knot.
    height : float
    """

    column: np.ndarray
    position: np.ndarray
    slope: np.ndarray
    height: float

    @classmethod
    def at(cls, positions, height):
        """Knots at the positions for each column, which may be none."""
        some = [(j, each) for j, each in enumerate(positions) if len(each) > 1]
        column = [np.full(len(each), j, np.int64) for j, each in some]
        slope = [1 / np.maximum(np.diff(each, append=np.inf), 1e-30) for _, each in some]
        found = column, [each for _, each in some], slope
        return cls(*(np.concatenate([empty, *parts]) for parts, empty in zip(found, _NONE, strict=True)), height)


_NONE = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)


def spline_of(number, knots, before):
    """The value of the knot before a number, and of the next; all others are zero."""
    one = knots.position.dtype.type(1)
    share = (number - knots.position[before]) * knots.slope[before]
    share = share if share < one else one
    share = share if share > 0 else one - one
    return knots.height - knots.height * share, knots.height * share


spline_of = inlined(spline_of)


def add_splines(x, value, knots, factors, weights, memory):
    """Add the products of all knots with their weights to `value`; `memory` has room for two numbers in each row."""
    n_rows, n_out, n_knots = value.shape[0], value.shape[1], len(knots.column)
    first = 0
    while first < n_knots:
        stop = end_of_column(knots.column, first, n_knots)
        # not the last knot, which has no next
        numbers, found = find(x, knots.column[first], knots.position, first, stop - 1, memory)
        for i in range(n_rows):
            b = first + int(found[i])
            left, right = spline_of(numbers[i], knots, b)
            left, right = left * factors[b], right * factors[b + 1]
            for k in range(n_out):
                value[i, k] += left * weights[b, k] + right * weights[b + 1, k]
        first = stop


add_splines = inlined(add_splines)


def gradient_of_splines(x, delta, knots, gradient, memory):
    """Add the products of all knots, transposed, with `delta` to `gradient`."""
    n_rows, n_out, n_knots = delta.shape[0], delta.shape[1], len(knots.column)
    first = 0
    while first < n_knots:
        stop = end_of_column(knots.column, first, n_knots)
        # not the last knot, which has no next
        numbers, found = find(x, knots.column[first], knots.position, first, stop - 1, memory)
        for i in range(n_rows):
            b = first + int(found[i])
            left, right = spline_of(numbers[i], knots, b)
            for k in range(n_out):
                gradient[b, k] += left * delta[i, k]
                gradient[b + 1, k] += right * delta[i, k]
        first = stop


gradient_of_splines = inlined(gradient_of_splines)
