"""The parts of the nets for tables: what becomes of a table's columns, and the net that takes them."""

import copy
import pickle
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import RobustScaler

from sknn_iitb import losses
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.objective import Objective
from sknn_iitb.tabular import PiecewiseLinearEncoder, RobustSmoothScaler, TableEncoder, TabularMLPRegressor
from sknn_iitb.tabular.layers import Pieces
from sknn_iitb.tabular.network import TabularNetwork

QUICK = {"preset": "fast", "max_iter": 8, "hidden_layer_sizes": (16,), "random_state": 0}


# --- preprocessing ----------------------------------------------------------------------------------------------


def test_scaler_is_scikit_learns_robust_one_followed_by_a_smooth_bound():
    X = load_breast_cancer().data
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(RobustSmoothScaler().fit_transform(X), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)


def test_scaler_takes_half_the_range_where_the_quartiles_are_equal_and_leaves_out_what_is_missing():
    X = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, np.nan], [0.0, 5.0], [4.0, 5.0]])
    Z = RobustSmoothScaler().fit_transform(X)
    assert Z[4, 0] == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert np.isnan(Z[2, 1])
    assert np.all(np.delete(Z[:, 1], 2) == 0)


@settings(max_examples=60, deadline=None)
@example(np.eye(7, 2) * 1e-45, np.float32)
@example(np.eye(7, 2) * 5e-324, np.float64)
@example(np.resize([3e38, -3e38], (7, 2)), np.float32)
@example(np.resize([1.7e308, -1.7e308, 0.0], (7, 2)), np.float64)
@given(arrays.arrays(np.float64, (7, 2), elements=st.floats(-1e308, 1e308)), st.sampled_from([np.float32, np.float64]))
def test_scaled_numbers_are_finite_bounded_and_in_order(X, dtype):
    if abs(X).max() > np.finfo(dtype).max / 20:  # scikit-learn's check for NaN adds them all up, and warns
        X = X / abs(X).max() * (np.finfo(dtype).max / 20)
    X = X.astype(dtype)
    Z = RobustSmoothScaler(limit=3.0).fit_transform(X)
    assert Z.dtype == dtype
    assert np.all(abs(Z) <= 3.0 + 1e-5)
    for x, z in zip(X.T, Z.T, strict=True):
        assert np.all(np.diff(z[np.argsort(x, kind="stable")]) >= 0)


@pytest.mark.parametrize("limit", [0, -1.0, "3", None])
def test_scaler_names_a_wrong_limit(limit):
    with pytest.raises(ValueError, match=re.escape(f"limit must be a number above 0, got {limit!r}")):
        RobustSmoothScaler(limit=limit).fit(np.eye(3))


def test_encoder_makes_the_columns_that_its_names_say(table):
    X, _, _ = table
    encoder = TableEncoder().fit(X)
    Z = pd.DataFrame(encoder.transform(X), columns=encoder.get_feature_names_out())
    assert Z.to_numpy().dtype == np.float32
    assert encoder.is_categorical_.tolist() == [False, False, False, True, True, True, False]
    assert list(Z)[:6] == ["size", "income", "rooms", "constant", "size_missing", "rooms_missing"]
    assert sum(name.startswith("colour_") for name in Z) == 3
    assert sum(name.startswith("city_") for name in Z) == 12
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


def test_unseen_and_missing_levels_of_two_are_halfway():
    X = pd.DataFrame({"a": ["x", "y"] * 5})
    Z = TableEncoder().fit(X).transform(pd.DataFrame({"a": ["x", "y", "z", None]}))
    x, y, unseen, missing = Z[:, 0]
    assert unseen == missing
    assert min(x, y) < unseen < max(x, y) or unseen in (x, y)


def test_many_levels_share_a_column():
    X = pd.DataFrame({"a": [f"level {k % 1000}" for k in range(3000)] + ["frequent"] * 100})
    assert TableEncoder().fit_transform(X).shape[1] == 100


@pytest.mark.parametrize("chosen", [["b"], [1], [-1], [False, True]])
def test_categories_can_be_chosen(chosen):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [7, 8, 9, 7]})
    encoder = TableEncoder(categorical_features=chosen).fit(X)
    assert encoder.is_categorical_.tolist() == [False, True]
    as_floats = X.astype({"b": float})
    np.testing.assert_array_equal(encoder.transform(X), encoder.transform(as_floats))
    by_number = [1] if chosen == ["b"] else chosen
    Z = TableEncoder(categorical_features=by_number).fit_transform(X.to_numpy())
    np.testing.assert_array_equal(Z, encoder.transform(X))


def test_polars_gives_what_pandas_gives(table):
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


def test_sparse_is_dense(table):
    rng = np.random.RandomState(0)
    X = sparse.random(60, 5, 0.3, "csr", random_state=rng)
    y = rng.normal(size=60)
    one, other = (TabularMLPRegressor(**QUICK).fit(given, y) for given in (X, X.toarray()))
    np.testing.assert_array_equal(one.predict(X), other.predict(X.toarray()))


def test_quantiles_are_those_of_the_repeated_numbers():
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


# --- pieces -----------------------------------------------------------------------------------------------------


def test_pieces_end_at_quantiles_and_are_linear_between():
    X = load_breast_cancer().data
    encoder = PiecewiseLinearEncoder(n_bins=4).fit(X)
    expected = np.quantile(X, [0, 0.25, 0.5, 0.75, 1], axis=0, method="averaged_inverted_cdf")
    np.testing.assert_allclose(np.column_stack(encoder.edges_), expected, rtol=1e-15)
    Z = encoder.transform(X)
    assert Z.shape == (569, 120)
    for j, edges in enumerate(encoder.edges_):
        # the pieces up to a number add up to the share of the pieces below it
        where = np.interp(X[:, j], edges, [-4, -2, 0, 2, 4])
        np.testing.assert_allclose(Z[:, 4 * j : 4 * j + 4].sum(axis=1), where, atol=1e-12)
    assert list(encoder.get_feature_names_out())[3:5] == ["x0_3", "x1_0"]


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (9, 2), elements=st.floats(-1e308, 1e308) | st.just(np.nan)),
    st.integers(1, 20),
    st.sampled_from([np.float32, np.float64]),
)
def test_pieces_are_bounded_and_in_order(X, n_bins, dtype):
    with np.errstate(over="ignore", under="ignore"):
        X = np.clip(X, -1e38, 1e38).astype(dtype) if dtype is np.float32 else X
    if np.nansum(abs(X / np.finfo(dtype).max)) > 0.1:  # scikit-learn's check for NaN adds them all up, and warns
        X = X / 200
    encoder = PiecewiseLinearEncoder(n_bins).fit(X)
    Z = encoder.transform(X)
    assert Z.dtype == dtype
    assert Z.shape[1] == len(encoder.get_feature_names_out()) <= 2 * n_bins
    assert np.all((abs(Z) <= 1) | np.isnan(Z))
    n = max(len(encoder.edges_[0]) - 1, 0)
    for x, pieces in ((X[:, 0], Z[:, :n]), (X[:, 1], Z[:, n:])):
        assert np.array_equal(np.isnan(pieces).any(axis=1), np.isnan(x) & (pieces.shape[1] > 0))
        known = np.argsort(x)[: np.count_nonzero(~np.isnan(x))]
        assert np.all(np.diff(pieces[known], axis=0) >= 0)


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, "4", None])
def test_pieces_name_a_wrong_number(n_bins):
    with pytest.raises(ValueError, match=re.escape(f"n_bins must be a whole number above 0, got {n_bins!r}")):
        PiecewiseLinearEncoder(n_bins).fit(np.eye(3))


# --- the net ----------------------------------------------------------------------------------------------------


def _pieces(X, n_bins=3):
    return Pieces.between(PiecewiseLinearEncoder(n_bins).fit(X).edges_)


