"""Views of a table, their choice, and the networks that see them."""

import copy
import pickle
import re

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nets import differences
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sknn_iitb import losses
from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.samples import Samples
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.tabular import (
    PiecewiseLinearEncoder,
    RobustSmoothScaler,
    SplineEncoder,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    View,
    _base,
    _member_run,
    _progress,
    _race,
)
from sknn_iitb.tabular._layers import PLAIN, squash
from sknn_iitb.tabular._member_run import MemberRun
from sknn_iitb.tabular._members import EnsembleData
from sknn_iitb.tabular._network import draw, tabular_network
from sknn_iitb.tabular._progress import Progress
from sknn_iitb.tabular.views import VIEWS, dense, distinct_views, features_of

pytestmark = pytest.mark.newest

QUICK = {"max_iter": 20, "hidden_layer_sizes": (16,), "random_state": 0}
BOTH = pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])


def _table(n_samples=300, seed=0):
    """A smooth column, a heavy tail, whole numbers, and a spike."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n_samples),
            rng.standard_t(1, n_samples),
            rng.integers(0, 9, n_samples),
            np.where(rng.random(n_samples) < 0.8, 0, rng.integers(1, 200, n_samples)),
        ]
    )
    return X.astype(np.float32)


def _encoded(X):
    return TableEncoder(view=View(limit=100, bins=False)).fit_transform(X)


# --- splines ----------------------------------------------------------------------------------------------------


def test_splines_are_the_b_splines_of_scikit_learn():
    X = load_breast_cancer().data
    encoder = SplineEncoder(n_knots=7).fit(X)
    beyond = np.vstack([X, X.min(axis=0) - 1, X.max(axis=0) + 1])
    oracle = SplineTransformer(degree=1, knots=np.column_stack(encoder.knots_), extrapolation="constant").fit(X)
    np.testing.assert_allclose(encoder.transform(beyond), oracle.transform(beyond), atol=1e-12)
    assert list(encoder.get_feature_names_out())[6:8] == ["x0_6", "x1_0"]


def test_knots_of_few_values_are_those_values():
    X = np.array([[3.0, 1.0], [1.0, 0.0], [7.0, 1.0], [np.nan, 0.0], [3.0, 1.0]])
    encoder = SplineEncoder().fit(X)
    np.testing.assert_array_equal(encoder.knots_[0], [1, 3, 7])
    assert encoder.knots_[1].size == 0  # two values are linear
    np.testing.assert_array_equal(encoder.transform(X)[[0, 1, 2]], np.eye(3)[[1, 0, 2]])
    assert np.isnan(encoder.transform(X)[3]).all()


def test_a_spike_does_not_take_all_knots():
    x = np.r_[np.zeros(9200), np.arange(1, 801)]
    (knots,) = SplineEncoder(n_knots=64).fit(x[:, None]).knots_
    assert len(knots) > 50
    (edges,) = PiecewiseLinearEncoder(64).fit(x[:, None]).edges_
    assert len(edges) < 10


def test_discrete_columns_have_few_values_or_a_spike():
    X = _table(2000)
    n_knots = [*map(len, SplineEncoder(discrete_only=True).fit(X).knots_)]
    assert n_knots[:3] == [0, 0, 9]
    assert n_knots[3] > 9


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (9, 2), elements=st.floats(-1e300, 1e300) | st.just(np.nan) | st.integers(0, 3)),
    st.integers(2, 20),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
)
def test_splines_sum_to_one_and_weights_are_repetitions(X, n_knots, weight):
    if sum(weight) == 0:
        weight[0] = 1
    encoder = SplineEncoder(n_knots).fit(X, sample_weight=weight)
    repeated = SplineEncoder(n_knots).fit(np.repeat(X, weight, axis=0))
    assert [*map(len, encoder.knots_)] == [*map(len, repeated.knots_)]
    for one, other in zip(encoder.knots_, repeated.knots_, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.all(np.diff(one) > 0)
    Z, start = encoder.transform(X), 0
    for x, knots in zip(X.T, encoder.knots_, strict=True):
        if knots.size:
            columns = Z[:, start : start + len(knots)]
            assert np.all((columns >= 0) | np.isnan(x)[:, None])
            np.testing.assert_allclose(columns[~np.isnan(x)].sum(axis=1), 1)
            start += len(knots)
    assert start == Z.shape[1] == len(encoder.get_feature_names_out())


@pytest.mark.parametrize("n_knots", [1, 0, 2.5, "4", None, 1025])
def test_invalid_n_knots_raises(n_knots):
    with pytest.raises(ValueError, match=f"n_knots must be an integer from 2 to 1024, got {n_knots!r}"):
        SplineEncoder(n_knots).fit(np.eye(3))


# --- networks ---------------------------------------------------------------------------------------------------


@pytest.mark.nojit
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("n_rows", [20, 3])
def test_gradient_matches_finite_differences(name, n_rows):
    rng = np.random.RandomState(0)
    X = _encoded(_table(20))
    features = features_of(VIEWS[name], X, None, 3)
    network = tabular_network([4, 5, 5, 2], ACTIVATIONS["mish"](), ACTIVATIONS["softmax"](), features=features)
    Y = np.eye(2)[rng.randint(2, size=n_rows)]
    theta = draw(network, rng, np.float64) + rng.normal(0, 0.1, network.layout.size)
    objective = Objective(network, losses.LogLoss(), X[:n_rows].astype(float), Y, max_rows=n_rows)
    objective.evaluate(theta)
    gradient = objective.gradient.copy()
    derivative = differences(lambda moved: objective.evaluate(moved)[0], theta)
    np.testing.assert_allclose(gradient, derivative, rtol=1e-5, atol=1e-8)


@pytest.mark.nojit
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_with_a_view_equals_a_network_on_its_features(name, dtype):
    rng = np.random.RandomState(0)
    X = _encoded(_table(300))
    features = features_of(VIEWS[name], X, None, 6)
    Z = X.astype(dtype)
    encoded = dense(features, Z)
    activations = ACTIVATIONS["selu"](), ACTIVATIONS["softmax"]()
    plain = tabular_network([encoded.shape[1], 7, 2], *activations)
    seen = tabular_network([4, 7, 2], *activations, features=features)
    theta = draw(plain, rng, dtype) + rng.normal(0, 0.3, plain.layout.size).astype(dtype)
    tolerance = 2e-4 if dtype == "float32" else 1e-9
    expected = plain.predict(encoded, theta, False)
    for network in (seen, copy.deepcopy(seen), pickle.loads(pickle.dumps(seen))):
        np.testing.assert_allclose(network.predict(Z, theta, False), expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(network.predict(Z[:4], theta, False), expected[:4], rtol=tolerance, atol=tolerance)


# --- views as transformers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_numbers_is_the_scaler_beside_bins_and_splines(name):
    X, view = _table(500), VIEWS[name]
    encoder = TableEncoder(view=name, n_bins=5).fit(X)
    Z = encoder.transform(X)
    scaled = RobustSmoothScaler(view.limit).fit_transform(X)
    parts = [scaled]
    if view.bins:
        parts.append(PiecewiseLinearEncoder(5).fit_transform(scaled))
    if view.splines:
        height = 2 / np.sqrt(1 + 4 * (view.limit**-2 - 100.0**-2))
        parts.append(height * SplineEncoder(discrete_only=view.splines == "discrete").fit_transform(scaled))
    np.testing.assert_allclose(Z, np.hstack(parts), atol=2e-3)
    names = list(encoder.get_feature_names_out())
    assert len(names) == len(set(names)) == Z.shape[1] == len(encoder.origins_)
    assert [name.split("_")[0] for name in names] == [f"x{j}" for j in encoder.origins_]


def test_a_view_is_useful_in_a_pipeline():
    """A linear model behind splines fits a curve."""
    x = np.linspace(-3, 3, 400)[:, None]
    y = np.sin(2 * x).ravel()
    shuffled = np.random.default_rng(0).permutation(400)
    straight, curved = (
        cross_val_score(make_pipeline(TableEncoder(view=name), Ridge()), x[shuffled], y[shuffled], cv=4).mean()
        for name in ("smooth", "spline")
    )
    assert straight < 0.3
    assert curved > 0.99


def test_views_ignore_categories_and_missing_numbers_are_in_the_middle():
    X = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0, 5.0], "b": list("xyzxy")})
    encoder = TableEncoder(view="spline").fit(X)
    Z = encoder.transform(X)
    assert list(encoder.get_feature_names_out()) == ["a", "a_missing", "b_x", "b_y", "b_z"] + [
        f"a_knot_{k}" for k in range(len(encoder.origins_) - 5)
    ]
    median = encoder.transform(X.assign(a=3.0))
    np.testing.assert_array_equal(np.delete(Z[2], 1), np.delete(median[2], 1))


# --- the choice of views ----------------------------------------------------------------------------------------


@pytest.mark.newest
def test_a_column_with_decisive_single_values_is_seen_as_a_spline():
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(3000) < 0.85, 0, rng.choice(np.arange(1000, 9000, 250), 3000))
    X = np.column_stack([gain, rng.normal(size=(3000, 3))]).astype(float)
    # single values decide, as in the capital gains of the census
    y = np.where(gain % 500 == 250, 1, rng.random(3000) < 0.1).astype(int)
    split = train_test_split(X, y, random_state=0)
    chosen = TabularMLPClassifier(random_state=0, max_iter=40).fit(split[0], split[2])
    fixed = TabularMLPClassifier(random_state=0, max_iter=40, views=["bins", "smooth"]).fit(split[0], split[2])
    assert chosen.views_["spline"] + chosen.views_["discrete"] > 0.5
    errors = [log_loss(split[3], net.predict_proba(split[1])) for net in (chosen, fixed)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.newest
def test_a_column_with_a_heavy_tail_is_seen_without_a_narrow_limit():
    rng = np.random.default_rng(0)
    X = rng.standard_t(1.5, (2000, 2))
    y = X[:, 0] + rng.normal(size=2000)
    nets = [
        TabularMLPRegressor(random_state=0, max_iter=40, views=views).fit(X[:1500], y[:1500])
        for views in (None, ["bins", "smooth"])
    ]
    assert nets[0].views_["wide"] >= 0.4
    errors = [np.sqrt(np.mean((net.predict(X[1500:]) - y[1500:]) ** 2)) for net in nets]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_member_that_pauses_continues_as_if_it_had_not(dropout):
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(dropout=dropout, random_state=0, max_iter=30, n_estimators=1).fit(X, y)
    config, goal = net._config(len(y)), net._goals()["members_"]
    samples = Samples(net.encoder_.transform(X), np.eye(3, dtype=np.float32)[y], y, None, None)
    rows = np.random.default_rng(0).permutation(len(y))
    data = EnsembleData(samples, [1], [(rows[:120], rows[120:])])
    runs = [MemberRun(0, data, PLAIN, goal, config, "net") for _ in range(2)]
    whole = runs[0].advance(30, Progress(reporter(0, 30)))
    for n_epochs in (1, 9, 10, 30):
        part = runs[1].advance(n_epochs, Progress(reporter(0, 30)))
        assert part.n_iter == n_epochs
    np.testing.assert_array_equal(whole.theta, part.theta)
    assert (whole.temperature, whole.error) == (part.temperature, part.error)


def _run_of(cls, X, y, **changes):
    """The run of a member that holds out the first fifth of the samples, and these."""
    net = cls(random_state=0, n_estimators=1, max_iter=1).fit(X, y)
    samples = net._further_samples(X, y, None)
    rows = np.arange(len(y))
    data = EnsembleData(samples, [1], [(rows[len(y) // 5 :], rows[: len(y) // 5])])
    goal = net._goals()["members_"]
    run = MemberRun(0, data, PLAIN, goal, net._config(len(y))._replace(**changes), "net")
    return run, lambda member: goal.error(member.scores(data.held_out(0).X), data.held_out(0))


def test_the_last_epochs_use_the_held_out_samples_too():
    X = np.random.default_rng(0).normal(size=(1000, 5))
    X[:, 0] = np.arange(1000) < 200  # only these tell what it means
    y = X[:, 1] + X[:, 0]
    run, held_out_error = _run_of(TabularMLPRegressor, X, y, max_iter=30, n_last=4)
    progress = Progress(reporter(0, 30))
    best, member = (run.advance(n_epochs, progress) for n_epochs in (26, 30))
    assert held_out_error(member) < 0.8 * held_out_error(best)
    assert member.n_iter == len(member.loss_curve) == 30
    assert len(member.validation_curve) == 26
    assert (member.error, member.temperature) == (best.error, best.temperature)


def test_the_last_epochs_make_better_predictions(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 6))
    y = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + 0.5 * rng.normal(size=6000)

    def score():
        nets = (TabularMLPRegressor("fast", random_state=seed).fit(X[:3000], y[:3000]) for seed in range(4))
        return np.mean([net.score(X[3000:], y[3000:]) for net in nets])

    found = score()
    monkeypatch.setattr(_base, "_LAST", 0)
    assert found > score()


def test_a_member_that_the_third_cycle_did_not_improve_does_without_the_fourth():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(400, 5)), rng.normal(size=400)
    ends = {}
    for name, y in (("noise", noise), ("smooth", np.sin(3 * X[:, 0]) * X[:, 1])):
        run, _ = _run_of(TabularMLPRegressor, X, y, max_iter=90)
        member = run.advance(90, Progress(reporter(0, 90)))
        ends[name] = member.n_iter
        assert run.is_complete
        assert member.error == min(member.validation_curve)
        whole = _run_of(TabularMLPRegressor, X, y, max_iter=90, stops_early=False)[0]
        curve = whole.advance(90, Progress(reporter(0, 90))).validation_curve
        assert curve[: member.n_iter] == member.validation_curve
        assert (np.argmin(curve[:42]) < 18) == (name == "noise")
    assert ends == {"noise": 42, "smooth": 90}


@BOTH
def test_chosen_views_do_not_depend_on_threads_and_are_repeated(cls):
    X, y = _table(300), np.random.default_rng(1).integers(0, 2, 300)
    nets = [cls(**QUICK, n_estimators=4, n_jobs=n_jobs).fit(X, y) for n_jobs in (None, 2, None)]
    for net in nets[1:]:
        assert net.views_ == nets[0].views_
        assert net.view_errors_ == nets[0].view_errors_
        np.testing.assert_array_equal(net.predict(X), nets[0].predict(X))
    assert set(nets[0].view_errors_) == set(VIEWS)
    assert sum(nets[0].views_.values()) == pytest.approx(1)
    assert len(nets[0].members_) == 4


@BOTH
def test_chosen_views_are_the_same_for_weights_and_repetitions(cls):
    X, y = _table(120), np.random.default_rng(1).integers(0, 2, 120)
    weight = np.random.default_rng(2).integers(1, 4, 120)
    order = np.random.default_rng(3).permutation(weight.sum())
    weighted = cls(**QUICK, n_estimators=5).fit(X, y, weight)
    rows = np.repeat(np.arange(120), weight)[order]
    repeated = cls(**QUICK, n_estimators=5).fit(X[rows], y[rows])
    assert weighted.view_errors_ == repeated.view_errors_
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


def test_quantile_members_have_the_same_views():
    X, y = load_diabetes(return_X_y=True)
    net = TabularMLPRegressor(**QUICK, quantiles=[0.2, 0.8]).fit(X, y)
    n_added, of_quantiles = (
        [member.network.blocks[0][0].features.n_added for member in members]
        for members in (net.members_, net.quantile_members_)
    )
    assert of_quantiles == n_added[:8]  # a linear model may follow


def test_members_for_quantiles_do_not_learn_from_their_held_out_samples():
    X, y = load_diabetes(return_X_y=True)
    net = TabularMLPRegressor("fast", quantiles=[0.2, 0.8], max_iter=26, random_state=0).fit(X, y)
    for curves in zip(net.loss_curves_[:3], net.validation_curves_[:3], strict=True):
        assert len(curves[0]) == len(curves[1]) + 1
    for member in net.quantile_members_:
        assert len(member.loss_curve) == len(member.validation_curve)


def test_views_that_are_the_same_on_a_table_are_tried_once():
    X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    features = {name: features_of(view, X, None, 16) for name, view in VIEWS.items()}
    kept = distinct_views(features)
    assert kept == {"bins": "bins", "smooth": "smooth", "wide": "wide", "spline": "spline", "discrete": "bins"}
    features = {name: features_of(view, X > 0, None, None) for name, view in VIEWS.items()}
    kept = distinct_views(features)
    assert kept == {"bins": "smooth", "smooth": "smooth", "wide": "wide", "spline": "smooth", "discrete": "smooth"}
    X = pd.DataFrame({"a": list("xyz") * 20, "b": list("uv") * 30})
    net = TabularMLPClassifier(**QUICK).fit(X, np.arange(60) % 2)
    assert net.views_ == {"smooth": 1.0}
    assert net.view_errors_ == {}


@pytest.mark.parametrize("view", list(VIEWS))
def test_predictions_do_not_depend_on_the_number_of_rows(view):
    """Few rows are predicted row by row; knots at outliers lie so close that a last digit would move a prediction."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 50, (600, 3)).astype(float)
    X[:20] *= 1e4
    y = np.sin(X[:, 0])
    net = TabularMLPRegressor(**QUICK, n_estimators=1, views=[view]).fit(X, y)
    few = np.concatenate([net.predict(X[i : i + 50]) for i in range(0, 600, 50)])
    np.testing.assert_allclose(net.predict(X), few, atol=1e-5)
    one_by_one = [net.predict(X[i : i + 1]).item() for i in range(100)]
    np.testing.assert_array_equal(one_by_one, few[:100])


