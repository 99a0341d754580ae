"""Preprocessing and network of the tabular estimators."""

import copy
import datetime
import decimal
import pickle
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nets import differences
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from sknn_iitb import MLPRegressor, losses
from sknn_iitb._engine.objective import Objective
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.tabular import (
    PiecewiseLinearEncoder,
    RobustSmoothScaler,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from sknn_iitb.tabular._bins import Bins
from sknn_iitb.tabular._layers import PLAIN, Features
from sknn_iitb.tabular._network import draw, tabular_network
from sknn_iitb.tabular._splits import distinct

QUICK = {"preset": "fast", "max_iter": 8, "hidden_layer_sizes": (16,), "random_state": 0}


# --- preprocessing ----------------------------------------------------------------------------------------------


def test_scaler_is_a_smoothly_bounded_robust_scaler():
    X = load_breast_cancer().data
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(RobustSmoothScaler().fit_transform(X), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)


def test_scaler_uses_half_the_range_for_equal_quartiles_and_ignores_missing_values():
    X = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, np.nan], [0.0, 5.0], [4.0, 5.0]])
    Z = RobustSmoothScaler().fit_transform(X)
    assert Z[4, 0] == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert np.isnan(Z[2, 1])
    assert np.all(np.delete(Z[:, 1], 2) == 0)


# times of an hour in nanoseconds, powers of quasars in erg/s, squared charges, and numbers near the limits of float64
@pytest.mark.parametrize("view", ["smooth", "bins", "spline"])
@pytest.mark.parametrize(
    ("start", "unit"), [(1.7e18, 3.6e12), (-1e9, 1.0), (0, 1e45), (0, 1e-50), (0, 1e-300), (0, 1e308)]
)
def test_numbers_beyond_float32_are_encoded_as_others(start, unit, view):
    rng = np.random.RandomState(0)
    small, weight = rng.uniform(size=(500, 2)), rng.randint(3, size=500)
    small[::9, 1] = np.nan
    small[0] = 0.5  # the other column does not change
    X = np.column_stack([start + unit * small, small])
    encoder = TableEncoder(view=view)
    Z = encoder.fit_transform(X, sample_weight=weight)
    np.testing.assert_array_equal(Z, encoder.transform(X))
    expected = TableEncoder(view=view).fit_transform(np.column_stack([small, small]), sample_weight=weight)
    np.testing.assert_allclose(Z, expected, rtol=0, atol=1e-4)


def test_fit_transform_and_transform_agree_at_the_limit_of_float32():
    noise = np.random.RandomState(0).normal(size=1000)
    low, middle, high = np.quantile(noise, [0.25, 0.5, 0.75], method="averaged_inverted_cdf")
    factors = 4096 * (1 + np.linspace(-1e-4, 1e-4, 41))  # beyond 4096, a column is scaled in float64
    X = (noise - middle)[:, None] + factors * (high - low)
    encoder = TableEncoder()
    np.testing.assert_array_equal(encoder.fit_transform(X), encoder.transform(X))


@settings(max_examples=60, deadline=None)
@example(np.eye(7, 2) * 1e-45, np.float32)
@example(np.eye(7, 2) * 5e-324, np.float64)
@example(np.resize([3e38, -3e38], (7, 2)), np.float32)
@example(np.resize([1.7e308, -1.7e308, 0.0], (7, 2)), np.float64)
@given(arrays.arrays(np.float64, (7, 2), elements=st.floats(-1e308, 1e308)), st.sampled_from([np.float32, np.float64]))
def test_scaled_numbers_are_bounded_and_keep_their_order(X, dtype):
    if abs(X).max() > np.finfo(dtype).max / 20:  # whose sum overflows in scikit-learn's check for NaN, which warns
        X = X / abs(X).max() * (np.finfo(dtype).max / 20)
    X = X.astype(dtype)
    Z = RobustSmoothScaler(limit=3.0).fit_transform(X)
    assert Z.dtype == dtype
    assert np.all(abs(Z) <= 3.0 + 1e-5)
    for x, z in zip(X.T, Z.T, strict=True):
        assert np.all(np.diff(z[np.argsort(x, kind="stable")]) >= 0)


