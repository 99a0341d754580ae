"""Layers: the links of the chain that a network is.

A layer is a pair of functions over one piece of a batch:

- ``forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key)`` computes the layer's `value`,
  (rows, n_out), from its input `x`, (rows, n_in), and may keep what it needs on the way back in `kept`, (rows, n_kept);
- ``backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key)`` takes the loss's derivative
  with respect to `value`, `delta`, and writes that with respect to the layer's parameters into its places of
  `gradient`, and that with respect to `x` into `x_delta`, which is empty for the first layer. `x_delta` may share
  memory with `x`, which is not needed any more by then.

A layer that works *in place* changes `value`, which holds its input, and on the way back `delta`; it has no use for `x`
and `x_delta`. `rows` are the samples' numbers in the training set, `weight` their shares in the loss. `layer` is the
layer's row of the network's table: the columns named here, then what is the layer's own. `key` is the number that
randomness depends on: what is drawn depends on it, the layer and the sample alone, so neither on how a batch is cut
into pieces nor on threads.
"""

from collections import namedtuple
from functools import cache

import numpy as np

from sknn_iitb._jit.compilation import call
from sknn_iitb._jit.identity import made_here
from sknn_iitb._jit.intrinsics import array_at, block, inlined, matmul, matmul_nt, matmul_tn, part

__all__ = ["Layer", "batch_norm", "bias", "dense", "dropout", "neurons", "sparse_dense", "standardize", "thin_out"]

# columns of the table: addresses; widths; VALUE and KEPT are the summed widths of what lies before. The rest is OWN.
FORWARD, BACKWARD, N_IN, N_OUT, VALUE, KEPT, N_KEPT, OWN = range(8)
N_COLUMNS = OWN + 6

Layer = namedtuple("Layer", "forward backward n_in n_out in_place n_kept own hyper", defaults=[False, 0, (), ()])
Layer.__doc__ = """A link of the chain; `own` are its own columns of the table, where a function stands for its address.

Offsets into theta are counted from its start.
"""

# --- dense ------------------------------------------------------------------------------------------------------

WEIGHTS = OWN


def dense_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_in, n_out = layer[N_IN], layer[N_OUT]
    weights = block(theta, layer[WEIGHTS], n_in, n_out)
    matmul(x, weights, value)


def dense_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_in, n_out = layer[N_IN], layer[N_OUT]
    weights = block(theta, layer[WEIGHTS], n_in, n_out)
    weight_gradient = block(gradient, layer[WEIGHTS], n_in, n_out)
    matmul_tn(x, delta, weight_gradient)
    if x_delta.size == 0:
        return
    if n_out == 1:
        # an outer product: BLAS spends three times as long on packing its operands
        for i in range(x_delta.shape[0]):
            for j in range(n_in):
                x_delta[i, j] = delta[i, 0] * weights[j, 0]
        return
    matmul_nt(delta, weights, x_delta)


def dense(n_in, n_out, weights):
    """``x W``: dL/dW = x' delta, dL/dx = delta W'."""
    return Layer(dense_forward, dense_backward, n_in, n_out, own=(weights,))


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

# columns: addresses of the matrix in CSR form, its number of rows and of stored entries
DATA, INDICES, INDPTR, N_ROWS, N_STORED = range(WEIGHTS + 1, WEIGHTS + 6)