def test_views_are_used_in_turn():
    X, y = load_wine(return_X_y=True)
    own = View(limit=10, bins=False)
    net = TabularMLPClassifier(**QUICK, n_estimators=3, views=["spline", own]).fit(X, y)
    assert net.views_ == {"spline": 2 / 3, own: 1 / 3}
    n_added = [member.network.blocks[0][0].features.n_added for member in net.members_]
    assert n_added[0] == n_added[2] > 0 == n_added[1]


def test_views_are_those_of_the_members_that_max_time_leaves():
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(max_time=1e-9, random_state=0).fit(X, y)
    assert len(net.members_) == 1
    assert sorted(net.views_.values()) == [0, 0, 0, 0, 1]


def test_an_interrupt_of_the_linear_model_keeps_the_networks(monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_race, "linear_member", interrupted)
    X, y = load_wine(return_X_y=True)
    with pytest.warns(UserWarning, match="5 of 5 networks are kept"):
        net = TabularMLPClassifier(**QUICK, n_estimators=5).fit(X, y)
    assert net.score(X, y) > 0.5


def test_an_interrupted_race_keeps_its_choice(monkeypatch):
    X, y = load_wine(return_X_y=True)
    train, calls = _member_run.train_network, []

    def interrupted(run, theta, progress):
        train(run, theta, progress)
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(_member_run, "train_network", interrupted)
    with pytest.warns(UserWarning, match=r"interrupted by user\. [123] of 5 networks are kept"):
        net = TabularMLPClassifier(random_state=0).fit(X, y)
    chosen = {view: share for view, share in net.views_.items() if share}
    assert len(net.members_) == len(chosen)
    assert set(chosen) <= set(list(VIEWS)[:3])
    assert [weight / 5 for weight in net._averages["members_"].weights] == list(chosen.values())