@pytest.mark.parametrize("limit", [0, -1.0, "3", None])
def test_scaler_with_an_invalid_limit_raises(limit):
    with pytest.raises(ValueError, match=re.escape(f"limit must be a positive number, got {limit!r}")):
        RobustSmoothScaler(limit=limit).fit(np.eye(3))


def test_rare_categories_share_a_name():
    """As in scikit-learn's OneHotEncoder."""
    codes = np.repeat(np.arange(300), np.where(np.arange(300) < 20, 3, 1)).astype(str)
    X = pd.DataFrame({"code": codes})
    names = TableEncoder().fit(X).get_feature_names_out().tolist()
    theirs = OneHotEncoder(max_categories=256).fit(X).get_feature_names_out().tolist()
    assert len(names) == 256
    assert names[-1] == theirs[-1] == "code_infrequent_sklearn"
    assert {f"code_{k}" for k in range(20)} < set(names)


def test_encoder_columns_match_their_names(table):
    X, _, _ = table
    encoder = TableEncoder().fit(X)
    Z = pd.DataFrame(encoder.transform(X), columns=encoder.get_feature_names_out())
    assert Z.to_numpy().dtype == np.float32
    assert encoder.is_categorical_.tolist() == [False, False, False, True, True, True, False]
    assert list(Z)[:6] == ["size", "income", "rooms", "constant", "size_missing", "rooms_missing"]
    one_hot = OneHotEncoder(sparse_output=False).set_output(transform="pandas").fit_transform(X[["colour", "city"]])
    one_hot = one_hot.drop(columns=[name for name in one_hot if name.endswith(("_None", "_nan"))])
    assert sorted(one_hot) == sorted(name for name in Z if name.startswith(("colour_", "city_")))
    for name in one_hot:
        assert ((Z[name] > 0) == (one_hot[name] == 1)).all()
    assert list(Z)[-1] == "owned"
    assert [X.columns[k] for k in encoder.origins_] == [
        *("size", "income", "rooms", "constant", "size", "rooms"),
        *(["colour"] * 3),
        *(["city"] * 12),
        "owned",
    ]
    missing = X["size"].isna()
    assert np.all(Z.loc[missing, "size"] == 0)
    assert Z.loc[missing, "size_missing"].nunique() == Z.loc[~missing, "size_missing"].nunique() == 1
    assert np.all(Z["constant"] == 0)
    assert Z["owned"].nunique() == 2


def test_unseen_and_missing_values_of_binary_columns_are_halfway():
    X = pd.DataFrame({"a": ["x", "y"] * 5})
    Z = TableEncoder().fit(X).transform(pd.DataFrame({"a": ["x", "y", "z", None]}))
    x, y, unseen, missing = Z[:, 0]
    assert unseen == missing
    assert min(x, y) < unseen < max(x, y) or unseen in (x, y)


def test_equal_values_are_one_category():
    fitted = pd.DataFrame({"a": pd.Series([True, False, True, None], dtype=object)})
    encoder = TableEncoder(categorical_features=["a"]).fit(fitted)
    for true in (1, 1.0, np.float32(1), np.int8(1), np.True_, decimal.Decimal("1.00"), "1", "True"):
        X = pd.DataFrame({"a": pd.Series([true, False, true, None], dtype=object)})
        np.testing.assert_array_equal(encoder.transform(X), encoder.transform(fitted))
    large = pd.DataFrame({"a": [2**60, 2**60 + 1]})
    for X in (large, large.to_numpy()):
        assert len(np.unique(TableEncoder(categorical_features=[0]).fit_transform(X))) == 2
    halves = TableEncoder(categorical_features=["a"]).fit(pd.DataFrame({"a": [0.5, 2.0]}))
    X = pd.DataFrame({"a": [decimal.Decimal("0.50"), np.float32(0.5)]})
    assert len(np.unique(halves.transform(X))) == 1


@pytest.mark.parametrize("served", ["int64", "float64", "Int64", "boolean", "object"])
def test_boolean_columns_accept_numbers(served):
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"owned": rng.uniform(size=200) < 0.5})
    y = X["owned"].to_numpy().astype(int)
    net = TabularMLPClassifier(**QUICK).fit(X, y)
    assert net.score(X, y) == net.score(X.astype(served), y) == 1
    assert TabularMLPClassifier(**QUICK).fit(X.astype(served), y).score(X, y) == 1


