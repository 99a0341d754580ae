"""The tabular estimators: valid and invalid input, and learning from real tables."""

import copy
import os
import pickle
import re
import runpy
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.impute import SimpleImputer
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sknn_iitb import MLPClassifier
from sknn_iitb._engine.samples import Samples
from sknn_iitb._engine.targets import ClassTargets
from sknn_iitb.inspection import describe
from sknn_iitb.optimizers import LBFGS, AdamW
from sknn_iitb.schedules import StepDecay
from sknn_iitb.tabular import (
    PiecewiseLinearEncoder,
    RobustSmoothScaler,
    SplineEncoder,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _race,
)
from sknn_iitb.tabular._metrics import CLASSIFIER_METRICS

QUICK = {"preset": "fast", "max_iter": 8, "hidden_layer_sizes": (16,), "random_state": 0}


# --- the estimators ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        TableEncoder(),
        RobustSmoothScaler(),
        PiecewiseLinearEncoder(),
        TabularMLPClassifier(preset="fast"),
        TabularMLPRegressor(preset="fast"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_checks(estimator):
    check_estimator(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numeric_data_score_no_worse_than_a_plain_network():
    X, y = load_breast_cancer(return_X_y=True)
    plain = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=300))
    ours = TabularMLPClassifier(preset="fast", random_state=0)
    assert cross_val_score(ours, X, y, cv=3).mean() > cross_val_score(plain, X, y, cv=3).mean() - 0.01
    X, y = load_diabetes(return_X_y=True, scaled=False)
    assert cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), X, y, cv=3).mean() > 0.4


def test_raw_table_scores_well_with_all_columns(table):
    X, number, label = table
    parameters = {"preset": "fast", "random_state": 0}
    whole = cross_val_score(TabularMLPRegressor(**parameters), X, number, cv=3).mean()
    numbers = cross_val_score(TabularMLPRegressor(**parameters), X[["size", "income"]], number, cv=3).mean()
    assert whole > 0.7
    assert cross_val_score(TabularMLPClassifier(**parameters), X, label, cv=3).mean() > 0.75
    assert numbers > 0.5


def test_multiclass_multilabel_and_multioutput_targets():
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


def test_predictions_stay_in_the_range_of_y_and_scale_with_it(table):
    X, number, _ = table
    net = TabularMLPRegressor(**QUICK).fit(X, number)
    far = X.assign(income=1e30, size=-1e30)
    assert number.min() <= net.predict(far).min() <= net.predict(far).max() <= number.max()
    for factor, shift in ((1e12, 0.0), (1e-12, 0.0), (4.0, 1e6)):
        other = TabularMLPRegressor(**QUICK).fit(X, factor * number + shift)
        spread = factor * number.std()
        assert abs(other.predict(X) - factor * net.predict(X) - shift).max() < 0.05 * spread


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc"])
@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
def test_calibration_lowers_the_log_loss_of_every_metric(load, metric):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=min(600, len(y) // 2), random_state=0)
    losses = []
    for seed in range(3):
        calibrated = TabularMLPClassifier(preset="fast", metric=metric, random_state=seed).fit(X, y)
        plain = copy.copy(calibrated)
        plain.members_ = [member._replace(temperature=1.0) for member in calibrated.members_]
        losses.append([log_loss(y_test, net.predict_proba(X_test)) for net in (calibrated, plain)])
    found, uncalibrated = np.mean(losses, axis=0)
    assert found < 0.8 * uncalibrated


def test_log_loss_metric_calibrates():
    net = TabularMLPClassifier(preset="fast", metric="log_loss", random_state=0).fit(*load_digits(return_X_y=True))
    assert all(member.temperature != 1 for member in net.members_[:2])  # a linear model may follow


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "roc_auc"])
def test_every_classifier_metric_works(metric, table):
    X, _, label = table
    assert TabularMLPClassifier(preset="fast", metric=metric, random_state=0).fit(X, label).score(X, label) > 0.75
    labels = np.column_stack([label == "dear", X["owned"]]).astype(int)
    TabularMLPClassifier(metric=metric, **QUICK).fit(X, labels).predict_proba(X)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_match_scikit_learn(n_classes, weighted):
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


def test_every_regressor_metric_works(table):
    X, number, _ = table
    assert TabularMLPRegressor(preset="fast", metric="mae", random_state=0).fit(X, number).score(X, number) > 0.6


def test_quantiles_have_their_coverage_and_do_not_cross():
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
def test_invalid_quantiles_raise(wrong, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="quantile"):
        TabularMLPRegressor(quantiles=wrong, **QUICK).fit(X, number)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc", "rmse", "mae"])
def test_lowest_validation_error_is_that_of_the_predictions(table, metric):
    X, number, label = table
    cls, y = (TabularMLPRegressor, number) if metric in ("rmse", "mae") else (TabularMLPClassifier, label)
    net = cls(metric=metric, max_iter=12, n_estimators=1, random_state=0)
    net.fit(X[100:], y[100:], X_val=X[:100], y_val=y[:100])
    (errors,) = net.validation_curves_
    assert len(errors) == 12
    theta, temperature = net.members_[0].theta, net.members_[0].temperature
    score = net.members_[0].network.predict(net.encoder_.transform(X[:100]), theta, False)
    if cls is TabularMLPRegressor:
        residual = score[:, 0] - (number[:100] - number[100:].mean()) / number[100:].std()
        expected = {"rmse": np.sqrt(np.mean(residual**2)), "mae": abs(residual).mean()}[metric]
    else:
        probabilities = softmax(score.astype(float), axis=1)  # before the temperature
        assert temperature != 1
        expected = {
            "accuracy": lambda: 1 - accuracy_score(label[:100], net.classes_[probabilities.argmax(axis=1)]),
            "log_loss": lambda: log_loss(label[:100], probabilities),
            "roc_auc": lambda: 1 - roc_auc_score(label[:100], probabilities[:, 1]),
        }[metric]()
    assert min(errors) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_training_loss_is_that_of_the_weights(table):
    X, number, _ = table
    net = TabularMLPRegressor(max_iter=3, n_estimators=1, learning_rate_init=1e-12, random_state=0)
    net.fit(X, number, X_val=X[:9], y_val=number[:9])
    (member,) = net.members_
    score = member.network.predict(net.encoder_.transform(X), member.theta, False)[:, 0]
    expected = np.mean((score - (number - number.mean()) / number.std()) ** 2) / 2
    np.testing.assert_allclose(net.loss_curves_, [[expected] * 3], rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "n_last"), [({}, 0), ({"max_iter": 24}, 1), ({"preset": "tuned", "n_trials": 6}, 0)]
)
def test_curves_have_an_epoch_each_and_little_size(table, parameters, n_last):
    X, number, _ = table
    net = TabularMLPRegressor(random_state=0, **{"max_iter": 10, **parameters}).fit(X, number)
    n_iter = [member.n_iter for member in net.members_ if member.n_iter]  # all except a linear model
    assert [len(curve) for curve in net.loss_curves_ if curve] == n_iter
    assert [len(curve) + n_last for curve in net.validation_curves_ if curve] == n_iter
    for curves in (net.loss_curves_, net.validation_curves_):
        assert all(type(value) is float for curve in curves for value in curve)
    trained = [member for member in net.members_ if member.n_iter]  # all except a linear model
    assert [min(curve) for curve in net.validation_curves_ if curve] == [member.error for member in trained]
    without = clone(net)
    vars(without).update(vars(net))
    without.members_ = [member._replace(loss_curve=[], validation_curve=[]) for member in net.members_]
    assert len(pickle.dumps(net)) < 1.01 * len(pickle.dumps(without))
    losses, errors = net.loss_curves_, net.validation_curves_
    net.partial_fit(X, number)
    assert [curve[:-1] for curve in net.loss_curves_] == losses
    assert net.validation_curves_ == errors
    assert np.isfinite([curve[-1] for curve in net.loss_curves_]).all()
    assert not hasattr(clone(net), "loss_curves_")


def test_lists_with_text_are_tables():
    rows = [[k % 7, "ab"[k % 2]] for k in range(80)]
    label = [row[1] for row in rows]
    net = TabularMLPClassifier(preset="fast", random_state=0).fit(rows, label)
    assert net.score(rows, label) == 1
    frame = pd.DataFrame(rows)
    np.testing.assert_array_equal(clone(net).fit(frame, label).predict_proba(frame), net.predict_proba(rows))
    number = TabularMLPRegressor(preset="fast", random_state=0).fit(rows, [row[0] for row in rows])
    assert number.score(rows, [row[0] for row in rows]) > 0.9


def test_predict_quantiles_says_how_to_choose_them(table):
    X, number, _ = table
    for net in (TabularMLPRegressor(), TabularMLPRegressor(**QUICK).fit(X, number)):
        assert not hasattr(net, "predict_quantiles")
        with pytest.raises(AttributeError, match="has no attribute 'predict_quantiles'") as caught:
            net.predict_quantiles(X)
        assert "Set, for example, quantiles=[0.1, 0.5, 0.9]." in str(caught.value.__cause__)
    assert net.set_params(quantiles=[0.1, 0.5, 0.9]).fit(X, number).predict_quantiles(X).shape == (len(X), 3)


def test_class_weights_move_the_predictions(table):
    X, _, label = table
    plain, weighted = (
        TabularMLPClassifier(class_weight=given, **QUICK).fit(X, label).predict_proba(X)[:, 1].mean()
        for given in (None, {"dear": 10.0, "cheap": 1.0})
    )
    assert weighted > plain + 0.1


