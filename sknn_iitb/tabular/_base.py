"""What the two estimators for tables share: encode, train a few nets, average."""

from numbers import Integral, Real
from time import perf_counter

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from sknn_iitb._blas import single_threaded
from sknn_iitb._parts import one_of
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES
from sknn_iitb.reporting import reporter
from sknn_iitb.tabular.members import Progress, Recipe, splits, train
from sknn_iitb.tabular.preprocessing import TableEncoder
from sknn_iitb.validation import Samples

__all__ = ["PRESETS", "BaseTabularMLP"]

# what a preset says where the user does not
PRESETS = {
    "fast": {"n_estimators": 2, "max_iter": 32},
    "default": {"n_estimators": 8, "max_iter": 64},
    "best": {"n_estimators": 20, "max_iter": 96},
}

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


class BaseTabularMLP(BaseEstimator):
    """What the two estimators share."""

    _parameter_constraints = {
        "preset": [one_of(PRESETS)],
        "n_estimators": [_COUNT, None],
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [one_of(ACTIVATIONS.names(lambda cls: cls.hidden)), ACTIVATIONS.base, None],
        "learning_rate_init": [_POSITIVE, None],
        "max_iter": [_COUNT, None],
        "batch_size": [_COUNT],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), HasMethods("split")],
        "max_time": [_POSITIVE, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, groups=None):
        """Encode the table and train the members.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            Numbers of any scale, categories, strings, booleans; missing values too.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, at least 0.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            What to judge by; all of X is learned from then.
        groups : array-like of shape (n_samples,), default=None
            For a splitter as `validation_fraction` that keeps groups together.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used. The estimator stays as it was.
        """
        self._validate_params()
        before = vars(self).copy()
        try:
            return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), groups)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _fit(self, X, y, sample_weight, given, groups):
        began = perf_counter()
        rng = check_random_state(self.random_state)
        encoder = TableEncoder(self.categorical_features)
        Z = encoder.fit_transform(X)
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        y = self._checked_targets(y)
        check_consistent_length(X, y, sample_weight, groups)
        if len(Z) < 2:
            raise ValueError(f"Two samples at least are needed, got n_samples=1: {type(self).__name__} holds some out.")
        self.encoder_, self._targets = encoder, self._targets_of(y)
        metric, output = self._metric(), self._output()
        samples = self._samples(Z, y, sample_weight, groups, output, training=True)
        judged = self._judged(given, output)
        recipe = self._recipe(metric)
        everything = np.arange(len(samples.Y))
        parts = (
            [(everything, everything[:0])] * recipe.n_estimators
            if judged is not None
            else splits(recipe.n_estimators, self.validation_fraction, samples, self._strata(samples.Y), rng)
        )
        seeds = rng.randint(2**31 - 1, size=recipe.n_estimators)
        goals = self._goals(metric)
        n_epochs = recipe.n_estimators * recipe.max_iter
        report = reporter(self.verbose, len(goals) * n_epochs)
        try:
            for k, (name, loss, metric) in enumerate(goals):
                deadline = None if self.max_time is None else began + self.max_time * (k + 1) / len(goals)
                progress = Progress(report, deadline, k * n_epochs)
                learned, known = (each and each._replace(Y=loss.widen(each.Y)) for each in (samples, judged))
                members = train(
                    learned, known, self._targets, loss, output, metric, recipe, parts, seeds, progress, self.n_jobs
                )
                setattr(self, name, members)
        finally:
            report.close()
        self.n_iter_ = max(member.n_iter for member in self.members_)
        return self

    def _goals(self, metric):
        """What is trained: the attribute that keeps the members, the loss, and what the best epoch is best at."""
        return [("members_", LOSSES.resolve(metric.loss), metric)]

    def _recipe(self, metric):
        preset = PRESETS[self.preset]
        sizes = np.ravel(self.hidden_layer_sizes)
        if sizes.size == 0 or not all(isinstance(n, Integral) and n > 0 for n in sizes.tolist()):
            raise ValueError(
                f"hidden_layer_sizes must be one or more numbers above 0, got {self.hidden_layer_sizes!r}."
            )
        activation, rate = self._defaults
        return Recipe(
            n_estimators=self.n_estimators or preset["n_estimators"],
            hidden=tuple(int(n) for n in sizes),
            activation=ACTIVATIONS.resolve(activation if self.activation is None else self.activation),
            learning_rate_init=rate if self.learning_rate_init is None else self.learning_rate_init,
            max_iter=self.max_iter or preset["max_iter"],
            batch_size=self.batch_size,
            label_smoothing=self._smoothing(metric),
        )

    def _samples(self, Z, y, sample_weight, groups, output, training=False):
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, Z, ensure_non_negative=True)
        weight = self._weigh(y, weight, training)
        Y = self._encoded(y, output, training)
        groups = None if groups is None else np.asarray(groups)
        samples = Samples(Z, Y, y, weight, groups)
        if weight is None:
            return samples
        counts = weight > 0
        if not counts.any():  # newer versions of scikit-learn have said so above
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return samples if counts.all() else samples.take(np.flatnonzero(counts))

    def _judged(self, given, output):
        X_val, y_val, weight_val = given
        if X_val is None:
            if y_val is not None or weight_val is not None:
                raise ValueError("y_val and sample_weight_val go with X_val, which is missing.")
            return None
        if y_val is None:
            raise ValueError("X_val needs y_val.")
        Z = self.encoder_.transform(X_val)
        y_val = self._checked_targets(y_val)
        check_consistent_length(Z, y_val, weight_val)
        return self._samples(Z, y_val, weight_val, None, output)

    def _scores(self, X, members="members_"):
        """The members' raw scores, one after the other."""
        check_is_fitted(self)
        Z = self.encoder_.transform(X)
        with single_threaded():
            for member in getattr(self, members):
                yield member.network.predict(Z, member.theta, False) / np.float32(member.temperature)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags
