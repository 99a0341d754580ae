"""Sequences of partitions for ``fit_batches``, of data that need not fit in memory.

The names :class:`ArrayPartitions`, :class:`ArrowPartitions` and :class:`DaskPartitions` say what they read. Each is a
sequence of tuples ``(X, y)`` or ``(X, y, sample_weight)``, which are read when they are accessed. Any other sequence,
or a generator function, serves as well.
"""

from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from typing import Any

import numpy as np
from scipy.sparse import issparse

__all__ = ["ArrayPartitions", "ArrowPartitions", "DaskPartitions"]

# the size of a partition in bytes, of which about three are in memory during training
_N_BYTES = 2**26
_N_ROWS_IN_CACHE = 4096


class ArrayPartitions(Sequence):
    """Slices of arrays: of NumPy's memory maps, Zarr's or HDF5's arrays, or others with a shape and slices.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    y : array of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array of shape (n_samples,), default=None
    n_rows : int, default=None
        Number of rows of a partition. None for about 64 MB, in whole chunks of X if it has chunks.

    Raises
    ------
    TypeError
        If one is no array, but a list, a data frame or a sparse matrix, for example.
    ValueError
        If the arrays have different lengths, or `n_rows` is not positive.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklearn.datasets import make_regression
    >>> from sknn_iitb import MLPRegressor
    >>> from sknn_iitb.partitions import ArrayPartitions
    >>> X, y = make_regression(2000, 5, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "X.npy", X)
    ...     on_disk = np.load(Path(folder) / "X.npy", mmap_mode="r")
    ...     source = ArrayPartitions(on_disk, y / y.std(), n_rows=500)
    ...     net = MLPRegressor(random_state=0).fit_batches(source, epochs=20)
    >>> len(source), source[0][0].shape
    (4, (500, 5))
    >>> bool(net.score(X, y / y.std()) > 0.9)
    True
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None, *, n_rows: int | None = None) -> None:
        self._arrays = (X, y) if sample_weight is None else (X, y, sample_weight)
        for name, array in zip(("X", "y", "sample_weight"), self._arrays, strict=False):
            if not hasattr(array, "dtype") or issparse(array):
                raise TypeError(
                    f"{name} must be an array, such as a memory map, got {type(array).__name__}; pass other data to "
                    "fit_batches as a list of partitions."
                )
        lengths = [array.shape[0] for array in self._arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"X, y and sample_weight must have the same length, got {lengths}.")
        self._n_samples = lengths[0]
        self._n_rows = _checked(n_rows) or _rows_of(X)

    def __len__(self) -> int:
        return -(-self._n_samples // self._n_rows)

    def __getitem__(self, k: Any) -> tuple[Any, ...]:
        start = range(0, self._n_samples, self._n_rows)[k]
        # a copy, because a view of a memory map would be read row by row during training
        return tuple(np.array(array[start : start + self._n_rows]) for array in self._arrays)


def _checked(n_rows):
    if n_rows is not None and (isinstance(n_rows, bool) or not isinstance(n_rows, Integral) or n_rows < 1):
        raise ValueError(f"n_rows must be an integer of at least 1 or None, got {n_rows!r}.")
    return n_rows


def _rows_of(X):
    """How many rows take about 64 MB."""
    n_rows = max(1, int(_N_BYTES // (X.dtype.itemsize * max(1, int(np.prod(X.shape[1:]))))))
    chunks = getattr(X, "chunks", None)
    chunk = chunks[0] if chunks else 1
    return n_rows if not isinstance(chunk, int) or chunk > n_rows else n_rows // chunk * chunk


class ArrowPartitions(Sequence):
    """Row groups of Parquet files, or whole files of other formats that Arrow reads; requires ``pyarrow``.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset, str, path-like or list of them
        A Parquet file, a folder or a list of them, or a data set, such as
        ``pyarrow.dataset.dataset("data.csv", format="csv")``.
    target : str or list of str
        The column of y, or several.
    features : list of str, default=None
        The columns of X; None for all others.
    sample_weight : str, default=None
        The column of sample weights.
    n_rows : int, default=None
        Row groups are joined until they have so many rows. None for about 64 MB.

    Raises
    ------
    ImportError
        If ``pyarrow`` is not installed.
    ValueError
        If a column does not exist or is named twice, or the data set has a filter. Later, if a file has changed.

    Notes
    -----
    X is a matrix if all its columns are numbers, and otherwise a data frame, which requires ``pandas``. With ``pandas``
    a network knows the names of its features. Row groups of 100,000 to 1,000,000 rows are read fastest. Folders such as
    ``year=2026`` are a column.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.partitions import ArrowPartitions
    >>> flowers = load_iris(as_frame=True).frame
    >>> with TemporaryDirectory() as folder:
    ...     flowers.to_parquet(Path(folder) / "iris.parquet", row_group_size=50)
    ...     source = ArrowPartitions(folder, target="target", n_rows=50)
    ...     net = MLPClassifier(max_iter=500, random_state=0).fit_batches(source)
    >>> len(source), net.feature_names_in_[0]
    (3, 'sepal length (cm)')
    """

    def __init__(
        self,
        data: Any | str | PathLike[str] | list[Any],
        target: str | list[str],
        *,
        features: list[str] | None = None,
        sample_weight: str | None = None,
        n_rows: int | None = None,
    ) -> None:
        try:
            from pyarrow import dataset
        except ImportError:
            raise ImportError("ArrowPartitions requires pyarrow, which is not installed.") from None
        data = data if isinstance(data, dataset.Dataset) else dataset.dataset(data, partitioning="hive")
        self._y, self._weight, self._format = target, sample_weight, data.schema
        special = [*([target] if isinstance(target, str) else target), *([sample_weight] if sample_weight else [])]
        self._X = [name for name in data.schema.names if name not in special] if features is None else [*features]
        named = [*self._X, *special]
        if isinstance(features, str) or not self._X or not target or len(set(named)) < len(named):
            raise ValueError(
                "features and target must name at least one column each, features in a list, and each column once; got "
                f"features={features!r}, target={target!r}, sample_weight={sample_weight!r}."
            )
        self._columns = named
        unknown = [name for name in self._columns if name not in data.schema.names]
        if unknown:
            raise ValueError(f"data has no columns {unknown}; it has {data.schema.names}.")
        width = sum(_n_bytes(data.schema.field(name).type) for name in self._X)
        try:
            fragments = [*data.get_fragments()]
        except ValueError as error:
            raise ValueError(f"data must be a data set without a filter or projection: {error}.") from error
        self._state = {each.path: _state(each) for each in fragments if getattr(each, "path", "")}
        self._parts = _grouped(fragments, _checked(n_rows) or max(1, int(_N_BYTES // max(width, 1))))

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, k: Any) -> tuple[Any, ...]:
        from pyarrow import concat_tables

        for part in self._parts[k]:
            if getattr(part, "path", "") and _state(part) != self._state[part.path]:
                raise ValueError(f"{part.path} has changed since the ArrowPartitions were created; create them again.")
        tables = [part.to_table(schema=self._format, columns=self._columns) for part in self._parts[k]]
        table = concat_tables(tables)
        y = table[self._y].to_numpy() if isinstance(self._y, str) else np.asarray(table.select(self._y))
        weights = [] if self._weight is None else [table[self._weight].to_numpy()]
        return (_features(table.select(self._X)), y, *weights)


def _state(fragment):
    """What changes with the file of a fragment."""
    info = fragment.filesystem.get_file_info(fragment.path)
    return info.size, info.mtime_ns


def _features(table):
    """X as a matrix if all columns are numbers, with their names if pandas is installed; else as a data frame."""
    from pyarrow import types

    if not all(
        types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind) for kind in table.schema.types
    ):
        return table.to_pandas()
    matrix = _transposed([column.to_numpy() for column in table.columns])
    try:
        from pandas import DataFrame
    except ImportError:
        return matrix
    return DataFrame(matrix, columns=table.column_names, copy=False)


def _transposed(columns):
    """The rows of columns: some of each at a time, which stay in the cache, and without a copy of all columns."""
    matrix = np.empty((len(columns[0]), len(columns)), np.result_type(*{column.dtype for column in columns}))
    for start in range(0, len(matrix), _N_ROWS_IN_CACHE):
        rows = slice(start, start + _N_ROWS_IN_CACHE)
        for k, column in enumerate(columns):
            matrix[rows, k] = column[rows]
    return matrix


def _n_bytes(kind):
    """The size of a value; for text, a guess."""
    try:
        return kind.bit_width / 8
    except ValueError:
        return 16


def _grouped(fragments, n_rows):
    """Lists of row groups, or of other fragments, with at least so many rows."""
    groups, size = [], n_rows
    for fragment in fragments:
        for part in fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]:
            if size >= n_rows:
                groups.append([])
                size = 0
            groups[-1].append(part)
            row_groups = getattr(part, "row_groups", None)
            size += part.count_rows() if row_groups is None else sum(each.num_rows for each in row_groups)
    return groups


class DaskPartitions(Sequence):
    """The partitions of Dask's data frames, or the blocks of its arrays; requires ``dask``.

    Each is computed when it is read, so in each epoch; persist collections that take long to compute.
    ``sknn_iitb.dask`` trains on the workers of a cluster instead.

    Parameters
    ----------
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n_samples, n_features)
    y : dask.dataframe.Series or DataFrame, or dask.array.Array, of shape (n_samples,) or (n_samples, n_outputs)
        With the same partitions as X.
    sample_weight : dask.dataframe.Series or dask.array.Array of shape (n_samples,), default=None
        With the same partitions as X.

    Raises
    ------
    TypeError
        If one is not a Dask collection.
    ValueError
        If the numbers of partitions differ.

    Examples
    --------
    >>> import dask.array as da
    >>> from sknn_iitb import MLPRegressor
    >>> from sknn_iitb.partitions import DaskPartitions
    >>> X = da.random.default_rng(0).normal(size=(4000, 3), chunks=(1000, 3))
    >>> source = DaskPartitions(X.persist(), X[:, 0] * X[:, 1])
    >>> len(source)
    4
    >>> net = MLPRegressor(random_state=0).fit_batches(source, epochs=30)
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None) -> None:
        self._collections = (X, y) if sample_weight is None else (X, y, sample_weight)
        for name, value in zip(("X", "y", "sample_weight"), self._collections, strict=False):
            if not hasattr(value, "dask"):
                raise TypeError(f"{name} must be a Dask array or data frame, got {type(value).__name__}.")
        numbers = [_n_partitions(each) for each in self._collections]
        if len(set(numbers)) > 1:
            raise ValueError(f"X, y and sample_weight must have the same partitions, got {numbers} of them.")
        self._n_partitions = numbers[0]

    def __len__(self) -> int:
        return self._n_partitions

    def __getitem__(self, k: Any) -> tuple[Any, ...]:
        from dask import compute

        parts = [(each.partitions if hasattr(each, "partitions") else each.blocks)[k] for each in self._collections]
        return compute(*parts)


def _n_partitions(collection):
    """The number of partitions of a data frame, or of blocks of rows of an array."""
    return collection.npartitions if hasattr(collection, "divisions") else collection.numblocks[0]
