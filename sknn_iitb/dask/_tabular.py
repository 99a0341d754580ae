"""The tabular estimators, whose members train on the workers of a Dask cluster, side by side."""

import threading
from time import perf_counter
from typing import Any

import dask.array as da
import numpy as np
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if

from sknn_iitb.dask._client import with_parameters_of
from sknn_iitb.dask._dask_cluster import as_dask_cluster
from sknn_iitb.dask._prediction import LazyClassifierMixin, LazyMixin
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb.tabular._member_run import train_apart

__all__ = ["DaskTabularMLPClassifier", "DaskTabularMLPRegressor"]


class _Members:
    """Trains members on any worker that is free.

    Parameters
    ----------
    cluster : DaskCluster
    """

    def __init__(self, cluster):
        self._cluster, self._sent, self._lock = cluster, {}, threading.Lock()

    def __call__(self, run, n_epochs, progress):
        """Train a run, and return what restores it."""

        def check():
            if progress.interrupted:
                raise KeyboardInterrupt

        data, run = run.split()
        with self._lock:
            if id(data) not in self._sent:  # with the data, so that its id is not used again
                self._sent[id(data)] = data, self._cluster.broadcast(data)
        seconds = None if progress.deadline is None else progress.deadline - perf_counter()
        return self._cluster.call(train_apart, self._sent[id(data)][1], run, n_epochs, seconds, check=check)


class DaskTabularMixin(LazyMixin):
    """Train members on a cluster; the table is encoded in this process and sent to each worker once."""

    _parameter_constraints: dict = {"client": [HasMethods(["submit", "scatter", "cancel"]), None]}

    def _remote(self):
        return _Members(as_dask_cluster(self.client))

    def _strategy(self, views, samples, config, rng):
        n_threads = as_dask_cluster(self.client).n_threads()
        return super()._strategy(views, samples, config._replace(n_jobs=self.n_jobs or n_threads or 1), rng)

    def _one_row(self, X):
        """A row of missing values, which every column may have."""
        return np.full((1, X.shape[1]), np.nan) if isinstance(X, da.Array) else X._meta.reindex([0])


@with_parameters_of(TabularMLPClassifier)
class DaskTabularMLPClassifier(LazyClassifierMixin, DaskTabularMixin, TabularMLPClassifier):
    """A :class:`~sknn_iitb.tabular.TabularMLPClassifier` whose members train on Dask workers, side by side.

    The result is that of one machine, to the bit. The table is encoded in this process and sent to each worker once, so
    it must fit into the memory of each. A member whose worker is lost is trained again from its last pause.
    Predictions for a Dask collection are lazy; `partial_fit` and `fit_batches` run in this process.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        Connection to the cluster, None for the current client. It is not saved. `n_jobs` limits the members that train
        at a time; None means all threads of the cluster.

    See Also
    --------
    TabularMLPClassifier : The same on one machine.

    Examples
    --------
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb.dask import DaskTabularMLPClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     model = DaskTabularMLPClassifier("fast", client=client, random_state=0)
    ...     model = model.fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **TabularMLPClassifier._parameter_constraints,
        **DaskTabularMixin._parameter_constraints,
    }

    def __init__(self, *args: Any, client: Any = None, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.client = client


@with_parameters_of(TabularMLPRegressor)
class DaskTabularMLPRegressor(DaskTabularMixin, TabularMLPRegressor):
    """A :class:`~sknn_iitb.tabular.TabularMLPRegressor` whose members train on Dask workers, side by side.

    It trains like :class:`DaskTabularMLPClassifier`.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        Connection to the cluster, None for the current client. It is not saved. `n_jobs` limits the members that train
        at a time; None means all threads of the cluster.

    See Also
    --------
    TabularMLPRegressor : The same on one machine.
    """

    _parameter_constraints: dict = {
        **TabularMLPRegressor._parameter_constraints,
        **DaskTabularMixin._parameter_constraints,
    }

    def __init__(self, *args: Any, client: Any = None, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.client = client

    @available_if(lambda estimator: super().predict_quantiles)
    def predict_quantiles(self, X: Any) -> Any:
        """Predict the `quantiles`, lazily for a Dask collection. Not available if `quantiles` is None.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : dask.array.Array of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            An ndarray if X is not a Dask collection.
        """
        return self._lazily("predict_quantiles", X)
