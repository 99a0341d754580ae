"""The number of BLAS threads while kernels run: one, unless the user asks for more.

A second OpenBLAS thread slows down the small products of most networks, and makes them up to a hundred times slower
where another process needs the core. The limit belongs to the whole process. So everything that runs within a limit is
registered; the smallest number counts, and what was set before returns with the last one out.
"""

import os
import threading
import weakref

import scipy.linalg.cython_blas  # noqa: F401  the BLAS that numba calls; a limit set before it is loaded misses it
from threadpoolctl import ThreadpoolController

__all__ = ["BLASThreads"]

# reentrant, as the garbage collector may call `_expire` while this thread holds it
_lock = threading.RLock()
_libraries = None
_limits = {}  # id of each limit in force -> number of threads, weak reference that calls `_expire`
_before = None  # the libraries with their own numbers of threads, while a limit is in force


def _set(library, n_threads):
    # threadpoolctl 3.8 lets only the thread that first set a limit set another, and ignores the last one out
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


def _apply():
    """Make the libraries agree with `_limits`; called again, it completes what an interrupt cut short."""
    global _libraries, _before
    limit = min((n_threads for n_threads, _ in _limits.values()), default=None)
    if _before is None:
        if limit is None:
            return
        if _libraries is None:  # takes about a millisecond
            _libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        _before = [(library, library.num_threads) for library in _libraries]
    for library, n_threads in _before:
        wanted = n_threads if limit is None else limit
        if library.num_threads != wanted:
            _set(library, wanted)
    if limit is None:
        _before = None


def _expire(reference):
    """Lift the limits whose objects are gone, as an interrupt kept `__exit__` from doing it."""
    with _lock:
        for key in [key for key, (_, each) in _limits.items() if each() is None]:
            del _limits[key]
        _apply()


class BLASThreads:
    """Limit BLAS to so many threads within a ``with`` block.

    An interrupt may arrive at any point, within these methods too. An `__exit__` that is cut short tries again, and one
    that is cut short before it begins is made up for when the object is freed, along with the traceback.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads):
        self._n_threads = n_threads

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
    """After a fork, the threads that held limits, and perhaps the lock, are gone."""
    global _lock
    _lock = threading.RLock()
    _limits.clear()
    _apply()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