@cache
def _sparse_functions(index_dtype, dtype):
    """Both functions for entries and indices of these types; x is empty, and entries are read where they lie."""
    index_at, data_at = array_at(index_dtype), array_at(dtype)

    def forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
        n_in, n_out = layer[N_IN], layer[N_OUT]
        data, indices = data_at(layer[DATA], layer[N_STORED]), index_at(layer[INDICES], layer[N_STORED])
        indptr = index_at(layer[INDPTR], layer[N_ROWS] + 1)
        weights = block(theta, layer[WEIGHTS], n_in, n_out)
        threshold, scale = threshold_of(hyper[0]), theta.dtype.type(1 / (1 - hyper[0]))
        value[:] = 0
        for i in range(rows.size):
            seed = seed_of(key, 0, rows[i])
            for k in range(indptr[rows[i]], indptr[rows[i] + 1]):
                if threshold == 0 or is_kept(seed, np.int64(indices[k]), threshold):
                    entry = theta.dtype.type(data[k]) * scale
                    of_feature = weights[indices[k]]
                    for j in range(n_out):
                        value[i, j] += entry * of_feature[j]

    def backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
        n_in, n_out = layer[N_IN], layer[N_OUT]
        data, indices = data_at(layer[DATA], layer[N_STORED]), index_at(layer[INDICES], layer[N_STORED])
        indptr = index_at(layer[INDPTR], layer[N_ROWS] + 1)
        weight_gradient = block(gradient, layer[WEIGHTS], n_in, n_out)
        threshold, scale = threshold_of(hyper[0]), theta.dtype.type(1 / (1 - hyper[0]))
        weight_gradient[:] = 0
        for i in range(rows.size):
            seed = seed_of(key, 0, rows[i])
            for k in range(indptr[rows[i]], indptr[rows[i] + 1]):
                if threshold == 0 or is_kept(seed, np.int64(indices[k]), threshold):
                    entry = theta.dtype.type(data[k]) * scale
                    of_feature = weight_gradient[indices[k]]
                    for j in range(n_out):
                        of_feature[j] += entry * delta[i, j]

    types = f"{index_dtype}_{dtype}"
    return made_here(forward, f"sparse_forward_{types}"), made_here(backward, f"sparse_backward_{types}")


def sparse_dense(n_in, n_out, weights, index_dtype, dtype, columns, rate):
    """``x W`` for the rows of a CSR matrix, as it is: not sorted, with duplicates, which add up.

    `columns` are DATA to N_STORED; `rate` is the share of the entries that dropout leaves out.
    """
    forward, backward = _sparse_functions(np.dtype(index_dtype), np.dtype(dtype))
    return Layer(forward, backward, n_in, n_out, own=(weights, *columns), hyper=(rate,))


# --- batch normalization ----------------------------------------------------------------------------------------

SCALE, MEAN, VARIANCE, SHIFT = range(OWN, OWN + 4)

# added to the variance
EPSILON = 1e-5


def batch_norm_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_out = value.shape
    scale, running_mean = part(theta, layer[SCALE], n_out), part(theta, layer[MEAN], n_out)
    mean, inverse = part(gradient, layer[MEAN], n_out), part(gradient, layer[VARIANCE], n_out)
    per_weight = 1 / weight.sum()
    mean[:] = 0
    for i in range(n_rows):
        share = weight[i] * per_weight
        for j in range(n_out):
            mean[j] += share * value[i, j]
    inverse[:] = value.dtype.type(EPSILON)
    for i in range(n_rows):
        share = weight[i] * per_weight
        for j in range(n_out):
            inverse[j] += share * (value[i, j] - mean[j]) ** 2
    for j in range(n_out):
        inverse[j] = 1 / np.sqrt(inverse[j])
    for i in range(n_rows):
        for j in range(n_out):
            kept[i, j] = (value[i, j] - mean[j]) * inverse[j]
            value[i, j] = scale[j] * kept[i, j]
    for j in range(n_out):
        mean[j] = running_mean[j] - mean[j]


def batch_norm_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_out = delta.shape
    scale, running_variance = part(theta, layer[SCALE], n_out), part(theta, layer[VARIANCE], n_out)
    scale_gradient, inverse = part(gradient, layer[SCALE], n_out), part(gradient, layer[VARIANCE], n_out)
    # the neurons above have added up delta already, which is the derivative with respect to their bias
    shift_gradient = part(gradient, layer[SHIFT], n_out)
    scale_gradient[:] = 0
    for i in range(n_rows):
        for j in range(n_out):
            scale_gradient[j] += delta[i, j] * kept[i, j]
    per_weight = 1 / weight.sum()
    for i in range(n_rows):
        share = weight[i] * per_weight
        for j in range(n_out):
            through_moments = shift_gradient[j] + kept[i, j] * scale_gradient[j]
            delta[i, j] = scale[j] * inverse[j] * (delta[i, j] - share * through_moments)
    epsilon = delta.dtype.type(EPSILON)
    for j in range(n_out):
        inverse[j] = running_variance[j] - max(1 / (inverse[j] * inverse[j]) - epsilon, epsilon * 0)


