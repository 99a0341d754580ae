"""The compiled kernels against the naive net: forward, backward and training of whole networks."""

from unittest.mock import patch

import naive
import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nets import assert_close, build, exact, examples, network_of, new_state, random_data, run

from sknn_iitb._engine import network as network_module
from sknn_iitb._engine import objective as objective_module
from sknn_iitb._engine.constraints import ClipNorm, ClipValue, MaxNorm
from sknn_iitb._jit import intrinsics
from sknn_iitb._jit.records import pack
from sknn_iitb.activations import ACTIVATIONS, GELU, Logistic, ReLU, Softmax, Softplus, Step, Tanh
from sknn_iitb.losses import LogLoss, Perceptron, SquaredError
from sknn_iitb.optimizers import OPTIMIZERS, SGD, Adam

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

HIDDEN = [cls() for cls in ACTIVATIONS if cls.hidden]
SMOOTH = [Logistic(), Tanh(), GELU(), Softplus()]
# losses without kinks; test_losses.py covers all
OUTPUTS = [(SquaredError(), ACTIVATIONS.resolve(name)) for name in SquaredError.classifier_outputs]
OUTPUTS += [(LogLoss(), Logistic()), (LogLoss(), Softmax())]

seeds = st.integers(0, 2**32 - 1)
row_counts = st.integers(1, 30)
chunk_sizes = st.integers(1, 40)


@st.composite
def nets(draw, *first, others=HIDDEN):
    """Networks of up to 3 hidden layers, with the activations `first`, then some of `others`."""
    hidden = [*first, *draw(st.lists(st.sampled_from(others), max_size=3 - len(first)))]
    units = tuple(draw(st.one_of(st.integers(1, 8), st.integers(1, 70))) for _ in range(len(hidden) + 2))
    loss, output = draw(st.sampled_from(OUTPUTS))
    penalties = st.sampled_from([0.0, 0.1, 1.0])
    return naive.Net(units, hidden, output, loss, draw(penalties), draw(penalties))


def assume_no_kink(net, theta, X):
    """Reject data where a rounding error could move a weighted sum across a kink; all kinks are at whole numbers."""
    sums = naive.forward(net, *exact(theta, X)).sums
    assume(all(abs(z - np.round(z)).min() > 1e-5 for z in sums[:-1]))


@pytest.mark.nojit
@dtypes
@examples(50)
@given(net=nets(), n_rows=row_counts, chunk_size=chunk_sizes, seed=seeds)
def test_predict_matches_the_naive_net(dtype, net, n_rows, chunk_size, seed):
    theta, X, _, _ = random_data(net, dtype, seed, n_rows)
    assume_no_kink(net, theta, X)
    score = naive.forward(net, *exact(theta, X)).sums[-1]
    network = network_of(net)
    with patch.object(network_module, "CHUNK", chunk_size):
        assert_close(network.predict(X, theta, activate_output=False), score, dtype)
        if not isinstance(net.output, Softmax):
            value, _ = naive.activate(net.output, score)
            assert_close(network.predict(X, theta, activate_output=True), value, dtype)


def check_gradient(dtype, net, n_rows, chunk_size, weighted, seed):
    theta, X, Y, weight = random_data(net, dtype, seed, n_rows, weighted)
    assume_no_kink(net, theta, X)
    with patch.object(objective_module, "CHUNK", chunk_size):
        objective = build(net, X, Y, weight)
    loss, penalty = objective.evaluate(theta)
    expected = naive.loss_and_gradient(net, *exact(theta, X, Y, weight))
    for actual, wanted in zip((loss, penalty, objective.gradient), expected, strict=True):
        assert_close(actual, wanted, dtype)


@pytest.mark.nojit
@dtypes
@examples(50)
@given(net=nets(), n_rows=row_counts, chunk_size=chunk_sizes, weighted=st.booleans(), seed=seeds)
def test_gradient_matches_the_naive_net(dtype, net, n_rows, chunk_size, weighted, seed):
    check_gradient(dtype, net, n_rows, chunk_size, weighted, seed)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("activation", HIDDEN, ids=lambda activation: activation.names[0])
@examples(20)
@given(draw=st.data(), n_rows=row_counts, chunk_size=chunk_sizes, weighted=st.booleans(), seed=seeds)
def test_gradient_of_each_activation_matches_the_naive_net(dtype, activation, draw, n_rows, chunk_size, weighted, seed):
    check_gradient(dtype, draw.draw(nets(activation)), n_rows, chunk_size, weighted, seed)


