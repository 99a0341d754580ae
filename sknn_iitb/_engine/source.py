"""A source of partitions: reading it, partition by partition, in a thread beside the training."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils.validation import _num_samples

__all__ = ["PartitionReader", "Source", "ahead", "checked_epochs", "locating"]

# partitions (X, y) or (X, y, sample_weight), or a function that returns an iterator over them
Source = Iterable[tuple[Any, ...]] | Callable[[], Iterable[tuple[Any, ...]]]

_END = object()


class PartitionReader:
    """Samples in partitions that are read again for each epoch.

    Parameters
    ----------
    source : sequence, callable or iterable
        A sequence of partitions, which can be read in any order; a function without parameters that returns an iterator
        over them; or another object that can be iterated over repeatedly. A partition is a tuple ``(X, y)`` or
        ``(X, y, sample_weight)``.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or can be read only once.
    """

    def __init__(self, source):
        if not callable(source) and (not isinstance(source, Iterable) or hasattr(source, "shape")):
            raise TypeError(
                "source must be a sequence of partitions (X, y), a function that returns an iterator over them, or "
                f"another object that can be iterated over repeatedly; got {type(source)}."
            )
        if not callable(source) and iter(source) is source:
            raise ValueError(
                f"source={source!r} can be read only once, but is needed for each epoch. Pass the function that "
                "creates it, without calling it."
            )
        self._source = source
        self._is_sequence = hasattr(source, "__len__") and hasattr(source, "__getitem__")

    def read(self, order=None):
        """Yield the number, X, y and the sample weights or None of each partition; `order` applies to a sequence."""
        if self._is_sequence:
            for number in range(len(self._source)) if order is None else order:
                yield number, *_unpacked(self._source[int(number)], number)
        else:
            for number, partition in enumerate(self._called() if callable(self._source) else self._source):
                yield number, *map(_own, _unpacked(partition, number))

    def _called(self):
        partitions = self._source()
        if not isinstance(partitions, Iterable):
            raise TypeError(f"source={self._source!r} must return an iterator over partitions, got {partitions!r}.")
        return partitions


def _own(values):
    """A copy of an array that a generator may fill again while this partition is used for training."""
    is_reusable = isinstance(values, np.ndarray) and values.flags.writeable
    return values.copy(order="K") if is_reusable else values


def checked_epochs(epochs):
    """The number of epochs, or None.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, Integral) or epochs < 1):
        raise ValueError(f"epochs must be an integer of at least 1 or None, got {epochs!r}.")
    return epochs


def _unpacked(partition, number):
    if not isinstance(partition, (tuple, list)) or len(partition) not in (2, 3):
        got = f"{len(partition)} items" if isinstance(partition, (tuple, list)) else str(type(partition))
        raise TypeError(f"source must yield tuples (X, y) or (X, y, sample_weight); partition {number} is {got}.")
    X, y, sample_weight = (*partition, None)[:3]
    if y is None:
        raise ValueError(f"source, partition {number}: y is None.")
    with locating(number):
        _num_samples(X)
    return X, y, sample_weight


@contextmanager
def locating(number, what="source, partition"):
    """Within this context, errors of the validation of a partition say which one it is."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what} {number}: {error}") from error


def ahead(iterator):
    """Yield the items of an iterator, the next of which a thread computes meanwhile."""
    pool, config = ThreadPoolExecutor(1), get_config()

    def step():
        with config_context(**config):  # which scikit-learn keeps for each thread
            return next(iterator, _END)

    try:
        future = pool.submit(step)
        while (item := future.result()) is not _END:
            future = pool.submit(step)
            yield item
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C, do not wait for a slow source
