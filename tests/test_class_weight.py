"""class_weight: sample weights derived from the labels."""

import numpy as np
import pytest
from refused import assert_refused
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sknn_iitb import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ["float32", "float64"]
SOLVERS = ["adam", "sgd", "lbfgs"]


def _net(**parameters):
    return MLPClassifier(
        **{"hidden_layer_sizes": 6, "max_iter": 4, "batch_size": 32, "learning_rate_init": 0.01, "random_state": 0}
        | parameters
    )


@pytest.fixture
def flowers(iris):
    """Three named classes of different size."""
    X, y = iris
    rows = np.r_[:50, 50:80, 100:110]
    return X[rows], np.array(["setosa", "versicolor", "virginica"])[y[rows]]


@pytest.fixture
def columns(flowers):
    """Two label columns, with three and two classes."""
    X, y = flowers
    return X, np.column_stack([y, np.where(X[:, 0] > 0.5, "long", "short")])


OF_FLOWERS = {"setosa": 0.5, "virginica": 4}  # missing classes have weight 1
OF_COLUMNS = [OF_FLOWERS, {"long": 3.0}]
OF_BITS = [{1: 2}, {0: 0.5, 1: 4}, {}, {1: 3}]

# each: a fixture, and class weights other than "balanced"
DATASETS = {"one column": ("flowers", OF_FLOWERS), "columns": ("columns", OF_COLUMNS), "labels": ("bits", OF_BITS)}


def _sample_weight(class_weight, y):
    """Sample weights by scikit-learn, which needs a weight for each class."""
    if class_weight == "balanced":
        return compute_sample_weight(class_weight, y)
    if isinstance(class_weight, dict):
        return np.array([class_weight.get(label, 1) for label in y], float)
    return np.prod([_sample_weight(weights, column) for weights, column in zip(class_weight, y.T, strict=True)], axis=0)


# --- equivalence to sample weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_class_weights_equal_sample_weights_exactly(request, dataset, solver, early_stopping, dtype):
    fixture, class_weight = DATASETS[dataset]
    X, y = request.getfixturevalue(fixture)
    net = _net(solver=solver, early_stopping=early_stopping, dtype=dtype)
    by_class = clone(net).set_params(class_weight=class_weight).fit(X, y)
    by_sample = clone(net).fit(X, y, sample_weight=_sample_weight(class_weight, y))
    np.testing.assert_array_equal(by_class.parameters_, by_sample.parameters_)
    assert by_class.loss_ == by_sample.loss_
    if early_stopping and solver != "lbfgs":
        assert by_class.validation_scores_ == by_sample.validation_scores_
        assert by_class.validation_loss_curve_ == by_sample.validation_loss_curve_
    assert not np.array_equal(by_class.parameters_, net.fit(X, y).parameters_)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_balanced_weights_match_scikit_learn(request, dataset, solver):
    X, y = request.getfixturevalue(DATASETS[dataset][0])
    net = _net(solver=solver)
    by_class = clone(net).set_params(class_weight="balanced").fit(X, y)
    by_sample = clone(net).fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    np.testing.assert_allclose(by_class.parameters_, by_sample.parameters_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dataset", DATASETS)
def test_class_and_sample_weights_multiply(request, dataset):
    fixture, class_weight = DATASETS[dataset]
    X, y = request.getfixturevalue(fixture)
    weight = np.random.RandomState(0).randint(0, 3, len(X)) * 0.7
    both = _net(class_weight=class_weight).fit(X, y, sample_weight=weight)
    product = _net().fit(X, y, sample_weight=weight * _sample_weight(class_weight, y))
    np.testing.assert_array_equal(both.parameters_, product.parameters_)


def test_balanced_accounts_for_sample_weights(flowers):
    X, y = flowers
    weight = np.random.RandomState(0).uniform(0.1, 3, len(X))
    classes = np.unique(y)
    of_class = compute_class_weight("balanced", classes=classes, y=y, sample_weight=weight)
    product = weight * of_class[np.searchsorted(classes, y)]
    np.testing.assert_allclose([product[y == label].sum() for label in classes], weight.sum() / 3)
    both, direct = _net(class_weight="balanced").fit(X, y, sample_weight=weight), _net().fit(X, y, product)
    np.testing.assert_allclose(both.parameters_, direct.parameters_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_integer_weights_equal_repeated_rows(flowers, solver):
    X, y = flowers
    net = _net(solver=solver, batch_size="full", shuffle=False, alpha=0.5, max_iter=10)
    weighted = clone(net).set_params(class_weight={"versicolor": 2, "virginica": 5}).fit(X, y)
    times = np.select([y == "versicolor", y == "virginica"], [2, 5], 1)
    repeated = net.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.parameters_, repeated.parameters_, rtol=1e-6, atol=1e-9)


def test_class_with_zero_weight_is_ignored(flowers):
    X, y = flowers
    kept = y != "virginica"
    weighted = _net(class_weight={"virginica": 0}).partial_fit(X, y, classes=np.unique(y))
    subset = _net().partial_fit(X[kept], y[kept], classes=np.unique(y))
    np.testing.assert_array_equal(weighted.parameters_, subset.parameters_)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.2, 1: 3}], ids=str)
