"""A fitted network as a case for the checks of a diagnosis."""

from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.inspection._training import begin
from sknn_iitb.inspection._units import hidden_layers
from sknn_iitb.inspection.hessian import largest_stable_rate
from sknn_iitb.inspection.learning_rate import learning_rate_range_test
from sknn_iitb.mlp._scaling_advice import excess
from sknn_iitb.optimizers import SGD

__all__ = ["Case", "MemberCase"]


class Case:
    """A fitted MLPClassifier or MLPRegressor with its training data, and what several checks need to know.

    Attributes
    ----------
    curve : ndarray of shape (n_epochs,)
        The training loss; empty with the solver 'lbfgs'.
    rate : float or None
        The initial learning rate.
    """

    _fixes = {
        "learning rate": "Set learning_rate_init={suggested:.2g}, or 'auto'.",
        "saturated units": "Scale X, use a smaller init, or set activation='relu'.",
        "vanishing gradient": "Set activation='relu', batch_norm=True, or use fewer layers.",
        "overfitting": "Set early_stopping=True, a larger alpha, or dropout=0.2; or use more samples.",
    }

    def __init__(self, net, X, y, X_val, y_val, member=0):
        self.net, self.X, self.y, self.X_val, self.y_val, self.member = net, X, y, X_val, y_val, member
        self.curve, self.rate = self._training()

    def _training(self):
        return np.array(getattr(self.net, "loss_curve_", [])), getattr(self.net, "learning_rate_init_", None)

    def fix(self, problem):
        """What to do about a problem."""
        return self._fixes[problem].format(suggested=self.suggested)

    @cached_property
    def loss(self):
        return LossFunction.of(self.net, self.X, self.y, None, self.member)

    @cached_property
    def losses(self):
        """The mean loss of the samples, and the penalties."""
        return self.loss.terms(self.loss.theta)

    @cached_property
    def least_informed(self):
        """The loss of the best constant prediction: without weights, only the last biases have an effect."""
        theta, biases = np.zeros_like(self.loss.theta), self.loss.biases[-1]

        def loss_and_gradient(values):
            theta[biases] = values
            return self.loss.terms(theta)[0], self.loss.objective.gradient[biases].copy()

        return minimize(loss_and_gradient, theta[biases], jac=True, method="L-BFGS-B").fun

    @cached_property
    def learned(self):
        """Whether the loss is far below that of the best constant prediction."""
        return self.losses[0] <= 0.3 * self.least_informed

    @cached_property
    def initial(self):
        """The loss at the initial parameters."""
        return begin(self.net, self.X, self.y, member=self.member, learning_rate_init=0.001).loss

    @cached_property
    def badly_scaled(self):
        """What is wrong with the scale of X and y, and how many times they are beyond the limits."""
        samples = self.net._further_samples(self.X, self.y, None)
        targets = self.net._scalable_targets(samples)
        worst = max(float(excess(each).max()) for each in (samples.X, targets) if each is not None)
        return self.net._advise(samples).strip(), worst

    @cached_property
    def layers(self):
        return hidden_layers(self.net, self.net._matrix(self.X), self.member)

    @cached_property
    def suggested(self):
        """The learning rate of the range test."""
        if not len(self.curve) or self.badly_scaled[0]:  # the rate depends on the scale
            return None
        return learning_rate_range_test(self.net, self.X, self.y, member=self.member).suggested

    @cached_property
    def stable_rate(self):
        """The largest stable learning rate of gradient descent at the initial parameters; None for other solvers."""
        optimizer = self.net._resolve_components().optimizer
        return largest_stable_rate(self.initial, optimizer) if isinstance(optimizer, SGD) else None

    @cached_property
    def late_fall(self):
        """The share of its range by which the loss fell in the last fifth of the epochs."""
        n, fall = len(self.curve), self.curve[0] - self.curve.min() if len(self.curve) else 0.0
        if n < 2 or fall <= 0:
            return 0.0
        return float((self.curve[-1 - max(1, n // 5)] - self.curve[-1]) / fall)


class MemberCase(Case):
    """A network of a tabular estimator, which scales X and y itself."""

    _fixes = {
        "learning rate": "Set learning_rate_init={suggested:.2g}, or leave it at its default.",
        "saturated units": "Leave activation at its default.",
        "vanishing gradient": "Leave activation at its default, or use fewer layers.",
        "overfitting": "Set dropout=0.2, or use more samples.",
    }
    badly_scaled = ("", 0.0)
    stable_rate = None  # layers have learning rates of their own

    def _training(self):
        config = self.net._member_config(self.member, len(self.y))
        member = self.net.members_[self.member]
        # without the last epochs, which use other samples and learning rates
        return np.array(member.loss_curve[: len(member.validation_curve)]), config.learning_rate_init
