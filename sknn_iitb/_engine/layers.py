"""Layers: the links of the chain that a network is.

A layer is a pair of functions over one chunk of a batch:

- ``forward(x, value, cache, layer, theta, batch)`` computes the layer's `value`, (rows, n_out), from its input `x`,
  (rows, n_in), and may keep in `cache`, (rows, cache_size), what it needs on the way back;
- ``backward(x, delta, cache, layer, theta, batch)`` takes the derivative of the loss with respect to the value,
  `delta`. It writes the derivative with respect to the layer's parameters into their places in ``batch.gradient``,
  and, unless ``layer.is_first``, the derivative with respect to `x` over `x`, which is not needed any more.

A layer that works *in place* changes `value`, which holds its input, and on the way back `delta`; it has no use for
`x`. ``layer.own`` is what the layer was given as its own: offsets into `theta`, addresses, numbers. ``batch.rows`` are
the indices of the samples, ``batch.weight`` their shares in the loss. Randomness depends on ``batch.key``, the layer
and the sample alone, so neither on how a batch is cut into chunks nor on threads.
"""

from collections import namedtuple
from functools import cache

import numpy as np

from sknn_iitb._jit.compilation import call
from sknn_iitb._jit.identity import made_here
from sknn_iitb._jit.intrinsics import array_at, first, inlined, matmul, matmul_nt, matmul_tn, matrix_at, vector_at

__all__ = [
    "LayerSpec",
    "batch_norm",
    "bias",
    "dense",
    "drop_inputs",
    "dropout",
    "neurons",
    "sparse_dense",
    "standardize",
]

LayerSpec = namedtuple(
    "LayerSpec", "forward backward n_in n_out in_place cache_size own hyper", defaults=[False, 0, (), ()]
)
LayerSpec.__doc__ = """A link of the chain; in `own` an activation stands for the address of its function.

Offsets into theta are counted from its start.
"""

# --- dense ------------------------------------------------------------------------------------------------------


def dense_forward(x, value, cache, layer, theta, batch):
    matmul(x, matrix_at(theta, layer.own[0], layer.n_in, layer.n_out), value)


def dense_backward(x, delta, cache, layer, theta, batch):
    weights = matrix_at(theta, layer.own[0], layer.n_in, layer.n_out)
    matmul_tn(x, delta, matrix_at(batch.gradient, layer.own[0], layer.n_in, layer.n_out))
    if layer.is_first:
        return
    if layer.n_out == 1:
        # an outer product: BLAS spends three times as long on packing its operands
        for i in range(x.shape[0]):
            for j in range(layer.n_in):
                x[i, j] = delta[i, 0] * weights[j, 0]
        return
    matmul_nt(delta, weights, x)


def dense(n_in, n_out, weights):
    """``x W``: dL/dW = x' delta, dL/dx = delta W'."""
    return LayerSpec(dense_forward, dense_backward, n_in, n_out, own=(weights,))


# --- randomness -------------------------------------------------------------------------------------------------

_LOW = 0xFFFFFFFF


def mixed(number):
    """A hash of 32 bits to 32 bits (T. Mueller's), in 64-bit arithmetic that cannot overflow; becomes vector code."""
    number = ((number ^ (number >> 16)) * 0x119DE1F3) & _LOW
    number = ((number ^ (number >> 16)) * 0x119DE1F3) & _LOW
    return number ^ (number >> 16)


mixed = inlined(mixed)


def seed_of(key, salt, row):
    """Where the draws of one layer for one sample begin."""
    return mixed((mixed(mixed((mixed(key & _LOW) + row) & _LOW) ^ ((key >> 32) & _LOW)) + salt) & _LOW)


seed_of = inlined(seed_of)


def is_kept(seed, column, threshold):
    """Whether a number survives dropout: drawn from the seed, so that it can be asked for again."""
    return mixed((seed + column * 0x9E3779B9) & _LOW) >= threshold


is_kept = inlined(is_kept)


def threshold_of(rate):
    """The draw below which a number is dropped."""
    return np.int64(rate * 4294967296.0)


threshold_of = inlined(threshold_of)


# --- dense, from sparse rows ------------------------------------------------------------------------------------


