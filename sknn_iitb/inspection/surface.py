"""The loss over a plane through the parameters of a network."""

from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples

from sknn_iitb._typing import Array, MatrixLike, RandomState
from sknn_iitb.inspection._estimators import check_count
from sknn_iitb.inspection._figures import set_axes
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.inspection._training import training_path

__all__ = ["LossSurfaceDisplay", "loss_surface"]

# how far the plane reaches beyond a training path, relative to its extent
_MARGIN = 0.25
_LABELS = {
    "random": ("first random direction", "second random direction"),
    "eigenvectors": ("direction of the largest curvature", "direction of the second largest"),
    "path": ("first principal component", "second principal component"),
}


def loss_surface(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    directions: Literal["random", "eigenvectors", "path"] = "random",
    extent: float = 1.0,
    n_points: int = 25,
    n_batches: int = 0,
    batch_size: int = 200,
    member: int = 0,
    random_state: RandomState = 0,
) -> Bunch:
    """Compute the loss on a grid in a plane through the parameters.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator of this package, or a pipeline that ends with one. It is not changed.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples that define the loss.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    directions : {'random', 'eigenvectors', 'path'}, default='random'
        What spans the plane: two random directions, of which each neuron's part has the norm of its weights [1]_; the
        eigenvectors of the two largest eigenvalues of the Hessian; or the first two principal components of the path
        that training from the beginning takes, which needs a first-order solver. The plane then contains the network
        at the end of this path.
    extent : float, default=1.0
        How far the plane reaches in each direction: in norms of the weights for 'random', a quarter of that for
        'eigenvectors', and in lengths of the path for 'path'.
    n_points : int, default=25
        Number of grid points along each direction.
    n_batches : int, default=0
        Number of random mini-batches whose losses to compute in the same plane.
    batch_size : int, default=200
        Number of samples of a mini-batch.
    member : int, default=0
        Which network of a tabular estimator.
    random_state : int, RandomState instance or None, default=0
        Determines the random directions and the mini-batches.

    Returns
    -------
    result : Bunch
        - `first`, `second`, ndarray of shape (n_points,): coordinates of the grid; 0 is the network.
        - `losses`, ndarray of shape (n_points, n_points): the loss, with its penalties and without dropout;
          ``losses[i, j]`` is that at ``second[i]`` and ``first[j]``.
        - `batch_losses`, ndarray of shape (n_batches, n_points, n_points), or None: those of the mini-batches.
        - `path`, ndarray of shape (n_epochs, 2), or None: the training path, projected onto the plane.
        - `directions`, str: as given.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an estimator of this package, or has no path.
    ValueError
        If a parameter or the samples are invalid.

    References
    ----------
    .. [1] H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, "Visualizing the Loss Landscape of Neural Nets",
       arXiv:1712.09913, 2018, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import loss_surface
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), solver="lbfgs", alpha=0.1, max_iter=1000, random_state=0)
    >>> surface = loss_surface(net.fit(X, y), X, y, n_points=5)
    >>> bool(surface.losses[2, 2] == surface.losses.min())
    True
    """
    if directions not in _LABELS:
        raise ValueError(f"directions must be one of {[*_LABELS]}, got {directions!r}.")
    if isinstance(extent, bool) or not isinstance(extent, Real) or not 0 < extent < np.inf:
        raise ValueError(f"extent must be a positive number, got {extent!r}.")
    check_count("n_points", n_points, 3)
    check_count("n_batches", n_batches, 0)
    check_count("batch_size", batch_size, 1)
    rng, path = check_random_state(random_state), None
    if directions == "path":
        trained = training_path(estimator, X, y, sample_weight, member, 100)
        loss = trained.loss
        moves = trained.thetas - loss.theta
        plane = np.linalg.svd(moves - moves.mean(axis=0), full_matrices=False)[2][:2]
        path = moves @ plane.T
        low, high = np.minimum(path.min(axis=0), 0), np.maximum(path.max(axis=0), 0)
        margin = _MARGIN * extent * np.maximum(high - low, 1e-3 * np.ptp(path))
        first, second = (np.linspace(a, b, n_points) for a, b in zip(low - margin, high + margin, strict=True))
    else:
        loss = LossFunction.of(estimator, X, y, sample_weight, member)
        plane = _random_directions(loss, rng) if directions == "random" else _eigenvectors(loss, rng)
        first = second = np.linspace(-extent, extent, n_points)

    def grid(function):
        return np.array([[function.value(loss.theta + a * plane[0] + b * plane[1]) for a in first] for b in second])

    batch_losses = None
    if n_batches:
        samples = (X, y, sample_weight)
        batches = _batches(estimator, samples, member, n_batches, batch_size, rng)
        batch_losses = np.array([grid(batch._replace(rest=loss.rest)) for batch in batches])
    return Bunch(
        first=first,
        second=second,
        losses=grid(loss),
        path=path,
        directions=directions,
        batch_losses=batch_losses,
    )


