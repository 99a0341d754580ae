"""Which columns of a table are categorical."""

from collections.abc import Iterable
from numbers import Integral

import numpy as np

from sknn_iitb._engine.naming import naming

__all__ = ["categorical_mask"]


def categorical_mask(selected, columns):
    """Whether each column is categorical.

    Parameters
    ----------
    selected : 'from_dtype', array-like or None
        The parameter `categorical_features`.
    columns : list of Column

    Returns
    -------
    mask : ndarray of bool of shape (n_columns,)

    Raises
    ------
    ValueError
        If it selects a column that is not there, or is not a selection.
    """
    if selected is None:
        return np.zeros(len(columns), bool)
    if isinstance(selected, str):
        if selected != "from_dtype":
            raise ValueError(f"categorical_features must be 'from_dtype' or a list of columns, got {selected!r}.")
        return np.array([column.is_categorical for column in columns])
    with naming("categorical_features"):
        return _selected(selected, columns)


def _selected(selected, columns):
    """Whether each column is among those selected by name, index or mask."""
    if not isinstance(selected, Iterable) or isinstance(selected, dict) or getattr(selected, "ndim", 1) != 1:
        raise ValueError(f"categorical_features must be 'from_dtype' or a list of columns, got {selected!r}.")
    # not as an array, which would convert names with indices to text, and tuples to a matrix
    items = selected.tolist() if hasattr(selected, "tolist") else [*selected]
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        if len(items) != len(columns):
            raise ValueError(
                f"categorical_features must have {len(columns)} entries if it is a mask, got {selected!r}."
            )
        return np.array(items)
    names = [column.name for column in columns]
    mask = np.zeros(len(columns), bool)
    for item in items:
        if isinstance(item, bool | np.bool_):
            raise ValueError(f"categorical_features must be a mask, or names and indices, got {selected!r}.")
        if item in names:
            mask[names.index(item)] = True
        elif isinstance(item, Integral) and -len(columns) <= item < len(columns):
            mask[item] = True
        else:
            raise ValueError(
                f"categorical_features contains {item!r}, which is not a column of X. The columns are {names}."
            )
    return mask
