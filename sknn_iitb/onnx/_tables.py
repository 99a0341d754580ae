"""The graph of the encoder of a table."""

from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

from sknn_iitb.onnx._graph import ML, Graph

__all__ = ["encoded", "squashed"]


class _Column(NamedTuple):
    """A categorical column: its name in the table, its values, (n, 1), and their type."""

    name: Any
    values: str
    type: Any


def encoded(graph: Graph, encoder: Any, inputs: list[Any]) -> str:
    """The matrix of the TableEncoder of a tabular estimator.

    It is computed by the operations of the encoder, in the same order, so that no digit differs.

    Parameters
    ----------
    graph : Graph
    encoder : TableEncoder
    inputs : list of Variable
        One for each column, or matrices of several columns.

    Returns
    -------
    Z : str
    """
    beyond = encoder._beyond_float32()
    numbers, categorical = _split(graph, encoder, inputs, TensorProto.DOUBLE if beyond else TensorProto.FLOAT)
    scaler, parts = encoder._scaler_of_float32(beyond), []
    center = (scaler.center_ / 2).astype(np.float32)
    if numbers:
        numbers, n = graph.concat(numbers), np.count_nonzero(~encoder.is_categorical_)
        if beyond:
            numbers = graph.cast(_standardized(graph, numbers, beyond, n), TensorProto.FLOAT)
        missing = graph.add("IsNaN", numbers)
        # a missing number becomes the median, which is zero after scaling
        median = 2 * center[:n]
        known = graph.add("Where", missing, median, numbers)
        largest = np.finfo(np.float32).max
        parts.append(graph.add("Clip", known, -largest, largest))
        if encoder._has_indicator.any():
            missing = graph.columns(missing, np.flatnonzero(encoder._has_indicator))
            parts.append(graph.cast(missing, TensorProto.FLOAT))
    for column, positions, n in zip(categorical, encoder._positions, encoder._n_positions, strict=True):
        parts.append(_levels(graph, column, positions, n))
    return squashed(graph, _scaled(graph, graph.concat(parts), center, scaler), encoder._features.curvature)


def _standardized(graph, numbers, beyond, n):
    """The numeric columns in float64, of which those that float32 cannot hold are scaled; the others stay the same."""
    center, scale = np.zeros(n), np.ones(n)
    for j, exact in beyond.items():
        center[j], scale[j] = exact
    halves = np.maximum(scale / 2, np.finfo(np.float64).tiny)
    return graph.add("Div", graph.add("Sub", graph.add("Mul", numbers, np.float64(0.5)), center / 2), halves)


def _split(graph, encoder, inputs, kind):
    """The matrices of numbers in a type of `TensorProto`, and the categorical columns."""
    numbers, categorical, start = [], [], 0
    for each in inputs:
        width = each.type.shape[1] or encoder.n_features_in_
        is_categorical = encoder.is_categorical_[start : start + width]
        some = np.flatnonzero(~is_categorical)
        if some.size:
            if isinstance(each.type, StringTensorType):
                raise TypeError(
                    f"The input of column {encoder._names[start + some[0]]!r} cannot be {each.type!r}, because it is "
                    "numeric."
                )
            own = each.onnx_name if some.size == width else graph.columns(each.onnx_name, some)
            numbers.append(graph.cast(own, kind))
        for j in np.flatnonzero(is_categorical):
            values = each.onnx_name if width == 1 else graph.columns(each.onnx_name, [j])
            categorical.append(_Column(encoder._names[start + j], values, each.type))
        start += width
    if start != encoder.n_features_in_:
        raise ValueError(f"The inputs have {start} columns, but the table in fit had {encoder.n_features_in_}.")
    return numbers, categorical


def _levels(graph, column, positions, n):
    """One column per category; or -1 and 1 for two of them. Other values, and missing ones, are zeros."""
    keys = _keys(column, positions)
    values = column.values
    if "keys_int64s" in keys:
        values = graph.cast(values, TensorProto.INT64)
    elif "keys_floats" in keys:
        values = graph.cast(values, TensorProto.FLOAT)
    found = keys.pop("positions")
    if n <= 2:
        heights = [float(2 * position - 1) if n == 2 else 0.0 for position in found]
        return graph.add("LabelEncoder", values, domain=ML, values_floats=heights, default_float=0.0, **keys)
    index = graph.add("LabelEncoder", values, domain=ML, values_int64s=found, default_int64=-1, **keys)
    return graph.cast(graph.add("Equal", index, np.arange(n)[None]), TensorProto.FLOAT)


def _keys(column, positions):
    """The values of the categories in the type of the column, as attributes of a LabelEncoder, and their positions."""
    if isinstance(column.type, StringTensorType):
        also = {name: positions[text] for name, text in (("True", "1"), ("False", "0")) if text in positions}
        keys = {**positions, **also} or {"": 0}
        return {"keys_strings": [*keys], "positions": [*keys.values()]}
    convert = np.float32 if isinstance(column.type, (FloatTensorType, DoubleTensorType)) else int
    try:
        keys = {convert(text): position for text, position in positions.items()}
    except ValueError:
        raise TypeError(
            f"The input of column {column.name!r} cannot be {column.type!r}, because not all of its categories are "
            "such numbers. StringTensorType accepts all categories."
        ) from None
    if len(keys) < len(positions):
        raise TypeError(f"Some categories of column {column.name!r} are equal in float32. Convert them to strings.")
    keys = keys or {0: 0}
    name = "keys_int64s" if convert is int else "keys_floats"
    return {name: [*keys], "positions": [*keys.values()]}


def _scaled(graph, matrix, center, scaler):
    """As `RobustSmoothScaler.scale`."""
    halves = np.maximum((scaler.scale_ / 2).astype(np.float32), np.finfo(np.float32).tiny)
    x = graph.add("Sub", graph.add("Div", matrix, 2.0), center)
    x = graph.add("Clip", graph.add("Div", x, halves), -1e6, 1e6)
    ratio = graph.add("Div", x, float(scaler.limit))
    return _divided(graph, x, graph.add("Mul", ratio, ratio))


def squashed(graph: Graph, Z: str, curvature: float) -> str:
    """``Z / sqrt(1 + curvature Z**2)``, in the order of the first layer."""
    if curvature == 0:
        return Z
    curved = graph.add("Mul", graph.add("Mul", np.float32(curvature), Z), Z)
    return _divided(graph, Z, curved)


def _divided(graph, x, square):
    """``x / sqrt(1 + square)``."""
    # the root of a float32 is not exact in all releases of onnxruntime
    exact = graph.add("Sqrt", graph.cast(graph.add("Add", square, 1.0), TensorProto.DOUBLE))
    return graph.add("Div", x, graph.cast(exact, TensorProto.FLOAT))
