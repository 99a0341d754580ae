"""Layer normalization (Ba, Kiros and Hinton, arXiv:1607.06450)."""

from dataclasses import dataclass

import numpy as np

from sknn_iitb._engine.layers.layer import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import vector_at

__all__ = ["EPSILON", "LayerNorm"]

# added to the variance
EPSILON = 1e-5


def layer_norm_forward(x, value, cache, layer, theta, batch):
    n_rows, n_out = value.shape
    scale = vector_at(theta, layer.own[0], n_out)
    zero, one, share = value.dtype.type(0), value.dtype.type(1), value.dtype.type(1 / n_out)
    epsilon = value.dtype.type(EPSILON)
    for i in range(n_rows):
        mean, variance = zero, zero
        for j in range(n_out):
            mean += share * value[i, j]
        for j in range(n_out):
            variance += share * (value[i, j] - mean) ** 2
        # the row's normalized values, then the inverse root
        inverse = cache[i, n_out] = one / np.sqrt(variance + epsilon)
        for j in range(n_out):
            cache[i, j] = (value[i, j] - mean) * inverse
            value[i, j] = scale[j] * cache[i, j]


def layer_norm_backward(x, delta, cache, layer, theta, batch):
    n_rows, n_out = delta.shape
    scale, scale_gradient = vector_at(theta, layer.own[0], n_out), vector_at(batch.gradient, layer.own[0], n_out)
    zero, share = delta.dtype.type(0), delta.dtype.type(1 / n_out)
    scale_gradient[:] = 0
    for i in range(n_rows):
        # with g = dL/d(normalized): dL/dz = (g - mean(g) - normalized mean(g normalized)) / root
        mean, along = zero, zero
        for j in range(n_out):
            scale_gradient[j] += delta[i, j] * cache[i, j]
            delta[i, j] *= scale[j]
            mean += share * delta[i, j]
            along += share * delta[i, j] * cache[i, j]
        for j in range(n_out):
            delta[i, j] = cache[i, n_out] * (delta[i, j] - mean - cache[i, j] * along)


@kind("LayerNorm")
@dataclass(frozen=True)
class LayerNorm(Layer):
    """``scale (z - mean) / sqrt(variance + 1e-5)`` in place, with the mean and variance of each row over the neurons.

    The shift of layer normalization is the bias of the activation that follows.
    """

    n_out: int
    min_neurons = 2

    def parameters(self):
        return {"scales": Parameter(Kind.SCALE, (self.n_out,), 1.0)}

    def spec(self, start, mode):
        needs = {"cache_size": self.n_out + 1, "own": (start["scales"],)}
        return LayerSpec(layer_norm_forward, layer_norm_backward, self.n_out, self.n_out, in_place=True, **needs)
