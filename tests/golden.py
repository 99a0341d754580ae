"""The models of tests/data: saved by every release, and loaded by all later ones.

``python tests/golden.py`` writes the files of the current schema that do not exist yet. No file is written again.
"""

import pickle
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import dask.array as da
import joblib
import numpy as np
import pandas as pd
import skops.io
from distributed import Client
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine.saving import SCHEMA
from sknn_iitb.activations import Activation, LeakyReLU
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.dask import (
    DaskMLPClassifier,
    DaskMLPRegressor,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
)
from sknn_iitb.losses import Quantile
from sknn_iitb.optimizers import Adam
from sknn_iitb.persistence import TRUSTED_TYPES
from sknn_iitb.tabular import (
    PiecewiseLinearEncoder,
    RobustSmoothScaler,
    SplineEncoder,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    View,
)

try:
    from sklearn.callback import ProgressBar
except ImportError:  # an earlier release of scikit-learn
    ProgressBar = None

FOLDER = Path(__file__).parent / "data"
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


def square(z):
    """An activation of a user."""
    return z * z, 2 * z


class Square(Activation):
    """An activation of a user, as a class."""

    function = staticmethod(square)


def cubic(score, target):
    """A loss of a user."""
    difference = abs(score - target)
    return difference**3 / 3, difference * (score - target)


def descend(theta, gradient, optimizer_state, hyper, step):
    """A solver of a user."""
    for i in range(theta.size):
        theta[i] -= step.learning_rate * gradient[i]


def decay(step, n_steps):
    """A schedule of a user."""
    return 1 - step / n_steps


def table():
    """Iris with gaps, categories and labels of text."""
    X, y = IRIS
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame["a"] = frame["a"].where(frame["b"] > 2.5)
    frame["kind"] = np.where(frame["c"] > 4, "long", "short")
    frame["size"] = pd.Categorical(np.array(["s", "m", "l"])[np.digitize(frame["d"], [0.5, 1.5])])
    return frame, np.array(["setosa", "versicolor", "virginica"])[y]


def models():
    """Fitted models by name, each with the X that it is tested on."""
    short, small = {"max_iter": 3, "random_state": 0}, {"hidden_layer_sizes": (8,), "n_estimators": 2}
    X, y = IRIS
    labels = np.eye(3, dtype=int)[y]
    numbers, targets = DIABETES
    frame, names = table()
    nets = {
        "classifier": (MLPClassifier((5, 4), **short), X, y),
        "float32": (MLPClassifier((5,), activation=["tanh"], solver=Adam(beta_2=0.9), **short), np.float32(X), y),
        "normalized": (MLPClassifier((5, 4), batch_norm=True, dropout=0.2, early_stopping=True, **short), X, names),
        "layer_norm": (MLPClassifier((5,), layer_norm=True, activation=LeakyReLU(0.2), **short), X, y),
        "binary": (MLPClassifier((5,), loss="focal", solver="lbfgs", **short), X, y == 1),
        "multilabel": (MLPClassifier((5,), learning_rate="cosine", **short), X, labels),
        "several classes": (MLPClassifier((5,), **short), X, np.column_stack([y, y % 2])),
        "custom": (MLPClassifier((5,), activation=square, **short), X, y),
        "custom components": (
            MLPRegressor(
                cubic,
                hidden_layer_sizes=(5, 4),
                activation=["tanh", square],
                solver=descend,
                learning_rate=decay,
                **short,
            ),
            X,
            X[:, 0],
        ),
        "regressor": (MLPRegressor(hidden_layer_sizes=(5,), **short), numbers, targets),
        "gaussian": (MLPRegressor("gaussian", hidden_layer_sizes=(5,), **short), numbers, targets),
        "quantiles": (MLPRegressor(Quantile([0.1, 0.5, 0.9]), hidden_layer_sizes=(5,), **short), numbers, targets),
        "pipeline": (make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5,), **short)), numbers, targets),
        "tabular classifier": (
            TabularMLPClassifier(views=["bins", View(10.0, False, "all")], **small, **short),
            frame,
            names,
        ),
        "tabular regressor": (TabularMLPRegressor(quantiles=[0.1, 0.9], **small, **short), numbers, targets),
        "tabular custom": (TabularMLPClassifier(activation=Square(), **small, **short), frame, names),
        "tabular custom regressor": (TabularMLPRegressor(activation=Square(), **small, **short), frame, X[:, 0]),
        "tuned": (TabularMLPClassifier("tuned", hidden_layer_sizes=(8,), n_trials=4, **short), X, y == 1),
        "encoder": (TableEncoder(view="spline"), frame, None),
        "scaler": (RobustSmoothScaler(), X, None),
        "bins": (PiecewiseLinearEncoder(), X, None),
        "splines": (SplineEncoder(), X, None),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = {name: (net.fit(X, y), X) for name, (net, X, y) in nets.items()}
        with TemporaryDirectory() as folder:
            net = MLPClassifier((5,), **short).set_callbacks(Checkpoint(Path(folder) / "file"))
            fitted["checkpoint"] = (net.fit(X, y), X)
        if ProgressBar is not None:
            fitted["progress bar"] = (MLPClassifier((5,), **short).set_callbacks(ProgressBar()).fit(X, y), X)
        with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
            chunks = da.from_array(X, (75, 4)), da.from_array(y, 75)
            for name, net, data in (
                ("dask", DaskMLPClassifier((5,), client=client, **short), chunks),
                ("dask regressor", DaskMLPRegressor(hidden_layer_sizes=(5,), client=client, **short), chunks),
                ("dask tabular", DaskTabularMLPClassifier(client=client, **small, **short), (X, y)),
                ("dask tabular regressor", DaskTabularMLPRegressor(client=client, **small, **short), (X, y)),
            ):
                fitted[name] = (net.fit(*data).set_params(client=None), X)
        fitted["partial_fit"] = (MLPClassifier((5,), random_state=0).partial_fit(X, y, classes=[0, 1, 2]), X)
        further = TabularMLPClassifier(**small, **short).fit(frame, names).partial_fit(frame, names)
        fitted["tabular partial_fit"] = (further, frame)
    return fitted


def outputs(model, X):
    """What a model returns, as an array."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(model, method):
            found = getattr(model, method)(X)
            return np.concatenate(found, axis=1) if isinstance(found, list) else np.asarray(found)
    raise TypeError(model)


# by the suffix of a file
SAVE = {
    "pickle": lambda model, path: path.write_bytes(pickle.dumps(model, protocol=4)),
    "joblib": joblib.dump,
    "skops": skops.io.dump,
}
LOAD = {
    "pickle": lambda path: pickle.loads(path.read_bytes()),
    "joblib": joblib.load,
    "skops": lambda path: skops.io.load(path, trusted=TRUSTED_TYPES),
}
IN_ALL_FORMATS = ["classifier", "partial_fit", "pipeline", "tabular classifier", "tabular regressor"]


def main():
    folder = FOLDER / f"schema_{SCHEMA}"
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "outputs.npz"
    expected = dict(np.load(table)) if table.exists() else {}
    for name, (model, X) in models().items():
        paths = {suffix: folder / f"{name}.{suffix}" for suffix in (SAVE if name in IN_ALL_FORMATS else ["pickle"])}
        if paths["pickle"].exists():
            model = LOAD["pickle"](paths["pickle"])
        for suffix, path in paths.items():
            if not path.exists():
                SAVE[suffix](model, path)
        if name not in expected:
            expected[name] = outputs(model, X)
    np.savez_compressed(table, **expected)


if __name__ == "__main__":
    import golden  # the user's function is pickled by the name of its module

    golden.main()
