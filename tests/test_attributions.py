"""Integrated gradients are complete, and equal to the gradients of naive quadrature."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.inspection import attributions
from sknn_iitb.losses import Gaussian, Quantile
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHORT = {"max_iter": 20, "random_state": 0, "dtype": np.float64}


def data(loader):
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def check(net, X, baseline, f):
    found = attributions(net, X, baseline)
    total = found.attributions.sum(axis=1)
    np.testing.assert_allclose(found.predictions, f(X), atol=1e-6)
    np.testing.assert_allclose(found.base_value, f(baseline[None])[0], atol=1e-6)
    np.testing.assert_allclose(total, f(X) - f(baseline[None]), atol=1e-6)
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"activation": "tanh"},
        {"activation": "gelu", "hidden_layer_sizes": (30, 20)},
        {"layer_norm": True, "hidden_layer_sizes": (20, 10)},
        {"batch_norm": True, "hidden_layer_sizes": (20, 10)},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_attributions_of_two_classes_sum_to_the_change_of_the_probability(parameters):
    X, y = data(load_breast_cancer)
    net = MLPClassifier(**SHORT | parameters).fit(X, y)
    found = check(net, X[:100], X[300], lambda rows: net.predict_proba(rows)[:, 1])
    assert found.attributions.shape == (100, 30)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_several_classes_have_attributions_each(output):
    X, y = data(load_iris)
    net = MLPClassifier(output_activation=output, **SHORT).fit(X, y)
    found = check(net, X, X[0], net.predict_proba)
    assert found.attributions.shape == (150, 4, 3)
    np.testing.assert_allclose(found.attributions.sum(axis=2), 0, atol=1e-12)  # probabilities sum to one


def test_the_only_class_is_certain():
    X, _ = data(load_iris)
    net = MLPClassifier(max_iter=3, random_state=0).fit(X, np.full(150, "setosa"))
    found = attributions(net, X)
    assert found.base_value == 1
    np.testing.assert_array_equal(found.attributions, np.zeros((150, 4)))


def test_several_labels_have_attributions_each():
    X, Y = make_multilabel_classification(n_samples=100, n_classes=3, random_state=0)
    net = MLPClassifier(**SHORT).fit(X, Y)
    check(net, X, X[0], net.predict_proba)


def test_several_columns_of_classes_have_attributions_each():
    X, y = data(load_iris)
    net = MLPClassifier(**SHORT).fit(X, np.column_stack([y, y // 2 + 5]))
    check(net, X, X[0], lambda rows: np.hstack(net.predict_proba(rows)))


def test_a_classifier_without_probabilities_is_attributed_by_its_scores():
    X, y = data(load_breast_cancer)
    net = MLPClassifier(loss="hinge", **SHORT).fit(X, y)
    check(net, X[:50], X[0], net.decision_function)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", Gaussian(), Quantile(0.9)], ids=str)
def test_attributions_sum_to_the_change_of_the_prediction(loss):
    X, y = data(load_diabetes)
    net = MLPRegressor(loss, **SHORT).fit(X, y / 100)
    found = check(net, X[:100], X[0], net.predict)
    assert found.attributions.shape == (100, 10)


def test_several_targets_have_attributions_each():
    X, y = data(load_diabetes)
    net = MLPRegressor(**SHORT).fit(X, np.column_stack([y, -y]) / 100)
    assert check(net, X[:20], X[0], net.predict).attributions.shape == (20, 10, 2)


def test_attributions_of_a_linear_model_are_its_terms():
    X, y = data(load_diabetes)
    net = MLPRegressor(hidden_layer_sizes=(), **SHORT).fit(X, y / 100)
    found = attributions(net, X).attributions
    np.testing.assert_allclose(found, (X - X.mean(axis=0)) * net.coefs_[0].ravel(), atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_attributions_are_integrals_of_gradients(activation):
    X, y = data(load_diabetes)
    net = MLPRegressor(hidden_layer_sizes=(20, 10), activation=activation, **SHORT).fit(X, y / 100)
    x, b, n, step = X[7], X[3], 4000, 1e-6
    line = b + (np.arange(n)[:, None] + 0.5) / n * (x - b)
    slopes = [(net.predict(line + move) - net.predict(line - move)).mean() / (2 * step) for move in step * np.eye(10)]
    found = attributions(net, x[None], b, n_steps=500).attributions[0]
    np.testing.assert_allclose(found, (x - b) * slopes, atol=1e-4 * abs(found).max())
    coarse = attributions(net, x[None], b).attributions[0]
    np.testing.assert_allclose(coarse, found, atol=0.01 * abs(found).max())


def table(n=200):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"city": rng.choice(["Pune", "Delhi", "Goa"], n), "area": rng.lognormal(size=n), "age": rng.integers(0, 9, n)}
    )
    return X, np.where(X["city"] == "Goa", 3.0, 0.0) + X["area"] + rng.normal(0, 0.1, n)


def test_columns_of_a_table_have_one_attribution_each():
    X, y = table()
    net = TabularMLPRegressor(n_estimators=3, max_iter=20, random_state=0).fit(X, y)
    first = X.iloc[:1]
    found = attributions(net, X, first)
    assert found.columns == ["city", "area", "age"]
    assert found.attributions.shape == (200, 3)
    np.testing.assert_allclose(
        found.attributions.sum(axis=1), net.predict(X) - net.predict(first), atol=1e-6 * np.ptp(y)
    )
    is_goa = X["city"] == "Goa"
    of_city = attributions(net, X).attributions[:, 0]
    assert of_city[is_goa].min() > of_city[~is_goa].max()
    as_series = attributions(net, X, X.iloc[0])
    np.testing.assert_array_equal(as_series.attributions, found.attributions)


@pytest.mark.parametrize("views", [None, ["smooth", "wide", "bins"], ["spline", "discrete"]], ids=str)
def test_attributions_of_a_tabular_classifier_sum_to_the_change_of_the_probability(views):
    X, y = table()
    labels = np.digitize(y, [1, 3])
    for target in (labels, labels > 0):
        net = TabularMLPClassifier(n_estimators=3, max_iter=20, views=views, random_state=0).fit(X, target)
        found, p = attributions(net, X, X.iloc[:1]), net.predict_proba(X)
        p = p[:, 1] if p.shape[1] == 2 else p
        np.testing.assert_allclose(found.attributions.sum(axis=1), p - p[0], atol=1e-6)


def test_a_pipeline_is_attributed_by_the_columns_of_its_last_step():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    net = make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).fit(X, y)
    found = attributions(net, X)
    assert found.columns == [*X.columns]
    alone = attributions(net[-1], net[:-1].transform(X))
    np.testing.assert_array_equal(found.attributions, alone.attributions)


def test_attributions_of_a_tabular_ensemble_with_weights_and_a_temperature_are_complete():
    X, y = table()
    net = TabularMLPClassifier(n_estimators=3, max_iter=20, views=["bins", "smooth"], random_state=0).fit(X, y > 2)
    average = net._averages["members_"]
    net._averages["members_"] = average._replace(weights=[1, 3, 2], temperature=1.7)
    found, p = attributions(net, X, X.iloc[:1]), net.predict_proba(X)[:, 1]
    np.testing.assert_allclose(found.attributions.sum(axis=1), p - p[0], atol=1e-6)


def test_the_estimator_stays_as_it_is():
    X, y = data(load_iris)
    net = MLPClassifier(**SHORT).fit(X, y)
    before = net.parameters_.copy()
    attributions(net, X)
    np.testing.assert_array_equal(net.parameters_, before)


def test_a_sparse_matrix_is_attributed_as_a_dense_one():
    from scipy.sparse import csr_array

    X, y = load_digits(return_X_y=True)
    X = X[:200] / 16
    net = MLPClassifier(**SHORT).fit(X, y[:200])
    found = attributions(net, csr_array(X)).attributions
    np.testing.assert_allclose(found, attributions(net, X).attributions, atol=1e-12)


def test_impossible_requests_have_clear_errors():
    X, y = data(load_diabetes)
    with pytest.raises(NotFittedError):
        attributions(MLPRegressor(), X)
    with pytest.raises(TypeError, match="got LogisticRegression"):
        attributions(LogisticRegression().fit(X, y > 100), X)
    net = MLPRegressor(Quantile([0.1, 0.9]), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="several quantiles"):
        attributions(net, X)
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        attributions(net, X, n_steps=0)
    with pytest.raises(ValueError, match="4 features"):
        attributions(MLPRegressor(**SHORT).fit(X, y), X, X[0, :4])


def test_a_missing_shap_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match=r"sknn-iitb\[shap\]"):
        attributions(MLPRegressor(), np.zeros((3, 2)), as_shap=True)


def test_a_shap_explanation_has_the_same_numbers():
    shap = pytest.importorskip("shap")
    X, y = data(load_diabetes)
    net = MLPRegressor(**SHORT).fit(X, y / 100)
    found, explanation = attributions(net, X), attributions(net, X, as_shap=True)
    assert isinstance(explanation, shap.Explanation)
    np.testing.assert_array_equal(explanation.values, found.attributions)
    np.testing.assert_array_equal(explanation.base_values, np.full(len(X), found.base_value))
