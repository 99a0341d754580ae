"""The weights: views into one flat vector, which the user may read, assign, store and train by a loop of their own."""

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


def test_weights_are_views_of_the_shapes_that_scikit_learn_has(iris):
    net = _classifier().fit(*iris)
    _assert_views(net)
    assert [w.shape for w in net.coefs_] == [(4, 7), (7, 5), (5, 3)]
    assert [b.shape for b in net.intercepts_] == [(7,), (5,), (3,)]


def test_a_net_without_hidden_layers_has_one_matrix(iris):
    net = _classifier(hidden_layer_sizes=()).fit(*iris)
    assert [w.shape for w in net.coefs_] == [(4, 3)]
    _assert_views(net)


def test_weights_of_a_net_that_is_not_fitted_are_not_there():
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
@pytest.mark.parametrize("go_on", ["predict", "partial_fit", "warm start", "warm start with lbfgs"])
def test_assigned_weights_are_used(iris, assign, go_on):
    X, y = iris
    source = _classifier(random_state=1).fit(X, y)
    # a single number differs as well, so that nothing that is cached would do
    source.coefs_[1][2, 3] += 0.5
    net = _classifier(warm_start=True).fit(X, y)
    twin = copy.deepcopy(net)
    twin.parameters_[:] = source.parameters_
    assign(net, [w.copy() for w in source.coefs_], [b.copy() for b in source.intercepts_])
    _assert_views(net)
    for each in (net, twin):
        if go_on == "partial_fit":
            each.partial_fit(X, y)
        elif go_on != "predict":
            each.set_params(solver="lbfgs" if "lbfgs" in go_on else "adam").fit(X, y)
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(X))
    if go_on == "predict":
        np.testing.assert_array_equal(net.predict_proba(X), source.predict_proba(X))
    else:
        assert not np.array_equal(net.parameters_, source.parameters_)


def test_an_assigned_array_is_copied_and_takes_the_dtype_of_the_net(iris):
    X, y = iris
    net = _classifier(dtype="float32").fit(X, y)
    given = np.ones((4, 7))
    net.coefs_[0] = given
    given[:] = 2
    assert net.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(net.coefs_[0], 1)


def test_arithmetic_in_place_changes_the_net(iris):
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
def test_weights_of_another_shape_are_an_error_and_change_nothing(iris, name, value):
    net = _classifier().fit(*iris)
    before = net.parameters_.copy()
    with pytest.raises((ValueError, TypeError)):
        setattr(net, name, value)
    np.testing.assert_array_equal(net.parameters_, before)
    _assert_views(net)


@pytest.mark.parametrize("value", [1.0, np.ones(7), np.ones((7, 4)), np.ones((1, 7))])
def test_an_item_of_another_shape_is_an_error_and_changes_nothing(iris, value):
    net = _classifier().fit(*iris)
    before = net.parameters_.copy()
    with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(4, 7\)"):
        net.coefs_[0] = value
    np.testing.assert_array_equal(net.parameters_, before)


# --- before fit -------------------------------------------------------------------------------------------------


def _begin(net, X, y, go_on):
    if go_on == "warm start":
        return net.set_params(warm_start=True).fit(X, y)
    return net.partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("go_on", ["partial_fit", "warm start"])
def test_training_begins_with_weights_that_were_assigned_before(iris, go_on):
    X, y = iris
    source = _classifier(random_state=1).fit(X, y)
    net = _classifier()
    net.coefs_ = coefs = [w.copy() for w in source.coefs_]
    net.intercepts_ = [b.copy() for b in source.intercepts_]
    assert net.coefs_[0] is coefs[0]
    with pytest.raises(NotFittedError):
        net.predict(X)
    twin = _classifier(init=(source.coefs_, source.intercepts_))
    np.testing.assert_array_equal(_begin(net, X, y, go_on).parameters_, _begin(twin, X, y, go_on).parameters_)
    _assert_views(net)
    np.testing.assert_array_equal(coefs[0], source.coefs_[0])