@pytest.mark.parametrize(
    "values", [["b", "a", None, "b"], [2, 1, None, 2], [True, "1", 1.5, None], [(1, 2), "a", None]]
)
def test_categories_of_pandas_are_encoded_as_objects(values):
    categories = pd.Series(
        pd.Categorical(values, categories=[*{value: 0 for value in values if value is not None}, "unused"])
    )
    objects = pd.Series([*values], dtype=object)
    fitted = [TableEncoder([0]).fit(pd.DataFrame({"x": each})) for each in (categories, objects)]
    expected = fitted[1].transform(pd.DataFrame({"x": objects}))
    for encoder in fitted:
        for each in (categories, objects):
            np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": each})), expected)
    unseen = pd.DataFrame({"x": pd.Categorical(["new"], categories=["new", *categories.cat.categories])})
    with pytest.warns(UserWarning, match="was seen in fit"):
        fitted[0].transform(unseen)


def test_columns_with_only_unseen_values_warn_once():
    X = pd.DataFrame({"a": ["x", "y"] * 5, "b": ["u", "v"] * 5, "c": ["s", "t"] * 5})
    y = np.arange(10.0)
    served = X.assign(a="other", b=["u", "new"] * 5, c=[None, "X"] * 5)
    for fitted in (TableEncoder().fit(X), make_pipeline(TableEncoder(), StandardScaler()).fit(X)):
        with pytest.warns(UserWarning, match=r"columns \['a', 'c'\] was seen in fit") as record:
            fitted.transform(served)
        assert len(record) == 1
    for net in (TabularMLPRegressor(**QUICK).fit(X, y), TabularMLPClassifier(**QUICK).fit(X, y > 4)):
        with pytest.warns(UserWarning, match=r"\['a', 'c'\]") as record:
            net.predict(served)
        assert len(record) == 1
    encoder = TableEncoder().fit(X)
    encoder.transform(X.assign(a=None))  # missing, not unseen
    encoder.transform(served.assign(a="x", c="t"))


def test_rare_categories_share_a_column():
    X = pd.DataFrame({"a": [f"level {k % 1000}" for k in range(3000)] + ["frequent"] * 100})
    assert TableEncoder().fit_transform(X).shape[1] == 256
    many = pd.concat([X.add_prefix(k) for k in "bcdefghijklmnopqrstu"], axis=1)
    assert TableEncoder().fit_transform(many).shape[1] == 20 * (2048 // 20)


@pytest.mark.parametrize(
    "chosen", [["b"], [1], [-1], [np.int64(1)], [False, True], np.array([False, True], object)], ids=str
)
def test_categorical_features_can_be_chosen(chosen):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [7, 8, 9, 7]})
    encoder = TableEncoder(categorical_features=chosen).fit(X)
    assert encoder.is_categorical_.tolist() == [False, True]
    as_floats = X.astype({"b": float})
    np.testing.assert_array_equal(encoder.transform(X), encoder.transform(as_floats))
    by_number = [1] if isinstance(chosen[0], str) else chosen
    Z = TableEncoder(categorical_features=by_number).fit_transform(X.to_numpy())
    np.testing.assert_array_equal(Z, encoder.transform(X))


def test_categorical_features_may_be_names_with_indices_or_tuples():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [7, 8], "c": [3, 4]})
    assert TableEncoder(categorical_features=["b", 2]).fit(X).is_categorical_.tolist() == [False, True, True]
    X.columns = pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("y", "a")])
    for chosen in ([("x", "b"), ("y", "a")], X.columns[1:]):
        assert TableEncoder(categorical_features=chosen).fit(X).is_categorical_.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (1, "list of columns, got 1"),
        ({"a": 1}, "list of columns, got {'a': 1}"),
        (np.array([[0], [1]]), "list of columns, got array"),
        ([[0]], r"contains \[0\]"),
        ([True, "a"], "a mask, or names and indices"),
        (np.array([True], object), "2 entries"),
    ],
    ids=str,
)
def test_other_categorical_features_raise(chosen, message):
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [7, 8]})
    with pytest.raises(ValueError, match=f"categorical_features .*{message}"):
        TableEncoder(categorical_features=chosen).fit(X)


def test_polars_matches_pandas(table):
    polars = pytest.importorskip("polars")
    X, number, _ = table
    other = polars.DataFrame(
        {
            "size": polars.Series(X["size"].to_list(), dtype=polars.Float64).fill_nan(None),
            "income": X["income"].to_list(),
            "rooms": [None if pd.isna(v) else int(v) for v in X["rooms"]],
            "colour": polars.Series([None if pd.isna(v) else v for v in X["colour"]], dtype=polars.Categorical),
            "city": X["city"].to_list(),
            "owned": X["owned"].to_list(),
            "constant": X["constant"].to_list(),
        }
    )
    np.testing.assert_array_equal(TableEncoder().fit_transform(other), TableEncoder().fit_transform(X))
    net = TabularMLPRegressor(**QUICK).fit(other, number)
    np.testing.assert_array_equal(net.predict(other), TabularMLPRegressor(**QUICK).fit(X, number).predict(X))


WHEN = datetime.datetime(2020, 1, 2)
NUMBERS = {
    "pandas": ["int8", "uint64", "float32", "Int16", "Float64", "Sparse[float64]"],
    "pyarrow": ["int16", "uint8", "float16", "float32", "float64", "decimal128(5, 2)", "decimal256(5, 2)"],
    "polars": ["Int8", "UInt64", "Int128", "Float32", "Decimal(10, 2)"],
}
TIMES = {
    "pandas": ["datetime64[ns]", "datetime64[s, UTC]", "timedelta64[ns]", "period[D]"],
    "pyarrow": ["date32()", "date64()", "timestamp('us')", "time64('us')", "duration('s')"],
    "polars": ["Date", "Datetime", "Duration", "Time"],
}


def _typed(library, kind, values):
    """Tables of one column, `a`, of the given type; for pyarrow a Table and a pandas DataFrame with Arrow dtypes."""
    if library == "pandas":
        return [pd.DataFrame({"a": pd.Series(values).astype(kind)})]
    module = pytest.importorskip(library)
    if library == "polars":
        name, _, arguments = kind.partition("(")
        kind = getattr(module, name)(*eval(f"({arguments or ')'}"))
        return [module.DataFrame({"a": module.Series(values).cast(kind)})]
    kind = eval(f"module.{kind}" if "(" in kind else f"module.{kind}()", {"module": module})
    if "decimal" in str(kind):
        values = [None if value is None else decimal.Decimal(value) for value in values]
    column = module.array(values, kind) if None in values else module.array(values).cast(kind)
    return [module.table({"a": column}), pd.DataFrame({"a": pd.Series(column, dtype=pd.ArrowDtype(kind))})]


@pytest.mark.parametrize(("library", "kind"), [(library, kind) for library in NUMBERS for kind in NUMBERS[library]])
def test_columns_of_every_numeric_type_are_numeric(library, kind):
    values = [1, 5, 2, 7, 3, 3]
    expected = TableEncoder().fit_transform(np.array(values, float)[:, None])
    for X in _typed(library, kind, values):
        encoder = TableEncoder().fit(X)
        assert encoder.is_categorical_.tolist() == [False]
        assert encoder.feature_names_in_.tolist() == ["a"]
        np.testing.assert_array_equal(encoder.transform(X), expected)


@pytest.mark.parametrize(
    ("library", "kind"), [("pandas", "Int16"), ("pyarrow", "decimal128(5, 2)"), ("polars", "Int128")]
)
def test_missing_numbers_of_every_type_are_encoded_as_missing(library, kind):
    expected = TableEncoder().fit_transform([[1.0], [np.nan], [5.0]])
    for X in _typed(library, kind, [1, None, 5]):
        np.testing.assert_array_equal(TableEncoder().fit_transform(X), expected)


@pytest.mark.parametrize(
    "values",
    [
        [decimal.Decimal("1.5"), decimal.Decimal("NaN"), decimal.Decimal(4)],
        [1.5, None, 4],
        [1.5, pd.NA, np.float32(4)],
        [1.5, pd.NaT, 4],
    ],
    ids=str,
)
def test_numeric_object_columns_are_numeric(values):
    X = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    np.testing.assert_array_equal(TableEncoder().fit_transform(X), TableEncoder().fit_transform([[1.5], [np.nan], [4]]))