def test_views_that_time_has_cut_short_are_not_chosen(monkeypatch):
    X, y = load_wine(return_X_y=True)
    monkeypatch.setattr(_progress.Progress, "is_over", lambda self: self._n_epochs >= 45)
    net = TabularMLPClassifier(max_time=1e9, random_state=0).fit(X, y)  # 18 epochs of each view
    assert set(net.view_errors_) == {"bins", "smooth"}


def test_a_favourite_view_that_another_equals_is_replaced_by_it():
    X = np.random.default_rng(0).integers(0, 2, (60, 4))
    net = TabularMLPRegressor(**QUICK, preset="fast").fit(X, X[:, 0] ^ X[:, 1])
    assert net.views_ == {"smooth": pytest.approx(2 / 3), "wide": pytest.approx(1 / 3)}


@BOTH
@pytest.mark.parametrize("preset", ["fast", "default", "tuned"])
def test_the_last_epochs_are_announced(cls, preset, capsys, monkeypatch):
    X, y = load_wine(return_X_y=True)
    y = np.random.default_rng(0).permutation(y)  # so that some networks stop early
    totals, counts = [], []

    def announcing(verbose, n_epochs):
        totals.append(n_epochs)
        return reporter(verbose, n_epochs)

    def end(self, words):
        stops = ended(self, words)
        counts.append(self._n_epochs)
        return stops

    ended = _progress.Progress.end
    monkeypatch.setattr(_progress.Progress, "end", end)
    monkeypatch.setattr(_base, "reporter", announcing)
    net = cls(preset=preset, n_trials=9, max_iter=32, verbose=1, random_state=0).fit(X, y)
    shown = re.findall(r"(.+ of \d+|split \d of 5), all samples, epoch 1 of 1", capsys.readouterr().out)
    networks = [member for member in net.members_ if member.n_iter]
    assert len(shown) == len(networks) > 0
    assert cls is TabularMLPClassifier or any(member.n_iter < 32 for member in networks)
    assert counts[-1] <= totals[0]
    assert preset == "tuned" or counts[-1] == totals[0]  # the number of trials that are selected is not known before


