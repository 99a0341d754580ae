"""The scores of all members for the rows of an encoded table, in threads."""

import multiprocessing
import threading
from collections import deque
from contextvars import copy_context
from itertools import product

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from sknn_iitb._engine.network import CHUNK
from sknn_iitb._jit.blas import BLASThreads, available_threads

__all__ = ["n_prediction_threads", "scores_of"]

# A thread predicts so many rows at a time, for one member: Ctrl-C waits for them.
_ROWS = 2 * CHUNK


def n_prediction_threads(n_jobs):
    """The number of threads for `n_jobs` of an estimator.

    If it is None, and joblib's context does not say otherwise, that of BLAS, as for scikit-learn's networks. But one in
    a thread or process that somebody has started: others are probably at work beside it.
    """
    n_threads = effective_n_jobs(n_jobs)
    is_alone = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    return available_threads() if n_jobs is None and n_threads == 1 and is_alone else n_threads


def scores_of(members, Z, row_by_row, n_threads):
    """The calibrated scores of each member.

    Parameters
    ----------
    members : list of Member
    Z : ndarray of shape (n_rows, n_columns)
        An encoded table. Scores are computed in its dtype.
    row_by_row : bool
        Whether the scores of a row must not depend on its place among the others, not even in the last digit. It takes
        two to four times as long.
    n_threads : int
        They do not change the scores.

    Returns
    -------
    scores : list of ndarray of shape (n_rows, n_outputs)
    """
    scores = [np.empty((len(Z), member.network.units[-1]), Z.dtype) for member in members]
    tasks = deque(product(range(len(members)), gen_batches(len(Z), _ROWS)))
    chunk_rows, failures = 1 if row_by_row else CHUNK, []

    def work():
        try:
            while tasks:
                try:
                    k, rows = tasks.popleft()
                except IndexError:  # another thread was faster
                    return
                scores[k][rows] = members[k].scores(Z[rows], chunk_rows)
        except BaseException as failure:
            tasks.clear()
            failures.append(failure)

    # not a ThreadPoolExecutor, which starts no threads after the main thread has ended and waits for all tasks on
    # Ctrl-C, and not joblib's Parallel, which looks at its threads every 10 ms
    threads = []
    with BLASThreads(1):
        try:
            for _ in range(min(n_threads, len(tasks)) - 1):
                thread = threading.Thread(target=copy_context().run, args=[work], daemon=True)
                thread.start()
                threads.append(thread)
        except RuntimeError:  # the interpreter is about to end
            pass
        try:
            work()
            for thread in threads:
                thread.join()
        except BaseException:  # an interrupt of `join`: the others end with their present tasks
            tasks.clear()
            for thread in threads:
                thread.join()
            raise
    if failures:
        raise failures[0]
    return scores
