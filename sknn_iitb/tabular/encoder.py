"""Encoder from a raw table to the float32 matrix that the networks train on.

A ColumnTransformer of scikit-learn's imputer, missing indicator and one-hot encoder with the same scaler would be
slower: for 40,000 rows of 15 numeric and 4 categorical columns, it takes twice the time and, in float64, twice the
memory, and for one row three times as long. It also treats True, 1 and 1.0 as three categories.
"""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_array, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.network import CHUNK
from sknn_iitb._engine.plain import DamagedError
from sknn_iitb._engine.rollback import unchanged_on_error
from sknn_iitb._engine.rows import check_before_conversion, check_csr
from sknn_iitb._engine.saving import SavedStateMixin
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._columns import (
    as_numpy,
    columns_of,
    is_frame,
    names_of,
    row_chunks,
    rows_of,
    rows_with_weight,
    with_nan,
)
from sknn_iitb.tabular._layers import checked_features
from sknn_iitb.tabular._mask import categorical_mask
from sknn_iitb.tabular.piecewise import check_n_bins
from sknn_iitb.tabular.scaler import RobustSmoothScaler, center_and_scale
from sknn_iitb.tabular.views import WIDEST, View, dense, features_of, resolved

__all__ = ["TableEncoder"]

# Maximum number of one-hot columns for a categorical column, and for all of them together, because more would slow down
# training and need memory. A column may have the last number, no matter how many columns there are.
_MAX_CATEGORIES, _MOST_ONE_HOT, _FEWEST_CATEGORIES = 256, 2048, 32
# largest number in float32
_LARGEST = float(np.finfo(np.float32).max)
# smallest number in float64 with all its digits
_SMALLEST = float(np.finfo(np.float64).tiny)
# Numbers are first scaled in float64 if float32 would leave them fewer than a few thousand steps, because their center
# is more than this many times their scale, or if their scale or its inverse is larger than the last number.
_FARTHEST, _LARGEST_SCALE = 2.0**12, 2.0**100
# maximum size of the dense copy of a sparse table
_MAX_DENSE_BYTES = 2**30
# Entries of a batch, 16 MB as float32. A batch is a multiple of the chunks of prediction, so predictions do not depend
# on the batches. With more than 4,096 columns a batch has fewer rows, and predictions may differ by rounding.
_CELLS, _FEW_ROWS = 2**22, 256


