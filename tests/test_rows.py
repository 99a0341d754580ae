"""Rows of X: the network gets the same numbers, whatever the type and the format of X."""

from unittest.mock import patch

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import assert_close, build, examples, network_of, new_state, random_data, run
from scipy import sparse

from sknn_iitb._engine import objective as objective_module
from sknn_iitb._engine import rows as rows_module
from sknn_iitb._engine.rows import DenseRows
from sknn_iitb._jit.compilation import compiled
from sknn_iitb.activations import Softmax, Tanh
from sknn_iitb.losses import LogLoss
from sknn_iitb.optimizers import SGD

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
INTEGERS = [np.dtype(name) for name in ("bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)))]
kinds = pytest.mark.parametrize("kind", [*INTEGERS, np.dtype("float32"), np.dtype("float64")], ids=str)

NET = naive.Net((7, 6, 5, 3), [Tanh(), Tanh()], Softmax(), LogLoss(), alpha=0.1)
DROPOUT_RATES = [0.3, 0.2, 0.2]


def results(X, dtype, dropout=None, net=NET):
    """Loss, penalty and gradient at random parameters, then parameters after an epoch, then predictions."""
    theta, _, Y, weight = random_data(net, dtype, 0, X.shape[0], weighted=True)
    objective = build(net, X, Y, weight, dropout=dropout)
    found = [*objective.evaluate(theta), objective.gradient.copy()]
    order = np.random.default_rng(1).permutation(len(Y))
    objective, steps = build(net, X, Y, weight, 8, dropout=dropout), -(-len(Y) // 8)
    run(objective, theta, order, np.full(steps, 0.1), 8, SGD(), state=new_state(objective, SGD(), 2**33 + 5))
    return [*found, theta, network_of(net).predict(X, theta, activate_output=False)]


def assert_same(found, expected):
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def small_numbers(kind, n_rows=30):
    """Small numbers to learn from, fractional if the type is a float."""
    X = np.random.default_rng(2).integers(0, 2 if kind == "bool" else 4, (n_rows, 7))
    return (X + 0.3 if np.dtype(kind).kind == "f" else X).astype(kind)


# --- dense ------------------------------------------------------------------------------------------------------


@pytest.mark.nojit
@kinds
@dtypes
def test_numbers_of_any_type_are_converted_like_numpy(kind, dtype):
    rng = np.random.default_rng(0)
    if kind in INTEGERS:
        # of all magnitudes; most of the large ones have to be rounded
        least, most = (0, 1) if kind == "bool" else (np.iinfo(kind).min, np.iinfo(kind).max)
        X = rng.integers(least, most, (20, 70), dtype=kind, endpoint=True)
        X[0, :2] = least, most
    else:
        X = rng.normal(size=(20, 70)).astype(kind)
    dense_rows, rows = DenseRows(X, dtype), rng.integers(0, 20, 33)
    x = np.full((33, 70), np.nan, dtype)
    compiled("load", rows_module._loader(kind, False), dtype, from_python=True).function(
        dense_rows.source, rows, x, np.dtype(dtype).type(0), 0
    )
    np.testing.assert_array_equal(x, X[rows].astype(dtype))


@pytest.mark.nojit
@kinds
@dtypes
def test_results_match_those_of_converted_data(kind, dtype):
    X = small_numbers(kind)
    with patch.object(rows_module, "_CHUNK", 7):  # predict converts several chunks
        assert_same(results(X, dtype), results(X.astype(dtype), dtype))


@pytest.mark.nojit
@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_non_contiguous_x_gives_the_same_results(kind):
    X = small_numbers(kind)
    expected = results(X, "float64")
    assert_same(results(np.asfortranarray(X), "float64"), expected)
    wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
    assert_same(results(wide[::2, ::3], "float64"), expected)


@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "bool"])
def test_read_only_memmap_is_read_in_place(tmp_path, kind):
    X = small_numbers(kind)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert DenseRows(mapped, np.float64).source[0] == mapped.ctypes.data
    assert_same(results(mapped, "float64"), results(X, "float64"))


# --- sparse -----------------------------------------------------------------------------------------------------


def unsorted(X):
    """Reverse the entries of each row."""
    X = X.copy()
    for start, stop in zip(X.indptr, X.indptr[1:], strict=False):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """Split each entry into two duplicates that are not adjacent."""
    indices = [np.concatenate(2 * [row]) for row in np.split(X.indices, X.indptr[1:-1])]
    data = [np.concatenate([0.25 * row, 0.75 * row]) for row in np.split(X.data, X.indptr[1:-1])]
    return type(X)((np.concatenate(data), np.concatenate(indices), 2 * X.indptr), shape=X.shape)


def with_zeros(X):
    """Store some explicit zeros."""
    X = X.copy()
    X.data[::3] = 0
    return X


def with_wide_indices(X):
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


FORMS = {
    "as-it-is": lambda X: X,
    "unsorted": unsorted,
    "duplicates": with_duplicates,
    "stored-zeros": with_zeros,
    "int64-indices": with_wide_indices,
    "int64-unsorted-duplicates": lambda X: with_wide_indices(unsorted(with_duplicates(X))),
    "empty": lambda X: type(X)(X.shape),
}
forms = pytest.mark.parametrize("form", FORMS)
containers = pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])


