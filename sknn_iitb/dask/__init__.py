"""Training on a Dask cluster: the MLP estimators on Dask arrays and data frames, and members of the tabular estimators.

It needs the extra ``dask``.
"""

try:
    import dask.array
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sknn_iitb.dask requires Dask with arrays, data frames and the distributed scheduler: pip install "
        f'"sknn-iitb[dask]" ({error}).'
    ) from error

from sknn_iitb.dask._cluster import Cluster, WorkersLostError
from sknn_iitb.dask._estimators import DaskMLPClassifier, DaskMLPRegressor
from sknn_iitb.dask._tabular import DaskTabularMLPClassifier, DaskTabularMLPRegressor

__all__ = [
    "Cluster",
    "DaskMLPClassifier",
    "DaskMLPRegressor",
    "DaskTabularMLPClassifier",
    "DaskTabularMLPRegressor",
    "WorkersLostError",
]
