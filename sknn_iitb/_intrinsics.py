"""What compiled code is made of that numba does not have, or has in a slower form."""

import os
import platform
import threading
import time

import numba
import numpy as np
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic, overload
from numba.np import arrayobj

__all__ = [
    "address",
    "allow_denormals",
    "array_at",
    "elementary",
    "first",
    "flush_denormals",
    "inlined",
    "matrix_in",
    "power_of_two",
    "prefetch",
    "restore_denormals",
    "seen",
    "shown",
    "taken",
    "vector_in",
    "waited",
]


# "reassoc" would undo the split of ln 2 into two parts that the accuracy of exp rests on
_EXACT = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}, "forceinline": True}

inlined = numba.njit(**_EXACT)


_FIRST = (lambda a: (), lambda a: (a[0],), lambda a: (a[0], a[1]), lambda a: (a[0], a[1], a[2]))


def first(n):
    """A compiled function that takes the first `n` entries out of an array, as a tuple to be passed on with ``*``."""
    return inlined(_FIRST[n])


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


# bits of an x86 processor's control register: results, and operands, that are denormal numbers count as zero
_FLUSH = 1 << 15 | 1 << 6


def _control(instruction):
    """An intrinsic that stores the control register of vector arithmetic, or loads it."""

    def codegen(context, builder, signature, values):
        slot = cgutils.alloca_once(builder, cgutils.ir.IntType(32))
        for value in values:
            builder.store(value, slot)
        byte = cgutils.ir.IntType(8).as_pointer()
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [byte])
        builder.call(
            cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{instruction}"),
            [builder.bitcast(slot, byte)],
        )
        return context.get_dummy_value() if values else builder.load(slot)

    return codegen


@intrinsic
def _stored_control(typing_context):
    return types.uint32(), _control("stmxcsr")


@intrinsic
def _load_control(typing_context, control):
    return types.void(types.uint32), _control("ldmxcsr")


def _flush_denormals():
    before = _stored_control()
    _load_control(np.uint32(before | _FLUSH))
    return before


def _restore_denormals(before):
    _load_control(before)


def _allow_denormals():
    _load_control(np.uint32(_stored_control() & ~_FLUSH))


def _leave_denormals():
    return np.uint32(0)


def _nothing_to_restore(before):
    pass


def _nothing_to_allow():
    pass


IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
# flush_denormals(): from here on numbers below the normal ones are zero to this thread; returns what
# restore_denormals(before) takes to undo that. A mean that decays towards zero, as in adam that of a neuron which does
# not fire, else becomes denormal, and arithmetic with denormal numbers takes several times as long.
# allow_denormals() is for Python, after a function that was called in between has raised.
_FLUSHES = IS_X86 and not config.DISABLE_JIT
flush_denormals = inlined(_flush_denormals if _FLUSHES else _leave_denormals)
restore_denormals = inlined(_restore_denormals if _FLUSHES else _nothing_to_restore)
allow_denormals = inlined(_allow_denormals if _FLUSHES else _nothing_to_allow)


# --- memory ------------------------------------------------------------------------------------------------------


