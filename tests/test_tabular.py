"""The estimators for tables: what they take, what they refuse, and that they learn from real tables."""

import pickle
import re
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.impute import SimpleImputer
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sknn_iitb import MLPClassifier, losses
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.objective import Objective
from sknn_iitb.tabular import RobustSmoothScaler, TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb.tabular.metrics import CLASSIFIER_METRICS
from sknn_iitb.tabular.network import TabularNetwork
from sknn_iitb.targets import ClassTargets
from sknn_iitb.validation import Samples

QUICK = {"preset": "fast", "max_iter": 8, "hidden_layer_sizes": (16,), "random_state": 0}


@pytest.fixture(scope="module")
def table():
    """A table with all that real ones have, and two targets that depend on it."""
    rng = np.random.RandomState(0)
    n = 300
    size, income = rng.normal(size=n), rng.lognormal(3, 2, n)
    colour = rng.choice(["red", "green", "blue"], n)
    X = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=n) < 0.1, np.nan, size),
            "income": income,
            "rooms": pd.array(rng.randint(1, 6, n), dtype="Int64"),
            "colour": pd.Categorical(
                np.where(rng.uniform(size=n) < 0.1, None, colour), ["red", "green", "blue", "unused"]
            ),
            "city": [f"city {k}" for k in rng.randint(12, size=n)],
            "owned": rng.uniform(size=n) < 0.5,
            "constant": 1.0,
        }
    )
    X.loc[3, "rooms"] = pd.NA
    number = size + np.log(income) + (colour == "red")
    return X, number, np.where(number > np.median(number), "dear", "cheap")


# --- preprocessing ----------------------------------------------------------------------------------------------


def test_scaler_is_scikit_learns_robust_one_followed_by_a_smooth_bound():
    X = load_breast_cancer().data
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(RobustSmoothScaler().fit_transform(X), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)


def test_scaler_takes_half_the_range_where_the_quartiles_are_equal_and_leaves_out_what_is_missing():
    X = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, np.nan], [0.0, 5.0], [4.0, 5.0]])
    Z = RobustSmoothScaler().fit_transform(X)
    assert Z[4, 0] == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert np.isnan(Z[2, 1])
    assert np.all(np.delete(Z[:, 1], 2) == 0)


@settings(max_examples=60, deadline=None)
@example(np.eye(7, 2) * 1e-45, np.float32)
@example(np.eye(7, 2) * 5e-324, np.float64)
@example(np.resize([3e38, -3e38], (7, 2)), np.float32)
@example(np.resize([1.7e308, -1.7e308, 0.0], (7, 2)), np.float64)
@given(arrays.arrays(np.float64, (7, 2), elements=st.floats(-1e308, 1e308)), st.sampled_from([np.float32, np.float64]))
def test_scaled_numbers_are_finite_bounded_and_in_order(X, dtype):
    if abs(X).max() > np.finfo(dtype).max / 20:  # scikit-learn's check for NaN adds them all up, and warns
        X = X / abs(X).max() * (np.finfo(dtype).max / 20)
    X = X.astype(dtype)
    Z = RobustSmoothScaler(limit=3.0).fit_transform(X)
    assert Z.dtype == dtype
    assert np.all(abs(Z) <= 3.0 + 1e-5)
    for x, z in zip(X.T, Z.T, strict=True):
        assert np.all(np.diff(z[np.argsort(x, kind="stable")]) >= 0)


@pytest.mark.parametrize("limit", [0, -1.0, "3", None])
def test_scaler_names_a_wrong_limit(limit):
    with pytest.raises(ValueError, match=re.escape(f"limit must be a number above 0, got {limit!r}")):
        RobustSmoothScaler(limit=limit).fit(np.eye(3))


