"""Identity of functions: which are the package's own, and when two of a user's compile to the same code."""

import hashlib
import inspect
import sys
from types import CodeType, ModuleType

import numpy as np

__all__ = ["helpers", "identity", "made_here", "name_in_package"]

_made = {}  # functions that the package makes at run time -> their names


def made_here(function, name):
    """Register a function that the package has made for certain types; `name` must say which."""
    _made[function] = f"{function.__globals__['__name__']}.{name}"
    return function


def name_in_package(function):
    """The full name of one of the package's own functions; None for any other.

    ``__module__`` and ``__name__`` do not tell: anyone can set them, and ``functools.wraps`` copies them.
    """
    if function in _made:
        return _made[function]
    module, name = function.__globals__.get("__name__", ""), function.__code__.co_name
    if module.partition(".")[0] != __package__:
        return None
    return f"{module}.{name}" if getattr(sys.modules.get(module), name, None) is function else None


def identity(function):
    """What a function compiles to, as something hashable: equal if recompiling would change nothing.

    A function is not known by itself: workers unpickle a user's function for each task, and each copy would be compiled
    and kept. Nor is it enough to know its code: the compiler takes values from outside the function as constants, and
    those may have changed since.
    """
    if not inspect.isfunction(function) or name_in_package(function):
        return function
    return _Walk().function(function)


def helpers(function):
    """The ``numba.njit`` functions that a user's function may call, directly or not; callees come first."""
    walk = _Walk()
    walk.function(function)
    return walk.helpers


class _Walk:
    """A walk over everything that a function refers to, which meets each function and module once."""

    def __init__(self):
        self.helpers = []
        self._met = {}

    def function(self, function):
        """The identity of a plain Python function."""
        if function in self._met:
            return self._met[function]
        self._met[function] = len(self._met)
        code, read = function.__code__, function.__globals__
        names = tuple(sorted(_names(code)))
        outside = [read.get(name) for name in names]
        outside += [_content(cell) for cell in function.__closure__ or ()]
        outside += function.__defaults__ or ()
        return tuple(self._frozen(value, names) for value in (code, *outside))

    def _frozen(self, value, names):
        """Something hashable, equal for equal constants; of a module's attributes, only `names` count."""
        kind = type(value)
        if isinstance(value, (tuple, list)):
            return kind, tuple(self._frozen(item, names) for item in value)
        if isinstance(value, CodeType):
            return value.replace(co_consts=()), self._frozen(value.co_consts, names)
        if isinstance(value, (np.ndarray, np.generic)):
            return kind, value.dtype, value.shape, hashlib.sha256(value.tobytes()).digest()
        if kind in (float, complex):
            return kind, repr(value)  # NaN equals itself, and 0.0 is not -0.0
        if isinstance(value, ModuleType):
            return self._module(value, names)
        if inspect.isfunction(getattr(value, "py_func", None)):
            frozen = value, self.function(value.py_func)
            if value not in self.helpers:
                self.helpers.append(value)
            return frozen
        try:
            hash(value)
        except TypeError:
            return kind, repr(value)
        return kind, value  # 1 and True are equal, but compile to different code

    def _module(self, module, names):
        if (module, names) in self._met:
            return self._met[module, names]
        self._met[module, names] = len(self._met)
        return module.__name__, tuple(self._frozen(vars(module).get(name), names) for name in names)


def _names(code):
    """Names of globals and attributes in the code of a function and of those nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet; the compiler's message says so
        return None
