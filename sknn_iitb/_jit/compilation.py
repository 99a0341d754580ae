"""Compilation: signatures, compiled functions and their addresses.

Every compiled function belongs to a *family* with one signature per dtype (``SIGNATURES``). It is compiled separately
on first use. Kernels know it by its address, an integer in an int64 array, and call it with
``call[family](address, arguments)``. Adding a component therefore compiles only that component, and the compiled
training loop is the same for every network.
"""

import inspect
import os
import textwrap
import threading
from collections import namedtuple
from types import FunctionType

import numba
import numpy as np
from numba import types
from numba.core import cgutils, config, errors
from numba.extending import intrinsic

from sknn_iitb._jit.cache import DiskCache
from sknn_iitb._jit.identity import helpers, identity, name_in_package
from sknn_iitb._jit.patience import clock, uninterrupted
from sknn_iitb._jit.signatures import SIGNATURES

__all__ = ["SIGNATURES", "call", "compiled", "n_required"]

# without "nnan" and "ninf", which let the compiler drop checks for NaN and infinity; division by zero gives inf
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "nsz", "contract", "arcp", "afn"},
}

Compiled = namedtuple("Compiled", ["function", "address"])
Compiled.__doc__ = "A compiled function, None if Python does not call it, and its address for kernels."

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # a forked child would deadlock on a lock held by a compiling thread that does not exist in the child
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_memo = {}  # (family, dtype, identity of the function, from Python) -> Compiled
_alive = []  # strong references keep the addresses valid
_helpers = {}  # numba.njit functions called by custom functions -> their identity when they were compiled
_python_functions = {}  # without the JIT: handle -> function


def compiled(family, function, dtype, template=None, from_python=False):
    """Compile `function` for one dtype, once.

    Parameters
    ----------
    family : str
        A key of the signature table.
    function : callable
        A plain Python function. The package's own are cached on disk; custom functions are compiled in memory.
    dtype : dtype
        float32 or float64.
    template : callable, optional
        For a scalar function: ``template(function, n_arguments)`` returns the loop over arrays that belongs to
        `family`. Float literals in the function take `dtype`, as in NumPy's arithmetic.
    from_python : bool, default=False
        Whether Python calls it too. The wrapper takes a tenth of the compile time.

    Returns
    -------
    compiled : Compiled
        ``compiled.address`` for kernels; ``compiled.function`` to call from Python, or None.

    Raises
    ------
    ValueError
        If a custom function cannot be compiled; the message quotes it.
    """
    dtype = np.dtype(dtype)
    key = family, dtype, identity(function), from_python
    with _lock:
        if key not in _memo:
            _memo[key] = uninterrupted(_compile, family, function, dtype, template, from_python)
        return _memo[key]


def _compile(family, function, dtype, template, from_python):
    if not inspect.isfunction(function):
        raise ValueError(f"A custom {family} must be a plain Python function, got {function!r}.")
    member = function
    if template is not None:
        member = template(_inlined_scalar(function, dtype), n_required(function))
    elif family == "optimizer":
        member = _with_literals_of(function, dtype)
    if config.DISABLE_JIT:
        handle = len(_python_functions) + 1
        _python_functions[handle] = member
        return Compiled(member, handle)
    dispatcher = numba.njit(no_cpython_wrapper=not from_python, no_cfunc_wrapper=True, **_OPTIONS)(member)
    name = name_in_package(function)
    if name:
        dispatcher._cache = DiskCache(f"{name}.{family}{'.python' * from_python}.{dtype}")
    else:
        clock().start("Compiling a custom function, once per process.")
    try:
        if not name:
            _refresh(function)
        dispatcher.compile(SIGNATURES[dtype][family])
    except Exception as error:  # Numba passes on any error from looking up a name
        if name:
            raise
        if template is not None:
            _check_returned(family, function, dtype)
        raise ValueError(
            f"The custom {family} {function.__name__!r} cannot be compiled for {dtype}; see "
            f"docs/custom_components for the required form:\n{_source(function)}\n{error}"
        ) from None
    finally:
        clock().stop()
        if name:
            dispatcher._cache.release()
    dispatcher.disable_compile()
    (result,) = dispatcher.overloads.values()
    address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    _alive.append(dispatcher)
    return Compiled(dispatcher if from_python else None, address)  # a call without its wrapper would crash


