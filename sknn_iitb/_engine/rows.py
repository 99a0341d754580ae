"""The table X as the kernels read it: dense numbers of any type, or sparse rows.

Kernels never see X itself. They get the samples' numbers, and what the functions made here need to find them: a dense
matrix is copied and converted row by row into a batch, a sparse one is read by the first layer where it lies.
"""

from collections import namedtuple
from functools import cache

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from sknn_iitb._engine.layers.dense import dense_spec
from sknn_iitb._engine.layers.dropout import drop_inputs
from sknn_iitb._engine.layers.sparse_dense import sparse_dense_spec
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.identity import made_here
from sknn_iitb._jit.intrinsics import address, array_at, matrix_at, prefetch

__all__ = ["DenseRows", "Rows", "SparseRows", "check_before_conversion", "check_csr", "table_of"]

# rows that are converted at a time for a prediction
_CHUNK = 16384

# rows between asking for one and copying it
_AHEAD = 8


class Rows(namedtuple("Rows", "X numbers")):
    """Some rows of a dense matrix, by their numbers, that are left where they are until they are needed."""

    @property
    def shape(self):
        return len(self.numbers), self.X.shape[1]

    def copied(self):
        """The rows as a matrix of their own."""
        return self.X[self.numbers]


@cache
def _loader(kind, drops):
    """The function that copies rows of a C-ordered matrix of that type, and `drops` drops some of the numbers."""
    numbers_at = array_at(kind)
    line = 64 // kind.itemsize

    def load(source, rows, x, rate, key):
        n_rows, n_in = x.shape
        X = matrix_at(numbers_at(source[0], source[1] * n_in), 0, source[1], n_in)
        for i in range(n_rows):
            row = rows[i]
            # rows come in random order, which the processor cannot foresee: ask for one some rows ahead
            ahead = rows[min(i + _AHEAD, n_rows - 1)]
            for j in range(0, n_in, line):
                prefetch(X, ahead, j)
            for j in range(n_in):
                x[i, j] = X[row, j]
        if drops:
            drop_inputs(x, rows, rate, key)

    return made_here(load, f"load_{kind}{'_drops' * drops}")


class DenseRows:
    """A matrix of numbers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), any numeric type, or Rows of one to predict for
        It is copied at once if it is not in C order.
    dtype : dtype
        That of the network's arithmetic.

    Attributes
    ----------
    n_loaded : int
        Columns of the matrix that the rows of a batch are copied to.
    source : ndarray of int64
        What the loader needs to find X.
    described_once : bool
        Whether the first layer is the same for any table of this kind.
    """

    described_once = True

    def __init__(self, X, dtype):
        X, self._numbers = X if isinstance(X, Rows) else (X, None)
        self._X, self._dtype = np.ascontiguousarray(X), np.dtype(dtype)
        self.n_loaded = X.shape[1]
        self.source = np.array([address(self._X), len(X)], np.int64)

    def loader(self, rate):
        """Address of the function that copies rows, and leaves out `rate` of the numbers, by dropout."""
        return compiled("load", _loader(self._X.dtype, rate > 0), self._dtype).address

    def first_layer(self, n_in, n_out, weights, rate):
        """The layer that takes the samples in; the loader has left out `rate` of the inputs, by dropout."""
        return dense_spec(n_in, n_out, weights)

    def chunks(self):
        """Yield X in chunks of rows of the network's type: where they go, the rows, and indices of rows not given."""
        none = np.zeros(0, np.int64)
        if self._X.dtype == self._dtype and self._numbers is None:
            yield slice(None), self._X, none
            return
        for rows in gen_batches(len(self._X if self._numbers is None else self._numbers), _CHUNK):
            which = rows if self._numbers is None else self._numbers[rows]
            yield rows, self._X[which].astype(self._dtype, copy=False), none


class SparseRows:
    """A sparse matrix in CSR form, whose entries the first layer reads where they lie.

    Parameters
    ----------
    X : sparse matrix or array in CSR form, of any numeric type
    dtype : dtype
        That of the network's arithmetic.

    Attributes
    ----------
    n_loaded, source, described_once
        As for :class:`DenseRows`: nothing is copied, and the first layer reads this very matrix.
    """

    described_once = False
    n_loaded = 0
    source = np.zeros(1, np.int64)

    def __init__(self, X, dtype):
        self._n_rows = X.shape[0]
        self._data, self._dtype = np.ascontiguousarray(X.data), np.dtype(dtype)
        index = np.promote_types(X.indices.dtype, X.indptr.dtype)
        self._indices, self._indptr = np.ascontiguousarray(X.indices, index), np.ascontiguousarray(X.indptr, index)

    def loader(self, rate):
        """No address: there is nothing to copy."""
        return 0

    def first_layer(self, n_in, n_out, weights, rate):
        """The layer that takes the samples in, and leaves out `rate` of the entries, by dropout."""
        places = map(address, (self._data, self._indices, self._indptr))
        csr = (self._indices.dtype, self._data.dtype, *places, self._n_rows, len(self._data))
        return sparse_dense_spec(n_in, n_out, weights, csr, rate)

    def chunks(self):
        """Yield all rows at once: where they go, no matrix, and the indices of the rows."""
        yield slice(None), np.empty((self._n_rows, 0), self._dtype), np.arange(self._n_rows)


def check_before_conversion(X):
    """Raise ValueError if a sparse X, not in CSR form yet, points outside itself: SciPy's conversion trusts it."""
    if sparse.issparse(X) and X.format in ("csc", "bsr"):
        _check_compressed(X)
    elif sparse.issparse(X) and X.format == "coo":
        _valid(lambda: type(X)((X.data, (X.row, X.col)), shape=X.shape))


def check_csr(X):
    """Raise ValueError if a CSR matrix points outside itself, or its arrays do not fit together: kernels trust it."""
    if sparse.issparse(X):
        _check_compressed(X)


def _check_compressed(X):
    if X.indices.dtype.kind != "i" or X.indptr.dtype.kind != "i":
        raise ValueError("X is not a valid sparse matrix: indices and indptr must be integers.")
    # a new object over the same arrays, which SciPy checks
    _valid(lambda: type(X)((X.data, X.indices, X.indptr), shape=X.shape).check_format(full_check=True))


def _valid(check):
    try:
        check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"X is not a valid sparse matrix: {error}.") from None


def table_of(X, dtype):
    """The table for X, dense or in CSR form."""
    return (SparseRows if sparse.issparse(X) else DenseRows)(X, dtype)
