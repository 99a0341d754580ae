"""A training run: its configuration, the state it continues from, and its history."""

from collections import namedtuple
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sknn_iitb._engine.order import RowOrder
from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.plain import DamagedError, kind, random_state

__all__ = ["INTERRUPTED", "NON_FINITE", "History", "Interrupted", "Run", "State", "TrainingConfig", "planned_steps"]

INTERRUPTED = "Training interrupted by user."
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class Interrupted(KeyboardInterrupt):
    """Ends training like Ctrl-C; the caller reports why."""


TrainingConfig = namedtuple(
    "TrainingConfig",
    "optimizer schedule constraints learning_rate_init batch_size shuffle n_epochs complete stops_early tol "
    "n_iter_no_change verbose advise ends warns n_threads max_fun",
    defaults=[False, True, 1, None],
)
TrainingConfig.__doc__ = """The configuration of a run.

`complete` is False for a single epoch by partial_fit; `advise` returns a sentence on what may be wrong with the data if
training fails; `ends` says whether the last epoch is where training should end; `warns` says whether to warn of an
interrupt, and if training has not converged by the last epoch; `n_threads` is the number of BLAS threads; `max_fun`
limits the evaluations of lbfgs.
"""


@kind("State")
@dataclass
class State:
    """What a run needs to continue exactly where another stopped."""

    rng: np.random.RandomState
    optimizer_state: np.ndarray
    n_steps: int  # planned updates; an epoch has steps_per_epoch
    steps_per_epoch: int
    learning_rate: float
    step: int = 0
    divisor: float = 1.0
    order: RowOrder | None = None
    optimizer: str = ""
    seed: int = 0
    averages_moments: bool = True  # whether running moments begin with the first step
    # under early stopping by partial_fit: the best parameters, which the user sees, and those to continue from
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
                config.optimizer.n_state_vectors * objective.network.layout.n_trained, objective.dtype
            ),
            n_steps=planned_steps(max_iter, steps_per_epoch),
            steps_per_epoch=steps_per_epoch,
            learning_rate=config.learning_rate_init,
        )

    def check(self, layout, dtype):
        """Raise DamagedError if it cannot be the state of a paused network with this layout."""
        vectors = [each for each in (self.best, self.current) if each is not None]
        fits = (
            self.optimizer_state.ndim == 1
            and self.optimizer_state.size % layout.n_trained == 0
            and all(each.shape == (layout.size,) for each in vectors)
            and all(native(each).dtype == dtype for each in (self.optimizer_state, *vectors))
            and not (self.order is not None and self.order.is_long)
        )
        if not fits:
            raise DamagedError("the state of its optimizer does not fit its network")

    def next_order(self, n):
        """Shuffle the order of the last epoch, with the draws of scikit-learn and so into the same order."""
        if self.order is None or not self.order.continues(n, self.rng):
            self.order = RowOrder.before(n, self.rng)
        return self.order.shuffle(self.rng)

    def pause(self, keeps_order):
        """Training pauses; after an interrupt, it is unknown whether the last order has been drawn."""
        if not keeps_order or (self.order is not None and self.order.is_long):
            self.order = None
        elif self.order is not None:
            self.order.pause(self.rng)

    def writable(self):
        """Self, or a copy if its optimizer's state is read-only, as after joblib has memory-mapped it."""
        return self if self.optimizer_state.flags.writeable else self.copy()

    def __post_init__(self):
        self.optimizer_state = native(self.optimizer_state)

    def copy(self):
        """A copy that shares nothing that training changes."""
        rng = random_state(self.rng.get_state(legacy=False))
        order = None if self.order is None else self.order.copy()
        return replace(self, rng=rng, optimizer_state=self.optimizer_state.copy(), order=order)


@dataclass
class History:
    """What happened in a run. It starts from the best values so far, and the run updates them."""

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


@dataclass
class Run:
    """A training run.

    Attributes
    ----------
    objective : Objective
        The objective to minimize.
    config : TrainingConfig
        The configuration.
    history : History
        What has happened so far; changed in place.
    state : State or None
        Changed in place; None for lbfgs.
    validate : callable or None
        ``validate(theta)`` returns score and loss on the validation set.
    observers : sequence
        Of each, ``begin()`` is called before an epoch and ``end(history)`` after it; True stops training.
    samples : Samples or None
        All samples, those of the validation set included.
    best : ndarray or None
        The parameters of the best epoch under early stopping.
    n_done : int
        Number of epochs that an earlier process has trained.
    writer : Writer or None
        Writes checkpoints.
    """

    objective: Any
    config: TrainingConfig
    history: History
    state: State | None = None
    validate: Any = None
    observers: Any = ()
    samples: Any = None
    best: np.ndarray | None = None
    n_done: int = 0
    writer: Any = None

    def begin_epoch(self):
        for observer in self.observers:
            observer.begin()

    def end_epoch(self):
        """Return whether an observer stops training."""
        return any([observer.end(self.history) for observer in self.observers])  # noqa: C419  notify every observer


def planned_steps(n_epochs, steps_per_epoch):
    """Number of updates in `n_epochs`, capped to fit an int64."""
    return min(n_epochs * steps_per_epoch, 2**62)
