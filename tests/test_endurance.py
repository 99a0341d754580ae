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
from sklearn.base import clone, is_classifier
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
pytestmark = [pytest.mark.newest, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


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
    for found in Parallel(2, backend=backend)(delayed(_fitted)(name) for _ in range(20)):
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
    import hashlib, sys, warnings
    import numpy as np
    from scipy import sparse
    from sknn_iitb import MLPClassifier, MLPRegressor
    from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

    warnings.simplefilter("ignore")
    k = int(sys.argv[1])
    kind, layout, short = k % 4, k // 4 % 4, dict(max_iter=3, random_state=0)
    X = np.asarray(np.random.default_rng(0).normal(size=(60, 4)), ["f8", "f4"][(k + k // 4) % 2])
    y = np.arange(60) // 15
    components = dict(
        hidden_layer_sizes=(5, 4), activation=["relu", "tanh", "gelu"][k % 3], solver=["adam", "sgd"][k // 8 % 2],
        batch_norm=k % 3 == 0, dropout=0.1 * (k % 2),
    )
    if kind < 2:
        X = [X, np.asfortranarray(X), sparse.csr_matrix(X), np.ascontiguousarray(X[::-1])[::-1]][layout]
        net = [MLPRegressor, MLPClassifier][kind](**components, **short).fit(X, y)
        parameters = net.parameters_
    else:
        X = [X, np.asfortranarray(X), X[:, ::-1], np.ascontiguousarray(X[::-1])[::-1]][layout]
        net = [TabularMLPRegressor, TabularMLPClassifier][kind - 2](n_estimators=2, n_jobs=1 + layout % 2, **short)
        parameters = np.concatenate([member.theta for member in net.fit(X, y).members_])
    outputs = [net.predict(X)] + ([net.predict_proba(X)] if kind % 2 else [])
    print(hashlib.sha256(b"".join(each.tobytes() for each in (parameters, *outputs))).hexdigest())
"""


def _children(numbers, folder, optimization):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1", "NUMBA_OPT": optimization}
    commands = [[sys.executable, "-c", textwrap.dedent(_CHILD), str(k)] for k in numbers]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    found = [child.communicate(timeout=500) for child in children]
    assert all(child.returncode == 0 for child in children), [error for _, error in found]
    return [out.strip() for out, _ in found]


@pytest.mark.slow  # a plain run has three processes, in test_jit
@pytest.mark.parametrize(
    ("processes", "n_rounds", "optimization"),
    # less optimized code compiles faster and is stored in the same way
    [([0, 3], 1, "0"), (range(16), 10, "3")],
    ids=["sample", "all"],
)
def test_processes_that_share_an_empty_cache(processes, n_rounds, optimization, tmp_path):
    """The 16 are all four estimators in four layouts; a filled cache gives the same bits."""
    expected = [_children([k], tmp_path / "alone", optimization)[0] for k in processes]
    assert len({*expected}) > len(processes) // 2  # some layouts have the same numbers
    for r in range(n_rounds):
        assert _children(processes, tmp_path / str(r), optimization) == expected
    assert _children(processes, tmp_path / "alone", optimization) == expected


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


# prints the bytes that each of twelve custom functions takes, in a process without other tests
_CUSTOM = """
    import gc, os, warnings
    import numpy as np
    from sknn_iitb import MLPRegressor

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def fit(k):
        namespace = {}
        exec(f"def g(z): return {k}.0 * z * z, {2 * k}.0 * z", namespace)
        MLPRegressor(hidden_layer_sizes=4, activation=namespace["g"], max_iter=1).fit(X, X[:, 0])

    warnings.simplefilter("ignore")
    X = np.random.default_rng(0).normal(size=(50, 3))
    for k in range(5):
        fit(k)
    before = resident()
    for k in range(5, 17):
        fit(k)
    print((resident() - before) / 12)
"""


@pytest.mark.newest
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_of_a_compiled_custom_function():
    command = [sys.executable, "-c", textwrap.dedent(_CUSTOM)]
    found = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 1e5 < found < 2e6  # 1.1 MB with Python 3.11, 1.6 MB with 3.14


# --- divergence --------------------------------------------------------------------------------------------------

ODD = {
    "rate of 1e30": ({"learning_rate_init": 1e30}, {}),
    "sgd rate of 1e30": ({"learning_rate_init": 1e30, "solver": "sgd"}, {}),
    "rate of 1e30, early stopping": ({"learning_rate_init": 1e30, "early_stopping": True}, {}),
    "targets of 1e300": ({}, {"y": 1e300}),
    "inputs of 1e300": ({}, {"X": 1e300}),
}


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("case", ODD)
def test_divergence_is_an_error_after_one_epoch(case, cls):
    parameters, factors = ODD[case]
    if cls is MLPClassifier and "y" in factors:
        pytest.skip("classes have no size")
    X, y = CANCER if cls is MLPClassifier else DIABETES
    X, y = factors.get("X", 1) * (X / X.max()), factors["y"] * (y / y.max()) if "y" in factors else y
    net = cls(hidden_layer_sizes=(5,), random_state=0).set_params(**parameters)
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"diverged at epoch 1 with|must be finite|too large"),
    ):
        net.fit(X, y)
    assert not hasattr(net, "coefs_")


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
def test_tabular_networks_that_diverge_are_an_error(cls):
    net = cls(hidden_layer_sizes=(5,), learning_rate_init=1e30, random_state=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="diverged at epoch 1 with"):
        net.fit(*(CANCER if cls is TabularMLPClassifier else DIABETES))
    assert not hasattr(net, "members_")


HARMLESS = {
    "denormals": (5e-324 * np.ones((50, 3)), np.arange(50.0)),
    "constant columns": (np.full((50, 3), 7.0), np.arange(50.0)),
    "constant target": (DIABETES[0], np.full(442, 3.0)),
    "denormal target": (DIABETES[0], np.full(442, 5e-324)),
}


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize("case", HARMLESS)
def test_odd_numbers_train_without_nan(case, cls):
    X, y = HARMLESS[case]
    if is_classifier(cls()):
        y = np.arange(len(X)) % 2
    net = cls(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(X, y)
        scores = net.predict_proba(X) if is_classifier(net) else net.predict(X)
    assert np.isfinite(scores).all()
    assert np.isfinite(_parameters(net)).all()
