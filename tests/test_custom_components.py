"""Custom components: plain functions that train like the components of the package."""

import functools
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import cloudpickle
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._jit import compilation
from sknn_iitb.activations import LeakyReLU
from sknn_iitb.optimizers import SGD
from sknn_iitb.schedules import WarmUp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]


# copies of built-in components
def custom_tanh(z):
    t = np.tanh(z)
    return t, 1.0 - t * t


def custom_leaky_relu(z):
    return (z, 1.0) if z > 0 else (0.01 * z, 0.01)


def custom_squared_error(value, target):
    return 0.5 * (value - target) ** 2, value - target


def custom_sgd(theta, gradient, optimizer_state, hyper, step):
    for i in range(theta.size):
        theta[i] -= step.learning_rate * gradient[i]


def custom_rmsprop(theta, gradient, optimizer_state, hyper, step):
    for i in range(theta.size):
        optimizer_state[0, i] = 0.9 * optimizer_state[0, i] + 0.1 * gradient[i] * gradient[i]
        theta[i] -= step.learning_rate * gradient[i] / (np.sqrt(optimizer_state[0, i]) + 1e-8)


def custom_linear(step, n_steps):
    return 1 - step / n_steps


def custom_step(step, n_steps):
    # for a single step at a time
    if step < n_steps / 2:
        return 1.0
    return 0.1


# components that the package lacks
def bent_identity(z):
    root = np.sqrt(z * z + 1.0)
    return 0.5 * (root - 1.0) + z, 0.5 * z / root + 1.0


def quartic(value, target):
    residual = value - target
    return 0.25 * residual**4, residual**3


def sign_descent(theta, gradient, optimizer_state, hyper, step):
    for i in range(theta.size):
        optimizer_state[0, i] = 0.9 * optimizer_state[0, i] + 0.1 * gradient[i]
        theta[i] -= step.learning_rate * np.sign(optimizer_state[0, i])


def saw(step, n_steps):
    return 1.0 - (step % 10) / 10


BUILTIN_COPIES = [
    ("activation", custom_tanh, "tanh"),
    ("activation", custom_leaky_relu, "leaky_relu"),
    ("loss", custom_squared_error, "squared_error"),
    ("solver", custom_sgd, SGD(momentum=0)),
    ("solver", custom_rmsprop, "rmsprop"),
    ("learning_rate", custom_linear, "linear"),
]

NEW = [("activation", bent_identity), ("loss", quartic), ("solver", sign_descent), ("learning_rate", saw)]


def _regressor(**parameters):
    return MLPRegressor(**{"hidden_layer_sizes": 6, "max_iter": 10, "batch_size": 50, "random_state": 0, **parameters})


def _classifier(**parameters):
    return MLPClassifier(**{"hidden_layer_sizes": 6, "max_iter": 10, "batch_size": 50, "random_state": 0, **parameters})


def _from_cell(source, name, **namespace):
    """A function as a notebook cell defines it: in __main__, without a source file."""
    namespace = {"np": np, "__name__": "__main__", **namespace}
    exec(compile(textwrap.dedent(source), "<cell>", "exec"), namespace)
    return namespace[name]


@pytest.mark.nojit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("parameter", "function", "builtin"), BUILTIN_COPIES, ids=lambda value: getattr(value, "__name__", None)
)
def test_function_trains_like_the_builtin_component(diabetes, parameter, function, builtin, dtype):
    X, y = diabetes
    X, y = X[:100], y[:100]
    custom = _regressor(**{parameter: function}, dtype=dtype, max_iter=3).fit(X, y)
    expected = _regressor(**{parameter: builtin}, dtype=dtype, max_iter=3).fit(X, y)
    assert custom.parameters_.dtype == dtype
    rtol = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(custom.parameters_, expected.parameters_, rtol=rtol, atol=rtol / 100)
    np.testing.assert_allclose(custom.loss_curve_, expected.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(custom.learning_rate_curve_, expected.learning_rate_curve_, rtol=1e-12)


@pytest.mark.parametrize("output", ["logistic", "tanh", "identity"])
def test_loss_trains_a_classifier_like_the_builtin_loss(cancer, output):
    custom = _classifier(loss=custom_squared_error, output_activation=output).fit(*cancer)
    expected = _classifier(loss="squared_error", output_activation=output).fit(*cancer)
    np.testing.assert_allclose(custom.parameters_, expected.parameters_, rtol=1e-9, atol=1e-12)
    assert hasattr(custom, "predict_proba") == (output != "identity")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("parameter", "function"), NEW, ids=lambda value: getattr(value, "__name__", None))
