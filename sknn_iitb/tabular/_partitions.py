"""Tables in partitions: a random sample of their rows, and the rows that are left for training."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_consistent_length

from sknn_iitb._engine.partitions import PartitionedSamples
from sknn_iitb._engine.samples import TrainingData, ValidationData, checked_weight, stacked
from sknn_iitb._engine.source import ahead, locating
from sknn_iitb._typing import Array
from sknn_iitb.tabular._columns import as_numpy, is_frame, names_of

__all__ = ["TableSurvey"]

# The scales, levels, bins and views of a table are those of so many random rows. By the Dvoretzky-Kiefer-Wolfowitz
# inequality, a quantile of a column then has the rank that it should have within 0.6 % of the rows, with a probability
# of 99.9 %.
_N_ROWS = 100_000


class _Rows(NamedTuple):
    """Some rows of a partition, with the random numbers by which they were chosen."""

    number: int
    indices: Array
    keys: Array
    X: Any
    y: Array
    weight: Array | None

    @classmethod
    def chosen(cls, number, X, y, weight, keys, limit):
        """The rows of a partition whose numbers are below a limit."""
        return cls(number, np.arange(len(keys)), keys, X, y, weight).below(limit)

    def below(self, limit):
        """The rows whose numbers are below a limit."""
        return self.take(np.flatnonzero(self.keys < limit))

    def take(self, rows):
        """The rows at these positions."""
        weight = None if self.weight is None else self.weight[rows]
        return _Rows(self.number, self.indices[rows], self.keys[rows], _taken(self.X, rows), self.y[rows], weight)


class TableSurvey:
    """The first reading of a table in partitions.

    Parameters
    ----------
    reader : PartitionReader
    checked_targets : callable
        ``checked_targets(y)`` validates the targets of a partition.
    distinct : callable
        ``distinct(y)`` returns the classes among them, or None.
    rng : RandomState
    n_rows : int
        The size of the sample.

    Attributes
    ----------
    classes : ndarray or None
        The classes of all partitions.
    """

    def __init__(self, reader, checked_targets, distinct, rng, n_rows=_N_ROWS):
        self._reader, self._n_rows, self._held_out = reader, [], {}
        self._n_samples, chosen, limit, classes, names = 0, [], 1.0, [], None
        for number, X, y, weight in ahead(reader.read()):
            with locating(number):
                self._n_rows.append(_num_samples(X))
                check_consistent_length(X, y, weight)
                if _num_samples(X) == 0 or not (weight is None or np.any(weight)):
                    continue
                X, y = as_numpy(X), checked_targets(as_numpy(y))
                X = X if is_frame(X) or sparse.issparse(X) else np.asarray(X)
                names = _layout(X) if names is None else names
                if _layout(X) != names:
                    raise ValueError(f"X has {_layout(X)}, but had {names} in the partitions before.")
                if chosen and (chosen[0].weight is None) != (weight is None):
                    raise ValueError("All partitions must have sample weights, or none.")
                weight = None if weight is None else checked_weight(weight, X)
            classes.append(distinct(y))
            self._n_samples += len(y) if weight is None else np.count_nonzero(weight)
            chosen.append(_Rows.chosen(number, X, y, weight, rng.uniform(size=len(y)), limit))
            if sum(len(rows.keys) for rows in chosen) > 2 * n_rows:
                chosen, limit = _smallest(chosen, n_rows, limit)
        if not chosen:
            raise ValueError("source has no samples with a weight.")
        self._chosen, self._limit = _smallest(chosen, n_rows, limit)
        self.classes = None if classes[0] is None else np.unique(np.concatenate(classes))

    def data(self, fraction, validation):
        """The sample as training data, of which a fraction is held out unless the user has a validation set."""
        if validation.X_val is None:
            limit = fraction * self._limit
            held_out = [rows.below(limit) for rows in self._chosen]
            self._held_out = {rows.number: rows.indices for rows in held_out if len(rows.indices)}
            self._chosen = [rows.take(np.flatnonzero(rows.keys >= limit)) for rows in self._chosen]
            if not (self._held_out and any(len(rows.keys) for rows in self._chosen)):
                raise ValueError(
                    f"validation_fraction={fraction!r} of {self._n_samples} samples leaves one side empty."
                )
            validation = ValidationData(*_joined(held_out))
        return TrainingData(*_joined(self._chosen), validation)

    def samples(self, encode):
        """All samples but those that are held out, as networks learn from them.

        Parameters
        ----------
        encode : callable
            ``encode(X, y, sample_weight)`` returns Samples.
        """
        n_rows = [n - len(self._held_out.get(number, ())) for number, n in enumerate(self._n_rows)]
        n_samples = self._n_samples - sum(map(len, self._held_out.values()))
        head = encode(*_joined(self._chosen))
        mean_weight = 1.0 if head.weight is None else float(head.weight.mean())
        return PartitionedSamples(_Others(self._reader, self._held_out), encode, n_rows, n_samples, mean_weight, head)


class _Others(NamedTuple):
    """Reads the rows of partitions that are not held out."""

    reader: Any
    held_out: dict

    def read(self, order=None):
        """As :meth:`PartitionReader.read`."""
        for number, *arrays in self.reader.read(order):
            if number in self.held_out:
                rows = np.setdiff1d(np.arange(_num_samples(arrays[0])), self.held_out[number])
                arrays = [None if array is None else _taken(array, rows) for array in arrays]
            yield number, *arrays


def _smallest(chosen, n_rows, limit):
    """Of the rows with numbers below a limit, those with the smallest numbers, and their limit."""
    keys = np.concatenate([rows.keys for rows in chosen])
    limit = limit if len(keys) <= n_rows else np.partition(keys, n_rows)[n_rows]
    return [rows.below(limit) for rows in chosen], limit


def _layout(X):
    """The columns of a table, in words."""
    return (
        f"the columns {[*map(str, names_of(X))]}"
        if is_frame(X)
        else f"the shape (n_rows, {', '.join(map(str, X.shape[1:]))})"
    )


def _taken(X, rows):
    return X.take(rows) if hasattr(X, "column_names") else _safe_indexing(X, rows)


def _joined(parts):
    """X, y and weights of rows of several partitions."""
    parts = [rows for rows in parts if len(rows.keys)]
    X, y, weight = ([getattr(rows, name) for rows in parts] for name in ("X", "y", "weight"))
    return _stacked(X), stacked(y), stacked(weight)


def _stacked(tables):
    """Tables of the same columns, one below the other."""
    first = tables[0]
    if not is_frame(first):
        return stacked(tables)
    if hasattr(first, "column_names"):
        from pyarrow import concat_tables

        return concat_tables(tables, promote_options="default").combine_chunks()
    if hasattr(first, "iloc"):
        import pandas as pd

        # otherwise categories that differ would become objects
        union = pd.api.types.union_categoricals
        columns = {
            name: union([table[name] for table in tables])
            if all(isinstance(table[name].dtype, pd.CategoricalDtype) for table in tables)
            else pd.concat([table[name] for table in tables], ignore_index=True)
            for name in first.columns
        }
        return pd.DataFrame(columns)
    import polars

    return polars.concat(tables, how="vertical_relaxed")
