"""Compilation: signatures, compiled functions and their addresses.

Every compiled function belongs to a *family* with one signature per dtype (``SIGNATURES``). It is compiled
alone, the first time it is used, and is afterwards known to the kernels by its address, an integer in an int64
array. ``call[family](address, arguments)`` inside a kernel calls it. So adding a part compiles the part and
nothing else, and which parts a network uses never changes the compiled loop.
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

# "nnan" and "ninf" are left out: with them, checks for NaN and infinity lie. division by zero gives inf.
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "nsz", "contract", "arcp", "afn"},
}

Compiled = namedtuple("Compiled", ["function", "address"])
Compiled.__doc__ = "A compiled function, None where it is not for Python to call, and its address for kernels."

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # a child of a process of which another thread compiles would wait for that thread, which it has not, for ever
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_memo = {}  # (family, dtype, identity of the function, from Python) -> Compiled
_alive = []  # strong references keep the addresses valid
_helpers = {}  # numba.njit functions called by users' functions -> their identity when they were compiled
_python_functions = {}  # without the JIT: handle -> function


def compiled(family, function, dtype, template=None, from_python=False):
    """Compile `function` for one dtype, once.

    Parameters
    ----------
    family : str
        A key of the signature table.
    function : callable
        A plain Python function. One of this package is cached on disk; a user's is compiled in memory.
    dtype : dtype
        float32 or float64.
    template : callable, optional
        For a function of numbers: ``template(function, n_arguments)`` is the loop over arrays that is the member of
        `family`. Float literals of the function are of `dtype` then, as they are in NumPy's arithmetic.
    from_python : bool, default=False
        Whether it is to be called from Python too; what that takes is a tenth of the time to compile.

    Returns
    -------
    compiled : Compiled
        ``compiled.address`` to hand to a kernel; ``compiled.function`` to call from Python, else None.

    Raises
    ------
    ValueError
        If a user's function cannot be compiled; the message quotes it.
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
        clock().start("Compiling a function of yours, once in each process.")
    try:
        if not name:
            _refresh(function)
        dispatcher.compile(SIGNATURES[dtype][family])
    except Exception as error:  # numba passes on what it meets in looking up a name
        if name:
            raise
        raise ValueError(
            f"The custom {family} {function.__name__!r} cannot be compiled for {dtype}; see "
            f"docs/custom_parts for the form it must have:\n{_source(function)}\n{error}"
        ) from None
    finally:
        clock().stop()
        if name:
            dispatcher._cache.release()
    dispatcher.disable_compile()
    (result,) = dispatcher.overloads.values()
    address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    _alive.append(dispatcher)
    return Compiled(dispatcher if from_python else None, address)  # without its wrapper a call would end the process


def n_required(function):
    """Number of arguments without a default; those of the wrapped function where a wrapper takes any number."""
    takes_any = function.__code__.co_flags & inspect.CO_VARARGS
    parameters = inspect.signature(function, follow_wrapped=bool(takes_any)).parameters.values()
    return sum(parameter.default is parameter.empty for parameter in parameters)


def _inlined_scalar(function, dtype):
    if config.DISABLE_JIT:
        return function
    # a call that is not inlined keeps the loop around it from becoming vector code
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(
        _with_literals_of(function, dtype)
    )


def _with_literals_of(function, dtype):
    """The function with float literals of `dtype`: a float64 literal would turn all float32 arithmetic into float64."""

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
        return f"    {function!r} (no source at hand)"


def _refresh(function):
    """Recompile the ``numba.njit`` functions called by a user's function if their constants have changed."""
    for helper in helpers(function):
        now = identity(helper.py_func)
        if _helpers.setdefault(helper, now) != now:
            helper.recompile()  # Numba keeps the old values otherwise
            _helpers[helper] = now


# --- calls by address ------------------------------------------------------------------------------------------


def _float_of(arguments):
    """The network's type: that of the first array of floats, or of the first one in a record."""
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
    """A function ``call(address, arguments)`` for kernels: calls a compiled member of `family`."""
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
            # context.cast is not free to fail silently: the types were checked above
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
            # without this test a callee that raises (NUMBA_BOUNDSCHECK) would just return zero
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(types.int64, arguments), codegen

    return call


call = {family: _caller(family) for family in SIGNATURES[np.dtype("float64")]}
