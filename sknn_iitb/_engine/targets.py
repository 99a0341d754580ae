"""Targets: conversion between the user's labels or numbers and the float matrix that the network learns."""

from functools import partial

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.plain import kind
from sknn_iitb._engine.rows import check_before_conversion, check_csr

__all__ = [
    "ClassTargets",
    "NumberTargets",
    "SeveralClassTargets",
    "checked_labels",
    "distinct_labels",
]


def checked_labels(y, estimator):
    """The labels of a classifier as an array, or a CSR matrix of binary labels."""
    check_before_conversion(y, "y")
    y = check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y", estimator=estimator)
    check_csr(y, "y")
    if sparse.issparse(y) and y.ndim == 1:
        raise ValueError("A sparse y must have two dimensions.")
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def distinct_labels(y):
    """Find the distinct labels, or combinations of labels in several columns.

    Parameters
    ----------
    y : ndarray or sparse matrix
        As returned by :func:`checked_labels`.

    Returns
    -------
    first, inverse : ndarray of int
        Where each is first, and which one each sample has.
    """
    columns = (y.toarray() if sparse.issparse(y) else y).reshape(y.shape[0], -1).T
    codes = np.column_stack([np.unique(column, return_inverse=True)[1] for column in columns])
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first, inverse.ravel()


@kind("ClassTargets")
class ClassTargets:
    """Class labels, or several binary labels per sample (multilabel).

    The encoded targets are 0 and 1 for outputs that are probabilities (softmax, logistic), and -1 and 1 for others. Two
    classes need one output, except with softmax; more classes or labels need one each.

    Parameters
    ----------
    classes : ndarray
        The labels, sorted.
    multilabel : bool
        Whether y is an indicator matrix with a column for each of `classes`.
    """

    uses_values = False  # raw scores are enough to predict labels
    output_groups = None  # all outputs are one group

    def __init__(self, classes, multilabel):
        self.classes = classes
        self.multilabel = multilabel
        self.n_columns = len(classes) if multilabel else 1

    def fits(self, n_outputs):
        """Whether a network with so many outputs can predict them."""
        return len(self.classes) == n_outputs or (len(self.classes) == 2 and n_outputs == 1)

    def fields(self):
        """What makes an equal object."""
        return {"classes": self.classes, "multilabel": self.multilabel}

    def new_classes(self, y):
        """The labels in y, in the form of `classes`."""
        return ClassTargets.from_y(y).classes

    def is_same(self, classes):
        """Whether `classes` are the same as those of this object."""
        return np.array_equal(unique_labels(classes), self.classes)

    @classmethod
    def from_y(cls, y, classes=None):
        """Find the classes in y, or take those given."""
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            # columns of classes look like one too, if they have few labels: a first batch, or two other than 0 and 1
            announced = classes is not None and any(map(np.ndim, classes))
            if not announced and (sparse.issparse(y) or np.isin(y, (0, 1)).all()):
                return cls(np.arange(y.shape[1]), True)
            kind = "multiclass-multioutput"
        if kind == "multiclass-multioutput":
            return SeveralClassTargets.from_y(y, classes)
        if kind not in ("binary", "multiclass"):
            check_classification_targets(y)  # raises
        if classes is None:
            return cls(np.unique(y), False)
        with naming("classes"):
            return cls(unique_labels(classes), False)

    def n_outputs(self, output):
        """Number of outputs with the output activation of that name."""
        single = len(self.classes) <= 2 and not self.multilabel and output != "softmax"
        return 1 if single else len(self.classes)

    def default_output(self, legal):
        """The first legal output activation that suits the number of classes."""
        several = len(self.classes) > 2 and not self.multilabel
        return "softmax" if several and "softmax" in legal else legal[0]

    def check_output(self, output):
        """Raise ValueError if these classes cannot be learned with that output activation."""
        if output == "tanh" and len(self.classes) > 2 and not self.multilabel:
            raise ValueError(
                f"output_activation='tanh' needs two classes, y has {len(self.classes)}; use 'softmax' or 'logistic'."
            )
        if output == "softmax" and self.multilabel:
            raise ValueError("output_activation='softmax' does not support multilabel y; use 'logistic'.")

    def encode(self, y, output, dtype):
        """The matrix that the network learns, of shape (n_samples, n_outputs)."""
        low = 0 if output in ("softmax", "logistic") else -1
        if self.multilabel:
            y = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(f"y must be a multilabel indicator with {len(self.classes)} columns.")
            if not np.isin(y, (0, 1)).all():
                raise ValueError(f"y must be a multilabel indicator of 0 and 1, got {np.unique(y)}.")
            return np.where(y != 0, 1, low).astype(dtype)
        index = self._index(y)
        if self.n_outputs(output) == 1:
            return np.where(index == 1, 1, low).astype(dtype)[:, None]
        try:
            matrix = np.full((len(index), len(self.classes)), low, dtype)
        except MemoryError:
            raise ValueError(
                f"y has {len(self.classes)} classes: {len(index)} encoded samples do not fit into memory."
            ) from None
        matrix[np.arange(len(index)), index] = 1
        return matrix

    def smooth(self, Y, amount, output):
        """Smooth labels: spread `amount` evenly over all classes (Szegedy et al., CVPR 2016)."""
        if output not in ("softmax", "logistic"):
            return (1 - amount) * Y
        return (1 - amount) * Y + amount / (Y.shape[1] if output == "softmax" else 2)

    def columns(self, y):
        """The columns of y with their own classes, and these classes."""
        y = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if self.multilabel:
            return y.T, [np.array([0, 1])] * y.shape[1]
        return [column_or_1d(y)], [self.classes]

    def strata(self, Y):
        """Labels to stratify a validation split by, as in scikit-learn: the two values of a single output, or None."""
        return np.where(Y[:, 0] > 0, "True", "False") if Y.shape[1] == 1 else None

    def _index(self, y):
        y = column_or_1d(y)
        index = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
        unseen = self.classes[index] != y
        if np.any(unseen):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. "
                f"'y' has {np.unique(y[unseen])}."
            )
        return index

    def _predicted(self, score):
        """Index of the predicted class, or the predicted labels; a tie gives the first class, and no label."""
        if self.multilabel:
            return (score > 0).astype(int)
        return (score[:, 0] > 0).astype(int) if score.shape[1] == 1 else score.argmax(axis=1)

    def decode(self, score):
        """Labels from raw scores."""
        predicted = self._predicted(score)
        if self.multilabel:
            return predicted
        return self.classes[predicted] if len(self.classes) > 1 else np.full(len(predicted), self.classes[0])

    def decision(self, score):
        """Scores in the shape of ``decision_function``: one column for two classes."""
        if len(self.classes) > 2 or self.multilabel:
            return score
        return score[:, 0] if score.shape[1] == 1 else score[:, 1] - score[:, 0]

    def probabilities(self, score, output, log=False):
        """Probabilities, or their logarithms, without overflow and log(0)."""
        single, several = (_log_logistic, _log_softmax) if log else (expit, _softmax)
        if len(self.classes) == 1:
            return np.full((len(score), 1), 0 if log else 1, score.dtype)
        if output == "softmax":
            return several(score)
        # (1 + tanh z) / 2 is the logistic function of 2 z
        score = 2 * score if output == "tanh" else score
        if self.multilabel:
            return single(score)
        if score.shape[1] == 1:
            return single(np.hstack([-score, score]))
        return several(log_expit(score))

    def score(self, score, Y, y, weight):
        """Accuracy: the fraction of samples for which all labels are correct."""
        if not np.isfinite(score).all():
            return np.nan
        correct = self._predicted(score) == self._predicted(Y)
        return float(np.average(correct.all(axis=1) if self.multilabel else correct, weights=weight))


