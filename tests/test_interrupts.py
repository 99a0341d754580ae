"""Ctrl-C: training ends within a second, keeps the trained networks, and leaves nothing running."""

import _thread
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from sknn_iitb import MLPRegressor
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor, _member_run, _training

pytestmark = pytest.mark.newest

BOTH = pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
N_JOBS = pytest.mark.parametrize("n_jobs", [None, 2])


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(4000, 20))
    return X, (X[:, 0] > 0).astype(int)


def press_after_first(monkeypatch, module):
    """Press Ctrl-C once, soon after a network of this module has been trained for the first time.

    Times are processor times, because other processes compete for the cores. Returns a list that will hold the time.
    """
    function, returned, pressed = module.train_network, threading.Event(), []

    def reports(*arguments):
        result = function(*arguments)
        returned.set()
        return result

    def press():
        returned.wait()
        begin = time.process_time()
        while time.process_time() < begin + 0.1:
            time.sleep(0.01)
        pressed.append(time.process_time())
        _thread.interrupt_main()

    monkeypatch.setattr(module, "train_network", reports)
    threading.Thread(target=press, daemon=True).start()
    return pressed


def is_idle():
    """Whether no thread of this process is computing."""
    before = time.process_time()
    time.sleep(0.3)
    return time.process_time() - before < 0.1


@BOTH
@N_JOBS
def test_interrupted_ensemble_keeps_its_trained_networks(cls, n_jobs, data, monkeypatch):
    net = cls(preset="best", n_jobs=n_jobs, random_state=0)
    pressed = press_after_first(monkeypatch, _member_run)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\. \d+ of 20 networks are kept\.") as warned:
        net.fit(*data)
    assert time.process_time() - pressed[0] < 1
    assert warned[0].filename == __file__
    assert 1 <= len(net.members_) < 20
    assert net.score(*data) > 0.5
    assert is_idle()


@N_JOBS
def test_quantiles_without_a_trained_network_raise(n_jobs, data, monkeypatch):
    net = TabularMLPRegressor(preset="best", quantiles=[0.1, 0.9], n_jobs=n_jobs)
    pressed = press_after_first(monkeypatch, _member_run)
    with pytest.warns(UserWarning, match="of 40 networks are kept"):
        net.fit(*data)
    assert time.process_time() - pressed[0] < 1
    assert net.predict(data[0]).shape == (4000,)
    with pytest.raises(ValueError, match="interrupted before a member for `quantiles`"):
        net.predict_quantiles(data[0])


@BOTH
@N_JOBS
def test_interrupt_before_any_network_propagates_and_leaves_the_estimator_unchanged(cls, n_jobs, data, monkeypatch):
    net = cls(preset="fast", max_iter=2, n_jobs=n_jobs, random_state=0).fit(*data)
    before = net.predict(data[0])

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_member_run, "train_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data)
    np.testing.assert_array_equal(net.predict(data[0]), before)


@BOTH
@N_JOBS
def test_interrupted_partial_fit_leaves_a_usable_estimator(cls, n_jobs, monkeypatch):
    X = np.random.default_rng(0).normal(size=(60_000, 20))
    y = (X[:, 0] > 0).astype(int)
    net = cls(preset="best", n_jobs=n_jobs, max_iter=1, random_state=0).fit(X[:2000], y[:2000])
    n_members = len(net.partial_fit(X[:2000], y[:2000]).members_)
    pressed = press_after_first(monkeypatch, _training)
    with pytest.warns(UserWarning, match="interrupted by user"):
        net.partial_fit(X, y)
    assert time.process_time() - pressed[0] < 1
    assert len(net.members_) == n_members >= 20
    assert np.isfinite(net.predict(X[:100])).all()
    assert is_idle()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_failing_member_stops_the_others(data, monkeypatch):
    def fails(*arguments):
        raise ValueError("fails")

    monkeypatch.setattr(_member_run, "train_network", fails)
    with pytest.raises(ValueError, match="fails"):
        TabularMLPClassifier(preset="best", n_jobs=2).fit(*data)
    assert is_idle()