@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_integer_weights_equal_repeated_rows_exactly_in_any_order(estimator, table):
    X, number, label = table
    X, y = X[:100], (label if estimator is TabularMLPClassifier else number)[:100]
    counts = np.random.RandomState(1).randint(0, 3, len(X))
    nets = [
        estimator(**QUICK).fit(X, y, sample_weight=counts),
        estimator(**QUICK).fit(X, y, sample_weight=7.5 * counts),
        estimator(**QUICK).fit(X.loc[X.index.repeat(counts)], y.repeat(counts)),
        estimator(**QUICK).fit(X[::-1], y[::-1], sample_weight=counts[::-1]),
    ]
    outputs = [getattr(net, "predict_proba", net.predict)(X) for net in nets]
    assert len(np.unique(outputs[0])) > 50
    for other in outputs[1:]:
        np.testing.assert_array_equal(other, outputs[0])
    with pytest.raises(ValueError, match="non-zero"):
        estimator(**QUICK).fit(X, y, sample_weight=0 * counts)


@pytest.mark.parametrize("unit", [2.0**1023, 2.0**-1000])
def test_the_scale_of_the_weights_does_not_matter(unit, table):
    X, number, label = table
    weight = np.random.RandomState(0).uniform(0.5, 1.5, size=len(X))
    for net, y in (
        (TabularMLPClassifier(metric="roc_auc", **QUICK), label),
        (TabularMLPRegressor(quantiles=[0.5], **QUICK), number),
    ):
        expected = net.fit(X, y, sample_weight=weight).predict(X)
        np.testing.assert_array_equal(net.fit(X, y, sample_weight=unit * weight).predict(X), expected)
    for encoder in (RobustSmoothScaler(), PiecewiseLinearEncoder(), SplineEncoder(n_knots=3)):
        numbers = np.round(number, 1)[:, None]
        expected = encoder.fit(numbers, sample_weight=weight).transform(numbers)
        np.testing.assert_array_equal(encoder.fit(numbers, sample_weight=unit * weight).transform(numbers), expected)


def test_few_distinct_rows_are_learned_as_well_as_their_frequencies():
    rng = np.random.RandomState(0)
    X = rng.randint(2, size=(4000, 3))
    y = rng.uniform(size=4000) < np.array([0.1, 0.6, 0.4, 0.9, 0.8, 0.3, 0.5, 0.2])[X @ [4, 2, 1]]
    net = TabularMLPClassifier(metric="log_loss", random_state=0).fit(X[:2000], y[:2000])
    known = np.array([y[:2000][np.all(X[:2000] == x, axis=1)].mean() for x in X[2000:]])
    assert log_loss(y[2000:], net.predict_proba(X[2000:])) < log_loss(y[2000:], known) + 0.01


def test_custom_validation_set_is_used(table):
    X, number, _ = table
    net = TabularMLPRegressor(**QUICK).fit(X[:200], number[:200], X_val=X[200:], y_val=number[200:])
    assert len(net.members_) == 3
    for wrong in ({"X_val": X}, {"y_val": number}, {"sample_weight_val": number}):
        with pytest.raises(ValueError, match="X_val"):
            TabularMLPRegressor(**QUICK).fit(X, number, **wrong)


@pytest.mark.parametrize(
    ("y", "y_val", "message"),
    [
        (
            lambda y: y,
            lambda y: np.column_stack([y, -y, 0 * y]),
            "y_val.* 3 columns, but the estimator was fitted with 1",
        ),
        (
            lambda y: np.column_stack([y, -y, 0 * y]),
            lambda y: y,
            "y_val.* 1 column, but the estimator was fitted with 3",
        ),
    ],
)
def test_y_val_with_different_columns_raises(y, y_val, message):
    X, number = load_diabetes(return_X_y=True)
    net = TabularMLPRegressor(**QUICK)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y(number), X_val=X, y_val=y_val(number))
    net.fit(X, y(number))
    with pytest.raises(ValueError, match=message.removeprefix("y_val.*")):
        net.partial_fit(X, y_val(number))


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_y_val_with_different_classes_raises(class_weight):
    X, y = load_iris(return_X_y=True)
    net = TabularMLPClassifier(class_weight=class_weight, **QUICK)
    labels = np.eye(3, dtype=int)[y]
    for targets, y_val in ((y, y + 1), (y, labels), (labels, y), (labels, labels[:, :2]), (y < 2, y)):
        with pytest.raises(ValueError, match="y_val"):
            net.fit(X, targets, X_val=X, y_val=y_val)
    for targets, other in ((y, y + 1), (labels, y)):
        with pytest.raises(ValueError, match=r"classes|columns"):
            clone(net).fit(X, targets).partial_fit(X, other)