def n_required(function):
    """Number of arguments without a default; for a wrapper with ``*args``, that of the wrapped function."""
    takes_any = function.__code__.co_flags & inspect.CO_VARARGS
    parameters = inspect.signature(function, follow_wrapped=bool(takes_any)).parameters.values()
    return sum(parameter.default is parameter.empty for parameter in parameters)


def _check_returned(family, function, dtype):
    """Raise ValueError if a scalar function does not return a pair."""
    try:
        with np.errstate(all="ignore"):
            returned = function(*[dtype.type(0.5)] * n_required(function))
    except Exception:  # the compiler's error says more
        return
    if not (isinstance(returned, tuple) and len(returned) == 2):
        what = {"activation": "the value and the derivative at z", "loss": "the loss and its derivative"}[family]
        raise ValueError(
            f"The custom {family} {function.__name__!r} must return two numbers, {what}, as in "
            f"`return value, derivative`; it returned {returned!r}:\n{_source(function)}"
        ) from None


def _inlined_scalar(function, dtype):
    if config.DISABLE_JIT:
        return function
    # a call that is not inlined keeps the compiler from vectorizing the loop around it
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(
        _with_literals_of(function, dtype)
    )


def _with_literals_of(function, dtype):
    """A copy with float literals of `dtype`: a float64 literal would turn all float32 arithmetic into float64."""

    def convert(constant):
        if isinstance(constant, tuple):
            return tuple(map(convert, constant))
        return dtype.type(constant) if type(constant) is float else constant

    code = function.__code__.replace(co_consts=tuple(map(convert, function.__code__.co_consts)))
    copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__module__ = function.__module__
    return copy


def _source(function):
    try:
        return textwrap.indent(textwrap.dedent(inspect.getsource(function.__code__)), "    ")
    except (OSError, TypeError):
        return f"    {function!r} (source not available)"


def _refresh(function):
    """Recompile the ``numba.njit`` functions called by a custom function if their constants have changed."""
    for helper in helpers(function):
        now = identity(helper.py_func)
        if _helpers.setdefault(helper, now) != now:
            helper.recompile()  # otherwise Numba keeps the old values
            _helpers[helper] = now


# --- calls by address ------------------------------------------------------------------------------------------


def _float_of(arguments):
    """The network's dtype: that of the first float array, which may be in a record."""
    for each in arguments:
        if isinstance(each, types.BaseTuple):
            arrays = [kind for kind in each if isinstance(kind, types.Array)]
        else:
            arrays = [each] if isinstance(each, types.Array) else []
        for kind in arrays:
            if isinstance(kind.dtype, types.Float):
                return kind.dtype.name
    return "float64"


def _caller(family):
    """Return ``call(address, arguments)``, with which kernels call compiled functions of `family`."""
    if config.DISABLE_JIT:
        return lambda address, arguments: _python_functions[address](*arguments)

    @intrinsic
    def call(typing_context, address, arguments):
        signature = SIGNATURES[np.dtype(_float_of(arguments))][family]
        if len(arguments) != len(signature.args) or not all(
            typing_context.can_convert(given, wanted) is not None
            for given, wanted in zip(arguments, signature.args, strict=True)
        ):
            raise errors.TypingError(f"{family} takes {signature.args}, got {tuple(arguments)}")

        def codegen(context, builder, _, values):
            address, packed = values
            # context.cast cannot fail silently: the types were checked above
            passed = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(
                    cgutils.unpack_tuple(builder, packed), arguments, signature.args, strict=True
                )
            ]
            convention = context.call_conv
            function_type = convention.get_function_type(signature.return_type, signature.args)
            pointer = builder.inttoptr(address, function_type.as_pointer())
            status, result = convention.call_function(builder, pointer, signature.return_type, signature.args, passed)
            # without this check, a callee that raises (NUMBA_BOUNDSCHECK) would silently return zero
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(types.int64, arguments), codegen

    return call


call = {family: _caller(family) for family in SIGNATURES[np.dtype("float64")]}
