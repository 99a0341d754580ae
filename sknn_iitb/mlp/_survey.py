"""The first reading of samples in partitions."""

import numpy as np
from scipy import sparse

from sknn_iitb._engine.samples import stacked

__all__ = ["Survey"]

# rows that are kept to stand for all
_N_ROWS = 1000


class Survey:
    """What must be known of all partitions before training.

    Attributes
    ----------
    n_rows : list of int
        The number of rows of each partition.
    X, y : array
        The first rows.
    """

    def __init__(self):
        self.n_rows, self.X, self.y = [], None, None
        self._distinct, self._has_weights = [], None

    @property
    def is_empty(self):
        """Whether no partition with samples has been added."""
        return self.X is None

    def skip(self, n_rows):
        """Add a partition without rows that have a weight."""
        self.n_rows.append(n_rows)

    def add(self, X, y, weight, first, inverse):
        """Add a partition.

        Parameters
        ----------
        X, y : array
        weight : ndarray of shape (n_samples,) or None
        first, inverse : ndarray of int
            Where each distinct target is first, and which one each sample has.

        Raises
        ------
        ValueError
            If the partition differs from those before in whether X is sparse, in the shape or type of y, or in whether
            it has weights.
        """
        has_weights = weight is not None
        if self.is_empty:
            self.X, self.y, self._has_weights = X[:_N_ROWS].copy(), y[:_N_ROWS].copy(), has_weights
        if sparse.issparse(X) != sparse.issparse(self.X):
            mine, others = ("sparse" if sparse.issparse(each) else "dense" for each in (X, self.X))
            raise ValueError(f"X is {mine}, but was {others} in the partitions before.")
        if y.shape[1:] != self.y.shape[1:] or _is_number(y) != _is_number(self.y) or has_weights != self._has_weights:
            mine, others = (_words(*each) for each in ((y, has_weights), (self.y, self._has_weights)))
            raise ValueError(f"y is {mine}, but was {others} in the partitions before.")
        weight = np.ones(len(inverse)) if weight is None else weight
        n = np.bincount(inverse, weight > 0, len(first))
        self._distinct.append((y[first], n, np.bincount(inverse, weight, len(first))))
        self.n_rows.append(len(inverse))

    def targets(self):
        """The distinct targets, the number of samples with a weight that each has, and their total weight."""
        if self.is_empty:
            raise ValueError("source has no samples with a weight.")
        y, n, weight = zip(*self._distinct, strict=True)
        return stacked(y), np.concatenate(n), np.concatenate(weight)


def _is_number(y):
    return y.dtype.kind in "biuf"


def _words(y, has_weights):
    columns = f"{y.shape[1]} columns" if y.ndim == 2 else "one column"
    kind, has = "numbers" if _is_number(y) else "text", "with" if has_weights else "without"
    return f"{columns} of {kind} {has} sample weights"