@pytest.mark.parametrize(("library", "kind"), [(library, kind) for library in TIMES for kind in TIMES[library]])
def test_dates_and_times_of_every_type_raise(library, kind):
    values = [None] * 3 if library == "pyarrow" else pd.to_datetime([WHEN] * 3)
    if library == "polars":
        values = [None] * 3
    if kind == "timedelta64[ns]":
        values = values - values
    if "UTC" in kind:
        values = values.tz_localize("UTC")
    for X in _typed(library, kind, values):
        with pytest.raises(ValueError, match=r"Column 'a' contains dates or times\. Convert it to numbers"):
            TableEncoder().fit(X)
        with pytest.raises(ValueError, match="contains dates or times"):
            TableEncoder(categorical_features=["a"]).fit(X)
        for estimator in (RobustSmoothScaler(), MLPRegressor()):  # NumPy would convert them
            with pytest.raises(ValueError, match=r"Column 'a' of X contains dates or times\. Convert it to numbers"):
                estimator.fit(X, np.arange(3.0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (WHEN, "contains dates or times"),
        (WHEN.date(), "contains dates or times"),
        (WHEN.time(), "contains dates or times"),
        (WHEN - WHEN, "contains dates or times"),
        (pd.Timestamp(WHEN), "contains dates or times"),
        (pd.Period("2020"), "contains dates or times"),
        (np.datetime64(WHEN), "contains dates or times"),
        (1 + 2j, "contains complex numbers"),
        (np.complex64(1), "contains complex numbers"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_object_columns_of_times_or_complex_numbers_raise(value, message):
    cells = np.empty((3, 1), object)
    cells[:, 0] = [None, value, value]
    for X in (pd.DataFrame({0: pd.Series(cells[:, 0], dtype=object)}), cells):
        for chosen in ("from_dtype", [0]):
            with pytest.raises(ValueError, match=f"Column 0 {message}"):
                TableEncoder(chosen).fit(X)
    encoder = TableEncoder().fit([[1.0], [2.0]])
    with pytest.raises(ValueError, match=message):
        encoder.transform(cells)


def test_arrays_of_times_or_complex_numbers_raise():
    for kind in ("datetime64[D]", "timedelta64[s]"):
        X = np.arange(6).reshape(3, 2).astype(kind)
        for transformer in (TableEncoder(), TableEncoder([0]), RobustSmoothScaler(), PiecewiseLinearEncoder()):
            with pytest.raises(ValueError, match="contains dates or times"):
                transformer.fit(X)
    with pytest.raises(ValueError, match="omplex"):
        TableEncoder().fit(np.eye(3) * 1j)
    with pytest.raises(ValueError, match="'a' contains complex"):
        TableEncoder().fit(pd.DataFrame({"a": [1j, 2.0]}))


@pytest.mark.parametrize(
    "values", [["x", "y", None], [True, False, None], [b"1", b"2", None], [("x", 1), "y", None]], ids=str
)
def test_other_columns_are_categorical(values):
    expected = TableEncoder().fit(pd.DataFrame({"a": pd.Series(["x", "y", None], dtype=object)}))
    frames = [pd.DataFrame({"a": pd.Series(values, dtype=object)})]
    if isinstance(values[0], (str, bool)):
        polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
        column = pyarrow.array(values)
        types = {column.type, pyarrow.dictionary(pyarrow.int32(), column.type)}
        frames += [polars.DataFrame({"a": values})]
        frames += [pyarrow.table({"a": column.dictionary_encode() if "d" in str(kind) else column}) for kind in types]
        frames += [pd.DataFrame({"a": pd.Series(values, dtype=pd.ArrowDtype(kind))}) for kind in types]
        frames += [pd.DataFrame({"a": pd.Categorical(values)})]
    for X in frames:
        encoder = TableEncoder().fit(X)
        assert encoder.is_categorical_.tolist() == [True]
        assert len(np.unique(encoder.transform(X))) == 3
        assert encoder.transform(X).shape == (3, len(expected.origins_))


def test_pyarrow_matches_pandas(table):
    pyarrow = pytest.importorskip("pyarrow")
    X, number, _ = table
    other = pyarrow.Table.from_pandas(X)
    encoder = TableEncoder().fit(X)
    np.testing.assert_array_equal(TableEncoder().fit_transform(other), encoder.transform(X))
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(X))
    net = TabularMLPRegressor(**QUICK).fit(other, number, sample_weight=np.ones(len(X)), X_val=other, y_val=number)
    assert net.feature_names_in_.tolist() == list(X)
    assert np.isfinite(net.predict(other)).all()
    with pytest.raises(ValueError, match=r"[Ff]eature names"):
        net.predict(other.rename_columns([*list(X)[:-1], "other"]))
    with pytest.raises(ValueError, match="duplicate column names: 'size'"):
        TableEncoder().fit(other.rename_columns([*list(X)[:-1], "size"]))


def test_tables_without_columns_or_with_lists_in_cells_raise():
    frames = [pd.DataFrame(index=range(3)), pd.DataFrame({"a": [[1], [2], [3]]}), pd.DataFrame({"a": ["x", {}, "y"]})]
    messages = ["0 feature", "Column 'a' contains a value of type list", "Column 'a' contains a value of type dict"]
    for X, message in zip(frames, messages, strict=True):
        with pytest.raises(ValueError, match=re.escape(message)):
            TableEncoder().fit(X)
    with pytest.raises(ValueError, match="'a' contains a value of type list"):
        TableEncoder().fit(pd.DataFrame({"a": ["x", "y"]})).transform(pd.DataFrame({"a": [[1], [2]]}))


def test_sparse_matches_dense(table):
    rng = np.random.RandomState(0)
    X = sparse.random(60, 5, 0.3, "csr", random_state=rng)
    y = rng.normal(size=60)
    one, other = (TabularMLPRegressor(**QUICK).fit(given, y) for given in (X, X.toarray()))
    np.testing.assert_array_equal(one.predict(X), other.predict(X.toarray()))


def test_weighted_quantiles_equal_those_of_repeated_rows():
    rng = np.random.RandomState(0)
    X = np.where(rng.uniform(size=(40, 3)) < 0.2, np.nan, rng.normal(size=(40, 3)).round(1))
    counts = rng.randint(0, 4, 40)
    for transformer in (RobustSmoothScaler(), PiecewiseLinearEncoder(n_bins=7), TableEncoder()):
        weighted = clone(transformer).fit(X, sample_weight=counts).transform(X)
        np.testing.assert_array_equal(weighted, clone(transformer).fit(X.repeat(counts, axis=0)).transform(X))
        scaled = clone(transformer).fit(X, sample_weight=0.5 * counts).transform(X)
        np.testing.assert_array_equal(weighted, scaled)
    with pytest.raises(ValueError, match="non-zero"):
        RobustSmoothScaler().fit(X, sample_weight=np.zeros(40))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.int64, (12, 3), elements=st.integers(-2, 2)), st.sampled_from([np.float32, np.float64]))
