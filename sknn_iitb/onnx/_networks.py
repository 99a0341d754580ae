"""The graph of an MLPClassifier or MLPRegressor."""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.base import is_classifier

from sknn_iitb._engine.parameters import Parameters
from sknn_iitb.activations import Identity, Step
from sknn_iitb.onnx._components import ACTIVATIONS, NORMALIZATIONS, dense, regressor_outputs
from sknn_iitb.onnx._graph import Graph
from sknn_iitb.onnx._labels import predictions

__all__ = ["blocks_of", "mlp", "through"]


def through(graph: Graph, x: str, network: Any, blocks: list[Any], output: Any, exact_sums: bool = False) -> str:
    """The layers of a network, one block after the other.

    Parameters
    ----------
    graph : Graph
    x : str
        Its inputs.
    network : Network
    blocks : list of dict of str to ndarray
        The parameters of each block.
    output : Activation
        Takes the place of the activation of the output.
    exact_sums : bool, default=False
        Whether the sums of the first layer are computed in float64.

    Returns
    -------
    values : str
    """
    chosen = [*network.activations[:-1], output]
    for k, (layers, block, activation) in enumerate(zip(network.blocks, blocks, chosen, strict=True)):
        # a step function turns a rounding error into another value
        is_step = isinstance(activation, Step)
        is_exact = is_step or (k == 0 and exact_sums)
        if is_exact:
            x = graph.cast(x, TensorProto.DOUBLE)
        weighted_sums = next((NORMALIZATIONS[type(each)] for each in layers if type(each) in NORMALIZATIONS), dense)
        z = weighted_sums(graph, x, block, np.float64 if is_exact else np.float32)
        if is_exact and not is_step:
            z = graph.cast(z, TensorProto.FLOAT)
        x = ACTIVATIONS[type(activation)](graph, z, activation)
    return x


def blocks_of(network: Any, theta: Any) -> list[dict[str, Any]]:
    """The parameters of each block, in float64."""
    parameters = Parameters(network.layout, theta.astype(np.float64))
    return [parameters.block(k) for k in range(len(network.blocks))]


def mlp(graph: Graph, net: Any, inputs: list[Any]) -> list[str]:
    """All outputs of an MLPClassifier or MLPRegressor.

    Parameters
    ----------
    graph : Graph
    net : MLPClassifier or MLPRegressor
    inputs : list of Variable

    Returns
    -------
    outputs : list of str
    """
    network, theta = net._network, net._parameters.vector
    # the inputs may be large numbers
    is_exact = theta.dtype == np.float64
    kind = TensorProto.DOUBLE if is_exact else TensorProto.FLOAT
    x = graph.concat([graph.cast(each.onnx_name, kind) for each in inputs])
    n_outputs, is_label = network.units[-1], is_classifier(net)
    last = Identity() if is_label else network.output
    value = through(graph, x, network, blocks_of(network, theta), last, is_exact)
    if is_label:
        return predictions(graph, net._targets, value, n_outputs, network.output)
    return [*regressor_outputs(graph, value, net._loss, n_outputs).values()]
