"""Weights: views of one flat vector, which the user can read, assign, store and train in a custom loop."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.activations import LeakyReLU
from sknn_iitb.losses import Quantile

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _classifier(**parameters):
    return MLPClassifier(**{"hidden_layer_sizes": (7, 5), "max_iter": 3, "random_state": 0, **parameters})


def _name(function):
    return function.__name__.removeprefix("_").replace("_", " ")


def _assert_views(net):
    theta = net.parameters_
    arrays = [*net.coefs_, *net.intercepts_, *getattr(net, "scales_", [])]
    assert all(np.shares_memory(array, theta) for array in arrays)
    np.testing.assert_array_equal(np.concatenate([array.ravel() for array in arrays]), theta)


def test_weights_are_views_with_the_shapes_of_scikit_learn(iris):
    net = _classifier().fit(*iris)
    _assert_views(net)
    assert [w.shape for w in net.coefs_] == [(4, 7), (7, 5), (5, 3)]
    assert [b.shape for b in net.intercepts_] == [(7,), (5,), (3,)]


def test_network_without_hidden_layers_has_one_matrix(iris):
    net = _classifier(hidden_layer_sizes=()).fit(*iris)
    assert [w.shape for w in net.coefs_] == [(4, 3)]
    _assert_views(net)


def test_unfitted_network_has_no_weights():
    for name in ("coefs_", "intercepts_", "parameters_", "scales_", "means_", "variances_"):
        assert not hasattr(MLPClassifier(), name)
    with pytest.raises(AttributeError, match="parameters_"):
        MLPClassifier().parameters_ = []


# --- assignment -------------------------------------------------------------------------------------------------


def _assign_whole(net, coefs, intercepts):
    net.coefs_, net.intercepts_ = coefs, intercepts


def _assign_items(net, coefs, intercepts):
    for layer, (weights, biases) in enumerate(zip(coefs, intercepts, strict=True)):
        net.coefs_[layer], net.intercepts_[layer] = weights, biases


def _assign_slices(net, coefs, intercepts):
    net.coefs_[:2], net.coefs_[2:], net.intercepts_[:] = coefs[:2], coefs[2:], intercepts


def _assign_numbers(net, coefs, intercepts):
    for own, given in zip([*net.coefs_, *net.intercepts_], [*coefs, *intercepts], strict=True):
        for index in np.ndindex(given.shape):
            own[index] = given[index]


def _assign_parameters(net, coefs, intercepts):
    net.parameters_ = np.concatenate([array.ravel() for array in [*coefs, *intercepts]])


ASSIGNMENTS = [_assign_whole, _assign_items, _assign_slices, _assign_numbers, _assign_parameters]


@pytest.mark.parametrize("assign", ASSIGNMENTS, ids=_name)
@pytest.mark.parametrize("continuation", ["predict", "partial_fit", "warm start", "warm start with lbfgs"])
def test_assigned_weights_are_used(iris, assign, continuation):
    X, y = iris
    source = _classifier(random_state=1).fit(X, y)
    # also change a single number, so no cached result would pass
    source.coefs_[1][2, 3] += 0.5
    net = _classifier(warm_start=True).fit(X, y)
    twin = copy.deepcopy(net)
    twin.parameters_[:] = source.parameters_
    assign(net, [w.copy() for w in source.coefs_], [b.copy() for b in source.intercepts_])
    _assert_views(net)
    for each in (net, twin):
        if continuation == "partial_fit":
            each.partial_fit(X, y)
        elif continuation != "predict":
            each.set_params(solver="lbfgs" if "lbfgs" in continuation else "adam").fit(X, y)
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(X))
    if continuation == "predict":
        np.testing.assert_array_equal(net.predict_proba(X), source.predict_proba(X))
    else:
        assert not np.array_equal(net.parameters_, source.parameters_)


def test_assigned_array_is_copied_and_converted(iris):
    X, y = iris
    net = _classifier(dtype="float32").fit(X, y)
    given = np.ones((4, 7))
    net.coefs_[0] = given
    given[:] = 2
    assert net.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(net.coefs_[0], 1)


def test_in_place_arithmetic_changes_the_network(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    net.coefs_[-1] *= 0
    net.intercepts_[-1][:] = [1, 3, 2]
    assert set(net.predict(X)) == {1}


WRONG = [
    ("coefs_", [np.ones((4, 7))]),
    ("coefs_", [np.ones((7, 4)), np.ones((7, 5)), np.ones((5, 3))]),
    ("coefs_", 1.0),
    ("intercepts_", [np.ones(7), np.ones(5), np.ones(4)]),
    ("intercepts_", [np.ones(7), np.ones(5), np.ones((3, 1))]),
    ("parameters_", np.ones(3)),
    ("coefs_", [np.ones((4, 7)), np.ones((7, 5)), np.full((5, 3), "a")]),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_assigning_wrong_shapes_raises_and_changes_nothing(iris, name, value):
    net = _classifier().fit(*iris)
    before = net.parameters_.copy()
    with pytest.raises((ValueError, TypeError)):
        setattr(net, name, value)
    np.testing.assert_array_equal(net.parameters_, before)
    _assert_views(net)


@pytest.mark.parametrize("value", [1.0, np.ones(7), np.ones((7, 4)), np.ones((1, 7))])
def test_assigning_an_item_of_wrong_shape_raises_and_changes_nothing(iris, value):
    net = _classifier().fit(*iris)
    before = net.parameters_.copy()
    with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(4, 7\)"):
        net.coefs_[0] = value
    np.testing.assert_array_equal(net.parameters_, before)


# --- before fit -------------------------------------------------------------------------------------------------


def _start(net, X, y, continuation):
    if continuation == "warm start":
        return net.set_params(warm_start=True).fit(X, y)
    return net.partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("continuation", ["partial_fit", "warm start"])
def test_training_starts_from_weights_assigned_before_fit(iris, continuation):
    X, y = iris
    source = _classifier(random_state=1).fit(X, y)
    net = _classifier()
    net.coefs_ = coefs = [w.copy() for w in source.coefs_]
    net.intercepts_ = [b.copy() for b in source.intercepts_]
    assert net.coefs_[0] is coefs[0]
    with pytest.raises(NotFittedError):
        net.predict(X)
    twin = _classifier(init=(source.coefs_, source.intercepts_))
    np.testing.assert_array_equal(
        _start(net, X, y, continuation).parameters_, _start(twin, X, y, continuation).parameters_
    )
    _assert_views(net)
    np.testing.assert_array_equal(coefs[0], source.coefs_[0])


@pytest.mark.parametrize("continuation", ["partial_fit", "warm start"])
def test_weights_assigned_before_fit_override_init(iris, continuation):
    source = _classifier(random_state=1).fit(*iris)
    net, twin = (_classifier(init=([0], [0])), _classifier(init=(source.coefs_, source.intercepts_)))
    net.coefs_ = source.coefs_
    with pytest.raises(ValueError, match="init must be"):
        _start(net, *iris, continuation)
    net.intercepts_ = source.intercepts_
    np.testing.assert_array_equal(
        _start(net, *iris, continuation).parameters_, _start(twin, *iris, continuation).parameters_
    )


@pytest.mark.parametrize("continuation", ["partial_fit", "warm start"])
def test_wrong_shapes_assigned_before_fit_raise_and_are_kept(iris, continuation):
    net = _classifier()
    net.coefs_, net.intercepts_ = [np.ones((3, 7))], [np.ones(7)]
    with pytest.raises(ValueError, match="coefs_ has 3 arrays, got 1"):
        _start(net, *iris, continuation)
    assert net.coefs_[0].shape == (3, 7)
    assert not hasattr(net, "classes_")


def test_fit_without_warm_start_ignores_assigned_weights(iris):
    net = _classifier()
    net.coefs_, net.intercepts_ = [np.ones((3, 7))], [np.ones(7)]
    np.testing.assert_array_equal(net.fit(*iris).parameters_, _classifier().fit(*iris).parameters_)


# --- copies -----------------------------------------------------------------------------------------------------


def _by_pickle(net, path):
    return pickle.loads(pickle.dumps(net))


def _by_deepcopy(net, path):
    return copy.deepcopy(net)


def _by_joblib(net, path):
    joblib.dump(net, path)
    return joblib.load(path)


def _by_memory_map(net, path):
    joblib.dump(net, path)
    return joblib.load(path, mmap_mode="r")


COPIES = [_by_pickle, _by_deepcopy, _by_joblib, _by_memory_map]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make_copy", COPIES, ids=_name)
@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "rprop"}, {"solver": "sgd"}, {"dropout": 0.3}, {"batch_norm": True}, {"layer_norm": True}],
    ids=str,
)
def test_training_continues_identically_in_a_copy(iris, tmp_path, make_copy, dtype, parameters):
    X, y = iris
    net = _classifier(dtype=dtype, batch_size=32, hidden_layer_sizes=(33, 5), **parameters)
    for _ in range(2):
        net.partial_fit(X, y, classes=[0, 1, 2])
    other = make_copy(net, tmp_path / "net.joblib")
    _assert_views(other)
    assert not np.shares_memory(other.parameters_, net.parameters_)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    for _ in range(3):
        net.partial_fit(X, y)
        other.partial_fit(X, y)
    _assert_views(other)
    np.testing.assert_array_equal(other.parameters_, net.parameters_)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert other.loss_curve_ == net.loss_curve_


@pytest.mark.parametrize("make_copy", [_by_pickle, _by_deepcopy, _by_joblib], ids=_name)
@pytest.mark.parametrize("assign", ASSIGNMENTS, ids=_name)
def test_weights_of_a_copy_can_be_assigned(iris, tmp_path, make_copy, assign):
    net = _classifier().fit(*iris)
    other = make_copy(net, tmp_path / "net.joblib")
    assign(other, [2 * w for w in net.coefs_], [2 * b for b in net.intercepts_])
    np.testing.assert_array_equal(other.parameters_, 2 * net.parameters_)
    _assert_views(other)


@pytest.mark.parametrize("assign", [_assign_whole, _assign_items, _assign_parameters], ids=_name)
def test_assigning_to_a_read_only_network_makes_a_copy(iris, tmp_path, assign):
    X, _ = iris
    net = _classifier().fit(*iris)
    other = _by_memory_map(net, tmp_path / "net.joblib")
    assert not other.parameters_.flags.writeable
    held = other.coefs_
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assign(other, [2 * w for w in net.coefs_], [2 * b for b in net.intercepts_])
    np.testing.assert_array_equal(other.parameters_, 2 * net.parameters_)
    _assert_views(other)
    assert held is other.coefs_
    assert (other.predict_proba(X) != net.predict_proba(X)).any()
    np.testing.assert_array_equal(joblib.load(tmp_path / "net.joblib").parameters_, net.parameters_)


def test_assigning_an_item_of_wrong_shape_leaves_a_read_only_network_unchanged(iris, tmp_path):
    net = _classifier().fit(*iris)
    other = _by_memory_map(net, tmp_path / "net.joblib")
    with pytest.raises(ValueError, match="shape"):
        other.coefs_[0] = np.ones(3)
    assert not other.parameters_.flags.writeable


def test_items_of_a_read_only_network_are_read_only(iris, tmp_path):
    net = _classifier().fit(*iris)
    other = _by_memory_map(net, tmp_path / "net.joblib")
    with pytest.raises(ValueError, match="read-only"):
        _assign_numbers(other, [2 * w for w in net.coefs_], [2 * b for b in net.intercepts_])
    np.testing.assert_array_equal(other.parameters_, net.parameters_)


def test_fitted_network_keeps_its_components(diabetes):
    X, y = diabetes
    activation, loss = LeakyReLU(0.5), Quantile([0.1, 0.9])
    net = MLPRegressor(activation=activation, loss=loss, max_iter=3, random_state=0).fit(X, y)
    before = pickle.loads(pickle.dumps(net)).predict(X)
    activation.set_params(negative_slope=0.0)
    loss.quantile[:] = [0.2, 0.3]
    net.set_params(loss__quantile=[0.5])
    np.testing.assert_array_equal(net.predict(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), before)


def test_copy_of_a_network_fitted_by_lbfgs_predicts_the_same(iris):
    X, y = iris
    net = _classifier(solver="lbfgs").fit(X, y)
    other = pickle.loads(pickle.dumps(net))
    _assert_views(other)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_changing_a_copy_leaves_the_original_unchanged(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    before = net.predict_proba(X)
    other = copy.deepcopy(net)
    other.parameters_[:] = 0
    other.partial_fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), before)


@pytest.mark.parametrize(("solver", "n_vectors"), [("lbfgs", 1), ("sgd", 2), ("adam", 3)])
def test_pickle_holds_weights_once_and_optimizer_state(diabetes, solver, n_vectors):
    net = MLPRegressor(hidden_layer_sizes=(200, 100), solver=solver, max_iter=2, random_state=0).fit(*diabetes)
    # the random generator takes 2.5 kB
    assert len(pickle.dumps(net)) < n_vectors * net.parameters_.nbytes + 10_000


def test_clone_is_unfitted_and_trains_identically(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    other = clone(net)
    assert not hasattr(other, "coefs_")
    np.testing.assert_array_equal(other.fit(X, y).parameters_, net.parameters_)
    assert not np.shares_memory(other.parameters_, net.parameters_)


def test_weights_of_one_network_can_initialize_another(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    start = net.parameters_.copy()
    other = clone(_classifier(init=(net.coefs_, net.intercepts_), solver="sgd", learning_rate_init=1e-300)).fit(X, y)
    np.testing.assert_array_equal(other.parameters_, start)
    assert not np.shares_memory(other.parameters_, net.parameters_)


# --- custom training loop -------------------------------------------------------------------------------------------


@pytest.mark.nojit
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dataset", ["cancer", "iris", "diabetes", "wine"])
def test_custom_loop_equals_fit_with_full_batch_gradient_descent(dataset, weighted, request):
    X, y = request.getfixturevalue(dataset)
    X, y = X[::5], y[::5]
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X)) if weighted else None
    cls = MLPClassifier if y.dtype.kind == "i" else MLPRegressor
    parameters = {"solver": "sgd", "momentum": 0, "batch_size": "full", "alpha": 0.1, "learning_rate_init": 0.05}
    net = cls(hidden_layer_sizes=6, **parameters, shuffle=False, random_state=0, n_iter_no_change=np.inf)
    fitted = clone(net).set_params(max_iter=12).fit(X, y, sample_weight=weight)
    by_hand = net.set_params(max_iter=1).fit(X, y, sample_weight=weight)
    losses = [by_hand.loss_]
    for _ in range(11):
        loss, gradient = by_hand.loss_and_gradient(X, y, sample_weight=weight)
        by_hand.parameters_ -= 0.05 * gradient
        losses.append(loss)
    np.testing.assert_allclose(by_hand.parameters_, fitted.parameters_, rtol=1e-10, atol=1e-14)
    if dataset != "wine":  # the curve has the mean over several outputs
        np.testing.assert_allclose(losses, fitted.loss_curve_, rtol=1e-10)


@pytest.mark.nojit
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dataset", ["cancer", "iris", "bits", "diabetes", "wine"])
def test_gradient_matches_finite_differences(dataset, weighted, request):
    X, y = request.getfixturevalue(dataset)
    X, y = X[::20, :5], y[::20]
    weight = np.random.RandomState(0).uniform(0, 2, len(X)) if weighted else None
    cls = MLPClassifier if y.dtype.kind == "i" else MLPRegressor
    net = cls(hidden_layer_sizes=(4, 3), activation="tanh", alpha=0.1, max_iter=2, random_state=0)
    net.fit(X, y)

    def loss_at(theta):
        net.parameters_ = theta
        return net.loss_and_gradient(X, y, sample_weight=weight)[0]

    theta = net.parameters_.copy()
    gradient = net.loss_and_gradient(X, y, sample_weight=weight)[1]
    step = 1e-6 * np.eye(len(theta))
    central = [(loss_at(theta + h) - loss_at(theta - h)) / 2e-6 for h in step]
    np.testing.assert_allclose(gradient, central, rtol=1e-6, atol=1e-8)


def test_gradient_of_many_rows_is_the_mean_over_chunks():
    # enough rows for several chunks
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(2500, 4)), rng.normal(size=2500)
    net = MLPRegressor(hidden_layer_sizes=5, alpha=0, max_iter=1, random_state=0).fit(X, y)
    loss, gradient = net.loss_and_gradient(X, y)
    chunks = [net.loss_and_gradient(X[rows], y[rows]) for rows in np.split(np.arange(2500), 10)]
    assert loss == pytest.approx(np.mean([chunk[0] for chunk in chunks]), rel=1e-12)
    np.testing.assert_allclose(gradient, np.mean([chunk[1] for chunk in chunks], axis=0), rtol=1e-9, atol=1e-13)


def test_loss_and_gradient_leaves_the_network_unchanged(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    before = net.parameters_.copy()
    first = net.loss_and_gradient(X, y)
    second = net.loss_and_gradient(X, y)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.shares_memory(first[1], second[1])
    np.testing.assert_array_equal(net.parameters_, before)


def test_loss_equals_the_loss_reported_by_fit(iris):
    X, y = iris
    net = _classifier(solver="lbfgs", alpha=0.3).fit(X, y)
    loss, gradient = net.loss_and_gradient(X, y)
    assert loss == pytest.approx(net.loss_, rel=1e-12)
    assert gradient.shape == net.parameters_.shape


@pytest.mark.parametrize(
    ("X", "y", "sample_weight"),
    [
        (np.ones((5, 3)), np.zeros(5), None),
        (np.ones((5, 4)), np.zeros(4), None),
        (np.full((5, 4), np.nan), np.zeros(5), None),
        (np.ones((5, 4)), np.full(5, 9), None),
        (np.ones((5, 4)), np.zeros(5), -np.ones(5)),
        (np.ones((5, 4)), np.zeros(5), np.zeros(5)),
    ],
)
def test_loss_and_gradient_validates_its_input(iris, X, y, sample_weight):
    net = _classifier().fit(*iris)
    with pytest.raises(ValueError, match=r"."):
        net.loss_and_gradient(X, y, sample_weight)


@pytest.mark.parametrize(
    "change", [lambda c: c.append(c[0]), lambda c: c.pop(), lambda c: c.reverse(), lambda c: c.clear()]
)
def test_list_of_weights_keeps_its_length_and_order(iris, change):
    net = _classifier().fit(*iris)
    with pytest.raises(TypeError, match="coefs_ has one array for each layer"):
        change(net.coefs_)
    assert len(net.coefs_) == net.n_layers_ - 1
