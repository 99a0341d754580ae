"""Validation: which samples are held out, and how a network is scored on them after each epoch."""

import copy
import math
from inspect import signature

import numpy as np
import sklearn

from sknn_iitb._engine.parameters import Parameters
from sknn_iitb._engine.rows import Rows
from sknn_iitb._jit.compilation import compiled

__all__ = ["Validation", "checked_split", "hold_out"]

# calls after which it is an error if a scorer has returned nothing but NaN
_CALLS_TO_JUDGE = 10


def hold_out(fraction, targets, samples, rng):
    """Choose the samples that are held out.

    Parameters
    ----------
    fraction : float or CV splitter
        The last split of a splitter is used: for a TimeSeriesSplit, the latest samples.
    targets : ClassTargets, SeveralClassTargets or NumberTargets
    samples : Samples
    rng : RandomState

    Returns
    -------
    rows, held_out : ndarray of int64
        Row indices of the training samples and of the others.
    """
    n_samples = len(samples.Y)
    if hasattr(fraction, "split"):
        try:
            *_, split = fraction.split(samples.X, samples.y, samples.groups)
            rows, held_out = checked_split(split, n_samples)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(f"validation_fraction={fraction!r} gives no split of these samples: {error}") from error
        if len(rows) == 0 or len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={fraction!r} leaves {len(rows)} training samples (at least 1 is required) and "
                f"{len(held_out)} validation samples (at least 2 are required)."
            )
        return rows, held_out
    # the same draws as scikit-learn's, which stratifies if there is one output for two classes
    try:
        rows, held_out = sklearn.model_selection.train_test_split(
            np.arange(n_samples), random_state=rng, test_size=fraction, stratify=targets.strata(samples.Y)
        )
    except ValueError as error:
        raise ValueError(f"validation_fraction={fraction!r}: {error}") from error
    if len(held_out) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return rows, held_out


def checked_split(split, n_samples):
    """The row indices of a split, which a user's splitter has made.

    Parameters
    ----------
    split : pair of array-like
        Indices or masks of the training samples and of the others.
    n_samples : int

    Returns
    -------
    rows, held_out : ndarray of int64

    Raises
    ------
    TypeError, ValueError
        If these are no row indices, or overlap.
    """
    rows, held_out = (_indices(side, n_samples) for side in split)
    if np.intersect1d(rows, held_out).size:
        raise ValueError("it has overlapping training and test indices")
    return rows, held_out


def _indices(side, n_samples):
    """One side of a split as row indices; they are checked, because kernels read memory by them."""
    side = np.asarray(side)
    if side.dtype == bool and side.shape == (n_samples,):
        return np.flatnonzero(side)
    if side.ndim != 1 or side.dtype.kind not in "iu" or (side.size and not 0 <= side.min() <= side.max() < n_samples):
        raise ValueError(f"its indices must be integers from 0 to {n_samples - 1}")
    return side.astype(np.int64)


class Validation:
    """The score and loss on a validation set, as a function of the parameters.

    Parameters
    ----------
    network : Network
    loss : Loss
    targets : ClassTargets, SeveralClassTargets or NumberTargets
    samples : Samples
    """

    def __init__(self, network, loss, targets, samples):
        self._network, self._targets, self.samples = network, targets, samples
        Y, weight = samples.Y, samples.weight
        loop, template, self._on_scores = loss.loop(network.output.names[0])
        self._loss = compiled("loss", loop, Y.dtype, template, from_python=True).function
        share = np.full(len(Y), 1 / len(Y)) if weight is None else weight / np.sum(weight)
        self._loss_data = (
            Y,
            np.repeat(share.astype(Y.dtype)[:, None], Y.shape[1], axis=1),
            np.empty_like(Y),
            loss.hyper_array(Y.dtype),
            np.array([0, Y.shape[1]] if targets.output_groups is None else targets.output_groups, np.int64),
        )
        self._divisor = Y.shape[1] if loss.mean_over_outputs else 1
        self._score, self._scoring = self._default, None
        self._n_calls, self._n_valid = 0, 0

    def score_by(self, scoring, estimator):
        """Score by the loss or by a scorer instead of accuracy or R2.

        Parameters
        ----------
        scoring : str, callable or None
        estimator : estimator instance
            An estimator that can predict with `_parameters` set.
        """
        self._scoring = scoring
        if scoring == "loss":
            self._score = lambda theta, outputs, loss: -loss
        elif scoring is not None:
            scorer = sklearn.metrics.check_scoring(estimator, scoring)
            X, _, y, weight, _ = self.samples
            X = X.copied() if isinstance(X, Rows) else X
            weighted = {"sample_weight": weight} if weight is not None and _takes_weights(scorer) else {}
            # the samples have been validated, and have no feature names any more
            estimator = copy.copy(estimator)
            vars(estimator).pop("feature_names_in_", None)

            def score(theta, outputs, loss):
                estimator._parameters = Parameters(self._network.layout, theta)
                return float(scorer(estimator, X, y, **weighted))

            self._score = score

    def _default(self, theta, outputs, loss):
        X, Y, y, weight, _ = self.samples
        if self._targets.uses_values == self._on_scores:
            outputs = self._network.predict(X, theta, self._targets.uses_values)
        return self._targets.score(outputs, Y, y, weight)

    def __call__(self, theta):
        """Return score and loss."""
        outputs = self._network.predict(self.samples.X, theta, activate_output=not self._on_scores)
        Y, *rest = self._loss_data
        loss = self._loss(outputs, Y, *rest) / self._divisor
        score = self._score(theta, outputs, loss)
        self._n_calls += 1
        self._n_valid += not math.isnan(score)
        if self._n_calls == _CALLS_TO_JUDGE:
            self.check()
        return score, loss

    def check(self):
        """Raise ValueError if the scorer has returned nothing but NaN, which training would ignore."""
        if self._scoring is not None and self._n_calls and not self._n_valid:
            self._refuse(self._n_calls)

    def check_scores(self, scores):
        """Do the same for the scores of many calls of ``partial_fit``."""
        if self._scoring is not None and len(scores) >= _CALLS_TO_JUDGE and np.isnan(scores).all():
            self._refuse(len(scores))

    def _refuse(self, n_calls):
        raise ValueError(
            f"scoring={self._scoring!r} returned NaN each time it was called ({n_calls} times) on the validation set."
        )


def _takes_weights(scorer):
    """Whether a scorer takes weights: those of scikit-learn do for any metric, and pass them on."""
    try:
        parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    except ValueError:  # a compiled function may not tell its parameters
        return False
    return "sample_weight" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
