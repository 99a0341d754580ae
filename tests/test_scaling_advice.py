"""Advice on badly scaled data: which columns it names, and that the suggested line fixes the problem."""

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

DATASETS = [datasets.load_breast_cancer, datasets.load_wine, datasets.load_iris, datasets.load_diabetes]
FORMATS = [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array]


def _named(text):
    """The named columns in order, and the number of the others."""
    columns = re.search(r"badly scaled: columns? (.*?)\. Use", text)[1]
    return re.findall(r"('[^']*'|\d+) \(from", columns), int((re.findall(r"and (\d+) more", columns) or [0])[0])


# --- well-scaled data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaler", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "PowerTransformer"])
@pytest.mark.parametrize("load", DATASETS)
def test_scaled_data_need_no_advice(load, scaler, dtype):
    X = getattr(preprocessing, scaler)().fit_transform(load().data.astype(dtype))
    assert advice(X, X) == ""


@pytest.mark.parametrize("divisor", [16, 255])
def test_pixels_need_no_advice(divisor):
    assert advice(datasets.load_digits().data / divisor) == ""


@pytest.mark.parametrize("sparse_output", [False, True])
@pytest.mark.parametrize("drop", [None, "first"])
def test_rare_categories_need_no_advice(sparse_output, drop):
    category = np.r_[np.zeros(10_000), 1, np.full(3, 2)][:, None]
    assert advice(OneHotEncoder(sparse_output=sparse_output, drop=drop).fit_transform(category)) == ""


def test_constant_columns_need_no_advice():
    X = np.c_[np.ones(20), np.zeros(20), np.full(20, 0.1)]
    assert advice(X) == advice(StandardScaler().fit_transform(X)) == ""


_RAW = npst.arrays(
    np.float64,
    st.tuples(st.integers(2, 30), st.integers(1, 4)),
    elements=st.integers(-1000, 1000).map(float),
)
_FACTORS = npst.arrays(np.float64, (1, 4), elements=st.floats(-30, 30).map(lambda exponent: 10.0**exponent))


@settings(deadline=None)
@given(X=_RAW, factors=_FACTORS)
def test_data_scaled_as_advised_need_no_advice(X, factors):
    X = X * factors[:, : X.shape[1]]
    scaled = StandardScaler().fit_transform(X)
    assert advice(scaled, scaled) == ""
    assert advice(MaxAbsScaler().fit_transform(sparse.csr_array(X))) == ""


# --- badly scaled data ------------------------------------------------------------------------------------------


def test_advice_names_the_areas_of_breast_cancer_and_the_proline_of_wine():
    cancer, wine = datasets.load_breast_cancer(), datasets.load_wine()
    text = advice(cancer.data, feature_names=cancer.feature_names)
    names, _ = _named(text)
    assert set(names[:2]) == {"'worst area'", "'mean area'"}
    assert "'worst area' (from 185.2 to 4254)" in text
    assert text.endswith("Use make_pipeline(StandardScaler(), net).")
    names, _ = _named(advice(wine.data, feature_names=wine.feature_names))
    assert names[:2] == ["'proline'", "'magnesium'"]


def test_advice_names_y_of_diabetes():
    X, y = datasets.load_diabetes(return_X_y=True)
    assert advice(X, y[:, None]) == (
        "y is badly scaled: column 0 (from 25 to 346). Use TransformedTargetRegressor(net, "
        "transformer=StandardScaler())."
    )
    assert advice(X) == ""


def test_advice_finds_timestamps_and_tiny_columns_among_scaled_ones(cancer):
    X, _ = cancer
    rng = np.random.RandomState(0)
    dates = 1.7e9 + rng.randint(86_400 * 365, size=len(X))
    X = np.c_[X[:, :2], dates, X[:, 2:], 1e-6 * rng.normal(size=len(X))]
    assert _named(advice(X)) == (["2", "31"], 0)


def test_advice_names_the_worst_columns_and_counts_the_others():
    # column i ranges from -10**i to 10**i: columns 2 to 21 are too large
    X = np.array([[-1], [1]]) * 10.0 ** np.arange(22)
    assert _named(advice(X)) == (["21", "20", "19"], 17)
    assert _named(advice(X[:, :6])) == (["5", "4", "3"], 1)
    assert _named(advice(X[:, :5])) == (["4", "3", "2"], 0)
    assert _named(advice(X[:, :3])) == (["2"], 0)


def test_advice_covers_x_and_y():
    X = np.array([[1.0], [300.0]])
    first, second = re.findall(r"\w is badly scaled.*?\)\.", advice(X, X * 2))
    assert first.startswith("X is badly scaled: column 0 (from 1 to 300).")
    assert second.startswith("y is badly scaled: column 0 (from 2 to 600).")


def test_the_ends_of_a_narrow_column_are_told_apart():
    assert advice(np.array([[99996.5], [100003.97]])).startswith(
        "X is badly scaled: column 0 (from 99996.5 to 100004)."
    )