def test_distinct_rows_are_sorted_by_their_bytes(X, dtype):
    X = np.where(X == 2, np.nan, X).astype(dtype)
    matrices = X[:, :2], X[:, 2:].astype(np.float64)
    rows = np.hstack([np.ascontiguousarray(matrix).view(np.uint8).reshape(12, -1) for matrix in matrices])
    keys = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    found = distinct(*matrices)
    np.testing.assert_array_equal(found[0], first)
    np.testing.assert_array_equal(found[1], index.ravel())


# --- bins -------------------------------------------------------------------------------------------------------


def test_bins_end_at_quantiles_and_are_linear_in_between():
    X = load_breast_cancer().data
    encoder = PiecewiseLinearEncoder(n_bins=4).fit(X)
    expected = np.quantile(X, [0, 0.25, 0.5, 0.75, 1], axis=0, method="averaged_inverted_cdf")
    np.testing.assert_allclose(np.column_stack(encoder.edges_), expected, rtol=1e-15)
    Z = encoder.transform(X)
    assert Z.shape == (569, 120)
    for j, edges in enumerate(encoder.edges_):
        # the values of the bins add up to the position among the edges, from -4 to 4
        where = np.interp(X[:, j], edges, [-4, -2, 0, 2, 4])
        np.testing.assert_allclose(Z[:, 4 * j : 4 * j + 4].sum(axis=1), where, atol=1e-12)
    assert list(encoder.get_feature_names_out())[3:5] == ["x0_3", "x1_0"]


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (9, 2), elements=st.floats(-1e308, 1e308) | st.just(np.nan)),
    st.integers(1, 20),
    st.sampled_from([np.float32, np.float64]),
)
def test_bins_are_bounded_and_monotonic(X, n_bins, dtype):
    with np.errstate(over="ignore", under="ignore"):
        X = np.clip(X, -1e38, 1e38).astype(dtype) if dtype is np.float32 else X
    if (
        np.nansum(abs(X / np.finfo(dtype).max)) > 0.1
    ):  # whose sum overflows in scikit-learn's check for NaN, which warns
        X = X / 200
    encoder = PiecewiseLinearEncoder(n_bins).fit(X)
    Z = encoder.transform(X)
    assert Z.dtype == dtype
    assert Z.shape[1] == len(encoder.get_feature_names_out()) <= 2 * n_bins
    assert np.all((abs(Z) <= 1) | np.isnan(Z))
    n = max(len(encoder.edges_[0]) - 1, 0)
    for x, bins in ((X[:, 0], Z[:, :n]), (X[:, 1], Z[:, n:])):
        assert np.array_equal(np.isnan(bins).any(axis=1), np.isnan(x) & (bins.shape[1] > 0))
        known = np.argsort(x)[: np.count_nonzero(~np.isnan(x))]
        assert np.all(np.diff(bins[known], axis=0) >= 0)


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, "4", None, 1025, 10**9])
def test_invalid_n_bins_raises(n_bins):
    with pytest.raises(ValueError, match=re.escape(f"n_bins must be an integer from 1 to 1024, got {n_bins!r}")):
        PiecewiseLinearEncoder(n_bins).fit(np.eye(3))


