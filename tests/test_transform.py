"""Networks as transformers: the values of their hidden layers."""

import naive
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
)

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.activations import LeakyReLU

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]
MIXED = ["tanh", LeakyReLU(negative_slope=0.2), "gelu"]


def _net(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (9, 7, 5), "max_iter": 3, "random_state": 0, **parameters})


def _forward(net, X):
    """Values of the hidden layers, and the raw score, in float64 NumPy."""
    values = [np.asarray(X, float)]
    for k, (W, b) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        z = values[-1] @ W.astype(float)
        if k == len(net.coefs_) - 1:
            return values[1:], z + b
        if net.batch_norm:
            z = (z - net.means_[k]) / np.sqrt(net.variances_[k] + 1e-5) * net.scales_[k]
        values.append(naive.activate(net._network.activations[k], z + b)[0])
    return None


@pytest.mark.nojit
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix], ids=lambda f: f.__name__)
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "identity", MIXED], ids=["relu", "identity", "mixed"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_hidden_activations_match_a_forward_pass(task, dtype, activation, batch_norm, kind):
    cls, X, y = task
    X = np.where(abs(X) > 1, X, 0).astype(dtype)
    net = _net(cls, activation=activation, batch_norm=batch_norm, dropout=0.2).fit(kind(X), y)
    expected, score = _forward(net, X)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    for layer in range(3):
        values = net.hidden_activations(kind(X), layer)
        assert values.dtype == dtype
        np.testing.assert_allclose(values, expected[layer], **tolerance)
        np.testing.assert_array_equal(net.hidden_activations(kind(X), layer - 3), values)
    np.testing.assert_array_equal(net.hidden_activations(kind(X)), values)
    np.testing.assert_array_equal(net.transform(kind(X)), values)
    assert type(values) is np.ndarray
    raw = net.decision_function(kind(X)) if is_classifier(net) else net.predict(kind(X))
    np.testing.assert_allclose(raw, score[:, 0], **tolerance)


def test_hidden_activations_of_many_rows_match_those_of_chunks(diabetes):
    X, y = diabetes
    net = _net(MLPRegressor, batch_norm=True).fit(X, y)
    many = np.tile(X, (50, 1))  # enough rows for several chunks
    for rows in (many, (1000 * many).astype(np.int32)):
        chunks = [net.hidden_activations(chunk, 1) for chunk in np.array_split(rows, 50)]
        np.testing.assert_allclose(net.hidden_activations(rows, 1), np.vstack(chunks), rtol=1e-10, atol=1e-12)


def test_fit_transform_equals_fit_then_transform(task):
    cls, X, y = task
    np.testing.assert_array_equal(_net(cls).fit_transform(X, y), _net(cls).fit(X, y).transform(X))


@pytest.mark.parametrize("layer", [3, -4, 1.0, "last", None, True, False])
def test_invalid_layer_raises(task, layer):
    cls, X, y = task
    net = _net(cls).fit(X, y)
    with pytest.raises(ValueError, match=f"layer={layer!r} is not one of the 3 hidden layers"):
        net.hidden_activations(X, layer)


def test_transform_without_a_hidden_layer_raises(task):
    cls, X, y = task
    net = _net(cls, hidden_layer_sizes=()).fit(X, y)
    for call in (lambda: net.transform(X), lambda: net.hidden_activations(X), net.get_feature_names_out):
        with pytest.raises(ValueError, match="hidden layer"):
            call()


def test_transform_before_fit_raises(task):
    cls, X, _ = task
    for call in (lambda: cls().transform(X), lambda: cls().hidden_activations(X), cls().get_feature_names_out):
        with pytest.raises(NotFittedError):
            call()


def test_feature_names_are_class_name_and_number(task):
    cls, X, y = task
    names = _net(cls).fit(X, y).get_feature_names_out()
    assert names.tolist() == [f"{cls.__name__.lower()}{k}" for k in range(5)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_returns_frames(task, library):
    frames = pytest.importorskip(library)
    cls, X, y = task
    net = _net(cls).fit(X, y)
    values = net.transform(X)
    frame = net.set_output(transform=library).transform(X)
    assert isinstance(frame, frames.DataFrame)
    assert list(frame.columns) == net.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame.to_numpy(), values)
    assert isinstance(net.predict(X), np.ndarray)


def test_transform_keeps_the_index_of_a_frame(task):
    cls, X, y = task
    frame = pd.DataFrame(X, index=np.arange(len(X)) * 3).rename(columns=str)
    net = _net(cls).fit(frame, y).set_output(transform="pandas")
    assert net.transform(frame).index.equals(frame.index)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # the checks mix arrays and DataFrames
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "check",
    [
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_global_output_transform_pandas,
        check_global_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learn_transformer_check(cls, check):
    check(cls.__name__, cls(hidden_layer_sizes=4, max_iter=2))


def test_network_is_a_transformer_in_a_pipeline(task):
    cls, X, y = task
    last = LogisticRegression() if cls is MLPClassifier else Ridge()
    net = _net(cls, max_iter=30, learning_rate_init=0.01)
    pipeline = make_pipeline(net, clone(last)).fit(X, y)
    values = net.fit_transform(X, y)
    np.testing.assert_array_equal(pipeline.predict(X), last.fit(values, y).predict(values))
    names = pipeline[:-1].get_feature_names_out()
    assert len(names) == pipeline[-1].n_features_in_ == 5
    assert cross_val_score(pipeline, X, y, cv=3).mean() > (0.93 if cls is MLPClassifier else 0.3)
