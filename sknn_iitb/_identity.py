"""Identity of functions: which are the package's own."""

import sys

__all__ = ["made_here", "name_in_package"]

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
