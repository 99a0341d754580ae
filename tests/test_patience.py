"""The announcement of a long compilation: once, only if functions are compiled, and without leftover timers."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb._jit import cache, compilation, patience
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.patience import announced, clock
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import ACTIVATIONS

pytestmark = [pytest.mark.newest, pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled code")]


def _activation():
    """A function that has never been compiled, because its constant is new."""
    namespace = {"constant": float(time.perf_counter_ns())}
    exec("def scaled(z):\n    return constant * z, constant", namespace)
    return namespace["scaled"]


@pytest.fixture
def threads():
    """Check that a test leaves no thread behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def impatient(monkeypatch):
    """Announce after a hundredth of a second instead of a second."""
    monkeypatch.setattr(patience, "_PATIENCE", 0.01)


def _fail(text):
    raise AssertionError(text)


@pytest.mark.usefixtures("threads", "impatient")
def test_long_compilation_is_announced_once():
    announcements = []
    with announced(announcements.append):
        for _ in range(2):
            compiled("activation", _activation(), "float64", elementwise)
    assert announcements == ["Compiling a custom function, once per process."]


def test_compilation_times_add_up(monkeypatch):
    class Timer:
        def __init__(self, interval, function, arguments):
            waits.append(interval)

        def start(self):
            pass

        cancel = join = start

    waits, now = [], [100.0]
    monkeypatch.setattr(patience, "perf_counter", lambda: now[0])
    monkeypatch.setattr(threading, "Timer", Timer)
    monkeypatch.setattr(patience, "_PATIENCE", 1.0)
    with announced(_fail):
        for _ in range(6):
            clock().start("Compiling")
            now[0] += 0.25
            clock().stop()
            now[0] += 10  # other work does not count
    assert waits == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.usefixtures("threads")
def test_short_compilations_are_not_announced(monkeypatch):
    monkeypatch.setattr(patience, "_PATIENCE", 100.0)
    with announced(_fail):
        compiled("activation", _activation(), "float64", elementwise)


@pytest.mark.usefixtures("threads", "impatient")
def test_no_timer_without_an_announcer(monkeypatch):
    monkeypatch.setattr(threading, "Timer", _fail)
    compiled("activation", _activation(), "float64", elementwise)
    with announced(None):
        compiled("activation", _activation(), "float64", elementwise)


@pytest.mark.usefixtures("threads", "impatient")
def test_slow_loading_from_the_cache_is_not_announced(monkeypatch, tmp_path):
    def slowly(payload, loads=pickle.loads):
        time.sleep(0.05)
        return loads(payload)

    monkeypatch.setattr(cache, "_directories", lambda: [tmp_path])
    member = "activation", _kernel, np.dtype("float64"), None, False
    monkeypatch.setattr(compilation, "name_in_package", lambda function: "member")
    announcements = []
    with announced(announcements.append):
        compilation._compile(*member)
    assert announcements == ["Compiling once; the result is cached on disk."]
    monkeypatch.setattr(cache.pickle, "loads", slowly)
    with announced(_fail):
        compilation._compile(*member)


def _kernel(value, bias, slope, hyper):
    for row in range(value.shape[0]):
        for column in range(value.shape[1]):
            value[row, column] += bias[column]
            slope[row, column] = 1.0


@pytest.mark.usefixtures("threads", "impatient")
def test_failed_compilation_stops_the_timer():
    def wrong(z):
        return z.no_such_attribute, 1.0

    with announced([].append), pytest.raises(ValueError, match="cannot be compiled"):
        compiled("activation", wrong, "float64", elementwise)
    assert clock().timer is None


@pytest.mark.usefixtures("threads", "impatient")
def test_thread_announces_only_its_own_compilations():
    with announced(_fail), ThreadPoolExecutor(1) as pool:
        pool.submit(compiled, "activation", _activation(), "float64", elementwise).result()


@pytest.mark.usefixtures("threads", "impatient")
def test_announced_blocks_nest():
    inner, outer = [], []
    with announced(outer.append):
        with announced(inner.append):
            compiled("activation", _activation(), "float64", elementwise)
        assert len(inner) == 1
        assert outer == []
        compiled("activation", _activation(), "float64", elementwise)
    assert len(outer) == 1
    assert clock().say is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("threads", "impatient")
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_estimator_announces_on_standard_error(cancer, capsys, cls, incremental, verbose):
    X, y = cancer
    net = cls(hidden_layer_sizes=3, activation=_activation(), max_iter=1, verbose=verbose)
    if incremental:
        net.partial_fit(X, y, **{"classes": [0, 1]} if cls is MLPClassifier else {})
    else:
        net.fit(X, y)
    printed = capsys.readouterr()
    assert printed.err == "Compiling a custom function, once per process.\n"
    assert [line[:11] for line in printed.out.splitlines()] == ["Iteration 1"] * bool(verbose)


@pytest.mark.usefixtures("threads", "impatient")
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
def test_tabular_estimator_announces_once_in_whatever_thread(iris, capsys, cls, n_jobs):
    net = cls(
        activation=ACTIVATIONS.resolve(_activation()), hidden_layer_sizes=3, max_iter=1, n_estimators=2, n_jobs=n_jobs
    )
    net.fit(*iris)
    assert capsys.readouterr() == ("", "Compiling a custom function, once per process.\n")
    net.partial_fit(*iris)
    assert capsys.readouterr() == ("", "")
