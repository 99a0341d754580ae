"""Base class of the tabular estimators: encode, train an ensemble, average."""

from numbers import Integral, Real
from os import PathLike
from time import perf_counter
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted

from sknn_iitb._engine.checkpoint import Origin, Writer, checkpoint_of, read
from sknn_iitb._engine.description import DescriptionMixin, network_entries, training_entries
from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.plain import DamagedError, from_plain, to_plain
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.rollback import unchanged_on_error
from sknn_iitb._engine.run import INTERRUPTED
from sknn_iitb._engine.samples import Samples, TrainingData, ValidationData, checked_weight
from sknn_iitb._engine.saving import SavedStateMixin
from sknn_iitb._engine.source import PartitionReader, Source, checked_epochs
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._jit.patience import announced
from sknn_iitb._registry import one_of, parameter_defaults
from sknn_iitb._suggestions import SuggestionsMixin
from sknn_iitb._typing import MatrixLike
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES
from sknn_iitb.mlp._callbacks import CallbackSupport, observers_of, with_callbacks
from sknn_iitb.optimizers import LBFGS, OPTIMIZERS, Adam
from sknn_iitb.schedules import SCHEDULES, Coslog
from sknn_iitb.tabular._columns import as_numpy, relative_weight
from sknn_iitb.tabular._members import Ensemble, EnsembleConfig, EnsembleData, Goal, Member
from sknn_iitb.tabular._partitions import TableSurvey
from sknn_iitb.tabular._prediction import n_prediction_threads, scores_of
from sknn_iitb.tabular._progress import Progress
from sknn_iitb.tabular._race import Favourites, ViewRace
from sknn_iitb.tabular._records import Records
from sknn_iitb.tabular._runs import exact_objective, new_run
from sknn_iitb.tabular._search import SPACE, TrialSearch
from sknn_iitb.tabular._splits import merged, splits
from sknn_iitb.tabular._training import train_further
from sknn_iitb.tabular.encoder import TableEncoder
from sknn_iitb.tabular.piecewise import MAX_BINS
from sknn_iitb.tabular.views import VIEWS, WIDEST, View, distinct_views, features_of, resolved

__all__ = ["PRESETS", "BaseTabularMLP"]

# values of parameters that the user leaves at None
PRESETS = {
    "fast": {"n_estimators": 2, "max_iter": 32},
    "default": {"n_estimators": 5, "max_iter": 96},
    "best": {"n_estimators": 20, "max_iter": 96},
    "tuned": {"n_estimators": 5, "max_iter": 96},
}

# Beyond this number of samples, the number of epochs falls with its square root, because an epoch has more updates. (Of
# 96, 48, 32 and 16 epochs, 48 were best on the 16,000 samples of letter and 32 on the 43,000 of diamonds.)
_FEW_SAMPLES = 4000

# The share of the epochs that use the held-out samples too. (Of 96, 3 to 10 epochs on all samples were about equally
# good on 25 tables.)
_LAST = 1 / 24

# Up to this number of rows, predictions are computed row by row. For several rows at a time, some BLAS kernels make the
# last digit of a row's prediction depend on its place among the others.
_FEW_ROWS = 256

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, 2**31 - 1, closed="both")
# every member and trial takes memory before training begins
_FEW = Interval(Integral, 1, 10_000, closed="both")


def _group_labels(groups):
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"groups must be one-dimensional, got shape {groups.shape}.")
    try:
        np.unique(groups)
    except TypeError as error:
        raise ValueError(f"groups must be labels that can be compared with each other: {error}.") from None
    return groups