class TableEncoder(SavedStateMixin, TransformerMixin, BaseEstimator):
    """Encode a table with categories and missing values as a float32 matrix.

    Numeric columns come first, then an indicator column for each of them that has missing values, then categorical
    columns. Two categories are encoded as -1 and 1, or 0 if missing or unknown. More categories are one-hot encoded,
    with zeros if missing or unknown; above 256 categories, or fewer if there are more than eight such columns, the rare
    ones share a column. Finally, :class:`RobustSmoothScaler` scales all columns, and missing numbers become 0, the
    scaled median. Bins and splines of the numeric columns follow if the `view` has them.

    Parameters
    ----------
    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        Columns to treat as categorical: their names, their indices or a boolean mask. 'from_dtype' selects the columns
        of a DataFrame or pyarrow Table whose type is neither numeric nor temporal nor complex, such as category, string
        or boolean, and the columns of a list or array whose values are not numbers. None selects no columns.
    view : {'bins', 'smooth', 'wide', 'spline', 'discrete'} or View, default='smooth'
        How numbers are scaled, and which features are added, as a member of :class:`TabularMLPClassifier` or
        :class:`TabularMLPRegressor` with this :class:`View` sees them.
    n_bins : int or None, default=16
        Maximum number of bins per numeric column, at most 1024, if the view has bins; None for no bins.

    Attributes
    ----------
    is_categorical_ : ndarray of bool of shape (n_features,)
        Whether each column of the table is categorical.

    origins_ : ndarray of int of shape (n_features_out,)
        For each column of the matrix, the index of the table's column that it encodes.

    n_features_in_ : int
        Number of columns of the table.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Only defined if X has column names that are all strings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknn_iitb.tabular import TableEncoder
    >>> colour = pd.Categorical(["red", "blue", "red", None])
    >>> X = pd.DataFrame({"size": [1.0, 2.0, None, 4.0], "colour": colour})
    >>> TableEncoder().fit_transform(X).round(2)
    array([[-0.33,  0.  , -0.33],
           [ 0.  ,  0.  ,  0.95],
           [ 0.  ,  1.66, -0.33],
           [ 0.65,  0.  ,  0.33]], dtype=float32)
    """

    is_categorical_: Array
    origins_: Array

    def __init__(
        self,
        categorical_features: ArrayLike | None = "from_dtype",
        *,
        view: str | View = "smooth",
        n_bins: int | None = 16,
    ) -> None:
        self.categorical_features = categorical_features
        self.view = view
        self.n_bins = n_bins

    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the scales and categories.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
            Raw table. A sparse matrix is converted to a dense one of at most 1 GiB.
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights >= 0. A sample of weight 2 counts as two samples, and one of weight 0 is ignored.

        Returns
        -------
        self : TableEncoder

        Raises
        ------
        ValueError
            If a parameter is invalid, a column cannot be used or a sparse matrix is too large. The message suggests a
            fix.
        """
        with unchanged_on_error(self):
            self._fit_transform(X, sample_weight, all_rows=False)
        return self

    def fit_transform(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Array:
        """Fit and transform in one pass.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_features_out)
        """
        with unchanged_on_error(self):
            return self._fit_transform(X, sample_weight, all_rows=True)

    def _fit_transform(self, X, sample_weight, all_rows):
        view = resolved(self.view)
        if self.n_bins is not None:
            check_n_bins(self.n_bins)
        X = self._checked(X, reset=True)
        _check_size(X)
        columns = columns_of(X)
        self.is_categorical_ = categorical_mask(self.categorical_features, columns)
        numeric, categorical = self._numeric_and_categorical(columns)
        rows, weight = rows_with_weight(X.shape[0], sample_weight)
        self._has_indicator = np.array([_has_gaps(column.to_floats()[rows]) for column in numeric], bool)
        most = max(_FEWEST_CATEGORIES, min(_MAX_CATEGORIES, _MOST_ONE_HOT // max(len(categorical), 1)))
        self._positions = [
            _positions_by_frequency(column.codes[rows], column.categories, weight, most) for column in categorical
        ]
        self._n_positions = [len({*positions.values()}) for positions in self._positions]
        self._names = [column.name for column in columns]
        numeric_index, categorical_index = np.flatnonzero(~self.is_categorical_), np.flatnonzero(self.is_categorical_)
        widths = [n if n > 2 else 1 for n in self._n_positions]
        self.origins_ = np.concatenate(
            [numeric_index, numeric_index[self._has_indicator], np.repeat(categorical_index, widths)]
        ).astype(int)
        self._n_columns = len(self.origins_)
        # in float64, as in `transform`: which columns float32 can hold must not depend on how it rounds them
        exact = _centers_and_scales((column.to_floats()[rows] for column in numeric), weight)
        beyond = _beyond_float32(*exact)
        Z = self._matrix(numeric, categorical, lambda part, start: None, beyond)
        others = _centers_and_scales((z[rows].astype(np.float64) for z in Z.T[len(numeric) :]), weight)
        self._scaler = RobustSmoothScaler(WIDEST)
        self._scaler.center_, self._scaler.scale_ = np.hstack([exact, others])
        _scale(self._scaler_of_float32(beyond), Z)
        self._features = features_of(view, Z[rows, : len(numeric)], weight, self.n_bins)
        added = np.concatenate([self._features.bins.column, self._features.knots.column])
        self.origins_ = np.concatenate([self.origins_, numeric_index[added]])
        return dense(self._features, Z) if all_rows else None

    def _numeric_and_categorical(self, columns):
        """The numeric columns, and the categorical ones converted to codes."""
        pairs = list(zip(columns, self.is_categorical_, strict=True))
        numeric = [column for column, is_categorical in pairs if not is_categorical]
        return numeric, [column.to_categorical() for column, is_categorical in pairs if is_categorical]

    def _beyond_float32(self):
        """Center and scale of the numeric columns that float32 cannot hold, by their numbers among those columns."""
        n = np.count_nonzero(~self.is_categorical_)
        return _beyond_float32(self._scaler.center_[:n], self._scaler.scale_[:n])

    def _scaler_of_float32(self, beyond):
        """The scaler of the matrix, in which the columns `beyond` are scaled already, but not yet clipped."""
        scaler, columns = copy(self._scaler), [*beyond]
        scaler.center_, scaler.scale_ = scaler.center_.copy(), scaler.scale_.copy()
        scaler.center_[columns], scaler.scale_[columns] = 0, 1
        return scaler

    def transform(self, X: MatrixLike) -> Array:
        """Encode a table.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_features_out)
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        _check_size(X)
        matrix = np.empty((X.shape[0], len(self.origins_)), np.float32)
        for rows, Z in self._batches(X):
            matrix[rows] = Z
        return matrix

    def batches(self, X: MatrixLike) -> Iterator[tuple[slice, Array]]:
        """Encode a table in batches of rows of a few megabytes each.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Yields
        ------
        rows : slice
            Rows of the batch.
        Z : ndarray of float32 of shape (n_rows, n_features_out)
        """
        check_is_fitted(self)
        yield from self._batches(self._checked(X, reset=False))

    def _batches(self, X):
        n_cells = max(X.shape[1], len(self.origins_))
        n_rows = _CELLS // n_cells // CHUNK * CHUNK or max(_CELLS // n_cells // _FEW_ROWS, 1) * _FEW_ROWS
        categorical_index = np.flatnonzero(self.is_categorical_)
        has_values, has_known = np.zeros((2, len(categorical_index)), bool)
        beyond = self._beyond_float32()
        scale = partial(_scale, self._scaler_of_float32(beyond))
        for rows in gen_batches(X.shape[0], n_rows):
            numeric, categorical = self._numeric_and_categorical(columns_of(rows_of(X, rows)))
            for k, (column, positions) in enumerate(zip(categorical, self._positions, strict=True)):
                has_values[k] |= bool(column.categories)
                has_known[k] |= not positions.keys().isdisjoint(column.categories)
            yield rows, dense(self._features, self._matrix(numeric, categorical, scale, beyond))
        unknown = [self._names[j] for j in categorical_index[has_values & ~has_known]]
        if unknown:
            warn(
                f"No value of the categorical columns {unknown} was seen in fit, so they are encoded as unknown. Check "
                "that their types and spelling match the training data."
            )

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output features.

        As in scikit-learn's OneHotEncoder, a one-hot column is named after its category, such as ``city_Paris``, or
        ``city_infrequent_sklearn`` for rare categories that share it. A column with two categories keeps its name.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        names = [f"x{name}" if isinstance(name, int) else str(name) for name in self._names]
        numeric = [names[j] for j in np.flatnonzero(~self.is_categorical_)]
        indicators = [f"{name}_missing" for name, marked in zip(numeric, self._has_indicator, strict=True) if marked]
        categorical = []
        for j, positions in zip(np.flatnonzero(self.is_categorical_), self._positions, strict=True):
            labels = _labels(positions)
            categorical += [f"{names[j]}_{label}" for label in labels] if len(labels) > 2 else [names[j]]
        added = []
        for kind, (column, *_) in zip(("bin", "knot"), self._features[1:], strict=True):
            numbers = np.arange(len(column)) - np.searchsorted(column, column)  # from 0 in each column
            added += [f"{numeric[j]}_{kind}_{k}" for j, k in zip(column, numbers, strict=True)]
        return np.array(numeric + indicators + categorical + added, dtype=object)

    def _checked(self, X, reset):
        """Validate X and return it as a frame, ndarray or CSR matrix."""
        with naming("X"):
            return self._validated(as_numpy(X), reset)

    def _validated(self, X, reset):
        check_before_conversion(X)
        if hasattr(X, "collect") and not hasattr(X, "shape"):
            raise ValueError(f"X is a {type(X).__name__}, which is not evaluated yet. Call its collect method first.")
        if is_frame(X):
            counts = Counter(map(str, names_of(X)))
            duplicates = sorted(name for name, count in counts.items() if count > 1)
            if duplicates:
                raise ValueError(f"X has duplicate column names: {', '.join(map(repr, duplicates))}.")
            for size, unit in zip(X.shape, ("sample", "feature"), strict=True):
                if size == 0:
                    raise ValueError(
                        f"Found array with 0 {unit}(s) (shape={X.shape}) while a minimum of 1 is required."
                    )
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        checked = partial(check_array, accept_sparse="csr", ensure_all_finite=False, estimator=self)
        given, X = X, checked(X, dtype=None)
        check_csr(X)
        if X.dtype.kind in "SU" and not hasattr(given, "dtype"):
            X = checked(np.array(given, dtype=object), dtype=None)  # numbers in a list with text stay numbers
        X = with_nan(X) if X.dtype.kind == "O" else X
        if X.dtype.kind not in "biuf":
            columns_of(X)  # raises for times, which can be converted to numbers
            X = self._without_text(X, checked)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _without_text(self, X, checked):
        """Convert X to numbers unless it has categories."""
        if self.categorical_features is None:
            return checked(X, dtype="numeric")
        if not isinstance(self.categorical_features, str) or X.dtype.kind != "O":
            return X
        try:
            return checked(X, dtype="numeric")
        except (OverflowError, ValueError):
            return X

    def _restored(self):
        known = vars(self)
        if "_features" not in known:
            return
        n_numbers = np.count_nonzero(~self.is_categorical_)
        n_encoded, n_categorical = self._n_columns, len(self.is_categorical_) - n_numbers
        features, scales = checked_features(self._features, n_numbers), (self._scaler.center_, self._scaler.scale_)
        if not (
            self.is_categorical_.dtype == bool
            and self._has_indicator.dtype == bool
            and self._has_indicator.shape == (n_numbers,)
            and all(each.shape == (n_encoded,) and each.dtype.kind == "f" for each in scales)
            and self.origins_.shape == (n_encoded + features.n_added,)
            and len(self._names) == len(self.is_categorical_)
            and len(self._positions) == n_categorical
            and [len({*each.values()}) for each in self._positions] == self._n_positions
        ):
            raise DamagedError("its scales, levels and features do not fit its columns")

    def _matrix(self, numeric, categorical, scale, beyond):
        """The encoded table; ``scale(part, start)`` scales columns in place, of which the first is column `start`."""
        n_samples = len(categorical[0].codes if categorical else numeric[0].to_floats())
        matrix = np.empty((n_samples, self._n_columns), np.float32)
        start = len(numeric)
        for j, column in enumerate(numeric):
            values = column.to_floats()
            if j in beyond:
                # halved, because the difference of two large numbers may overflow
                center, width = beyond[j]
                with np.errstate(over="ignore"):
                    values = (values / 2 - center / 2) / max(width / 2, _SMALLEST)
            matrix[:, j] = np.clip(values, -_LARGEST, _LARGEST)
            if self._has_indicator[j]:
                matrix[:, start] = np.isnan(values)
                start += 1
        scale(matrix[:, :start], 0)
        for column, positions, n in zip(categorical, self._positions, self._n_positions, strict=True):
            # the last level is for missing values, whose code is -1; few rows have all levels
            index = np.array([*(positions.get(category, -1) for category in column.categories), -1])[:, None]
            if n > 2:
                levels = index == np.arange(n)
            else:
                levels = np.where(index < 0, 0, 2 * index - 1) if n == 2 else 0 * index
            levels, stop = levels.astype(np.float32), start + levels.shape[1]
            scale(levels, start)
            for rows in row_chunks(matrix):
                matrix[rows, start:stop] = levels[column.codes[rows]]
            start = stop
        return matrix

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _centers_and_scales(columns, weight):
    """Center and scale of each column, ignoring NaN, as an array of shape (2, n_columns)."""
    found = [center_and_scale(x[known], weight[known]) for x in columns for known in [~np.isnan(x)]]
    return np.reshape(found, (-1, 2)).T


