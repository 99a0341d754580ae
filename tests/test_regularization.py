"""Regularization and stability: dropout, normalization, penalties, max-norm, gradient clipping, label smoothing."""

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.utils.fixes import parse_version

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.optimizers import OPTIMIZERS

pytestmark = [pytest.mark.newest, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

FIRST_ORDER = [cls.names[0] for cls in OPTIMIZERS if cls.kernel is not None]
DTYPES = ["float32", "float64"]

# each: how it differs from the defaults
REGULARIZED = {
    "dropout": {"dropout": 0.3},
    "dropout with inputs": {"dropout": [0.1, 0.3, 0.2]},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True},
    "l1": {"l1": 0.5},
    "max_norm": {"max_norm": 0.6},
    "clip_norm": {"clip_norm": 0.05},
    "clip_value": {"clip_value": 0.01},
    "all": {"dropout": 0.3, "batch_norm": True, "l1": 0.5, "max_norm": 0.6, "clip_norm": 0.05, "clip_value": 0.01},
}


def _net(cls, **parameters):
    defaults = {"hidden_layer_sizes": (9, 7), "max_iter": 3, "learning_rate_init": 0.01, "batch_size": 64}
    return cls(**{**defaults, "random_state": 0, "n_iter_no_change": np.inf, **parameters})


def _by_epochs(net, n_epochs, X, y):
    for _ in range(n_epochs):
        net.partial_fit(X, y, **({"classes": np.unique(y)} if is_classifier(net) else {}))
    return net


def _start(net):
    """Copies of the weights, for `init`."""
    return [w.copy() for w in net.coefs_], [b.copy() for b in net.intercepts_]


# --- all methods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", FIRST_ORDER)
@pytest.mark.parametrize("kind", REGULARIZED)
def test_partial_fit_equals_epochs_of_fit_exactly_with_every_solver(task, kind, solver, dtype):
    cls, X, y = task
    net = _net(cls, solver=solver, dtype=dtype, **REGULARIZED[kind])
    whole, by_epochs = clone(net).fit(X, y), _by_epochs(clone(net), 3, X, y)
    assert whole.coefs_[0].dtype == dtype
    np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)
    np.testing.assert_array_equal(by_epochs.predict(X), whole.predict(X))
    assert by_epochs.loss_curve_ == whole.loss_curve_
    plain = _net(cls, solver=solver, dtype=dtype).fit(X, y)
    # rprop uses only signs
    assert np.array_equal(whole.coefs_[0], plain.coefs_[0]) == (solver == "rprop" and kind.startswith("clip"))


@pytest.mark.parametrize("kind", ["dropout", "l1", "max_norm", "clip_norm", "clip_value"])
@pytest.mark.parametrize("solver", ["lbfgs", OPTIMIZERS["lbfgs"]()], ids=["name", "object"])
def test_lbfgs_rejects_regularization_of_single_steps(task, kind, solver):
    cls, X, y = task
    ((name, value),) = REGULARIZED[kind].items()
    legal = getattr(cls(), name)
    with pytest.raises(ValueError, match=f"{name}={value} is not supported with solver='lbfgs'; use {legal}, or"):
        _net(cls, solver=solver, **REGULARIZED[kind]).fit(X, y)


def test_lbfgs_accepts_zero_dropout(task):
    cls, X, y = task
    plain = _net(cls, solver="lbfgs").fit(X, y)
    for nothing in ([0, 0, 0], (0.0, 0, 0), np.zeros(3), 0):
        net = _net(cls, solver="lbfgs", dropout=nothing).fit(X, y)
        np.testing.assert_array_equal(net.parameters_, plain.parameters_)
    with pytest.raises(ValueError, match=r"dropout=\[0, 0, 0\.1\] is not supported with solver='lbfgs'"):
        _net(cls, solver="lbfgs", dropout=[0, 0, 0.1]).fit(X, y)


# --- dropout --------------------------------------------------------------------------------------------------------


