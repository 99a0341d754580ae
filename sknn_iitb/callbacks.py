"""Callbacks for ``set_callbacks``: what happens while an estimator is fitted."""

import errno
import os
import tempfile
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["Checkpoint"]


class Checkpoint:
    """Save the state of training to a file, from which `fit` can continue after a crash.

    ``fit(X, y, resume_from=path)`` with the same data and parameters ends with the weights that an uninterrupted fit
    would have had, to the bit. A file is written under another name and then renamed, so there is always a complete
    one. It contains arrays and plain values only, and loading it runs no code.

    Parameters
    ----------
    path : str or path-like
        The file. Its folder must exist.
    every : int or None, default=None
        Number of epochs from one checkpoint to the next, or for a tabular estimator the number of networks. None writes
        one after an epoch or network if the last is 30 seconds old. There is always one at the end of training.

    Notes
    -----
    A tabular estimator does not train a network again that has been trained before the checkpoint. For the preset
    'tuned', a network that has reached one of the stages of the search continues from there.

    With scikit-learn 1.9 or later, other callbacks can be set beside a checkpoint; with earlier releases only
    checkpoints can be set.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.callbacks import Checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "net.checkpoint"
    ...     net = net.set_callbacks(Checkpoint(file, every=5)).fit(X, y)
    ...     again = MLPClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    ...     again = again.fit(X, y, resume_from=file)
    >>> bool((again.coefs_[0] == net.coefs_[0]).all())
    True
    """

    def __init__(self, path: str | PathLike[str], *, every: int | None = None) -> None:
        if every is not None and (isinstance(every, bool) or not isinstance(every, Integral) or every < 1):
            raise ValueError(f"every must be an integer of at least 1 or None, got {every!r}.")
        self.path = Path(path)
        self.every = every

    def __repr__(self) -> str:
        """As written."""
        return f"Checkpoint({os.fspath(self.path)!r}, every={self.every!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Without a Path, which only the same kind of operating system can load."""
        return {"path": os.fspath(self.path), "every": self.every}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`__getstate__` has returned."""
        self.path, self.every = Path(state["path"]), state["every"]

    # scikit-learn's protocol of callbacks; the training loop writes the checkpoints

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def _write(self, content):
        """Replace the file at once."""
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            raise OSError(error.errno, f"The checkpoint cannot be written: {error.strerror}", str(self.path)) from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException as error:
            Path(name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
                message = f"The checkpoint cannot be written, because {what}; the last one is intact"
                raise OSError(error.errno, message, str(self.path)) from error
            raise
        if hasattr(os, "O_DIRECTORY"):  # the new name, too, survives a power cut
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
