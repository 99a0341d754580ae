"""Checks for the usual reasons why a network does not train."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import recall_score

from sknn_iitb.inspection._estimators import new_run
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.inspection._units import hidden_layers
from sknn_iitb.inspection.learning_rate import learning_rate_range_test
from sknn_iitb.mlp._scaling_advice import excess

__all__ = ["CHECKS", "Case", "Finding"]

# a loss of which a larger share of its fall happened in the last fifth of the epochs has not settled
_STILL_FALLING = 0.1
# a learning rate is suspicious if it differs from that of the range test by more than this factor
_RATE_FACTOR = 5.0


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
        self.curve, self.rate = np.array(getattr(net, "loss_curve_", [])), getattr(net, "learning_rate_init_", None)

    @cached_property
    def loss(self):
        return LossFunction.of(self.net, self.X, self.y, None, 0)

    @cached_property
    def losses(self):
        """The mean loss of the samples, and the penalties."""
        return self.loss.terms(self.loss.theta)

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
        run = new_run(net, self.X, self.y)
        losses = run.objective.evaluate(net._parameters.vector)
        return net, run.objective.gradient, losses

    @cached_property
    def badly_scaled(self):
        """What is wrong with the scale of X and y, and how many times they are beyond the limits."""
        samples = self.net._further_samples(self.X, self.y, None)
        targets = self.net._scalable_targets(samples)
        worst = max(float(excess(each).max()) for each in (samples.X, targets) if each is not None)
        return self.net._advise(samples).strip(), worst

    @cached_property
    def layers(self):
        return hidden_layers(self.net, self.X)

    @cached_property
    def suggested(self):
        """The learning rate of the range test."""
        if not len(self.curve) or self.badly_scaled[0]:  # the rate depends on the scale
            return None
        return learning_rate_range_test(self.net, self.X, self.y).suggested

    @cached_property
    def late_fall(self):
        """The share of its range by which the loss fell in the last fifth of the epochs."""
        n, fall = len(self.curve), self.curve[0] - self.curve.min() if len(self.curve) else 0.0
        if n < 2 or fall <= 0:
            return 0.0
        return float((self.curve[-1 - max(1, n // 5)] - self.curve[-1]) / fall)


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
    if ratio <= _RATE_FACTOR or not (rises or case.losses[0] > 0.5 * case.least_informed):
        return None
    return Finding(
        "learning rate too high",
        ratio,
        _RATE_FACTOR,
        f"The learning rate {case.rate:.3g} is {ratio:.0f} times that of a range test, and the loss does not settle.",
        f"Set learning_rate_init={case.suggested:.2g}, or 'auto'.",
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
        f"The learning rate {case.rate:.3g} is {ratio:.0f} times lower than that of a range test, and "
        f"{case.late_fall:.0%} of the fall of the loss happened in the last fifth of the epochs.",
        f"Set learning_rate_init={case.suggested:.2g}, or 'auto'.",
    )


def _too_few_epochs(case):
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
    loss, penalty = case.initial[2]
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
    return Finding(
        "dead units",
        dead[k],
        limit,
        f"{dead[k]:.0%} of the units of hidden layer {k + 1} have a slope of 0 for all samples, so they do not learn.",
        "Set activation='leaky_relu', or a lower learning_rate_init.",
    )


def _saturated_units(case):
    saturated = [layer.saturated if layer.is_bounded else 0.0 for layer in case.layers]
    limit = 0.6
    if not saturated or max(saturated) <= limit:
        return None
    k = int(np.argmax(saturated))
    return Finding(
        "saturated units",
        saturated[k],
        limit,
        f"{saturated[k]:.0%} of the values of hidden layer {k + 1} are where the activation is almost flat.",
        "Scale X, use a smaller init, or set activation='relu'.",
    )


def _vanishing_gradient(case):
    if len(case.layers) < 3 or case.losses[0] <= 0.5 * case.least_informed:
        return None
    net, gradient, _ = case.initial
    sizes = [np.sqrt(np.mean(each**2)) for each in net._network.layout.views(gradient)["coefs"]]
    ratio = float(sizes[0] / max(sizes[-1], 1e-300))
    limit = 1e-2
    if ratio >= limit:
        return None
    return Finding(
        "vanishing gradient",
        ratio,
        limit,
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
    if gap <= limit:
        return None
    return Finding(
        "overfitting",
        gap,
        limit,
        f"The score is {train:.3f} on the training samples and {held_out:.3f} on the validation samples.",
        "Set early_stopping=True, a larger alpha, or dropout=0.2; or use more samples.",
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
        f"The loss is {ratio:.2f} times that of the best constant prediction.",
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