def test_encoder_makes_the_columns_that_its_names_say(table):
    X, _, _ = table
    encoder = TableEncoder().fit(X)
    Z = pd.DataFrame(encoder.transform(X), columns=encoder.get_feature_names_out())
    assert Z.to_numpy().dtype == np.float32
    assert encoder.is_categorical_.tolist() == [False, False, False, True, True, True, False]
    assert list(Z)[:6] == ["size", "income", "rooms", "constant", "size_missing", "rooms_missing"]
    assert sum(name.startswith("colour_") for name in Z) == 3
    assert sum(name.startswith("city_") for name in Z) == 12
    assert list(Z)[-1] == "owned"
    assert [X.columns[k] for k in encoder.origins_] == [
        *("size", "income", "rooms", "constant", "size", "rooms"),
        *(["colour"] * 3),
        *(["city"] * 12),
        "owned",
    ]
    missing = X["size"].isna()
    assert np.all(Z.loc[missing, "size"] == 0)
    assert Z.loc[missing, "size_missing"].nunique() == Z.loc[~missing, "size_missing"].nunique() == 1
    assert np.all(Z["constant"] == 0)
    assert Z["owned"].nunique() == 2


def test_unseen_and_missing_levels_of_two_are_halfway():
    X = pd.DataFrame({"a": ["x", "y"] * 5})
    Z = TableEncoder().fit(X).transform(pd.DataFrame({"a": ["x", "y", "z", None]}))
    x, y, unseen, missing = Z[:, 0]
    assert unseen == missing
    assert min(x, y) < unseen < max(x, y) or unseen in (x, y)


def test_many_levels_share_a_column():
    X = pd.DataFrame({"a": [f"level {k % 1000}" for k in range(3000)] + ["frequent"] * 100})
    assert TableEncoder().fit_transform(X).shape[1] == 100


@pytest.mark.parametrize("chosen", [["b"], [1], [-1], [False, True]])
def test_categories_can_be_chosen(chosen):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [7, 8, 9, 7]})
    encoder = TableEncoder(categorical_features=chosen).fit(X)
    assert encoder.is_categorical_.tolist() == [False, True]
    as_floats = X.astype({"b": float})
    np.testing.assert_array_equal(encoder.transform(X), encoder.transform(as_floats))
    by_number = [1] if chosen == ["b"] else chosen
    Z = TableEncoder(categorical_features=by_number).fit_transform(X.to_numpy())
    np.testing.assert_array_equal(Z, encoder.transform(X))


def test_polars_gives_what_pandas_gives(table):
    polars = pytest.importorskip("polars")
    X, number, _ = table
    other = polars.DataFrame(
        {
            "size": polars.Series(X["size"].to_list(), dtype=polars.Float64).fill_nan(None),
            "income": X["income"].to_list(),
            "rooms": [None if pd.isna(v) else int(v) for v in X["rooms"]],
            "colour": polars.Series([None if pd.isna(v) else v for v in X["colour"]], dtype=polars.Categorical),
            "city": X["city"].to_list(),
            "owned": X["owned"].to_list(),
            "constant": X["constant"].to_list(),
        }
    )
    np.testing.assert_array_equal(TableEncoder().fit_transform(other), TableEncoder().fit_transform(X))
    net = TabularMLPRegressor(**QUICK).fit(other, number)
    np.testing.assert_array_equal(net.predict(other), TabularMLPRegressor(**QUICK).fit(X, number).predict(X))


def test_sparse_is_dense(table):
    rng = np.random.RandomState(0)
    X = sparse.random(60, 5, 0.3, "csr", random_state=rng)
    y = rng.normal(size=60)
    one, other = (TabularMLPRegressor(**QUICK).fit(given, y) for given in (X, X.toarray()))
    np.testing.assert_array_equal(one.predict(X), other.predict(X.toarray()))


