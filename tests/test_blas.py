"""The limit on BLAS threads: it nests, holds for all Python threads, and always ends."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine.objective import Objective
from sknn_iitb._jit import blas
from sknn_iitb._jit.blas import BLASThreads, available_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def blas_threads():
    """Set BLAS to two threads; return a function that tells the number of threads of each BLAS library."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(2)
    if {library.num_threads for library in libraries} != {2}:
        pytest.skip("no BLAS library whose threads can be set")
    yield lambda: {library.num_threads for library in libraries}
    for library, n_threads in zip(libraries, before, strict=True):
        library.set_num_threads(n_threads)


def test_blas_limit_nests_and_is_lifted_at_the_end(blas_threads):
    with BLASThreads(1):
        assert blas_threads() == {1}
        with BLASThreads(1):
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_available_threads_are_those_outside_of_all_limits(blas_threads):
    before = available_threads()
    assert before == max(blas_threads())
    with BLASThreads(1):
        assert available_threads() == before
    with threadpool_limits(3, "blas"):
        assert available_threads() == 3


def test_blas_limit_is_lifted_after_an_exception(blas_threads):
    with pytest.raises(KeyboardInterrupt), BLASThreads(1):
        raise KeyboardInterrupt
    assert blas_threads() == {2}


def test_blas_limit_holds_until_the_last_thread_is_done(blas_threads):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with BLASThreads(1):
            entered.set()
            leave.wait(60)

    other = threading.Thread(target=hold)
    with BLASThreads(1):
        other.start()
        assert entered.wait(60)
    assert blas_threads() == {1}
    leave.set()
    other.join()
    assert blas_threads() == {2}


def test_blas_limit_overrides_what_another_thread_has_set(blas_threads):
    # the fixture has set the number in this thread, as a user does with threadpool_limits
    def limited():
        with BLASThreads(1):
            return blas_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited).result() == {1}
    assert blas_threads() == {2}


def test_training_uses_one_blas_thread_and_restores_the_others(blas_threads, cancer):
    seen = []

    def constant(step, n_steps):
        seen.append(blas_threads())
        return np.ones(len(step))

    X, y = cancer
    net = MLPClassifier((5,), learning_rate=constant, max_iter=2).fit(X, y)
    assert seen[0] == {1}
    assert blas_threads() == {2}
    net.set_params(solver="lbfgs", learning_rate="constant").fit(X, y)
    assert blas_threads() == {2}
    net.predict(X)
    assert blas_threads() == {2}
    net.loss_and_gradient(X, y)
    assert blas_threads() == {2}


def test_failed_fit_restores_the_blas_threads(blas_threads, diabetes):
    def broken(step, n_steps):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        MLPRegressor(hidden_layer_sizes=(5,), learning_rate=broken).fit(*diabetes)
    assert blas_threads() == {2}
    with pytest.raises(ValueError, match="diverged"):
        MLPRegressor(hidden_layer_sizes=(5,), solver="sgd", learning_rate_init=1e30).fit(*diabetes)
    assert blas_threads() == {2}


def test_smallest_of_several_limits_applies(blas_threads):
    with BLASThreads(3):
        assert blas_threads() == {3}
        with BLASThreads(1):
            assert blas_threads() == {1}
        assert blas_threads() == {3}
    assert blas_threads() == {2}


@pytest.mark.parametrize(("solver", "method"), [("adam", "train"), ("lbfgs", "evaluate")])
def test_n_threads_sets_the_number_of_blas_threads_in_training(blas_threads, monkeypatch, cancer, solver, method):
    seen, original = set(), getattr(Objective, method)

    def record(*arguments):
        seen.update(blas_threads())
        return original(*arguments)

    monkeypatch.setattr(Objective, method, record)
    MLPClassifier((5,), solver=solver, max_iter=2, n_threads=3).fit(*cancer)
    assert seen == {3}
    assert blas_threads() == {2}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_n_threads_changes_results_only_by_rounding_and_reproducibly(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 300)), rng.normal(size=1000)
    net = MLPRegressor(hidden_layer_sizes=(300, 300), batch_size=500, max_iter=3, random_state=0, dtype=dtype)
    one, two, again = (net.set_params(n_threads=n).fit(X, y).parameters_.copy() for n in (1, 2, 2))
    np.testing.assert_allclose(two, one, **({"rtol": 1e-10, "atol": 1e-12} if dtype == "float64" else {"atol": 1e-4}))
    np.testing.assert_array_equal(two, again)


def test_interrupted_exit_is_completed(blas_threads, monkeypatch):
    interrupts, set_threads = [KeyboardInterrupt], blas._set

    def set_or_interrupt(library, n_threads):
        if n_threads == 2 and interrupts:
            raise interrupts.pop()
        set_threads(library, n_threads)

    monkeypatch.setattr(blas, "_set", set_or_interrupt)
    with pytest.raises(KeyboardInterrupt), BLASThreads(1):
        pass
    assert not interrupts
    assert blas_threads() == {2}


def test_interrupted_entry_leaves_no_limit(blas_threads, monkeypatch):
    interrupts, set_threads = [KeyboardInterrupt], blas._set

    def set_then_interrupt(library, n_threads):
        set_threads(library, n_threads)
        if interrupts:
            raise interrupts.pop()

    monkeypatch.setattr(blas, "_set", set_then_interrupt)
    with pytest.raises(KeyboardInterrupt), BLASThreads(1):
        pass
    assert blas_threads() == {2}


# repeats {statement}, interrupted at random moments, and prints how often a limit was left
_INTERRUPTED = """
import random, signal, warnings
import numpy as np
from threadpoolctl import ThreadpoolController
from sknn_iitb import MLPRegressor

warnings.simplefilter("ignore")
libraries = ThreadpoolController().select(user_api="blas").lib_controllers
for library in libraries:
    library.set_num_threads(2)
if {{library.num_threads for library in libraries}} != {{2}}:
    raise SystemExit("0 left")
X = np.random.default_rng(0).normal(size=(20, 3))
net = MLPRegressor(hidden_layer_sizes=(3,), max_iter=3).fit(X, X[:, 0])
net.predict(X)
signal.signal(signal.SIGALRM, signal.default_int_handler)
random.seed(0)
left = 0
for _ in range({n}):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 2e-3))
        try:
            while signal.getitimer(signal.ITIMER_REAL)[0] > 0:
                {statement}
        finally:  # inside, because an interrupt may come here too
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    try:
        found = {{library.num_threads for library in libraries}}
    except KeyboardInterrupt:  # from a signal that another thread has received, late
        found = {{library.num_threads for library in libraries}}
    left += found != {{2}}
print(left, "left")
"""


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("statement", ["net.predict(X)", "net.fit(X, X[:, 0])"])
def test_interrupts_at_random_moments_leave_no_limit(statement):
    script = _INTERRUPTED.format(statement=statement, n=1000)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "0 left"