def test_new_component_trains(cancer, diabetes, parameter, function, dtype):
    net = _classifier(**{parameter: function}, learning_rate_init=0.01, max_iter=60, dtype=dtype)
    assert net.fit(*cancer).score(*cancer) > 0.95  # 0.63 by chance
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    net = _regressor(**{parameter: function}, learning_rate_init=0.01, max_iter=60, dtype=dtype)
    assert net.fit(*diabetes).score(*diabetes) > 0.4  # 0 by chance


def test_all_four_components_train_together(cancer):
    net = _classifier(**dict(NEW), learning_rate_init=0.01, max_iter=60)
    assert cross_val_score(net, *cancer, cv=3).mean() > 0.93


# --- arguments ------------------------------------------------------------------------------------------------------


def test_schedule_gets_every_step_and_their_number(iris):
    seen = []

    def spy(step, n_steps):
        seen.append((step.copy(), n_steps))
        return np.ones(len(step))

    net = _regressor(learning_rate=spy, max_iter=7, batch_size=40, n_iter_no_change=100).fit(
        iris[0][:, :3], iris[0][:, 3]
    )
    assert net.n_iter_ == 7
    np.testing.assert_array_equal(np.concatenate([step for step, _ in seen]), np.arange(7 * 4))
    assert {n_steps for _, n_steps in seen} == {7 * 4}


def test_schedule_may_take_a_single_step(diabetes):
    net = _regressor(learning_rate=custom_step, learning_rate_init=0.02, max_iter=4).fit(*diabetes)
    np.testing.assert_allclose(net.learning_rate_curve_, [0.02, 0.02, 0.002, 0.002])


def test_schedule_warms_up(diabetes):
    net = _regressor(learning_rate=WarmUp(custom_linear, duration=18), max_iter=4).fit(*diabetes)
    first = np.arange(4) * 9  # batches in an epoch
    np.testing.assert_allclose(net.learning_rate_curve_, 0.001 * np.minimum(1, (first + 1) / 18) * (1 - first / 36))


def test_optimizer_gets_two_state_vectors_decay_for_weights_and_steps_from_1(diabetes):
    def bookkeeping(theta, gradient, optimizer_state, hyper, step):
        # state vectors are zero before the first step
        for i in range(theta.size):
            optimizer_state[0, i] += 1.0
            optimizer_state[1, i] += step.number
            theta[i] = (
                1000.0 * step.decay
                + 100.0 * optimizer_state.shape[0]
                + 10.0 * optimizer_state[0, i]
                + optimizer_state[1, i]
            ) / 1024.0

    net = _regressor(solver=bookkeeping, max_iter=3, batch_size="full", n_iter_no_change=100).fit(*diabetes)
    expected = 200 + 30 + (1 + 2 + 3)
    for weights, biases in zip(net.coefs_, net.intercepts_, strict=True):
        np.testing.assert_array_equal(1024 * weights, 1000 + expected)
        np.testing.assert_array_equal(1024 * biases, expected)


