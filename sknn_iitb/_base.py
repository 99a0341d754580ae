"""What the two estimators share: parameters, parts, the way from data to a trained network and its attributes."""

import math
import warnings
from collections import namedtuple
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sknn_iitb import interop
from sknn_iitb._blas import single_threaded
from sknn_iitb._parts import parameter_defaults
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.network import Network, Parameters, aligned
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES, Clock
from sknn_iitb.training import History, Objective, Plan, State, descend, minimize

__all__ = ["BaseMLP"]

Parts = namedtuple("Parts", "activation output loss optimizer schedule initializer")

_REGISTRIES = {registry.parameter: registry for registry in (ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS)}

# the flat parameters that a part owns once it is given as an object
_FLAT = {
    "solver": ("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon"),
    "learning_rate": ("power_t",),
}

# attributes of a run by a first-order solver, which a later fit with lbfgs does not have
_CURVES = ("loss_curve_", "best_loss_", "learning_rate_curve_", "validation_scores_", "best_validation_score_")


class BaseMLP(BaseEstimator):
    """Everything but what is particular to labels or to numbers.

    A subclass has ``_validate(X, y, reset)``, ``_find_targets(y, continues, incremental, classes)``,
    ``_default_loss(output)`` and ``_legal_outputs(loss)``.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": ACTIVATIONS.constraint(lambda cls: cls.hidden),
        "solver": OPTIMIZERS.constraint(),
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto", "full"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": SCHEDULES.constraint(),
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        # an activation for hidden layers passes here, so that the error can say why it is not legal
        "output_activation": [StrOptions({"auto", *ACTIVATIONS.names()}), ACTIVATIONS.base],
        "init": [*INITIALIZERS.constraint(), tuple, list],
        "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
    }

    # functions of a module of their own, as methods
    to_sklearn = interop.to_sklearn
    from_sklearn = classmethod(interop.from_sklearn)

    # --- parameters and attributes ---

    def set_params(self, **params):
        """Set parameters, those of nested parts too, as ``solver__rho=0.95``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : estimator instance
        """
        for key in params:
            name, _, inner = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if inner and name in _REGISTRIES and isinstance(value, str):
                have_it = [f"{name}={c.__name__}()" for c in _REGISTRIES[name] if inner in parameter_defaults(c)]
                advice = f"pass an object: {' or '.join(have_it)}" if have_it else f"no {name} has a {inner!r}"
                raise ValueError(
                    f"{key} cannot be set: {name}={value!r} is a name, which has no parameters of its own; {advice}."
                )
        return super().set_params(**params)

    @property
    def coefs_(self):
        """List of the weight matrices, each (fan_in, fan_out): views into `parameters_`."""
        return self._fitted_parameters("coefs_").coefs

    @coefs_.setter
    def coefs_(self, values):
        self._writable_parameters("coefs_").coefs.assign(values)

    @property
    def intercepts_(self):
        """List of the bias vectors, each (fan_out,): views into `parameters_`."""
        return self._fitted_parameters("intercepts_").intercepts

    @intercepts_.setter
    def intercepts_(self, values):
        self._writable_parameters("intercepts_").intercepts.assign(values)

    @property
    def parameters_(self):
        """The flat vector of all weights, then all biases."""
        return self._fitted_parameters("parameters_").vector

    @parameters_.setter
    def parameters_(self, values):
        vector = self._writable_parameters("parameters_").vector
        values = np.asarray(values)
        if values.shape != vector.shape:
            raise ValueError(f"parameters_ has shape {vector.shape}, got {values.shape}.")
        vector[:] = values

    def _fitted_parameters(self, name):
        if "_parameters" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: it is not fitted yet.")
        return self._parameters

    def _writable_parameters(self, name):
        self._parameters = self._fitted_parameters(name).writable()
        return self._parameters

    # --- fitting ---

    def _fit(self, X, y, sample_weight, incremental=False, classes=None):
        before = vars(self).copy()
        continues = "_parameters" in before and (incremental or self.warm_start)
        if continues:  # these are changed in place
            self._parameters = self._parameters.writable()
            before["_parameters"] = self._parameters
            vector = self._parameters.vector.copy()
            if "_optimizer" in before:
                before["_optimizer"] = self._optimizer.copy()
        try:
            if continues and incremental:  # where scikit-learn's own check trusts the first call
                self._validate_params()
            self._train(X, y, sample_weight, continues, incremental, classes)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if continues:
                self._parameters.vector[:] = vector
            raise
        return self

    def _train(self, X, y, sample_weight, continues, incremental, classes):
        parts = self._resolve_parts()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._validate(X, y, reset=not continues)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        targets = self._find_targets(y, continues, incremental, classes)
        parts = self._choose_output(parts, targets)
        parts.loss.check_target(y)
        Y = targets.encode(y, parts.output.names[0], X.dtype)
        X, Y, weight = _drop_zero_weights(X, Y, sample_weight)

        rng = self._optimizer.rng if incremental and continues and hasattr(self, "_optimizer") else None
        rng = check_random_state(self.random_state) if rng is None else rng
        units = (X.shape[1], *self._hidden_sizes(), Y.shape[1])
        network = Network(units, [parts.activation] * (len(units) - 2), parts.output)
        if continues and units != self._parameters.units:
            raise ValueError(
                f"A fitted network of layers {self._parameters.units} cannot go on with layers {units}; "
                "hidden_layer_sizes and the number of outputs must stay as they were."
            )
        parameters = self._parameters if continues else _initialize(network, self.init, parts, rng, X.dtype)
        rows, validate = self._hold_out(network, targets, X, Y, weight, rng, parts)
        history = self._begin_history(continues, incremental)
        first_order = parts.optimizer.kernel is not None
        n_train = len(X) if rows is None else len(rows)
        batch_size = self._batch_size(n_train, parts.optimizer) if first_order else n_train
        objective = Objective(network, parts.loss, X, Y, weight, self.alpha, batch_size, rows)
        plan = Plan(
            optimizer=parts.optimizer,
            schedule=parts.schedule,
            learning_rate_init=self.learning_rate_init,
            batch_size=batch_size,
            shuffle=self.shuffle,
            n_epochs=1 if incremental else self.max_iter,
            complete=not incremental,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
        )
        if first_order:
            state = self._begin_state(network, X.dtype, rng, plan, n_train, continues and incremental)
            descend(objective, parameters.vector, state, history, plan, validate)
            state.order = state.order if incremental else None
            self._optimizer = state
        else:
            minimize(objective, parameters.vector, history, plan, self.max_fun)
            vars(self).pop("_optimizer", None)
        self._network, self._parameters, self._targets, self._loss = network, parameters, targets, parts.loss
        self._expose(history, continues, first_order, parts.output)

    def _resolve_parts(self):
        """Names to parts; the output, and a classifier's loss, may wait for the targets."""
        defaults = parameter_defaults(type(self))
        for parameter, flat in _FLAT.items():
            for name in flat:
                value = getattr(self, name)
                if not isinstance(getattr(self, parameter), str) and value != defaults[name]:
                    raise ValueError(
                        f"{name}={value!r} has no effect beside {parameter}={getattr(self, parameter)!r}, which has "
                        f"its own parameters; set them there, or pass {parameter} by name."
                    )
        flat = {name: getattr(self, name) for names in _FLAT.values() for name in names}
        activation = ACTIVATIONS.resolve(self.activation)
        if not activation.hidden:
            raise ValueError(f"activation={self.activation!r} is for the output only; set output_activation.")
        return Parts(
            activation=activation,
            output=None if self.output_activation == "auto" else ACTIVATIONS.resolve(self.output_activation),
            loss=None if self.loss == "auto" else LOSSES.resolve(self.loss),
            optimizer=OPTIMIZERS.resolve(self.solver, flat),
            schedule=SCHEDULES.resolve(self.learning_rate, flat),
            initializer=None if isinstance(self.init, (tuple, list)) else INITIALIZERS.resolve(self.init),
        )

    def _choose_output(self, parts, targets):
        """Settle what "auto" left open; raise for a combination that is not legal."""
        loss = parts.loss or self._default_loss(parts.output)
        legal = self._legal_outputs(loss)
        if not legal:
            names = ", ".join(map(repr, LOSSES.names(self._legal_outputs)))
            raise ValueError(f"loss={self.loss!r} is not for {type(self).__name__}; legal are {names}.")
        name = targets.default_output(legal) if parts.output is None else parts.output.names[0]
        if name not in legal:
            why = "" if parts.output.output else " (it is for hidden layers only)"
            if self.loss == "auto":  # other outputs would have had other losses
                outputs = (cls for cls in ACTIVATIONS if cls.output)
                legal = [o.names[0] for o in outputs if o.names[0] in self._legal_outputs(self._default_loss(o))]
            raise ValueError(
                f"output_activation={self.output_activation!r}{why} is not legal with loss={self.loss!r}; "
                f"legal are {', '.join(map(repr, legal))}."
            )
        targets.check_output(name)
        return parts._replace(loss=loss, output=parts.output or ACTIVATIONS.resolve(name))

    def _settled_output(self):
        """Name of the output activation, as fitted or as the parameters say; None where it depends on the targets."""
        if "out_activation_" in vars(self):
            return self.out_activation_
        if self.output_activation != "auto":
            named = isinstance(self.output_activation, str)
            if not named or self.output_activation in ACTIVATIONS:
                return ACTIVATIONS.resolve(self.output_activation).names[0]
            return None
        named = isinstance(self.loss, str)
        if self.loss == "auto" or (named and self.loss not in LOSSES):  # fit will tell of a wrong name
            return None
        legal = self._legal_outputs(LOSSES.resolve(self.loss))
        return None if "logistic" in legal else legal[0]

    def _hidden_sizes(self):
        given = self.hidden_layer_sizes
        sizes = [given] if isinstance(given, Integral) else list(given)
        if not all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in sizes):
            raise ValueError(f"hidden_layer_sizes must be integers > 0, got {given!r}.")
        return [int(n) for n in sizes]

    def _batch_size(self, n_samples, optimizer):
        if self.batch_size == "full" or (self.batch_size == "auto" and optimizer.full_batch):
            return n_samples
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                f"Got batch_size={self.batch_size}, larger than the {n_samples} training samples; it is going to be "
                "clipped.",
                stacklevel=6,
            )
        return min(int(self.batch_size), n_samples)

    def _hold_out(self, network, targets, X, Y, weight, rng, parts):
        """Indices of the training samples and the function that scores the others; (None, None) if there are none."""
        if not self.early_stopping or parts.optimizer.kernel is None:
            return None, None
        if math.ceil(self.validation_fraction * len(X)) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        # the same draws as scikit-learn's, which stratifies where there is one output for two classes
        rows, held_out = train_test_split(
            np.arange(len(X), dtype=np.int64),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=targets.strata(Y),
        )
        X, Y, weight = X[held_out], Y[held_out], None if weight is None else weight[held_out]

        def validate(theta):
            return targets.score(network.predict(X, theta, targets.uses_values), Y, weight)

        return rows, validate

    def _begin_history(self, continues, incremental):
        if not continues:
            return History()
        best_loss, best_score = getattr(self, "best_loss_", None), getattr(self, "best_validation_score_", None)
        return History(
            best_loss=np.inf if best_loss is None else best_loss,
            best_score=best_score if self.early_stopping and best_score is not None else -np.inf,
            stalled=self._no_improvement_count if incremental else 0,
            n_samples=self.t_,
        )

    def _begin_state(self, network, dtype, rng, plan, n_samples, goes_on):
        optimizer = type(plan.optimizer).__name__
        if goes_on and hasattr(self, "_optimizer") and self._optimizer.optimizer == optimizer:
            return self._optimizer.writable()
        steps_per_epoch = -(-n_samples // plan.batch_size)
        return State(
            rng=rng,
            optimizer=optimizer,
            slots=np.zeros(plan.optimizer.n_slots * network.n_parameters, dtype),
            clock=Clock(self.max_iter * steps_per_epoch, steps_per_epoch),
            learning_rate=plan.learning_rate_init,
        )

    def _expose(self, history, continues, first_order, output):
        self.n_layers_ = len(self._network.units)
        self.n_outputs_ = self._network.units[-1]
        self.out_activation_ = "exp" if output.names[0] == "exponential" else output.names[0]
        self.n_iter_ = history.n_iter
        self.loss_ = history.loss
        self.t_ = history.n_samples
        self._no_improvement_count = history.stalled
        if not first_order:
            for name in _CURVES:
                vars(self).pop(name, None)
            return
        earlier = vars(self) if continues else {}
        # a continued curve is extended in place: copied, many calls of partial_fit would take quadratic time
        for name in ("loss_curve", "learning_rate_curve", "validation_scores"):
            curve = earlier.get(f"{name}_") or []
            curve.extend(getattr(history, name))
            setattr(self, f"{name}_", curve)
        if self.early_stopping:
            self.best_validation_score_, self.best_loss_ = history.best_score, None
        else:
            self.validation_scores_ = self.best_validation_score_ = None
            self.best_loss_ = history.best_loss

    # --- using the fitted network ---

    def _outputs(self, X, activate_output):
        check_is_fitted(self)
        theta = self._parameters.vector
        X = validate_data(self, X, dtype=theta.dtype, order="C", reset=False)
        with single_threaded():
            return self._network.predict(X, theta, activate_output)

    def loss_and_gradient(self, X, y, sample_weight=None):
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
            The mean loss of the samples plus the L2 penalty. Losses of several outputs are added up, also where
            ``loss_`` reports their mean.
        gradient : ndarray of shape (n_parameters,)
            Its derivative with respect to `parameters_`: that of all `coefs_`, then that of all `intercepts_`.
        """
        check_is_fitted(self)
        X, y = self._validate(X, y, reset=False)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._loss.check_target(y)
        Y = self._targets.encode(y, self._network.output.names[0], X.dtype)
        X, Y, weight = _drop_zero_weights(X, Y, sample_weight)
        if Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {Y.shape[1]} outputs, the network has {self.n_outputs_}.")
        objective = Objective(self._network, self._loss, X, Y, weight, self.alpha, len(X))
        with single_threaded():
            loss, penalty = objective.evaluate(self._parameters.vector)
        return float(loss + penalty), objective.gradient

    def _dtypes(self, reset):
        if not reset:
            return self._parameters.vector.dtype
        return (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype)


def _drop_zero_weights(X, Y, weight):
    if weight is None or weight.all():
        return X, Y, weight
    keep = weight > 0
    if not keep.any():
        raise ValueError("sample_weight is zero for every sample.")
    return X[keep], Y[keep], weight[keep]


def _initialize(network, init, parts, rng, dtype):
    """Draw or copy the parameters that training starts from."""
    parameters = Parameters(network.units, aligned(network.n_parameters, dtype))
    if parts.initializer is None:
        try:
            coefs, intercepts = init
            parameters.coefs.assign(coefs)
            parameters.intercepts.assign(intercepts)
        except (TypeError, ValueError) as error:
            raise ValueError(f"init must be a name, an Initializer or (coefs, intercepts): {error}") from None
        if not np.isfinite(parameters.vector).all():
            raise ValueError("init=(coefs, intercepts) must be finite.")
    else:
        for weights, biases in zip(parameters.coefs, parameters.intercepts, strict=True):
            weights[...], biases[...] = parts.initializer.draw(rng, *weights.shape, parts.activation)
    return parameters
