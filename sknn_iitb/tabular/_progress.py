"""The progress of all networks of a fit: what is reported of it, and what ends it."""

import threading
from contextlib import contextmanager
from time import perf_counter
from weakref import WeakSet

from sknn_iitb.tabular._records import Records

__all__ = ["Progress"]


class Progress:
    """Report the epochs of all networks; end their training when time is up or the user interrupts it.

    Parameters
    ----------
    report : object
        As :func:`sknn_iitb._engine.progress.reporter` makes it.
    records : Records, optional
        The networks that have been trained, for checkpoints.
    tasks : object or None
        Reports each network that is complete to callbacks, which may stop the training.
    deadline : float or None
        When to stop, on the clock of ``time.perf_counter()``.
    remote : callable or None
        ``remote(run, n_epochs, progress)`` trains a run on another machine and returns what restores it here.

    Attributes
    ----------
    records : Records
    goal : str
        The name of the goal that members are trained for.
    members : dict of list of Member
        By goal, those that are complete, if there are callbacks.
    deadline : float or None
    interrupted : bool
    """

    def __init__(self, report=None, records=None, tasks=None, deadline=None, remote=None):
        self.remote = remote
        self._report, self.records, self._tasks = report, records or Records(), tasks
        self.deadline, self.goal, self.members, self._is_stopped = deadline, "", {}, False
        self._lock, self._n_epochs = threading.Lock(), 0
        self._objectives, self.interrupted = WeakSet(), False

    def end(self, words):
        """An epoch of a network has ended, of which ``words()`` tells; True stops the training of the network."""
        with self._lock:
            self._n_epochs += 1
            self._report.update(self._n_epochs, words)
        return self.is_over()

    def complete(self, run, n_spared):
        """The best epoch of a network is known, which has done without some epochs."""
        with self._lock:
            self._n_epochs += n_spared
            if self._tasks is not None:
                self.members.setdefault(self.goal, []).append(run.member)
                self._tasks.begin()
                self._is_stopped |= bool(self._tasks.end(self.members))

    def is_over(self):
        """Whether to stop, and train no more members."""
        return self.interrupted or self._is_stopped or (self.deadline is not None and perf_counter() >= self.deadline)

    @contextmanager
    def limited(self, share):
        """Within this context, only a share of the time left may be used."""
        deadline, now = self.deadline, perf_counter()
        if deadline is not None:
            self.deadline = now + share * (deadline - now)
        try:
            yield
        finally:
            self.deadline = deadline

    def watch(self, objective):
        """Stop training on this objective on Ctrl-C."""
        with self._lock:
            self._objectives.add(objective)
        if self.interrupted:
            objective.interrupt()

    def interrupt(self):
        """End the training of all members, in whatever thread."""
        self.interrupted = True
        with self._lock:
            for objective in self._objectives:
                objective.interrupt()
