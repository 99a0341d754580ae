"""Compilation: the only file that knows numba's options, its cache and addresses.

Every compiled function belongs to a *family* with one signature per dtype (``SIGNATURES``). It is compiled
alone, the first time it is used, and is afterwards known to the kernels by its address, an integer in an int64
array. ``call[family](address, arguments)`` inside a kernel calls it. So adding a part compiles the part and
nothing else, and which parts a network uses never changes the compiled loop.

Three things make the on-disk cache safe:

- a file's name says everything its contents depend on (package sources, numba, processor, options, function,
  family, dtype), so a stale or foreign entry cannot be read and two processes that race write the same bytes;
- a file appears whole (written aside, then ``os.replace``), and one that cannot be read is compiled anew;
- where nothing can be written, the function is compiled in memory.
"""

import hashlib
import inspect
import os
import pickle
import platform
import shutil
import sys
import textwrap
import threading
import uuid
from collections import namedtuple
from functools import cache
from pathlib import Path

import numba
import numpy as np
from llvmlite import __version__ as llvmlite_version
from numba import types
from numba.core import caching, cgutils, compiler, config, errors, serialize
from numba.extending import intrinsic, overload
from numba.misc.appdirs import AppDirs

__all__ = ["SIGNATURES", "call", "compiled", "elementary", "inlined", "power_of_two"]

# "nnan" and "ninf" are left out: with them, checks for NaN and infinity lie. division by zero gives inf.
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "nsz", "contract", "arcp", "afn"},
}


def _array(dtype, ndim, readonly=False):
    return types.Array(dtype, ndim, "C", readonly=readonly)


def _signatures(f):
    """The signature of every family for the float type `f`. The first float array of a family has that type."""
    vector, matrix = _array(f, 1), _array(f, 2)
    const_vector, const_matrix = _array(f, 1, readonly=True), _array(f, 2, readonly=True)
    hyper, hypers = _array(types.float64, 1, readonly=True), _array(types.float64, 2, readonly=True)
    index, table = _array(types.int64, 1, readonly=True), _array(types.int64, 2, readonly=True)
    real, integer, nothing = types.float64, types.int64, types.void
    # X, Y, weight, order, theta; gradient, spare, work, totals, layers, hypers, loss_hyper, program, l2, n_coefs, piece
    batch = const_matrix, const_matrix, const_vector, index, vector
    state = vector, vector, vector, _array(real, 1), table, hypers, hyper, index, real, integer, integer
    return {
        # parts
        "activation": nothing(vector, vector, hyper),
        "layer_forward": nothing(const_matrix, const_vector, matrix, matrix, index, hyper),
        "layer_backward": nothing(const_matrix, const_vector, vector, matrix, matrix, matrix, index),
        "loss": real(const_matrix, const_matrix, const_vector, matrix, hyper),
        "optimizer": nothing(vector, const_vector, matrix, hyper, real, real, integer),
        # the loops of _kernels.py
        "forward": nothing(const_matrix, const_vector, vector, vector, table, hypers),
        "backward": nothing(const_matrix, const_vector, vector, matrix, vector, vector, table),
        "gradient": nothing(*batch, *state),
        "train": nothing(*batch, *state, vector, hyper, integer, integer, hyper, table, hypers),
        "predict": nothing(const_matrix, const_vector, vector, matrix, table, hypers, index, integer),
    }


SIGNATURES = {
    np.dtype("float32"): _signatures(types.float32),
    np.dtype("float64"): _signatures(types.float64),
}

Compiled = namedtuple("Compiled", ["function", "address"])
Compiled.__doc__ = "A compiled function as Python calls it, and the address by which kernels call it."

_lock = threading.RLock()
_memo = {}  # (family, dtype, identity of the function) -> Compiled; a strong reference, for addresses stay valid
_python_functions = {}  # without the JIT: handle -> function


def compiled(family, function, dtype):
    """Compile `function` for one dtype, once.

    Parameters
    ----------
    family : str
        A key of the signature table.
    function : callable
        A plain Python function. One of this package is cached on disk; a user's is compiled in memory.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    compiled : Compiled
        ``compiled.function`` to call from Python, ``compiled.address`` to hand to a kernel.

    Raises
    ------
    ValueError
        If a user's function has other arguments than its family's, or cannot be compiled; the message quotes it.
    """
    dtype = np.dtype(dtype)
    key = family, dtype, _identity(function)
    with _lock:
        if key not in _memo:
            _memo[key] = _compile(family, function, dtype)
        return _memo[key]


