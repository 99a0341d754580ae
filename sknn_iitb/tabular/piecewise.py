"""Encodings of numeric columns whose linear functions are piecewise linear functions of the columns."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sknn_iitb._engine.plain import DamagedError
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._float_columns import FloatTransformer, quantiles

__all__ = ["MAX_BINS", "PiecewiseLinearEncoder", "SplineEncoder", "check_n_bins"]

# maximum number of bins or knots per column: a network has a weight for each of them and neuron
MAX_BINS = 1024
# columns with at most this number of distinct values are discrete
_FEW_VALUES = 64


def check_n_bins(n_bins: Any) -> None:
    """Raise a ValueError unless this is a number of bins."""
    if not isinstance(n_bins, Integral) or not 1 <= n_bins <= MAX_BINS:
        raise ValueError(f"n_bins must be an integer from 1 to {MAX_BINS}, got {n_bins!r}.")


class _PiecewiseEncoder(FloatTransformer):
    """Base class of the encoders: several features for each column, given the points where the function bends."""

    def transform(self, X: MatrixLike) -> Array:
        """Encode the columns one after the other; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            float32 if X is float32, else float64.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        columns = zip(X.T, self._points(), strict=True)
        encoded = [self._encoded(x, points) for x, points in columns if points.size]
        return np.hstack([np.empty((len(X), 0), X.dtype), *encoded], dtype=X.dtype)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output features: the name of the column and the number of the feature.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Column names to use if `fit` has not seen any.

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        names = zip(_check_feature_names_in(self, input_features), self._points(), strict=True)
        found = [f"{name}_{k}" for name, points in names for k in range(self._n_features(points))]
        return np.array(found, dtype=object)

    def _restored(self):
        if "n_features_in_" in vars(self):
            points = self._points()
            if len(points) != self.n_features_in_ or not all((np.diff(each) > 0).all() for each in points):
                raise DamagedError("its points are not those of its columns, in ascending order")

    def _points(self):
        """The points of each column; none for omitted columns."""
        raise NotImplementedError

    def _encoded(self, x, points):
        """The features of a column."""
        raise NotImplementedError

    def _n_features(self, points):
        """The number of features of a column."""
        raise NotImplementedError