@pytest.mark.nojit
def test_wrapper_is_identified_by_its_own_arguments_and_source(diabetes):
    numba_tanh, numba_squared_error = numba.njit(custom_tanh), numba.njit(custom_squared_error)

    @functools.wraps(LeakyReLU.function)  # which also takes the slope
    def wrapper(z):
        return numba_tanh(z)

    @functools.wraps(custom_squared_error)
    def any_number(*arguments):
        return numba_squared_error(*arguments)

    X, y = diabetes
    wrapped = _regressor(activation=wrapper, loss=any_number, max_iter=2).fit(X, y)
    plain = _regressor(activation=custom_tanh, loss=custom_squared_error, max_iter=2).fit(X, y)
    np.testing.assert_allclose(wrapped.parameters_, plain.parameters_, rtol=1e-10)


# --- copies and the cache -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parameter", "function"), NEW, ids=lambda value: getattr(value, "__name__", None))
def test_functions_survive_clone_and_pickle(diabetes, parameter, function):
    X, y = diabetes
    net = _regressor(**{parameter: function})
    assert getattr(clone(net), parameter) is function
    whole = clone(net).partial_fit(X, y)
    other = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(other.predict(X), whole.predict(X))
    for each in (whole, other):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(other.parameters_, whole.parameters_)


SOURCES = {
    "activation": """
        def component(z):
            return (z, 1.0) if z > 0 else (SLOPE * z, SLOPE)
    """,
    "loss": """
        def component(value, target):
            residual = value - target
            return SLOPE * residual**2, 2 * SLOPE * residual
    """,
    "solver": """
        def component(theta, gradient, optimizer_state, hyper, step):
            for i in range(theta.size):
                theta[i] -= SLOPE * step.learning_rate * gradient[i]
    """,
}


@pytest.mark.parametrize("parameter", SOURCES)
def test_unpickled_copy_is_not_recompiled(diabetes, parameter):
    X, y = diabetes
    function = _from_cell(SOURCES[parameter], "component", SLOPE=0.1)
    first = _regressor(**{parameter: function}, max_iter=2).fit(X, y)
    n_compiled = len(compilation._memo)
    for _ in range(3):
        other = cloudpickle.loads(cloudpickle.dumps(clone(first)))
        assert getattr(other, parameter) is not function
        np.testing.assert_array_equal(other.fit(X, y).parameters_, first.parameters_)
    assert len(compilation._memo) == n_compiled


@pytest.mark.parametrize("parameter", SOURCES)
def test_functions_with_different_globals_are_distinguished(diabetes, parameter):
    def trained(function):
        return _regressor(**{parameter: function}, max_iter=2).fit(*diabetes).parameters_

    functions = [_from_cell(SOURCES[parameter], "component", SLOPE=slope) for slope in (0.25, 0.5, 1, 1.0)]
    results = [trained(function) for function in functions]
    assert not np.array_equal(results[0], results[1])
    assert not np.array_equal(results[1], results[2])
    np.testing.assert_array_equal(results[2], results[3])
    # a cell that is run again with a different value
    functions[0].__globals__["SLOPE"] = 0.5
    np.testing.assert_array_equal(trained(functions[0]), results[1])


def test_closures_with_different_values_are_distinguished(diabetes):
    def with_closure(slope):
        def g(z):
            return (z, 1.0) if z > 0 else (slope * z, slope)

        return g

    results = [_regressor(activation=with_closure(slope), max_iter=2).fit(*diabetes) for slope in (0.01, 0.5, 0.01)]
    expected = _regressor(activation="leaky_relu", max_iter=2).fit(*diabetes)
    np.testing.assert_allclose(results[0].parameters_, expected.parameters_, rtol=1e-10)
    np.testing.assert_array_equal(results[2].parameters_, results[0].parameters_)
    assert not np.array_equal(results[1].parameters_, results[0].parameters_)


def test_grid_search_over_names_and_functions(cancer):
    grid = {"activation": ["relu", bent_identity], "learning_rate": ["cosine", saw], "solver": ["adam", sign_descent]}
    search = GridSearchCV(_classifier(learning_rate_init=0.01), grid, cv=3).fit(*cancer)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        direct = _classifier(learning_rate_init=0.01, **parameters)
        assert cross_val_score(direct, *cancer, cv=3).mean() == score


