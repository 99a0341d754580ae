"""Base class of the estimators on Dask collections."""

import copy
from itertools import chain
from numbers import Integral
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sknn_iitb._engine.checkpoint import state_of_run
from sknn_iitb._engine.objective import batches_in
from sknn_iitb._engine.run import Run
from sknn_iitb._engine.samples import Samples, TrainingData
from sknn_iitb._engine.source import PartitionReader
from sknn_iitb.dask._dask_cluster import as_cluster
from sknn_iitb.dask._objectives import FullGradient, LocalSteps, SharedValidation, Work
from sknn_iitb.dask._partitions import computed, is_collection, partitions_of
from sknn_iitb.dask._prediction import LazyMixin
from sknn_iitb.dask._shards import Learner, Plan, Setup, Summary, build, count, merged

__all__ = ["DaskMixin"]

# floating-point operations of a round with local_steps="auto": about two seconds; between rounds, workers wait
_WORK_PER_ROUND = 2e11


class DaskMixin(LazyMixin):
    """Fit and predict on Dask collections."""

    _own = ("local_steps", "client")

    _parameter_constraints: dict = {
        "local_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "client": [HasMethods(["submit", "scatter", "cancel"]), HasMethods(["scatter", "place", "map_reduce"]), None],
    }

    # --- fit ---

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        resume_from: str | PathLike[str] | None = None,
    ) -> Self:
        """Train the network on the workers that hold the partitions.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            Partitions in memory are used where Dask has them; the others are divided among all threads.
        y : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame
            In the order of the rows of X, and preferably in the same partitions.
        sample_weight : dask.array.Array or dask.dataframe.Series of shape (n_samples,), default=None
            Sample weights, not negative.
        X_val : array-like or Dask collection of shape (n_val_samples, n_features), default=None
            Validation set, which this process loads and scores after each epoch. Without it, `early_stopping` holds out
            samples on each worker, and averages the scores of the workers by their numbers of samples.
        y_val : array-like or Dask collection, default=None
            Targets of the validation set.
        sample_weight_val : array-like or Dask collection of shape (n_val_samples,), default=None
            Sample weights of the validation set.
        resume_from : str or path-like, default=None
            File of a :class:`~sknn_iitb.callbacks.Checkpoint`. Training continues from it; the data and the parameters
            must be the same, the workers may be others.

        Returns
        -------
        self : estimator instance

        Raises
        ------
        TypeError
            If X, y or `sample_weight` is not a Dask collection.
        ValueError
            If a parameter or the data are invalid, there is no client, or training diverges. The estimator is then
            unchanged.
        WorkersLostError
            If the cluster has no workers left. The estimator keeps the weights of the last completed round, and a
            Checkpoint those of the last epoch.
        """
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        validation = {name: computed(value) for name, value in given.items()}
        return super().fit(X, y, sample_weight, **validation, resume_from=resume_from)

    def _fit(self, data, incremental=False, classes=None, observers=(), resume_from=None, epochs=None):
        if incremental and is_collection(data.X):
            raise TypeError("partial_fit does not support Dask collections; call fit, or pass arrays.")
        if incremental or isinstance(data.X, PartitionReader):  # in this process
            return super()._fit(data, incremental, classes, observers, resume_from, epochs)
        last = _LastEpoch(self)
        super()._fit(data, incremental, classes, (*observers, last), resume_from)
        work, _ = vars(self).pop("_rounds")
        work.learners = []  # frees the memory of the workers
        if work.lost is not None:
            last.write()
            raise work.lost
        return self

    def _begin(self, data, call, rng=None):
        if call.incremental or isinstance(data.X, PartitionReader):
            return super()._begin(data, call, rng)
        components = self._resolve_components()
        if self.learning_rate_init == "auto":
            raise ValueError(
                "learning_rate_init='auto' is not supported on a cluster; fit a sample of the data with "
                f"{self._local_class().__name__}(learning_rate_init='auto'), and set its learning_rate_init_."
            )
        table = partitions_of(*data[:3])
        cluster = as_cluster(self.client)
        groups = cluster.scatter(table.partitions)
        checks = self._local_class()(**self._local_params()), table.n_features, table.columns
        found = cluster.map_reduce(Summary.of, groups, checks, merged)
        if found is None:
            raise ValueError("X has no rows: all partitions are empty.")
        data_of_all = TrainingData(found.X, found.y, found.weight)
        components, samples, rng = self._set_up(data_of_all, call, components, rng)
        stops_early = self._stops_early(found.n_rows, data.validation, call)
        _, validation = self._hold_out(samples, data.validation, components.optimizer, rng, False, call)
        holds_out = bool(stops_early) and validation is None and components.optimizer.kernel is not None

        seeds = copy.deepcopy(rng).randint(2**31 - 1, size=len(groups))
        shards, sizes = _filled_shards(cluster, groups, Setup(self.to_local(), holds_out, rng, seeds))
        config = self._training_config(components, samples, range(sizes.n_rows), stops_early, call)
        full = components.optimizer.kernel is None or config.batch_size >= sizes.n_rows
        self._refuse(full, len(shards))
        config = config._replace(shuffle=False, advise=str)
        n_local_steps = self._n_local_steps(-(-config.batch_size // len(shards)))
        plan = Plan(
            config=config._replace(shuffle=self.shuffle, schedule=None, advise=None),
            n_rows=sizes.n_rows,
            mean_weight=sizes.mean_weight,
            penalty=1 / len(shards) if full else 1.0,
            averages_moments=not call.continues,
        )
        work = Work(cluster, cluster.place(Learner, shards, plan), sizes.n_rows)
        arguments = work, self._network, self._loss, self._parameters.vector.dtype
        objective = FullGradient(*arguments) if full else LocalSteps(*arguments, n_steps=n_local_steps)
        run = Run(
            objective,
            config,
            self._begin_history(config, call),
            validate=SharedValidation(work) if holds_out else validation,
            samples=_stand_in(found.digests),
        )
        if components.optimizer.kernel is not None:
            run.state = self._begin_state(rng, run, call)
            self.learning_rate_init_ = run.config.learning_rate_init
        self._rounds = work, run
        return run

    def _refuse(self, full, n_shards):
        """Raise ValueError for what is not supported on a cluster."""
        if full and n_shards > 1:
            for name, has in (("batch_norm", self.batch_norm), ("dropout", self._network.drops)):
                if has:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is not supported on a cluster with batches of all samples; "
                        "set batch_size."
                    )

    def _n_local_steps(self, batch_size):
        if self.local_steps != "auto":
            return int(self.local_steps)
        return batches_in(_WORK_PER_ROUND, batch_size, self._network.layout.size)

    # --- prediction ---

    def _one_row(self, X):
        row = np.zeros((1, self.n_features_in_), self._parameters.vector.dtype)
        columns = getattr(self, "feature_names_in_", None)
        return row if columns is None else pd.DataFrame(row, columns=columns)


# --- the beginning of a run -------------------------------------------------------------------------------------


class _Sizes(NamedTuple):
    """Numbers of training and held-out samples, and the mean weight of the former."""

    n_rows: int
    n_held_out: int
    mean_weight: float


def _filled_shards(cluster, groups, setup):
    """The shards that have training samples, and the sizes of all together."""
    shards = cluster.place(build, groups, setup)
    counts = cluster.map_reduce(count, shards, None, _joined)
    shards = [shard for shard, (n, *_) in zip(shards, counts, strict=True) if n]
    counts = [each for each in counts if each[0]]
    if not shards:
        raise ValueError("sample_weight, times class_weight, is zero for every sample.")
    n_train, n_held_out, means = np.array(counts).T
    n_rows = int(n_train.sum())
    # a single mean is not changed in any bit
    mean = means[0] if len(means) == 1 else means @ n_train / n_rows
    return shards, _Sizes(n_rows, int(n_held_out.sum()), float(mean))


def _joined(lists):
    return [*chain.from_iterable(lists)]


def _stand_in(digests):
    """Samples that differ if the partitions do: what tells the data of a checkpoint from others."""
    _, n_rows, found = zip(*sorted(digests), strict=True)
    return Samples(np.array([[*bytes.fromhex(each)] for each in found]), np.array(n_rows)[:, None], None, None, None)


class _LastEpoch:
    """An observer that keeps what a checkpoint needs of the last epoch.

    Parameters
    ----------
    estimator : DaskMixin
    """

    def __init__(self, estimator):
        self._estimator, self._state = estimator, None

    def begin(self):
        """Do nothing."""

    def end(self, history):
        """Copy the state of training, which the next epoch changes."""
        _, run = self._estimator._rounds
        if run.writer is not None:
            self._state = copy.deepcopy(state_of_run(run, self._estimator._parameters.vector))
            self._writer = run.writer

    def close(self):
        """Do nothing."""

    def write(self):
        """Write the last epoch's checkpoint if the estimator has checkpoints."""
        if self._state is not None:
            self._writer.write(self._state)