def sparse_data(form="as-it-is", container=sparse.csr_array, dtype="float64"):
    """A sparse matrix of 30 rows, some of them empty."""
    X = sparse.random(30, 7, density=0.3, random_state=3, format="csr")
    X[[0, 4, 5, 29]] *= 0
    X.eliminate_zeros()
    return FORMS[form](container(X.astype(dtype)))


@pytest.mark.nojit
@forms
@containers
@pytest.mark.parametrize("dropout", [None, DROPOUT_RATES], ids=["no-dropout", "dropout"])
def test_sparse_results_match_dense_results(form, container, dropout):
    # with dropout too: masks do not depend on the format
    X = sparse_data(form, container)
    for actual, wanted in zip(results(X, "float64", dropout), results(X.toarray(), "float64", dropout), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.nojit
@forms
def test_sparse_forms_have_their_properties(form):
    X, plain = sparse_data(form), sparse_data()
    assert X.indices.dtype == X.indptr.dtype == ("int64" if "int64" in form else "int32")
    assert X.has_sorted_indices == ("unsorted" not in form and "duplicates" not in form)
    assert X.has_canonical_format == X.has_sorted_indices
    assert np.any(X.data == 0) == (form == "stored-zeros")
    assert np.any(np.diff(plain.indptr) == 0)
    if form not in ("stored-zeros", "empty"):
        np.testing.assert_allclose(X.toarray(), plain.toarray(), rtol=1e-15)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "int64", "float32", "float64"])
def test_sparse_entries_of_any_type_are_converted(kind, dtype):
    X = small_numbers(kind)
    X[3:5] = 0
    for actual, wanted in zip(results(sparse.csr_array(X), dtype), results(X, dtype), strict=True):
        assert_close(actual, wanted, dtype)


@examples(50)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    density=st.floats(0, 1),
    chunk_size=st.integers(1, 50),
    normalization=st.sampled_from([None, "batch_norm", "layer_norm"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_random_sparse_results_match_dense_results(shape, density, chunk_size, normalization, seed):
    X = sparse.random(*shape, density=density, random_state=seed, format="csr")
    net = NET._replace(units=(shape[1], 5, 4, 3), normalization=normalization)
    with patch.object(objective_module, "CHUNK", chunk_size):
        pairs = zip(results(X, "float64", net=net), results(X.toarray(), "float64", net=net), strict=True)
    for actual, wanted in pairs:
        # a column that is almost constant is divided by 0.003
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-10)


@pytest.mark.nojit
def test_sparse_row_indices_equal_a_copy_of_the_rows():
    X, rows = sparse_data(), np.array([3, 0, 7, 11, 29, 17])
    theta, _, Y, weight = random_data(NET, "float64", 0, 30, weighted=True)
    indexed, subset = build(NET, X, Y, weight, 6, rows), build(NET, X[rows], Y[rows], weight[rows])
    assert indexed.evaluate(theta) == subset.evaluate(theta)
    np.testing.assert_array_equal(indexed.gradient, subset.gradient)


@pytest.mark.parametrize("form", ["as-it-is", "int64-unsorted-duplicates"])
def test_read_only_sparse_memmaps_are_accepted(tmp_path, form):
    # as joblib passes them to its workers
    X = sparse_data(form)
    arrays = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        arrays.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sparse.csr_array(tuple(arrays), shape=X.shape)
    assert not mapped.data.flags.writeable
    assert_same(results(mapped, "float64", DROPOUT_RATES), results(X, "float64", DROPOUT_RATES))
