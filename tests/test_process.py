"""State of the process: forks while threads train, and the processor's treatment of denormals."""

import multiprocessing
import os
import threading

import numpy as np
import pytest

from sknn_iitb import MLPClassifier
from sknn_iitb._jit import blas, compilation, intrinsics

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
# the tests fork a process with threads on purpose
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _in_child(function):
    """The result of a forked child, which must arrive within a minute."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writer.send(function()))
    child.start()
    try:
        assert reader.poll(60), "the child hangs"
        return reader.recv()
    finally:
        child.kill()
        child.join()


@needs_fork
def test_child_forked_while_a_thread_compiles_can_compile(cancer):
    X, y = cancer
    compiles, ends = threading.Event(), threading.Event()

    def compiling():
        with compilation._lock:
            compiles.set()
            ends.wait(0.5)

    other = threading.Thread(target=compiling)
    other.start()
    assert compiles.wait(60)
    assert _in_child(lambda: MLPClassifier((3,), max_iter=1, learning_rate="linear").fit(X, y).n_iter_) == 1
    ends.set()
    other.join()


@needs_fork
def test_child_forked_while_a_thread_trains_has_all_blas_threads(monkeypatch):
    libraries = blas.ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]
    entered, leave = threading.Event(), threading.Event()

    def training():
        with blas.BLASThreads(1):
            entered.set()
            leave.wait(60)

    def threads():
        inside = len(blas._limits)
        with blas.BLASThreads(1):
            limited = {library.num_threads for library in libraries}
        return inside, limited, [library.num_threads for library in libraries]

    for library in libraries:
        library.set_num_threads(2)
    wanted = [library.num_threads for library in libraries]
    other = threading.Thread(target=training)
    try:
        other.start()
        assert entered.wait(60)
        assert _in_child(threads) == (0, {1}, wanted)
    finally:
        leave.set()
        other.join()
        for library, n_threads in zip(libraries, before, strict=True):
            library.set_num_threads(n_threads)


@pytest.mark.skipif(not intrinsics._FLUSHES, reason="unknown control register of the processor")
@pytest.mark.parametrize("flushes", [False, True])
def test_error_in_training_restores_the_treatment_of_denormals(flushes, cancer):
    X, y = cancer

    def refuses(z):
        if z > 1e-9:
            raise ValueError("refused")
        return z, 1.0

    usual = 0x1F80  # the initial value of the register
    small = np.full(1, 1e-310)
    try:
        intrinsics.reset_denormals(usual | intrinsics._FLUSH if flushes else usual)
        with pytest.raises(ValueError, match="refused"):
            MLPClassifier((3,), activation=refuses).fit(X, y)
        assert bool((small * 1.0)[0] == 0) == flushes
    finally:
        intrinsics.reset_denormals(usual)
