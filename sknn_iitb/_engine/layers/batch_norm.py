"""Batch normalization (Ioffe and Szegedy, arXiv:1502.03167)."""

from dataclasses import dataclass

import numpy as np

from sknn_iitb._engine.layers.layer import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import vector_at

__all__ = ["BatchNorm"]

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


def standardize_forward(x, value, cache, layer, theta, batch):
    scale_start, mean_start, variance_start = layer.own[0], layer.own[1], layer.own[2]
    n_rows, n_out = value.shape
    scale, mean = vector_at(theta, scale_start, n_out), vector_at(theta, mean_start, n_out)
    variance = vector_at(theta, variance_start, n_out)
    epsilon = value.dtype.type(EPSILON)
    for i in range(n_rows):
        for j in range(n_out):
            value[i, j] = (value[i, j] - mean[j]) * (scale[j] / np.sqrt(variance[j] + epsilon))


@kind("BatchNorm")
@dataclass(frozen=True)
class BatchNorm(Layer):
    """``scale (z - mean) / sqrt(variance + 1e-5)`` in place, with the mean and variance of each column over the batch.

    The moments are weighted as the samples are. The shift of batch normalization is the bias of the activation that
    follows. Prediction uses the running moments.

    The entries of the running moments in the gradient are their differences from the moments of the batch, so that a
    step against the gradient is a step towards the batch. Until the backward pass, that of the variance holds the
    inverse root.
    """

    n_out: int
    whole_batch = True
    min_rows = 2

    def parameters(self):
        return {
            "scales": Parameter(Kind.SCALE, (self.n_out,), 1.0),
            "means": Parameter(Kind.MOMENT, (self.n_out,), 0.0),
            "variances": Parameter(Kind.MOMENT, (self.n_out,), 1.0),
        }

    def spec(self, start, mode):
        own = start["scales"], start["means"], start["variances"], start["intercepts"]
        if mode.training:
            needs = {"cache_size": self.n_out, "own": own}
            return LayerSpec(batch_norm_forward, batch_norm_backward, self.n_out, self.n_out, in_place=True, **needs)
        return LayerSpec(standardize_forward, None, self.n_out, self.n_out, in_place=True, own=own[:3])

    @staticmethod
    def fold(block):
        """Return the weights and biases that predict the same without batch normalization, which is linear then.

        Parameters
        ----------
        block : dict of str to ndarray
            The parameters of the layer's block.
        """
        factor = block["scales"] / np.sqrt(block["variances"] + block["variances"].dtype.type(EPSILON))
        return block["coefs"] * factor, block["intercepts"] - block["means"] * factor