class BaseTabularMLP(SavedStateMixin, DescriptionMixin, SuggestionsMixin, CallbackSupport):
    """Base class of the tabular estimators."""

    _parameter_constraints = {
        "preset": [one_of(PRESETS)],
        "n_estimators": [_FEW, None],
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [one_of(ACTIVATIONS.names(lambda cls: cls.hidden)), ACTIVATIONS.base, None],
        "n_trials": [_FEW],
        "views": [list, tuple, None],
        "n_bins": [Interval(Integral, 1, MAX_BINS, closed="both"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "solver": [one_of(OPTIMIZERS.names(lambda cls: not issubclass(cls, LBFGS))), OPTIMIZERS.base, None],
        "learning_rate": [one_of(SCHEDULES.names()), SCHEDULES.base, None],
        "learning_rate_init": [_POSITIVE, None],
        "max_iter": [_COUNT, None],
        "batch_size": [_COUNT, None],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), HasMethods(["split", "get_n_splits"])],
        "max_time": [_POSITIVE, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def _restored(self):
        fitted = {"encoder_", "_targets", "_averages", "members_"}
        lacking = fitted - vars(self).keys()
        if lacking and lacking != fitted:
            raise DamagedError(f"{sorted(lacking)} are missing")
        if not lacking:
            n = self.encoder_._n_columns
            members = [*self.members_, *getattr(self, "quantile_members_", [])]
            if not all(isinstance(each, Member) and each.network.units[0] == n for each in members):
                raise DamagedError("its members do not fit the encoded table")
            for each in members:
                if each.state is not None:
                    each.state.check(each.network.layout, each.theta.dtype)

    @property
    def loss_curves_(self) -> list[list[float]]:
        """Training loss of each epoch, for each member."""
        return [[*member.loss_curve] for member in self.members_]

    @property
    def validation_curves_(self) -> list[list[float]]:
        """Validation error of each epoch of `fit` that did not use all samples, for each member."""
        return [[*member.validation_curve] for member in self.members_]

    @with_callbacks
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        resume_from: str | PathLike[str] | None = None,
    ) -> Self:
        """Encode the table and train the members.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
            Numbers of any scale, categories, strings and booleans, with missing values. A sparse matrix is converted
            to dense, and rejected if that would take more than 1 GiB.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, not negative.
        X_val : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_val_samples, n_features), default=None
            Validation set. If given, the members are trained on all of X. A Pipeline transforms it like X only with
            ``transform_input=["X_val"]``.
        y_val : array-like, default=None
            Targets of the validation set.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set, not negative.
        groups : array-like of shape (n_samples,), default=None
            Group labels. All samples of a group are on the same side of each member's validation split, so the
            validation score is that of unseen groups. A splitter as `validation_fraction` receives the labels instead.
        resume_from : str or path-like, default=None
            File of a :class:`~sknn_iitb.callbacks.Checkpoint`. Training continues from it; the data and the parameters
            must be the same.

        Returns
        -------
        self : estimator instance

        Raises
        ------
        ValueError
            If a parameter or the data are invalid. The estimator is then unchanged.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val, groups)
        return self._unchanged_on_error(self._fit, TrainingData(X, y, sample_weight, validation), None, resume_from)

    @with_callbacks
    def fit_batches(
        self,
        source: Source,
        *,
        epochs: int | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume_from: str | PathLike[str] | None = None,
    ) -> Self:
        """Train on a table in partitions, which need not fit in memory together.

        `source` is read once to draw up to 100,000 random rows. Scales, categories, bins and views are those of these
        rows, so a quantile has the rank that it should have within 0.6 % of the rows, with a probability of 99.9 %.
        Each member is then trained on all partitions, which are read for each of its epochs, about three at a time.

        Parameters
        ----------
        source : sequence, callable or iterable of tuples
            Partitions ``(X, y)`` or ``(X, y, sample_weight)``, each as for :meth:`fit`: a sequence of them, a function
            without parameters that returns an iterator over them, such as a generator function, or another object that
            can be iterated over repeatedly. ``sknn_iitb.partitions`` has sequences for Parquet files and other
            data. They must be the same each time.
        epochs : int, default=None
            The number of epochs; None for `max_iter`, or if that is None a number that falls with the square root of
            the number of rows.
        X_val : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_val_samples, n_features), default=None
            Validation set. If it is not given, `validation_fraction` of the random rows is held out for all members.
        y_val : array-like, default=None
            Targets of the validation set.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set, not negative.
        resume_from : str or path-like, default=None
            File of a :class:`~sknn_iitb.callbacks.Checkpoint`. Members that are done are not trained again; the data
            and the parameters must be the same, and `random_state` an integer, which draws the same rows.

        Returns
        -------
        self : estimator instance

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`, and if `source` can be read only once or changes. The estimator is then unchanged.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        data = TrainingData(None, None, None, validation)
        return self._unchanged_on_error(self._fit_batches, data, source, checked_epochs(epochs), resume_from)

    def _fit_batches(self, data, source, epochs, resume_from):
        if self.preset == "tuned":
            raise ValueError("preset='tuned' is not supported by fit_batches; use 'fast', 'default' or 'best'.")
        if hasattr(self.validation_fraction, "split"):
            raise ValueError(f"fit_batches requires a number as validation_fraction, got {self.validation_fraction!r}.")
        rng = check_random_state(self.random_state)
        survey = TableSurvey(PartitionReader(source), self._checked_targets, self._labels, rng)
        data = survey.data(self.validation_fraction, data.validation)
        return self._fit(data, survey.classes, resume_from, survey, epochs)

    def _unchanged_on_error(self, function, data, *arguments):
        """Call a training function."""
        self._validate_params()
        with unchanged_on_error(self), announced():
            return function(data.convert(as_numpy), *arguments)

    def _fit(self, data, classes=None, resume_from=None, survey=None, epochs=None):
        began, views, table = perf_counter(), self._views(), data
        saved = None if resume_from is None else read(resume_from)
        rng = check_random_state(self.random_state) if saved is None else from_plain(saved["rng"])
        rng_state = to_plain(rng)
        samples = self._read(data, classes)
        validation_set = data.validation.samples(self._further_samples)
        everything = survey and survey.samples(self._further_samples)
        goals, config = self._goals(), self._config((everything or samples).n_samples)
        config = config if epochs is None else config._replace(max_iter=epochs)
        if validation_set is None and everything is None:  # otherwise the members train on all samples anyway
            config = config._replace(n_last=round(_LAST * config.max_iter))
        self.batch_size_ = config.batch_size
        member_splits = self._splits(samples, data.validation.groups is not None, validation_set, config, rng)
        seeds = rng.randint(2**31 - 1, size=config.n_estimators)
        data = EnsembleData(samples, seeds, member_splits, validation_set, everything)
        strategy = self._strategy(views, samples, config, rng)
        report, trained = reporter(self.verbose, strategy.n_epochs(goals.values())), {}
        tasks = next(iter(observers_of(self, *table[:3], len(goals) * strategy.n_members, "network")), None)
        records = self._records(samples, rng_state, saved, resume_from)
        # the source of fit_batches is read in this process
        progress = Progress(report, records, tasks, remote=None if everything else self._remote())
        if tasks is not None:
            tasks.expose = BaseTabularMLP._expose_members
        try:
            for k, (name, goal) in enumerate(goals.items()):
                progress.goal = name
                if self.max_time is not None:
                    progress.deadline = began + self.max_time * (k + 1) / len(goals)
                with BLASThreads(1):
                    trained[name] = strategy.train(data.widened(goal.loss), goal, progress)
                if progress.interrupted:
                    break
        finally:
            report.close()
        progress.records.finish()
        if not trained["members_"].members:
            raise KeyboardInterrupt
        if progress.interrupted:
            # a linear model has no epochs
            n_networks = sum(member.n_iter > 0 for ensemble in trained.values() for member in ensemble.members)
            warn(f"{INTERRUPTED} {n_networks} of {len(goals) * strategy.n_members} networks are kept.")
        self._averages = averages = {}
        for name in goals:
            ensemble = trained.get(name, Ensemble([]))
            setattr(self, name, ensemble.members)
            averages[name] = ensemble._replace(members=[])
        vars(self).pop("trials_", None)  # of an earlier fit
        vars(self).update(strategy.attributes())
        self.n_iter_ = max(member.n_iter for member in self.members_)
        if tasks is not None:
            tasks.close()
        return self

    def _remote(self):
        """What trains the members on other machines, None to train them here."""
        return

    def _expose_members(self, members):
        """Set the attributes that prediction needs, with the members that are complete, of equal weight."""
        self._averages = {name: Ensemble([]) for name in self._goals()}
        for name in self._averages:
            setattr(self, name, [*members.get(name, [])])
        self.n_iter_ = max(member.n_iter for member in self.members_)

    def _records(self, samples, rng_state, saved, path):
        """The networks that have been trained: those of a checkpoint, which is continued."""
        checkpoint = checkpoint_of(self)
        if checkpoint is None and saved is None:
            return Records()
        origin = Origin.of(self, rng_state, samples)
        if saved is not None:
            origin.check(saved, path)
        return Records(checkpoint and Writer(checkpoint, origin), saved)

    def _strategy(self, views, samples, config, rng):
        """How members are chosen and trained."""
        numbers = samples.X[:, : np.count_nonzero(~self.encoder_.is_categorical_)]
        if numbers.shape[1] == 0:
            views = dict.fromkeys(views, VIEWS["smooth"])  # views of no numbers are the same
        features = {name: features_of(view, numbers, samples.weight, self.n_bins) for name, view in views.items()}
        kept = distinct_views(features) if self.views is None else dict(zip(features, features, strict=True))
        distinct = {name: features[name] for name in features if kept[name] == name}
        if self.preset == "tuned":
            return TrialSearch(distinct, config, self._space(), int(self.n_trials), rng)
        few, first = (tuple(kept.get(name) for name in names) for names in self._favourites)
        linear = features["smooth"] if self.views is None else None
        return ViewRace(distinct, config, Favourites(few, first), self.views, linear)

    def _space(self):
        """The parameters that the search chooses, and their values: those that the user has left at their defaults."""
        defaults = parameter_defaults(type(self))
        space = {
            name: values
            for name, values in SPACE.items()
            if name in defaults and np.array_equal(getattr(self, name), defaults[name])
        }
        if not self._metric().label_smoothing:  # it would be at odds with the metric
            space.pop("label_smoothing", None)
        return space

    def _splits(self, samples, grouped, validation_set, config, rng):
        """The training and validation samples of each member."""
        if validation_set is None:
            return splits(config.n_estimators, self.validation_fraction, samples, self._strata(samples.Y), rng, grouped)
        everything = np.arange(len(samples.Y))
        return [(everything, everything[:0])] * config.n_estimators

    def _read(self, data, classes):
        """Validate and encode the data."""
        X, y, weight, (*_, groups) = data
        encoder = TableEncoder(self.categorical_features, view=View(limit=WIDEST, bins=False))
        Z = encoder.fit_transform(X, sample_weight=weight)
        weight = None if weight is None else relative_weight(weight, Z)
        for name in ("n_features_in_", "feature_names_in_", "quantile_members_"):
            vars(self).pop(name, None)  # of an earlier fit
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        y = self._valid_targets(y, Z)
        with naming("groups"):
            check_consistent_length(Z, groups)
        if len(Z) < 2:
            raise ValueError(
                f"At least two samples are needed, got n_samples=1: {type(self).__name__} holds some out for "
                "validation."
            )
        with naming("y", "classes"):
            self.encoder_, self._targets = encoder, self._targets_of(y, classes)
        return self._samples(Z, y, weight, groups, training=True)

    def _fit_further(self, data):
        rng = check_random_state(self.random_state)
        samples = self._further_samples(*data[:3])
        config, progress = self._config(len(samples.Y)), Progress()
        for name, goal in self._goals().items():
            members = getattr(self, name)
            seeds = rng.randint(2**31 - 1, size=len(members))
            learned = EnsembleData(samples._replace(Y=goal.loss.widen(samples.Y)), seeds)
            setattr(self, name, train_further(members, learned, goal, config, progress))
        if progress.interrupted:
            warn(INTERRUPTED)
        self.n_iter_ += 1
        return self

    def _goals(self):
        """The goals by the attribute that holds their members."""
        metric = self._metric()
        return {"members_": Goal(self._targets, self._output(), LOSSES.resolve(metric.loss), metric)}

    def _config(self, n_samples):
        preset = self._presets[self.preset]
        n_epochs = preset["max_iter"] * min(1.0, _FEW_SAMPLES / n_samples) ** 0.5
        with naming("hidden_layer_sizes"):
            sizes = np.ravel(self.hidden_layer_sizes)
        if sizes.size == 0 or not all(isinstance(n, Integral) and 0 < n < 2**31 for n in sizes.tolist()):
            raise ValueError(
                f"hidden_layer_sizes must be one or more integers > 0 and < 2**31, got {self.hidden_layer_sizes!r}."
            )
        activation, learning_rate = self._defaults
        optimizer = Adam(beta_2=0.95) if self.solver is None else OPTIMIZERS.resolve(self.solver)
        if isinstance(optimizer, LBFGS):
            raise ValueError(f"solver={self.solver!r} does not train in batches; use a first-order solver.")
        return EnsembleConfig(
            n_estimators=int(self.n_estimators or preset["n_estimators"]),
            hidden_layer_sizes=tuple(int(n) for n in sizes),
            activation=ACTIVATIONS.resolve(activation if self.activation is None else self.activation),
            dropout=float(self.dropout),
            optimizer=optimizer,
            schedule=Coslog() if self.learning_rate is None else SCHEDULES.resolve(self.learning_rate),
            learning_rate_init=learning_rate if self.learning_rate_init is None else self.learning_rate_init,
            max_iter=self.max_iter or max(1, round(n_epochs)),
            n_last=0,
            stops_early=self.learning_rate is None and self.learning_rate_init is None,
            batch_size=self.batch_size or max(size for n, size in self._batch_sizes.items() if n_samples > n),
            label_smoothing=self._smoothing(),
            n_jobs=self.n_jobs,
        )

    def _views(self):
        """The views to choose among, by name or as the user wrote them."""
        if self.views is None:
            return VIEWS
        if isinstance(self.views, View) or len(self.views) == 0:
            raise ValueError(
                f"views must be None or a list of one or more of {[*VIEWS]} or View objects, got {self.views!r}."
            )
        with naming("views"):
            return {view: resolved(view) for view in self.views}

    def _samples(self, Z, y, weight, groups=None, training=False):
        with naming("y"):
            Y = self._encoded_targets(y)  # raises if y does not match the targets of `fit`
        weight = self._weigh(y, weight, training)
        groups = None if groups is None else _group_labels(groups)
        samples = Samples(Z, Y, y, weight, groups)
        if weight is not None:
            counts = weight > 0
            if not counts.any():  # newer versions of scikit-learn raise above
                raise ValueError("sample_weight: Sample weights must contain at least one non-zero number.")
            samples = samples if counts.all() else samples.take(np.flatnonzero(counts))
        # a splitter gets the samples as the user passed them
        if training and not hasattr(self.validation_fraction, "split"):
            samples = merged(samples, self.validation_fraction)
        return samples._replace(Y=self._scaled(samples.Y, samples.weight, training))

    def _further_samples(self, X, y, sample_weight):
        """Samples for the fitted encoder and targets."""
        Z = self.encoder_.transform(X)
        sample_weight = None if sample_weight is None else checked_weight(sample_weight, Z)
        return self._samples(Z, self._valid_targets(y, Z), sample_weight)

    def _valid_targets(self, y, Z):
        with naming("y"):
            y = self._checked_targets(y)
        with naming("X and y"):
            check_consistent_length(Z, y)
        return y

    def _member(self, member):
        """The network of a member, and its parameters."""
        check_is_fitted(self)
        n = len(self.members_)
        if not isinstance(member, Integral) or not 0 <= member < n:
            raise ValueError(f"member must be an integer from 0 to {n - 1}, got {member!r}.")
        return self.members_[member].network, self.members_[member].theta

    def _exact_objective(self, X, y, sample_weight, member):
        """The network of a member, its parameters and the loss that its training minimizes, in float64."""
        network, theta = self._member(member)
        samples, goal = self._further_samples(X, y, sample_weight), self._goals()["members_"]
        samples = samples._replace(X=samples.X.astype(np.float64), Y=goal.loss.widen(samples.Y).astype(np.float64))
        objective = exact_objective(network, samples, goal, self._member_config(member, len(samples.Y)))
        return network, theta.astype(np.float64), objective

    def _new_run(self, X, y, sample_weight, member):
        """A run that trains a member from the beginning, on all samples, and its initial parameters."""
        network, _ = self._member(member)
        samples, goal = self._further_samples(X, y, sample_weight), self._goals()["members_"]
        samples = samples._replace(Y=goal.loss.widen(samples.Y))
        return new_run(network, samples, goal, self._member_config(member, len(samples.Y)), seed=member)

    def _member_config(self, member, n_samples):
        return self._config(n_samples)._replace(**self.members_[member].settings or {})

    def _described_networks(self):
        found = []
        for k, (member, curve) in enumerate(zip(self.members_, self.loss_curves_, strict=True)):
            config = self._member_config(k, n_samples=1)  # the others do not depend on them
            batch_size = (member.settings or {}).get("batch_size", self.batch_size_)
            training = config.optimizer, config.schedule, config.learning_rate_init, batch_size
            loss = curve[-1] if curve else None
            found.append(network_entries(member.network, training_entries(*training), member.n_iter, loss, curve))
        return found

    def _matrix(self, X):
        """The encoded table."""
        check_is_fitted(self)
        self._check_encoder()
        return self.encoder_.transform(X)

    def _check_encoder(self):
        """Raise ValueError if the user has fitted it to another table: networks read as many columns as they have."""
        wanted, n = self.members_[0].network.units[0], self.encoder_._n_columns
        if n != wanted:
            raise ValueError(f"encoder_ has been fitted again: it has {n} columns, but the networks have {wanted}.")

    def _in_batches(self, X, function):
        """``function(Z, row_by_row)`` of the encoded table Z in batches, so that it is never in memory as a whole."""
        check_is_fitted(self)
        with naming("X"):
            X = as_numpy(X)
            row_by_row = _num_samples(X) <= _FEW_ROWS
        self._check_encoder()
        return np.concatenate([function(Z, row_by_row) for _, Z in self.encoder_.batches(X)])

    def _mean_score(self, Z, row_by_row=False, name="members_"):
        """The scores of the members' averaged predictions for the encoded table, computed in its dtype."""
        n_threads = 1 if row_by_row else n_prediction_threads(self.n_jobs)
        scores = scores_of(getattr(self, name), Z, row_by_row, n_threads)
        return self._averages[name].mean(self._goals()[name], scores)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags
