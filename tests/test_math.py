"""The elementary functions of the kernels against NumPy in extended precision."""

import numpy as np
import pytest
import scipy.special

from sknn_iitb._jit import math
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._loops import elementwise


# wrapped as activations, which are compiled with the options and the loop of the package
def exp(z):
    return math.exp(z), 0.0


def expm1(z):
    return math.expm1(z), 0.0


def sigmoid(z):
    return math.sigmoid(z), 0.0


def tanh(z):
    return math.tanh(z), 0.0


def log1p_unit(z):
    return math.log1p_unit(z), 0.0


def scaled_tail(z):
    return math.scaled_tail(z), 0.0


DTYPES = ["float32", "float64"]


def evaluate(function, x):
    value = x.copy()[:, None]
    kernel = compiled("activation", function, x.dtype, elementwise, from_python=True).function
    kernel(value, np.zeros(1, x.dtype), np.empty_like(value), np.empty(0, x.dtype))
    return value[:, 0]


def numbers_of_all_magnitudes(dtype, largest):
    """Numbers from far below the rounding error of 1 to `largest`, uniform and log-uniform, of both signs."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.uniform(0, largest, 100_000), largest * 10.0 ** -rng.uniform(0, 25, 100_000)])
    return np.concatenate([sizes, -sizes]).astype(dtype)


def assert_within_ulps(actual, exact, n):
    spacing = np.spacing(abs(exact).astype(actual.dtype))
    error = abs(actual.astype(np.longdouble) - exact) / spacing
    worst = error.argmax()
    assert error[worst] <= n, f"{error[worst]:.1f} ulp: {actual[worst]!r} instead of {exact[worst]!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "formula", "largest", "ulps"),
    [
        (exp, np.exp, {"float32": 87, "float64": 708}, 2),
        (expm1, np.expm1, {"float32": 87, "float64": 708}, 3),
        (sigmoid, lambda x: 1 / (1 + np.exp(-x)), {"float32": 87, "float64": 708}, 3),
        (tanh, np.tanh, {"float32": 100, "float64": 1000}, 5),
    ],
    ids=["exp", "expm1", "sigmoid", "tanh"],
)
def test_functions_are_accurate_to_a_few_ulp(function, formula, largest, ulps, dtype):
    # the few worst cases of tanh lie between 10 and 11
    x = np.append(numbers_of_all_magnitudes(dtype, largest[dtype]), np.linspace(-12, 12, 200_001).astype(dtype))
    assert_within_ulps(evaluate(function, x), formula(x.astype(np.longdouble)), ulps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log1p_is_accurate_to_a_few_ulp_on_the_unit_interval(dtype):
    x = np.append(abs(numbers_of_all_magnitudes(dtype, 1.0)), np.array([0, 1], dtype))
    assert_within_ulps(evaluate(log1p_unit, x), np.log1p(x.astype(np.longdouble)), 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_tail_is_accurate_until_it_vanishes_beside_one(dtype):
    x = np.append(abs(numbers_of_all_magnitudes(dtype, 9.0)), np.array([0, 9], dtype))
    exact = scipy.special.erfcx(x.astype(float) * np.sqrt(0.5)) / 2
    # absolute error: the function is added to numbers near 1
    np.testing.assert_allclose(evaluate(scaled_tail, x), exact, rtol=0, atol=5 * np.finfo(dtype).eps)
    beyond = np.array([9.5, 1e3, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(evaluate(scaled_tail, beyond), evaluate(scaled_tail, np.full(3, 9, dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [exp, expm1, sigmoid, tanh, log1p_unit, scaled_tail])
def test_nan_stays_nan(function, dtype):
    # alone and among many: scalar and vector code
    assert np.isnan(evaluate(function, np.array([np.nan], dtype))).all()
    x = np.full(1000, 0.5, dtype)
    x[::7] = np.nan
    np.testing.assert_array_equal(np.isnan(evaluate(function, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_clamped_to_the_normal_numbers(dtype):
    info = np.finfo(dtype)
    low, one, high = evaluate(exp, np.array([-np.inf, 0, np.inf], dtype))
    # clamped at a whole number, within a factor e of the last normal number
    assert info.tiny <= low <= np.e * info.tiny
    assert one == 1
    assert info.max / np.e <= high <= info.max
    np.testing.assert_array_equal(evaluate(exp, np.array([-1000, 1000], dtype)), [low, high])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_goes_from_zero_to_one(dtype):
    low, half, high = evaluate(sigmoid, np.array([-np.inf, 0, np.inf], dtype))
    assert 0 <= low <= np.finfo(dtype).tiny
    assert (half, high) == (0.5, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_goes_from_minus_one_to_one_and_is_odd(dtype):
    np.testing.assert_array_equal(evaluate(tanh, np.array([-np.inf, -30, 0, 30, np.inf], dtype)), [-1, -1, 0, 1, 1])
    x = numbers_of_all_magnitudes(dtype, 10)
    np.testing.assert_array_equal(evaluate(tanh, -x), -evaluate(tanh, x))


def test_functions_match_numpy_from_python():
    x = np.linspace(0, 1, 7)
    np.testing.assert_array_equal(math.exp(x), np.exp(x))
    np.testing.assert_array_equal(math.expm1(x), np.expm1(x))
    np.testing.assert_array_equal(math.tanh(x), np.tanh(x))
    np.testing.assert_array_equal(math.log1p_unit(x), np.log1p(x))
    np.testing.assert_allclose(math.sigmoid(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-15)
