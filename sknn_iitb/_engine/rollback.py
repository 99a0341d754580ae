"""Rollback of an estimator after an error."""

from contextlib import contextmanager

__all__ = ["unchanged_on_error"]


@contextmanager
def unchanged_on_error(estimator, arrays=(), **copies):
    """Restore an estimator if the body raises.

    Parameters
    ----------
    estimator : object
    arrays : sequence of ndarray
        Arrays that the body changes in place.
    **copies : object
        Attributes to restore from a copy, because the body changes the object.
    """
    before, saved = {**vars(estimator), **copies}, [array.copy() for array in arrays]
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        for array, values in zip(arrays, saved, strict=True):
            array[...] = values
        raise
