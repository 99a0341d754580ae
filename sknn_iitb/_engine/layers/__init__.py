"""Layers, one kind per file.

A layer declares its parameters and a pair of functions, which process one chunk of a batch:

- ``forward(x, value, cache, layer, theta, batch)`` computes the layer's `value`, (rows, n_out), from its input `x`,
  (rows, n_in). It may store in `cache`, (rows, cache_size), what the backward pass needs.
- ``backward(x, delta, cache, layer, theta, batch)`` gets the derivative of the loss with respect to the value, `delta`.
  It assigns the derivative with respect to the layer's parameters to ``batch.gradient``, at the offsets that the
  parameters have in `theta`; the kernel sums the chunks. Unless ``layer.is_first``, it overwrites `x` with the
  derivative with respect to `x`.

A layer that works in place changes `value`, which holds its input, and in the backward pass `delta`; it does not use
`x`. For sparse rows, the first layer's `x` has no columns. All arrays are allocated by the caller.

``layer.own``, integers such as offsets into `theta`, and ``layer.hyper``, numbers, come from the layer's spec.
``batch.rows`` are the row indices of the samples, and ``batch.weight`` their shares in the mean loss of the batch.
Random numbers depend on ``batch.key``, the layer and the sample only, and so not on how a batch is split into chunks.
"""

from sknn_iitb._engine.layers.batch_norm import BatchNorm
from sknn_iitb._engine.layers.dense import Dense, FirstDense
from sknn_iitb._engine.layers.dropout import Dropout
from sknn_iitb._engine.layers.layer import Kind, Layer, LayerSpec, Mode, Parameter
from sknn_iitb._engine.layers.layer_norm import LayerNorm
from sknn_iitb._engine.layers.neurons import Neurons, Output

__all__ = [
    "NORMALIZATIONS",
    "BatchNorm",
    "Dense",
    "Dropout",
    "FirstDense",
    "Kind",
    "Layer",
    "LayerNorm",
    "LayerSpec",
    "Mode",
    "Neurons",
    "Output",
    "Parameter",
]

# normalizations of the weighted sums of hidden layers, by the estimators' parameter
NORMALIZATIONS = {"batch_norm": BatchNorm, "layer_norm": LayerNorm}
