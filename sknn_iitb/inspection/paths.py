"""Paths of the optimizers on surfaces of two parameters."""

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import rosen, rosen_der
from sklearn.utils import Bunch

from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.signatures import Step
from sknn_iitb._typing import Array
from sknn_iitb.inspection._figures import WIDTH, set_axes
from sknn_iitb.optimizers import LBFGS, OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

__all__ = ["SURFACES", "OptimizerPathDisplay", "Surface", "optimizer_paths"]


class Surface(NamedTuple):
    """A function of two parameters.

    Parameters
    ----------
    value : callable
        ``value(theta)`` for an array of shape (2,).
    gradient : callable
        ``gradient(theta)`` returns an array of shape (2,).
    start : tuple of float
        Where the paths begin.
    limits : tuple of float
        Lower and upper limit of the plot, the same for both parameters.
    """

    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]
    start: tuple[float, float]
    limits: tuple[float, float] = (-3.0, 3.0)

    @classmethod
    def quadratic(cls, hessian: ArrayLike, start: tuple[float, float] = (-2.5, 1.5)) -> Self:
        """The surface ``theta' H theta / 2`` of a symmetric matrix H.

        Parameters
        ----------
        hessian : array-like of shape (2, 2)
        start : tuple of float, default=(-2.5, 1.5)

        Returns
        -------
        surface : Surface

        Raises
        ------
        ValueError
            If the matrix is not symmetric, finite and of this shape.
        """
        H = np.asarray(hessian, float)
        if H.shape != (2, 2) or not np.isfinite(H).all() or not np.allclose(H, H.T):
            raise ValueError(f"hessian must be a symmetric matrix of shape (2, 2), got {hessian!r}.")
        return cls(lambda theta: float(theta @ H @ theta) / 2, lambda theta: H @ theta, start)


# f(x, y) = x**2 / 2 + y**4 / 4 - y**2 / 2: a saddle point at 0 between the minima (0, 1) and (0, -1)
_SADDLE = Surface(
    lambda t: float(t[0] ** 2 / 2 + t[1] ** 4 / 4 - t[1] ** 2 / 2),
    lambda t: np.array([t[0], t[1] ** 3 - t[1]]),
    (-1.8, 1e-3),
    (-2.0, 2.0),
)

# a bowl with ripples, in the manner of Rastrigin's function; the lowest minimum is 0, in the middle
_MANY_MINIMA = Surface(
    lambda t: float(np.sum(t**2 / 4 + (1 - np.cos(2 * np.pi * t)) / 5)),
    lambda t: t / 2 + 2 * np.pi / 5 * np.sin(2 * np.pi * t),
    (-2.2, 1.7),
)

SURFACES: dict[str, Surface] = {
    "bowl": Surface.quadratic([[1, 0], [0, 1]]),
    "ravine": Surface.quadratic([[1, 0], [0, 30]]),
    "saddle": _SADDLE,
    "rosenbrock": Surface(lambda t: float(rosen(t)), rosen_der, (-1.2, 1.0), (-2.0, 2.0)),
    "many_minima": _MANY_MINIMA,
}


