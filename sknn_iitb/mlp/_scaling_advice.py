"""The commonest reason why a network does not learn: columns of X, or y, that are far from size 1."""

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

__all__ = ["advice"]

# Weights are drawn, and steps are sized, for numbers of about 1. Default nets were trained on standardised real tables
# times a factor or plus an offset. At 10 R2 falls, from 0.94 to 0.86 by the factor and to 0.64 by an offset of one
# column, and beyond 30 it collapses; for y it is the offset that does it, between 3 and 10.
_LARGE = 10.0

# A column that varies by this little might as well not be there. It is just under one of a picture's 256 levels, so
# that pixels divided by 255 pass, those too that are almost always 0.
_SMALL = 1 / 256
_NOTHING = 20 * np.finfo(float).eps  # from -10 to 10 eps: scikit-learn's scalers take that for zero

_NUMBERS_AT_A_TIME = 2**18
_N_NAMED = 3


def advice(X, y=None, feature_names=None, transformable=True):
    """Say which columns are too large or too small for a network to learn from, and what to do about it.

    A column is too large if its root mean square is over 10: an offset counts. It is too small if it varies by less
    than 1/256. Both are far from what `StandardScaler`, `MinMaxScaler`, `OneHotEncoder` and the like give, rare
    categories included.

    Parameters
    ----------
    X : ndarray or sparse matrix or array (CSR or CSC), of shape (n_samples, n_features)
        Finite numbers. Read piece by piece, and neither copied whole nor made dense.
    y : ndarray of shape (n_samples, n_outputs), default=None
        Numbers to be learned, where they may be scaled; None for class labels, or where their size has a meaning.
    feature_names : sequence of str, default=None
        To name the columns of X by.
    transformable : bool, default=True
        Whether `TransformedTargetRegressor` can give back all that the net predicts.

    Returns
    -------
    advice : str
        Empty if nothing is wrong with the scales.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_iitb.mlp._scaling_advice import advice
    >>> X = np.array([[0.1, 1950.0], [0.2, 1999.0]])
    >>> advice(X, feature_names=["share", "year"])
    "X is badly scaled: column 'year' (from 1950 to 1999). Use make_pipeline(StandardScaler(), net)."
    >>> advice(X / [1, 2000])
    ''
    """
    found = []
    if columns := _badly_scaled(X, feature_names):
        scaler = "MaxAbsScaler" if sparse.issparse(X) else "StandardScaler"
        found.append(f"X is badly scaled: {columns}. Use make_pipeline({scaler}(), net).")
    if y is not None and (columns := _badly_scaled(y, None)):
        remedy = (
            "Use TransformedTargetRegressor(net, transformer=StandardScaler())"
            if transformable
            else "Scale it before fit, and what predict gives back after"
        )
        found.append(f"y is badly scaled: {columns}. {remedy}.")
    return " ".join(found)


def _badly_scaled(X, names):
    """The worst columns in words, or ''."""
    square, low, high = _sizes_of_sparse(X) if sparse.issparse(X) else _sizes(X)
    spread = high - low
    # how many times beyond the limits; what does not vary at all does no harm by that
    excess = np.maximum(np.sqrt(square / X.shape[0]) / _LARGE, _SMALL / np.where(spread > _NOTHING, spread, np.inf))
    bad = np.flatnonzero(excess > 1)
    if not len(bad):
        return ""
    worst = bad[np.argsort(-excess[bad], kind="stable")][:_N_NAMED]
    named = [f"{i if names is None else repr(str(names[i]))} (from {low[i]:.4g} to {high[i]:.4g})" for i in worst]
    more = [f"{len(bad) - _N_NAMED} more"] if len(bad) > _N_NAMED else []
    *others, last = named + more
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"{'columns' if others else 'column'} {listed}"


def _sizes(X):
    """Sum of squares, minimum and maximum of each column."""
    square, low, high = np.zeros(X.shape[1]), np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for rows in gen_batches(len(X), max(1, _NUMBERS_AT_A_TIME // X.shape[1])):
        piece = X[rows].astype(np.float64, copy=False)
        with np.errstate(over="ignore"):  # infinite is large
            square += np.einsum("ij,ij->j", piece, piece)
        low, high = np.minimum(low, piece.min(axis=0)), np.maximum(high, piece.max(axis=0))
    return square, low, high


def _sizes_of_sparse(X):
    """The same from the stored entries, as if each column had a zero too; duplicates count one by one."""
    n_columns = X.shape[1]
    square, low, high = np.zeros(n_columns), np.zeros(n_columns), np.zeros(n_columns)
    for piece in gen_batches(X.nnz, _NUMBERS_AT_A_TIME) if X.nnz else ():
        value = X.data[piece].astype(np.float64, copy=False)
        if X.format == "csr":
            column = X.indices[piece]
        else:
            column = np.searchsorted(X.indptr, np.arange(piece.start, piece.stop), side="right") - 1
        with np.errstate(over="ignore"):
            square += np.bincount(column, value * value, n_columns)
        np.minimum.at(low, column, value)
        np.maximum.at(high, column, value)
    return square, low, high
