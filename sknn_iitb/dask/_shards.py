"""What the workers do: summarize partitions, keep them as the samples of a network, and train on them."""

import copy
from itertools import chain
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.utils.multiclass import check_classification_targets

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.samples import Samples, TrainingData, checked_weight, stacked
from sknn_iitb._engine.source import locating
from sknn_iitb._engine.validation import hold_out
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb.mlp._fitting import dropout_seed
from sknn_iitb.mlp._reading import Task

__all__ = ["Learner", "Part", "Partial", "Plan", "Round", "Setup", "Summary", "averaged", "build", "count", "merged"]

# rows of a partition that tell it from another
_N_ROWS = 100


class Part(NamedTuple):
    """A partition: its number, and its rows as the user's collections have them."""

    number: int
    X: Any
    y: Any
    weight: Any


# --- summaries --------------------------------------------------------------------------------------------------


class Summary(NamedTuple):
    """Some real rows that stand for all, as fit needs them to choose the network.

    They have every class, or combination of classes, with its total weight, or the extreme targets. `digests` has the
    number, the rows and a digest of each partition.
    """

    n_rows: int
    X: Any
    y: Any
    weight: Any
    digests: list

    @classmethod
    def of(cls, parts, expected):
        """That of the partitions of a worker; None if they are empty.

        Parameters
        ----------
        parts : list of Part
        expected : tuple
            An estimator that checks the targets, and the number and names of the features.
        """
        return merged([_summary(part, *expected) for part in parts])


def merged(summaries):
    """The summary of all of these, None for empty partitions."""
    summaries = [each for each in summaries if each is not None]
    if not summaries:
        return None
    n_rows, X, y, weight, digests = zip(*summaries, strict=True)
    return Summary(sum(n_rows), _stacked(X), np.concatenate(y), np.concatenate(weight), [*chain.from_iterable(digests)])


def _summary(part, net, n_features, columns):
    number, X, y, weight = part
    with locating(number, "partition"):
        _check_columns(X, n_features, columns)
        if X.shape[0] == 0:
            return None
        with naming("y"):
            y = net._checked_targets(y)
            if is_classifier(net):
                check_classification_targets(y)
        for name, value in (("y", y), ("sample_weight", weight)):
            if value is not None and value.shape[0] != X.shape[0]:
                raise ValueError(
                    f"X has {X.shape[0]} rows, {name} has {value.shape[0]}. Give both the same partitions, or let Dask "
                    "compute their lengths, with compute_chunk_sizes() for an array."
                )
        y = y.toarray() if sparse.issparse(y) else y
        weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        if weight.any():  # of one partition, all may be zero
            weight = checked_weight(weight, X)
    if is_classifier(net):
        rows, index = net._distinct(y)
        mass = np.bincount(index, weight)
    else:
        rows, mass = _extremes(y)
    few = np.unique(np.linspace(0, len(y) - 1, min(len(y), _N_ROWS)).astype(np.int64))
    digest = joblib.hash((_taken(X, few), y[few], weight[few]))
    return Summary(np.count_nonzero(weight), _taken(X, rows), y[rows], mass, [(number, len(y), digest)])


def _extremes(y):
    rows = np.unique([y.argmin(axis=0), y.argmax(axis=0)])
    return rows, np.ones(len(rows))


def _check_columns(X, n_features, columns):
    if columns is not None and list(getattr(X, "columns", ())) != columns:
        raise ValueError(f"X has the columns {list(X.columns)}, the data frame has {columns}.")
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ValueError(f"X has the shape {X.shape}, expected {n_features} columns.")


