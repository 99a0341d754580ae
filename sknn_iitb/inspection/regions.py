"""The regions into which the units of a network cut the plane."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import check_count, fitted_mlp
from sknn_iitb.inspection._units import hidden_layers

__all__ = ["DecisionRegionDisplay"]

_COLUMNS = 3


class DecisionRegionDisplay:
    """The output of each hidden unit over the plane of two columns, and the prediction of the network.

    Create a display with :meth:`from_estimator`. A line marks where the weighted sum of a unit is zero. In the first
    hidden layer the lines are straight: each unit cuts the plane in two, and the network combines the halves. The
    prediction is drawn by :class:`sklearn.inspection.DecisionBoundaryDisplay`.

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

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        One for each unit, and that of the network last.
    figure_ : matplotlib Figure

    See Also
    --------
    NetworkDisplay : The weights of a network.
    """

    axes_: list[Any]
    figure_: Any

    def __init__(
        self, units: Array, sums: Array, network: Any, numbers: list[int], layer: int, X: Array, y: Array | None
    ) -> None:
        self.units = units
        self.sums = sums
        self.network = network
        self.numbers = numbers
        self.layer = layer
        self.X = X
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        layer: int = 0,
        max_units: int = 8,
        grid_resolution: int = 100,
    ) -> Self:
        """Plot the regions of the units of a hidden layer, and of the network.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            Fitted on two columns.
        X : array-like of shape (n_samples, 2)
            Samples, which give the limits of the plane and are drawn over the prediction.
        y : array-like of shape (n_samples,), default=None
            Labels or targets, which color the samples.
        layer : int, default=0
            Index of the hidden layer, from 0. Negative indices count from the last layer.
        max_units : int, default=8
            Maximum number of units. If there are more, those that change the next layer most are shown.
        grid_resolution : int, default=100
            Number of points along each axis.

        Returns
        -------
        display : DecisionRegionDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is not an MLPClassifier or MLPRegressor.
        ValueError
            If X does not have two columns, or the network has no such hidden layer or predicts several labels or
            targets.
        """
        check_count("max_units", max_units, 1)
        check_count("grid_resolution", grid_resolution, 2)
        check_is_fitted(estimator)
        if np.ndim(X) != 2 or np.shape(X)[1] != 2:
            raise ValueError(
                f"The plane needs an X with two columns, got shape {np.shape(X)}. Fit the network on two columns, for "
                "example those of PCA(2)."
            )
        net, _ = fitted_mlp(estimator, X)
        if np.ndim(estimator.predict(X[:1])) > 1:
            raise ValueError("The plane shows one label or target for each point, and this network predicts several.")
        layer = net._hidden_layer(layer)
        network = DecisionBoundaryDisplay.from_estimator(
            estimator, X, grid_resolution=grid_resolution, response_method="predict"
        )
        _close(network)
        grid = np.column_stack([network.xx0.ravel(), network.xx1.ravel()])
        if hasattr(X, "columns"):
            grid = type(X)(grid, columns=X.columns)
        found = hidden_layers(*fitted_mlp(estimator, grid), max_rows=len(grid))[layer]
        weight = np.linalg.norm(net.coefs_[layer + 1], axis=1) * found.values.std(axis=0)
        shown = sorted(np.argsort(-weight, kind="stable")[:max_units].tolist())
        units, sums = (each[:, shown].T.reshape(-1, *network.xx0.shape) for each in (found.values, found.sums))
        y = None if y is None else np.asarray(y)
        return cls(units, sums, network, shown, layer, np.asarray(X), y).plot()

    def plot(self) -> Self:
        """Plot the units and the network.

        Returns
        -------
        self : DecisionRegionDisplay
        """
        check_matplotlib_support("DecisionRegionDisplay.plot")
        from matplotlib import pyplot

        n = len(self.units) + 1
        n_rows, n_columns = -(-n // _COLUMNS), min(n, _COLUMNS)
        self.figure_, axes = pyplot.subplots(
            n_rows, n_columns, squeeze=False, sharex=True, sharey=True, layout="constrained",
            figsize=(2.4 * n_columns + 0.4, 2.3 * n_rows + 0.4),
        )  # fmt: skip
        self.axes_ = list(axes.ravel()[:n])
        for ax in axes.ravel()[n:]:
            ax.remove()
        for ax, unit, sums, number in zip(self.axes_, self.units, self.sums, self.numbers, strict=False):
            ax.pcolormesh(self.network.xx0, self.network.xx1, unit, cmap="cividis", shading="auto", rasterized=True)
            if sums.min() < 0 < sums.max():
                ax.contour(self.network.xx0, self.network.xx1, sums, levels=[0], colors="white", linewidths=1.5)
            ax.set_title(f"unit {number}", fontsize="medium")
        self._plot_network(self.axes_[-1])
        self.figure_.supxlabel(self.network.xlabel or "x0", fontsize="medium")
        self.figure_.supylabel(self.network.ylabel or "x1", fontsize="medium")
        return self

    def _plot_network(self, ax):
        self.network.plot(ax=ax, plot_method="pcolormesh", alpha=0.5, rasterized=True)
        codes = None
        if self.y is not None:
            codes = np.unique(self.y, return_inverse=True)[1] if self.y.dtype.kind not in "fc" else self.y
        ax.scatter(*self.X[:, :2].T, c=codes, cmap="viridis", s=12, edgecolor="black", linewidth=0.4)
        ax.set_title("network", fontsize="medium")
        ax.set(xlabel="", ylabel="")


def _close(display):
    """Close the figure that scikit-learn has opened."""
    from matplotlib import pyplot

    pyplot.close(display.figure_)