# --- the net ----------------------------------------------------------------------------------------------------


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("output", "loss", "n_outputs"), [("softmax", "log_loss", 3), ("identity", "squared_error", 1)]
)
def test_gradient_is_that_of_finite_differences(output, loss, n_outputs):
    rng = np.random.RandomState(0)
    network = TabularNetwork([4, 5, 5, n_outputs], [ACTIVATIONS["mish"]()] * 2, ACTIVATIONS[output]())
    X = rng.normal(size=(20, 4))
    Y = np.eye(n_outputs)[rng.randint(n_outputs, size=20)] if n_outputs > 1 else rng.normal(size=(20, 1))
    theta = network.draw(rng, np.float64) + rng.normal(0, 0.1, network.n_parameters)
    objective = Objective(network, losses.LOSSES[loss](), X, Y, None, 0.0, 20)
    objective.evaluate(theta)
    gradient = objective.gradient[: network.n_trained].copy()
    for i in range(theta.size):
        step = np.zeros_like(theta)
        step[i] = 1e-6
        numeric = (objective.evaluate(theta + step)[0] - objective.evaluate(theta - step)[0]) / 2e-6
        assert gradient[i] == pytest.approx(numeric, rel=1e-5, abs=1e-8)


@pytest.mark.nojit
def test_prediction_is_that_of_the_formula():
    rng = np.random.RandomState(0)
    x = rng.normal(size=(6, 3))
    network = TabularNetwork([3, 4, 2], [ACTIVATIONS["tanh"]()], ACTIVATIONS["softmax"]())
    factors, V, W, a, b = (rng.normal(size=shape) for shape in (3, (3, 4), (4, 2), 4, 2))
    theta = np.concatenate([factors, V.ravel(), W.ravel(), a, b])
    expected = np.tanh((x * factors) @ V + a) @ W + b
    np.testing.assert_allclose(network.predict(x, theta, False), expected, rtol=1e-12)


def test_blocks_cover_all_parameters_once():
    network = TabularNetwork([4, 5, 6, 2], [ACTIVATIONS["relu"]()] * 2, ACTIVATIONS["softmax"]())
    ranges = [block for block, _ in network.blocks(decays=False)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == network.n_parameters == 4 + 4 * 5 + 5 * 6 + 6 * 2 + 5 + 6 + 2
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    assert [tuple(shape) for shape in network.matrices()] == [(4, 4, 5), (24, 5, 6), (54, 6, 2)]


# --- the estimators ---------------------------------------------------------------------------------------------

# that weights are repetitions cannot hold where samples are held out by their number: see docs/tabular.md
_DIFFERS = {"check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"}


@pytest.mark.parametrize(
    "estimator",
    [TableEncoder(), RobustSmoothScaler(), TabularMLPClassifier(preset="fast"), TabularMLPRegressor(preset="fast")],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    weighted = isinstance(estimator, (TabularMLPClassifier, TabularMLPRegressor))
    assert failed == (_DIFFERS if weighted else set())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_on_real_numbers_it_is_no_worse_than_a_pipeline_with_the_plain_net():
    X, y = load_breast_cancer(return_X_y=True)
    plain = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=300))
    ours = TabularMLPClassifier(preset="fast", random_state=0)
    assert cross_val_score(ours, X, y, cv=3).mean() > cross_val_score(plain, X, y, cv=3).mean() - 0.01
    X, y = load_diabetes(return_X_y=True, scaled=False)
    assert cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), X, y, cv=3).mean() > 0.4


def test_a_table_as_it_comes_is_learned_better_than_its_numbers_alone(table):
    X, number, label = table
    parameters = {"preset": "fast", "random_state": 0}
    whole = cross_val_score(TabularMLPRegressor(**parameters), X, number, cv=3).mean()
    numbers = cross_val_score(TabularMLPRegressor(**parameters), X[["size", "income"]], number, cv=3).mean()
    assert whole > 0.7
    assert cross_val_score(TabularMLPClassifier(**parameters), X, label, cv=3).mean() > 0.75
    assert numbers > 0.5


def test_several_classes_labels_and_columns_of_numbers():
    X, y = load_iris(return_X_y=True)
    net = TabularMLPClassifier(preset="fast", random_state=0).fit(X, y)
    probabilities = net.predict_proba(X)
    assert net.score(X, y) > 0.9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    labels = np.column_stack([y == 0, y == 2]).astype(int)
    net = TabularMLPClassifier(preset="fast", random_state=0).fit(X, labels)
    assert net.predict(X).shape == labels.shape
    assert net.score(X, labels) > 0.9
    both = TabularMLPRegressor(preset="fast", random_state=0).fit(X[:, :2], X[:, 2:])
    assert both.predict(X[:, :2]).shape == (150, 2)
    assert both.score(X[:, :2], X[:, 2:]) > 0.7