@kind("SeveralClassTargets")
class SeveralClassTargets:
    """Several class labels per sample: the outputs of each share a softmax or are one-vs-rest.

    Parameters
    ----------
    classes : list of ndarray
        The labels of each column of y, sorted.
    """

    uses_values = False
    multilabel = False

    def __init__(self, classes):
        self.classes = classes
        self.n_columns = len(classes)
        self.output_groups = np.cumsum([0, *map(len, classes)])

    def fits(self, n_outputs):
        """Whether a network with so many outputs can predict them."""
        return self.output_groups[-1] == n_outputs

    def fields(self):
        """What makes an equal object."""
        return {"classes": self.classes}

    @classmethod
    def from_y(cls, y, classes=None):
        """Find the classes in the columns of y, or take those given."""
        if classes is not None and (len(classes) != y.shape[1] or not all(map(np.ndim, classes))):
            raise ValueError(f"classes must be a list of {y.shape[1]} arrays, one for each column of y.")
        return cls([np.unique(column) for column in (y.T if classes is None else classes)])

    def new_classes(self, y):
        """The labels in y, in the form of `classes`."""
        return [np.unique(column) for column in y.T]

    def is_same(self, classes):
        """Whether `classes` are the same as those of this object."""
        return len(classes) == len(self.classes) and all(map(np.array_equal, map(np.unique, classes), self.classes))

    def default_output(self, legal):
        """The first legal output activation that suits several classes."""
        return "softmax" if "softmax" in legal else next(name for name in legal if name not in ("tanh", "logistic"))

    def check_output(self, output):
        """Raise ValueError if these classes cannot be learned with that output activation."""
        if output in ("tanh", "logistic"):
            raise ValueError(
                f"output_activation={output!r} does not support y with several columns of classes; use 'softmax'."
            )

    def encode(self, y, output, dtype):
        """The matrix that the network learns, of shape (n_samples, n_outputs)."""
        y = np.asarray(y)
        if y.ndim != 2 or y.shape[1] != len(self.classes):
            raise ValueError(f"y must have {len(self.classes)} columns.")
        columns = [
            ClassTargets(classes, False)._index(column) for classes, column in zip(self.classes, y.T, strict=True)
        ]
        low = 0 if output == "softmax" else -1
        matrix = np.full((len(y), self.output_groups[-1]), low, dtype)
        for start, column in zip(self.output_groups[:-1], columns, strict=True):
            matrix[np.arange(len(y)), start + column] = 1
        return matrix

    def smooth(self, Y, amount, output):
        """Smooth labels: spread `amount` evenly over all classes of a column."""
        if output != "softmax":
            return (1 - amount) * Y
        sizes = np.diff(self.output_groups)
        return (1 - amount) * Y + (amount / np.repeat(sizes, sizes)).astype(Y.dtype)

    def columns(self, y):
        """The columns of y with their own classes, and these classes."""
        return np.asarray(y).T, self.classes

    def strata(self, Y):
        """None: validation splits are not stratified."""

    def _groups(self, score):
        return np.split(score, self.output_groups[1:-1], axis=1)

    def decode(self, score):
        """Labels from raw scores, (n_samples, n_columns)."""
        predicted = [c[group.argmax(axis=1)] for c, group in zip(self.classes, self._groups(score), strict=True)]
        return np.column_stack(predicted)

    def decision(self, score):
        """Scores in the shape of ``decision_function``, an array for each column."""
        return [group[:, 1] - group[:, 0] if group.shape[1] == 2 else group for group in self._groups(score)]

    def probabilities(self, score, output, log=False):
        """Probabilities, or their logarithms, an array for each column."""
        return [(_log_softmax if log else _softmax)(group) for group in self._groups(score)]

    def score(self, score, Y, y, weight):
        """Accuracy: the fraction of samples for which all labels are correct."""
        if not np.isfinite(score).all():
            return np.nan
        pairs = zip(self._groups(score), self._groups(Y), strict=True)
        correct = np.all([a.argmax(axis=1) == b.argmax(axis=1) for a, b in pairs], axis=0)
        return float(np.average(correct, weights=weight))


