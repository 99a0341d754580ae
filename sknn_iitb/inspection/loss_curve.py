"""The loss, the validation score and the learning rate of each epoch."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sknn_iitb.inspection._estimators import last_step

__all__ = ["LossCurveDisplay"]

_PANELS = {
    "loss": "loss",
    "score": "validation score",
    "learning_rate": "learning rate",
}

# a loss that has fallen by more than this factor is shown on a logarithmic scale
_DECADES = 20


class LossCurveDisplay:
    """Plot of the loss over the epochs, with the validation score and the learning rate below it.

    Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    curves : list of dict
        For each network its `label`, which may be empty, its `loss`, and where there are any its `validation_loss`,
        `score` and `learning_rate`: lists with a number for each epoch.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The axes of 'loss', 'score' and 'learning_rate', as far as they are shown.
    ax_ : matplotlib Axes
        Those of the loss.
    figure_ : matplotlib Figure
        Figure of the axes.
    """

    axes_: dict[str, Any]
    ax_: Any
    figure_: Any

    def __init__(self, curves: list[dict[str, Any]]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, labels: Sequence[str] | None = None, show: Sequence[str] = (), ax: Any = None
    ) -> Self:
        """Plot the curves of one or several fitted estimators.

        Parameters
        ----------
        estimator : estimator, Pipeline, or list of them
            Fitted with a first-order solver. In a list, each is an MLPClassifier or MLPRegressor, or a Pipeline that
            ends with one. A tabular estimator has a curve for each of its networks.
        labels : list of str, default=None
            Names of the estimators for the legend. None uses the parameters in which they differ.
        show : sequence of {'score', 'learning_rate'}, default=()
            What to show below the loss. A network without validation has no score.
        ax : matplotlib Axes or None, default=None
            Axes for the loss, if nothing else is shown. None creates a new figure.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If an estimator is not fitted.
        ValueError
            If an estimator has no curve, as with the solver 'lbfgs', or an argument is invalid.
        """
        show = (show,) if isinstance(show, str) else tuple(show)
        if unknown := [name for name in show if name not in ("score", "learning_rate")]:
            raise ValueError(f"show must have only 'score' and 'learning_rate', got {unknown[0]!r}.")
        if ax is not None and show:
            raise ValueError("ax can only be given if nothing but the loss is shown.")
        several = estimator if isinstance(estimator, (list, tuple)) else [estimator]
        estimators = [last_step(each)[0] for each in several]
        if len(estimators) == 1 and hasattr(estimators[0], "loss_curves_"):
            curves = estimators[0].loss_curves_
            return cls([{"label": f"net {k}", "loss": each} for k, each in enumerate(curves, start=1)]).plot((), ax)
        if labels is None:
            labels = _differences(estimators)
        if len(labels) != len(estimators):
            raise ValueError(f"labels must have an entry for each of the {len(estimators)} estimators, got {labels!r}.")
        return cls([_curves(each, label) for each, label in zip(estimators, labels, strict=True)]).plot(show, ax)

    def plot(self, show: Sequence[str] = (), ax: Any = None) -> Self:
        """Plot the curves.

        Parameters
        ----------
        show : sequence of {'score', 'learning_rate'}, default=()
            What to show below the loss.
        ax : matplotlib Axes or None, default=None
            Axes for the loss, if nothing else is shown. None creates a new figure.

        Returns
        -------
        self : LossCurveDisplay
        """
        check_matplotlib_support("LossCurveDisplay.plot")
        from matplotlib import pyplot

        names = ["loss", *(name for name in show if any(curves.get(name) for curves in self.curves))]
        if ax is None:
            heights = [2, *[1] * (len(names) - 1)]
            size = 6.4, 2 + 1.5 * len(names)
            figure, axes = pyplot.subplots(
                len(names), 1, sharex=True, squeeze=False, figsize=size, height_ratios=heights, layout="constrained"
            )
            axes = axes.ravel()
        else:
            figure, axes = ax.figure, [ax]
        self.axes_ = dict(zip(names, axes, strict=True))
        for k, curves in enumerate(self.curves):
            for name, panel in self.axes_.items():
                if values := curves.get(name):
                    panel.plot(
                        np.arange(1, len(values) + 1), values, color=f"C{k}", label=curves["label"] or "training"
                    )
            if values := curves.get("validation_loss"):
                label = f"{curves['label']}, validation" if curves["label"] else "validation"
                axes[0].plot(np.arange(1, len(values) + 1), values, color=f"C{k}", linestyle="--", label=label)
        for name, panel in self.axes_.items():
            panel.set_ylabel(_PANELS[name])
        losses = np.concatenate([curves["loss"] for curves in self.curves])
        if 0 < losses.min() < losses.max() / _DECADES:
            axes[0].set_yscale("log")
        axes[-1].set_xlabel("epoch")
        axes[0].legend()
        self.ax_, self.figure_ = axes[0], figure
        return self


def _curves(estimator, label):
    """The curves of a fitted network."""
    if hasattr(estimator, "loss_curves_"):
        raise ValueError(f"{type(estimator).__name__} has a curve for each of its networks; show it without others.")
    if not getattr(estimator, "loss_curve_", None):
        raise ValueError(
            f"{type(estimator).__name__} with solver={estimator.solver!r} has no loss curve; fit it with a first-order "
            "solver."
        )
    return {
        "label": label,
        "loss": list(estimator.loss_curve_),
        "validation_loss": list(estimator.validation_loss_curve_ or []),
        "score": list(estimator.validation_scores_ or []),
        "learning_rate": list(estimator.learning_rate_curve_),
    }


def _differences(estimators):
    """Labels that name the parameters in which the estimators differ."""
    if len(estimators) == 1:
        return [""]
    parameters = [estimator.get_params(deep=False) for estimator in estimators]
    names = [name for name in parameters[0] if len({repr(each.get(name)) for each in parameters}) > 1]
    return [
        ", ".join(f"{name}={each.get(name)!r}" for name in names) or f"{type(estimator).__name__} {k}"
        for k, (estimator, each) in enumerate(zip(estimators, parameters, strict=True), start=1)
    ]