def test_predictions_stay_within_what_was_seen_and_follow_the_scale_of_y(table):
    X, number, _ = table
    net = TabularMLPRegressor(**QUICK).fit(X, number)
    far = X.assign(income=1e30, size=-1e30)
    assert number.min() <= net.predict(far).min() <= net.predict(far).max() <= number.max()
    for factor, shift in ((1e12, 0.0), (1e-12, 0.0), (4.0, 1e6)):
        other = TabularMLPRegressor(**QUICK).fit(X, factor * number + shift)
        spread = factor * number.std()
        assert abs(other.predict(X) - factor * net.predict(X) - shift).max() < 0.05 * spread


def test_calibration_lowers_the_log_loss():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, random_state=0)
    sure = TabularMLPClassifier(preset="fast", random_state=0).fit(X, y)
    calibrated = clone(sure).set_params(metric="log_loss").fit(X, y)
    assert log_loss(y_test, calibrated.predict_proba(X_test)) < log_loss(y_test, sure.predict_proba(X_test))
    assert all(member.temperature != 1 for member in calibrated.members_)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "roc_auc"])
def test_every_metric_of_the_classifier(metric, table):
    X, _, label = table
    assert TabularMLPClassifier(preset="fast", metric=metric, random_state=0).fit(X, label).score(X, label) > 0.75
    labels = np.column_stack([label == "dear", X["owned"]]).astype(int)
    TabularMLPClassifier(metric=metric, **QUICK).fit(X, labels).predict_proba(X)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_are_scikit_learns(n_classes, weighted):
    rng = np.random.RandomState(0)
    y = rng.permutation(np.arange(90) % n_classes)
    score = rng.normal(size=(90, n_classes)).astype(np.float32)
    score[::3] = score[0]  # ties
    targets = ClassTargets(np.arange(n_classes), False)
    weight = rng.uniform(0.5, 2, 90) if weighted else None
    samples = Samples(None, targets.encode(y, "softmax", np.float32), y, weight, None)
    p = softmax(score.astype(float), axis=1)
    area = roc_auc_score(y, p[:, 1] if n_classes == 2 else p, multi_class="ovr", sample_weight=weight)
    expected = {
        "accuracy": 1 - accuracy_score(y, p.argmax(axis=1), sample_weight=weight),
        "balanced_accuracy": 1 - balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=weight),
        "log_loss": log_loss(y, p, sample_weight=weight),
    }
    for name, error in expected.items():
        assert CLASSIFIER_METRICS[name].error(targets, score, samples) == pytest.approx(error, rel=1e-5)
    assert CLASSIFIER_METRICS["roc_auc"].error(targets, score, samples) == pytest.approx(1 - area, rel=1e-5)


def test_every_metric_of_the_regressor(table):
    X, number, _ = table
    assert TabularMLPRegressor(preset="fast", metric="mae", random_state=0).fit(X, number).score(X, number) > 0.6


def test_quantiles_cover_their_share_and_do_not_cross():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"x": rng.uniform(-2, 2, 2000), "group": rng.choice(["a", "b"], 2000)})
    spread = np.where(X["group"] == "a", 0.2, 1.0)
    y = 100 * (np.sin(X["x"]) + spread * rng.normal(size=2000))
    net = TabularMLPRegressor(preset="fast", quantiles=[0.1, 0.5, 0.9], random_state=0).fit(X[:1500], y[:1500])
    found = net.predict_quantiles(X[1500:])
    assert found.shape == (500, 3)
    assert np.all(np.diff(found, axis=1) >= 0)
    np.testing.assert_allclose(np.mean(y[1500:].to_numpy()[:, None] < found, axis=0), [0.1, 0.5, 0.9], atol=0.06)
    width = found[:, 2] - found[:, 0]
    wide = X["group"][1500:] == "b"
    np.testing.assert_allclose([width[wide].mean(), width[~wide].mean()], [2 * 128.2, 2 * 25.6], rtol=0.2)
    assert net.score(X, y) == clone(net).set_params(quantiles=None).fit(X[:1500], y[:1500]).score(X, y)
    both = clone(net).fit(X[:300], np.column_stack([y, -y])[:300]).predict_quantiles(X)
    assert both.shape == (2000, 2, 3)


