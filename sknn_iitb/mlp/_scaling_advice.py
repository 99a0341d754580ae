"""Advice on the most common reason why a network does not learn: columns of X or y far from unit scale."""

import math

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

__all__ = ["advice", "excess"]

# Initial weights and step sizes suit values of about 1. Default networks were trained on standardized real data sets,
# scaled by a factor or shifted by an offset. At 10, R2 falls from 0.94 to 0.86 with the factor and to 0.64 with an
# offset of one column; beyond 30, it collapses. For y, an offset between 3 and 10 is enough.
_LARGE = 10.0

# A column that varies by less hardly affects the network. The limit is just under one of an image's 256 levels: pixels
# divided by 255 pass, even those that are almost always 0.
_SMALL = 1 / 256
_NOTHING = 20 * np.finfo(float).eps  # from -10 to 10 eps, which scikit-learn's scalers treat as zero

_NUMBERS_AT_A_TIME = 2**18
_N_NAMED = 3


def advice(X, y=None, feature_names=None, transformable=True):
    """Say which columns are too large or too small for a network to learn from, and what to do about it.

    A column is too large if its root mean square, including any offset, exceeds 10. It is too small if it varies by
    less than 1/256. The output of `StandardScaler`, `MinMaxScaler`, `OneHotEncoder` and the like is far from both
    limits, even for rare categories.

    Parameters
    ----------
    X : ndarray or sparse matrix or array (CSR or CSC), of shape (n_samples, n_features)
        Finite numbers. Read in chunks, without copying it as a whole or making it dense.
    y : ndarray of shape (n_samples, n_outputs), default=None
        Regression targets that may be scaled; None for class labels, or if the scale of y matters.
    feature_names : sequence of str, default=None
        Names of the columns of X.
    transformable : bool, default=True
        Whether `TransformedTargetRegressor` supports all predictions.

    Returns
    -------
    advice : str
        Empty if the scales are fine.

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
            else "Scale it before fit, and invert the scaling of predictions"
        )
        found.append(f"y is badly scaled: {columns}. {remedy}.")
    return " ".join(found)


def excess(X):
    """How many times each column is beyond the limits of :func:`advice`; a constant column is not too small."""
    return _excess(X.shape[0], *_sizes(X))


def _excess(n_samples, square, low, high):
    spread = high - low
    return np.maximum(np.sqrt(square / n_samples) / _LARGE, _SMALL / np.where(spread > _NOTHING, spread, np.inf))


def _badly_scaled(X, names):
    """Name the worst columns, or return ''."""
    square, low, high = _sizes(X)
    beyond = _excess(X.shape[0], square, low, high)
    bad = np.flatnonzero(beyond > 1)
    if not len(bad):
        return ""
    worst = bad[np.argsort(-beyond[bad], kind="stable")][:_N_NAMED]
    named = [f"{i if names is None else repr(str(names[i]))} {_interval(float(low[i]), float(high[i]))}" for i in worst]
    more = [f"{len(bad) - _N_NAMED} more"] if len(bad) > _N_NAMED else []
    *others, last = named + more
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"{'columns' if others else 'column'} {listed}"


def _interval(low, high):
    """Both ends, with enough digits to tell them apart."""
    size, spread = max(abs(low), abs(high)), high - low
    digits = min(17, max(4, 2 + math.ceil(math.log10(size / spread)))) if 0 < spread < np.inf else 4
    return f"(from {low:.{digits}g} to {high:.{digits}g})"


def _sizes(X):
    """Sum of squares, minimum and maximum of each column."""
    if sparse.issparse(X):
        return _sizes_of_sparse(X)
    square, low, high = np.zeros(X.shape[1]), np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for rows in gen_batches(len(X), max(1, _NUMBERS_AT_A_TIME // X.shape[1])):
        chunk = X[rows].astype(np.float64, copy=False)
        with np.errstate(over="ignore"):  # infinity counts as large
            square += np.einsum("ij,ij->j", chunk, chunk)
        low, high = np.minimum(low, chunk.min(axis=0)), np.maximum(high, chunk.max(axis=0))
    return square, low, high


def _sizes_of_sparse(X):
    """The same from the stored entries, as if each column also had a zero; duplicates count separately."""
    n_columns = X.shape[1]
    square, low, high = np.zeros(n_columns), np.zeros(n_columns), np.zeros(n_columns)
    for chunk in gen_batches(X.nnz, _NUMBERS_AT_A_TIME) if X.nnz else ():
        value = X.data[chunk].astype(np.float64, copy=False)
        if X.format == "csr":
            column = X.indices[chunk]
        else:
            column = np.searchsorted(X.indptr, np.arange(chunk.start, chunk.stop), side="right") - 1
        with np.errstate(over="ignore"):
            square += np.bincount(column, value * value, n_columns)
        np.minimum.at(low, column, value)
        np.maximum.at(high, column, value)
    return square, low, high
