"""Targets: labels and numbers on the user's side, the float matrix that the net learns on the other."""

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import r2_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

__all__ = ["ClassTargets", "NumberTargets"]


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

    def __init__(self, classes, multilabel):
        self.classes = classes
        self.multilabel = multilabel

    @classmethod
    def from_y(cls, y, classes=None):
        """Find the classes in y, or take those given."""
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError("Multioutput target data with more than two classes an output is not supported.")
        if kind == "multilabel-indicator":
            return cls(np.arange(y.shape[1]), True)
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
            return np.where(y != 0, 1, low).astype(dtype)
        index = self._index(y)
        if self.n_outputs(output) == 1:
            return np.where(index == 1, 1, low).astype(dtype)[:, None]
        matrix = np.full((len(index), len(self.classes)), low, dtype)
        matrix[np.arange(len(index)), index] = 1
        return matrix

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
        single, several = (log_expit, log_softmax) if log else (expit, softmax)
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

    def score(self, score, Y, weight):
        """Accuracy: the share of samples whose label, or whose every label, is right."""
        if not np.isfinite(score).all():
            return np.nan
        right = self._choice(score) == self._choice(Y)
        return float(np.average(right.all(axis=1) if self.multilabel else right, weights=weight))


class NumberTargets:
    """Real numbers, one or several for each sample."""

    uses_values = True

    def __init__(self, single):
        self.single = single

    @classmethod
    def from_y(cls, y):
        """Remember whether y has one dimension."""
        return cls(y.ndim == 1 or y.shape[1] == 1)

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
        return Y

    def strata(self, Y):
        """What a validation split is stratified by: nothing, so None."""

    def decode(self, value):
        """Predictions from output values."""
        return value[:, 0] if self.single else value

    def score(self, value, Y, weight):
        """The coefficient of determination R2."""
        if not np.isfinite(value).all():
            return np.nan
        return float(r2_score(Y, value, sample_weight=weight))