@pytest.mark.parametrize("wrong", [[0.5, 0.1], [0.0, 1.0], [1.5]])
def test_quantiles_that_are_none(wrong, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="quantile"):
        TabularMLPRegressor(quantiles=wrong, **QUICK).fit(X, number)
    assert not hasattr(TabularMLPRegressor(), "predict_quantiles")


def test_class_weights_move_the_predictions(table):
    X, _, label = table
    plain, weighted = (
        TabularMLPClassifier(class_weight=given, **QUICK).fit(X, label).predict_proba(X)[:, 1].mean()
        for given in (None, {"dear": 10.0, "cheap": 1.0})
    )
    assert weighted > plain + 0.1


def test_samples_of_no_weight_are_as_if_they_were_not_there(table):
    X, number, _ = table
    weight = np.ones(len(X))
    weight[::3] = 0
    few = weight > 0
    net = TabularMLPRegressor(**QUICK).fit(X, number, sample_weight=weight)
    seen = {*net.predict(X[few])}
    assert len(seen) > 1
    with pytest.raises(ValueError, match="non-zero"):
        TabularMLPRegressor(**QUICK).fit(X, number, sample_weight=0 * weight)


def test_the_users_own_validation(table):
    X, number, _ = table
    net = TabularMLPRegressor(**QUICK).fit(X[:200], number[:200], X_val=X[200:], y_val=number[200:])
    assert len(net.members_) == 2
    for wrong in ({"X_val": X}, {"y_val": number}, {"sample_weight_val": number}):
        with pytest.raises(ValueError, match="X_val"):
            TabularMLPRegressor(**QUICK).fit(X, number, **wrong)


def test_splitters_as_validation_fraction(table):
    X, number, _ = table
    groups = np.arange(len(X)) // 10
    TabularMLPRegressor(validation_fraction=GroupKFold(3), **QUICK).fit(X, number, groups=groups)
    TabularMLPRegressor(validation_fraction=ShuffleSplit(1, random_state=0), **QUICK).fit(X, number)


def test_it_stops_in_time(table):
    X, number, _ = table
    net = TabularMLPRegressor(max_iter=100_000, max_time=1.0, random_state=0)
    TabularMLPRegressor(max_iter=1, random_state=0).fit(X, number)  # compiles
    begin = time.perf_counter()
    net.fit(X, number)
    assert time.perf_counter() - begin < 3
    assert net.n_iter_ < 100_000
    assert 1 <= len(net.members_) < 8
    assert net.score(X, number) > 0.5


def test_results_do_not_depend_on_threads_and_survive_a_pickle(table):
    X, _, label = table
    net = TabularMLPClassifier(**QUICK).fit(X, label)
    expected = net.predict_proba(X)
    np.testing.assert_array_equal(TabularMLPClassifier(n_jobs=2, **QUICK).fit(X, label).predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict_proba(X), expected)


def test_it_is_an_estimator_as_any_other(table):
    X, number, label = table
    search = GridSearchCV(TabularMLPClassifier(**QUICK), {"hidden_layer_sizes": [(8,), (16,)]}, cv=2).fit(X, label)
    assert search.best_score_ > 0.5
    net = TabularMLPRegressor(preset="fast", random_state=0).fit(X, number)
    importance = permutation_importance(net, X, number, n_repeats=2, random_state=0).importances_mean
    assert set(X.columns[np.argsort(importance)[-3:]]) == {"size", "income", "colour"}
    pytest.importorskip("matplotlib").use("agg")
    PartialDependenceDisplay.from_estimator(net, X, ["income"])