NOTEBOOK = """
    import pickle
    import warnings

    import numpy as np
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import scale

    from sknn_iitb import MLPRegressor
    from sknn_iitb._jit import compilation

    def activation(z):
        return (z, 1.0) if z > 0 else (SLOPE * z, SLOPE)

    SLOPE = 0.1

    CELL = '''
    def loss(value, target):
        residual = value - target
        return 0.25 * residual**4, residual**3

    def solver(theta, gradient, optimizer_state, hyper, step):
        for i in range(theta.size):
            optimizer_state[0, i] = 0.9 * optimizer_state[0, i] + 0.1 * gradient[i]
            theta[i] -= step.learning_rate * np.sign(optimizer_state[0, i])

    def learning_rate(step, n_steps):
        return 1 - step / n_steps
    '''
    exec(compile(CELL, "<cell>", "exec"))

    def n_compiled(net, X, y):
        return len([key for key in compilation._memo if key[0] in ("activation", "loss", "optimizer")])

    if __name__ == "__main__":
        warnings.simplefilter("ignore")
        X, y = load_diabetes(return_X_y=True)
        X, y = scale(X), scale(y)
        components = {"activation": activation, "loss": loss, "solver": solver, "learning_rate": learning_rate}
        net = MLPRegressor(hidden_layer_sizes=5, max_iter=5, random_state=0, **components)
        grid = {"alpha": [0.0, 0.1, 1.0, 10.0]}
        scoring = {"r2": "r2", "compiled": n_compiled}
        search = GridSearchCV(net, grid, cv=3, n_jobs=2, scoring=scoring, refit="r2", error_score="raise").fit(X, y)
        alone = GridSearchCV(net, grid, cv=3, error_score="raise").fit(X, y)
        assert np.array_equal(search.cv_results_["mean_test_r2"], alone.cv_results_["mean_test_score"])
        counts = {n for split in range(3) for n in search.cv_results_[f"split{split}_test_compiled"]}
        assert counts == {3}, counts  # once per worker, however many tasks it runs
        again = pickle.loads(pickle.dumps(search.best_estimator_))
        assert np.array_equal(again.predict(X), search.predict(X))
        print("done")
"""


def test_notebook_functions_reach_grid_search_workers(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(textwrap.dedent(NOTEBOOK))
    package = str(Path(compilation.__file__).parents[1])  # which may not be installed
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, env=environment)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


# --- errors ---------------------------------------------------------------------------------------------------------


def no_slope(z):
    return z * 2.0  # the marked line


def no_such_function(value, target):
    return np.no_such_function(value - target), 1.0  # the marked line


def calls_python(theta, gradient, optimizer_state, hyper, step):
    theta[:] = print()  # the marked line


@pytest.mark.parametrize(
    ("parameter", "function", "family"),
    [
        ("activation", no_slope, "activation"),
        ("loss", no_such_function, "loss"),
        ("solver", calls_python, "optimizer"),
    ],
)
@pytest.mark.parametrize("fitted", [False, True])
def test_error_quotes_a_function_that_cannot_be_compiled(diabetes, parameter, function, family, fitted):
    X, y = diabetes
    net = _regressor()
    if fitted:
        before = net.fit(X, y).predict(X)
    net.set_params(**{parameter: function})
    with pytest.raises(ValueError, match=f"custom {family} '{function.__name__}'") as caught:
        net.fit(X, y)
    assert "the marked line" in str(caught.value)
    assert hasattr(net, "coefs_") == fitted
    if fitted:
        np.testing.assert_array_equal(net.predict(X), before)


