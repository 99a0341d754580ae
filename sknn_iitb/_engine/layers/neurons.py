"""Biases and activations: ``g(z + b)``."""

from dataclasses import dataclass

from sknn_iitb._engine.layers.layer import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.compilation import call
from sknn_iitb._jit.intrinsics import inlined, vector_at
from sknn_iitb.activations import Activation, Identity

__all__ = ["Neurons", "Output"]

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


def bias_forward(x, value, cache, layer, theta, batch):
    bias = vector_at(theta, layer.own[0], layer.n_out)
    for i in range(value.shape[0]):
        for j in range(layer.n_out):
            value[i, j] += bias[j]


def bias_backward(x, delta, cache, layer, theta, batch):
    bias_gradient = vector_at(batch.gradient, layer.own[0], layer.n_out)
    bias_gradient[:] = 0
    add_rows(delta, 0, delta.shape[0], bias_gradient)


@kind("Neurons")
@dataclass(frozen=True)
class Neurons(Layer):
    """``g(z + b)`` in place: dL/dz = g' dL/dg, and dL/db is the sum of its rows."""

    n_out: int
    activation: Activation
    learning_rate: float = 1.0

    def parameters(self):
        return {"intercepts": Parameter(Kind.BIAS, (self.n_out,), learning_rate=self.learning_rate)}

    def spec(self, start, mode):
        return _spec(self.n_out, start["intercepts"], self.activation)


@kind("Output")
@dataclass(frozen=True)
class Output(Neurons):
    """The last layer, whose activation belongs to the loss in training."""

    def spec(self, start, mode):
        return _spec(self.n_out, start["intercepts"], self.activation if mode.activate_output else Identity())


def _spec(n_out, bias, activation):
    if isinstance(activation, Identity):
        return LayerSpec(bias_forward, bias_backward, n_out, n_out, in_place=True, own=(bias,))
    needs = {"cache_size": n_out, "own": (bias, activation), "hyper": activation.hyper()}
    return LayerSpec(neurons_forward, neurons_backward, n_out, n_out, in_place=True, **needs)
