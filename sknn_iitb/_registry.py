"""Components and their registries: a component is a small parameter object that is found by name."""

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

# a function for the compiler, or for NumPy in schedules: its family says which arguments it gets
Kernel = Callable[..., Any]


@cache
def parameter_defaults(cls: type) -> dict[str, Any]:
    """The constructor's parameters and their defaults."""
    return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}


def one_of(names: Iterable[str]) -> StrOptions:
    """The constraint of a parameter that is one of such names; an error has them in this order."""
    constraint = StrOptions(set(names))
    constraint.options = list(names)
    return constraint


class Component(BaseEstimator):
    """A replaceable piece of a network with its hyperparameters; fitting never modifies it.

    Attributes
    ----------
    names : tuple of str
        The names by which an estimator's parameter selects the component, as given to :meth:`Registry.add`.
    """

    names: tuple[str, ...] = ()
    _parameter_constraints: dict[str, list[Any]] = {}

    def hyper(self) -> tuple[float, ...]:
        """Hyperparameters as the compiled function reads them, in the order it states."""
        return ()

    def hyper_array(self, dtype: DTypeLike) -> NDArray[Any]:
        """:meth:`hyper` as an array."""
        return np.array(self.hyper(), dtype=dtype)

    def validate(self) -> None:
        """Raise `InvalidParameterError`, a ValueError, if a hyperparameter is out of its range."""
        validate_parameter_constraints(self._parameter_constraints, self.get_params(deep=False), type(self).__name__)


class Custom:
    """Mix-in of the components that wrap a user's function; `form` shows the arguments it must take."""

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
        The estimators' parameter that chooses among the components.
    base : type
        The base class of the components.
    custom : type or None
        The component that wraps a user's function, constructed as ``custom(function)``; None if there is none.
    """

    def __init__(self, parameter: str, base: type, custom: type | None = None) -> None:
        self.parameter = parameter
        self.base = base
        self.custom = custom
        self._classes = {}

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the classes, each once."""
        return iter(dict.fromkeys(self._classes.values()))

    def __getitem__(self, name: str) -> Any:
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def add(self, *names: str) -> Callable[[_Class], _Class]:
        """Enter a class under these names, the first being its own and the others aliases; a decorator."""

        def enter(cls: _Class) -> _Class:
            for name in names:
                if name in self._classes:
                    raise ValueError(f"{self.parameter}: {name!r} is registered already")
                self._classes[name] = cls
            cls.names = names
            return cls

        return enter

    def names(self, condition: Callable[[Any], bool] = lambda cls: True) -> list[str]:
        """All names, aliases included, of the classes that fulfil `condition`."""
        return [name for name, cls in self._classes.items() if condition(cls)]

    def constraint(self, condition: Callable[[Any], bool] = lambda cls: True) -> list[Any]:
        """What scikit-learn's parameter validation accepts for this family."""
        return [one_of(self.names(condition)), self.base] + ([callable] if self.custom else [])

    def resolve(self, value: Any, flat: dict[str, Any] | None = None) -> Any:
        """Turn a name, a component or a user's function into a validated component.

        Parameters
        ----------
        value : str, component or callable
        flat : dict, optional
            Parameters for a component that is given by name.
        """
        if isinstance(value, self.base):
            component = deepcopy(value)  # a fitted net stays what it is, whatever becomes of the user's object
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
