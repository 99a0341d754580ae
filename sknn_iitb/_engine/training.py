"""The run: epochs, batches, the learning rate, early stopping and the history of it all."""

import math
from collections import namedtuple
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._jit.blas import BLASThreads

__all__ = ["INTERRUPTED", "History", "Run", "State", "TrainingConfig", "planned_steps", "train"]

_SCIPY_FTOL = 1e7 * np.finfo(float).eps  # its default

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

# The rise of the loss over that of the first epoch which counts as divergence, and the one which counts as failure if
# training stalls there. Large steps of adam raise the loss up to a million times and can still end at a good network;
# sgd does not recover from a billion.
_EXPLOSION, _NO_SUCCESS = 1e9, 10.0

INTERRUPTED = "Training interrupted by user."

TrainingConfig = namedtuple(
    "TrainingConfig",
    "optimizer schedule constraints learning_rate_init batch_size shuffle n_epochs complete stops_early tol "
    "n_iter_no_change verbose advise warns n_threads max_fun",
    defaults=[True, 1, None],
)
TrainingConfig.__doc__ = """What the user has asked of the run.

`complete` is False where one epoch of many is run by itself; `advise` is called for a sentence on what may be wrong
with the data where training has failed; `warns` says whether to warn of an interrupt, and of a training that has not
stopped before the last epoch; `n_threads` is the number of BLAS threads; `max_fun` limits the evaluations of lbfgs.
"""