def test_columns_with_infinite_squares_come_first():
    X = np.array([[1e10, 1e200], [1.0, -1e200]])
    assert advice(X).startswith("X is badly scaled: columns 1 (from -1e+200 to 1e+200) and 0 (from 1 to 1e+10).")


# --- types of X -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "float32"])
def test_any_numeric_dtype_works(dtype):
    X = np.random.RandomState(0).randint(0, 2 if dtype == "bool" else 100, size=(50, 6)).astype(dtype)
    X[0] = 0
    expected = advice(X.astype(np.float64))
    assert advice(X) == expected
    assert bool(expected) == (dtype != "bool")
    if dtype != "float16":  # which sparse matrices do not support
        assert advice(sparse.csr_array(X)) == expected.replace("StandardScaler", "MaxAbsScaler")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_x_gets_the_advice_of_dense_x(kind, index):
    rng = np.random.RandomState(0)
    dense = rng.normal(size=(200, 30)) * (rng.uniform(size=(200, 30)) < 0.2) * 10.0 ** rng.uniform(-5, 5, size=30)
    X = kind(dense)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    assert advice(X) == advice(dense).replace("StandardScaler", "MaxAbsScaler")
    # with entries in any order
    if X.format == "csr":
        X.indices[: X.indptr[1]] = X.indices[: X.indptr[1]][::-1]
        X.data[: X.indptr[1]] = X.data[: X.indptr[1]][::-1]
        X.has_sorted_indices = False
        assert advice(X) == advice(dense).replace("StandardScaler", "MaxAbsScaler")


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_sparse_x_needs_no_advice(kind):
    assert advice(kind((5, 3))) == ""


@pytest.mark.parametrize("kind", [np.asarray, *FORMATS])
@pytest.mark.parametrize("n", [1, 7, 64, 1000])
def test_chunk_size_does_not_matter(monkeypatch, kind, n):
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


def test_large_x_is_not_copied():
    X = np.ones((20_000, 1000), np.int8)
    assert _peak(X) < 0.05 * X.size * 8  # a small fraction of the size in float64
    X = np.ones((20_000, 1000), np.float32)
    assert _peak(X) < 0.25 * X.nbytes


@pytest.mark.parametrize("kind", FORMATS)
def test_large_sparse_x_is_not_converted_to_dense(kind):
    rng = np.random.RandomState(0)
    places = rng.randint(20_000, size=1_000_000), rng.randint(50_000, size=1_000_000)
    X = kind(sparse.coo_array((rng.normal(size=1_000_000), places), shape=(20_000, 50_000)))
    assert _peak(X) < 20e6  # 8 GB if it were dense


# --- failure without the advice, success with it ----------------------------------------------------------------


def _housing():
    """Data like California housing: income, age, population and location, with prices in dollars as the target."""
    rng = np.random.RandomState(0)
    income, population = rng.lognormal(1.2, 0.4, 2000), rng.lognormal(7, 0.7, 2000)
    age, latitude, longitude = rng.uniform(1, 52, 2000), rng.uniform(32, 42, 2000), rng.uniform(-124, -114, 2000)
    worth = 0.4 * income + 0.01 * age - 0.2 * abs(latitude - 34) + 0.3 * rng.normal(size=2000)
    return np.c_[income, age, population, latitude, longitude], 1e5 * (1 + worth)


def _with_dates():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    dates = 1.7e9 + np.random.RandomState(0).randint(86_400 * 365, size=len(X))
    return np.c_[StandardScaler().fit_transform(X), dates], y


def _tiny_features():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return 1e-6 * StandardScaler().fit_transform(X), y


def _wine():
    return datasets.load_wine(return_X_y=True)


def _diabetes():
    return datasets.load_diabetes(return_X_y=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [_with_dates, _tiny_features, _wine, _diabetes, _housing])
def test_default_network_falls_behind_a_linear_model_unless_the_advice_is_taken(load):
    X, y = load()
    regression = len(np.unique(y)) > 10
    text = advice(X, y[:, None] if regression else None)
    net, linear = (MLPRegressor, LinearRegression) if regression else (MLPClassifier, LogisticRegression)
    net = advised = net(random_state=0)
    if "make_pipeline(StandardScaler(), net)" in text:
        advised = make_pipeline(StandardScaler(), net)
    if "TransformedTargetRegressor(net, transformer=StandardScaler())" in text:
        advised = TransformedTargetRegressor(advised, transformer=StandardScaler())
    models = net, make_pipeline(StandardScaler(), linear()), advised
    raw, linear, advised = (cross_val_score(model, X, y).mean() for model in models)
    assert raw + 0.05 < linear < advised + 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "huber", Quantile(0.3), Quantile([0.3, 0.7]), "gaussian"], ids=str)
def test_transformed_target_is_advised_only_if_it_supports_the_predictions(loss, n_targets):
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


def test_warning_of_stalled_training_includes_the_advice(cancer):
    X, y = cancer
    net = MLPClassifier(solver="sgd", max_iter=60, tol=1e-2, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"stalled after \d+ epochs. X is badly scaled"):
        net.fit(X * 1e-6, y)
    net.fit(X, y)  # without a warning
    assert net.n_iter_ < net.max_iter
