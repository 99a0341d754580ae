"""The first dense layer on the rows of a sparse matrix."""

from functools import cache

import numpy as np

from sknn_iitb._engine.layers.layer import LayerSpec
from sknn_iitb._engine.layers.randomness import is_kept, seed_of, threshold_of
from sknn_iitb._jit.identity import made_here
from sknn_iitb._jit.intrinsics import array_at, first, inlined, matrix_at

__all__ = ["sparse_dense_spec"]


@cache
def _functions(index_dtype, dtype):
    """Forward and backward functions for entries and indices of these types; `x` is empty."""
    index_at, data_at, six = array_at(index_dtype), array_at(dtype), first(6)

    @inlined
    def csr_of(own):
        _, data, indices, indptr, n_rows, n_stored = six(own)
        return data_at(data, n_stored), index_at(indices, n_stored), index_at(indptr, n_rows + 1)

    def forward(x, value, cache, layer, theta, batch):
        data, indices, indptr = csr_of(layer.own)
        weights = matrix_at(theta, layer.own[0], layer.n_in, layer.n_out)
        rate = layer.hyper[0]
        threshold, scale = threshold_of(rate), theta.dtype.type(1 / (1 - rate))
        value[:] = 0
        for i in range(batch.rows.size):
            row = batch.rows[i]
            seed = seed_of(batch.key, 0, row)
            for k in range(indptr[row], indptr[row + 1]):
                if threshold == 0 or is_kept(seed, np.int64(indices[k]), threshold):
                    entry = theta.dtype.type(data[k]) * scale
                    of_feature = weights[indices[k]]
                    for j in range(layer.n_out):
                        value[i, j] += entry * of_feature[j]

    def backward(x, delta, cache, layer, theta, batch):
        data, indices, indptr = csr_of(layer.own)
        weight_gradient = matrix_at(batch.gradient, layer.own[0], layer.n_in, layer.n_out)
        rate = layer.hyper[0]
        threshold, scale = threshold_of(rate), theta.dtype.type(1 / (1 - rate))
        weight_gradient[:] = 0
        for i in range(batch.rows.size):
            row = batch.rows[i]
            seed = seed_of(batch.key, 0, row)
            for k in range(indptr[row], indptr[row + 1]):
                if threshold == 0 or is_kept(seed, np.int64(indices[k]), threshold):
                    entry = theta.dtype.type(data[k]) * scale
                    of_feature = weight_gradient[indices[k]]
                    for j in range(layer.n_out):
                        of_feature[j] += entry * delta[i, j]

    types = f"{index_dtype}_{dtype}"
    return made_here(forward, f"sparse_forward_{types}"), made_here(backward, f"sparse_backward_{types}")


def sparse_dense_spec(n_in, n_out, weights, csr, rate):
    """The spec of ``x W`` for the rows of a CSR matrix. Entries may be unsorted; duplicates are summed.

    Parameters
    ----------
    n_in, n_out : int
    weights : int
        Where W begins in the flat vector.
    csr : tuple
        Types of the indices and of the entries; addresses of data, indices and indptr, the number of rows and that of
        stored entries.
    rate : float
        The dropout rate of the entries.
    """
    index_dtype, dtype, *places = csr
    forward, backward = _functions(np.dtype(index_dtype), np.dtype(dtype))
    return LayerSpec(forward, backward, n_in, n_out, own=(weights, *places), hyper=(rate,))
