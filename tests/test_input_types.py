"""Input types of X: integers of every dtype, which are converted a batch at a time, and DataFrames."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier

from sknn_iitb import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INTEGERS = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


def _net(cls, **parameters):
    defaults = {"hidden_layer_sizes": (7, 5), "max_iter": 3, "batch_size": 32, "learning_rate_init": 0.01}
    return cls(**{**defaults, "random_state": 0, **parameters})


def _outputs(net, X):
    return net.predict_proba(X) if is_classifier(net) else net.predict(X)


@pytest.fixture
def integer_task(task):
    """An estimator class, X of whole numbers, and y."""
    cls, X, y = task
    return cls, np.rint(np.clip(3 * X, 0, 9)), y


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize(
    "given",  # without the compiler, the kernels are the same for all types
    [pytest.param(given, marks=pytest.mark.nojit if given is np.uint8 else ()) for given in INTEGERS],
    ids=lambda given: given.__name__,
)
def test_integers_give_exactly_the_results_of_floats(integer_task, given, dtype, order):
    cls, X, y = integer_task
    X = np.asarray(X, dtype=given, order=order)
    floats = np.ascontiguousarray(X, dtype=dtype or "float64")
    net, twin = _net(cls, dtype=dtype).fit(X, y), _net(cls, dtype=dtype).fit(floats, y)
    assert net.parameters_.dtype == floats.dtype
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)
    for fitted in (net, twin):
        np.testing.assert_array_equal(_outputs(fitted, X), _outputs(net, floats))


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"batch_norm": True, "dropout": [0.2, 0.2, 0.2]},
        {"hidden_layer_sizes": ()},
        {"batch_size": "full"},
    ],
    ids=str,
)
def test_every_kind_of_network_takes_integers(integer_task, parameters):
    cls, X, y = integer_task
    weight = np.random.RandomState(0).randint(0, 3, len(X))
    bytewise, floats = (_net(cls, **parameters).fit(X.astype(given), y, weight) for given in (np.uint8, float))
    np.testing.assert_array_equal(bytewise.parameters_, floats.parameters_)
    expected = floats.loss_and_gradient(X, y)
    loss, gradient = bytewise.loss_and_gradient(X.astype(np.uint8), y)
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_dtype_of_x_may_change_between_calls(integer_task):
    cls, X, y = integer_task
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    changing, same = _net(cls), _net(cls)
    for given in (np.uint8, float, np.int64, np.float32):
        changing.partial_fit(X.astype(given), y, **classes, X_val=X.astype(np.int16), y_val=y)
        same.partial_fit(X, y, **classes, X_val=X, y_val=y)
    np.testing.assert_array_equal(changing.parameters_, same.parameters_)
    assert changing.validation_scores_ == same.validation_scores_


@pytest.mark.parametrize("value", [2**24 + 1, 2**62 + 1, -(2**31)])
def test_large_integers_are_rounded_like_numpy(value):
    X = np.array([[value, 1], [1, value]])
    net = _net(MLPRegressor, hidden_layer_sizes=(), dtype="float32", init="zeros", max_iter=1, batch_size=2)
    net.set_params(learning_rate_init=1e-30).fit(X, [0.0, 1.0])
    net.coefs_[0][:] = 1
    np.testing.assert_array_equal(net.predict(X), X.astype(np.float32).sum(axis=1) + net.intercepts_[0])


@pytest.mark.parametrize("given", [np.uint8, np.bool_, np.int32], ids=lambda given: given.__name__)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_integers_are_never_converted_all_at_once(cls, given):
    X = np.random.RandomState(0).randint(0, 2, size=(200_000, 200), dtype=given)  # as float64: 320 MB
    y = X[:, 0].astype(np.int8)
    net = _net(cls, hidden_layer_sizes=2, max_iter=1, batch_size=1000, warm_start=True, dtype="float32")
    net.fit(X[:2000], y[:2000])
    tracemalloc.start()
    try:
        net.fit(X, y)
        net.partial_fit(X, y)
        net.loss_and_gradient(X, y)
        _outputs(net, X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6  # 13 MB is a chunk that predict converts; 3 MB for each vector of 200,000 numbers


# --- frames ---------------------------------------------------------------------------------------------------------

COLUMNS = ["a", "b", "c"]


def _frames():
    """Names and constructors of DataFrames of small numbers, by dtype."""
    yield "int64", lambda X: pd.DataFrame(X.astype(int), columns=COLUMNS)
    yield "uint8", lambda X: pd.DataFrame(X.astype(np.uint8), columns=COLUMNS)
    yield "Int64", lambda X: pd.DataFrame(X.astype(int), columns=COLUMNS).astype("Int64")
    yield "UInt8", lambda X: pd.DataFrame(X.astype(int), columns=COLUMNS).astype("UInt8")
    yield "Float32", lambda X: pd.DataFrame(X, columns=COLUMNS).astype("Float32")
    yield "mixed", lambda X: pd.DataFrame(X, columns=COLUMNS).astype({"a": int, "b": np.float32, "c": "Int8"})
    yield "object", lambda X: pd.DataFrame(X, columns=COLUMNS).astype(object)


@pytest.mark.parametrize(("kind", "make"), [pytest.param(kind, make, id=kind) for kind, make in _frames()])
def test_numeric_frames_equal_their_arrays(integer_task, kind, make):
    cls, X, y = integer_task
    frame = make(X[:, :3])
    net, twin = _net(cls, dtype="float64").fit(frame, y), _net(cls, dtype="float64").fit(X[:, :3], y)
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)
    np.testing.assert_array_equal(_outputs(net, frame), _outputs(twin, X[:, :3]))
    assert net.feature_names_in_.tolist() == COLUMNS


def test_boolean_frames_equal_their_arrays(task):
    cls, X, y = task
    frame = pd.DataFrame(X[:, :3] > 0, columns=COLUMNS)
    nets = [_net(cls).fit(each, y) for each in (frame, frame.astype("boolean"), frame.to_numpy().astype(float))]
    for net in nets[:2]:
        np.testing.assert_array_equal(net.parameters_, nets[2].parameters_)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "boolean"])
def test_missing_numbers_raise(task, kind):
    cls, X, y = task
    frame = pd.DataFrame(X[:, :3] > 0, columns=COLUMNS).astype(kind)
    frame.loc[3, "b"] = pd.NA
    for call in (
        lambda: _net(cls).fit(frame, y),
        lambda: _net(cls).fit(X[:, :3], y).predict(frame.to_numpy(float, na_value=np.nan)),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("method", ["predict", "partial_fit", "transform", "loss_and_gradient", "warm start"])
def test_feature_names_are_kept_and_checked(task, library, method):
    frames = pytest.importorskip(library)
    cls, X, y = task
    columns = dict(zip(COLUMNS, X.T[:3], strict=True))
    frame, swapped = frames.DataFrame(columns), frames.DataFrame({name: columns[name] for name in "bac"})
    net = _net(cls, warm_start=True).fit(frame, y)
    assert net.feature_names_in_.tolist() == COLUMNS
    np.testing.assert_array_equal(net.parameters_, _net(cls).fit(X[:, :3], y).parameters_)
    call = net.fit if method == "warm start" else getattr(net, method)
    arguments = () if method in ("predict", "transform") else (y,)
    call(frame, *arguments)
    for wrong in (swapped, frames.DataFrame({**columns, "d": X[:, 3]}), frames.DataFrame({"a": X[:, 0]})):
        with pytest.raises(ValueError, match="feature names should match"):
            call(wrong, *arguments)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        call(X[:, :3], *arguments)


def test_frame_for_a_network_fitted_without_names_warns(task):
    polars = pytest.importorskip("polars")
    cls, X, y = task
    net = _net(cls).fit(X[:, :3], y)
    for library in (pd, polars):
        frame = library.DataFrame(dict(zip(COLUMNS, X.T[:3], strict=True)))
        with pytest.warns(UserWarning, match="X has feature names"):
            net.predict(frame)
    assert not hasattr(clone(net).fit(X, y), "feature_names_in_")