def _taken(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _stacked(arrays):
    first = arrays[0]
    if len(arrays) == 1:
        return first
    return pd.concat(arrays) if isinstance(first, pd.DataFrame) else stacked(arrays)


# --- shards -----------------------------------------------------------------------------------------------------


class Setup(NamedTuple):
    """What a shard needs besides its partitions.

    `net` is a network before training, `holds_out` whether to hold out validation samples. `rng` are the random numbers
    after its weights were drawn, which the first shard continues; the others begin with `seeds`.
    """

    net: Any
    holds_out: bool
    rng: np.random.RandomState
    seeds: np.ndarray


class Shard(NamedTuple):
    """The samples of some partitions as a network learns from them; None if there are none.

    `rows` are indices of the training samples, None for all, and `held_out` those of the validation samples; `seed` is
    that of dropout.
    """

    net: Any
    samples: Samples | None
    rows: np.ndarray | None = None
    held_out: np.ndarray | None = None
    rng: np.random.RandomState | None = None
    seed: int = 0


def build(number, parts, setup):
    """The shard of some partitions, whose number is that in the order of all."""
    net = setup.net
    types = net._input_types(reset=False)
    pairs = []
    for number_of_part, X, y, weight in parts:
        if X.shape[0]:
            with locating(number_of_part, "partition"):
                pairs.append((*net._validate_all(X, y, types, reset=False), weight))
    if not pairs:
        return Shard(net, None)
    X, y, weight = zip(*pairs, strict=True)
    X, y = _stacked(X), _stacked(y)
    weight = None if weight[0] is None else np.concatenate([np.asarray(each, np.float64) for each in weight])
    product = net._weigh(net._targets, y, weight, None)
    if product is not None and not product.any():
        return Shard(net, None)
    task = Task(net._targets, net._loss, net._network.output, net._parameters.vector.dtype)
    samples = net._samples(TrainingData(X, y, weight), task)
    rng = copy.deepcopy(setup.rng) if number == 0 else np.random.RandomState(setup.seeds[number])
    try:
        split = hold_out(net.validation_fraction, net._targets, samples, rng) if setup.holds_out else (None, None)
    except ValueError as error:
        raise ValueError(
            f"early_stopping holds out samples on each thread of the cluster. Thread {number} has {len(samples.Y)} "
            f"samples, which it cannot divide: {error} Pass X_val, or shuffle and repartition the data."
        ) from error
    return Shard(net, samples, *split, rng, dropout_seed(rng) if net._network.drops else 0)


def count(shard, argument):
    """Numbers of training and held-out samples, and the mean weight of the former, in a list for one shard."""
    _, samples, rows, held_out, *_ = shard
    if samples is None:
        return [(0, 0, 1.0)]
    n_rows = len(samples.Y) if rows is None else len(rows)
    weight = samples.weight if rows is None or samples.weight is None else samples.weight[rows]
    mean = 1.0 if weight is None else float(np.mean(weight))
    return [(n_rows, 0 if held_out is None else len(held_out), mean)]


# --- training ---------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """How all shards train.

    Attributes
    ----------
    config : TrainingConfig
        Its batches are those of all shards together.
    n_rows, mean_weight : int, float
        Of all training samples.
    penalty : float
        The share of the penalties in the gradient of a shard.
    averages_moments : bool
        See :class:`~sknn_iitb._engine.run.State`.
    """

    config: Any
    n_rows: int
    mean_weight: float
    penalty: float
    averages_moments: bool


class Round(NamedTuple):
    """Steps of all shards from the same parameters and state of the optimizer.

    `epoch` counts from 1; `first` is the number of the first step in the epoch, `step` in all of training.
    """

    theta: np.ndarray
    optimizer_state: np.ndarray
    learning_rates: np.ndarray
    epoch: int
    first: int
    step: int


class Partial(NamedTuple):
    """What some shards have computed from `n_rows` rows: `sums` to add up, and `means` over rows to average."""

    n_rows: int
    sums: np.ndarray
    means: tuple


def averaged(partials):
    """Add up and average, each by its number of rows; a single one is not changed in any bit."""
    (n_rows, sums, means), *others = sorted(partials, key=lambda each: not each.n_rows)
    means = [mean.copy() for mean in means]
    for other in others:
        if other.n_rows:
            n_rows, sums = n_rows + other.n_rows, sums + other.sums
            for mean, theirs in zip(means, other.means, strict=True):
                mean += (other.n_rows / n_rows) * (theirs - mean)
    return Partial(n_rows, sums, tuple(means))


class Learner:
    """A shard with compiled code and the memory to train on it, which stay on the worker from round to round.

    Parameters
    ----------
    number : int
    shard : Shard
    plan : Plan
    """

    def __init__(self, number, shard, plan):
        self._made_of = number, shard, plan
        net, samples, rows, held_out, *_ = shard
        config = plan.config
        n_rows = len(samples.Y) if rows is None else len(rows)
        # shards of different sizes take the same number of steps
        self._batch_size = max(
            -(-config.batch_size * n_rows // plan.n_rows), *(e.min_rows for e in net._network.layers)
        )
        # The average of steps on the smaller batches has the noise of a step on a whole one. But optimizers that divide
        # by the size of the gradient have seen more noise, by this factor, and taken smaller steps.
        noise = max(1.0, config.batch_size / self._batch_size) ** 0.5
        self._noise = noise if config.optimizer.normalizes else 1.0
        self.objective = net._objective(
            samples,
            min(self._batch_size, n_rows),
            rows,
            dropout=net._network.drops,
            mean_weight=plan.mean_weight,
            alpha=net.alpha * plan.penalty,
            l1=net.l1 * plan.penalty,
        )
        self._validation = None if held_out is None else net._validation_on(samples.left(held_out))
        self._state = None
        self._epoch = 0

    def __reduce__(self):
        return Learner, self._made_of

    def __sizeof__(self):
        X = self._made_of[1].samples.X
        return X.data.nbytes if sparse.issparse(X) else X.nbytes

    def gradient(self, theta):
        """Loss, penalty and gradient on all rows, as means."""
        with self._threads():
            loss, penalty = self.objective.evaluate(_own(theta))
        means = np.array([loss, penalty]), self.objective.gradient.copy()
        return Partial(self.objective.n_samples, np.zeros(0), means)

    def validate(self, theta):
        """Score and loss on the held-out samples, as means over them."""
        with self._threads():
            found = self._validation(_own(theta))
        return Partial(len(self._validation.samples.Y), np.zeros(0), (np.array(found),))

    def check_validation(self, argument):
        """Raise ValueError if the scorer has returned nothing but NaN."""
        self._validation.check()
        return Partial(0, np.zeros(0), ())

    def steps(self, round):
        """Take the steps of a round. The losses are sums over rows, the parameters and the optimizer's state means."""
        place = slice(round.first * self._batch_size, (round.first + len(round.learning_rates)) * self._batch_size)
        rows = self._order(round.epoch)[place]
        n_steps = -(-len(rows) // self._batch_size)
        theta = _own(round.theta)
        state = self._begun(round.optimizer_state)
        sums = (0.0, 0.0)
        if n_steps:
            learning_rates = self._noise * round.learning_rates[:n_steps]
            with self._threads():
                sums = self.objective.train(theta, rows, learning_rates, round.step)
        return Partial(len(rows), np.array(sums), (theta, state.optimizer_state.copy()))

    def _threads(self):
        return BLASThreads(self._made_of[2].config.n_threads)

    def _begun(self, optimizer_state):
        """The state of the optimizer in the memory that the compiled code uses."""
        if self._state is None:
            _, shard, plan = self._made_of
            self._state = _OptimizerState(optimizer_state.copy(), plan.averages_moments, shard.seed)
            optimizer = plan.config.optimizer
            if hasattr(optimizer, "weight_decay"):  # is a multiple of the learning rate, but has no noise
                optimizer = clone(optimizer).set_params(weight_decay=optimizer.weight_decay / self._noise)
            self.objective.begin(self._state, plan.config._replace(batch_size=self._batch_size, optimizer=optimizer))
        self._state.optimizer_state[:] = optimizer_state
        return self._state

    def _order(self, epoch):
        """The rows in the order of an epoch, which follows from the random numbers of the shard alone."""
        _, shard, plan = self._made_of
        if not plan.config.shuffle:
            return self.objective.order(None)
        if self._epoch == 0 or epoch < self._epoch:
            self._epoch, self._rng = 0, copy.deepcopy(shard.rng)
            self._permutation = np.arange(self.objective.n_samples, dtype=np.int64)
        while self._epoch < epoch:
            self._rng.shuffle(self._permutation)
            self._epoch += 1
        return self.objective.order(self._permutation)


class _OptimizerState(NamedTuple):
    optimizer_state: np.ndarray
    averages_moments: bool
    seed: int


def _own(theta):
    """A copy: what comes from the network is read-only, and other shards use it too."""
    return theta.copy()
