"""Class labels, and their probabilities or scores, from the scores of a network."""

from numbers import Integral
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, SequenceType, StringTensorType

from sknn_iitb.onnx._components import PROBABILITIES
from sknn_iitb.onnx._graph import Graph

__all__ = ["class_labels", "classifier_types", "predictions"]


def class_labels(classes: Any) -> Any:
    """Class labels as a type of ONNX: integers, also for booleans, or strings.

    Raises
    ------
    TypeError
        If they are of another kind.
    """
    if classes.dtype.kind in "biuf" and (classes == np.floor(classes)).all():
        return classes.astype(np.int64)
    labels = classes.tolist()
    for kind, dtype in ((str, object), ((Integral, np.bool_), np.int64)):
        if all(isinstance(label, kind) for label in labels):
            return classes.astype(dtype)
    found = ", ".join(sorted({type(label).__name__ for label in labels}))
    raise TypeError(f"Class labels must be integers, booleans or strings for ONNX, got {found}.")


def classifier_types(targets: Any, output: Any) -> dict[str, Any]:
    """The outputs of a classifier with their types."""
    several = targets.output_groups is not None
    example = class_labels(np.concatenate(targets.classes) if several else targets.classes)
    kind = StringTensorType if example.dtype == object else Int64TensorType
    label = kind([None, targets.n_columns] if several or targets.multilabel else [None])
    values = SequenceType(FloatTensorType()) if several else FloatTensorType([None, None])
    return {"label": label, "scores" if PROBABILITIES[type(output)] is None else "probabilities": values}


def _group_of(graph, score, start, stop, output):
    """The index of the label of a column of y, (n, 1), and its probabilities or scores."""
    group = graph.columns(score, np.arange(start, stop))
    index = graph.add("ArgMax", group, axis=1)
    if PROBABILITIES[type(output)] is not None:
        return index, graph.add("Softmax", group, axis=1)
    if stop - start == 2:  # as in decision_function
        group = graph.add("Sub", graph.columns(group, [1]), graph.columns(group, [0]))
    return index, group


def predictions(graph: Graph, targets: Any, score: str, n_scores: int, output: Any) -> list[str]:
    """Labels, and probabilities or scores."""
    if targets.output_groups is not None:
        bounds = zip(targets.output_groups[:-1], targets.output_groups[1:], strict=True)
        found = [_group_of(graph, score, *each, output) for each in bounds]
        labels = [
            graph.add("Gather", class_labels(classes), index)
            for (index, _), classes in zip(found, targets.classes, strict=True)
        ]
        return [graph.concat(labels), graph.add("SequenceConstruct", *(values for _, values in found))]
    probabilities = PROBABILITIES[type(output)]
    if targets.multilabel:
        label = graph.cast(graph.add("Greater", score, 0.0), TensorProto.INT64)
    else:
        single = n_scores == 1 and len(targets.classes) == 2
        columns = graph.concat([graph.add("Neg", score), score]) if single else score
        label = graph.add("Gather", class_labels(targets.classes), graph.add("ArgMax", columns, axis=1, keepdims=0))
    if probabilities is None:
        return [label, score]
    if len(targets.classes) == 1 and not targets.multilabel:
        return [label, graph.add("Clip", score, 1.0, 1.0)]
    return [label, probabilities(graph, score, n_scores, targets)]
