"""Optimizers: steps against the published updates, progress on test functions."""

from collections import defaultdict

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der

from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.signatures import Step
from sknn_iitb.optimizers import OPTIMIZERS, SGD, AdamW, Lion, Rprop

FIRST_ORDER = [cls() for cls in OPTIMIZERS if cls.kernel is not None]
# non-default hyperparameters; Lion needs a weight decay above zero
OTHERS = [SGD(momentum=0.5, nesterovs_momentum=False), Lion(weight_decay=0.1), Rprop(0.4, 1.5, 0.05, 0.1)]
OTHERS += [
    type(optimizer)(**{name: 0.9 * value for name, value in optimizer.get_params().items()})
    for optimizer in FIRST_ORDER
    if not isinstance(optimizer, (SGD, Rprop))
]

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
first_order = pytest.mark.parametrize("optimizer", FIRST_ORDER, ids=lambda optimizer: optimizer.names[0])
first_order_and_others = pytest.mark.parametrize("optimizer", FIRST_ORDER + OTHERS, ids=repr)


def run(optimizer, theta, gradient_of, learning_rates, decay=1.0):
    """Parameters after each step of the compiled update."""
    dtype = theta.dtype
    kernel = compiled("optimizer", optimizer.kernel, dtype, from_python=True).function
    theta, optimizer_state = theta.copy(), np.zeros((optimizer.n_state_vectors, theta.size), dtype)
    hyper = optimizer.hyper_array(np.float64)
    path = []
    for number, learning_rate in enumerate(learning_rates, start=1):
        gradient = gradient_of(theta, number).astype(dtype)
        step = Step(number, dtype.type(learning_rate), dtype.type(decay))
        kernel(theta, gradient, optimizer_state, hyper, step)
        path.append(theta.copy())
    return np.array(path)