# --- the network ------------------------------------------------------------------------------------------------


def _bins(X, n_bins=3):
    return Features(bins=Bins.between(PiecewiseLinearEncoder(n_bins).fit(X).edges_))


@pytest.mark.nojit
@pytest.mark.parametrize(("binned", "n_rows"), [(False, 20), (True, 20), (True, 3)])
@pytest.mark.parametrize(
    ("output", "loss", "n_outputs"), [("softmax", "log_loss", 3), ("identity", "squared_error", 1)]
)
def test_gradient_matches_finite_differences(output, loss, n_outputs, binned, n_rows):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 4))
    features = _bins(X) if binned else PLAIN
    network = tabular_network([4, 5, 5, n_outputs], ACTIVATIONS["mish"](), ACTIVATIONS[output](), features=features)
    X = X[:n_rows]  # with few rows bins are computed one by one
    Y = np.eye(n_outputs)[rng.randint(n_outputs, size=n_rows)] if n_outputs > 1 else rng.normal(size=(n_rows, 1))
    theta = draw(network, rng, np.float64) + rng.normal(0, 0.1, network.layout.size)
    objective = Objective(network, losses.LOSSES[loss](), X, Y, max_rows=n_rows)
    objective.evaluate(theta)
    gradient = objective.gradient.copy()
    derivative = differences(lambda moved: objective.evaluate(moved)[0], theta)
    np.testing.assert_allclose(gradient, derivative, rtol=1e-5, atol=1e-8)


@pytest.mark.nojit
def test_prediction_matches_the_formula():
    rng = np.random.RandomState(0)
    x = rng.normal(size=(6, 3))
    network = tabular_network([3, 4, 2], ACTIVATIONS["tanh"](), ACTIVATIONS["softmax"]())
    factors, V, W, a, b = (rng.normal(size=shape) for shape in (3, (3, 4), (4, 2), 4, 2))
    theta = np.concatenate([factors, V.ravel(), W.ravel(), a, b])
    expected = np.tanh((x * factors) @ V + a) @ W + b
    np.testing.assert_allclose(network.predict(x, theta, False), expected, rtol=1e-12)


