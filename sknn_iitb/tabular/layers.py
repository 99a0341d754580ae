"""The layers that only nets for tables have, besides those of :mod:`sknn_iitb._engine.layers`."""

from typing import NamedTuple

import numpy as np

from sknn_iitb._engine.layers import N_IN, OWN, Layer
from sknn_iitb._jit.intrinsics import address, array_at, block, inlined, matmul, matmul_tn, part

__all__ = ["Pieces", "first_dense"]

WEIGHTS, FACTORS, COLUMNS, N_PIECES = range(OWN, OWN + 4)


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


def end_of_column(columns, first, n_pieces):
    """Where the pieces end that are of the same column as the first."""
    stop = first + 1
    while stop < n_pieces and columns[stop] == columns[first]:
        stop += 1
    return stop


end_of_column = inlined(end_of_column)


def piece_of(number, hyper, first, stop):
    """The piece of a column that a number lies in; all before it are 1, and all after it -1."""
    piece = first
    for p in range(first + 1, stop):
        piece += number > hyper[p]
    return piece


piece_of = inlined(piece_of)


def height(number, hyper, piece, n_pieces):
    """The value of a piece."""
    one = hyper.dtype.type(1)
    share = (number - hyper[piece]) * hyper[n_pieces + piece]
    share = share if share < one else one
    return share + share - one if share > 0 else -one


height = inlined(height)


def first_dense_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_columns, n_out = value.shape[0], layer[N_IN], value.shape[1]
    n_pieces = layer[N_PIECES]
    factors, columns = part(theta, layer[FACTORS], n_columns + n_pieces), _columns_at(layer[COLUMNS], n_pieces)
    weights = block(theta, layer[WEIGHTS], n_columns + n_pieces, n_out)
    scaled = block(kept, 0, n_rows, n_columns)
    for i in range(n_rows):
        for j in range(n_columns):
            scaled[i, j] = factors[j] * x[i, j]
    matmul(scaled, block(theta, layer[WEIGHTS], n_columns, n_out), value)
    first = 0
    while first < n_pieces:
        stop = end_of_column(columns, first, n_pieces)
        if n_rows < n_out:
            for i in range(n_rows):
                for p in range(first, stop):
                    share = factors[n_columns + p] * height(x[i, columns[first]], hyper, p, n_pieces)
                    for k in range(n_out):
                        value[i, k] += share * weights[n_columns + p, k]
        else:
            # what all pieces but the one that a number lies in add up to
            others = block(kept, n_rows * n_columns, stop - first, n_out)
            others[0] = 0
            for p in range(first + 1, stop):
                before, now = factors[n_columns + p - 1], factors[n_columns + p]
                for k in range(n_out):
                    others[0, k] -= now * weights[n_columns + p, k]
                    others[p - first, k] = before * weights[n_columns + p - 1, k] + now * weights[n_columns + p, k]
            for p in range(1, stop - first):
                for k in range(n_out):
                    others[p, k] += others[p - 1, k]
            for i in range(n_rows):
                number = x[i, columns[first]]
                piece = piece_of(number, hyper, first, stop)
                share = factors[n_columns + piece] * height(number, hyper, piece, n_pieces)
                for k in range(n_out):
                    value[i, k] += others[piece - first, k] + share * weights[n_columns + piece, k]
        first = stop


def first_dense_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_columns, n_out = delta.shape[0], layer[N_IN], delta.shape[1]
    n_pieces = layer[N_PIECES]
    n_in = n_columns + n_pieces
    factors, columns = part(theta, layer[FACTORS], n_in), _columns_at(layer[COLUMNS], n_pieces)
    weights, slopes = block(theta, layer[WEIGHTS], n_in, n_out), block(gradient, layer[WEIGHTS], n_in, n_out)
    # first the slopes of s W
    matmul_tn(x, delta, block(gradient, layer[WEIGHTS], n_columns, n_out))
    slopes[n_columns:] = 0
    first = 0
    while first < n_pieces:
        stop = end_of_column(columns, first, n_pieces)
        if n_rows < n_out:
            for i in range(n_rows):
                for p in range(first, stop):
                    share = height(x[i, columns[first]], hyper, p, n_pieces)
                    for k in range(n_out):
                        slopes[n_columns + p, k] += share * delta[i, k]
        else:
            # the sums of delta over the numbers that lie in each piece
            sums = block(kept, n_rows * n_columns, stop - first, n_out)
            sums[:] = 0
            for i in range(n_rows):
                number = x[i, columns[first]]
                piece = piece_of(number, hyper, first, stop)
                share = height(number, hyper, piece, n_pieces)
                for k in range(n_out):
                    sums[piece - first, k] += delta[i, k]
                    slopes[n_columns + piece, k] += share * delta[i, k]
            last = stop - first - 1
            for p in range(1, last + 1):
                for k in range(n_out):
                    sums[p, k] += sums[p - 1, k]
            for p in range(last + 1):
                for k in range(n_out):
                    above = sums[last, k] - sums[p, k]
                    slopes[n_columns + first + p, k] += above - (sums[p - 1, k] if p > 0 else above * 0)
        first = stop
    of_factors = part(gradient, layer[FACTORS], n_in)
    for p in range(n_in):
        total = theta.dtype.type(0)
        for k in range(n_out):
            total += weights[p, k] * slopes[p, k]
            slopes[p, k] *= factors[p]
        of_factors[p] = total


def first_dense(n_in, n_out, factors, weights, pieces=None):
    """``(s [x, pieces of x]) W``: a factor for each column and each piece, and the weighted sums of the first layer.

    dL/d(s W) = [x, pieces of x]' delta = G, dL/dW = s G, dL/ds = the sums over the neurons of W G. The weights of a
    column could learn what s does, but a single number learns faster how much a column matters.

    A number lies in one piece of its column, and all others are 1 or -1. So of a column a row needs one sum over the
    other pieces, which all rows share, and one piece: the pieces cost two multiplications a column and neuron, however
    many they are, and the table need not have them as columns.

    Parameters
    ----------
    n_in : int
        Columns and pieces.
    n_out : int
        Neurons.
    factors, weights : int
        Where in the parameters s and W begin.
    pieces : Pieces, optional
        The caller keeps them: what is known is their address.
    """
    columns, starts, slopes = pieces or (_NO_COLUMNS, (), ())
    n_columns = n_in - len(starts)
    longest = np.bincount(columns).max() if len(starts) else 0
    return Layer(
        first_dense_forward,
        first_dense_backward,
        n_columns,
        n_out,
        n_kept=n_columns + longest,
        own=(weights, factors, address(columns), len(starts)),
        hyper=(*starts, *slopes),
    )
