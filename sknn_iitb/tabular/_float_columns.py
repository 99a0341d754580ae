"""What the transformers of numeric columns share."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.rollback import unchanged_on_error
from sknn_iitb._engine.saving import SavedStateMixin
from sknn_iitb._engine.times import refuse_times
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.tabular._columns import as_numpy, rows_with_weight

__all__ = ["FloatTransformer", "quantiles"]


class FloatTransformer(SavedStateMixin, TransformerMixin, BaseEstimator):
    """Base class of transformers of numeric columns, which keep float32 and pass NaN through."""

    def _checked(self, X: MatrixLike, **options: Any) -> Array:
        """Validate X as a float matrix."""
        with naming("X"):
            X = as_numpy(X)
            refuse_times(X)
            return validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", **options)

    def _known(self, X: MatrixLike, sample_weight: ArrayLike | None) -> Iterator[tuple[Array, Array]]:
        """The known numbers of each column, and their weights, which are not zero."""
        with unchanged_on_error(self):
            X = self._checked(X)
            rows, weight = rows_with_weight(len(X), sample_weight)
        for x in X.T:
            known = ~np.isnan(x[rows])
            yield x[rows][known], weight[known]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def quantiles(x: Array, weight: Array, probabilities: ArrayLike) -> Array:
    """Weighted quantiles: the inverse of the empirical distribution function, averaged at its steps.

    Integer weights give the quantiles of the repeated numbers, and the scale of the weights does not matter. Without
    weights, they equal those of NumPy's method "averaged_inverted_cdf", which is not used because it overflows for the
    largest numbers and rounds in float32.
    """
    last = len(x) - 1
    if np.all(weight == weight[0]):  # a partial sort is enough
        positions = np.asarray(probabilities) * len(x)
        low, high = np.ceil(positions).astype(int) - 1, np.floor(positions).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, last)
        x = np.partition(x, np.union1d(low, high)) if low.size else x
    else:
        order = np.argsort(x, kind="stable")
        x, cumulative = x[order], np.cumsum(weight[order])
        positions = np.asarray(probabilities) * cumulative[-1]
        low, high = (np.minimum(np.searchsorted(cumulative, positions, side), last) for side in ("left", "right"))
    return np.where(low == high, x[low], x[low] / 2 + x[high] / 2)