def test_preprocessing_by_hand_leads_to_the_same_place(table):
    X, number, _ = table
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    prepared = make_column_transformer(
        (categories, make_column_selector(dtype_exclude="number")), remainder=numeric
    ).fit_transform(X.astype({"rooms": float}))
    by_hand = cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), prepared, number, cv=3).mean()
    ours = cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), X, number, cv=3).mean()
    assert ours > by_hand - 0.05


def test_one_line_of_progress(table, capsys):
    X, number, _ = table
    TabularMLPRegressor(**{**QUICK, "verbose": 1}).fit(X, number)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Iteration")][-1].startswith("Iteration 16,")


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.assign(when=pd.Timestamp("2020-01-01")), "Column 'when' holds times. Make numbers of it"),
        (lambda X: X.assign(income=np.inf), "Column 'income' has infinite values"),
        (lambda X: X.set_axis([*X.columns[:-1], "size"], axis=1), "columns of the same name: 'size'"),
        (lambda X: X[:1], "Two samples at least"),
        (lambda X: X[:0], "0 sample"),
    ],
    ids=["times", "infinite", "duplicated names", "one row", "no rows"],
)
@pytest.mark.parametrize("estimator", [TabularMLPClassifier(**QUICK), TabularMLPRegressor(**QUICK)])
def test_a_table_that_cannot_be_used(estimator, change, message, table):
    X, number, label = table
    y = label if isinstance(estimator, TabularMLPClassifier) else number
    fitted = clone(estimator).fit(X, y)
    before = fitted.predict(X)
    bad = change(X)
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted.fit(bad, y[: len(bad)])
    np.testing.assert_array_equal(fitted.predict(X), before)


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.assign(income=np.nan),
        lambda X: X.assign(colour=pd.Categorical([None] * len(X), ["red"])),
        lambda X: X.assign(copy=X["income"]),
        lambda X: X.assign(code=[f"level {k}" for k in range(len(X))]),
        lambda X: X.assign(mixed=[1, "one", None, 2.5, True] * (len(X) // 5)),
        lambda X: X.assign(huge=1e308 * np.resize([1, -1], len(X))),
        lambda X: X[["colour"]],
        lambda X: X[["constant"]],
        lambda X: X[["colour"]].assign(colour=pd.Categorical([None] * len(X), ["red"])),
        lambda X: X[:5],
    ],
    ids=[
        "all missing",
        "no level",
        "duplicate",
        "1 row a level",
        "mixed",
        "huge",
        "category",
        "constant",
        "nothing",
        "5 rows",
    ],
)
def test_a_table_that_is_odd_but_can_be_used(change, table):
    X, number, label = table
    odd = change(X)
    y = np.resize(["a", "b"], len(odd)) if len(odd) < 10 else label
    assert np.isfinite(TabularMLPClassifier(**QUICK).fit(odd, y).predict_proba(odd)).all()
    assert np.isfinite(TabularMLPRegressor(**QUICK).fit(odd, number[: len(odd)]).predict(odd)).all()


def test_targets_that_cannot_be_learned(table):
    X, number, _ = table
    with pytest.raises(ValueError, match="one class only, 'dear'"):
        TabularMLPClassifier(**QUICK).fit(X, np.full(len(X), "dear"))
    with pytest.raises(ValueError, match="fit one net for each column"):
        TabularMLPClassifier(**QUICK).fit(X, np.column_stack([np.arange(len(X)) % 3] * 2))
    with pytest.raises(ValueError, match="NaN"):
        TabularMLPRegressor(**QUICK).fit(X, np.where(number > 0, np.nan, number))


@pytest.mark.parametrize("chosen", ["all", ["height"], [True], [99]])
def test_columns_that_are_not_there_cannot_be_categories(chosen, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="categorical_features"):
        TabularMLPRegressor(categorical_features=chosen, **QUICK).fit(X, number)


@pytest.mark.parametrize("sizes", [(), (0,), (3, -1), (2.5,)])
def test_layers_without_neurons_are_refused(sizes, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        TabularMLPRegressor(**{**QUICK, "hidden_layer_sizes": sizes}).fit(X, number)
