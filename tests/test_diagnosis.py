"""diagnose: twelve planted faults are named first, and healthy networks are left in peace."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.inspection import diagnose
from sknn_iitb.inspection._training import begin
from sknn_iitb.inspection._units import hidden_layers, values_and_slopes
from sknn_iitb.inspection.hessian import largest_stable_rate
from sknn_iitb.optimizers import SGD
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.newest

X, Y = load_digits(return_X_y=True)
X = X / 16


def _fitted(net, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return net.fit(X, y)


def _init(spread, bias, seed=0):
    rng = np.random.default_rng(seed)
    coefs = [spread * rng.normal(size=(64, 50)), 0.1 * rng.normal(size=(50, 10))]
    return coefs, [np.full(50, float(bias)), np.zeros(10)]


def _rare():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 5))
    return x, (x[:, 0] + 2 * rng.normal(size=2000) > 4.2).astype(int)


def _noise():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2000, 3)), rng.normal(size=2000)


DIABETES = load_diabetes(return_X_y=True)
FAULTS = {
    "scale": lambda: (MLPClassifier(), *load_wine(return_X_y=True)),
    "scale of y": lambda: (MLPRegressor(max_iter=100), scale(DIABETES[0]), 100 * DIABETES[1]),
    "learning rate too high": lambda: (MLPClassifier(learning_rate_init=3), X, Y),
    "learning rate too high for sgd": lambda: (MLPClassifier(solver="sgd", learning_rate_init=8), X, Y),
    "learning rate too low": lambda: (MLPClassifier(learning_rate_init=1e-5), X, Y),
    "too few epochs": lambda: (MLPClassifier(learning_rate_init=0.01, max_iter=3), X, Y),
    "penalty too strong": lambda: (MLPClassifier(alpha=1000, learning_rate_init=0.01), X, Y),
    "dead units": lambda: (MLPClassifier((50,), init=_init(0.1, -30)), X, Y),
    "saturated units": lambda: (MLPClassifier((50,), activation="tanh", init=_init(10, 0), max_iter=30), X, Y),
    "vanishing gradient": lambda: (MLPClassifier([20] * 8, activation="logistic", learning_rate_init=0.01), X, Y),
    "class imbalance": lambda: (MLPClassifier((10,)), *_rare()),
    "underfitting": lambda: (
        MLPRegressor(hidden_layer_sizes=(3,), learning_rate="cosine", max_iter=100),
        *_noise(),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_comes_first(fault):
    net, x, y = FAULTS[fault]()
    net = _fitted(net.set_params(random_state=0), x, y)
    before = pickle.dumps(net)
    found = diagnose(net, x, y)
    assert pickle.dumps(net) == before
    assert fault.startswith(found[0].name)
    assert found[0].message.endswith(".")
    assert found[0].fix.endswith(".")
    assert str(found).startswith(f"1. {found[0].message}\n   {found[0].fix}")


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_stable_rate_is_that_of_gradient_descent(momentum, nesterov):
    """On a quadratic, training converges just below it and diverges just above."""
    x, y = map(scale, DIABETES)
    sgd = {"solver": "sgd", "momentum": momentum, "nesterovs_momentum": nesterov, "batch_size": "full"}
    net = MLPRegressor(hidden_layer_sizes=(), alpha=0, **sgd, tol=0, n_iter_no_change=5000, random_state=0)
    limit = largest_stable_rate(begin(net, x, y).loss, SGD(momentum, nesterov))
    below = _fitted(net.set_params(learning_rate_init=0.97 * limit, max_iter=5000), x, y).loss_
    assert below < 0.26  # that of least squares is .2411
    with pytest.raises(ValueError, match="diverged"):
        _fitted(net.set_params(learning_rate_init=1.03 * limit), x, y)


def test_a_high_rate_of_sgd_is_compared_with_the_curvature():
    net = _fitted(MLPClassifier(solver="sgd", learning_rate_init=8, random_state=0), X, Y)
    first = diagnose(net, X, Y)[0].message
    times = 8 / largest_stable_rate(begin(net, X, Y).loss, SGD())
    assert f" and {times:.0f} times the largest stable rate of gradient descent by the curvature" in first


def test_overfitting_needs_validation_samples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 50))
    y = (x[:, 0] + rng.normal(size=200) > 0).astype(int)
    net = _fitted(MLPClassifier((200,), max_iter=400, random_state=0), x[:100], y[:100])
    assert diagnose(net, x[:100], y[:100]) == ()
    (found,) = diagnose(net, x[:100], y[:100], x[100:], y[100:])
    assert found.name == "overfitting"
    assert found.value == pytest.approx(net.score(x[:100], y[:100]) - net.score(x[100:], y[100:]))


def test_the_score_of_a_single_sample_is_no_overfitting():
    """R2 is NaN then."""
    x, y = np.ones((1, 3)), np.ones(1)
    net = _fitted(MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0), x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the score
        assert "overfitting" not in {each.name for each in diagnose(net, x, y, x, y)}


def test_units_that_are_dead_because_x_hardly_varies_need_no_lower_learning_rate():
    x, y = load_diabetes(return_X_y=True)  # the standard deviation of each column is 0.05
    net = _fitted(MLPRegressor(max_iter=30, random_state=0), x, scale(y))
    fixes = {each.name: each.fix for each in diagnose(net, x, scale(y))}
    assert "learning rate too low" in fixes
    assert fixes["dead units"] == "Set activation='leaky_relu'."


def test_the_advice_helps():
    """The second network has what the first was advised to have."""
    first = _fitted(MLPClassifier(learning_rate_init=3, random_state=0), X, Y)
    assert first.score(X, Y) < 0.2
    (fix,) = {each.fix for each in diagnose(first, X, Y) if each.name == "learning rate too high"}
    assert "'auto'" in fix
    second = _fitted(MLPClassifier(learning_rate_init="auto", random_state=0), X, Y)
    assert second.score(X, Y) > 0.99
    healthy = "Nothing was found: the network trains as it should."
    assert str(diagnose(second, X, Y)) == f"{healthy} Pass X_val and y_val to check for overfitting."
    assert str(diagnose(second, X[:900], Y[:900], X[900:], Y[900:])) == healthy


HEALTHY = {
    "digits": (MLPClassifier((50,)), X, Y),
    "tanh": (MLPClassifier((50,), activation="tanh"), X, Y),
    "logistic": (MLPClassifier((50,), activation="logistic", learning_rate_init=0.01), X, Y),
    "sgd": (MLPClassifier((50,), solver="sgd", learning_rate_init=0.1), X, Y),
    "auto": (MLPClassifier((50, 50), learning_rate_init="auto", learning_rate="cosine", max_iter=30), X, Y),
    "batch_norm": (MLPClassifier((50, 50), batch_norm=True, learning_rate="cosine", max_iter=30), X, Y),
    "layer_norm": (MLPClassifier((50, 50), layer_norm=True, learning_rate="cosine", max_iter=30), X, Y),
    "lbfgs": (MLPClassifier((30,), solver="lbfgs", max_iter=300), X, Y),
    "multilabel": (MLPClassifier((30,), learning_rate_init=0.01), X, np.eye(10, dtype=int)[Y]),
    "sparse": (MLPClassifier((30,), learning_rate_init=0.01), sparse.csr_array(X), Y),
    "iris": (make_pipeline(StandardScaler(), MLPClassifier(max_iter=400)), *load_iris(return_X_y=True)),
    "wine": (make_pipeline(StandardScaler(), MLPClassifier()), *load_wine(return_X_y=True)),
    "breast_cancer": (make_pipeline(StandardScaler(), MLPClassifier()), *load_breast_cancer(return_X_y=True)),
    "diabetes": (MLPRegressor(max_iter=300, learning_rate="cosine"), *map(scale, DIABETES)),
    "friedman": (MLPRegressor(max_iter=200, learning_rate="cosine"), *map(scale, make_friedman1(1000, random_state=0))),
}


TABULAR_FAULTS = {
    "learning rate too high": (TabularMLPClassifier(learning_rate_init=3), X, Y),
    "learning rate too high for numbers": (TabularMLPRegressor(learning_rate_init=30), *DIABETES),
    "learning rate too low": (TabularMLPClassifier(learning_rate_init=1e-5), X, Y),
    "learning rate too low for numbers": (TabularMLPRegressor(learning_rate_init=1e-4), *DIABETES),
    "too few epochs": (TabularMLPClassifier(max_iter=2), X, Y),
    "class imbalance": (TabularMLPClassifier(), *_rare()),
    "underfitting": (TabularMLPRegressor(), *_noise()),
    "saturated units": (TabularMLPClassifier(activation="tanh", learning_rate_init=3), X, Y),
}


@pytest.mark.parametrize("fault", TABULAR_FAULTS)
def test_a_fault_of_a_tabular_estimator_comes_first(fault):
    net, x, y = TABULAR_FAULTS[fault]
    net = _fitted(net.set_params(random_state=0, n_estimators=2), x, y)
    before = pickle.dumps(net)
    found = diagnose(net, x, y, member=1)
    assert pickle.dumps(net) == before
    assert fault.startswith(found[0].name)
    assert "'auto'" not in str(found)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "iris", "digits", "tanh", "diabetes", "friedman"])
@pytest.mark.parametrize("preset", ["fast", "default"])
def test_a_healthy_tabular_estimator_is_left_in_peace(name, preset):
    _, x, y = HEALTHY[name]
    cls = TabularMLPRegressor if name in ("diabetes", "friedman") else TabularMLPClassifier
    net = cls(preset=preset, random_state=0, **{"activation": "tanh"} if name == "tanh" else {}).fit(x, y)
    assert net.score(x, y) > 0.4
    assert diagnose(net, x, y) == ()


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_left_in_peace(name):
    net, x, y = HEALTHY[name]
    steps = "mlpclassifier__" if hasattr(net, "steps") else ""
    net = _fitted(net.set_params(**{f"{steps}random_state": 0}), x, y)
    assert net.score(x, y) > 0.5
    assert diagnose(net, x, y) == ()


def test_what_cannot_be_diagnosed_is_an_error():
    with pytest.raises(NotFittedError):
        diagnose(MLPClassifier(), X, Y)
    with pytest.raises(TypeError, match="estimator must be one of sknn_iitb"):
        diagnose(LinearRegression().fit(*DIABETES), *DIABETES)
    with pytest.raises(TypeError, match="Pass the best_estimator_ of the search"):
        diagnose(GridSearchCV(LinearRegression(), {}).fit(*DIABETES), *DIABETES)
    with pytest.raises(TypeError, match="Pass its regressor_, and the targets as its transformer_ returns them"):
        diagnose(TransformedTargetRegressor(MLPRegressor()), *DIABETES)
    net = TabularMLPRegressor(max_iter=1, n_estimators=1).fit(*DIABETES)
    with pytest.raises(ValueError, match="member must be an integer from 0 to 0, got 1"):
        diagnose(net, *DIABETES, member=1)
    net = _fitted(MLPClassifier((2,), max_iter=1), X, Y)
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        diagnose(net, X, Y, X_val=X)


# --- hidden units ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS.names(lambda cls: cls.hidden))
def test_slopes_are_the_derivatives_of_the_values(name):
    z = np.linspace(-3.03, 3.07, 60).reshape(6, 10)
    activation = ACTIVATIONS.resolve(name)
    slopes = values_and_slopes(activation, z)[1]
    if name == "step":  # its slope is a stand-in
        return
    ahead, behind = (values_and_slopes(activation, z + h)[0] for h in (1e-6, -1e-6))
    np.testing.assert_allclose(slopes, (ahead - behind) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"layer_norm": True}], ids=str)
def test_values_are_those_of_the_network(options):
    net = _fitted(MLPClassifier((20, 10), activation="gelu", max_iter=3, random_state=0, **options), X, Y)
    for k, layer in enumerate(hidden_layers(net, X)):
        np.testing.assert_allclose(layer.values, net.hidden_activations(X, k), atol=1e-12)


def test_dead_and_saturated_units_are_counted():
    net = _fitted(MLPClassifier((4,), max_iter=1, random_state=0), X, Y)
    net.coefs_[0][:, :3], net.intercepts_[0][:3] = 0, [-1, -1, 1]
    (layer,) = hidden_layers(net, X)
    assert layer.dead == 0.5
    assert not layer.is_bounded
    net = _fitted(MLPClassifier((4,), activation="tanh", max_iter=1, random_state=0), X, Y)
    net.coefs_[0][:], net.intercepts_[0][:] = 0, [-5, 0, 1, 9]
    (layer,) = hidden_layers(net, X)
    assert layer.saturated == 0.5
    assert layer.is_bounded
