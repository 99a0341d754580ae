"""What inspection shows of training: loss curves, and the flow of gradients."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine.samples import TrainingData
from sknn_iitb.inspection import GradientFlowDisplay, LossCurveDisplay, gradient_flow
from sknn_iitb.inspection._training import training_path
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

X, Y = load_digits(return_X_y=True)
X = X[:500] / 16
Y = Y[:500]
SHORT = {"max_iter": 12, "learning_rate": "cosine", "random_state": 0}


@pytest.fixture(autouse=True)
def pyplot():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


# --- loss curves -------------------------------------------------------------------------------------------------


def _lines(ax):
    return {line.get_label(): line.get_ydata() for line in ax.get_lines()}


def test_loss_curves_are_those_of_the_estimator():
    net = MLPClassifier((8,), **SHORT, early_stopping=True).fit(X, Y)
    display = LossCurveDisplay.from_estimator(net, show=["score", "learning_rate"])
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "validation\nscore", "learning rate"]
    lines = _lines(display.ax_)
    np.testing.assert_array_equal(lines["training"], net.loss_curve_)
    np.testing.assert_array_equal(lines["validation"], net.validation_loss_curve_)
    np.testing.assert_array_equal(_lines(display.axes_[1])["training"], net.validation_scores_)
    np.testing.assert_array_equal(_lines(display.axes_[2])["training"], net.learning_rate_curve_)
    assert display.axes_[2].get_xlabel() == "epoch"


def test_several_estimators_are_told_apart_by_their_parameters():
    nets = [MLPClassifier((8,), **SHORT, solver=solver).fit(X, Y) for solver in ("adam", "sgd")]
    nets[1] = make_pipeline(StandardScaler(), MLPClassifier((8,), **SHORT, solver="sgd")).fit(X, Y)
    display = LossCurveDisplay.from_estimator(nets, show="score")
    assert display.axes_ == [display.ax_]  # there is no score
    assert set(_lines(display.ax_)) == {"solver='adam'", "solver='sgd'"}
    named = LossCurveDisplay.from_estimator(nets, labels=["a", "b"])
    assert set(_lines(named.ax_)) == {"a", "b"}


def test_a_loss_that_falls_far_has_a_logarithmic_axis(pyplot):
    net = MLPRegressor(hidden_layer_sizes=(), solver="sgd", learning_rate_init=0.01, max_iter=100, alpha=0)
    x = np.linspace(-1, 1, 50)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(x, 100 * x.ravel())
    _, ax = pyplot.subplots()
    assert LossCurveDisplay.from_estimator(net, ax=ax).ax_ is ax
    assert ax.get_yscale() == "log"


def test_a_tabular_estimator_has_a_curve_for_each_network():
    net = TabularMLPClassifier(n_estimators=2, max_iter=4, hidden_layer_sizes=(4,), random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(net)
    losses, scores = map(_lines, display.axes_)
    for k, label in enumerate(("net 1", "net 2")):
        np.testing.assert_array_equal(losses[label], net.loss_curves_[k])
        np.testing.assert_array_equal(scores[label], 1 - np.array(net.validation_curves_[k]))
    assert display.axes_[1].get_ylabel() == "validation\naccuracy"
    panels = len(display.axes_)
    assert len(display.plot().axes_) == panels == len(display.plot(ax=display.axes_).axes_) == 2
    assert len(LossCurveDisplay.from_estimator(net, show=()).axes_) == 1
    regressor = TabularMLPRegressor(n_estimators=1, max_iter=2, hidden_layer_sizes=(4,), random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(regressor)
    np.testing.assert_array_equal(_lines(display.axes_[1])["net 1"], regressor.validation_curves_[0])
    assert display.axes_[1].get_ylabel() == "validation\nRMSE / std"
    with pytest.raises(ValueError, match="TabularMLPClassifier has a curve for each of its networks"):
        LossCurveDisplay.from_estimator([net, net])


def test_what_has_no_curve_is_an_error():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())
    with pytest.raises(TypeError, match="LinearRegression"):
        LossCurveDisplay.from_estimator(LinearRegression().fit(X, Y))
    net = MLPClassifier((2,), solver="lbfgs", tol=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="MLPClassifier with solver='lbfgs' has no loss curve"):
        LossCurveDisplay.from_estimator(net)
    net = MLPClassifier((2,), **SHORT).fit(X, Y)
    with pytest.raises(ValueError, match="show must have only 'score' and 'learning_rate', got 'loss'"):
        LossCurveDisplay.from_estimator(net, show=["loss"])
    with pytest.raises(ValueError, match="a list of at least one, got an empty list"):
        LossCurveDisplay.from_estimator([])
    with pytest.raises(ValueError, match="labels must have an entry for each of the 1 estimators"):
        LossCurveDisplay.from_estimator(net, labels=["a", "b"])


# --- the training path, and gradients along it -------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_path_is_that_of_a_fit(batch_norm):
    net = MLPClassifier((6,), **SHORT, dropout=0.1, batch_norm=batch_norm)
    path = training_path(net, X, Y, None, 0, 100)
    np.testing.assert_array_equal(path.epochs, np.arange(13))
    assert not hasattr(net, "loss_")
    for epoch in (1, 3, 12):
        np.testing.assert_array_equal(path.thetas[epoch], _stopped_after(clone(net), epoch))


def _stopped_after(net, epoch):
    """The parameters of a fit that an observer ends."""

    class Stop:
        def begin(self):
            pass

        def end(self, history):
            return history.n_iter == epoch

        def close(self):
            pass

    net._fit(TrainingData(X, Y), observers=(Stop(),))
    return net.parameters_


def test_long_paths_are_thinned_out_evenly():
    net = MLPClassifier((2,), max_iter=100, learning_rate="cosine", random_state=0)
    path = training_path(net, X[:100], Y[:100], None, 0, 20)
    assert 10 <= len(path.epochs) <= 20
    assert set(np.diff(path.epochs)) == {8}
    assert path.epochs[0] == 0


def test_gradients_are_those_of_the_documented_loss():
    net = MLPClassifier((6, 5), **SHORT, alpha=0.01)
    flow = gradient_flow(net, X, Y)
    fitted = clone(net).fit(X, Y)
    loss, gradient = fitted.loss_and_gradient(X, Y)
    assert flow.losses[-1] == pytest.approx(loss)
    first = slice(0, 64 * 6)
    np.testing.assert_allclose(flow.last_gradient["coefs_[0]"], gradient[first], rtol=1e-10)
    assert flow.gradients["coefs_[0]"][-1] == pytest.approx(np.sqrt(np.mean(gradient[first] ** 2)))
    path = training_path(net, X, Y, None, 0, 100).thetas[:, first]
    change = np.sqrt(np.mean((path[1] - path[0]) ** 2) / np.mean(path[1] ** 2))
    assert flow.updates["coefs_[0]"][0] == pytest.approx(change)
    assert len(flow.updates["coefs_[0]"]) == len(flow.epochs) - 1


def test_the_path_of_a_member_is_that_of_its_training():
    """A member trained on all samples: the loss falls, and its gradients are those of its own objective."""
    net = TabularMLPClassifier(n_estimators=2, max_iter=8, views=["smooth"], random_state=0).fit(X, Y)
    before = pickle.dumps(net)
    flow = gradient_flow(net, X, Y, member=1)
    assert pickle.dumps(net) == before
    np.testing.assert_array_equal(flow.epochs, np.arange(9))
    assert flow.losses[0] == pytest.approx(np.log(10), rel=1e-3)  # the last layer begins with zeros
    assert flow.losses[-1] < 0.5 * flow.losses[0]
    path = training_path(net, X, Y, None, 1, 100)
    loss = path.loss.at(path.thetas[4])
    assert loss.value(loss.theta) == flow.losses[4]
    move = np.random.default_rng(0).normal(size=len(loss.theta)) * 1e-6
    slope = (loss.value(loss.theta + move) - loss.value(loss.theta - move)) / 2
    assert slope == pytest.approx(loss.gradient(loss.theta) @ move, rel=1e-4)
    with pytest.raises(NotFittedError):
        gradient_flow(TabularMLPClassifier(), X, Y)
    with pytest.raises(ValueError, match="member must be an integer from 0 to 1, got 2"):
        gradient_flow(net, X, Y, member=2)


def test_the_gradient_vanishes_with_sigmoid_and_not_with_relu():
    """The root mean square of the first layer's gradient, relative to that of the last, before training."""
    ratios = {}
    for activation in ("logistic", "tanh", "relu"):
        flow = gradient_flow(MLPClassifier([20] * 6, activation=activation, **SHORT), X, Y)
        ratios[activation] = flow.gradients["coefs_[0]"][0] / flow.gradients["coefs_[6]"][0]
    assert ratios["logistic"] < 1e-3
    assert ratios["tanh"] > 0.1
    assert ratios["relu"] > 0.1


