"""The loss, the validation score and the learning rate of each epoch."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sknn_iitb.inspection._estimators import last_step
from sknn_iitb.inspection._figures import HEIGHT, ROW_HEIGHT, WIDTH, set_axes

__all__ = ["LossCurveDisplay"]

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
    metric : str, default='score'
        Name of the score.
    show : sequence of {'score', 'learning_rate'}, default=()
        What :meth:`plot` shows below the loss unless told otherwise.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the loss, the score and the learning rate, as far as they are shown.
    figure_ : matplotlib Figure
        Figure of the axes.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(self, curves: list[dict[str, Any]], metric: str = "score", show: Sequence[str] = ()) -> None:
        self.curves = curves
        self.metric = metric
        self.show = show

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, labels: Sequence[str] | None = None, show: Sequence[str] | None = None, ax: Any = None
    ) -> Self:
        """Plot the curves of one or several fitted estimators.

        Parameters
        ----------
        estimator : estimator, Pipeline, or list of them
            Fitted with a first-order solver. In a list, each is an MLPClassifier or MLPRegressor, or a Pipeline that
            ends with one. A tabular estimator has a curve for each of its networks.
        labels : list of str, default=None
            Names of the estimators for the legend. None uses the parameters in which they differ.
        show : sequence of {'score', 'learning_rate'}, default=None
            What to show below the loss, as far as there is any: a network without validation has no score. For a
            tabular estimator, the score is its `metric`, and it has no learning rates. None shows the score of a
            tabular estimator, and nothing of the others, whose validation loss is beside the loss.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

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
        several = estimator if isinstance(estimator, (list, tuple)) else [estimator]
        estimators = [last_step(each)[0] for each in several]
        if not estimators:
            raise ValueError("estimator must be an estimator or a list of at least one, got an empty list.")
        if len(estimators) == 1 and hasattr(estimators[0], "loss_curves_"):
            curves, metric = _member_curves(estimators[0])
            return cls(curves, metric, ("score",) if show is None else show).plot(ax)
        if labels is None:
            labels = _differences(estimators)
        if len(labels) != len(estimators):
            raise ValueError(f"labels must have an entry for each of the {len(estimators)} estimators, got {labels!r}.")
        curves = [_curves(each, label) for each, label in zip(estimators, labels, strict=True)]
        return cls(curves, show=() if show is None else show).plot(ax)

    def plot(self, ax: Any = None, *, show: Sequence[str] | None = None) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        show : sequence of {'score', 'learning_rate'}, default=None
            What to show below the loss, as far as there is any. None shows what the display was created
            with.

        Returns
        -------
        self : LossCurveDisplay

        Raises
        ------
        ValueError
            If there is nothing of this name.
        """
        show = self.show if show is None else show
        show = (show,) if isinstance(show, str) else tuple(show)
        if unknown := [name for name in show if name not in ("score", "learning_rate")]:
            raise ValueError(f"show must have only 'score' and 'learning_rate', got {unknown[0]!r}.")
        names = ["loss", *(name for name in show if any(curves.get(name) for curves in self.curves))]
        size = WIDTH, HEIGHT + 0.7 * ROW_HEIGHT * (len(names) - 1)
        heights = [2, *[1] * (len(names) - 1)]
        axes = set_axes(self, ax, names, size=size, sharex=True, height_ratios=heights)
        panels = dict(zip(names, axes, strict=True))
        for k, curves in enumerate(self.curves):
            for name, panel in panels.items():
                if values := curves.get(name):
                    panel.plot(
                        np.arange(1, len(values) + 1), values, color=f"C{k}", label=curves["label"] or "training"
                    )
            if values := curves.get("validation_loss"):
                label = f"{curves['label']}, validation" if curves["label"] else "validation"
                axes[0].plot(np.arange(1, len(values) + 1), values, color=f"C{k}", linestyle="--", label=label)
        for name, panel in panels.items():
            panel.set_ylabel(f"validation\n{self.metric}" if name == "score" else name.replace("_", " "))
        losses = np.concatenate([curves["loss"] for curves in self.curves])
        if 0 < losses.min() < losses.max() / _DECADES:
            axes[0].set_yscale("log")
        axes[-1].set_xlabel("epoch")
        axes[0].legend()
        return self


def _member_curves(estimator):
    """The curves of the networks of a tabular estimator, and the name of its metric."""
    metric = estimator._metric()
    errors = ([1 - error if metric.is_score else error for error in each] for each in estimator.validation_curves_)
    both = enumerate(zip(estimator.loss_curves_, errors, strict=True), start=1)
    # a linear member has no epochs
    curves = [{"label": f"net {k}", "loss": losses, "score": scores} for k, (losses, scores) in both if losses]
    return curves, metric.name


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
