"""The threads of tabular predictions."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sknn_iitb._engine.network import CHUNK
from sknn_iitb.tabular import TabularMLPRegressor, encoder
from sknn_iitb.tabular._members import Member
from sknn_iitb.tabular._prediction import n_prediction_threads

MAIN = threading.get_ident()


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(10_000, 3))
    return X, X[:, 0] * X[:, 1]


@pytest.fixture
def net(data):
    X, y = data
    return TabularMLPRegressor(hidden_layer_sizes=8, max_iter=2, n_jobs=1, random_state=0).fit(X[:200], y[:200])


def _instead_of_scores(monkeypatch, function):
    """Call a function before the scores of each member."""
    scores = Member.scores
    monkeypatch.setattr(Member, "scores", lambda *a, **b: function() or scores(*a, **b))


@pytest.mark.parametrize(("n_jobs", "n_blas", "n_threads"), [(None, 2, 2), (None, 1, 1), (1, 2, 1), (3, 1, 3)])
def test_many_rows_are_predicted_in_threads(net, data, monkeypatch, n_jobs, n_blas, n_threads):
    used, (X, _) = set(), data
    one = net.predict(X)
    # so that no thread takes all the work
    _instead_of_scores(monkeypatch, lambda: used.add(threading.get_ident()) or time.sleep(0.01))
    with threadpool_limits(n_blas, "blas"):
        np.testing.assert_array_equal(net.set_params(n_jobs=n_jobs).predict(X), one)
        assert len(used) == n_threads
        used.clear()
        net.predict(X[:256])
        assert used == {MAIN}


def test_rows_are_few_by_the_whole_table(net, data, monkeypatch):
    """Wide tables are encoded in batches of 256 rows."""
    given, scores = [], Member.scores
    monkeypatch.setattr(encoder, "_CELLS", 1)
    monkeypatch.setattr(Member, "scores", lambda self, Z, n: given.append((len(Z), n)) or scores(self, Z, n))
    net.predict(data[0][:300])
    assert set(given) == {(256, CHUNK), (44, CHUNK)}
    given.clear()
    net.predict(data[0][:256])
    assert set(given) == {(256, 1)}


def test_threads_are_not_multiplied():
    with threadpool_limits(4, "blas"):
        assert n_prediction_threads(None) == 4
        assert n_prediction_threads(3) == 3
        with joblib.parallel_config("threading", n_jobs=2):
            assert n_prediction_threads(None) == 2
        inside = joblib.Parallel(2, "threading")(joblib.delayed(n_prediction_threads)(None) for _ in range(2))
        assert inside == [1, 1]
        with ThreadPoolExecutor(1) as pool:  # as in a server
            assert pool.submit(n_prediction_threads, None).result() == 1


@pytest.mark.parametrize("in_main", [True, False])
def test_an_error_ends_all_threads(net, data, monkeypatch, in_main):
    calls = []

    def fail():
        calls.append(1)
        time.sleep(0.01)
        if (threading.get_ident() == MAIN) == in_main:
            raise ZeroDivisionError

    _instead_of_scores(monkeypatch, fail)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        net.set_params(n_jobs=2).predict(data[0])
    assert threading.active_count() == before
    assert len(calls) <= 4  # of 40
    monkeypatch.undo()
    assert np.isfinite(net.predict(data[0])).all()


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process")
def test_an_interrupt_ends_all_threads(net, data, monkeypatch):
    calls = itertools.count()

    def interrupt():
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    _instead_of_scores(monkeypatch, interrupt)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        net.set_params(n_jobs=2).predict(data[0])
    assert threading.active_count() == before
    assert next(calls) < 10  # of 40


def test_an_interrupt_ends_a_thread_that_has_just_begun(net, data, monkeypatch):
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    _instead_of_scores(monkeypatch, lambda: time.sleep(0.2))
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        net.set_params(n_jobs=2).predict(data[0])
    assert threading.active_count() == before


# what a thread pool refuses
AT_THE_END = """
import atexit, threading
import numpy as np
from sknn_iitb._engine.network import CHUNK
from sknn_iitb.tabular import TabularMLPRegressor, encoder

X = np.random.default_rng(0).normal(size=(5000, 3))
net = TabularMLPRegressor(hidden_layer_sizes=8, max_iter=1, n_jobs=2, random_state=0)
expected = net.fit(X[:200], X[:200, 0]).predict(X)

def fit_and_predict(where):
    if where == "after main":
        threading.main_thread().join(1)
    print(where, np.array_equal(net.fit(X[:200], X[:200, 0]).predict(X), expected))

atexit.register(fit_and_predict, "at exit")
threading.Thread(target=fit_and_predict, args=["after main"]).start()
"""


def test_fit_and_predict_work_while_the_interpreter_ends():
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["after main True", "at exit True"], done.stderr