@pytest.mark.parametrize(
    "estimator",
    [
        MLPRegressor(hidden_layer_sizes=(4,), **SHORT),
        MLPRegressor(hidden_layer_sizes=(4,), batch_norm=True, **SHORT, dtype="float32"),
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), **SHORT)),
        TabularMLPRegressor(hidden_layer_sizes=(4,), n_estimators=1, max_iter=3).fit(*load_diabetes(return_X_y=True)),
    ],
    ids=["mlp", "batch_norm", "pipeline", "tabular"],
)
def test_the_display_shows_every_weight_matrix(estimator):
    X, y = load_diabetes(return_X_y=True)
    before = pickle.dumps(estimator)
    display = GradientFlowDisplay.from_estimator(estimator, X, y / 100, n_points=5)
    assert pickle.dumps(estimator) == before
    assert len(display.axes_[0].get_lines()) == len(display.axes_[1].get_lines()) == 2
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in display.axes_)
    drawn = np.nan_to_num(display.axes_[0].get_lines()[0].get_ydata())  # zero has no logarithm
    np.testing.assert_array_equal(drawn, display.flow.gradients["coefs_[0]"])


def test_what_has_no_gradient_flow_is_an_error():
    with pytest.raises(TypeError, match="estimator must be one of sknn_iitb"):
        gradient_flow(LinearRegression(), X, Y)
    with pytest.raises(ValueError, match="solver='lbfgs' has no epochs and no learning rate"):
        gradient_flow(MLPClassifier(solver="lbfgs"), X, Y)
    with pytest.raises(ValueError, match="n_points must be an integer of at least 2, got 1"):
        gradient_flow(MLPClassifier(), X, Y, n_points=1)
