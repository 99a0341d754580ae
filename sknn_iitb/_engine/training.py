"""Training: epochs, batches, learning rates and early stopping."""

import math
from contextlib import closing
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb._engine.checkpoint import state_of_run
from sknn_iitb._engine.lbfgs import minimize
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.run import INTERRUPTED, NON_FINITE, Interrupted
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._jit.blas import BLASThreads

__all__ = ["DivergenceError", "train"]

# A loss this many times that of the first epoch is divergence; training that ends with a loss above the second factor
# has failed. Large steps of adam raise the loss up to a million times and can still end at a good network;
# sgd does not recover from a billion.
_EXPLOSION, _NO_SUCCESS = 1e9, 10.0
# no network has a use for weights above this
_LARGEST = 1e15


class DivergenceError(ValueError):
    """Training has diverged before an epoch whose parameters could be kept."""


def train(run, theta):
    """Train a network.

    Parameters
    ----------
    run : Run
    theta : ndarray
        The parameters, changed in place; under early stopping the result is the best epoch's.

    Raises
    ------
    DivergenceError
        If the loss or a parameter becomes infinite or NaN, or the loss explodes, and there is no best epoch.
    """
    (minimize if run.config.optimizer.kernel is None else _descend)(run, theta)


def _descend(run, theta):
    """Train by a first-order optimizer."""
    state, history, config = run.state, run.history, run.config
    # epochs of an earlier run count too: theta are its best parameters
    if run.best is None and config.stops_early and np.isfinite(history.best_score):
        run.best = theta.copy()
    if not config.complete and run.best is not None:
        if state.current is None:  # the earlier run was a fit, with its own patience
            history.stalled = 0
        if history.stalled > config.n_iter_no_change:  # has stopped
            return
        if state.current is not None and np.array_equal(theta, state.best):  # otherwise the user has changed them
            theta[:] = state.current
    run.objective.begin(state, config)
    factors = _factors(run.objective.n_samples, state, config)
    try:
        with BLASThreads(config.n_threads), closing(reporter(config.verbose, config.n_epochs)) as report:
            n_left = config.n_epochs - run.n_done
            if run.n_done and _settles(run, report):
                n_left = 0
            for _ in range(n_left):
                run.begin_epoch()
                learning_rates = config.learning_rate_init / state.divisor * next(factors)
                _run_epoch(run, theta, learning_rates, report)
                score, loss = (None, None) if run.validate is None else run.validate(theta)
                cause = _divergence(history, theta)
                if cause:
                    report.close()
                    _diverge(cause, history, run.best, learning_rates.max(), config)
                    break
                if _judge(history, score, loss, config):
                    run.best = theta.copy()
                report.epoch(history, score)
                state.divisor = config.schedule.after_epoch(state.divisor, history.n_samples, history.stalled)
                state.learning_rate = config.learning_rate_init / state.divisor
                stops = run.end_epoch()
                if run.writer is not None:
                    run.writer.count(partial(state_of_run, run, theta))
                if stops or _settles(run, report):
                    break
            else:
                if config.complete and config.warns and n_left == config.n_epochs - run.n_done:
                    report.close()
                    _warn_at_the_end(history, config)
            if run.writer is not None:
                run.writer.write(state_of_run(run, theta))
    except KeyboardInterrupt as interrupt:
        history.interrupted = True
        if config.warns and not isinstance(interrupt, Interrupted):
            warn(INTERRUPTED)
    if run.best is not None:
        state.best, state.current = (None, None) if config.complete else (run.best, theta.copy())
        theta[:] = run.best


def _settles(run, report):
    """Whether training has stalled for good."""
    if run.history.stalled <= run.config.n_iter_no_change or not _stop(run.state, run.history, run.config, report):
        return False
    report.close()
    _warn_if_stalled(run.history, run.config)
    return True


