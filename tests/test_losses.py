"""Losses: gradients against finite differences, values against metrics, special numbers."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from nets import differences
from scipy import optimize
from scipy.special import expit, huber, softmax
from scipy.stats import norm
from sklearn import metrics

from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.objective import Objective
from sknn_iitb.activations import ACTIVATIONS, Identity, Logistic, Softmax, Step, Tanh
from sknn_iitb.losses import (
    LOSSES,
    Focal,
    Gamma,
    Gaussian,
    Hinge,
    Huber,
    LogCosh,
    LogLoss,
    Perceptron,
    Poisson,
    Quantile,
    SquaredError,
)

ALL = [cls() for cls in LOSSES]
# non-default hyperparameters
ALL += [
    type(loss)(**{name: 0.7 * value for name, value in loss.get_params().items()}) for loss in ALL if loss.get_params()
]
ALL += [Focal(gamma=0.5), Gaussian(var_floor=0.5), Quantile([0.2, 0.9])]
COMBINATIONS = [
    (loss, ACTIVATIONS.resolve(name))
    for loss in ALL
    for name in dict.fromkeys(loss.classifier_outputs + loss.regressor_outputs)
]
SMOOTH = [cls() for cls in ACTIVATIONS if cls.hidden and cls is not Step]

combinations = pytest.mark.parametrize(
    ("loss", "output"), COMBINATIONS, ids=[f"{loss!r}-{output.names[0]}" for loss, output in COMBINATIONS]
)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

# outputs of the networks: two targets if a loss needs two outputs per target
N_OUTPUTS = 4


def targets(rng, loss, output, n_rows):
    """Random targets in the domain of the loss."""
    n_each = loss.widen(np.zeros((1, 1))).shape[1]
    shape = n_rows, N_OUTPUTS // n_each
    if isinstance(loss, (Hinge, Perceptron)):
        return rng.choice([-1.0, 1.0], size=shape)
    if isinstance(loss, (LogLoss, Focal)):
        # probabilities, not only 0 and 1: the formulas hold for them too
        return rng.dirichlet(np.ones(N_OUTPUTS), n_rows) if output.names[0] == "softmax" else rng.uniform(0, 1, shape)
    if isinstance(loss, Poisson):
        return rng.poisson(2, shape).astype(float)
    sign = 1 if isinstance(loss, Gamma) else rng.choice([-1, 1], size=shape)
    return loss.widen(rng.uniform(0.1, 3, shape) * sign)


def random_problem(loss, output, hidden, n_rows=6, seed=0):
    """A network, parameters away from zero, data and sample weights."""
    rng = np.random.default_rng(seed)
    network = feedforward((2, *(3 for _ in hidden), N_OUTPUTS), hidden, output)
    theta = rng.normal(0, 0.8, network.layout.size)
    theta += 0.01 * np.sign(theta)
    X = rng.normal(size=(n_rows, 2))
    return network, theta, X, targets(rng, loss, output, n_rows), rng.uniform(0.5, 2, n_rows)


def of_scores(loss, output, score, y, weight=None, output_groups=None):
    """The reported loss and the gradient of the biases of a network whose weighted sums are its inputs."""
    score, y = np.atleast_2d(score), np.atleast_2d(y).astype(score.dtype)
    n = score.shape[1]
    theta = np.concatenate([np.eye(n).ravel(), np.zeros(n)]).astype(score.dtype)
    network = feedforward((n, n), [], output)
    objective = Objective(network, loss, score, y, weight, max_rows=len(score), output_groups=output_groups)
    return objective.reported(*objective.evaluate(theta)), objective.gradient[n * n :]


def check_differences(objective, theta):
    """Compare the gradient with the derivative by finite differences."""
    loss = sum(objective.evaluate(theta))
    gradient = objective.gradient.copy()
    derivative = differences(lambda moved: sum(objective.evaluate(moved)), theta)
    # the rounding error of the loss is 1e-16 of it, divided by the step, 1e-4
    np.testing.assert_allclose(gradient, derivative, rtol=1e-6, atol=1e-11 * max(1, loss))


PENALTIES = {"no-penalty": {"alpha": 0.0}, "l2": {"alpha": 0.3}, "l1": {"alpha": 0.0, "l1": 0.2}}
SAMPLED_PENALTIES = ["no-penalty", *(pytest.param(name, marks=pytest.mark.newest) for name in ("l2", "l1"))]


@pytest.mark.parametrize("weighted", [False, True], ids=["equal-weights", "weights"])
@pytest.mark.parametrize("penalty", SAMPLED_PENALTIES)
@combinations
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda activation: activation.names[0])
def test_gradient_matches_finite_differences(activation, loss, output, penalty, weighted):
    network, theta, X, Y, weight = random_problem(loss, output, [activation])
    weight = weight if weighted else None
    check_differences(Objective(network, loss, X, Y, weight, max_rows=len(X), **PENALTIES[penalty]), theta)


@pytest.mark.nojit
@dtypes
@combinations
def test_loss_and_gradient_match_the_naive_net(loss, output, dtype):
    network, *arrays = random_problem(loss, output, [Tanh()], n_rows=9)
    theta, X, Y, weight = (a.astype(dtype) for a in arrays)
    objective = Objective(network, loss, X, Y, weight, alpha=0.3, max_rows=len(X), l1=0.2)
    found = *objective.evaluate(theta), objective.gradient
    net = naive.Net(network.units, network.activations[:-1], output, loss, alpha=0.3, l1=0.2)
    expected = naive.loss_and_gradient(net, *(a.astype(np.float64) for a in (theta, X, Y, weight)))
    # the terms of the sums have size 10, or that of the loss
    tolerance = 100 * np.finfo(dtype).eps * max(1, expected[0] / 10)
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# --- output groups ----------------------------------------------------------------------------------------------

ROWWISE = [loss for loss in ALL if "softmax" in loss.rowwise]
rowwise = pytest.mark.parametrize("loss", ROWWISE, ids=repr)
# the starts of the output groups and the number of outputs
OUTPUT_GROUPS = [0, 2, 5, 9]


def random_output_groups(rng, n_rows, dtype):
    """Random scores and targets for all output groups."""
    y = np.hstack([rng.dirichlet(np.ones(stop - start), n_rows) for start, stop in pairwise(OUTPUT_GROUPS)])
    return (3 * rng.normal(size=y.shape)).astype(dtype), y.astype(dtype)


@pytest.mark.nojit
@dtypes
@rowwise
def test_loss_of_output_groups_is_the_sum_of_their_losses(loss, dtype):
    rng = np.random.default_rng(5)
    score, y = random_output_groups(rng, 9, dtype)
    weight = rng.uniform(0.5, 2, 9)
    tolerance = 100 * float(np.finfo(dtype).eps)
    total, delta = of_scores(loss, Softmax(), score, y, weight, OUTPUT_GROUPS)
    # some losses report the mean over the outputs
    total *= score.shape[1] if loss.mean_over_outputs else 1
    losses, expected = naive.loss_of_scores(loss, Softmax(), *(a.astype(np.float64) for a in (score, y)), OUTPUT_GROUPS)
    assert total == pytest.approx(np.average(losses, weights=weight), rel=tolerance)
    np.testing.assert_allclose(delta, (weight / weight.sum()) @ expected, rtol=tolerance, atol=tolerance)
    for start, stop in pairwise(OUTPUT_GROUPS):
        group_loss, group_delta = of_scores(loss, Softmax(), score[:, start:stop], y[:, start:stop], weight)
        total -= group_loss * (stop - start if loss.mean_over_outputs else 1)
        np.testing.assert_allclose(delta[start:stop], group_delta, rtol=tolerance, atol=tolerance)
    assert total == pytest.approx(0, abs=10 * tolerance)


@rowwise
def test_gradient_of_output_groups_matches_finite_differences(loss):
    rng = np.random.default_rng(6)
    _, Y = random_output_groups(rng, 6, "float64")
    network = feedforward((2, 3, Y.shape[1]), [Tanh()], Softmax())
    X, weight = rng.normal(size=(6, 2)), rng.uniform(0.5, 2, 6)
    objective = Objective(network, loss, X, Y, weight, alpha=0.3, max_rows=6, output_groups=OUTPUT_GROUPS)
    check_differences(objective, rng.normal(size=network.layout.size))


# --- against metrics --------------------------------------------------------------------------------------------


def mean_pinball_loss(y, value, w, quantile):
    levels = np.resize(quantile, y.shape[1])
    columns = zip(y.T, value.T, levels, strict=True)
    return np.mean([metrics.mean_pinball_loss(a, b, sample_weight=w, alpha=level) for a, b, level in columns])


def normal_log_likelihood(y, value, w, var_floor):
    mean, log_spread = np.split(value, 2, axis=1)
    likelihood = norm.logpdf(y[:, :2], mean, np.sqrt(np.exp(log_spread) + var_floor))
    # the loss omits a constant
    return -np.average(likelihood.sum(axis=1) + np.log(2 * np.pi), weights=w)


METRICS = {
    "squared_error": lambda y, value, w: metrics.mean_squared_error(y, value, sample_weight=w) / 2,
    "absolute_error": lambda y, value, w: metrics.mean_absolute_error(y, value, sample_weight=w),
    "huber": lambda y, value, w, delta: np.average(huber(delta, y - value).mean(axis=1), weights=w),
    "quantile": mean_pinball_loss,
    "log_cosh": lambda y, value, w: np.average(np.log(np.cosh(y - value)).mean(axis=1), weights=w),
    "poisson": lambda y, value, w: sum(
        metrics.mean_poisson_deviance(*column, sample_weight=w) / 2 for column in zip(y.T, value.T, strict=True)
    ),
    "gamma": lambda y, value, w: sum(
        metrics.mean_gamma_deviance(*column, sample_weight=w) / 2 for column in zip(y.T, value.T, strict=True)
    ),
    "gaussian": normal_log_likelihood,
}
LINKS = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "logistic": expit,
    "exponential": np.exp,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "softmax": lambda z: softmax(z, axis=1),
}
REGRESSION = [(loss, output) for loss, output in COMBINATIONS if output.names[0] in loss.regressor_outputs]


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("weighted", [False, True], ids=["equal-weights", "weights"])
@pytest.mark.parametrize(
    ("loss", "output"), REGRESSION, ids=[f"{loss!r}-{output.names[0]}" for loss, output in REGRESSION]
)
def test_reported_loss_of_regressors_matches_the_metric(loss, output, weighted, dtype):
    rng = np.random.default_rng(1)
    score = rng.normal(size=(20, N_OUTPUTS)).astype(dtype)
    y = targets(rng, loss, output, 20).astype(dtype)
    weight = rng.uniform(0.5, 2, 20) if weighted else None
    reported, _ = of_scores(loss, output, score, y, weight)
    metric = METRICS[loss.names[0]]
    expected = metric(y, LINKS[output.names[0]](score.astype(np.float64)), weight, **loss.get_params())
    assert reported == pytest.approx(expected, rel=100 * float(np.finfo(dtype).eps))


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("weighted", [False, True], ids=["equal-weights", "weights"])
def test_reported_loss_of_classifiers_matches_the_metric(weighted, dtype):
    rng = np.random.default_rng(2)
    rel = 100 * float(np.finfo(dtype).eps)
    score, label = rng.normal(size=(20, 3)).astype(dtype), np.append(rng.permutation(3), rng.integers(0, 3, 17))
    weight = rng.uniform(0.5, 2, 20) if weighted else None
    one_hot = np.eye(3)[label]

    reported, _ = of_scores(LogLoss(), ACTIVATIONS.resolve("softmax"), score, one_hot, weight)
    p = softmax(score.astype(np.float64), axis=1)
    assert reported == pytest.approx(metrics.log_loss(label, p, sample_weight=weight), rel=rel)
    reported, _ = of_scores(SquaredError(), ACTIVATIONS.resolve("softmax"), score, one_hot, weight)
    assert reported == pytest.approx(metrics.mean_squared_error(one_hot, p, sample_weight=weight) / 2, rel=rel)

    # two classes: one column
    score, label = score[:, :1].copy(), (label > 0).astype(int)
    sign = 2 * label[:, None] - 1
    reported, _ = of_scores(LogLoss(), ACTIVATIONS.resolve("logistic"), score, label[:, None], weight)
    p = expit(score[:, 0].astype(np.float64))
    assert reported == pytest.approx(metrics.log_loss(label, p, sample_weight=weight), rel=rel)
    reported, _ = of_scores(Hinge(), Identity(), score, sign, weight)
    assert reported == pytest.approx(metrics.hinge_loss(label, score[:, 0], sample_weight=weight), rel=rel)
    expected = np.average(np.where(score * sign < 0, abs(score), 0)[:, 0], weights=weight)
    for output in (Identity(), Step()):
        assert of_scores(Perceptron(), output, score, sign, weight)[0] == pytest.approx(expected, rel=rel)


# --- special numbers --------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("size", [100, 1000])
@combinations
def test_extreme_scores_neither_overflow_nor_become_nan(loss, output, size, dtype):
    rng = np.random.default_rng(3)
    # exp(100) overflows float32 and exp(1000) float64; squares must fit too
    fits = output.names[0] != "exponential" or 2 * size < np.log(np.finfo(dtype).max)
    for score in size * np.array([[-1, 1, 0, 0], [1, 1, -1, 1], [1, 0, -1, -1], [-1, -1, -1, -1]], dtype):
        for y in targets(rng, loss, output, 5):
            reported, delta = of_scores(loss, output, score, y)
            assert np.isfinite(reported) if fits else not np.isnan(reported)
            assert np.isfinite(delta).all() if fits else not np.isnan(delta).any()


@dtypes
@pytest.mark.parametrize(
    ("loss", "output", "y", "limit", "slope"),
    [
        (LogLoss(), "logistic", [0, 1, 1, 0], 2000, [0, 0, -1, 1]),
        (LogLoss(), "softmax", [1, 0, 0, 0], 2000 + np.log(2), [-1, 0.5, 0, 0.5]),
        (LogLoss(), "softmax", [0, 1, 0, 0], np.log(2), [0, -0.5, 0, 0.5]),
        (SquaredError(), "logistic", [0, 1, 1, 0], 1 / 4, [0, 0, 0, 0]),
        (SquaredError(), "softmax", [0, 1, 0, 0], 1 / 16, [0, -0.25, 0, 0.25]),
        (SquaredError(), "tanh", [-1, 1, 1, -1], 1, [0, 0, 0, 0]),
        (Hinge(), "identity", [-1, 1, 1, -1], 2002, [0, 0, -1, 1]),
        (Perceptron(), "identity", [-1, 1, 1, -1], 2000, [0, 0, -1, 1]),
        (Perceptron(), "step", [-1, 1, 1, -1], 2000, [0, 0, -1, 1]),
        (LogCosh(), "identity", [0, 0, 0, 0], 1000 - np.log(2), [-1, 1, -1, 1]),
        (Huber(delta=2), "identity", [0, 0, 0, 0], 1998, [-2, 2, -2, 2]),
        (Quantile(quantile=0.3), "identity", [0, 0, 0, 0], 500, [-0.3, 0.7, -0.3, 0.7]),
        (Quantile(quantile=[0.3, 0.6]), "identity", [0, 0, 0, 0], 350, [-0.3, 0.4, -0.3, 0.4]),
        # the focal loss of a confidently wrong sample approaches its cross-entropy
        (Focal(gamma=0.5), "logistic", [0, 1, 1, 0], 2000, [0, 0, -1, 1]),
        (Focal(gamma=0.5), "softmax", [1, 0, 0, 0], 2000 + np.log(2), [-1, 0.5, 0, 0.5]),
        (Focal(gamma=2), "softmax", [0, 1, 0, 0], np.log(2) / 4, [0, -np.log(2) / 4 - 1 / 8, 0, np.log(2) / 4 + 1 / 8]),
    ],
)
def test_loss_of_extreme_scores_is_the_limit_value(loss, output, y, limit, slope, dtype):
    reported, delta = of_scores(loss, ACTIVATIONS.resolve(output), np.array([-1000, 1000, -1000, 1000], dtype), y)
    assert reported == pytest.approx(limit, rel=1e-6)
    np.testing.assert_allclose(delta, slope, rtol=1e-6, atol=1e-6)


@dtypes
@pytest.mark.parametrize("gamma", [0, 0.1, 0.5, 1, 5])
@pytest.mark.parametrize("output", [Logistic(), Softmax()], ids=lambda output: output.names[0])
def test_focal_loss_of_a_confidently_right_sample_is_zero(output, gamma, dtype):
    # (1 - p)**(gamma - 1) in the derivative diverges as p approaches 1
    for size in (20, 40, 100, 1000, 1e6):
        score, y = np.array([-size, size, -size, -size], dtype), [0, 1, 0, 0]
        reported, delta = of_scores(Focal(gamma=gamma), output, score, y)
        assert reported == pytest.approx(0, abs=1e-7)
        np.testing.assert_allclose(delta, 0, atol=1e-7)


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_small_logistic_focal_loss_is_accurate(gamma, dtype):
    for size in (5, 12, 20):
        for y, score in ((1, size), (0, -size)):
            reported, delta = of_scores(Focal(gamma=gamma), Logistic(), np.array([score], dtype), [y])
            expected, slope = naive.focal(np.array([[float(score)]]), np.array([[y]]), "logistic", gamma)
            assert reported == pytest.approx(expected.item(), rel=30 * float(np.finfo(dtype).eps))
            assert delta.item() == pytest.approx(slope.item(), rel=30 * float(np.finfo(dtype).eps))


@dtypes
def test_poisson_deviance_of_a_tiny_prediction_is_the_limit_value(dtype):
    # y log(y / p) - y + p at p = e**-1000
    exponential = ACTIVATIONS.resolve("exponential")
    reported, delta = of_scores(Poisson(), exponential, np.array([-1000, -1000], dtype), [0, 2])
    assert reported == pytest.approx(2 * (np.log(2) + 1000) - 2, rel=1e-6)
    np.testing.assert_allclose(delta, [0, -2], rtol=1e-6, atol=1e-6)


@dtypes
@combinations
def test_nan_score_makes_the_loss_nan(loss, output, dtype):
    y = targets(np.random.default_rng(4), loss, output, 1)
    reported, _ = of_scores(loss, output, np.array([0.5, np.nan, 0.5, 0.5], dtype), y)
    assert np.isnan(reported)


@pytest.mark.nojit
def test_slopes_at_the_kinks():
    # Rosenblatt's rule makes a full update at score 0; the median, like relu, has slope 0 at its kink
    assert of_scores(Perceptron(), Step(), np.zeros(1), [1])[1] == -1
    assert of_scores(Perceptron(), Identity(), np.zeros(1), [-1])[1] == 1
    assert of_scores(Hinge(), Identity(), np.ones(1), [1])[1] == 0
    assert of_scores(LOSSES.resolve("absolute_error"), Identity(), np.ones(1), [1])[1] == 0
    assert of_scores(Quantile(quantile=0.3), Identity(), np.ones(1), [1])[1] == 0


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("loss", "y"),
    [(Poisson(), [2.0, -1.0]), (Gamma(), [2.0, 0.0]), (Gamma(), [-1.0])],
    ids=["poisson", "zero", "gamma"],
)
def test_target_outside_the_domain_raises(loss, y):
    with pytest.raises(ValueError, match=f"loss='{loss.names[0]}' requires y"):
        loss.check_target(np.array(y))


@pytest.mark.nojit
@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_target_inside_the_domain_is_accepted(loss):
    loss.check_target(np.array([0.5, 3.0]))


@pytest.mark.nojit
def test_poisson_loss_of_a_zero_count_is_the_prediction():
    for output, p in (("exponential", np.exp(0.5)), ("softplus", np.log(1 + np.exp(0.5)))):
        reported, _ = of_scores(Poisson(), ACTIVATIONS.resolve(output), np.array([0.5]), [0])
        assert reported == pytest.approx(p, rel=1e-15)


@pytest.mark.nojit
@pytest.mark.parametrize("name", LOSSES.names())
def test_every_name_and_alias_resolves_to_its_class(name):
    assert name in type(LOSSES.resolve(name)).names


# --- properties of single losses --------------------------------------------------------------------------------


@pytest.mark.nojit
@dtypes
@pytest.mark.parametrize("output", [Logistic(), Softmax()], ids=lambda output: output.names[0])
def test_focal_loss_with_zero_gamma_is_cross_entropy(output, dtype):
    rng = np.random.default_rng(7)
    score, y = 5 * rng.normal(size=(20, 3)), rng.dirichlet(np.ones(3), 20)
    rel = 100 * float(np.finfo(dtype).eps)
    for labels in (y, (y == y.max(axis=1, keepdims=True)).astype(float)):
        focal, focal_delta = of_scores(Focal(gamma=0.0), output, score.astype(dtype), labels)
        log_loss, delta = of_scores(LogLoss(), output, score.astype(dtype), labels)
        assert focal == pytest.approx(log_loss, rel=rel)
        np.testing.assert_allclose(focal_delta, delta, rtol=rel, atol=rel)


def optimum(loss, y, weight, start):
    """The constant output values that minimize the loss."""

    def of_value(value):
        return of_scores(loss, Identity(), np.tile(value, (len(y), 1)), loss.widen(y), weight)

    return optimize.minimize(of_value, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x


def test_gaussian_loss_is_minimal_at_mean_and_standard_deviation():
    rng, loss = np.random.default_rng(8), Gaussian(var_floor=1e-6)
    y, counts = rng.normal([3, -2], [0.5, 4], (30, 2)), rng.integers(1, 4, 30)
    value = optimum(loss, y, counts.astype(float), np.zeros(4))[None, :]
    expected = [norm.fit(column) for column in np.repeat(y, counts, axis=0).T]
    found = np.column_stack([loss.narrow(value)[0], loss.deviation(value)[0]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.nojit
@dtypes
def test_gaussian_deviation_respects_its_floor(dtype):
    # without a floor, the likelihood is unbounded if all targets can be met exactly
    value = np.array([[1.0, 1.0, -1000.0, 0.0]], dtype)
    np.testing.assert_allclose(Gaussian(var_floor=0.04).deviation(value), [[0.2, np.sqrt(1.04)]], rtol=1e-6)


@pytest.mark.nojit
@dtypes
def test_several_quantiles_match_single_quantiles(dtype):
    rng, levels = np.random.default_rng(9), [0.1, 0.5, 0.9]
    score, y = rng.normal(size=(20, 6)).astype(dtype), rng.normal(size=(20, 2)).astype(dtype)
    weight = rng.uniform(0.5, 2, 20)
    several, delta = of_scores(Quantile(levels), Identity(), score, Quantile(levels).widen(y), weight)
    singles = [of_scores(Quantile(q), Identity(), score[:, k::3], y, weight) for k, q in enumerate(levels)]
    rel = 10 * float(np.finfo(dtype).eps)
    assert several == pytest.approx(np.mean([loss for loss, _ in singles]), rel=rel)
    for k, (_, single_delta) in enumerate(singles):
        np.testing.assert_allclose(delta[k::3], single_delta, rtol=rel, atol=rel)


@pytest.mark.nojit
def test_quantiles_do_not_cross():
    value = np.array([[3.0, 1.0, 2.0, 4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(Quantile([0.1, 0.5, 0.9]).narrow(value), [[[1, 2, 3], [4, 5, 6]]])


@pytest.mark.nojit
def test_quantile_score_is_zero_for_constant_quantiles_and_one_for_the_targets():
    levels, y = [0.1, 0.5, 0.9], np.random.default_rng(10).gamma(2, size=(50, 1))
    constant = np.tile(np.quantile(y, levels), (50, 1, 1))
    assert Quantile(levels).quality(y, constant) == pytest.approx(0, abs=1e-12)
    assert Quantile(levels).quality(y, np.tile(y[:, :, None], 3)) == 1


@pytest.mark.nojit
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_losses_have_no_metadata_requests(loss):
    assert not [name for name in dir(loss) if name.startswith("set_") and name.endswith("_request")]


@pytest.mark.nojit
@pytest.mark.parametrize(
    "levels", [0.0, 1, [], [0.5, 0.5], [0.9, 0.1], [0.1, 1.0], [0.1, "0.9"], [[0.1, 0.9]]], ids=repr
)
def test_invalid_quantile_levels_raise(levels):
    with pytest.raises(ValueError, match="The 'quantile' parameter of Quantile must be"):
        Quantile(levels).validate()


@pytest.mark.nojit
@pytest.mark.parametrize(
    "loss", [Focal(gamma=-0.1), Gaussian(var_floor=0.0), Gaussian(var_floor=-1.0), Huber(delta=0.0)], ids=repr
)
def test_out_of_range_hyperparameter_raises(loss):
    ((name, value),) = loss.get_params().items()
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {type(loss).__name__} must be .* Got {value}"):
        loss.validate()
