"""The training of all members of an ensemble."""

import numpy as np
from joblib import effective_n_jobs

from sknn_iitb._engine.training import DivergenceError
from sknn_iitb.schedules import Constant
from sknn_iitb.tabular._member_run import MemberRun
from sknn_iitb.tabular._runs import begin, initial_state, train_network
from sknn_iitb.tabular._threads import in_threads

__all__ = ["advance", "finish", "train", "train_further"]

# The learning rate of partial_fit as a share of the highest one, because the schedule has ended at zero. On four
# tables, networks trained on one half learned from the other half too slowly at 0.01; at 0.1, if samples came in small
# batches, they forgot more than they learned.
_FINAL_RATE = 0.03


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

    _of_each(continued, runs, progress, n_jobs)
    trained = [run for run in runs if run.member is not None]
    if required and failures and not trained and not progress.interrupted:
        raise failures[0]
    return trained


def train(data, features, goal, config, progress, started=None):
    """Train all members on their splits.

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
    runs : dict of MemberRun
        Those that have a member, by number: all that were begun before the deadline, and at least one unless
        interrupted.
    """
    started = started or {}

    def trained(k):
        run, label = started.get(k), f"net {k + 1} of {len(data.splits)}"
        if progress.is_over() and (k > 0 or progress.interrupted):
            return run
        run = run or MemberRun(k, data, features[k], goal, config, label)
        run.label = label
        run.advance(config.n_validated, progress)
        return run

    runs = _of_each(trained, range(len(data.splits)), progress, config.n_jobs)
    return {k: run for k, run in enumerate(runs) if run is not None and run.member is not None}


def finish(runs, goal, config, progress):
    """Train those that are complete on all samples; one that diverges keeps its best epoch.

    Parameters
    ----------
    runs : iterable of MemberRun
    goal : Goal
    config : EnsembleConfig
    progress : Progress
    """
    if config.n_epochs(goal) > config.n_validated:
        advance([run for run in runs if run.is_complete], config.max_iter, progress, config.n_jobs)


def _of_each(function, items, progress, n_jobs):
    """Call `function` for each item in `n_jobs` threads; the result is None for those that were interrupted."""
    results = dict.fromkeys(items)

    def call(item):
        try:
            results[item] = function(item)
        except KeyboardInterrupt:
            progress.interrupt()

    try:
        in_threads(call, items, effective_n_jobs(n_jobs), progress.interrupt)
    except KeyboardInterrupt:  # between two items
        progress.interrupt()
    return list(results.values())


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
        run = begin(member.network, data.samples, goal, own, n_epochs=1, complete=False)
        if member.state is None or member.state.optimizer != config.optimizer.identity:
            run.state = initial_state(np.random.RandomState(data.seeds[k]), run)
        else:
            run.state = member.state.copy()
        train_network(run, theta, progress)
        run.state.order = None  # an integer for each sample
        losses = [*member.loss_curve, float(run.history.loss)]
        return member._replace(theta=theta, state=run.state, n_iter=member.n_iter + 1, loss_curve=losses)

    found = _of_each(further, range(len(members)), progress, config.n_jobs)
    return [old if new is None else new for old, new in zip(members, found, strict=True)]
