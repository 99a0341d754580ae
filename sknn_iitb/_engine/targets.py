"""Targets: labels and numbers on the user's side, the float matrix that the net learns on the other."""

from numbers import Real

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

__all__ = ["ClassTargets", "NumberTargets", "SeveralClassTargets", "label_weights", "missing", "weigh"]


class ClassTargets:
    """Class labels, or several yes-or-no labels for each sample.

    The net's targets are 0 and 1 for the outputs that can be read as probabilities (softmax, logistic), -1 and 1 for
    the others. Two classes need one output, except with softmax; more classes or labels need one each.

    Parameters
    ----------
    classes : ndarray
        The labels, sorted.
    multilabel : bool
        Whether y is an indicator matrix with a column for each of `classes`.
    """

    uses_values = False  # raw scores are enough to choose
    output_groups = None  # all outputs belong together

    def __init__(self, classes, multilabel):
        self.classes = classes
        self.multilabel = multilabel
        self.n_columns = len(classes) if multilabel else 1

    def new_classes(self, y):
        """The labels in y as `classes` has them."""
        return ClassTargets.from_y(y).classes

    def is_same(self, classes):
        """Whether those are the classes."""
        return np.array_equal(unique_labels(classes), self.classes)

    @classmethod
    def from_y(cls, y, classes=None):
        """Find the classes in y, or take those given."""
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            # few labels in several columns look like one too: those of a first batch, or two that are not 0 and 1
            announced = classes is not None and any(map(np.ndim, classes))
            if not announced and (sparse.issparse(y) or np.isin(y, (0, 1)).all()):
                return cls(np.arange(y.shape[1]), True)
            kind = "multiclass-multioutput"
        if kind == "multiclass-multioutput":
            return SeveralClassTargets.from_y(y, classes)
        if kind not in ("binary", "multiclass"):
            check_classification_targets(y)  # raises
        return cls(np.unique(y) if classes is None else unique_labels(classes), False)

    def n_outputs(self, output):
        """Number of outputs under an output activation of that name."""
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
                f"output_activation='tanh' is for two classes, y has {len(self.classes)}; use 'softmax' or 'logistic'."
            )
        if output == "softmax" and self.multilabel:
            raise ValueError("output_activation='softmax' is not for multilabel y; use 'logistic'.")

    def encode(self, y, output, dtype):
        """The matrix, (n_samples, n_outputs), that the net learns."""
        low = 0 if output in ("softmax", "logistic") else -1
        if self.multilabel:
            y = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(f"y must be a multilabel indicator with {len(self.classes)} columns.")
            if not np.isin(y, (0, 1)).all():
                raise ValueError(f"y must be a multilabel indicator, of 0 and 1; got {np.unique(y)}.")
            return np.where(y != 0, 1, low).astype(dtype)
        index = self._index(y)
        if self.n_outputs(output) == 1:
            return np.where(index == 1, 1, low).astype(dtype)[:, None]
        matrix = np.full((len(index), len(self.classes)), low, dtype)
        matrix[np.arange(len(index)), index] = 1
        return matrix

    def smooth(self, Y, amount, output):
        """Targets whose certainty is less by `amount`, which goes to all classes alike (Szegedy et al., CVPR 2016)."""
        if output not in ("softmax", "logistic"):
            return (1 - amount) * Y
        return (1 - amount) * Y + amount / (Y.shape[1] if output == "softmax" else 2)

    def columns(self, y):
        """The columns of y that have classes of their own, and those."""
        y = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if self.multilabel:
            return y.T, [np.array([0, 1])] * y.shape[1]
        return [column_or_1d(y)], [self.classes]

    def strata(self, Y):
        """What a validation split is stratified by: with one output its two values, as in scikit-learn, or None."""
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

    def _choice(self, score):
        """Index of the chosen class, or the chosen labels; a tie is the first class, and no label."""
        if self.multilabel:
            return (score > 0).astype(int)
        return (score[:, 0] > 0).astype(int) if score.shape[1] == 1 else score.argmax(axis=1)

    def decode(self, score):
        """Labels from raw scores."""
        choice = self._choice(score)
        if self.multilabel:
            return choice
        return self.classes[choice] if len(self.classes) > 1 else np.full(len(choice), self.classes[0])

    def decision(self, score):
        """Scores in the shape of ``decision_function``: one column for two classes."""
        if len(self.classes) > 2 or self.multilabel:
            return score
        return score[:, 0] if score.shape[1] == 1 else score[:, 1] - score[:, 0]

    def probabilities(self, score, output, log=False):
        """Probabilities, or their logarithms, without a detour that overflows or gives log(0)."""
        single, several = (_log_logistic, log_softmax) if log else (expit, softmax)
        if len(self.classes) == 1:
            return np.full((len(score), 1), 0 if log else 1, score.dtype)
        if output == "softmax":
            return several(score, axis=1)
        # (1 + tanh z) / 2 is the logistic function of 2 z
        score = 2 * score if output == "tanh" else score
        if self.multilabel:
            return single(score)
        if score.shape[1] == 1:
            return single(np.hstack([-score, score]))
        return several(log_expit(score), axis=1)

    def score(self, score, Y, y, weight):
        """Accuracy: the share of samples whose label, or whose every label, is right."""
        if not np.isfinite(score).all():
            return np.nan
        right = self._choice(score) == self._choice(Y)
        return float(np.average(right.all(axis=1) if self.multilabel else right, weights=weight))