@cache
def _sparse_functions(index_dtype, dtype):
    """Both functions for entries and indices of these types; x is empty, and entries are read where they lie."""
    index_at, data_at, six = array_at(index_dtype), array_at(dtype), first(6)

    def forward(x, value, cache, layer, theta, batch):
        weights_start, data_address, indices_address, indptr_address, n_rows, n_stored = six(layer.own)
        data, indices = data_at(data_address, n_stored), index_at(indices_address, n_stored)
        indptr = index_at(indptr_address, n_rows + 1)
        weights = matrix_at(theta, weights_start, layer.n_in, layer.n_out)
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
        weights_start, data_address, indices_address, indptr_address, n_rows, n_stored = six(layer.own)
        data, indices = data_at(data_address, n_stored), index_at(indices_address, n_stored)
        indptr = index_at(indptr_address, n_rows + 1)
        weight_gradient = matrix_at(batch.gradient, weights_start, layer.n_in, layer.n_out)
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


def sparse_dense(n_in, n_out, weights, index_dtype, dtype, csr, rate):
    """``x W`` for the rows of a CSR matrix, as it is: not sorted, with duplicates, which add up.

    `csr` has the addresses of data, indices and indptr, the number of rows and that of stored entries; `rate` is the
    share of the entries that dropout leaves out.
    """
    forward, backward = _sparse_functions(np.dtype(index_dtype), np.dtype(dtype))
    return LayerSpec(forward, backward, n_in, n_out, own=(weights, *csr), hyper=(rate,))


# --- batch normalization ----------------------------------------------------------------------------------------

# added to the variance
EPSILON = 1e-5


def batch_norm_forward(x, value, cache, layer, theta, batch):
    scale_start, mean_start, variance_start = layer.own[0], layer.own[1], layer.own[2]
    n_rows, n_out = value.shape
    scale, running_mean = vector_at(theta, scale_start, n_out), vector_at(theta, mean_start, n_out)
    mean, inverse = vector_at(batch.gradient, mean_start, n_out), vector_at(batch.gradient, variance_start, n_out)
    per_weight = 1 / batch.weight.sum()
    mean[:] = 0
    for i in range(n_rows):
        share = batch.weight[i] * per_weight
        for j in range(n_out):
            mean[j] += share * value[i, j]
    inverse[:] = value.dtype.type(EPSILON)
    for i in range(n_rows):
        share = batch.weight[i] * per_weight
        for j in range(n_out):
            inverse[j] += share * (value[i, j] - mean[j]) ** 2
    for j in range(n_out):
        inverse[j] = 1 / np.sqrt(inverse[j])
    for i in range(n_rows):
        for j in range(n_out):
            cache[i, j] = (value[i, j] - mean[j]) * inverse[j]
            value[i, j] = scale[j] * cache[i, j]
    for j in range(n_out):
        mean[j] = running_mean[j] - mean[j]


def batch_norm_backward(x, delta, cache, layer, theta, batch):
    scale_start, _, variance_start, shift_start = layer.own[0], layer.own[1], layer.own[2], layer.own[3]
    n_rows, n_out = delta.shape
    scale, running_variance = vector_at(theta, scale_start, n_out), vector_at(theta, variance_start, n_out)
    scale_gradient = vector_at(batch.gradient, scale_start, n_out)
    inverse = vector_at(batch.gradient, variance_start, n_out)
    # the neurons above have added up delta already, which is the derivative with respect to their bias
    shift_gradient = vector_at(batch.gradient, shift_start, n_out)
    scale_gradient[:] = 0
    for i in range(n_rows):
        for j in range(n_out):
            scale_gradient[j] += delta[i, j] * cache[i, j]
    per_weight = 1 / batch.weight.sum()
    for i in range(n_rows):
        share = batch.weight[i] * per_weight
        for j in range(n_out):
            through_moments = shift_gradient[j] + cache[i, j] * scale_gradient[j]
            delta[i, j] = scale[j] * inverse[j] * (delta[i, j] - share * through_moments)
    epsilon = delta.dtype.type(EPSILON)
    for j in range(n_out):
        inverse[j] = running_variance[j] - max(1 / (inverse[j] * inverse[j]) - epsilon, epsilon * 0)


def batch_norm(n_out, scale, mean, variance, shift):
    """``scale (z - mean) / sqrt(variance + 1e-5)`` with the batch's mean and variance, weighted as the samples are.

    The shift that batch normalization has besides is the bias of the neurons. The places of the running mean and
    variance in the gradient get what they exceed those of the batch by: a step against that is a step towards the
    batch. Until the way back, that of the variance holds the root's inverse. (Ioffe and Szegedy, arXiv:1502.03167.)
    """
    own = scale, mean, variance, shift
    return LayerSpec(batch_norm_forward, batch_norm_backward, n_out, n_out, True, n_out, own)


