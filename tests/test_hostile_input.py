"""Unusual and hostile input: the result of the plain float64 array, or an error that names the argument.

A case is an input form of one argument, an estimator, a method and an expectation. `check_equal` and `check_refused`
judge all of them.
"""

import copy
import datetime
import decimal
import fractions
import itertools
import pickle
import re
import tempfile
import time
import warnings
import zlib
from collections import namedtuple
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from nets import examples
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.utils.fixes import parse_version

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.tabular import (
    PiecewiseLinearEncoder,
    RobustSmoothScaler,
    SplineEncoder,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

# --- estimators and plain data --------------------------------------------------------------------------------------

NETWORK = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}
ENSEMBLE = {**NETWORK, "n_estimators": 1, "views": ["bins"]}
ESTIMATORS = {
    "MLPClassifier": MLPClassifier(**NETWORK),
    "MLPRegressor": MLPRegressor(**NETWORK),
    "TabularMLPClassifier": TabularMLPClassifier(**ENSEMBLE),
    "TabularMLPRegressor": TabularMLPRegressor(**ENSEMBLE),
    "TableEncoder": TableEncoder(view="spline"),
    "RobustSmoothScaler": RobustSmoothScaler(),
    "PiecewiseLinearEncoder": PiecewiseLinearEncoder(),
    "SplineEncoder": SplineEncoder(),
}
NETWORKS, ENSEMBLES, TRANSFORMERS = [*ESTIMATORS][:2], [*ESTIMATORS][2:4], [*ESTIMATORS][4:]
TABLES, NUMERIC = [*ENSEMBLES, "TableEncoder"], TRANSFORMERS[1:]
PREDICTORS = [*NETWORKS, *ENSEMBLES]

N_ROWS = 24
# whole numbers, which every type represents
X = np.random.RandomState(0).randint(0, 9, size=(N_ROWS, 3)).astype(np.float64)
LABELS = (X[:, 0] > 3).astype(np.float64)
TARGETS = X[:, 1] + X[:, 2]
WEIGHTS = np.arange(N_ROWS) % 4.0


def target(name):
    return LABELS if "Classifier" in name else TARGETS


def call(estimator, method, X, y, **arguments):
    """Call a method and return the estimator, or what it returns for X."""
    if method == "predict":
        return outputs(estimator, X)
    return getattr(estimator, method)(X, y, **arguments)


def outputs(estimator, X):
    if hasattr(estimator, "transform") and not hasattr(estimator, "predict"):
        return estimator.transform(X)
    return estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)


@cache
def fitted(name):
    return quietly(lambda: clone(ESTIMATORS[name]).fit(X, target(name)))[0]


# --- the oracle -----------------------------------------------------------------------------------------------------


def quietly(function):
    """Call a function; return its result and the processor time. Only RuntimeWarnings are errors."""
    with warnings.catch_warnings():
        for category in (UserWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", "Determining the .* of a LazyFrame")
        warnings.filterwarnings(
            "ignore", "early_stopping=True holds out only|overflow encountered in cast", RuntimeWarning
        )
        begin = time.process_time()
        result = function()
        return result, time.process_time() - begin


def timely(make):
    """Call what `make` returns; if that takes a second, once more, because the first call may compile."""
    result, seconds = quietly(make())
    if seconds > 1:
        result, seconds = quietly(make())
    assert seconds < 1
    return result


def check_equal(name, method, given, plain, tolerance=0):
    """Assert that a method gives the same results for the arguments `given` and `plain`."""
    fresh = (lambda: clone(ESTIMATORS[name])) if method == "fit" else (lambda: copy.deepcopy(fitted(name)))

    def results(arguments):
        def make():
            estimator = fresh()
            return lambda: call(estimator, method, **arguments)

        result = timely(make)
        return result if method == "predict" else quietly(lambda: outputs(result, X))[0]

    actual, wanted = results(given), results(plain)
    assert actual.shape == wanted.shape
    if tolerance:
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(actual, wanted)


def check_refused(name, method, arguments, match, error=(TypeError, ValueError), **parameters):
    """Assert that a method raises an error that matches, and leaves the fitted estimator unchanged to the bit."""
    estimator = copy.deepcopy(fitted(name)).set_params(**parameters)
    state = None if parameters else pickle.dumps(estimator)
    before = dict(vars(estimator))

    def refused():
        with pytest.raises(error) as caught:
            call(estimator, method, **arguments)
        return caught.value

    message = str(timely(lambda: refused))
    assert re.search(match, message), message
    assert not re.search("numba|nopython|TypingError", message), message
    assert vars(estimator).keys() == before.keys()
    if parameters:  # they may not be picklable
        assert all(vars(estimator)[key] is before[key] for key in before if key != "_optimizer")
    else:
        assert pickle.dumps(estimator) == state


# --- forms ----------------------------------------------------------------------------------------------------------

# A form of an argument: `make` turns its plain values into the form, and `plain` into the values that this stands for.
# Estimators in `equal` must give the same results for both, and the others refuse it with an error that matches.
# Estimators that are not in `only` are left out, because there the form stands for other values, such as categories.
Form = namedtuple(
    "Form", "make plain equal only tolerance match", defaults=(lambda values: values, ESTIMATORS, ESTIMATORS, 0, "")
)


def refused(make, only=ESTIMATORS, match=""):
    return Form(make, equal=(), only=only, match=match)


def misaligned(values):
    memory = np.ndarray(values.shape, values.dtype, np.zeros(values.nbytes + 1, np.uint8), offset=1)
    memory[...] = values
    return memory


def strided(values):
    memory = np.zeros([3 * n for n in values.shape], values.dtype)
    places = tuple(slice(1, None, 3) for _ in values.shape)
    memory[places] = values
    return memory[places]


def reversed_twice(values):
    backwards = (slice(None, None, -1),) * values.ndim
    return np.ascontiguousarray(values[backwards])[backwards]


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def memory_mapped(values):
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, values)
        return np.load(file.name, mmap_mode="r")


class Subclass(np.ndarray):
    pass


