"""Transitions: from one fit to the next, from full to short batches, from all samples to some of them."""

import io
import pickle
import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb.tabular._base import BaseTabularMLP

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Split:
    """A splitter with a single split."""

    def __init__(self, rows, held_out):
        self.indices = rows, held_out

    def split(self, X, y=None, groups=None):
        yield self.indices

    def get_n_splits(self, *args):
        return 1


BAD_SPLITS = {
    "beyond the end": (np.arange(10**6, 10**6 + 50), np.arange(5)),
    "negative": (np.arange(-50, 0), np.arange(5)),
    "fractions": (np.arange(50) / 3, np.arange(50, 60)),
    "overlap": (np.arange(50), np.arange(40, 60)),
    "one validation row": (np.arange(50), [60]),
    "no training rows": ([], np.arange(50)),
    "masks of wrong length": (np.ones(3, bool), np.zeros(3, bool)),
}


@pytest.mark.parametrize("indices", BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_invalid_split_raises(diabetes, indices):
    net = MLPRegressor(early_stopping=True, max_iter=2, validation_fraction=Split(*indices))
    with pytest.raises(ValueError, match="validation_fraction="):
        net.fit(*diabetes)


def test_splitter_may_yield_masks(diabetes):
    first = np.arange(len(diabetes[0])) < 400
    nets = [
        MLPRegressor(early_stopping=True, max_iter=3, validation_fraction=split, random_state=0).fit(*diabetes)
        for split in (Split(first, ~first), Split(np.flatnonzero(first), np.flatnonzero(~first)))
    ]
    np.testing.assert_array_equal(nets[0].parameters_, nets[1].parameters_)
    assert nets[0].t_ == 3 * 400


def test_groups_of_wrong_length_raise(diabetes):
    with pytest.raises(ValueError, match="groups has 5 entries"):
        MLPRegressor(max_iter=3).fit(*diabetes, groups=np.arange(5))


@pytest.mark.parametrize("n_samples", [400, 401, 402])
def test_short_last_batch_does_not_dominate_the_running_moments(cancer, n_samples):
    X, y = cancer[0][:n_samples], cancer[1][:n_samples]
    net = MLPClassifier(batch_norm=True, max_iter=40, tol=0, random_state=0).fit(X, y)
    ratio = net.variances_[0] / (X @ net.coefs_[0]).var(axis=0)
    assert 0.95 < ratio.mean() < 1.05


def test_warm_start_keeps_the_running_moments(cancer):
    X, y = cancer
    net = MLPClassifier(batch_norm=True, warm_start=True, max_iter=100, random_state=0).fit(X, y)
    score, means = net.score(X, y), net.means_[0].copy()
    net.set_params(max_iter=1, learning_rate_init=1e-12, batch_size=4).fit(X[15:23], y[15:23])
    of_these = (X[15:23] @ net.coefs_[0]).mean(axis=0)
    assert abs(net.means_[0] - means).sum() < 0.5 * abs(of_these - means).sum()
    assert net.score(X, y) > score - 0.03


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_changed_scoring_starts_a_new_best_score(cancer, method):
    X, y = cancer
    net = MLPClassifier(max_iter=30, warm_start=True, early_stopping=True, random_state=0)
    given = {"X_val": X[400:], "y_val": y[400:]}
    net.fit(X[:400], y[:400], **given)
    before = net.parameters_.copy()
    getattr(net.set_params(scoring="loss"), method)(X[:400], y[:400], **given)
    assert abs(net.parameters_ - before).max() > 0
    assert net.best_validation_score_ == max(net.validation_scores_[30:] or net.validation_scores_[-1:])


def test_partial_fit_continues_after_early_stopping(cancer):
    X, y = cancer
    net = MLPClassifier(max_iter=500, early_stopping=True, n_iter_no_change=3, random_state=0).fit(X[:300], y[:300])
    assert net.n_iter_ < 500
    for _ in range(3):
        net.partial_fit(X[300:], y[300:], X_val=X[:300], y_val=y[:300])
        assert net.n_iter_ == 1


def test_scorer_without_sample_weight_works_with_weights(cancer):
    def accuracy(net, X, y):
        return accuracy_score(y, net.predict(X))

    net = MLPClassifier(class_weight="balanced", early_stopping=True, scoring=accuracy, max_iter=5).fit(*cancer)
    assert net.best_validation_score_ > 0.5


def test_balanced_weights_always_come_from_the_training_samples(cancer):
    X, y = cancer
    some = np.r_[np.flatnonzero(y == 0)[:5], np.flatnonzero(y == 1)[:200]]
    as_dict = {label: len(y) / (2 * np.sum(y == label)) for label in (0, 1)}
    nets = [
        MLPClassifier(class_weight=weight, max_iter=2, random_state=0).fit(X, y, X_val=X[some], y_val=y[some])
        for weight in ("balanced", as_dict)
    ]
    assert nets[0].validation_scores_ == nets[1].validation_scores_
    assert nets[0].loss_and_gradient(X[some], y[some])[0] == nets[1].loss_and_gradient(X[some], y[some])[0]


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_validation_data_with_lbfgs_raise(cancer, cls):
    X, y = cancer
    with pytest.raises(ValueError, match="X_val and y_val are not supported with solver='lbfgs'"):
        cls(solver="lbfgs").fit(X, y, X_val=X, y_val=y)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_sample_weights_with_an_overflowing_sum_raise(cancer, cls):
    X, y = cancer
    with pytest.raises(ValueError, match="sample_weight, times class_weight, is too large"):
        cls(max_iter=2).fit(X, y, sample_weight=np.full(len(y), 1e307))


def test_score_of_several_columns_needs_y_of_the_same_shape(iris):
    X, y = iris
    Y = np.column_stack([y, 2 - y])
    net = MLPClassifier(max_iter=2).fit(X, Y)
    for other in (Y[:1], Y[:, :1], y):
        with pytest.raises(ValueError, match="y has the shape"):
            net.score(X, other)


def test_network_fitted_by_scikit_learns_lbfgs_continues(cancer):
    X, y = cancer
    theirs = neural_network.MLPClassifier(solver="lbfgs", max_iter=5, random_state=0).fit(X, y)
    ours = MLPClassifier.from_sklearn(theirs).set_params(solver="adam")
    assert ours.partial_fit(X, y).n_iter_ == 1


def test_custom_loss_learns_several_label_columns(iris):
    X, y = iris
    net = MLPClassifier(loss=_half_square, max_iter=200, learning_rate_init=0.01, random_state=0)
    net.fit(X, np.column_stack([y, 2 - y]))
    assert net.out_activation_ == "identity"
    assert net.score(X, np.column_stack([y, 2 - y])) > 0.9


def _half_square(value, target):
    return 0.5 * (value - target) ** 2, value - target


def test_standard_deviation_of_a_huge_variance_is_finite(diabetes):
    net = MLPRegressor(hidden_layer_sizes=(), loss="gaussian", max_iter=2, dtype="float32").fit(*diabetes)
    net.coefs_[0] = np.zeros_like(net.coefs_[0])
    net.intercepts_[0] = np.array([0.0, 100.0])
    deviation = net.predict(diabetes[0], return_std=True)[1]
    np.testing.assert_allclose(deviation, np.exp(50.0), rtol=1e-5)


class Foreign(pickle.Pickler):
    """Pickle arrays as on a machine with the other byte order."""

    def reducer_override(self, obj):
        if type(obj) is np.ndarray and obj.dtype.kind in "iuf" and obj.dtype.isnative and obj.dtype.itemsize > 1:
            return obj.astype(obj.dtype.newbyteorder()).__reduce_ex__(5)  # older protocols swap the bytes back
        return NotImplemented


def from_a_foreign_machine(net):
    content = io.BytesIO()
    Foreign(content, protocol=5).dump(net)
    return pickle.loads(content.getvalue())


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor])
def test_pickle_of_the_other_byte_order_predicts_and_continues(cls, cancer):
    X, y = cancer
    tabular = "preset" in cls._parameter_constraints
    parameters = {"preset": "fast"} if tabular else {"hidden_layer_sizes": (5,), "batch_norm": True}
    classes = {"classes": [0, 1]} if is_classifier(cls()) else {}
    net = cls(random_state=0, max_iter=2, **parameters).partial_fit(X, y, **classes).partial_fit(X, y)
    foreign = from_a_foreign_machine(net)
    np.testing.assert_array_equal(foreign.predict(X), net.predict(X))
    np.testing.assert_array_equal(foreign.partial_fit(X, y).predict(X), net.partial_fit(X, y).predict(X))


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
def test_pickle_after_partial_fit_does_not_grow_with_the_samples(cls, cancer):
    X, y = cancer
    net = cls(preset="fast", random_state=0, max_iter=1).fit(X, y)
    few, many = (len(pickle.dumps(clone_fitted(net).partial_fit(np.repeat(X, n, 0), np.repeat(y, n)))) for n in (1, 40))
    assert abs(many - few) < 1000