def _softmax(score):
    """SciPy's softmax of each row, in a tenth of the time for few classes: NumPy's sums over short rows are slow."""
    by_class = np.ascontiguousarray(score.T)
    e = np.exp(by_class - by_class.max(axis=0))
    return np.ascontiguousarray((e / e.sum(axis=0)).T)


_log_softmax = partial(log_softmax, axis=1)


def _log_logistic(score):
    """log(p), finite where p rounds to 0; for p > 1/2 that of the rounded p, which sorts samples as p does."""
    p = expit(score)
    return np.where(p > 0.5, np.log(np.maximum(p, 0.5)), log_expit(score))


@kind("NumberTargets")
class NumberTargets:
    """Regression targets, one or several per sample.

    Parameters
    ----------
    single : bool
        Whether y has one dimension.
    loss : Loss
        It may need several outputs per target.
    """

    uses_values = True
    output_groups = None

    def __init__(self, single, loss):
        self.single = single
        self.loss = loss

    def fits(self, n_outputs):
        """Whether a network with so many outputs can predict them."""
        return n_outputs > 0

    def fields(self):
        """What makes an equal object."""
        return {"single": self.single, "loss": self.loss}

    @classmethod
    def from_y(cls, y, loss):
        """Remember whether y has one dimension."""
        return cls(y.ndim == 1 or y.shape[1] == 1, loss)

    def default_output(self, legal):
        """The first legal output activation."""
        return legal[0]

    def check_output(self, output):
        """All output activations are supported."""

    def encode(self, y, output, dtype):
        """The matrix that the network learns, of shape (n_samples, n_outputs)."""
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(np.asarray(y).reshape(len(y), -1), dtype=dtype)
        if not np.isfinite(Y).all():
            raise ValueError(f"y contains values too large for {Y.dtype}; scale it, or set dtype='float64'.")
        return np.ascontiguousarray(self.loss.widen(Y))

    def columns(self, y):
        """No columns: y has no classes."""
        return [], []

    def strata(self, Y):
        """None: validation splits are not stratified."""

    def decode(self, value):
        """Predictions from output values."""
        return self.one(self.loss.narrow(value))

    def one(self, matrix):
        """The matrix, or its only column for a single target."""
        return matrix[:, 0] if self.single else matrix

    def score(self, value, Y, y, weight):
        """The score of the loss, for most losses the coefficient of determination R2."""
        if not np.isfinite(value).all():
            return np.nan
        return float(self.loss.quality(y, self.decode(value), weight))
