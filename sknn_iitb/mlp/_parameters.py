"""From the estimators' parameters to the components of a network, with validation of their combinations."""

from collections import namedtuple
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import sklearn
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from sknn_iitb._engine.constraints import CONSTRAINTS
from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._engine.plain import REGISTRIES
from sknn_iitb._engine.user_warnings import warn
from sknn_iitb._registry import one_of, parameter_defaults
from sknn_iitb._suggestions import SuggestionsMixin, did_you_mean
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

__all__ = ["Components", "ParametersMixin"]

Components = namedtuple("Components", "hidden output loss optimizer schedule initializer constraints")
Components.__doc__ = (
    """The components that the parameters select; `constraints` are pairs of a constraint and its bound."""
)


# The estimator's flat parameters, by the component name of scikit-learn that they belong to. Objects, and components
# that scikit-learn does not have, have their own parameters.
_FLAT = {
    "solver": {
        "sgd": ("momentum", "nesterovs_momentum"),
        "adam": ("beta_1", "beta_2", "epsilon"),
        "lbfgs": (),
    },
    "learning_rate": {"constant": (), "adaptive": (), "invscaling": ("power_t",)},
}

# parameters that act on the steps of a first-order solver, not on the function that lbfgs minimizes
_FIRST_ORDER_ONLY = ("dropout", "l1", *CONSTRAINTS.names())


def _example(parameter, chosen, name, value):
    """An example that sets the parameter of a component, given by name or as an object, if it has this parameter."""
    cls = type(REGISTRIES[parameter].resolve(chosen))
    return f", such as {cls.__name__}({name}={value!r})" if name in parameter_defaults(cls) else ""