def test_linear_network_matches_weighted_logistic_regression(cancer, class_weight):
    X, y = cancer
    net = _net(hidden_layer_sizes=(), solver="lbfgs", alpha=0.5, tol=1e-8, max_iter=10_000, class_weight=class_weight)
    net.fit(X, y)
    theirs = LogisticRegression(C=2.0, tol=1e-10, solver="newton-cholesky", class_weight=class_weight).fit(X, y)
    np.testing.assert_allclose(net.coefs_[0].T, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(net.intercepts_[0], theirs.intercept_, atol=1e-5)
    assert abs(LogisticRegression(C=2.0).fit(X, y).intercept_ - theirs.intercept_) > 0.1


@pytest.mark.parametrize("class_weight", ["balanced", OF_FLOWERS], ids=str)
def test_linear_softmax_network_matches_weighted_multinomial_regression(flowers, class_weight):
    X, y = flowers
    net = _net(hidden_layer_sizes=(), solver="lbfgs", alpha=1.0, tol=1e-8, max_iter=10_000, class_weight=class_weight)
    theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=10_000, class_weight=class_weight).fit(X, y)
    np.testing.assert_allclose(net.fit(X, y).predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("dataset", DATASETS)
def test_loss_and_gradient_are_weighted(request, dataset):
    fixture, class_weight = DATASETS[dataset]
    X, y = request.getfixturevalue(fixture)
    net = _net(class_weight=class_weight).fit(X, y)
    loss, gradient = net.loss_and_gradient(X, y)
    net.set_params(class_weight=None)
    expected = net.loss_and_gradient(X, y, sample_weight=_sample_weight(class_weight, y))
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


# --- validation and partial_fit -------------------------------------------------------------------------------------


def test_validation_samples_are_weighted_like_training_samples(flowers):
    X, y = flowers
    train, val = slice(0, None, 2), slice(1, None, 2)
    net = _net(early_stopping=True)
    by_class = clone(net).set_params(class_weight=OF_FLOWERS).fit(X[train], y[train], X_val=X[val], y_val=y[val])
    weight = _sample_weight(OF_FLOWERS, y)
    validation = {"X_val": X[val], "y_val": y[val], "sample_weight_val": weight[val]}
    by_sample = net.fit(X[train], y[train], weight[train], **validation)
    np.testing.assert_array_equal(by_class.parameters_, by_sample.parameters_)
    assert by_class.validation_loss_curve_ == by_sample.validation_loss_curve_


@pytest.mark.parametrize("dataset", ["one column", "columns"])
def test_class_weights_apply_to_each_call_of_partial_fit(request, dataset):
    fixture, class_weight = DATASETS[dataset]
    X, y = request.getfixturevalue(fixture)
    classes = [np.unique(column) for column in y.T] if y.ndim == 2 else np.unique(y)
    weight = _sample_weight(class_weight, y)
    by_class, by_sample = _net(class_weight=class_weight, batch_size=10), _net(batch_size=10)
    for rows in (slice(0, 50), slice(50, 80), slice(80, 90)):  # the first lacks a class
        by_class.partial_fit(X[rows], y[rows], classes=classes)
        by_sample.partial_fit(X[rows], y[rows], weight[rows], classes=classes)
    np.testing.assert_array_equal(by_class.parameters_, by_sample.parameters_)


@pytest.mark.parametrize("fitted", [False, True])
def test_balanced_in_partial_fit_raises(flowers, fitted):
    X, y = flowers
    net = _net()
    if fitted:
        net.partial_fit(X, y, classes=np.unique(y))
    net.set_params(class_weight="balanced")
    call = lambda: net.partial_fit(X, y, classes=np.unique(y))  # noqa: E731
    assert_refused(net, flowers, "'balanced' is not supported by partial_fit.*compute_class_weight", call=call)


# --- invalid class weights ------------------------------------------------------------------------------------------

WRONG = [
    ("flowers", {"rose": 2}, r"class_weight has a weight for \['rose'\].*not in y.*setosa.*virginica"),
    ("flowers", {0: 2}, r"a weight for \[0\]"),
    ("flowers", {"setosa": -1}, "must have finite weights >= 0"),
    ("flowers", {"setosa": np.nan}, "must have finite weights >= 0"),
    ("flowers", {"setosa": np.inf}, "must have finite weights >= 0"),
    ("flowers", {"setosa": "much"}, "must have finite weights >= 0"),
    ("flowers", dict.fromkeys(["setosa", "versicolor", "virginica"], 0), "^class_weight=.* is zero for every"),
    ("flowers", OF_COLUMNS, "must be 'balanced' or a dict"),
    ("flowers", [], "must be 'balanced' or a dict"),
    ("flowers", [0.5, 1.0, 4.0], "must be 'balanced' or a dict"),
    ("flowers", "unbalanced", "'class_weight' parameter of MLPClassifier must be"),
    ("flowers", 2.0, "'class_weight' parameter of MLPClassifier must be"),
    ("columns", OF_FLOWERS, "must be 'balanced' or a list of 2 dicts, one for each column of y"),
    ("columns", [OF_FLOWERS], "must be 'balanced' or a list of 2 dicts"),
    ("columns", [OF_FLOWERS, "balanced"], "must be 'balanced' or a list of 2 dicts"),
    ("columns", OF_COLUMNS[::-1], r"a weight for \['long'\]"),
    ("bits", {1: 2}, "must be 'balanced' or a list of 4 dicts"),
    ("bits", [{2: 1}] * 4, r"a weight for \[2\]"),
]


def test_error_names_the_weights_that_are_zero_for_every_sample(flowers):
    X, y = flowers
    net = _net(class_weight={"setosa": 0})
    is_setosa = y == "setosa"
    with pytest.raises(
        ValueError, match=r"class_weight=\{'setosa': 0\}, times sample_weight, is zero for every sample"
    ):
        net.fit(X, y, sample_weight=is_setosa.astype(float))
    with pytest.raises(ValueError, match=r"X_val, y_val.*: class_weight=\{'setosa': 0\}.* is zero for every sample"):
        net.fit(X, y, X_val=X[is_setosa], y_val=y[is_setosa])


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("fixture", "class_weight", "match"), WRONG)
def test_invalid_class_weight_raises(request, fixture, class_weight, match, fitted):
    X, y = request.getfixturevalue(fixture)
    net = _net()
    if fitted:
        net.fit(X, y)
    assert_refused(net.set_params(class_weight=class_weight), (X, y), match)