def _beyond_float32(center, scale):
    """Center and scale of the columns that float32 cannot hold, by their numbers."""
    is_far = abs(center) / _FARTHEST > scale
    found = is_far | (scale < 1 / _LARGEST_SCALE) | ((scale > _LARGEST_SCALE) & (scale < np.inf))
    return {j: (center[j], scale[j]) for j in np.flatnonzero(found).tolist()}


def _scale(scaler, matrix, start=0):
    """Scale a matrix in place, whose first column is column `start` of the scaler."""
    for rows in row_chunks(matrix):
        part = np.ascontiguousarray(matrix[rows])  # in some columns of a matrix, arithmetic is slower
        scaler.scale(part, slice(start, start + matrix.shape[1]))
        matrix[rows] = np.nan_to_num(part, copy=False)


def _has_gaps(values):
    missing = np.isnan(values)
    return missing.any() and not missing.all()


def _check_size(X):
    """Raise an error if the dense copy of a sparse matrix would be too large."""
    n_bytes = 4 * X.shape[0] * X.shape[1]
    if sparse.issparse(X) and n_bytes > _MAX_DENSE_BYTES:
        raise ValueError(
            f"X is sparse, and its dense float32 copy of shape {X.shape} would take {n_bytes / 2**30:.1f} GiB; the "
            f"limit is {_MAX_DENSE_BYTES / 2**30:.0f} GiB. Reduce the number of columns, for example with "
            "sklearn.decomposition.TruncatedSVD, or use MLPClassifier or MLPRegressor, which train on sparse X."
        )


def _positions_by_frequency(codes, categories, weight, most):
    """Position of each category's one-hot column, by decreasing frequency; the rare categories share the last one."""
    counts = np.bincount(codes + 1, weight, minlength=len(categories) + 1)[1:]
    known = sorted((k for k in range(len(categories)) if counts[k] > 0), key=lambda k: (-counts[k], categories[k]))
    return {categories[k]: min(position, most - 1) for position, k in enumerate(known)}


def _labels(positions):
    """The category of each position, in order; a shared position has the label of scikit-learn's OneHotEncoder."""
    labels = {}
    for category, position in positions.items():
        labels[position] = "infrequent_sklearn" if position in labels else category
    return [labels[position] for position in sorted(labels)]
