"""Layers: the links of the chain that a network is.

A layer is a pair of functions over one piece of a batch:

- ``forward(x, theta, value, slope, layer, hyper)`` computes the layer's `value`, (rows, n_out), from its input `x`,
  (rows, n_in), and keeps the derivative of its activation in `slope`;
- ``backward(x, theta, gradient, delta, x_slope, x_delta, layer)`` takes the loss's derivative with respect to the
  weighted sums, `delta`, and writes that with respect to the layer's parameters into its places of `gradient`. Into
  `x_delta` it writes the `delta` of the layer before, whose slope is `x_slope` (empty for a slope of one); `x_delta` is
  empty for the first layer. It may share memory with `x`, which is not needed any more by then.

`layer` is the layer's row of the network's table, whose columns are named here.
"""

import numpy as np

from sknn_iitb._jit import call

__all__ = ["DENSE", "dense_backward", "dense_forward"]

# columns of the table; COEF and INTERCEPT are offsets into theta, VALUE the summed width of the layers before
FORWARD, BACKWARD, ACTIVATION, N_IN, N_OUT, COEF, INTERCEPT, VALUE = range(8)
N_COLUMNS = 8

_activate = call["activation"]


def dense_forward(x, theta, value, slope, layer, hyper):
    """value = g(x W + b)."""
    n_in, n_out = layer[N_IN], layer[N_OUT]
    weights = theta[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    bias = theta[layer[INTERCEPT] : layer[INTERCEPT] + n_out]
    np.dot(x, weights, value)
    if layer[ACTIVATION] != 0:
        _activate(layer[ACTIVATION], (value, bias, slope, hyper))
    else:
        for i in range(value.shape[0]):
            for j in range(n_out):
                value[i, j] += bias[j]


def dense_backward(x, theta, gradient, delta, x_slope, x_delta, layer):
    """dL/db = sum of the rows of delta; dL/dW = x' delta; dL/dx = delta W', times the slope of x."""
    n_in, n_out = layer[N_IN], layer[N_OUT]
    n_rows = delta.shape[0]
    weights = theta[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    weight_gradient = gradient[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    bias_gradient = gradient[layer[INTERCEPT] : layer[INTERCEPT] + n_out]
    bias_gradient[:] = 0
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):  # four rows for one pass over the sums: up to three times as fast
        for j in range(n_out):
            bias_gradient[j] += (delta[i, j] + delta[i + 1, j]) + (delta[i + 2, j] + delta[i + 3, j])
    for i in range(whole, n_rows):
        for j in range(n_out):
            bias_gradient[j] += delta[i, j]
    np.dot(x.T, delta, weight_gradient)
    if x_delta.size == 0:
        return
    if n_out == 1 and x_slope.size > 0:
        # an outer product: BLAS spends three times as long on packing its operands
        for i in range(n_rows):
            for j in range(n_in):
                x_delta[i, j] = delta[i, 0] * weights[j, 0] * x_slope[i, j]
        return
    np.dot(delta, weights.T, x_delta)
    if x_slope.size > 0:
        d, s = x_delta.ravel(), x_slope.ravel()
        for i in range(d.size):
            d[i] *= s[i]


DENSE = dense_forward, dense_backward