class SeveralClassTargets:
    """Several class labels for each sample: the outputs of each share a softmax, or are one against the rest.

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

    @classmethod
    def from_y(cls, y, classes=None):
        """Find the classes in the columns of y, or take those given."""
        if classes is not None and (len(classes) != y.shape[1] or not all(map(np.ndim, classes))):
            raise ValueError(f"classes must be a list of {y.shape[1]} arrays, one for each column of y.")
        return cls([np.unique(column) for column in (y.T if classes is None else classes)])

    def new_classes(self, y):
        """The labels in y as `classes` has them."""
        return [np.unique(column) for column in y.T]

    def is_same(self, classes):
        """Whether those are the classes."""
        return len(classes) == len(self.classes) and all(map(np.array_equal, map(np.unique, classes), self.classes))

    def default_output(self, legal):
        """The first legal output activation that suits several classes."""
        return "softmax" if "softmax" in legal else next(name for name in legal if name not in ("tanh", "logistic"))

    def check_output(self, output):
        """Raise ValueError if these classes cannot be learned with that output activation."""
        if output in ("tanh", "logistic"):
            raise ValueError(f"output_activation={output!r} is not for y with several classes a column; use 'softmax'.")

    def encode(self, y, output, dtype):
        """The matrix, (n_samples, n_outputs), that the net learns."""
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
        """Targets whose certainty is less by `amount`, which goes to all classes of a column alike."""
        if output != "softmax":
            return (1 - amount) * Y
        sizes = np.diff(self.output_groups)
        return (1 - amount) * Y + (amount / np.repeat(sizes, sizes)).astype(Y.dtype)

    def columns(self, y):
        """The columns of y that have classes of their own, and those."""
        return np.asarray(y).T, self.classes

    def strata(self, Y):
        """What a validation split is stratified by: nothing, so None."""

    def _each(self, score):
        return np.split(score, self.output_groups[1:-1], axis=1)

    def decode(self, score):
        """Labels from raw scores, (n_samples, n_columns)."""
        chosen = [c[part.argmax(axis=1)] for c, part in zip(self.classes, self._each(score), strict=True)]
        return np.column_stack(chosen)

    def decision(self, score):
        """Scores in the shape of ``decision_function``, an array for each column."""
        return [part[:, 1] - part[:, 0] if part.shape[1] == 2 else part for part in self._each(score)]

    def probabilities(self, score, output, log=False):
        """Probabilities, or their logarithms, an array for each column."""
        return [(log_softmax if log else softmax)(part, axis=1) for part in self._each(score)]

    def score(self, score, Y, y, weight):
        """The share of samples whose every label is right."""
        if not np.isfinite(score).all():
            return np.nan
        pairs = zip(self._each(score), self._each(Y), strict=True)
        right = np.all([a.argmax(axis=1) == b.argmax(axis=1) for a, b in pairs], axis=0)
        return float(np.average(right, weights=weight))


def _log_logistic(score):
    """log(p), finite where p rounds to 0; elsewhere of p as it is rounded, so that the order of both is the same."""
    p = expit(score)
    return np.where(p > 0.5, np.log(np.maximum(p, 0.5)), log_expit(score))


def label_weights(targets, y, class_weight, sample_weight):
    """What `class_weight` means: for each column of y that has classes of its own, the weight of each class.

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
    """Each class weighs the same in all, samples weighted as they are."""
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
    """The product over the columns of y of the weight of each one's class, times the sample's weight."""
    columns, classes = targets.columns(y)
    product = np.ones(len(columns[0])) if sample_weight is None else np.array(sample_weight, np.float64)
    for column, labels, of_label in zip(columns, classes, weights, strict=True):
        product *= of_label[np.searchsorted(labels, column)]
    return product


def missing(targets, y):
    """The classes that no sample has, a list.

    Parameters
    ----------
    targets : ClassTargets, SeveralClassTargets or NumberTargets
    y : array-like
    """
    pairs = zip(*targets.columns(y), strict=True)
    return [label for column, labels in pairs for label in np.setdiff1d(labels, column).tolist()]


class NumberTargets:
    """Real numbers, one or several for each sample.

    Parameters
    ----------
    single : bool
        Whether y has one dimension.
    loss : Loss
        It may need several outputs for a number.
    """

    uses_values = True
    output_groups = None

    def __init__(self, single, loss):
        self.single = single
        self.loss = loss

    @classmethod
    def from_y(cls, y, loss):
        """Remember whether y has one dimension."""
        return cls(y.ndim == 1 or y.shape[1] == 1, loss)

    def default_output(self, legal):
        """The first legal output activation."""
        return legal[0]

    def check_output(self, output):
        """Any output activation will do."""

    def encode(self, y, output, dtype):
        """The matrix, (n_samples, n_outputs), that the net learns."""
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(np.asarray(y).reshape(len(y), -1), dtype=dtype)
        if not np.isfinite(Y).all():
            raise ValueError(f"y contains values too large for {Y.dtype}; scale it, or set dtype='float64'.")
        return np.ascontiguousarray(self.loss.widen(Y))

    def columns(self, y):
        """The columns of y that have classes of their own, and those: none."""
        return [], []

    def strata(self, Y):
        """What a validation split is stratified by: nothing, so None."""

    def decode(self, value):
        """Predictions from output values."""
        return self.one(self.loss.narrow(value))

    def one(self, matrix):
        """The matrix as it is, or its only column for a single target."""
        return matrix[:, 0] if self.single else matrix

    def score(self, value, Y, y, weight):
        """The score of the loss: the coefficient of determination R2, for most."""
        if not np.isfinite(value).all():
            return np.nan
        return float(self.loss.quality(y, self.decode(value), weight))
