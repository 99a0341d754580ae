"""Registration with skl2onnx: which outputs each estimator has, and how its graph is built."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from skl2onnx import get_model_alias, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sknn_iitb.losses import Loss
from sknn_iitb.mlp import MLPClassifier, MLPRegressor
from sknn_iitb.onnx._components import ACTIVATIONS, PREDICTIONS, regressor_outputs
from sknn_iitb.onnx._graph import Graph
from sknn_iitb.onnx._labels import classifier_types
from sknn_iitb.onnx._members import tabular
from sknn_iitb.onnx._networks import mlp
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

__all__ = ["ESTIMATORS", "OPSET", "check", "register"]

# the oldest opset that has all the operators: LayerNormalization is of 17
OPSET = 17

ESTIMATORS: dict[type, Any] = {
    MLPClassifier: mlp,
    MLPRegressor: mlp,
    TabularMLPClassifier: tabular,
    TabularMLPRegressor: tabular,
}


def register() -> None:
    """Let skl2onnx convert the estimators."""
    for estimator in ESTIMATORS:
        # skl2onnx sets zipmap for the last step of each pipeline
        options = {"zipmap": [False, True]} if issubclass(estimator, (MLPClassifier, TabularMLPClassifier)) else None
        alias = f"Sknn{estimator.__name__}"
        update_registered_converter(estimator, alias, _set_types, _convert, parser=_parse, options=options)


def check(net: Any) -> None:
    """Raise an error if an estimator cannot be converted.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If its class labels have no type in ONNX.
    ValueError
        If it has a custom activation or loss, or learned from targets that float32 cannot hold.
    """
    check_is_fitted(net)
    if isinstance(net, TabularMLPRegressor):
        net._check_quantiles()
        largest = np.abs(net._range).max()
        if largest > np.finfo(np.float32).max:
            raise ValueError(
                f"The largest y in fit was {largest:.3g}, but predictions of ONNX are float32, at most "
                f"{np.finfo(np.float32).max:.3g}. Divide y by a constant."
            )
    for network in _networks(net):
        for activation in network.activations:
            if type(activation) not in ACTIVATIONS:
                # a subclass of one of ours has inherited its names
                name = type(activation).__name__ if activation.names else activation.label
                raise ValueError(f"The custom activation {name} cannot be converted to ONNX.")
    if isinstance(net, MLPRegressor):
        loss = type(net._loss)
        if loss not in PREDICTIONS and loss.narrow is not Loss.narrow:
            raise ValueError(f"The custom loss {loss.__name__} cannot be converted to ONNX.")
    _types(net)


def _networks(net) -> Iterator[Any]:
    if not hasattr(net, "members_"):
        yield net._network
        return
    for name in net._goals():
        yield from (member.network for member in getattr(net, name))


def _types(net):
    """The outputs with their types."""
    is_tabular = hasattr(net, "members_")
    if is_classifier(net):
        return classifier_types(net._targets, net._output() if is_tabular else net._network.output)
    if not is_tabular:
        shape = net._loss.narrow(np.zeros((1, net._network.units[-1]))).shape[1:]
        shape = shape[1:] if net._targets.single and len(shape) == 2 else shape
        names = regressor_outputs(Graph(), "", net._loss, net._network.units[-1])
        return dict.fromkeys(names, FloatTensorType([None, *shape]))
    n = len(net._scale)
    types = {"variable": FloatTensorType([None, n])}
    if "quantile_members_" in net._goals():
        n_quantiles = len(net._fitted_quantiles)
        types["quantiles"] = FloatTensorType([None, n_quantiles] if n == 1 else [None, n, n_quantiles])
    return types


def _parse(scope, model, inputs, custom_parsers=None):
    check(model)
    operator = scope.declare_local_operator(get_model_alias(type(model)), model)
    operator.inputs = inputs
    for name, kind in _types(model).items():
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _set_types(operator):
    for variable, kind in zip(operator.outputs, _types(operator.raw_operator).values(), strict=False):
        variable.type = kind


def _convert(scope, operator, container):
    model = operator.raw_operator
    check(model)
    opset = container.target_opset_any_domain("")
    if opset < OPSET:
        raise ValueError(f"target_opset must be at least {OPSET} for {type(model).__name__}, got {opset}.")
    graph = Graph(scope.get_unique_variable_name)
    found = ESTIMATORS[type(model)](graph, model, operator.inputs)
    graph.hand_over(container)
    for value, variable in zip(found, operator.outputs, strict=False):
        container.add_node("Identity", [value], [variable.onnx_name])
