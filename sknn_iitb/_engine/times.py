"""Dates, times and durations in the data, which NumPy would convert to numbers of a unit that nobody has chosen."""

import re

import numpy as np

__all__ = ["TIME_TYPES", "refuse_times"]

# the beginnings of the lower-case type names of NumPy, pandas, polars and Arrow
TIME_TYPES = r"date|time|duration|period|month_day"
_ADVICE = "such as days since a date or the hour of the day"


def refuse_times(data, name="X"):
    """Raise ValueError if an array, or a column of a frame, has dates, times or durations.

    Parameters
    ----------
    data : frame, array-like or sparse matrix
        Of a list, only the first row is examined.
    name : str
        Name of the argument for the message.
    """
    if isinstance(data, list | tuple):
        data = np.asarray(data[:1])
    if _is_time(getattr(data, "dtype", None)) or (isinstance(data, np.ndarray) and _has_time_objects(data)):
        raise ValueError(f"{name} contains dates or times. Convert them to numbers, {_ADVICE}.")
    if hasattr(data, "columns") and hasattr(data, "dtypes"):
        columns = zip(data.columns, data.dtypes, strict=True)
    elif hasattr(data, "column_names") and hasattr(data, "schema"):
        columns = zip(data.column_names, data.schema.types, strict=True)
    else:
        return
    for column, dtype in columns:
        if _is_time(dtype):
            raise ValueError(f"Column {column!r} of {name} contains dates or times. Convert it to numbers, {_ADVICE}.")


def _is_time(dtype):
    return getattr(dtype, "kind", "O") in "OmM" and bool(re.match(TIME_TYPES, str(dtype).lower()))


def _has_time_objects(array):
    # those of other libraries cannot be converted to float
    return array.dtype == object and any(isinstance(value, np.datetime64 | np.timedelta64) for value in array.flat)
