"""Training on samples in partitions, of which only a few are in memory at a time."""

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from sklearn.utils.validation import _num_samples

from sknn_iitb._engine.samples import Samples, stacked
from sknn_iitb._engine.source import ahead, locating
from sknn_iitb._engine.validation import hold_out

__all__ = ["PartitionedSamples"]


class PartitionedSamples:
    """Samples in partitions, with the interface of :class:`~sknn_iitb._engine.samples.Samples`.

    Parameters
    ----------
    source : PartitionReader
    encode : callable
        ``encode(X, y, sample_weight)`` returns the Samples of a partition that have a weight.
    n_rows : list of int
        The number of rows of each partition, those without a weight included.
    n_samples : int
        The number of samples with a weight.
    mean_weight : float
        Their mean weight.
    head : Samples
        The first samples, which stand for all where a few are enough.
    """

    def __init__(self, source, encode, n_rows, n_samples, mean_weight, head):
        self._source, self._encode, self._n_rows = source, encode, n_rows
        self.n_samples, self.mean_weight, self._head = n_samples, mean_weight, head
        self.X, self.Y, self.y = head.X, head.Y, head.y
        self.n_partitions = sum(n > 0 for n in n_rows)

    def read(self, order=None):
        """An iterator over the numbers and Samples of all partitions that have samples."""
        return ahead(self._read(order))

    def _read(self, order):
        n_read = 0
        for number, X, y, sample_weight in self._source.read(order):
            expected, found = self._n_rows[number] if number < len(self._n_rows) else 0, _num_samples(X)
            if found != expected:
                raise ValueError(
                    f"source has changed: partition {number} has {found} rows, and had {expected} when it was first "
                    "read."
                )
            n_read += found
            if found and (sample_weight is None or np.any(sample_weight)):
                with locating(number):
                    samples = self._encode(X, y, sample_weight)
                del X, y, sample_weight  # not kept in memory while the next partition is read
                if len(samples.Y):
                    yield number, samples
        if n_read != sum(self._n_rows):
            raise ValueError(
                f"source has changed: it yielded {n_read} rows, and {sum(self._n_rows)} when it was first read. It "
                "must yield the same partitions each time."
            )

    def order(self, rng):
        """A random order of the partitions, if they can be read in any."""
        order = np.flatnonzero(self._n_rows)  # a single one that is not empty takes no random numbers, as in fit
        rng.shuffle(order)
        return order

    def hold_out(self, fraction, targets, rng):
        """Choose the samples that are held out, from each partition; return the split and these samples."""
        if hasattr(fraction, "split"):
            raise ValueError(f"fit_batches requires a number as validation_fraction, got {fraction!r}; or pass X_val.")
        has_several = self.n_partitions > 1
        split, held_out = _Split(fraction, rng.randint(2**31 - 1) if has_several else 0), []
        for number, samples in self.read():
            if not has_several:
                split.known[number] = hold_out(fraction, targets, samples, rng)
            rows, others = split.rows(number, len(samples.Y))
            split.n_samples += len(rows)
            held_out.append(samples.take(others))
        held_out = _joined(held_out)
        if split.n_samples < 1 or len(held_out.Y) < 2:
            raise ValueError(
                f"validation_fraction={fraction!r} leaves {split.n_samples} training samples (at least 1 is required) "
                f"and {len(held_out.Y)} validation samples (at least 2 are required)."
            )
        return split, held_out

    def widened(self, loss):
        """With a column of Y for each output that the loss needs."""

        def encode(X, y, sample_weight):
            samples = self._encode(X, y, sample_weight)
            return samples._replace(Y=loss.widen(samples.Y))

        head = self._head._replace(Y=loss.widen(self._head.Y))
        return PartitionedSamples(self._source, encode, self._n_rows, self.n_samples, self.mean_weight, head)

    def objective(self, network, build, split):
        """The objective of a network on the samples that are not held out."""
        return _PartitionedObjective(self, network, build, split)

    def digest(self):
        """A number that tells these samples from others: that of the first ones, and the sizes of the partitions."""
        return self._head.digest(repr(self._n_rows).encode())


