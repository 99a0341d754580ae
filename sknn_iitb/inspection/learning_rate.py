"""The learning rate range test: which learning rates make the loss fall, and from where on it explodes."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from sknn_iitb._engine.range_test import RATES, range_test, smoothed_losses, suggested_rate
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import check_count
from sknn_iitb.inspection._figures import set_axes
from sknn_iitb.inspection._training import begin, check_has_epochs

__all__ = ["LearningRateRangeDisplay", "learning_rate_range_test"]


def learning_rate_range_test(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    start: float = RATES[0],
    stop: float = RATES[-1],
    n_rates: int = len(RATES),
    member: int = 0,
) -> Bunch:
    """Train on one batch after the other at growing learning rates, and suggest a learning rate.

    A new network takes a single step at each rate [1]_. Below some rate the loss stays the same, then it falls, and
    finally it explodes. The suggestion is the lowest rate at which the moving average of the loss has fallen by 80 % of
    its largest fall. ``learning_rate_init="auto"`` uses it.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Estimator of this package with a first-order solver, or a pipeline that ends with one. A tabular estimator must
        be fitted; the others are cloned. It stays as it is.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    start, stop : float, default=1e-6 and 100
        The lowest and the highest learning rate. The first rates should be too low to change the loss.
    n_rates : int, default=120
        Number of rates, evenly spaced on a logarithmic scale, at least 30.
    member : int, default=0
        Which network of a tabular estimator.

    Returns
    -------
    result : Bunch
        - `learning_rates`, ndarray of shape (n,): the rates up to the one at which the loss is no longer finite.
        - `losses`, ndarray of shape (n,): the loss of each batch before its step.
        - `smoothed_losses`, ndarray of shape (m,): their moving average, until it explodes.
        - `suggested`, float or None: the suggested initial learning rate; None if the loss does not fall.

    Raises
    ------
    NotFittedError
        If a tabular estimator is not fitted.
    TypeError
        If it is not an estimator of this package.
    ValueError
        If its solver is 'lbfgs', or a parameter or the data are invalid.

    References
    ----------
    .. [1] L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, 2015, section 3.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import learning_rate_range_test
    >>> X, y = load_digits(return_X_y=True)
    >>> result = learning_rate_range_test(MLPClassifier(random_state=0), X / 16, y)
    >>> 0.005 < result.suggested < 0.1
    True
    """
    for name, value in (("start", start), ("stop", stop)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}.")
    if not start < stop:
        raise ValueError(f"start must be below stop, got start={start!r} and stop={stop!r}.")
    check_count("n_rates", n_rates, 30)
    check_has_epochs(estimator)
    changes = {"learning_rate_init": start, "early_stopping": False}
    beginning = begin(estimator, X, y, sample_weight, member, **changes)
    rates = np.geomspace(start, stop, int(n_rates))
    losses = range_test(beginning.run, beginning.theta, rates)
    finite = np.isfinite(losses)
    return Bunch(
        learning_rates=rates[finite],
        losses=losses[finite],
        smoothed_losses=smoothed_losses(losses),
        suggested=suggested_rate(rates, losses),
    )


class LearningRateRangeDisplay:
    """Plot of the loss against a growing learning rate.

    Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    learning_rates, losses : ndarray of shape (n,)
        Learning rate of each batch, and its loss.
    smoothed_losses : ndarray of shape (m,)
        Moving average of the first m losses.
    suggested : float or None
        Suggested learning rate.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the losses.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib Line2D
        The smoothed losses.

    See Also
    --------
    learning_rate_range_test : The numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any
    line_: Any

    def __init__(self, learning_rates: Array, losses: Array, smoothed_losses: Array, suggested: float | None) -> None:
        self.learning_rates = learning_rates
        self.losses = losses
        self.smoothed_losses = smoothed_losses
        self.suggested = suggested

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Run the test and plot it.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Estimator of this package, or a pipeline that ends with one. A tabular estimator must be fitted.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        **options : dict
            `start`, `stop`, `n_rates` and `member` of :func:`learning_rate_range_test`.

        Returns
        -------
        display : LearningRateRangeDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As :func:`learning_rate_range_test`.
        """
        return cls(**learning_rate_range_test(estimator, X, y, sample_weight, **options)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the losses, and mark the suggested rate.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        self : LearningRateRangeDisplay
        """
        (ax,) = set_axes(self, ax, ["losses"])
        n, smoothed = len(self.smoothed_losses), self.smoothed_losses
        ax.plot(self.learning_rates[:n], self.losses[:n], color="C0", alpha=0.3, linewidth=0.8, label="loss of a batch")
        (self.line_,) = ax.plot(self.learning_rates[:n], smoothed, color="C0", label="moving average")
        if self.suggested is not None:
            height = smoothed[np.searchsorted(self.learning_rates, self.suggested)]
            ax.axvline(self.suggested, color="C1", linestyle="--", linewidth=1)
            ax.plot([self.suggested], [height], "o", color="C1", label=f"suggested: {self.suggested:.2g}")
        margin = 0.1 * (np.ptp(smoothed) or 1.0)
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        ax.set_ylim(min(smoothed.min(), 0) - margin if smoothed.min() < 0 else 0, smoothed.max() + margin)
        ax.legend()
        return self
