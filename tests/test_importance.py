"""Feature importance: gradients against hand calculations, permutations against scikit-learn, and the display."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance

from sknn_iitb.inspection import ImportanceDisplay, gradient_importance
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor, View

pytest.importorskip("matplotlib").use("agg")


@pytest.fixture(autouse=True)
def figures():
    """Close all figures at the end."""
    from matplotlib import pyplot

    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def fitted():
    """A regressor, its data and targets that depend on three of four columns, mostly on the first."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "much": rng.normal(size=600),
            "nothing": rng.normal(size=600),
            "level": pd.Categorical(rng.choice(["a", "b", "c"], 600)),
            "little": np.where(rng.uniform(size=600) < 0.1, np.nan, rng.normal(size=600)),
        }
    )
    y = 10 * X["much"] + 5 * (X["level"] == "b") + X["little"].fillna(0)
    return TabularMLPRegressor(preset="fast", random_state=0).fit(X, y), X, y


def test_gradient_importances_have_the_expected_order_and_size(fitted):
    net, X, _ = fitted
    importances = gradient_importance(net, X)
    assert [X.columns[j] for j in np.argsort(-importances)] == ["much", "level", "little", "nothing"]
    # the slope, 10, times the mean absolute deviation of the column
    assert importances[0] == pytest.approx(10 * abs(X["much"] - X["much"].mean()).mean(), rel=0.3)
    # which is 2 p (1 - p) for a share p of ones
    share = (X["level"] == "b").mean()
    assert importances[2] == pytest.approx(5 * 2 * share * (1 - share), rel=0.3)
    assert importances[1] < importances[0] / 15


def test_gradient_importances_match_the_formula():
    """A network with identity activations is linear in the encoded columns."""
    X = np.random.RandomState(0).normal(size=(300, 3))
    net = TabularMLPRegressor(
        preset="fast",
        n_estimators=1,
        views=[View(limit=100, bins=False)],  # nearly linear
        activation="identity",
        hidden_layer_sizes=4,
        random_state=0,
    ).fit(X, X @ [3.0, -1.0, 0.5])
    Z = net.encoder_.transform(X)
    steps = 0.25 * np.eye(3, dtype=np.float32)
    slopes = np.array([np.median(net._predicted(Z + step) - net._predicted(Z)) / 0.25 for step in steps])
    # predictions outside the range of y are clipped, so a few rows have no gradient
    expected = abs(slopes) * abs(Z - Z.mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(gradient_importance(net, X), expected, rtol=0.05)


def test_gradient_importance_of_classifiers_and_many_rows():
    X, y = load_iris(return_X_y=True)
    net = TabularMLPClassifier(preset="fast", random_state=0).fit(X, y)
    few = gradient_importance(net, X)
    assert few.shape == (4,)
    assert few[2:].min() > few[:2].max()  # the petals
    many = gradient_importance(net, np.tile(X, (20, 1)), random_state=0)  # of which a sample is drawn
    np.testing.assert_allclose(many, few, rtol=0.2)


def test_permutation_display_matches_scikit_learn(fitted):
    net, X, y = fitted
    display = ImportanceDisplay.from_estimator(net, X, y, n_repeats=3, random_state=0)
    expected = permutation_importance(net, X, y, n_repeats=3, random_state=0)
    np.testing.assert_array_equal(display.importances, expected.importances_mean)
    np.testing.assert_array_equal(display.spread, expected.importances_std)
    assert [label.get_text() for label in display.ax_.get_yticklabels()][-1] == "much"
    assert "score" in display.ax_.get_xlabel()
    named = ImportanceDisplay.from_estimator(net, X, y, scoring="neg_mean_absolute_error", max_features=2)
    assert "neg mean absolute error" in named.ax_.get_xlabel()
    assert len(named.bars_) == 2


def test_gradient_display_needs_no_targets_and_takes_axes(fitted):
    from matplotlib import pyplot

    net, X, _ = fitted
    _, ax = pyplot.subplots()
    display = ImportanceDisplay.from_estimator(net, X, kind="gradient", ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal([bar.get_width() for bar in display.bars_], np.sort(display.importances))
    array = TabularMLPRegressor(preset="fast", max_iter=2).fit(np.eye(9), np.arange(9))
    shown = ImportanceDisplay.from_estimator(array, np.eye(9), kind="gradient")
    assert {label.get_text() for label in shown.ax_.get_yticklabels()} == {f"x{j}" for j in range(9)}


def test_invalid_importance_arguments_raise(fitted):
    net, X, _ = fitted
    with pytest.raises(ValueError, match="kind must be 'permutation' or 'gradient', got 'none'"):
        ImportanceDisplay.from_estimator(net, X, kind="none")
    with pytest.raises(ValueError, match="requires y"):
        ImportanceDisplay.from_estimator(net, X)
    with pytest.raises(NotFittedError):
        gradient_importance(TabularMLPRegressor(), X)
    with pytest.raises(ValueError, match="much"):
        gradient_importance(net, X.drop(columns="much"))
