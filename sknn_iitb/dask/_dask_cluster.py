"""A Dask cluster: where tasks run, and what happens when its workers are lost."""

import asyncio
import concurrent.futures
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic, sleep
from typing import Any

import dask
import numpy as np
from distributed import CancelledError, futures_of, get_client, wait
from distributed.scheduler import KilledWorker
from distributed.threadpoolexecutor import thread_state

from sknn_iitb.dask._cluster import Cluster, WorkersLostError, tree

__all__ = ["DaskCluster", "as_cluster", "as_dask_cluster"]

# Seconds without any worker after which training gives up; those that restart, as under a nanny, are back earlier.
_PATIENCE = 30.0
# Seconds in which no worker runs a task although a round is not done, after which training gives up: transfers may take
# long, but otherwise Dask has lost a message, or the workers are short of memory and have paused.
_LONGEST_IDLE = 300.0
_SECONDS_BETWEEN_CHECKS = 1.0
_SECONDS_FOR_ANSWER = 10.0
# Beginnings of a round; all workers are lost each time if a task kills them.
_ATTEMPTS = 4
_SECONDS_FOR_OTHERS = 10.0  # from the first worker that comes back to the last


def as_cluster(client: Any) -> Cluster:
    """The cluster of a Dask client, None for the current one, or a Cluster itself.

    Raises
    ------
    ValueError
        If there is no client, or it cannot be used.
    """
    return client if hasattr(client, "map_reduce") else as_dask_cluster(client)


def as_dask_cluster(client: Any) -> "DaskCluster":
    """The cluster of a Dask client, None for the current one; raises as :func:`as_cluster`."""
    if client is None:
        try:
            client = get_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client. Connect to a cluster with distributed.Client(), or pass one as client."
            ) from error
    if getattr(thread_state, "proceed", False):  # it occupies a thread of the cluster, for which its tasks would wait
        raise ValueError(
            "A Dask estimator cannot be fitted within a task of Dask, as in a search under parallel_config('dask'). "
            "Run the search in this process, with n_jobs=None, or fit within distributed.worker_client()."
        )
    if client.asynchronous:
        raise ValueError("client is asynchronous, but fit is not; pass a Client without asynchronous=True.")
    if client.status != "running":
        raise ValueError(f"client={client!r} is not connected to a scheduler; its status is {client.status!r}.")
    return DaskCluster(client)


class _Handle:
    """A future, or a list of them, on a worker.

    Parameters
    ----------
    worker : str
    make : callable
        ``make(worker)`` returns what it stands for, which prefers this worker.
    parent : _Handle, optional
        What that depends on.
    """

    def __init__(self, worker, make, parent=None):
        self.worker, self._make, self._parent = worker, make, parent
        self.value = make(worker)

    def made(self):
        """All futures that have been made for it."""
        return [self.value, *(self._parent.made() if self._parent else [])]

    def move(self, worker):
        """Make it again on another worker."""
        if self._parent is not None:
            self._parent.move(worker)
        self.worker, self.value = worker, self._make(worker)


class _InMemory(_Handle):
    """Futures of the user, which have no preference and belong to others too."""

    def __init__(self, worker, futures):
        super().__init__(worker, lambda worker: futures)

    def made(self):
        return []


class _AllReplacedError(Exception):
    """The workers are others than those that tasks prefer.

    While there was no worker, Dask has put aside the tasks with a preference, and does not come back to them.
    """


