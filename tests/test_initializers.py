"""Initializers: variances, distributions, orthogonality, and scikit-learn's own draws."""

import numpy as np
import pytest
import sklearn.neural_network
from scipy import stats

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.activations import ACTIVATIONS, Identity, Logistic
from sknn_iitb.initializers import INITIALIZERS, Auto, Orthogonal

FAN_IN, FAN_OUT = 300, 500
VARIANCES = {"glorot": 2 / (FAN_IN + FAN_OUT), "he": 2 / FAN_IN, "lecun": 1 / FAN_IN}
SCALED = [f"{family}_{law}" for family in VARIANCES for law in ("uniform", "normal")]


def draw(name, shape=(FAN_IN, FAN_OUT), seed=0):
    return INITIALIZERS.resolve(name).draw(np.random.RandomState(seed), *shape, Identity())


@pytest.mark.parametrize("name", SCALED)
def test_weights_have_the_published_distribution(name):
    family, law = name.split("_")
    deviation = np.sqrt(VARIANCES[family])
    bound = np.sqrt(3) * deviation
    distribution = stats.norm(0, deviation) if law == "normal" else stats.uniform(-bound, 2 * bound)
    weights = draw(name)[0].ravel()
    assert stats.kstest(weights, distribution.cdf).pvalue > 0.001
    # of 150,000 draws; four standard errors
    assert np.mean(weights**2) == pytest.approx(deviation**2, rel=0.015)


@pytest.mark.parametrize("name", INITIALIZERS.names())
def test_draws_have_the_shape_of_the_layer_and_depend_only_on_the_random_state(name):
    weights, biases = draw(name, (3, 5))
    assert weights.shape == (3, 5)
    assert biases.shape == (5,)
    again = draw(name, (3, 5))
    np.testing.assert_array_equal(weights, again[0])
    np.testing.assert_array_equal(biases, again[1])
    assert name == "zeros" or np.all(weights != draw(name, (3, 5), seed=1)[0])


@pytest.mark.parametrize("name", INITIALIZERS.names(lambda cls: cls is not Auto))
def test_biases_are_zero(name):
    assert not draw(name)[1].any()


def test_weights_of_zeros_are_zero():
    assert not draw("zeros")[0].any()


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (1, 6), (6, 1), (1, 1)], ids=str)
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape):
    weights, _ = draw("orthogonal", shape)
    assert weights.shape == shape
    gram = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_weights_are_uniform_over_orthogonal_matrices():
    # an entry of a 3 x 3 matrix is a coordinate of a uniform point on the sphere, uniform in [-1, 1] by Archimedes
    rng = np.random.RandomState(0)
    draws = np.array([Orthogonal().weights(rng, 3, 3) for _ in range(2000)])
    for i in range(3):
        for j in range(3):
            assert stats.kstest(draws[:, i, j], stats.uniform(-1, 2).cdf).pvalue > 0.001
    # rotations and reflections are equally frequent
    assert stats.binomtest(int(np.sum(np.linalg.det(draws) > 0)), 2000).pvalue > 0.001


@pytest.mark.parametrize("activation", [Identity(), Logistic()], ids=repr)
def test_auto_draws_weights_and_biases_uniformly_in_glorots_bounds(activation):
    weights, biases = Auto().draw(np.random.RandomState(0), FAN_IN, FAN_OUT, activation)
    bound = np.sqrt((2 if isinstance(activation, Logistic) else 6) / (FAN_IN + FAN_OUT))
    for draws in (weights.ravel(), biases):
        assert stats.kstest(draws, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.001


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_auto_matches_scikit_learn(cls, activation, dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 4)).astype(dtype), np.arange(10) % 3
    # one epoch at a learning rate so small that no weight changes
    parameters = {"solver": "sgd", "learning_rate_init": 1e-300, "momentum": 0.0, "max_iter": 1, "random_state": 7}
    ours, theirs = (
        estimator(hidden_layer_sizes=(6, 5), activation=activation, **parameters)
        for estimator in (cls, getattr(sklearn.neural_network, cls.__name__))
    )
    ours.fit(X, y)
    theirs.fit(X, y)
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert mine.dtype == other.dtype == dtype
        np.testing.assert_array_equal(mine, other)


def test_auto_uses_the_smaller_bound_for_logistic_by_any_name():
    by_name = {
        name: Auto().draw(np.random.RandomState(0), 4, 3, ACTIVATIONS.resolve(name))[0] for name in ACTIVATIONS.names()
    }
    for name, weights in by_name.items():
        same = by_name["logistic"] if name in Logistic.names else by_name["relu"]
        np.testing.assert_array_equal(weights, same)
    np.testing.assert_allclose(by_name["logistic"], by_name["relu"] / np.sqrt(3), rtol=1e-15)