def test_validation_fraction_accepts_splitters(table):
    X, number, _ = table
    groups = np.arange(len(X)) // 10
    TabularMLPRegressor(validation_fraction=GroupKFold(3), **QUICK).fit(X, number, groups=groups)
    TabularMLPRegressor(validation_fraction=ShuffleSplit(1, random_state=0), **QUICK).fit(X, number)


@pytest.fixture
def split_of(monkeypatch):
    """A function that fits an estimator and returns its samples and the splits of its members."""

    def fit(estimator, X, y, **arguments):
        seen = []

        def spy(data, *rest):
            seen.append((data.samples, data.splits))
            return train(data, *rest)

        monkeypatch.setattr(_race, "train", spy)
        estimator.fit(X, y, **arguments)
        return seen[0]

    train = _race.train
    return fit


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.4, 0.15, 0.75])
@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_groups_are_never_split(estimator, fraction, split_of):
    rng = np.random.RandomState(0)
    groups = rng.choice([f"patient {k}" for k in range(40)], 600, p=rng.dirichlet(np.full(40, 3.0)))
    X = rng.randint(5, size=(600, 2))  # equal samples in several groups
    y = rng.randint(2, size=600)
    net = estimator(validation_fraction=fraction, n_estimators=4, **QUICK)
    samples, splits = split_of(net, X, y, groups=groups)
    assert len({tuple(held_out) for _, held_out in splits}) == 4
    largest = np.bincount(samples.groups).max() / len(samples.Y)
    for rows, held_out in splits:
        assert sorted([*rows, *held_out]) == list(range(len(samples.Y)))
        assert set(samples.groups[rows]).isdisjoint(samples.groups[held_out])
        assert abs(len(held_out) / len(samples.Y) - fraction) <= largest
    assert samples.weight.sum() == 600
    assert len(np.unique(samples.groups)) == 40
    other = clone(net).fit(X[::-1], y[::-1], groups=groups[::-1])
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_groups_are_stratified_by_class(split_of):
    y = np.repeat([0, 0, 0, 1], 50)
    X, groups = np.random.RandomState(0).normal(size=(200, 2)), np.arange(200) // 5
    for fraction in (0.2, 0.4):
        net = TabularMLPClassifier(validation_fraction=fraction, **QUICK)
        samples, splits = split_of(net, X, y, groups=groups)
        for _, held_out in splits:
            assert samples.y[held_out].mean() == pytest.approx(0.25, abs=0.07)


