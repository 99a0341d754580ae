"""What inspection computes from the loss of a fitted network: curvature, and the check of gradients."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.inspection import LossSurfaceDisplay, check_gradients, curvature, loss_surface
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.inspection.surface import _random_directions
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.newest

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SHORT = {"max_iter": 30, "tol": 0, "n_iter_no_change": np.inf, "random_state": 0, "learning_rate": "cosine"}


X, Y = IRIS
LABELS = np.eye(3, dtype=int)[Y]
CASES = {
    "binary": (MLPClassifier((5,), **SHORT), X[:100], Y[:100]),
    "multiclass": (MLPClassifier((5,), activation="tanh", **SHORT), X, Y),
    "multilabel": (MLPClassifier((5,), **SHORT), X, LABELS),
    "regression": (MLPRegressor(hidden_layer_sizes=(5, 4), activation="tanh", **SHORT), X, X[:, 0]),
    "float32": (MLPRegressor(hidden_layer_sizes=(5,), dtype="float32", **SHORT), X, X[:, 0]),
    "batch_norm": (MLPRegressor(hidden_layer_sizes=(5,), batch_norm=True, **SHORT), X, X[:, 0]),
    "pipeline": (make_pipeline(StandardScaler(), MLPClassifier((5,), **SHORT)), X, Y),
    "tabular": (TabularMLPClassifier(max_iter=5, hidden_layer_sizes=(5,), random_state=0), X, Y),
    "tabular regression": (TabularMLPRegressor(max_iter=5, hidden_layer_sizes=(5,), random_state=0), X, Y),
}
EVERY = pytest.mark.parametrize("name", CASES)


def _fitted(name):
    """An estimator and the samples that it was fitted on."""
    net, X, y = CASES[name]
    return clone(net).fit(X, y), X, y


# --- curvature ---------------------------------------------------------------------------------------------------


def _hessian(net, X, y, step=1e-4):
    """The Hessian by five-point differences of the documented gradient."""
    net = pickle.loads(pickle.dumps(net))

    def gradient(theta):
        net.parameters_ = theta
        return net.loss_and_gradient(X, y)[1].copy()

    theta, units = net.parameters_.copy(), step * np.eye(net.parameters_.size)
    at = {k: np.array([gradient(theta + k * unit) for unit in units]) for k in (-2, -1, 1, 2)}
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)


@pytest.mark.parametrize("few_parameters", [300, 0])
def test_eigenvalues_are_those_of_the_hessian(few_parameters, monkeypatch):
    monkeypatch.setattr("sknn_iitb.inspection.hessian._FEW_PARAMETERS", few_parameters)
    X, y = IRIS
    net = MLPClassifier((4,), activation="tanh", alpha=0.01, **SHORT).fit(X, y)
    expected = np.linalg.eigvalsh(_hessian(net, X, y))
    found = curvature(net, X, y, n_probes=4000)
    np.testing.assert_allclose(found.largest, expected[::-1][:3], rtol=1e-5)
    np.testing.assert_allclose(found.smallest, expected[:3], rtol=1e-5, atol=1e-5 * expected[-1])
    assert found.trace == pytest.approx(expected.sum(), abs=1e-5 + 5 * found.trace_error)
    assert (found.trace_error == 0) == (few_parameters > 0)
    assert found.product_error < 1e-6
    assert found.loss == pytest.approx(net.loss_and_gradient(X, y)[0])
    assert found.gradient_norm == pytest.approx(np.linalg.norm(net.loss_and_gradient(X, y)[1]))


def test_many_equal_eigenvalues_take_as_many_products_as_the_hessian(monkeypatch):
    """The pixels of the digits that are always zero have the same curvature, that of the penalty."""
    monkeypatch.setattr("sknn_iitb.inspection.hessian._TOLERANCE", 1e-12)
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier((), learning_rate="cosine", max_iter=20, random_state=0).fit(X / 16, y)
    found = curvature(net, X / 16, y, n_probes=1)
    assert found.trace_error == 0
    np.testing.assert_allclose(found.smallest[1:], 1e-4 / len(X), rtol=0.1)


def test_curvature_of_linear_regression_is_the_covariance():
    X = StandardScaler().fit_transform(DIABETES[0])
    y = StandardScaler().fit_transform(DIABETES[1][:, None]).ravel()
    net = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs", max_iter=1000, tol=1e-8).fit(X, y)
    ones = np.column_stack([X, np.ones(len(X))])
    eigenvalues = np.linalg.eigvalsh(ones.T @ ones / len(X))
    found = curvature(net, X, y)
    np.testing.assert_allclose(found.largest, eigenvalues[::-1][:3], rtol=1e-6)
    assert found.n_negative == 0
    assert found.condition == pytest.approx(eigenvalues[-1] / eigenvalues[0], rel=1e-5)
    assert found.shape == "minimum"
    assert found.gradient_norm < 1e-4
    assert found.max_learning_rate == pytest.approx(2 / eigenvalues[-1], rel=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_training_converges_just_below_the_largest_learning_rate_and_diverges_above(momentum):
    X = StandardScaler().fit_transform(DIABETES[0])
    y = DIABETES[1] / 100
    least = np.mean((LinearRegression().fit(X, y).predict(X) - y) ** 2) / 2
    settings = {"alpha": 0, "solver": "sgd", "momentum": momentum, "nesterovs_momentum": False, "batch_size": "full"}
    start = MLPRegressor(hidden_layer_sizes=(), **settings, max_iter=1, random_state=0, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = curvature(start.fit(X, y), X, y, momentum=momentum).max_learning_rate
        settings |= {"max_iter": 4000, "tol": 0, "n_iter_no_change": np.inf, "random_state": 0}
        below = MLPRegressor(hidden_layer_sizes=(), **settings, learning_rate_init=0.99 * limit).fit(X, y)
        assert below.loss_ == pytest.approx(least, rel=1e-3)
        try:
            above = MLPRegressor(hidden_layer_sizes=(), **settings, learning_rate_init=1.01 * limit).fit(X, y)
        except ValueError as error:
            assert "diverged" in str(error)  # noqa: PT017  either is divergence
        else:
            assert above.loss_ > 1e3 * least


def test_a_saddle_point_and_a_ravine_are_told_apart():
    x = np.array([[-1.0], [1.0], [2.0]])
    net = MLPRegressor(hidden_layer_sizes=(1,), activation="identity", alpha=0, **SHORT).fit(x, x.ravel())
    net.parameters_ = np.zeros(4)
    found = curvature(net, x, x.ravel(), n_eigenvalues=1)
    # the loss is mean((x - x v w - b w - c)**2) / 2, so its second derivative by v and w at zero is -mean(x**2) = -2
    assert found.shape == "saddle point"
    assert found.smallest[0] < -1.9
    assert found.condition == np.inf
    X = np.column_stack([x, 100 * np.array([1.0, -2.0, 1.0])])
    net = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs").fit(X, x.ravel())
    assert curvature(net, X, x.ravel(), n_eigenvalues=1).shape == "ravine"


@EVERY
def test_curvature_is_that_of_every_estimator_and_leaves_it_as_it_is(name):
    net, X, y = _fitted(name)
    before = pickle.dumps(net)
    found = curvature(net, X, y, n_eigenvalues=2, n_probes=3)
    assert pickle.dumps(net) == before
    assert np.isfinite([*found.largest, *found.smallest, found.trace, found.loss]).all()
    assert found.largest[0] >= found.largest[1] >= found.smallest[1] >= found.smallest[0]
    assert found.product_error < 1e-4


def test_curvature_weights_are_repetitions():
    X, y = IRIS
    net = MLPClassifier((4,), activation="tanh", alpha=0, **SHORT).fit(X, y)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = curvature(net, X, y, weight)
    repeated = curvature(net, np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.largest, repeated.largest, rtol=1e-5)


def test_members_have_a_curvature_of_their_own():
    X, y = DIABETES
    net = TabularMLPRegressor(max_iter=5, n_estimators=3, hidden_layer_sizes=(5,), views=["smooth"], random_state=0)
    net.fit(X, y)
    largest = [curvature(net, X, y, n_eigenvalues=1, member=k).largest[0] for k in range(3)]
    assert len(set(largest)) == 3
    with pytest.raises(ValueError, match="member must be an integer from 0 to 2, got 3"):
        curvature(net, X, y, member=3)
    mlp = MLPRegressor(hidden_layer_sizes=(3,), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="member must be 0"):
        curvature(mlp, X, y, member=1)


@pytest.mark.parametrize("function", [curvature, check_gradients])
def test_what_cannot_be_inspected_is_an_error(function):
    X, y = IRIS
    with pytest.raises(NotFittedError):
        function(MLPClassifier(), X, y)
    with pytest.raises(NotFittedError):
        function(make_pipeline(StandardScaler(), MLPClassifier()), X, y)
    with pytest.raises(TypeError, match=r"estimator must be one of sknn_iitb.*LinearRegression"):
        function(LinearRegression().fit(X, y), X, y)
    net = MLPClassifier((3,), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        function(net, X, y[:-1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_eigenvalues": 0}, "n_eigenvalues must be a positive integer below the number of parameters, 27, got 0"),
        ({"n_eigenvalues": 27}, "got 27"),
        ({"n_probes": 1.5}, "n_probes must be a positive integer, got 1.5"),
        ({"momentum": 1}, r"momentum must be a number in \[0, 1\), got 1"),
    ],
)
def test_invalid_parameters_of_curvature_raise(parameters, message):
    X, y = IRIS
    net = MLPClassifier((3,), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match=message):
        curvature(net, X, y, **parameters)


# --- the check of gradients --------------------------------------------------------------------------------------


@EVERY
def test_gradients_of_every_estimator_are_right(name):
    net, X, y = _fitted(name)
    before = pickle.dumps(net)
    found = check_gradients(net, X[::3], y[::3], n_parameters=20)
    assert pickle.dumps(net) == before
    assert max(found.medians.values()) < 1e-7
    assert found.max_error == max(found.errors.values())
    assert set(found.errors) >= {"coefs_[0]", "coefs_[1]", "intercepts_[0]", "intercepts_[1]"}


def test_a_wrong_derivative_is_found():
    def wrong_slope(z):
        return z * z * z, 2 * z * z

    X, y = IRIS
    net = MLPClassifier((4, 4), activation=wrong_slope, **SHORT).fit(StandardScaler().fit_transform(X), y)
    found = check_gradients(net, StandardScaler().fit_transform(X), y)
    # the last layer does not need the slope
    assert found.errors["coefs_[2]"] < 1e-6
    assert found.errors["coefs_[1]"] > 0.1
    assert found.errors["coefs_[0]"] > 0.1


def test_smooth_networks_have_small_errors():
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier((20,), activation="gelu", **SHORT).fit(X / 16, y)
    assert check_gradients(net, X[:200] / 16, y[:200]).max_error < 1e-7
    with pytest.raises(ValueError, match="n_parameters must be a positive integer, got 0"):
        check_gradients(net, X, y, n_parameters=0)


# --- the loss surface --------------------------------------------------------------------------------------------


def test_the_surface_along_eigenvectors_is_a_parabola():
    X = StandardScaler().fit_transform(DIABETES[0])
    y = StandardScaler().fit_transform(DIABETES[1][:, None]).ravel()
    net = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs", max_iter=1000, tol=1e-8).fit(X, y)
    found = loss_surface(net, X, y, directions="eigenvectors", n_points=5)
    lengths = np.linalg.norm(net.parameters_) / 4
    curve = curvature(net, X, y).largest[:2] * lengths**2 / 2
    lowest = net.loss_and_gradient(X, y)[0]
    expected = lowest + curve[0] * found.first**2 + curve[1] * found.second[:, None] ** 2
    np.testing.assert_allclose(found.losses, expected, rtol=1e-4)


def test_random_directions_have_the_norms_of_the_neurons():
    X, y = IRIS
    net = MLPClassifier((4,), **SHORT).fit(X, y)
    surface = loss_surface(net, X, y, n_points=3)
    assert surface.losses[1, 1] == pytest.approx(net.loss_and_gradient(X, y)[0])
    assert surface.path is None
    loss = LossFunction.of(net, X, y, None, 0)
    (direction, other) = _random_directions(loss, np.random.RandomState(0))
    assert surface.losses[1, 2] == pytest.approx(loss.value(loss.theta + direction))
    assert surface.losses[2, 1] == pytest.approx(loss.value(loss.theta + other))
    for where, weights in zip(list(loss.arrays.values())[:2], net.coefs_, strict=True):
        norms = np.linalg.norm(direction[where].reshape(weights.shape), axis=0)
        np.testing.assert_allclose(norms, np.linalg.norm(weights, axis=0))
    assert not direction[list(loss.arrays.values())[2]].any()


def test_the_path_ends_at_the_network():
    X, y = IRIS
    net = MLPClassifier((4,), **SHORT).fit(X, y)
    surface = loss_surface(net, X, y, directions="path", n_points=5)
    assert len(surface.path) == 31
    np.testing.assert_allclose(surface.path[-1], 0, atol=1e-9)
    assert surface.first[0] < surface.path[:, 0].min()
    assert surface.first[-1] > surface.path[:, 0].max()
    start = np.abs(surface.path[0])
    assert start.max() > np.abs(np.diff(surface.path, axis=0)).max()


def test_the_path_of_a_member_ends_at_its_network():
    X, y = IRIS
    net = TabularMLPClassifier(n_estimators=2, max_iter=20, random_state=0).fit(X, y)
    surface = loss_surface(net, X, y, directions="path", n_points=5, member=1)
    assert len(surface.path) == 21
    np.testing.assert_allclose(surface.path[-1], 0, atol=1e-6)
    assert surface.losses.max() > surface.losses.min()


@pytest.mark.parametrize("directions", ["random", "path"])
def test_mini_batches_have_surfaces_in_the_same_plane(directions):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    X, y = IRIS
    net = MLPClassifier((4,), **SHORT, alpha=0).fit(X, y)
    options = {"directions": directions, "n_points": 3, "random_state": 0}
    surface = loss_surface(net, X, y, **options, n_batches=3, batch_size=50)
    np.testing.assert_array_equal(surface.losses, loss_surface(net, X, y, **options).losses)
    assert surface.batch_losses.shape == (3, 3, 3)
    assert np.ptp(surface.batch_losses, axis=0).min() > 0
    # a batch of all samples is the whole
    whole = loss_surface(net, X, y, **options, n_batches=1, batch_size=150)
    np.testing.assert_allclose(whole.batch_losses[0], surface.losses, rtol=1e-12)
    display = LossSurfaceDisplay(**surface).plot()
    assert [ax.get_title() for ax in display.axes_] == ["all samples", *(f"mini-batch {k}" for k in (1, 2, 3))]
    assert len(pyplot.get_fignums()) == 1
    with pytest.raises(ValueError, match=r"ax must have an Axes for each of the 4 panels .*, got 1"):
        display.plot(pyplot.gca())
    pyplot.close("all")


@EVERY
def test_the_surface_is_that_of_every_estimator(name):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    net, X, y = _fitted(name)
    before = pickle.dumps(net)
    display = LossSurfaceDisplay.from_estimator(net, X, y, n_points=4)
    assert pickle.dumps(net) == before
    assert np.isfinite(display.losses).all()
    assert display.ax_.get_xlabel() == "first random direction"
    pyplot.close("all")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"directions": "x"}, "directions must be one of .*'random'.*, got 'x'"),
        ({"extent": 0}, "extent must be a positive number, got 0"),
        ({"n_batches": -1}, "n_batches must be an integer of at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"n_points": 2}, "n_points must be an integer of at least 3, got 2"),
    ],
)
def test_invalid_parameters_of_the_surface_raise(parameters, message):
    X, y = IRIS
    net = MLPClassifier((3,), **SHORT).fit(X, y)
    with pytest.raises(ValueError, match=message):
        loss_surface(net, X, y, **parameters)
