"""The commonest failure, named: which scales are found fault with, and that the advised line mends it."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import sparse
from sklearn import datasets, preprocessing
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.losses import Quantile
from sknn_iitb.mlp import _scaling_advice
from sknn_iitb.mlp._scaling_advice import advice

TABLES = [datasets.load_breast_cancer, datasets.load_wine, datasets.load_iris, datasets.load_diabetes]
FORMATS = [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array]


def _named(text):
    """What is named, in order; at the end the number of the others."""
    columns = re.search(r"badly scaled: columns? (.*?)\. Use", text)[1]
    return re.findall(r"('[^']*'|\d+) \(from", columns), int((re.findall(r"and (\d+) more", columns) or [0])[0])


# --- what is well scaled ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaler", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "PowerTransformer"])
@pytest.mark.parametrize("load", TABLES)
def test_scaled_tables_are_well_scaled(load, scaler, dtype):
    X = getattr(preprocessing, scaler)().fit_transform(load().data.astype(dtype))
    assert advice(X, X) == ""


@pytest.mark.parametrize("divisor", [16, 255])
def test_pixels_are_well_scaled(divisor):
    assert advice(datasets.load_digits().data / divisor) == ""


@pytest.mark.parametrize("sparse_output", [False, True])
@pytest.mark.parametrize("drop", [None, "first"])
def test_rare_categories_are_well_scaled(sparse_output, drop):
    category = np.r_[np.zeros(10_000), 1, np.full(3, 2)][:, None]
    assert advice(OneHotEncoder(sparse_output=sparse_output, drop=drop).fit_transform(category)) == ""


def test_a_column_that_never_changes_is_well_scaled():
    X = np.c_[np.ones(20), np.zeros(20), np.full(20, 0.1)]
    assert advice(X) == advice(StandardScaler().fit_transform(X)) == ""


_WILD = npst.arrays(
    np.float64,
    st.tuples(st.integers(2, 30), st.integers(1, 4)),
    elements=st.integers(-1000, 1000).map(float),
)
_FACTORS = npst.arrays(np.float64, (1, 4), elements=st.floats(-30, 30).map(lambda exponent: 10.0**exponent))


@settings(deadline=None)
@given(X=_WILD, factors=_FACTORS)
def test_the_advised_scaler_leaves_nothing_to_say(X, factors):
    X = X * factors[:, : X.shape[1]]
    scaled = StandardScaler().fit_transform(X)
    assert advice(scaled, scaled) == ""
    assert advice(MaxAbsScaler().fit_transform(sparse.csr_array(X))) == ""


# --- what is not ------------------------------------------------------------------------------------------------


def test_raw_breast_cancer_and_wine_are_badly_scaled_in_their_areas_and_in_proline():
    cancer, wine = datasets.load_breast_cancer(), datasets.load_wine()
    text = advice(cancer.data, feature_names=cancer.feature_names)
    names, _ = _named(text)
    assert set(names[:2]) == {"'worst area'", "'mean area'"}
    assert "'worst area' (from 185.2 to 4254)" in text
    assert text.endswith("Use make_pipeline(StandardScaler(), net).")
    names, _ = _named(advice(wine.data, feature_names=wine.feature_names))
    assert names[:2] == ["'proline'", "'magnesium'"]


def test_raw_diabetes_has_a_badly_scaled_y():
    X, y = datasets.load_diabetes(return_X_y=True)
    assert advice(X, y[:, None]) == (
        "y is badly scaled: column 0 (from 25 to 346). Use TransformedTargetRegressor(net, "
        "transformer=StandardScaler())."
    )
    assert advice(X) == ""


def test_dates_in_seconds_and_millionths_are_found_among_good_columns(cancer):
    X, _ = cancer
    rng = np.random.RandomState(0)
    dates = 1.7e9 + rng.randint(86_400 * 365, size=len(X))
    X = np.c_[X[:, :2], dates, X[:, 2:], 1e-6 * rng.normal(size=len(X))]
    assert _named(advice(X)) == (["2", "31"], 0)


def test_the_worst_columns_are_named_and_the_others_counted():
    # column i is from -10**i to 10**i: those from 2 to 21 are too large
    X = np.array([[-1], [1]]) * 10.0 ** np.arange(22)
    assert _named(advice(X)) == (["21", "20", "19"], 17)
    assert _named(advice(X[:, :6])) == (["5", "4", "3"], 1)
    assert _named(advice(X[:, :5])) == (["4", "3", "2"], 0)
    assert _named(advice(X[:, :3])) == (["2"], 0)


def test_both_x_and_y_are_spoken_of():
    X = np.array([[1.0], [300.0]])
    first, second = re.findall(r"\w is badly scaled.*?\)\.", advice(X, X * 2))
    assert first.startswith("X is badly scaled: column 0 (from 1 to 300).")
    assert second.startswith("y is badly scaled: column 0 (from 2 to 600).")


def test_numbers_whose_squares_are_infinite_come_first():
    X = np.array([[1e10, 1e200], [1.0, -1e200]])
    assert advice(X).startswith("X is badly scaled: columns 1 (from -1e+200 to 1e+200) and 0 (from 1 to 1e+10).")


# --- kinds of X -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "float32"])
def test_any_numeric_type_will_do(dtype):
    X = np.random.RandomState(0).randint(0, 2 if dtype == "bool" else 100, size=(50, 6)).astype(dtype)
    X[0] = 0
    expected = advice(X.astype(np.float64))
    assert advice(X) == expected
    assert bool(expected) == (dtype != "bool")
    if dtype != "float16":  # SciPy has no sparse matrices of those
        assert advice(sparse.csr_array(X)) == expected.replace("StandardScaler", "MaxAbsScaler")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_sparse_x_is_judged_like_a_dense_one(kind, index):
    rng = np.random.RandomState(0)
    dense = rng.normal(size=(200, 30)) * (rng.uniform(size=(200, 30)) < 0.2) * 10.0 ** rng.uniform(-5, 5, size=30)
    X = kind(dense)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    assert advice(X) == advice(dense).replace("StandardScaler", "MaxAbsScaler")
    # entries may come in any order
    if X.format == "csr":
        X.indices[: X.indptr[1]] = X.indices[: X.indptr[1]][::-1]
        X.data[: X.indptr[1]] = X.data[: X.indptr[1]][::-1]
        X.has_sorted_indices = False
        assert advice(X) == advice(dense).replace("StandardScaler", "MaxAbsScaler")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sparse_x_without_entries_is_well_scaled(kind):
    assert advice(kind((5, 3))) == ""


@pytest.mark.parametrize("kind", [np.asarray, *FORMATS])
@pytest.mark.parametrize("n", [1, 7, 64, 1000])
def test_the_size_of_the_pieces_does_not_matter(monkeypatch, kind, n):
    rng = np.random.RandomState(0)
    X = kind(rng.normal(size=(100, 9)) * 10.0 ** np.arange(-4, 5))
    expected = advice(X)
    monkeypatch.setattr(_scaling_advice, "_NUMBERS_AT_A_TIME", n)
    assert advice(X) == expected != ""


def _peak(X):
    tracemalloc.start()
    advice(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_large_x_is_not_copied():
    X = np.ones((20_000, 1000), np.int8)
    assert _peak(X) < 0.05 * X.size * 8  # of what it would take in float64
    X = np.ones((20_000, 1000), np.float32)
    assert _peak(X) < 0.25 * X.nbytes


@pytest.mark.parametrize("kind", FORMATS)
def test_a_large_sparse_x_is_not_made_dense(kind):
    rng = np.random.RandomState(0)
    places = rng.randint(20_000, size=1_000_000), rng.randint(50_000, size=1_000_000)
    X = kind(sparse.coo_array((rng.normal(size=1_000_000), places), shape=(20_000, 50_000)))
    assert _peak(X) < 20e6  # it would be 8 GB if it were dense


# --- it does fail, and the fix does mend it ---------------------------------------------------------------------


def _houses():
    """A table like that of the houses of California: incomes, ages, people and places against prices in dollars."""
    rng = np.random.RandomState(0)
    income, population = rng.lognormal(1.2, 0.4, 2000), rng.lognormal(7, 0.7, 2000)
    age, latitude, longitude = rng.uniform(1, 52, 2000), rng.uniform(32, 42, 2000), rng.uniform(-124, -114, 2000)
    worth = 0.4 * income + 0.01 * age - 0.2 * abs(latitude - 34) + 0.3 * rng.normal(size=2000)
    return np.c_[income, age, population, latitude, longitude], 1e5 * (1 + worth)


def _with_dates():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    dates = 1.7e9 + np.random.RandomState(0).randint(86_400 * 365, size=len(X))
    return np.c_[StandardScaler().fit_transform(X), dates], y


def _in_millionths():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return 1e-6 * StandardScaler().fit_transform(X), y


def _wine():
    return datasets.load_wine(return_X_y=True)


def _diabetes():
    return datasets.load_diabetes(return_X_y=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [_with_dates, _in_millionths, _wine, _diabetes, _houses])
def test_a_default_net_is_far_below_a_linear_model_where_advice_is_given_and_not_when_it_is_taken(load):
    X, y = load()
    regression = len(np.unique(y)) > 10
    text = advice(X, y[:, None] if regression else None)
    net, linear = (MLPRegressor, LinearRegression) if regression else (MLPClassifier, LogisticRegression)
    net = mended = net(random_state=0)
    if "make_pipeline(StandardScaler(), net)" in text:
        mended = make_pipeline(StandardScaler(), net)
    if "TransformedTargetRegressor(net, transformer=StandardScaler())" in text:
        mended = TransformedTargetRegressor(mended, transformer=StandardScaler())
    models = net, make_pipeline(StandardScaler(), linear()), mended
    raw, linear, mended = (cross_val_score(model, X, y).mean() for model in models)
    assert raw + 0.05 < linear < mended + 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "huber", Quantile(0.3), Quantile([0.3, 0.7]), "gaussian"], ids=str)
def test_a_transformer_of_y_is_advised_where_all_that_is_predicted_goes_through_it(loss, n_targets):
    X, Y = datasets.load_linnerud(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), Y[:, 0] if n_targets == 1 else Y[:, :n_targets]
    net = MLPRegressor(loss, 3, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="y is badly scaled") as caught:
        net.fit(X, y)
    model = TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, y)
    parameters = {"return_std": True} if loss == "gaussian" else {}
    try:
        back = model.predict(X, **parameters)
    except (TypeError, ValueError, AttributeError):
        back = np.empty(0)
    advised = "TransformedTargetRegressor" in str(caught[0].message)
    assert advised == (np.shape(back) == np.shape(net.predict(X)))
    assert advised != ("Scale it before fit, and invert the scaling of predictions." in str(caught[0].message))


def test_a_net_that_stalls_from_the_start_on_badly_scaled_data_says_so(cancer):
    X, y = cancer
    net = MLPClassifier(solver="sgd", max_iter=60, tol=1e-2, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"stalled after \d+ epochs. X is badly scaled"):
        net.fit(X * 1e-6, y)
    net.fit(X, y)  # without a warning
    assert net.n_iter_ < net.max_iter
