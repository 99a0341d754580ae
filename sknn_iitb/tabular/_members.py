"""What the members of an ensemble are trained on, what they learn, and what they become."""

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logit

from sknn_iitb._engine.network import CHUNK
from sknn_iitb._engine.parameters import native
from sknn_iitb._engine.plain import kind
from sknn_iitb._engine.samples import Samples
from sknn_iitb.tabular.views import dense

__all__ = ["CYCLES", "Ensemble", "EnsembleConfig", "EnsembleData", "Goal", "Member"]


# The shares of training after which the second, third and fourth cycle of 'coslog' end, when the learning rate is zero.
CYCLES = 1 / 5, 7 / 15, 1.0


class EnsembleConfig(NamedTuple):
    """How the members are trained.

    The last `n_last` of the `max_iter` epochs use all samples. `stops_early` says whether a member that was best before
    the third cycle does without the fourth. `n_jobs` members train at a time, in threads.
    """

    n_estimators: int
    hidden_layer_sizes: tuple[int, ...]
    activation: Any
    dropout: float
    optimizer: Any
    schedule: Any
    learning_rate_init: float
    max_iter: int
    n_last: int
    stops_early: bool
    batch_size: int
    label_smoothing: float
    n_jobs: int | None

    @property
    def n_validated(self):
        """The number of epochs among which the best is chosen by the held-out samples."""
        return self.max_iter - self.n_last

    def n_epochs(self, goal):
        """The maximum number of epochs of a member for this goal."""
        return self.max_iter if goal.uses_held_out else self.n_validated

    @property
    def ends_of_cycles(self):
        """The epochs among these with which the second, third and fourth cycle end."""
        return [max(1, round(share * self.n_validated)) for share in CYCLES]


class EnsembleData(NamedTuple):
    """What the members are trained on.

    Attributes
    ----------
    samples : Samples
        X is the encoded table, in float32.
    seeds : sequence of int
        One for each member.
    splits : list of (ndarray, ndarray), optional
        Row indices of each member's training and validation samples.
    validation_set : Samples, optional
        Replaces the validation samples of `splits`.
    everything : PartitionedSamples, optional
        What the members are trained on instead of `samples`, which are a part of it that fits in memory.
    """

    samples: Samples
    seeds: Any
    splits: Any = None
    validation_set: Samples | None = None
    everything: Any = None

    def widened(self, loss):
        """With a column of Y for each output that the loss needs."""
        wide = (each and each._replace(Y=loss.widen(each.Y)) for each in (self.samples, self.validation_set))
        samples, validation_set = wide
        everything = self.everything and self.everything.widened(loss)
        return self._replace(samples=samples, validation_set=validation_set, everything=everything)

    def training(self, k):
        """The training samples of a member."""
        return self.everything or self.samples.take(self.splits[k][0])

    def held_out(self, k):
        """The validation samples of a member."""
        return self.validation_set or self.samples.take(self.splits[k][1])


class Goal(NamedTuple):
    """What the members learn, and the metric by which their best epoch is chosen.

    `uses_held_out` says whether they learn from their held-out samples in the last epochs.
    """

    targets: Any
    output: Any
    loss: Any
    metric: Any
    uses_held_out: bool = True

    @property
    def least_probability(self):
        """As in scikit-learn's log_loss for float32."""
        return float(np.finfo(np.float32).eps)

    def predictions(self, score):
        """Probabilities or numbers."""
        return self.targets.probabilities(score, self.output.names[0]) if self.metric.is_calibrated else score

    def score(self, predictions):
        """The scores of which these are the predictions."""
        if not self.metric.is_calibrated:
            return predictions
        predictions = np.clip(predictions, self.least_probability, 1 - self.least_probability)
        return logit(predictions) if self.targets.multilabel else np.log(predictions)

    def mean(self, scores, weights=None):
        """The scores of the averaged predictions."""
        return self.score(np.average([self.predictions(score) for score in scores], axis=0, weights=weights))

    def error(self, score, samples):
        """The error of predictions: of their probabilities, whatever the metric, or numbers."""
        error = self.metric.calibration_error or self.metric.error
        return error(self.targets, score, samples)

    def temperature(self, score, samples, spread=np.inf):
        """The temperature that divides the scores for calibrated probabilities (Guo et al., arXiv:1706.04599).

        Its logarithm has a normal prior of standard deviation `spread` around zero.
        """
        if not self.metric.is_calibrated:
            return 1.0
        found = minimize_scalar(
            lambda log: self.error(score / np.exp(log), samples) + (log / spread) ** 2 / (2 * len(score)),
            bounds=_LOG_TEMPERATURES,
            method="bounded",
        )
        return float(np.exp(found.x))


# bounds of the logarithm of a temperature
_LOG_TEMPERATURES = -1.0, 3.0

_Member = namedtuple(
    "Member",
    "network theta temperature error n_iter loss_curve validation_curve settings state",
    defaults=[None, None],
)


@kind("Member")
class Member(_Member):
    """A trained network.

    Its parameters, the temperature that divides its scores, its lowest error, its number of epochs, lists of the
    training loss and the validation error of each epoch, a dict of the fields of EnsembleConfig that differ for it, and
    the state of its optimizer if training is to continue.
    """

    def __new__(cls, network, theta, *rest, **named):
        theta = native(theta)
        if theta.shape != (network.layout.size,):
            raise ValueError(f"{theta.shape} parameters for a network of {network.layout.size}")
        return super().__new__(cls, network, theta, *rest, **named)

    def inputs(self, Z):
        """The columns of an encoded table, with the bins and knots that the first layer computes from them."""
        return dense(self._features, Z)

    @property
    def input_columns(self):
        """For each of these inputs, the encoded column from which it is computed."""
        columns = np.arange(self.network.units[0])
        return np.concatenate([columns, self._features.bins.column, self._features.knots.column]).astype(np.intp)

    @property
    def _features(self):
        return self.network.blocks[0][0].features

    def scores(self, Z, chunk_rows=CHUNK):
        """The calibrated scores for an encoded table, computed in its dtype, for so many rows at a time."""
        theta = self.theta.astype(Z.dtype, copy=False)
        return self.network.predict(Z, theta, False, chunk_rows=chunk_rows) / Z.dtype.type(self.temperature)


@kind("Ensemble")
class Ensemble(NamedTuple):
    """Members, and how their predictions are averaged.

    Attributes
    ----------
    members : list of Member
    weights : list of float or None
        None if they are equal.
    temperature : float
        Divides the scores of the averaged probabilities.
    """

    members: list[Member]
    weights: list[float] | None = None
    temperature: float = 1.0

    def mean(self, goal, scores):
        """The calibrated scores of the averaged predictions, given those of each member."""
        return goal.mean(scores, self.weights) / self.temperature
