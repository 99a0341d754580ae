"""Sparse X: every format gives the results of dense X, and is never converted to dense."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from memory import PEAK_MEMORY
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.model_selection import GroupShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sknn_iitb import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]
FORMATS = ["csr", "csc", "coo"]
KINDS = [getattr(sparse, f"{name}_{kind}") for name in FORMATS for kind in ("matrix", "array")]


@pytest.fixture
def task(task):
    """An estimator class, X with mostly zeros, and y."""
    cls, X, y = task
    X = np.where(abs(X) > 1, X, 0)
    X[7] = 0
    return cls, X, y


def _net(cls, **parameters):
    defaults = {"hidden_layer_sizes": (7, 5), "max_iter": 3, "batch_size": 32, "learning_rate_init": 0.01}
    return cls(**{**defaults, "random_state": 0, **parameters})


def _with_indices(X, dtype):
    """CSR with indices of the given dtype."""
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def _unsorted(X):
    X = sparse.csr_array(X)
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def _with_duplicates(X):
    """Split each entry into two duplicates that are not adjacent."""
    X = sparse.coo_array(X)
    data, row, col = np.concatenate([0.25 * X.data, 0.75 * X.data]), np.tile(X.row, 2), np.tile(X.col, 2)
    order = np.argsort(row, kind="stable")
    indptr = np.searchsorted(row[order], np.arange(X.shape[0] + 1))
    return sparse.csr_array((data[order], col[order], indptr), shape=X.shape)


def _with_zeros(X):
    """Store all entries, including zeros."""
    n, d = X.shape
    return sparse.csr_array((X.ravel(), np.tile(np.arange(d), n), np.arange(0, n * d + 1, d)), shape=X.shape)


def _memory_mapped(X, path):
    joblib.dump(sparse.csr_array(X), path)
    return joblib.load(path, mmap_mode="r")


FORMS = {
    **{kind.__name__: kind for kind in KINDS},
    "int32": lambda X: _with_indices(X, np.int32),
    "int64": lambda X: _with_indices(X, np.int64),
    "unsorted": _unsorted,
    "duplicates": _with_duplicates,
    "zeros": _with_zeros,
}

DIFFERENT = "csr_array", "unsorted", "duplicates", "zeros"

# each: how it differs from the defaults
NETS = {
    "plain": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "lbfgs": {"solver": "lbfgs"},
    "sgd with batch size 1": {"solver": "sgd", "batch_size": 1, "max_iter": 1},
    "identity": {"activation": "identity", "batch_size": "full"},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True},
    "dropout": {"dropout": [0.2, 0.3, 0.3]},
    "penalties and constraints": {"l1": 0.1, "max_norm": 1.0, "clip_norm": 0.1},
    "early stopping": {"early_stopping": True},
}


def _assert_same(ours, theirs, X, dtype):
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-10}
    assert ours.parameters_.dtype == theirs.parameters_.dtype == dtype
    np.testing.assert_allclose(ours.parameters_, theirs.parameters_, **tolerance)
    outputs = [(net.predict_proba if is_classifier(net) else net.predict)(X) for net in (ours, theirs)]
    np.testing.assert_allclose(*outputs, **tolerance)


# --- equivalence to dense X -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "form",  # without the compiler, the kernels read the other forms as these
    [pytest.param(form, marks=pytest.mark.nojit if form in DIFFERENT else ()) for form in FORMS],
)
def test_every_sparse_form_matches_dense(task, form, dtype):
    cls, X, y = task
    X = X.astype(dtype)
    S = FORMS[form](X)
    before = [array.copy() for array in (S.data, *S.coords)] if S.format == "coo" else [S.data.copy(), S.indices.copy()]
    dense, net = _net(cls).fit(X, y), _net(cls).fit(S, y)
    _assert_same(net, dense, S, dtype)
    np.testing.assert_allclose(net.predict(S), net.predict(X), rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-4)
    assert net.score(S, y) == pytest.approx(dense.score(X, y), rel=1e-4)
    after = [S.data, *S.coords] if S.format == "coo" else [S.data, S.indices]
    for was, is_now in zip(before, after, strict=True):  # neither sorted nor summed in place
        np.testing.assert_array_equal(is_now, was)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NETS)
def test_every_kind_of_network_matches_dense(task, kind, dtype):
    cls, X, y = task
    dense, net = _net(cls, dtype=dtype, **NETS[kind]).fit(X, y), _net(cls, dtype=dtype, **NETS[kind])
    _assert_same(net.fit(sparse.csr_array(X), y), dense, sparse.csc_matrix(X), dtype)
    if kind == "early stopping":
        np.testing.assert_allclose(net.validation_scores_, dense.validation_scores_, rtol=1e-4)
        np.testing.assert_allclose(net.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("given", [np.int8, np.uint8, bool, np.int64, np.longdouble])
def test_entries_of_any_type_are_converted(digits, given):
    X, y = digits
    X = np.clip(X, 0, 3).astype(given)
    net, dense = _net(MLPClassifier).fit(sparse.csr_array(X), y), _net(MLPClassifier).fit(X.astype(float), y)
    _assert_same(net, dense, sparse.coo_matrix(X), "float64")


def test_partial_fit_equals_epochs_of_fit_exactly(task):
    cls, X, y = task
    S = sparse.csr_array(X)
    whole, by_epochs = _net(cls, dropout=0.2).fit(S, y), _net(cls, dropout=0.2)
    for k in range(3):
        by_epochs.partial_fit(S, y, **({"classes": [0, 1]} if cls is MLPClassifier and k == 0 else {}))
    np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sample_weights_match_dense_and_zero_weights_equal_removed_rows(task, solver):
    cls, X, y = task
    weight = np.random.RandomState(0).randint(0, 3, len(X)) * 0.7
    S, net = sparse.csr_array(X), _net(cls, solver=solver)
    with_zeros, without = clone(net).fit(S, y, weight), clone(net).fit(S[weight > 0], y[weight > 0], weight[weight > 0])
    np.testing.assert_array_equal(with_zeros.parameters_, without.parameters_)
    _assert_same(with_zeros, net.fit(X, y, weight), S, "float64")


def test_validation_data_may_be_sparse_or_dense(task):
    cls, X, y = task
    net = _net(cls, early_stopping=True)
    fits = [
        clone(net).fit(of(X[::2]), y[::2], X_val=val(X[1::2]), y_val=y[1::2])
        for of, val in [(np.asarray, np.asarray), (sparse.csr_array, np.asarray), (np.asarray, sparse.coo_matrix)]
    ]
    for fitted in fits[1:]:
        np.testing.assert_allclose(fitted.validation_loss_curve_, fits[0].validation_loss_curve_, rtol=1e-9)
        _assert_same(fitted, fits[0], sparse.csr_array(X), "float64")


def test_scorers_and_splitters_accept_sparse_samples(task):
    cls, X, y = task
    scoring = "neg_log_loss" if cls is MLPClassifier else "neg_mean_absolute_error"
    groups = np.arange(len(X)) % 7
    net = _net(cls, early_stopping=True, scoring=scoring, validation_fraction=GroupShuffleSplit(1, random_state=0))
    dense, sparsely = clone(net).fit(X, y, groups=groups), net.fit(sparse.csr_array(X), y, groups=groups)
    np.testing.assert_allclose(sparsely.validation_scores_, dense.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transform_and_loss_and_gradient_match_dense(task, dtype):
    cls, X, y = task
    S, net = sparse.csr_array(X), _net(cls, dtype=dtype, alpha=0.1, l1=0.1).fit(X, y)
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    for ours, theirs in (
        (net.transform(S), net.transform(X)),
        (net.hidden_activations(S, 0), net.hidden_activations(X, 0)),
        *zip(net.loss_and_gradient(S, y), net.loss_and_gradient(X, y), strict=True),
    ):
        np.testing.assert_allclose(ours, theirs, **tolerance)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_many_rows_in_several_chunks_match_dense(cls):
    rng = np.random.RandomState(0)
    X = np.where(rng.uniform(size=(3000, 6)) < 0.2, rng.normal(size=(3000, 6)), 0)
    y = (X.sum(axis=1) > 0).astype(int)
    dense, net = (_net(cls, batch_size="full").fit(kind(X), y) for kind in (np.asarray, sparse.csr_array))
    _assert_same(net, dense, sparse.csr_array(X), "float64")


def test_empty_matrix_matches_zeros(task):
    cls, X, y = task
    S = sparse.csr_array(X.shape)
    net, dense = _net(cls).fit(S, y), _net(cls).fit(0 * X, y)
    _assert_same(net, dense, S, "float64")
    np.testing.assert_array_equal(net.predict(S), np.full(len(X), net.predict(S[:1])[0]))


def test_read_only_memory_mapped_matrix_is_accepted(task, tmp_path):
    cls, X, y = task
    S = _memory_mapped(X, tmp_path / "X")
    assert not S.data.flags.writeable
    np.testing.assert_array_equal(_net(cls).fit(S, y).predict(S), _net(cls).fit(sparse.csr_array(X), y).predict(S))


def test_frame_of_sparse_columns_is_sparse(task):
    cls, X, y = task
    frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_array(X)).rename(columns=str)
    net = _net(cls).fit(frame, y)
    np.testing.assert_array_equal(net.parameters_, _net(cls).fit(sparse.csr_array(X), y).parameters_)
    assert net.feature_names_in_.tolist() == list(frame.columns)


def test_pipeline_of_sparse_steps(iris):
    rows = [{f"{name}={value:.1f}": 1 for name, value in zip("abcd", row, strict=True)} for row in iris[0]]
    pipeline = make_pipeline(DictVectorizer(), MaxAbsScaler(), _net(MLPClassifier, max_iter=40))
    assert cross_val_score(pipeline, rows, iris[1], cv=3).mean() > 0.8


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_zeros_take_no_memory(cls, form):
    X = sparse.random_array((3000, 10_000), density=1e-3, format=form, random_state=0)  # dense: 240 MB
    y = np.arange(3000) % 2
    net = _net(cls, hidden_layer_sizes=2, early_stopping=True, max_iter=2, warm_start=True).fit(X, y)
    tracemalloc.start()
    try:
        net.fit(X, y, sample_weight=y + 1.0)
        net.partial_fit(X, y, X_val=X, y_val=y)
        net.predict(X), net.transform(X), net.score(X, y), net.loss_and_gradient(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6


def test_integer_entries_are_never_converted_all_at_once():
    X = sparse.csr_array(np.random.RandomState(0).randint(0, 2, size=(100_000, 50), dtype=np.int8))  # as float64: 20 MB
    y = np.arange(len(X.indptr) - 1) % 2
    net = _net(MLPClassifier, hidden_layer_sizes=2, max_iter=1, batch_size=1000, warm_start=True)
    net.fit(X[:2000], y[:2000])
    tracemalloc.start()
    try:
        net.fit(X, y)
        net.predict(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15e6


LARGE = """
import numpy as np
from scipy import sparse
from sknn_iitb import {cls}

