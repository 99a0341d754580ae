"""X as the kernels read it: dense rows of any numeric type, or sparse rows.

Kernels never see X itself. They get row indices and the `source` from which the functions made here read: dense rows
are copied and converted into the batch, sparse rows are read in place by the first layer.
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

__all__ = ["DenseRows", "Rows", "SparseRows", "as_rows", "check_before_conversion", "check_csr"]

# rows converted at a time for prediction
_CHUNK = 16384

# rows between prefetching one and copying it
_AHEAD = 8


class Rows(namedtuple("Rows", "X indices")):
    """Rows of a dense matrix, by their indices, which are copied only when needed."""

    @property
    def shape(self):
        return len(self.indices), self.X.shape[1]

    def copied(self):
        """The rows as a new matrix."""
        return self.X[self.indices]


@cache
def _loader(kind, drops):
    """The function that copies rows of a C-ordered matrix of type `kind`, with dropout if `drops`."""
    numbers_at = array_at(kind)
    line = 64 // kind.itemsize

    def load(source, rows, x, rate, key):
        n_rows, n_in = x.shape
        X = matrix_at(numbers_at(source[0], source[1] * n_in), 0, source[1], n_in)
        for i in range(n_rows):
            row = rows[i]
            # rows come in random order, which the processor cannot predict: prefetch one some rows ahead
            ahead = rows[min(i + _AHEAD, n_rows - 1)]
            for j in range(0, n_in, line):
                prefetch(X, ahead, j)
            for j in range(n_in):
                x[i, j] = X[row, j]
        if drops:
            drop_inputs(x, rows, rate, key)

    return made_here(load, f"load_{kind}{'_drops' * drops}")


class DenseRows:
    """Rows of a dense matrix.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), any numeric type, or Rows of one for prediction
        Copied at once if it is not in C order.
    dtype : dtype
        The network's.

    Attributes
    ----------
    n_loaded : int
        Columns of the matrix that the rows of a batch are copied to.
    source : ndarray of int64
        Address and length of X, for the loader.
    is_reusable : bool
        Whether the first layer is the same for any X of this class.
    """

    is_reusable = True

    def __init__(self, X, dtype):
        X, self._rows = X if isinstance(X, Rows) else (X, None)
        self._X, self._dtype = np.ascontiguousarray(X), np.dtype(dtype)
        self.n_loaded = X.shape[1]
        self.source = np.array([address(self._X), len(X)], np.int64)

    def loader(self, rate):
        """Address of the function that copies rows, with the dropout rate `rate`."""
        return compiled("load", _loader(self._X.dtype, rate > 0), self._dtype).address

    def first_layer(self, n_in, n_out, weights, rate):
        """The spec of the first layer; the loader has already applied dropout to the inputs."""
        return dense_spec(n_in, n_out, weights)

    def chunks(self):
        """Yield chunks of X in the network's dtype: the output slice, the rows, and no row indices."""
        none = np.zeros(0, np.int64)
        if self._X.dtype == self._dtype and self._rows is None:
            yield slice(None), self._X, none
            return
        for place in gen_batches(len(self._X if self._rows is None else self._rows), _CHUNK):
            rows = place if self._rows is None else self._rows[place]
            yield place, self._X[rows].astype(self._dtype, copy=False), none


class SparseRows:
    """Rows of a sparse matrix in CSR format, which the first layer reads in place.

    Parameters
    ----------
    X : sparse matrix or array in CSR format, of any numeric type
    dtype : dtype
        The network's.

    Attributes
    ----------
    n_loaded, source, is_reusable
        As for :class:`DenseRows`; nothing is copied, and the first layer reads this very matrix.
    """

    is_reusable = False
    n_loaded = 0
    source = np.zeros(1, np.int64)

    def __init__(self, X, dtype):
        self._n_rows = X.shape[0]
        self._data, self._dtype = np.ascontiguousarray(X.data), np.dtype(dtype)
        index = np.promote_types(X.indices.dtype, X.indptr.dtype)
        self._indices, self._indptr = np.ascontiguousarray(X.indices, index), np.ascontiguousarray(X.indptr, index)

    def loader(self, rate):
        """0, for no address: there is nothing to copy."""
        return 0

    def first_layer(self, n_in, n_out, weights, rate):
        """The spec of the first layer, which applies dropout to the entries."""
        addresses = map(address, (self._data, self._indices, self._indptr))
        csr = (self._indices.dtype, self._data.dtype, *addresses, self._n_rows, len(self._data))
        return sparse_dense_spec(n_in, n_out, weights, csr, rate)

    def chunks(self):
        """Yield all rows at once: where they go, an empty matrix, and the row indices."""
        yield slice(None), np.empty((self._n_rows, 0), self._dtype), np.arange(self._n_rows)


def check_before_conversion(X, name="X"):
    """Raise ValueError if a sparse X, not yet in CSR format, has invalid indices, which SciPy's conversion trusts.

    Parameters
    ----------
    X : sparse matrix, or anything else, which is not checked
    name : str
        Name of the argument for the message.
    """
    if sparse.issparse(X) and X.format in ("csc", "bsr"):
        _check_compressed(X, name)
    elif sparse.issparse(X) and X.format == "coo":
        _valid(lambda: type(X)((X.data, (X.row, X.col)), shape=X.shape), name)
    elif sparse.issparse(X) and X.format == "lil" and [*map(len, X.rows)] != [*map(len, X.data)]:
        raise ValueError(f"{name} is not a valid sparse matrix: the lengths of rows and data differ.")


def check_csr(X, name="X"):
    """Raise ValueError if a CSR matrix has invalid indices or inconsistent arrays, which the kernels trust."""
    if sparse.issparse(X):
        _check_compressed(X, name)


def _check_compressed(X, name):
    if X.indices.dtype.kind != "i" or X.indptr.dtype.kind != "i":
        raise ValueError(f"{name} is not a valid sparse matrix: indices and indptr must be integers.")
    if np.any(X.indptr[1:] < X.indptr[:-1]):  # SciPy does not check this if the last entry is 0
        raise ValueError(f"{name} is not a valid sparse matrix: indptr must not decrease.")
    # a new object over the same arrays, which SciPy checks
    _valid(lambda: type(X)((X.data, X.indices, X.indptr), shape=X.shape).check_format(full_check=True), name)


def _valid(check, name):
    try:
        check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not a valid sparse matrix: {error}.") from None


def as_rows(X, dtype):
    """DenseRows or SparseRows for X, dense or in CSR format."""
    return (SparseRows if sparse.issparse(X) else DenseRows)(X, dtype)
