"""Searches on joblib's backends: the scores of a serial search, and nothing compiled, copied or lost on the way."""

import os
import runpy
import signal
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, TabularMLPRegressor
from sknn_iitb._jit.store import Stored

EXAMPLE = Path(__file__).parents[1] / "examples" / "search_dask.py"
NET = MLPClassifier(5, max_iter=10, learning_rate="cosine", learning_rate_init=0.01, random_state=0)


# --- the same scores ---------------------------------------------------------------------------------------------


def _grid(cancer, table):
    grid = {"mlpclassifier__alpha": [0.01, 10.0], "mlpclassifier__activation": ["relu", "tanh"]}
    return GridSearchCV(make_pipeline(StandardScaler(), NET), grid, cv=3, return_train_score=True).fit(*cancer)


def _halving(cancer, table):
    space = {"alpha": loguniform(1e-3, 1e3)}
    return HalvingRandomSearchCV(NET, space, n_candidates=4, cv=3, random_state=0).fit(*cancer)


def _tabular(cancer, table):
    net = TabularMLPRegressor(preset="fast", n_estimators=2, max_iter=2, random_state=0)
    return cross_validate(net, table[0], table[1], cv=3)


SEARCHES = [_grid, _halving, _tabular]
SAMPLED = [_grid, *(pytest.param(search, marks=pytest.mark.newest) for search in SEARCHES[1:])]


@pytest.fixture(scope="module")
def expected(cancer, table):
    """The scores of a serial search."""
    return {search: _scores(search(cancer, table)) for search in SEARCHES}


def _scores(found):
    results = getattr(found, "cv_results_", found)
    return {name: values for name, values in results.items() if "score" in name and "time" not in name}


def _assert_same(found, expected):
    found = _scores(found)
    assert found.keys() == expected.keys()
    assert any(np.ptp(values) > 0 for values in expected.values())
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of Dask; they start in some seconds, and so serve all tests."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def ray():
    """Two workers of Ray."""
    module = pytest.importorskip("ray")
    pytest.importorskip("ray.util.joblib").register_ray()
    module.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    module.shutdown()


@pytest.mark.parametrize("search", SAMPLED)
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_scores_on_one_machine_are_those_of_a_serial_search(backend, search, cancer, table, expected):
    with parallel_config(backend, n_jobs=2):
        _assert_same(search(cancer, table), expected[search])


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("search", SAMPLED)
def test_scores_on_dask_are_those_of_a_serial_search(search, cancer, table, expected):
    with parallel_config("dask"):
        _assert_same(search(cancer, table), expected[search])


@pytest.mark.slow  # its start takes as long as all other tests of this module
@pytest.mark.usefixtures("ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray")
@pytest.mark.parametrize("search", SEARCHES)
def test_scores_on_ray_are_those_of_a_serial_search(search, cancer, table, expected):
    with parallel_config("ray", n_jobs=2):
        _assert_same(search(cancer, table), expected[search])


# --- nothing twice -----------------------------------------------------------------------------------------------


@pytest.mark.newest
def test_workers_compile_nothing_and_load_each_function_once(client, cancer):
    def watch():
        def counted(name, method):
            def call(self, argument):
                Stored.calls.append((name, self._name))
                return method(self, argument)

            return call

        Stored.calls, Stored.before = [], (Stored.load, Stored.save)
        Stored.load, Stored.save = (counted(method.__name__, method) for method in Stored.before)

    def unwatch():
        Stored.load, Stored.save = Stored.before
        return Stored.calls

    # an activation that no other test of this module has brought to the workers
    search = GridSearchCV(NET, {"alpha": [0.01, 0.1, 1.0, 10.0], "activation": ["gelu"]}, cv=3)
    search.fit(*cancer)  # fills the cache on disk
    client.run(watch)
    with parallel_config("dask"):
        search.fit(*cancer)
        search.fit(*cancer)
    calls = client.run(unwatch)
    assert any(calls.values())
    for each in calls.values():
        assert {name for name, _ in each} <= {"load"}
        assert len(set(each)) == len(each)


def _peak_of_fit(X, y):
    """Whether X is a memory map, and the memory that a fit allocates."""
    NET.fit(X, y)
    tracemalloc.start()
    try:
        NET.fit(X, y)
        return isinstance(X, np.memmap), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_matrices_that_joblib_has_memory_mapped_are_read_in_place(cancer):
    X, y = (np.tile(array, (40, *[1] * (array.ndim - 1))) for array in cancer)
    assert X.nbytes > 5e6
    for mapped, peak in Parallel(2, "loky")(delayed(_peak_of_fit)(X, y) for _ in range(2)):
        assert mapped
        assert peak < X.nbytes / 2


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Scoring failed", "ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize(
    "backend",
    [
        "threading",
        pytest.param("dask", marks=pytest.mark.newest),
        pytest.param("loky", marks=pytest.mark.slow),
    ],
)
def test_error_of_a_scorer_ends_the_search_and_leaves_the_backend_usable(backend, request, cancer, table, expected):
    if backend == "dask":
        request.getfixturevalue("client")
    search = GridSearchCV(NET, {"alpha": [0.01, 1.0]}, cv=3, scoring=lambda *_: 1 // 0, refit=False)
    with parallel_config(backend, n_jobs=2):
        with pytest.raises(ZeroDivisionError):
            search.set_params(error_score="raise").fit(*cancer)
        search.set_params(error_score=np.nan).fit(*cancer)
        assert np.isnan(search.cv_results_["mean_test_score"]).all()
        _assert_same(_grid(cancer, table), expected[_grid])


def test_dask_without_a_client_is_a_clear_error(cancer, table):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="first create a Dask Client"), parallel_config("dask"):
        _grid(cancer, table)


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_death_of_a_worker_does_not_lose_the_search(cluster, cancer, tmp_path):
    def accuracy(estimator, X, y):
        n_scored = len(list(tmp_path.iterdir()))
        (tmp_path / f"{n_scored} {os.getpid()}").touch()
        if n_scored >= 5:
            with suppress(FileExistsError):  # only one of two workers that count at the same time
                (tmp_path / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return estimator.score(X, y)

    search = GridSearchCV(NET, {"alpha": [0.01, 0.1, 1.0, 10.0]}, cv=3)
    expected = _scores(search.fit(*cancer))
    client = runpy.run_path(str(EXAMPLE))["ResilientClient"](cluster)
    with client, parallel_config("dask", client=client):
        pids = set(client.run(os.getpid).values())
        _assert_same(search.set_params(scoring=accuracy).fit(*cancer), expected)
        assert len(pids - set(client.run(os.getpid).values())) == 1
    assert len(list(tmp_path.iterdir())) > 4 * 3 + 1
