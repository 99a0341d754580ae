"""The regions into which the units of a network cut the plane."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import check_count, last_step
from sknn_iitb.inspection._figures import ROW_HEIGHT, WIDTH, set_axes
from sknn_iitb.inspection._units import hidden_layers, member_layers
from sknn_iitb.mlp._features import hidden_layer_index

__all__ = ["DecisionRegionDisplay"]

_COLUMNS = 3


class DecisionRegionDisplay:
    """The output of each hidden unit over the plane of two columns, and the prediction of the estimator.

    Create a display with :meth:`from_estimator`. A line marks where the weighted sum of a unit is zero. In the first
    hidden layer the lines are straight: each unit cuts the plane in two, and the network combines the halves. Those of
    a tabular estimator bend, because its networks receive bins and splines of the columns. The prediction is drawn by
    :class:`sklearn.inspection.DecisionBoundaryDisplay`.

    Parameters
    ----------
    units, sums : ndarray of shape (n_units, grid_resolution, grid_resolution)
        The values of the units that are shown, and their weighted sums, which the activation receives.
    network : DecisionBoundaryDisplay
        For the prediction.
    numbers : list of int
        Which units of the layer are shown.
    layer : int
        The hidden layer.
    X, y : ndarray
        The samples, (n_samples, 2), and their labels or targets; y may be None.
    n_networks : int, default=1
        The number of networks of which the prediction is the average.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the units, and of the prediction.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    NetworkDisplay : The weights of a network.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(
        self,
        units: Array,
        sums: Array,
        network: Any,
        numbers: list[int],
        layer: int,
        X: Array,
        y: Array | None,
        n_networks: int = 1,
    ) -> None:
        self.units = units
        self.sums = sums
        self.network = network
        self.numbers = numbers
        self.layer = layer
        self.X = X
        self.y = y
        self.n_networks = n_networks

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        layer: int = 0,
        member: int = 0,
        max_units: int = 8,
        grid_resolution: int = 100,
        ax: Any = None,
    ) -> Self:
        """Plot the regions of the units of a hidden layer, and of the prediction.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor or Pipeline
            Fitted on two columns of numbers.
        X : {array-like, DataFrame} of shape (n_samples, 2)
            Samples, which give the limits of the plane and are drawn over the prediction.
        y : array-like of shape (n_samples,), default=None
            Labels or targets, which color the samples.
        layer : int, default=0
            Index of the hidden layer, from 0. Negative indices count from the last layer.
        member : int, default=0
            The network of a tabular estimator whose units are shown. The prediction is that of all its networks.
        max_units : int, default=8
            Maximum number of units. If there are more, those that change the next layer most are shown.
        grid_resolution : int, default=100
            Number of points along each axis.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : DecisionRegionDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is not an estimator of this package.
        ValueError
            If X does not have two columns of finite numbers, or the estimator has no such network or hidden layer or
            predicts several labels or targets.
        """
        check_count("max_units", max_units, 1)
        check_count("grid_resolution", grid_resolution, 2)
        check_is_fitted(estimator)
        if np.ndim(X) != 2 or np.shape(X)[1] != 2:
            raise ValueError(
                f"The plane needs an X with two columns, got shape {np.shape(X)}. Fit the network on two columns, for "
                "example those of PCA(2)."
            )
        net, _ = last_step(estimator)
        is_categorical = net.encoder_.is_categorical_ if hasattr(net, "encoder_") else np.zeros(2)
        if np.any(is_categorical) or not _are_finite(X):
            raise ValueError("The plane needs two columns of numbers, without categories and missing values.")
        if np.ndim(estimator.predict(X[:1])) > 1:
            raise ValueError("The plane shows one label or target for each point, and this network predicts several.")
        layer = hidden_layer_index(layer, len(net._member(member)[0].activations) - 1)
        network = DecisionBoundaryDisplay.from_estimator(
            estimator, X, grid_resolution=grid_resolution, response_method="predict"
        )
        _close(network)
        grid = np.column_stack([network.xx0.ravel(), network.xx1.ravel()])
        if hasattr(X, "columns"):
            grid = type(X)(grid, columns=X.columns)
        net, columns = last_step(estimator, grid)
        found = hidden_layers(net, net._matrix(columns), member, max_rows=len(grid))[layer]
        members = getattr(net, "members_", None)
        coefs = net.coefs_ if members is None else member_layers(members[member])[0]
        weight = np.linalg.norm(coefs[layer + 1], axis=1) * found.values.std(axis=0)
        shown = sorted(np.argsort(-weight, kind="stable")[:max_units].tolist())
        units, sums = (each[:, shown].T.reshape(-1, *network.xx0.shape) for each in (found.values, found.sums))
        y = None if y is None else np.asarray(y)
        return cls(units, sums, network, shown, layer, np.asarray(X), y, len(members or [net])).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the units and the prediction.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        self : DecisionRegionDisplay
        """
        names = [*(f"unit {number}" for number in self.numbers), "prediction"]
        n_columns = min(len(names), _COLUMNS)
        size = WIDTH, 0.4 + 0.75 * ROW_HEIGHT * -(-len(names) // n_columns)
        labels = self.network.xlabel or "x0", self.network.ylabel or "x1"
        options = {"n_columns": n_columns, "sharex": True, "sharey": True}
        axes = set_axes(self, ax, names, size=size, labels=labels, **options)
        for ax, name, unit, sums in zip(axes, names, self.units, self.sums, strict=False):
            ax.pcolormesh(self.network.xx0, self.network.xx1, unit, cmap="cividis", shading="auto", rasterized=True)
            if sums.min() < 0 < sums.max():
                ax.contour(self.network.xx0, self.network.xx1, sums, levels=[0], colors="white", linewidths=1.5)
            ax.set_title(name, fontsize="medium")
        self._plot_prediction(axes[-1])
        return self

    def _plot_prediction(self, ax):
        labels = ax.get_xlabel(), ax.get_ylabel()
        self.network.plot(ax=ax, plot_method="pcolormesh", alpha=0.5, rasterized=True)
        codes = None
        if self.y is not None:
            codes = np.unique(self.y, return_inverse=True)[1] if self.y.dtype.kind not in "fc" else self.y
        ax.scatter(*self.X[:, :2].T, c=codes, cmap="viridis", s=12, edgecolor="black", linewidth=0.4)
        ax.set_title("network" if self.n_networks == 1 else f"{self.n_networks} networks", fontsize="medium")
        ax.set(xlabel=labels[0], ylabel=labels[1])


def _are_finite(X):
    try:
        return np.isfinite(np.asarray(X, dtype=float)).all()
    except (TypeError, ValueError):  # texts, or a missing value of pandas
        return False


def _close(display):
    """Close the figure that scikit-learn has opened."""
    from matplotlib import pyplot

    pyplot.close(display.figure_)
