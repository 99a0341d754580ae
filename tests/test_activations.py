"""Activations: values and slopes against formulas, slopes against finite differences, special numbers."""

import naive
import numpy as np
import pytest

from sknn_iitb._jit.compilation import compiled
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import ACTIVATIONS, CELU, ELU, GELU, SELU, Mish, ReLU, SiLU, Step

ELEMENTWISE = [cls() for cls in ACTIVATIONS if cls.function is not None]
# non-default hyperparameters
ELEMENTWISE += [
    type(activation)(**{name: 0.7 * value for name, value in activation.get_params().items()})
    for activation in ELEMENTWISE
    if activation.get_params()
]

# the layer's loop differs for rows shorter and longer than 64
widths = pytest.mark.parametrize("width", [7, 70])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
activations = pytest.mark.parametrize("activation", ELEMENTWISE, ids=repr)


def evaluate(activation, z, bias=None):
    """Value and slope of the compiled loop at z + bias."""
    value, slope = z.copy(), np.full_like(z, np.nan)
    bias = np.zeros(z.shape[1], z.dtype) if bias is None else bias
    kernel = compiled("activation", activation.function, z.dtype, elementwise, from_python=True).function
    kernel(value, bias, slope, activation.hyper_array(z.dtype))
    return value, slope


def away_from_kinks(width):
    """Numbers strictly between -5 and 5, none within 0.01 of a whole number, where all kinks are."""
    z = np.linspace(-5, 5, 30 * width + 2)[1:-1]
    near = np.round(z)
    return np.where(abs(z - near) < 0.01, near + 0.02, z).reshape(30, width)


@pytest.mark.nojit
@widths
@pytest.mark.parametrize(
    "activation", [activation for activation in ELEMENTWISE if not isinstance(activation, Step)], ids=repr
)
def test_slope_matches_finite_differences(activation, width):
    z, h = away_from_kinks(width), 1e-3
    _, slope = evaluate(activation, z)
    # five points: an error of order h**4
    value = {k: evaluate(activation, z + k * h)[0] for k in (-2, -1, 1, 2)}
    derivative = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)
    # the rounding error of the values, 1e-16, is divided by h
    np.testing.assert_allclose(slope, derivative, rtol=1e-6, atol=1e-11)


@pytest.mark.nojit
@dtypes
@widths
@activations
def test_value_and_slope_match_the_formulas(activation, width, dtype):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20, width)) * rng.choice([1e-4, 1, 10], size=(20, width))
    z, bias = z.astype(dtype), rng.normal(size=width).astype(dtype)
    value, slope = evaluate(activation, z, bias)
    total = (z + bias).astype(np.float64)
    expected_value, expected_slope = naive.activate(activation, total)
    # a small difference that multiplies a large argument has the rounding error of 1
    rounding = 8 * np.finfo(dtype).eps
    assert np.all(abs(value - expected_value) <= rounding * (np.maximum(1, abs(total)) + abs(expected_value)))
    assert np.all(abs(slope - expected_slope) <= rounding * (np.maximum(1, abs(total)) + abs(expected_slope)))


@pytest.mark.nojit
@dtypes
@widths
@activations
def test_value_and_slope_match_the_formulas_at_whole_numbers(activation, width, dtype):
    # which include the kinks
    z = np.tile(np.arange(-4, 5, dtype=dtype)[:, None], width)
    value, slope = evaluate(activation, z)
    expected_value, expected_slope = naive.activate(activation, z.astype(np.float64))
    rounding = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, expected_value, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(slope, expected_slope, rtol=rounding, atol=rounding)


@dtypes
@widths
@activations
def test_value_and_slope_reach_their_limits_far_from_zero(activation, width, dtype):
    z = np.tile(np.array([[-1000], [-100], [100], [1000]], dtype), width)
    value, slope = evaluate(activation, z)
    with np.errstate(over="ignore"):
        expected_value, expected_slope = (a.astype(dtype) for a in naive.activate(activation, z.astype(np.float64)))
    # values beyond the range of the dtype are clamped to finite numbers
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    fits = np.isfinite(expected_value)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(value[fits], expected_value[fits], rtol=8 * eps, atol=8 * eps)
    np.testing.assert_allclose(slope[fits], expected_slope[fits], rtol=8 * eps, atol=8 * eps)


@dtypes
@widths
@pytest.mark.parametrize("activation", [GELU(), SiLU(), Mish()], ids=repr)
def test_smooth_rectifiers_reach_their_limits_at_the_largest_floats(activation, width, dtype):
    huge = np.finfo(dtype).max
    z = np.tile(np.array([[-np.inf], [-huge], [-1e30], [1e30], [huge]], dtype), width)
    value, slope = evaluate(activation, z)
    np.testing.assert_allclose(value[:3], 0, atol=1e-30)
    np.testing.assert_allclose(slope[:3], 0, atol=1e-30)
    np.testing.assert_array_equal(value[3:], z[3:])
    np.testing.assert_allclose(slope[3:], 1, rtol=1e-30)


@dtypes
@widths
@pytest.mark.parametrize(
    "activation", [activation for activation in ELEMENTWISE if isinstance(activation, (ELU, SELU, CELU))], ids=repr
)
def test_exponential_linear_units_are_accurate_just_below_zero(activation, width, dtype):
    z = np.tile(-np.logspace(-30, 0, 40, dtype=dtype)[:, None], width)
    value, _ = evaluate(activation, z)
    expected, _ = naive.activate(activation, z.astype(np.float64))
    np.testing.assert_allclose(value, expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.nojit
@dtypes
@widths
@activations
def test_nan_propagates(activation, width, dtype):
    z = np.full((5, width), 0.5, dtype)
    z[1, ::3] = z[4, -1] = np.nan
    value, _ = evaluate(activation, z)
    np.testing.assert_array_equal(np.isnan(value), np.isnan(z))


@pytest.mark.nojit
@dtypes
@widths
def test_step_is_half_at_zero_and_has_a_surrogate_slope_of_half_up_to_one(width, dtype):
    z = np.tile(np.array([[-1.01], [-1.0], [-1e-30], [-0.0], [0.0], [1e-30], [1.0], [1.01]], dtype), width)
    value, slope = evaluate(Step(), z)
    np.testing.assert_array_equal(value, np.tile([[0], [0], [0], [0.5], [0.5], [1], [1], [1]], width))
    np.testing.assert_array_equal(slope, np.tile([[0], [0.5], [0.5], [0.5], [0.5], [0.5], [0.5], [0]], width))


@pytest.mark.nojit
@dtypes
@widths
def test_relu_has_zero_slope_at_zero(width, dtype):
    value, slope = evaluate(ReLU(), np.zeros((3, width), dtype))
    assert not value.any()
    assert not slope.any()


def test_only_softmax_is_not_elementwise():
    assert [cls.names[0] for cls in ACTIVATIONS if cls.function is None] == ["softmax"]


@pytest.mark.nojit
@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_name_and_alias_resolves_to_its_class(name):
    assert name in type(ACTIVATIONS.resolve(name)).names
