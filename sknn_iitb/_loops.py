"""Compiled loops that apply a function of single numbers: an activation to a layer, a loss to a batch."""

from sknn_iitb._jit.intrinsics import first, vector_at
from sknn_iitb._registry import Kernel

__all__ = ["elementwise", "pointwise"]

# shorter rows leave too many numbers to the scalar remainder of a vectorized loop
_LONG_ROW = 64


def elementwise(function: Kernel, n_arguments: int) -> Kernel:
    """The layer's loop: value <- g(value + bias), slope <- g'(value + bias), in place."""

    parameters_in = first(n_arguments - 1)

    def activate(value, bias, slope, hyper):
        n_rows, n_out = value.shape
        parameters = parameters_in(hyper)
        if n_out >= _LONG_ROW:
            for i in range(n_rows):
                for j in range(n_out):
                    value[i, j], slope[i, j] = function(value[i, j] + bias[j], *parameters)
        else:
            for i in range(n_rows):
                for j in range(n_out):
                    value[i, j] += bias[j]
            z, s = vector_at(value, 0, value.size), vector_at(slope, 0, slope.size)
            for i in range(z.size):
                z[i], s[i] = function(z[i], *parameters)

    return activate


def pointwise(function: Kernel, n_arguments: int) -> Kernel:
    """The loop over a batch: gradient <- weight f'; returns the weighted sum of f."""

    parameters_in = first(n_arguments - 2)

    def batch_loss(value, target, weight, gradient, hyper, groups):
        n = value.size
        v, y, w, g = vector_at(value, 0, n), vector_at(target, 0, n), vector_at(weight, 0, n), vector_at(gradient, 0, n)
        parameters = parameters_in(hyper)
        total = 0.0
        for i in range(n):
            loss, slope = function(v[i], y[i], *parameters)
            total += w[i] * loss
            g[i] = w[i] * slope
        return total

    return batch_loss