def test_error_quotes_the_source_of_a_wrapper(diabetes):
    @functools.wraps(custom_tanh)
    def wrapper(z):
        return z.no_such_attribute, 1.0

    with pytest.raises(ValueError, match="custom activation") as caught:
        _regressor(activation=wrapper).fit(*diabetes)
    quoted = str(caught.value).partition("Failed in")[0]
    assert "return z.no_such_attribute, 1.0" in quoted
    assert "np.tanh" not in quoted


def test_error_names_a_function_without_a_source(diabetes):
    function = _from_cell("def from_a_cell(z):\n    return z.no_such_attribute, 1.0", "from_a_cell")
    with pytest.raises(ValueError, match="custom activation 'from_a_cell'"):
        _regressor(activation=function).fit(*diabetes)


class Callable:
    def __call__(self, z):
        return z, 1.0


FORMS = {
    "activation": r"activation.*g\(z\)",
    "loss": r"loss.*f\(value, target\)",
    "solver": r"solver.*f\(theta, gradient, optimizer_state, hyper, step\)",
    "learning_rate": r"learning_rate.*f\(step, n_steps\)",
}


@pytest.mark.parametrize("function", [lambda: 1.0, lambda a, b, c: (a, b), np.sin, Callable(), pow])
@pytest.mark.parametrize("parameter", FORMS)
def test_error_for_a_wrong_signature_shows_the_expected_one(diabetes, parameter, function):
    with pytest.raises(ValueError, match=FORMS[parameter]):
        _regressor(**{parameter: function}).fit(*diabetes)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda step, n_steps: -1.0,
        lambda step, n_steps: np.nan,
        lambda step, n_steps: np.inf,
        lambda step, n_steps: np.ones(3),
        lambda step, n_steps: 1.0 - 2.0 * (step >= 60),  # negative only late in training
        lambda step, n_steps: "fast",
        lambda step, n_steps: None,
    ],
)
def test_schedule_that_returns_invalid_factors_raises(diabetes, schedule):
    X, y = diabetes
    net = _regressor().fit(X, y)
    before = net.predict(X)
    net.set_params(learning_rate=schedule)
    with pytest.raises(ValueError, match=r"learning_rate=.*finite factors >= 0"):
        net.fit(X, y)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("solver", [custom_sgd, SGD()])
def test_flat_parameter_beside_a_function_raises(diabetes, solver):
    with pytest.raises(ValueError, match=r"momentum=0.5.*solver="):
        _regressor(solver=solver, momentum=0.5).fit(*diabetes)


def raises(z):
    if z < 1e9:
        raise ValueError("raised by the user")
    return z, 1.0


@pytest.mark.nojit
def test_exception_in_a_function_reaches_the_user(diabetes):
    net = _regressor().fit(*diabetes)
    before = net.parameters_.copy()
    net.set_params(activation=raises)
    with pytest.raises(ValueError, match="raised by the user"):
        net.fit(*diabetes)
    np.testing.assert_array_equal(net.parameters_, before)


def _pair_without_derivative(z):
    return (z,)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled code")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"activation": lambda z: np.maximum(z, 0)},
            r"activation '<lambda>' must return two numbers, the value and the derivative at z, .* returned .*0\.5",
        ),
        ({"activation": _pair_without_derivative}, r"activation '_pair_without_derivative' must return two numbers"),
        ({"activation": lambda z: (z, 1.0, 0.0)}, r"returned .*0\.5.*, 1\.0, 0\.0\)"),
        ({"activation": lambda z: None}, "returned None"),
        (
            {"loss": lambda value, target: (value - target) ** 2},
            r"loss '<lambda>' must return two numbers, the loss and its derivative, .* returned .*0\.0",
        ),
    ],
    ids=["value", "one", "three", "none", "loss"],
)
def test_function_without_derivative_says_what_to_return(diabetes, parameters, message):
    with pytest.raises(ValueError, match=message) as caught:
        MLPRegressor(max_iter=1, **parameters).fit(*diabetes)
    assert "nopython" not in str(caught.value)
