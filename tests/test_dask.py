"""Training on Dask collections: the same network as on one machine, whatever happens to the workers."""

import os
import pickle
import runpy
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from clusters import RayCluster
from distributed import Client, Future, LocalCluster, wait, worker_client
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import log_loss

from sknn_iitb import MLPClassifier, MLPRegressor, optimizers
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.dask import (
    DaskMLPClassifier,
    DaskMLPRegressor,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
    WorkersLostError,
    _dask_cluster,
)
from sknn_iitb.dask._cluster import SerialCluster
from sknn_iitb.dask._dask_cluster import DaskCluster
from sknn_iitb.dask._shards import Learner
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:.*(socket|event loop|transport):ResourceWarning",
)

SIZES = {"hidden_layer_sizes": (8,), "random_state": 0}


@pytest.fixture(scope="module")
def table():
    """Three classes, and weights."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 5))
    y = np.digitize(X[:, 0] + X[:, 1] ** 2 + 0.3 * rng.normal(size=600), [0.5, 1.5])
    return X, np.array(["low", "middle", "high"])[y], rng.uniform(0.5, 2, 600)


def chunked(*arrays, size=90):
    return [da.from_array(each, chunks=(size, *each.shape[1:])) for each in arrays]


@pytest.fixture
def workers():
    """Two workers in this process."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


# --- the same as on one machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_groups", [1, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "lbfgs"},
        {"solver": "lbfgs", "class_weight": "balanced", "label_smoothing": 0.1},
        {"batch_size": "full", "l1": 0.01, "clip_norm": 1.0, "max_norm": 2.0},
        {"batch_size": "full", "solver": "rprop", "layer_norm": True},
        {"batch_size": "full", "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 1e-2},
    ],
    ids=str,
)
def test_full_gradient_gives_the_weights_of_one_machine(table, parameters, n_groups):
    X, y, weight = table
    parameters = {"max_iter": 40, **SIZES, **parameters}
    expected = MLPClassifier(**parameters).fit(X, y, weight)
    net = DaskMLPClassifier(client=SerialCluster(n_groups), **parameters).fit(*chunked(X, y, weight))
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)
    assert net.loss_ == pytest.approx(expected.loss_, rel=1e-12)
    assert (net.n_iter_, net.t_) == (expected.n_iter_, expected.t_)
    np.testing.assert_array_equal(net.classes_, expected.classes_)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian", "poisson"])
def test_full_gradient_of_a_regressor(table, loss):
    X, y = table[0], np.exp(table[0][:, 1])
    parameters = {"loss": loss, "solver": "lbfgs", "max_iter": 30, **SIZES}
    expected = MLPRegressor(**parameters).fit(X, y)
    net = DaskMLPRegressor(client=SerialCluster(4), **parameters).fit(*chunked(X, y))
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"solver": "sgd", "learning_rate": "cosine", "momentum": 0.5, "shuffle": False},
        {"dropout": [0.1, 0.2], "early_stopping": True, "n_iter_no_change": 3},
        {"batch_norm": True, "class_weight": "balanced", "scoring": "loss", "early_stopping": True},
        {"clip_value": 0.1, "max_norm": 1.0, "l1": 0.1, "dtype": "float32"},
    ],
    ids=str,
)
def test_local_steps_on_one_partition_are_fit_to_the_bit(table, parameters):
    X, y, weight = table
    parameters = {"batch_size": 64, "max_iter": 10, **SIZES, **parameters}
    expected = MLPClassifier(**parameters).fit(X, y, weight)
    net = DaskMLPClassifier(client=SerialCluster(1), local_steps=3, **parameters)
    net.fit(*chunked(X, y, weight, size=len(X)))
    np.testing.assert_array_equal(net.parameters_, expected.parameters_)
    np.testing.assert_allclose(net.loss_curve_, expected.loss_curve_, rtol=1e-6 if "dtype" in parameters else 1e-13)
    assert net.validation_scores_ == expected.validation_scores_


def test_one_local_step_of_sgd_is_a_step_on_the_batches_of_all_workers(table):
    """Averaging weights after one step of gradient descent averages gradients."""
    X, y, _ = table
    parameters = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "alpha": 0.0, "max_iter": 5, **SIZES}
    net = DaskMLPClassifier(client=SerialCluster(2), local_steps=1, batch_size=100, **parameters)
    net.fit(*chunked(X, y, size=300))
    # the rows in the order in which two workers with 300 rows each use them, 50 at a time
    order = np.arange(600).reshape(2, 6, 50).transpose(1, 0, 2).ravel()
    expected = MLPClassifier(batch_size=100, **parameters).fit(X[order], y[order])
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.loss_curve_, expected.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("solver", [optimizers.Adam(), optimizers.AdamW(weight_decay=0.1), optimizers.SGD()])
def test_steps_are_as_long_as_on_whole_batches(table, solver):
    """With the same rows on four workers, the steps are those of one, on batches of a quarter."""
    X, y, _ = table
    parameters = {"shuffle": False, "max_iter": 5, **SIZES}
    net = DaskMLPClassifier(client=SerialCluster(4), local_steps=2, batch_size=400, solver=solver, **parameters)
    net.fit(*chunked(np.tile(X, (4, 1)), np.tile(y, 4), size=600))
    factor = 1 if isinstance(solver, optimizers.SGD) else 2  # gradients of a quarter have twice the noise
    expected = MLPClassifier(batch_size=100, learning_rate_init=0.001 * factor, solver=clone(solver), **parameters)
    if hasattr(solver, "weight_decay"):
        expected.set_params(solver__weight_decay=0.1 / factor)
    expected.fit(X, y)
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-12)


