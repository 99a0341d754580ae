"""The two things that training asks of a cluster: keep shards on its workers, and reduce what they compute."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import dask
import numpy as np
from dask.local import get_sync

__all__ = ["Cluster", "SerialCluster", "WorkersLostError", "tree"]

# Results that a task of the reduction merges: with more, it waits for the sum of its transfers; with fewer, the tree
# has more levels, each with the latency of a task.
FAN_IN = 8


class WorkersLostError(RuntimeError):
    """All workers of the cluster were lost, or run nothing, or its tasks were cancelled.

    The estimator has the weights of the last completed round, if there was one.
    """


class Cluster(Protocol):
    """What training needs of a cluster.

    Pass an object with these methods as `client` to train on another engine than Dask. A handle is whatever the
    implementation uses to refer to a value that stays on a worker.
    """

    def scatter(self, partitions: Sequence[Any]) -> list[Any]:
        """Load the partitions on the workers.

        Parameters
        ----------
        partitions : sequence of dask.delayed.Delayed
            In the order of the rows.

        Returns
        -------
        groups : list of handles
            Each of a list of partitions on one worker.
        """
        ...

    def place(self, build: Callable[[int, Any, Any], Any], handles: list[Any], argument: Any) -> list[Any]:
        """Build a value beside each value, on the same worker.

        Parameters
        ----------
        build : callable
            ``build(number, value, argument)`` is called once for each handle, and again where a worker is lost.
        handles : list of handles
        argument : object
            Sent to each worker.

        Returns
        -------
        built : list of handles
        """
        ...

    def map_reduce(
        self,
        function: Callable[[Any, Any], Any],
        handles: list[Any],
        argument: Any,
        combine: Callable[[list[Any]], Any],
    ) -> Any:
        """Broadcast an argument, call a function on each worker, and reduce the results as a tree.

        Parameters
        ----------
        function : callable
            ``function(value, argument)``.
        handles : list of handles
        argument : object
        combine : callable
            ``combine(results)`` merges results, in the order of the handles; called with two or more.

        Returns
        -------
        result : object

        Raises
        ------
        WorkersLostError
            If there are no workers left.
        """
        ...


def tree(reduce: Callable[[list[Any]], Any], items: list[Any], fan_in: int = FAN_IN) -> Any:
    """Reduce a list level by level.

    Parameters
    ----------
    reduce : callable
    items : list
    fan_in : int
        How many items are merged at a time.

    Returns
    -------
    item : object

    Examples
    --------
    >>> tree(lambda items: f"({'+'.join(items)})", list("abcde"), fan_in=2)
    '(((a+b)+(c+d))+e)'
    """
    while len(items) > 1:
        groups = [items[start : start + fan_in] for start in range(0, len(items), fan_in)]
        items = [reduce(group) if len(group) > 1 else group[0] for group in groups]
    return items[0]


class SerialCluster:
    """All groups of partitions in this process, one after the other: the same result, without a cluster.

    Parameters
    ----------
    n_groups : int
    """

    def __init__(self, n_groups):
        self._n_groups = n_groups

    def scatter(self, partitions):
        """Lists of partitions."""
        # not "synchronous": given a name, old releases of Dask warn if there is a client
        parts = dask.compute(*partitions, scheduler=get_sync)
        blocks = np.array_split(np.arange(len(parts)), self._n_groups)
        return [[parts[i] for i in block] for block in blocks if len(block)]

    def place(self, build, handles, argument):
        """A value is its own handle."""
        return [build(number, value, argument) for number, value in enumerate(handles)]

    def map_reduce(self, function, handles, argument, combine):
        """Reduce as Dask's workers do."""
        return tree(combine, [function(value, argument) for value in handles])