def _batches(estimator, samples, member, n_batches, batch_size, rng):
    """The losses of random mini-batches."""
    n_samples = _num_samples(samples[0])
    for _ in range(n_batches):
        rows = rng.choice(n_samples, min(batch_size, n_samples), replace=False)
        yield LossFunction.of(
            estimator, *(each if each is None else _safe_indexing(each, rows) for each in samples), member
        )


def _random_directions(loss, rng):
    """Two directions of which the part of each neuron has the norm of its weights; biases and scales do not move."""
    plane = np.zeros((2, len(loss.theta)))
    for direction in plane:
        for entry in loss.network.layout.entries:
            if entry.name == "coefs":
                weights = loss.theta[entry.start : entry.stop].reshape(entry.parameter.shape)
                part = rng.normal(size=weights.shape)
                part *= np.linalg.norm(weights, axis=0) / np.linalg.norm(part, axis=0)
                direction[entry.start : entry.stop] = part.ravel()
    return plane


def _eigenvectors(loss, rng):
    """The eigenvectors of the two largest eigenvalues, of a quarter of the length of the parameters."""
    n = len(loss.theta)
    hessian = LinearOperator((n, n), matvec=loss.hessian_product, dtype=np.float64)
    _, vectors = eigsh(hessian, 2, which="LA", v0=rng.normal(size=n), tol=1e-4)
    return vectors.T[::-1] * np.linalg.norm(loss.theta) / 4


class LossSurfaceDisplay:
    """Contour plot of the loss over a plane through the parameters of a network.

    Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    first, second : ndarray of shape (n_points,)
        Coordinates of the grid.
    losses : ndarray of shape (n_points, n_points)
        The loss.
    path : ndarray of shape (n_epochs, 2), default=None
        The training path.
    directions : {'random', 'eigenvectors', 'path'}, default='random'
        What spans the plane.
    batch_losses : ndarray of shape (n_batches, n_points, n_points), default=None
        The losses of mini-batches.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of all samples, and of each mini-batch.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    loss_surface : The numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(
        self,
        first: Array,
        second: Array,
        losses: Array,
        path: Array | None = None,
        directions: str = "random",
        batch_losses: Array | None = None,
    ) -> None:
        self.first = first
        self.second = second
        self.losses = losses
        self.path = path
        self.directions = directions
        self.batch_losses = batch_losses

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
        """Compute the surface and plot it.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted estimator of this package, or a pipeline that ends with one.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Samples that define the loss.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        **options : dict
            `directions`, `extent` and other parameters of :func:`loss_surface`.

        Returns
        -------
        display : LossSurfaceDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As :func:`loss_surface`.
        """
        return cls(**loss_surface(estimator, X, y, sample_weight, **options)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the surface, on a logarithmic scale of the height above its lowest point, and the path.

        Mini-batches are drawn in panels of their own, in the same colors. A star marks the network and a cross the
        lowest point of the grid.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        self : LossSurfaceDisplay
        """
        batches = [] if self.batch_losses is None else list(self.batch_losses)
        names = ["all samples", *(f"mini-batch {k}" for k in range(1, len(batches) + 1))]
        options = {"n_columns": min(len(names), 2), "sharex": True, "sharey": True}
        set_axes(self, ax, names, labels=_LABELS[self.directions], **options)
        surfaces = [self.losses, *batches]
        lowest, highest = min(map(np.min, surfaces)), max(map(np.max, surfaces))
        # closer to each other near the lowest point
        levels = lowest + ((highest - lowest) or 1.0) * np.linspace(0, 1, 22) ** 2.5
        for each, name, losses in zip(self.axes_, names, surfaces, strict=True):
            filled = each.contourf(self.first, self.second, losses, levels=levels, cmap="viridis")
            each.contour(self.first, self.second, losses, levels=levels, colors="white", linewidths=0.4, alpha=0.5)
            each.plot(0, 0, "*", color="white", markersize=11, markeredgecolor="black", markeredgewidth=0.6)
            if batches:
                i, j = np.unravel_index(losses.argmin(), losses.shape)
                each.plot(self.first[j], self.second[i], "x", color="C1", markersize=8, markeredgewidth=2)
                each.set_title(name, fontsize="medium")
        self.figure_.colorbar(filled, ax=self.axes_, label="loss", format="%.3g")
        if self.path is not None:
            self.ax_.plot(*self.path.T, ".-", color="C1", markersize=4, linewidth=1, label="training path")
            self.ax_.plot(*self.path[0], "o", color="white", markeredgecolor="C1", label="start")
            self.ax_.legend()
        return self
