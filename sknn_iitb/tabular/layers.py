"""The layers that only nets for tables have. They are links of the chain as those of :mod:`sknn_iitb.layers` are."""

from typing import NamedTuple

import numpy as np

from sknn_iitb._intrinsics import address, array_at, part
from sknn_iitb.layers import N_IN, OWN, Layer

__all__ = ["Pieces", "scaling"]

FACTORS, COLUMNS = OWN, OWN + 1


class Pieces(NamedTuple):
    """Pieces of the ranges of columns, as :class:`PiecewiseLinearEncoder` has them.

    One is ``2 clip((x[column] - start) * slope, 0, 1) - 1``.

    Parameters
    ----------
    column : ndarray of int64, shape (n_pieces,)
    start, slope : ndarray of shape (n_pieces,)
    """

    column: np.ndarray
    start: np.ndarray
    slope: np.ndarray

    @classmethod
    def between(cls, edges):
        """Those between the edges of each column, or None if there are none; a single piece is the column itself."""
        several = [(j, ends) for j, ends in enumerate(edges) if len(ends) > 2]
        if not several:
            return None
        column = np.concatenate([np.full(len(ends) - 1, j) for j, ends in several])
        start = np.concatenate([ends[:-1] for _, ends in several])
        slope = np.concatenate([1 / np.maximum(np.diff(ends), 1e-30) for _, ends in several])
        return cls(column, start, slope)


_columns_at = array_at(np.dtype(np.int64))
_NO_COLUMNS = np.zeros(1, np.int64)


def scaling_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_in, n_out = value.shape[0], layer[N_IN], value.shape[1]
    n_pieces = n_out - n_in
    factors, columns = part(theta, layer[FACTORS], n_out), _columns_at(layer[COLUMNS], n_pieces)
    one, two = theta.dtype.type(1), theta.dtype.type(2)
    for i in range(n_rows):
        for j in range(n_in):
            value[i, j] = factors[j] * x[i, j]
        for p in range(n_pieces):
            share = (x[i, columns[p]] - hyper[p]) * hyper[n_pieces + p]
            share = share if share < one else one
            value[i, n_in + p] = factors[n_in + p] * (two * share - one if share > 0 else -one)


def scaling_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_in, n_out = delta.shape[0], layer[N_IN], delta.shape[1]
    n_pieces = n_out - n_in
    slopes, columns = part(gradient, layer[FACTORS], n_out), _columns_at(layer[COLUMNS], n_pieces)
    one, two = theta.dtype.type(1), theta.dtype.type(2)
    slopes[:] = 0
    for i in range(n_rows):
        for j in range(n_in):
            slopes[j] += delta[i, j] * x[i, j]
        for p in range(n_pieces):
            share = (x[i, columns[p]] - hyper[p]) * hyper[n_pieces + p]
            share = share if share < one else one
            slopes[n_in + p] += delta[i, n_in + p] * (two * share - one if share > 0 else -one)


def scaling(n_out, factors, pieces=None):
    """``s [x, pieces of x]``, for each column and each piece a factor, as the first layer.

    dL/ds = the sum over the rows of [x, pieces of x] dL/dvalue. The weights of a column could learn the same, but a
    single number learns faster how much a column matters. The pieces are computed here because a table that has them
    as columns would be many times as large.

    Parameters
    ----------
    n_out : int
        Columns and pieces.
    factors : int
        Where in the parameters s begins.
    pieces : Pieces, optional
        The caller keeps them: what is known is their address.
    """
    columns, starts, slopes = pieces or (_NO_COLUMNS, (), ())
    n_in = n_out - len(starts)
    hyper = (*starts, *slopes)
    return Layer(scaling_forward, scaling_backward, n_in, n_out, own=(factors, address(columns)), hyper=hyper)
