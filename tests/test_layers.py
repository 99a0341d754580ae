"""Batch normalization, layer normalization and dropout."""

from unittest.mock import patch

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import assert_close, build, differences, exact, examples, network_of, new_state, random_data, run
from scipy.stats import chisquare
from sklearn.preprocessing import StandardScaler, scale

from sknn_iitb import MLPRegressor
from sknn_iitb._engine import layers
from sknn_iitb._engine import objective as objective_module
from sknn_iitb._engine.network import CompiledNetwork
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.signatures import Batch, LayerRecord
from sknn_iitb.activations import ACTIVATIONS, GELU, ReLU, Softmax, Softplus, Step, Tanh
from sknn_iitb.losses import LogLoss, SquaredError
from sknn_iitb.optimizers import SGD

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
HIDDEN = [cls() for cls in ACTIVATIONS if cls.hidden]
TRAINING = layers.Mode(None, training=True, dropout=True)
weights = pytest.mark.parametrize("weighted", [False, True], ids=["equal-weights", "weights"])


def apply_in_place(layer, value, theta, gradient=None, weight=None, rows=None, key=0):
    """The value after the forward pass of an in-place layer, and its cache."""
    n_rows, dtype = len(value), value.dtype
    net = CompiledNetwork([layer], dtype).net
    gradient = np.zeros_like(theta) if gradient is None else gradient
    weight = np.ones(n_rows, dtype) if weight is None else weight.astype(dtype)
    rows = np.arange(n_rows) if rows is None else np.array(rows)
    rows.flags.writeable = False
    value, cache = value.copy(), np.empty((n_rows, layer.cache_size), dtype)
    kernel = compiled("layer_forward", layer.forward, dtype, from_python=True).function
    nothing = np.empty((n_rows, 0), dtype)
    record = LayerRecord(layer.n_in, layer.n_out, 0, net.own[0], net.hyper[0])
    kernel(nothing, value, cache, record, theta, Batch(rows, weight, gradient, key))
    return value, cache


# --- batch normalization ----------------------------------------------------------------------------------------

BATCH_NORMALIZED = naive.Net(
    (4, 6, 5, 3), [Tanh(), GELU()], Softmax(), LogLoss(), alpha=0.1, normalization="batch_norm"
)
N_TRAINED = naive.count_trained(BATCH_NORMALIZED)


