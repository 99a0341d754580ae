"""Several outputs: columns of class labels, quantiles, mean and standard deviation; and focal loss."""

import numpy as np
import pandas as pd
import pytest
from refused import assert_refused
from scipy.optimize import minimize
from scipy.stats import kstest, norm
from sklearn import metrics
from sklearn.base import clone
from sklearn.datasets import make_circles
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.losses import Focal, Gaussian, Quantile

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]


def _net(cls, **parameters):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 5, "learning_rate_init": 0.01, "batch_size": 32}
    return cls(**{**defaults, "random_state": 0, **parameters})


# --- columns of class labels ----------------------------------------------------------------------------------------

# columns of labels for the classes 0, 1, 2 of iris
LABELS = {
    "numbers": np.array([[5, -1], [7, -1], [9, 4]]),
    "names": np.array([["setosa", "small"], ["versicolor", "small"], ["virginica", "large"]]),
    "objects": np.array([["setosa", "small"], ["versicolor", "small"], ["virginica", "large"]], dtype=object),
    "not an indicator": np.array([[1, 2], [2, 2], [2, 1]]),
    "signs": np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]]),
    "one column of one class": np.array([[1, 3, 7], [2, 3, 7], [4, 3, 8]]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LABELS)
def test_predictions_have_the_format_of_a_random_forest(iris, kind, dtype):
    X, y = iris
    Y = LABELS[kind][y]
    net = _net(MLPClassifier, max_iter=60, dtype=dtype).fit(X, Y)
    forest = RandomForestClassifier(10, random_state=0).fit(X, Y)
    assert net.predict(X).dtype == forest.predict(X).dtype == Y.dtype
    assert net.predict(X).shape == Y.shape
    assert [c.tolist() for c in net.classes_] == [c.tolist() for c in forest.classes_]
    ours, theirs = net.predict_proba(X), forest.predict_proba(X)
    assert isinstance(ours, list)
    assert [p.shape for p in ours] == [p.shape for p in theirs]
    for p, log_p, classes, column in zip(ours, net.predict_log_proba(X), net.classes_, net.predict(X).T, strict=True):
        assert p.dtype == log_p.dtype == dtype
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-5)
        np.testing.assert_array_equal(classes[p.argmax(axis=1)], column)
    assert net.score(X, Y) == np.mean((net.predict(X) == Y).all(axis=1)) > 0.9
    assert net.n_outputs_ == sum(len(c) for c in net.classes_)


def test_matrix_of_zeros_and_ones_is_a_multilabel_indicator(bits):
    X, Y = bits
    net = _net(MLPClassifier).fit(X, Y)
    assert isinstance(net.predict_proba(X), np.ndarray)
    with pytest.raises(ValueError, match=r"indicator of 0 and 1, got \[0 2\]"):
        net.partial_fit(X, 2 * Y)


def test_frames_of_labels_equal_their_values(iris):
    X, y = iris
    Y = LABELS["names"][y]
    frame = pd.DataFrame(Y, columns=["species", "size"])
    net, twin = _net(MLPClassifier).fit(X, frame), _net(MLPClassifier).fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), twin.predict(X))
    assert net.score(X, frame) == twin.score(X, Y)


def test_loss_is_the_sum_over_columns(iris):
    X, y = iris
    Y = LABELS["one column of one class"][y]
    net = _net(MLPClassifier, solver="lbfgs", alpha=0.0, max_iter=5).fit(X, Y)
    columns = zip(Y.T, net.predict_proba(X), net.classes_, strict=True)
    assert net.loss_ == pytest.approx(
        sum(metrics.log_loss(y, p, labels=c) for y, p, c in columns if len(c) > 1), rel=1e-9
    )


def test_linear_network_learns_columns_independently(iris):
    X, y = iris
    Y = LABELS["numbers"][y]
    parameters = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 1.0, "tol": 1e-8, "max_iter": 10_000}
    net = _net(MLPClassifier, output_activation="softmax", **parameters)
    together, apart = clone(net).fit(X, Y), MultiOutputClassifier(net).fit(X, Y)
    for ours, theirs in zip(together.predict_proba(X), apart.predict_proba(X), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_score_and_validation_are_weighted_and_cross_validation_works(iris):
    X, y = iris
    Y, weight = LABELS["numbers"][y], np.random.RandomState(0).uniform(size=len(X))
    net = _net(MLPClassifier, early_stopping=True, max_iter=20).fit(X, Y, sample_weight=weight)
    right = (net.predict(X) == Y).all(axis=1)
    assert net.score(X, Y, sample_weight=weight) == pytest.approx(np.average(right, weights=weight))
    watched = _net(MLPClassifier, max_iter=20).fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weight)
    assert watched.validation_scores_[-1] == pytest.approx(watched.score(X, Y, sample_weight=weight))
    folds = KFold(3, shuffle=True, random_state=0)
    assert cross_val_score(_net(MLPClassifier, max_iter=60), X, Y, cv=folds).mean() > 0.9