@pytest.mark.nojit
@dtypes
@examples(50)
@given(
    net=nets(others=SMOOTH),
    n_rows=row_counts,
    chunk_size=chunk_sizes,
    batch_size=st.integers(1, 30),
    weighted=st.booleans(),
    nesterov=st.booleans(),
    seed=seeds,
)
def test_epoch_of_sgd_matches_the_naive_net(dtype, net, n_rows, chunk_size, batch_size, weighted, nesterov, seed):
    net = net._replace(l1=0.0)  # whose gradient jumps where a weight crosses zero
    theta, X, Y, weight = random_data(net, dtype, seed, n_rows, weighted)
    optimizer = SGD(momentum=0.5, nesterovs_momentum=nesterov)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_rows)
    batches = [order[start : start + batch_size] for start in range(0, n_rows, batch_size)]
    learning_rates = rng.uniform(0.001, 0.02, len(batches))
    with patch.object(objective_module, "CHUNK", chunk_size):
        objective = build(net, X, Y, weight, min(batch_size, n_rows))
    expected, *sums = naive.train(net, *exact(theta, X, Y, weight), optimizer, batches, learning_rates)
    found = run(objective, theta, order, learning_rates, batch_size, optimizer)
    assert_close(theta, expected, dtype)
    assert_close(found, sums, dtype)


NET = naive.Net((4, 6, 3), [Tanh()], Softmax(), LogLoss(), alpha=0.1, l1=0.2)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("max_rows", [1, 100, 1024, 1100])
def test_full_gradient_does_not_depend_on_the_batch_size(dtype, max_rows):
    theta, X, Y, weight = random_data(NET, dtype, 1, 1100, weighted=True)
    objective = build(NET, X, Y, weight, max_rows)
    loss, penalty = objective.evaluate(theta)
    expected = naive.loss_and_gradient(NET, *exact(theta, X, Y, weight))
    for actual, wanted in zip((loss, penalty, objective.gradient), expected, strict=True):
        assert_close(actual, wanted, dtype)


@pytest.mark.nojit
@pytest.mark.parametrize(
    "optimizer", [cls() for cls in OPTIMIZERS if cls.kernel], ids=lambda optimizer: optimizer.names[0]
)
def test_epoch_of_each_optimizer_matches_the_naive_net(optimizer):
    theta, X, Y, weight = random_data(NET, "float64", 0, 23, weighted=True)
    before = theta.copy()
    order, learning_rates = np.random.default_rng(0).permutation(23), np.array([0.05, 0.04, 0.03])
    expected, *sums = naive.train(NET, theta, X, Y, weight, optimizer, np.split(order, [10, 20]), learning_rates)
    objective = build(NET, X, Y, weight, 10)
    found = run(objective, theta, order, learning_rates, 10, optimizer)
    assert abs(theta - before).max() > 1e-4
    # some optimizers use the gradient's sign or divide by its size, so its rounding error grows
    np.testing.assert_allclose(theta, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found, sums, rtol=1e-10)


@pytest.mark.nojit
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_epoch_with_every_option_matches_the_naive_net(dtype, tolerance):
    net = NET._replace(units=(4, 6, 5, 5), hidden=[Tanh(), GELU()], normalization="batch_norm", output_groups=[0, 2, 5])
    theta, X, Y, weight = random_data(net, dtype, 0, 23, weighted=True)
    optimizer, dropout, seed = OPTIMIZERS.resolve("adamw"), [0.2, 0.3, 0.4], 2**40 + 7
    # bounds that take effect
    constraints = [(ClipValue(), 0.1), (ClipNorm(), 0.3), (MaxNorm(), 1.0)]
    order, learning_rates = np.random.default_rng(0).permutation(23), np.array([0.05, 0.04, 0.03])
    objective = build(net, X, Y, weight, 8, dropout=dropout)
    expected, *sums = naive.train(
        net,
        *exact(theta, X, Y, weight),
        optimizer,
        np.split(order, [8, 16]),
        learning_rates,
        constraints,
        dropout,
        seed,
    )
    found = run(
        objective, theta, order, learning_rates, 8, optimizer, constraints, new_state(objective, optimizer, seed)
    )
    np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found, sums, rtol=tolerance)


@pytest.mark.nojit
@dtypes
def test_epoch_in_two_calls_equals_epoch_in_one_call(dtype):
    theta, X, Y, weight = random_data(NET, dtype, 0, 20, weighted=True)
    optimizer, objective = OPTIMIZERS.resolve("adam"), build(NET, X, Y, weight, 4)
    order, learning_rates = np.arange(20), np.full(5, 0.01)
    whole = theta.copy()
    sums = run(objective, whole, order, learning_rates, 4, optimizer)
    state = new_state(objective, optimizer)
    first = run(objective, theta, order[:12], learning_rates[:3], 4, optimizer, state=state)
    state.step += 3
    second = run(objective, theta, order[12:], learning_rates[3:], 4, optimizer, state=state)
    np.testing.assert_array_equal(theta, whole)
    np.testing.assert_allclose(np.add(first, second), sums, rtol=1e-12)


