"""The networks that have been trained so far, and their checkpoints."""

import threading

from sknn_iitb._engine.plain import from_plain, to_plain

__all__ = ["Records"]


class Records:
    """Remembers each network at each epoch at which its training has paused.

    A fit that continues from a checkpoint takes the same decisions again, and each network that it would train up to a
    recorded epoch is there already.

    Parameters
    ----------
    writer : Writer or None
        Writes checkpoints; None remembers nothing new.
    saved : dict or None
        The content of a checkpoint.
    """

    def __init__(self, writer=None, saved=None):
        self._writer, self._lock = writer, threading.Lock()
        self._pauses = dict(saved["pauses"]) if saved else {}  # by the name of the network, and then by the epoch
        self._latest = dict(saved["latest"]) if saved else {}  # parameters and state at the last of them

    def add(self, run, name, n_epochs):
        """Remember a network whose training has paused after this epoch of its plan."""
        if self._writer is None:
            return
        found = to_plain(run.saved())
        with self._lock:
            pause = {key: found[key] for key in ("member", "history")}
            self._pauses[name] = {**self._pauses.get(name, {}), str(n_epochs): pause}
            self._latest[name] = {key: found[key] for key in ("theta", "state")}
            self._writer.count(self._content)

    def restore(self, run, name, n_epochs):
        """Restore a network that has been trained up to this epoch; return whether there is one."""
        pause = self._pauses.get(name, {}).get(str(n_epochs))
        if pause is None:
            return False
        is_last = n_epochs == max(map(int, self._pauses[name]))
        run.restore(**from_plain(pause), **(from_plain(self._latest[name]) if is_last else {}))
        return True

    def finish(self):
        """Write the last checkpoint."""
        if self._writer is not None:
            self._writer.write(self._content())

    def _content(self):
        return {"pauses": self._pauses, "latest": self._latest}