@pytest.mark.newest
@pytest.mark.parametrize("solver", ["adam", "rmsprop", "sgd"])
def test_local_steps_learn_as_fast_as_one_machine(solver):
    """By the loss on other rows. Before the noise counted, that of adam was 29 % larger."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(24_000, 10))
    y = np.digitize(X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + 0.3 * rng.normal(size=len(X)), [0.2, 1.2])
    parameters = {"hidden_layer_sizes": 32, "batch_size": 100, "max_iter": 4, "learning_rate": "cosine"}
    parameters.update(solver=solver, learning_rate_init=0.05 if solver == "sgd" else 0.002, random_state=0)
    expected = MLPClassifier(**parameters).fit(X[:16_000], y[:16_000])
    net = DaskMLPClassifier(client=SerialCluster(4), local_steps=10, **parameters)
    net.fit(*chunked(X[:16_000], y[:16_000], size=4_000))
    losses = [log_loss(y[16_000:], each.predict_proba(X[16_000:])) for each in (net, expected)]
    assert losses[0] < 1.02 * losses[1]


def test_averages_count_each_worker_by_its_rows(table):
    X, y, _ = table
    parameters = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "alpha": 0.0, "max_iter": 3, **SIZES}
    net = DaskMLPClassifier(client=SerialCluster(2), local_steps=1, batch_size=120, **parameters)
    net.fit(da.from_array(X, chunks=((500, 100), 5)), da.from_array(y, chunks=((500, 100),)))
    order = np.concatenate([np.r_[100 * k : 100 * k + 100, 500 + 20 * k : 520 + 20 * k] for k in range(5)])
    expected = MLPClassifier(batch_size=120, **parameters).fit(X[order], y[order])
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-12)


def test_local_steps_learn_and_report_like_fit(table):
    X, y, _ = table
    net = DaskMLPClassifier(client=SerialCluster(3), batch_size=60, learning_rate_init=0.01, max_iter=60, **SIZES)
    net.fit(*chunked(X, y), X_val=X[:100], y_val=y[:100])
    assert net.score(X, y) > 0.85
    assert len(net.validation_scores_) == len(net.loss_curve_) == net.n_iter_
    assert net.t_ == 600 * net.n_iter_
    assert net.loss_ == pytest.approx(net.loss_curve_[-1])


def test_workers_hold_out_samples_for_early_stopping(table):
    X, y, _ = table
    net = DaskMLPClassifier(client=SerialCluster(3), batch_size=60, learning_rate_init=0.02, **SIZES)
    net.set_params(early_stopping=True, n_iter_no_change=10).fit(*chunked(X, y))
    assert net.n_iter_ < 200
    assert net.t_ == pytest.approx(540 * net.n_iter_, rel=0.02)
    assert net.best_validation_score_ == max(net.validation_scores_) > 0.8


def test_warm_start_continues(table):
    X, y, _ = table
    parameters = {"solver": "lbfgs", "max_iter": 5, "warm_start": True, **SIZES}
    net, expected = DaskMLPClassifier(client=SerialCluster(2), **parameters), MLPClassifier(**parameters)
    for _ in range(3):
        net.fit(*chunked(X, y))
        expected.fit(X, y)
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


def test_sparse_and_whole_numbers(table):
    X, y = np.abs(10 * table[0]).astype(np.int32), table[1]
    expected = MLPClassifier(solver="lbfgs", max_iter=20, **SIZES).fit(X, y)
    rows = chunked(X)[0]
    for given in (rows, rows.map_blocks(sparse.csr_matrix, dtype=X.dtype)):
        net = DaskMLPClassifier(solver="lbfgs", max_iter=20, client=SerialCluster(2), **SIZES).fit(given, *chunked(y))
        np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


# --- estimators -----------------------------------------------------------------------------------------------------


def test_is_an_estimator_with_the_parameters_of_the_plain_one(table):
    client = SerialCluster(2)
    net = DaskMLPRegressor("huber", client=client, local_steps=7, alpha=0.5)
    assert set(net.get_params()) == {*MLPRegressor().get_params(), "client", "local_steps"}
    other = clone(net)
    assert other.client is client
    assert other.get_params() == net.get_params()
    assert other.set_params(local_steps="auto", loss="squared_error").local_steps == "auto"
    assert "alpha=0.5" in repr(net)
    assert "momentum" not in repr(net)
    with pytest.raises(ValueError, match="local_steps"):
        net.set_params(local_steps=0).fit(*chunked(*table[:2]))


def test_to_local_and_pickles_are_independent_of_the_cluster(table):
    X, y, _ = table
    net = DaskMLPClassifier(solver="lbfgs", max_iter=5, client=SerialCluster(2), **SIZES).fit(*chunked(X, y))
    local, loaded = net.to_local(), pickle.loads(pickle.dumps(net))
    assert type(local) is MLPClassifier
    assert loaded.client is None
    assert "client" not in local.get_params()
    for other in (local, loaded):
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    local.coefs_[0] = local.coefs_[0] + 1
    np.testing.assert_array_equal(loaded.parameters_, net.parameters_)


def test_predictions_are_lazy(table):
    X, y, _ = table
    dX, dy = chunked(X, y)
    net = DaskMLPClassifier(solver="lbfgs", max_iter=5, client=SerialCluster(2), **SIZES).fit(dX, dy)
    local = net.to_local()
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=4)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(local, name)(X)
        for given in (dX, frame, dX.rechunk((100, 2)), dX[dX[:, 0] > -100]):
            lazy = getattr(net, name)(given)
            assert isinstance(lazy, da.Array)
            assert lazy.dtype == expected.dtype
            found = lazy.compute(scheduler="sync")
            assert (found == expected).all() if name == "predict" else np.allclose(found, expected, rtol=1e-12)
        assert isinstance(getattr(net, name)(X), np.ndarray)
    assert net.predict(dX).chunks == (dX.chunks[0],)
    some = dX[dX[:, 0] > 10]  # empty chunks
    assert net.predict(some).compute(scheduler="sync").shape == (0,)
    assert net.score(dX, dy) == local.score(X, y)


def test_data_frames_keep_the_names_of_features(table):
    X, y, _ = table
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=y)
    data = dd.from_pandas(frame, npartitions=3)
    parameters = {"solver": "lbfgs", "max_iter": 20, **SIZES}
    net = DaskMLPClassifier(client=SerialCluster(3), **parameters).fit(data[list("abcde")], data["y"])
    np.testing.assert_array_equal(net.feature_names_in_, list("abcde"))
    expected = MLPClassifier(**parameters).fit(frame[list("abcde")], y)
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)
    assert net.score(data[list("abcde")], data["y"]) == expected.score(frame[list("abcde")], y)


def test_without_the_cluster_it_is_the_plain_estimator(table):
    X, y, _ = table
    net = DaskMLPClassifier(max_iter=1, **SIZES)
    with pytest.raises(TypeError, match="X must be a Dask array"):
        net.fit(X, y)
    with pytest.raises(TypeError, match="partial_fit does not support Dask"):
        net.partial_fit(*chunked(X, y), classes=np.unique(y))
    expected = MLPClassifier(**SIZES).partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_array_equal(net.partial_fit(X, y, classes=np.unique(y)).parameters_, expected.parameters_)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.fixture
def fits(table):
    """A function that fits, and checks the weights against those of one machine on all rows."""

    def check(X, y, weight=None, rows=slice(None)):
        parameters = {"solver": "lbfgs", "max_iter": 15, **SIZES}
        net = DaskMLPClassifier(client=SerialCluster(3), **parameters).fit(X, y, weight)
        expected = MLPClassifier(**parameters).fit(*(each[rows] for each in table[: 2 + (weight is not None)]))
        np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)

    return check


def test_unknown_chunk_sizes(table, fits):
    X, y, weight = chunked(*table)
    kept = X[:, 0] < 1
    fits(X[kept], y[kept], weight[kept], np.flatnonzero(table[0][:, 0] < 1))


def test_unknown_divisions(table, fits):
    X, y, _ = table
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=4).clear_divisions()
    labels = dd.from_pandas(pd.Series(y), npartitions=4).clear_divisions()
    fits(frame, labels)
    fits(frame, dd.from_pandas(pd.Series(y), npartitions=3).clear_divisions())  # other lengths, which are computed
    fits(frame, chunked(y)[0])


def test_parquet_files(table, tmp_path):
    """Dask reads several small files as one partition of y, but not of X."""
    frame = pd.DataFrame(table[0], columns=list("abcde")).assign(y=pd.Series(table[1], dtype=object))
    for start in range(0, 600, 100):
        frame[start : start + 100].to_parquet(tmp_path / f"{start:03}.parquet")
    data = dd.read_parquet(tmp_path)
    parameters = {"solver": "lbfgs", "max_iter": 15, **SIZES}
    net = DaskMLPClassifier(client=SerialCluster(3), **parameters).fit(data[list("abcde")], data["y"])
    expected = MLPClassifier(**parameters).fit(table[0], table[1])
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


def test_empty_partitions(table, fits):
    X, y, weight = chunked(*table)
    kept = X[:, 0] < np.repeat([9, -9, 9, 9, -9, -9, 9], X.chunks[0])
    fits(X[kept], y[kept], weight[kept], np.flatnonzero(kept.compute()))
    with pytest.raises(ValueError, match="all partitions are empty"):
        fits(X[X[:, 0] > 99], y[X[:, 0] > 99])


def test_partitions_whose_weights_are_zero(table):
    X, y, weight = table
    zero = np.repeat([True, False, True], 200)
    rows = np.flatnonzero(~zero)
    net = DaskMLPClassifier(solver="lbfgs", max_iter=15, client=SerialCluster(3), **SIZES)
    net.fit(*chunked(X, y, np.where(zero, 0, weight), size=200))
    expected = MLPClassifier(solver="lbfgs", max_iter=15, **SIZES).fit(X[rows], y[rows], weight[rows])
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"non-zero number|sample_weight is zero for every sample"):
        net.fit(*chunked(X, y, 0 * weight))


def test_y_in_other_chunks_than_X(table, fits):
    X, y, weight = table
    fits(*chunked(X), *chunked(y, size=250), *chunked(weight, size=600))
    fits(dd.from_pandas(pd.DataFrame(X), npartitions=4), dd.from_pandas(pd.Series(y), npartitions=3))
    fits(chunked(X)[0].rechunk((90, 2)), chunked(y[:, None])[0][:, 0])
    with pytest.raises(ValueError, match="X has 600 rows, y has 599"):
        fits(*chunked(X, y[:-1]))
    longer = chunked(X)[0][chunked(X)[0][:, 0] < 9], chunked(y, size=86)[0]
    with pytest.raises(ValueError, match="partition 0: X has 90 rows, y has 86"):
        fits(*longer)


@pytest.mark.parametrize("index", [range(1000, 1540), [f"row {k}" for k in range(540)]], ids=["numbers", "text"])
@pytest.mark.parametrize("n", [6, 4])
def test_rows_are_paired_in_their_order_whatever_the_index(table, fits, index, n):
    X, y, _ = table
    X, y = X[:540], y[:540]
    frame, labels = pd.DataFrame(X, index=index).rename(columns=str), pd.Series(y)
    fits(dd.from_pandas(frame, npartitions=6, sort=False), dd.from_pandas(labels, npartitions=n), rows=slice(540))
    with pytest.raises(ValueError, match=r"X has 540 rows, y has 539|partition 5: X has 90 rows, y has 89"):
        fits(dd.from_pandas(frame, npartitions=6, sort=False), dd.from_pandas(labels[:-1], npartitions=n))


def test_a_thread_that_cannot_hold_out_samples(table):
    X, y, _ = table
    y = np.sort(y[:539] == "low")
    X, y = chunked(X[:540], np.append(y, y[0]))  # the last thread has a single row of the first class
    net = DaskMLPClassifier(client=SerialCluster(3), early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match=r"Thread \d has \d+ samples, which it cannot divide.*Pass X_val"):
        net.fit(X, y)


def fit_within(X, y):
    with pytest.raises(ValueError, match="cannot be fitted within a task of Dask"):
        DaskMLPClassifier().fit(*chunked(X, y))
    with worker_client():
        return DaskMLPClassifier(max_iter=2, batch_size=100, local_steps=2).fit(*chunked(X, y)).n_iter_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_within_a_task_is_refused(table, workers):
    """It would wait for the thread that it occupies."""
    assert workers.submit(fit_within, *table[:2]).result(60) == 2


def test_partitions_of_different_dtypes(table):
    X, y, _ = table
    X, whole = X.copy(), np.round(X[200:400])
    X[200:400] = whole
    expected = MLPClassifier(solver="lbfgs", max_iter=15, **SIZES).fit(X, y)
    frames = [pd.DataFrame(each) for each in (X[:200], whole.astype(np.int64), X[400:])]
    given = dd.from_map(lambda part: part, frames, meta=frames[0][:0], enforce_metadata=False)
    labels = dd.from_pandas(pd.Series(y), npartitions=3).clear_divisions()
    net = DaskMLPClassifier(solver="lbfgs", max_iter=15, client=SerialCluster(2), **SIZES).fit(given, labels)
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "wrong", [lambda X: X[["b", "a", "c"]], lambda X: X.rename(columns={"a": "d"}), lambda X: X[["a"]]]
)
def test_partitions_of_different_columns(wrong):
    X = pd.DataFrame(np.random.RandomState(0).normal(size=(30, 3)), columns=list("abc"))
    frames = [X[:20], wrong(X[20:])]
    given = dd.from_map(lambda part: part, frames, meta=X[:0], enforce_metadata=False)
    y = da.from_array(np.arange(30) % 2, chunks=(20,))
    net = DaskMLPClassifier(client=SerialCluster(2), **SIZES)
    with pytest.raises(ValueError, match=r"partition 1: X has the columns \[.*\], the data frame has \['a', 'b'"):
        net.fit(given, y)
    assert not hasattr(net, "classes_")


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [("X", np.nan, "Input X contains NaN"), ("y", np.nan, "Input y contains NaN"), ("weight", -1, "Negative values")],
)
def test_errors_name_the_partition(argument, value, message):
    given = {"X": np.zeros((30, 2)), "y": np.arange(30.0), "weight": np.ones(30)}
    given[argument][15] = value
    net = DaskMLPRegressor(client=SerialCluster(2))
    with pytest.raises(ValueError, match=f"^partition 1: {message}"):
        net.fit(*chunked(*given.values(), size=10))


def test_a_class_that_most_partitions_lack(table):
    X, y, _ = table
    order = np.argsort(y, kind="stable")
    parameters = {"solver": "lbfgs", "max_iter": 15, **SIZES}
    expected = MLPClassifier(class_weight="balanced", **parameters).fit(X[order], y[order])
    net = DaskMLPClassifier(class_weight="balanced", client=SerialCluster(5), **parameters)
    net.fit(*chunked(X[order], y[order]))
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


def test_no_client_or_one_that_cannot_be_used(table):
    X, y = chunked(*table[:2])
    with pytest.raises(ValueError, match="no Dask client"):
        DaskMLPClassifier().fit(X, y)
    client = Client(processes=False, n_workers=1, dashboard_address=":0", set_as_default=False)
    client.close()
    with pytest.raises(ValueError, match="not connected to a scheduler; its status is 'closed'"):
        DaskMLPClassifier(client=client).fit(X, y)
    with pytest.raises(ValueError, match="'client' parameter"):
        DaskMLPClassifier(client="tcp://127.0.0.1:8786").fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate_init": "auto"}, "learning_rate_init='auto' is not supported on a cluster"),
        ({"batch_size": "full", "dropout": 0.5}, "dropout=0.5 is not supported on a cluster with batches of all"),
        ({"batch_size": 600, "batch_norm": True}, "batch_norm=True is not supported on a cluster with batches of all"),
    ],
)
def test_what_is_not_supported(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        DaskMLPClassifier(client=SerialCluster(2), **SIZES, **parameters).fit(*chunked(*table[:2]))


def test_several_outputs(table):
    X = table[0]
    Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 1])
    for labels in (Y.astype(int), Y * 2 + 1):  # multilabel, and two columns of classes
        parameters = {"solver": "lbfgs", "max_iter": 15, **SIZES}
        expected = MLPClassifier(**parameters).fit(X, labels)
        net = DaskMLPClassifier(client=SerialCluster(3), **parameters).fit(*chunked(X, labels))
        np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(net.predict(chunked(X)[0]).compute(scheduler="sync"), expected.predict(X))
        net.set_params(class_weight="balanced").fit(*chunked(X, labels))
        expected.set_params(class_weight="balanced").fit(X, labels)
        np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=0, atol=1e-10)


# --- workers --------------------------------------------------------------------------------------------------------


class Watched(DaskCluster):
    """A cluster that calls a function before a round, counted from 1, and records what is sent and returned."""

    def __init__(self, client, at=None, act=None):
        super().__init__(client)
        self.at, self.act, self.traffic, self.argument = at, act, [], None

    def map_reduce(self, function, handles, argument, combine):
        if function in (Learner.gradient, Learner.steps):
            self.argument = argument
            if len(self.traffic) + 1 == self.at:
                function = self.act(function, handles)
        result = super().map_reduce(function, handles, argument, combine)
        if self.argument is not None:
            self.traffic.append(len(pickle.dumps((argument, result))))
        return result


def remove(client, workers):
    scheduler = client.cluster.scheduler
    for worker in workers:
        client.sync(scheduler.remove_worker, worker, stimulus_id="test", close=True)


MODES = {"full gradient": {"solver": "lbfgs"}, "local steps": {"local_steps": 2, "batch_size": 100}}


@pytest.mark.newest
@pytest.mark.parametrize("parameters", MODES.values(), ids=MODES)
def test_only_parameters_travel(table, workers, parameters):
    X, y, _ = table
    traffic = []
    for n in (1, 10):
        cluster = Watched(workers)
        net = DaskMLPClassifier(client=cluster, max_iter=3, **SIZES, **parameters)
        net.fit(*chunked(np.tile(X, (n, 1)), np.tile(y, n)))
        traffic.append(max(cluster.traffic))
    there_and_back = 2 * net.parameters_.nbytes * (3 if "local_steps" in parameters else 1)  # adam has two moments
    assert there_and_back < min(traffic) <= max(traffic) < there_and_back + 1500


@pytest.mark.newest
@pytest.mark.parametrize("parameters", MODES.values(), ids=MODES)
def test_a_worker_lost_in_any_round(table, parameters):
    """Each fit loses the worker of its first shard in another round, and gives the same weights."""
    X, y, _ = table
    net = DaskMLPClassifier(max_iter=4, **SIZES, **parameters)
    with (
        LocalCluster(n_workers=9, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        expected = clone(net).set_params(client=SerialCluster(4)).fit(*chunked(X, y, size=150)).parameters_
        for at in range(1, 6):

            def lose(function, handles):
                worker = handles[0].worker
                threading.Timer(0.002, remove, (client, [worker])).start()
                return function

            watched = Watched(client, at, lose)
            net.set_params(client=watched).fit(*chunked(X, y, size=150))
            assert len(watched.traffic) > at
            np.testing.assert_allclose(net.parameters_, expected, rtol=0, atol=1e-10)


def dies_once(flag, function, value, argument):
    """Kill the first worker that comes here."""
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
    return function(value, argument)


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("parameters", "at"),
    [pytest.param(MODES["full gradient"], 3, marks=pytest.mark.slow), (MODES["local steps"], 5)],
    ids=MODES,
)
def test_a_process_that_is_killed(table, tmp_path, parameters, at):
    """In local steps, within the second epoch: the next worker continues the order of the rows."""
    X, y, _ = table
    parameters = {"max_iter": 15, **SIZES, **parameters}
    expected = DaskMLPClassifier(client=SerialCluster(2), **parameters).fit(*chunked(X, y)).parameters_
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        flag = tmp_path / "killed"
        watched = Watched(client, at, lambda function, handles: partial(dies_once, flag, function))
        net = DaskMLPClassifier(client=watched, **parameters).fit(*chunked(X, y))
        assert flag.exists()
        np.testing.assert_array_equal(net.parameters_, expected)


def kill_all(client):
    for process in client.run(os.getpid).values():
        os.kill(process, signal.SIGKILL)


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("parameters", "n_workers"),
    [(MODES["local steps"], 1), pytest.param(MODES["full gradient"], 2, marks=pytest.mark.slow)],
    ids=["one worker", "two workers"],
)
def test_all_processes_are_killed_and_return(table, parameters, n_workers):
    X, y, _ = table
    parameters = {"max_iter": 8, **SIZES, **parameters}
    expected = DaskMLPClassifier(client=SerialCluster(n_workers), **parameters).fit(*chunked(X, y)).parameters_
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):

        def kill(function, handles):
            kill_all(client)
            return function

        watched = Watched(client, 3, kill)
        net = DaskMLPClassifier(client=watched, **parameters).fit(*chunked(X, y))
        assert len(watched.traffic) > 3
        np.testing.assert_array_equal(net.parameters_, expected)


def deadly(block):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_partitions_that_kill_their_workers(table):
    X, y = chunked(*table[:2])
    X = X.map_blocks(deadly, dtype=X.dtype, meta=np.zeros((0, 0)))
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(WorkersLostError, match=r"lost (all workers 4 times|the tasks of this round: KilledWorker)"),
    ):
        DaskMLPClassifier(client=client, **SIZES).fit(X, y)


@pytest.mark.parametrize("parameters", MODES.values(), ids=MODES)
def test_messages_that_are_lost(table, workers, monkeypatch, parameters):
    """The scheduler believes that workers compute, which have never heard of the tasks."""
    monkeypatch.setattr(_dask_cluster, "_LONGEST_IDLE", 0.5)
    monkeypatch.setattr(_dask_cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)

    def lose(function, handles):
        for comm in workers.cluster.scheduler.stream_comms.values():
            monkeypatch.setattr(comm, "send", lambda *messages: None)
        return function

    watched = Watched(workers, 4, lose)
    net = DaskMLPClassifier(client=watched, **SIZES, **parameters)
    with pytest.raises(WorkersLostError, match=r"run no task for 0\.5 seconds"):
        net.fit(*chunked(*table[:2]))
    assert len(watched.traffic) == 3


def test_a_round_that_takes_long_is_not_lost(table, workers, monkeypatch):
    monkeypatch.setattr(_dask_cluster, "_LONGEST_IDLE", 0.5)
    monkeypatch.setattr(_dask_cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)

    def hold(function, handles):
        RELEASED.clear()
        threading.Timer(2.0, RELEASED.set).start()
        return partial(held, function)

    net = DaskMLPClassifier(client=Watched(workers, 3, hold), max_iter=2, **SIZES, **MODES["local steps"])
    net.fit(*chunked(*table[:2]))
    assert net.n_iter_ == 2


@pytest.mark.newest
@pytest.mark.parametrize("parameters", MODES.values(), ids=MODES)
def test_all_workers_lost(table, workers, monkeypatch, parameters):
    monkeypatch.setattr(_dask_cluster, "_PATIENCE", 0.1)
    monkeypatch.setattr(_dask_cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)
    X, y, _ = table

    def lose(function, handles):
        remove(workers, list(workers.nthreads()))
        return function

    watched = Watched(workers, 4, lose)
    net = DaskMLPClassifier(client=watched, **SIZES, **parameters)
    with pytest.raises(WorkersLostError, match=r"had no workers for 0\.1 seconds"):
        net.fit(*chunked(X, y))
    if "local_steps" in parameters:
        np.testing.assert_array_equal(net.parameters_, watched.argument.theta)
    assert net.predict(X).shape == y.shape
    assert net.n_iter_ < 4
    with pytest.raises(WorkersLostError, match="no workers"):
        net.fit(*chunked(X, y))


@pytest.mark.newest
def test_training_resumes_after_all_workers_are_lost(table, workers, monkeypatch, tmp_path):
    monkeypatch.setattr(_dask_cluster, "_PATIENCE", 0.1)
    monkeypatch.setattr(_dask_cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)
    data, file = chunked(*table[:2], size=300), tmp_path / "net.checkpoint"
    net = DaskMLPClassifier(batch_size=100, local_steps=4, max_iter=6, learning_rate="cosine", dropout=0.1, **SIZES)
    expected = clone(net).set_params(client=SerialCluster(2)).fit(*data)

    def lose(function, handles):
        remove(workers, list(workers.nthreads()))
        return function

    net.set_callbacks(Checkpoint(file, every=100))
    with pytest.raises(WorkersLostError):  # in the second round of the fourth epoch
        net.set_params(client=Watched(workers, 8, lose)).fit(*data)
    again = clone(net).set_params(client=SerialCluster(2))
    again.fit(*data, resume_from=file)
    np.testing.assert_array_equal(again.parameters_, expected.parameters_)
    np.testing.assert_array_equal(again.loss_curve_, expected.loss_curve_)
    with pytest.raises(ValueError, match="saved while training on other data"):
        again.fit(data[0] + 1, data[1], resume_from=file)


RELEASED = threading.Event()


def held(function, value, argument):
    """A task that lasts until the test releases it."""
    RELEASED.wait(60)
    return function(value, argument)


@pytest.mark.newest
@pytest.mark.parametrize("parameters", MODES.values(), ids=MODES)
def test_interrupts_cancel_the_tasks_and_keep_the_weights(table, workers, parameters):
    X, y, _ = table

    def interrupt(function, handles):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        return partial(held, function)

    watched = Watched(workers, 3, interrupt)
    net = DaskMLPClassifier(client=watched, **SIZES, **parameters)
    RELEASED.clear()
    started = time.perf_counter()
    with pytest.warns(UserWarning, match="interrupted by user"):
        net.fit(*chunked(X, y))
    RELEASED.set()
    assert time.perf_counter() - started < 50  # while the tasks were held
    if "local_steps" in parameters:
        np.testing.assert_array_equal(net.parameters_, watched.argument.theta)
    assert np.isfinite(net.predict_proba(X)).all()
    states = workers.run_on_scheduler(lambda dask_scheduler: {ts.state for ts in dask_scheduler.tasks.values()})
    assert not states & {"waiting", "queued", "no-worker"}


@pytest.mark.newest
def test_tasks_that_are_cancelled(table, workers):
    X, y, _ = table

    def cancel(function, handles):
        def act():
            workers.cancel([Future(key, client=workers) for key in list(workers.futures)])
            RELEASED.set()

        RELEASED.clear()
        threading.Timer(0.2, act).start()
        return partial(held, function)

    net = DaskMLPClassifier(client=Watched(workers, 3, cancel), solver="lbfgs", **SIZES)
    with pytest.raises(WorkersLostError, match="lost the tasks of this round"):
        net.fit(*chunked(X, y))
    assert net.predict(X).shape == y.shape


def test_errors_on_workers_are_those_of_one_machine(table, workers):
    X, y, _ = table
    X = X.copy()
    X[500, 2] = np.nan
    net = DaskMLPClassifier(client=workers, solver="lbfgs", **SIZES)
    with pytest.raises(ValueError, match="X contains NaN"):
        net.fit(*chunked(X, y))
    assert not hasattr(net, "coefs_")
    with pytest.raises(ValueError, match="Unknown label type"):
        net.fit(*chunked(table[0], table[0][:, 0]))


def missing(block):
    raise FileNotFoundError("part-7.parquet")


def test_a_missing_file_is_an_error_of_its_own(table, workers):
    X, y = chunked(*table[:2])
    X = X.map_blocks(missing, dtype=X.dtype, meta=np.empty((0, 0), X.dtype))
    with pytest.raises(FileNotFoundError, match=r"^part-7\.parquet$"):
        DaskMLPClassifier(client=workers, solver="lbfgs", **SIZES).fit(X, y)


@pytest.mark.newest
def test_partitions_in_memory_are_used_where_they_are(table, workers):
    (X,) = dask.persist(*chunked(table[0], size=100))
    wait(X)
    before = workers.who_has(X)
    handles = DaskCluster(workers).scatter([dask.delayed(np.shape)(block) for block in X.to_delayed().ravel()])
    assert len(handles) == 2
    assert {handle.worker for handle in handles} == {worker for held in before.values() for worker in held}
    after = workers.who_has(X)
    assert all(set(before[key]) <= set(after[key]) for key in before)


@pytest.mark.newest
def test_example():
    """Trained on four files, the network classifies as well as that of one machine."""
    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "scale_dask.py"))
    found = example["main"](n_files=4, rows_per_file=4000, n_epochs=10)
    (_, on_cluster), (_, on_one_machine) = found["cluster"], found["one machine"]
    assert on_cluster > 0.9
    assert on_cluster == pytest.approx(on_one_machine, abs=0.05)


# --- tabular estimators ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw():
    """A table with text and missing values."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["x", "y"], 200)})
    frame.loc[::7, "a"] = np.nan
    return frame, frame["a"].fillna(2) * np.where(frame["b"] == "x", 1, -1)


