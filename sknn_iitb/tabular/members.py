"""The members of an ensemble: nets that learn each from a part of the samples, and are kept as in their best epoch."""

import threading
from collections import namedtuple
from dataclasses import replace
from time import perf_counter

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils.parallel import Parallel, delayed

from sknn_iitb.objective import Objective
from sknn_iitb.schedules import Clock, Constant
from sknn_iitb.tabular.network import TabularNetwork
from sknn_iitb.training import History, Plan, State, descend

__all__ = ["Goal", "Member", "Progress", "Recipe", "train", "train_further"]

Recipe = namedtuple(
    "Recipe",
    "n_estimators hidden activation dropout optimizer schedule learning_rate_init max_iter batch_size label_smoothing",
)
Recipe.__doc__ = """How the members are trained."""

Goal = namedtuple("Goal", "targets output loss metric")
Goal.__doc__ = """What the members learn, and what the best epoch is best at."""

Member = namedtuple("Member", "network theta temperature error n_iter state", defaults=[None])
Member.__doc__ = """A trained net.

Its parameters, what its scores are divided by, its least error, its epochs, and where its training stopped, if it is to
go on.
"""

# The share of the highest rate at which training goes on after its end, where the schedule has led down to nothing. Of
# four tables the nets for one half have then learned from the other: at 0.01 too slowly, and at 0.1, where samples come
# in small portions, more has been forgotten than learned.
_FINAL_RATE = 0.03

# of equal epochs the later one is kept, which has learned longer: each counts as so much better than the one before
_LATER = 1e-9


class Progress:
    """Tells a reporter of the epochs of all members as if they were one run, and ends it when the time is over.

    Parameters
    ----------
    report : object
        As :func:`sknn_iitb.reporting.reporter` makes it.
    deadline : float or None
        When to stop, as ``time.perf_counter()`` tells the time.
    n_epochs : int, default=0
        Epochs that lie behind.
    """

    def __init__(self, report, deadline, n_epochs=0):
        self._report, self._deadline = report, deadline
        self._lock, self._n_epochs = threading.Lock(), n_epochs

    def begin(self):
        """An epoch begins."""

    def end(self, history):
        """An epoch has ended; True stops the training of a member."""
        with self._lock:
            self._n_epochs += 1
            self._report.epoch(replace(history, n_iter=self._n_epochs), history.best_score)
        return self.is_late()

    def is_late(self):
        """Whether the time is over."""
        return self._deadline is not None and perf_counter() >= self._deadline


def train(samples, given, goal, recipe, pieces, every, parts, seeds, progress, n_jobs=None):
    """Train all members.

    Parameters
    ----------
    samples : Samples
        X is the encoded table, in float32.
    given : Samples or None
        What to judge by instead of the second halves of `parts`.
    goal : Goal
    recipe : Recipe
    pieces : Pieces or None
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
        At least one, and those that there was time for.
    """

    def member(k):
        if k > 0 and progress.is_late():
            return None
        rows, held_out = parts[k]
        judged = samples.take(held_out) if given is None else given
        network = _network(samples, goal, recipe, None if k % every == 1 else pieces)
        return _train_member(network, samples.take(rows), judged, goal, recipe, seeds[k], progress)

    members = Parallel(n_jobs, prefer="threads")(delayed(member)(k) for k in range(len(parts)))
    return [member for member in members if member is not None]


def train_further(members, samples, goal, recipe, seeds, n_jobs=None):
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
    n_jobs : int or None

    Returns
    -------
    members : list of Member
    """

    def further(member, seed):
        objective, plan = _prepared(member.network, samples, goal, recipe)
        rate = _FINAL_RATE * recipe.learning_rate_init
        plan = plan._replace(schedule=Constant(), learning_rate_init=rate, n_epochs=1, complete=False)
        theta, state = member.theta.copy(), member.state
        state = _state(np.random.RandomState(seed), plan, objective) if state is None else state.copy()
        descend(objective, theta, state, History(), plan)
        return member._replace(theta=theta, state=state, n_iter=member.n_iter + 1)

    jobs = (delayed(further)(member, seed) for member, seed in zip(members, seeds, strict=True))
    return Parallel(n_jobs, prefer="threads")(jobs)


def _network(samples, goal, recipe, pieces):
    n_pieces = 0 if pieces is None else len(pieces.column)
    units = (samples.X.shape[1] + n_pieces, *recipe.hidden, samples.Y.shape[1])
    return TabularNetwork(units, [recipe.activation] * len(recipe.hidden), goal.output, recipe.dropout, pieces)


def _prepared(network, samples, goal, recipe):
    """What is minimised, and how."""
    Y = samples.Y
    if recipe.label_smoothing:
        Y = goal.targets.smooth(Y, recipe.label_smoothing, goal.output.names[0]).astype(Y.dtype)
    batch_size = min(recipe.batch_size, len(Y))
    drops = recipe.dropout > 0
    objective = Objective(network, goal.loss, samples.X, Y, samples.weight, 0.0, batch_size, dropout=drops)
    plan = Plan(
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        adjustments=(),
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
    return objective, plan


def _state(rng, plan, objective):
    steps_per_epoch = -(-objective.n_samples // plan.batch_size)
    network = objective.network
    return State(
        rng=rng,
        slots=np.zeros(plan.optimizer.n_slots * network.n_trained, objective.gradient.dtype),
        clock=Clock(plan.n_epochs * steps_per_epoch, steps_per_epoch),
        learning_rate=plan.learning_rate_init,
        seed=int(rng.randint(2**31 - 1)) if any(network.dropout) else 0,
    )


def _train_member(network, samples, judged, goal, recipe, seed, progress):
    rng = np.random.RandomState(seed)
    theta = network.draw(rng, samples.Y.dtype)
    objective, plan = _prepared(network, samples, goal, recipe)
    plan = plan._replace(stops_early=True)
    n_judged = 0

    def validate(theta):
        nonlocal n_judged
        n_judged += 1
        error = goal.metric.error(goal.targets, network.predict(judged.X, theta, False), judged)
        return _LATER * n_judged - error, error

    history = History()
    descend(objective, theta, _state(rng, plan, objective), history, plan, validate, [progress])
    temperature = 1.0
    if goal.metric.calibrates:
        temperature = _temperature(goal.metric, goal.targets, network.predict(judged.X, theta, False), judged)
    return Member(network, theta, temperature, min(history.validation_loss_curve), history.n_iter)


def _temperature(metric, targets, score, judged):
    """What scores are to be divided by for the least error (Guo et al., arXiv:1706.04599)."""
    found = minimize_scalar(
        lambda logarithm: metric.error(targets, score / np.exp(logarithm), judged), bounds=(-1, 3), method="bounded"
    )
    return float(np.exp(found.x))
