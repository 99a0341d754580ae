"""The first layer of a network for tables."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.layers import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.parameters import native
from sknn_iitb._jit.intrinsics import address, array_at, inlined, matmul, matmul_tn, matrix_at, vector_at
from sknn_iitb.tabular._bins import Bins, add_bins, gradient_of_bins
from sknn_iitb.tabular._knots import Knots, add_splines, gradient_of_splines

__all__ = ["PLAIN", "Features", "ScaledDense"]


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
# an empty array has no address
_NO_COLUMNS = np.zeros(1, np.int64)


def squash(x, curvature, value):
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value[i, j] = x[i, j] / np.sqrt(one + curvature * x[i, j] * x[i, j])


squash = inlined(squash)


def scaled_dense_forward(x, value, cache, layer, theta, batch):
    weights_start, factors_start = layer.own[0], layer.own[1]
    n_bins, n_knots = layer.own[3], layer.own[5]
    n_rows, n_columns, n_out, hyper = value.shape[0], layer.n_in, value.shape[1], layer.hyper
    squashed, scaled = matrix_at(cache, 0, n_rows, n_columns), matrix_at(cache, n_rows * n_columns, n_rows, n_columns)
    factors, weights = vector_at(theta, factors_start, n_columns), weights_start + n_columns * n_out
    squash(x, hyper[0], squashed)
    for i in range(n_rows):
        for j in range(n_columns):
            scaled[i, j] = factors[j] * squashed[i, j]
    matmul(scaled, matrix_at(theta, weights_start, n_columns, n_out), value)
    if n_bins > 0:
        add_bins(
            squashed,
            value,
            vector_at(cache, 2 * n_rows * n_columns, n_rows * layer.own[6]),
            _columns_at(layer.own[2], n_bins),
            vector_at(hyper, 2, n_bins),
            vector_at(hyper, 2 + n_bins, n_bins),
            vector_at(theta, factors_start + n_columns, n_bins),
            matrix_at(theta, weights, n_bins, n_out),
        )
    if n_knots > 0:
        add_splines(
            squashed,
            value,
            _columns_at(layer.own[4], n_knots),
            vector_at(hyper, 2 + 2 * n_bins, n_knots),
            vector_at(hyper, 2 + 2 * n_bins + n_knots, n_knots),
            hyper[1],
            vector_at(theta, factors_start + n_columns + n_bins, n_knots),
            matrix_at(theta, weights + n_bins * n_out, n_knots, n_out),
        )


def scaled_dense_backward(x, delta, cache, layer, theta, batch):
    weights_start, factors_start = layer.own[0], layer.own[1]
    n_bins, n_knots = layer.own[3], layer.own[5]
    n_rows, n_columns, n_out, hyper = delta.shape[0], layer.n_in, delta.shape[1], layer.hyper
    n_in = n_columns + n_bins + n_knots
    squashed = matrix_at(cache, 0, n_rows, n_columns)
    factors, weights = vector_at(theta, factors_start, n_in), matrix_at(theta, weights_start, n_in, n_out)
    # first the slopes of s W
    slopes, added = matrix_at(batch.gradient, weights_start, n_in, n_out), weights_start + n_columns * n_out
    matmul_tn(squashed, delta, matrix_at(batch.gradient, weights_start, n_columns, n_out))
    slopes[n_columns:] = 0
    if n_bins > 0:
        gradient_of_bins(
            squashed,
            delta,
            vector_at(cache, 2 * n_rows * n_columns, n_rows * layer.own[6]),
            _columns_at(layer.own[2], n_bins),
            vector_at(hyper, 2, n_bins),
            vector_at(hyper, 2 + n_bins, n_bins),
            matrix_at(batch.gradient, added, n_bins, n_out),
        )
    if n_knots > 0:
        gradient_of_splines(
            squashed,
            delta,
            _columns_at(layer.own[4], n_knots),
            vector_at(hyper, 2 + 2 * n_bins, n_knots),
            vector_at(hyper, 2 + 2 * n_bins + n_knots, n_knots),
            hyper[1],
            matrix_at(batch.gradient, added + n_bins * n_out, n_knots, n_out),
        )
    of_factors = vector_at(batch.gradient, factors_start, n_in)
    for p in range(n_in):
        total = theta.dtype.type(0)
        for k in range(n_out):
            total += weights[p, k] * slopes[p, k]
            slopes[p, k] *= factors[p]
        of_factors[p] = total


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
        # the kernels read the columns by address
        curvature, bins, knots = self.features
        bins, knots = Bins(*map(native, bins)), Knots(*map(native, knots[:3]), knots.height)
        object.__setattr__(self, "features", Features(curvature, bins, knots))

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
        own = [address(each.column if len(each.column) else _NO_COLUMNS) for each in (bins, knots)]
        return LayerSpec(
            scaled_dense_forward,
            scaled_dense_backward,
            self.n_in,
            self.n_out,
            cache_size=2 * self.n_in + longest,
            own=(start["coefs"], start["factors"], own[0], n_bins, own[1], n_knots, longest),
            hyper=(curvature, knots.height, *bins.start, *bins.slope, *knots.position, *knots.slope),
        )