def _factors(n_samples, state, config):
    """Yield the schedule's factors for each epoch, computed for many updates at a time."""
    n_batches = -(-n_samples // config.batch_size)
    n_ahead = min(config.n_epochs, max(1, 1024 // n_batches))
    while True:
        # beyond the planned end, under partial_fit, the last factor remains
        steps = np.minimum(np.arange(state.step, state.step + n_ahead * n_batches), state.n_steps - 1)
        yield from config.schedule.factors(steps, state.n_steps, state.steps_per_epoch).reshape(n_ahead, n_batches)


def _run_epoch(run, theta, learning_rates, report):
    """Use every sample once, about 100 ms of batches at a time; record the loss."""
    objective, state, history, batch_size = run.objective, run.state, run.history, run.config.batch_size
    loss = penalty = 0.0
    n_done = n_steps = 0
    try:
        with closing(objective.parts(state, run.config)) as parts:
            for part, order in parts:
                n_at_once = part.batches_per_call(batch_size) * batch_size
                for first in range(0, len(order), n_at_once):
                    rows = order[first : first + n_at_once]
                    now = learning_rates[n_steps : n_steps - (-len(rows) // batch_size)]
                    sums = part.train(theta, rows, now, state.step)
                    loss, penalty = loss + sums[0], penalty + sums[1]
                    n_done, n_steps = n_done + len(rows), n_steps + len(now)
                    state.step += len(now)
                report.within(history, n_done, objective)
    finally:
        if n_done:
            history.loss = part.reported(loss / n_done, penalty / n_done)
    history.n_iter += 1
    history.n_samples += objective.n_samples
    if history.first_loss is None:
        history.first_loss = history.loss
    history.loss_curve.append(history.loss)
    history.learning_rate_curve.append(float(learning_rates[0]))


def _judge(history, score, loss, config):
    """Compare the epoch with the best so far, by validation score or loss; return whether to keep its parameters."""
    if score is not None:
        history.validation_scores.append(score)
        history.validation_loss_curve.append(loss)
    if config.stops_early:
        # a NaN, from predictions that overflow, is not an improvement
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
    """Whether to stop, after training has stalled; if not, continue at the schedule's new learning rate."""
    what = "Validation score" if config.stops_early else "Training loss"
    message = f"{what} did not improve more than tol={config.tol:f} for {config.n_iter_no_change} consecutive epochs."
    divisor = config.schedule.instead_of_stopping(state.divisor, state.learning_rate)
    if divisor is not None:
        state.divisor, state.learning_rate, history.stalled = divisor, config.learning_rate_init / divisor, 0
        # one lucky epoch must not make all later ones seem to stall
        history.loss_to_beat = history.loss
        if config.stops_early and math.isfinite(history.validation_scores[-1]):
            history.score_to_beat = history.validation_scores[-1]
        message += f" Setting learning rate to {state.learning_rate:f}"
    report.say(message if divisor is not None else f"{message} Stopping.")
    return divisor is None


def _rise(history):
    """The loss of the last epoch divided by that of the first, or by 1 if that is larger."""
    first = history.first_loss
    return history.loss / max(1.0, abs(first)) if math.isfinite(first) else 0.0


def _warn_if_risen(history, config, what):
    """Warn if the loss is far above that of the first epoch; return whether it is."""
    if _rise(history) <= _NO_SUCCESS:
        return False
    warn(
        f"Stochastic Optimizer: {what} with a loss of {history.loss:.3g}, far above that of the first epoch, "
        f"{history.first_loss:.3g}; try a smaller learning rate.{config.advise()}",
        ConvergenceWarning,
    )
    return True


def _warn_at_the_end(history, config):
    """Warn after the last epoch if the loss has risen, or if the schedule would have gone on."""
    if _warn_if_risen(history, config, f"Training ended after {config.n_epochs} epochs") or config.ends:
        return
    warn(
        f"Stochastic Optimizer: Maximum iterations ({config.n_epochs}) "
        f"reached and the optimization hasn't converged yet.{config.advise()}",
        ConvergenceWarning,
    )


def _warn_if_stalled(history, config):
    """Warn if training has stalled without success: above the first loss, or early and with badly scaled data."""
    at = f"Training stalled after {history.n_iter - history.stalled} epochs"
    if not config.complete or _warn_if_risen(history, config, at):
        return
    if history.n_iter <= 2 * config.n_iter_no_change and (advice := config.advise()):
        warn(f"Stochastic Optimizer: {at}.{advice}", ConvergenceWarning)


def _divergence(history, theta):
    """How training has diverged; None if it has not."""
    if not math.isfinite(history.loss):
        return NON_FINITE
    if _rise(history) > _EXPLOSION:
        return f"The loss has risen from {history.first_loss:.3g} to {history.loss:.3g}."
    if (
        history.n_iter == 1 and not (largest := abs(theta).max(initial=0)) <= _LARGEST
    ):  # the loss has risen in the epoch
        return f"A weight has grown to {largest:.3g}."
    return None


def _diverge(cause, history, best, learning_rate, config):
    """Report divergence at learning rates up to this one: an error, unless there is a best epoch to return to."""
    advice = (
        f"Training diverged at epoch {history.n_iter} with a learning rate of {learning_rate:g}; try a smaller one."
    )
    if best is None:
        raise DivergenceError(f"{cause} {advice}{config.advise()}")
    history.validation_scores.append(np.nan)
    history.validation_loss_curve.append(np.nan)
    warn(f"{advice} The best epoch's weights are kept.{config.advise()}", ConvergenceWarning)