@pytest.mark.parametrize("loss", ["log_loss", "focal", "squared_error", "hinge", "perceptron"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_loss_learns_label_columns(iris, loss, dtype):
    X, y = iris
    Y = LABELS["names"][y]
    net = _net(MLPClassifier, loss=loss, max_iter=60, dtype=dtype).fit(X, Y)
    assert net.score(X, Y) > 0.8
    scores = net.decision_function(X)
    assert [s.shape for s in scores] == [(150, 3), (150,)]
    np.testing.assert_array_equal(net.predict(X)[:, 1], net.classes_[1][(scores[1] > 0).astype(int)])
    assert hasattr(net, "predict_proba") == (loss in ("log_loss", "focal", "squared_error"))


def test_partial_fit_accepts_classes_that_appear_later(iris):
    X, y = iris
    Y = LABELS["not an indicator"][y] - 1  # the first two classes alone look like an indicator matrix
    Y[y == 2] = [2, 7]
    classes = [[0, 1, 2], [0, 1, 7]]
    net = _net(MLPClassifier).partial_fit(X[y < 2], Y[y < 2], classes=classes)
    assert [c.tolist() for c in net.classes_] == classes
    for _ in range(40):
        net.partial_fit(X, Y, classes=classes)
    assert net.score(X, Y) > 0.9
    whole, by_epochs = _net(MLPClassifier).fit(X, Y), _net(MLPClassifier)
    for _ in range(5):
        by_epochs.partial_fit(X, Y, classes=[np.unique(column) for column in Y.T])
    np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)


@pytest.mark.parametrize("fitted", [False, True])
def test_invalid_label_columns_raise(iris, fitted):
    X, y = iris
    Y = LABELS["numbers"][y]
    net = _net(MLPClassifier, warm_start=True)
    classes = [[5, 7, 9], [-1, 4]]
    if fitted:
        net.fit(X, Y)
        calls = {
            "same classes": lambda: net.fit(X, Y + 1),
            "not the same as on last call": lambda: net.partial_fit(X, Y, classes=[[5, 7, 9], [-1, 5]]),
            "must have 2 columns": lambda: net.partial_fit(X, np.column_stack([Y, y])),
            "classes not in": lambda: net.partial_fit(X, Y[:, ::-1]),
        }
    else:
        calls = {
            "classes must be passed": lambda: net.partial_fit(X, Y),
            "classes must be a list of 2 arrays": lambda: net.partial_fit(X, Y, classes=[*classes, [0]]),
            "must be a list of 2 arrays, one": lambda: net.partial_fit(X, Y, classes=[5, 7]),
            "classes not in": lambda: net.partial_fit(X, Y, classes=classes[::-1]),
        }
    for match, call in calls.items():
        assert_refused(net, (X, Y), match, call=call)


# --- quantiles ------------------------------------------------------------------------------------------------------

QUANTILES = [0.1, 0.5, 0.9]


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantiles_have_their_coverage_on_new_samples(diabetes, dtype):
    X, y = diabetes
    net = _net(MLPRegressor, loss=Quantile(QUANTILES), learning_rate="cosine", max_iter=100, alpha=1, dtype=dtype)
    predicted = cross_val_predict(net, X, y, cv=KFold(5, shuffle=True, random_state=0))
    assert predicted.shape == (442, 3)
    assert predicted.dtype == dtype
    # the standard errors are 0.014, 0.024 and 0.014
    np.testing.assert_allclose(np.mean(y[:, None] <= predicted, axis=0), QUANTILES, atol=0.03)
    d2 = [metrics.d2_pinball_score(y, predicted[:, k], alpha=q) for k, q in enumerate(QUANTILES)]
    assert np.mean(d2) > 0.2  # constants with the same coverage score 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dataset", ["diabetes", "wine"])
def test_quantile_score_is_d2_pinball(request, dataset, weighted):
    X, y = request.getfixturevalue(dataset)
    weight = np.random.RandomState(0).uniform(size=len(X)) if weighted else None
    net = _net(MLPRegressor, loss=Quantile(0.2)).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    d2 = metrics.d2_pinball_score(y, net.predict(X), sample_weight=weight, alpha=0.2)
    assert net.score(X, y, weight) == pytest.approx(d2, rel=1e-12)
    assert net.validation_scores_[-1] == pytest.approx(d2, rel=1e-9)
    listed = _net(MLPRegressor, loss=Quantile([0.2])).fit(X, y)
    assert listed.score(X, y, weight) == pytest.approx(d2, rel=1e-12)


def test_score_is_the_mean_over_quantiles(diabetes):
    X, y = diabetes
    net = _net(MLPRegressor, loss=Quantile(QUANTILES)).fit(X, y)
    d2 = [metrics.d2_pinball_score(y, net.predict(X)[:, k], alpha=q) for k, q in enumerate(QUANTILES)]
    assert net.score(X, y) == pytest.approx(np.mean(d2), rel=1e-12)


def test_linear_network_matches_quantile_regression(diabetes):
    X, y = diabetes
    net = _net(MLPRegressor, loss=Quantile(QUANTILES), hidden_layer_sizes=(), alpha=0, batch_size="full")
    net.set_params(learning_rate="cosine", max_iter=4000, n_iter_no_change=np.inf).fit(X, y)
    expected = [QuantileRegressor(quantile=q, alpha=0).fit(X, y).coef_ for q in QUANTILES]
    np.testing.assert_allclose(net.coefs_[0].T, expected, atol=0.01)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_quantiles_do_not_cross(wine, n_targets):
    X, Y = wine
    net = _net(MLPRegressor, loss=Quantile(QUANTILES)).fit(X, Y[:, :n_targets] if n_targets > 1 else Y[:, 0])
    values = net.hidden_activations(X) @ net.coefs_[1] + net.intercepts_[1]
    values = values.reshape(len(X), *([n_targets] if n_targets > 1 else []), 3)
    assert (np.diff(values) < 0).any()
    predicted = net.predict(X)
    assert (np.diff(predicted) >= 0).all()
    np.testing.assert_allclose(predicted, np.sort(values), rtol=1e-12)

    # sorting never increases the loss
    def pinball(values):
        errors = (Y[:, :n_targets] if n_targets > 1 else Y[:, 0])[..., None] - values
        return np.maximum(np.multiply(QUANTILES, errors), np.subtract(QUANTILES, 1) * errors).sum(axis=-1)

    assert (pinball(predicted) <= pinball(values) + 1e-12).all()


def test_quantiles_of_several_targets_form_the_last_axis(wine):
    X, Y = wine
    net = _net(MLPRegressor, loss=Quantile(QUANTILES), max_iter=200).fit(X, Y)
    predicted = net.predict(X)
    assert predicted.shape == (178, 3, 3)
    assert net.n_outputs_ == 9
    np.testing.assert_allclose(np.mean(Y[:, :, None] <= predicted, axis=0), [QUANTILES] * 3, atol=0.1)
    d2 = [metrics.d2_pinball_score(Y, predicted[:, :, k], alpha=q) for k, q in enumerate(QUANTILES)]
    assert net.score(X, Y) == pytest.approx(np.mean(d2), rel=1e-12)
    weight = np.random.RandomState(0).uniform(size=len(X))
    watched = _net(MLPRegressor, loss=Quantile(QUANTILES)).fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weight)
    assert watched.validation_scores_[-1] == pytest.approx(watched.score(X, Y, sample_weight=weight), rel=1e-9)


