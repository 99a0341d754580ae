"""One BLAS thread while kernels run.

A second OpenBLAS thread makes the small products of a network slower, and up to a hundred times slower where another
process wants the core. The limit belongs to the process, so what several Python threads ask for is counted: the first
one in sets it, the last one out restores what was there.
"""

import os
import threading
from contextlib import contextmanager

import scipy.linalg.cython_blas  # noqa: F401  the BLAS that numba calls; a limit set before it is loaded misses it
from threadpoolctl import ThreadpoolController

__all__ = ["single_threaded"]

_lock = threading.Lock()
_libraries = None
_users = 0
_restore = []


def _begin_in_child():
    """After a fork the threads that were within are not there, and may have held the lock."""
    global _lock, _users
    _lock = threading.Lock()
    if _users:
        _users = 0
        _restore_limits()


def _set(library, n_threads):
    # threadpoolctl 3.8 lets only the thread that first set a limit set another, and ignores the last one out
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


def _restore_limits():
    for library, n_threads in _restore:
        if n_threads != 1:
            _set(library, n_threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


@contextmanager
def single_threaded():
    """Limit BLAS to one thread within the block."""
    global _libraries, _users
    with _lock:
        if _libraries is None:  # takes about a millisecond
            _libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        if _users == 0:
            _restore[:] = [(library, library.num_threads) for library in _libraries]
            for library, n_threads in _restore:
                if n_threads != 1:
                    _set(library, 1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore_limits()
