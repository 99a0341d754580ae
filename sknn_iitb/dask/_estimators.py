"""The estimators on Dask collections."""

from typing import Any, Literal

from sknn_iitb.dask._base import DaskMixin
from sknn_iitb.dask._client import with_parameters_of
from sknn_iitb.dask._prediction import LazyClassifierMixin
from sknn_iitb.mlp.classifier import MLPClassifier
from sknn_iitb.mlp.regressor import MLPRegressor

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]


@with_parameters_of(MLPClassifier)
class DaskMLPClassifier(LazyClassifierMixin, DaskMixin, MLPClassifier):
    """An :class:`~sknn_iitb.MLPClassifier` that trains on Dask arrays and data frames, on many machines.

    Workers keep the partitions, and only parameters travel. With solver 'lbfgs', or batches of all samples,
    each round sums the gradients of all workers, and the result is that of one machine, up to rounding. With smaller
    batches, every worker takes `local_steps` steps on batches of its own rows; then the weights and the state of the
    optimizer are averaged, each worker counting by the rows that it has used [mm]_ [st]_. With a single partition, the
    result is the same as on one machine.

    Parameters
    ----------
    local_steps : int or 'auto', default='auto'
        Number of steps between two averages, with batches smaller than the training set. More steps need less
        communication, but let the workers drift apart; 'auto' takes about two seconds of steps, and no round is longer
        than an epoch. The rows of a batch are divided among the threads of the workers, so `batch_size` means the same
        as on one machine; with many threads, larger batches use them better.

    client : distributed.Client, Cluster or None, default=None
        Connection to the cluster, None for the current client. It is not saved.

    See Also
    --------
    MLPClassifier : The same on one machine.

    References
    ----------
    .. [mm] B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS
       2017.
    .. [st] S. U. Stich, "Local SGD Converges Fast and Communicates Little", ICLR 2019.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb.dask import DaskMLPClassifier
    >>> X, y = (da.from_array(each, chunks=50) for each in load_iris(return_X_y=True))
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     net = DaskMLPClassifier(solver="lbfgs", alpha=1, tol=0.01, client=client)
    ...     net = net.fit(X, y)
    ...     accuracy = net.score(X, y)
    >>> accuracy > 0.95
    True
    >>> net.to_local().predict([[5.1, 3.5, 1.4, 0.2]])
    array([0])
    """

    _parameter_constraints: dict = {**MLPClassifier._parameter_constraints, **DaskMixin._parameter_constraints}

    def __init__(
        self, *args: Any, local_steps: int | Literal["auto"] = "auto", client: Any = None, **parameters: Any
    ) -> None:
        super().__init__(*args, **parameters)
        self.local_steps = local_steps
        self.client = client

    def decision_function(self, X: Any) -> Any:
        """Return the raw scores, lazily for a Dask collection.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        scores : dask.array.Array of shape (n_samples,) or (n_samples, n_classes)
            An ndarray if X is not a Dask collection.
        """
        return self._lazily("decision_function", X)


@with_parameters_of(MLPRegressor)
class DaskMLPRegressor(DaskMixin, MLPRegressor):
    """An :class:`~sknn_iitb.MLPRegressor` that trains on Dask arrays and data frames, on many machines.

    It trains like :class:`DaskMLPClassifier`.

    Parameters
    ----------
    local_steps : int or 'auto', default='auto'
        Number of steps between two averages, with batches smaller than the training set. More steps need less
        communication, but let the workers drift apart; 'auto' takes about two seconds of steps, and no round is longer
        than an epoch. The rows of a batch are divided among the threads of the workers, so `batch_size` means the same
        as on one machine; with many threads, larger batches use them better.

    client : distributed.Client, Cluster or None, default=None
        Connection to the cluster, None for the current client. It is not saved.

    See Also
    --------
    MLPRegressor : The same on one machine.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sknn_iitb.dask import DaskMLPRegressor
    >>> X, y = map(scale, load_diabetes(return_X_y=True))
    >>> X, y = da.from_array(X, chunks=(150, 10)), da.from_array(y, chunks=150)
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     net = DaskMLPRegressor(batch_size=50, tol=1e-3, random_state=0)
    ...     score = net.fit(X, y).score(X, y)
    >>> score > 0.5
    True
    """

    _parameter_constraints: dict = {**MLPRegressor._parameter_constraints, **DaskMixin._parameter_constraints}

    def __init__(
        self, *args: Any, local_steps: int | Literal["auto"] = "auto", client: Any = None, **parameters: Any
    ) -> None:
        super().__init__(*args, **parameters)
        self.local_steps = local_steps
        self.client = client
