"""compare_with_sklearn: reports agreement, or else the documented difference that applies."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import DataConversionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from sknn_iitb import MLPClassifier, MLPRegressor, compare_with_sklearn
from sknn_iitb.inspection.comparison import DIFFERENCES
from sknn_iitb.optimizers import SGD, Lion

pytestmark = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="earlier releases have a different model"
)

SMALL = {"hidden_layer_sizes": 5, "max_iter": 8}


@pytest.mark.parametrize(
    ("dataset", "net"),
    [
        ("cancer", MLPClassifier(**SMALL)),
        ("iris", MLPClassifier(**SMALL, solver="lbfgs")),
        ("bits", MLPClassifier(**SMALL, solver=SGD(momentum=0.5), early_stopping=True, random_state=4)),
        ("diabetes", MLPRegressor(**SMALL, batch_size=30, dtype=None, verbose=True)),
        ("wine", MLPRegressor(**SMALL, random_state=np.random.RandomState(0))),
        ("counts", MLPRegressor(**SMALL, loss="poisson", solver="sgd", learning_rate="invscaling")),
    ],
    ids=["cancer", "iris", "bits", "diabetes", "wine", "counts"],
)
def test_networks_with_scikit_learn_parameters_agree(request, capsys, dataset, net):
    X, y = request.getfixturevalue(dataset)
    found = compare_with_sklearn(net, X.astype(np.float32), y)
    assert found.agree
    assert found.loss_difference < 1e-9
    assert found.differences == ()
    assert found.n_iter.ours == found.n_iter.sklearn
    assert found.n_same == (None if net.solver == "lbfgs" else found.n_iter.ours)
    for scores in (found.train_score, found.test_score):
        assert scores.ours == pytest.approx(scores.sklearn)
    assert found.train_score != found.test_score
    assert found.speed_ratio == found.seconds.sklearn / found.seconds.ours
    assert not hasattr(net, "coefs_")
    assert capsys.readouterr().out == f"{found}\n"
    assert "The losses agree" in str(found)


@pytest.mark.parametrize(("dataset", "cls"), [("cancer", MLPClassifier), ("diabetes", MLPRegressor)])
def test_column_vector_y_is_raveled_with_the_warning_of_both(request, dataset, cls):
    X, y = request.getfixturevalue(dataset)
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        found = compare_with_sklearn(cls(**SMALL, solver="lbfgs", alpha=1), X, y[:, None])
    same = compare_with_sklearn(cls(**SMALL, solver="lbfgs", alpha=1), X, y)
    assert found.agree
    assert (found.loss_difference, found.train_score) == (same.loss_difference, same.train_score)


def test_pipeline_is_fitted_on_the_training_rows_only(cancer):
    pandas = pytest.importorskip("pandas")
    X, y = cancer
    seen = []
    look = FunctionTransformer(lambda X: seen.append(X) or X[["a", "b"]])
    X = pandas.DataFrame(1e3 * X[:, :3], columns=["a", "b", "c"])
    net = make_pipeline(look, StandardScaler(), MLPClassifier(solver="lbfgs", max_iter=20))
    found = compare_with_sklearn(net, X, y)
    assert found.agree
    assert found.test_score.ours > 0.8
    assert [list(each.columns) for each in seen] == 2 * [["a", "b", "c"]]
    assert [len(each) for each in seen] == [426, 143]
    assert compare_with_sklearn(make_pipeline(MLPClassifier(**SMALL)), *cancer).agree  # no step before the network


def test_fitted_network_is_refitted_as_a_copy(iris):
    net = MLPClassifier(**{**SMALL, "max_iter": 200}, tol=0.1).fit(*iris)
    weights = net.parameters_.copy()
    assert compare_with_sklearn(net, *iris).agree
    np.testing.assert_array_equal(net.parameters_, weights)


# --- differences ----------------------------------------------------------------------------------------------------


def _sure_and_wrong(y):
    return np.where(np.arange(len(y)) % 50 == 0, 1 - y, y)


def _weights(*values):
    return lambda y: np.resize(values, len(y))


# each: the data, the network, the change to y, the weights, and the beginning of the headline
CASES = {
    "learning_rate": (
        "cancer",
        MLPClassifier(**SMALL, learning_rate="invscaling"),
        None,
        None,
        "`learning_rate` applies",
    ),
    "weights": ("iris", MLPClassifier(**SMALL, batch_size=10), None, _weights(1, 2), "Sample weights apply"),
    "no weight": (
        "diabetes",
        MLPRegressor(**SMALL, batch_size=20),
        None,
        _weights(1, 1, 0),
        "Samples with zero weight",
    ),
    "negative weights": ("diabetes", MLPRegressor(**SMALL), None, _weights(1, 1, -0.1), "Negative sample weights"),
    "divergence": (
        "diabetes",
        MLPRegressor(**SMALL, solver="sgd", learning_rate_init=1e5, activation="identity", early_stopping=True),
        None,
        None,
        "Diverging training",
    ),
    "NaN": (
        "diabetes",
        MLPRegressor(**SMALL, solver="sgd", learning_rate_init=1e5, activation="identity", early_stopping=True),
        None,
        None,
        "A NaN validation score",
    ),
    "adaptive": (
        "diabetes",
        MLPRegressor(
            hidden_layer_sizes=5,
            max_iter=100,
            solver="sgd",
            learning_rate="adaptive",
            learning_rate_init=0.2,
            n_iter_no_change=1,
            batch_size=20,
        ),
        None,
        None,
        "The adaptive learning rate",
    ),
    "tol": (
        "diabetes",
        MLPRegressor(hidden_layer_sizes=(), max_iter=1000, solver="lbfgs", tol=1e-7),
        None,
        None,
        "With lbfgs, a `tol` below 1e-4",
    ),
    "several outputs": ("wine", MLPRegressor(solver="lbfgs"), None, None, "With lbfgs and several outputs"),
    "poisson": ("counts", MLPRegressor(**SMALL, loss="poisson"), lambda y: y - 2, None, '`loss="poisson"` requires'),
    "clipping": (
        "cancer",
        MLPClassifier(hidden_layer_sizes=5, max_iter=3, solver="sgd", learning_rate_init=2.0, random_state=3),
        _sure_and_wrong,
        None,
        "Cross-entropy is not clipped",
    ),
    "explosion": (
        "cancer",
        MLPClassifier(hidden_layer_sizes=5, max_iter=5, solver="sgd", learning_rate_init=100.0, random_state=0),
        None,
        None,
        "An exploding loss",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_applying_difference_is_named(request, case):
    dataset, net, change, weigh, headline = CASES[case]
    X, y = request.getfixturevalue(dataset)
    y = y if change is None else change(y)
    found = compare_with_sklearn(net, X, y, None if weigh is None else weigh(y))
    assert not found.agree
    assert [name for name in found.differences if name.startswith(headline)]
    assert all(f"- {name}" in str(found) for name in found.differences)


def test_every_difference_has_a_case():
    headlines = [case[-1] for case in CASES.values()]
    assert all(any(name.startswith(headline) for headline in headlines) for name in DIFFERENCES)


@pytest.mark.parametrize("headline", DIFFERENCES)
def test_headlines_match_the_documentation(headline):
    text = (Path(__file__).parents[1] / "docs" / "differences.md").read_text(encoding="utf-8")
    assert headline in re.findall(r"^\*\*(.*?)\*\*", re.sub(r"(?<!\n)\n(?!\n)", " ", text), flags=re.MULTILINE)


def test_error_of_one_estimator_is_reported(diabetes):
    X, y = diabetes
    found = compare_with_sklearn(MLPRegressor(**SMALL), X, y, np.resize([1.0, -0.1], len(y)))
    assert "ValueError" in str(found)
    assert found.errors.sklearn is None
    assert np.isnan(found.train_score.ours)
    first = np.where(np.arange(len(y)) < 200, 0.0, 1.0)
    found = compare_with_sklearn(MLPRegressor(**SMALL, batch_size=5), X, y, first)
    assert found.errors.ours is None
    assert "ZeroDivisionError" in str(found)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_error_names_all_parameters_missing_in_scikit_learn(iris):
    net = MLPClassifier(solver=Lion(), learning_rate="cosine", activation="gelu", init="zeros", loss="hinge")
    with pytest.raises(ValueError, match="scikit-learn cannot train this network") as raised:
        compare_with_sklearn(net, *iris)
    for name in ("solver", "learning_rate", "activation", "init", "loss"):
        assert f"'{name}'" in str(raised.value)


@pytest.mark.parametrize("labels", [(0, 1, 2), (5, 7, 7), ("a", "b", "b")], ids=str)
def test_several_label_columns_cannot_be_compared(iris, labels):
    X, y = iris
    y = np.column_stack([y, y[::-1]])
    with pytest.raises(
        ValueError, match="scikit-learn's MLPClassifier does not support y with several columns of classes"
    ):
        compare_with_sklearn(MLPClassifier(**SMALL), X, np.array(labels)[y])


def test_data_that_neither_can_fit_raise(diabetes):
    X, y = diabetes
    with pytest.raises(ValueError, match="Training diverged at epoch 1 with"):
        compare_with_sklearn(MLPRegressor(solver="sgd", learning_rate_init=1e9), X, y)
    with pytest.raises(ValueError, match="NaN"):
        compare_with_sklearn(MLPRegressor(), np.full_like(X, np.nan), y)


@pytest.mark.parametrize("wrong", [StandardScaler(), make_pipeline(StandardScaler()), MLPClassifier, None])
def test_comparing_another_estimator_raises(iris, wrong):
    with pytest.raises(TypeError, match="requires an MLPClassifier or MLPRegressor of sknn_iitb"):
        compare_with_sklearn(wrong, *iris)
