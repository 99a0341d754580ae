"""Training by SciPy's L-BFGS-B, on all samples at once."""

from contextlib import closing

import numpy as np
import scipy
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.run import INTERRUPTED, NON_FINITE, Interrupted
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._jit.blas import BLASThreads

__all__ = ["minimize"]

_SCIPY_FTOL = 1e7 * np.finfo(float).eps  # SciPy's default


def minimize(run, theta):
    """Train a network; see :func:`sknn_iitb._engine.training.train`."""
    objective, history, config = run.objective, run.history, run.config
    n_trained = objective.network.layout.n_trained
    trained, moments = theta[:n_trained], theta[n_trained:]
    best = trained.copy()

    # minimize the sum over outputs, which matches the gradient; the mean is reported
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

    try:
        with BLASThreads(config.n_threads), closing(reporter(config.verbose, config.n_epochs)) as report:
            result = scipy.optimize.minimize(
                loss_and_gradient,
                trained.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options=_options(config),
            )
        best[:] = result.x
        history.n_iter = min(result.nit, config.n_epochs)
        if result.status != 0 and not stopped:
            warn(
                f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): {result.message}. "
                f"Increase max_iter or max_fun, or scale the data.{config.advise()}",
                ConvergenceWarning,
            )
    except KeyboardInterrupt as interrupt:
        if not isinstance(interrupt, Interrupted):
            warn(INTERRUPTED)
        trained[:] = best
        moments -= moved  # as below, without another evaluation, which may take long
        return
    trained[:] = best
    with BLASThreads(config.n_threads):
        history.loss = objective.reported(*objective.evaluate(theta))
        moments -= objective.gradient[n_trained:]  # the moments of all samples, at these weights
    if not (np.isfinite(history.loss) and np.isfinite(theta).all()):
        raise ValueError(f"{NON_FINITE} (solver='lbfgs', which has no learning rate.){config.advise()}")


def _options(config):
    return {
        "maxfun": config.max_fun,
        "maxiter": config.n_epochs,
        "gtol": config.tol,
        # SciPy also stops when the loss hardly falls. Near a minimum the loss is quadratic in the gradient, so below
        # scikit-learn's default tol of 1e-4 this tolerance shrinks with the square of tol.
        "ftol": _SCIPY_FTOL * min(1.0, config.tol / 1e-4) ** 2,
        "maxcor": config.optimizer.memory,
    }