def test_groups_that_cannot_be_split_raise(table):
    X, number, _ = table
    net = TabularMLPRegressor(**QUICK)
    with pytest.raises(ValueError, match="groups contains only one group"):
        net.fit(X, number, groups=np.zeros(len(X)))
    with pytest.raises(ValueError, match="groups contains only one group"):
        net.fit(X, number, sample_weight=np.arange(len(X)) < 150, groups=np.arange(len(X)) // 150)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net.fit(X, number, groups=np.arange(5))
    with pytest.raises(ValueError, match=r"validation_fraction=0.95 of 2 groups leaves none to train on"):
        net.set_params(validation_fraction=0.95).fit(X, number, groups=np.arange(len(X)) // 150)


@pytest.mark.parametrize("fraction", [0.2, 1 / 3, 0.5, 0.07, 0.15, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_validation_fraction_is_the_held_out_share(estimator, fraction, split_of):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(203, 3)), np.repeat([0, 1], [150, 53])
    net = estimator(validation_fraction=fraction, n_estimators=3, **QUICK)
    _, splits = split_of(net, X, y)
    assert len({tuple(held_out) for _, held_out in splits}) == 3
    for rows, held_out in splits:
        assert sorted([*rows, *held_out]) == list(range(203))
        assert abs(len(held_out) - 203 * fraction) <= 1
    # 8 distinct rows and two labels: each fold gets its share of the samples
    X = rng.randint(2, size=(4000, 3))
    samples, splits = split_of(net, X, rng.randint(2, size=4000))
    weight = np.ones(len(samples.Y)) if samples.weight is None else samples.weight
    for _, held_out in splits:
        assert weight[held_out].sum() / weight.sum() == pytest.approx(fraction, abs=0.03)


def test_uneven_splits_are_stratified(split_of):
    y = np.repeat([0, 1, 2], [70, 29, 1])
    net = TabularMLPClassifier(validation_fraction=0.4, n_estimators=20, **QUICK)
    samples, splits = split_of(net, np.random.RandomState(0).normal(size=(100, 2)), y)
    found = np.array([np.bincount(samples.y[held_out], minlength=3) for _, held_out in splits])
    assert np.all(abs(found - [28, 11.6, 0.4]) <= 2)
    assert 0 < found[:, 2].sum() < 20


def test_validation_fraction_without_training_samples_raises():
    X = np.arange(10.0)[:, None]
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 of 10 distinct samples leaves none to train on"):
        TabularMLPRegressor(validation_fraction=0.99, **QUICK).fit(X, X[:, 0])


@pytest.mark.parametrize("n_equal", [2, 4, 50])
@pytest.mark.parametrize("fraction", [0.2, 0.4])
def test_single_distinct_sample_is_learned_as_a_constant(n_equal, fraction):
    X, weight = np.ones((n_equal, 1)), np.arange(n_equal) == 0
    net = TabularMLPRegressor(quantiles=[0.1, 0.9], validation_fraction=fraction, **QUICK)
    for y, given in ((np.full(n_equal, 3.0), None), (np.arange(3.0, n_equal + 3), weight)):
        net.fit(X, y, sample_weight=given)
        assert net.predict([[1.0], [7.0]]).tolist() == [3, 3]
        assert net.predict_quantiles([[1.0]]).tolist() == [[3, 3]]
    y = np.arange(n_equal) % 2
    for metric in CLASSIFIER_METRICS:
        net = TabularMLPClassifier(metric=metric, validation_fraction=fraction, **QUICK)
        net.fit(X, y, sample_weight=weight)
        assert net.predict([[1.0], [7.0]]).tolist() == [0, 0]
        assert np.isfinite(net.predict_proba(X)).all()
        assert np.isfinite(net.fit(X, y).predict_proba(X)).all()


def test_max_time_stops_training(table):
    X, number, _ = table
    net = TabularMLPRegressor(max_iter=100_000, max_time=1.0, random_state=0)
    TabularMLPRegressor(max_iter=1, random_state=0).fit(X, number)  # compiles everything
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


def test_estimators_work_with_scikit_learn_tools(table):
    X, number, label = table
    search = GridSearchCV(TabularMLPClassifier(**QUICK), {"hidden_layer_sizes": [(8,), (16,)]}, cv=2).fit(X, label)
    assert search.best_score_ > 0.5
    net = TabularMLPRegressor(preset="fast", random_state=0).fit(X, number)
    importance = permutation_importance(net, X, number, n_repeats=2, random_state=0).importances_mean
    assert set(X.columns[np.argsort(importance)[-3:]]) == {"size", "income", "colour"}
    pytest.importorskip("matplotlib").use("agg")
    PartialDependenceDisplay.from_estimator(net, X, ["income"])


def test_builtin_preprocessing_scores_no_worse_than_manual_preprocessing(table):
    X, number, _ = table
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    prepared = make_column_transformer(
        (categories, make_column_selector(dtype_exclude="number")), remainder=numeric
    ).fit_transform(X.astype({"rooms": float}))
    by_hand = cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), prepared, number, cv=3).mean()
    ours = cross_val_score(TabularMLPRegressor(preset="fast", random_state=0), X, number, cv=3).mean()
    assert ours > by_hand - 0.05


def test_verbose_prints_progress(table, capsys):
    X, number, _ = table
    TabularMLPRegressor(**{**QUICK, "verbose": 1}).fit(X, number)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    assert lines[-1].startswith("net 3 of 3, epoch 8 of 8, RMSE / std 0.")


class Tensor:
    """An array of a library other than NumPy, which can leave its device only if that is the CPU."""

    def __init__(self, values, device="cpu"):
        self.values, self.device = np.asarray(values), device
        self.shape, self.ndim, self.dtype = self.values.shape, self.values.ndim, self.values.dtype

    def __len__(self):
        return len(self.values)

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return np.asarray(self.values, dtype)

    def __array_namespace__(self, api_version=None):
        raise AssertionError("the namespace of the array is used")


@pytest.mark.parametrize("dispatches", [False, True])
def test_arrays_of_another_library_are_converted(dispatches, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    monkeypatch.setattr("sklearn.utils._array_api._check_array_api_dispatch", lambda dispatch: None)
    X, y = load_iris(return_X_y=True)
    with config_context(array_api_dispatch=dispatches):
        for estimator, target in ((TabularMLPClassifier, y), (TabularMLPRegressor, X[:, 0])):
            for arguments in ({"groups": np.arange(150)}, {"sample_weight": np.ones(150), "X_val": X, "y_val": target}):
                net = estimator(**QUICK).fit(X, target, **arguments)
                tensors = {name: Tensor(values) for name, values in arguments.items()}
                other = estimator(**QUICK).fit(Tensor(X), Tensor(target), **tensors)
                np.testing.assert_array_equal(other.predict(Tensor(X)), net.predict(X))
            net.partial_fit(X, target)
            other.partial_fit(Tensor(X), Tensor(target), sample_weight=Tensor(np.ones(150)))
            np.testing.assert_array_equal(other.predict(Tensor(X)), net.predict(X))
        for transformer in (TableEncoder(), RobustSmoothScaler(), PiecewiseLinearEncoder()):
            Z = transformer.fit(Tensor(X), sample_weight=Tensor(np.ones(150))).transform(Tensor(X))
            np.testing.assert_array_equal(Z, transformer.fit(X).transform(X))
        with pytest.raises(ValueError, match=r"Arrays must be on the CPU"):
            TabularMLPRegressor(**QUICK).fit(Tensor(X, "cuda"), y)


# --- memory -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs the peak memory from Linux")
@pytest.mark.parametrize(("method", "most"), [("fit", 90), ("predict", 45)])
def test_memory_is_a_small_multiple_of_the_table(method, most):
    namespace = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "memory.py"))
    more, _ = namespace["growth"](method, "dense", 200_000, 20)
    assert more < most  # the encoded table takes 16 MB


