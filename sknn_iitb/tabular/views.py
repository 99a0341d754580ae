"""Views: how a member of an ensemble sees the columns of a table."""

from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np

from sknn_iitb._engine.plain import kind
from sknn_iitb._suggestions import did_you_mean
from sknn_iitb._typing import Array
from sknn_iitb.tabular._bins import Bins
from sknn_iitb.tabular._knots import Knots
from sknn_iitb.tabular._layers import Features
from sknn_iitb.tabular.piecewise import PiecewiseLinearEncoder, SplineEncoder

__all__ = ["VIEWS", "WIDEST", "View", "dense", "distinct_views", "features_of", "resolved"]

# bounds of the `limit` of a view; the encoded table is clipped to the largest
_NARROWEST, WIDEST = 0.01, 100.0

# maximum number of bins, and of knots, of all columns of a table: a network has a weight for each of them and neuron
_MOST_FEATURES = 4096
_N_KNOTS, _FEWEST_KNOTS = 64, 8


@kind("View")
class View(NamedTuple):
    """How a member of an ensemble sees the numeric columns of a table.

    Parameters
    ----------
    limit : float, default=3.0
        Bound on the absolute value of the scaled numbers, as in :class:`RobustSmoothScaler`: from 0.01 to 100. A large
        limit keeps the distances between outliers.
    bins : bool, default=True
        Whether the member also receives the :class:`PiecewiseLinearEncoder` features of each column, with `n_bins`
        quantile bins.
    splines : {'all', 'discrete'} or None, default=None
        Which columns it also receives as a linear spline with up to 64 knots, as :class:`SplineEncoder` has them:
        all of them, or those with at most 64 distinct values or one value in more than half of the rows.

    Examples
    --------
    >>> from sknn_iitb.tabular import View
    >>> View(limit=10, bins=False)
    View(limit=10, bins=False, splines=None)
    """

    limit: float = 3.0
    bins: bool = True
    splines: Literal["all", "discrete"] | None = None


# ties in the race of views go to the earlier one
VIEWS = {
    "bins": View(),
    "smooth": View(bins=False),
    "wide": View(limit=100.0),
    "spline": View(bins=False, splines="all"),
    "discrete": View(splines="discrete"),
}


def features_of(view: View, numbers: Array, weight: Array | None, n_bins: int | None) -> Features:
    """Fit a view.

    Parameters
    ----------
    view : View
    numbers : ndarray of float32 of shape (n_samples, n_numbers)
        The numeric columns of the encoded table, with the limit `WIDEST`.
    weight : ndarray of shape (n_samples,) or None
    n_bins : int or None
        Maximum number of bins of a column; None for a view without bins.

    Returns
    -------
    features : Features
    """
    # 1 / z**2 grows by the inverse square of each limit
    curvature = np.float32(view.limit**-2 - WIDEST**-2)
    squashed = _squashed(numbers, curvature)
    edges, knots = [], []
    n_each = _MOST_FEATURES // numbers.shape[1] if numbers.shape[1] else 0
    if view.bins and n_bins is not None and n_each > 1:
        edges = PiecewiseLinearEncoder(min(n_bins, n_each)).fit(squashed, sample_weight=weight).edges_
    if view.splines and n_each >= _FEWEST_KNOTS:
        encoder = SplineEncoder(min(_N_KNOTS, n_each), discrete_only=view.splines == "discrete")
        knots = encoder.fit(squashed, sample_weight=weight).knots_
    # the height of a knot is that of a column of 0 and 1 after scaling
    return Features(float(curvature), Bins.between(edges), Knots.at(knots, float(2 / np.sqrt(1 + 4 * curvature))))


def _squashed(Z, curvature):
    """The columns as the first layer computes them, to the bit."""
    if curvature == 0:
        return Z
    numbers = Z.astype(np.float32, copy=False)
    return numbers / np.sqrt(1 + np.float32(curvature) * numbers * numbers)


def dense(features: Features, Z: Array) -> Array:
    """The columns, bins and knots that the first layer computes, as a matrix.

    Parameters
    ----------
    features : Features
    Z : ndarray of shape (n_samples, n_columns)

    Returns
    -------
    matrix : ndarray of shape (n_samples, n_columns + n_bins + n_knots), of the dtype of Z
    """
    curvature, bins, knots = features
    if curvature == features.n_added == 0:
        return Z
    x = _squashed(Z, curvature)
    heights = 2 * np.clip((x[:, bins.column] - bins.start) * bins.slope, 0, 1) - 1
    # the share of the next knot rises from one knot to the next, as that of the knot itself falls
    share = np.clip((x[:, knots.column] - knots.position) * knots.slope, 0, 1)
    is_first = np.diff(knots.column, prepend=-1) != 0
    shares = np.where(is_first, 1, np.roll(share, 1, axis=1)) - share
    return np.hstack([x, heights, knots.height * shares]).astype(Z.dtype, copy=False)


def resolved(view: Any) -> View:
    """The view of a name, validated.

    Parameters
    ----------
    view : str or View

    Returns
    -------
    view : View

    Raises
    ------
    ValueError
        If it is neither, or if a field is out of range.
    """
    if isinstance(view, str) and view in VIEWS:
        return VIEWS[view]
    if not isinstance(view, View):
        raise ValueError(f"A view must be one of {[*VIEWS]} or a View, got {view!r}.{did_you_mean(view, VIEWS)}")
    limit, bins, splines = view
    if isinstance(limit, bool) or not isinstance(limit, Real) or not _NARROWEST <= limit <= WIDEST:
        raise ValueError(f"The limit of a view must be a number from {_NARROWEST:g} to {WIDEST:g}, got {view!r}.")
    if not isinstance(bins, bool | np.bool_):
        raise ValueError(f"The bins of a view must be True or False, got {view!r}.")
    if splines not in ("all", "discrete", None):
        raise ValueError(f"The splines of a view must be 'all', 'discrete' or None, got {view!r}.")
    return view


def distinct_views(features: dict[str, Features]) -> dict[str, str]:
    """Find views that are the same on this table, and keep the one with the fewest features.

    Parameters
    ----------
    features : dict of Features
        Those of each name in `VIEWS`.

    Returns
    -------
    kept : dict of str
        For each name, in the same order, that of the equal view that is kept: its own, if none is simpler.
    """
    kept: dict[str, str] = {}
    for name in sorted(features, key=lambda name: bool(VIEWS[name].bins) + bool(VIEWS[name].splines)):
        same = (other for other in kept.values() if _are_equal(features[name], features[other]))
        kept[name] = next(same, name)
    return {name: kept[name] for name in features}


def _are_equal(one: Features, other: Features) -> bool:
    arrays = [[each.curvature, *each.bins, *each.knots] for each in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))
