"""Layers: the links of the chain that a network is.

A layer is a pair of functions over one piece of a batch:

- ``forward(x, theta, value, slope, layer, hyper)`` computes the layer's `value`, (rows, n_out), from its input `x`,
  (rows, n_in), and keeps the derivative of its activation in `slope`;
- ``backward(x, theta, gradient, delta, slope, x_delta, layer)`` takes the loss's derivative with respect to the value,
  `delta`, writes that with respect to the layer's parameters into its places of `gradient`, and that with respect to
  `x` into `x_delta` (empty for the first layer). `x_delta` may share memory with `x`: an input is not needed any more
  once its weights' gradient is known.

`layer` is the layer's row of the network's table, whose columns are named here.
"""

import numpy as np

from sknn_iitb._jit import call

__all__ = ["DENSE", "dense_backward", "dense_forward"]

# columns of the table; COEF and INTERCEPT are offsets into theta, VALUE the summed width of the layers before
FORWARD, BACKWARD, ACTIVATION, N_IN, N_OUT, COEF, INTERCEPT, VALUE = range(8)
N_COLUMNS = 8

# numbers that an activation gets at a time: few enough to be still in the first-level cache after the bias was added
_BLOCK = 4096

_activate = call["activation"]


def dense_forward(x, theta, value, slope, layer, hyper):
    """value = g(x W + b)."""
    n_in, n_out = layer[N_IN], layer[N_OUT]
    weights = theta[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    bias = theta[layer[INTERCEPT] : layer[INTERCEPT] + n_out]
    np.dot(x, weights, value)
    n_rows = x.shape[0]
    block = max(1, _BLOCK // n_out)
    for start in range(0, n_rows, block):
        stop = min(start + block, n_rows)
        for i in range(start, stop):
            for j in range(n_out):
                value[i, j] += bias[j]
        if layer[ACTIVATION] != 0:
            size = (stop - start) * n_out
            _activate(layer[ACTIVATION], (value[start:stop].reshape(size), slope[start:stop].reshape(size), hyper))


def dense_backward(x, theta, gradient, delta, slope, x_delta, layer):
    """dL/db = sum of the rows of d; dL/dW = x' d; dL/dx = d W'; d = delta * g'."""
    n_in, n_out = layer[N_IN], layer[N_OUT]
    weights = theta[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    weight_gradient = gradient[layer[COEF] : layer[COEF] + n_in * n_out].reshape(n_in, n_out)
    bias_gradient = gradient[layer[INTERCEPT] : layer[INTERCEPT] + n_out]
    bias_gradient[:] = 0
    for i in range(delta.shape[0]):
        if layer[ACTIVATION] != 0:
            for j in range(n_out):
                delta[i, j] *= slope[i, j]
        for j in range(n_out):
            bias_gradient[j] += delta[i, j]
    np.dot(x.T, delta, weight_gradient)
    if x_delta.size > 0:
        np.dot(delta, weights.T, x_delta)


DENSE = dense_forward, dense_backward