@pytest.mark.nojit
@weights
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_batch_norm_standardizes_like_scikit_learn(dtype, tolerance, weighted):
    rng = np.random.default_rng(0)
    z = rng.normal([3, -50, 0], [2, 1, 30], (25, 3)).astype(dtype)
    weight = rng.uniform(0.5, 2, 25) if weighted else None
    scaler = StandardScaler().fit(z.astype(np.float64), sample_weight=weight)
    scales, shift = np.array([1, 2, -0.5]), np.full(3, np.nan)
    # scikit-learn adds nothing to the variance
    expected = scaler.transform(z) * np.sqrt(scaler.var_ / (scaler.var_ + 1e-5)) * scales

    starts = {"scales": 0, "means": 3, "variances": 6, "intercepts": 9}
    running = np.concatenate([scales, np.zeros(6), shift]).astype(dtype)
    layer = layers.BatchNorm(3).spec(starts, TRAINING)
    np.testing.assert_allclose(
        apply_in_place(layer, z, running, weight=weight)[0], expected, rtol=tolerance, atol=tolerance
    )
    running = np.concatenate([scales, scaler.mean_, scaler.var_]).astype(dtype)
    layer = layers.BatchNorm(3).spec(starts, layers.Mode(None))
    np.testing.assert_allclose(apply_in_place(layer, z, running)[0], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.nojit
@weights
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_batch_norm_matches_the_naive_net(dtype, tolerance, seed, weighted):
    theta, X, Y, weight = random_data(BATCH_NORMALIZED, dtype, seed, 20, weighted)
    objective = build(BATCH_NORMALIZED, X, Y, weight)
    found = *objective.evaluate(theta), objective.gradient[:N_TRAINED]
    arrays = exact(theta, X, Y, weight)
    for actual, expected in zip(found, naive.loss_and_gradient(BATCH_NORMALIZED, *arrays), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    # the gradient of running moments holds their distance from the moments of the batch
    expected = arrays[0][N_TRAINED:] - naive.moments(BATCH_NORMALIZED, arrays[0], arrays[1], arrays[3])
    np.testing.assert_allclose(objective.gradient[N_TRAINED:], expected, rtol=tolerance, atol=tolerance)


def away_from_kinks(net, n_rows, weighted):
    """Random data without weighted sums close to whole numbers, where all kinks are."""
    for seed in range(20):
        data = random_data(net, "float64", seed, n_rows, weighted)
        theta, X, _, weight = data
        sums = naive.forward(net, theta, X, weight).sums[:-1]
        if all(abs(z - np.round(z)).min() > 2e-3 for z in sums):
            return data
    raise AssertionError("no such data")


@weights
@pytest.mark.parametrize(
    "activation",
    [activation for activation in HIDDEN if not isinstance(activation, Step)],
    ids=lambda activation: activation.names[0],
)
def test_gradient_with_batch_norm_matches_finite_differences(activation, weighted):
    net = BATCH_NORMALIZED._replace(hidden=[activation, activation], alpha=0.3, l1=0.2)
    theta, X, Y, weight = away_from_kinks(net, 9, weighted)
    objective = build(net, X, Y, weight)
    objective.evaluate(theta)
    gradient = objective.gradient[:N_TRAINED].copy()
    running = theta[N_TRAINED:]
    derivative = differences(lambda trained: sum(objective.evaluate(np.append(trained, running))), theta[:N_TRAINED])
    np.testing.assert_allclose(gradient, derivative, rtol=1e-6, atol=1e-9)


@pytest.mark.nojit
@dtypes
def test_integer_weights_equal_repeated_rows_with_batch_norm(dtype):
    theta, X, Y, _ = random_data(BATCH_NORMALIZED, dtype, 0, 7)
    counts = np.array([1, 2, 3, 1, 2, 1, 1])
    weighted = build(BATCH_NORMALIZED, X, Y, counts.astype(float))
    repeated = build(BATCH_NORMALIZED, np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0), None)
    assert_close(weighted.evaluate(theta), repeated.evaluate(theta), dtype)
    assert_close(weighted.gradient, repeated.gradient, dtype)


@dtypes
def test_batch_norm_never_splits_a_batch_into_chunks(dtype):
    theta, X, Y, weight = random_data(BATCH_NORMALIZED, dtype, 0, 20, weighted=True)
    whole = build(BATCH_NORMALIZED, X, Y, weight)
    with patch.object(objective_module, "CHUNK", 3):
        chunks = build(BATCH_NORMALIZED, X, Y, weight)
    assert chunks.evaluate(theta) == whole.evaluate(theta)
    np.testing.assert_array_equal(chunks.gradient, whole.gradient)


@pytest.mark.nojit
@dtypes
def test_running_moments_average_ten_batches_then_decay_exponentially(dtype):
    theta, X, Y, weight = random_data(BATCH_NORMALIZED, dtype, 0, 13 * 6, weighted=True)
    start, objective = exact(theta)[0], build(BATCH_NORMALIZED, X, Y, weight, 6)
    arrays = [None if a is None else np.split(a, 13) for a in exact(X, weight)]
    of_batches = [naive.moments(BATCH_NORMALIZED, start, x, w) for x, w in zip(*arrays, strict=True)]
    expected = np.mean(of_batches[:10], axis=0)
    for moments in of_batches[10:]:
        expected = 0.9 * expected + 0.1 * moments
    # in two calls with a learning rate of zero, which keeps the weights
    state = new_state(objective, SGD())
    run(objective, theta, np.arange(24), np.zeros(4), 6, SGD(), state=state)
    state.step = 4
    run(objective, theta, np.arange(24, 78), np.zeros(9), 6, SGD(), state=state)
    np.testing.assert_array_equal(theta[:N_TRAINED], start[:N_TRAINED].astype(dtype))
    assert_close(theta[N_TRAINED:], expected, dtype)


@pytest.mark.nojit
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_prediction_uses_the_running_moments(dtype, tolerance):
    theta, X, _, _ = random_data(BATCH_NORMALIZED, dtype, 2, 20)
    expected = naive.forward(BATCH_NORMALIZED, *exact(theta, X), running=True)
    network = network_of(BATCH_NORMALIZED)
    found = network.predict(X, theta, activate_output=False)
    np.testing.assert_allclose(found, expected.sums[-1], rtol=tolerance, atol=tolerance)
    for k in (1, 2):
        found = network.predict(X, theta, activate_output=False, n_hidden=k)
        np.testing.assert_allclose(found, expected.inputs[k], rtol=tolerance, atol=tolerance)


@pytest.mark.nojit
@dtypes
def test_constant_column_and_single_row_are_normalized_to_zero(dtype):
    theta = np.array([2, 0, 0, 0], dtype)
    starts = {"scales": 0, "means": 1, "variances": 2, "intercepts": 3}
    layer = layers.BatchNorm(1).spec(starts, TRAINING)
    for n_rows in (1, 8):
        value, _ = apply_in_place(layer, np.full((n_rows, 1), 7, dtype), theta)
        np.testing.assert_array_equal(value, 0)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-3)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_sets_the_moments_of_all_samples(diabetes, dtype, tolerance):
    X, y = diabetes
    net = MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", batch_norm=True, solver="lbfgs", max_iter=20)
    net.set_params(dtype=dtype, random_state=0).fit(X, y)
    twin = naive.Net((X.shape[1], 6, 4, 1), [Tanh()] * 2, ACTIVATIONS.resolve("identity"), SquaredError(), net.alpha)
    twin = twin._replace(normalization="batch_norm")
    theta = exact(net._parameters.vector)[0]
    expected = naive.moments(twin, theta, X)
    np.testing.assert_allclose(theta[naive.count_trained(twin) :], expected, rtol=tolerance, atol=tolerance)
    # with these moments, prediction matches training
    found, expected = net.predict(X), naive.forward(twin, theta, X).sums[-1][:, 0]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# --- layer normalization ----------------------------------------------------------------------------------------