def _compile(family, function, dtype):
    signature = SIGNATURES[dtype][family]
    _check_arguments(family, function, len(signature.args))
    if config.DISABLE_JIT:
        handle = len(_python_functions) + 1
        _python_functions[handle] = function
        return Compiled(function, handle)
    dispatcher = numba.njit(**_OPTIONS)(function)
    ours = function.__module__.partition(".")[0] == __package__
    if ours:
        dispatcher._cache = _DiskCache(f"{function.__module__}.{function.__name__}.{family}.{dtype}")
    try:
        dispatcher.compile(signature)
    except errors.NumbaError as error:
        if ours:
            raise
        raise ValueError(
            f"The {family} function {function.__name__!r} cannot be compiled by numba for {dtype}:\n"
            f"{_source(function)}\n{error}"
        ) from None
    dispatcher.disable_compile()
    (result,) = dispatcher.overloads.values()
    return Compiled(dispatcher, result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def _check_arguments(family, function, expected):
    if not inspect.isfunction(function):
        raise ValueError(f"The {family} must be a plain Python function, got {function!r}.")
    found = len(inspect.signature(function).parameters)
    if found != expected:
        raise ValueError(
            f"The {family} function {function.__name__!r} must take {expected} arguments, it takes {found}:\n"
            f"{_source(function)}"
        )


def _source(function):
    try:
        return textwrap.indent(textwrap.dedent(inspect.getsource(function)), "    ")
    except (OSError, TypeError):
        return f"    {function!r} (no source at hand)"


def _identity(function):
    """What tells two functions apart: a function that comes back from a pickle is the one that went in.

    Workers unpickle a user's function anew for every task; compiled per object, each task would pay for a
    compilation and keep it.
    """
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    outside = [function.__globals__.get(name) for name in code.co_names]
    outside += [cell.cell_contents for cell in function.__closure__ or ()]
    plain = all(value is None or isinstance(value, (bool, int, float, str, type(np))) for value in outside)
    return (code, tuple(map(_hashable, outside)), function.__defaults__) if plain else function


def _hashable(value):
    # 1, 1.0 and True are equal and compile to different code
    return (type(value), getattr(value, "__name__", value))


# --- the cache -------------------------------------------------------------------------------------------------


class _DiskCache(caching._Cache):
    """One compiled function in one file, which is named after all that it depends on."""

    def __init__(self, name):
        self._name = f"{name}.nbc"

    @property
    def cache_path(self):
        return str(_directories()[0])

    def load_overload(self, sig, target_context):
        target_context.refresh()
        for directory in _directories():
            try:
                payload = pickle.loads((directory / self._name).read_bytes())
                return compiler.CompileResult._rebuild(target_context, *payload)
            except Exception:  # missing, cut short, or not ours to read: compile
                continue
        return None

    def save_overload(self, sig, data):
        payload = serialize.dumps(data._reduce())
        for directory in _directories():
            try:
                if not directory.exists():
                    directory.mkdir(parents=True, exist_ok=True)
                    _remove_stale(directory)
                aside = directory / f"{uuid.uuid4().hex}.tmp"
                aside.write_bytes(payload)
                os.replace(aside, directory / self._name)
                return
            except OSError:
                continue

    def enable(self):
        pass

    def disable(self):
        pass

    def flush(self):
        pass


@cache
def _directories():
    """Where compiled functions are looked for and, in the first that can be written, stored."""
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [_in_tree(), Path(AppDirs("numba", False).user_cache_dir)]
    name = f"sknn_iitb-{_source_digest()}-{_target_digest()}"
    return [base / name for base in bases]


def _in_tree():
    return Path(__file__).parent / "__pycache__"


def _source_digest():
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _target_digest():
    codegen = numba.core.registry.cpu_target.target_context.codegen()
    options = [config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE]
    target = [sys.implementation.cache_tag, platform.machine(), numba.__version__, llvmlite_version, np.__version__]
    return hashlib.sha256(repr((target, codegen.magic_tuple(), options)).encode()).hexdigest()[:16]


def _remove_stale(directory):
    """Files of other sources beside the package can never be read again; every edit would leave a set of them."""
    if directory.parent == _in_tree():
        for other in directory.parent.glob("sknn_iitb-*"):
            if not other.name.startswith(f"sknn_iitb-{_source_digest()}"):
                shutil.rmtree(other, ignore_errors=True)


# --- calls by address ------------------------------------------------------------------------------------------


def _caller(family):
    """A function ``call(address, arguments)`` for kernels: calls a compiled member of `family`."""
    if config.DISABLE_JIT:
        return lambda address, arguments: _python_functions[address](*arguments)

    @intrinsic
    def call(typing_context, address, arguments):
        dtype = next(t.dtype for t in arguments if isinstance(t, types.Array) and isinstance(t.dtype, types.Float))
        signature = SIGNATURES[np.dtype(dtype.name)][family]
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
            status, result = convention.call_function(
                builder, pointer, signature.return_type, signature.args, passed
            )
            # without this test a callee that raises (NUMBA_BOUNDSCHECK) would just return zero
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(types.int64, arguments), codegen

    return call


call = {family: _caller(family) for family in SIGNATURES[np.dtype("float64")]}


# --- building blocks for _math.py ------------------------------------------------------------------------------


# "reassoc" would undo the split of ln 2 into two parts that the accuracy of exp rests on
_EXACT = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}

inlined = numba.njit(**_EXACT)


def elementary(function, dtype, implementation):
    """Let compiled code replace the scalar NumPy `function` by `implementation` where the argument is of `dtype`."""
    wanted = numba.from_dtype(np.dtype(dtype))
    overload(function, jit_options=_EXACT, strict=False)(lambda x: implementation if x == wanted else None)


@intrinsic
def _power_of_two(typing_context, exponent):
    bits, bias, shift = (32, 127, 23) if exponent == types.float32 else (64, 1023, 52)

    def codegen(context, builder, _, values):
        # by way of int32, for which every processor has a vector conversion
        small = builder.fptosi(values[0], cgutils.ir.IntType(32))
        biased = builder.add(small, small.type(bias))
        wide = biased if bits == 32 else builder.zext(biased, cgutils.ir.IntType(64))
        return builder.bitcast(builder.shl(wide, wide.type(shift)), context.get_value_type(exponent))

    return exponent(exponent), codegen


power_of_two = _power_of_two
