"""Fitted state as plain values: dicts, lists, tuples, numbers, strings and arrays.

A saved estimator must not depend on where our classes are or how they are written. So an object becomes a dict of its
fields with a "kind", whose name never changes, and a component becomes the name that selects it, with its parameters.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from sknn_iitb._registry import Component, Custom
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

__all__ = ["REGISTRIES", "DamagedError", "from_plain", "kind", "random_state", "to_plain"]

_Class = TypeVar("_Class", bound=type)

_KIND = "__kind__"
_CLASSES: dict[str, Any] = {}
_NAMES: dict[type, str] = {}
# those of NumPy
_BIT_GENERATORS = "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"
REGISTRIES = {registry.parameter: registry for registry in (ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS)}


class DamagedError(ValueError):
    """Plain values are not those of a fitted estimator."""


def kind(name: str) -> Callable[[_Class], _Class]:
    """Register a class by the name of its kind.

    The constructor, or a class method ``from_fields`` that distrusts them, makes an equal object of its fields: those
    of a dataclass or NamedTuple, or what its method ``fields()`` returns.
    """

    def register(cls: _Class) -> _Class:
        _CLASSES[name], _NAMES[cls] = cls, name
        return cls

    return register


def to_plain(value: Any) -> Any:
    """The value with our own objects as plain values; what we do not know, such as a user's function, stays."""
    cls = type(value)
    if cls in _NAMES:
        return {_KIND: _NAMES[cls], **{name: to_plain(each) for name, each in _fields_of(value).items()}}
    if isinstance(value, Component):
        return _plain_component(value)
    if isinstance(value, np.random.RandomState):
        return {_KIND: "RandomState", "state": value.get_state(legacy=False)}
    if cls in (list, tuple):
        return cls(to_plain(each) for each in value)
    if cls is dict:
        if all(type(key) is str for key in value) and _KIND not in value:
            return {key: to_plain(each) for key, each in value.items()}
        return {_KIND: "dict", "items": [(to_plain(key), to_plain(each)) for key, each in value.items()]}
    return value


def from_plain(value: Any) -> Any:
    """The inverse of :func:`to_plain`.

    Raises
    ------
    DamagedError
        If there is no such kind, or its fields do not make an object.
    """
    if type(value) in (list, tuple):
        return type(value)(from_plain(each) for each in value)
    if type(value) is not dict:
        return value
    if _KIND not in value:
        return {key: from_plain(each) for key, each in value.items()}
    name = value[_KIND]
    found = {key: from_plain(each) for key, each in value.items() if key != _KIND}
    try:
        return _constructor(name)(**found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DamagedError(f"{name!r} cannot be made of these values: {error}") from error


def _fields_of(value):
    if hasattr(value, "fields"):
        return value.fields()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value._asdict()


def _plain_component(component):
    for family, registry in REGISTRIES.items():
        if isinstance(component, registry.base):
            if isinstance(component, Custom):
                return {_KIND: "custom", "family": family, "function": component.function}
            parameters = to_plain(component.get_params(deep=False))
            if component.names and type(component) is registry[component.names[0]]:
                return {_KIND: "component", "family": family, "name": component.names[0], "parameters": parameters}
    return component  # a user's own class


def _constructor(name):
    if name in _CLASSES:
        return getattr(_CLASSES[name], "from_fields", _CLASSES[name])
    return {"component": _component, "custom": _custom, "RandomState": random_state, "dict": _dict}[name]


def _component(family, name, parameters):
    component = REGISTRIES[family][name](**parameters)
    component.validate()
    return component


def _custom(family, function):
    return REGISTRIES[family].resolve(function)


def random_state(state: dict[str, Any]) -> np.random.RandomState:
    """The random numbers that continue from what ``get_state(legacy=False)`` has returned."""
    name = state["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"random_state must draw from one of {[*_BIT_GENERATORS]}, got {name!r}.")
    for values, position, size in ((state["state"], "pos", 624), (state, "buffer_pos", 4)):
        # NumPy reads at these places of a buffer without a check
        if position in values and not (isinstance(values[position], Integral) and 0 <= values[position] <= size):
            raise ValueError(f"{position} must be an integer from 0 to {size}, got {values[position]!r}.")
    rng = np.random.RandomState(getattr(np.random, name)())
    rng.set_state(state)
    return rng


def _dict(items):
    return dict(items)