class Interface:
    """An array of another library."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    @property
    def shape(self):
        return self.values.shape


class Failing:
    """An array of another library whose conversion fails."""

    shape = (N_ROWS, 3)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("not on this device")


def changed(value, dtype=None):
    """Values of which one is `value`."""

    def make(values):
        values = values.astype(np.result_type(values, np.array(value)) if dtype is None else dtype)
        values[(4, 1) if values.ndim == 2 else 4] = value
        return values

    return make


def objects(function):
    """Values converted by a function, in an array of objects."""
    return lambda values: np.vectorize(function, otypes="O")(values)


def binary(values):
    return (values > 4).astype(float)


LAYOUTS = {
    "Fortran": Form(np.asfortranarray),
    "strided": Form(strided),
    "negative strides": Form(reversed_twice),
    "misaligned": Form(misaligned),
    "misaligned i4": Form(lambda values: misaligned(values.astype("i4"))),
    "field of records": Form(lambda values: values.astype([("a", "u1"), ("b", "f8")])["b"]),
    "real part": Form(lambda values: values.astype(complex).real),
    "read-only": Form(read_only),
    "read-only memmap": Form(memory_mapped),
    "subclass": Form(lambda values: values.view(Subclass)),
    "masked array": Form(np.ma.asarray),
    "list": Form(lambda values: values.tolist()),
    "list of arrays": Form(list),
    "memoryview": Form(memoryview),
    "__array__": Form(Interface),
}
NATIVE = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "longdouble"]
SWAPPED = [">i2", ">i4", ">i8", ">u2", ">u4", ">u8", ">f2", ">f4", ">f8", ">g"]
TYPES = {kind: Form(lambda values, kind=kind: values.astype(kind)) for kind in [*NATIVE, *SWAPPED]}
CONTAINERS = {  # neither arrays nor numbers
    "number": lambda values: 3.0,
    "str": lambda values: "text",
    "bytes": lambda values: b"text",
    "dict": lambda values: {"a": values},
    "set": lambda values: {1.0, 2.0},
    "generator": lambda values: (row for row in values),
    "map": lambda values: map(np.array, values),
    "class": lambda values: np.ndarray,
    "function": lambda values: len,
    "estimator": lambda values: MLPClassifier(),
    "slice": lambda values: slice(0, 3),
    "Ellipsis": lambda values: ...,
    "empty list": lambda values: [],
    "list of dicts": lambda values: [{"a": 1.0}] * len(values),
    "list of objects": lambda values: [object()] * len(values),
    "failing __array__": lambda values: Failing(),
    "structured": lambda values: values.astype([("a", "f8"), ("b", "f8")]),
    "void": lambda values: values.astype("V8"),
    "complex64": lambda values: values.astype("F"),
    "complex128": lambda values: values.astype("D"),
    "clongdouble": lambda values: values.astype("G"),
    ">c16": lambda values: values.astype(">c16"),
    "complex objects": objects(complex),
    "0 dimensions": lambda values: np.array(1.0),
    "32 dimensions": lambda values: values.reshape(values.shape + (1,) * (32 - values.ndim)),  # all that NumPy 1 has
    "no values": lambda values: values[:0],
    "list in objects": objects(lambda value: [value]),
}


# --- X --------------------------------------------------------------------------------------------------------------


def pandas(make):
    return lambda X: make(pd.DataFrame(X, columns=["a", "b", "c"]))


def polars(make):
    return lambda X: make(library := pytest.importorskip("polars"), library.DataFrame(X, ["a", "b", "c"]))


def arrow(make):
    def table(X):
        library = pytest.importorskip("pyarrow")
        return make(library, library.table(dict(zip("abc", X.T, strict=True))))

    return table


def ragged(X):
    rows = X.tolist()
    rows[3] = rows[3][:2]
    return rows


VECTORS = (*NETWORKS, *NUMERIC)
DENSE = {
    **TYPES,
    **LAYOUTS,
    **{form: refused(make) for form, make in CONTAINERS.items()},
    "f4": Form(lambda X: X.astype("f4"), tolerance=1e-5),
    "misaligned f4": Form(lambda X: misaligned(X.astype("f4")), tolerance=1e-5),
    "bool": Form(lambda X: X > 4, binary),
    "objects": Form(objects(float)),
    "integers as objects": Form(objects(int)),
    "integers beyond int64": Form(
        objects(lambda x: int(x) * 10**30),
        lambda X: np.array([[float(int(x) * 10**30) for x in row] for row in X]),
        only=[*TABLES, *NUMERIC],
    ),
    "decimals": Form(objects(lambda x: decimal.Decimal(int(x)))),
    "fractions": Form(objects(lambda x: fractions.Fraction(int(x)))),
    "booleans as objects": Form(objects(lambda x: bool(x > 4)), binary, only=VECTORS),
    "numbers as str": Form(lambda X: X.astype(str)),
    "numbers as bytes": Form(lambda X: X.astype("S")),
    "numbers as str objects": Form(objects(str), only=VECTORS),
    "datetime64": refused(lambda X: X.astype("M8[D]"), match="dates or times"),
    "timedelta64": refused(lambda X: X.astype("m8[s]"), match="dates or times"),
    "datetime64 in objects": refused(lambda X: X.astype("M8[D]").astype(object), match="date"),
    "list of datetime64": refused(lambda X: list(map(list, X.astype("M8[D]"))), match="dates or times"),
    "transposed": Form(lambda X: np.ascontiguousarray(X.T).T),
    "broadcast rows": Form(lambda X: np.broadcast_to(X[0], X.shape), lambda X: X[np.zeros(len(X), int)]),
    "broadcast columns": Form(lambda X: np.broadcast_to(X[:, :1], X.shape), lambda X: X[:, [0, 0, 0]]),
    "overlapping windows": Form(
        lambda X: np.lib.stride_tricks.sliding_window_view(np.tile(X[:, 0], 2), 3)[: len(X)],
        lambda X: np.column_stack([np.roll(X[:, 0], -k) for k in range(3)]),
    ),
    "tuple of tuples": Form(lambda X: tuple(map(tuple, X.tolist()))),
    "list of memoryviews": Form(lambda X: [memoryview(row) for row in X]),
    "matrix": refused(np.asmatrix),
    "object with a row of arrays": refused(lambda X: np.array([*map(list, X), None], dtype=object)[:-1]),
    "ragged": refused(ragged),
    "None": refused(lambda X: None),
    "list of None": refused(lambda X: [None] * len(X)),
    "no columns": refused(lambda X: X[:, :0]),
    "no rows and columns": refused(lambda X: X[:0, :0]),
    "1 dimension": refused(lambda X: X[:, 0]),
    "3 dimensions": refused(lambda X: X[:, :, None]),
    "one column fewer": refused(lambda X: X[:, :2], only=[]),
    **{
        form: Form(changed(value, dtype), changed(np.nan), equal=[*TABLES, *NUMERIC])
        for form, value, dtype in [
            ("NaN", np.nan, "f8"),
            ("NaN in f2", np.nan, "f2"),
            ("NaN in objects", np.nan, object),
            ("None in objects", None, object),
        ]
    },
    **{
        form: Form(changed(value, object), changed(np.nan), equal=TABLES)
        for form, value in [("NA in objects", pd.NA), ("NaT in objects", pd.NaT)]
    },
    "inf": refused(changed(np.inf)),
    "-inf": refused(changed(-np.inf)),
    "inf in f4": refused(changed(np.inf, "f4")),
    "inf in f2": refused(changed(np.inf, "f2")),
    "inf in objects": refused(changed(np.inf, object)),
    "text in objects": refused(changed("text", object), only=VECTORS),
    "huge integer": refused(changed(10**400, object), only=VECTORS),
    "longdouble beyond float64": refused(changed(np.longdouble("1e400"), np.longdouble)),
    "float64 beyond float32": Form(changed(1e300), changed(1e300), only=NUMERIC),
}
# earlier releases of scikit-learn accept equal names
NAMES_MUST_DIFFER = parse_version(sklearn.__version__) >= parse_version("1.9")
FRAMES = {
    "DataFrame": Form(pandas(lambda X: X)),
    "DataFrame of columns": Form(pandas(lambda X: pd.concat([X[[name]].copy() for name in X], axis=1))),
    "DataFrame of Int64": Form(pandas(lambda X: X.astype("Int64"))),
    "DataFrame of UInt8": Form(pandas(lambda X: X.astype("UInt8"))),
    "DataFrame of several types": Form(pandas(lambda X: X.astype({"a": "u1", "b": "f4", "c": "Int16"}))),
    "DataFrame with numbered columns": Form(lambda X: pd.DataFrame(X)),
    "DataFrame with columns of tuples": Form(lambda X: pd.DataFrame(X, columns=[("a", 1), ("a", 2), ("b", 1)])),
    "DataFrame with an index of equal labels": Form(lambda X: pd.DataFrame(X, index=[7] * len(X))),
    "DataFrame with an index of NaN": Form(lambda X: pd.DataFrame(X, index=[np.nan] * len(X))),
    "DataFrame of sparse columns": Form(
        pandas(lambda X: X.astype(pd.SparseDtype("f8", 0))), only=NETWORKS, tolerance=1e-10
    ),
    "DataFrame of complex": refused(pandas(lambda X: X.astype(complex))),
    "DataFrame of times": refused(
        pandas(lambda X: X.assign(b=pd.Timestamp("2020-01-01"))), match="'b'.*dates or times"
    ),
    "DataFrame of times only": refused(pandas(lambda X: X.astype("M8[s]")), match="dates or times"),
    "DataFrame of periods": refused(pandas(lambda X: X.assign(b=pd.Period("2020-01"))), match="'b'.*dates or times"),
    "DataFrame of lists": refused(pandas(lambda X: X.assign(b=[[1.0]] * len(X)))),
    "DataFrame with NA": Form(
        pandas(lambda X: X.astype("Int64").mask(X.index.to_numpy()[:, None] == [[4, 4, 4]])),
        lambda X: np.where(np.arange(len(X))[:, None] == 4, np.nan, X),
        equal=[*TABLES, *NUMERIC],
    ),
    "DataFrame without rows": refused(pandas(lambda X: X[:0])),
    "DataFrame without columns": refused(pandas(lambda X: X[[]])),
    "DataFrame with equal names": refused(
        lambda X: pd.DataFrame(X, columns=["a", "b", "a"]),
        ESTIMATORS if NAMES_MUST_DIFFER else TABLES,
        match="(duplicate|unique) column names",
    ),
    "DataFrame with names of two types": refused(lambda X: pd.DataFrame(X, columns=["a", 1, "c"]), match="names"),
    "Series": refused(pandas(lambda X: X["a"])),
    "Index": refused(pandas(lambda X: X.index)),
    "GroupBy": refused(pandas(lambda X: X.groupby("a"))),
    "polars": Form(polars(lambda pl, X: X)),
    "polars of several types": Form(
        polars(lambda pl, X: X.with_columns(pl.col("a").cast(pl.UInt8), pl.col("b").cast(pl.Float32)))
    ),
    "polars of Decimal": Form(polars(lambda pl, X: X.with_columns(pl.col("a").cast(pl.Decimal(10, 2))))),
    "polars of chunks": Form(polars(lambda pl, X: pl.concat([X[:7], X[7:]], rechunk=False))),
    "polars with null": Form(
        polars(
            lambda pl, X: (
                X.with_row_index()
                .with_columns(pl.when(pl.col("index") == 4).then(None).otherwise(pl.col("b")).alias("b"))
                .drop("index")
            )
        ),
        changed(np.nan),
        equal=[*TABLES, *NUMERIC],
    ),
    "polars of dates": refused(
        polars(lambda pl, X: X.with_columns(pl.lit(datetime.date(2020, 1, 1)).alias("b"))), match="'b'.*dates or times"
    ),
    "polars of durations": refused(
        polars(lambda pl, X: X.with_columns(pl.lit(datetime.timedelta(1)).alias("b"))), match="'b'.*dates or times"
    ),
    "polars of lists": refused(
        polars(lambda pl, X: X.with_columns(pl.concat_list("a", "a").alias("b"))), match="list|sequence"
    ),
    "polars without rows": refused(polars(lambda pl, X: X[:0])),
    "polars without columns": refused(polars(lambda pl, X: X.select([]))),
    "LazyFrame": refused(polars(lambda pl, X: X.lazy())),
    "polars Series": refused(polars(lambda pl, X: X["a"])),
    "Arrow": Form(arrow(lambda pa, X: X)),
    "Arrow of chunks": Form(arrow(lambda pa, X: pa.concat_tables([X.slice(0, 7), X.slice(7)]))),
    "Arrow of several types": Form(
        arrow(lambda pa, X: X.cast(pa.schema([("a", pa.uint8()), ("b", pa.float32()), ("c", pa.int64())])))
    ),
    "Arrow of dates": refused(
        arrow(lambda pa, X: X.append_column("d", pa.array([datetime.date(2020, 1, 1)] * len(X)))),
        match="'d'.*dates or times|features",
    ),
    "Arrow without rows": refused(arrow(lambda pa, X: X.slice(0, 0))),
    "Arrow RecordBatch": Form(arrow(lambda pa, X: X.to_batches()[0])),
    "Arrow ChunkedArray": refused(arrow(lambda pa, X: X["a"])),
}


# --- sparse X -------------------------------------------------------------------------------------------------------

READ_SPARSE = (*NETWORKS, *TABLES)


def as_sparse(make, plain=lambda X: X, tolerance=1e-10, only=ESTIMATORS):
    return Form(make, plain, READ_SPARSE, only, tolerance)


def entries(change):
    """A CSR array whose data, indices and indptr are changed by a function."""

    def make(X):
        X = sparse.csr_array(X)
        return assembled(sparse.csr_array, change(X.data, X.indices, X.indptr), X.shape)

    return make


def assembled(container, arrays, shape):
    """A sparse array of these arrays, which SciPy does not check."""
    X = container(shape)
    X.data, X.indices, X.indptr = arrays
    return X


def unsorted(data, indices, indptr):
    order = np.concatenate([np.arange(stop, start, -1) - 1 for start, stop in itertools.pairwise(indptr)])
    return data[order], indices[order], indptr


def twice(data, indices, indptr):
    return np.repeat(data / 2, 2), np.repeat(indices, 2), 2 * indptr


def damaged(container, name, place, value):
    """A sparse matrix of which one index is changed."""

    def make(X):
        X = container(X)
        array = getattr(X, name).copy()
        array[place] = value
        setattr(X, name, array)
        return X

    return make


def list_of_lists(columns, data):
    def make(X):
        X = sparse.lil_array(X)
        X.rows[2], X.data[2] = columns, data
        return X

    return make


SPARSE = {
    **{
        f"{layout} {kind}": as_sparse(getattr(sparse, f"{layout}_{kind}"))
        for layout in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
        for kind in ("array", "matrix")
    },
    **{
        f"csr of {kind}": as_sparse(lambda X, kind=kind: sparse.csr_array(X.astype(kind)))
        for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "longdouble"]
    },
    **{
        f"csr of {kind}": as_sparse(
            entries(lambda data, *indices, kind=kind: (data.astype(kind), *indices)), only=NETWORKS
        )
        for kind in ["f2", ">i4", ">f4", ">f8"]
    },
    "csr of f4": as_sparse(lambda X: sparse.csr_array(X.astype("f4")), tolerance=1e-5),
    "csr of bool": as_sparse(lambda X: sparse.csr_array(X > 4), binary),
    "csr with int64 indices": as_sparse(
        entries(lambda data, indices, indptr: (data, indices.astype("i8"), indptr.astype("i8")))
    ),
    "csr with big-endian indices": as_sparse(
        entries(lambda data, indices, indptr: (data, indices.astype(">i4"), indptr.astype(">i4")))
    ),
    "csr with int8 indices": as_sparse(
        entries(lambda data, indices, indptr: (data, indices.astype("i1"), indptr.astype("i1")))
    ),
    "csr with mixed indices": as_sparse(entries(lambda data, indices, indptr: (data, indices.astype("i8"), indptr))),
    "csr with strided arrays": as_sparse(entries(lambda *arrays: map(strided, arrays))),
    "csr with misaligned arrays": as_sparse(entries(lambda *arrays: map(misaligned, arrays))),
    "csr with read-only arrays": as_sparse(entries(lambda *arrays: map(read_only, arrays))),
    "csr with memory-mapped arrays": as_sparse(entries(lambda *arrays: map(memory_mapped, arrays))),
    "unsorted csr": as_sparse(entries(unsorted)),
    "csr with duplicates": as_sparse(entries(twice)),
    "csr with unsorted duplicates": as_sparse(entries(lambda *arrays: unsorted(*twice(*arrays)))),
    "csr with duplicates that cancel": as_sparse(
        entries(lambda data, indices, indptr: (np.column_stack([data, -data]).ravel(), indices.repeat(2), 2 * indptr)),
        lambda X: 0 * X,
    ),
    "csr with stored zeros": as_sparse(
        entries(lambda data, indices, indptr: (0 * data, indices, indptr)), lambda X: 0 * X
    ),
    "csr with unused entries": as_sparse(
        entries(lambda data, indices, indptr: (np.append(data, 1.0), np.append(indices, 0), indptr))
    ),
    "coo with duplicates": as_sparse(
        lambda X: sparse.coo_array(
            (np.tile(sparse.coo_array(X).data / 2, 2), tuple(np.tile(i, 2) for i in sparse.coo_array(X).coords)),
            X.shape,
        )
    ),
    "csc with duplicates": as_sparse(
        lambda X: assembled(
            sparse.csc_array, twice(*(getattr(sparse.csc_array(X), a) for a in ["data", "indices", "indptr"])), X.shape
        )
    ),
    "bsr of blocks": as_sparse(lambda X: sparse.bsr_array(X, blocksize=(2, 3))),
    "empty csr": as_sparse(lambda X: sparse.csr_array(X.shape), lambda X: 0 * X),
    # invalid
    "csr of complex": refused(lambda X: sparse.csr_array(X.astype(complex))),
    "csr of objects": as_sparse(entries(lambda data, *indices: (data.astype(object), *indices)), only=NETWORKS),
    "csr of str": as_sparse(entries(lambda data, *indices: (data.astype(str), *indices)), only=NETWORKS),
    "csr with NaN": Form(lambda X: sparse.csr_array(changed(np.nan)(X)), changed(np.nan), TABLES),
    "csr with inf": refused(lambda X: sparse.csr_array(changed(np.inf)(X))),
    "csr with unsigned indices": refused(
        entries(lambda data, indices, indptr: (data, indices.astype("u4"), indptr.astype("u4")))
    ),
    "csr with float indices": refused(
        entries(lambda data, indices, indptr: (data, indices.astype(float), indptr.astype(float)))
    ),
    "csr with object indices": refused(
        entries(lambda data, indices, indptr: (data, indices.astype(object), indptr.astype(object)))
    ),
    "csr with indices of two dimensions": refused(
        entries(lambda data, indices, indptr: (data, indices[:, None], indptr))
    ),
    "csr with data of two dimensions": refused(entries(lambda data, indices, indptr: (data[:, None], indices, indptr))),
    **{
        f"{layout} with {name}[{place}] = {value}": refused(
            damaged(getattr(sparse, f"{layout}_array"), name, place, value)
        )
        for layout in ("csr", "csc", "bsr")
        for name, place, value in [
            ("indices", 3, 10**6),
            ("indices", 3, 2**31 - 1),
            ("indices", 0, -1),
            ("indices", -1, -(2**31)),
            ("indptr", 0, 1),
            ("indptr", 1, -5),
            ("indptr", 1, 2**31 - 1),
            ("indptr", -1, 2**31 - 1),
            ("indptr", -1, 0),
        ]
    },
    **{
        f"coo with {name}[3] = {value}": refused(damaged(sparse.coo_array, name, 3, value))
        for name in ("row", "col")
        for value in (-1, N_ROWS, 2**31 - 1)
    },
    "lil with a far column": refused(list_of_lists([10**6], [1.0])),
    "lil with a negative column": refused(list_of_lists([-1], [1.0])),
    "lil with too few values": refused(list_of_lists([0, 1], [1.0])),
    "lil with too many values": refused(list_of_lists([0], [1.0] * 1000)),
    "lil with text": refused(list_of_lists([0], ["text"])),
    "lil with lists": refused(list_of_lists([0], [[1.0]])),
    "csr without rows": refused(lambda X: sparse.csr_array((0, 3))),
    "csr without columns": refused(lambda X: sparse.csr_array((N_ROWS, 0))),
    "coo of 10**15 columns": refused(lambda X: sparse.coo_array((N_ROWS, 10**15)), [*TABLES, *NUMERIC]),
}
if hasattr(np.dtypes, "StringDType"):  # since NumPy 2.0
    DENSE["StringDType"] = Form(lambda X: X.astype(np.dtypes.StringDType()), only=VECTORS)
if parse_version(scipy.__version__) >= parse_version("1.15"):
    SPARSE["csr vector"] = refused(lambda X: sparse.csr_array(X[:, 0]))
    SPARSE["coo of 3 dimensions"] = refused(lambda X: sparse.coo_array(X[:, :, None]))
X_FORMS = {**DENSE, **FRAMES, **SPARSE}


# --- y --------------------------------------------------------------------------------------------------------------

CLASSIFIERS, REGRESSORS = PREDICTORS[::2], PREDICTORS[1::2]


def polars_series(make):
    return lambda values: make(library := pytest.importorskip("polars"), library.Series(values))


def arrow_array(make):
    return lambda values: make(library := pytest.importorskip("pyarrow"), library.array(values))


VECTOR_FORMS = {
    **TYPES,
    **LAYOUTS,
    "f4": Form(lambda values: values.astype("f4")),
    "objects": Form(objects(float)),
    "integers as objects": Form(objects(int)),
    "tuple": Form(lambda values: tuple(values.tolist())),
    "Series": Form(pd.Series),
    "Series of Int64": Form(lambda values: pd.Series(values.astype(int), dtype="Int64")),
    "Series of Float32": Form(lambda values: pd.Series(values, dtype="Float32")),
    "Series with an index of equal labels": Form(lambda values: pd.Series(values, index=[7] * len(values))),
    "Series in reverse order of its index": Form(lambda values: pd.Series(values, index=range(len(values), 0, -1))),
    "polars Series": Form(polars_series(lambda pl, values: values)),
    "polars Series of integers": Form(polars_series(lambda pl, values: values.cast(pl.UInt8))),
    "Arrow array": Form(arrow_array(lambda pa, values: values)),
    "Arrow ChunkedArray": Form(arrow_array(lambda pa, values: pa.chunked_array([values[:7], values[7:]]))),
    **{form: refused(make) for form, make in CONTAINERS.items()},
    "one value fewer": refused(lambda values: values[:-1]),
    "one value more": refused(lambda values: np.append(values, 1.0)),
    "10**7 values": refused(lambda values: np.broadcast_to(1.0, 10**7)),
    "3 dimensions": refused(lambda values: values[:, None, None]),
    "csr array": refused(lambda values: sparse.csr_array(values[:, None])),
    "coo vector": refused(lambda values: sparse.coo_array(values)),
    **{
        form: refused(changed(value, dtype))
        for form, value, dtype in [
            ("NaN", np.nan, "f8"),
            ("inf", np.inf, "f8"),
            ("-inf", -np.inf, "f8"),
            ("NaN in f2", np.nan, "f2"),
            ("inf in f4", np.inf, "f4"),
            ("NaN in objects", np.nan, object),
            ("None in objects", None, object),
            ("NA in objects", pd.NA, object),
            ("NaT in objects", pd.NaT, object),
            ("text in objects", "text", object),
            ("huge integer", 10**400, object),
            ("complex number", 1j, complex),
        ]
    },
    "Series with NA": refused(lambda values: pd.Series(changed(np.nan)(values)).astype("Int64")),
    "polars Series with null": refused(polars_series(lambda pl, values: pl.Series([None, *values[1:]]))),
    "Arrow array with null": refused(lambda values: pytest.importorskip("pyarrow").array([None, *values[1:]])),
}


def labels(make):
    return Form(make, only=CLASSIFIERS)


Y_FORMS = {
    **VECTOR_FORMS,
    "datetime64": refused(lambda y: y.astype("M8[s]"), REGRESSORS, "dates or times"),
    "timedelta64": refused(lambda y: y.astype("m8[s]"), REGRESSORS, "dates or times"),
    "Series of times": refused(lambda y: pd.Series(y.astype("M8[s]")), REGRESSORS, "dates or times"),
    "polars Series of dates": refused(
        polars_series(lambda pl, y: pl.Series([datetime.date(2020, 1, 1)] * len(y))), REGRESSORS, "dates or times"
    ),
    **{
        form: VECTOR_FORMS[form]._replace(only=REGRESSORS)
        for form in ("objects", "integers as objects", "structured", "void")
    },
    **{
        f"csr of labels with {name}[{place}] = {value}": refused(
            damaged(lambda y: sparse.csr_array(np.column_stack([y, 1 - y])), name, place, value), CLASSIFIERS
        )
        for name, place, value in [("indices", 3, 10**6), ("indptr", 1, -5), ("indptr", -1, 0)]
    },
    "coo of labels with a far row": refused(
        damaged(lambda y: sparse.coo_matrix(np.column_stack([y, 1 - y])), "row", 3, 10**6), CLASSIFIERS
    ),
    "None": refused(lambda y: None),
    "column": Form(lambda y: y[:, None]),
    "strided column": Form(lambda y: np.repeat(y, 3)[::3, None]),
    "frame": Form(lambda y: pd.DataFrame({"y": y})),
    "no columns": refused(lambda y: np.empty((len(y), 0))),
}
LABEL_FORMS = {
    "bool": labels(lambda y: y > 0),
    "str": labels(lambda y: y.astype(str)),
    "str objects": labels(objects(str)),
    "structured": labels(lambda y: y.astype([("a", "f8"), ("b", "f8")])),
    "void": labels(lambda y: y.astype("V8")),
    "bytes": refused(lambda y: y.astype("S"), CLASSIFIERS),
    "numbers as objects": refused(objects(float), CLASSIFIERS),
    "booleans as objects": refused(objects(bool), CLASSIFIERS),
    "Categorical": labels(lambda y: pd.Categorical(y.astype(str))),
    "Series of categories": labels(lambda y: pd.Series(y.astype(str), dtype="category")),
    "Series of str": labels(lambda y: pd.Series(y.astype(str))),
    "Series of boolean": labels(lambda y: pd.Series(y > 0, dtype="boolean")),
    "large integers": labels(lambda y: np.where(y > 0, 2**63 - 1, -(2**63))),
    "large unsigned integers": labels(lambda y: np.where(y > 0, np.uint64(2**64 - 1), np.uint64(2**64 - 2))),
    "polars Series of str": labels(lambda y: pytest.importorskip("polars").Series(y.astype(str))),
    "continuous": refused(lambda y: y + np.arange(len(y)) / 7, CLASSIFIERS),
    "mixed types": refused(lambda y: np.array([1, "a"] * (len(y) // 2), dtype=object), CLASSIFIERS),
}

# --- weights ----------------------------------------------------------------------------------------------------------

WEIGHT_FORMS = {
    **{form: each for form, each in VECTOR_FORMS.items() if form not in ("number", "0 dimensions")},
    "one number": Form(lambda weights: 2.0, lambda weights: np.full(len(weights), 2.0)),
    "bool": Form(lambda weights: weights > 0, lambda weights: (weights > 0).astype(float)),
    "negative": refused(changed(-1.0)),
    "negative and tiny": refused(changed(-5e-324)),
    "zeros": refused(lambda weights: 0 * weights),
    "column": refused(lambda weights: weights[:, None]),
    "matrix": refused(lambda weights: weights[:, None] * weights),
    "text": refused(lambda weights: np.full(len(weights), "a")),
}

# --- tests ------------------------------------------------------------------------------------------------------------

ARGUMENTS = {  # the forms of each argument and its plain values
    "X": (X_FORMS, lambda name: X),
    "y": ({**Y_FORMS, **LABEL_FORMS}, target),
    "sample_weight": (WEIGHT_FORMS, lambda name: WEIGHTS),
    "X_val": (X_FORMS, lambda name: X),
    "y_val": (Y_FORMS, target),
    "sample_weight_val": (WEIGHT_FORMS, lambda name: WEIGHTS),
}
METHODS = {
    "X": [("fit", [*ESTIMATORS]), ("partial_fit", PREDICTORS), ("predict", [*ESTIMATORS])],
    "y": [("fit", PREDICTORS), ("partial_fit", PREDICTORS)],
    "sample_weight": [("fit", [*ESTIMATORS]), ("partial_fit", PREDICTORS)],
    "X_val": [("fit", PREDICTORS), ("partial_fit", NETWORKS)],
    "y_val": [("fit", PREDICTORS), ("partial_fit", NETWORKS)],
    "sample_weight_val": [("fit", PREDICTORS), ("partial_fit", NETWORKS)],
}


def sampled(cases, every):
    """Test parameters of cases: a plain run has about one of `every`, and the oldest releases have a quarter of these.

    A checksum selects them: counting would always select the same estimators. The others are slow.
    """
    parameters = []
    for case in cases:
        name = "-".join(case)
        rest, place = divmod(zlib.crc32(name.encode("utf-8", "backslashreplace")), every)
        marks = pytest.mark.slow if place else pytest.mark.newest if rest % 4 else ()
        parameters.append(pytest.param(*case, id=name, marks=marks))
    return parameters


def cases(argument):
    """A case for each form of an argument, method and estimator."""
    forms, _ = ARGUMENTS[argument]
    for form, (method, names) in itertools.product(forms, METHODS[argument]):
        for name in names:
            if name in forms[form].only and not (form in LABEL_FORMS and method == "partial_fit"):
                yield name, method, form


def check(argument, name, method, form):
    forms, values = ARGUMENTS[argument]
    form, values = forms[form], values(name)
    others = {"X": X, "y": target(name)}
    if argument.endswith("_val"):
        others |= {"X_val": X, "y_val": target(name)}
    given, plain = ({**others, argument: make(values)} for make in (form.make, form.plain))
    if name in form.equal:
        check_equal(name, method, given, plain, form.tolerance)
    else:
        match = rf"\b{argument}\b" + "|Column" * (argument == "X")
        check_refused(name, method, given, f"(?s)(?=.*({match}))(?=.*({form.match}))")


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("X"), 5))
def test_x(name, method, form):
    check("X", name, method, form)


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("y"), 2))
def test_y(name, method, form):
    check("y", name, method, form)


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("sample_weight"), 5))
def test_sample_weight(name, method, form):
    check("sample_weight", name, method, form)


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("X_val"), 8))
def test_x_val(name, method, form):
    check("X_val", name, method, form)


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("y_val"), 2))
def test_y_val(name, method, form):
    check("y_val", name, method, form)


@pytest.mark.parametrize(("name", "method", "form"), sampled(cases("sample_weight_val"), 2))
def test_sample_weight_val(name, method, form):
    check("sample_weight_val", name, method, form)


# --- parameters -------------------------------------------------------------------------------------------------------


def recursive_list():
    values = [1]
    values.append(values)
    return values


def recursive_dict():
    values = {}
    values[0] = values
    return values


# values that no parameter accepts
INVALID = {
    "object": object,
    "class": lambda: MLPClassifier,
    "module": lambda: np,
    "slice": lambda: slice(3),
    "Ellipsis": lambda: ...,
    "complex": lambda: 1j,
    "bytes": lambda: b"relu",
    "empty str": str,
    "lone surrogate": lambda: "\ud800",
    "long str": lambda: "x" * 10**6,
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "NaN": lambda: np.nan,
    "-inf": lambda: -np.inf,
    "NA": lambda: pd.NA,
    "NaT": lambda: pd.NaT,
    "datetime64": lambda: np.datetime64("2020"),
    "list that contains itself": recursive_list,
    "dict that contains itself": recursive_dict,
    "matrix of NaN": lambda: np.full((2, 2), np.nan),
    "csr array": lambda: sparse.csr_array((2, 2)),
    "DataFrame": lambda: pd.DataFrame({"a": [1.5], "b": [1.5]}),
    "list of None": lambda: [None],
    "list of complex": lambda: [1j],
    "estimator": lambda: MLPRegressor(),
}


# parameters that only `fit` uses, and validates beyond their type
ONLY_FIT = ("init", "categorical_features", "views")


def parameter_cases():
    for name, estimator in ESTIMATORS.items():
        for parameter, value in itertools.product(estimator.get_params(deep=False), INVALID):
            for method in ["fit", "partial_fit"][: 1 + (name in PREDICTORS and parameter not in ONLY_FIT)]:
                if (parameter, value) == ("scoring", "class"):  # a callable
                    continue
                yield name, method, parameter, value


@pytest.mark.parametrize(("name", "method", "parameter", "value"), sampled(parameter_cases(), 10))
def test_parameter(name, method, parameter, value):
    arguments = {"X": X, "y": target(name)}
    check_refused(name, method, arguments, rf"\b{parameter}\b", **{parameter: INVALID[value]()})


HUGE = {
    **{name: ["n_estimators", "n_trials", "max_iter", "batch_size", "hidden_layer_sizes"] for name in ENSEMBLES},
    **{name: ["hidden_layer_sizes"] for name in NETWORKS},
}


@pytest.mark.parametrize(("name", "parameter"), [(name, parameter) for name in HUGE for parameter in HUGE[name]])
def test_huge_count(name, parameter):
    arguments = {"X": X, "y": target(name)}
    for value in (10**400, *([[3, 10**400], [2**31]] if parameter == "hidden_layer_sizes" else [])):
        check_refused(name, "fit", arguments, rf"\b{parameter}\b", **{parameter: value})


# --- callables --------------------------------------------------------------------------------------------------------


def fails():
    raise RuntimeError("a failure of the user's own")


class Splitter:
    """A splitter that yields what it is given."""

    def __init__(self, *splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        yield from (split() if callable(split) else split for split in self.splits)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.splits)


ROWS = np.arange(N_ROWS)
INVALID_SPLITS = {
    "no split": [],
    "a number": [3],
    "three sides": [(ROWS[:9], ROWS[9:12], ROWS[12:])],
    "beyond the rows": [(ROWS[:9], ROWS[9:] + 1)],
    "negative rows": [(ROWS[:9], ROWS[9:] - 20)],
    "huge rows": [(ROWS[:9], ROWS[9:] + 2**62)],
    "fractions of rows": [(ROWS[:9], ROWS[9:] / 2)],
    "matrix": [(ROWS[:12], ROWS[None, 12:])],
    "text": [(ROWS[:12], np.full(12, "a"))],
    "a mask of another length": [(np.ones(3, bool), np.zeros(3, bool))],
    "overlap": [(ROWS, ROWS)],
    "nothing to train on": [(ROWS[:0], ROWS)],
    "objects": [(ROWS[:12], np.array([object()] * 12))],
}


@pytest.mark.parametrize("splits", INVALID_SPLITS)
@pytest.mark.parametrize("name", PREDICTORS)
def test_splitter(name, splits):
    parameters = {"validation_fraction": Splitter(*INVALID_SPLITS[splits])}
    if name in NETWORKS:
        parameters["early_stopping"] = True
    check_refused(name, "fit", {"X": X, "y": target(name)}, "validation_fraction", **parameters)


RETURNED = {
    "None": lambda *arguments: None,
    "str": lambda *arguments: "text",
    "object": lambda *arguments: object(),
    "dict": lambda *arguments: {},
    "complex": lambda *arguments: 1j,
    "list": lambda *arguments: [1.0, 2.0, 3.0],
    "matrix": lambda *arguments: np.ones((3, 3)),
    "list that contains itself": lambda *arguments: recursive_list(),
}


@pytest.mark.parametrize("returned", RETURNED)
@pytest.mark.parametrize("parameter", ["learning_rate", "scoring"])
@pytest.mark.parametrize("name", NETWORKS)
def test_value_of_a_callable(name, parameter, returned):
    def function(*arguments):
        return RETURNED[returned](*arguments)

    arguments = {"X": X, "y": target(name)}
    check_refused(name, "fit", arguments, parameter, early_stopping=True, **{parameter: function})


FAILING = {
    "learning_rate": lambda step, n_steps: fails(),
    "scoring": lambda estimator, X, y: fails(),
    "validation_fraction": Splitter(fails),
}


@pytest.mark.parametrize("parameter", FAILING)
@pytest.mark.parametrize("name", NETWORKS)
def test_exception_of_a_callable_reaches_the_user(name, parameter):
    parameters = {parameter: FAILING[parameter], "early_stopping": True}
    check_refused(name, "fit", {"X": X, "y": target(name)}, "the user's own", error=RuntimeError, **parameters)


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.newest
@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("name", ["MLPClassifier", pytest.param("TabularMLPClassifier", marks=pytest.mark.slow)])
def test_too_many_classes(name):
    many = np.arange(10**6)
    estimator = copy.deepcopy(fitted(name))
    state = pickle.dumps(estimator)
    begin = time.process_time()
    with pytest.raises(ValueError, match="y has 1000000 classes"):
        estimator.fit(many[:, None], many)
    assert time.process_time() - begin < 6  # np.unique, which is called two to five times, takes half of one
    assert pickle.dumps(estimator) == state


# --- random input -----------------------------------------------------------------------------------------------------

KINDS = [*NATIVE, *SWAPPED, "f4", "f8", "O"]


def check_random_layout(name, kind, steps, order, offset, seed):
    rng = np.random.RandomState(seed)
    n, m = 5, 3
    plain = rng.randint(0, 9, size=(n, m)).astype(float)
    size = (n * abs(steps[0]), m * abs(steps[1]))
    if kind == "O":
        memory = np.zeros(size, object, order)
    else:
        n_bytes = np.dtype(kind).itemsize * size[0] * size[1]
        memory = np.ndarray(size, kind, np.zeros(n_bytes + offset, np.uint8), offset, order=order)
    view = memory[:: steps[0], :: steps[1]]
    view[...] = plain
    estimator = fitted(name)
    actual, wanted = (timely(lambda X=X: lambda: outputs(estimator, X)) for X in (view, plain))
    np.testing.assert_allclose(actual, wanted, rtol=1e-5 if kind == "f4" else 0, atol=1e-5 if kind == "f4" else 0)


def random_layouts(n):
    steps = st.sampled_from([-3, -2, -1, 1, 2, 3])

    def decorated(test):
        return examples(n)(
            given(
                name=st.sampled_from([*ESTIMATORS]),
                kind=st.sampled_from(KINDS),
                steps=st.tuples(steps, steps),
                order=st.sampled_from("CF"),
                offset=st.integers(0, 17),
                seed=st.integers(0, 2**32 - 1),
            )(test)
        )

    return decorated


@random_layouts(60)
def test_random_layout(**parameters):
    check_random_layout(**parameters)


@pytest.mark.slow
@random_layouts(5000)
def test_many_random_layouts(**parameters):
    check_random_layout(**parameters)


def dense_of(layout, data, indices, indptr, shape):
    """The dense array of compressed rows or columns, or None if the arrays are not consistent."""
    n, width = shape if layout == "csr" else shape[::-1]
    ends = [0, *indptr[1:]]
    if len(indptr) != n + 1 or indptr[0] != 0 or any(a > b for a, b in itertools.pairwise(ends)):
        return None
    if len(indices) != len(data) or ends[-1] > len(data):
        return None
    dense = np.zeros((n, width))
    for row, (start, stop) in enumerate(itertools.pairwise(ends)):
        for k in range(start, stop):
            if not 0 <= indices[k] < width:
                return None
            dense[row, indices[k]] += data[k]
    return dense if layout == "csr" else dense.T


def check_random_compressed(name, layout, data, indices, indptr, width, valid):
    if valid:  # mostly consistent arrays
        indptr = [0, *sorted(min(abs(i), len(data)) for i in indptr[1:])]
        indices = [abs(i) % 3 for i in indices[: len(data)]] + [0] * max(0, len(data) - len(indices))
    shape = (4, 3)
    kind = np.dtype(f"i{width}")
    arrays = np.array(data, float), np.array(indices, kind), np.array(indptr, kind)
    X = assembled(getattr(sparse, f"{layout}_array"), arrays, shape)
    dense, estimator = dense_of(layout, data, indices, indptr, shape), fitted(name)
    state = pickle.dumps(estimator)
    if dense is None:
        with pytest.raises(ValueError, match="X is not a valid sparse matrix"):
            outputs(estimator, X)
    else:
        np.testing.assert_allclose(outputs(estimator, X), outputs(estimator, dense), rtol=1e-10, atol=1e-10)
    assert pickle.dumps(estimator) == state


def random_compressed(n):
    index = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 9)

    def decorated(test):
        return examples(n)(
            given(
                name=st.sampled_from(READ_SPARSE),
                layout=st.sampled_from(["csr", "csc"]),
                data=st.lists(st.integers(-3, 3), max_size=8),
                indices=st.lists(index, max_size=8),
                indptr=st.lists(index, min_size=1, max_size=6) | st.lists(index, min_size=5, max_size=5),
                width=st.sampled_from([4, 8]),
                valid=st.booleans(),
            )(test)
        )

    return decorated


@random_compressed(80)
def test_random_compressed_matrix(**parameters):
    check_random_compressed(**parameters)


@pytest.mark.slow
@random_compressed(10_000)
def test_many_random_compressed_matrices(**parameters):
    check_random_compressed(**parameters)


def check_random_parameter(chosen, value, method):
    name, parameter = chosen
    assume(method == "fit" or name in PREDICTORS)
    estimator = copy.deepcopy(fitted(name)).set_params(**{parameter: value})
    own = estimator.get_params(deep=False)
    before = {key: each for key, each in vars(estimator).items() if key not in own and key != "_optimizer"}
    try:
        quietly(lambda: call(estimator, method, X, target(name)))
    except (TypeError, ValueError) as error:  # training may diverge, too
        message = str(error)
    else:
        return
    assert re.search(rf"\b{parameter}\b|diverged|non-finite|rows|samples", message), message
    assert not re.search("numba|nopython|TypingError", message)
    assert all(vars(estimator)[key] is before[key] for key in before)


def random_parameters(n):
    numbers = st.integers(-2, 3) | st.floats() | st.booleans() | st.none() | st.complex_numbers()
    values = st.recursive(
        numbers | st.text(max_size=8) | st.binary(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(st.integers(-1, 2), inner, max_size=2)
            | st.lists(inner, max_size=3).map(lambda items: np.array([*items, None], dtype=object)[:-1])
        ),
        max_leaves=4,
    )
    pairs = [
        (name, parameter)
        for name, estimator in ESTIMATORS.items()
        for parameter in estimator.get_params(deep=False)
        if parameter != "verbose"
    ]

    def decorated(test):
        return examples(n)(
            given(chosen=st.sampled_from(pairs), value=values, method=st.sampled_from(["fit", "partial_fit"]))(test)
        )

    return decorated


@random_parameters(100)
def test_random_parameter(**parameters):
    check_random_parameter(**parameters)


@pytest.mark.slow
@random_parameters(10_000)
def test_many_random_parameters(**parameters):
    check_random_parameter(**parameters)
