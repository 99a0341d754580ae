"""The members of an ensemble: nets that learn each from a part of the samples, and are kept as in their best epoch."""

import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from time import perf_counter
from weakref import WeakSet

import numpy as np
from joblib import effective_n_jobs
from scipy.optimize import minimize_scalar

from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.training import History, State, TrainingConfig, descend
from sknn_iitb.schedules import Constant
from sknn_iitb.tabular._network import draw, tabular_network

__all__ = ["Goal", "Member", "Progress", "Recipe", "train", "train_further"]

Recipe = namedtuple(
    "Recipe",
    "n_estimators hidden activation dropout optimizer schedule learning_rate_init max_iter batch_size label_smoothing",
)
Recipe.__doc__ = """How the members are trained."""

Goal = namedtuple("Goal", "targets output loss metric")
Goal.__doc__ = """What the members learn, and what the best epoch is best at."""

_Member = namedtuple("Member", "network theta temperature error n_iter state", defaults=[None])


class Member(_Member):
    """A trained net.

    Its parameters, what its scores are divided by, its least error, its epochs, and where its training stopped, if it
    is to go on.
    """

    def __new__(cls, network, theta, *rest, **named):
        return super().__new__(cls, network, native(theta), *rest, **named)


# The share of the highest rate at which training goes on after its end, where the schedule has led down to nothing. Of
# four tables the nets for one half have then learned from the other: at 0.01 too slowly, and at 0.1, where samples come
# in small portions, more has been forgotten than learned.
_FINAL_RATE = 0.03

# of equal epochs the later one is kept, which has learned longer: each counts as so much better than the one before
_LATER = 1e-9


class Progress:
    """Report the epochs of all members as if they were one run; end it when time is up or the user interrupts it.

    Parameters
    ----------
    report : object
        As :func:`sknn_iitb._engine.progress.reporter` makes it.
    deadline : float or None
        When to stop, as ``time.perf_counter()`` tells the time.
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
        """Whether no further member is to be trained."""
        return self.interrupted or (self._deadline is not None and perf_counter() >= self._deadline)

    def watch(self, objective):
        """Have the training on this objective end when the user interrupts."""
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


def train(samples, validation_set, goal, recipe, bins, every, parts, seeds, progress, n_jobs=None):
    """Train all members.

    Parameters
    ----------
    samples : Samples
        X is the encoded table, in float32.
    validation_set : Samples or None
        What to judge by instead of the second halves of `parts`.
    goal : Goal
    recipe : Recipe
    bins : Bins or None
        What some of the members see besides the columns.
    every : int
        Of so many members the second sees only the columns.
    parts : list of (ndarray, ndarray)
        Samples to learn from and to judge by, for each member.
    seeds : sequence of int
        One for each member.
    progress : Progress
    n_jobs : int or None
        Members that are trained at a time, in threads.

    Returns
    -------
    members : list of Member
        Those that there was time for: at least one, unless the user has interrupted.
    """

    def member(k):
        if progress.is_over() and (k > 0 or progress.interrupted):
            return None
        rows, held_out = parts[k]
        held_out_set = samples.take(held_out) if validation_set is None else validation_set
        network = _network(samples, goal, recipe, None if k % every == 1 else bins)
        return _train_member(network, samples.take(rows), held_out_set, goal, recipe, seeds[k], progress)

    members = _in_threads(member, range(len(parts)), progress, n_jobs)
    return [member for member in members if member is not None]


def _in_threads(function, items, progress, n_jobs):
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


def train_further(members, samples, goal, recipe, seeds, progress, n_jobs=None):
    """Train all members for an epoch more, on all samples, at a low rate.

    Parameters
    ----------
    members : list of Member
        They stay as they are.
    samples : Samples
    goal : Goal
    recipe : Recipe
    seeds : sequence of int
        One for each member.
    progress : Progress
        If it is interrupted, the members that follow stay as they are.
    n_jobs : int or None

    Returns
    -------
    members : list of Member
    """

    def further(k):
        member, seed = members[k], seeds[k]
        if progress.interrupted:
            return member
        objective, config = _prepared(member.network, samples, goal, recipe)
        rate = _FINAL_RATE * recipe.learning_rate_init
        config = config._replace(schedule=Constant(), learning_rate_init=rate, n_epochs=1, complete=False)
        theta, state, history = member.theta.copy(), member.state, History()
        if state is None or state.optimizer != config.optimizer.identity:
            state = _state(np.random.RandomState(seed), config, objective)
        else:
            state = state.copy()
        progress.watch(objective)
        descend(objective, theta, state, history, config)
        if history.interrupted:
            progress.interrupt()
        state.order = None  # as many numbers as there are samples
        return member._replace(theta=theta, state=state, n_iter=member.n_iter + 1)

    found = _in_threads(further, range(len(members)), progress, n_jobs)
    return [old if new is None else new for old, new in zip(members, found, strict=True)]


def _network(samples, goal, recipe, bins):
    n_bins = 0 if bins is None else len(bins.column)
    units = (samples.X.shape[1] + n_bins, *recipe.hidden, samples.Y.shape[1])
    return tabular_network(units, recipe.activation, goal.output, recipe.dropout, bins)


def _prepared(network, samples, goal, recipe):
    """What is minimised, and how."""
    Y = samples.Y
    if recipe.label_smoothing:
        Y = goal.targets.smooth(Y, recipe.label_smoothing, goal.output.names[0]).astype(Y.dtype)
    batch_size = min(recipe.batch_size, len(Y))
    drops = recipe.dropout > 0
    objective = Objective(network, goal.loss, samples.X, Y, samples.weight, max_rows=batch_size, dropout=drops)
    config = TrainingConfig(
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        constraints=(),
        learning_rate_init=recipe.learning_rate_init,
        batch_size=batch_size,
        shuffle=True,
        n_epochs=recipe.max_iter,
        complete=True,
        warns=False,  # it is the best epoch that is kept
        stops_early=False,
        tol=0.0,
        n_iter_no_change=np.inf,
        verbose=0,
        advise=lambda: "",
    )
    return objective, config


def _state(rng, config, objective):
    state = State.before(config, objective, rng, config.n_epochs)
    if objective.network.drops:
        state.seed = int(rng.randint(2**31 - 1))
    return state


def _train_member(network, samples, held_out_set, goal, recipe, seed, progress):
    rng = np.random.RandomState(seed)
    theta = draw(network, rng, samples.Y.dtype)
    objective, config = _prepared(network, samples, goal, recipe)
    config = config._replace(stops_early=True)
    n_judged = 0

    def validate(theta):
        nonlocal n_judged
        n_judged += 1
        error = goal.metric.error(goal.targets, network.predict(held_out_set.X, theta, False), held_out_set)
        return _LATER * n_judged - error, error

    history = History()
    progress.watch(objective)
    descend(objective, theta, _state(rng, config, objective), history, config, validate, [progress])
    if history.interrupted:
        progress.interrupt()
    if not history.validation_scores:
        return None
    temperature = 1.0
    if goal.metric.calibrates:
        temperature = _temperature(
            goal.metric, goal.targets, network.predict(held_out_set.X, theta, False), held_out_set
        )
    return Member(network, theta, temperature, min(history.validation_loss_curve), history.n_iter)


def _temperature(metric, targets, score, held_out_set):
    """What scores are to be divided by for the least error (Guo et al., arXiv:1706.04599)."""
    found = minimize_scalar(
        lambda logarithm: metric.error(targets, score / np.exp(logarithm), held_out_set),
        bounds=(-1, 3),
        method="bounded",
    )
    return float(np.exp(found.x))