@pytest.mark.nojit
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_with_bins_equals_a_network_on_encoded_bins(dtype):
    X = load_breast_cancer().data[:, :5].astype(dtype)
    X = RobustSmoothScaler().fit_transform(X)
    X[:, 3] = X[:, 3] > 0  # a single bin, which is the column itself
    rng = np.random.RandomState(0)
    encoder = PiecewiseLinearEncoder(n_bins=6).fit(X[:, [0, 1, 2, 4]])
    encoded = np.hstack([X, encoder.transform(X[:, [0, 1, 2, 4]])])
    activations = ACTIVATIONS["selu"](), ACTIVATIONS["softmax"]()
    plain = tabular_network([5 + 24, 7, 2], *activations)
    binned = tabular_network([5, 7, 2], *activations, features=_bins(X, 6))
    theta = draw(plain, rng, dtype) + rng.normal(0, 0.3, plain.layout.size).astype(dtype)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    expected = plain.predict(encoded, theta, False)
    for net in (binned, copy.deepcopy(binned), pickle.loads(pickle.dumps(binned))):
        outputs = net.predict(X, theta, False)
        np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
        few = net.predict(X[:4], theta, False)  # one by one
        np.testing.assert_allclose(few, expected[:4], rtol=tolerance, atol=tolerance)


def test_parameter_groups_cover_all_parameters_once():
    network = tabular_network([4, 5, 6, 2], ACTIVATIONS["relu"](), ACTIVATIONS["softmax"]())
    ranges = [group for group, _ in network.layout.groups(decays=False)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == network.layout.size == 4 + 4 * 5 + 5 * 6 + 6 * 2 + 5 + 6 + 2
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    assert [tuple(shape) for shape in network.layout.matrices()] == [(4, 4, 5), (24, 5, 6), (54, 6, 2)]


@pytest.mark.parametrize(
    "dates", [pd.Categorical(pd.date_range("2020", periods=9)), pd.array([WHEN] * 9, dtype="category")]
)
def test_categorical_dates_raise(dates):
    with pytest.raises(ValueError, match="Column 'when' contains dates or times"):
        TableEncoder().fit(pd.DataFrame({"when": dates}))


ROWS = [[1, "a", None, True], [2.5, "b", 3, False], [None, None, 1, True], [4, "a", 2, None]]


@pytest.mark.parametrize("convert", [list, lambda rows: np.array(rows, dtype=object)], ids=["list", "array"])
def test_objects_are_encoded_as_in_a_frame_without_names(convert):
    expected = TableEncoder().fit(pd.DataFrame(ROWS))
    encoder = TableEncoder().fit(convert(ROWS))
    assert encoder.is_categorical_.tolist() == [False, True, False, True]
    for rows in (ROWS, ROWS[:1], ROWS[2:3], [[1, "b", 2, True]]):
        np.testing.assert_array_equal(encoder.transform(convert(rows)), expected.transform(pd.DataFrame(rows)))
    np.testing.assert_array_equal(encoder.get_feature_names_out()[:2], ["x0", "x2"])


def test_numbers_in_an_array_of_strings_are_numeric():
    rows = [[1, "a"], [2, "b"], [4, "b"]]
    strings = np.array(rows)
    assert strings.dtype.kind == "U"
    expected = TableEncoder().fit_transform(pd.DataFrame(rows))
    for X in (strings, strings.astype("S")):
        encoder = TableEncoder().fit(X)
        assert encoder.is_categorical_.tolist() == [False, True]
        np.testing.assert_array_equal(encoder.transform(X), expected)
    with pytest.raises(ValueError, match=r"'a'|strings"):  # as before: no column may be categorical
        TableEncoder(categorical_features=None).fit(rows)


@pytest.mark.parametrize("odd", [decimal.Decimal("sNaN"), 10**400])
def test_objects_beyond_the_float_range_raise_or_are_encoded(odd):
    X = pd.DataFrame({"x": pd.Series([odd, *map(decimal.Decimal, range(8))], dtype=object)})
    try:
        Z = TableEncoder().fit_transform(X)
    except ValueError as error:
        assert "Column 'x'" in str(error)  # noqa: PT017  either outcome is valid
    else:
        assert np.isfinite(Z).all()


def test_lazy_frame_raises():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"LazyFrame.*collect"):
        TableEncoder().fit(polars.LazyFrame({"x": [1.0, 2.0]}))