LAYER_NORMALIZED = BATCH_NORMALIZED._replace(normalization="layer_norm")


@pytest.mark.nojit
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_layer_norm_standardizes_each_row_like_scikit_learn(dtype, tolerance):
    rng = np.random.default_rng(0)
    z = rng.normal(rng.normal(0, 50, (25, 1)), 3, (25, 7)).astype(dtype)
    scales = rng.normal(size=7)
    variances = z.astype(np.float64).var(axis=1, keepdims=True)
    # scikit-learn adds nothing to the variance
    expected = scale(z.astype(np.float64), axis=1) * np.sqrt(variances / (variances + 1e-5)) * scales
    for mode in (TRAINING, layers.Mode(None)):
        layer = layers.LayerNorm(7).spec({"scales": 0}, mode)
        np.testing.assert_allclose(
            apply_in_place(layer, z, scales.astype(dtype))[0], expected, rtol=tolerance, atol=tolerance
        )


@pytest.mark.nojit
@weights
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_layer_norm_matches_the_naive_net(dtype, tolerance, seed, weighted):
    theta, X, Y, weight = random_data(LAYER_NORMALIZED, dtype, seed, 20, weighted)
    objective = build(LAYER_NORMALIZED, X, Y, weight)
    found = *objective.evaluate(theta), objective.gradient
    expected = naive.loss_and_gradient(LAYER_NORMALIZED, *exact(theta, X, Y, weight))
    for actual, desired in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=tolerance)
    passes = naive.forward(LAYER_NORMALIZED, *exact(theta, X))
    outputs = network_of(LAYER_NORMALIZED).predict(X, theta, activate_output=False)
    np.testing.assert_allclose(outputs, passes.sums[-1], rtol=tolerance, atol=tolerance)


@weights
@pytest.mark.parametrize(
    "activation",
    [activation for activation in HIDDEN if not isinstance(activation, Step)],
    ids=lambda activation: activation.names[0],
)
def test_gradient_with_layer_norm_matches_finite_differences(activation, weighted):
    net = LAYER_NORMALIZED._replace(hidden=[activation, activation], alpha=0.3, l1=0.2)
    theta, X, Y, weight = away_from_kinks(net, 9, weighted)
    objective = build(net, X, Y, weight)
    objective.evaluate(theta)
    gradient = objective.gradient.copy()
    derivative = differences(lambda moved: sum(objective.evaluate(moved)), theta)
    np.testing.assert_allclose(gradient, derivative, rtol=1e-6, atol=1e-9)


