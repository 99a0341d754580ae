"""Determinism, threads, forks, an empty cache that many processes share, and memory over many calls."""

import gc
import os
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from test_process import _in_child, needs_fork

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SHORT = {"random_state": 0, "max_iter": 3}
NETS = {
    "classifier": (MLPClassifier((20,), learning_rate="cosine", dropout=0.1, **SHORT), CANCER),
    "regressor": (MLPRegressor(hidden_layer_sizes=(20,), learning_rate="cosine", **SHORT), DIABETES),
    "tabular classifier": (TabularMLPClassifier(hidden_layer_sizes=(16,), **SHORT), CANCER),
    "tabular regressor": (TabularMLPRegressor(hidden_layer_sizes=(16,), **SHORT), DIABETES),
}
EACH = pytest.mark.parametrize("name", NETS)
# this and that are forked with threads on purpose
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _parameters(net):
    """All parameters of a fitted network or ensemble."""
    return np.concatenate([member.theta for member in net.members_]) if hasattr(net, "members_") else net.parameters_


def _fitted(name, **changes):
    net, data = NETS[name]
    net = clone(net)
    return _parameters(net.set_params(**{k: v for k, v in changes.items() if k in net.get_params()}).fit(*data))


# --- determinism -------------------------------------------------------------------------------------------------


@EACH
def test_twenty_fits_are_the_same_to_the_bit(name):
    expected = _fitted(name)
    for k in range(20):
        np.testing.assert_array_equal(_fitted(name, n_jobs=1 + k % 2), expected)


@EACH
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_in_workers_are_the_same_to_the_bit(name, backend):
    expected = _fitted(name)
    for found in Parallel(2, backend=backend)(delayed(_fitted)(name) for _ in range(4)):
        np.testing.assert_array_equal(found, expected)


@EACH
def test_more_blas_threads_differ_by_rounding_only(name):
    for n_threads in (2, 4):
        np.testing.assert_allclose(_fitted(name, n_threads=n_threads), _fitted(name), rtol=1e-7, atol=1e-10)
        np.testing.assert_array_equal(_fitted(name, n_threads=n_threads), _fitted(name, n_threads=n_threads))


# --- threads and forks -------------------------------------------------------------------------------------------


@EACH
def test_eight_threads_fit_at_a_time(name):
    expected = [_fitted(name, random_state=k) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: _fitted(name, random_state=k), range(8)))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@EACH
def test_eight_threads_predict_with_one_estimator(name):
    net, (X, y) = NETS[name]
    net = clone(net).fit(X, y)
    parts = [X[k::40] for k in range(40)]
    expected = [net.predict(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(net.predict, parts * 5))
    for a, b in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_fork
@pytest.mark.parametrize("n", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_forked_child_fits(n):
    names = list(NETS)
    for k in range(n):
        name = names[k % len(names)]
        np.testing.assert_array_equal(_in_child(lambda name=name: _fitted(name)), _fitted(name))


# --- the cache of compiled functions -----------------------------------------------------------------------------

_CHILD = """
    import sys, warnings
    import numpy as np
    from scipy import sparse
    from sknn_iitb import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")
    k = int(sys.argv[1])
    X = np.asarray(np.random.default_rng(0).normal(size=(60, 4)), ["f8", "f4"][k % 2])
    X = [X, np.asfortranarray(X), sparse.csr_matrix(X), X[::-1][::-1]][k // 2 % 4]
    net = MLPRegressor(
        hidden_layer_sizes=(5, 4), activation=["relu", "tanh", "gelu"][k % 3], solver=["adam", "sgd"][k // 8 % 2],
        batch_norm=k % 3 == 0, dropout=0.1 * (k % 2), max_iter=3, random_state=0,
    )
    print(float(np.sum(net.fit(X, np.arange(60.0)).predict(X))).hex())
"""


def _children(numbers, folder, optimization):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1", "NUMBA_OPT": optimization}
    commands = [[sys.executable, "-c", textwrap.dedent(_CHILD), str(k)] for k in numbers]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    found = [child.communicate(timeout=500) for child in children]
    assert all(child.returncode == 0 for child in children), [error for _, error in found]
    return [out.strip() for out, _ in found]


@pytest.mark.newest
@pytest.mark.parametrize(
    ("n_processes", "n_rounds", "optimization"),
    # less optimized code compiles faster and is stored in the same way
    [(3, 1, "0"), pytest.param(16, 10, "3", marks=pytest.mark.slow)],
    ids=["sample", "all"],
)
def test_processes_that_share_an_empty_cache(n_processes, n_rounds, optimization, tmp_path):
    expected = [_children([k], tmp_path / "alone", optimization)[0] for k in range(n_processes)]
    for r in range(n_rounds):
        assert _children(range(n_processes), tmp_path / str(r), optimization) == expected


# --- memory ------------------------------------------------------------------------------------------------------


def _resident():
    """Bytes of this process in memory."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.newest
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@EACH
@pytest.mark.parametrize(
    ("n_fits", "n_predictions"),
    [(60, 3000), pytest.param(2000, 200_000, marks=pytest.mark.slow)],
    ids=["sample", "all"],
)
def test_memory_does_not_grow(name, n_fits, n_predictions):
    net, (X, y) = NETS[name]
    net, X, y = clone(net), X[:100], y[:100]
    if name.startswith("tabular"):
        net.set_params(n_estimators=1, max_iter=1)
        n_fits, n_predictions = n_fits // 5, n_predictions // 10

    def work(n_fits, n_predictions):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(n_fits):
                net.fit(X, y)
            for _ in range(n_predictions):
                net.predict(X[:1])

    work(max(20, n_fits // 10), n_predictions // 10)
    before = _resident()
    work(n_fits, n_predictions)
    assert _resident() < 1.01 * before + 2**20  # an arena of the allocator


# --- divergence --------------------------------------------------------------------------------------------------

ODD = {
    "rate of 1e30": ({"learning_rate_init": 1e30}, *DIABETES),
    "sgd rate of 1e30": ({"learning_rate_init": 1e30, "solver": "sgd"}, *DIABETES),
    "targets of 1e300": ({}, DIABETES[0], 1e300 * DIABETES[1] / DIABETES[1].max()),
    "inputs of 1e300": ({}, 1e300 * DIABETES[0], DIABETES[1]),
}


@pytest.mark.parametrize("case", ODD)
def test_divergence_is_an_error_after_an_epoch(case):
    parameters, X, y = ODD[case]
    net = MLPRegressor(hidden_layer_sizes=(5,), random_state=0).set_params(**parameters)
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"diverged at epoch \d with|must be finite|too large"),
    ):
        net.fit(X, y)
    assert not hasattr(net, "coefs_")


HARMLESS = {
    "denormals": (5e-324 * np.ones((50, 3)), np.arange(50.0)),
    "constant columns": (np.full((50, 3), 7.0), np.arange(50.0)),
    "constant target": (DIABETES[0], np.full(442, 3.0)),
    "denormal target": (DIABETES[0], np.full(442, 5e-324)),
}


@pytest.mark.parametrize("cls", [MLPRegressor, TabularMLPRegressor])
@pytest.mark.parametrize("case", HARMLESS)
def test_odd_numbers_train_without_nan(case, cls):
    X, y = HARMLESS[case]
    net = cls(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictions = net.fit(X, y).predict(X)
    assert np.isfinite(predictions).all()
    assert np.isfinite(_parameters(net)).all()