def test_pickle_after_partial_fit_of_a_network_does_not_grow_with_the_samples(cancer):
    X, y = cancer
    net = MLPRegressor(hidden_layer_sizes=5, random_state=0)
    few, many = (len(pickle.dumps(clone(net).partial_fit(np.repeat(X, n, 0), np.repeat(y, n)))) for n in (1, 41))
    assert abs(many - few) < 100


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor])
def test_pickle_grows_by_the_curves_only(cls, cancer):
    X, y = cancer
    net, sizes = cls(hidden_layer_sizes=5, random_state=0), {}
    if isinstance(net, BaseTabularMLP):
        net.set_params(n_estimators=1, max_iter=1).fit(X[:50], y[:50])
    for k in range(301):
        net.partial_fit(X[:50], y[:50], **{"classes": [0, 1]} if k == 0 and cls is MLPClassifier else {})
        sizes[k] = len(pickle.dumps(net)) if k in (100, 300) else None
    assert sizes[300] - sizes[100] <= 20 * 200


@pytest.mark.parametrize(
    "parameters",
    [{}, {"dropout": 0.5}, {"batch_norm": True}, {"shuffle": False}, {"learning_rate_init": "auto"}, {"solver": "sgd"}],
    ids=str,
)
def test_a_saved_network_continues_as_if_it_had_not_been_saved(cancer, parameters):
    X, y = cancer
    in_memory = MLPRegressor(hidden_layer_sizes=5, random_state=0, **parameters)
    saved = clone(in_memory)
    for n in (200, 200, 200, 100, 200, 300, 300):
        in_memory.partial_fit(X[:n], y[:n])
        saved = clone_fitted(saved.partial_fit(X[:n], y[:n]))
        np.testing.assert_array_equal(saved.parameters_, in_memory.parameters_)
    saved, in_memory = clone_fitted(saved), clone_fitted(in_memory)
    validation = {"X_val": X[300:], "y_val": y[300:]}
    for _ in range(2):
        in_memory.set_params(early_stopping=True).partial_fit(X[:300], y[:300], **validation)
        saved = clone_fitted(saved.set_params(early_stopping=True).partial_fit(X[:300], y[:300], **validation))
        np.testing.assert_array_equal(saved.parameters_, in_memory.parameters_)


