"""The preset 'tuned'."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_iitb.activations import LeakyReLU
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor, _base, _member_run, _progress, _training
from sknn_iitb.tabular._search import SPACE
from sknn_iitb.tabular.views import VIEWS

pytestmark = pytest.mark.newest

SEARCH = {"preset": "tuned", "n_trials": 10, "max_iter": 10, "random_state": 0}
BOTH = pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])


def _data(cls):
    X, y = (load_wine if cls is TabularMLPClassifier else load_diabetes)(return_X_y=True)
    return X, y


@BOTH
def test_trials_are_halved_and_the_best_are_weighted(cls):
    X, y = _data(cls)
    net = cls(**SEARCH).fit(X, y)
    trials = pd.DataFrame(net.trials_)
    assert len(trials) == 10
    assert trials["n_epochs"].value_counts().to_dict() == {2: 5, 5: 2, 10: 3}
    assert trials["weight"].sum() == pytest.approx(1)
    weighted = trials[trials["weight"] > 0]
    assert (weighted["n_epochs"] == 10).all()
    assert len(net.members_) == 5 * len(weighted)
    shares = trials.groupby("view")["weight"].sum()
    assert all(shares.get(view, 0) == pytest.approx(share) for view, share in net.views_.items())
    n_views = len(net.views_)
    assert list(trials["view"][:n_views]) == list(net.views_)
    assert trials["learning_rate_init"][:n_views].nunique() == trials["activation"][:n_views].nunique() == 1


@BOTH
def test_search_is_repeated_whatever_the_threads(cls):
    X, y = _data(cls)
    nets = [cls(**SEARCH, n_jobs=n_jobs).fit(X, y) for n_jobs in (None, 2)]
    for name, values in nets[0].trials_.items():
        np.testing.assert_array_equal(values, nets[1].trials_[name])
    np.testing.assert_array_equal(nets[0].predict(X), nets[1].predict(X))
    other = clone(nets[0]).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.predict(X), nets[0].predict(X))


def test_predictions_are_the_weighted_average_of_the_trials():
    X, y = load_diabetes(return_X_y=True)
    net = TabularMLPRegressor(**SEARCH).fit(X, y)
    Z = net.encoder_.transform(X).astype(np.float64)
    scores = [member.scores(Z)[:, 0] for member in net.members_]
    weights = np.repeat(net.trials_["weight"][net.trials_["weight"] > 0] / 5, 5)
    # members are in the order in which their trials were chosen
    assert sorted(net._averages["members_"].weights) == pytest.approx(sorted(weights))
    mean = np.average(scores, axis=0, weights=net._averages["members_"].weights)
    expected = np.clip(mean * y.std() + y.mean(), y.min(), y.max())
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-4)


def test_search_finds_what_matters():
    """Only a spline can tell the levels of a column apart, and the search must find it among few trials."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 30, (1500, 3)).astype(float)
    y = (rng.random(30)[X[:, 0].astype(int)] + rng.random(30)[X[:, 1].astype(int)] > 1).astype(int)
    parts = train_test_split(X, y, random_state=0)
    losses = {}
    for views in (None, ["smooth"]):
        net = TabularMLPClassifier(preset="tuned", n_trials=12, max_iter=30, views=views, random_state=0)
        losses[views is None] = log_loss(parts[3], net.fit(parts[0], parts[2]).predict_proba(parts[1]))
    assert losses[True] < 0.7 * losses[False]


def test_parameters_that_are_set_are_not_searched():
    X, y = load_wine(return_X_y=True)
    given = {"activation": "tanh", "dropout": 0.2, "hidden_layer_sizes": (8,), "label_smoothing": 0.0}
    trials = TabularMLPClassifier(**SEARCH, **given, views=["smooth"]).fit(X, y).trials_
    assert set(trials["activation"]) == {"tanh"}
    assert set(trials["dropout"]) == {0.2}
    assert set(trials["hidden_layer_sizes"]) == {"(8,)"}
    assert set(trials["label_smoothing"]) == {0.0}
    assert set(trials["view"]) == {"smooth"}
    assert len(set(trials["batch_size"])) == len(SPACE["batch_size"])


def test_an_activation_keeps_its_parameters_and_log_loss_its_labels():
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(**SEARCH, activation=LeakyReLU(0.7), metric="log_loss").fit(X, y)
    assert {member.network.blocks[0][1].activation.negative_slope for member in net.members_} == {0.7}
    assert set(net.trials_["activation"]) == {"leaky_relu"}
    assert set(net.trials_["label_smoothing"]) == {0.0}


def test_sparse_multilabel_targets_are_searched():
    X, y = load_wine(return_X_y=True)
    Y = np.eye(3, dtype=int)[y]
    nets = [TabularMLPClassifier(**SEARCH).fit(X, each) for each in (Y, sparse.csr_array(Y))]
    np.testing.assert_array_equal(nets[0].predict_proba(X), nets[1].predict_proba(X))