def test_too_large_sparse_x_raises():
    X = sparse.csr_matrix(([1.0], ([0], [0])), (2000, 140_000))
    message = r"shape \(2000, 140000\) would take 1\.0 GiB.*TruncatedSVD"
    for estimator in (TabularMLPRegressor(**QUICK), TableEncoder()):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, np.zeros(2000))


@pytest.mark.parametrize("kind", ["frame", "array", "sparse"])
def test_batches_do_not_change_predictions(kind, table, monkeypatch):
    X, number, label = table
    if kind != "frame":
        X = X[["income", "constant"]].to_numpy()
    X = sparse.csr_array(X) if kind == "sparse" else X
    nets = [
        TabularMLPRegressor(quantiles=[0.1, 0.9], **QUICK).fit(X, number),
        TabularMLPClassifier(n_jobs=2, **QUICK).fit(X, label),
    ]

    def predictions():
        return [nets[0].predict(X), nets[0].predict_quantiles(X), nets[1].predict_proba(X), nets[1].predict(X)]

    expected = predictions()
    monkeypatch.setattr("sknn_iitb.tabular.encoder._CELLS", 1)
    monkeypatch.setattr("sknn_iitb.tabular.encoder._FEW_ROWS", 128)
    for found, one in zip(predictions(), expected, strict=True):
        if found.dtype.kind == "f":
            np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, one)
    encoder = TableEncoder().fit(X)
    batches = list(encoder.batches(X))
    assert [len(Z) for _, Z in batches] == [128, 128, 44]
    np.testing.assert_array_equal(np.vstack([Z for _, Z in batches]), encoder.transform(X))


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda X: X.assign(when=pd.Timestamp("2020-01-01")),
            "Column 'when' contains dates or times. Convert it to numbers",
        ),
        (lambda X: X.assign(income=np.inf), "Column 'income' contains infinite values"),
        (lambda X: X.set_axis([*X.columns[:-1], "size"], axis=1), "duplicate column names: 'size'"),
        (lambda X: X[:1], "At least two samples"),
        (lambda X: X[:0], "0 sample"),
    ],
    ids=["times", "infinite", "duplicated names", "one row", "no rows"],
)
@pytest.mark.parametrize("estimator", [TabularMLPClassifier(**QUICK), TabularMLPRegressor(**QUICK)])
def test_invalid_table_raises(estimator, change, message, table):
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
        "no category",
        "duplicate",
        "1 row per category",
        "mixed",
        "huge",
        "category",
        "constant",
        "nothing",
        "5 rows",
    ],
)
def test_unusual_table_is_accepted(change, table):
    X, number, label = table
    odd = change(X)
    y = np.resize(["a", "b"], len(odd)) if len(odd) < 10 else label
    assert np.isfinite(TabularMLPClassifier(**QUICK).fit(odd, y).predict_proba(odd)).all()
    assert np.isfinite(TabularMLPRegressor(**QUICK).fit(odd, number[: len(odd)]).predict(odd)).all()


def test_invalid_targets_raise(table):
    X, number, _ = table
    with pytest.raises(ValueError, match="only one class, 'dear'"):
        TabularMLPClassifier(**QUICK).fit(X, np.full(len(X), "dear"))
    with pytest.raises(ValueError, match="fit one estimator per column"):
        TabularMLPClassifier(**QUICK).fit(X, np.column_stack([np.arange(len(X)) % 3] * 2))
    with pytest.raises(ValueError, match="NaN"):
        TabularMLPRegressor(**QUICK).fit(X, np.where(number > 0, np.nan, number))


@pytest.mark.parametrize("chosen", ["all", ["height"], [True], [99]])
def test_invalid_categorical_features_raise(chosen, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="categorical_features"):
        TabularMLPRegressor(categorical_features=chosen, **QUICK).fit(X, number)


