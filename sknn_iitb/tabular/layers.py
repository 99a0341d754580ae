"""The layer that only nets for tables have. It is a link of the chain as those of :mod:`sknn_iitb.layers` are."""

from sknn_iitb._intrinsics import part
from sknn_iitb.layers import OWN, Layer

__all__ = ["scaling"]

FACTORS = OWN


def scaling_forward(x, rows, weight, theta, gradient, value, kept, layer, hyper, key):
    n_rows, n_out = value.shape
    factors = part(theta, layer[FACTORS], n_out)
    for i in range(n_rows):
        for j in range(n_out):
            value[i, j] = factors[j] * x[i, j]


def scaling_backward(x, rows, weight, theta, gradient, delta, kept, x_delta, layer, hyper, key):
    n_rows, n_out = delta.shape
    slopes = part(gradient, layer[FACTORS], n_out)
    slopes[:] = 0
    for i in range(n_rows):
        for j in range(n_out):
            slopes[j] += delta[i, j] * x[i, j]


def scaling(n_out, factors):
    """``s x``, for each column a factor, as the first layer: dL/ds = the sum over the rows of x dL/d(s x).

    The weights of a column could learn the same, but a single number learns faster how much a column matters.
    """
    return Layer(scaling_forward, scaling_backward, n_out, n_out, own=(factors,))
