"""Valid uses that a type checker must accept: .ci/run checks this file without running it."""

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupShuffleSplit, TimeSeriesSplit
from sklearn.pipeline import make_pipeline

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor, compare_with_sklearn
from sknn_iitb.activations import LeakyReLU
from sknn_iitb.initializers import Orthogonal
from sknn_iitb.inspection import ImportanceDisplay, gradient_importance
from sknn_iitb.losses import Huber, Quantile
from sknn_iitb.optimizers import SGD
from sknn_iitb.schedules import WarmUp
from sknn_iitb.tabular import PiecewiseLinearEncoder, RobustSmoothScaler, SplineEncoder, TableEncoder, View


def custom_activation(z: float) -> tuple[float, float]:
    return z, 1.0


def parameters() -> list[MLPClassifier]:
    return [
        MLPClassifier(hidden_layer_sizes=100, activation=custom_activation, batch_size="full", verbose=True),
        MLPClassifier((3, 4), ["relu", LeakyReLU(0.1)], solver=SGD(), dropout=[0.1, 0.2, 0.3], n_iter_no_change=np.inf),
        MLPClassifier(early_stopping="auto", validation_fraction=TimeSeriesSplit(), dtype="float32", init=Orthogonal()),
        MLPClassifier(validation_fraction=GroupShuffleSplit(), scoring=make_scorer(accuracy_score), dtype=np.float64),
        MLPClassifier(random_state=np.random.RandomState(0), class_weight={"a": 1.0, "b": 2.0}),
        MLPClassifier(class_weight=[{0: 1.0}, {1: 2.0}], learning_rate=WarmUp("cosine", 10), hidden_layer_sizes=[]),
    ]


def data(net: MLPClassifier) -> float:
    X, y = np.zeros((10, 3)), np.arange(10)
    _ = net.fit(X, y, sample_weight=np.ones(10), X_val=X, y_val=y, groups=y).predict(X).shape
    _ = net.fit(pd.DataFrame(X), pd.Series(y)).partial_fit(sparse.csr_array(X), y, classes=[0, 1])
    _ = net.fit([[1, 2], [3, 4]], ["a", "b"]).predict_proba(sparse.csr_matrix(X))[:, 1]
    net.coefs_ = [2 * weights for weights in net.coefs_]
    net.coefs_[0] += 1
    loss, gradient = net.loss_and_gradient(X, y)
    net.parameters_ -= 0.1 * gradient
    _ = MLPClassifier(init=(net.coefs_, net.intercepts_), warm_start=True)
    _ = MLPClassifier.from_sklearn(net.to_sklearn())
    _ = compare_with_sklearn(make_pipeline(RobustSmoothScaler(), net), X, y).seconds.ours
    return loss + net.score(X, y)


def numbers(X: pd.DataFrame, y: pd.Series) -> float:
    net = MLPRegressor(Quantile([0.1, 0.9])).set_params(loss=Huber(delta=2)).fit(X, y)
    mean, deviation = net.predict(X, return_std=True)
    return float(net.predict(X).mean() + mean.mean() + deviation.mean() + net.hidden_activations(X, layer=0).mean())


def tables(X: pd.DataFrame, y: pd.Series) -> None:
    net = TabularMLPClassifier(preset="fast", categorical_features=["a", "b"], solver=SGD(), n_bins=None)
    _ = net.fit(X, y).predict(X)
    _ = TabularMLPRegressor(quantiles=[0.1, 0.5], max_time=3, learning_rate="coslog").fit(X, y)
    _ = TabularMLPClassifier(views=["bins", View(limit=10, splines="all")]).fit(X, y).views_["bins"]
    _ = TableEncoder(categorical_features=None, view="spline").fit_transform(X).shape
    _ = SplineEncoder(8, discrete_only=True).fit_transform(X).shape
    _ = PiecewiseLinearEncoder(n_bins=4).fit(X, sample_weight=[1, 2]).transform(X).shape
    _ = gradient_importance(net, X, random_state=0).argmax()
    ImportanceDisplay.from_estimator(net, X, y, kind="permutation", scoring="accuracy").ax_.set_title("importance")