# Interrupts fits at random moments, and checks what each leaves. Prints the longest time from the signal to the end of
# a fit, how many fits kept trained weights, and the share of a core that the process still uses in the end.
_INTERRUPTED = """
import json, random, signal, time, warnings
import numpy as np
from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

def press(number, frame):
    global pressed
    pressed = time.perf_counter()
    raise KeyboardInterrupt

def parameters():
    return np.concatenate([each.theta for each in net.members_] if hasattr(net, "members_") else [net.parameters_])

rng = np.random.default_rng(0)
X = rng.normal(size={shape})
y = X[:, 0] > 0
net = {net}
forever = net.get_params()
warnings.simplefilter("ignore")
net.set_params(max_iter=1, **dict(n_estimators=2) if hasattr(net, "n_estimators") else dict()).fit(X, y).predict(X)
net.set_params(**forever)
signal.signal(signal.SIGALRM, press)
random.seed(0)
longest, n_kept = 0, 0
for _ in range({n}):
    before = parameters()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.01, {latest}))
        try:
            net.fit(X, y)
            kept = True
        except KeyboardInterrupt:  # before the first weights: the fit before is intact
            kept = False
            assert (parameters() == before).all()
        longest = max(longest, time.perf_counter() - pressed)
    assert kept == any("interrupted by user" in str(each.message) for each in caught), [*caught]
    n_kept += kept
    assert np.isfinite(parameters()).all()
    assert len(net.predict(X)) == len(X)
time.sleep(0.5)
before = time.process_time()
time.sleep(1)
print(json.dumps([longest, n_kept, time.process_time() - before]))
"""
_FOREVER = "max_iter=10**7, tol=0, n_iter_no_change=np.inf, random_state=0"


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("n", [8, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shape", "net"),
    [
        ((600, 20), f"MLPClassifier(n_threads=2, solver='lbfgs', max_fun=10**9, {_FOREVER})"),
        ((600, 20), f"MLPRegressor(n_threads=4, {_FOREVER})"),
        ((20_000, 50), f"MLPClassifier(n_threads=2, batch_size='full', {_FOREVER})"),
        ((600, 20), "TabularMLPClassifier(n_estimators=1000, n_jobs=2)"),
        pytest.param((600, 20), "TabularMLPRegressor(n_estimators=1000)", marks=pytest.mark.slow),
    ],
    ids=["lbfgs", "adam", "full", "tabular classifier", "tabular regressor"],
)
def test_interrupts_at_random_moments(shape, net, n):
    latest = 1.0 if net.startswith("Tabular") else 0.05  # a network of an ensemble takes a fraction of a second
    script = _INTERRUPTED.format(shape=shape, net=net, n=n, latest=latest)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    longest, n_kept, still_used = json.loads(done.stdout)
    assert longest < 1
    assert n_kept > n / 4
    assert still_used < 0.1


# interrupts the first compilations of a process at random moments, then prints the prediction of a fit
_WHILE_COMPILING = """
import random, signal, sys, time, warnings
import numpy as np
from sknn_iitb import MLPRegressor

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(50, 3))
net = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
signal.signal(signal.SIGALRM, signal.default_int_handler)
random.seed(int(sys.argv[1]))
for _ in range(40):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.2))
        try:
            net.fit(X, X[:, 0])
            net.predict(X)
        finally:  # inside, because an interrupt may come here too
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
print(net.fit(X, X[:, 0]).predict(X[:1])[0].hex())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("n", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_interrupts_during_compilation_or_loading_do_no_harm(n, tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 3))
    net = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = net.fit(X, X[:, 0]).predict(X[:1])[0].hex()
    for seed in range(n):
        for _ in range(2):  # first compiles, then loads
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / str(seed))}
            command = [sys.executable, "-c", _WHILE_COMPILING, str(seed)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
            assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