@BOTH
@pytest.mark.parametrize("preset", ["fast", "default", "tuned"])
def test_epochs_are_announced(cls, preset, capsys, monkeypatch):
    X, y = load_wine(return_X_y=True)
    announced = []

    def announcing(verbose, n_epochs):
        announced.append(n_epochs)
        return reporter(verbose, n_epochs)

    monkeypatch.setattr(_base, "reporter", announcing)
    cls(preset=preset, n_trials=9, max_iter=7, verbose=True, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    metric = r"accuracy [01]\.\d{3}" if cls is TabularMLPClassifier else r"RMSE / std \d+(\.\d+)?(e[-+]\d+)?"
    form = re.compile(rf"(net|view|trial) (.+), epoch (\d+) of 7, {metric}(, (\d+\.\d s|\d+:\d\d:\d\d) left)?")
    shown = [form.fullmatch(line) for line in lines]
    assert all(shown)
    assert announced == [len(lines)]
    # the epochs of each network, in order, each once; the winner of a race becomes the first
    epochs = {}
    for found in shown:
        epochs.setdefault(found.group(1, 2), []).append(int(found[3]))
    assert all(numbers == list(range(numbers[0], numbers[-1] + 1)) for numbers in epochs.values())
    if preset == "default":
        n_members = 5 if cls is TabularMLPClassifier else 8
        names = [f"{k} of {n_members}" for k in range(1, n_members + 1)]
        assert [name for kind, name in epochs if kind == "net"] == names
        assert {name for kind, name in epochs if kind == "view"} <= set(VIEWS)
        assert [each[-1] for (kind, _), each in epochs.items() if kind == "net"] == [7] * n_members
    assert ("trial" in {kind for kind, _ in epochs}) == (preset == "tuned")


def test_two_members_have_the_first_two_views_without_a_race():
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(**QUICK, preset="fast").fit(X, y)
    assert {view for view, share in net.views_.items() if share} - {"linear"} == {"bins", "smooth"}
    assert net.view_errors_ == {}


@BOTH
@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([], "a list of one or more"),
        ("bins", "The 'views' parameter of .* must be an instance of 'list'"),
        (["flat"], "A view must be one of .*'smooth'.* or a View, got 'flat'"),
        ([3], "got 3"),
        ([View(limit=0)], "limit of a view must be a number from 0.01 to 100"),
        ([View(limit=101)], "limit"),
        ([View(limit="3")], "limit"),
        ([View(limit=True)], "limit"),
        ([View(limit=np.nan)], "limit"),
        ([View(bins=3)], "bins of a view must be True or False"),
        ([View(splines="none")], "splines of a view must be 'all', 'discrete' or None"),
        (View(), "a list of one or more"),
    ],
    ids=str,
)
def test_invalid_views_raise_before_the_table_is_read(cls, views, message, monkeypatch):
    monkeypatch.setattr(TableEncoder, "fit_transform", None)
    with pytest.raises(ValueError, match=message):
        cls(views=views).fit(*load_wine(return_X_y=True))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"view": "flat"}, "A view must be one of"),
        ({"view": View(limit=0)}, "limit"),
        ({"n_bins": 0}, "n_bins must be an integer from 1 to 1024, got 0"),
        ({"n_bins": 2000}, "n_bins"),
        ({"n_bins": 2.5}, "n_bins"),
    ],
    ids=str,
)
def test_an_invalid_view_leaves_the_encoder_as_it_was(parameters, message):
    X = load_wine().data
    encoder = TableEncoder(view="bins").fit(X[:, :3])
    before = encoder.transform(X[:, :3])
    with pytest.raises(ValueError, match=message):
        encoder.set_params(**parameters).fit(X)
    np.testing.assert_array_equal(encoder.transform(X[:, :3]), before)