def test_single_dropout_rate_applies_to_each_hidden_layer(task):
    cls, X, y = task
    one = _net(cls, dropout=0.3).fit(X, y)
    for other, equal in (
        ([0.0, 0.3, 0.3], True),
        ((0, 0.3, 0.3), True),
        (np.array([0, 0.3, 0.3]), True),
        (np.array([0, 0.3, 0.2]), False),
        ([0.3, 0.3, 0.3], False),
        ([0.3, 0, 0], False),
    ):
        assert np.array_equal(_net(cls, dropout=other).fit(X, y).parameters_, one.parameters_) == equal


def test_zero_dropout_equals_no_dropout(task):
    cls, X, y = task
    np.testing.assert_array_equal(_net(cls, dropout=[0, 0, 0]).fit(X, y).parameters_, _net(cls).fit(X, y).parameters_)


def test_predictions_are_without_dropout(task):
    cls, X, y = task
    net, plain = _net(cls, dropout=[0.2, 0.5, 0.5]).fit(X, y), _net(cls).fit(X, y)
    plain.parameters_ = net.parameters_
    for _ in range(2):
        np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    np.testing.assert_array_equal(net.transform(X), plain.transform(X))


@pytest.mark.parametrize("kind", ["partial_fit", "another solver", "refused"])
def test_random_state_determines_dropout_that_is_enabled_later(task, kind):
    cls, X, y = task
    start = _start(_by_epochs(_net(cls), 1, X, y))
    nets = [_net(cls, init=start, shuffle=False, random_state=seed) for seed in (1, 2, 2)]
    for net in nets:
        _by_epochs(net, 1, X, y)
        if kind == "another solver":
            net.set_params(solver="sgd")
    np.testing.assert_array_equal(nets[0].parameters_, nets[1].parameters_)  # nothing was drawn
    for net in nets:
        net.set_params(dropout=0.3)
    if kind == "refused":  # the failed call does not consume random numbers
        with pytest.raises(ValueError, match="non-finite"):
            nets[1].set_params(learning_rate_init=1e200).partial_fit(X, y)
        nets[1].set_params(learning_rate_init=0.01)
    one, two, same = (_by_epochs(net, 2, X, y).parameters_ for net in nets)
    np.testing.assert_array_equal(two, same)
    assert (one != two).mean() > 0.5


def test_random_state_determines_dropout(task):
    cls, X, y = task
    init = _start(_net(cls).fit(X, y))  # so nothing else is drawn
    fits = [
        _net(cls, dropout=0.3, init=init, shuffle=False, random_state=seed).fit(X, y).parameters_ for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_input_dropout_of_a_linear_model_is_ridge_regression(diabetes, kind):
    # E|y - (X * mask) w / (1 - p)|**2 = |y - X w|**2 + p / (1 - p) sum_ij X_ij**2 w_j**2 (Srivastava et al., 9.1)
    X, y = diabetes
    net = MLPRegressor(hidden_layer_sizes=(), dropout=[0.5], alpha=0, solver="sgd", momentum=0, random_state=0)
    net.set_params(learning_rate=lambda step, n_steps: 1 / (1 + 0.02 * step), learning_rate_init=0.1)
    net.set_params(batch_size="full", max_iter=1000, n_iter_no_change=np.inf).fit(kind(X), y)
    expected = Ridge(alpha=len(X)).fit(X, y).coef_  # the columns of X have length sqrt(n)
    assert abs(Ridge(alpha=0.1).fit(X, y).coef_ - expected).max() > 0.1
    np.testing.assert_allclose(net.coefs_[0][:, 0], expected, atol=0.01)


def test_dropout_reduces_overfitting_of_a_large_network_on_few_samples(diabetes):
    X, y = diabetes
    net = _net(MLPRegressor, hidden_layer_sizes=(100,), max_iter=100, batch_size=32)
    plain, regularized = (
        net.set_params(dropout=rate).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) for rate in (0.0, 0.5)
    )
    assert plain < 0.2
    assert regularized > plain + 0.1


# --- batch normalization --------------------------------------------------------------------------------------------