class PiecewiseLinearEncoder(_PiecewiseEncoder):
    """Divide each column into quantile bins and encode it as one feature per bin.

    The feature of the bin from a to b is -1 for x below a, 1 for x above b, and ``2 (x - a) / (b - a) - 1`` in between.
    A linear function of these features is a piecewise linear function of x. The encoding is that of [1]_, section 3.2,
    with the range [-1, 1] instead of [0, 1].

    Parameters
    ----------
    n_bins : int, default=16
        Maximum number of bins per column, at most 1024. Bins of zero width are omitted, and so are constant columns.

    Attributes
    ----------
    edges_ : list of ndarray
        Edges of the bins of each column, in increasing order; empty for omitted columns.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only defined if X has feature names that are all strings.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
       arXiv:2203.05556, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_iitb.tabular import PiecewiseLinearEncoder
    >>> encoder = PiecewiseLinearEncoder(n_bins=2).fit([[0.0], [1.0], [2.0], [3.0], [10.0]])
    >>> encoder.transform([[1.0], [6.0], [99.0]])
    array([[ 0., -1.],
           [ 1.,  0.],
           [ 1.,  1.]])
    """

    edges_: list[Array]

    def __init__(self, n_bins: int = 16) -> None:
        self.n_bins = n_bins

    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the bin edges, ignoring NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights >= 0. A sample of weight 2 counts as two samples, and one of weight 0 is ignored.

        Returns
        -------
        self : PiecewiseLinearEncoder

        Raises
        ------
        ValueError
            If `n_bins` is not an integer from 1 to 1024, or X contains infinite values.
        """
        check_n_bins(self.n_bins)
        probabilities = np.arange(1, self.n_bins) / self.n_bins
        edges = []
        for x, weight in self._known(X, sample_weight):
            inner = quantiles(x, weight, probabilities) if x.size else x
            ends = [x.min(), x.max()] if x.size else []
            distinct = np.unique(np.concatenate([inner, ends]).astype(x.dtype))
            edges.append(distinct if len(distinct) > 1 else distinct[:0])
        self.edges_ = edges
        return self

    def _points(self):
        return self.edges_

    def _encoded(self, x, edges):
        return 2 * _share(x[:, None], edges[:-1], edges[1:]) - 1

    def _n_features(self, edges):
        return max(len(edges) - 1, 0)


class SplineEncoder(_PiecewiseEncoder):
    """Encode each column as one feature per knot of a linear spline.

    The feature of a knot is 1 for x equal to the knot, falls linearly to 0 at the knots beside it, and stays the same
    beyond the first and the last knot. A linear function of these features is a linear spline of x: they are the
    B-splines of degree 1, which scikit-learn's SplineTransformer computes with ``extrapolation="constant"``. A column
    with no more distinct values than `n_knots` has a knot at each of them, so its features are one-hot.

    In other columns the knots are quantiles, weighted by the square root of each value's frequency. They are then
    denser where there are more samples, but a value in most of the rows does not receive most of the knots.

    Parameters
    ----------
    n_knots : int, default=64
        Maximum number of knots per column, from 2 to 1024. Columns with fewer than three distinct values are omitted.
    discrete_only : bool, default=False
        If True, encode only columns with at most 64 distinct values, or with one value in more than half of the rows.

    Attributes
    ----------
    knots_ : list of ndarray
        Knots of each column, in increasing order; empty for omitted columns.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only defined if X has feature names that are all strings.

    Examples
    --------
    >>> from sknn_iitb.tabular import SplineEncoder
    >>> SplineEncoder().fit([[0.0], [1.0], [5.0]]).transform([[1.0], [4.0], [99.0]])
    array([[0.  , 1.  , 0.  ],
           [0.  , 0.25, 0.75],
           [0.  , 0.  , 1.  ]])
    """

    knots_: list[Array]

    def __init__(self, n_knots: int = 64, *, discrete_only: bool = False) -> None:
        self.n_knots = n_knots
        self.discrete_only = discrete_only

    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the knots, ignoring NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights >= 0. A sample of weight 2 counts as two samples, and one of weight 0 is ignored.

        Returns
        -------
        self : SplineEncoder

        Raises
        ------
        ValueError
            If `n_knots` is not an integer from 2 to 1024, or X contains infinite values.
        """
        if not isinstance(self.n_knots, Integral) or not 2 <= self.n_knots <= MAX_BINS:
            raise ValueError(f"n_knots must be an integer from 2 to {MAX_BINS}, got {self.n_knots!r}.")
        if not isinstance(self.discrete_only, (bool, np.bool_)):
            raise ValueError(f"discrete_only must be True or False, got {self.discrete_only!r}.")
        knots = []
        for x, weight in self._known(X, sample_weight):
            values, index = np.unique(x, return_inverse=True)
            total = np.bincount(index, weight)
            is_discrete = len(values) <= _FEW_VALUES or total.max() > total.sum() / 2
            if len(values) <= 2 or (self.discrete_only and not is_discrete):
                values = values[:0]
            elif len(values) > self.n_knots:
                inner = quantiles(values, np.sqrt(total), np.arange(1, self.n_knots - 1) / (self.n_knots - 1))
                values = np.unique(np.concatenate([values[:1], inner, values[-1:]]).astype(x.dtype))
            knots.append(values)
        self.knots_ = knots
        return self

    def _points(self):
        return self.knots_

    def _encoded(self, x, knots):
        before = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
        share = _share(x, knots[before], knots[before + 1])
        features, rows = np.zeros((len(x), len(knots)), x.dtype), np.arange(len(x))
        features[rows, before], features[rows, before + 1] = 1 - share, share
        features[np.isnan(x)] = np.nan
        return features

    def _n_features(self, knots):
        return len(knots)


def _share(x, start, stop):
    """How far x lies on the way from `start` to `stop`, from 0 to 1."""
    # halved, because the difference of two large numbers may overflow
    low = start / 2
    width = np.maximum(stop / 2 - low, np.finfo(x.dtype).tiny)
    with np.errstate(over="ignore"):
        return np.clip((x / 2 - low) / width, 0, 1)
