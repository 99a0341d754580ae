"""Transformers for numeric columns: a robust scaler, a piecewise linear encoding and linear splines."""

import numbers
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._columns import as_numpy, row_chunks, rows_with_weight

__all__ = ["MAX_BINS", "PiecewiseLinearEncoder", "RobustSmoothScaler", "SplineEncoder", "check_n_bins"]

# maximum number of bins or knots per column: a network has a weight for each of them and neuron
MAX_BINS = 1024
# columns with at most this number of distinct values are discrete
_FEW_VALUES = 64


def check_n_bins(n_bins: Any) -> None:
    """Raise a ValueError unless this is a number of bins."""
    if not isinstance(n_bins, numbers.Integral) or not 1 <= n_bins <= MAX_BINS:
        raise ValueError(f"n_bins must be an integer from 1 to {MAX_BINS}, got {n_bins!r}.")


def _checked(transformer, X, **options):
    """Validate X as a float matrix."""
    X = as_numpy(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":  # NumPy converts times to numbers
        raise ValueError(
            "X contains dates or times. Convert them to numbers, such as days since a date or the hour of the day."
        )
    return validate_data(transformer, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", **options)


def _quantiles(x, weight, probabilities):
    """Weighted quantiles: the inverse of the empirical distribution function, averaged at its steps.

    Integer weights give the quantiles of the repeated numbers, and the scale of the weights does not matter. Without
    weights, they equal those of NumPy's method "averaged_inverted_cdf", which is not used because it overflows for the
    largest numbers and rounds in float32.
    """
    last = len(x) - 1
    if np.all(weight == weight[0]):  # a partial sort is enough
        positions = np.asarray(probabilities) * len(x)
        low, high = np.ceil(positions).astype(int) - 1, np.floor(positions).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, last)
        x = np.partition(x, np.union1d(low, high)) if low.size else x
    else:
        order = np.argsort(x, kind="stable")
        x, cumulative = x[order], np.cumsum(weight[order])
        positions = np.asarray(probabilities) * cumulative[-1]
        low, high = (np.minimum(np.searchsorted(cumulative, positions, side), last) for side in ("left", "right"))
    return np.where(low == high, x[low], x[low] / 2 + x[high] / 2)


class RobustSmoothScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale each column by its interquartile range and clip outliers smoothly.

    Compute ``z = (x - median) / (q75 - q25)``, then ``z / sqrt(1 + (z / limit)**2)``, which is close to z for small z
    and never exceeds `limit` in absolute value [1]_. If the quartiles are equal, half the range of the column replaces
    their difference. A constant column becomes 0.

    Parameters
    ----------
    limit : float, default=3.0
        Bound on the absolute value of the scaled data.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Median of each column.

    scale_ : ndarray of shape (n_features,)
        Interquartile range of each column, or half its range; inf for constant columns.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only defined if X has feature names that are all strings.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
       Tabular Data", arXiv:2407.04491, 2024, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_iitb.tabular import RobustSmoothScaler
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]])
    >>> RobustSmoothScaler().fit_transform(X).ravel().round(2)
    array([-0.95, -0.49,  0.  ,  0.49,  3.  ])
    """

    center_: Array
    scale_: Array

    def __init__(self, limit: float = 3.0) -> None:
        self.limit = limit

    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the medians and quartiles, ignoring NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights >= 0. A sample of weight 2 counts as two samples, and one of weight 0 is ignored.

        Returns
        -------
        self : RobustSmoothScaler

        Raises
        ------
        ValueError
            If `limit` is not a positive number, or X contains infinite values.
        """
        if not isinstance(self.limit, numbers.Real) or not self.limit > 0:
            raise ValueError(f"limit must be a positive number, got {self.limit!r}.")
        X = _checked(self, X)
        rows, weight = rows_with_weight(len(X), sample_weight)
        self.center_, self.scale_ = np.zeros(X.shape[1]), np.full(X.shape[1], np.inf)
        largest = np.finfo(np.float64).max / 2
        for j in range(X.shape[1]):
            x = X[rows, j]
            known = ~np.isnan(x)
            x = x[known].astype(np.float64)
            if x.size == 0 or x.min() == x.max():
                self.center_[j] = x[0] if x.size else 0.0
                continue
            # halved, because the difference of two large numbers may overflow
            low, middle, high = _quantiles(x / 2, weight[known], [0.25, 0.5, 0.75])
            self.center_[j] = 2 * middle
            self.scale_[j] = 2 * min(high - low, largest) if high > low else x.max() / 2 - x.min() / 2
        return self

    def transform(self, X: MatrixLike) -> Array:
        """Scale the columns; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            float32 if X is float32, else float64.
        """
        check_is_fitted(self)
        X = _checked(self, X, reset=False, copy=True)
        for rows in row_chunks(X):
            self.scale(X[rows])
        return X

    def scale(self, X: Array) -> None:
        """Scale a float matrix in place, without validation.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        """
        # halved as in `fit`; the scale must not round to zero in the type of X
        halves = np.maximum((self.scale_ / 2).astype(X.dtype), np.finfo(X.dtype).tiny)
        with np.errstate(over="ignore"):
            X /= 2
            X -= (self.center_ / 2).astype(X.dtype)
            X /= halves
            np.clip(X, -1e6, 1e6, out=X)  # larger squares may overflow, and the result is the same
            X /= np.sqrt(1 + (X / X.dtype.type(self.limit)) ** 2)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
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
    >>> PiecewiseLinearEncoder(n_bins=2).fit([[0.0], [1.0], [2.0], [3.0], [10.0]]).transform([[1.0], [6.0], [99.0]])
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
        X = _checked(self, X)
        rows, weight = rows_with_weight(len(X), sample_weight)
        probabilities = np.arange(1, self.n_bins) / self.n_bins
        self.edges_ = []
        for j in range(X.shape[1]):
            x = X[rows, j]
            known = ~np.isnan(x)
            inner = _quantiles(x[known], weight[known], probabilities) if known.any() else x[:0]
            ends = [x[known].min(), x[known].max()] if known.any() else []
            edges = np.unique(np.concatenate([inner, ends]).astype(X.dtype))
            self.edges_.append(edges if len(edges) > 1 else edges[:0])
        return self

    def transform(self, X: MatrixLike) -> Array:
        """Encode the columns one after the other; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            One feature per bin, from -1 to 1. float32 if X is float32, else float64.
        """
        check_is_fitted(self)
        X = _checked(self, X, reset=False)
        features = [np.empty((len(X), 0), X.dtype)]
        for x, edges in zip(X.T, self.edges_, strict=True):
            if edges.size:
                # halved, because the difference of two large numbers may overflow
                low = edges[:-1] / 2
                width = np.maximum(edges[1:] / 2 - low, np.finfo(X.dtype).tiny)
                with np.errstate(over="ignore"):
                    features.append(2 * np.clip((x[:, None] / 2 - low) / width, 0, 1) - 1)
        return np.hstack(features).astype(X.dtype, copy=False)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output features: the name of the column and the number of the bin.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Column names to use if `fit` has not seen any.

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        return _numbered_names(self, [max(len(edges) - 1, 0) for edges in self.edges_], input_features)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class SplineEncoder(TransformerMixin, BaseEstimator):
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
        if not isinstance(self.n_knots, numbers.Integral) or not 2 <= self.n_knots <= MAX_BINS:
            raise ValueError(f"n_knots must be an integer from 2 to {MAX_BINS}, got {self.n_knots!r}.")
        X = _checked(self, X)
        rows, weight = rows_with_weight(len(X), sample_weight)
        self.knots_ = []
        for x in X.T:
            x = x[rows]
            known = ~np.isnan(x)
            values, index = np.unique(x[known], return_inverse=True)
            total = np.bincount(index, weight[known])
            is_discrete = len(values) <= _FEW_VALUES or total.max() > total.sum() / 2
            if len(values) <= 2 or (self.discrete_only and not is_discrete):
                values = values[:0]
            elif len(values) > self.n_knots:
                inner = _quantiles(values, np.sqrt(total), np.arange(1, self.n_knots - 1) / (self.n_knots - 1))
                values = np.unique(np.concatenate([values[:1], inner, values[-1:]]).astype(X.dtype))
            self.knots_.append(values)
        return self

    def transform(self, X: MatrixLike) -> Array:
        """Encode the columns one after the other; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            One feature per knot, from 0 to 1. float32 if X is float32, else float64.
        """
        check_is_fitted(self)
        X = _checked(self, X, reset=False)
        Z = np.zeros((len(X), sum(map(len, self.knots_))), X.dtype)
        rows, start = np.arange(len(X)), 0
        for x, knots in zip(X.T, self.knots_, strict=True):
            if knots.size:
                before = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
                # halved, because the difference of two large numbers may overflow
                low = knots[before] / 2
                width = np.maximum(knots[before + 1] / 2 - low, np.finfo(X.dtype).tiny)
                with np.errstate(over="ignore"):
                    share = np.clip((x / 2 - low) / width, 0, 1)
                Z[rows, start + before], Z[rows, start + before + 1] = 1 - share, share
                Z[np.isnan(x), start : start + len(knots)] = np.nan
                start += len(knots)
        return Z

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output features: the name of the column and the number of the knot.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Column names to use if `fit` has not seen any.

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        return _numbered_names(self, [*map(len, self.knots_)], input_features)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _numbered_names(transformer, counts, input_features):
    """The name of each column with the number of each of its features."""
    names = _check_feature_names_in(transformer, input_features)
    found = [f"{name}_{k}" for name, count in zip(names, counts, strict=True) for k in range(count)]
    return np.array(found, dtype=object)