def optimizer_paths(
    surface: str | Surface,
    solvers: Any = ("sgd", "rmsprop", "adam"),
    *,
    learning_rate_init: float | Mapping[str, float] = 0.01,
    learning_rate: Any = "constant",
    n_steps: int = 200,
    start: ArrayLike | None = None,
    noise: float = 0.0,
    random_state: int = 0,
) -> Bunch:
    """Let optimizers descend on a surface of two parameters, by the very updates that train networks.

    Parameters
    ----------
    surface : {'bowl', 'ravine', 'saddle', 'rosenbrock', 'many_minima'} or Surface
        The surface; :meth:`Surface.quadratic` has a Hessian of your own.
    solvers : str, Optimizer or list of them, default=('sgd', 'rmsprop', 'adam')
        Names or objects of :mod:`sknn_iitb.optimizers`, all but 'lbfgs'.
    learning_rate_init : float or dict of float, default=0.01
        Learning rate, or one for each label of `paths`.
    learning_rate : str or Schedule, default='constant'
        Schedule of the learning rate: a name or an object of :mod:`sknn_iitb.schedules`.
    n_steps : int, default=200
        Number of updates.
    start : array-like of shape (2,), default=None
        Where the paths begin. None uses the start of the surface.
    noise : float, default=0.0
        Standard deviation of the normal noise of each gradient, which stands for that of mini-batches.
    random_state : int, default=0
        Seed of the noise, which is the same for all solvers.

    Returns
    -------
    result : Bunch
        - `surface`, Surface.
        - `paths`, dict of str to ndarray of shape (n_steps + 1, 2): the parameters by label, which is the solver's name
          or its ``repr``. A path that overflows ends with NaN.
        - `heights`, dict of str to ndarray of shape (n_steps + 1,): the values of the surface along each path.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> from sknn_iitb.inspection import optimizer_paths
    >>> from sknn_iitb.optimizers import SGD
    >>> solvers = [SGD(momentum=0), "sgd"]
    >>> found = optimizer_paths("ravine", solvers, learning_rate_init=0.02, n_steps=100)
    >>> {label: f"{heights[-1]:.4f}" for label, heights in found.heights.items()}
    {'SGD(momentum=0)': '0.0550', 'sgd': '0.0000'}
    """
    if isinstance(surface, str):
        if surface not in SURFACES:
            raise ValueError(f"surface must be one of {[*SURFACES]} or a Surface, got {surface!r}.")
        surface = SURFACES[surface]
    if isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"n_steps must be a positive integer, got {n_steps!r}.")
    if not isinstance(noise, Real) or not noise >= 0:
        raise ValueError(f"noise must be a number of at least 0, got {noise!r}.")
    theta = np.array(surface.start if start is None else start, float)
    if theta.shape != (2,) or not np.isfinite(theta).all():
        raise ValueError(f"start must be two numbers, got {start!r}.")
    factors = SCHEDULES.resolve(learning_rate).factors(np.arange(n_steps), int(n_steps), 1)
    noises = noise * np.random.RandomState(random_state).normal(size=(n_steps, 2))
    paths = {}
    for solver in solvers if isinstance(solvers, (list, tuple)) else [solvers]:
        label = solver if isinstance(solver, str) else repr(solver)
        try:
            optimizer = OPTIMIZERS.resolve(solver)
        except KeyError:
            raise ValueError(f"A solver must be one of {OPTIMIZERS.names()} or an Optimizer, got {solver!r}.") from None
        if isinstance(optimizer, LBFGS):
            raise ValueError("solver='lbfgs' takes no steps at a learning rate; use a first-order solver.")
        rate = learning_rate_init.get(label) if isinstance(learning_rate_init, Mapping) else learning_rate_init
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < rate < np.inf:
            raise ValueError(f"learning_rate_init must be a positive number for each of the solvers, got {rate!r}.")
        paths[label] = _descend(optimizer, surface, theta, rate * factors, noises)
    with np.errstate(over="ignore", invalid="ignore"):
        heights = {label: np.array([surface.value(each) for each in path]) for label, path in paths.items()}
    return Bunch(surface=surface, paths=paths, heights=heights)


def _descend(optimizer, surface, theta, rates, noises):
    """The parameters before the first and after each update."""
    kernel = compiled("optimizer", optimizer.kernel, theta.dtype, from_python=True).function
    state, hyper = np.zeros((optimizer.n_state_vectors, 2)), optimizer.hyper_array(np.float64)
    path, theta = np.full((len(rates) + 1, 2), np.nan), theta.copy()
    path[0] = theta
    with np.errstate(over="ignore", invalid="ignore"):
        for number, (rate, noise) in enumerate(zip(rates, noises, strict=True), start=1):
            kernel(theta, surface.gradient(theta) + noise, state, hyper, Step(number, np.float64(rate), np.float64(1)))
            if not np.isfinite(theta).all():
                break
            path[number] = theta
    return path


