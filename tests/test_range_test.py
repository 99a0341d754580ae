"""The learning rate range test, and learning_rate_init="auto"."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.inspection import LearningRateRangeDisplay, curvature, learning_rate_range_test
from sknn_iitb.tabular import TabularMLPRegressor

X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X_DIGITS = X_DIGITS / 16
X, Y = map(scale, load_diabetes(return_X_y=True))
AUTO = {"learning_rate_init": "auto", "max_iter": 15, "learning_rate": "cosine", "random_state": 0}


def test_each_rate_takes_one_step_of_gradient_descent():
    net = MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", momentum=0, batch_size="full", random_state=0)
    found = learning_rate_range_test(net, X, Y, start=1e-3, stop=1, n_rates=30)
    np.testing.assert_allclose(found.learning_rates, np.geomspace(1e-3, 1, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        naive = clone(net).set_params(max_iter=1, learning_rate_init=1e-300).fit(X, Y)  # the initial weights
    losses = []
    for rate in found.learning_rates:
        loss, gradient = naive.loss_and_gradient(X, Y)
        losses.append(loss)
        naive.parameters_ -= rate * gradient
    np.testing.assert_allclose(found.losses, losses, rtol=1e-10)


def test_the_loss_explodes_above_the_largest_stable_rate():
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0, "batch_size": "full", "alpha": 0}
    net = MLPRegressor(**settings, random_state=0, max_iter=1, tol=0)
    found = learning_rate_range_test(net, X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = curvature(net.fit(X, Y), X, Y).max_learning_rate
    assert 0.05 * limit < found.suggested < limit
    lowest = found.learning_rates[found.losses.argmin()]
    assert limit < lowest < 10 * limit  # an unstable loss takes some steps to grow
    assert found.losses[-1] > 1e3 * found.losses[0]


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop", "adamw", "nadam"])
def test_the_suggested_rate_trains_better_than_the_default(solver):
    net = MLPClassifier((32,), **AUTO, solver=solver)
    found = learning_rate_range_test(net, X_DIGITS, Y_DIGITS)
    automatic = net.fit(X_DIGITS, Y_DIGITS)
    assert automatic.learning_rate_init_ == found.suggested
    default = clone(net).set_params(learning_rate_init=0.001).fit(X_DIGITS, Y_DIGITS)
    assert default.learning_rate_init_ == 0.001
    assert automatic.loss_ < 0.3 * default.loss_


def test_a_fit_with_the_found_rate_is_the_same_to_the_bit():
    net = MLPClassifier((8,), **AUTO, dropout=0.2, batch_norm=True).fit(X_DIGITS, Y_DIGITS)
    same = clone(net).set_params(learning_rate_init=net.learning_rate_init_).fit(X_DIGITS, Y_DIGITS)
    np.testing.assert_array_equal(net.parameters_, same.parameters_)
    assert net.loss_curve_ == same.loss_curve_


def test_training_continues_with_the_rate_that_was_found():
    net = MLPClassifier((8,), **AUTO | {"learning_rate": "constant"}, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rate = net.fit(X_DIGITS, Y_DIGITS).learning_rate_init_
        net.fit(X_DIGITS[::2], Y_DIGITS[::2])
    assert net.learning_rate_init_ == rate
    assert set(net.learning_rate_curve_) == {rate}
    net.partial_fit(X_DIGITS[:100], Y_DIGITS[:100])
    assert net.learning_rate_init_ == rate
    assert net.to_sklearn().learning_rate_init == rate


def test_partial_fit_finds_the_rate_in_its_first_call():
    net = MLPRegressor(hidden_layer_sizes=(8,), **AUTO)
    net.partial_fit(X, Y)
    assert net.learning_rate_init_ == learning_rate_range_test(net, X, Y).suggested


def test_lbfgs_has_no_learning_rate():
    net = MLPRegressor(hidden_layer_sizes=(4,), **AUTO | {"max_iter": 500}).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.set_params(solver="lbfgs").fit(X, Y)
    assert not hasattr(net, "learning_rate_init_")
    with pytest.raises(ValueError, match="solver='lbfgs' has no epochs and no learning rate"):
        learning_rate_range_test(net, X, Y)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_does_not_fall_is_a_warning():
    net = MLPRegressor(hidden_layer_sizes=(), **AUTO, init="zeros", alpha=0)
    assert learning_rate_range_test(net, X, np.zeros(len(X))).suggested is None
    with pytest.warns(UserWarning, match="found no learning rate at which the loss falls, so it is 0.001"):
        net.fit(X, np.zeros(len(X)))
    assert net.learning_rate_init_ == 0.001


def test_the_estimator_stays_as_it_is_and_a_pipeline_transforms():
    net = MLPRegressor(hidden_layer_sizes=(4,), random_state=0)
    pipeline = make_pipeline(StandardScaler(), net)
    found = learning_rate_range_test(pipeline, 5 * X + 3, Y)
    assert not hasattr(net, "loss_")
    np.testing.assert_allclose(found.losses, learning_rate_range_test(net, X, Y).losses, rtol=1e-6)


def test_weights_count():
    net = MLPRegressor(hidden_layer_sizes=(4,), batch_size="full", random_state=0, alpha=0)
    weight = np.random.default_rng(0).integers(1, 3, len(Y))
    weighted = learning_rate_range_test(net, X, Y, weight)
    repeated = learning_rate_range_test(net, np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    np.testing.assert_allclose(weighted.losses[:90], repeated.losses[:90], rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"start": 0}, "start must be a positive number, got 0"),
        ({"stop": np.inf}, "stop must be a positive number, got inf"),
        ({"start": 1, "stop": 1}, "start must be below stop"),
        ({"n_rates": 29}, "n_rates must be an integer of at least 30, got 29"),
    ],
)
def test_invalid_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_range_test(MLPRegressor(), X, Y, **parameters)


def test_a_member_takes_one_step_at_each_rate():
    net = TabularMLPRegressor(n_estimators=2, max_iter=1, batch_size=len(X), random_state=0).fit(X, Y)
    before = pickle.dumps(net)
    found = learning_rate_range_test(net, X, Y, member=1)
    assert pickle.dumps(net) == before
    assert found.losses[0] == pytest.approx(0.5, rel=1e-5)  # the last layer begins with zeros
    assert 0.02 < found.suggested < 0.5
    assert found.losses.min() < 0.4
    assert not np.array_equal(found.losses, learning_rate_range_test(net, X, Y).losses)


def test_noise_has_no_learning_rate():
    """The fall at the first rates is chance."""
    noise = np.random.default_rng(0).normal(size=(2, 2000))
    net = TabularMLPRegressor(n_estimators=1, max_iter=1, random_state=0).fit(noise[0, :, None], noise[1])
    assert learning_rate_range_test(net, noise[0, :, None], noise[1]).suggested is None


def test_other_estimators_raise():
    with pytest.raises(TypeError, match="estimator must be one of sknn_iitb"):
        learning_rate_range_test(LinearRegression(), X, Y)
    with pytest.raises(NotFittedError):
        learning_rate_range_test(TabularMLPRegressor(), X, Y)


def test_the_display_shows_the_test():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    display = LearningRateRangeDisplay.from_estimator(MLPRegressor(random_state=0), X, Y, n_rates=60)
    x, y = display.line_.get_data()
    np.testing.assert_array_equal(y, display.smoothed_losses)
    np.testing.assert_array_equal(x, display.learning_rates[: len(y)])
    assert display.ax_.get_xscale() == "log"
    assert f"suggested: {display.suggested:.2g}" in display.ax_.get_legend_handles_labels()[1]
    _, ax = pyplot.subplots()
    assert display.plot(ax).figure_ is ax.figure
    pyplot.close("all")