def _sums(net, X):
    """Weighted sums of the first hidden layer, without biases."""
    return X @ net.coefs_[0].astype(float)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_lets_a_deep_network_learn(digits, dtype):
    X, y = digits
    net = _net(MLPClassifier, hidden_layer_sizes=(32,) * 8, activation="logistic", max_iter=30, dtype=dtype)
    assert net.fit(X[:300], y[:300]).score(X[300:], y[300:]) < 0.2  # 0.1 by chance
    assert net.set_params(batch_norm=True).fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.8


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm_makes_predictions_independent_of_the_scale_of_a_sample(digits, dtype):
    X, y = digits
    scaled = X * 10 ** np.random.RandomState(0).uniform(-1, 3, (len(X), 1))
    net = _net(MLPClassifier, hidden_layer_sizes=(32,), max_iter=30, dtype=dtype)
    net.set_params(layer_norm=True).fit(scaled[:300], y[:300])
    assert net.score(scaled[300:], y[300:]) > 0.85
    # up to the epsilon added to the variance
    np.testing.assert_allclose(net.predict_proba(10 * scaled), net.predict_proba(100 * scaled), atol=1e-3)
    net.set_params(layer_norm=False).fit(scaled[:300], y[:300])
    assert abs(net.predict_proba(10 * scaled) - net.predict_proba(100 * scaled)).max() > 0.1


