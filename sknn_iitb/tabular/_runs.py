"""Training runs of single networks for tables."""

import numpy as np

from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.run import History, Run, State, TrainingConfig
from sknn_iitb._engine.training import train
from sknn_iitb.tabular._network import draw

__all__ = ["begin", "exact_objective", "initial_state", "new_run", "train_network"]


def exact_objective(network, samples, goal, config):
    """What the training of a member minimizes on these samples, without dropout."""
    Y = _softened(samples.Y, goal, config)
    return Objective(network, goal.loss, samples.X, Y, samples.weight, max_rows=len(Y))


def new_run(network, samples, goal, config, seed):
    """A run that trains a network on all samples, and its initial parameters."""
    rng = np.random.RandomState(seed)
    theta, run = draw(network, rng, samples.Y.dtype), begin(network, samples, goal, config)
    run.state = initial_state(rng, run, config.max_iter)
    return run, theta


def _softened(Y, goal, config):
    if not config.label_smoothing:
        return Y
    return goal.targets.smooth(Y, config.label_smoothing, goal.output.names[0]).astype(Y.dtype)


def begin(network, samples, goal, config, **changes):
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


def initial_state(rng, run, max_iter=1):
    """The state of a run before its first step; `max_iter` epochs are planned."""
    state = State.before(run.config, run.objective, rng, max_iter)
    if run.objective.network.drops:
        state.seed = int(rng.randint(2**31 - 1))
    return state


def train_network(run, theta, progress):
    """Train a network; Ctrl-C stops all members."""
    progress.watch(run.objective)
    train(run, theta)
    if run.history.interrupted:
        progress.interrupt()
