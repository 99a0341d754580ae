"""Components, which are small parameter objects, and the registries that find them by name."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints

from sknn_iitb._jit.compilation import n_required

__all__ = ["Component", "Custom", "Kernel", "Registry", "one_of", "parameter_defaults"]


_Class = TypeVar("_Class", bound=type)

# a function for the compiler, or for NumPy in schedules; its family determines its arguments
Kernel = Callable[..., Any]


@cache
def parameter_defaults(cls: type) -> dict[str, Any]:
    """The constructor's parameters and their defaults."""
    return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}


def one_of(names: Iterable[str]) -> StrOptions:
    """The constraint of a parameter to one of `names`; errors list them in this order."""
    constraint = StrOptions(set(names))
    constraint.options = list(names)
    return constraint


class Component(BaseEstimator):
    """Base of all components: a function with its hyperparameters, which fitting never modifies.

    Attributes
    ----------
    names : tuple of str
        The names that select the component in an estimator's parameter, as passed to :meth:`Registry.add`.
    """

    names: tuple[str, ...] = ()
    _parameter_constraints: dict[str, list[Any]] = {}

    def hyper(self) -> tuple[float, ...]:
        """Hyperparameters in the order in which the compiled function reads them."""
        return ()

    def hyper_array(self, dtype: DTypeLike) -> NDArray[Any]:
        """:meth:`hyper` as an array."""
        return np.array(self.hyper(), dtype=dtype)

    def validate(self) -> None:
        """Raise `InvalidParameterError`, a ValueError, if a hyperparameter is out of range."""
        validate_parameter_constraints(self._parameter_constraints, self.get_params(deep=False), type(self).__name__)


class Custom:
    """Mixin for components that wrap a custom function; `form` shows the arguments that it must take."""

    form: str = "f()"

    def __init__(self, function: Kernel) -> None:
        self.function = function

    def validate(self) -> None:
        """Raise ValueError unless the function takes the arguments of `form`."""
        expected = self.form.count(",") + 1
        is_plain = inspect.isfunction(self.function) and not (
            inspect.isgeneratorfunction(self.function) or inspect.iscoroutinefunction(self.function)
        )
        if not is_plain or n_required(self.function) != expected:
            raise ValueError(f"a custom function must be a plain Python function {self.form}")


class Registry:
    """The components of one family by name. Dispatch, validation, documentation and tests all read it.

    Parameters
    ----------
    parameter : str
        The estimators' parameter that selects the component.
    base : type
        The base class of the components.
    custom : type or None
        The component that wraps a custom function, constructed as ``custom(function)``; None if there is none.
    """

    def __init__(self, parameter: str, base: type, custom: type | None = None) -> None:
        self.parameter = parameter
        self.base = base
        self.custom = custom
        self._classes = {}
        self.classes: list[Any] = []  # with those that no name selects

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the classes that have names, each once."""
        return (cls for cls in self.classes if cls.names)

    def __getitem__(self, name: str) -> Any:
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def add(self, *names: str) -> Callable[[_Class], _Class]:
        """Decorator that registers a class under its name, the first one, and aliases."""

        def register(cls: _Class) -> _Class:
            for name in names:
                if name in self._classes:
                    raise ValueError(f"{self.parameter}: {name!r} is already registered")
                self._classes[name] = cls
            self.classes.append(cls)
            cls.names = names
            return cls

        return register

    def names(self, condition: Callable[[Any], bool] = lambda cls: True) -> list[str]:
        """All names, aliases included, of the classes that satisfy `condition`."""
        return [name for name, cls in self._classes.items() if condition(cls)]

    def constraint(self, condition: Callable[[Any], bool] = lambda cls: True) -> list[Any]:
        """The constraint for scikit-learn's parameter validation."""
        return [one_of(self.names(condition)), self.base] + ([callable] if self.custom else [])

    def resolve(self, value: Any, flat: dict[str, Any] | None = None) -> Any:
        """Turn a name, a component or a custom function into a validated component.

        Parameters
        ----------
        value : str, component or callable
        flat : dict, optional
            Parameters of a component given by name.
        """
        if isinstance(value, self.base):
            component = deepcopy(value)  # later changes to the user's object must not affect a fitted network
        elif isinstance(value, str):
            cls = self._classes[value]
            component = cls(**(flat or {}))
        elif isinstance(value, type):
            raise ValueError(f"{self.parameter}={value.__name__} is a class; pass an instance, {value.__name__}().")
        else:
            component = self.custom(value)
        try:
            component.validate()
        except ValueError as error:
            if isinstance(component, Custom):
                raise ValueError(f"{self.parameter}={value!r}: {error}.") from None
            raise
        return component
