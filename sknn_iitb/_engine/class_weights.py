"""The weights of classes, and of samples by their classes."""

from numbers import Real

import numpy as np

__all__ = ["label_weights", "missing", "weigh"]


def label_weights(targets, y, class_weight, sample_weight):
    """Turn `class_weight` into the weights of the classes, for each column of y with its own classes.

    Parameters
    ----------
    targets : ClassTargets or SeveralClassTargets
    y : array-like
    class_weight : dict, list of dict or 'balanced'
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    weights : list of ndarray
    """
    columns, classes = targets.columns(y)
    given = class_weight if isinstance(class_weight, list) else [class_weight] * len(columns)
    if class_weight != "balanced" and not (
        len(given) == len(columns)
        and all(isinstance(weights, dict) for weights in given)
        and (len(columns) == 1 or given is class_weight)
    ):
        legal = "a dict" if len(columns) == 1 else f"a list of {len(columns)} dicts, one for each column of y"
        raise ValueError(f"class_weight={class_weight!r} must be 'balanced' or {legal}.")
    return [
        _balanced(column, labels, sample_weight) if isinstance(weights, str) else _checked(weights, labels)
        for column, labels, weights in zip(columns, classes, given, strict=True)
    ]


def _balanced(column, labels, sample_weight):
    """Weights that give all classes the same total weight, given the sample weights.

    scikit-learn's compute_class_weight raises if y lacks a class, such as one that partial_fit has announced.
    """
    mass = np.bincount(np.searchsorted(labels, column), sample_weight, minlength=len(labels))
    return np.divide(mass.sum() / np.count_nonzero(mass), mass, out=np.ones(len(labels)), where=mass > 0)


def _checked(weights, labels):
    unknown = [label for label in weights if label not in labels]
    if unknown:
        raise ValueError(f"class_weight has a weight for {unknown}, which is not in y; the classes are {labels}.")
    if not all(isinstance(value, Real) and 0 <= value < np.inf for value in weights.values()):
        raise ValueError(f"class_weight={weights!r} must have finite weights >= 0.")
    return np.array([weights.get(label, 1.0) for label in labels.tolist()], np.float64)


def weigh(targets, y, weights, sample_weight):
    """The weight of each sample, times the weights of its classes in all columns of y."""
    columns, classes = targets.columns(y)
    product = np.ones(len(columns[0])) if sample_weight is None else np.array(sample_weight, np.float64)
    for column, labels, of_label in zip(columns, classes, weights, strict=True):
        product *= of_label[np.searchsorted(labels, column)]
    return product


def missing(targets, y):
    """List the classes that no sample has.

    Parameters
    ----------
    targets : ClassTargets, SeveralClassTargets or NumberTargets
    y : array-like
    """
    pairs = zip(*targets.columns(y), strict=True)
    return [label for column, labels in pairs for label in np.setdiff1d(labels, column).tolist()]
