"""Constraints: against NumPy, at the limits of the float range, and in their order within a step."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nets import build, examples, random_data, run

from sknn_iitb._engine.constraints import CONSTRAINTS, ClipNorm, ClipValue, MaxNorm
from sknn_iitb._jit.compilation import compiled
from sknn_iitb.activations import Identity, Tanh
from sknn_iitb.losses import SquaredError
from sknn_iitb.optimizers import SGD

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLIPS = [cls() for cls in CONSTRAINTS if not cls.afterwards]
clips = pytest.mark.parametrize("clip", CLIPS, ids=lambda constraint: constraint.names[0])

# numbers of all magnitudes, whose squares overflow and underflow in float32
numbers = st.one_of(st.floats(-10, 10, width=32), st.floats(allow_nan=False, allow_infinity=False, width=32))
vectors = st.integers(1, 70).flatmap(lambda n: arrays.arrays(np.float32, n, elements=numbers))
bounds = st.floats(2.0**-20, 2.0**20, width=32)


def adjusted(constraint, bound, vector, matrices=((0, 1, 1),)):
    """The gradient or the parameters `vector` after the constraint."""
    theta, gradient = np.zeros_like(vector), np.zeros_like(vector)
    changed = theta if constraint.afterwards else gradient
    changed[:] = vector
    kernel = compiled("constraint", constraint.function, vector.dtype, from_python=True).function
    kernel(theta, gradient, np.array(matrices, np.int64), vector.dtype.type(bound))
    return changed


@pytest.mark.nojit
@dtypes
@examples(100)
@given(gradient=vectors, bound=bounds)
def test_clip_value_matches_numpy_clip(dtype, gradient, bound):
    gradient = gradient.astype(dtype)
    np.testing.assert_array_equal(adjusted(ClipValue(), bound, gradient), np.clip(gradient, -bound, bound))


@pytest.mark.nojit
@dtypes
@examples(100)
@given(gradient=vectors, bound=bounds)
def test_clip_norm_keeps_the_direction_and_limits_the_length(dtype, gradient, bound):
    gradient = gradient.astype(dtype)
    exact = gradient.astype(np.longdouble)
    expected, norm = naive.clip_norm(exact, bound), np.linalg.norm(exact)
    found = adjusted(ClipNorm(), bound, gradient)
    if norm < bound * 0.9999:
        np.testing.assert_array_equal(found, gradient)
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=100 * np.finfo(dtype).eps * bound)


@pytest.mark.nojit
@pytest.mark.parametrize("n", [3, 100])
def test_clip_norm_of_a_gradient_whose_norm_overflows_float32(n):
    gradient = np.full(n, -np.finfo(np.float32).max)
    np.testing.assert_allclose(adjusted(ClipNorm(), 2.0, gradient), np.full(n, -2 / np.sqrt(n)), rtol=1e-6)


@pytest.mark.nojit
@dtypes
@clips
def test_zero_gradient_stays_zero(clip, dtype):
    np.testing.assert_array_equal(adjusted(clip, 1e-30, np.zeros(5, dtype)), 0)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("place", [0, -1])
@clips
def test_nan_in_the_gradient_is_kept(clip, place, n, dtype):
    # training must end with an error, not continue in an arbitrary direction
    gradient = np.linspace(0.1, 5, n).astype(dtype)
    gradient[place] = np.nan
    assert np.isnan(adjusted(clip, 1.0, gradient)[place])


@st.composite
def weights(draw):
    """A vector of matrices, followed by more numbers like biases; a column of the first matrix may be zero."""
    shapes = draw(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3))
    sizes = [n_in * n_out for n_in, n_out in shapes]
    starts = np.cumsum([0, *sizes])
    elements = st.one_of(st.floats(-3, 3, width=32), st.floats(-(2.0**40), 2.0**40, width=32))
    theta = draw(arrays.arrays(np.float32, int(starts[-1]) + 5, elements=elements))
    if draw(st.booleans()):
        theta[: sizes[0]].reshape(shapes[0])[:, 0] = 0
    return theta, [(start, *shape) for start, shape in zip(starts, shapes, strict=False)]


@pytest.mark.nojit
@dtypes
@examples(100)
@given(theta_and_matrices=weights(), bound=bounds)
def test_max_norm_rescales_only_columns_that_are_too_long(dtype, theta_and_matrices, bound):
    theta, matrices = theta_and_matrices
    theta = theta.astype(dtype)
    found = adjusted(MaxNorm(), bound, theta, matrices)
    for start, *shape in matrices:
        before, after = (v[start : start + np.prod(shape)].reshape(shape) for v in (theta, found))
        expected = naive.max_norm(before.astype(np.float64), bound)
        info = np.finfo(dtype)
        np.testing.assert_allclose(after, expected, rtol=100 * info.eps, atol=info.smallest_normal)
        assert np.all(np.linalg.norm(after, axis=0) <= bound * (1 + 10 * info.eps))
    np.testing.assert_array_equal(found[-5:], theta[-5:])


@dtypes
def test_max_norm_keeps_columns_that_are_not_finite_or_overflow(dtype):
    # to expose it: the loss becomes NaN, or training diverges
    huge = np.finfo(dtype).max
    W = np.array([[3, huge, np.nan, np.inf], [4, huge, 1, 1]], dtype)
    found = adjusted(MaxNorm(), 1.0, W.ravel(), [(0, 2, 4)]).reshape(2, 4)
    np.testing.assert_allclose(found, [[0.6, huge, np.nan, np.inf], [0.8, huge, 1, 1]], rtol=1e-6)


NET = naive.Net((4, 6, 3), [Tanh()], Identity(), SquaredError(), alpha=0.1)


def steps(dtype, constraints, n_steps):
    """Parameters before and after steps of plain gradient descent with learning rate 1/2."""
    theta, X, Y, weight = random_data(NET, dtype, 0, 20, weighted=True)
    objective, before = build(NET, 30 * X, 30 * Y, weight, 4), theta.copy()
    run(objective, theta, np.arange(20), np.full(n_steps, 0.5), 4, SGD(momentum=0.0), constraints)
    return before, theta


@pytest.mark.nojit
@dtypes
def test_gradient_is_clipped_before_the_update(dtype):
    before, after = steps(dtype, [(ClipNorm(), 0.01)], 1)
    assert np.linalg.norm(after - before) == pytest.approx(0.5 * 0.01, rel=1e-4)
    before, after = steps(dtype, [(ClipValue(), 0.01)], 1)
    assert abs(after - before).max() == pytest.approx(0.5 * 0.01, rel=1e-4)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("n_steps", [1, 5])
def test_no_neuron_exceeds_max_norm_after_a_step(n_steps, dtype):
    _, after = steps(dtype, [(MaxNorm(), 0.5)], n_steps)
    for W in naive.unpack(NET, after)[0]:
        lengths = np.linalg.norm(W, axis=0)
        assert np.all(lengths < 0.5 * (1 + 1e-6))
        assert np.any(lengths > 0.5 * (1 - 1e-6))


def test_values_are_clipped_before_the_norm():
    assert CONSTRAINTS.names() == ["clip_value", "clip_norm", "max_norm"]