def test_quantiles_have_a_search_of_their_own():
    X, y = load_diabetes(return_X_y=True)
    net = TabularMLPRegressor(**SEARCH, quantiles=[0.1, 0.9]).fit(X, y)
    low, high = net.predict_quantiles(X).T
    assert np.all(low <= high)
    assert 0.6 < np.mean((low <= y) & (y <= high)) <= 1


@BOTH
def test_max_time_ends_the_search_with_the_best_so_far(cls):
    X, y = _data(cls)
    cls(**SEARCH).fit(X, y)  # compiles
    began = time.perf_counter()
    net = cls(preset="tuned", n_trials=200, max_time=1, random_state=0).fit(X, y)
    assert time.perf_counter() - began < 3
    assert len(net.members_) >= 1
    assert np.isfinite(net.predict(X[:5])).all()
    least = cls(preset="tuned", max_time=1e-9, random_state=0).fit(X, y)
    assert len(least.members_) == 1


def test_little_time_is_divided_among_all_stages(monkeypatch):
    """A fifth of the epochs of a search lead to networks that are trained to the end, on all splits."""
    X, y = load_diabetes(return_X_y=True)
    clock = iter(range(10**6))  # a second for each look at it, and two for each epoch
    monkeypatch.setattr(_progress, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(_base, "perf_counter", lambda: 0)
    net = TabularMLPRegressor(preset="tuned", max_iter=20, max_time=440, random_state=0).fit(X, y)
    trials = pd.DataFrame(net.trials_)
    assert (trials["n_epochs"] > 0).sum() > 2
    assert (trials["n_epochs"] == 19).sum() >= 1
    assert len(net.members_) >= 5
    assert len(net.members_) % 5 == 0
    assert {member.n_iter for member in net.members_} <= {9, 10, 19, 20}  # with or without the fourth cycle
    assert net.score(X, y) > 0.3


@BOTH
def test_an_interrupted_search_keeps_the_best_so_far(cls, monkeypatch):
    X, y = _data(cls)
    train, calls = _member_run.train_network, []

    def interrupted(run, theta, progress):
        train(run, theta, progress)
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(_member_run, "train_network", interrupted)
    with pytest.warns(UserWarning, match=r"interrupted by user\. 1 of 30 networks are kept") as warned:
        net = cls(**SEARCH, n_estimators=10).fit(X, y)
    assert len(warned) == 1
    assert len(calls) == 7
    assert np.isfinite(net.predict(X[:5])).all()
    assert set(net.views_) <= set(VIEWS)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_trial_that_diverges_does_not_end_the_search(monkeypatch):
    X, y = load_diabetes(return_X_y=True)
    monkeypatch.setitem(SPACE, "learning_rate_init", (1.0, 1e31))
    net = TabularMLPRegressor(**SEARCH).fit(X, y)
    failed = net.trials_["n_epochs"] == 0
    assert 0 < failed.sum() < 10
    assert np.isnan(net.trials_["error"][failed]).all()
    assert net.score(X, y) > 0.3
    with pytest.raises(ValueError, match="diverged at epoch"):
        TabularMLPRegressor(**SEARCH, learning_rate_init=1e30).fit(X, y)


def test_callbacks_see_the_finalists_once_each_however_early_they_stop():
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    X, y = load_diabetes(return_X_y=True)
    y = np.random.default_rng(0).permutation(y)
    net = TabularMLPRegressor(preset="tuned", n_trials=16, max_iter=36, random_state=0)
    net.set_callbacks(callback.ProgressBar()).fit(X, y)  # which refuses more networks than were announced
    assert min(member.n_iter for member in net.members_) < 36


def test_another_preset_forgets_the_trials():
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(**SEARCH).fit(X, y)
    assert not hasattr(net.set_params(preset="fast").fit(X, y), "trials_")


def test_search_accepts_a_validation_set_weights_and_further_samples():
    X, y = load_wine(return_X_y=True)
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    net = TabularMLPClassifier(**SEARCH).fit(X[::2], y[::2], weight[::2], X_val=X[1::2], y_val=y[1::2])
    assert net.score(X, y) > 0.9
    n_members = len(net.members_)
    net.partial_fit(X, y)
    assert len(net.members_) == n_members
    assert net.score(X, y) > 0.9


def test_further_samples_are_learned_as_in_the_trial(monkeypatch):
    X, y = load_wine(return_X_y=True)
    net = TabularMLPClassifier(**SEARCH).fit(X, y)
    begin, used = _training.begin, []

    def recorded(network, samples, goal, config, **changes):
        used.append((config.learning_rate_init, config.batch_size, config.label_smoothing))
        return begin(network, samples, goal, config, **changes)

    monkeypatch.setattr(_training, "begin", recorded)
    net.partial_fit(X, y)
    trials = pd.DataFrame(net.trials_).query("weight > 0")
    rates = trials["learning_rate_init"] * _training._FINAL_RATE
    expected = zip(rates, trials["batch_size"], trials["label_smoothing"], strict=True)
    assert len(set(used)) > 1
    assert set(used) == set(expected)
