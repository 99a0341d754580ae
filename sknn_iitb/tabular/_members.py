"""The members of an ensemble: networks that each train on some of the samples and keep their best epoch."""

import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
from joblib import effective_n_jobs
from scipy.optimize import minimize_scalar
from scipy.special import logit

from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.run import History, Run, State, TrainingConfig
from sknn_iitb._engine.samples import Samples
from sknn_iitb._engine.training import train as train_network
from sknn_iitb.schedules import Constant
from sknn_iitb.tabular._network import draw, tabular_network

__all__ = [
    "EnsembleConfig",
    "EnsembleData",
    "Goal",
    "Member",
    "Progress",
    "in_threads",
    "train",
    "train_further",
    "train_member",
]


class EnsembleConfig(NamedTuple):
    """How the members are trained.

    `n_jobs` members train at a time, in threads.
    """

    n_estimators: int
    hidden: tuple[int, ...]
    activation: Any
    dropout: float
    optimizer: Any
    schedule: Any
    learning_rate_init: float
    max_iter: int
    batch_size: int
    label_smoothing: float
    n_jobs: int | None


class EnsembleData(NamedTuple):
    """What the members are trained on.

    Attributes
    ----------
    samples : Samples
        X is the encoded table, in float32.
    seeds : sequence of int
        One for each member.
    splits : list of (ndarray, ndarray), optional
        Row indices of each member's training and validation samples.
    validation_set : Samples, optional
        Replaces the validation samples of `splits`.
    features : list of Features, optional
        What each member sees of the columns.
    """

    samples: Samples
    seeds: Any
    splits: Any = None
    validation_set: Samples | None = None
    features: Any = None

    def held_out(self, k):
        """The validation samples of a member."""
        return self.validation_set or self.samples.take(self.splits[k][1])