@dataclass
class State:
    """What a run needs to go on exactly where another stopped."""

    rng: np.random.RandomState
    optimizer_state: np.ndarray
    n_steps: int  # as planned, of which an epoch has steps_per_epoch
    steps_per_epoch: int
    learning_rate: float
    step: int = 0
    divisor: float = 1.0
    order: np.ndarray | None = None
    optimizer: str = ""
    seed: int = 0
    averages: bool = True  # whether running moments begin with the first step
    # under early stopping by partial_fit: the best parameters, which the user sees, and those to go on from
    best: np.ndarray | None = None
    current: np.ndarray | None = None

    @classmethod
    def before(cls, config, objective, rng, max_iter):
        """The state of a run before its first step; `max_iter` epochs are planned."""
        steps_per_epoch = -(-objective.n_samples // config.batch_size)
        return cls(
            rng=rng,
            optimizer=config.optimizer.identity,
            optimizer_state=np.zeros(
                config.optimizer.n_state_vectors * objective.network.layout.n_trained, objective.gradient.dtype
            ),
            n_steps=planned_steps(max_iter, steps_per_epoch),
            steps_per_epoch=steps_per_epoch,
            learning_rate=config.learning_rate_init,
        )

    def writable(self):
        """Self, or a copy if its arrays are read-only, as those that joblib has memory-mapped are."""
        arrays = (self.optimizer_state, self.order)
        return self if all(a is None or a.flags.writeable for a in arrays) else self.copy()

    def __getstate__(self):
        # of the order, only what is needed to continue exactly: half of the bytes
        order = None if self.order is None else self.order.astype(np.uint32)
        return {**vars(self), "order": order}

    def __setstate__(self, state):
        vars(self).update(state)
        self.optimizer_state = native(self.optimizer_state)
        self.order = None if self.order is None else self.order.astype(np.int64)

    def copy(self):
        """A copy that shares nothing which training changes."""
        rng = np.random.RandomState()
        rng.set_state(self.rng.get_state())
        order = None if self.order is None else self.order.copy()
        return replace(self, rng=rng, optimizer_state=self.optimizer_state.copy(), order=order)


@dataclass
class History:
    """What happened in a run. The best values so far go in, those of the run are added."""

    best_loss: float = np.inf
    loss_to_beat: float = np.inf
    score_to_beat: float = -np.inf
    best_score: float = -np.inf
    stalled: int = 0
    n_samples: int = 0
    loss: float = np.nan
    first_loss: float | None = None
    n_iter: int = 0
    loss_curve: list = field(default_factory=list)
    learning_rate_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    interrupted: bool = False


def planned_steps(n_epochs, steps_per_epoch):
    """The number of updates of so many epochs, limited to what an int64 holds."""
    return min(n_epochs * steps_per_epoch, 2**62)


@dataclass
class Run:
    """A training run.

    Attributes
    ----------
    objective : Objective
        What is minimized.
    config : TrainingConfig
        How.
    history : History
        What has happened so far; changed in place.
    state : State or None
        Changed in place; None for lbfgs.
    validate : callable or None
        ``validate(theta)`` returns score and loss on the validation set.
    observers : sequence
        Of each, ``begin()`` is called before an epoch and ``end(history)`` after it; True stops training.
    """

    objective: Any
    config: TrainingConfig
    history: History
    state: State | None = None
    validate: Any = None
    observers: Any = ()

    def begin_epoch(self):
        for observer in self.observers:
            observer.begin()

    def end_epoch(self):
        """Return whether an observer stops training."""
        return any([observer.end(self.history) for observer in self.observers])  # noqa: C419  each is to know


def train(run, theta):
    """Train a network.

    Parameters
    ----------
    run : Run
    theta : ndarray
        The parameters, changed in place; under early stopping the result is the best epoch's.

    Raises
    ------
    ValueError
        If the loss or a parameter becomes infinite or NaN, or the loss explodes, and there is no best epoch.
    """
    (_minimize if run.config.optimizer.kernel is None else _descend)(run, theta)


def _descend(run, theta):
    """Train by a first-order optimizer."""
    state, history, config = run.state, run.history, run.config
    # epochs of an earlier run count as well: the parameters that come in are its best
    best = theta.copy() if config.stops_early and np.isfinite(history.best_score) else None
    if not config.complete and best is not None:
        if state.current is None:  # what went before was a fit, which has had its own patience
            history.stalled = 0
        if history.stalled > config.n_iter_no_change:  # has stopped
            return
        if state.current is not None and np.array_equal(theta, state.best):  # else the user has changed them
            theta[:] = state.current
    run.objective.begin(state, config)
    factors = _factors(run.objective.n_samples, state, config)
    try:
        with BLASThreads(config.n_threads), closing(reporter(config.verbose, config.n_epochs)) as report:
            for _ in range(config.n_epochs):
                run.begin_epoch()
                learning_rates = config.learning_rate_init / state.divisor * next(factors)
                _run_epoch(run, theta, learning_rates)
                score, loss = (None, None) if run.validate is None else run.validate(theta)
                if not math.isfinite(history.loss) or _rise(history) > _EXPLOSION:
                    report.close()
                    _diverge(history, best, learning_rates.max(), config)
                    break
                if _judge(history, score, loss, config):
                    best = theta.copy()
                report.epoch(history, score)
                state.divisor = config.schedule.after_epoch(state.divisor, history.n_samples, history.stalled)
                state.learning_rate = config.learning_rate_init / state.divisor
                if run.end_epoch():
                    break
                if history.stalled > config.n_iter_no_change and _stop(state, history, config, report):
                    report.close()
                    _doubt(history, config)
                    break
            else:
                if config.complete and config.warns and not config.schedule.ends:
                    report.close()
                    warn(
                        f"Stochastic Optimizer: Maximum iterations ({config.n_epochs}) "
                        f"reached and the optimization hasn't converged yet.{config.advise()}",
                        ConvergenceWarning,
                    )
    except KeyboardInterrupt:
        history.interrupted = True
        if config.warns:
            warn(INTERRUPTED)
    if best is not None:
        state.best, state.current = (None, None) if config.complete else (best, theta.copy())
        theta[:] = best


def _factors(n_samples, state, config):
    """Yield the schedule's factors of one epoch after the other, computed for many updates at a time."""
    n_batches = -(-n_samples // config.batch_size)
    n_ahead = min(config.n_epochs, max(1, 1024 // n_batches))
    while True:
        # past the planned end, under partial_fit, the last factor holds
        steps = np.minimum(np.arange(state.step, state.step + n_ahead * n_batches), state.n_steps - 1)
        yield from config.schedule.factors(steps, state.n_steps, state.steps_per_epoch).reshape(n_ahead, n_batches)


def _run_epoch(run, theta, learning_rates):
    """Use every sample once, about 100 ms of batches at a time; record the loss."""
    objective, state, history, batch_size = run.objective, run.state, run.history, run.config.batch_size
    n, stride = objective.n_samples, objective.batches_per_call(batch_size)
    order = objective.order(_next_order(state, n) if run.config.shuffle else None)
    loss = penalty = 0.0
    n_done = 0
    try:
        for first in range(0, len(learning_rates), stride):
            rows = order[first * batch_size : (first + stride) * batch_size]
            now = learning_rates[first : first + stride]
            sums = objective.train(theta, rows, now, state.step)
            loss, penalty = loss + sums[0], penalty + sums[1]
            n_done += len(rows)
            state.step += len(now)
    finally:
        if n_done:
            history.loss = objective.reported(loss / n_done, penalty / n_done)
    history.n_iter += 1
    history.n_samples += n
    if history.first_loss is None:
        history.first_loss = history.loss
    history.loss_curve.append(history.loss)
    history.learning_rate_curve.append(float(learning_rates[0]))


def _next_order(state, n):
    """Shuffle the last epoch's order further: with the same draws as scikit-learn, so to the same order."""
    if state.order is None or len(state.order) != n:
        state.order = np.arange(n, dtype=np.int64)
    state.rng.shuffle(state.order)
    return state.order


def _judge(history, score, loss, config):
    """Compare the epoch with the best so far, by validation score or loss; True if its parameters are to be kept."""
    if score is not None:
        history.validation_scores.append(score)
        history.validation_loss_curve.append(loss)
    if config.stops_early:
        # a NaN, of predictions that overflow, is no improvement
        stalls, keep = not score >= history.score_to_beat + config.tol, score > history.best_score
        history.score_to_beat = score if score > history.score_to_beat else history.score_to_beat
    else:
        stalls, keep = history.loss > history.loss_to_beat - config.tol, False
        history.loss_to_beat = min(history.loss_to_beat, history.loss)
        history.best_loss = min(history.best_loss, history.loss)
    if score is not None and score > history.best_score:
        history.best_score = score
    history.stalled = history.stalled + 1 if stalls else 0
    return keep


def _stop(state, history, config, report):
    """Whether to stop, now that training has stalled; if not, go on at the rate that the schedule offers."""
    what = "Validation score" if config.stops_early else "Training loss"
    message = f"{what} did not improve more than tol={config.tol:f} for {config.n_iter_no_change} consecutive epochs."
    divisor = config.schedule.instead_of_stopping(state.divisor, state.learning_rate)
    if divisor is not None:
        state.divisor, state.learning_rate, history.stalled = divisor, config.learning_rate_init / divisor, 0
        # one lucky epoch must not make all that follow seem to have stalled
        history.loss_to_beat = history.loss
        if config.stops_early and math.isfinite(history.validation_scores[-1]):
            history.score_to_beat = history.validation_scores[-1]
        message += f" Setting learning rate to {state.learning_rate:f}"
    report.say(message if divisor is not None else f"{message} Stopping.")
    return divisor is None


def _rise(history):
    """The loss of the last epoch over that of the first, or over 1 if that is more."""
    first = history.first_loss
    return history.loss / max(1.0, abs(first)) if math.isfinite(first) else 0.0


def _doubt(history, config):
    """Warn if training has stalled without success: above the first loss, or nearly at once with badly scaled data."""
    if not config.complete:
        return
    at = f"Training stalled after {history.n_iter - history.stalled} epochs"
    if _rise(history) > _NO_SUCCESS:
        warn(
            f"Stochastic Optimizer: {at} with a loss of {history.loss:.3g}, far above that of the first epoch, "
            f"{history.first_loss:.3g}; try a smaller learning rate.{config.advise()}",
            ConvergenceWarning,
        )
    elif history.n_iter <= 2 * config.n_iter_no_change and (advice := config.advise()):
        warn(f"Stochastic Optimizer: {at}.{advice}", ConvergenceWarning)


def _diverge(history, best, learning_rate, config):
    """Report divergence at learning rates up to this one: an error, unless there is a best epoch to return to."""
    advice = (
        f"Training diverged at epoch {history.n_iter} with a learning rate of {learning_rate:g}; try a smaller one."
    )
    if math.isfinite(history.loss):
        cause = f"The loss has risen from {history.first_loss:.3g} to {history.loss:.3g}."
    else:
        cause = NON_FINITE
    if best is None:
        raise ValueError(f"{cause} {advice}{config.advise()}")
    history.validation_scores.append(np.nan)
    history.validation_loss_curve.append(np.nan)
    warn(f"{advice} The best epoch's weights are kept.{config.advise()}", ConvergenceWarning)


def _minimize(run, theta):
    """Train by SciPy's L-BFGS-B, on all samples at once."""
    objective, history, config = run.objective, run.history, run.config
    n_trained = objective.network.layout.n_trained
    trained, moments = theta[:n_trained], theta[n_trained:]
    best = trained.copy()

    # the objective that is minimised is the one whose gradient is computed: the sum over outputs
    latest, stopped, moved = (np.nan, 0.0), False, np.zeros_like(moments)

    def loss_and_gradient(vector):
        nonlocal latest
        run.begin_epoch()
        trained[:] = vector
        latest = objective.evaluate(theta)
        return sum(latest), objective.gradient[:n_trained].astype(np.float64)

    def after_iteration(intermediate_result):
        nonlocal stopped
        trained[:] = best[:] = intermediate_result.x
        moved[:] = objective.gradient[n_trained:]
        history.n_iter += 1
        history.loss = objective.reported(*latest)  # an iteration ends with its best evaluation
        report.epoch(history)
        stopped = run.end_epoch()
        if stopped:
            raise StopIteration

    options = {
        "maxfun": config.max_fun,
        "maxiter": config.n_epochs,
        "gtol": config.tol,
        # SciPy also stops when the loss hardly falls. Near a minimum the loss is quadratic in the gradient, so a tol
        # below scikit-learn's default 1e-4 asks for that to shrink with its square.
        "ftol": _SCIPY_FTOL * min(1.0, config.tol / 1e-4) ** 2,
        "maxcor": config.optimizer.memory,
    }
    try:
        with BLASThreads(config.n_threads), closing(reporter(config.verbose, config.n_epochs)) as report:
            result = scipy.optimize.minimize(
                loss_and_gradient,
                trained.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options=options,
            )
        best[:] = result.x
        history.n_iter = min(result.nit, config.n_epochs)
        if result.status != 0 and not stopped:
            warn(
                f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): {result.message}. "
                f"Increase max_iter or max_fun, or scale the data.{config.advise()}",
                ConvergenceWarning,
            )
    except KeyboardInterrupt:
        warn(INTERRUPTED)
        trained[:] = best
        moments -= moved  # as below, but an evaluation may take long
        return
    trained[:] = best
    with BLASThreads(config.n_threads):
        history.loss = objective.reported(*objective.evaluate(theta))
        moments -= objective.gradient[n_trained:]  # those of all samples, at these weights
    if not (np.isfinite(history.loss) and np.isfinite(theta).all()):
        raise ValueError(f"{NON_FINITE} (solver='lbfgs', which has no learning rate.){config.advise()}")
