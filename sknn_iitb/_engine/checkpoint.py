"""Checkpoints: the state of training in a file, and training that continues from one."""

import io
import pickle
from hashlib import blake2b
from time import perf_counter
from typing import Any

import numpy as np

from sknn_iitb._engine.plain import DamagedError, from_plain, to_plain
from sknn_iitb._engine.run import History
from sknn_iitb._version import __version__
from sknn_iitb.callbacks import Checkpoint

__all__ = ["Origin", "Writer", "checkpoint_of", "read", "restore_run", "state_of_run"]

_FORMAT = 2
# seconds between two checkpoints if the user does not set a number of epochs
_SECONDS = 30.0
# parameters that may differ, because they do not change the result
_FREE = ("verbose", "n_jobs", "max_time", "client")


def checkpoint_of(estimator):
    """The Checkpoint among the callbacks of an estimator, None without one."""
    found = [each for each in getattr(estimator, "_skl_callbacks", []) if isinstance(each, Checkpoint)]
    if len(found) > 1:
        raise ValueError(f"Only one Checkpoint can be set, got {found}.")
    return found[0] if found else None


class Origin(dict):
    """What a fit began with: the class, digests of its parameters and data, and the state of its random numbers."""

    @classmethod
    def of(cls, estimator, rng_state, samples):
        """That of a fit."""
        parameters = {
            name: _digest(_content(value))
            for name, value in estimator.get_params(deep=False).items()
            if name not in _FREE and not isinstance(value, np.random.RandomState)
        }
        return cls(
            format=_FORMAT,
            version=__version__,
            estimator=type(estimator).__name__,
            parameters=parameters,
            data=samples.digest(),
            rng=rng_state,
        )

    def check(self, saved, path):
        """Raise ValueError unless a saved fit began with the same."""
        if saved["estimator"] != self["estimator"]:
            raise ValueError(f"resume_from={path!r} is a checkpoint of {saved['estimator']}, not {self['estimator']}.")
        names = sorted(self["parameters"].keys() | saved["parameters"].keys())
        other = [name for name in names if self["parameters"].get(name) != saved["parameters"].get(name)]
        if other:
            raise ValueError(f"resume_from={path!r} was saved with other values of the parameters {other}.")
        if saved["data"] != self["data"]:
            raise ValueError(f"resume_from={path!r} was saved while training on other data.")


def _content(value):
    """Bytes that tell a parameter from another, across processes."""
    try:
        return pickle.dumps(to_plain(value))
    except (AttributeError, TypeError, pickle.PicklingError):  # a lambda or a nested function has only its name
        return getattr(value, "__qualname__", type(value).__qualname__).encode()


def _digest(content):
    return blake2b(content, digest_size=16).hexdigest()


class Writer:
    """Writes checkpoints when they are due."""

    def __init__(self, checkpoint, origin):
        self._checkpoint, self._origin = checkpoint, origin
        self._n, self._written = 0, perf_counter()

    def count(self, content):
        """Another epoch or network has ended; ``content()`` returns what to save."""
        self._n += 1
        every = self._checkpoint.every
        if perf_counter() - self._written >= _SECONDS if every is None else self._n % every == 0:
            self.write(content())

    def write(self, content):
        """Write a checkpoint."""
        self._checkpoint._write(pickle.dumps(dict(self._origin) | content, protocol=5))
        self._written = perf_counter()


class _ArraysOnly(pickle._Unpickler):
    """Loads arrays and plain values, and so runs no code of the file.

    It is the unpickler written in Python: the one in C takes as much memory as any number in a file says.
    """

    _ALLOWED = {
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        return super().find_class(module, name)


def read(path):
    """The content of a checkpoint.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a checkpoint of this format.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        saved = _ArraysOnly(io.BytesIO(content)).load()
        is_known = saved["format"] == _FORMAT and saved.keys() >= {"estimator", "parameters", "data", "rng"}
    except Exception as error:  # unpickling may raise anything
        raise ValueError(f"resume_from={path!r} is not a checkpoint, or is damaged: {error!r}.") from error
    if not is_known:
        raise ValueError(
            f"resume_from={path!r} was written by version {saved.get('version')} of sknn_iitb, in format "
            f"{saved['format']!r}; version {__version__} reads format {_FORMAT}."
        )
    return saved


def state_of_run(run, theta) -> dict[str, Any]:
    """What a run needs to continue after the last epoch."""
    return {
        "theta": theta.copy(),
        "best": run.best,
        "state": to_plain(run.state),
        "history": to_plain(vars(run.history)),
    }


def restore_run(run, theta, saved, path):
    """Let a run that has not begun continue from a saved state."""
    try:
        vectors = [np.asarray(saved[name]) for name in ("theta", "best") if saved[name] is not None]
        if any(each.shape != theta.shape or each.dtype != theta.dtype for each in vectors):
            raise DamagedError(f"{vectors[0].shape} parameters of {vectors[0].dtype}, expected {theta.shape}")
        state, history = from_plain(saved["state"]), History(**from_plain(saved["history"]))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"resume_from={path!r} is damaged: {error!r}.") from error
    theta[:] = saved["theta"]
    run.best = None if saved["best"] is None else saved["best"].copy()
    run.state, run.history, run.n_done = state, history, history.n_iter
