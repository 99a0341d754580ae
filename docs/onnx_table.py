"""Write the table of ONNX operators in docs/guide/onnx.md from the tables of the conversion.

Run ``python docs/onnx_table.py`` after adding a component. A test checks that the table in the file is up to date.
"""

import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

sys.path.insert(0, str(Path(__file__).parent))  # for the tests, which run this file from another folder

from components_table import table, updated, write  # noqa: F401

from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb.losses import Quantile
from sknn_iitb.onnx import _components
from sknn_iitb.onnx._graph import ML, Graph
from sknn_iitb.onnx._members import viewed
from sknn_iitb.onnx._registration import OPSET
from sknn_iitb.onnx._tables import encoded
from sknn_iitb.tabular import TableEncoder

FILES = ("docs/guide/onnx.md",)


def operators(*calls):
    """The operators of the nodes that functions build, with their versions. A call is a function and its arguments."""
    graph = Graph()
    for build, *arguments in calls:
        build(graph, *arguments)
    versions = {
        node.op_type: onnx.defs.get_schema(node.op_type, 2 if node.domain == ML else OPSET, node.domain).since_version
        for node in graph.nodes
    }
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "none"


def exports():
    """The operators of each component."""
    rows = [
        ("activation", ", ".join(cls.names), operators((convert, "z", cls())))
        for cls, convert in _components.ACTIVATIONS.items()
    ]
    block = defaultdict(lambda: np.ones((1, 1)))
    layers = {"dense": _components.dense, **{n: _components.NORMALIZATIONS[cls] for n, cls in NORMALIZATIONS.items()}}
    rows += [("layer", name, operators((convert, "x", block, np.float32))) for name, convert in layers.items()]
    targets = SimpleNamespace(multilabel=False)
    rows += [
        (
            "probabilities",
            cls.names[0],
            operators((convert, "z", 1, targets), (convert, "z", 3, targets)) if convert else "only labels and scores",
        )
        for cls, convert in _components.PROBABILITIES.items()
    ]
    rows += [
        ("prediction", cls.names[0], operators((convert, "z", cls([0.1, 0.9]) if cls is Quantile else cls(), 2)))
        for cls, convert in _components.PREDICTIONS.items()
    ]
    encoder = TableEncoder(view="discrete").fit([[None, "a"], [1.0, "b"], [2.0, "c"], [3.0, "c"]])
    inputs = [
        SimpleNamespace(onnx_name=name, type=kind([None, 1]))
        for name, kind in (("number", FloatTensorType), ("text", StringTensorType))
    ]
    rows.append(("table", "numbers and categories", operators((encoded, encoder, inputs))))
    rows.append(("table", "bins and splines", operators((viewed, encoder._features, "Z"))))
    return table(["kind", "component", "ONNX operators"], rows)


TABLES = {"onnx operators": exports}


if __name__ == "__main__":
    write(FILES, TABLES)