def batch_norm(n_out, scale, mean, variance, shift):
    """``scale (z - mean) / sqrt(variance + 1e-5)`` with the batch's mean and variance, weighted as the samples are.

    The shift that batch normalization has besides is the bias of the neurons. The places of the running mean and
    variance in `gradient` get what they exceed those of the batch by: a step against that is a step towards the batch.
    Until the way back that of the variance holds the root's inverse. (Ioffe and Szegedy, arXiv:1502.03167.)
    """
    return Layer(batch_norm_forward, batch_norm_backward, n_out, n_out, True, n_out, (scale, mean, variance, shift))


def standardize_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_out = value.shape
    scale, mean = part(theta, layer[SCALE], n_out), part(theta, layer[MEAN], n_out)
    variance = part(theta, layer[VARIANCE], n_out)
    epsilon = value.dtype.type(EPSILON)
    for i in range(n_rows):
        for j in range(n_out):
            value[i, j] = (value[i, j] - mean[j]) * (scale[j] / np.sqrt(variance[j] + epsilon))


def standardize(n_out, scale, mean, variance):
    """The same with the running mean and variance, to predict."""
    return Layer(standardize_forward, None, n_out, n_out, True, 0, (scale, mean, variance))


# --- neurons ----------------------------------------------------------------------------------------------------

BIAS, ACTIVATION = OWN, OWN + 1

# rows
_BLOCK = 16

_activate = call["activation"]


def neurons_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    _activate(layer[ACTIVATION], (value, part(theta, layer[BIAS], layer[N_OUT]), kept, hyper))


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


def neurons_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_out = delta.shape
    bias_gradient = part(gradient, layer[BIAS], n_out)
    bias_gradient[:] = 0
    for start in range(0, n_rows, _BLOCK):  # added up while they are in the cache
        stop = min(start + _BLOCK, n_rows)
        d, k = part(delta, start * n_out, (stop - start) * n_out), part(kept, start * n_out, (stop - start) * n_out)
        for i in range(d.size):
            d[i] *= k[i]
        add_rows(delta, start, stop, bias_gradient)


def neurons(n_out, bias, activation):
    """``g(z + b)``, in place: dL/dz = g' dL/dg, dL/db = the sum of the rows of that. `activation` is compiled."""
    return Layer(neurons_forward, neurons_backward, n_out, n_out, True, n_out, (bias, activation), activation.hyper())


def bias_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_out = value.shape
    bias = part(theta, layer[BIAS], n_out)
    for i in range(n_rows):
        for j in range(n_out):
            value[i, j] += bias[j]


def bias_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_out = delta.shape
    bias_gradient = part(gradient, layer[BIAS], n_out)
    bias_gradient[:] = 0
    add_rows(delta, 0, n_rows, bias_gradient)


def bias(n_out, bias):
    """``z + b``: neurons without an activation."""
    return Layer(bias_forward, bias_backward, n_out, n_out, True, 0, (bias,))


# --- dropout ----------------------------------------------------------------------------------------------------

SALT = OWN


def dropout_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_out = value.shape
    threshold, scale = threshold_of(hyper[0]), value.dtype.type(1 / (1 - hyper[0]))
    for i in range(n_rows):
        seed = seed_of(key, layer[SALT], rows[i])
        for j in range(n_out):
            kept[i, j] = scale if is_kept(seed, j, threshold) else value.dtype.type(0)
            value[i, j] *= kept[i, j]


def dropout_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    d, k = part(delta, 0, delta.size), part(kept, 0, kept.size)
    for i in range(d.size):
        d[i] *= k[i]


def thin_out(x, rows, rate, key):
    """Dropout of a net's inputs, which need no way back."""
    threshold, scale = threshold_of(rate), x.dtype.type(1 / (1 - rate))
    for i in range(x.shape[0]):
        seed = seed_of(key, 0, rows[i])
        for j in range(x.shape[1]):
            x[i, j] = x[i, j] * scale if is_kept(seed, j, threshold) else x.dtype.type(0)


thin_out = inlined(thin_out)


def dropout(n_out, rate, salt):
    """Each number becomes 0 with probability `rate`, else it is divided by 1 - rate, so that its mean stays."""
    return Layer(dropout_forward, dropout_backward, n_out, n_out, True, n_out, (salt,), (rate,))
