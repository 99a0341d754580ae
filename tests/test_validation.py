"""Validation: on a given validation set or a split, with any scorer; and early stopping."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from refused import assert_refused
from sklearn import config_context, metrics
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    PredefinedSplit,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine import rows as rows_module
from sknn_iitb.losses import Quantile

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]

# learning rates so large that scores fluctuate
LEARNING_RATES = {"MLPClassifier": {"learning_rate_init": 0.3}, "MLPRegressor": {"learning_rate_init": 0.1}}


def _net(cls, **parameters):
    defaults = {"hidden_layer_sizes": 6, "max_iter": 5, "batch_size": 32, "random_state": 0}
    return cls(**{**defaults, **LEARNING_RATES[cls.__name__], **parameters})


def _halves(X, y):
    """Every second sample for training, and the others as validation arguments of fit."""
    return (X[::2], y[::2]), {"X_val": X[1::2], "y_val": y[1::2]}


def _weights(n):
    return np.random.RandomState(0).randint(0, 3, n) * 0.7


# --- given validation sets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_validation_without_early_stopping_only_records_scores(task, dtype, weighted):
    cls, X, y = task
    train, val = _halves(X, y)
    weight = {"sample_weight": _weights(len(val["y_val"]))} if weighted else {}
    net = _net(cls, dtype=dtype)
    if weighted:
        val["sample_weight_val"] = weight["sample_weight"]
    watched = clone(net).fit(*train, **val)
    assert watched.loss_curve_ == net.fit(*train).loss_curve_
    np.testing.assert_array_equal(watched.parameters_, net.parameters_)
    scores = [
        clone(net).set_params(max_iter=k).fit(*train).score(val["X_val"], val["y_val"], **weight) for k in range(1, 6)
    ]
    np.testing.assert_allclose(watched.validation_scores_, scores, rtol=1e-6)
    assert watched.best_validation_score_ == max(watched.validation_scores_)
    assert watched.best_loss_ == min(watched.loss_curve_)
    for name in ("validation_scores_", "validation_loss_curve_", "best_validation_score_"):
        assert getattr(net, name) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_early_stopping_restores_the_best_epoch(task, dtype):
    cls, X, y = task
    train, val = _halves(X, y)
    net = _net(cls, early_stopping=True, n_iter_no_change=4, max_iter=100, dtype=dtype).fit(*train, **val)
    best = int(np.argmax(net.validation_scores_))
    assert 0 < best < net.n_iter_ - 1 < 99
    assert net.best_validation_score_ == net.validation_scores_[best]
    assert net.score(val["X_val"], val["y_val"]) == pytest.approx(net.best_validation_score_, rel=1e-6)
    shorter = _net(cls, max_iter=best + 1, dtype=dtype).fit(*train)  # trained on the same samples
    np.testing.assert_array_equal(net.parameters_, shorter.parameters_)


def test_validation_samples_with_zero_weight_are_ignored(task):
    cls, X, y = task
    train, val = _halves(X, y)
    weight = _weights(len(val["y_val"]))
    kept = {name: values[weight > 0] for name, values in val.items()}
    net = _net(cls, early_stopping=True)
    with_zeros = clone(net).fit(*train, **val, sample_weight_val=weight)
    without = clone(net).fit(*train, **kept, sample_weight_val=weight[weight > 0])
    assert with_zeros.validation_scores_ == without.validation_scores_
    assert with_zeros.validation_loss_curve_ == without.validation_loss_curve_


# each: a fixture, parameters, and the equivalent of the loss in scikit-learn
LOSSES = {
    "logistic": ("cancer", {}, lambda net, X, y, w: metrics.log_loss(y, net.predict_proba(X), sample_weight=w)),
    "softmax": ("iris", {}, lambda net, X, y, w: metrics.log_loss(y, net.predict_proba(X), sample_weight=w)),
    "hinge": (
        "cancer",
        {"loss": "hinge"},
        lambda net, X, y, w: metrics.hinge_loss(y, net.decision_function(X), sample_weight=w),
    ),
    "squared error": (
        "diabetes",
        {},
        lambda net, X, y, w: metrics.mean_squared_error(y, net.predict(X), sample_weight=w) / 2,
    ),
    "squared error of several outputs": (
        "wine",
        {},
        lambda net, X, y, w: metrics.mean_squared_error(y, net.predict(X), sample_weight=w) / 2,
    ),
    "absolute error": (
        "diabetes",
        {"loss": "absolute_error"},
        lambda net, X, y, w: metrics.mean_absolute_error(y, net.predict(X), sample_weight=w),
    ),
    "quantile": (
        "diabetes",
        {"loss": Quantile(0.3)},
        lambda net, X, y, w: metrics.mean_pinball_loss(y, net.predict(X), sample_weight=w, alpha=0.3),
    ),
    "quantiles": (
        "diabetes",
        {"loss": Quantile([0.3, 0.3 + 1e-9])},
        lambda net, X, y, w: metrics.mean_pinball_loss(
            np.column_stack([y, y]), net.predict(X), sample_weight=w, alpha=0.3
        ),
    ),
    "poisson": (
        "counts",
        {"loss": "poisson"},
        lambda net, X, y, w: metrics.mean_poisson_deviance(y, net.predict(X), sample_weight=w) / 2,
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LOSSES)
def test_validation_loss_matches_scikit_learn_metric(request, kind, dtype, weighted):
    fixture, parameters, formula = LOSSES[kind]
    X, y = request.getfixturevalue(fixture)
    train, val = _halves(X, y)
    if weighted:
        val["sample_weight_val"] = _weights(len(val["y_val"]))
    net = _net(MLPClassifier if y.dtype.kind == "i" else MLPRegressor, dtype=dtype, **parameters)
    # the validation loss excludes the penalty and label smoothing
    net.set_params(learning_rate_init=0.01, alpha=10.0, **({"label_smoothing": 0.1} if kind == "softmax" else {}))
    net.fit(*train, **val)
    expected = formula(net, val["X_val"], val["y_val"], val.get("sample_weight_val"))
    assert len(net.validation_loss_curve_) == 5
    np.testing.assert_allclose(net.validation_loss_curve_[-1], expected, rtol=1e-5 if dtype == "float32" else 1e-8)


def test_pipeline_transforms_the_validation_set(task):
    cls, X, y = task
    (X, y), val = _halves(100 * X + 7, y)
    weight = _weights(len(X))[: len(val["y_val"])]
    net = _net(cls, early_stopping=True)
    scaler = StandardScaler().fit(X)
    by_hand = clone(net).fit(
        scaler.transform(X), y, X_val=scaler.transform(val["X_val"]), y_val=val["y_val"], sample_weight_val=weight
    )
    with config_context(enable_metadata_routing=True):
        net.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
        pipeline.fit(X, y, **val, sample_weight_val=weight)
    assert pipeline["net"].validation_scores_ == by_hand.validation_scores_
    np.testing.assert_array_equal(pipeline["net"].parameters_, by_hand.parameters_)


def test_feature_names_of_the_validation_set_are_checked(task):
    cls, X, y = task
    X = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    (X, y), val = _halves(X, y)
    scoring = "roc_auc" if cls is MLPClassifier else "neg_mean_absolute_error"
    net = _net(cls, scoring=scoring).fit(X, y, **val)  # without a warning about missing feature names
    twin = _net(cls, scoring=scoring).fit(X.to_numpy(), y, X_val=val["X_val"].to_numpy(), y_val=val["y_val"])
    assert net.validation_scores_ == twin.validation_scores_
    swapped = val["X_val"][["b", "a", "c"]]
    call = lambda: net.fit(X, y, X_val=swapped, y_val=val["y_val"])  # noqa: E731
    assert_refused(net, (X, y), "X_val.*(?s:.)*feature names", call=call)


# --- splitters ------------------------------------------------------------------------------------------------------


def _assert_holds_out(net, X, y, rows, held_out, sample_weight=None, **given):
    """Assert that a splitter holds out these samples, as if they were given as the validation set."""
    net = net.set_params(early_stopping=True)
    by_splitter = clone(net).fit(X, y, sample_weight=sample_weight, **given)
    w, w_val = (None, None) if sample_weight is None else (sample_weight[rows], sample_weight[held_out])
    by_hand = clone(net).fit(X[rows], y[rows], w, X_val=X[held_out], y_val=y[held_out], sample_weight_val=w_val)
    assert by_splitter.validation_scores_ == by_hand.validation_scores_
    np.testing.assert_array_equal(by_splitter.parameters_, by_hand.parameters_)


def test_time_series_split_holds_out_the_latest_samples(task):
    cls, X, y = task
    n = len(X)
    splitter = TimeSeriesSplit(4)
    _assert_holds_out(_net(cls, validation_fraction=splitter), X, y, np.arange(n - n // 5), np.arange(n - n // 5, n))
    splitter = TimeSeriesSplit(2, test_size=50, gap=10)
    _assert_holds_out(_net(cls, validation_fraction=splitter), X, y, np.arange(n - 60), np.arange(n - 50, n))


def test_groups_are_never_split(task):
    cls, X, y = task
    groups = np.random.RandomState(0).randint(0, 9, len(X))
    splitter = GroupShuffleSplit(3, test_size=0.3, random_state=5)
    *_, (rows, held_out) = splitter.split(X, y, groups)
    net = _net(cls, validation_fraction=splitter)
    _assert_holds_out(net, X, y, rows, held_out, groups=groups)
    _assert_holds_out(net, X, y, rows, held_out, groups=list(groups))
    # the splitter does not see samples of weight zero
    weight = _weights(len(X))
    kept = np.flatnonzero(weight)
    *_, (rows, held_out) = splitter.split(X[kept], y[kept], groups[kept])
    _assert_holds_out(net, X, y, kept[rows], kept[held_out], weight, groups=groups)
    assert_refused(net.set_params(early_stopping=True), (X, y), "'groups' parameter should not be None")


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_groups_without_a_splitter_raise(task, parameters):
    cls, X, y = task
    groups = np.arange(len(X)) // 10
    net = _net(cls, **parameters)
    assert_refused(
        *(net, (X, y), r"groups needs a splitter.*GroupShuffleSplit\(\).*validation_fraction=0\.1"),
        call=lambda: net.fit(X, y, groups=groups),
    )
    # but groups with a splitter are fine, so grids can search over early stopping
    net.set_params(early_stopping=False, validation_fraction=GroupShuffleSplit(1)).fit(X, y, groups=groups)


def test_grid_search_over_early_stopping_with_scoring(task):
    cls, X, y = task
    grid = {"early_stopping": [False, True], "solver": ["sgd", "lbfgs"]}
    search = GridSearchCV(_net(cls, scoring="loss", learning_rate_init=0.01), grid, cv=2, error_score="raise")
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    plain = clone(search).set_params(estimator__scoring=None).fit(X, y).cv_results_["mean_test_score"]
    for params, score, without in zip(search.cv_results_["params"], scores, plain, strict=True):
        assert score == without or params == {"early_stopping": True, "solver": "sgd"}


def test_groups_are_routed_through_cross_validate_and_a_pipeline(task):
    cls, X, y = task
    groups = np.random.RandomState(0).randint(0, 9, len(X))
    net = _net(cls, early_stopping=True, validation_fraction=GroupShuffleSplit(1, random_state=5))
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), clone(net).set_fit_request(groups=True))
        result = cross_validate(
            *(pipeline, X, y),
            cv=GroupKFold(3),
            params={"groups": groups},
            return_estimator=True,
            return_indices=True,
        )
    for fitted, rows in zip(result["estimator"], result["indices"]["train"], strict=True):
        direct = make_pipeline(StandardScaler(), clone(net))
        direct.fit(X[rows], y[rows], **{f"{cls.__name__.lower()}__groups": groups[rows]})
        np.testing.assert_array_equal(fitted[-1].parameters_, direct[-1].parameters_)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["setosa", "versicolor", "virginica"]], ids=str)
def test_stratified_split_holds_out_all_classes_in_proportion(iris, labels):
    X, y = iris
    X, y = X[:125], np.array(labels)[y[:125]]
    splitter = StratifiedShuffleSplit(1, test_size=0.2, random_state=1)
    ((rows, held_out),) = splitter.split(X, y)
    assert np.unique(y[held_out], return_counts=True)[1].tolist() == [10, 10, 5]
    _assert_holds_out(_net(MLPClassifier, validation_fraction=splitter), X, y, rows, held_out)


def test_last_split_of_a_splitter_is_used(task):
    cls, X, y = task
    folds = np.arange(len(X)) % 4 - 1  # -1 is never held out
    net = _net(cls, validation_fraction=PredefinedSplit(folds))
    _assert_holds_out(net, X, y, np.flatnonzero(folds != 2), np.flatnonzero(folds == 2))


class _HoldsOut:
    """A splitter with one split and given training rows."""

    def __init__(self, rows):
        self.rows = rows

    def split(self, X, y, groups):
        yield self.rows, np.setdiff1d(np.arange(len(X)), self.rows)

    def get_n_splits(self):
        return 1


def test_splitter_with_an_empty_side_raises(task):
    cls, X, y = task
    for rows in (np.arange(len(X)), np.arange(0)):
        net = _net(cls, early_stopping=True, validation_fraction=_HoldsOut(rows))
        assert_refused(net, (X, y), "validation_fraction=.*leaves .* training samples")
    _assert_holds_out(_net(cls, validation_fraction=_HoldsOut(np.arange(99))), X, y, np.arange(99), np.s_[99:])


# --- scoring --------------------------------------------------------------------------------------------------------


def _share_of_small_outputs(estimator, X, y):
    return np.mean(abs(estimator.predict(X)) < 0.5)


SCORINGS = {
    MLPClassifier: ["accuracy", "roc_auc", "neg_log_loss", "average_precision", "f1"],
    MLPRegressor: ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error", "neg_max_error"],
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("cls", "scoring"), [(cls, name) for cls, names in SCORINGS.items() for name in names])
def test_scores_match_scikit_learn_scorer(request, cls, scoring, weighted):
    X, y = request.getfixturevalue("cancer" if cls is MLPClassifier else "diabetes")
    train, val = _halves(X, y)
    weight = {"sample_weight": _weights(len(val["y_val"]))} if weighted else {}
    net = _net(cls, scoring=scoring, learning_rate_init=0.01)
    net.fit(*train, **val, sample_weight_val=weight.get("sample_weight"))
    if scoring == "neg_max_error":  # takes no weights
        weight = {}
    expected = metrics.get_scorer(scoring)(net, val["X_val"], val["y_val"], **weight)
    assert net.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)
    assert len(net.validation_scores_) == 5


def test_scorer_gets_the_original_labels(iris):
    X, y = iris
    train, val = _halves(X, np.array(["setosa", "versicolor", "virginica"])[y])
    for scoring in ("roc_auc_ovr", metrics.make_scorer(metrics.balanced_accuracy_score)):
        net = _net(MLPClassifier, scoring=scoring, max_iter=2).fit(*train, **val)
        assert net.validation_scores_[-1] == metrics.check_scoring(net, scoring)(net, val["X_val"], val["y_val"])
    two = _net(MLPClassifier, scoring="roc_auc", max_iter=2)
    train, val = _halves(X[y > 0], np.array(["setosa", "versicolor", "virginica"])[y[y > 0]])
    assert two.fit(*train, **val).validation_scores_[-1] == metrics.get_scorer("roc_auc")(
        two, val["X_val"], val["y_val"]
    )


@pytest.mark.parametrize("weight", [None, np.full(221, 2.0)], ids=["without weights", "with weights"])
def test_a_metric_need_not_tell_its_parameters(diabetes, weight):
    """Compiled functions often do not."""

    class Metric:
        __name__ = "compiled"

        @property
        def __signature__(self):
            raise ValueError("no signature found for builtin")

        def __call__(self, y_true, y_pred):
            return metrics.r2_score(y_true, y_pred)

    train, val = _halves(*diabetes)
    net = _net(MLPRegressor, scoring=metrics.make_scorer(Metric())).fit(*train, **val, sample_weight_val=weight)
    assert net.validation_scores_[-1] == metrics.r2_score(val["y_val"], net.predict(val["X_val"]))


def test_scoring_may_be_a_function(task):
    cls, X, y = task
    train, val = _halves(X, y)
    net = _net(cls, scoring=_share_of_small_outputs, early_stopping=True).fit(*train, **val)
    scores = [
        _share_of_small_outputs(_net(cls, max_iter=k).fit(*train), val["X_val"], val["y_val"]) for k in range(1, 6)
    ]
    assert net.validation_scores_ == scores
    assert _share_of_small_outputs(net, val["X_val"], val["y_val"]) == max(scores)
    # a scorer without sample_weight is called without it
    weights = {"sample_weight": np.ones(len(train[0])), "sample_weight_val": np.ones(len(val["y_val"]))}
    assert net.fit(*train, **val, **weights).validation_scores_ == scores


@pytest.mark.parametrize("dtype", DTYPES)
def test_scoring_may_be_the_loss(task, dtype):
    cls, X, y = task
    train, val = _halves(X, y)
    net = _net(cls, scoring="loss", early_stopping=True, n_iter_no_change=3, max_iter=100, dtype=dtype)
    net.fit(*train, **val)
    assert net.validation_scores_ == [-loss for loss in net.validation_loss_curve_]
    best = int(np.argmin(net.validation_loss_curve_))
    assert best < net.n_iter_ - 1 < 99
    shorter = _net(cls, dtype=dtype, max_iter=best + 1).fit(*train)
    np.testing.assert_array_equal(net.parameters_, shorter.parameters_)


def test_scoring_determines_the_best_weights(task):
    cls, X, y = task
    train, val = _halves(X, y)
    net = _net(cls, early_stopping=True, max_iter=20, n_iter_no_change=20)
    by_score, by_loss = (clone(net).set_params(scoring=scoring).fit(*train, **val) for scoring in (None, "loss"))
    assert by_score.validation_loss_curve_ == by_loss.validation_loss_curve_
    assert by_score.validation_scores_ != by_loss.validation_scores_
    assert by_loss.best_validation_score_ == -min(by_loss.validation_loss_curve_)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    ("scoring", "match"),
    [("neg_log_loss", "predict_proba"), ("neg_brier_score", "predict_proba"), ("precision", "average")],
)
def test_score_that_cannot_be_computed_raises_before_training(iris, scoring, match, fitted, monkeypatch):
    net = _net(MLPClassifier, loss="hinge", early_stopping=True)
    if fitted:
        net.fit(*iris)
    monkeypatch.setattr("sknn_iitb.mlp._fitting.train", None)  # training would be another error
    net.set_params(scoring=scoring)
    assert_refused(net, iris, f"scoring='{scoring}' cannot be computed.*loss='hinge'.*{match}")


@pytest.mark.parametrize("labels", [[0, 1, 2], ["setosa", "versicolor", "virginica"]], ids=str)
def test_error_for_a_class_missing_in_the_split_suggests_stratification(iris, labels):
    X, y = iris
    X, y = X[:103], np.array(labels)[y[:103]]  # the last class has three samples
    net = _net(MLPClassifier, early_stopping=True, scoring="roc_auc_ovr")
    match = (
        rf"(?s)'roc_auc_ovr' cannot.*no samples of the classes \[{labels[2]!r}\];.*fraction=StratifiedShuffleSplit\(1\)"
    )
    assert_refused(net, (X, y), match)
    net.set_params(validation_fraction=StratifiedShuffleSplit(1, test_size=0.4, random_state=0)).fit(X, y)
    assert 0 < net.best_validation_score_ <= 1
    other = _net(MLPClassifier, early_stopping=True, scoring="precision", validation_fraction=0.5)
    with pytest.raises(ValueError, match="average='binary'") as raised:
        other.fit(*iris)
    assert "StratifiedShuffleSplit" not in str(raised.value)


# --- early_stopping="auto" ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_samples", "warns"), [(990, True), (991, False)])
def test_few_held_out_samples_are_a_warning(cancer, n_samples, warns):
    X, y = (np.concatenate([each, each])[:n_samples] for each in cancer)
    net = MLPClassifier((2,), early_stopping=True, max_iter=2, n_iter_no_change=2, learning_rate="cosine")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        net.fit(X, y)
        net.set_params(warm_start=True).fit(X, y)  # not again
    message = "early_stopping=True holds out only 99 samples; with fewer than 100, the best epoch depends on chance"
    assert [str(each.message).startswith(message) for each in found] == [True] * warns


@pytest.mark.parametrize(("n_samples", "holds_out"), [(10_000, False), (10_001, True)])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_auto_enables_early_stopping_for_many_samples(cls, n_samples, holds_out):
    X = np.random.RandomState(0).normal(size=(n_samples, 2))
    y = (X[:, 0] > 0).astype(int)
    net = _net(cls, max_iter=2, batch_size=2000)
    auto, either = (clone(net).set_params(early_stopping=given).fit(X, y) for given in ("auto", holds_out))
    np.testing.assert_array_equal(auto.parameters_, either.parameters_)
    assert auto.validation_scores_ == either.validation_scores_
    assert (auto.validation_scores_ is not None) == holds_out


def test_auto_enables_early_stopping_with_a_validation_set(task):
    cls, X, y = task
    train, val = _halves(X, y)
    net = _net(cls, max_iter=50, n_iter_no_change=3)
    auto, yes = (clone(net).set_params(early_stopping=given).fit(*train, **val) for given in ("auto", True))
    np.testing.assert_array_equal(auto.parameters_, yes.parameters_)
    assert auto.validation_scores_ == yes.validation_scores_
    assert auto.n_iter_ < 50


# --- partial_fit and warm starts ------------------------------------------------------------------------------------


def _by_pickle(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("between", [lambda net: net, _by_pickle, copy.deepcopy], ids=["nothing", "pickle", "deepcopy"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive", "plateau"])
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_partial_fit_equals_epochs_of_fit_even_after_stopping(task, learning_rate, scoring, between):
    cls, X, y = task
    train, val = _halves(X, y)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    net = _net(cls, early_stopping=True, n_iter_no_change=2, scoring=scoring, learning_rate=learning_rate, tol=0.02)
    by_epochs, stopped = clone(net), 0
    for k in range(1, 25):
        by_epochs = between(by_epochs.partial_fit(*train, **classes, **val))
        whole = clone(net).set_params(max_iter=k).fit(*train, **val)
        np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)
        for name in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_", "loss_"):
            assert getattr(by_epochs, name) == getattr(whole, name)
        assert by_epochs.best_validation_score_ == whole.best_validation_score_
        assert by_epochs.t_ == whole.t_
        stopped += whole.n_iter_ < k
    assert stopped > 1 or learning_rate == "adaptive"  # which lowers the learning rate instead


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", ["sgd", "rprop", "adamw", "lion"])
def test_partial_fit_with_early_stopping_works_with_every_kind_of_solver(task, solver, dtype):
    cls, X, y = task
    train, val = _halves(X, y)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    net = _net(cls, solver=solver, early_stopping=True, n_iter_no_change=1, dtype=dtype, dropout=0.2, batch_norm=True)
    by_epochs = clone(net)
    for _ in range(8):
        by_epochs.partial_fit(*train, **classes, **val)
    whole = net.set_params(max_iter=8).fit(*train, **val)
    assert by_epochs.validation_scores_ == whole.validation_scores_
    np.testing.assert_array_equal(by_epochs.predict(X), whole.predict(X))


def test_partial_fit_continues_from_assigned_weights(diabetes):
    train, val = _halves(*diabetes)
    net = _net(MLPRegressor, early_stopping=True, solver="sgd", momentum=0, batch_size="full", learning_rate_init=1e-3)
    net.partial_fit(*train, **val)
    better = _net(MLPRegressor, max_iter=50, learning_rate_init=0.01).fit(*train)
    net.parameters_ = better.parameters_
    expected = better.parameters_ - 1e-3 * better.loss_and_gradient(*train)[1]
    np.testing.assert_allclose(net.partial_fit(*train, **val).parameters_, expected, rtol=1e-12, atol=1e-15)


def test_auto_never_holds_out_samples_in_partial_fit(task):
    cls, X, y = task
    train, val = _halves(X, y)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    auto, no = (_net(cls, early_stopping=given).partial_fit(*train, **classes) for given in ("auto", False))
    np.testing.assert_array_equal(auto.parameters_, no.parameters_)
    assert auto.validation_scores_ is None
    auto.partial_fit(*train, **val)
    assert len(auto.validation_scores_) == 1


def test_best_score_without_early_stopping_covers_all_calls(task):
    cls, X, y = task
    train, val = _halves(X, y)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    wrong = {**val, "y_val": val["y_val"][::-1]}
    net, warm = _net(cls), _net(cls, warm_start=True, max_iter=4)
    for given in (val, val, wrong):
        net.partial_fit(*train, **classes, **given)
        warm.fit(*train, **given)
    for each, n_epochs in ((net, 3), (warm, 12)):
        assert len(each.validation_scores_) == n_epochs
        assert each.best_validation_score_ == max(each.validation_scores_) > each.validation_scores_[-1]


def test_early_stopping_after_a_run_without_it_starts_a_new_best_score(task):
    cls, X, y = task
    train, val = _halves(X, y)
    wrong = {**val, "y_val": val["y_val"][::-1]}
    net = _net(cls, warm_start=True).fit(*train, **val).set_params(early_stopping=True).fit(*train, **wrong)
    assert net.best_validation_score_ == max(net.validation_scores_[5:]) < max(net.validation_scores_)
    assert net.best_validation_score_ == pytest.approx(net.score(wrong["X_val"], wrong["y_val"]), rel=1e-9)


# --- invalid validation sets ----------------------------------------------------------------------------------------


def _changed(y, value):
    y = np.array(y, dtype=type(value) if isinstance(value, str) else float)
    y[3] = value
    return y


BAD = {
    "columns": (lambda val: {**val, "X_val": val["X_val"][:, 1:]}, "X_val.*X has 2 features.*expecting 3"),
    "no y_val": (lambda val: {"X_val": val["X_val"]}, "X_val needs y_val"),
    "no X_val": (lambda val: {"y_val": val["y_val"]}, "y_val and sample_weight_val need X_val"),
    "weights alone": (lambda val: {"sample_weight_val": [1.0]}, "y_val and sample_weight_val need X_val"),
    "rows": (lambda val: {**val, "y_val": val["y_val"][1:]}, "y_val.*inconsistent numbers of samples"),
    "no rows": (lambda val: {"X_val": val["X_val"][:0], "y_val": val["y_val"][:0]}, "X_val.*0 sample"),
    "NaN": (lambda val: {**val, "X_val": val["X_val"] * np.nan}, "X_val.*NaN"),
    "a vector": (lambda val: {**val, "X_val": val["X_val"][:, 0]}, "X_val.*Expected 2D array"),
    "more outputs": (lambda val: {**val, "y_val": np.column_stack([val["y_val"]] * 3)}, "y_val.*(3 outputs|1d array)"),
    "text": (lambda val: {**val, "y_val": np.where(val["y_val"] > 0, "a", "b")}, "y_val.*(convert|classes not in)"),
    "NaN in y_val": (lambda val: {**val, "y_val": _changed(val["y_val"], np.nan)}, "y_val.*y contains NaN"),
    "few weights": (lambda val: {**val, "sample_weight_val": np.ones(3)}, "sample_weight_val.*shape"),
    "negative weights": (lambda val: {**val, "sample_weight_val": -np.ones(30)}, "sample_weight_val.*Negative"),
    "zero weights": (
        lambda val: {**val, "sample_weight_val": np.zeros(30)},
        "sample_weight_val.*(at least one non-zero|zero for every)",  # scikit-learn's message or ours
    ),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("method", ["fit", "fit again", "warm start", "partial_fit"])
@pytest.mark.parametrize("kind", BAD)
def test_invalid_validation_set_raises_before_training(task, kind, method, early_stopping, monkeypatch):
    cls, X, y = task
    change, match = BAD[kind]
    train, val = _halves(X[:60, :3], y[:60])
    net = _net(cls, batch_size=10, warm_start=method == "warm start", early_stopping=early_stopping)
    if method != "fit":
        net.fit(*train, **val)
    monkeypatch.setattr("sknn_iitb.mlp._fitting.train", None)
    if method == "partial_fit" and early_stopping and "X_val" not in change(val):
        match = "partial_fit does not support early_stopping=True without X_val"
    call = net.partial_fit if method == "partial_fit" else net.fit
    assert_refused(net, train, f"(?s){match}", call=lambda: call(*train, **change(val)))


def test_labels_missing_in_y_raise(iris):
    X, y = iris
    net = _net(MLPClassifier).fit(X, y)
    two = y < 2
    assert_refused(
        *(net, iris, r"X_val, y_val.*classes not in"),
        call=lambda: net.fit(X[two], y[two], X_val=X, y_val=y),
    )
    net.fit(X, y, X_val=X[two], y_val=y[two])  # y_val may lack some labels


def test_negative_counts_in_y_val_raise(counts):
    X, y = counts
    net = _net(MLPRegressor, loss="poisson", learning_rate_init=0.01)
    assert_refused(net, counts, "y_val.*requires y >= 0", call=lambda: net.fit(X, y, X_val=X, y_val=-y))


@pytest.mark.parametrize("parameters", [{}, {"scoring": "roc_auc"}, {"scoring": "loss"}, {"dtype": "float32"}])
@pytest.mark.parametrize("kind", [float, np.float32, np.int16])
def test_uncopied_validation_rows_give_the_same_scores(cancer, monkeypatch, parameters, kind):
    X, y = cancer
    X = (10 * X).astype(kind)
    net = MLPClassifier(hidden_layer_sizes=5, max_iter=4, early_stopping=True, random_state=0, **parameters)
    scores, losses = net.fit(X, y).validation_scores_, net.validation_loss_curve_
    monkeypatch.setattr("sknn_iitb._engine.samples._COPIED", 0)
    monkeypatch.setattr(rows_module, "_CHUNK", 20)
    np.testing.assert_array_equal(net.fit(X, y).validation_scores_, scores)
    np.testing.assert_allclose(net.validation_loss_curve_, losses, rtol=1e-6)
