"""The members of an ensemble: nets that learn each from a part of the samples, and are kept as in their best epoch."""

import threading
from collections import namedtuple
from dataclasses import replace
from time import perf_counter

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.parallel import Parallel, delayed

from sknn_iitb.objective import Objective
from sknn_iitb.optimizers import Adam
from sknn_iitb.schedules import Clock, Coslog
from sknn_iitb.tabular.network import TabularNetwork
from sknn_iitb.training import History, Plan, State, descend

__all__ = ["Member", "Progress", "Recipe", "splits", "train"]

Recipe = namedtuple("Recipe", "n_estimators hidden activation learning_rate_init max_iter batch_size label_smoothing")
Recipe.__doc__ = """How the members are trained."""

Member = namedtuple("Member", "network theta temperature error n_iter")
Member.__doc__ = """A trained net, its parameters, what its scores are divided by, its least error, and its epochs."""

# of equal epochs the later one is kept, which has learned longer: each counts as so much better than the one before
_LATER = 1e-9


def splits(n_members, fraction, samples, strata, rng):
    """Which samples each member learns from, and which it is judged by: the parts of one cross-validation, or more.

    So the members have seen all samples between them, and differ by what they have seen.

    Parameters
    ----------
    n_members : int
    fraction : float or CV splitter
        The share of the samples that a member is judged by.
    samples : Samples
    strata : ndarray or None
        What the parts are to have equal shares of.
    rng : RandomState

    Returns
    -------
    splits : list of (ndarray, ndarray)
    """
    found = []
    while len(found) < n_members:
        if hasattr(fraction, "split"):
            parts = list(fraction.split(samples.X, samples.y, samples.groups))
            if not parts:
                raise ValueError(f"validation_fraction={fraction!r} gives no split of these samples.")
        else:
            n_folds = min(max(2, round(1 / fraction)), len(samples.Y))
            seed = rng.randint(2**31 - 1)
            if strata is not None and np.bincount(strata).max() >= n_folds:
                parts = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(strata, strata))
            else:
                parts = list(KFold(n_folds, shuffle=True, random_state=seed).split(samples.Y))
        found += parts
    return found[:n_members]


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


def train(samples, given, targets, loss, output, metric, recipe, parts, seeds, progress, n_jobs=None):
    """Train all members.

    Parameters
    ----------
    samples : Samples
        X is the encoded table, in float32.
    given : Samples or None
        What to judge by instead of the second halves of `parts`.
    targets : ClassTargets or NumberTargets
    loss : Loss
    output : Activation
    metric : Metric
    recipe : Recipe
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
        return _train_member(samples.take(rows), judged, targets, loss, output, metric, recipe, seeds[k], progress)

    members = Parallel(n_jobs, prefer="threads")(delayed(member)(k) for k in range(len(parts)))
    return [member for member in members if member is not None]


def _train_member(samples, judged, targets, loss, output, metric, recipe, seed, progress):
    rng = np.random.RandomState(seed)
    units = (samples.X.shape[1], *recipe.hidden, samples.Y.shape[1])
    network = TabularNetwork(units, [recipe.activation] * len(recipe.hidden), output)
    Y = samples.Y
    if recipe.label_smoothing:
        Y = targets.smooth(Y, recipe.label_smoothing, output.names[0]).astype(Y.dtype)
    n_samples = len(Y)
    batch_size = min(recipe.batch_size, n_samples)
    objective = Objective(network, loss, samples.X, Y, samples.weight, 0.0, batch_size)
    theta = network.draw(rng, Y.dtype)
    steps_per_epoch = -(-n_samples // batch_size)
    plan = Plan(
        optimizer=Adam(beta_2=0.95),
        schedule=Coslog(),
        adjustments=(),
        learning_rate_init=recipe.learning_rate_init,
        batch_size=batch_size,
        shuffle=True,
        n_epochs=recipe.max_iter,
        complete=True,
        stops_early=True,
        tol=0.0,
        n_iter_no_change=np.inf,
        verbose=0,
        advise=lambda: "",
    )
    state = State(
        rng=rng,
        slots=np.zeros(plan.optimizer.n_slots * network.n_trained, Y.dtype),
        clock=Clock(recipe.max_iter * steps_per_epoch, steps_per_epoch),
        learning_rate=recipe.learning_rate_init,
    )
    n_judged = 0

    def validate(theta):
        nonlocal n_judged
        n_judged += 1
        error = metric.error(targets, network.predict(judged.X, theta, False), judged)
        return _LATER * n_judged - error, error

    history = History()
    descend(objective, theta, state, history, plan, validate, [progress])
    temperature = 1.0
    if metric.calibrates:
        temperature = _temperature(metric, targets, network.predict(judged.X, theta, False), judged)
    return Member(network, theta, temperature, min(history.validation_loss_curve), history.n_iter)


def _temperature(metric, targets, score, judged):
    """What scores are to be divided by for the least error (Guo et al., arXiv:1706.04599)."""
    found = minimize_scalar(
        lambda logarithm: metric.error(targets, score / np.exp(logarithm), judged), bounds=(-1, 3), method="bounded"
    )
    return float(np.exp(found.x))
