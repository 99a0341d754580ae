"""
Search on a Dask cluster
========================

A hyperparameter search that survives the loss of a worker. Run it with ``python
examples/search_dask.py`` after ``pip install "sknn-iitb[dask]"``. It starts two local
workers; for a cluster, pass the address of its scheduler to `ResilientClient`.
"""

from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier


# A client for joblib:
class ResilientClient(Client):
    """A client that can restore the data which joblib sends to the workers.

    Dask loses scattered data together with the worker that holds them. The result of a
    task can be computed again, because the scheduler keeps the arguments of the task.
    """

    def scatter(self, data, *, asynchronous=False, **options):
        future = self.submit(_identity, data, pure=False)
        return _awaitable(future) if asynchronous else future


def _identity(data):
    return data


async def _awaitable(future):
    return future


# The search:
def main():
    X, y = load_breast_cancer(return_X_y=True)
    net = MLPClassifier(max_iter=100, learning_rate="cosine", random_state=0)
    grid = {
        "mlpclassifier__alpha": [1e-4, 1e-2, 1],
        "mlpclassifier__activation": ["relu", "gelu"],
    }
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        ResilientClient(cluster) as client,
        parallel_config("dask", client=client),
    ):
        search = GridSearchCV(make_pipeline(StandardScaler(), net), grid, cv=3).fit(
            X, y
        )
    print(f"{search.best_score_:.3f} with {search.best_params_}")


if __name__ == "__main__":
    main()
