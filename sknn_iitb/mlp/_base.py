"""What the two estimators share: the way from data to a trained network, its attributes, and its use."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.parameters import Parameters
from sknn_iitb._engine.rows import check_before_conversion, check_csr
from sknn_iitb._engine.targets import missing
from sknn_iitb._engine.training import History, State, TrainingConfig, descend, minimize
from sknn_iitb._engine.validation import Samples, Validation, ValidationData, hold_out
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._jit.patience import announced
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.mlp import _sklearn
from sknn_iitb.mlp._callbacks import CallbackSupport, observers_of
from sknn_iitb.mlp._features import FeaturesMixin
from sknn_iitb.mlp._parameters import ParametersMixin
from sknn_iitb.mlp._scaling_advice import advice
from sknn_iitb.mlp._weights import WeightsMixin
from sknn_iitb.optimizers import LBFGS

__all__ = ["WHOLE_NUMBERS", "BaseMLP", "is_first_order"]

# types of X that are converted to the network's a batch at a time
WHOLE_NUMBERS = [np.bool_, *(np.dtype(f"{u}int{bits}").type for u in ("", "u") for bits in (8, 16, 32, 64))]

# attributes of a run by a first-order solver, which a later fit with lbfgs does not have
_CURVES = (
    *("loss_curve_", "best_loss_", "learning_rate_curve_"),
    *("validation_scores_", "validation_loss_curve_", "best_validation_score_"),
)

# early_stopping="auto" stops early from that many samples on, as scikit-learn's gradient boosting does
_MANY_SAMPLES = 10_000


class BaseMLP(ParametersMixin, WeightsMixin, FeaturesMixin, CallbackSupport, BaseEstimator):
    """Everything but what is particular to labels or to numbers.

    A subclass has ``_validate(X, y, reset)``, ``_find_targets(y, loss, continues, incremental, classes)``, and what
    ``ParametersMixin`` asks for.
    """

    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    learning_rate_curve_: list[float]
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    # functions of a module of their own, as methods
    to_sklearn = _sklearn.to_sklearn
    from_sklearn = classmethod(_sklearn.from_sklearn)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # --- fitting ---

    def _fit(self, X, y, sample_weight, validation_data=None, incremental=False, classes=None):
        # first of all, as what it sets must outlast an error. partial_fit calls no callbacks: its caller has the loop
        observers = () if incremental else observers_of(self, X, y, sample_weight)
        before = vars(self).copy()
        continues = "_parameters" in before and (incremental or self.warm_start)
        if continues:  # these are changed in place
            vector = self._parameters.writable().vector.copy()
            if "_optimizer" in before:
                before["_optimizer"] = self._optimizer.copy()
        try:
            if continues and incremental:  # where scikit-learn's own check trusts the first call
                self._validate_params()
            with announced(print if self.verbose else None):
                self._train(
                    X, y, sample_weight, validation_data or ValidationData(), continues, incremental, classes, observers
                )
            for observer in observers:
                observer.close()
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if continues:
                self._parameters.vector[:] = vector
            raise
        return self

    def _train(self, X, y, sample_weight, validation_data, continues, incremental, classes, observers):
        components = self._resolve_components()
        if incremental and validation_data.X_val is None and self._stops_early(0, validation_data, incremental):
            raise ValueError("partial_fit does not support early_stopping=True without X_val and y_val")
        if not (incremental or self.warm_start):
            vars(self).pop("_by_hand", None)
        if continues and self.dtype is not None and np.dtype(self.dtype) != self._parameters.vector.dtype:
            raise ValueError(
                f"dtype={self.dtype!r} cannot be set on a network that continues from weights in "
                f"{self._parameters.vector.dtype}; call fit with warm_start=False."
            )
        X, y = self._validate_all(X, y, reset=not continues)
        targets = self._find_targets(y, components.loss, continues, incremental, classes)
        components = self._choose_output(components, targets)
        dtype = self._parameters.vector.dtype if continues else self._network_dtype(X)
        samples = self._samples(
            X,
            y,
            sample_weight,
            groups=validation_data.groups,
            targets=targets,
            loss=components.loss,
            output=components.output,
            dtype=dtype,
            incremental=incremental,
        )

        rng = self._optimizer.rng if incremental and continues and hasattr(self, "_optimizer") else None
        rng = check_random_state(self.random_state) if rng is None else rng
        network = self._describe(samples, components, continues)
        parameters = self._parameters if continues else self._initialize(network, components, rng, dtype)
        # from here on the net can be used, by a scorer or a callback
        self._network, self._parameters, self._targets, self._loss = network, parameters, targets, components.loss
        self._expose_network(network, components.output)
        stops_early = self._stops_early(len(samples.Y), validation_data, incremental)
        rows, validation = self._hold_out(samples, components, validation_data, rng, stops_early)
        n_train = len(samples.Y) if rows is None else len(rows)
        config = self._training_config(components, samples, n_train, stops_early, incremental)
        objective = self._objective(samples, config.batch_size, rows, dropout=network.drops)
        history = self._begin_history(continues, config)
        for observer in observers:
            observer.expose = lambda fitted, history: fitted._expose_history(history, config, continues)
        if components.optimizer.kernel is not None:
            state = self._begin_state(rng, config, objective, continues, incremental)
            descend(objective, parameters.vector, state, history, config, validation, observers)
            if validation is not None and config.complete and not history.interrupted:
                validation.check()
            state.order = state.order if incremental else None
            self._optimizer = state
        else:
            minimize(objective, parameters.vector, history, config, self.max_fun, observers)
            vars(self).pop("_optimizer", None)
        vars(self).pop("_by_hand", None)
        self._expose_history(history, config, continues)
        if incremental and validation is not None:
            validation.check_scores(self.validation_scores_)

    def _samples(self, X, y, sample_weight, *, groups, targets, loss, output, dtype, incremental=False, training=True):
        """The samples that count, as the net learns them."""
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        loss.check_target(y)
        Y = targets.encode(y, output.names[0], dtype)
        weight = self._weigh(targets, y, sample_weight, incremental, training)
        if weight is not None and not weight.max() < np.finfo(np.float64).max / len(weight):
            raise ValueError("sample_weight, times class_weight, is too large: the sum of the weights overflows.")
        if groups is not None and len(groups) != len(Y):
            raise ValueError(f"groups has {len(groups)} entries, X has {len(Y)} samples.")
        samples = Samples(X, Y, y, weight, None if groups is None else np.asarray(groups))
        if weight is None or weight.all():
            return samples
        if not weight.any():
            of_samples = sample_weight is not None and not sample_weight.any()
            what = "sample_weight" if of_samples else f"class_weight={self.class_weight!r}, times sample_weight,"
            raise ValueError(f"{what} is zero for every sample.")
        return samples.take(weight > 0)

    def _further_samples(self, X, y, sample_weight):
        """Samples for the net that is there."""
        X, y = self._validate_all(X, y, reset=False)
        samples = self._samples(
            X,
            y,
            sample_weight,
            groups=None,
            targets=self._targets,
            loss=self._loss,
            output=self._network.output,
            dtype=self._parameters.vector.dtype,
            training=False,
        )
        if samples.Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {samples.Y.shape[1]} outputs, the network has {self.n_outputs_}.")
        return samples

    def _weigh(self, targets, y, sample_weight, incremental, training):
        """The weights of the samples in the loss."""
        return sample_weight

    def _soften(self, targets, Y, loss, output):
        """The targets that training sees."""
        return Y

    def _describe(self, samples, components, continues):
        """The network that the parameters ask for."""
        units = (samples.X.shape[1], *self._hidden_sizes(), samples.Y.shape[1])
        normalization = self._normalization()
        if normalization and len(units) == 2:
            raise ValueError(f"{normalization}=True has no effect without a hidden layer.")
        layer = NORMALIZATIONS.get(normalization)
        network = feedforward(units, components.hidden, components.output, self._dropout_rates(), layer)
        if continues:
            if network.layout != self._parameters.layout:
                self._refuse_another(network)
            network.layout = self._parameters.layout  # a pickle has it once
        return network

    def _refuse_another(self, network):
        """Raise ValueError: training cannot continue with a network of other layers."""
        (units, *now), (units_before, *before) = map(_described, (network, self._network))
        differs = {
            "hidden_layer_sizes": units[:-1] != units_before[:-1],
            **{name: has != had for name, has, had in zip(NORMALIZATIONS, now, before, strict=True)},
            f"the number of outputs, which y, loss={self.loss!r} and output_activation={self.output_activation!r} "
            "ask for,": units[-1] != units_before[-1],
        }
        names = [name for name, differ in differs.items() if differ]
        values = [(name, has, had) for name, has, had in zip(NORMALIZATIONS, now, before, strict=True) if has or had]
        raise ValueError(
            f"A fitted network of layers {units_before}{''.join(f', {name}={had}' for name, _, had in values)} cannot "
            f"continue with layers {units}{''.join(f', {name}={has}' for name, has, _ in values)}; "
            f"{' and '.join(names)} must stay the same."
        )

    def _training_config(self, components, samples, n_train, stops_early, incremental):
        batch_size = self._batch_size(n_train, components.optimizer)
        if batch_size < 2 and self.batch_norm:
            raise ValueError("batch_norm=True needs batches of two samples at least; set another batch_size.")
        return TrainingConfig(
            optimizer=components.optimizer,
            schedule=components.schedule,
            constraints=components.constraints,
            learning_rate_init=self.learning_rate_init,
            batch_size=batch_size,
            shuffle=self.shuffle,
            n_epochs=1 if incremental else self.max_iter,
            complete=not incremental,
            stops_early=stops_early,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
            advise=partial(self._advise, samples),
            n_threads=self.n_threads,
        )

    def _advise(self, samples):
        """What may be wrong with the data, as a sentence to be added to another."""
        # where the output is not linear, the size of y means something
        scalable = self._targets.uses_values and self.out_activation_ == "identity"
        y = samples.y.reshape(len(samples.y), -1) if scalable else None
        transformable = y is None or self._loss.transformable(y.shape[1])
        found = advice(samples.X, y, getattr(self, "feature_names_in_", None), transformable)
        return f" {found}" if found else ""

    def _objective(self, samples, max_rows, rows=None, dropout=False):
        """What is minimised, on the samples `rows`, None for all."""
        Y = self._soften(self._targets, samples.Y, self._loss, self._network.output)
        return Objective(
            self._network,
            self._loss,
            samples.X,
            Y,
            samples.weight,
            alpha=self.alpha,
            l1=self.l1,
            max_rows=max_rows,
            rows=rows,
            output_groups=self._targets.output_groups,
            dropout=dropout,
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
        # a draw may depend on the activation; the last layer has that of the one before
        last = components.hidden[-1] if components.hidden else ACTIVATIONS.resolve(self.activation or "identity")
        activations = [*components.hidden, last]
        for weights, biases, activation in zip(parameters["coefs"], parameters["intercepts"], activations, strict=True):
            weights[...], biases[...] = components.initializer.draw(rng, *weights.shape, activation)
        return parameters

    def _stops_early(self, n_samples, validation_data, incremental):
        if self.early_stopping == "auto":
            return validation_data.X_val is not None or (n_samples > _MANY_SAMPLES and not incremental)
        return self.early_stopping

    def _hold_out(self, samples, components, validation_data, rng, stops_early):
        """Indices of the training samples, None for all, and the function that judges by others; None without."""
        rows = validation = None
        if validation_data.groups is not None and validation_data.X_val is not None:
            raise ValueError("groups has no effect with X_val, which is the validation set.")
        if validation_data.groups is not None and not hasattr(self.validation_fraction, "split"):
            raise ValueError(
                "groups needs a splitter as validation_fraction that keeps them together, such as GroupShuffleSplit(); "
                f"got validation_fraction={self.validation_fraction!r}."
            )
        if components.optimizer.kernel is None:
            if validation_data.X_val is not None or validation_data.y_val is not None:
                raise ValueError("X_val and y_val are not legal with solver='lbfgs', which has no epochs to validate.")
            return rows, validation
        if validation_data.X_val is not None:
            validation = self._validation_samples(validation_data)
            if len(validation.Y) < 2:
                raise ValueError("X_val must have two samples at least.")
        elif validation_data.y_val is not None or validation_data.sample_weight_val is not None:
            raise ValueError("y_val and sample_weight_val go with X_val, which is missing.")
        elif stops_early:
            rows, held_out = hold_out(self.validation_fraction, self._targets, samples, rng)
            validation = samples.left(held_out)
        return rows, None if validation is None else self._judge(validation)

    def _validation_samples(self, validation_data):
        if validation_data.y_val is None:
            raise ValueError("X_val needs y_val.")
        try:
            return self._further_samples(
                validation_data.X_val, validation_data.y_val, validation_data.sample_weight_val
            )
        except ValueError as error:
            raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error

    def _judge(self, samples):
        """The function that scores parameters by such samples."""
        validation = Validation(self._network, self._loss, self._targets, samples)
        if self.scoring is not None:
            try:  # what cannot be computed is an error now rather than after an epoch
                validation.score_by(self.scoring, self)
                validation(self._parameters.vector)
            except (AttributeError, TypeError, ValueError) as error:
                lacking = missing(self._targets, samples.y)
                advice = (
                    f" The validation samples have none of the classes {lacking}; StratifiedShuffleSplit(1) as "
                    "validation_fraction holds out some of each, or X_val and y_val must have them."
                )
                raise ValueError(
                    f"scoring={self.scoring!r} cannot be computed on the validation samples of a net with "
                    f"loss={self.loss!r}: {error}{advice if lacking else ''}"
                ) from error
        return validation

    def _begin_history(self, continues, config):
        if not continues:
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

    def _begin_state(self, rng, config, objective, continues, incremental):
        goes_on = continues and incremental and hasattr(self, "_optimizer")
        if goes_on and self._optimizer.optimizer == config.optimizer.identity:
            state = self._optimizer.writable()
        else:
            state = State.before(config, objective, rng, self.max_iter)
            state.averages = not continues
        # drawn only when it is needed: scikit-learn's sequence of draws has no such one
        if self._network.drops and not state.seed:
            state.seed = int(state.rng.randint(2**31 - 1)) << 31 | int(state.rng.randint(2**31 - 1))
        return state

    def _expose_network(self, network, output):
        self.n_layers_ = len(network.units)
        self.n_outputs_ = network.units[-1]
        self.out_activation_ = "exp" if output.names[0] == "exponential" else output.names[0]

    def _expose_history(self, history, config, continues):
        self.n_iter_ = history.n_iter
        self.loss_ = history.loss
        self.t_ = history.n_samples
        self._no_improvement_count = history.stalled
        self._to_beat, self._scored_by = (history.loss_to_beat, history.score_to_beat), self.scoring
        if config.optimizer.kernel is None:
            for name in _CURVES:
                vars(self).pop(name, None)
            return
        earlier = vars(self) if continues else {}
        # a continued curve is extended in place: copied, many calls of partial_fit would take quadratic time
        for name in ("loss_curve", "learning_rate_curve", "validation_scores", "validation_loss_curve"):
            curve = earlier.get(f"{name}_") or []
            curve = [*curve] if config.complete else curve  # an error after this must find the old one
            curve.extend(getattr(history, name))
            setattr(self, f"{name}_", curve)
        if not self.validation_scores_:
            self.validation_scores_ = self.validation_loss_curve_ = None
        self.best_validation_score_ = history.best_score if self.validation_scores_ else None
        self.best_loss_ = None if config.stops_early else history.best_loss

    # --- using the fitted network ---

    def _checked(self, X):
        if self._is_ready(X):
            return X
        check_is_fitted(self)
        check_before_conversion(X)
        dtype = [self._parameters.vector.dtype, *WHOLE_NUMBERS]
        X = validate_data(self, X, dtype=dtype, order="C", accept_sparse="csr", reset=False)
        check_csr(X)
        return X

    def _validate_all(self, X, y, reset):
        check_before_conversion(X)
        X, y = self._validate(X, y, reset)
        check_csr(X)
        return X, y

    def _is_ready(self, X):
        """Whether validate_data would return X as it is: to find out takes it longer than a net to predict a row."""
        if type(X) is not np.ndarray or X.ndim != 2 or X.size == 0 or not X.flags.c_contiguous:
            return False
        known = vars(self)
        if "_parameters" not in known or "feature_names_in_" in known:
            return False
        if X.dtype != known["_parameters"].vector.dtype or X.shape[1] != known.get("n_features_in_"):
            return False
        with np.errstate(over="ignore"):
            return bool(np.isfinite(X.sum()))

    def _outputs(self, X, activate_output, n_hidden=None):
        X = self._checked(X)
        with BLASThreads(1):
            return self._network.predict(X, self._parameters.vector, activate_output, n_hidden)

    def loss_and_gradient(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """The loss that training minimises, and its gradient, at the present parameters.

        ``est.parameters_ -= learning_rate * gradient`` is one step of gradient descent.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        loss : float
            The mean loss of the samples plus the penalties. Losses of several outputs are added up, also where
            ``loss_`` reports their mean.
        gradient : ndarray of shape (n_parameters,)
            Its derivative with respect to `parameters_`, in their order.
        """
        check_is_fitted(self)
        samples = self._further_samples(X, y, sample_weight)
        objective = self._objective(samples, len(samples.Y))
        with BLASThreads(1):
            loss, penalty = objective.evaluate(self._parameters.vector)
        return float(loss + penalty), objective.gradient[: self._network.layout.n_trained]

    # --- types ---

    def _float_types(self, reset):
        if not reset:
            return [self._parameters.vector.dtype]
        return [np.float64, np.float32] if self.dtype is None else [np.dtype(self.dtype)]

    def _input_types(self, reset):
        """What X may stay as; anything else is converted to the first of them."""
        return [*self._float_types(reset), *WHOLE_NUMBERS]

    def _network_dtype(self, X):
        types = self._float_types(reset=True)
        return np.dtype(X.dtype if X.dtype in types else types[0])


def is_first_order(estimator: Any) -> bool:
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


def _described(network):
    """The units of a network, and for each normalization whether it has it."""
    return network.units, *(
        any(isinstance(layer, kind) for layer in network.layers) for kind in NORMALIZATIONS.values()
    )
