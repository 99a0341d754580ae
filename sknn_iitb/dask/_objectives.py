"""Objectives whose samples are on a cluster: what the training loop of one machine minimizes, in rounds."""

from dataclasses import dataclass

import numpy as np

from sknn_iitb._engine import kernels
from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.parameters import aligned
from sknn_iitb._engine.run import Interrupted
from sknn_iitb.dask._cluster import Cluster, WorkersLostError
from sknn_iitb.dask._shards import Learner, Round, averaged

__all__ = ["FullGradient", "LocalSteps", "SharedValidation", "Work"]


@dataclass
class Work:
    """The rounds of a fit.

    Attributes
    ----------
    cluster : Cluster
    learners : list of handles
        Of a Learner each.
    n_rows : int
        Number of training samples.
    lost : WorkersLostError or None
        Why training has ended early.
    """

    cluster: Cluster
    learners: list
    n_rows: int
    lost: WorkersLostError | None = None

    def round(self, function, argument):
        """Call a method of all learners and average what they return."""
        try:
            return self.cluster.map_reduce(function, self.learners, argument, averaged)
        except WorkersLostError as error:
            self.lost = error
            raise Interrupted from error


class _Distributed:
    """What both objectives have of :class:`~sknn_iitb._engine.objective.Objective`.

    Parameters
    ----------
    work : Work
    network : Network
    loss : Loss
    dtype : dtype
        Of the parameters.
    """

    def __init__(self, work, network, loss, dtype):
        self.network, self.n_samples, self.dtype = network, work.n_rows, dtype
        self.gradient = aligned(network.layout.size, dtype)
        self._work, self._loss = work, loss
        self._divisor = network.units[-1] if loss.mean_over_outputs else 1

    def parts(self, state, config):
        """Yield self and the rows, which have no order here: the workers shuffle."""
        yield self, range(self.n_samples)

    def progress(self):
        """Words for how much of an epoch is done."""
        return []

    def reported(self, loss, penalty):
        """The loss for ``loss_`` and ``loss_curve_``."""
        return float(loss / self._divisor + penalty)


class FullGradient(_Distributed):
    """The gradient on all samples: the workers' gradients, averaged. The solver runs in this process."""

    def evaluate(self, theta):
        """Compute the gradient into ``self.gradient``; return the loss and the penalty."""
        (loss, penalty), self.gradient[:] = self._work.round(Learner.gradient, theta).means
        return loss, penalty

    def begin(self, state, config):
        """Compile what a first-order optimizer needs."""
        dtype = self.gradient.dtype
        nothing = [np.zeros((1, n), dtype) for n in (self.network.units[0], self.network.units[-1])]
        self._update = Objective(self.network, self._loss, *nothing, max_rows=1, gradient=kernels.given)
        self._update.begin(state, config._replace(batch_size=1))

    def train(self, theta, order, learning_rates, step):
        """Take the only step of an epoch; return loss and penalty, summed over the samples."""
        loss, penalty = self.evaluate(theta)
        self._update.gradient[:] = self.gradient
        check, _ = self._update.train(theta, np.zeros(1, np.int64), learning_rates, step)  # NaN if theta is not finite
        return (loss + check) * len(order), penalty * len(order)

    def batches_per_call(self, batch_size):
        """One: a batch is all samples."""
        return 1


class LocalSteps(_Distributed):
    """Steps of all workers on batches of their own, after which weights and the optimizer's state are averaged.

    Parameters
    ----------
    *arguments
        As for the other objective.
    n_steps : int
        Steps between two averages.
    """

    def __init__(self, *arguments, n_steps):
        super().__init__(*arguments)
        self._n_steps = n_steps

    def begin(self, state, config):
        """Keep what :meth:`train` changes; an epoch before the first has ended."""
        self._state, self._batch_size = state, config.batch_size
        self._epoch = state.step // state.steps_per_epoch

    def parts(self, state, config):
        """Begin another epoch."""
        self._epoch += 1
        yield from super().parts(state, config)

    def train(self, theta, order, learning_rates, step):
        """Take the steps of a round; return loss and penalty, summed over the rows that were used."""
        now = Round(
            theta, self._state.optimizer_state, learning_rates, self._epoch, order.start // self._batch_size, step
        )
        found = self._work.round(Learner.steps, now)
        theta[:], self._state.optimizer_state[:] = found.means
        return found.sums

    def batches_per_call(self, batch_size):
        """The steps of a round."""
        return self._n_steps


class SharedValidation:
    """The mean score and loss on the samples that the workers have held out.

    Parameters
    ----------
    work : Work
    """

    def __init__(self, work):
        self._work = work

    def __call__(self, theta):
        """Return score and loss."""
        ((score, loss),) = self._work.round(Learner.validate, theta).means
        return float(score), float(loss)

    def check(self):
        """Raise ValueError if a scorer has returned nothing but NaN."""
        self._work.round(Learner.check_validation, None)
