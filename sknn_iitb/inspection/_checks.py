"""Checks for the usual reasons why a network does not train."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import recall_score

__all__ = ["CHECKS", "Finding"]

# a loss of which a larger share of its fall happened in the last fifth of the epochs has not settled
_STILL_FALLING = 0.1
# a learning rate is suspicious if it differs from that of the range test by more than this factor
_RATE_FACTOR = 5.0


_STABLE = "the largest stable rate of gradient descent by the curvature before training"


class Finding(NamedTuple):
    """A reason why a network does not train well.

    Attributes
    ----------
    name : str
        Name of the check.
    value : float
        What was measured.
    limit : float
        The value beyond which it is a finding.
    message : str
        What was measured, in words.
    fix : str
        What to do about it.
    """

    name: str
    value: float
    limit: float
    message: str
    fix: str


def _times(ratio):
    """A ratio in words."""
    if ratio >= 1000:
        return "more than 1,000"
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}"


def _scale(case):
    advice, worst = case.badly_scaled
    if not advice:
        return None
    message, _, fix = advice.partition(". ")
    return Finding("scale", worst, 1.0, f"{message}.", fix)


def _learning_rate_too_high(case):
    if case.suggested is None:
        return None
    ratio = case.rate / case.suggested
    rises = case.curve[-1] > 1.5 * case.curve.min() + 0.05 * abs(case.curve[0])
    loss = max(case.losses[0], case.curve[-1])  # a lower rate may have followed in the last epochs of a member
    if ratio <= _RATE_FACTOR or not (rises or loss > 0.5 * case.least_informed):
        return None
    return Finding(
        "learning rate too high",
        ratio,
        _RATE_FACTOR,
        f"The learning rate {case.rate:.3g} is {_times(ratio)} times that of a range test"
        + ("" if case.stable_rate is None else f" and {_times(case.rate / case.stable_rate)} times {_STABLE}")
        + ", and the loss does not settle.",
        case.fix("learning rate"),
    )


def _learning_rate_too_low(case):
    if case.suggested is None or case.late_fall <= _STILL_FALLING:
        return None
    ratio = case.suggested / case.rate
    if ratio <= _RATE_FACTOR:
        return None
    return Finding(
        "learning rate too low",
        ratio,
        _RATE_FACTOR,
        f"The learning rate {case.rate:.3g} is {_times(ratio)} times lower than that of a range test, and "
        f"{case.late_fall:.0%} of the fall of the loss happened in the last fifth of the epochs.",
        case.fix("learning rate"),
    )


def _too_few_epochs(case):
    if case.net.max_iter is None:  # that of the preset of a tabular estimator
        return None
    if case.late_fall <= _STILL_FALLING or (case.suggested is not None and case.suggested > _RATE_FACTOR * case.rate):
        return None
    return Finding(
        "too few epochs",
        case.late_fall,
        _STILL_FALLING,
        f"{case.late_fall:.0%} of the fall of the loss happened in the last fifth of the {len(case.curve)} epochs.",
        f"Set max_iter={5 * case.net.max_iter}.",
    )


def _penalty(case):
    loss, penalty = case.initial.terms(case.initial.theta)
    share = float(penalty / max(loss + penalty, 1e-300))
    limit = 0.5
    if share <= limit or case.learned:
        return None
    return Finding(
        "penalty too strong",
        share,
        limit,
        f"Before training, the penalties are {share:.0%} of the loss.",
        f"Set alpha={case.net.alpha / 100:.2g}" + (f" and l1={case.net.l1 / 100:.2g}." if case.net.l1 else "."),
    )


def _dead_units(case):
    dead = [layer.dead for layer in case.layers]
    limit = 0.4
    if not dead or max(dead) <= limit or case.learned:
        return None
    k = int(np.argmax(dead))
    # units may also be dead from the beginning, as for inputs that hardly vary
    is_high = case.rate is not None and (case.suggested is None or case.rate >= case.suggested)
    return Finding(
        "dead units",
        dead[k],
        limit,
        f"{dead[k]:.0%} of the units of hidden layer {k + 1} have a slope of 0 for all samples, so they do not learn.",
        "Set activation='leaky_relu'" + (", or a lower learning_rate_init." if is_high else "."),
    )


def _saturated_units(case):
    saturated = [layer.saturated if layer.is_bounded else 0.0 for layer in case.layers]
    limit = 0.6
    if not saturated or max(saturated) <= limit or case.learned:
        return None
    k = int(np.argmax(saturated))
    return Finding(
        "saturated units",
        saturated[k],
        limit,
        f"{saturated[k]:.0%} of the values of hidden layer {k + 1} are where the activation is almost flat.",
        case.fix("saturated units"),
    )


def _vanishing_gradient(case):
    if len(case.layers) < 3 or case.losses[0] <= 0.5 * case.least_informed:
        return None
    initial = case.initial
    gradients = initial.network.layout.views(initial.gradient(initial.theta))["coefs"]
    sizes = [float(np.sqrt(np.mean(each**2))) for each in gradients]
    ratio = sizes[0] / max(sizes[-1], 1e-300)
    limit = 1e-2
    if ratio >= limit or sizes[-2] == 0:  # without any weights in the last layer, no gradient reaches the others
        return None
    return Finding(
        "vanishing gradient",
        ratio,
        limit,
        f"Before training, the gradient of the first layer is {ratio:.1g} times that of the last.",
        case.fix("vanishing gradient"),
    )


def _imbalance(case):
    if not is_classifier(case.net) or np.ndim(case.y) != 1:
        return None
    labels, counts = np.unique(case.y, return_counts=True)
    share = float(counts.min() / len(case.y))
    rare = labels[np.argmin(counts)].item()
    recall = float(recall_score(case.y, case.net.predict(case.X), labels=[rare], average=None, zero_division=0)[0])
    limit = 0.25 / len(labels)
    if share >= limit or recall >= 0.5:
        return None
    return Finding(
        "class imbalance",
        share,
        limit,
        f"Class {rare!r} has {share:.1%} of the samples and a recall of {recall:.0%}.",
        "Set class_weight='balanced', or choose a threshold for predict_proba.",
    )


def _overfitting(case):
    if case.X_val is None:
        return None
    train, held_out = case.net.score(case.X, case.y), case.net.score(case.X_val, case.y_val)
    gap = float(train - held_out)
    limit = 0.1
    if not gap > limit:  # NaN is the R2 of a single sample
        return None
    return Finding(
        "overfitting",
        gap,
        limit,
        f"The score is {train:.3f} on the training samples and {held_out:.3f} on the validation samples.",
        case.fix("overfitting"),
    )


def _underfitting(case):
    ratio = case.losses[0] / case.least_informed if case.least_informed > 0 else 0.0
    limit = 0.9
    if ratio <= limit:
        return None
    return Finding(
        "underfitting",
        ratio,
        limit,
        f"The loss is {_times(ratio)} times that of the best constant prediction.",
        "If nothing above explains it, use more units or epochs, or X carries no information about y.",
    )


# the checks, causes before their effects
CHECKS: list[Callable[[Any], Finding | None]] = [
    _scale,
    _learning_rate_too_high,
    _penalty,
    _vanishing_gradient,
    _dead_units,
    _saturated_units,
    _learning_rate_too_low,
    _too_few_epochs,
    _imbalance,
    _overfitting,
    _underfitting,
]
