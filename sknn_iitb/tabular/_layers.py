"""The first layer of a network for tables."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.layers import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.parameters import native
from sknn_iitb._jit.intrinsics import address, array_at, inlined, matmul, matmul_tn, matrix_at, vector_at

__all__ = ["Bins", "ScaledDense"]


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
        """Bins between the edges of each column; None if no column has several, because a single bin is the column."""
        several = [(j, ends) for j, ends in enumerate(edges) if len(ends) > 2]
        if not several:
            return None
        column = np.concatenate([np.full(len(ends) - 1, j) for j, ends in several])
        start = np.concatenate([ends[:-1] for _, ends in several])
        slope = np.concatenate([1 / np.maximum(np.diff(ends), 1e-30) for _, ends in several])
        return cls(column, start, slope)


_columns_at = array_at(np.dtype(np.int64))
_NO_COLUMNS = np.zeros(1, np.int64)


def end_of_column(columns, first, n_bins):
    """Index after the last bin of the column of `first`."""
    stop = first + 1
    while stop < n_bins and columns[stop] == columns[first]:
        stop += 1
    return stop


end_of_column = inlined(end_of_column)


def bin_of(number, hyper, first, stop):
    """The bin of a column that contains a number; all before it are 1, and all after it -1."""
    found = first
    for b in range(first + 1, stop):
        found += number > hyper[b]
    return found


bin_of = inlined(bin_of)


def height(number, hyper, which, n_bins):
    """The value of a bin."""
    one = hyper.dtype.type(1)
    share = (number - hyper[which]) * hyper[n_bins + which]
    share = share if share < one else one
    return share + share - one if share > 0 else -one


height = inlined(height)


def scaled_dense_forward(x, value, cache, layer, theta, batch):
    weights_start, factors_start, column_address, n_bins = layer.own[0], layer.own[1], layer.own[2], layer.own[3]
    n_rows, n_columns, n_out, hyper = value.shape[0], layer.n_in, value.shape[1], layer.hyper
    factors, columns = vector_at(theta, factors_start, n_columns + n_bins), _columns_at(column_address, n_bins)
    weights = matrix_at(theta, weights_start, n_columns + n_bins, n_out)
    scaled = matrix_at(cache, 0, n_rows, n_columns)
    for i in range(n_rows):
        for j in range(n_columns):
            scaled[i, j] = factors[j] * x[i, j]
    matmul(scaled, matrix_at(theta, weights_start, n_columns, n_out), value)
    first = 0
    while first < n_bins:
        stop = end_of_column(columns, first, n_bins)
        if n_rows < n_out:
            for i in range(n_rows):
                for b in range(first, stop):
                    share = factors[n_columns + b] * height(x[i, columns[first]], hyper, b, n_bins)
                    for k in range(n_out):
                        value[i, k] += share * weights[n_columns + b, k]
        else:
            # sums over all bins except the one that contains the number
            others = matrix_at(cache, n_rows * n_columns, stop - first, n_out)
            others[0] = 0
            for b in range(first + 1, stop):
                before, now = factors[n_columns + b - 1], factors[n_columns + b]
                for k in range(n_out):
                    others[0, k] -= now * weights[n_columns + b, k]
                    others[b - first, k] = before * weights[n_columns + b - 1, k] + now * weights[n_columns + b, k]
            for b in range(1, stop - first):
                for k in range(n_out):
                    others[b, k] += others[b - 1, k]
            for i in range(n_rows):
                number = x[i, columns[first]]
                which = bin_of(number, hyper, first, stop)
                share = factors[n_columns + which] * height(number, hyper, which, n_bins)
                for k in range(n_out):
                    value[i, k] += others[which - first, k] + share * weights[n_columns + which, k]
        first = stop


def scaled_dense_backward(x, delta, cache, layer, theta, batch):
    weights_start, factors_start, column_address, n_bins = layer.own[0], layer.own[1], layer.own[2], layer.own[3]
    n_rows, n_columns, n_out, hyper = delta.shape[0], layer.n_in, delta.shape[1], layer.hyper
    n_in = n_columns + n_bins
    factors, columns = vector_at(theta, factors_start, n_in), _columns_at(column_address, n_bins)
    weights = matrix_at(theta, weights_start, n_in, n_out)
    slopes = matrix_at(batch.gradient, weights_start, n_in, n_out)
    # first the slopes of s W
    matmul_tn(x, delta, matrix_at(batch.gradient, weights_start, n_columns, n_out))
    slopes[n_columns:] = 0
    first = 0
    while first < n_bins:
        stop = end_of_column(columns, first, n_bins)
        if n_rows < n_out:
            for i in range(n_rows):
                for b in range(first, stop):
                    share = height(x[i, columns[first]], hyper, b, n_bins)
                    for k in range(n_out):
                        slopes[n_columns + b, k] += share * delta[i, k]
        else:
            # the sums of delta over the numbers that lie in each bin
            sums = matrix_at(cache, n_rows * n_columns, stop - first, n_out)
            sums[:] = 0
            for i in range(n_rows):
                number = x[i, columns[first]]
                which = bin_of(number, hyper, first, stop)
                share = height(number, hyper, which, n_bins)
                for k in range(n_out):
                    sums[which - first, k] += delta[i, k]
                    slopes[n_columns + which, k] += share * delta[i, k]
            last = stop - first - 1
            for b in range(1, last + 1):
                for k in range(n_out):
                    sums[b, k] += sums[b - 1, k]
            for b in range(last + 1):
                for k in range(n_out):
                    above = sums[last, k] - sums[b, k]
                    slopes[n_columns + first + b, k] += above - (sums[b - 1, k] if b > 0 else above * 0)
        first = stop
    of_factors = vector_at(batch.gradient, factors_start, n_in)
    for p in range(n_in):
        total = theta.dtype.type(0)
        for k in range(n_out):
            total += weights[p, k] * slopes[p, k]
            slopes[p, k] *= factors[p]
        of_factors[p] = total


@dataclass(frozen=True)
class ScaledDense(Layer):
    """``(s [x, bins of x]) W``: the first dense layer, on the columns and their bins, each with a learned factor s.

    dL/d(s W) = [x, bins of x]' delta = G, dL/dW = s G, and dL/ds is the sum of W G over the neurons. The weights of a
    column could learn the factor, but a single number learns faster how much a column matters.

    A number lies in one bin of its column, and all other bins are 1 or -1. So for each column a row needs the sum over
    the other bins, which all rows share, and its own bin. The bins cost two multiplications per column and neuron, no
    matter how many they are, and are never stored as columns.

    Parameters
    ----------
    n_in : int
        Number of columns and bins.
    n_out : int
        Number of neurons.
    bins : Bins or None
    scaling_rate, learning_rate, decay : float
        Factors of the learning rate of s, and of the learning rate and the decay of W.
    """

    n_in: int
    n_out: int
    bins: Bins | None = None
    scaling_rate: float = 1.0
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self):
        if self.bins is not None:  # the kernels read them by address
            object.__setattr__(self, "bins", Bins(*map(native, self.bins)))

    def __reduce__(self):
        return ScaledDense, tuple(getattr(self, field.name) for field in fields(self))

    def parameters(self):
        shape = self.n_in, self.n_out
        return {
            "factors": Parameter(Kind.WEIGHT, shape[:1], 1.0, self.scaling_rate, 1.0),
            "coefs": Parameter(Kind.WEIGHT, shape, None, self.learning_rate, self.decay),
        }

    def spec(self, start, mode):
        columns, starts, slopes = self.bins or (_NO_COLUMNS, (), ())
        n_columns = self.n_in - len(starts)
        longest = np.bincount(columns).max() if len(starts) else 0
        return LayerSpec(
            scaled_dense_forward,
            scaled_dense_backward,
            n_columns,
            self.n_out,
            cache_size=n_columns + longest,
            own=(start["coefs"], start["factors"], address(columns), len(starts)),
            hyper=(*starts, *slopes),
        )
