"""The graph of a tabular estimator: the encoder, the members and their average."""

from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.base import is_classifier

from sknn_iitb.activations import Identity
from sknn_iitb.onnx._components import PROBABILITIES, quantiles
from sknn_iitb.onnx._graph import Graph
from sknn_iitb.onnx._labels import class_labels
from sknn_iitb.onnx._networks import blocks_of, through
from sknn_iitb.onnx._tables import encoded, squashed
from sknn_iitb.tabular._layers import Features

__all__ = ["tabular", "viewed"]


def tabular(graph: Graph, net: Any, inputs: list[Any]) -> list[str]:
    """All outputs of a TabularMLPClassifier or TabularMLPRegressor.

    Parameters
    ----------
    graph : Graph
    net : TabularMLPClassifier or TabularMLPRegressor
    inputs : list of Variable

    Returns
    -------
    outputs : list of str
    """
    Z = encoded(graph, net.encoder_, inputs)
    if is_classifier(net):
        return _classes(graph, net, Z)
    return [_numbers(graph, net, Z, name) for name in net._goals()]


def _scores(graph, net, Z, name):
    """The scores of each member in float64, and its share in the average."""
    weights = net._averages[name].weights
    scores = [graph.cast(_score(graph, member, Z), TensorProto.DOUBLE) for member in getattr(net, name)]
    shares = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    return scores, shares / shares.sum()


def _average(graph, values, shares):
    return graph.add("Sum", *(graph.add("Mul", *each) for each in zip(values, shares, strict=True)))


def _score(graph, member, Z):
    """The score of a member."""
    network = member.network
    features, blocks = network.blocks[0][0].features, blocks_of(network, member.theta)
    blocks[0] = _first_block(features, blocks[0])
    for name in ("coefs", "intercepts"):
        blocks[-1][name] = blocks[-1][name] / member.temperature
    return through(graph, viewed(graph, features, Z), network, blocks, Identity())


def viewed(graph: Graph, features: Features, Z: str) -> str:
    """The columns of an encoded table as a member sees them, and the shares of its bins and knots.

    A share is how far a number lies on its way through a bin, or from a knot to the next, from 0 to 1. All operations
    are those of the first layer, in the same order.
    """
    Z = squashed(graph, Z, features.curvature)
    if not features.n_added:
        return Z
    columns, start, slope = (np.concatenate(pair) for pair in zip(features.bins, features.knots[:3], strict=True))
    way = graph.add("Sub", graph.columns(Z, columns), start.astype(np.float32))
    return graph.concat([Z, graph.add("Clip", graph.add("Mul", way, slope.astype(np.float32)), 0.0, 1.0)])


def _first_block(features, block):
    """The weights and biases for columns and shares: the values of bins and knots are linear functions of shares.

    The value of a bin is ``2 share - 1``. That of a knot is `height`, times the share of the knot before, or 1 for the
    first of a column, minus the share of the knot.
    """
    _, bins, knots = features
    coefs = block["factors"][:, None] * block["coefs"]
    n_columns = len(coefs) - features.n_added
    columns, of_bins, of_knots = np.split(coefs, [n_columns, n_columns + len(bins.column)])
    is_last = np.diff(knots.column, append=-1) != 0
    is_first = np.diff(knots.column, prepend=-1) != 0
    rise = np.where(is_last[:, None], 0, np.roll(of_knots, -1, axis=0) - of_knots)
    biases = knots.height * of_knots[is_first].sum(axis=0) - of_bins.sum(axis=0)
    return {
        "coefs": np.concatenate([columns, 2 * of_bins, knots.height * rise]),
        "intercepts": block["intercepts"] + biases,
    }


def _classes(graph, net, Z):
    """Labels and probabilities: the scores of the averaged probabilities are divided by a temperature."""
    goal, ensemble, targets = net._goals()["members_"], net._averages["members_"], net._targets
    n_classes = net.members_[0].network.units[-1]
    to_probabilities = partial(PROBABILITIES[type(goal.output)], graph, n_scores=n_classes, targets=targets)
    scores, shares = _scores(graph, net, Z, "members_")
    average = _average(graph, [to_probabilities(score=score) for score in scores], shares)
    least = np.float64(goal.least_probability)
    average = graph.add("Clip", average, least, 1 - least)
    score = graph.add("Log", average)
    if targets.multilabel:
        score = graph.add("Sub", score, graph.add("Log", graph.add("Sub", np.float64(1), average)))
    found = to_probabilities(score=graph.add("Div", score, np.float64(ensemble.temperature)))
    found = graph.cast(found, TensorProto.FLOAT)
    if targets.multilabel:
        return [graph.cast(graph.add("Greater", found, 0.5), TensorProto.INT64), found]
    return [graph.add("Gather", class_labels(targets.classes), graph.add("ArgMax", found, axis=1, keepdims=0)), found]


def _numbers(graph, net, Z, name):
    """Predictions of a regressor: the average in the unit of y, in its range."""
    average = _average(graph, *_scores(graph, net, Z, name))
    scale, center, (low, high) = net._scale / net._averages[name].temperature, net._mean, net._range
    if name == "quantile_members_":
        n_targets = len(scale)
        average = quantiles(graph, average, n_targets, len(net._fitted_quantiles))
        if n_targets > 1:
            scale, center, low, high = (each[:, None] for each in (scale, center, low, high))
    value = graph.add("Add", graph.add("Mul", average, scale), center)
    return graph.cast(graph.add("Min", graph.add("Max", value, low), high), TensorProto.FLOAT)
