"""The scores of all members for the rows of an encoded table, in threads."""

import multiprocessing
import threading
from itertools import product

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from sknn_iitb._engine.network import CHUNK
from sknn_iitb._jit.blas import BLASThreads, available_threads
from sknn_iitb.tabular._threads import in_threads

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
    chunk_rows = 1 if row_by_row else CHUNK

    def compute(task):
        k, rows = task
        scores[k][rows] = members[k].scores(Z[rows], chunk_rows)

    with BLASThreads(1):
        in_threads(compute, product(range(len(members)), gen_batches(len(Z), _ROWS)), n_threads)
    return scores