@pytest.mark.nojit
@pytest.mark.parametrize(("cut", "n_rows"), [(False, 20), (True, 20), (True, 3)])
@pytest.mark.parametrize(
    ("output", "loss", "n_outputs"), [("softmax", "log_loss", 3), ("identity", "squared_error", 1)]
)
def test_gradient_is_that_of_finite_differences(output, loss, n_outputs, cut, n_rows):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 4))
    units = [16 if cut else 4, 5, 5, n_outputs]
    pieces = _pieces(X) if cut else None
    network = TabularNetwork(units, [ACTIVATIONS["mish"]()] * 2, ACTIVATIONS[output](), pieces=pieces)
    X = X[:n_rows]  # with few rows pieces are computed one by one
    Y = np.eye(n_outputs)[rng.randint(n_outputs, size=n_rows)] if n_outputs > 1 else rng.normal(size=(n_rows, 1))
    theta = network.draw(rng, np.float64) + rng.normal(0, 0.1, network.n_parameters)
    objective = Objective(network, losses.LOSSES[loss](), X, Y, None, 0.0, n_rows)
    objective.evaluate(theta)
    gradient = objective.gradient[: network.n_trained].copy()
    for i in range(theta.size):
        step = np.zeros_like(theta)
        step[i] = 1e-6
        numeric = (objective.evaluate(theta + step)[0] - objective.evaluate(theta - step)[0]) / 2e-6
        assert gradient[i] == pytest.approx(numeric, rel=1e-5, abs=1e-8)


@pytest.mark.nojit
def test_prediction_is_that_of_the_formula():
    rng = np.random.RandomState(0)
    x = rng.normal(size=(6, 3))
    network = TabularNetwork([3, 4, 2], [ACTIVATIONS["tanh"]()], ACTIVATIONS["softmax"]())
    factors, V, W, a, b = (rng.normal(size=shape) for shape in (3, (3, 4), (4, 2), 4, 2))
    theta = np.concatenate([factors, V.ravel(), W.ravel(), a, b])
    expected = np.tanh((x * factors) @ V + a) @ W + b
    np.testing.assert_allclose(network.predict(x, theta, False), expected, rtol=1e-12)


@pytest.mark.nojit
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_net_that_sees_pieces_is_one_behind_the_encoder(dtype):
    X = load_breast_cancer().data[:, :5].astype(dtype)
    X = RobustSmoothScaler().fit_transform(X)
    X[:, 3] = X[:, 3] > 0  # a single piece, which is the column itself
    rng = np.random.RandomState(0)
    encoder = PiecewiseLinearEncoder(n_bins=6).fit(X[:, [0, 1, 2, 4]])
    table = np.hstack([X, encoder.transform(X[:, [0, 1, 2, 4]])])
    activations = [ACTIVATIONS["selu"]()], ACTIVATIONS["softmax"]()
    plain = TabularNetwork([5 + 24, 7, 2], *activations)
    cut = TabularNetwork([5 + 24, 7, 2], *activations, pieces=_pieces(X, 6))
    theta = plain.draw(rng, dtype) + rng.normal(0, 0.3, plain.n_parameters).astype(dtype)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    expected = plain.predict(table, theta, False)
    for net in (cut, copy.deepcopy(cut), pickle.loads(pickle.dumps(cut))):
        outputs = net.predict(X, theta, False)
        np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
        few = net.predict(X[:4], theta, False)  # one by one
        np.testing.assert_allclose(few, expected[:4], rtol=tolerance, atol=tolerance)


def test_blocks_cover_all_parameters_once():
    network = TabularNetwork([4, 5, 6, 2], [ACTIVATIONS["relu"]()] * 2, ACTIVATIONS["softmax"]())
    ranges = [block for block, _ in network.blocks(decays=False)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == network.n_parameters == 4 + 4 * 5 + 5 * 6 + 6 * 2 + 5 + 6 + 2
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    assert [tuple(shape) for shape in network.matrices()] == [(4, 4, 5), (24, 5, 6), (54, 6, 2)]
