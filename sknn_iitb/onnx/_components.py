"""The ONNX operators of each component. The tables drive the conversion, its documentation and its tests."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from onnx import TensorProto

from sknn_iitb import activations, losses
from sknn_iitb._engine.layers import BatchNorm, LayerNorm
from sknn_iitb._engine.layers.layer_norm import EPSILON
from sknn_iitb.onnx._graph import Graph

__all__ = ["ACTIVATIONS", "NORMALIZATIONS", "PREDICTIONS", "PROBABILITIES", "dense", "quantiles", "regressor_outputs"]


# --- activations: (graph, weighted sums, activation) -> values -----------------------------------------------------


def _gelu(graph, z, activation):
    probability = graph.add("Mul", graph.add("Add", graph.add("Erf", graph.add("Mul", z, sqrt(0.5))), 1.0), 0.5)
    return graph.add("Mul", z, probability)


def _step(graph, z, activation):
    sign = graph.cast(graph.add("Sign", z), TensorProto.FLOAT)
    return graph.add("Mul", graph.add("Add", sign, 1.0), 0.5)


ACTIVATIONS: dict[type, Callable[[Graph, str, Any], str]] = {
    activations.Identity: lambda graph, z, activation: z,
    activations.Logistic: lambda graph, z, activation: graph.add("Sigmoid", z),
    activations.Tanh: lambda graph, z, activation: graph.add("Tanh", z),
    activations.ReLU: lambda graph, z, activation: graph.add("Relu", z),
    activations.Step: _step,
    activations.LeakyReLU: lambda graph, z, activation: graph.add(
        "LeakyRelu", z, alpha=float(activation.negative_slope)
    ),
    activations.ELU: lambda graph, z, activation: graph.add("Elu", z, alpha=float(activation.alpha)),
    activations.SELU: lambda graph, z, activation: graph.add("Selu", z),
    activations.CELU: lambda graph, z, activation: graph.add("Celu", z, alpha=float(activation.alpha)),
    activations.GELU: _gelu,
    activations.SiLU: lambda graph, z, activation: graph.add("Mul", z, graph.add("Sigmoid", z)),
    activations.Mish: lambda graph, z, activation: graph.add("Mul", z, graph.add("Tanh", graph.add("Softplus", z))),
    activations.Softplus: lambda graph, z, activation: graph.add("Softplus", z),
    activations.Softsign: lambda graph, z, activation: graph.add("Softsign", z),
    activations.HardSigmoid: lambda graph, z, activation: graph.add("HardSigmoid", z, alpha=1 / 6, beta=0.5),
    activations.HardTanh: lambda graph, z, activation: graph.add("Clip", z, -1.0, 1.0),
    activations.Exponential: lambda graph, z, activation: graph.add("Exp", z),
    activations.Softmax: lambda graph, z, activation: graph.add("Softmax", z, axis=1),
}


# --- weighted sums of a layer: (graph, inputs, parameters of the block, dtype) -> weighted sums --------------------


def dense(graph: Graph, x: str, block: Any, dtype: Any) -> str:
    """``x W + b``."""
    return graph.add("Gemm", x, block["coefs"].astype(dtype), block["intercepts"].astype(dtype))


def _batch_norm(graph, x, block, dtype):
    return dense(graph, x, dict(zip(("coefs", "intercepts"), BatchNorm.fold(block), strict=True)), dtype)


def _layer_norm(graph, x, block, dtype):
    coefs, scales, intercepts = (block[name].astype(dtype) for name in ("coefs", "scales", "intercepts"))
    z = graph.add("MatMul", x, coefs)
    return graph.add("LayerNormalization", z, scales, intercepts, axis=-1, epsilon=EPSILON)


# by the layer
NORMALIZATIONS: dict[type, Callable[[Graph, str, Any, Any], str]] = {BatchNorm: _batch_norm, LayerNorm: _layer_norm}


# --- probabilities of a classifier: (graph, scores, number of columns, targets) -> probabilities -------------------


def _logistic(graph, score, n_scores, targets):
    if targets.multilabel:
        return graph.add("Sigmoid", score)
    if n_scores == 1:
        return graph.add("Sigmoid", graph.concat([graph.add("Neg", score), score]))
    # one-vs-rest: each divided by their sum, from the logarithms, which do not underflow
    log = graph.add("Neg", graph.add("Softplus", graph.add("Neg", score)))
    return graph.add("Softmax", log, axis=1)


def _tanh(graph, score, n_scores, targets):
    # (1 + tanh z) / 2 is the logistic function of 2 z
    return _logistic(graph, graph.add("Add", score, score), n_scores, targets)


# by the output activation; None if there are only scores
PROBABILITIES: dict[type, Callable[[Graph, str, int, Any], str] | None] = {
    activations.Softmax: lambda graph, score, n_scores, targets: graph.add("Softmax", score, axis=1),
    activations.Logistic: _logistic,
    activations.Tanh: _tanh,
    activations.Identity: None,
    activations.Step: None,
}


# --- predictions of a regressor: (graph, values of the outputs, loss, number of outputs) -> predictions by name ----


def _same(graph, value, loss, n_outputs):
    return {"variable": value}


def quantiles(graph: Graph, value: str, n_targets: int, n_quantiles: int) -> str:
    """Sorted quantiles of each target, (n, n_quantiles) or (n, n_targets, n_quantiles)."""
    shape = [0, n_quantiles] if n_targets == 1 else [0, n_targets, n_quantiles]
    value = graph.add("Reshape", value, np.array(shape, np.int64))
    return graph.add("TopK", value, np.array([n_quantiles], np.int64), n_outputs=2, largest=0)


def _quantiles(graph, value, loss, n_outputs):
    n = len(loss.hyper())
    return {"variable": quantiles(graph, value, n_outputs // n, n) if np.ndim(loss.quantile) else value}


def _gaussian(graph, value, loss, n_outputs):
    n = n_outputs // 2
    mean, log_variance = (graph.columns(value, np.arange(n) + start) for start in (0, n))
    variance = graph.add("Add", graph.add("Exp", log_variance), float(loss.var_floor))
    return {"variable": mean, "std": graph.add("Sqrt", variance)}


# by the loss; each output of the network is a prediction with all others
PREDICTIONS: dict[type, Callable[[Graph, str, Any, int], dict[str, str]]] = {
    losses.Quantile: _quantiles,
    losses.Gaussian: _gaussian,
}


def regressor_outputs(graph: Graph, value: str, loss: Any, n_outputs: int) -> dict[str, str]:
    """Predictions from the values of the outputs."""
    return PREDICTIONS.get(type(loss), _same)(graph, value, loss, n_outputs)
