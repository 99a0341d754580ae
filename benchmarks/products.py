"""The matrix products of a network alone: compiled, with the BLAS and the memory layout of the kernels."""

from itertools import pairwise
from time import perf_counter

import numba
import numpy as np

from sknn_iitb._engine.network import aligned
from sknn_iitb._jit.intrinsics import matmul, matmul_nt, matmul_tn


@numba.njit(nogil=True)
def _steps(n_steps, values, weights, gradients, deltas):
    for _ in range(n_steps):
        for k in range(len(weights)):
            matmul(values[k], weights[k], values[k + 1])
        for k in range(len(weights) - 1, -1, -1):
            matmul_tn(values[k], deltas[k + 1], gradients[k])
            if k > 0 and weights[k].shape[1] > 1:
                matmul_nt(deltas[k + 1], weights[k], deltas[k])
            elif k > 0:  # BLAS is slower for an outer product
                for i in range(deltas[k].shape[0]):
                    for j in range(deltas[k].shape[1]):
                        deltas[k][i, j] = deltas[k + 1][i, 0] * weights[k][j, 0]


@numba.njit(nogil=True)
def _forward(X, weights, values, n_rows):
    for start in range(0, len(X), n_rows):
        n = min(n_rows, len(X) - start)
        matmul(X[start : start + n], weights[0], values[0][:n])
        for k in range(1, len(weights)):
            matmul(values[k - 1][:n], weights[k], values[k][:n])


def _random(shape, dtype):
    array = aligned(int(np.prod(shape)), dtype).reshape(shape)
    array[...] = np.random.RandomState(0).normal(size=shape)
    return array


def time_products(units, batch_size, dtype, seconds):
    """Seconds for the matrix products of one update: forward pass, weight gradients and deltas."""
    values = tuple(_random((batch_size, n), dtype) for n in units)
    deltas = tuple(value.copy() for value in values)
    weights = tuple(_random(shape, dtype) for shape in pairwise(units))
    arguments = values, weights, tuple(weight.copy() for weight in weights), deltas
    _steps(1, *arguments)
    start = perf_counter()
    _steps(1, *arguments)
    n_steps = max(1, round(seconds / (perf_counter() - start)))
    start = perf_counter()
    _steps(n_steps, *arguments)
    return (perf_counter() - start) / n_steps


def products_of_prediction(X, units):
    """A function that computes the matrix products of a prediction in chunks of 1024 rows, as the package does."""
    weights = tuple(_random(shape, X.dtype) for shape in pairwise(units))
    n_rows = min(1024, len(X))
    values = tuple(_random((n_rows, n), X.dtype) for n in units[1:])
    return lambda: _forward(X, weights, values, n_rows)