class OptimizerPathDisplay:
    """Plot of the paths of optimizers over a surface, and of the values along them.

    Create a display with :meth:`from_surface`.

    Parameters
    ----------
    surface : Surface
        The surface.
    paths : dict of str to ndarray of shape (n_steps + 1, 2)
        The parameters of each path.
    heights : dict of str to ndarray of shape (n_steps + 1,)
        The values of the surface along each path.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the surface, and of the values.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    optimizer_paths : The numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(self, surface: Surface, paths: dict[str, Array], heights: dict[str, Array]) -> None:
        self.surface = surface
        self.paths = paths
        self.heights = heights

    @classmethod
    def from_surface(
        cls,
        surface: str | Surface,
        solvers: Any = ("sgd", "rmsprop", "adam"),
        *,
        kind: Literal["contour", "surface"] = "contour",
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Let optimizers descend on a surface and plot their paths.

        Parameters
        ----------
        surface : {'bowl', 'ravine', 'saddle', 'rosenbrock', 'many_minima'} or Surface
            The surface.
        solvers : str, Optimizer or list of them, default=('sgd', 'rmsprop', 'adam')
            Names or objects of :mod:`sknn_iitb.optimizers`.
        kind : {'contour', 'surface'}, default='contour'
            Whether the surface is drawn as a map with contours or in three dimensions.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        **options : dict
            Other parameters of :func:`optimizer_paths`.

        Returns
        -------
        display : OptimizerPathDisplay

        Raises
        ------
        ValueError
            As :func:`optimizer_paths`, or if `kind` is unknown.
        """
        _check_kind(kind)
        return cls(**optimizer_paths(surface, solvers, **options)).plot(ax, kind=kind)

    def plot(self, ax: Any = None, *, kind: Literal["contour", "surface"] = "contour") -> Self:
        """Plot the paths and the values.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        kind : {'contour', 'surface'}, default='contour'
            Whether the surface is drawn as a map with contours or in three dimensions, for which axes of your own must
            have the projection '3d'.

        Returns
        -------
        self : OptimizerPathDisplay
        """
        _check_kind(kind)
        options = {"per_subplot_kw": {"surface": {"projection": "3d"}}} if kind == "surface" else {}
        size, ratios = (WIDTH, 6.0), [2, 1]
        axes = set_axes(self, ax, ["surface", "values"], size=size, height_ratios=ratios, **options)
        if kind == "surface" and not hasattr(axes[0], "plot_surface"):
            raise ValueError("kind='surface' needs axes with the projection '3d' for its first panel.")
        low, high = self.surface.limits
        grid = np.linspace(low, high, 121)
        surface = np.array([[self.surface.value(np.array([x, y])) for x in grid] for y in grid])
        lowest = min(surface.min(), *(np.nanmin(values) for values in self.heights.values()))
        if kind == "surface":
            self._plot_surface(axes[0], grid, surface)
        else:
            self._plot_contours(axes[0], grid, surface)
        axes[0].set(xlim=(low, high), ylim=(low, high), xlabel="first parameter", ylabel="second parameter")
        top = max(heights[0] for heights in self.heights.values()) - lowest
        for k, label in enumerate(self.paths):
            heights = self.heights[label] - lowest
            axes[1].plot(np.where((heights > 0) & (heights < 10 * top), heights, np.nan), color=f"C{k}", label=label)
        axes[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small", ncols=min(3, len(self.paths)))
        axes[1].set(yscale="log", xlabel="update", ylabel="height above\nthe minimum")
        axes[1].set_ylim(max(1e-12 * top, axes[1].get_ylim()[0]), 10 * top)
        return self

    def _plot_contours(self, ax, grid, surface):
        # levels are closer to each other near the minimum
        levels = surface.min() + np.ptp(surface) * np.linspace(0, 1, 25) ** 2.5
        ax.contour(grid, grid, surface, levels=levels, cmap="Greys", linewidths=0.7, alpha=0.8)
        for k, (label, path) in enumerate(self.paths.items()):
            ax.plot(*path.T, ".-", color=f"C{k}", markersize=3, linewidth=1, label=label)
            ax.plot(*path[np.isfinite(path[:, 0])][-1], "s", color=f"C{k}", markersize=6)
        ax.plot(*next(iter(self.paths.values()))[0], "ko", markersize=5)

    def _plot_surface(self, ax, grid, surface):
        ax.plot_surface(*np.meshgrid(grid, grid), surface, cmap="viridis", alpha=0.6, linewidth=0, rasterized=True)
        low, high = self.surface.limits
        for k, (label, path) in enumerate(self.paths.items()):
            inside = np.all((path >= low) & (path <= high), axis=1)  # axes in three dimensions do not clip
            points = np.where(inside, np.vstack([path.T, self.heights[label]]), np.nan)
            # the paths are in front of the surface, which they touch
            ax.plot(*points, ".-", color=f"C{k}", markersize=4, linewidth=1.5, label=label, zorder=5)
            ax.plot(*points[:, inside][:, -1:], "s", color=f"C{k}", markersize=6, zorder=5)
        first = points[:, :1]
        ax.plot(*first, "ko", markersize=5, zorder=6)
        ax.set_zlabel("value")
        ax.set_box_aspect((4, 4, 3), zoom=0.95)


def _check_kind(kind):
    if kind not in ("contour", "surface"):
        raise ValueError(f"kind must be 'contour' or 'surface', got {kind!r}.")