class Goal(NamedTuple):
    """What the members learn, and the metric by which their best epoch is chosen."""

    targets: Any
    output: Any
    loss: Any
    metric: Any

    def mean(self, scores):
        """The scores of the averaged predictions: of the mean probabilities, or numbers."""
        if not self.metric.is_calibrated:
            return np.mean(scores, axis=0)
        output = self.output.names[0]
        mean = np.mean([self.targets.probabilities(score, output) for score in scores], axis=0)
        mean = np.clip(mean, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        return logit(mean) if self.targets.multilabel else np.log(mean)

    def error(self, score, samples):
        """The error of predictions: of their probabilities, whatever the metric, or numbers."""
        error = self.metric.calibration_error or self.metric.error
        return error(self.targets, score, samples)

    def temperature(self, score, samples, spread=np.inf):
        """The temperature that divides the scores for calibrated probabilities (Guo et al., arXiv:1706.04599).

        Its logarithm has a normal prior of standard deviation `spread` around zero.
        """
        if not self.metric.is_calibrated:
            return 1.0
        found = minimize_scalar(
            lambda log: self.error(score / np.exp(log), samples) + (log / spread) ** 2 / (2 * len(score)),
            bounds=_LOG_TEMPERATURES,
            method="bounded",
        )
        return float(np.exp(found.x))


# bounds of the logarithm of a temperature
_LOG_TEMPERATURES = -1.0, 3.0

# as in scikit-learn's log_loss for float32
_LEAST_PROBABILITY = float(np.finfo(np.float32).eps)

_Member = namedtuple("Member", "network theta temperature error n_iter state", defaults=[None])


class Member(_Member):
    """A trained network.

    Its parameters, the temperature that divides its scores, its lowest error, its number of epochs, and the state of
    its optimizer if training is to continue.
    """

    def __new__(cls, network, theta, *rest, **named):
        return super().__new__(cls, network, native(theta), *rest, **named)

    def scores(self, Z):
        """The calibrated scores for an encoded table, computed in its dtype."""
        theta = self.theta.astype(Z.dtype, copy=False)
        return self.network.predict(Z, theta, False) / Z.dtype.type(self.temperature)


# The learning rate of partial_fit as a share of the highest one, because the schedule has ended at zero. On four
# tables, networks trained on one half learned from the other half too slowly at 0.01; at 0.1, if samples came in small
# batches, they forgot more than they learned.
_FINAL_RATE = 0.03

# Ties go to the later epoch, which has trained longer: each epoch counts as better than the one before by this much.
_LATER = 1e-9


class Progress:
    """Report the epochs of all members as if they were one run; end it when time is up or the user interrupts it.

    Parameters
    ----------
    report : object
        As :func:`sknn_iitb._engine.progress.reporter` makes it.
    deadline : float or None
        When to stop, on the clock of ``time.perf_counter()``.
    n_epochs : int, default=0
        Number of epochs before the first.

    Attributes
    ----------
    interrupted : bool
    """

    def __init__(self, report=None, deadline=None, n_epochs=0):
        self._report, self._deadline = report, deadline
        self._lock, self._n_epochs = threading.Lock(), n_epochs
        self._objectives, self.interrupted = WeakSet(), False

    def begin(self):
        """An epoch begins."""

    def end(self, history):
        """An epoch has ended; True stops the training of a member."""
        with self._lock:
            self._n_epochs += 1
            self._report.epoch(replace(history, n_iter=self._n_epochs), history.best_score)
        return self.is_over()

    def is_over(self):
        """Whether to stop, and train no more members."""
        return self.interrupted or (self._deadline is not None and perf_counter() >= self._deadline)

    def watch(self, objective):
        """Stop training on this objective on Ctrl-C."""
        with self._lock:
            self._objectives.add(objective)
        if self.interrupted:
            objective.interrupt()

    def interrupt(self):
        """End the training of all members, in whatever thread."""
        self.interrupted = True
        with self._lock:
            for objective in self._objectives:
                objective.interrupt()


def train(data, goal, config, progress):
    """Train all members.

    Parameters
    ----------
    data : EnsembleData
    goal : Goal
    config : EnsembleConfig
    progress : Progress

    Returns
    -------
    members : list of Member
        Members trained before the deadline; at least one unless interrupted.
    """

    def member(k):
        if progress.is_over() and (k > 0 or progress.interrupted):
            return None
        return train_member(k, data, goal, config, progress)

    members = in_threads(member, range(len(data.splits)), progress, config.n_jobs)
    return [member for member in members if member is not None]


def train_member(k, data, goal, config, progress, n_epochs=None):
    """Train one member.

    Parameters
    ----------
    k : int
        Its number, which selects its split, seed and features.
    data : EnsembleData
    goal : Goal
    config : EnsembleConfig
    progress : Progress
    n_epochs : int, optional
        Stop after this number of epochs.

    Returns
    -------
    member : Member or None
        None if it was interrupted in its first epoch.
    """
    units = data.samples.X.shape[1], *config.hidden, data.samples.Y.shape[1]
    network = tabular_network(units, config.activation, goal.output, config.dropout, data.features[k])
    rng = np.random.RandomState(data.seeds[k])
    theta = draw(network, rng, data.samples.Y.dtype)
    run = _begin(network, data.samples.take(data.splits[k][0]), goal, config, stops_early=True)
    run.state = _state(rng, run)
    return _best_epoch(run, theta, data.held_out(k), goal, progress, n_epochs)


def in_threads(function, items, progress, n_jobs):
    """Call `function` for each item in `n_jobs` threads; the result is None for those that were interrupted.

    An interrupt reaches the main thread only, and joblib would leave its other threads at work.
    """

    def call(item):
        try:
            return function(item)
        except KeyboardInterrupt:
            progress.interrupt()
        except BaseException:
            progress.interrupt()
            raise

    n_threads = min(effective_n_jobs(n_jobs), len(items))
    if n_threads == 1:
        return [call(item) for item in items]
    pool, futures = ThreadPoolExecutor(n_threads), []
    try:
        for item in items:
            futures.append(pool.submit(call, item))
        while wait(futures, 0.1).not_done:  # without a timeout Windows would not see an interrupt
            pass
    except KeyboardInterrupt:
        progress.interrupt()
    pool.shutdown()
    return [future.result() for future in futures]


def train_further(members, data, goal, config, progress):
    """Train all members for another epoch, on all samples, at a low learning rate.

    Parameters
    ----------
    members : list of Member
        They are not changed.
    data : EnsembleData
    goal : Goal
    config : EnsembleConfig
    progress : Progress
        If it is interrupted, the remaining members are returned as they are.

    Returns
    -------
    members : list of Member
    """
    learning_rate = _FINAL_RATE * config.learning_rate_init
    changes = {"schedule": Constant(), "learning_rate_init": learning_rate, "n_epochs": 1, "complete": False}

    def further(k):
        member, theta = members[k], members[k].theta.copy()
        if progress.interrupted:
            return member
        run = _begin(member.network, data.samples, goal, config, **changes)
        if member.state is None or member.state.optimizer != config.optimizer.identity:
            run.state = _state(np.random.RandomState(data.seeds[k]), run)
        else:
            run.state = member.state.copy()
        _train(run, theta, progress)
        run.state.order = None  # an integer for each sample
        return member._replace(theta=theta, state=run.state, n_iter=member.n_iter + 1)

    found = in_threads(further, range(len(members)), progress, config.n_jobs)
    return [old if new is None else new for old, new in zip(members, found, strict=True)]


def _begin(network, samples, goal, config, **changes):
    """A run on these samples; `changes` are those of its TrainingConfig."""
    Y = samples.Y
    if config.label_smoothing:
        Y = goal.targets.smooth(Y, config.label_smoothing, goal.output.names[0]).astype(Y.dtype)
    settings = {
        "optimizer": config.optimizer,
        "schedule": config.schedule,
        "constraints": (),
        "learning_rate_init": config.learning_rate_init,
        "batch_size": min(config.batch_size, len(Y)),
        "shuffle": True,
        "n_epochs": config.max_iter,
        "complete": True,
        "warns": False,  # the best epoch is kept
        "stops_early": False,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "verbose": 0,
        "advise": lambda: "",
    }
    training = TrainingConfig(**settings | changes)
    batch_size, drops = training.batch_size, network.drops
    objective = Objective(network, goal.loss, samples.X, Y, samples.weight, max_rows=batch_size, dropout=drops)
    return Run(objective, training, History())


def _state(rng, run):
    state = State.before(run.config, run.objective, rng, run.config.n_epochs)
    if run.objective.network.drops:
        state.seed = int(rng.randint(2**31 - 1))
    return state


def _train(run, theta, progress):
    """Train a network; Ctrl-C stops all members."""
    progress.watch(run.objective)
    train_network(run, theta)
    if run.history.interrupted:
        progress.interrupt()


def _best_epoch(run, theta, validation_set, goal, progress, n_epochs=None):
    """Train a member, and keep its best epoch; None if the first did not end."""
    network, n_validated = run.objective.network, 0

    def scores():
        return network.predict(validation_set.X, theta, False)

    def validate(theta):
        nonlocal n_validated
        n_validated += 1
        error = goal.metric.error(goal.targets, scores(), validation_set)
        return _LATER * n_validated - error, error

    run.validate, run.observers = validate, [progress] if n_epochs is None else [progress, _StopAfter(n_epochs)]
    _train(run, theta, progress)
    if not run.history.validation_scores:
        return None
    temperature = goal.temperature(scores(), validation_set)
    return Member(network, theta, temperature, min(run.history.validation_loss_curve), run.history.n_iter)


class _StopAfter:
    """Observer that stops training before the schedule ends."""

    def __init__(self, n_epochs):
        self._n_epochs = n_epochs

    def begin(self):
        """An epoch begins."""

    def end(self, history):
        """An epoch has ended."""
        return history.n_iter >= self._n_epochs