X = sparse.random_array((20_000, 50_000), density=0.001, format="{form}", random_state=0)
y = np.arange(20_000) % 2
net = {cls}(max_iter=1, random_state=0).fit(X, y)
assert net.coefs_[0].shape == (50_000, 100)
net.predict(X)
print(peak_memory())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no getrusage")
@pytest.mark.parametrize(("cls", "form"), [("MLPClassifier", "csr"), ("MLPRegressor", "csc")])
def test_large_matrix_trains_in_less_than_a_gigabyte(cls, form):
    """X alone would take eight gigabytes if it were dense."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK_MEMORY + LARGE.format(cls=cls, form=form)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e9


@pytest.mark.parametrize("form", ["csr", "csc", "bsr"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda X: X.indices.__setitem__(3, 50),
        lambda X: X.indices.__setitem__(3, 10**7),
        lambda X: X.indices.__setitem__(3, -1),
        lambda X: X.indptr.__setitem__(5, 10**8),
        lambda X: X.indptr.__setitem__(0, 1),
        lambda X: X.indptr.__setitem__(50, 10**6),
        lambda X: setattr(X, "indptr", X.indptr[:31]),
        lambda X: setattr(X, "indptr", X.indptr[:0]),
        lambda X: setattr(X, "indptr", np.append(X.indptr, X.indptr[-1])),
        lambda X: setattr(X, "indices", X.indices[:31]),
        lambda X: setattr(X, "data", X.data[:31]),
    ],
    ids=[
        "column",
        "far column",
        "column -1",
        "row end",
        "start",
        "last end",
        "short",
        "empty",
        "long",
        "indices",
        "data",
    ],
)
def test_matrix_with_indices_out_of_bounds_raises(form, damage):
    X = sparse.random(50, 50, 0.3, form, random_state=0)
    y = np.arange(50) % 2
    net = MLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    before = net.parameters_.copy()
    good = X.copy()
    damage(X)
    stopped = MLPClassifier((5,), max_iter=2, early_stopping=True)
    for call in (net.fit, net.partial_fit, net.loss_and_gradient, stopped.fit):
        with pytest.raises(ValueError, match="X is not a valid sparse matrix: "):
            call(X, y)
    with pytest.raises(ValueError, match=r"X_val, .*not a valid sparse matrix"):
        net.fit(good, y, X_val=X, y_val=y)
    for predict in (net.predict, net.predict_proba, net.transform):
        with pytest.raises(ValueError, match="X is not a valid sparse matrix: "):
            predict(X)
    np.testing.assert_array_equal(net.parameters_, before)


def test_coordinates_out_of_bounds_raise():
    X = sparse.random(50, 20, 0.3, "coo", random_state=0)
    net = MLPClassifier((5,), max_iter=2).fit(X, np.arange(50) % 2)
    X.col[3] = 20
    with pytest.raises(ValueError, match="X is not a valid sparse matrix: "):
        net.predict(X)


def test_checking_a_matrix_leaves_it_unchanged():
    X = sparse.csr_array((np.arange(9.0), np.arange(9), np.array([0, 3, 6])), shape=(2, 9))  # three entries unused
    data, indices = X.data, X.indices
    MLPClassifier((3,), max_iter=2).fit(X, [0, 1])
    assert X.data is data
    assert X.indices is indices


@pytest.mark.parametrize(
    "damage",
    [
        lambda X: (X.rows.__setitem__(0, [10**8]), X.data.__setitem__(0, [1.0])),
        lambda X: (X.rows.__setitem__(0, [-5000]), X.data.__setitem__(0, [1.0])),
    ],
    ids=["far", "negative"],
)
def test_list_of_lists_with_indices_out_of_bounds_raises(damage):
    X = sparse.random(50, 50, 0.1, "lil", random_state=0)
    net = MLPClassifier((5,), max_iter=2).fit(X, np.arange(50) % 2)
    damage(X)
    with pytest.raises(ValueError, match="sparse matrix"):
        net.predict(X)


def test_float_indices_raise():
    X = sparse.random(50, 50, 0.1, "csr", random_state=0)
    net = MLPClassifier((5,), max_iter=2).fit(X, np.arange(50) % 2)
    X.indices = X.indices.astype(float)
    with pytest.raises(ValueError, match="not a valid sparse matrix"):
        net.predict(X)
