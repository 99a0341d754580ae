"""Transformers of columns of numbers, each of which can be used alone."""

import numbers
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags, gen_batches
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._columns import as_numpy

__all__ = ["MAX_BINS", "PiecewiseLinearEncoder", "RobustSmoothScaler", "blocks", "counted"]

# the most pieces of a column: a net has a weight for each piece and neuron
MAX_BINS = 1024
# entries of a matrix that are worked on at a time: intermediate results stay small
_BLOCK = 2**17


def _checked(transformer, X, **options):
    """X as a matrix of floats."""
    X = as_numpy(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":  # NumPy converts times to numbers
        raise ValueError("X contains dates or times. Convert them to numbers, such as days since a date or the hour.")
    return validate_data(transformer, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", **options)


def blocks(matrix: Array) -> Iterator[slice]:
    """Slices of the rows of a matrix, for work in place."""
    return gen_batches(len(matrix), max(1, _BLOCK // max(1, matrix.shape[1])))


def counted(X: Array, sample_weight: ArrayLike | None) -> tuple[Array, Array]:
    """The rows that count, and their weights.

    Parameters
    ----------
    X : ndarray
    sample_weight : array-like of shape (n_samples,) or None

    Returns
    -------
    X : ndarray
    weight : ndarray of float64
    """
    if sample_weight is None:
        return X, np.ones(len(X))
    weight = _check_sample_weight(as_numpy(sample_weight), X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():  # newer versions of scikit-learn have said so above
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return (X, weight) if weight.all() else (X[weight > 0], weight[weight > 0])


def _quantiles(x, weight, shares):
    """The least of the sorted numbers that have such shares of the weight up to them; between two, their mean.

    They are those of the repeated numbers where weights are whole, and do not depend on the weights' scale. Without
    weights they are NumPy's "averaged_inverted_cdf", which overflows for the largest numbers and rounds in float32.
    """
    last = len(x) - 1
    if np.all(weight == weight[0]):  # no need to sort all of them
        goals = np.asarray(shares) * len(x)
        low, high = np.ceil(goals).astype(int) - 1, np.floor(goals).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, last)
        x = np.partition(x, np.union1d(low, high)) if low.size else x
    else:
        order = np.argsort(x, kind="stable")
        x, mass = x[order], np.cumsum(weight[order])
        goals = np.asarray(shares) * mass[-1]
        low, high = (np.minimum(np.searchsorted(mass, goals, side), last) for side in ("left", "right"))
    return np.where(low == high, x[low], x[low] / 2 + x[high] / 2)


class RobustSmoothScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale columns by their middle half, and draw far values in smoothly.

    ``z = (x - median) / (q75 - q25)``, then ``z / sqrt(1 + (z / limit)**2)``, which is z for small z and never beyond
    `limit`. Where the quartiles are equal, half the range takes the place of their difference; a constant column
    becomes 0. (Holzmueller, Grinsztajn and Steinwart, arXiv:2407.04491, section 3.)

    Parameters
    ----------
    limit : float, default=3.0
        What no value exceeds.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_features,)
        The medians, and what the differences from them are divided by; inf for constant columns.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names.

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
        """Find medians and quartiles; NaN is left out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; a weight of 2 is two samples, one of 0 is none.

        Returns
        -------
        self : RobustSmoothScaler

        Raises
        ------
        ValueError
            If `limit` is not a positive number, or X has infinite values.
        """
        if not isinstance(self.limit, numbers.Real) or not self.limit > 0:
            raise ValueError(f"limit must be a number above 0, got {self.limit!r}.")
        X = _checked(self, X)
        rows, weight = counted(np.arange(len(X)), sample_weight)
        self.center_, self.scale_ = np.zeros(X.shape[1]), np.full(X.shape[1], np.inf)
        largest = np.finfo(np.float64).max / 2
        for j in range(X.shape[1]):
            x = X[rows, j]
            known = ~np.isnan(x)
            x = x[known].astype(np.float64)
            if x.size == 0 or x.min() == x.max():
                self.center_[j] = x[0] if x.size else 0.0
                continue
            # of halves, for a difference of large numbers may overflow
            low, middle, high = _quantiles(x / 2, weight[known], [0.25, 0.5, 0.75])
            self.center_[j] = 2 * middle
            self.scale_[j] = 2 * min(high - low, largest) if high > low else x.max() / 2 - x.min() / 2
        return self

    def transform(self, X: MatrixLike) -> Array:
        """Scale; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            float32 if X is, else float64.
        """
        check_is_fitted(self)
        X = _checked(self, X, reset=False, copy=True)
        for rows in blocks(X):
            self.scale(X[rows])
        return X

    def scale(self, X: Array) -> None:
        """Scale a matrix of floats in place, without a check.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        """
        # halves here too; and no scale may become zero in X's type
        halves = np.maximum((self.scale_ / 2).astype(X.dtype), np.finfo(X.dtype).tiny)
        with np.errstate(over="ignore"):
            X /= 2
            X -= (self.center_ / 2).astype(X.dtype)
            X /= halves
            np.clip(X, -1e6, 1e6, out=X)  # a square beyond that may overflow, and it makes no difference
            X /= np.sqrt(1 + (X / X.dtype.type(self.limit)) ** 2)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    """Cut the range of each column into pieces of about as many samples, with a column for each.

    A piece from a to b is -1 for numbers below a, 1 for those above b, and ``2 (x - a) / (b - a) - 1`` between, so a
    linear function of the pieces is a piecewise linear function of x. (Gorishniy, Rubachev and Babenko,
    arXiv:2203.05556, section 3.2, there from 0 to 1.)

    Parameters
    ----------
    n_bins : int, default=16
        The most pieces of a column, at most 1024; those whose ends are equal are left out, and so are constant columns.

    Attributes
    ----------
    edges_ : list of ndarray
        Where the pieces of each column begin, and where the last one ends.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names.

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
        """Find where the pieces end; NaN is left out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; a weight of 2 is two samples, one of 0 is none.

        Returns
        -------
        self : PiecewiseLinearEncoder

        Raises
        ------
        ValueError
            If `n_bins` is not a whole number from 1 to 1024, or X has infinite values.
        """
        if not isinstance(self.n_bins, numbers.Integral) or not 1 <= self.n_bins <= MAX_BINS:
            raise ValueError(f"n_bins must be a whole number from 1 to {MAX_BINS}, got {self.n_bins!r}.")
        X = _checked(self, X)
        rows, weight = counted(np.arange(len(X)), sample_weight)
        shares = np.arange(1, self.n_bins) / self.n_bins
        self.edges_ = []
        for j in range(X.shape[1]):
            x = X[rows, j]
            known = ~np.isnan(x)
            inner = _quantiles(x[known], weight[known], shares) if known.any() else x[:0]
            ends = [x[known].min(), x[known].max()] if known.any() else []
            edges = np.unique(np.concatenate([inner, ends]).astype(X.dtype))
            self.edges_.append(edges if len(edges) > 1 else edges[:0])
        return self

    def transform(self, X: MatrixLike) -> Array:
        """The pieces of all columns, one column after the other; NaN remains NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_pieces)
            From -1 to 1; float32 if X is, else float64.
        """
        check_is_fitted(self)
        X = _checked(self, X, reset=False)
        pieces = [np.empty((len(X), 0), X.dtype)]
        for x, edges in zip(X.T, self.edges_, strict=True):
            if edges.size:
                # of halves, for a difference of large numbers may overflow
                low = edges[:-1] / 2
                width = np.maximum(edges[1:] / 2 - low, np.finfo(X.dtype).tiny)
                with np.errstate(over="ignore"):
                    pieces.append(2 * np.clip((x[:, None] / 2 - low) / width, 0, 1) - 1)
        return np.hstack(pieces).astype(X.dtype, copy=False)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the pieces: that of the column, and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The columns' names, if `fit` has seen none.

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        counts = [max(len(edges) - 1, 0) for edges in self.edges_]
        found = [f"{name}_{k}" for name, count in zip(names, counts, strict=True) for k in range(count)]
        return np.array(found, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