@pytest.mark.parametrize("sizes", [(), (0,), (3, -1), (2.5,)])
def test_invalid_hidden_layer_sizes_raise(sizes, table):
    X, number, _ = table
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        TabularMLPRegressor(**{**QUICK, "hidden_layer_sizes": sizes}).fit(X, number)


# --- partial_fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_partial_fit_learns_from_new_samples_and_keeps_the_scales(estimator):
    X, y = load_digits(return_X_y=True) if estimator is TabularMLPClassifier else load_diabetes(return_X_y=True)
    half = len(X) // 4
    net = estimator(preset="fast", random_state=0).fit(X[:half], y[:half])
    scales, before = net.encoder_.transform(X), net.score(X[half:], y[half:])
    n_iter = net.n_iter_
    for k in range(10):
        net.partial_fit(X[half:], y[half:])
        assert net.n_iter_ == n_iter + k + 1
    np.testing.assert_array_equal(net.encoder_.transform(X), scales)
    assert net.score(X[half:], y[half:]) > before + 0.01


def test_partial_fit_continues_from_a_pickle(table):
    X, number, _ = table
    net = TabularMLPRegressor(quantiles=[0.1, 0.9], dropout=0.1, **QUICK)
    net.partial_fit(X[:200], number[:200]).partial_fit(X[200:], number[200:])
    other = pickle.loads(pickle.dumps(net))
    assert net.n_iter_ == 9
    quantiles = net.predict_quantiles(X)
    for each in (net, other):
        each.partial_fit(X[:150], number[:150], sample_weight=np.ones(150))
    np.testing.assert_array_equal(net.predict(X), other.predict(X))
    np.testing.assert_array_equal(net.predict_quantiles(X), other.predict_quantiles(X))
    assert not np.array_equal(net.predict_quantiles(X), quantiles)


def test_first_partial_fit_is_a_fit_with_all_classes(table):
    X, _, label = table
    net = TabularMLPClassifier(**QUICK).partial_fit(X, label, classes=["cheap", "dear", "free"])
    assert net.classes_.tolist() == ["cheap", "dear", "free"]
    assert net.predict_proba(X).shape == (len(X), 3)
    net.partial_fit(X[:20], np.full(20, "free"))
    with pytest.raises(ValueError, match="not the same as on last call"):
        net.partial_fit(X, label, classes=["cheap", "dear"])
    same = TabularMLPClassifier(**QUICK)
    np.testing.assert_array_equal(
        same.partial_fit(X, label).predict_proba(X), clone(same).fit(X, label).predict_proba(X)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": lambda y: np.full(len(y), "other")}, "has classes not in"),
        ({"X": lambda X: X.drop(columns="size")}, "size"),
        ({"X": lambda X: X.assign(income=np.inf)}, "'income' contains infinite values"),
        ({"sample_weight": lambda n: np.zeros(n)}, "non-zero"),
        ({"X": lambda X: X[:5]}, "inconsistent numbers of samples"),
    ],
)
def test_invalid_partial_fit_leaves_the_estimator_unchanged(change, message, table):
    X, _, label = table
    net = TabularMLPClassifier(**QUICK).fit(X, label)
    before = pickle.dumps(net)
    arguments = {"X": change.get("X", lambda X: X)(X), "y": change.get("y", lambda y: y)(label)}
    if "sample_weight" in change:
        arguments["sample_weight"] = change["sample_weight"](len(X))
    with pytest.raises(ValueError, match=message):
        net.partial_fit(**arguments)
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("before", [None, [0.2, 0.8], [0.1, 0.5, 0.9]])
def test_quantiles_set_after_fit_need_a_new_fit(before, table):
    X, number, _ = table
    net = TabularMLPRegressor(quantiles=before, **QUICK).fit(X, number).set_params(quantiles=[0.1, 0.9])
    for call in (lambda: net.predict_quantiles(X), lambda: net.partial_fit(X, number)):
        with pytest.raises(ValueError, match=re.escape("quantiles=[0.1, 0.9] was set after fit")):
            call()
    assert net.fit(X, number).predict_quantiles(X).shape == (len(X), 2)


# --- hyperparameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.3},
        {"solver": "sgd"},
        {"solver": AdamW(weight_decay=0.5)},
        {"learning_rate": "cosine"},
        {"learning_rate": StepDecay(every=2)},
        {"n_bins": None},
        {"n_bins": 3},
        {"views": ["wide"]},
        {"hidden_layer_sizes": (8, 8)},
        {"hidden_layer_sizes": 8},
        {"activation": "relu"},
        {"learning_rate_init": 0.01},
        {"batch_size": 32},
        {"n_estimators": 2},
    ],
    ids=str,
)
def test_hyperparameters_take_effect(parameters, table):
    X, number, _ = table
    plain = TabularMLPRegressor(**QUICK).fit(X, number)
    net = clone(plain).set_params(**parameters).fit(X, number)
    assert np.isfinite(net.predict(X)).all()
    assert abs(net.predict(X) - plain.predict(X)).max() > 1e-3


