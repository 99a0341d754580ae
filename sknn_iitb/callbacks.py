"""Callbacks for ``set_callbacks``: what happens while an estimator is fitted."""

import errno
import os
import shutil
import tempfile
import time
from importlib.util import find_spec
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["Checkpoint", "MLflowCallback"]

# A request to an MLflow server can take longer than an epoch, and takes at most 1,000 metrics.
_SECONDS_BETWEEN_REQUESTS, _METRICS_PER_REQUEST = 5.0, 1000


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
        path = Path(os.path.realpath(self.path)) if self.path.is_symlink() else self.path  # a link remains one
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError as error:
            raise OSError(error.errno, f"The checkpoint cannot be written: {error.strerror}", str(self.path)) from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, name)
            os.replace(name, path)
        except BaseException as error:
            Path(name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
                message = f"The checkpoint cannot be written, because {what}; the last one is intact"
                raise OSError(error.errno, message, str(self.path)) from error
            raise
        if hasattr(os, "O_DIRECTORY"):  # the new name, too, survives a power cut
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class MLflowCallback:
    """Log the loss, the validation score and the learning rate of each epoch to an MLflow run.

    The metrics are ``loss``, ``learning_rate`` and, with a validation set, ``validation_score`` and
    ``validation_loss``; their step is the epoch, counted from 1. They go to the active run of the thread that calls
    `fit`. Without one, each fit creates a run, which ends as finished or failed. Metrics are sent every 5 seconds and
    at the end of training.

    Requires scikit-learn 1.9 or later, and mlflow or mlflow-skinny.

    Parameters
    ----------
    run_id : str or None, default=None
        The run to log to. None for the active run or a new one.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Notes
    -----
    The callback records metrics only. ``mlflow.log_params(net.get_params())`` records the parameters,
    ``mlflow.sklearn.log_model(net, name="net", skops_trusted_types=TRUSTED_TYPES)`` with the types of
    :mod:`sknn_iitb.persistence` the fitted network, and ``mlflow.sklearn.autolog()`` searches and pipelines.

    Examples
    --------
    >>> import mlflow  # doctest: +SKIP
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.callbacks import MLflowCallback
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> with mlflow.start_run() as run:  # doctest: +SKIP
    ...     net = net.set_callbacks(MLflowCallback()).fit(X, y)
    ...     mlflow.log_params(net.get_params())
    """

    def __init__(self, run_id: str | None = None) -> None:
        if find_spec("mlflow") is None:
            raise ImportError("MLflowCallback requires MLflow: pip install 'sknn-iitb[mlflow]', or mlflow.")
        self.run_id = run_id
        self._logs = {}  # one for each estimator that is being fitted: clones share the callback

    def __repr__(self) -> str:
        """As written."""
        return f"MLflowCallback({self.run_id!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Without the logs of fits in this process."""
        return {"run_id": self.run_id, "_logs": {}}

    def setup(self, estimator: Any, context: Any) -> None:
        """Find or create the run.

        Raises
        ------
        TypeError
            If the estimator trains an ensemble, which does not report epochs.
        """
        if hasattr(type(estimator), "loss_curves_"):
            raise TypeError(
                f"MLflowCallback logs epochs, which {type(estimator).__name__} does not report; log its loss_curves_ "
                "and validation_curves_ after fit."
            )
        self._logs[estimator] = _MLflowLog(self.run_id)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Send the remaining metrics, and end a run that `setup` has created."""
        if estimator in self._logs:
            self._logs.pop(estimator).close()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Record the metrics of an epoch."""
        log = self._logs[estimator]
        if context.task_name == "fit":
            log.status = "FINISHED"
        elif fitted_estimator is not None:
            curves = {
                "loss": [fitted_estimator.loss_],  # solver lbfgs has no loss_curve_
                "validation_score": getattr(fitted_estimator, "validation_scores_", None),
                "validation_loss": getattr(fitted_estimator, "validation_loss_curve_", None),
                "learning_rate": getattr(fitted_estimator, "learning_rate_curve_", None),
            }
            epoch = len(getattr(fitted_estimator, "loss_curve_", ())) or fitted_estimator.n_iter_
            log.record({name: curve[-1] for name, curve in curves.items() if curve}, epoch)


class _MLflowLog:
    """The metrics of one fit on their way to a run."""

    def __init__(self, run_id):
        import mlflow

        run = None if run_id else mlflow.active_run()
        self._creates = run_id is None and run is None
        self._run_id = run_id or (mlflow.start_run() if self._creates else run).info.run_id
        self._client, self._metrics, self._sent = mlflow.MlflowClient(), [], time.monotonic()
        self.status = "FAILED"

    def record(self, values, epoch):
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._metrics += [Metric(name, value, now, epoch) for name, value in values.items()]
        if time.monotonic() - self._sent >= _SECONDS_BETWEEN_REQUESTS:
            self._send()

    def _send(self):
        metrics, self._metrics = self._metrics, []
        for start in range(0, len(metrics), _METRICS_PER_REQUEST):
            self._client.log_batch(self._run_id, metrics[start : start + _METRICS_PER_REQUEST])
        self._sent = time.monotonic()

    def close(self):
        import mlflow

        try:
            self._send()
        finally:
            if self._creates:
                mlflow.end_run(self.status)