def standardize_forward(x, value, cache, layer, theta, batch):
    scale_start, mean_start, variance_start = layer.own[0], layer.own[1], layer.own[2]
    n_rows, n_out = value.shape
    scale, mean = vector_at(theta, scale_start, n_out), vector_at(theta, mean_start, n_out)
    variance = vector_at(theta, variance_start, n_out)
    epsilon = value.dtype.type(EPSILON)
    for i in range(n_rows):
        for j in range(n_out):
            value[i, j] = (value[i, j] - mean[j]) * (scale[j] / np.sqrt(variance[j] + epsilon))


def standardize(n_out, scale, mean, variance):
    """The same with the running mean and variance, to predict."""
    return LayerSpec(standardize_forward, None, n_out, n_out, True, 0, (scale, mean, variance))


# --- neurons ----------------------------------------------------------------------------------------------------

# rows that are added up while they are in the processor's cache
_ROWS = 16

_activate = call["activation"]


def neurons_forward(x, value, cache, layer, theta, batch):
    bias_start, activation = layer.own[0], layer.own[1]
    _activate(activation, (value, vector_at(theta, bias_start, layer.n_out), cache, layer.hyper))


def add_rows(delta, start, stop, total):
    """Add the rows from `start` to `stop` to `total`."""
    whole = stop - (stop - start) % 4
    for i in range(start, whole, 4):  # four rows for one pass over the sums: up to three times as fast
        for j in range(total.size):
            total[j] += (delta[i, j] + delta[i + 1, j]) + (delta[i + 2, j] + delta[i + 3, j])
    for i in range(whole, stop):
        for j in range(total.size):
            total[j] += delta[i, j]


add_rows = inlined(add_rows)


def neurons_backward(x, delta, cache, layer, theta, batch):
    n_rows, n_out = delta.shape
    bias_gradient = vector_at(batch.gradient, layer.own[0], n_out)
    bias_gradient[:] = 0
    for start in range(0, n_rows, _ROWS):
        stop = min(start + _ROWS, n_rows)
        size = (stop - start) * n_out
        d, slope = vector_at(delta, start * n_out, size), vector_at(cache, start * n_out, size)
        for i in range(d.size):
            d[i] *= slope[i]
        add_rows(delta, start, stop, bias_gradient)


def neurons(n_out, bias, activation):
    """``g(z + b)``, in place: dL/dz = g' dL/dg, dL/db = the sum of the rows of that. `activation` is compiled."""
    own = bias, activation
    return LayerSpec(neurons_forward, neurons_backward, n_out, n_out, True, n_out, own, activation.hyper())


def bias_forward(x, value, cache, layer, theta, batch):
    bias = vector_at(theta, layer.own[0], layer.n_out)
    for i in range(value.shape[0]):
        for j in range(layer.n_out):
            value[i, j] += bias[j]


def bias_backward(x, delta, cache, layer, theta, batch):
    bias_gradient = vector_at(batch.gradient, layer.own[0], layer.n_out)
    bias_gradient[:] = 0
    add_rows(delta, 0, delta.shape[0], bias_gradient)


def bias(n_out, bias):
    """``z + b``: neurons without an activation."""
    return LayerSpec(bias_forward, bias_backward, n_out, n_out, True, 0, (bias,))


# --- dropout ----------------------------------------------------------------------------------------------------


def dropout_forward(x, value, cache, layer, theta, batch):
    n_rows, n_out = value.shape
    rate, salt = layer.hyper[0], layer.own[0]
    threshold, scale = threshold_of(rate), value.dtype.type(1 / (1 - rate))
    for i in range(n_rows):
        seed = seed_of(batch.key, salt, batch.rows[i])
        for j in range(n_out):
            cache[i, j] = scale if is_kept(seed, j, threshold) else value.dtype.type(0)
            value[i, j] *= cache[i, j]


def dropout_backward(x, delta, cache, layer, theta, batch):
    d, factor = vector_at(delta, 0, delta.size), vector_at(cache, 0, cache.size)
    for i in range(d.size):
        d[i] *= factor[i]


def drop_inputs(x, rows, rate, key):
    """Dropout of a network's inputs, which need no way back."""
    threshold, scale = threshold_of(rate), x.dtype.type(1 / (1 - rate))
    for i in range(x.shape[0]):
        seed = seed_of(key, 0, rows[i])
        for j in range(x.shape[1]):
            x[i, j] = x[i, j] * scale if is_kept(seed, j, threshold) else x.dtype.type(0)


drop_inputs = inlined(drop_inputs)


def dropout(n_out, rate, salt):
    """Each number becomes 0 with probability `rate`, else it is divided by 1 - rate, so that its mean stays."""
    return LayerSpec(dropout_forward, dropout_backward, n_out, n_out, True, n_out, (salt,), (rate,))
