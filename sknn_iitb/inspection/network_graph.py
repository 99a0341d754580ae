"""A network, drawn as a graph."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier

from sknn_iitb._typing import Array
from sknn_iitb.inspection._estimators import check_count, column_names, last_step
from sknn_iitb.inspection._figures import WIDTH, set_axes

__all__ = ["NetworkDisplay"]

# colors of negative and positive weights, which the color-blind can tell apart
_NEGATIVE, _POSITIVE = "#D55E00", "#0072B2"
_WIDEST = 3.0


class NetworkDisplay:
    """The units of a network as nodes, and its weights as edges.

    Create a display with :meth:`from_estimator`. Blue edges are positive weights, orange ones negative, and their width
    is their size relative to the largest of the layer. Of a large layer, the first and the last units are shown.

    Parameters
    ----------
    coefs : list of ndarray
        The weights of each layer, (n_inputs, n_neurons).
    titles : sequence of str
        What is written below each column of nodes: that of the inputs, and those of the layers.
    inputs, outputs : sequence of str
        Names of the columns and of the outputs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the graph.
    figure_ : matplotlib Figure
        Figure of the axes.
    edges_ : list of matplotlib LineCollection
        The edges of each layer.

    See Also
    --------
    describe : The layers in numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any
    edges_: list[Any]

    def __init__(
        self, coefs: list[Array], titles: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self.coefs = coefs
        self.titles = titles
        self.inputs = inputs
        self.outputs = outputs

    @classmethod
    def from_estimator(cls, estimator: Any, *, member: int = 0, max_units: int = 10, ax: Any = None) -> Self:
        """Draw the network of an estimator.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor or Pipeline
            Fitted estimator of this package, or a pipeline that ends with one.
        member : int, default=0
            The network of a tabular estimator. Its inputs are the columns of the encoded table. Bins and splines, which
            its first layer computes, are not drawn.
        max_units : int, default=10
            Maximum number of nodes of a layer, at least 3.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of another kind.
        ValueError
            If it has no such member.
        """
        check_count("max_units", max_units, 3)
        net, _ = last_step(estimator)
        network, theta = net._member(member)
        arrays = network.layout.views(theta)
        coefs, inputs = list(arrays["coefs"]), column_names(estimator)
        if "factors" in arrays:
            coefs[0] = (arrays["factors"][0][:, None] * coefs[0])[: network.units[0]]
            inputs = net.encoder_.get_feature_names_out()
        of_layers = zip(network.units[1:], network.activations, strict=True)
        titles = [f"{network.units[0]} inputs", *(f"{n} {activation.label}" for n, activation in of_layers)]
        coefs = [np.array(each, dtype=float) for each in coefs]
        return cls(coefs, titles, list(map(str, inputs)), _output_names(net, network.units[-1])).plot(
            ax, max_units=max_units
        )

    def plot(self, ax: Any = None, *, max_units: int = 10) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        max_units : int, default=10
            Maximum number of nodes of a layer, at least 3.

        Returns
        -------
        self : NetworkDisplay
        """
        sizes = [len(self.coefs[0]), *(each.shape[1] for each in self.coefs)]
        layers = [_Nodes(n, max_units) for n in sizes]
        size = max(WIDTH, 0.65 * len(sizes) + 1.2), 0.8 + 0.36 * max(len(each.heights) for each in layers)
        (ax,) = set_axes(self, ax, ["graph"], size=size)
        from matplotlib.collections import LineCollection

        self.edges_ = []
        for k, (left, right, weights) in enumerate(zip(layers[:-1], layers[1:], self.coefs, strict=True)):
            shown = weights[np.ix_(left.units, right.units)]
            ends = [[(k, a), (k + 1, b)] for a in left.heights for b in right.heights]
            size = abs(shown).ravel() / max(abs(weights).max(), 1e-300)
            colors = np.where(shown.ravel() > 0, _POSITIVE, _NEGATIVE)
            edges = LineCollection(ends, linewidths=_WIDEST * size, colors=colors, alpha=0.7, zorder=1)
            self.edges_.append(ax.add_collection(edges))
        for k, layer in enumerate(layers):
            ax.scatter(np.full(len(layer.heights), k), layer.heights, s=110, c="white", edgecolor="0.25", zorder=2)
            if layer.n_hidden:
                ax.annotate(
                    f"{layer.n_hidden}\nmore",
                    (k, layer.gap),
                    ha="center",
                    va="center",
                    zorder=3,
                    fontsize="small",
                    bbox={"boxstyle": "round,pad=0.1", "color": "white", "alpha": 0.8},
                )
            ax.annotate(self.titles[k], (k, _lowest(layers) - 0.8), ha="center", va="top", fontsize="small")
        for k, layer, names, side in ((0, layers[0], self.inputs, -1), (len(sizes) - 1, layers[-1], self.outputs, 1)):
            for unit, height in zip(layer.units, layer.heights, strict=True):
                ax.annotate(
                    names[unit], (k, height), (9 * side, 0), textcoords="offset points", va="center",
                    ha="right" if side < 0 else "left", fontsize="small",
                )  # fmt: skip
        tallest = max(abs(each.heights).max() for each in layers)
        ax.set(xlim=(-0.9, len(sizes) - 0.1), ylim=(-tallest - 1.5, tallest + 0.6))
        ax.axis("off")
        return self


def _lowest(layers):
    """The height of the lowest node."""
    return min(each.heights.min() for each in layers)


class _Nodes:
    """Which units of a layer are shown, and at which heights."""

    def __init__(self, n, max_units):
        first = n if n <= max_units else max_units // 2
        last = 0 if n <= max_units else max_units - 1 - first
        self.units = np.array([*range(first), *range(n - last, n)])
        self.n_hidden = n - first - last
        rows = np.array([*range(first), *range(first + 1, first + 1 + last)]) if self.n_hidden else np.arange(n)
        middle = (rows[0] + rows[-1]) / 2
        self.heights, self.gap = middle - rows, middle - first


def _output_names(net, n_outputs):
    """A name for each output of the network."""
    if is_classifier(net) and not isinstance(net.classes_, list):
        if len(net.classes_) == n_outputs:
            return [str(each) for each in net.classes_]
        if n_outputs == 1:
            return [str(net.classes_[-1])]
    return ["y"] if n_outputs == 1 else [f"y{k}" for k in range(n_outputs)]
