"""Nodes and constants of an ONNX graph."""

from itertools import count
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["ML", "Graph"]

# the domain of the operators for machine learning; skl2onnx does not support its newest version
ML, _ML_VERSION = "ai.onnx.ml", 2


class Graph:
    """Nodes and constants, which are handed over to a container of skl2onnx at the end.

    Values are known by their names. Functions that build nodes take and return names.

    Parameters
    ----------
    unique : callable, optional
        Makes a name unique, as ``scope.get_unique_variable_name`` of skl2onnx does.

    Attributes
    ----------
    nodes : list of NodeProto
    constants : list of TensorProto
    """

    def __init__(self, unique: Any = None) -> None:
        numbers = count()
        self._unique = unique or (lambda name: f"{name}{next(numbers)}")
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: Any) -> str:
        """A constant. A Python float becomes float32, and an array keeps its type."""
        array = np.asarray(value, np.float32 if type(value) is float else None)
        name = self._unique("constant")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: Any, domain: str = "", n_outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return its first output. Inputs are names, or else become constants."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        outputs = [self._unique(operator) for _ in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, names, outputs, domain=domain, **attributes))
        return outputs[0]

    def cast(self, value: str, kind: int) -> str:
        """Cast to a type of `onnx.TensorProto`."""
        return self.add("Cast", value, to=kind)

    def columns(self, value: str, indices: Any) -> str:
        """Some columns of a matrix."""
        return self.add("Gather", value, np.asarray(indices, np.int64), axis=1)

    def concat(self, values: list[str]) -> str:
        """Matrices side by side."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=1)

    def hand_over(self, container: Any) -> None:
        """Add everything to a container of skl2onnx."""
        container.initializers.extend(self.constants)
        for node in self.nodes:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            version = _ML_VERSION if node.domain == ML else None
            names = [*node.input], [*node.output]
            container.add_node(node.op_type, *names, op_domain=node.domain, op_version=version, **attributes)
