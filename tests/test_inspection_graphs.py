"""Displays of regions and of the network, and the description."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.inspection import DecisionRegionDisplay, NetworkDisplay, describe
from sknn_iitb.inspection._units import member_layers
from sknn_iitb.optimizers import RMSprop
from sknn_iitb.schedules import Polynomial, StepDecay, WarmUp
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = make_moons(200, noise=0.1, random_state=0)


@pytest.fixture
def pyplot():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


def moons(**parameters):
    return MLPClassifier((6,), solver="lbfgs", max_iter=500, random_state=0, **parameters).fit(X, y)


# --- regions -----------------------------------------------------------------------------------------------------


def test_the_line_of_a_unit_is_where_its_weighted_sum_is_zero(pyplot):
    net = moons()
    display = DecisionRegionDisplay.from_estimator(net, X, y, max_units=2, grid_resolution=200)
    assert len(display.axes_) == 3
    drawn = 0
    for ax, number in zip(display.axes_, display.numbers, strict=False):
        for collection in ax.collections[1:]:
            points = np.vstack([path.vertices for path in collection.get_paths()])
            sums = points @ net.coefs_[0][:, number] + net.intercepts_[0][number]
            assert abs(sums).max() < 1e-4 * np.linalg.norm(net.coefs_[0][:, number])
            drawn += 1
    assert drawn > 0


def test_the_values_are_those_of_the_units(pyplot):
    net = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=500, random_state=0))
    net.fit(X, y)
    display = DecisionRegionDisplay.from_estimator(net, X, y, layer=-1, grid_resolution=10)
    assert display.layer == 1
    grid = np.column_stack([display.network.xx0.ravel(), display.network.xx1.ravel()])
    values = net[-1].hidden_activations(net[:-1].transform(grid), 1)
    np.testing.assert_allclose(display.units.reshape(4, -1), values.T)
    np.testing.assert_allclose(display.network.response.ravel(), net.predict(grid))


def test_a_frame_and_labels_of_text_are_shown(pyplot):
    frame, labels = pd.DataFrame(X, columns=["east", "north"]), np.where(y, "up", "down")
    net = MLPClassifier((3,), max_iter=500, random_state=0).fit(frame, labels)
    display = DecisionRegionDisplay.from_estimator(net, frame, labels, grid_resolution=20)
    assert display.units.shape == (3, 20, 20)
    assert (display.figure_.get_supxlabel(), display.figure_.get_supylabel()) == ("east", "north")
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("views", [["bins", "spline"], ["wide", "smooth"]], ids=str)
def test_the_units_of_a_member_are_shown_over_the_raw_columns(pyplot, views):
    frame = pd.DataFrame({"age": 1000 * X[:, 0], "height": X[:, 1]})
    net = TabularMLPClassifier(
        n_estimators=2, hidden_layer_sizes=(5, 4), activation="relu", max_iter=3, views=views, random_state=0
    ).fit(frame, y)
    display = DecisionRegionDisplay.from_estimator(net, frame, y, member=1, layer=-1, max_units=9, grid_resolution=10)
    assert display.numbers == [0, 1, 2, 3]
    xx, yy = display.network.xx0, display.network.xx1
    grid = pd.DataFrame({"age": xx.ravel(), "height": yy.ravel()})
    member = net.members_[1]
    (*_, last), biases = member_layers(member)
    scores = display.units.reshape(4, -1).T @ last + biases[-1]
    np.testing.assert_allclose(scores, member.scores(net._matrix(grid).astype(float)) * member.temperature, atol=1e-5)
    np.testing.assert_array_equal(display.network.response.ravel(), net.predict(grid))
    assert (xx.min(), xx.max()) == pytest.approx((frame["age"].min() - 1, frame["age"].max() + 1), rel=0.1)
    assert [ax.get_title() for ax in display.axes_[-2:]] == ["unit 3", "2 networks"]
    assert (display.figure_.get_supxlabel(), display.figure_.get_supylabel()) == ("age", "height")
    with pytest.raises(ValueError, match="member must be an integer from 0 to 1, got 2"):
        DecisionRegionDisplay.from_estimator(net, frame, member=2)
    with pytest.raises(ValueError, match="layer=2 is not one of the 2 hidden layers"):
        DecisionRegionDisplay.from_estimator(net, frame, layer=2)
    frame.loc[3, "age"] = np.nan
    with pytest.raises(ValueError, match="two columns of numbers, without categories and missing values"):
        DecisionRegionDisplay.from_estimator(net, frame)
    kinds = frame.assign(age=np.where(X[:, 0] > 0, "old", "young"))
    with pytest.raises(ValueError, match="two columns of numbers"):
        DecisionRegionDisplay.from_estimator(net.fit(kinds, y), kinds)


def test_impossible_regions_have_clear_errors(pyplot):
    net = MLPClassifier(max_iter=500, random_state=0)
    with pytest.raises(NotFittedError):
        DecisionRegionDisplay.from_estimator(net, X)
    wide, labels = load_breast_cancer(return_X_y=True)
    with pytest.raises(ValueError, match=r"two columns, got shape \(569, 30\)"):
        DecisionRegionDisplay.from_estimator(net.fit(wide / wide.max(axis=0), labels), wide)
    with pytest.raises(ValueError, match="layer=1 is not one of the 1 hidden layers"):
        DecisionRegionDisplay.from_estimator(moons(), X, layer=1)
    with pytest.raises(ValueError, match="this network predicts several"):
        DecisionRegionDisplay.from_estimator(net.fit(X, np.column_stack([y, 1 - y])), X)
    with pytest.raises(TypeError, match="one of sknn_iitb"):
        DecisionRegionDisplay.from_estimator(LogisticRegression().fit(X, y), X)


# --- the network -------------------------------------------------------------------------------------------------


def test_edges_show_sign_and_size_of_the_weights(pyplot):
    net = moons()
    display = NetworkDisplay.from_estimator(net)
    for edges, weights in zip(display.edges_, net.coefs_, strict=True):
        widths = np.asarray(edges.get_linewidths())
        np.testing.assert_allclose(widths / widths.max(), abs(weights).ravel() / abs(weights).max())
        colors = edges.get_colors()[:, :3]
        assert len({tuple(color) for color in colors[weights.ravel() > 0]}) == 1
        assert len(np.unique(colors, axis=0)) == 2


def test_large_layers_are_folded(pyplot):
    table, labels = load_iris(return_X_y=True, as_frame=True)
    net = make_pipeline(StandardScaler(), MLPClassifier((50, 3), max_iter=200, random_state=0))
    net.fit(table, labels)
    display = NetworkDisplay.from_estimator(net, max_units=8)
    assert [len(edges.get_segments()) for edges in display.edges_] == [4 * 7, 7 * 3, 9]
    texts = [text.get_text() for text in display.ax_.texts]
    assert "43\nmore" in texts
    assert set(table.columns) < set(texts)
    assert {"0", "1", "2", "50 relu", "3 softmax"} < set(texts)


def test_a_member_is_drawn(pyplot):
    net = TabularMLPRegressor(preset="fast", max_iter=2, random_state=0).fit(X, y)
    display, n = NetworkDisplay.from_estimator(net, member=1, max_units=4), len(net.members_)
    assert len(display.edges_) == len(net.members_[1].network.blocks)
    with pytest.raises(ValueError, match=f"member must be an integer from 0 to {n - 1}, got {n}"):
        NetworkDisplay.from_estimator(net, member=n)
    with pytest.raises(ValueError, match="member must be 0 for MLPClassifier, which has a single network; got 1"):
        NetworkDisplay.from_estimator(moons(), member=1)
    with pytest.raises(ValueError, match="max_units must be an integer of at least 3, got 2"):
        NetworkDisplay.from_estimator(net, max_units=2)


# --- the description ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", [{}, {"batch_norm": True}, {"layer_norm": True}], ids=str)
def test_the_description_counts_what_is_there(normalization):
    net = MLPClassifier((7, 3), max_iter=500, random_state=0, **normalization).fit(X, y)
    found = describe(net)
    assert found["n_parameters"] >= sum(each.size for each in [*net.coefs_, *net.intercepts_])
    assert found["n_parameters"] == net.loss_and_gradient(X, y)[1].size
    assert found["n_multiply_adds"] == sum(each.size for each in net.coefs_)
    (network,) = found["networks"]
    assert (network["n_epochs"], network["loss"]) == (net.n_iter_, net.loss_)
    assert network["loss_curve"] == net.loss_curve_
    assert "2 -> 7 relu -> 3 relu -> 1 logistic" in str(found)


def test_the_networks_of_a_tabular_estimator_are_described():
    net = TabularMLPClassifier(n_estimators=2, max_iter=3, random_state=0).fit(X, y)
    found = describe(make_pipeline(net))
    assert [each["n_epochs"] for each in found["networks"]] == [each.n_iter for each in net.members_]
    assert f"networks          {len(net.members_)}" in str(found)


class _Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "net",
    [MLPClassifier(max_iter=300), MLPClassifier((), max_iter=300), TabularMLPClassifier(preset="fast", max_iter=2)],
    ids=str,
)
def test_a_notebook_shows_layers_and_training(net):
    assert "Layers and training" not in net._repr_html_()
    net.fit(X, y)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), {}, cv=2).fit(X, y)
    for shown in (net, make_pipeline(StandardScaler(), net), search):
        html = shown._repr_html_()
        assert html.count("<summary>Layers and training") == 1
        _, fold_out = html.split('<div class="estimator-table"><details><summary>Layers and training')
        fold_out, _ = fold_out.split("</details></div>", maxsplit=1)
        assert "multiply-adds" in fold_out
        assert "<svg" in fold_out
        parser = _Balanced()
        parser.feed(f"<details><summary>{fold_out}</details>")
        assert parser.open == []
        assert "Layers and training" in shown._repr_mimebundle_()["text/html"]
    assert "Layers and training" not in net.set_params(solver="adm")._repr_html_()
    with pytest.raises(ValueError, match="The 'solver' parameter of"):
        describe(net)


def _power(theta, gradient, optimizer_state, hyper, step):
    theta -= step.learning_rate * gradient


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"solver": "lbfgs"}, ["lbfgs", None, "all samples"]),
        ({}, ["adam", "0.001, constant", "at most 200"]),
        ({"solver": "rprop"}, ["rprop", "0.001, constant", "all samples"]),
        ({"solver": _power, "batch_size": 50}, ["_power", "0.001, constant", "50"]),
        (
            {"solver": "sgd", "momentum": 0.5, "learning_rate_init": 0.1, "learning_rate": StepDecay(every=3)},
            ["SGD(momentum=0.5)", "0.1, StepDecay(every=3)", "at most 200"],
        ),
        ({"solver": RMSprop(rho=0.8), "batch_size": "full"}, ["RMSprop(rho=0.8)", "0.001, constant", "all samples"]),
        (
            {"learning_rate": WarmUp(Polynomial(power=2.5, end=0.001), duration=0.123456789)},
            [
                "adam",
                "0.001, WarmUp(duration=0.123456789, schedule=Polynomial(end=0.001, power=2.5))",
                "at most 200",
            ],
        ),
        ({"learning_rate": WarmUp()}, ["adam", "0.001, WarmUp()", "at most 200"]),
    ],
    ids=["lbfgs", "defaults", "full batch", "own solver", "schedule", "full", "long", "no name"],  # no addresses
)
def test_the_description_says_how_the_network_was_trained(parameters, expected):
    found = describe(MLPClassifier((3,), max_iter=20, random_state=0, **parameters).fit(X, y))
    rows = dict(found._rows())
    assert [rows.get(name) for name in ("solver", "learning rate", "batch size")] == expected
    (network,) = found["networks"]
    assert (network["learning_rate_init"] is None) == (expected[1] is None)


def test_a_rate_that_fit_has_chosen_is_described():
    net = MLPClassifier((5,), learning_rate_init="auto", max_iter=5, random_state=0).fit(X, y)
    assert describe(net)["networks"][0]["learning_rate_init"] == net.learning_rate_init_


def test_the_description_of_tabular_networks_has_their_own_settings():
    net = TabularMLPRegressor(n_estimators=2, max_iter=2, views=["smooth"], random_state=0).fit(X, y)
    rows = dict(describe(net)._rows())
    assert rows["solver"] == "Adam(beta_2=0.95)"
    assert rows["batch size"] == "256"
    net.members_[1] = net.members_[1]._replace(settings={"learning_rate_init": 0.5, "batch_size": 128})
    found = describe(net)["networks"]
    assert [each["batch_size"] for each in found] == [256, 128]
    assert found[1]["learning_rate_init"] == 0.5
    assert dict(describe(net)._rows())["batch size"] == "256; 128"


def test_a_network_that_is_not_fitted_has_no_description():
    with pytest.raises(NotFittedError):
        describe(MLPClassifier())