def test_list_of_one_quantile_equals_the_quantile(diabetes):
    X, y = diabetes
    alone, listed = (_net(MLPRegressor, loss=Quantile(q)).fit(X, y) for q in (0.3, [0.3]))
    np.testing.assert_array_equal(alone.parameters_, listed.parameters_)
    np.testing.assert_array_equal(alone.predict(X)[:, None], listed.predict(X))


@pytest.mark.parametrize(
    "quantile", [[], [0.5, 0.1], [0.1, 0.1], [0, 0.5], [0.5, 1], [0.1, "0.5"], [0.1, None], [[0.1]]]
)
def test_invalid_quantiles_raise(diabetes, quantile):
    net = _net(MLPRegressor, loss=Quantile(quantile))
    assert_refused(net, diabetes, r"'quantile' parameter of Quantile must be .*\(0.*1\).*increas")


def test_warm_start_cannot_change_the_number_of_quantiles(diabetes):
    net = _net(MLPRegressor, loss=Quantile(QUANTILES), warm_start=True).fit(*diabetes)
    assert_refused(net.set_params(loss=Quantile([0.1, 0.9])), diabetes, "cannot continue with layers")


# --- mean and standard deviation ------------------------------------------------------------------------------------


def _heteroscedastic(n, seed):
    rng = np.random.RandomState(seed)
    x = rng.uniform(-2, 2, n)
    deviation = 0.1 + 0.4 * abs(x)
    return x[:, None], np.sin(2 * x) + deviation * rng.normal(size=n), deviation


@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussian_loss_learns_heteroscedastic_noise(dtype):
    net = _net(MLPRegressor, loss="gaussian", hidden_layer_sizes=(30, 30), activation="tanh", dtype=dtype)
    net.set_params(learning_rate="cosine", max_iter=60, batch_size=200)
    X, y, _ = _heteroscedastic(2000, 0)
    X_new, y_new, deviation = _heteroscedastic(500, 1)
    mean, std = net.fit(X, y).predict(X_new, return_std=True)
    assert mean.shape == std.shape == (500,)
    assert mean.dtype == std.dtype == dtype
    np.testing.assert_array_equal(net.predict(X_new), mean)
    assert np.corrcoef(std, deviation)[0, 1] > 0.98
    assert kstest((y_new - mean) / std, norm.cdf).pvalue > 0.05
    assert net.score(X_new, y_new) == pytest.approx(metrics.r2_score(y_new, mean), rel=1e-6)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_gaussian_loss_on_constant_inputs_finds_means_and_deviations(wine, n_targets):
    Y = 2 * wine[1][:, :n_targets] * np.arange(1, n_targets + 1) + 1
    Y = Y[:, 0] if n_targets == 1 else Y
    X = np.ones((len(Y), 1))
    net = MLPRegressor(Gaussian(1e-12), (), solver="lbfgs", alpha=0, tol=1e-10, max_iter=1000, random_state=0)
    mean, std = net.fit(X, Y).predict(X, return_std=True)
    np.testing.assert_allclose(mean, np.broadcast_to(Y.mean(axis=0), Y.shape), rtol=1e-5)
    np.testing.assert_allclose(std, np.broadcast_to(Y.std(axis=0), Y.shape), rtol=1e-5)
    # the entropy of normal distributions without its constant
    entropy = norm(scale=Y.std(axis=0)).entropy() - np.log(2 * np.pi) / 2
    assert net.loss_ == pytest.approx(np.sum(entropy), rel=1e-6)