@intrinsic
def _prefetch(typing_context, array, row, column):
    def codegen(context, builder, signature, values):
        view = context.make_array(array)(context, builder, values[0])
        shape, strides = cgutils.unpack_tuple(builder, view.shape), cgutils.unpack_tuple(builder, view.strides)
        pointer = cgutils.get_item_pointer2(context, builder, view.data, shape, strides, array.layout, values[1:])
        byte, flag = cgutils.ir.IntType(8).as_pointer(), cgutils.ir.IntType(32)
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [byte, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # to read, to be kept in all caches, data
        builder.call(function, [builder.bitcast(pointer, byte), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


def _no_prefetch(array, row, column):
    pass


# prefetch(array, row, column): start to load a cache line that will be needed soon
prefetch = _no_prefetch if config.DISABLE_JIT else _prefetch


_arrays = {}  # without the JIT: address -> array


def address(array):
    """The address of a C-ordered array's data, for :func:`array_at`; the caller keeps the array alive."""
    if config.DISABLE_JIT:
        _arrays[array.ctypes.data] = array.reshape(-1)
    return array.ctypes.data


@intrinsic
def _pointer(typing_context, number):
    def codegen(context, builder, signature, values):
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


def array_at(dtype):
    """A function ``f(address, size)`` for kernels: the vector of that type that lies there."""
    if config.DISABLE_JIT:
        return lambda number, size: _arrays[number][:size]
    kind = np.dtype(dtype).type
    return inlined(lambda number, size: numba.carray(_pointer(number), size, kind))


def _array_in(n_dimensions):
    """An intrinsic ``f(frame, k, like)``: the array whose address, rows and columns are row k of `frame`.

    Made at once, for a kernel made of calls of :func:`array_at` takes seconds to compile.
    """

    @intrinsic
    def array_in(typing_context, frame, k, like):
        result = types.Array(like.dtype, n_dimensions, "C")

        def codegen(context, builder, signature, values):
            table = context.make_array(frame)(context, builder, values[0])
            row = builder.gep(table.data, [builder.mul(values[1], values[1].type(3))])
            number, *shape = (builder.load(builder.gep(row, [values[1].type(i)])) for i in range(1 + n_dimensions))
            itemsize = context.get_abi_sizeof(context.get_data_type(like.dtype))
            array = context.make_array(result)(context, builder)
            strides = [builder.mul(n, n.type(itemsize)) for n in shape[1:]] + [number.type(itemsize)]
            data = builder.inttoptr(number, array.data.type)
            arrayobj.populate_array(array, data, shape, strides, itemsize, meminfo=None)
            return array._getvalue()

        return result(frame, k, like), codegen

    return array_in


def _known_array(n_dimensions):
    def array_in(frame, k, like):
        number, *shape = frame[k, : 1 + n_dimensions]
        return _arrays[number][: np.prod(shape)].reshape(shape)

    return array_in


vector_in, matrix_in = map(_known_array if config.DISABLE_JIT else _array_in, (1, 2))


# --- numbers that threads share ----------------------------------------------------------------------------------


def _int64_at(builder, number):
    return builder.inttoptr(number, cgutils.ir.IntType(64).as_pointer())


@intrinsic
def _seen(typing_context, number):
    def codegen(context, builder, signature, values):
        return builder.load_atomic(_int64_at(builder, values[0]), "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _shown(typing_context, number, value):
    def codegen(context, builder, signature, values):
        builder.store_atomic(values[1], _int64_at(builder, values[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def _taken(typing_context, number, before, after):
    def codegen(context, builder, signature, values):
        found = builder.cmpxchg(_int64_at(builder, values[0]), *values[1:], "acq_rel", "monotonic")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


@intrinsic
def _pause(typing_context):
    def codegen(context, builder, signature, values):
        if IS_X86:
            kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


_give_way = types.ExternalFunction("sched_yield", types.int32())
_LOOKS = 200


def _waited(look):
    _pause()
    if look % _LOOKS == _LOOKS - 1:
        _give_way()


_lock = threading.Lock()


def _seen_in_python(number):
    return int(_arrays[number][0])


def _shown_in_python(number, value):
    _arrays[number][0] = value


def _taken_in_python(number, before, after):
    with _lock:
        found = _arrays[number][0] == before
        if found:
            _arrays[number][0] = after
        return found


# One number of an int64 array, by its address: seen(address); shown(address, value); taken(address, before, after),
# which writes only where it finds `before`, and says whether it has. What a thread has written before it shows a number
# is there for a thread that has seen it. waited(k) follows the k-th look in vain: now and then it leaves the processor
# to other threads.
if config.DISABLE_JIT:
    seen, shown, taken, waited = _seen_in_python, _shown_in_python, _taken_in_python, lambda look: time.sleep(0)
else:
    seen, shown, taken = _seen, _shown, _taken
    waited = inlined(_waited if os.name == "posix" else lambda look: _pause())