def random_run(seed, n_steps, size, dtype):
    """Parameters, gradients and learning rates for `run`; some gradients are zero."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(n_steps, size)) * 10.0 ** rng.uniform(-2, 2, size)
    gradients[:, rng.random(size) < 0.2] = 0
    gradients, theta = gradients.astype(dtype), rng.normal(size=size).astype(dtype)
    return theta, gradients, rng.uniform(0.001, 0.1, n_steps).astype(dtype)


def given_runs(max_examples):
    """Random numbers of steps and parameters, whether or not they fill whole SIMD vectors."""
    strategies = {"seed": st.integers(0, 2**32 - 1), "n_steps": st.integers(1, 8), "size": st.integers(1, 40)}
    return lambda test: settings(deadline=None, max_examples=max_examples)(given(**strategies)(test))


@pytest.mark.nojit
@dtypes
@first_order_and_others
@pytest.mark.parametrize("decay", [0.0, 1.0])
@given_runs(10)
def test_steps_match_the_published_updates(optimizer, dtype, decay, seed, n_steps, size):
    theta, gradients, learning_rates = random_run(seed, n_steps, size, dtype)
    path = run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates, decay)
    expected, memory = theta.astype(np.float64), defaultdict(float)
    for step in range(1, n_steps + 1):
        expected = naive.update(
            optimizer,
            expected,
            gradients[step - 1].astype(np.float64),
            memory,
            float(learning_rates[step - 1]),
            decay,
            step,
        )
        # the relative rounding error of 1 - beta_2**t, and of steps divided by it, is up to 1,000 times that of 1
        eps = np.finfo(dtype).eps
        rounding = 50 * eps + 1000 * np.finfo(np.float64).eps * float(learning_rates[:step].sum())
        np.testing.assert_allclose(path[step - 1], expected, rtol=50 * eps, atol=rounding)


CURVATURE = np.array([1.0, 3.0, 10.0, 30.0])
# the share of the initial loss that may remain after 1,000 steps; the valley of Rosenbrock's function is at 0.17
PROBLEMS = {
    "quadratic": (lambda x: CURVATURE @ x**2 / 2, lambda x: CURVATURE * x, [1.0, -2.0, 3.0, -1.0], 0.01),
    "rosenbrock": (rosen, rosen_der, [-1.2, 1.0], 0.1),
}
LEARNING_RATES = {"sgd": 0.001, "adagrad": 1.0, "adadelta": 1.0}


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("problem", PROBLEMS)
@first_order
def test_loss_falls(optimizer, problem, dtype):
    f, gradient, start, remaining = PROBLEMS[problem]
    start = np.array(start, dtype)
    learning_rate = LEARNING_RATES.get(optimizer.names[0], 0.1)
    path = run(optimizer, start, lambda theta, _: gradient(theta.astype(np.float64)), np.full(1000, learning_rate))
    assert f(path[-1].astype(np.float64)) < remaining * f(start.astype(np.float64))


@pytest.mark.nojit
@dtypes
@first_order_and_others
@given_runs(5)
def test_zero_learning_rate_keeps_theta(optimizer, dtype, seed, n_steps, size):
    theta, gradients, _ = random_run(seed, n_steps, size, dtype)
    path = run(optimizer, theta, lambda _, step: gradients[step - 1], np.zeros(n_steps))
    np.testing.assert_array_equal(path, np.tile(theta, (n_steps, 1)))


@pytest.mark.nojit
@dtypes
@first_order_and_others
@given_runs(5)
def test_opposite_gradients_and_parameters_move_oppositely(optimizer, dtype, seed, n_steps, size):
    theta, gradients, learning_rates = random_run(seed, n_steps, size, dtype)
    path = run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates)
    mirrored = run(optimizer, -theta, lambda _, step: -gradients[step - 1], learning_rates)
    np.testing.assert_array_equal(path, -mirrored)


@pytest.mark.nojit
@dtypes
@first_order_and_others
@given_runs(5)
def test_parameter_moves_the_same_alone_and_among_others(optimizer, dtype, seed, n_steps, size):
    # training updates one parameter group after the other
    theta, gradients, learning_rates = random_run(seed, n_steps, size, dtype)
    path = run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates)
    alone = run(optimizer, theta[-1:], lambda _, step: gradients[step - 1, -1:], learning_rates)
    rounding = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(path[:, -1:], alone, rtol=rounding, atol=rounding)


@pytest.mark.nojit
@dtypes
@first_order_and_others
def test_nan_gradient_makes_the_parameter_nan(optimizer, dtype):
    # otherwise divergence would go unnoticed
    gradient = np.array([1.0, np.nan, 1.0])
    path = run(optimizer, np.ones(3, dtype), lambda *_: gradient, [0.1, 0.1])
    np.testing.assert_array_equal(np.isnan(path), [[False, True, False]] * 2)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("optimizer", [Lion(), Rprop()], ids=repr)
@given_runs(5)
def test_lion_and_rprop_use_only_signs(optimizer, dtype, seed, n_steps, size):
    # a power of 2 avoids rounding
    theta, gradients, learning_rates = random_run(seed, n_steps, size, dtype)
    path = run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates)
    scaled = run(optimizer, theta, lambda _, step: 256 * gradients[step - 1], learning_rates)
    np.testing.assert_array_equal(path, scaled)


@pytest.mark.nojit
@dtypes
@first_order_and_others
def test_decay_affects_only_optimizers_with_weight_decay(optimizer, dtype):
    theta, gradients, learning_rates = random_run(0, 5, 20, dtype)
    with_decay, without = (
        run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates, d) for d in (1.0, 0.0)
    )
    decays = optimizer.decays and optimizer.weight_decay > 0
    assert np.all(with_decay != without) if decays else np.all(with_decay == without)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("cls", [AdamW, Lion])
def test_decay_shrinks_parameters_by_learning_rate_times_weight_decay(cls, dtype):
    # without a gradient, only decay moves it
    theta = np.array([1.0, -2.0, 300.0], dtype)
    path = run(cls(weight_decay=0.5), theta, lambda theta, _: np.zeros_like(theta), [0.1, 0.01])
    np.testing.assert_allclose(path, [theta * 0.95, theta * 0.95 * 0.995], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.nojit
@dtypes
def test_rprop_grows_and_shrinks_within_its_bounds(dtype):
    optimizer = Rprop(shrink=0.5, grow=2.0, min_step=0.05, max_step=0.3)
    signs = np.array([1, 1, 1, -1, -1, 1, -1, 1, -1, -1])
    path = run(optimizer, np.zeros(1, dtype), lambda _, step: signs[step - 1 : step], np.full(10, 0.1))
    # a sign change halves the step and skips it; the next step neither grows nor shrinks
    moves = np.diff(path[:, 0], prepend=0)
    expected = [-0.1, -0.2, -0.3, 0, 0.15, 0, 0.075, 0, 0.05, 0.1]
    np.testing.assert_allclose(moves, expected, atol=8 * np.finfo(dtype).eps)


@pytest.mark.nojit
@dtypes
def test_rprop_steps_follow_the_learning_rate(dtype):
    moves = [-0.1, -0.12, -0.072, -0.0864]
    path = run(Rprop(), np.zeros(1, dtype), lambda _, step: np.ones(1), [0.1, 0.1, 0.05, 0.05])
    np.testing.assert_allclose(np.diff(path[:, 0], prepend=0), moves, rtol=1e-5)


@pytest.mark.nojit
@dtypes
def test_amsgrad_takes_smaller_steps_than_adam_after_a_large_gradient(dtype):
    adam, amsgrad = (OPTIMIZERS.resolve(name, {"beta_2": 0.5}) for name in ("adam", "amsgrad"))
    gradients = [10.0, 0.1, 0.1, 0.1, 0.1]
    moves = {
        optimizer: np.diff(
            run(optimizer, np.zeros(1, dtype), lambda _, step: np.array([gradients[step - 1]]), np.full(5, 0.1))[:, 0]
        )
        for optimizer in (adam, amsgrad)
    }
    assert np.all(abs(moves[amsgrad]) < abs(moves[adam]))


@pytest.mark.nojit
@dtypes
def test_custom_update_runs_as_written(dtype):
    def descent(theta, gradient, optimizer_state, hyper, step):
        for i in range(theta.size):
            theta[i] -= step.learning_rate * gradient[i]

    theta, gradients, learning_rates = random_run(0, 5, 20, dtype)
    custom, plain = (
        run(optimizer, theta, lambda _, step: gradients[step - 1], learning_rates)
        for optimizer in (OPTIMIZERS.resolve(descent), SGD(momentum=0.0, nesterovs_momentum=False))
    )
    np.testing.assert_allclose(custom, plain, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


def test_custom_update_with_a_wrong_signature_raises():
    with pytest.raises(ValueError, match=r"f\(theta, gradient, optimizer_state, hyper, step\)"):
        OPTIMIZERS.resolve(lambda theta, gradient: None)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"momentum": -0.1}),
        ("rmsprop", {"rho": 1.0}),
        ("adadelta", {"epsilon": 0.0}),
        ("adam", {"beta_1": 1.0}),
        ("adam", {"beta_2": -0.5}),
        ("adamw", {"weight_decay": -1.0}),
        ("rprop", {"shrink": 1.0}),
        ("rprop", {"grow": 1.0}),
        ("lbfgs", {"memory": 0}),
    ],
)
def test_out_of_range_hyperparameter_raises(name, parameters):
    (parameter,) = parameters
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of"):
        OPTIMIZERS.resolve(OPTIMIZERS[name](**parameters))
