"""Fitting: begin a run, train, set the fitted attributes."""

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from sknn_iitb._engine.checkpoint import Origin, Writer, checkpoint_of, read, restore_run
from sknn_iitb._engine.class_weights import missing
from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.parameters import Parameters
from sknn_iitb._engine.plain import from_plain, to_plain
from sknn_iitb._engine.range_test import RATES, range_test, suggested_rate
from sknn_iitb._engine.rollback import unchanged_on_error
from sknn_iitb._engine.run import History, Run, State, TrainingConfig
from sknn_iitb._engine.training import train
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._engine.validation import Validation
from sknn_iitb._jit.patience import announced
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.mlp._callbacks import observers_of
from sknn_iitb.mlp._reading import Call, ReadingMixin
from sknn_iitb.mlp._scaling_advice import advice
from sknn_iitb.mlp._validation_scale import warn_of_another_scale

__all__ = ["FittingMixin", "dropout_seed"]

# attributes of a run by a first-order solver, which a later fit with lbfgs removes
_CURVES = (
    "learning_rate_init_",
    "loss_curve_",
    "best_loss_",
    "learning_rate_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)

# the default of learning_rate_init, which is also that of scikit-learn
_LEARNING_RATE = 0.001

# with fewer samples held out, an epoch can only be told from another if its error is several percent lower
_FEW_HELD_OUT = 100

# early_stopping="auto" stops early from this number of samples on, as scikit-learn's gradient boosting does
_MANY_SAMPLES = 10_000


class FittingMixin(ReadingMixin):
    """Fitting: read, hold out, train, expose."""

    def _fit(self, data, incremental=False, classes=None, observers=(), resume_from=None, epochs=None):
        n_epochs = 1 if incremental else int(self.max_iter if epochs is None else epochs)
        # first, because the callbacks' context must survive an error; in partial_fit the caller runs the loop
        observers = observers if incremental else (*observers, *observers_of(self, *data[:3], n_epochs))
        continues = "_parameters" in vars(self) and (incremental or self.warm_start)
        call = Call(continues, incremental, classes, n_epochs, ends=epochs is not None)
        arrays, copies = [], {}
        if call.continues:  # these are changed in place
            arrays = [self._parameters.writable().vector]
            copies = {"_optimizer": self._optimizer.copy()} if hasattr(self, "_optimizer") else {}
        with unchanged_on_error(self, arrays, **copies):
            if call.continues and incremental:  # where scikit-learn's own check trusts the first call
                self._validate_params()
            with announced():
                self._train(data, call, observers, resume_from)
            for observer in observers:
                observer.close()
        return self

    def _train(self, data, call, observers, resume_from):
        checkpoint = None if call.incremental else checkpoint_of(self)  # in partial_fit the caller runs the loop
        if checkpoint is None and resume_from is None:
            run = self._begin(data, call)
        else:
            run = self._begin_with_checkpoints(data, call, checkpoint, resume_from)
        run.observers = observers
        for observer in observers:
            observer.expose = lambda fitted, history: fitted._expose_history(history, run.config, call)
        train(run, self._parameters.vector)
        if run.state is None:
            vars(self).pop("_optimizer", None)
        else:
            run.state.pause(keeps_order=call.incremental and not run.history.interrupted)
            self._optimizer = run.state
        vars(self).pop("_by_hand", None)
        self._expose_history(run.history, run.config, call)
        if run.validate is not None:
            if call.incremental:
                run.validate.check_scores(self.validation_scores_)
            elif not run.history.interrupted:
                run.validate.check()

    def _begin_with_checkpoints(self, data, call, checkpoint, resume_from):
        """A run that continues from a checkpoint, or writes others."""
        if call.continues or self._resolve_components().optimizer.kernel is None:
            got = "warm_start=True" if call.continues else f"solver={self.solver!r}"
            raise ValueError(f"Checkpoints require a new fit with a first-order solver, got {got}.")
        saved = None if resume_from is None else read(resume_from)
        rng = self._random_state(call) if saved is None else from_plain(saved["rng"])
        rng_state = to_plain(rng)
        run = self._begin(data, call, rng)
        origin = Origin.of(self, rng_state, run.samples)
        if saved is not None:
            origin.check(saved, resume_from)
            restore_run(run, self._parameters.vector, saved, resume_from)
        run.writer = None if checkpoint is None else Writer(checkpoint, origin)
        return run

    def _random_state(self, call):
        """The random numbers of a run."""
        keeps_state = call.incremental and call.continues and hasattr(self, "_optimizer")
        return self._optimizer.rng if keeps_state else check_random_state(self.random_state)

    def _begin(self, data, call, rng=None):
        """The run on the user's data; the estimator gets its network, which a scorer or a callback can use."""
        components = self._resolve_components()
        if call.incremental and data.validation.X_val is None and self._stops_early(0, data.validation, call):
            raise ValueError("partial_fit does not support early_stopping=True without X_val and y_val")
        components, samples, rng = self._set_up(data, call, components, rng)
        stops_early = self._stops_early(samples.n_samples, data.validation, call)
        rows, validation = self._hold_out(samples, data.validation, components.optimizer, rng, stops_early, call)
        if data.validation.X_val is not None and not call.continues:
            warn_of_another_scale(samples.X, validation.samples.X)
        config = self._training_config(components, samples, rows, stops_early, call)
        build = partial(self._objective, max_rows=config.batch_size, dropout=self._network.drops)
        objective = samples.objective(self._network, build, rows)
        run = Run(objective, config, self._begin_history(config, call), validate=validation, samples=samples)
        if components.optimizer.kernel is not None:
            run.state = self._begin_state(rng, run, call)
            if self.learning_rate_init == "auto" and not call.continues:
                self._find_learning_rate(run)
            self.learning_rate_init_ = run.config.learning_rate_init
        return run

    def _set_up(self, data, call, components, rng):
        """Read the data and set the network; return the components, the samples and the random numbers of the run."""
        if not (call.incremental or self.warm_start):
            vars(self).pop("_by_hand", None)
        components, task, samples = self._read(data, call, components)
        rng = self._random_state(call) if rng is None else rng
        self._set_network(samples, components, task, call, rng)
        return components, samples, rng

    def _initial_learning_rate(self, is_fitted):
        """The number to begin with, which "auto" replaces in a new run."""
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        return getattr(self, "learning_rate_init_", _LEARNING_RATE) if is_fitted else _LEARNING_RATE

    def _find_learning_rate(self, run):
        """Set the initial learning rate of a run by a range test."""
        rate = suggested_rate(RATES, range_test(run, self._parameters.vector))
        if rate is None:
            warn(
                "learning_rate_init='auto' found no learning rate at which the loss falls, so it is "
                f"{_LEARNING_RATE}.{run.config.advise()}"
            )
            return
        run.config = run.config._replace(learning_rate_init=rate)
        run.state.learning_rate = rate / run.state.divisor

    def _set_network(self, samples, components, task, call, rng):
        network = self._build_network(samples, components, call.continues)
        if not call.continues:
            self._parameters = self._initialize(network, components, rng, task.dtype)
        self._network, self._targets, self._loss = network, task.targets, task.loss
        self.n_layers_ = len(network.units)
        self.n_outputs_ = network.units[-1]
        name = components.output.names[0]
        self.out_activation_ = "exp" if name == "exponential" else name

    def _build_network(self, samples, components, continues):
        """The network that the parameters describe."""
        units = (samples.X.shape[1], *self._hidden_sizes(), samples.Y.shape[1])
        normalization = self._normalization()
        if normalization and len(units) == 2:
            raise ValueError(f"{normalization}=True has no effect without a hidden layer.")
        layer = NORMALIZATIONS.get(normalization)
        if layer and min(units[1:-1]) < layer.min_neurons:
            raise ValueError(
                f"{normalization}=True needs at least {layer.min_neurons} neurons in each hidden layer, got "
                f"hidden_layer_sizes={self.hidden_layer_sizes!r}."
            )
        network = feedforward(units, components.hidden, components.output, self._dropout_rates(), layer)
        if continues and network.layout != self._parameters.layout:
            self._refuse_another(network)
        return network

    def _refuse_another(self, network):
        """Raise ValueError: training cannot continue with a network of other layers."""
        (units, *now), (units_before, *before) = map(_structure, (network, self._network))
        differs = {
            "hidden_layer_sizes": units[:-1] != units_before[:-1],
            **{name: has != had for name, has, had in zip(NORMALIZATIONS, now, before, strict=True)},
            f"the number of outputs, as implied by y, loss={self.loss!r} and "
            f"output_activation={self.output_activation!r},": units[-1] != units_before[-1],
        }
        names = [name for name, differ in differs.items() if differ]
        values = [(name, has, had) for name, has, had in zip(NORMALIZATIONS, now, before, strict=True) if has or had]
        raise ValueError(
            f"A fitted network of layers {units_before}{''.join(f', {name}={had}' for name, _, had in values)} cannot "
            f"continue with layers {units}{''.join(f', {name}={has}' for name, has, _ in values)}; "
            f"{' and '.join(names)} must stay the same."
        )

    def _training_config(self, components, samples, rows, stops_early, call):
        n_samples = samples.n_samples if rows is None else len(rows)
        batch_size = self._batch_size(n_samples, components.optimizer)
        if batch_size < (smallest := max(layer.min_rows for layer in self._network.layers)):
            raise ValueError(
                f"{self._normalization()}=True needs batches of at least {smallest} samples; set another batch_size."
            )
        return TrainingConfig(
            optimizer=components.optimizer,
            schedule=components.schedule,
            constraints=components.constraints,
            learning_rate_init=self._initial_learning_rate(call.continues),
            batch_size=batch_size,
            shuffle=self.shuffle,
            n_epochs=call.n_epochs,
            ends=call.ends or components.schedule.ends,
            complete=not call.incremental,
            stops_early=stops_early,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
            advise=partial(self._advise, samples),
            n_threads=self.n_threads,
            max_fun=self.max_fun,
        )

    def _advise(self, samples):
        """What may be wrong with the data, as a sentence to append to a message."""
        y = self._scalable_targets(samples)
        transformable = y is None or self._loss.transformable(y.shape[1])
        found = advice(samples.X, y, getattr(self, "feature_names_in_", None), transformable)
        return f" {found}" if found else ""

    def _scalable_targets(self, samples):
        """The targets as a matrix if they may be scaled: not labels, nor what the output gives a scale of its own."""
        scalable = self._targets.uses_values and self.out_activation_ == "identity"
        return samples.y.reshape(len(samples.y), -1) if scalable else None

    def _objective(self, samples, max_rows, rows=None, dropout=False, **options):
        """What is minimized, on the samples with the indices `rows`, None for all."""
        Y = self._soften(self._targets, samples.Y, self._loss, self._network.output)
        return Objective(
            self._network,
            self._loss,
            samples.X,
            Y,
            samples.weight,
            max_rows=max_rows,
            rows=rows,
            output_groups=self._targets.output_groups,
            dropout=dropout,
            **{"alpha": self.alpha, "l1": self.l1, **options},
        )

    def _initialize(self, network, components, rng, dtype):
        """Draw or copy the parameters that training starts from."""
        parameters = Parameters.initial(network.layout, dtype)
        given = self._assigned() or (self.init if components.initializer is None else None)
        if given is not None:
            try:
                coefs, intercepts = given
                parameters["coefs"].assign(coefs)
                parameters["intercepts"].assign(intercepts)
            except (TypeError, ValueError) as error:
                raise ValueError(f"init must be a name, an Initializer or (coefs, intercepts): {error}") from None
            if not np.isfinite(parameters.vector).all():
                raise ValueError("init=(coefs, intercepts) must be finite.")
            return parameters
        # an initializer may depend on the activation; for the last layer, it is that of the layer before
        last = components.hidden[-1] if components.hidden else ACTIVATIONS.resolve(self.activation or "identity")
        activations = [*components.hidden, last]
        for weights, biases, activation in zip(parameters["coefs"], parameters["intercepts"], activations, strict=True):
            weights[...], biases[...] = components.initializer.draw(rng, *weights.shape, activation)
        return parameters

    def _stops_early(self, n_samples, validation_data, call):
        if self.early_stopping == "auto":
            return validation_data.X_val is not None or (n_samples > _MANY_SAMPLES and not call.incremental)
        return self.early_stopping

    def _hold_out(self, samples, validation_data, optimizer, rng, stops_early, call):
        """Return the row indices of the training samples, None for all, and a Validation, None without one."""
        grouped, is_given = validation_data.groups is not None, validation_data.X_val is not None
        if grouped and not is_given and not hasattr(self.validation_fraction, "split"):
            raise ValueError(
                "groups needs a splitter as validation_fraction that keeps them together, such as GroupShuffleSplit(); "
                f"got validation_fraction={self.validation_fraction!r}."
            )
        if optimizer.kernel is None:
            if is_given or validation_data.y_val is not None:
                raise ValueError(
                    "X_val and y_val are not supported with solver='lbfgs', which has no epochs to validate."
                )
            return None, None
        validation_set = validation_data.samples(self._further_samples)
        if validation_set is not None:
            if len(validation_set.Y) < 2:
                raise ValueError("X_val must have at least two samples.")
            return None, self._validation_on(validation_set)
        if not stops_early:
            return None, None
        rows, held_out = samples.hold_out(self.validation_fraction, self._targets, rng)
        if held_out.n_samples < _FEW_HELD_OUT and not call.continues:
            warn(
                f"early_stopping=True holds out only {held_out.n_samples} samples; with fewer than {_FEW_HELD_OUT}, "
                "the best epoch depends on chance, and training may stop too early. On small data, prefer "
                "early_stopping=False, or a larger validation_fraction.",
                RuntimeWarning,  # code for scikit-learn may treat a UserWarning as an error, as its own tests do
            )
        return rows, self._validation_on(held_out)

    def _validation_on(self, samples):
        """The Validation on these samples."""
        validation = Validation(self._network, self._loss, self._targets, samples)
        if self.scoring is not None:
            try:  # a score that cannot be computed is an error now rather than after an epoch
                validation.score_by(self.scoring, self)
                validation(self._parameters.vector)
            except (AttributeError, TypeError, ValueError) as error:
                lacking = missing(self._targets, samples.y)
                advice = (
                    f" The validation set has no samples of the classes {lacking}; hold out some of each class with "
                    "validation_fraction=StratifiedShuffleSplit(1), or include them in X_val and y_val."
                )
                raise ValueError(
                    f"scoring={self.scoring!r} cannot be computed on the validation samples of a net with "
                    f"loss={self.loss!r}: {error}{advice if lacking else ''}"
                ) from error
        return validation

    def _begin_history(self, config, call):
        if not call.continues:
            return History()
        best_loss, best_score = getattr(self, "best_loss_", None), getattr(self, "best_validation_score_", None)
        # without early stopping, the weights are not those of the best score
        other_scores = self._scored_by != self.scoring
        if best_score is None or other_scores or (config.stops_early and best_loss is not None):
            best_score = -np.inf
        best_loss = np.inf if best_loss is None else best_loss
        loss_to_beat, score_to_beat = (best_loss, best_score) if config.complete or other_scores else self._to_beat
        return History(
            best_loss=best_loss,
            loss_to_beat=loss_to_beat,
            score_to_beat=score_to_beat,
            loss=self.loss_,
            best_score=best_score,
            stalled=0 if config.complete or other_scores else self._no_improvement_count,
            n_samples=self.t_,
            first_loss=next(iter(getattr(self, "loss_curve_", ())), None),
        )

    def _begin_state(self, rng, run, call):
        continues = call.continues and call.incremental and hasattr(self, "_optimizer")
        if continues and self._optimizer.optimizer == run.config.optimizer.identity:
            state = self._optimizer.writable()
        else:
            n_planned = self.max_iter if call.incremental else call.n_epochs
            state = State.before(run.config, run.objective, rng, n_planned)
            state.averages_moments = not call.continues
        # drawn only if needed, because scikit-learn does not draw one
        if self._network.drops and not state.seed:
            state.seed = dropout_seed(state.rng)
        return state

    def _expose_history(self, history, config, call):
        self.n_iter_ = history.n_iter
        self.loss_ = history.loss
        self.t_ = history.n_samples
        self._no_improvement_count = history.stalled
        self._to_beat, self._scored_by = (history.loss_to_beat, history.score_to_beat), self.scoring
        if config.optimizer.kernel is None:
            for name in _CURVES:
                vars(self).pop(name, None)
            return
        earlier = vars(self) if call.continues else {}
        # a continued curve is extended in place; copies would make many calls of partial_fit take quadratic time
        for name in ("loss_curve", "learning_rate_curve", "validation_scores", "validation_loss_curve"):
            curve = earlier.get(f"{name}_") or []
            curve = [*curve] if config.complete else curve  # so that an error after this can restore the old one
            curve.extend(getattr(history, name))
            setattr(self, f"{name}_", curve)
        if not self.validation_scores_:
            self.validation_scores_ = self.validation_loss_curve_ = None
        self.best_validation_score_ = history.best_score if self.validation_scores_ else None
        self.best_loss_ = None if config.stops_early else history.best_loss


def dropout_seed(rng):
    """Draw the seed of a run's dropout masks."""
    return int(rng.randint(2**31 - 1)) << 31 | int(rng.randint(2**31 - 1))


def _structure(network):
    """The units of a network, and for each normalization whether it has it."""
    return network.units, *(
        any(isinstance(layer, kind) for layer in network.layers) for kind in NORMALIZATIONS.values()
    )
