"""Columns of data frames and matrices, read as numbers or as categories depending on their type."""

import re
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import gen_batches

from sknn_iitb._engine.samples import checked_weight
from sknn_iitb._engine.times import TIME_TYPES
from sknn_iitb._typing import Array

__all__ = [
    "Categorical",
    "Column",
    "as_numpy",
    "columns_of",
    "is_frame",
    "names_of",
    "relative_weight",
    "row_chunks",
    "rows_of",
    "rows_with_weight",
    "with_nan",
]

# number of matrix entries to process at a time, which keeps intermediate arrays small
_ENTRIES = 2**17


class Categorical(NamedTuple):
    """A categorical column: the category code of each sample, -1 if missing, and the categories as text."""

    codes: Array
    categories: list[str]


# Patterns of lower-case type names of NumPy, pandas, polars and Arrow. Every other type is categorical. A column of
# objects is classified by its values.
_TYPES = {
    "time": TIME_TYPES,
    "complex": r"complex",
    "number": r"u?int\d|float|double|half|decimal",
    "object": r"object|null",
}
_TIMES = date, time, timedelta, np.datetime64, np.timedelta64
_REFUSED = {
    "time": "contains dates or times. Convert it to numbers, such as days since a date or the hour of the day, or drop "
    "it.",
    "complex": "contains complex numbers. Split it into real and imaginary parts, or drop it.",
}


def as_numpy(data: Any) -> Any:
    """Convert an array of another library, such as a PyTorch tensor, to NumPy, and compute a Dask collection.

    Anything else is returned unchanged.
    """
    if hasattr(data, "__dask_graph__"):
        data = data.compute()
    if isinstance(data, np.ndarray) or not hasattr(data, "__dlpack__"):
        return data
    try:
        return np.asarray(data) if hasattr(data, "__array__") else np.from_dlpack(data)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The {type(data).__name__} cannot be converted to NumPy ({error}). Arrays must be on the CPU and must "
            "not require a gradient."
        ) from error


def is_frame(X: Any) -> bool:
    """Whether X is a pandas or polars DataFrame or a pyarrow Table."""
    return hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "column_names"))


def names_of(frame: Any) -> list[Any]:
    """Column names of a frame."""
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def rows_of(X: Any, rows: slice) -> Any:
    """Select rows of a frame or matrix. Rows of a sparse matrix are returned as an ndarray."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names"):
        return X.slice(rows.start, rows.stop - rows.start)
    return X[rows].toarray() if sparse.issparse(X) else X[rows]


def columns_of(X: Any) -> list["Column"]:
    """Columns of a table, which are converted on access.

    Parameters
    ----------
    X : frame, ndarray or sparse matrix
        Columns of a matrix of objects are classified by their values. Columns of a matrix of strings are numeric if
        all their strings are numbers, because NumPy converts a table with some text to strings as a whole.

    Returns
    -------
    columns : list of Column

    Raises
    ------
    ValueError
        If a column contains times or complex numbers.
    """
    if is_frame(X):
        column = X.column if hasattr(X, "column_names") else X.__getitem__
        return [Column(name, series, _kind(series)) for name, series in ((name, column(name)) for name in names_of(X))]
    kind = _kind(X)
    if sparse.issparse(X):
        X = X.tocsc()
        X.sum_duplicates()
        return [Column(k, _SparseColumn(X, k), kind, has_own_type=False) for k in range(X.shape[1])]
    if X.dtype.kind in "SU":
        return [Column(k, x, "number" if _are_numbers(x) else "category") for k, x in enumerate(X.T)]
    return [Column(k, X[:, k], kind, has_own_type=kind == "object") for k in range(X.shape[1])]


class _SparseColumn(namedtuple("_SparseColumn", "X number")):
    """A column of a CSC matrix."""

    def dense(self):
        column, entries = np.zeros(self.X.shape[0], self.X.dtype), slice(*self.X.indptr[self.number : self.number + 2])
        column[self.X.indices[entries]] = self.X.data[entries]
        return column


class Column:
    """A column of a table.

    Parameters
    ----------
    name : str or int
    series : Series, ChunkedArray or ndarray
    kind : str
        Kind of data according to the type: a key of `_TYPES`, or "category".
    has_own_type : bool, default=True
        Whether the column has its own type, as in a data frame. The columns of a matrix share one type, so their type
        does not make them categorical. In a matrix of objects, each value has its own.

    Attributes
    ----------
    is_categorical : bool
    """

    def __init__(self, name: Any, series: Any, kind: str, has_own_type: bool = True) -> None:
        self.name, self._series = name, series
        if kind == "object":
            kind = _kind_of_objects(_objects(series))
        if kind in _REFUSED:
            raise ValueError(f"Column {name!r} {_REFUSED[kind]}")
        self.is_categorical: bool = has_own_type and kind == "category"

    def to_numpy(self) -> Array:
        """The values as they are."""
        return np.asarray(self._series)

    def to_floats(self) -> Array:
        """Convert the values to float64, with NaN for missing values."""
        try:
            values = _floats(self._series)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self.name!r} contains values that are not numbers ({error}). If it is categorical, add it "
                "to categorical_features."
            ) from None
        if np.isinf(values).any():
            raise ValueError(
                f"Column {self.name!r} contains infinite values. Replace them with NaN to mark them as missing."
            )
        return values

    def to_categorical(self) -> Categorical:
        """Convert the values to category codes."""
        if hasattr(getattr(self._series, "cat", None), "codes"):  # pandas has found the distinct values already
            index, categories = self._series.cat.codes.to_numpy() + 1, [None, *self._series.cat.categories]
            used = np.flatnonzero(np.bincount(index))
            distinct = Column(self.name, np.array(categories, object)[used], "category").to_categorical()
            return distinct._replace(codes=distinct.codes[np.searchsorted(used, index)])
        codes, categories, known = [], {}, {}
        try:
            for value in _objects(self._series):
                key = type(value), value  # with the type, because True == 1 == 1.0
                if key not in known:
                    known[key] = -1 if _is_missing(value) else categories.setdefault(_text(value), len(categories))
                codes.append(known[key])
        except TypeError:
            raise ValueError(
                f"Column {self.name!r} contains a value of type {type(value).__name__}. Values must be numbers or "
                "categories, such as strings."
            ) from None
        return Categorical(np.array(codes, np.int32), list(categories))


def _kind(series):
    """Kind of data according to the type of a column or matrix: a key of `_TYPES`, or "category"."""
    dtype = series.dtype if hasattr(series, "dtype") else series.type
    kind = _kind_of_type(dtype)
    # the type of the categories in pandas and Arrow
    inner = getattr(getattr(dtype, "categories", None), "dtype", getattr(dtype, "value_type", None))
    if kind == "category" and inner is not None and _kind_of_type(inner) in _REFUSED:
        return _kind_of_type(inner)
    return kind


def _kind_of_type(dtype):
    name = str(getattr(dtype, "name", dtype)).lower().removeprefix("sparse[")
    return next((kind for kind, pattern in _TYPES.items() if re.match(pattern, name)), "category")


def _kind_of_objects(values):
    types = {type(value) for value in values}
    if any((issubclass(t, _TIMES) and t.__name__ != "NaTType") or t.__name__ == "Period" for t in types):
        return "time"
    if any(issubclass(t, (complex, np.complexfloating)) for t in types):
        return "complex"
    if any(issubclass(t, (str, bytes, bool, np.bool_)) for t in types):
        return "category"
    try:
        _as_floats(values)
    except (ArithmeticError, TypeError, ValueError):
        return "category"
    return "number"


def _are_numbers(strings):
    try:
        strings.astype(np.float64)
    except ValueError:
        return False
    return True


def _floats(series):
    if isinstance(series, np.ndarray):
        return np.asarray(series, np.float64)
    if isinstance(series, _SparseColumn):
        return series.dense().astype(np.float64)
    if _kind(series) != "number":
        return _as_floats(_objects(series))
    if hasattr(series, "iloc"):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    if hasattr(series, "to_pylist"):
        return series.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    return series.cast(float).to_numpy()


def _objects(series):
    if hasattr(series, "to_pylist"):
        return series.to_pylist()
    if hasattr(series, "iloc"):
        return series.to_numpy(dtype=object).tolist()
    if isinstance(series, _SparseColumn):
        return series.dense().tolist()
    return series.tolist() if isinstance(series, np.ndarray) else series.to_list()


def _as_floats(values):
    return np.fromiter((np.nan if _is_missing(value) else value for value in values), np.float64, len(values))


def _is_missing(value):
    # None, pandas.NA, NaT or NaN; NaT and NaN are not equal to themselves
    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _text(value):
    """Category of a value. Equal values of different types, such as True, 1, 1.0 and "1", have the same category."""
    if isinstance(value, (Integral, np.bool_)):
        return str(int(value))
    if isinstance(value, (Real, Decimal)):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(number)
    return {"True": "1", "False": "0"}.get(value, str(value))


def with_nan(objects: Array) -> Array:
    """Replace missing values of a matrix of objects, such as pandas.NA, with NaN, which can be converted to float."""
    with np.errstate(invalid="ignore"):  # comparing NaN, which NumPy 2.5 reports
        return np.where(np.vectorize(_is_missing, otypes=[bool])(objects), np.nan, objects)


def row_chunks(matrix: Array) -> Iterator[slice]:
    """Slices that divide the rows of a matrix into small chunks, for in-place operations."""
    return gen_batches(len(matrix), max(1, _ENTRIES // max(1, matrix.shape[1])))


def relative_weight(sample_weight: ArrayLike, X: Any) -> Array:
    """The weights of the samples in X, divided by a power of two, which is exact, so that no sum of them overflows."""
    weight = checked_weight(sample_weight, X)
    return np.ldexp(weight, -np.frexp(weight.max())[1])


def rows_with_weight(n_samples: int, sample_weight: ArrayLike | None) -> tuple[Array, Array]:
    """Indices of the rows with nonzero weight, and their weights.

    Parameters
    ----------
    n_samples : int
    sample_weight : array-like of shape (n_samples,) or None

    Returns
    -------
    rows : ndarray of int64
    weight : ndarray of float64

    Raises
    ------
    ValueError
        If the weights are negative, or all zero, or not one per sample.
    """
    rows = np.arange(n_samples)
    if sample_weight is None:
        return rows, np.ones(n_samples)
    weight = relative_weight(as_numpy(sample_weight), rows)
    if not weight.any():  # newer versions of scikit-learn have raised already
        raise ValueError("sample_weight: Sample weights must contain at least one non-zero number.")
    return (rows, weight) if weight.all() else (rows[weight > 0], weight[weight > 0])
