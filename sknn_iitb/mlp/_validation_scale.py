"""A warning if the validation set is on another scale than the training samples."""

import numpy as np
from scipy import sparse

from sknn_iitb._engine.user_warnings import warn

__all__ = ["warn_of_another_scale"]

# Limits of the medians over the columns of two numbers: the difference between the medians of X and X_val in
# interquartile ranges of X, and the factor between these ranges. Between random parts, parts in the order of time, and
# classes of scikit-learn's data sets, of log-normal and Cauchy numbers and of random walks, they are at most 1.5 and 4,
# except for the medians of the classes of iris. Between scaled and raw columns, one of them is beyond the limits unless
# the raw columns are nearly of unit scale.
_SHIFT, _RATIO = 5.0, 6.0
# Limit of that difference for a single column, in the smaller of its two ranges: one column may be large among others
# of unit scale.
_LARGEST_SHIFT = 50.0

# with fewer, quartiles are too uncertain; with more, they would take long
_MIN_ROWS, _MAX_ROWS = 20, 1000


def warn_of_another_scale(X, X_val):
    """Warn if the typical column of a validation set has another location or spread than that of X.

    Quartiles are those of up to 1,000 rows. Columns whose quartiles coincide, such as indicators, do not count, and
    neither do sparse matrices and sets of fewer than 20 rows.

    Parameters
    ----------
    X, X_val : ndarray of shape (n_samples, n_features)
    """
    if sparse.issparse(X) or sparse.issparse(X_val) or min(len(X), len(X_val)) < _MIN_ROWS:
        return
    (low, middle, high), (low_val, middle_val, high_val) = _quartiles(X), _quartiles(X_val)
    with np.errstate(over="ignore"):
        spread, spread_val = high - low, high_val - low_val
        varies = (spread > 0) & (spread_val > 0) & np.isfinite(spread) & np.isfinite(spread_val)
        if not varies.any():
            return
        shifts = abs(middle_val - middle)[varies]
        shift = np.median(shifts / spread[varies])
        largest = np.max(shifts / np.minimum(spread, spread_val)[varies])
        ratio = np.exp(np.median(abs(np.log(spread_val[varies]) - np.log(spread[varies]))))
    if shift > _SHIFT or ratio > _RATIO or largest > _LARGEST_SHIFT:
        warn(
            f"X_val is on another scale than X: the spread of its typical column differs by a factor of {ratio:.2g}, "
            f"and its median by {shift:.2g} interquartile ranges of X; that of one column by {largest:.2g}. Transform "
            "X_val like X. A Pipeline does so only with transform_input=['X_val']."
        )


def _quartiles(X):
    rows = X[:: -(-len(X) // _MAX_ROWS)].astype(np.float64, copy=False)
    return np.quantile(rows, [0.25, 0.5, 0.75], axis=0, method="nearest")  # interpolation may overflow