@pytest.mark.parametrize("go_on", ["partial_fit", "warm start"])
def test_weights_assigned_before_go_before_init(iris, go_on):
    source = _classifier(random_state=1).fit(*iris)
    net, twin = (_classifier(init=([0], [0])), _classifier(init=(source.coefs_, source.intercepts_)))
    net.coefs_ = source.coefs_
    with pytest.raises(ValueError, match="init must be"):
        _begin(net, *iris, go_on)
    net.intercepts_ = source.intercepts_
    np.testing.assert_array_equal(_begin(net, *iris, go_on).parameters_, _begin(twin, *iris, go_on).parameters_)


@pytest.mark.parametrize("go_on", ["partial_fit", "warm start"])
def test_weights_of_another_shape_assigned_before_are_an_error_that_leaves_them_there(iris, go_on):
    net = _classifier()
    net.coefs_, net.intercepts_ = [np.ones((3, 7))], [np.ones(7)]
    with pytest.raises(ValueError, match="coefs_ has 3 arrays, got 1"):
        _begin(net, *iris, go_on)
    assert net.coefs_[0].shape == (3, 7)
    assert not hasattr(net, "classes_")


def test_without_warm_start_fit_draws_weights_whatever_was_assigned_before(iris):
    net = _classifier()
    net.coefs_, net.intercepts_ = [np.ones((3, 7))], [np.ones(7)]
    np.testing.assert_array_equal(net.fit(*iris).parameters_, _classifier().fit(*iris).parameters_)


# --- storing ----------------------------------------------------------------------------------------------------


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
def test_training_goes_on_to_the_same_bits_in_a_copy(iris, tmp_path, make_copy, dtype, parameters):
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
def test_a_copy_can_be_assigned_to(iris, tmp_path, make_copy, assign):
    net = _classifier().fit(*iris)
    other = make_copy(net, tmp_path / "net.joblib")
    assign(other, [2 * w for w in net.coefs_], [2 * b for b in net.intercepts_])
    np.testing.assert_array_equal(other.parameters_, 2 * net.parameters_)
    _assert_views(other)


@pytest.mark.parametrize("assign", [_assign_whole, _assign_items, _assign_parameters], ids=_name)
def test_assigning_weights_of_a_read_only_net_makes_a_copy(iris, tmp_path, assign):
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


def test_an_item_of_another_shape_leaves_a_read_only_net_as_it_is(iris, tmp_path):
    net = _classifier().fit(*iris)
    other = _by_memory_map(net, tmp_path / "net.joblib")
    with pytest.raises(ValueError, match="shape"):
        other.coefs_[0] = np.ones(3)
    assert not other.parameters_.flags.writeable


def test_numbers_of_a_read_only_net_are_read_only(iris, tmp_path):
    net = _classifier().fit(*iris)
    other = _by_memory_map(net, tmp_path / "net.joblib")
    with pytest.raises(ValueError, match="read-only"):
        _assign_numbers(other, [2 * w for w in net.coefs_], [2 * b for b in net.intercepts_])
    np.testing.assert_array_equal(other.parameters_, net.parameters_)


def test_a_fitted_net_keeps_the_parts_that_it_was_fitted_with(diabetes):
    X, y = diabetes
    activation, loss = LeakyReLU(0.5), Quantile([0.1, 0.9])
    net = MLPRegressor(activation=activation, loss=loss, max_iter=3, random_state=0).fit(X, y)
    before = pickle.loads(pickle.dumps(net)).predict(X)
    activation.set_params(negative_slope=0.0)
    loss.quantile[:] = [0.2, 0.3]
    net.set_params(loss__quantile=[0.5])
    np.testing.assert_array_equal(net.predict(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), before)


def test_a_copy_of_a_fit_by_lbfgs_predicts_the_same(iris):
    X, y = iris
    net = _classifier(solver="lbfgs").fit(X, y)
    other = pickle.loads(pickle.dumps(net))
    _assert_views(other)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_changing_a_copy_leaves_the_original_alone(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    before = net.predict_proba(X)
    other = copy.deepcopy(net)
    other.parameters_[:] = 0
    other.partial_fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), before)


