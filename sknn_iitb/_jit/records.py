"""Records: kernel arguments that travel together, as NamedTuples of arrays and numbers.

In compiled code a record costs nothing: Numba passes its fields one by one. From Python, passing twenty arrays takes
Numba longer than a small network needs for a batch. So Python packs all records of a run into one array, with the
address and shape of each array, and a kernel unpacks it once per call.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from sknn_iitb._jit.intrinsics import address, array_over, known_array

__all__ = [
    "INDEX_MATRIX",
    "INDICES",
    "INTEGER",
    "MATRIX",
    "READONLY_INDICES",
    "REAL",
    "REALS",
    "SCALAR",
    "VECTOR",
    "numba_type",
    "pack",
    "unpack",
]


@dataclass(frozen=True)
class Field:
    """The type of a field: a number, or a C-ordered array of `ndim` dimensions; the dtype None is the network's."""

    ndim: int
    dtype: str | None = None
    readonly: bool = False

    def numba_type(self, float_type):
        """The type in compiled code; `float_type` is the network's."""
        scalar = float_type if self.dtype is None else numba.from_dtype(np.dtype(self.dtype))
        return types.Array(scalar, self.ndim, "C", readonly=self.readonly) if self.ndim else scalar


SCALAR, VECTOR, MATRIX = Field(0), Field(1), Field(2)
INTEGER, INDICES, INDEX_MATRIX = Field(0, "int64"), Field(1, "int64"), Field(2, "int64")
REAL, REALS = Field(0, "float64"), Field(1, "float64")
READONLY_INDICES = Field(1, "int64", readonly=True)


def _fields(record):
    """Names and types of a record class's fields; its annotations are Fields."""
    return record.__annotations__.items()


def numba_type(record, float_type):
    """The type of a record in compiled code."""
    kinds = tuple(field.numba_type(float_type) for _, field in _fields(record))
    if len(set(kinds)) == 1:  # a separate class in Numba, without conversion between the two
        return types.NamedUniTuple(kinds[0], len(kinds), record)
    return types.NamedTuple(kinds, record)


def pack(records, dtype):
    """Pack records into an array that a kernel unpacks; the caller keeps their arrays alive.

    Parameters
    ----------
    records : sequence of NamedTuple
    dtype : dtype
        The network's dtype.

    Returns
    -------
    packed : ndarray of int64, shape (n_fields, 3)
        For an array its address, rows and columns; for a number its value or bits.

    Raises
    ------
    TypeError
        If an array is not of the type that the kernel expects.
    """
    rows = []
    for record in records:
        for (name, field), value in zip(_fields(type(record)), record, strict=True):
            if field.ndim == 0:
                bits = np.float64(value).view(np.int64) if field.dtype == "float64" else value
                rows.append((bits, 1, 1))
                continue
            wanted = np.dtype(field.dtype or dtype)
            if value.dtype != wanted or value.ndim != field.ndim or not value.flags.c_contiguous:
                raise TypeError(f"{name} must be {field.ndim}-D, of {wanted} and in C order, got {value.dtype}")
            rows.append((address(value), *value.shape, 1)[:3])
    return np.array(rows, np.int64)


def unpack(*records):
    """A function ``f(packed, like)`` for kernels that returns these records; array `like` has the network's dtype."""
    fields = [field for record in records for _, field in _fields(record)]
    bounds = np.cumsum([0] + [len(record._fields) for record in records])

    if config.DISABLE_JIT:

        def unpacked(packed, like):
            values = [_value(row, field) for row, field in zip(packed[: len(fields)], fields, strict=True)]
            return tuple(
                record(*values[start:stop])
                for record, start, stop in zip(records, bounds[:-1], bounds[1:], strict=True)
            )

        return unpacked

    @intrinsic
    def unpacked(typing_context, packed, like):
        kinds = [numba_type(record, like.dtype) for record in records]
        fields_of = [field.numba_type(like.dtype) for field in fields]

        def codegen(context, builder, signature, arguments):
            data = context.make_array(packed)(context, builder, arguments[0]).data
            word = cgutils.ir.IntType(64)

            def entry(k, column):
                return builder.load(builder.gep(data, [word(3 * k + column)]))

            values = []
            for k, (field, kind) in enumerate(zip(fields, fields_of, strict=True)):
                if field.ndim:
                    shape = [entry(k, 1 + dimension) for dimension in range(field.ndim)]
                    pointer = builder.inttoptr(entry(k, 0), cgutils.voidptr_t)
                    values.append(array_over(context, builder, kind, pointer, shape))
                elif field.dtype == "float64":
                    values.append(builder.bitcast(entry(k, 0), cgutils.ir.DoubleType()))
                else:
                    values.append(entry(k, 0))
            made = [
                context.make_tuple(builder, kind, values[start:stop])
                for kind, start, stop in zip(kinds, bounds[:-1], bounds[1:], strict=True)
            ]
            return context.make_tuple(builder, signature.return_type, made)

        return types.Tuple(kinds)(packed, like), codegen

    return unpacked


def _value(row, field):
    if field.ndim:
        shape = row[1 : 1 + field.ndim]
        return known_array(row[0])[: math.prod(shape)].reshape(shape)
    return row[0].view(np.float64) if field.dtype == "float64" else int(row[0])