def test_a_network_saved_after_each_of_many_calls_continues(cancer):
    X, y = cancer[0][:50], cancer[1][:50]
    in_memory = MLPRegressor(hidden_layer_sizes=1, random_state=0)
    saved = clone(in_memory)
    for _ in range(205):
        in_memory.partial_fit(X, y)
        saved = clone_fitted(saved.partial_fit(X, y))
    np.testing.assert_array_equal(saved.parameters_, in_memory.parameters_)
    assert in_memory._optimizer.order.fields()["n_epochs"] == 5  # which a file lets it shuffle again


@pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_random_numbers_of_any_kind_continue(cancer, name):
    X, y = cancer
    rng = np.random.RandomState(getattr(np.random, name)(0))
    rng.normal()  # leaves another one for the next call
    net = MLPRegressor(hidden_layer_sizes=5, dropout=0.5, random_state=rng).partial_fit(X, y).partial_fit(X, y)
    saved = clone_fitted(net)
    assert saved._optimizer.rng is not net._optimizer.rng
    np.testing.assert_array_equal(saved.partial_fit(X, y).parameters_, net.partial_fit(X, y).parameters_)


def _share(net, other, X, y):
    """Two networks draw from the same random numbers."""
    rng = np.random.RandomState(0)
    net.set_params(random_state=rng)
    other.set_params(random_state=rng)
    for _ in range(3):
        net.partial_fit(X, y)
        other.partial_fit(X, y)


def _begin_dropout(net, other, X, y):
    """Draws a seed between two epochs."""
    for rate in (0, 0, 0.5):
        net.set_params(dropout=rate).partial_fit(X, y)


def _interrupt(net, other, X, y):
    """Ctrl-C while the rows are shuffled takes effect after it, and before the epoch is counted."""
    net.partial_fit(X, y)
    state = net.partial_fit(X, y)._optimizer
    rng, state.rng = state.rng, Interrupting(state.rng)
    net.partial_fit(X, y)
    state.rng = rng


class Interrupting:
    def __init__(self, rng):
        self.get_state, self._rng = rng.get_state, rng

    def shuffle(self, rows):
        self._rng.shuffle(rows)
        raise KeyboardInterrupt


@pytest.mark.parametrize("train", [_share, _begin_dropout, _interrupt])
def test_a_saved_network_continues_if_others_draw_from_its_random_numbers(cancer, train):
    """A file has the order of the rows as the random numbers before the first epoch."""
    X, y = cancer
    net = MLPRegressor(hidden_layer_sizes=5, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training interrupted by user")
        train(net, clone(net), X, y)
    loaded = clone_fitted(net)
    for _ in range(2):
        np.testing.assert_array_equal(loaded.partial_fit(X, y).parameters_, net.partial_fit(X, y).parameters_)


class Scorer:
    def score(self, net, X, y):
        return net.score(X, y)


def test_a_saved_network_knows_that_an_equal_method_scores_it(cancer):
    """Python makes a new bound method each time."""
    X, y = cancer
    validation, scorer = {"X_val": X[300:], "y_val": y[300:]}, Scorer()
    net = MLPRegressor(hidden_layer_sizes=5, early_stopping=True, tol=1.0, random_state=0)
    for _ in range(3):
        net.set_params(scoring=scorer.score).partial_fit(X[:300], y[:300], **validation)
    loaded = clone_fitted(net.set_params(scoring=scorer.score))
    loaded.partial_fit(X[:300], y[:300], **validation)
    net.partial_fit(X[:300], y[:300], **validation)
    assert loaded._no_improvement_count == net._no_improvement_count > 1


def clone_fitted(net):
    return pickle.loads(pickle.dumps(net))