@pytest.mark.parametrize(("solver", "n_vectors"), [("lbfgs", 1), ("sgd", 2), ("adam", 3)])
def test_a_pickle_holds_the_weights_once_beside_the_optimizers_memory(diabetes, solver, n_vectors):
    net = MLPRegressor(hidden_layer_sizes=(200, 100), solver=solver, max_iter=2, random_state=0).fit(*diabetes)
    # the generator takes 2.5 kB
    assert len(pickle.dumps(net)) < n_vectors * net.parameters_.nbytes + 10_000


def test_a_clone_is_not_fitted_and_trains_to_the_same_bits(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    other = clone(net)
    assert not hasattr(other, "coefs_")
    np.testing.assert_array_equal(other.fit(X, y).parameters_, net.parameters_)
    assert not np.shares_memory(other.parameters_, net.parameters_)


def test_weights_of_one_net_can_start_another(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    start = net.parameters_.copy()
    other = clone(_classifier(init=(net.coefs_, net.intercepts_), solver="sgd", learning_rate_init=1e-300)).fit(X, y)
    np.testing.assert_array_equal(other.parameters_, start)
    assert not np.shares_memory(other.parameters_, net.parameters_)


# --- a training loop of one's own -----------------------------------------------------------------------------------


@pytest.mark.nojit
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("table", ["cancer", "iris", "diabetes", "wine"])
def test_a_loop_of_ones_own_is_fit_with_full_batch_descent(table, weighted, request):
    X, y = request.getfixturevalue(table)
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
    if table != "wine":  # of several outputs, the curve has their mean
        np.testing.assert_allclose(losses, fitted.loss_curve_, rtol=1e-10)


@pytest.mark.nojit
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("table", ["cancer", "iris", "bits", "diabetes", "wine"])
def test_the_gradient_is_that_of_finite_differences(table, weighted, request):
    X, y = request.getfixturevalue(table)
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


def test_the_gradient_of_many_rows_is_the_mean_of_those_of_their_parts():
    # so many that they go through the network in several pieces
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(2500, 4)), rng.normal(size=2500)
    net = MLPRegressor(hidden_layer_sizes=5, alpha=0, max_iter=1, random_state=0).fit(X, y)
    loss, gradient = net.loss_and_gradient(X, y)
    parts = [net.loss_and_gradient(X[rows], y[rows]) for rows in np.split(np.arange(2500), 10)]
    assert loss == pytest.approx(np.mean([part[0] for part in parts]), rel=1e-12)
    np.testing.assert_allclose(gradient, np.mean([part[1] for part in parts], axis=0), rtol=1e-9, atol=1e-13)


def test_loss_and_gradient_leaves_the_net_as_it_is(iris):
    X, y = iris
    net = _classifier().fit(X, y)
    before = net.parameters_.copy()
    first = net.loss_and_gradient(X, y)
    second = net.loss_and_gradient(X, y)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.shares_memory(first[1], second[1])
    np.testing.assert_array_equal(net.parameters_, before)


def test_the_loss_is_the_one_that_fit_reports(iris):
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
def test_loss_and_gradient_checks_what_it_is_given(iris, X, y, sample_weight):
    net = _classifier().fit(*iris)
    with pytest.raises(ValueError, match=r"."):
        net.loss_and_gradient(X, y, sample_weight)


@pytest.mark.parametrize(
    "change", [lambda c: c.append(c[0]), lambda c: c.pop(), lambda c: c.reverse(), lambda c: c.clear()]
)
def test_the_list_of_weights_keeps_its_length_and_order(iris, change):
    net = _classifier().fit(*iris)
    with pytest.raises(TypeError, match="coefs_ has one array for each layer"):
        change(net.coefs_)
    assert len(net.coefs_) == net.n_layers_ - 1