MEMBERS = {"n_estimators": 2, "hidden_layer_sizes": 8, "max_iter": 6, "random_state": 0}


@pytest.mark.parametrize("preset", ["fast", pytest.param("tuned", marks=pytest.mark.newest)])
def test_members_trained_on_workers_are_those_of_one_machine(raw, workers, preset):
    X, y = raw
    parameters = {"preset": preset, "n_trials": 4, **MEMBERS}
    expected = TabularMLPClassifier(**parameters).fit(X, y > 0)
    model = clone(DaskTabularMLPClassifier(client=workers, **parameters)).fit(X, y > 0)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    local = model.to_local()
    assert type(local) is TabularMLPClassifier
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), local.predict(X))


def test_a_table_may_be_a_dask_data_frame(raw, workers):
    X, y = raw
    model = DaskTabularMLPClassifier(client=workers, **MEMBERS)
    of_frame = clone(model).fit(dd.from_pandas(X, npartitions=3), dd.from_pandas(y > 0, npartitions=3))
    model.fit(X, y > 0)
    np.testing.assert_array_equal(of_frame.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("cls", [DaskTabularMLPClassifier, DaskTabularMLPRegressor])
def test_predictions_of_members_are_lazy(raw, cls):
    X, y = raw
    labels = cls is DaskTabularMLPClassifier
    parameters, y = (MEMBERS, y > 0) if labels else (MEMBERS | {"quantiles": [0.2, 0.8]}, y)
    local = cls._local_class()("fast", **parameters).fit(X, y)
    model = cls("fast", **parameters)
    vars(model).update({name: value for name, value in vars(local).items() if name not in model.get_params()})
    data = dd.from_pandas(X, npartitions=3)
    for name in ("predict", "predict_proba", "predict_log_proba") if labels else ("predict", "predict_quantiles"):
        lazy, expected = getattr(model, name)(data), getattr(local, name)(X)
        assert isinstance(lazy, da.Array)
        assert (lazy.dtype, lazy.shape[1:]) == (expected.dtype, expected.shape[1:])
        np.testing.assert_allclose(lazy.compute(scheduler="sync"), expected, rtol=1e-4, atol=1e-6)
    with dask.config.set(scheduler="sync"):
        assert model.score(data, dd.from_pandas(y, npartitions=3)) == pytest.approx(local.score(X, y), rel=1e-6)
    with pytest.raises(ValueError, match="X must have two dimensions, got 1"):
        model.predict(data["a"])
    assert not hasattr(cls(), "predict_quantiles")


@pytest.mark.newest
def test_partitions_are_read_in_this_process(raw, workers):
    X, y = raw
    source = [(X[:300], y[:300]), (X[300:], y[300:])]
    expected = TabularMLPRegressor("fast", **MEMBERS).fit_batches(lambda: iter(source))
    model = DaskTabularMLPRegressor("fast", client=workers, **MEMBERS).fit_batches(lambda: iter(source))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.newest
def test_a_worker_lost_while_members_train(raw, workers, monkeypatch):
    X, y = raw
    expected = TabularMLPRegressor("fast", **MEMBERS).fit(X, y)
    threading.Timer(0.1, lambda: remove(workers, [*workers.nthreads()][:1])).start()
    model = DaskTabularMLPRegressor("fast", client=workers, **MEMBERS).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    monkeypatch.setattr(_dask_cluster, "_PATIENCE", 0.1)
    monkeypatch.setattr(_dask_cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)
    remove(workers, list(workers.nthreads()))
    with pytest.raises(WorkersLostError, match="no workers"):
        clone(model).fit(X, y)


@pytest.mark.slow
def test_ray_can_stand_in(table):
    ray = pytest.importorskip("ray")
    X, y, _ = table
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}  # for this folder
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", runtime_env={"env_vars": paths})
    try:
        for parameters in MODES.values():
            net = DaskMLPClassifier(max_iter=5, **SIZES, **parameters)
            expected = clone(net).set_params(client=SerialCluster(2)).fit(*chunked(X, y))
            net.set_params(client=RayCluster(2)).fit(*chunked(X, y))
            np.testing.assert_array_equal(net.parameters_, expected.parameters_)
    finally:
        ray.shutdown()
