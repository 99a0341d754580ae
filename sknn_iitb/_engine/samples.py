"""Samples: as the user passes them to `fit`, and as a network learns from them."""

from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.rows import Rows
from sknn_iitb._engine.validation import hold_out

__all__ = ["Samples", "TrainingData", "ValidationData", "checked_weight", "stacked"]

# A validation set up to this size in bytes is copied out of X, which is faster than looking up its rows in each epoch.
_COPIED = 2**26
# rows that tell one data set from another
_N_ROWS = 1000


class ValidationData(NamedTuple):
    """What the user passes to `fit` for validation."""

    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    groups: Any = None

    def samples(self, encode):
        """The user's validation set, or None.

        Parameters
        ----------
        encode : callable
            ``encode(X, y, sample_weight)`` returns Samples.

        Raises
        ------
        ValueError
            If an argument is missing or has no effect, or as `encode`.
        """
        if self.X_val is None:
            if self.y_val is not None or self.sample_weight_val is not None:
                raise ValueError("y_val and sample_weight_val need X_val, which is missing.")
            return None
        if self.groups is not None:
            raise ValueError("groups has no effect with X_val, which is the validation set.")
        if self.y_val is None:
            raise ValueError("X_val needs y_val.")
        try:
            return encode(self.X_val, self.y_val, self.sample_weight_val)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error


class TrainingData(NamedTuple):
    """What the user passes to `fit`."""

    X: Any
    y: Any
    sample_weight: Any = None
    validation: ValidationData = ValidationData()

    def convert(self, function):
        """Apply a function to each array."""
        *arrays, validation = self
        return TrainingData(*map(function, arrays), ValidationData(*map(function, validation)))


class Samples(NamedTuple):
    """X, encoded targets, targets as the user passed them; weights and groups, or None."""

    X: Any
    Y: Any
    y: Any
    weight: Any
    groups: Any

    @property
    def n_samples(self):
        """The number of samples."""
        return len(self.Y)

    def take(self, rows):
        """The samples with these indices."""
        return Samples(*(None if array is None else array[rows] for array in self))

    def left(self, rows):
        """The samples with these indices, for validation: a large X is not copied."""
        if sparse.issparse(self.X) or len(rows) * self.X[:1].nbytes < _COPIED:
            return self.take(rows)
        return self._replace(X=None).take(rows)._replace(X=Rows(self.X, rows))

    def hold_out(self, fraction, targets, rng):
        """Choose the samples that are held out; return the row indices of the others, and these samples."""
        rows, held_out = hold_out(fraction, targets, self, rng)
        return rows, self.left(held_out)

    def objective(self, network, build, rows):
        """The objective of a network on the rows that are not held out, None for all."""
        return build(self, rows=rows)

    def digest(self, salt=b""):
        """A number that tells these samples from others, as text; `salt` is something else to tell apart."""
        n = len(self.Y)
        rows = np.unique(np.linspace(0, n - 1, min(n, _N_ROWS)).astype(np.int64))
        X = self.X.copied() if isinstance(self.X, Rows) else self.X
        X = X[rows]
        arrays = [X.data, X.indices, X.indptr] if sparse.issparse(X) else [X]
        arrays += [self.Y[rows]] + ([] if self.weight is None else [self.weight[rows]])
        content = b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)
        shapes = repr((n, self.X.shape, str(X.dtype), self.Y.shape)).encode()
        return blake2b(salt + shapes + content, digest_size=16).hexdigest()


def stacked(arrays):
    """Arrays, sparse matrices in CSR format, or nothing but None, one below the other."""
    if arrays[0] is None:
        return None
    return sparse.vstack(arrays, format="csr") if sparse.issparse(arrays[0]) else np.concatenate(arrays)


def checked_weight(sample_weight, X):
    """The weights of the samples in X as float64.

    Raises
    ------
    TypeError, ValueError
        If there is not one weight >= 0 per sample.
    """
    with naming("sample_weight"):
        return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
