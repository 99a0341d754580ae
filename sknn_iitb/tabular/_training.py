"""The training of the members of an ensemble, which keep their best epoch."""

import copy
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs

from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.run import History, Run, State, TrainingConfig
from sknn_iitb._engine.training import DivergenceError
from sknn_iitb._engine.training import train as train_network
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb.schedules import Constant
from sknn_iitb.tabular._members import Member
from sknn_iitb.tabular._network import draw, tabular_network
from sknn_iitb.tabular._progress import Progress

__all__ = [
    "MemberRun",
    "advance",
    "exact_objective",
    "in_threads",
    "new_run",
    "train",
    "train_apart",
    "train_further",
]

# The learning rate of partial_fit as a share of the highest one, because the schedule has ended at zero. On four
# tables, networks trained on one half learned from the other half too slowly at 0.01; at 0.1, if samples came in small
# batches, they forgot more than they learned.
_FINAL_RATE = 0.03

# Ties go to the later epoch, which has trained longer: each epoch counts as better than the one before by this much.
_LATER = 1e-9


# what is saved of a member, besides its network
_OF_MEMBER = "theta", "temperature", "error", "n_iter", "loss_curve", "validation_curve"


class _Observer(NamedTuple):
    """Passes on the epochs of a network."""

    progress: Progress
    label: str
    n_epochs: int
    metric: Any

    def begin(self):
        """An epoch begins."""

    def end(self, history):
        """An epoch has ended; True stops the training."""
        return self.progress.end(partial(self._words, history.n_iter, history.validation_loss_curve[-1]))

    def _words(self, n, error):
        return [self.label, f"epoch {n} of {self.n_epochs}", self.metric.describe(error)]


class MemberRun:
    """The training of a member, which may pause and continue as if it had not paused.

    Parameters
    ----------
    k : int
        The number of the member, which selects its split and seed.
    data : EnsembleData
    features : Features
    goal : Goal
    config : EnsembleConfig
    label : str
        What `verbose` calls it, and by what a checkpoint knows it: no other network of the goal has the same.

    Attributes
    ----------
    label : str
    member : Member or None
        The best epoch so far; None before the first has ended.
    """

    def __init__(self, k, data, features, goal, config, label):
        self.label, self._name = label, label
        self._k, self._data, self._goal, self._config = k, data, goal, config
        units = data.samples.X.shape[1], *config.hidden_layer_sizes, data.samples.Y.shape[1]
        self._network = tabular_network(units, config.activation, goal.output, config.dropout, features)
        self._rng = np.random.RandomState(data.seeds[k])
        self._theta = draw(self._network, self._rng, data.samples.Y.dtype)
        self._state, self._history, self.member = None, History(), None

    @property
    def n_iter(self):
        """The number of epochs so far."""
        return self._history.n_iter

    @property
    def is_complete(self):
        """Whether it has trained for all epochs."""
        return self.n_iter == self._config.max_iter

    def advance(self, n_epochs, progress):
        """Train until `n_epochs` have ended since the beginning, and return the member."""
        last = min(n_epochs, self._config.max_iter)
        key = f"{progress.goal}: {self._name}"
        if last <= self.n_iter or progress.records.restore(self, key, last):
            return self.member
        if progress.remote is None:
            self._train(last, progress)
        else:
            self.restore(**progress.remote(self, last, progress))
        if self.n_iter == last:
            progress.records.add(self, key)
            progress.pause(self)
        return self.member

    def _train(self, last, progress):
        goal, history, n_epochs = self._goal, self._history, last - self.n_iter
        samples, held_out = self._data.training(self._k), self._data.held_out(self._k)
        changes = {"n_epochs": n_epochs, "complete": False, "stops_early": True}
        run = _begin(self._network, samples, goal, self._config, **changes)
        run.history = history
        run.observers = [_Observer(progress, self.label, self._config.max_iter, goal.metric)]
        run.state = self._state or _state(self._rng, run, self._config.max_iter)

        def scores(theta):
            return self._network.predict(held_out.X, theta, False)

        def validate(theta):
            error = goal.metric.error(goal.targets, scores(theta), held_out)
            return _LATER * history.n_iter - error, error

        run.validate = validate
        _train(run, self._theta, progress)
        self._state = run.state
        if history.validation_scores:
            temperature = goal.temperature(scores(self._theta), held_out)
            curves = [float(x) for x in history.loss_curve], [float(x) for x in history.validation_loss_curve]
            self.member = Member(
                self._network, self._theta.copy(), temperature, min(curves[1]), history.n_iter, *curves
            )

    def split(self):
        """The data of the run, and a copy without it, to train on another machine."""
        other = copy.copy(self)
        other._data = None
        return self._data, other

    def saved(self):
        """What `restore` needs, as plain values."""
        member = None if self.member is None else {name: getattr(self.member, name) for name in _OF_MEMBER}
        now = {"theta": self._theta.copy(), "state": self._state.copy()}  # training goes on while others are written
        return {"member": member, "history": vars(self._history)} | now

    def restore(self, member, history, theta=None, state=None):
        """Continue from saved values; without parameters and state, only from those of a later epoch."""
        self.member = None if member is None else Member(self._network, **member)
        self._history = History(**history)
        if theta is not None:
            self._theta, self._state = theta.copy(), state.copy()


