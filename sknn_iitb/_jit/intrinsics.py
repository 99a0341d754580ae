"""Intrinsics for compiled code that Numba lacks, or has only in a slower form."""

import platform

import numba
import numpy as np
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic, overload
from numba.np import arrayobj, linalg

__all__ = [
    "SHIFTER",
    "address",
    "array_at",
    "array_over",
    "elementary",
    "first",
    "flush_denormals",
    "inlined",
    "inlined_unfused",
    "known_array",
    "matmul",
    "matmul_nt",
    "matmul_tn",
    "matrix_at",
    "power_of_two",
    "prefetch",
    "reset_denormals",
    "restore_denormals",
    "row",
    "vector_at",
]


# without "reassoc", which would undo the split of ln 2 in two that makes exp accurate
_EXACT = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}, "forceinline": True}
# wrappers for calls from Python and from C take as long to compile as the function itself
_FOR_KERNELS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inlined = numba.njit(**_EXACT, **_FOR_KERNELS)
# each operation rounds by itself, as in NumPy
inlined_unfused = numba.njit(**_EXACT | {"fastmath": False}, **_FOR_KERNELS)


_FIRST = {
    0: lambda a: (),
    1: lambda a: (a[0],),
    2: lambda a: (a[0], a[1]),
    3: lambda a: (a[0], a[1], a[2]),
    6: lambda a: (a[0], a[1], a[2], a[3], a[4], a[5]),
}


def first(n):
    """A compiled function that returns the first `n` entries of an array as a tuple, to pass on with ``*``."""
    return inlined(_FIRST[n])


def elementary(function, dtype, implementation):
    """Replace the scalar NumPy `function` with `implementation` in compiled code, for arguments of `dtype`."""
    wanted = numba.from_dtype(np.dtype(dtype))
    overload(function, jit_options=_EXACT | _FOR_KERNELS, strict=False)(
        lambda x: implementation if x == wanted else None
    )


@intrinsic
def _power_of_two(typing_context, shifted):
    bits, shift = (32, 23) if shifted == types.float32 else (64, 52)

    def codegen(context, builder, _, values):
        number = builder.bitcast(values[0], cgutils.ir.IntType(bits))
        return builder.bitcast(builder.shl(number, number.type(shift)), context.get_value_type(shifted))

    return shifted(shifted), codegen


# power_of_two(k + SHIFTER[dtype]) is 2**k for an integer k: in a sum this large, k and the exponent's bias are the last
# bits
SHIFTER = {np.float32: 1.5 * 2**23 + 127, np.float64: 1.5 * 2**52 + 1023}
power_of_two = _power_of_two


# bits of the x86 control register that treat denormal results and denormal operands as zero
_FLUSH = 1 << 15 | 1 << 6


def _control(instruction):
    """Code that stores or loads the control register of vector arithmetic."""

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


def _reset_denormals(before):
    _load_control(np.uint32(before))


def _leave_denormals():
    return np.uint32(0)


def _nothing_to_restore(before):
    pass


IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
# flush_denormals() makes this thread treat denormal numbers as zero and returns the mode that restore_denormals(before)
# restores. Otherwise a mean that decays toward zero, such as adam's for a dead neuron, becomes denormal, and arithmetic
# with denormal numbers is several times slower. Python calls reset_denormals(before) if a function raises in between.
_FLUSHES = IS_X86 and not config.DISABLE_JIT
flush_denormals = inlined(_flush_denormals if _FLUSHES else _leave_denormals)
restore_denormals = inlined(_restore_denormals if _FLUSHES else _nothing_to_restore)
reset_denormals = numba.njit(**_EXACT)(_reset_denormals if _FLUSHES else _nothing_to_restore)


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
        # read access, kept in all caches, data
        builder.call(function, [builder.bitcast(pointer, byte), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


def _no_prefetch(array, row, column):
    pass


# prefetch(array, row, column): start loading a cache line that will be needed soon
prefetch = _no_prefetch if config.DISABLE_JIT else _prefetch


_arrays = {}  # without the JIT: address -> array


def address(array):
    """The address of a C-ordered array's data, for :func:`array_at`; the caller keeps the array alive."""
    if config.DISABLE_JIT:
        _arrays[array.ctypes.data] = array.reshape(-1)
    return array.ctypes.data


def array_at(dtype):
    """A function ``f(address, size)`` for kernels that returns the vector of `dtype` at an address."""
    if config.DISABLE_JIT:
        return lambda number, size: _arrays[number][:size]

    @intrinsic
    def array_at(typing_context, number, size):
        result = types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C")

        def codegen(context, builder, signature, values):
            return array_over(context, builder, result, builder.inttoptr(values[0], cgutils.voidptr_t), values[1:])

        return result(types.int64, types.int64), codegen

    return array_at


def array_over(context, builder, kind, data, shape):
    """A C-ordered array of type `kind` over memory that the caller keeps alive."""
    itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    array = context.make_array(kind)(context, builder)
    strides = [builder.mul(n, n.type(itemsize)) for n in shape[1:]] + [shape[0].type(itemsize)]
    data = builder.bitcast(data, array.data.type)
    arrayobj.populate_array(array, data, shape, strides, itemsize, meminfo=None)
    return array._getvalue()


def known_array(number):
    """Without the JIT: the array at an address, as a vector."""
    return _arrays[number]


def _view(array, n_dimensions):
    """Signature and code of a view of `array` that begins at an offset and has a given shape."""
    result = types.Array(array.dtype, n_dimensions, "C", readonly=not array.mutable)

    def codegen(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        return array_over(context, builder, result, builder.gep(data, [values[1]]), values[2:])

    return result(array, *[types.int64] * (1 + n_dimensions)), codegen


@intrinsic
def _vector_at(typing_context, array, start, n):
    return _view(array, 1)


@intrinsic
def _matrix_at(typing_context, array, start, n_rows, n_columns):
    return _view(array, 2)


@intrinsic
def _row(typing_context, matrix, k):
    signature, view = _view(matrix, 1)

    def codegen(context, builder, _, values):
        n = cgutils.unpack_tuple(builder, context.make_array(matrix)(context, builder, values[0]).shape)[1]
        return view(context, builder, signature, [values[0], builder.mul(values[1], n), n])

    return signature.return_type(matrix, types.int64), codegen


# vector_at(array, start, n), matrix_at(array, start, n_rows, n_columns): views of a C-ordered array that begin at flat
# index `start`; row(matrix, k): one row. Slices do the same, but a handful of them takes half a second to compile.
if config.DISABLE_JIT:

    def vector_at(array, start, n):
        return array.reshape(-1)[start : start + n]

    def matrix_at(array, start, n_rows, n_columns):
        return vector_at(array, start, n_rows * n_columns).reshape(n_rows, n_columns)

    def row(matrix, k):
        return matrix[k]

elif config.BOUNDSCHECK:  # Numba checks the indices into a view, not the view itself

    def vector_at(array, start, n):
        if start < 0 or n < 0 or start + n > array.size:
            raise IndexError("vector out of bounds")
        return _vector_at(array, start, n)

    def matrix_at(array, start, n_rows, n_columns):
        if start < 0 or n_rows < 0 or n_columns < 0 or start + n_rows * n_columns > array.size:
            raise IndexError("matrix out of bounds")
        return _matrix_at(array, start, n_rows, n_columns)

    def row(matrix, k):
        if k < 0 or k >= matrix.shape[0]:
            raise IndexError("row out of bounds")
        return _row(matrix, k)

    vector_at, matrix_at, row = map(inlined, (vector_at, matrix_at, row))

else:
    vector_at, matrix_at, row = _vector_at, _matrix_at, _row


# --- matrix products ---------------------------------------------------------------------------------------------


def _matmul(transpose_a, transpose_b):
    """An intrinsic ``f(a, b, out)``: the BLAS product of C-ordered matrices, either of them transposed."""

    def operand(context, builder, kind, value, transposed):
        array = context.make_array(kind)(context, builder, value)
        shape = cgutils.unpack_tuple(builder, array.shape)
        return kind.copy(layout="F" if transposed else "C"), shape[::-1] if transposed else shape, array.data

    @intrinsic
    def matmul(typing_context, a, b, out):
        def codegen(context, builder, signature, values):
            flags = transpose_a, transpose_b, False
            operands = zip(signature.args, values, flags, strict=True)
            linalg.call_xxgemm(context, builder, *(x for each in operands for x in operand(context, builder, *each)))
            return context.get_dummy_value()

        return types.void(a, b, out), codegen

    return matmul


def _matmul_in_python(transpose_a, transpose_b):
    def matmul(a, b, out):
        # NumPy reports the processor's flags, which OpenBLAS also raises in vector lanes that it discards
        with np.errstate(all="ignore"):
            np.dot(a.T if transpose_a else a, b.T if transpose_b else b, out)

    return matmul


# matmul(a, b, out), matmul_tn with a transposed, matmul_nt with b transposed: np.dot's BLAS call without the checks,
# which take four times as long to compile. The shapes must match and be non-empty.
matmul, matmul_tn, matmul_nt = (
    (_matmul_in_python if config.DISABLE_JIT else _matmul)(*flags)
    for flags in ((False, False), (True, False), (False, True))
)