class ParametersMixin(SuggestionsMixin):
    """Validation and resolution of the parameters.

    A subclass defines ``_default_loss(output)`` and ``_legal_outputs(loss)``.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [*ACTIVATIONS.constraint(lambda cls: cls.hidden), list, tuple],
        "solver": OPTIMIZERS.constraint(),
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto", "full"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": SCHEDULES.constraint(),
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), HasMethods(["split", "get_n_splits"])],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        # an activation for hidden layers passes here, and a later error says why it is not supported
        "output_activation": [one_of(["auto", *ACTIVATIONS.names()]), ACTIVATIONS.base],
        "init": [*INITIALIZERS.constraint(), tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        **{name: ["boolean"] for name in NORMALIZATIONS},
        "l1": [Interval(Real, 0, None, closed="left")],
        **{name: [Interval(Real, 0, None, closed="neither"), None] for name in CONSTRAINTS.names()},
        "scoring": [str, callable, None],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
    }

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including those of nested components, as in ``solver__rho=0.95``.

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
            if not inner or name not in REGISTRIES:
                continue
            if not isinstance(value, str) and not hasattr(value, "set_params"):
                kind = type(value).__name__
                raise ValueError(
                    f"{key} cannot be set: {name}={value!r} is a {kind}, which has no parameters of its own; pass "
                    f"another {name}."
                )
            if isinstance(value, str):
                have_it = [f"{name}={c.__name__}()" for c in REGISTRIES[name].classes if inner in parameter_defaults(c)]
                advice = (
                    f"pass an object: {' or '.join(have_it)}" if have_it else f"no {name} has a parameter {inner!r}"
                )
                raise ValueError(
                    f"{key} cannot be set: {name}={value!r} is a name, which has no parameters of its own; {advice}."
                )
        return super().set_params(**params)

    def _resolve_components(self):
        """Turn names into components; the output, and a classifier's loss, may depend on the targets."""
        if isinstance(self.scoring, str) and self.scoring != "loss":
            # not a constraint, because loading all scorers takes as long as the rest of the import
            names = sorted(sklearn.metrics.get_scorer_names())
            if self.scoring not in names:
                raise ValueError(
                    f"scoring={self.scoring!r} is not among 'loss', {', '.join(map(repr, names))}."
                    f"{did_you_mean(self.scoring, ['loss', *names])}"
                )
        defaults = parameter_defaults(type(self))
        for parameter in _FLAT:
            self._check_flat(parameter, defaults)
        optimizer = OPTIMIZERS.resolve(self.solver, self._flat("solver"))
        if optimizer.kernel is None:
            for name in _FIRST_ORDER_ONLY:
                value = getattr(self, name)
                if np.array(value, dtype=object).any():
                    raise ValueError(
                        f"{name}={value!r} is not supported with solver='lbfgs'; use {defaults[name]!r}, or another "
                        "solver, such as 'adam'."
                    )
        return Components(
            hidden=self._resolve_hidden(),
            output=None if self.output_activation == "auto" else ACTIVATIONS.resolve(self.output_activation),
            loss=None if self.loss == "auto" else LOSSES.resolve(self.loss),
            optimizer=optimizer,
            schedule=SCHEDULES.resolve(self.learning_rate, self._flat("learning_rate")),
            initializer=None if isinstance(self.init, (tuple, list)) else INITIALIZERS.resolve(self.init),
            constraints=[(a, getattr(self, a.names[0])) for a in CONSTRAINTS if getattr(self, a.names[0]) is not None],
        )

    def _flat(self, parameter):
        """The flat parameters of a component selected by name."""
        value = getattr(self, parameter)
        names = _FLAT[parameter].get(value, ()) if isinstance(value, str) else ()
        return {name: getattr(self, name) for name in names}

    def _check_flat(self, parameter, defaults):
        """Raise ValueError if a flat parameter is set that the selected component does not have."""
        chosen = getattr(self, parameter)
        if isinstance(chosen, str) and chosen in _FLAT[parameter]:
            return  # as in scikit-learn, flat parameters of other names are ignored
        for name in sum(_FLAT[parameter].values(), ()):
            value = getattr(self, name)
            if value != defaults[name]:
                raise ValueError(
                    f"{name}={value!r} has no effect with {parameter}={chosen!r}, which has its own parameters; set "
                    f"it on an object{_example(parameter, chosen, name, value)}."
                )

    def _resolve_hidden(self):
        """The activation of each hidden layer."""
        n_hidden, given = len(self._hidden_sizes()), self.activation
        several = isinstance(given, (list, tuple))
        if several and len(given) != n_hidden:
            raise ValueError(
                f"activation={given!r} must be one activation, or a list with one for each of the {n_hidden} hidden "
                f"layers of hidden_layer_sizes={self.hidden_layer_sizes!r}."
            )
        legal = ACTIVATIONS.names(lambda cls: cls.hidden)
        hidden = []
        for value in given if several else [given]:
            if isinstance(value, str) and value not in legal:
                raise ValueError(
                    f"activation={given!r}: {value!r} is not among {', '.join(map(repr, legal))}."
                    f"{did_you_mean(value, legal)}"
                )
            if not (isinstance(value, (str, ACTIVATIONS.base)) or callable(value)):
                raise ValueError(f"activation={given!r}: {value!r} is not a name, an Activation or a function g(z).")
            hidden.append(ACTIVATIONS.resolve(value))
            if not hidden[-1].hidden:
                raise ValueError(f"activation={value!r} is for the output only; set output_activation.")
        return hidden if several else hidden * n_hidden

    def _choose_output(self, components, targets):
        """Resolve "auto"; raise ValueError if the combination is not supported."""
        loss = components.loss or self._default_loss(components.output)
        legal = self._legal_outputs(loss)
        if not legal:
            names = ", ".join(map(repr, LOSSES.names(self._legal_outputs)))
            raise ValueError(f"loss={self.loss!r} is not supported by {type(self).__name__}; legal values: {names}.")
        name = targets.default_output(legal) if components.output is None else components.output.names[0]
        if name not in legal:
            why = "" if components.output.output else " (it is for hidden layers only)"
            if self.loss == "auto":  # other outputs imply other losses
                outputs = (cls for cls in ACTIVATIONS if cls.output)
                legal = [o.names[0] for o in outputs if o.names[0] in self._legal_outputs(self._default_loss(o))]
            raise ValueError(
                f"output_activation={self.output_activation!r}{why} is not supported with loss={self.loss!r}; "
                f"legal values: {', '.join(map(repr, legal))}."
            )
        targets.check_output(name)
        return components._replace(loss=loss, output=components.output or ACTIVATIONS.resolve(name))

    def _settled_output(self):
        """Name of the output activation, fitted or set by the parameters; None if it depends on the targets."""
        if "out_activation_" in vars(self):
            return self.out_activation_
        if self.output_activation != "auto":
            named = isinstance(self.output_activation, str)
            if not named or self.output_activation in ACTIVATIONS:
                return ACTIVATIONS.resolve(self.output_activation).names[0]
            return None
        named = isinstance(self.loss, str)
        if self.loss == "auto" or (named and self.loss not in LOSSES):  # fit reports a wrong name
            return None
        legal = self._legal_outputs(LOSSES.resolve(self.loss))
        return None if "logistic" in legal else legal[0]

    def _hidden_sizes(self):
        given = self.hidden_layer_sizes
        sizes = list(given) if np.iterable(given) else [given]
        if not all(isinstance(n, Integral) and not isinstance(n, bool) and 0 < n < 2**31 for n in sizes):
            raise ValueError(f"hidden_layer_sizes must be integers > 0 and < 2**31, got {given!r}.")
        return [int(n) for n in sizes]

    def _dropout_rates(self):
        """Dropout rates of the inputs and of each hidden layer."""
        n_hidden, given = len(self._hidden_sizes()), self.dropout
        several = not isinstance(given, Real)
        rates = np.atleast_1d(np.array(given, dtype=object)).tolist() if several else [0.0] + [given] * n_hidden
        if len(rates) != 1 + n_hidden or not all(
            isinstance(r, Real) and not isinstance(r, bool) and 0 <= r < 1 for r in rates
        ):
            raise ValueError(
                f"dropout={given!r} must be a number in [0, 1) for all hidden layers, or a list of 1 + {n_hidden} such "
                "numbers, for the inputs and for each hidden layer."
            )
        if not n_hidden and not several and given > 0:
            raise ValueError(f"dropout={given!r} has no effect without a hidden layer; use [{given!r}] for the inputs.")
        return [float(r) for r in rates]

    def _normalization(self):
        """The parameter that selects a normalization, or None."""
        chosen = [name for name in NORMALIZATIONS if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(
                f"{' and '.join(f'{name}=True' for name in chosen)} cannot be combined; set only one of them."
            )
        return next(iter(chosen), None)

    def _batch_size(self, n_samples, optimizer):
        if optimizer.kernel is None or self.batch_size == "full":
            return n_samples
        if self.batch_size == "auto":
            return n_samples if optimizer.full_batch else min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                f"Got batch_size={self.batch_size}, larger than the {n_samples} training samples; it is going to be "
                "clipped."
            )
        return min(int(self.batch_size), n_samples)
