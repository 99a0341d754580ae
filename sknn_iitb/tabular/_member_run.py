"""The training of one member of an ensemble, which keeps its best epoch."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.run import History
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb.schedules import Linear
from sknn_iitb.tabular._members import Member
from sknn_iitb.tabular._network import draw, tabular_network
from sknn_iitb.tabular._progress import Progress
from sknn_iitb.tabular._runs import begin, initial_state, train_network

__all__ = ["MemberRun", "train_apart"]

# The first learning rate of the last epochs, on all samples, as a share of the highest one; it falls to zero.
_LAST_RATE = 0.1

# Networks with fewer epochs in the first two cycles do not stop early: on few samples, they have taken too few steps.
_FEWEST = 6

# Ties go to the later epoch, which has trained longer: each epoch counts as better than the one before by this much.
_LATER = 1e-9

# what is saved of a member, besides its network
_OF_MEMBER = "theta", "temperature", "error", "n_iter", "loss_curve", "validation_curve"


class _Observer(NamedTuple):
    """Passes on the epochs of a network, and ends its training."""

    progress: Progress
    label: str
    n_epochs: int
    metric: Any
    has_settled: Callable[[History], bool] = lambda history: False

    def begin(self):
        """An epoch begins."""

    def end(self, history):
        """An epoch has ended; True stops the training."""
        words = partial(self._words, history.n_iter, history.validation_loss_curve[-1:])
        return self.progress.end(words) or self.has_settled(history)

    def _words(self, n, error):
        return [self.label, f"epoch {n} of {self.n_epochs}", *map(self.metric.describe, error)]


class MemberRun:
    """The training of a member, which may pause and continue as if it had not paused.

    The held-out samples choose the best epoch, and by their predictions, views and weights are chosen too. When they
    have served, the member learns from them as well: from its best epoch on, it trains on all samples for the last
    epochs, at a low learning rate.

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
        The best epoch so far, or what became of it on all samples; None before the first has ended.
    """

    def __init__(self, k, data, features, goal, config, label):
        self.label, self._name = label, label
        self._k, self._data, self._goal, self._config = k, data, goal, config
        units = data.samples.X.shape[1], *config.hidden_layer_sizes, data.samples.Y.shape[1]
        self._network = tabular_network(units, config.activation, goal.output, config.dropout, features)
        self._rng = np.random.RandomState(data.seeds[k])
        self._theta = draw(self._network, self._rng, data.samples.Y.dtype)
        self._state, self._history, self.member = None, History(), None
        self._is_reported = False

    @property
    def n_iter(self):
        """The number of epochs so far, without those on all samples."""
        return self._history.n_iter

    @property
    def is_complete(self):
        """Whether the best epoch is known."""
        return self._position >= self._config.n_validated

    @property
    def _position(self):
        """The epoch of the plan at which training stands, which skips the last cycle if it stops before."""
        if self.member is not None and self.member.n_iter > self.n_iter:
            return self._config.max_iter
        return self._config.n_validated if self._has_settled(self._history) else self.n_iter

    def _has_settled(self, history):
        """Whether training stops before the last cycle, because the third has not made the network better."""
        second, third, _ = self._config.ends_of_cycles
        may_stop = self._config.stops_early and second >= _FEWEST and history.n_iter == third
        return may_stop and bool(np.argmax(np.nan_to_num(history.validation_scores, nan=-np.inf)) < second)

    def advance(self, n_epochs, progress):
        """Train until `n_epochs` of the plan have ended, and return the member."""
        last = min(n_epochs, self._config.max_iter)
        key = f"{progress.goal}: {self._name}"
        if last > self._position:
            if progress.records.restore(self, key, last):
                return self.member
            if progress.remote is not None:
                self.restore(**progress.remote(self, last, progress))
            elif last <= self._config.n_validated:
                self._train(last, progress)
            else:
                self._train_on_all_samples(progress)
            if self._position >= last:
                progress.records.add(self, key, last)
        # not earlier, because a search may still drop one that has settled
        if last == self._config.n_validated and self.is_complete and not self._is_reported:
            self._is_reported = True
            progress.complete(self, last - self.n_iter)
        return self.member

    def _train(self, last, progress):
        goal, history, n_epochs = self._goal, self._history, last - self.n_iter
        samples, held_out = self._data.training(self._k), self._data.held_out(self._k)
        changes = {"n_epochs": n_epochs, "complete": False, "stops_early": True}
        run = begin(self._network, samples, goal, self._config, **changes)
        run.history = history
        settings = self._config.n_validated, goal.metric, self._has_settled
        run.observers = [_Observer(progress, self.label, *settings)]
        run.state = self._state or initial_state(self._rng, run, self._config.n_validated)

        def scores(theta):
            return self._network.predict(held_out.X, theta, False)

        def validate(theta):
            error = goal.metric.error(goal.targets, scores(theta), held_out)
            return _LATER * history.n_iter - error, error

        run.validate = validate
        train_network(run, self._theta, progress)
        self._state = run.state
        if history.validation_scores:
            temperature = goal.temperature(scores(self._theta), held_out)
            curves = [float(x) for x in history.loss_curve], [float(x) for x in history.validation_loss_curve]
            self.member = Member(
                self._network, self._theta.copy(), temperature, min(curves[1]), history.n_iter, *curves
            )
        if self.is_complete:
            self._state.order = None  # an integer for each sample

    def _train_on_all_samples(self, progress):
        n_epochs, samples = self._config.n_last, self._data.samples
        state, theta = replace(self._state.copy(), divisor=1.0, best=None, current=None), self.member.theta.copy()
        # the end of a linear schedule, because the optimizer goes on counting its steps
        n_steps = n_epochs * -(-samples.n_samples // min(self._config.batch_size, samples.n_samples))
        state.n_steps = state.step + n_steps
        rate = _LAST_RATE * self._config.learning_rate_init * state.n_steps / n_steps
        config = self._config._replace(schedule=Linear(), learning_rate_init=rate)
        run = begin(self._network, samples, self._goal, config, n_epochs=n_epochs)
        run.state = state
        run.observers = [_Observer(progress, f"{self.label}, all samples", n_epochs, self._goal.metric)]
        train_network(run, theta, progress)
        if run.history.n_iter == n_epochs and np.isfinite(theta).all():
            curve = [*self.member.loss_curve, *map(float, run.history.loss_curve)]
            self.member = self.member._replace(theta=theta, n_iter=len(curve), loss_curve=curve)

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