def test_batch_norm_has_scales_means_and_variances_per_hidden_layer(task):
    cls, X, y = task
    net = _net(cls, batch_norm=True).fit(X, y)
    for arrays in (net.scales_, net.means_, net.variances_):
        assert [array.shape for array in arrays] == [(9,), (7,)]
    in_order = [array.ravel() for array in [*net.coefs_, *net.intercepts_, *net.scales_]]
    np.testing.assert_array_equal(np.concatenate(in_order), net.parameters_)
    assert all(np.shares_memory(scales, net.parameters_) for scales in net.scales_)
    assert net.set_params(batch_norm=False).fit(X, y).parameters_.size == net.parameters_.size
    for name in ("scales_", "means_", "variances_"):
        assert not hasattr(net, name)
        with pytest.raises(AttributeError, match=f"{name}.*batch_norm was False"):
            getattr(net, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_running_moments_match_the_data(task, dtype):
    cls, X, y = task
    # with weights that hardly change
    net = _net(cls, batch_norm=True, batch_size="full", learning_rate_init=1e-30, max_iter=2, dtype=dtype).fit(X, y)
    sums = _sums(net, X)
    np.testing.assert_allclose(net.means_[0], sums.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(net.variances_[0], sums.var(axis=0), rtol=1e-5)


def test_running_moments_are_weighted_by_sample_weight(task):
    cls, X, y = task
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    net = _net(cls, batch_norm=True, batch_size="full", learning_rate_init=1e-30, max_iter=2)
    weighted = clone(net).fit(X, y, sample_weight=weight)
    repeated = clone(net).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    for k in range(2):
        np.testing.assert_allclose(weighted.means_[k], repeated.means_[k], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weighted.variances_[k], repeated.variances_[k], rtol=1e-9)


def test_lbfgs_sets_the_moments_of_all_samples(task):
    cls, X, y = task
    net = _net(cls, batch_norm=True, solver="lbfgs", max_iter=20).fit(X, y)
    sums = _sums(net, X)
    np.testing.assert_allclose(net.means_[0], sums.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(net.variances_[0], sums.var(axis=0), rtol=1e-10)
    # so training and prediction agree
    assert net.loss_and_gradient(X, y)[0] == pytest.approx(net.loss_, rel=1e-12)
    penalty = net.alpha / (2 * len(X)) * sum(np.sum(w**2) for w in net.coefs_)
    if cls is MLPRegressor:
        loss = np.mean((net.predict(X) - y) ** 2) / 2
    else:
        loss = -net.predict_log_proba(X)[np.arange(len(y)), y].mean()
    assert loss + penalty == pytest.approx(net.loss_, rel=1e-10)


def test_scales_means_and_variances_can_be_assigned(task):
    cls, X, y = task
    source, net = (_net(cls, batch_norm=True, random_state=seed).fit(X, y) for seed in (1, 0))
    held = net.means_[0]
    net.parameters_ = source.parameters_
    net.means_, net.variances_[:] = source.means_, source.variances_
    np.testing.assert_array_equal(net.predict(X), source.predict(X))
    np.testing.assert_array_equal(net.transform(X), source.transform(X))
    assert net.means_[0] is held
    net.scales_[-1] *= 0
    np.testing.assert_array_equal(net.transform(X), np.tile(np.maximum(net.intercepts_[1], 0), (len(X), 1)))
    with pytest.raises(ValueError, match=r"variances_\[0\] has shape \(9,\)"):
        net.variances_[0] = np.ones(7)


def test_warm_start_continues_with_scales_and_moments(task):
    cls, X, y = task
    net = _net(cls, batch_norm=True, warm_start=True, max_iter=10).fit(X, y)
    before, means = net.parameters_.copy(), net.means_[0].copy()
    net.set_params(max_iter=1, learning_rate_init=1e-30, batch_size="full").fit(X, y)
    np.testing.assert_array_equal(net.parameters_, before)
    np.testing.assert_allclose(net.means_[0], 0.9 * means + 0.1 * _sums(net, X).mean(axis=0), atol=1e-12)
    loss = net.set_params(batch_size=64).fit(X, y).loss_
    assert net.set_params(learning_rate_init=0.01, max_iter=10).fit(X, y).loss_ < loss


def test_batch_norm_needs_batches_and_hidden_layers(task):
    cls, X, y = task
    with pytest.raises(ValueError, match=r"batch_norm=True needs batches of at least 2 samples; .*batch_size"):
        _net(cls, batch_norm=True, batch_size=1).fit(X, y)
    with pytest.raises(ValueError, match="batch_norm=True has no effect without a hidden layer"):
        _net(cls, batch_norm=True, hidden_layer_sizes=()).fit(X, y)
    net = _net(cls, batch_norm=True, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"batch_norm=True\s+cannot continue with .*batch_norm=False"):
        net.set_params(batch_norm=False).fit(X, y)


def test_layer_norm_takes_any_batch_but_needs_hidden_layers(task):
    cls, X, y = task
    net = _net(cls, layer_norm=True, batch_size=1, max_iter=2).fit(X, y)
    assert [scales.shape for scales in net.scales_] == [(9,), (7,)]
    with pytest.raises(AttributeError, match=r"means_.*batch_norm was False"):
        net.means_  # noqa: B018
    with pytest.raises(ValueError, match="layer_norm=True has no effect without a hidden layer"):
        _net(cls, layer_norm=True, hidden_layer_sizes=()).fit(X, y)
    with pytest.raises(
        ValueError, match=r"layer_norm=True needs at least 2 neurons .* got hidden_layer_sizes=\(5, 1\)"
    ):
        _net(cls, layer_norm=True, hidden_layer_sizes=(5, 1)).fit(X, y)
    with pytest.raises(ValueError, match="batch_norm=True and layer_norm=True cannot be combined"):
        _net(cls, layer_norm=True, batch_norm=True).fit(X, y)
    with pytest.raises(ValueError, match=r"layer_norm=True cannot continue with .*batch_norm=True, layer_norm=False; "):
        net.set_params(warm_start=True, layer_norm=False, batch_norm=True, batch_size=20).fit(X, y)


def test_last_batch_of_one_sample_trains(task):
    cls, X, y = task
    net = _net(cls, batch_norm=True, batch_size=20, max_iter=30).fit(X[:101], y[:101])
    assert np.isfinite(net.parameters_).all()
    assert net.score(X[:101], y[:101]) > 0.5


# --- penalties ------------------------------------------------------------------------------------------------------

FULL_BATCH = {"hidden_layer_sizes": (), "alpha": 0, "solver": "sgd", "batch_size": "full", "learning_rate": "cosine"}


def test_l1_on_a_linear_regression_matches_the_lasso(diabetes):
    X, y = diabetes
    net = MLPRegressor(**FULL_BATCH, l1=90, learning_rate_init=0.01, max_iter=5000, random_state=0)
    net.set_params(n_iter_no_change=np.inf).fit(X, y)
    expected = Lasso(alpha=90 / len(X), tol=1e-10).fit(X, y).coef_
    assert (expected != 0).sum() == 3
    np.testing.assert_allclose(net.coefs_[0][:, 0], expected, atol=2e-3)


def test_l1_on_a_logistic_regression_matches_scikit_learn(cancer):
    X, y = cancer
    X = X[:, [0, 1, 4, 5, 8, 9]]  # columns that are not redundant
    net = MLPClassifier(**FULL_BATCH, l1=20, learning_rate_init=0.1, max_iter=5000, random_state=0)
    net.set_params(n_iter_no_change=np.inf).fit(X, y)
    # the parameter for the L1 penalty has been renamed
    lasso = {"l1_ratio": 1} if parse_version(sklearn.__version__) >= parse_version("1.8") else {"penalty": "l1"}
    expected = LogisticRegression(**lasso, solver="saga", C=1 / 20, tol=1e-8, max_iter=10_000).fit(X, y).coef_[0]
    assert (expected == 0).sum() == 1
    np.testing.assert_allclose(net.coefs_[0][:, 0], expected, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_l1_drives_more_weights_to_zero_than_alpha_does(task, dtype):
    cls, X, y = task
    net = _net(cls, hidden_layer_sizes=(20,), max_iter=100, dtype=dtype, learning_rate="cosine")
    sparsely, evenly = (clone(net).set_params(**{name: 5.0}).fit(X, y) for name in ("l1", "alpha"))
    zeros = [np.mean(abs(each.coefs_[0]) < 0.005) for each in (sparsely, evenly)]
    assert zeros[0] > 0.9 > 2 * zeros[1]
    assert sparsely.score(X, y) > 0.4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_l1_adds_its_penalty_to_loss_and_gradient(task, dtype, weighted):
    cls, X, y = task
    weight = np.random.RandomState(0).uniform(0.5, 3, len(X)) if weighted else np.ones(len(X))
    net = _net(cls, dtype=dtype).fit(X, y)
    net.coefs_[0][0] = 0  # where the derivative is defined as 0
    loss, gradient = net.loss_and_gradient(X, y, sample_weight=weight)
    penalized, slope = net.set_params(l1=0.7).loss_and_gradient(X, y, sample_weight=weight)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    assert penalized - loss == pytest.approx(0.7 / weight.sum() * sum(abs(w).sum() for w in net.coefs_), rel=10 * rtol)
    signs = np.concatenate([np.sign(w).ravel() for w in net.coefs_] + [0 * b for b in net.intercepts_])
    np.testing.assert_allclose(slope, gradient + 0.7 / weight.sum() * signs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_max_norm_bounds_the_incoming_weights_of_each_neuron(task, dtype, batch_norm):
    cls, X, y = task
    net = _net(cls, max_norm=0.5, dtype=dtype, batch_norm=batch_norm)
    for _ in range(4):
        _by_epochs(net, 1, X, y)
        for weights in net.coefs_:
            assert np.linalg.norm(weights, axis=0).max() < 0.5 * (1 + 1e-6)
    lengths = np.concatenate([np.linalg.norm(weights, axis=0) for weights in net.coefs_])
    assert np.mean(lengths > 0.4999) > 0.2  # the bound was active
    assert abs(np.concatenate(net.intercepts_)).max() > 0


# --- gradient clipping ----------------------------------------------------------------------------------------------


def _clipped(gradient, clip_norm, clip_value):
    gradient = np.clip(gradient, -clip_value, clip_value)
    return gradient * min(1, clip_norm / np.linalg.norm(gradient))


@pytest.mark.parametrize(
    ("clip_norm", "clip_value"), [(None, 0.01), (0.02, None), (0.02, 0.01), (1e3, None), (None, 1e3)]
)
def test_step_follows_the_clipped_gradient(task, clip_norm, clip_value):
    cls, X, y = task
    descent = {"solver": "sgd", "momentum": 0, "batch_size": "full", "shuffle": False, "max_iter": 1}
    start = _net(cls, **descent).fit(X, y)
    net = _net(cls, **descent, init=_start(start), clip_norm=clip_norm, clip_value=clip_value).fit(X, y)
    gradient = _clipped(start.loss_and_gradient(X, y)[1], clip_norm or np.inf, clip_value or np.inf)
    np.testing.assert_allclose(net.parameters_, start.parameters_ - 0.01 * gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bound", [{"clip_norm": 1.0}, {"clip_value": 0.1}], ids=str)
def test_clipping_prevents_divergence(diabetes, bound, dtype):
    X, y = diabetes
    net = _net(MLPRegressor, solver="sgd", activation="identity", learning_rate="linear", dtype=dtype, max_iter=100)
    with pytest.raises(ValueError, match="Training diverged at epoch"):
        net.fit(10 * X, y)
    assert net.set_params(**bound).fit(10 * X, y).score(10 * X, y) > 0.5  # a linear model reaches 0.518


# --- label smoothing ------------------------------------------------------------------------------------------------

CONVERGED = {
    "hidden_layer_sizes": (),
    "init": "zeros",
    "alpha": 0,
    "solver": "lbfgs",
    "tol": 1e-9,
    "max_iter": 1000,
}


def test_label_smoothing_gives_the_smoothed_log_odds_of_separable_classes():
    X = np.repeat([[-1.0], [1.0]], 20, axis=0)
    net = MLPClassifier(**CONVERGED, label_smoothing=0.1).fit(X, X[:, 0] > 0)
    np.testing.assert_allclose(
        net.decision_function([[1.0], [-1.0]]), np.log(0.95 / 0.05) * np.array([1, -1]), rtol=1e-6
    )


def test_label_smoothing_with_softmax_spreads_evenly_over_all_classes():
    X, y = np.repeat(np.eye(3), 10, axis=0), np.repeat(["a", "b", "c"], 10)
    net = MLPClassifier(**CONVERGED, label_smoothing=0.3).fit(X, y)
    np.testing.assert_allclose(net.predict_proba(np.eye(3)), 0.7 * np.eye(3) + 0.1, atol=1e-6)
    twice = MLPClassifier(**CONVERGED, label_smoothing=0.3).fit(X, np.column_stack([y, y]))
    for p in twice.predict_proba(np.eye(3)):
        np.testing.assert_allclose(p, 0.7 * np.eye(3) + 0.1, atol=1e-6)


def test_label_smoothing_applies_to_each_of_several_labels():
    X = np.repeat(np.eye(2), 10, axis=0)
    net = MLPClassifier(**CONVERGED, label_smoothing=0.2).fit(X, X.astype(int))
    np.testing.assert_allclose(net.predict_proba(np.eye(2)), 0.8 * np.eye(2) + 0.1, atol=1e-6)


def test_label_smoothing_with_tanh_shrinks_the_targets():
    X = np.repeat([[-1.0], [1.0]], 20, axis=0)
    net = MLPClassifier(**CONVERGED, label_smoothing=0.1, output_activation="tanh").fit(X, X[:, 0] > 0)
    np.testing.assert_allclose(np.tanh(net.decision_function([[1.0], [-1.0]])), [0.9, -0.9], atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_label_smoothing_works_with_every_solver(iris, solver, dtype):
    net = _net(MLPClassifier, solver=solver, dtype=dtype, label_smoothing=0.2)
    whole, by_epochs = clone(net).fit(*iris), _by_epochs(clone(net), 3, *iris)
    np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)
    assert not np.array_equal(whole.parameters_, net.set_params(label_smoothing=0).fit(*iris).parameters_)


@pytest.mark.parametrize("loss", ["hinge", "perceptron", "focal"])
def test_label_smoothing_needs_a_loss_with_soft_targets(cancer, loss):
    with pytest.raises(
        ValueError, match=f"label_smoothing=0.1 is not supported with loss='{loss}'; use one of 'log_loss'"
    ):
        _net(MLPClassifier, label_smoothing=0.1, loss=loss).fit(*cancer)


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan, "much"])
def test_out_of_range_label_smoothing_raises(cancer, value):
    with pytest.raises(ValueError, match=r"'label_smoothing' parameter .*\[0\.?0?, 1"):
        _net(MLPClassifier, label_smoothing=value).fit(*cancer)