def test_many_columns_are_not_multiplied():
    X = np.random.default_rng(0).normal(size=(60, 5000)).astype(np.float32)
    y = X[:, 0] > 0
    net = TabularMLPClassifier(max_iter=2, hidden_layer_sizes=(4,), random_state=0).fit(X, y)
    assert all(member.theta.size < 2 * 5000 * 6 for member in net.members_)
    assert net.predict(X).shape == (60,)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compiles")
def test_squashing_compiles_without_an_error_message_about_shapes():
    """Assigning an array to a slice compiles one, which takes longer than all else of a first fit."""
    matrix = numba.types.Array(numba.types.float32, 2, "C")
    compiled = numba.njit(squash.py_func)
    compiled.compile((matrix, numba.types.float32, matrix))
    (overload,) = compiled.overloads.values()
    assert "raise_with_shape" not in overload.library.get_llvm_str()


def test_a_table_of_categories_is_squashed_once():
    """The encoded table has the widest limit, and members their own."""
    X = pd.DataFrame({"a": ["x"] * 97 + ["y", "z", "z"], "b": ["u"] * 99 + ["v"]})
    net = TabularMLPClassifier(max_iter=1, n_estimators=1, random_state=0).fit(X, np.arange(100) % 2)
    wide = TableEncoder(view="wide").fit_transform(X)
    np.testing.assert_array_equal(net.encoder_.transform(X), wide)
    smooth = TableEncoder(view="smooth").fit_transform(X)
    np.testing.assert_allclose(net.members_[0].inputs(wide), smooth, rtol=1e-6)
    assert abs(wide).max() > 1.99 > 1.7 > abs(smooth).max()
