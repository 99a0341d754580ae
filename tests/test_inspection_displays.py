"""Displays of activations and of optimizer paths."""

import warnings

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import ActivationDisplay, OptimizerPathDisplay, Surface, optimizer_paths
from sknn_iitb.inspection._units import hidden_layers, member_layers
from sknn_iitb.inspection.paths import SURFACES
from sknn_iitb.optimizers import SGD, Adam, RMSprop
from sknn_iitb.tabular import TabularMLPClassifier


@pytest.fixture(autouse=True)
def pyplot():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


# --- activations -------------------------------------------------------------------------------------------------


def test_an_activation_is_shown_with_its_slope():
    display = ActivationDisplay.from_activation(["logistic", "relu"], limits=(-3, 3))
    logistic, relu = (line.get_ydata() for line in display.axes_[0].get_lines())
    z = display.z
    np.testing.assert_allclose(logistic, 1 / (1 + np.exp(-z)))
    np.testing.assert_allclose(relu, np.maximum(z, 0))
    slopes = display.axes_[1].get_lines()[0].get_ydata()
    np.testing.assert_allclose(slopes, logistic * (1 - logistic))
    assert [text.get_text() for text in display.axes_[0].get_legend().get_texts()] == ["logistic", "relu"]


def test_a_function_of_the_user_is_shown():
    def cubic(z):
        return z * z * z, 3 * z * z

    display = ActivationDisplay.from_activation(cubic)
    (name, values, slopes) = display.curves[0]
    assert name == "cubic"
    np.testing.assert_allclose(values, display.z**3)
    np.testing.assert_allclose(slopes, 3 * display.z**2)


def test_hidden_layers_are_shown():
    X, y = load_digits(return_X_y=True)
    net = make_pipeline(StandardScaler(), MLPClassifier((20, 10), max_iter=5, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(X, y)
    display = ActivationDisplay.from_estimator(net, X)
    layers = hidden_layers(net[-1], net[0].transform(X))
    assert len(display.axes_) == 2
    for ax, layer, k in zip(display.axes_, layers, (1, 2), strict=True):
        expected = f"hidden layer {k}: {layer.saturated:.0%} almost flat, {layer.dead:.0%} of the units dead"
        assert ax.get_title() == expected


def test_what_cannot_be_shown_is_an_error():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"activation must be one of .*'relu'.*, got 'rely'"):
        ActivationDisplay.from_activation("rely")
    with pytest.raises(ValueError, match="'softmax' is not elementwise"):
        ActivationDisplay.from_activation("softmax")
    with pytest.raises(ValueError, match=r"limits must be increasing, got \(1, 0\)"):
        ActivationDisplay.from_activation("relu", limits=(1, 0))
    with pytest.raises(NotFittedError):
        ActivationDisplay.from_estimator(MLPClassifier(), X)
    net = MLPClassifier((), solver="lbfgs", tol=1).fit(X, y)
    with pytest.raises(ValueError, match="no hidden layer"):
        ActivationDisplay.from_estimator(net, X)
    with pytest.raises(TypeError, match="estimator must be one of sknn_iitb"):
        ActivationDisplay.from_estimator(LogisticRegression(max_iter=500).fit(X, y), X)


def test_the_layers_of_a_member_lead_to_its_scores():
    X, y = load_iris(return_X_y=True)
    net = TabularMLPClassifier(max_iter=3, n_estimators=2, views=["bins", "spline"], random_state=0).fit(X, y)
    member, Z = net.members_[1], net._matrix(X).astype(np.float64)
    *_, last = hidden_layers(net, Z, 1)
    coefs, intercepts = member_layers(member)
    np.testing.assert_allclose(last.values @ coefs[-1] + intercepts[-1], member.scores(Z) * member.temperature)
    display = ActivationDisplay.from_estimator(net, X, member=1)
    np.testing.assert_allclose(display.layers[-1].values, last.values, rtol=1e-6, atol=1e-6)
    assert len(display.axes_) == 3


# --- paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SURFACES)
def test_gradients_of_the_surfaces_are_right(name):
    surface = SURFACES[name]
    for theta in np.random.default_rng(0).uniform(-2, 2, size=(20, 2)):
        expected = approx_fprime(theta, surface.value, 1e-7)
        np.testing.assert_allclose(surface.gradient(theta), expected, rtol=1e-4, atol=1e-4)


def _textbook(solver, surface, n_steps, rate):
    """The paths of the formulas in the papers."""
    theta = np.array(surface.start)
    path, v, m, s = [theta], np.zeros(2), np.zeros(2), np.zeros(2)
    for t in range(1, n_steps + 1):
        g = surface.gradient(theta)
        if solver == "momentum":
            v = 0.9 * v - rate * g
            theta = theta + v
        elif solver == "nesterov":
            v = 0.9 * v - rate * g
            theta = theta + 0.9 * v - rate * g
        elif solver == "rmsprop":
            s = 0.9 * s + 0.1 * g**2
            theta = theta - rate * g / (np.sqrt(s) + 1e-8)
        else:  # in the form at the end of section 2 of the paper
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
            theta = theta - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(s) + 1e-8)
        path.append(theta)
    return np.array(path)


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize(
    ("solver", "optimizer"),
    [
        ("momentum", SGD(momentum=0.9, nesterovs_momentum=False)),
        ("nesterov", SGD()),
        ("rmsprop", RMSprop()),
        ("adam", Adam()),
    ],
    ids=["momentum", "nesterov", "rmsprop", "adam"],
)
def test_paths_are_those_of_the_formulas(name, solver, optimizer):
    found = optimizer_paths(name, optimizer, learning_rate_init=1e-3, n_steps=50)
    (path,) = found.paths.values()
    np.testing.assert_allclose(path, _textbook(solver, SURFACES[name], 50, 1e-3), rtol=1e-6, atol=1e-9)
    (values,) = found.heights.values()
    np.testing.assert_allclose(values, [SURFACES[name].value(theta) for theta in path])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_largest_stable_rate_follows_from_the_hessian(momentum):
    """Same value, same gradient at the start, another Hessian: another rate is needed."""
    for largest in (1.0, 20.0):
        surface = Surface.quadratic([[0.5, 0], [0, largest]])
        limit = 2 * (1 + momentum) / largest
        solver = SGD(momentum=momentum, nesterovs_momentum=False)
        below, above = (
            next(iter(optimizer_paths(surface, solver, learning_rate_init=rate, n_steps=3000).heights.values()))
            for rate in (0.99 * limit, 1.01 * limit)
        )
        assert below[-1] < 1e-3 * below[0]
        assert not above[-1] < 1e3 * above[0]