@pytest.mark.nojit
@dtypes
def test_layer_norm_is_independent_of_the_rest_of_the_batch(dtype):
    theta, X, Y, weight = random_data(LAYER_NORMALIZED, dtype, 0, 20, weighted=True)
    whole = build(LAYER_NORMALIZED, X, Y, weight)
    with patch.object(objective_module, "CHUNK", 3):
        chunks = build(LAYER_NORMALIZED, X, Y, weight)
    assert_close(chunks.evaluate(theta), whole.evaluate(theta), dtype)
    assert_close(chunks.gradient, whole.gradient, dtype)
    constant = layers.LayerNorm(4).spec({"scales": 0}, TRAINING)
    np.testing.assert_array_equal(apply_in_place(constant, np.full((3, 4), 7, dtype), np.ones(4, dtype))[0], 0)


# --- dropout ----------------------------------------------------------------------------------------------------

DROPOUT_NET = naive.Net((4, 6, 5, 3), [Tanh(), Softplus()], Softmax(), LogLoss(), alpha=0.1)
DROPOUT_RATES = [0.2, 0.5, 0.3]
dropout_rates = pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])

# enough to detect a deviation of one in a thousand
N_ROWS, N_COLUMNS = 2000, 500


def mask(rate, rows, n_columns, key=2**40 + 12345, layer=1, dtype="float64"):
    """The dropout mask of the samples `rows`."""
    ones = np.ones((len(rows), n_columns), dtype)
    value, kept = apply_in_place(
        layers.Dropout(n_columns, rate, layer).spec({}, TRAINING), ones, np.zeros(0, dtype), rows=rows, key=key
    )
    np.testing.assert_array_equal(value, kept)
    return kept


@pytest.mark.nojit
@dtypes
@examples(60)
@given(
    key=st.integers(0, 2**62),
    layer=st.integers(0, 20),
    rows=st.lists(st.integers(0, 2**31), min_size=1, max_size=5),
    n_columns=st.integers(1, 30),
    rate=st.floats(1 / 64, 63 / 64, width=32),
)
def test_mask_matches_the_naive_mask(dtype, key, layer, rows, n_columns, rate):
    expected = naive.mask(key, layer, rows, n_columns, rate)
    found = mask(rate, np.array(rows), n_columns, key, layer, dtype)
    np.testing.assert_allclose(found, expected, rtol=10 * np.finfo(dtype).eps)


@dropout_rates
def test_kept_share_is_binomial(rate):
    kept = mask(rate, np.arange(N_ROWS), N_COLUMNS)
    np.testing.assert_array_equal(np.unique(kept), [0, 1 / (1 - rate)])
    kept, variance = kept > 0, rate * (1 - rate)
    # within five standard deviations
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(variance / kept.size)
    # the variances of the counts by column and by row; a sample variance has a relative standard error of sqrt(2 / n)
    for axis, n_sums in ((0, N_COLUMNS), (1, N_ROWS)):
        expected = variance * kept.shape[axis]
        assert abs(kept.sum(axis=axis).var(ddof=1) - expected) < 5 * expected * np.sqrt(2 / (n_sums - 1))


