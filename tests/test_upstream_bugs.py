"""Bugs of scikit-learn's multi-layer perceptrons that are not here, by the numbers of its issues where there is one.

Tests of others stand where their subject is:

- 7280, 8949, 34070 (threads that get into each other's way): ``test_jit.py``;
- 12505 (calls of partial_fit are not the epochs of fit, for the order is always the same), warm starts that stop after
  one epoch or lose the best weights, weights that act within a batch only, logarithms of -inf: ``test_estimators.py``;
- lbfgs that fits as a whole in partial_fit, negative counts: ``test_bad_input.py``;
- 16812, 19626, 24764, 24846, 25693, 33760, which upstream has mended: its own tests, in ``test_upstream.py``.
"""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sknn_iitb import MLPClassifier, MLPRegressor

BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
CONVERGED_OR_NOT = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_8349_the_line_search_of_lbfgs_is_not_misled_by_several_outputs(wine):
    Y, X = wine  # ten outputs
    net = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=1.0, random_state=0)
    net.fit(X, Y)  # without a warning
    np.testing.assert_allclose(net.coefs_[0].T, Ridge(alpha=1.0).fit(X, Y).coef_, atol=1e-4)


def test_15596_a_lucky_epoch_does_not_make_the_adaptive_rate_collapse(diabetes):
    X, y = diabetes
    descent = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0, "batch_size": len(X), "random_state": 0}
    net = MLPRegressor(hidden_layer_sizes=(), learning_rate="adaptive", n_iter_no_change=3, tol=1e-6, alpha=0)
    net.set_params(**descent).partial_fit(X, y)
    net.partial_fit(X, net.predict(X))  # a loss of 0, on which no later epoch improves
    rates = [net.partial_fit(X, y)._optimizer.learning_rate for _ in range(16)]
    assert (np.diff(net.loss_curve_[2:]) < -net.tol).all()
    assert min(rates) >= 0.01 / 5


def test_15596_nor_does_a_lucky_score_under_early_stopping(diabetes):
    X, y = diabetes
    descent = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0, "batch_size": len(X), "random_state": 0}
    net = MLPRegressor(hidden_layer_sizes=(), learning_rate="adaptive", n_iter_no_change=3, tol=1e-6, alpha=0)
    net.set_params(early_stopping=True, **descent).partial_fit(X, y, X_val=X, y_val=y)
    net.partial_fit(X, y, X_val=X, y_val=net.predict(X))
    rates = [net.partial_fit(X, y, X_val=X, y_val=y)._optimizer.learning_rate for _ in range(16)]
    assert min(rates) >= 0.01 / 5


@CONVERGED_OR_NOT
def test_29504_a_validation_score_of_nan_does_not_start_patience_anew(diabetes):
    X, y = diabetes
    parameters = {"solver": "sgd", "learning_rate_init": 1.0, "activation": "identity", "random_state": 0}
    net = MLPRegressor(early_stopping=True, n_iter_no_change=2, max_iter=100, **parameters).fit(X, y)
    assert np.isnan(net.validation_scores_[-1])
    assert net.n_iter_ < 100
    assert np.isfinite(net.predict(X)).all()


def test_19959_a_pickle_grows_by_no_more_than_the_curves_in_partial_fit(iris):
    X, y = iris
    net = MLPClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    size = len(pickle.dumps(net))
    for _ in range(20):
        net.partial_fit(X, y)
    per_epoch = 2 * 9 + 10  # a loss and a rate
    assert len(pickle.dumps(net)) < size + 20 * per_epoch


@BOTH
@CONVERGED_OR_NOT
def test_10236_lbfgs_is_verbose(iris, capsys, cls):
    cls(solver="lbfgs", max_iter=5, verbose=2, random_state=0).fit(*iris)
    assert any(line.startswith("Iteration") for line in capsys.readouterr().out.splitlines())


@CONVERGED_OR_NOT
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_batch_of_zero_weights_is_no_division_by_zero(diabetes, solver):
    X, y = diabetes
    weight = np.where(np.arange(len(X)) < 20, 0.0, 1.0)
    net = MLPRegressor(solver=solver, batch_size=10, shuffle=False, max_iter=3, random_state=0)
    predicted = net.fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(predicted, net.fit(X[20:], y[20:]).predict(X), rtol=1e-12)