def test_momentum_leaves_the_saddle_point_and_noise_is_the_same_for_all():
    found = optimizer_paths("saddle", [SGD(momentum=0), "sgd"], learning_rate_init=0.02, n_steps=200)
    still, left = (values[-1] for values in found.heights.values())
    assert still > -0.05
    assert left == pytest.approx(-0.25, abs=1e-3)
    noisy = optimizer_paths("bowl", ["sgd", SGD()], noise=1.0, n_steps=30)
    np.testing.assert_array_equal(*noisy.paths.values())


def test_schedules_scale_the_rate():
    found = optimizer_paths("bowl", SGD(momentum=0), learning_rate="linear", learning_rate_init=0.1, n_steps=10)
    (path,) = found.paths.values()
    rates = 1 - path[1:, 0] / path[:-1, 0]
    assert rates[0] == pytest.approx(0.1)
    assert np.all(np.diff(rates) < 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surface": "hill"}, "surface must be one of .*'bowl'.* or a Surface, got 'hill'"),
        ({"solvers": "newton"}, "A solver must be one of .*'adam'.*, got 'newton'"),
        ({"solvers": "lbfgs"}, "solver='lbfgs' takes no steps"),
        ({"learning_rate_init": 0}, "learning_rate_init must be a positive number for each of the solvers, got 0"),
        ({"learning_rate_init": {"sgd": 1}, "solvers": ["sgd", "adam"]}, "got None"),
        ({"n_steps": 0}, "n_steps must be a positive integer, got 0"),
        ({"noise": -1}, "noise must be a number of at least 0, got -1"),
        ({"start": [1]}, r"start must be two numbers, got \[1\]"),
    ],
    ids=str,
)
def test_invalid_arguments_of_paths_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimizer_paths(**{"surface": "bowl", **arguments})


def test_hessians_must_be_symmetric():
    with pytest.raises(ValueError, match="hessian must be a symmetric matrix of shape"):
        Surface.quadratic([[1, 2], [0, 1]])


def test_paths_are_drawn_with_their_values():
    display = OptimizerPathDisplay.from_surface("ravine", ["sgd", "adam"], learning_rate_init=0.05, n_steps=40)
    lines = {line.get_label(): line.get_xydata() for line in display.axes_[0].get_lines()}
    np.testing.assert_array_equal(lines["adam"], display.paths["adam"])
    assert display.axes_[1].get_yscale() == "log"
    diverged = OptimizerPathDisplay.from_surface("ravine", SGD(momentum=0), learning_rate_init=100, n_steps=2000)
    assert np.isnan(next(iter(diverged.paths.values()))[-1]).all()