def train_apart(data, run, n_epochs, seconds):
    """Train a run that has come to this machine without its data; return what restores it where it came from.

    Parameters
    ----------
    data : EnsembleData
    run : MemberRun
    n_epochs : int
        As for :meth:`MemberRun.advance`.
    seconds : float or None
        The time that is left.
    """
    run = copy.deepcopy(run)  # another worker may have to begin with it again
    run._data = data
    deadline = None if seconds is None else perf_counter() + seconds
    with BLASThreads(1):
        run.advance(n_epochs, Progress(reporter(0, n_epochs), deadline=deadline))
    return run.saved()


def advance(runs, n_epochs, progress, n_jobs, required=False):
    """Train runs until `n_epochs` have ended; some may diverge.

    Parameters
    ----------
    runs : list of MemberRun
    n_epochs : int
    progress : Progress
    n_jobs : int or None
    required : bool, default=False
        Whether the first run trains for an epoch even if time is up, and it is an error if all diverge at once.

    Returns
    -------
    trained : list of MemberRun
        Those that have a member.
    """
    failures = []

    def continued(run):
        is_needed = required and run is runs[0] and run.member is None and not progress.interrupted
        if is_needed or not progress.is_over():
            try:
                run.advance(n_epochs, progress)
            except DivergenceError as failure:
                failures.append(failure)

    in_threads(continued, runs, progress, n_jobs)
    trained = [run for run in runs if run.member is not None]
    if required and failures and not trained and not progress.interrupted:
        raise failures[0]
    return trained


def train(data, features, goal, config, progress, started=None):
    """Train all members.

    Parameters
    ----------
    data : EnsembleData
    features : list of Features
        What each member sees of the columns.
    goal : Goal
    config : EnsembleConfig
    progress : Progress
    started : dict of MemberRun, optional
        Members that have trained for some epochs, by number.

    Returns
    -------
    members : list of Member or None
        None for those that were not trained before the deadline; at least one is, unless interrupted.
    """
    started = started or {}

    def member(k):
        if progress.is_over() and (k > 0 or progress.interrupted):
            return started[k].member if k in started else None
        label = f"net {k + 1} of {len(data.splits)}"
        run = started.get(k) or MemberRun(k, data, features[k], goal, config, label)
        run.label = label
        return run.advance(config.max_iter, progress)

    return in_threads(member, range(len(data.splits)), progress, config.n_jobs)


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
    if n_threads <= 1:
        return [call(item) for item in items]
    pool, futures = ThreadPoolExecutor(n_threads), []
    try:
        for item in items:
            futures.append(pool.submit(copy_context().run, call, item))  # announces compilations
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

    def further(k):
        member, theta = members[k], members[k].theta.copy()
        if progress.interrupted:
            return member
        own = config._replace(**member.settings or {})
        own = own._replace(schedule=Constant(), learning_rate_init=_FINAL_RATE * own.learning_rate_init)
        run = _begin(member.network, data.samples, goal, own, n_epochs=1, complete=False)
        if member.state is None or member.state.optimizer != config.optimizer.identity:
            run.state = _state(np.random.RandomState(data.seeds[k]), run)
        else:
            run.state = member.state.copy()
        _train(run, theta, progress)
        run.state.order = None  # an integer for each sample
        losses = [*member.loss_curve, float(run.history.loss)]
        return member._replace(theta=theta, state=run.state, n_iter=member.n_iter + 1, loss_curve=losses)

    found = in_threads(further, range(len(members)), progress, config.n_jobs)
    return [old if new is None else new for old, new in zip(members, found, strict=True)]


def exact_objective(network, samples, goal, config):
    """What the training of a member minimizes on these samples, without dropout."""
    Y = _softened(samples.Y, goal, config)
    return Objective(network, goal.loss, samples.X, Y, samples.weight, max_rows=len(Y))


def new_run(network, samples, goal, config, seed):
    """A run that trains a network on all samples, and its initial parameters."""
    rng = np.random.RandomState(seed)
    theta, run = draw(network, rng, samples.Y.dtype), _begin(network, samples, goal, config)
    run.state = _state(rng, run, config.max_iter)
    return run, theta


def _softened(Y, goal, config):
    if not config.label_smoothing:
        return Y
    return goal.targets.smooth(Y, config.label_smoothing, goal.output.names[0]).astype(Y.dtype)


def _begin(network, samples, goal, config, **changes):
    """A run on these samples; `changes` are those of its TrainingConfig."""
    batch_size = min(config.batch_size, samples.n_samples)
    settings = {
        "optimizer": config.optimizer,
        "schedule": config.schedule,
        "constraints": (),
        "learning_rate_init": config.learning_rate_init,
        "batch_size": batch_size,
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

    def build(samples, rows=None, mean_weight=None):
        options = {"max_rows": batch_size, "rows": rows, "dropout": network.drops, "mean_weight": mean_weight}
        return Objective(network, goal.loss, samples.X, _softened(samples.Y, goal, config), samples.weight, **options)

    return Run(samples.objective(network, build, None), training, History())


def _state(rng, run, max_iter=1):
    state = State.before(run.config, run.objective, rng, max_iter)
    if run.objective.network.drops:
        state.seed = int(rng.randint(2**31 - 1))
    return state


def _train(run, theta, progress):
    """Train a network; Ctrl-C stops all members."""
    progress.watch(run.objective)
    train_network(run, theta)
    if run.history.interrupted:
        progress.interrupt()
