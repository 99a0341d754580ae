"""Networks without hidden layers match the linear models of scikit-learn."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, PoissonRegressor, Ridge

from sknn_iitb import MLPClassifier, MLPRegressor

ROSENBLATT = {
    "hidden_layer_sizes": (),
    "init": "zeros",
    "output_activation": "step",
    "loss": "perceptron",
    "solver": "sgd",
    "momentum": 0,
    "learning_rate_init": 1,
    "alpha": 0,
    "batch_size": 1,
    "shuffle": False,
    "n_iter_no_change": np.inf,
}

CONVERGED = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-8, "max_iter": 10_000, "max_fun": 100_000}


def _perceptron(n_epochs):
    return Perceptron(shuffle=False, tol=None, max_iter=n_epochs, penalty=None, eta0=1.0)


@pytest.mark.nojit
@pytest.mark.parametrize("n_classes", [2, 3])
def test_each_epoch_of_rosenblatts_rule_matches_perceptron(iris, n_classes):
    X, y = iris
    X, y = X[y < n_classes][::-1], y[y < n_classes][::-1]
    for n_epochs in range(1, 8):
        with pytest.warns(ConvergenceWarning):
            ours = MLPClassifier(**ROSENBLATT, max_iter=n_epochs).fit(X, y)
        theirs = _perceptron(n_epochs).fit(X, y)
        np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(ours.intercepts_[0], theirs.intercept_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_rosenblatts_rule_matches_perceptron_on_inseparable_data(cancer):
    X, y = cancer
    X, y = X[:, :3], y
    with pytest.warns(ConvergenceWarning):
        ours = MLPClassifier(**ROSENBLATT, max_iter=5).fit(X, y)
    theirs = _perceptron(5).fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, rtol=1e-10)
    np.testing.assert_array_equal(ours.intercepts_[0], theirs.intercept_)


def test_rosenblatts_rule_follows_the_shuffled_order(iris):
    X, y = iris
    with pytest.warns(ConvergenceWarning):
        ours = MLPClassifier(**{**ROSENBLATT, "shuffle": True}, max_iter=1, random_state=5).fit(X, y)
    order = np.random.RandomState(5).permutation(len(X))
    theirs = _perceptron(1).fit(X[order], y[order])
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, rtol=1e-12, atol=1e-12)


def test_logistic_output_matches_logistic_regression(cancer):
    X, y = cancer
    ours = MLPClassifier(**CONVERGED, alpha=0.5, output_activation="logistic").fit(X, y)
    theirs = LogisticRegression(C=2.0, tol=1e-10, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)


@pytest.mark.parametrize("dataset", ["iris", "digits"])
def test_softmax_output_matches_multinomial_logistic_regression(dataset, request):
    X, y = request.getfixturevalue(dataset)
    ours = MLPClassifier(**CONVERGED, alpha=1.0, init="zeros").fit(X, y)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(X, y)
    assert ours.out_activation_ == "softmax"
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-5)
    # only differences of intercepts matter
    np.testing.assert_allclose(ours.intercepts_[0] - ours.intercepts_[0].mean(), theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_sample_weights_match_weighted_logistic_regression(cancer):
    X, y = cancer
    weight = np.random.RandomState(0).uniform(0.1, 3, len(X))
    ours = MLPClassifier(**CONVERGED | {"tol": 3e-9}, alpha=0.5).fit(X, y, sample_weight=weight)
    theirs = LogisticRegression(C=2.0, tol=1e-10, solver="newton-cholesky").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-5)


def test_exponential_output_with_poisson_loss_matches_poisson_regression(counts):
    X, y = counts
    ours = MLPRegressor(loss="poisson", **CONVERGED, alpha=3.0, init="zeros").fit(X, y)
    # scikit-learn adds a penalty of alpha / 2 to half the mean deviance, ours is alpha / (2 n)
    theirs = PoissonRegressor(alpha=3.0 / len(X), tol=1e-8, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)


def test_identity_output_matches_ridge_regression(diabetes):
    X, y = diabetes
    ours = MLPRegressor(**CONVERGED, alpha=2.0).fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], Ridge(alpha=2.0).fit(X, y).coef_, atol=1e-6)


def test_several_identity_outputs_match_separate_linear_regressions(wine):
    X, Y = wine
    # at 1e-8 the steps come close to the rounding of the loss, where a line search can fail
    ours = MLPRegressor(**CONVERGED | {"tol": 3e-8}, alpha=0).fit(X, Y)
    theirs = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=1e-6)
