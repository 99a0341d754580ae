"""Bugs of scikit-learn's multi-layer perceptrons that we avoid, with the numbers of scikit-learn's issues.

Other such bugs are tested with their subject:

- 7280, 8949, 34070 (interfering threads): ``test_jit.py``;
- 12505 (partial_fit always uses the same order, so its calls differ from epochs of fit), warm starts that stop after
  one epoch or lose the best weights, sample weights that act only within a batch, logarithms of -inf:
  ``test_estimators.py``;
- a complete lbfgs fit in partial_fit, negative counts: ``test_bad_input.py``;
- 16812, 19626, 24764, 24846, 25693, 33760, fixed upstream: scikit-learn's own tests, in ``test_upstream.py``.
"""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sknn_iitb import MLPClassifier, MLPRegressor

BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
IGNORE_CONVERGENCE = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_8349_several_outputs_do_not_mislead_the_line_search_of_lbfgs(wine):
    Y, X = wine  # ten outputs
    net = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=1.0, random_state=0)
    net.fit(X, Y)  # without a warning
    np.testing.assert_allclose(net.coefs_[0].T, Ridge(alpha=1.0).fit(X, Y).coef_, atol=1e-4)


def test_15596_lucky_epoch_does_not_collapse_the_adaptive_learning_rate(diabetes):
    X, y = diabetes
    descent = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0, "batch_size": len(X), "random_state": 0}
    net = MLPRegressor(hidden_layer_sizes=(), learning_rate="adaptive", n_iter_no_change=3, tol=1e-6, alpha=0)
    net.set_params(**descent).partial_fit(X, y)
    net.partial_fit(X, net.predict(X))  # a loss of 0, which no later epoch improves
    learning_rates = [net.partial_fit(X, y)._optimizer.learning_rate for _ in range(16)]
    assert (np.diff(net.loss_curve_[2:]) < -net.tol).all()
    assert min(learning_rates) >= 0.01 / 5


def test_15596_lucky_validation_score_does_not_collapse_the_adaptive_learning_rate(diabetes):
    X, y = diabetes
    descent = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0, "batch_size": len(X), "random_state": 0}
    net = MLPRegressor(hidden_layer_sizes=(), learning_rate="adaptive", n_iter_no_change=3, tol=1e-6, alpha=0)
    net.set_params(early_stopping=True, **descent).partial_fit(X, y, X_val=X, y_val=y)
    net.partial_fit(X, y, X_val=X, y_val=net.predict(X))
    learning_rates = [net.partial_fit(X, y, X_val=X, y_val=y)._optimizer.learning_rate for _ in range(16)]
    assert min(learning_rates) >= 0.01 / 5


@IGNORE_CONVERGENCE
def test_29504_nan_validation_score_does_not_reset_the_patience(diabetes):
    X, y = diabetes
    parameters = {"solver": "sgd", "learning_rate_init": 1.0, "activation": "identity", "random_state": 0}
    net = MLPRegressor(early_stopping=True, n_iter_no_change=2, max_iter=100, **parameters).fit(X, y)
    assert np.isnan(net.validation_scores_[-1])
    assert net.n_iter_ < 100
    assert np.isfinite(net.predict(X)).all()


def test_19959_pickle_grows_only_by_the_curves_in_partial_fit(iris):
    X, y = iris
    net = MLPClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    size = len(pickle.dumps(net))
    for _ in range(20):
        net.partial_fit(X, y)
    per_epoch = 2 * 9 + 10  # a loss and a learning rate
    assert len(pickle.dumps(net)) < size + 20 * per_epoch


@BOTH
@IGNORE_CONVERGENCE
def test_10236_lbfgs_supports_verbose(iris, capsys, cls):
    cls(solver="lbfgs", max_iter=5, verbose=2, random_state=0).fit(*iris)
    assert any(line.startswith("Iteration") for line in capsys.readouterr().out.splitlines())


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_batch_of_zero_weights_does_not_divide_by_zero(diabetes, solver):
    X, y = diabetes
    weight = np.where(np.arange(len(X)) < 20, 0.0, 1.0)
    net = MLPRegressor(solver=solver, batch_size=10, shuffle=False, max_iter=3, random_state=0)
    predicted = net.fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(predicted, net.fit(X[20:], y[20:]).predict(X), rtol=1e-12)
