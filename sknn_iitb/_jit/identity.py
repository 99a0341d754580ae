"""Identity of functions: which belong to the package, and which custom functions compile to the same code."""

import dis
import hashlib
import inspect
import marshal
import sys
from functools import lru_cache
from types import CodeType, ModuleType

import numpy as np

__all__ = ["digest", "helpers", "identity", "made_here", "name_in_package"]

_PACKAGE = __package__.partition(".")[0]
_made = {}  # functions that the package creates at run time -> their names


def made_here(function, name):
    """Register a function that the package creates at run time for given types, which `name` must contain."""
    _made[function] = f"{function.__globals__['__name__']}.{name}"
    return function


def name_in_package(function):
    """The full name of one of the package's own functions; None for any other function.

    ``__module__`` and ``__name__`` prove nothing: anyone can set them, and ``functools.wraps`` copies them.
    """
    if function in _made:
        return _made[function]
    module, name = str(function.__globals__.get("__name__")), function.__code__.co_name
    if module.partition(".")[0] != _PACKAGE:
        return None
    return f"{module}.{name}" if getattr(sys.modules.get(module), name, None) is function else None


def identity(function):
    """A hashable key, equal for functions that compile to the same code.

    The function object is too specific: workers unpickle a custom function for each task and would compile every copy.
    The code alone is too general: the compiler treats values from outside as constants, and these may change.
    """
    if not inspect.isfunction(function) or name_in_package(function):
        return function
    return _Walk().function(function)


def helpers(function):
    """The ``numba.njit`` functions that a custom function may call, directly or indirectly, callees first."""
    walk = _Walk()
    walk.function(function)
    return walk.helpers


def digest(function):
    """A digest of the code of a function, without the values that it refers to; a pickle does not change it."""
    # version 2 of the format does not depend on other references to the constants
    return hashlib.sha256(marshal.dumps(_without_slices(function.__code__), 2)).hexdigest()


def _without_slices(constant):
    """The constant in a form that marshal can write in version 2. Since Python 3.14, code contains slices."""
    if isinstance(constant, CodeType):
        return constant.replace(co_consts=_without_slices(constant.co_consts))
    if isinstance(constant, tuple):
        return tuple(map(_without_slices, constant))
    return repr(constant) if isinstance(constant, slice) else constant


class _Walk:
    """Visits everything that a function refers to, each function and module once."""

    def __init__(self):
        self.helpers = []
        self._visited = {}

    def function(self, function):
        """The identity of a plain Python function."""
        if function in self._visited:
            return self._visited[function]
        self._visited[function] = len(self._visited)
        global_names, attributes = _names(function.__code__)
        outside = [function.__globals__.get(name) for name in global_names]
        outside += [_content(cell) for cell in function.__closure__ or ()]
        outside += function.__defaults__ or ()
        return tuple(self._frozen(value, attributes) for value in (function.__code__, *outside))

    def _frozen(self, value, attributes):
        """A hashable value, equal for equal constants; for a module, only `attributes` count."""
        kind = type(value)
        if isinstance(value, tuple):
            return kind, tuple(self._frozen(item, attributes) for item in value)
        if isinstance(value, CodeType):
            return value.replace(co_consts=()), self._frozen(value.co_consts, attributes)
        if isinstance(value, (np.ndarray, np.generic)):
            return kind, value.dtype, value.shape, hashlib.sha256(value.tobytes()).digest()
        if kind in (float, complex):
            return kind, repr(value)  # NaN equals itself, and 0.0 is not -0.0
        if isinstance(value, ModuleType):
            return self._module(value, attributes)
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

    def _module(self, module, attributes):
        if (module, attributes) in self._visited:
            return self._visited[module, attributes]
        self._visited[module, attributes] = len(self._visited)
        return module.__name__, tuple(self._frozen(vars(module).get(name), attributes) for name in attributes)


@lru_cache
def _names(code):
    """Names of the globals and attributes that a function and the functions nested in it read."""
    instructions = list(dis.get_instructions(code))
    global_names = {each.argval for each in instructions if each.opname == "LOAD_GLOBAL"}
    attributes = {each.argval for each in instructions if each.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            for names, nested in zip((global_names, attributes), _names(constant), strict=True):
                names.update(nested)
    return tuple(sorted(global_names)), tuple(sorted(attributes))


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet, which the compiler reports
        return None
