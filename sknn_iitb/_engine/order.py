"""The order in which an epoch visits the rows."""

import numpy as np

from sknn_iitb._engine.plain import kind, random_state

__all__ = ["RowOrder"]

_MOST_EPOCHS = 100


@kind("RowOrder")
class RowOrder:
    """The order of the rows in an epoch: that of the epoch before, shuffled, as in scikit-learn.

    An order takes 8 bytes for each row. In a file it is the state of the random numbers before the first epoch, from
    which the later orders follow if nothing else draws from them meanwhile; if anything does, training continues with a
    new order. Repeating the shuffles takes about a hundredth of the time of the epochs, and is only done when training
    continues. To keep it shorter than an epoch, an order of 100 epochs ends when training pauses.

    Parameters
    ----------
    n_rows : int
    first : dict
        The state of the random numbers before the first epoch.
    n_epochs : int, default=0
        The number of epochs so far.
    """

    def __init__(self, n_rows, first, n_epochs=0):
        self.n_rows, self._first, self._n_epochs = n_rows, first, n_epochs
        self._rows = None  # until they are needed: the number may be that of a hostile file
        self._paused = None  # the random numbers when training paused

    @classmethod
    def before(cls, n_rows, rng):
        """That before the first epoch."""
        return cls(n_rows, rng.get_state(legacy=False))

    @classmethod
    def from_fields(cls, n_rows, first, n_epochs):
        """The inverse of `fields`."""
        if not (type(n_rows) is type(n_epochs) is int and n_rows > 0 and n_epochs >= 0):
            raise ValueError("they are not numbers of rows and of epochs")
        random_state(first)
        return cls(n_rows, first, n_epochs)

    def fields(self):
        """What makes an equal order."""
        return {"n_rows": self.n_rows, "first": self._first, "n_epochs": self._n_epochs}

    def continues(self, n_rows, rng):
        """Whether the next order follows from this one: for as many rows, if nothing else has drawn from `rng`."""
        if n_rows != self.n_rows:
            return False
        if self._rows is None:
            rows, earlier = np.arange(n_rows, dtype=np.int64), random_state(self._first)
            for _ in range(self._n_epochs):
                earlier.shuffle(rows)
            self.pause(earlier)
            self._rows = rows
        # not in each epoch, because it takes as long as one of few rows
        return self._paused is None or _equal(self._paused, rng.get_state(legacy=False))

    def shuffle(self, rng):
        """The rows in the order of the next epoch, which `rng` draws."""
        self._paused = None
        if self._rows is None:
            self._rows = np.arange(self.n_rows, dtype=np.int64)
        rng.shuffle(self._rows)
        self._n_epochs += 1
        return self._rows

    @property
    def is_long(self):
        """Whether repeating its shuffles would take about as long as an epoch."""
        return self._n_epochs >= _MOST_EPOCHS

    def pause(self, rng):
        """Training pauses, and others may draw from `rng`, which the user may have passed to several networks."""
        self._paused = rng.get_state(legacy=False)

    def copy(self):
        """A copy that shares nothing that training changes."""
        other = RowOrder(**self.fields())
        other._rows, other._paused = None if self._rows is None else self._rows.copy(), self._paused
        return other


def _equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return np.array_equal(a, b)
