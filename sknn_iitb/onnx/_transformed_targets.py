"""Registration of scikit-learn's TransformedTargetRegressor, which skl2onnx does not support."""

import numpy as np
from onnx import TensorProto
from skl2onnx import get_model_alias, update_registered_converter

# of skl2onnx's documentation of custom parsers; it has no public name
from skl2onnx._parse import parse_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from sknn_iitb.onnx._graph import Graph

__all__ = ["register_transformed_targets"]


def register_transformed_targets() -> None:
    """Let skl2onnx convert a TransformedTargetRegressor, unless it does already."""
    try:
        get_model_alias(TransformedTargetRegressor)
    except RuntimeError:
        alias = "SknnTransformedTargetRegressor"
        update_registered_converter(TransformedTargetRegressor, alias, _set_types, _convert, parser=_parse)


def _parse(scope, model, inputs, custom_parsers=None):
    transformer = model.transformer_
    if not isinstance(transformer, StandardScaler):
        function = getattr(transformer, "inverse_func", None)
        name = getattr(function, "__name__", type(transformer).__name__)
        raise ValueError(
            f"A TransformedTargetRegressor can be converted to ONNX with transformer=StandardScaler(), not {name}. "
            "Convert its regressor_, and transform the predictions yourself."
        )
    outputs = parse_sklearn(scope, model.regressor_, inputs, custom_parsers=custom_parsers)
    for each in outputs:
        each.init_status(is_leaf=False)
    operator = scope.declare_local_operator(get_model_alias(type(model)), model)
    operator.inputs.append(outputs[0])
    operator.outputs.append(scope.declare_local_variable("variable", FloatTensorType()))
    return operator.outputs


def _set_types(operator):
    operator.outputs[0].type = FloatTensorType(operator.inputs[0].type.shape)


def _convert(scope, operator, container):
    graph, scaler = Graph(scope.get_unique_variable_name), operator.raw_operator.transformer_
    value = graph.cast(operator.inputs[0].onnx_name, TensorProto.DOUBLE)
    if scaler.scale_ is not None:
        value = graph.add("Mul", value, np.float64(scaler.scale_))
    if scaler.mean_ is not None:
        value = graph.add("Add", value, np.float64(scaler.mean_))
    value = graph.cast(value, TensorProto.FLOAT)
    graph.hand_over(container)
    container.add_node("Identity", [value], [operator.outputs[0].onnx_name])