@pytest.mark.nojit
@dtypes
def test_row_indices_equal_a_copy_of_the_rows(dtype):
    theta, X, Y, weight = random_data(NET, dtype, 0, 20, weighted=True)
    rows = np.array([3, 5, 7, 11, 13, 17, 19])
    indexed, subset = build(NET, X, Y, weight, 7, rows), build(NET, X[rows], Y[rows], weight[rows])
    assert indexed.evaluate(theta) == subset.evaluate(theta)
    np.testing.assert_array_equal(indexed.gradient, subset.gradient)
    np.testing.assert_array_equal(indexed.order(np.arange(7)[::-1]), rows[::-1])


@pytest.mark.nojit
@dtypes
def test_integer_weights_equal_repeated_rows(dtype):
    theta, X, Y, _ = random_data(NET, dtype, 0, 5)
    counts = np.array([1, 2, 3, 1, 2])
    # the penalty is divided by rows * mean weight, which is also the number of repeated rows
    weighted = build(NET, X, Y, counts.astype(float))
    repeated = build(NET, np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0), None)
    assert_close(weighted.evaluate(theta), repeated.evaluate(theta), dtype)
    assert_close(weighted.gradient, repeated.gradient, dtype)


@dtypes
def test_read_only_arrays_are_accepted(dtype):
    # joblib memory-maps data for its workers, and models on request
    theta, X, Y, weight = random_data(NET, dtype, 0, 20, weighted=True)
    network = network_of(NET)
    loss, score = build(NET, X, Y, weight).evaluate(theta), network.predict(X, theta, False)
    for array in (theta, X, Y, weight):
        array.flags.writeable = False
    np.testing.assert_array_equal(network.predict(X, theta, False), score)
    assert build(NET, X, Y, weight).evaluate(theta.copy()) == loss
    assert build(NET, X, Y, weight).evaluate(theta) == loss


@dtypes
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, -1], ids=["weight", "bias"])
def test_non_finite_parameter_makes_the_loss_nan(place, bad, dtype):
    theta, X, Y, _ = random_data(NET, dtype, 0, 20)
    # behind an inactive relu, no score is affected
    net = NET._replace(hidden=[ReLU()])
    theta[place] = bad
    loss, _ = run(build(net, X, Y, None), theta, np.arange(20), np.zeros(1), 20, SGD())
    assert np.isnan(loss)


@pytest.mark.nojit
@dtypes
def test_step_with_perceptron_loss_is_rosenblatts_rule(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(dtype)
    y = np.where(X @ [1, -2, 0.5] > 0.1, 1.0, -1.0)
    w = np.zeros(4, dtype)
    for x, sign in zip(np.column_stack([X, np.ones(40, dtype)]), y.astype(dtype), strict=True):
        if sign * (x @ w) <= 0:
            w += sign * x
    net = naive.Net((3, 1), [], Step(), Perceptron(), 0.0)
    theta = np.zeros(4, dtype)
    objective = build(net, X, y.astype(dtype)[:, None], None, 1)
    run(objective, theta, np.arange(40), np.ones(40), 1, SGD(momentum=0.0))
    assert_close(theta, w, dtype)


@pytest.mark.parametrize("record", ["_problem", "_memory", "_update"])
def test_pack_rejects_arrays_of_wrong_type_or_order(record):
    theta, X, Y, weight = random_data(NET, "float64", 0, 23, weighted=True)
    objective = build(NET, X, Y, weight, 23)
    run(objective, theta, np.arange(23), np.full(1, 0.1), 23, SGD())
    values = getattr(objective, record)
    names = [name for name, value in values._asdict().items() if isinstance(value, np.ndarray)]
    assert names
    for name in names:
        wrong = values._replace(**{name: getattr(values, name).astype(np.int16)})
        with pytest.raises(TypeError, match=f"{name} must be .* in C order, got int16"):
            pack([wrong], theta.dtype)
    with pytest.raises(TypeError, match="Y must be"):
        pack([objective._problem._replace(Y=np.asfortranarray(Y))], theta.dtype)


@pytest.mark.skipif(numba.config.DISABLE_JIT or not intrinsics.IS_X86, reason="needs compiled code on x86")
def test_decaying_mean_is_flushed_to_zero():
    theta, X, Y, weight = random_data(NET, "float32", 0, 23)
    X[:, 0] = 0  # the weights of this input have a zero gradient
    objective = build(NET._replace(alpha=0.0, l1=0.0), X, Y, weight, 23)
    optimizer = Adam()
    state = new_state(objective, optimizer)
    state.optimizer_state[...] = np.finfo("float32").tiny * 1.01
    run(objective, theta, np.arange(23), np.full(1, 0.0), 23, optimizer, state=state)
    of_first_input = state.optimizer_state.reshape(2, -1)[0, : NET.units[1]]
    assert not of_first_input.any()
    assert np.float32(1e-40) * np.float32(1) > 0  # the processor's mode is restored
