"""Feature importance: gradients against hand calculations, permutations against scikit-learn, and the display."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
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


@pytest.mark.parametrize("several", [False, True])
def test_gradient_importance_of_a_linear_mlp_matches_the_formula(several):
    """The predictions of a linear network change by its weights."""
    X = pd.DataFrame(np.random.RandomState(0).normal(3, 2, (200, 4)), columns=list("abcd"))
    y = X @ [[3.0, 1.0], [-1.0, 2.0], [0.5, 0.0], [0.0, -1.0]]
    y = y if several else y[0]
    for table in (X, sparse.csr_array(X)):
        net = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(table, y)
        expected = abs(net.coefs_[0]).mean(axis=1) * abs(X - X.mean()).mean()
        np.testing.assert_allclose(gradient_importance(net, table), expected, rtol=1e-9, atol=1e-14)  # one is 0
    # the scale of a column does not matter
    model = make_pipeline(StandardScaler(), clone(net)).fit(X, y)
    np.testing.assert_allclose(gradient_importance(model, X), expected, atol=1e-3)


def test_gradient_importance_of_an_mlp_matches_the_derivative_of_its_probabilities(iris):
    X, y = iris
    net = MLPClassifier(activation="tanh", tol=1e-2, random_state=0)
    for target in (y, y > 0, np.stack([y > 0, y > 1], 1).astype(int), np.stack([y, y > 0], 1)):
        net.fit(X, target)
        expected = np.zeros(4)
        for j in range(4):
            away, steps = X.mean(axis=0) - X, np.eye(4)[j]
            ahead, behind = (net.predict_proba(X + sign * 0.25 * away * steps) for sign in (1, -1))
            ahead, behind = (np.hstack(p) if isinstance(p, list) else p for p in (ahead, behind))
            expected[j] = abs(ahead - behind).mean() / 0.5
        np.testing.assert_allclose(gradient_importance(net, X), expected, rtol=1e-9)
    assert gradient_importance(MLPClassifier(loss="hinge", tol=0.01).fit(X, y), X)[2:].min() > 0


def test_gradient_importance_of_a_pipeline_is_that_of_its_last_step(fitted):
    _, X, y = fitted
    net = TabularMLPRegressor(preset="fast", max_iter=4, random_state=0)
    named = make_pipeline(SimpleImputer().set_output(transform="pandas"), net).fit(X[["much", "little"]], y)
    display = ImportanceDisplay.from_estimator(named, X[["much", "little"]], kind="gradient")
    expected = gradient_importance(named[-1], named[:-1].transform(X[["much", "little"]]))
    np.testing.assert_array_equal(display.importances, expected)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["little", "much"]

    encoder = make_column_transformer((OneHotEncoder(), ["level"]), remainder="passthrough")
    model = make_pipeline(encoder, SimpleImputer(), StandardScaler(), MLPRegressor(tol=0.1, random_state=0)).fit(X, y)
    display = ImportanceDisplay.from_estimator(model, X, kind="gradient")
    assert [label.get_text() for label in display.ax_.get_yticklabels()][-1] == "remainder__much"
    assert len(display.bars_) == 6
    shuffled = ImportanceDisplay.from_estimator(model, X, y, n_repeats=1)  # of the table's own columns
    assert {label.get_text() for label in shuffled.ax_.get_yticklabels()} == set(X.columns)
    alone = Pipeline([("net", model[-1])])
    Z = model[:-1].transform(X)
    np.testing.assert_array_equal(gradient_importance(alone, Z), display.importances)


@pytest.mark.parametrize("as_frame", [True, False])
def test_a_pipeline_that_passes_the_columns_on_keeps_their_names(as_frame):
    X, y = load_iris(return_X_y=True, as_frame=as_frame)
    model = make_pipeline("passthrough", MLPClassifier(learning_rate="cosine", max_iter=5)).fit(X, y)
    expected = list(X.columns) if as_frame else ["x0", "x1", "x2", "x3"]
    assert list(ImportanceDisplay.from_estimator(model, X, y, n_repeats=1).names) == expected
    assert list(ImportanceDisplay.from_estimator(model, X, kind="gradient").names) == expected


def test_a_very_wide_x_raises_instead_of_taking_hours():
    X = sparse.random(300, 100_000, 0.001, format="csr", random_state=0)
    net = MLPClassifier((5,), learning_rate="cosine", max_iter=1).fit(X, np.arange(300) % 2)
    with pytest.raises(ValueError, match=r"100000 columns, too many.*attributions"):
        gradient_importance(net, X)


def test_estimators_without_gradients_and_sparse_permutations_raise(fitted):
    net, X, y = fitted
    X = X[["much", "nothing"]]
    with pytest.raises(TypeError, match=r"requires a TabularMLPClassifier.*got LinearRegression"):
        gradient_importance(make_pipeline(StandardScaler(), LinearRegression()).fit(X, y), X)
    counts = sparse.csr_array(X)
    net = TabularMLPRegressor(preset="fast", max_iter=1).fit(counts, y)
    with pytest.raises(ValueError, match="kind='permutation' does not support a sparse X"):
        ImportanceDisplay.from_estimator(net, counts, y)
    assert len(ImportanceDisplay.from_estimator(net, counts, kind="gradient").bars_) == 2


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