def test_log_probabilities_are_those_of_the_probabilities_and_finite(monkeypatch):
    X, y = load_iris(return_X_y=True)
    net = TabularMLPClassifier(**QUICK).fit(X, y)
    np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), net.predict_proba(X), rtol=1e-5)
    monkeypatch.setattr(TabularMLPClassifier, "predict_proba", lambda self, X: np.float32([[0, 1]]))
    np.testing.assert_allclose(net.predict_log_proba(X), [[-87.34, 0]], rtol=1e-4)


def test_dropout_acts_only_in_training_and_depends_on_the_seed(table):
    X, number, _ = table
    nets = [TabularMLPRegressor(**{**QUICK, "random_state": k}, dropout=0.5).fit(X, number) for k in (0, 0, 1)]
    predictions = [net.predict(X) for net in nets]
    np.testing.assert_array_equal(predictions[0], nets[0].predict(X))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert not np.array_equal(predictions[0], predictions[2])


def test_many_samples_need_fewer_epochs():
    X = np.random.RandomState(0).normal(size=(16_000, 2))
    net = TabularMLPRegressor(n_estimators=1, hidden_layer_sizes=2, n_bins=None, random_state=0)
    assert net.fit(X, X.sum(axis=1)).n_iter_ == 32
    assert net.fit(X[:4000], X[:4000].sum(axis=1)).n_iter_ == 64
    assert net.set_params(max_iter=3).fit(X, X.sum(axis=1)).n_iter_ == 3


@pytest.mark.parametrize(
    ("cls", "n", "expected"),
    [
        (TabularMLPClassifier, 50_001, 256),
        (TabularMLPRegressor, 50_000, 256),
        (TabularMLPRegressor, 50_001, 512),
    ],
)
def test_many_samples_come_in_larger_batches(cls, n, expected):
    X = np.random.RandomState(0).normal(size=(n, 2))  # no rows are equal, which would be merged
    net = cls(n_estimators=1, hidden_layer_sizes=2, views=["smooth"], max_iter=1, random_state=0)
    weights = []
    for given in (None, expected):
        assert net.set_params(batch_size=given).fit(X, X[:, 0] > 0).batch_size_ == expected
        assert describe(net)["networks"][0]["batch_size"] == expected
        weights.append(net.members_[0].theta)
    np.testing.assert_array_equal(*weights)


def test_hyperparameters_can_be_searched(table):
    X, number, _ = table
    grid = {"dropout": [0.0, 0.2], "n_bins": [None, 8], "hidden_layer_sizes": [(8,), (16, 16)]}
    search = GridSearchCV(TabularMLPRegressor(preset="fast", max_iter=4, random_state=0), grid, cv=2).fit(X, number)
    assert set(search.best_params_) == set(grid)


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "lbfgs"},
        {"dropout": 1.0},
        {"n_bins": 0},
        {"n_bins": 10**9},
        {"learning_rate": "none"},
        {"solver": LBFGS()},
    ],
    ids=str,
)
def test_invalid_hyperparameters_raise(parameters, table):
    X, number, _ = table
    (name,) = parameters
    with pytest.raises(ValueError, match=name):
        TabularMLPRegressor(**QUICK).set_params(**parameters).fit(X, number)


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize(("before", "after"), [("sgd", "adam"), ("adam", "sgd")])
def test_changed_solver_starts_with_new_state_vectors(cls, before, after, cancer):
    X, y = cancer
    net = cls(preset="fast", solver=before, max_iter=1, random_state=0).fit(X, y).partial_fit(X, y)
    net.set_params(solver=after).partial_fit(X, y)
    members = net.members_
    assert {member.state.step for member in members} == {-(-len(X) // 256)}
    n_state_vectors = {"sgd": 1, "adam": 2}[after]
    assert all(member.state.optimizer_state.size == n_state_vectors * member.theta.size for member in members)


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros((569, 2)), r"groups must be one-dimensional, got shape \(569, 2\)"),
        (np.array([None, *range(568)], dtype=object), "groups must be labels that can be compared"),
    ],
)
def test_invalid_groups_raise(cls, groups, message, cancer):
    with pytest.raises(ValueError, match=message):
        cls(preset="fast").fit(*cancer, groups=groups)


def test_groups_with_a_validation_set_raise(cancer):
    X, y = cancer
    for net in (TabularMLPClassifier(preset="fast"), MLPClassifier(max_iter=2)):
        with pytest.raises(ValueError, match="groups has no effect with X_val"):
            net.fit(X, y, X_val=X, y_val=y, groups=np.arange(len(X)) % 5)