@dataclass
class _Split:
    """Which rows of the partitions are held out: a function of their numbers, because indices would take memory."""

    fraction: float
    seed: int
    known: dict = field(default_factory=dict)  # the split of a single partition, which is that of fit
    n_samples: int = 0

    def __len__(self):
        return self.n_samples

    def rows(self, number, n_rows):
        """The row indices of the training samples of a partition, and of the others."""
        if number in self.known:
            return self.known[number]
        rng = np.random.RandomState([self.seed, number])
        n_held_out = int(self.fraction * n_rows + rng.uniform())  # so that small partitions contribute their share
        order = rng.permutation(n_rows)
        return order[n_held_out:], order[:n_held_out]


class _PartitionedObjective:
    """The objective on samples in partitions, for training by a first-order optimizer.

    Parameters
    ----------
    samples : PartitionedSamples
    network : Network
    build : callable
        ``build(samples, rows=None, mean_weight=None)`` returns the objective on some samples in memory.
    split : _Split or None
        The samples that are held out.
    """

    def __init__(self, samples, network, build, split):
        self.network, self.dtype = network, samples.Y.dtype
        self._samples, self._build, self._split = samples, build, split
        self.n_samples = samples.n_samples if split is None else len(split)
        self._position, self._current, self._is_interrupted = 0, None, False
        # a single partition is trained on as by fit, with its own mean
        self._weighting = {"mean_weight": samples.mean_weight} if samples.n_partitions > 1 else {}

    def begin(self, state, config):
        """Nothing to prepare: each partition has its own objective."""

    def progress(self):
        """Words for how much of the epoch is done."""
        return [f"partition {self._position} of {self._samples.n_partitions}"]

    def interrupt(self):
        """From any thread, make training raise KeyboardInterrupt before its next step."""
        self._is_interrupted = True
        if self._current is not None:
            self._current.interrupt()

    def first(self):
        """The objective on the first partition that is not held out as a whole, for a trial."""
        with closing(self._samples.read()) as partitions:
            for number, samples in partitions:
                rows = self._rows(number, samples)
                if rows is None or len(rows):
                    break
        return self._build(samples, rows=rows, **self._weighting)

    def parts(self, state, config):
        """Yield objectives that are in memory, with the rows to train on; all batches but the last are full.

        Rows of a partition that do not fill a batch are joined with those of the next.
        """
        size, left = config.batch_size, None
        if self._samples.n_partitions > 1:
            state.order = None  # the order of the partitions is drawn from the same random numbers
        partitions = self._samples.read(self._samples.order(state.rng) if config.shuffle else None)
        with closing(partitions):
            for self._position, (number, samples) in enumerate(partitions, 1):
                order, rows = self._order(number, samples, state, config)
                is_last = self._position == self._samples.n_partitions
                if left is not None:
                    missing = size - len(left.Y)
                    left, order = _joined([left, samples.take(order[:missing])]), order[missing:]
                    if len(left.Y) == size or is_last:
                        yield self._begun(left, None, state, config), np.arange(len(left.Y))
                        left = None
                n_over = 0 if is_last else len(order) % size
                if n_over:
                    left, order = samples.take(order[-n_over:]), order[:-n_over]
                if len(order):
                    yield self._begun(samples, rows, state, config), order
        if left is not None:  # the last partition has no samples with a weight
            yield self._begun(left, None, state, config), np.arange(len(left.Y))

    def _rows(self, number, samples):
        return None if self._split is None else self._split.rows(number, len(samples.Y))[0]

    def _order(self, number, samples, state, config):
        """The rows of a partition in the order of training, and those that are not held out, None for all."""
        rows = self._rows(number, samples)
        n = len(samples.Y if rows is None else rows)
        order = state.next_order(n) if config.shuffle else np.arange(n)
        return (order if rows is None else rows[order]), rows

    def _begun(self, samples, rows, state, config):
        self._current = objective = self._build(samples, rows=rows, **self._weighting)
        objective.begin(state, config)
        if self._is_interrupted:
            objective.interrupt()
        return objective


def _joined(parts):
    """The samples of several parts as one."""
    return Samples(*(stacked(arrays) for arrays in zip(*parts, strict=True)))
