"""Suggestions in the errors of parameters: the name, or the parameter, that the user probably meant."""

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache, wraps
from inspect import signature
from itertools import chain
from numbers import Real
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions, validate_parameter_constraints

__all__ = ["SuggestionsMixin", "did_you_mean", "names_checked"]

_P = ParamSpec("_P")
_S = TypeVar("_S")

# names of other libraries for parameters of the estimators
_SYNONYMS = {
    "epochs": "max_iter",
    "n_epochs": "max_iter",
    "num_epochs": "max_iter",
    "max_epochs": "max_iter",
    "lr": "learning_rate_init",
    "scheduler": "learning_rate",
    "optimizer": "solver",
    "weight_decay": "alpha",
    "layers": "hidden_layer_sizes",
    "units": "hidden_layer_sizes",
    "hidden_units": "hidden_layer_sizes",
    "patience": "n_iter_no_change",
    "criterion": "loss",
    "seed": "random_state",
}


def did_you_mean(value: Any, names: Iterable[str]) -> str:
    """A sentence, after a space, that suggests the name most like `value`; empty if there is none.

    Examples
    --------
    >>> did_you_mean("Leaky-ReLU", ["relu", "leaky_relu"])
    " Did you mean 'leaky_relu'?"
    >>> did_you_mean("forest", ["relu", "leaky_relu"])
    ''
    """
    if not isinstance(value, str):
        return ""
    close = get_close_matches(value.lower().replace("-", "_").replace(" ", "_"), list(names), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _parameter_meant(unknown, names):
    known = _SYNONYMS.get(unknown)
    return f" Did you mean {known!r}?" if known in names else did_you_mean(unknown, names)


def names_checked(init: Callable[Concatenate[_S, _P], None]) -> Callable[Concatenate[_S, _P], None]:
    """Decorate a constructor: the error of an unknown parameter suggests the one that was probably meant."""
    names = list(signature(init).parameters)[1:]

    @wraps(init)
    def checked(self: _S, *args: _P.args, **params: _P.kwargs) -> None:
        for name in params:
            if name not in names:
                advice = _parameter_meant(name, names)
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}.{advice}")
        init(self, *args, **params)

    return checked


class SuggestionsMixin(BaseEstimator):
    """Validation of parameters as in scikit-learn, with a suggestion in the error."""

    @classmethod
    @cache  # scikit-learn inspects the constructor whenever it clones, sets or validates: 18 times per task of a search
    def _get_param_names(cls):
        return super()._get_param_names()

    def _validate_params(self):
        for name in self._parameter_constraints:  # get_params reads the signature, which takes longer than this
            value = getattr(self, name)
            if value is self:  # scikit-learn's message would represent it without end
                raise InvalidParameterError(f"The {name!r} parameter of {type(self).__name__} is the estimator itself.")
            if isinstance(value, int) and abs(value) > sys.float_info.max and self._is_real(name):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} is too large for a float: {value!r}."
                )
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{self._remedy()}") from None

    def _is_real(self, name):
        return any(isinstance(each, Interval) and each.type is Real for each in self._parameter_constraints[name])

    def _remedy(self):
        """What to append to the error of the first invalid parameter."""
        for name, value in self.get_params(deep=False).items():
            constraints = self._parameter_constraints[name]
            try:
                validate_parameter_constraints({name: constraints}, {name: value}, type(self).__name__)
            except InvalidParameterError:
                if name == "learning_rate" and isinstance(value, Real) and not isinstance(value, bool):
                    return f" learning_rate is the schedule; set the number with learning_rate_init={value!r}."
                options = (constraint.options for constraint in constraints if isinstance(constraint, StrOptions))
                return did_you_mean(value, chain(*options))
        return ""

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : estimator instance
        """
        names = self.get_params(deep=False)
        unknown = next((key for key in params if key.partition("__")[0] not in names), None)
        try:
            return super().set_params(**params)
        except ValueError as error:
            if unknown is None:
                raise
            raise ValueError(f"{error}{_parameter_meant(unknown, names)}") from None
