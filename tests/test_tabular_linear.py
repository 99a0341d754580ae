"""The linear model beside the networks of a tabular ensemble."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from sknn_iitb.tabular import TableEncoder, TabularMLPClassifier, TabularMLPRegressor, _linear

QUICK = {"max_iter": 8, "hidden_layer_sizes": 16, "random_state": 0}


def _table(n=300, n_columns=6):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, n_columns))
    return X, X[:, 0] - X[:, 1] + rng.normal(size=n)


class _Samples:
    def __init__(self, Y):
        self.Y = Y.astype(np.float32)


def test_ridge_is_that_of_scikit_learn():
    X, y = _table()
    Y, weight = np.column_stack([y, X[:, 2] ** 2]), np.random.RandomState(1).randint(1, 4, size=len(y)).astype(float)
    strengths = [100.0, 0.1]
    for strength, found in zip(strengths, _linear._ridge(X, _Samples(Y), weight, strengths, None), strict=True):
        ridge = Ridge(strength).fit(X, Y, sample_weight=weight)
        np.testing.assert_allclose(found, np.vstack([ridge.coef_.T, ridge.intercept_]), atol=1e-6)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_logistic_regression_is_that_of_scikit_learn(output, monkeypatch):
    monkeypatch.setattr(_linear, "_TOLERANCE", 1e-12)
    X, y = _table()
    weight = np.random.RandomState(1).randint(1, 4, size=len(y)).astype(float)
    if output == "softmax":
        labels = [np.digitize(y, [-1, 1])]
        Y = np.eye(3)[labels[0]]
    else:
        labels = [y > 0, X[:, 2] + y > 1]
        Y = np.column_stack(labels)
    solve = _linear._SOLVERS["log_loss", output]
    strengths, start = [100.0, 1.0], np.zeros((X.shape[1] + 1, Y.shape[1]))
    for strength, found in zip(strengths, solve(X, _Samples(Y), weight, strengths, start), strict=True):
        models = [LogisticRegression(C=1 / strength, tol=1e-8).fit(X, each, sample_weight=weight) for each in labels]
        coefs = np.vstack([model.coef_ for model in models]).T
        # the intercepts of a softmax are determined up to a constant
        intercepts, found_intercepts = np.concatenate([model.intercept_ for model in models]), found[-1]
        if output == "softmax":
            intercepts, found_intercepts = intercepts - intercepts.mean(), found_intercepts - found_intercepts.mean()
        np.testing.assert_allclose(found[:-1], coefs, atol=2e-3)
        np.testing.assert_allclose(found_intercepts, intercepts, atol=2e-3)


@pytest.mark.parametrize("cls", [TabularMLPRegressor, TabularMLPClassifier])
def test_a_linear_model_joins_where_the_signal_is_linear(cls):
    X, y = _table()
    y = y if cls is TabularMLPRegressor else y > 0
    net = cls(**QUICK).fit(X, y)
    assert net.views_["linear"] >= 0.1
    assert sum(net.views_.values()) == pytest.approx(1)
    *networks, linear = net.members_
    n = len(networks)
    assert n == (8 if cls is TabularMLPRegressor else 5)
    assert linear.n_iter == 0
    assert linear.network.units[:1] == (6,)
    Z = TableEncoder().fit_transform(X)  # what it sees
    score = linear.scores(net.encoder_.transform(X))
    assert np.linalg.matrix_rank(np.column_stack([Z, np.ones(len(Z)), score[:, 0]]), tol=1e-3) == Z.shape[1] + 1
    scores = [member.scores(net.encoder_.transform(X)) for member in net.members_]
    goal, weights = net._goals()["members_"], [*[(1 - net.views_["linear"]) / n] * n, net.views_["linear"]]
    expected = np.average([goal.predictions(each) for each in scores], axis=0, weights=weights)
    if cls is TabularMLPRegressor:
        expected = np.clip(expected[:, 0] * net._scale[0] + net._mean[0], y.min(), y.max())
        np.testing.assert_allclose(net.predict(X), expected, rtol=1e-5, atol=1e-5)
    net.partial_fit(X, y)
    assert len(net.members_) == n + 1


def test_a_linear_model_does_not_join_where_it_has_nothing_to_add():
    X, _ = _table(1000, 2)
    net = TabularMLPRegressor(**QUICK | {"max_iter": 40}).fit(X, np.sin(3 * X[:, 0]) * np.sin(3 * X[:, 1]))
    assert "linear" not in net.views_
    assert len(net.members_) == 8


@pytest.mark.parametrize(
    "parameters",
    [{"views": ["bins", "smooth"]}, {"metric": "mae"}, {"validation_fraction": 0.5, "n_estimators": 1}],
    ids=["views", "metric", "one split"],
)
def test_a_linear_model_has_its_conditions(parameters):
    X, y = _table()
    net = TabularMLPRegressor(**QUICK | parameters).fit(X, y)
    assert "linear" not in net.views_
    wide = TabularMLPRegressor(**QUICK).fit(np.hstack([X, np.random.RandomState(0).normal(size=(300, 1024))]), y)
    assert "linear" not in wide.views_


def test_a_validation_set_of_the_user_leaves_the_linear_model_out():
    X, y = _table()
    assert "linear" not in TabularMLPRegressor(**QUICK).fit(X, y, X_val=X[:50], y_val=y[:50]).views_


def test_weights_are_repetitions_for_the_linear_model():
    X, y = _table(120)
    weight = np.random.RandomState(2).randint(1, 3, size=len(y))
    weighted = TabularMLPRegressor(**QUICK).fit(X, y, sample_weight=weight)
    repeated = TabularMLPRegressor(**QUICK).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert "linear" in weighted.views_
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


def test_large_tables_fit_the_linear_model_to_some_rows(monkeypatch):
    X, y = _table(1000)
    whole = TabularMLPRegressor(**QUICK).fit(X, y)
    monkeypatch.setattr(_linear, "_MOST_CELLS", 3000)
    some = TabularMLPRegressor(**QUICK).fit(X, y)
    for net in (whole, some):
        assert "linear" in net.views_
    one, other = (net.members_[-1].theta for net in (whole, some))
    np.testing.assert_allclose(one, other, atol=0.2)
    assert not np.array_equal(one, other)