class DaskCluster:
    """A Dask cluster.

    Tasks prefer the worker that has their shard. If it is lost, Dask runs them on another and computes the shard again
    from the partitions.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client):
        self._client = client

    def n_threads(self):
        """Number of threads of all workers."""
        return sum(self._client.nthreads().values())

    def scatter(self, partitions):
        """Load the partitions: those in memory where Dask prefers, mostly where they are, the others on all threads."""
        n_threads = self._client.nthreads()
        if not n_threads:
            raise WorkersLostError("The cluster has no workers.")
        workers = sorted(n_threads)
        if not futures_of(partitions):
            slots = [worker for worker in workers for _ in range(n_threads[worker])]
            blocks = [block for block in np.array_split(np.arange(len(partitions)), len(slots)) if len(block)]
            return [
                _Handle(worker, partial(self._compute, [partitions[i] for i in block]))
                for block, worker in zip(blocks, slots, strict=False)
            ]
        futures = self._client.compute(partitions)
        self._wait(futures)
        holders = self._client.who_has(futures)
        groups = {worker: [] for worker in workers}
        for number, future in enumerate(futures):
            found = [worker for worker in holders.get(future.key, ()) if worker in groups]
            groups[found[0] if found else workers[number % len(workers)]].append((number, future))
        handles = []
        for worker, group in groups.items():
            for block in np.array_split(np.arange(len(group)), n_threads[worker]):
                if len(block):
                    handles.append((group[block[0]][0], _InMemory(worker, [group[i][1] for i in block])))
        return [handle for _, handle in sorted(handles, key=lambda pair: pair[0])]

    def _compute(self, partitions, worker):
        return self._client.compute(partitions, workers=[worker], allow_other_workers=True)

    def place(self, build, handles, argument):
        """Build a value beside each value."""
        given = self.broadcast(argument)

        def make(number, handle, worker):
            return self._submit(build, number, handle.value, given, worker=worker)

        return [_Handle(handle.worker, partial(make, number, handle), handle) for number, handle in enumerate(handles)]

    def map_reduce(self, function, handles, argument, combine):
        """Broadcast, call and reduce; what has been submitted is cancelled if this is interrupted."""
        for _ in range(_ATTEMPTS):
            with suppress(_AllReplacedError):
                return self._round(function, handles, argument, combine)
            self._move(handles)
        raise WorkersLostError(f"The cluster lost all workers {_ATTEMPTS} times in a round. {self._advice()}")

    def _move(self, handles):
        """Share out the handles among the workers that have come instead of those that were lost."""
        wanted, end = len({handle.worker for handle in handles}), monotonic() + _SECONDS_FOR_OTHERS
        while len(n_threads := self._client.nthreads()) < wanted and monotonic() < end:
            sleep(_SECONDS_BETWEEN_CHECKS)
        slots = [worker for worker in sorted(n_threads) for _ in range(n_threads[worker])]
        if not slots:
            raise WorkersLostError(f"The cluster has no workers. {self._advice()}")
        # Dask would keep the preference of a task that it knows
        self._client.cancel([handle.made() for handle in handles])
        for k, handle in enumerate(handles):
            handle.move(slots[k * len(slots) // len(handles)])

    def _round(self, function, handles, argument, combine):
        futures = []

        def submit(*task, **options):
            futures.append(self._submit(*task, **options))
            return futures[-1]

        with self._cancelled_on_error(futures):
            given = self.broadcast(argument)
            found = [submit(function, handle.value, given, worker=handle.worker) for handle in handles]
            preferred = {handle.worker for handle in handles}
            return self._result(tree(lambda few: submit(combine, few), found), preferred=preferred)

    def call(self, function, *arguments, check):
        """Call a function on any worker; ``check()`` is called while this waits, and may raise."""
        futures = []
        with self._cancelled_on_error(futures):
            futures.append(self._submit(function, *arguments))
            return self._result(futures[0], check)

    @contextmanager
    def _cancelled_on_error(self, futures):
        try:
            yield
        except BaseException as error:
            # an OSError may be that of a lost connection, or of a task, such as a file that is missing
            is_of_task = any(future.status == "error" for future in futures)
            if isinstance(error, (CancelledError, KilledWorker)) or (isinstance(error, OSError) and not is_of_task):
                raise WorkersLostError(
                    f"The cluster lost the tasks of this round: {type(error).__name__}: {error}. {self._advice()}"
                ) from error
            if self._client.status == "running":
                self._client.cancel(futures)
            raise

    def broadcast(self, value):
        """A task that returns the value: the scheduler can run it again, and workers copy it from each other."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self._submit(_identity, value)

    def _submit(self, function, *arguments, worker=None):
        preferred = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        return self._client.submit(function, *arguments, pure=False, **preferred)

    def _wait(self, futures, check=lambda: None, preferred=None):
        """Wait for futures; raise the error of one that has failed."""

        def done(seconds):
            with self._client.as_current(), suppress(TimeoutError):
                wait(futures, timeout=seconds)
                return True
            return False

        self._until(done, check, preferred)
        for future in futures:
            if future.status in ("error", "cancelled"):
                future.result()  # raises

    def _result(self, future, check=lambda: None, preferred=None):
        """The result of a task, or its error."""
        # Cancelled while it waits for a task, a transfer leaves an asyncio task with an error that nobody retrieves.
        self._wait([future], check, preferred)
        # Dask would wait without end for a result that is lost on the way
        transfer = asyncio.run_coroutine_threadsafe(
            self._client.gather(future, asynchronous=True), self._client.loop.asyncio_loop
        )
        try:
            self._until(lambda seconds: concurrent.futures.wait([transfer], seconds).done, check, preferred)
            return transfer.result()
        finally:
            transfer.cancel()

    def _until(self, done, check=lambda: None, preferred=None):
        """Call ``done(seconds)`` until it is true; raise WorkersLostError if nobody computes anything.

        If none of the workers that are `preferred` is left, but there are others, raise _AllReplacedError.
        """
        had_workers = ran = asked = monotonic()
        while not done(_SECONDS_BETWEEN_CHECKS):
            check()
            now = monotonic()
            workers = self._ask("ncores")
            if workers != {}:
                had_workers = now
            if workers and preferred and preferred.isdisjoint(workers):
                raise _AllReplacedError
            if now - asked >= _LONGEST_IDLE / 10:
                asked = now
                if self._ask("call_stack"):
                    ran = now
            for since, longest, what in (
                (had_workers, _PATIENCE, "had no workers"),
                (ran, _LONGEST_IDLE, "run no task"),
            ):
                if now - since >= longest:
                    raise WorkersLostError(f"The cluster has {what} for {longest:g} seconds. {self._advice()}")

    def _ask(self, what):
        """What the scheduler answers, by worker; None if there is no answer, as from a worker that has just died."""
        if self._client.status != "running":
            return {}
        answer = asyncio.run_coroutine_threadsafe(
            getattr(self._client.scheduler, what)(), self._client.loop.asyncio_loop
        )
        try:
            return answer.result(_SECONDS_FOR_ANSWER)
        except (OSError, concurrent.futures.CancelledError):  # TimeoutError is an OSError
            return None
        finally:
            answer.cancel()

    def _advice(self):
        return "The estimator has the weights of the last completed round, if there was one."


def _identity(value):
    return value
