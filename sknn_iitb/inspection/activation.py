"""Activations: their values and slopes, and what they receive in a fitted network."""

from typing import Any, Self

import numpy as np

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.inspection._estimators import last_step
from sknn_iitb.inspection._figures import set_axes
from sknn_iitb.inspection._units import FLAT, hidden_layers, values_and_slopes

__all__ = ["ActivationDisplay"]

_N_POINTS = 601


class ActivationDisplay:
    """Plot of an activation and its slope, and of the values that it receives in each hidden layer.

    Create a display with :meth:`from_activation` or :meth:`from_estimator`.

    Parameters
    ----------
    z : ndarray of shape (n_points,)
        Weighted sums.
    curves : list of tuple of (str, ndarray, ndarray)
        Name, values and slopes of each activation at these sums.
    layers : list of HiddenLayer, default=()
        The hidden layers of a network on some samples, with their `sums`, `values` and `slopes`, the share of `dead`
        units, whose slope is 0 for all samples, and the share of `saturated` values, where the slope is below 5 % of
        the steepest.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the values and of the slopes; or of each hidden layer.
    figure_ : matplotlib Figure
        Figure of the axes.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(self, z: Array, curves: list[tuple[str, Array, Array]], layers: Any = ()) -> None:
        self.z = z
        self.curves = curves
        self.layers = layers

    @classmethod
    def from_activation(cls, activation: Any, *, limits: tuple[float, float] = (-6.0, 6.0), ax: Any = None) -> Self:
        """Plot one or several activations with their slopes, as training uses them.

        Parameters
        ----------
        activation : str, Activation, callable or list of them
            Names, objects of :mod:`sknn_iitb.activations`, or functions ``g(z)`` of your own.
        limits : tuple of float, default=(-6, 6)
            Range of the weighted sums.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : ActivationDisplay

        Raises
        ------
        ValueError
            If an activation is not known or is not elementwise, or `limits` are not increasing.
        """
        low, high = limits
        if not low < high:
            raise ValueError(f"limits must be increasing, got {limits!r}.")
        z, curves = np.linspace(low, high, _N_POINTS), []
        for each in activation if isinstance(activation, (list, tuple)) else [activation]:
            if isinstance(each, str) and each not in ACTIVATIONS:
                raise ValueError(f"activation must be one of {ACTIVATIONS.names()}, got {each!r}.")
            found = ACTIVATIONS.resolve(each)
            if found.function is None:
                raise ValueError(f"{each!r} is not elementwise: its outputs depend on all weighted sums of a layer.")
            values, slopes = values_and_slopes(found, z[:, None])
            curves.append((found.label, values.ravel(), slopes.ravel()))
        return cls(z, curves).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: MatrixLike, *, member: int = 0, ax: Any = None) -> Self:
        """Plot the weighted sums that the hidden layers of a network receive, over their activations.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted estimator of this package, or a pipeline that ends with one.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples, of which at most 2,000 are used.
        member : int, default=0
            Which network of a tabular estimator.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : ActivationDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is not an estimator of this package.
        ValueError
            If it has no hidden layer, or no such member.
        """
        net, X = last_step(estimator, X)
        layers = hidden_layers(net, net._matrix(X), member)
        if not layers:
            raise ValueError("The network has no hidden layer.")
        return cls(np.zeros(0), [], layers).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the activations, or the hidden layers if there are any.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        self : ActivationDisplay
        """
        (self._plot_layers if self.layers else self._plot_curves)(ax)
        return self

    def _plot_curves(self, ax):
        axes = set_axes(self, ax, ["values", "slopes"], sharex=True)
        for k, (name, values, slopes) in enumerate(self.curves):
            axes[0].plot(self.z, values, color=f"C{k}", label=name)
            axes[1].plot(self.z, slopes, color=f"C{k}")
        if len(self.curves) == 1:
            slopes = abs(self.curves[0][2])
            flat = slopes < FLAT * slopes.max()
            for panel in axes:
                where = {"where": flat, "transform": panel.get_xaxis_transform()}
                panel.fill_between(self.z, 0, 1, **where, color="0.9", zorder=0)
            axes[1].annotate("grey: almost flat", (0.02, 0.9), xycoords="axes fraction", color="0.4")
        axes[0].set_ylabel("value")
        axes[1].set(xlabel="weighted sum z", ylabel="slope")
        axes[0].legend()

    def _plot_layers(self, ax):
        names = [f"hidden layer {k}" for k in range(1, len(self.layers) + 1)]
        axes = set_axes(self, ax, names)
        for panel, name, layer in zip(axes, names, self.layers, strict=True):
            low, high = np.quantile(layer.sums, [0.001, 0.999])
            panel.hist(layer.sums.ravel(), bins=np.linspace(low, high, 61), density=True, color="C0", alpha=0.6)
            z = np.linspace(low, high, _N_POINTS)
            curve = panel.twinx()
            curve.plot(z, values_and_slopes(layer.activation, z[:, None])[0], color="C1")
            curve.tick_params(axis="y", colors="C1")
            shares = f"{layer.saturated:.0%} almost flat, {layer.dead:.0%} of the units dead"
            panel.set_title(f"{name}: {shares}", fontsize="medium")
            panel.set_ylabel("density")
        axes[-1].set_xlabel("weighted sum z (bars), with the activation (line)")