@dropout_rates
def test_masks_of_neighbors_are_uncorrelated(rate):
    rows, key = np.arange(N_ROWS), 2**40 + 12345
    here = mask(rate, rows, N_COLUMNS, key)
    wide = mask(rate, rows, N_COLUMNS + 64, key)
    others = {f"row + {n}": mask(rate, rows + n, N_COLUMNS, key) for n in (1, 2, 64)}
    others |= {f"column + {n}": wide[:, n : n + N_COLUMNS] for n in (1, 2, 64)}
    others |= {f"step + {n}": mask(rate, rows, N_COLUMNS, key + n) for n in (1, 2, 64)}
    others |= {"seed": mask(rate, rows, N_COLUMNS, key + 2**32), "layer": mask(rate, rows, N_COLUMNS, key, layer=2)}
    # combined: one step forward and one row back
    others |= {"step and row": mask(rate, rows - 1, N_COLUMNS, key + 1)[1:]}
    for name, other in others.items():
        correlation = np.corrcoef(here[-len(other) :].ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(other.size), name


def test_patterns_of_eight_neighbors_are_equally_frequent():
    rows, key = np.arange(N_ROWS), 77
    columns = mask(0.5, rows, 8 * (N_COLUMNS // 8), key).reshape(-1, 8)
    below = mask(0.5, rows, N_COLUMNS, key).reshape(-1, 8, N_COLUMNS).transpose(0, 2, 1).reshape(-1, 8)
    steps = np.stack([mask(0.5, rows, 50, key + step) for step in range(8)], axis=-1).reshape(-1, 8)
    for patterns in (columns, below, steps):
        numbers = np.packbits(patterns > 0, axis=1).ravel()
        assert chisquare(np.bincount(numbers, minlength=256)).pvalue > 1e-4


@pytest.mark.nojit
def test_mask_of_a_sample_is_independent_of_the_rest_of_the_batch():
    whole = mask(0.5, np.arange(40), 12)
    order = np.random.default_rng(0).permutation(40)[:15]
    np.testing.assert_array_equal(mask(0.5, order, 12), whole[order])


@pytest.mark.nojit
@weights
@pytest.mark.parametrize("normalization", [None, *layers.NORMALIZATIONS])
@dtypes
def test_gradient_with_dropout_matches_the_naive_net_with_the_same_mask(dtype, normalization, weighted):
    net = DROPOUT_NET._replace(normalization=normalization)
    theta, X, Y, weight = random_data(net, dtype, 0, 20, weighted)
    objective = build(net, X, Y, weight, dropout=DROPOUT_RATES)
    loss, penalty = objective.evaluate(theta)
    masks = naive.masks(net, DROPOUT_RATES, 0, np.arange(20))
    *expected, gradient = naive.loss_and_gradient(net, *exact(theta, X, Y, weight), masks=masks)
    assert_close([loss, penalty], expected, dtype)
    assert_close(objective.gradient[: gradient.size], gradient, dtype)


def test_gradient_with_dropout_matches_finite_differences():
    theta, X, Y, weight = random_data(DROPOUT_NET, "float64", 0, 9, weighted=True)
    objective = build(DROPOUT_NET, X, Y, weight, dropout=DROPOUT_RATES)
    objective.evaluate(theta)
    gradient = objective.gradient.copy()
    derivative = differences(lambda moved: sum(objective.evaluate(moved)), theta)
    np.testing.assert_allclose(gradient, derivative, rtol=1e-6, atol=1e-10)


def train_epoch(net, order, chunk_size=objective_module.CHUNK, calls=(5,), seed=3 * 2**33 + 1):
    """Parameters after five steps, divided into calls of so many steps and chunks of so many rows."""
    theta, X, Y, weight = random_data(net, "float64", 0, 50, weighted=True)
    with patch.object(objective_module, "CHUNK", chunk_size):
        objective = build(net, X, Y, weight, 10, dropout=DROPOUT_RATES)
    state = new_state(objective, SGD(), seed)
    for n in calls:
        rows = order[10 * state.step : 10 * (state.step + n)]
        run(objective, theta, rows, np.full(n, 0.1), 10, SGD(), state=state)
        state.step += n
    return theta


@pytest.mark.nojit
@pytest.mark.parametrize("hidden", [Tanh(), ReLU()], ids=["tanh", "relu"])
def test_training_with_dropout_depends_only_on_the_seed(hidden):
    net, order = DROPOUT_NET._replace(hidden=[hidden, hidden]), np.random.default_rng(1).permutation(50)
    theta = train_epoch(net, order)
    np.testing.assert_array_equal(train_epoch(net, order, calls=(1, 3, 1)), theta)
    np.testing.assert_allclose(train_epoch(net, order, chunk_size=3), theta, rtol=0, atol=1e-12)
    within_batches = np.concatenate([np.sort(rows) for rows in np.split(order, 5)])
    np.testing.assert_allclose(train_epoch(net, within_batches), theta, rtol=0, atol=1e-12)
    for seed in (3 * 2**33 + 2, 2 * 2**33 + 1):
        assert abs(train_epoch(net, order, seed=seed) - theta).max() > 1e-3


@dtypes
def test_zero_dropout_keeps_everything(dtype):
    theta, X, Y, _ = random_data(DROPOUT_NET, dtype, 0, 20)
    none, plain = build(DROPOUT_NET, X, Y, None, dropout=[0.0] * 3), build(DROPOUT_NET, X, Y, None)
    assert none.evaluate(theta) == plain.evaluate(theta)
    np.testing.assert_array_equal(none.gradient, plain.gradient)
