"""The first layer of a network for tables."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.layers import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import (
    address,
    array_at,
    first,
    inlined,
    inlined_unfused,
    matmul,
    matmul_tn,
    matrix_at,
    vector_at,
)
from sknn_iitb.tabular._bins import Bins, add_bins, gradient_of_bins
from sknn_iitb.tabular._knots import Knots, add_splines, gradient_of_splines

__all__ = ["PLAIN", "Features", "ScaledDense"]


@kind("Features")
class Features(NamedTuple):
    """What the first layer computes from the columns of an encoded table.

    Parameters
    ----------
    curvature : float, default=0.0
        Columns become ``x / sqrt(1 + curvature x**2)``.
    bins : Bins
        Of these columns.
    knots : Knots
        Of these columns.
    """

    curvature: float = 0.0
    bins: Bins = Bins.between([])
    knots: Knots = Knots.at([], 1.0)

    @property
    def n_added(self):
        """Number of bins and knots."""
        return len(self.bins.column) + len(self.knots.column)


# only the columns
PLAIN = Features()

_columns_at = array_at(np.dtype(np.int64))
_six = first(6)
# an empty array has no address
_NO_COLUMNS = np.zeros(1, np.int64)


def features_at(layer):
    """Offsets of the weights and the factors, then bins and knots, without copies: the order of `ScaledDense.spec`."""
    weights, factors, bin_columns, n_bins, knot_columns, n_knots = _six(layer.own)
    hyper, of_knots = layer.hyper, 2 + 2 * n_bins
    bins = Bins(_columns_at(bin_columns, n_bins), vector_at(hyper, 2, n_bins), vector_at(hyper, 2 + n_bins, n_bins))
    positions, slopes = vector_at(hyper, of_knots, n_knots), vector_at(hyper, of_knots + n_knots, n_knots)
    return weights, factors, bins, Knots(_columns_at(knot_columns, n_knots), positions, slopes, hyper[1])


features_at = inlined(features_at)


def squash(x, curvature, value):
    if curvature == 0:
        # not value[:] = x, for which Numba compiles an error message about shapes: nearly half of a first fit
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                value[i, j] = x[i, j]
        return
    # in float32 whatever the type, and as NumPy rounds: steep bins and splines would tell the last digits apart
    one, curvature = np.float32(1), np.float32(curvature)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            number = np.float32(x[i, j])
            value[i, j] = number / np.sqrt(one + curvature * number * number)


squash = inlined_unfused(squash)


def scaled_dense_forward(x, value, cache, layer, theta, batch):
    weights, factors, bins, knots = features_at(layer)
    n_rows, n_columns, n_out = value.shape[0], layer.n_in, value.shape[1]
    n_cells, n_bins, n_knots = n_rows * n_columns, len(bins.column), len(knots.column)
    squashed, scaled = matrix_at(cache, 0, n_rows, n_columns), matrix_at(cache, n_cells, n_rows, n_columns)
    squash(x, layer.hyper[0], squashed)
    for i in range(n_rows):
        for j in range(n_columns):
            scaled[i, j] = theta[factors + j] * squashed[i, j]
    matmul(scaled, matrix_at(theta, weights, n_columns, n_out), value)
    factors, weights = factors + n_columns, weights + n_columns * n_out
    memory = vector_at(cache, 2 * n_cells, cache.size - 2 * n_cells)
    if n_bins > 0:
        of_bins = vector_at(theta, factors, n_bins)
        add_bins(squashed, value, bins, of_bins, matrix_at(theta, weights, n_bins, n_out), memory)
    if n_knots > 0:
        of_knots = vector_at(theta, factors + n_bins, n_knots)
        knot_weights = matrix_at(theta, weights + n_bins * n_out, n_knots, n_out)
        add_splines(squashed, value, knots, of_knots, knot_weights, memory)


def scaled_dense_backward(x, delta, cache, layer, theta, batch):
    weights_start, factors_start, bins, knots = features_at(layer)
    n_rows, n_columns, n_out = delta.shape[0], layer.n_in, delta.shape[1]
    n_cells, n_bins, n_knots = n_rows * n_columns, len(bins.column), len(knots.column)
    n_in, added = n_columns + n_bins + n_knots, weights_start + n_columns * n_out
    squashed = matrix_at(cache, 0, n_rows, n_columns)
    # first the slopes of s W
    slopes = matrix_at(batch.gradient, weights_start, n_in, n_out)
    matmul_tn(squashed, delta, matrix_at(batch.gradient, weights_start, n_columns, n_out))
    slopes[n_columns:] = 0
    memory = vector_at(cache, 2 * n_cells, cache.size - 2 * n_cells)
    if n_bins > 0:
        gradient_of_bins(squashed, delta, bins, matrix_at(batch.gradient, added, n_bins, n_out), memory)
    if n_knots > 0:
        of_knots = matrix_at(batch.gradient, added + n_bins * n_out, n_knots, n_out)
        gradient_of_splines(squashed, delta, knots, of_knots, memory)
    factors, weights = vector_at(theta, factors_start, n_in), matrix_at(theta, weights_start, n_in, n_out)
    of_factors = vector_at(batch.gradient, factors_start, n_in)
    for p in range(n_in):
        total = theta.dtype.type(0)
        for k in range(n_out):
            total += weights[p, k] * slopes[p, k]
            slopes[p, k] *= factors[p]
        of_factors[p] = total


def checked_features(features, n_columns):
    """The features in native byte order; a ValueError if they are not those of a table with so many columns."""
    # the kernels read the columns by address
    curvature, bins, knots = features
    bins, knots = Bins(*map(native, bins)), Knots(*map(native, knots[:3]), knots.height)
    for column, *numbers in (bins, knots[:3]):
        if not (column.dtype == np.int64 and np.all((column >= 0) & (column < n_columns))):
            raise ValueError("bins and knots must refer to existing columns")
        if any(each.shape != column.shape or each.dtype.kind != "f" for each in numbers):
            raise ValueError("bins and knots must have a number for each column")
    return Features(curvature, bins, knots)


@kind("ScaledDense")
@dataclass(frozen=True)
class ScaledDense(Layer):
    """``(s [u, bins of u, knots of u]) W`` with ``u = x / sqrt(1 + curvature x**2)`` and a learned factor s for each.

    The first dense layer. With all of these inputs in the columns of U, dL/d(s W) = U' delta = G, dL/dW = s G, and
    dL/ds is the sum of W G over the neurons. The weights of a column could learn the factor, but a single number learns
    faster how much a column matters. Bins and knots are never stored as columns.

    Parameters
    ----------
    n_in : int
        Number of columns.
    n_out : int
        Number of neurons.
    features : Features
    scaling_rate, learning_rate, decay : float
        Factors of the learning rate of s, and of the learning rate and the decay of W.
    """

    n_in: int
    n_out: int
    features: Features = PLAIN
    scaling_rate: float = 1.0
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "features", checked_features(self.features, self.n_in))

    def __reduce__(self):
        return ScaledDense, tuple(getattr(self, field.name) for field in fields(self))

    def parameters(self):
        shape = self.n_in + self.features.n_added, self.n_out
        return {
            "factors": Parameter(Kind.WEIGHT, shape[:1], 1.0, self.scaling_rate, 1.0),
            "coefs": Parameter(Kind.WEIGHT, shape, None, self.learning_rate, self.decay),
        }

    def spec(self, start, mode):
        curvature, bins, knots = self.features
        n_bins, n_knots = len(bins.column), len(knots.column)
        longest = int(np.bincount(bins.column).max()) if n_bins else 0
        looked_up = longest + 2 if n_bins or n_knots else 0
        columns = [address(each.column if len(each.column) else _NO_COLUMNS) for each in (bins, knots)]
        return LayerSpec(
            scaled_dense_forward,
            scaled_dense_backward,
            self.n_in,
            self.n_out,
            cache_size=2 * self.n_in + looked_up,
            own=(start["coefs"], start["factors"], columns[0], n_bins, columns[1], n_knots),
            hyper=(curvature, knots.height, *bins.start, *bins.slope, *knots.position, *knots.slope),
        )
