"""A robust scaler of numeric columns."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._engine.plain import DamagedError
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._columns import row_chunks
from sknn_iitb.tabular._float_columns import FloatTransformer, quantiles

__all__ = ["RobustSmoothScaler", "center_and_scale"]


def center_and_scale(x: Array, weight: Array) -> tuple[float, float]:
    """The median of a column without NaN, and its scale as in :class:`RobustSmoothScaler`."""
    if x.size == 0 or x.min() == x.max():
        return (x[0] if x.size else 0.0), np.inf
    # halved, because the difference of two large numbers may overflow
    low, middle, high = quantiles(x / 2, weight, [0.25, 0.5, 0.75])
    scale = 2 * min(high - low, np.finfo(np.float64).max / 2) if high > low else x.max() / 2 - x.min() / 2
    return 2 * middle, scale


class RobustSmoothScaler(OneToOneFeatureMixin, FloatTransformer):
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
        if not isinstance(self.limit, Real) or not self.limit > 0:
            raise ValueError(f"limit must be a positive number, got {self.limit!r}.")
        found = [center_and_scale(x.astype(np.float64), weight) for x, weight in self._known(X, sample_weight)]
        self.center_, self.scale_ = np.array(found, np.float64).T.copy()
        return self

    def _restored(self):
        if "scale_" in vars(self):
            arrays = self.center_, self.scale_
            shape = (getattr(self, "n_features_in_", len(self.scale_)),)  # without a number, it is that of an encoder
            if not all(each.shape == shape and each.dtype.kind == "f" for each in arrays):
                raise DamagedError("its scales do not fit its columns")

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
        X = self._checked(X, reset=False, copy=True)
        for rows in row_chunks(X):
            self.scale(X[rows])
        return X

    def scale(self, X: Array, columns: slice = slice(None)) -> None:
        """Scale a float matrix in place, without validation.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
        columns : slice, optional
            Which of the features they are.
        """
        center, scale = self.center_[columns], self.scale_[columns]
        # halved as in `fit`; the scale must not round to zero in the type of X
        halves = np.maximum((scale / 2).astype(X.dtype), np.finfo(X.dtype).tiny)
        with np.errstate(over="ignore"):
            X /= 2
            X -= (center / 2).astype(X.dtype)
            X /= halves
            np.clip(X, -1e6, 1e6, out=X)  # larger squares may overflow, and the result is the same
            limit = min(max(self.limit, np.finfo(X.dtype).tiny), np.finfo(X.dtype).max)  # in the type of X
            X /= np.sqrt(1 + (X / X.dtype.type(limit)) ** 2)
