"""Metrics of the tabular estimators: each determines the best epoch, the loss and the label smoothing.

Metrics are computed after each epoch of each member, for which scikit-learn's functions would be too slow: on 800
samples they take 15 to 35 times as long, 3.3 ms instead of .15 for the log loss, and .64 instead of .04 for the root
mean squared error.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax

from sknn_iitb.losses import Quantile

__all__ = ["CLASSIFIER_METRICS", "REGRESSOR_METRICS", "Metric", "pinball"]


class Metric(NamedTuple):
    """Metric of a tabular estimator.

    Parameters
    ----------
    error : callable
        ``error(targets, score, samples)``: error of raw scores, which is lowest in the best epoch.
    label_smoothing : float
    calibration_error : callable or None
        Error of raw scores that the temperature of a member minimizes on its held-out samples. Not `error`, which may
        ignore the probabilities. None for numbers.
    loss : str
        Name of the loss that training minimizes.
    name : str
        Name of the number that :meth:`describe` shows.
    is_score : bool
        Whether this number is one minus the error.
    """

    error: Callable[[Any, Any, Any], float]
    label_smoothing: float
    calibration_error: Callable[[Any, Any, Any], float] | None
    loss: str
    name: str
    is_score: bool = False

    def describe(self, error: float) -> str:
        """The metric in words, such as "accuracy 0.989"."""
        return f"{self.name} {1 - error:.3f}" if self.is_score else f"{self.name} {error:.4g}"

    @property
    def is_calibrated(self) -> bool:
        """Whether scores become calibrated probabilities."""
        return self.calibration_error is not None


def _error_rate(targets, score, samples):
    return 1 - targets.score(score, samples.Y, samples.y, samples.weight)


def _balanced_error_rate(targets, score, samples):
    """One minus the mean recall over the classes."""
    weight = np.ones(len(score)) if samples.weight is None else samples.weight
    if targets.multilabel:
        return _error_rate(targets, score, samples)
    correct = score.argmax(axis=1) == samples.Y.argmax(axis=1)
    total = weight @ samples.Y
    recall = ((weight * correct) @ samples.Y)[total > 0] / total[total > 0]
    return 1 - recall.mean()


def _log_loss(targets, score, samples):
    if targets.multilabel:
        each = -(samples.Y * log_expit(score) + (1 - samples.Y) * log_expit(-score)).sum(axis=1)
    else:
        each = -(samples.Y * log_softmax(score, axis=1)).sum(axis=1)
    return np.average(each, weights=samples.weight)


def _one_minus_roc_auc(targets, score, samples):
    """One minus the area under the one-vs-rest ROC curve, averaged over the classes that occur."""
    positive = samples.Y > 0.5
    defined = positive.any(axis=0) & ~positive.all(axis=0)
    if not defined.any():
        return _log_loss(targets, score, samples)
    ranking = score if targets.multilabel else log_softmax(score, axis=1)
    ranking, positive = ranking[:, defined], positive[:, defined]
    weight = np.ones(len(score)) if samples.weight is None else samples.weight
    pairs = zip(ranking.T, positive.T, strict=True)
    return 1 - np.mean([_roc_auc(each, weight * is_positive, weight * ~is_positive) for each, is_positive in pairs])


def _roc_auc(score, positive, negative):
    """Area under the ROC curve: the weighted fraction of correctly ordered pairs (Mann and Whitney, 1947).

    `positive` has the weights of the positive samples and 0 for the others, `negative` those of the negative samples.
    scikit-learn's curve takes a hundred times as long.
    """
    order = np.argsort(score)
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # first of the samples with the same score
    positive, negative = np.add.reduceat(positive[order], first), np.add.reduceat(negative[order], first)
    return (positive * (np.cumsum(negative) - negative / 2)).sum() / (positive.sum() * negative.sum())


def _root_mean_squared_error(targets, score, samples):
    return np.sqrt(np.average(((score - samples.Y) ** 2).mean(axis=1), weights=samples.weight))


def _mean_absolute_error(targets, score, samples):
    return np.average(abs(score - samples.Y).mean(axis=1), weights=samples.weight)


CLASSIFIER_METRICS = {
    "accuracy": Metric(_error_rate, 0.1, _log_loss, "log_loss", "accuracy", True),
    "balanced_accuracy": Metric(_balanced_error_rate, 0.1, _log_loss, "log_loss", "balanced accuracy", True),
    "log_loss": Metric(_log_loss, 0.0, _log_loss, "log_loss", "log loss"),
    "roc_auc": Metric(_one_minus_roc_auc, 0.1, _log_loss, "log_loss", "ROC AUC", True),
}
# errors are in standard deviations of y
REGRESSOR_METRICS = {
    "rmse": Metric(_root_mean_squared_error, 0.0, None, "squared_error", "RMSE / std"),
    "mae": Metric(_mean_absolute_error, 0.0, None, "absolute_error", "MAE / std"),
}


def pinball(loss: Quantile) -> Metric:
    """Metric of several quantiles: their mean pinball loss.

    Parameters
    ----------
    loss : Quantile

    Returns
    -------
    metric : Metric
    """
    quantiles = np.array(loss.hyper())

    def error(targets, score, samples):
        residual = (samples.Y - score).reshape(len(score), -1, len(quantiles))
        each = np.maximum(quantiles * residual, (quantiles - 1) * residual)
        return np.average(each.mean(axis=(1, 2)), weights=samples.weight)

    return Metric(error, 0.0, None, "quantile", "pinball loss / std")
