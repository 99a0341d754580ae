"""Checks for the usual reasons why a network does not train."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.metrics import recall_score

from sknn_iitb._engine.samples import TrainingData
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.inspection._units import hidden_layers
from sknn_iitb.inspection.learning_rate import learning_rate_range_test
from sknn_iitb.mlp._fitting import Call

__all__ = ["CHECKS", "Case", "Finding"]

# a loss of which a larger share of its fall happened in the last fifth of the epochs has not settled
_STILL_FALLING = 0.1


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


class Case:
    """A fitted network with its training data, and what several checks need to know."""

    def __init__(self, net, X, y, X_val, y_val):
        self.net, self.X, self.y, self.X_val, self.y_val = net, X, y, X_val, y_val
        self.curve = np.array(getattr(net, "loss_curve_", []))

    @cached_property
    def loss(self):
        return LossFunction.of(self.net, self.X, self.y, None, 0)

    @cached_property
    def losses(self):
        """The mean loss of the samples, and the penalty."""
        self.loss.value(self.loss.theta)
        return tuple(map(float, self.loss.objective.evaluate(np.concatenate([self.loss.theta, self.loss.rest]))))

    @cached_property
    def least_informed(self):
        """The loss of the best constant prediction."""
        options = {"hidden_layer_sizes": (), "activation": "identity", "solver": "lbfgs", "alpha": 0.0, "l1": 0.0}
        options |= {"dropout": 0.0, "batch_norm": False, "layer_norm": False, "early_stopping": False, "init": "auto"}
        options |= {"max_norm": None, "learning_rate_init": 0.001, "verbose": False, "scoring": None}
        options |= {"max_iter": 1000, "max_fun": 10**6, "tol": 1e-6}
        return clone(self.net).set_params(**options).fit(np.zeros((len(self.y), 1)), self.y).loss_

    @cached_property
    def learned(self):
        """Whether the loss is far below that of the best constant prediction."""
        return self.losses[0] <= 0.3 * self.least_informed

    @cached_property
    def initial(self):
        """The network before training, its gradient and its loss and penalty."""
        net = clone(self.net).set_params(learning_rate_init=0.001)
        run = net._begin(TrainingData(self.X, self.y), Call(continues=False, incremental=False, classes=None))
        losses = run.objective.evaluate(net._parameters.vector)
        return net, run.objective.gradient, losses

    @cached_property
    def advice(self):
        """What is wrong with the scale of X and y."""
        return self.net._advise(self.net._further_samples(self.X, self.y, None)).strip()

    @cached_property
    def layers(self):
        return hidden_layers(self.net, self.X)

    @cached_property
    def suggested(self):
        """The learning rate of the range test."""
        if not len(self.curve) or self.advice:  # the rate depends on the scale
            return None
        return learning_rate_range_test(self.net, self.X, self.y).suggested

    @cached_property
    def rate(self):
        return self.net.learning_rate_init_

    @cached_property
    def late_fall(self):
        """The share of its range by which the loss fell in the last fifth of the epochs."""
        n, fall = len(self.curve), self.curve[0] - self.curve.min() if len(self.curve) else 0.0
        if n < 2 or fall <= 0:
            return 0.0
        return float((self.curve[-1 - max(1, n // 5)] - self.curve[-1]) / fall)


def _scale(case):
    if not case.advice:
        return None
    columns = case.X.toarray() if issparse(case.X) else case.X
    size = np.sqrt(np.mean(np.square(columns, dtype=float), axis=0))
    message, _, fix = case.advice.partition(". ")
    return Finding("scale", float(size.max()), 10.0, f"{message}.", fix)


def _learning_rate_too_high(case):
    if case.suggested is None or not len(case.curve):
        return None
    ratio = case.rate / case.suggested
    rises = case.curve[-1] > 1.5 * case.curve.min() + 0.05 * abs(case.curve[0])
    if ratio <= 5 or not (rises or case.losses[0] > 0.5 * case.least_informed):
        return None
    return Finding(
        "learning rate too high",
        ratio,
        5.0,
        f"The learning rate {case.rate:.3g} is {ratio:.0f} times that of a range test, and the loss does not settle.",
        f"Set learning_rate_init={case.suggested:.2g}, or 'auto'.",
    )


def _learning_rate_too_low(case):
    if case.suggested is None or case.late_fall <= _STILL_FALLING:
        return None
    ratio = case.suggested / case.rate
    if ratio <= 5:
        return None
    return Finding(
        "learning rate too low",
        ratio,
        5.0,
        f"The learning rate {case.rate:.3g} is {ratio:.0f} times lower than that of a range test, and "
        f"{case.late_fall:.0%} of the fall of the loss happened in the last fifth of the epochs.",
        f"Set learning_rate_init={case.suggested:.2g}, or 'auto'.",
    )


def _too_few_epochs(case):
    if case.late_fall <= _STILL_FALLING or (case.suggested is not None and case.suggested > 5 * case.rate):
        return None
    return Finding(
        "too few epochs",
        case.late_fall,
        _STILL_FALLING,
        f"{case.late_fall:.0%} of the fall of the loss happened in the last fifth of the {len(case.curve)} epochs.",
        f"Set max_iter={5 * case.net.max_iter}.",
    )


def _penalty(case):
    loss, penalty = case.initial[2]
    share = float(penalty / max(loss + penalty, 1e-300))
    if share <= 0.5 or case.learned:
        return None
    return Finding(
        "penalty too strong",
        share,
        0.5,
        f"Before training, the penalties are {share:.0%} of the loss.",
        f"Set alpha={case.net.alpha / 100:.2g}" + (f" and l1={case.net.l1 / 100:.2g}." if case.net.l1 else "."),
    )


def _dead_units(case):
    dead = [layer.dead for layer in case.layers]
    if not dead or max(dead) <= 0.4 or case.learned:
        return None
    k = int(np.argmax(dead))
    return Finding(
        "dead units",
        dead[k],
        0.4,
        f"{dead[k]:.0%} of the units of hidden layer {k + 1} have a slope of 0 for all samples, so they do not learn.",
        "Set activation='leaky_relu', or a lower learning_rate_init.",
    )


def _saturated_units(case):
    saturated = [layer.saturated if layer.is_bounded else 0.0 for layer in case.layers]
    if not saturated or max(saturated) <= 0.6:
        return None
    k = int(np.argmax(saturated))
    return Finding(
        "saturated units",
        saturated[k],
        0.6,
        f"{saturated[k]:.0%} of the values of hidden layer {k + 1} are where the activation is almost flat.",
        "Scale X, use a smaller init, or set activation='relu'.",
    )


def _vanishing_gradient(case):
    if len(case.layers) < 3 or case.losses[0] <= 0.5 * case.least_informed:
        return None
    net, gradient, _ = case.initial
    sizes = [np.sqrt(np.mean(each**2)) for each in net._network.layout.views(gradient)["coefs"]]
    ratio = float(sizes[0] / max(sizes[-1], 1e-300))
    if ratio >= 1e-2:
        return None
    return Finding(
        "vanishing gradient",
        ratio,
        1e-2,
        f"Before training, the gradient of the first layer is {ratio:.1g} times that of the last.",
        "Set activation='relu', batch_norm=True, or use fewer layers.",
    )


def _imbalance(case):
    if not is_classifier(case.net) or np.ndim(case.y) != 1:
        return None
    labels, counts = np.unique(case.y, return_counts=True)
    share = float(counts.min() / len(case.y))
    rare = labels[np.argmin(counts)].item()
    recall = float(recall_score(case.y, case.net.predict(case.X), labels=[rare], average=None, zero_division=0)[0])
    if share * len(labels) >= 0.25 or recall >= 0.5:
        return None
    return Finding(
        "class imbalance",
        share,
        0.25 / len(labels),
        f"Class {rare!r} has {share:.1%} of the samples, and {recall:.0%} of them are recognized.",
        "Set class_weight='balanced', or choose a threshold for predict_proba.",
    )


def _overfitting(case):
    if case.X_val is None:
        return None
    train, held_out = case.net.score(case.X, case.y), case.net.score(case.X_val, case.y_val)
    gap = float(train - held_out)
    if gap <= 0.1:
        return None
    return Finding(
        "overfitting",
        gap,
        0.1,
        f"The score is {train:.3f} on the training samples and {held_out:.3f} on the validation samples.",
        "Set early_stopping=True, a larger alpha, or dropout=0.2; or use more samples.",
    )


def _underfitting(case):
    ratio = case.losses[0] / case.least_informed if case.least_informed > 0 else 0.0
    if ratio <= 0.9:
        return None
    return Finding(
        "underfitting",
        ratio,
        0.9,
        f"The loss is {ratio:.2f} times that of the best constant prediction.",
        "If nothing above explains it, use more units or epochs; X may also say nothing about y.",
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
