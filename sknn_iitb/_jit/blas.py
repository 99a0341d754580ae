"""The number of BLAS threads while kernels run: one, unless the user asks for more.

A second OpenBLAS thread slows down the small products of most networks, by up to a hundred times when another process
needs the core. The limit applies to the whole process, so active limits are registered. The smallest one wins, and the
original number of threads is restored when the last one ends.
"""

import os
import threading
import weakref

import scipy.linalg.cython_blas  # noqa: F401  loads the BLAS that Numba calls; a limit set earlier would miss it
from threadpoolctl import ThreadpoolController

__all__ = ["BLASThreads", "available_threads"]

# the libraries take the number as an int of C
_MOST = 2**31 - 1

# reentrant, because the garbage collector may call `_expire` while this thread holds it
_lock = threading.RLock()
_libraries = None
_limits = {}  # id of each active limit -> number of threads, weak reference that calls `_expire`
_before = None  # while a limit is active: the libraries with their original numbers of threads


def _set(library, n_threads):
    # threadpoolctl 3.8 ignores calls from any thread but the first one, even to lift the last limit
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


def _present():
    """The libraries with their numbers of threads."""
    global _libraries
    if _libraries is None:  # takes about a millisecond
        _libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return [(library, library.num_threads) for library in _libraries]


def available_threads():
    """The number of threads that BLAS may use without the limits of this module: that of the processors by default.

    Users and joblib's worker processes restrict it by environment variables and with threadpoolctl.
    """
    with _lock:
        return max((n_threads for _, n_threads in _before or _present()), default=1)


def _apply():
    """Apply `_limits` to the libraries; a second call completes an interrupted one."""
    global _before
    limit = min((n_threads for n_threads, _ in _limits.values()), default=None)
    if _before is None:
        if limit is None:
            return
        _before = _present()
    for library, n_threads in _before:
        wanted = n_threads if limit is None else limit
        if library.num_threads != wanted:
            _set(library, wanted)
    if limit is None:
        _before = None


def _expire(reference):
    """Lift limits whose objects are gone because an interrupt kept `__exit__` from running."""
    with _lock:
        for key in [key for key, (_, each) in _limits.items() if each() is None]:
            del _limits[key]
        _apply()


class BLASThreads:
    """Limit BLAS to `n_threads` threads within a ``with`` block.

    An interrupt may arrive at any point, even in these methods. An interrupted `__exit__` tries again. If the interrupt
    comes before `__exit__` begins, the limit is lifted when the object is freed along with the traceback.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads):
        self._n_threads = min(n_threads, _MOST)

    def __enter__(self):
        try:
            with _lock:
                _limits[id(self)] = self._n_threads, weakref.ref(self, _expire)
                _apply()
        except BaseException:
            self._release()
            raise

    def __exit__(self, *exception):
        try:
            self._release()
        except BaseException:
            self._release()
            raise

    def _release(self):
        with _lock:
            _limits.pop(id(self), None)
            _apply()


def _begin_in_child():
    """Start afresh after a fork: the threads that held limits, and perhaps the lock, do not exist in the child."""
    global _lock
    _lock = threading.RLock()
    _limits.clear()
    _apply()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
