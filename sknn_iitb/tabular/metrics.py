"""What a net for tables is to be good at: it chooses the best epoch, and how certain the net is taught to be."""

from collections import namedtuple

import numpy as np
import sklearn
from scipy.special import log_expit, log_softmax

__all__ = ["CLASSIFIER_METRICS", "REGRESSOR_METRICS", "Metric"]

Metric = namedtuple("Metric", "error label_smoothing calibrates loss")
Metric.__doc__ = """A goal.

``error(targets, score, samples)`` is what the best epoch has least of, from raw scores. `calibrates` says whether
probabilities are fitted to the held-out samples; `loss` is the name of the loss that is minimised.
"""


def _inaccuracy(targets, score, samples):
    return 1 - targets.score(score, samples.Y, samples.y, samples.weight)


def _imbalanced_inaccuracy(targets, score, samples):
    """One minus the mean over the classes of the share that is recognised."""
    weight = np.ones(len(score)) if samples.weight is None else samples.weight
    if targets.multilabel:
        return _inaccuracy(targets, score, samples)
    right = score.argmax(axis=1) == samples.Y.argmax(axis=1)
    mass = weight @ samples.Y
    shares = ((weight * right) @ samples.Y)[mass > 0] / mass[mass > 0]
    return 1 - shares.mean()


def _log_loss(targets, score, samples):
    if targets.multilabel:
        each = -(samples.Y * log_expit(score) + (1 - samples.Y) * log_expit(-score)).sum(axis=1)
    else:
        each = -(samples.Y * log_softmax(score, axis=1)).sum(axis=1)
    return np.average(each, weights=samples.weight)


def _area_above_the_curve(targets, score, samples):
    """One minus the area under the ROC curve, of one class against the rest, in the mean over those that occur."""
    known = (samples.Y.min(axis=0) == 0) & (samples.Y.max(axis=0) == 1)
    if not known.any():
        return _log_loss(targets, score, samples)
    log_probability = score if targets.multilabel else log_softmax(score, axis=1)
    areas = [
        sklearn.metrics.roc_auc_score(samples.Y[:, k], log_probability[:, k], sample_weight=samples.weight)
        for k in np.flatnonzero(known)
    ]
    return 1 - np.mean(areas)


def _root_mean_squared_error(targets, score, samples):
    return np.sqrt(np.average(((score - samples.Y) ** 2).mean(axis=1), weights=samples.weight))


def _mean_absolute_error(targets, score, samples):
    return np.average(abs(score - samples.Y).mean(axis=1), weights=samples.weight)


CLASSIFIER_METRICS = {
    "accuracy": Metric(_inaccuracy, 0.1, False, "log_loss"),
    "balanced_accuracy": Metric(_imbalanced_inaccuracy, 0.1, False, "log_loss"),
    "log_loss": Metric(_log_loss, 0.0, True, "log_loss"),
    "roc_auc": Metric(_area_above_the_curve, 0.1, False, "log_loss"),
}
REGRESSOR_METRICS = {
    "rmse": Metric(_root_mean_squared_error, 0.0, False, "squared_error"),
    "mae": Metric(_mean_absolute_error, 0.0, False, "absolute_error"),
}
