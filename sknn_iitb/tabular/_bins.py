"""Bins of columns, which the first layer looks up instead of storing them as columns."""

from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import inlined, matrix_at, vector_at
from sknn_iitb.tabular._lookup import end_of_column, find

__all__ = ["Bins", "add_bins", "gradient_of_bins"]


@kind("Bins")
class Bins(NamedTuple):
    """Bins of the ranges of columns, as :class:`PiecewiseLinearEncoder` has them.

    The value of a bin is ``2 clip((x[column] - start) * slope, 0, 1) - 1``.

    Parameters
    ----------
    column : ndarray of int64, shape (n_bins,)
    start, slope : ndarray of shape (n_bins,)
    """

    column: np.ndarray
    start: np.ndarray
    slope: np.ndarray

    @classmethod
    def between(cls, edges):
        """Bins between the edges of each column; none for a column with a single bin, because that is the column."""
        several = [(j, ends) for j, ends in enumerate(edges) if len(ends) > 2]
        column = [np.full(len(ends) - 1, j, np.int64) for j, ends in several]
        slope = [1 / np.maximum(np.diff(ends), 1e-30) for _, ends in several]
        found = column, [ends[:-1] for _, ends in several], slope
        return cls(*(np.concatenate([empty, *parts]) for parts, empty in zip(found, _NONE, strict=True)))


_NONE = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)


def height(number, starts, slopes, which):
    """The value of a bin."""
    one = starts.dtype.type(1)
    share = (number - starts[which]) * slopes[which]
    share = share if share < one else one
    return share + share - one if share > 0 else -one


height = inlined(height)


def add_bins(x, value, bins, factors, weights, memory):
    """Add the products of all bins with their weights to `value`.

    A number lies in one bin of its column, and all other bins are 1 or -1. So for each column a row needs the sum over
    the other bins, which all rows share, and its own bin: two multiplications per column and neuron, no matter how many
    bins there are. `memory` has room for a column's bins in each row.
    """
    columns, starts, slopes = bins
    n_rows, n_out, n_bins = value.shape[0], value.shape[1], len(columns)
    first = 0
    while first < n_bins:
        stop = end_of_column(columns, first, n_bins)
        if n_rows < n_out:
            for i in range(n_rows):
                for b in range(first, stop):
                    share = factors[b] * height(x[i, columns[first]], starts, slopes, b)
                    for k in range(n_out):
                        value[i, k] += share * weights[b, k]
        else:
            # sums over all bins except the one that contains the number
            sums = matrix_at(memory, 0, stop - first, n_out)
            sums[0] = 0
            for b in range(first + 1, stop):
                before, now = factors[b - 1], factors[b]
                for k in range(n_out):
                    sums[0, k] -= now * weights[b, k]
                    sums[b - first, k] = before * weights[b - 1, k] + now * weights[b, k]
            for b in range(1, stop - first):
                for k in range(n_out):
                    sums[b, k] += sums[b - 1, k]
            rest = vector_at(memory, (stop - first) * n_out, 2 * n_rows)
            numbers, found = find(x, columns[first], starts, first, stop, rest)
            for i in range(n_rows):
                which = int(found[i])
                share = factors[first + which] * height(numbers[i], starts, slopes, first + which)
                for k in range(n_out):
                    value[i, k] += sums[which, k] + share * weights[first + which, k]
        first = stop


add_bins = inlined(add_bins)


def gradient_of_bins(x, delta, bins, gradient, memory):
    """Add the products of all bins, transposed, with `delta` to `gradient`."""
    columns, starts, slopes = bins
    n_rows, n_out, n_bins = delta.shape[0], delta.shape[1], len(columns)
    first = 0
    while first < n_bins:
        stop = end_of_column(columns, first, n_bins)
        if n_rows < n_out:
            for i in range(n_rows):
                for b in range(first, stop):
                    share = height(x[i, columns[first]], starts, slopes, b)
                    for k in range(n_out):
                        gradient[b, k] += share * delta[i, k]
        else:
            # the sums of delta over the numbers that lie in each bin
            sums = matrix_at(memory, 0, stop - first, n_out)
            sums[:] = 0
            rest = vector_at(memory, (stop - first) * n_out, 2 * n_rows)
            numbers, found = find(x, columns[first], starts, first, stop, rest)
            for i in range(n_rows):
                which = int(found[i])
                share = height(numbers[i], starts, slopes, first + which)
                for k in range(n_out):
                    sums[which, k] += delta[i, k]
                    gradient[first + which, k] += share * delta[i, k]
            last = stop - first - 1
            for b in range(1, last + 1):
                for k in range(n_out):
                    sums[b, k] += sums[b - 1, k]
            for b in range(last + 1):
                for k in range(n_out):
                    above = sums[last, k] - sums[b, k]
                    gradient[first + b, k] += above - (sums[b - 1, k] if b > 0 else above * 0)
        first = stop


gradient_of_bins = inlined(gradient_of_bins)