def test_linear_gaussian_network_maximizes_the_likelihood(diabetes):
    X, y = diabetes[0][:, :3], diabetes[1]
    net = MLPRegressor(Gaussian(1e-12), (), solver="lbfgs", alpha=0, tol=1e-9, max_iter=5000, random_state=0).fit(X, y)

    def negative_log_likelihood(w):
        return -norm.logpdf(y, w[0] + X @ w[1:4], np.exp(w[4] + X @ w[5:])).mean()

    w = minimize(negative_log_likelihood, np.zeros(8), tol=1e-9).x
    mean, std = net.predict(X, return_std=True)
    np.testing.assert_allclose(mean, w[0] + X @ w[1:4], atol=1e-3)
    np.testing.assert_allclose(std, np.exp(w[4] + X @ w[5:]), rtol=1e-3)


def test_deviations_respect_their_floor(diabetes):
    X, y = diabetes
    net = _net(MLPRegressor, max_iter=30)
    low, high = (
        clone(net).set_params(loss=Gaussian(floor)).fit(X, 0 * y).predict(X, return_std=True)[1] for floor in (0.01, 4)
    )
    assert 0.1 <= low.min() < 1
    assert high.min() >= 2


def test_return_std_with_another_loss_raises(diabetes):
    X, y = diabetes
    for loss in ("squared_error", Quantile(QUANTILES)):
        net = _net(MLPRegressor, loss=loss).fit(X, y)
        with pytest.raises(ValueError, match="return_std=True needs loss='gaussian', this network has"):
            net.predict(X, return_std=True)
        # the loss at fit time counts
        with pytest.raises(ValueError, match="return_std=True needs"):
            net.set_params(loss="gaussian").predict(X, return_std=True)


@pytest.mark.parametrize("value", [0, -1.0, np.nan])
def test_invalid_floor_raises(diabetes, value):
    assert_refused(_net(MLPRegressor, loss=Gaussian(value)), diabetes, r"'var_floor' parameter of Gaussian.*\(0")


# --- focal loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dataset", ["cancer", "iris", "bits"])
def test_focal_loss_with_zero_gamma_is_cross_entropy(request, dataset, dtype):
    X, y = request.getfixturevalue(dataset)
    focal, plain = (_net(MLPClassifier, loss=loss, dtype=dtype).fit(X, y) for loss in (Focal(gamma=0), "log_loss"))
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-10}
    np.testing.assert_allclose(focal.parameters_, plain.parameters_, **tolerance)


@pytest.mark.parametrize("dataset", ["cancer", "iris"])
def test_focal_loss_has_lower_weights_for_learned_samples(request, dataset):
    X, y = request.getfixturevalue(dataset)
    net = _net(MLPClassifier, loss=Focal(gamma=2.0), alpha=0, solver="lbfgs", max_iter=5).fit(X, y)
    p = net.predict_proba(X)[np.arange(len(y)), y]
    assert net.loss_ == pytest.approx(np.mean(-((1 - p) ** 2) * np.log(p)), rel=1e-9)
    net.set_params(solver="adam", max_iter=60).fit(X, y)
    assert net.score(X, y) > 0.9


def test_focal_loss_is_less_confident():
    X, y = make_circles(400, noise=0.2, factor=0.5, random_state=0)
    net = _net(MLPClassifier, max_iter=100, hidden_layer_sizes=30)
    focal, plain = (clone(net).set_params(loss=loss).fit(X, y).predict_proba(X) for loss in ("focal", "log_loss"))
    assert np.mean(abs(focal - 0.5)) < np.mean(abs(plain - 0.5)) - 0.05


@pytest.mark.parametrize("gamma", [-0.1, np.nan, "much"])
def test_invalid_gamma_raises(cancer, gamma):
    assert_refused(_net(MLPClassifier, loss=Focal(gamma)), cancer, r"'gamma' parameter of Focal.*\[0")
