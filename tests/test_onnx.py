"""Exported graphs predict in onnxruntime as the estimators do."""

import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

import naive  # noqa: E402
from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: E402

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor  # noqa: E402
from sknn_iitb._engine.layers import NORMALIZATIONS  # noqa: E402
from sknn_iitb.activations import ACTIVATIONS, ReLU  # noqa: E402
from sknn_iitb.losses import LOSSES, Loss, Quantile, SquaredError  # noqa: E402
from sknn_iitb.onnx import _components, to_onnx  # noqa: E402
from sknn_iitb.onnx._graph import Graph  # noqa: E402
from sknn_iitb.onnx._registration import OPSET  # noqa: E402
from sknn_iitb.tabular import View  # noqa: E402
from sknn_iitb.tabular.views import VIEWS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHORT = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": (20, 10)}
FEW = {"n_estimators": 2, "max_iter": 6, "hidden_layer_sizes": (16, 16), "random_state": 0}
SOME_VIEWS = ["bins", "spline"]


def run(model, X):
    """The outputs of a graph by name."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    inputs = session.get_inputs()
    if not hasattr(X, "columns"):
        values = [X] if len(inputs) == 1 else X.T[..., None]
    else:
        values = [X[[name]] for name in X]
    fed = {each.name: as_input(each.type, x) for each, x in zip(inputs, values, strict=True)}
    outputs = [each.name for each in session.get_outputs()]
    return dict(zip(outputs, session.run(None, fed), strict=True))


def as_input(kind, values):
    """The values in the type of an input; missing categories are empty strings."""
    if kind == "tensor(float)":
        return values.to_numpy(np.float32, na_value=np.nan) if hasattr(values, "columns") else values.astype(np.float32)
    values = np.asarray(values)
    return np.where(pd.isna(values), "", values.astype(str)).astype(object) if kind == "tensor(string)" else values


def check(estimator, X, rtol=0.0, model=None):
    """Compare all outputs. A float may differ by 1e-5, or `rtol` of the largest if that is more."""
    found = run(to_onnx(estimator, X) if model is None else model, X)
    if "label" in found:
        np.testing.assert_array_equal(found["label"], estimator.predict(X))
        name = next(name for name in found if name != "label")
        assert (name == "probabilities") == hasattr(estimator, "predict_proba")
        expected = {name: (estimator.decision_function if name == "scores" else estimator.predict_proba)(X)}
    else:
        expected = {"variable": estimator.predict(X)}
        if "std" in found:
            expected["std"] = estimator.predict(X, return_std=True)[1]
        if "quantiles" in found:
            expected["quantiles"] = estimator.predict_quantiles(X)
    assert {*found} - {"label"} == {*expected}
    for name, values in expected.items():
        some = found[name]
        for mine, theirs in zip(some, values, strict=True) if isinstance(some, list) else [(some, values)]:
            assert mine.dtype == np.float32
            assert mine.shape in (theirs.shape, (*theirs.shape, 1))
            np.testing.assert_allclose(
                mine.reshape(theirs.shape), theirs, rtol=0, atol=max(1e-5, rtol * abs(theirs).max())
            )
    return found


# --- components -------------------------------------------------------------------------------------------------


def test_every_registered_component_has_an_entry():
    assert {*_components.ACTIVATIONS} == {*ACTIVATIONS}
    assert {*_components.NORMALIZATIONS} == {*NORMALIZATIONS.values()}
    outputs = {name for loss in LOSSES for name in loss.classifier_outputs}
    assert {*_components.PROBABILITIES} == {ACTIVATIONS[name] for name in outputs}
    assert {*_components.PREDICTIONS} == {loss for loss in LOSSES if loss.narrow is not Loss.narrow}


@pytest.mark.parametrize("cls", [cls for cls in ACTIVATIONS if cls.function], ids=lambda cls: cls.names[0])
@pytest.mark.parametrize("changed", [False, True])
def test_activations_agree_with_numpy(cls, changed):
    activation = cls(**dict.fromkeys(cls().get_params(), 0.37) if changed else {})
    z = np.concatenate([np.linspace(-20, 20, 4001), [0.0, -88.0, 60.0] if cls.output else [0.0, -1e4, 1e4]])[:, None]
    z = z.astype(np.float32)
    graph = Graph()
    last = graph.add("Identity", _components.ACTIVATIONS[cls](graph, "z", activation))
    ends = [[onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1])] for name in ("z", last)]
    made = onnx.helper.make_graph(graph.nodes, "activation", *ends, graph.constants)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    with np.errstate(over="ignore"):
        expected = naive.ACTIVATIONS[cls.names[0]](z.astype(np.float64), **activation.get_params())[0]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_allclose(session.run(None, {"z": z})[0], expected, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", [cls.names[0] for cls in ACTIVATIONS if cls.hidden])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_activations_and_normalizations_of_hidden_layers(name, normalization, diabetes):
    extra = {normalization: True} if normalization else {}
    check(MLPRegressor(activation=name, **SHORT, **extra).fit(*diabetes), diabetes[0])


LABELS = {
    "two": lambda y: (y > 0).astype(np.int8),
    "bool": lambda y: y > 0,
    "float": lambda y: y + 1.0,
    "strings": lambda y: np.array(["b", "a", "long"])[y],
    "objects": lambda y: np.array(["b", "a", "long"], object)[y],
    "one": lambda y: np.full(len(y), "only"),
    "multilabel": lambda y: y[:, None] >> np.arange(2) & 1,
    "several": lambda y: np.column_stack([y, y > 1]),
    "several strings": lambda y: np.array(["b", "a", "long"])[np.column_stack([y, y > 1])],
}
OUTPUTS = dict.fromkeys((output, loss.names[0]) for loss in LOSSES for output in loss.classifier_outputs)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_outputs_of_classifiers(output, loss, kind, iris):
    X, y = iris
    net = MLPClassifier(output_activation=output, loss=loss, **SHORT)
    try:
        net.fit(X, LABELS[kind](y))
    except ValueError as error:
        assert "output_activation" in str(error)  # noqa: PT017
        return
    found = check(net, X)
    assert found["label"].dtype == (object if "strings" in kind or kind in ("objects", "one") else np.int64)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("output", "loss"), [(output, loss) for loss in LOSSES for output in loss.regressor_outputs], ids=str
)
def test_outputs_of_regressors(output, loss, single, wine):
    X, Y = wine
    Y = abs(Y) + 0.1
    net = MLPRegressor(output_activation=output, loss=loss(), **SHORT)
    check(net.fit(X, Y[:, 0] if single else Y), X, rtol=1e-5)


@pytest.mark.parametrize("single", [True, False])
def test_several_quantiles(single, wine):
    X, Y = wine
    found = check(MLPRegressor(loss=Quantile([0.1, 0.5, 0.9]), **SHORT).fit(X, Y[:, 0] if single else Y), X)
    assert found["variable"].shape[1:] == ((3,) if single else (3, 3))


def test_a_network_without_hidden_layers_in_float32_of_sparse_data(diabetes):
    X, y = diabetes
    net = MLPRegressor(hidden_layer_sizes=(), dtype="float32", max_iter=3).fit(csr_array(X), y)
    check(net, X, model=to_onnx(net, csr_array(X)))


# --- the data sets of the quick start ---------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits])
@pytest.mark.parametrize("scaled", [True, False])
def test_classifiers_of_the_quickstart(load, scaled):
    X, y = load(return_X_y=True)
    net = MLPClassifier(learning_rate_init=0.003, max_iter=50, random_state=0)
    check((make_pipeline(StandardScaler(), net) if scaled else net).fit(X, y), X)


@pytest.mark.parametrize("scaled", [True, False])
def test_regressor_of_the_quickstart(scaled):
    X, y = load_diabetes(return_X_y=True)
    net = make_pipeline(StandardScaler(), MLPRegressor(learning_rate_init=0.003, max_iter=50, random_state=0))
    if scaled:
        net = TransformedTargetRegressor(net, transformer=StandardScaler())
    check(net.fit(X, y), X, rtol=1e-5)


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_diabetes])
def test_tabular_estimators_on_the_data_of_the_quickstart(load):
    X, y = load(return_X_y=True)
    net = (TabularMLPRegressor if load is load_diabetes else TabularMLPClassifier)("fast", max_iter=8, random_state=0)
    net.fit(X, y)
    check(net, X, rtol=1e-5)  # in float32
    check(net, X[:200], rtol=1e-5)  # in float64


# --- tables -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unseen(table):
    """The table with huge numbers, and then with unknown categories, other gaps and outliers."""
    X, *_ = table
    X = X.assign(huge=1e12 + 1e6 * X["income"], zip=np.arange(len(X)) % 5 * 10_000_001)
    new = X[:200].copy()
    new.loc[new.index[::3], "city"] = "elsewhere"
    new.loc[new.index[1::5], "city"] = None
    new.loc[new.index[::7], ["income", "constant"]] = np.nan
    new.loc[new.index[::11], ["size", "huge"]] = -1e30
    new.loc[new.index[::4], "zip"] = 7
    return X, new


CATEGORIES = ["colour", "city", "owned", "zip"]


@pytest.mark.parametrize("view", [*VIEWS, View(limit=0.05, splines="all")], ids=str)
def test_tables_with_categories_gaps_and_unknown_levels(view, table, unseen):
    X, new = unseen
    net = TabularMLPClassifier(views=[view], categorical_features=CATEGORIES, **FEW).fit(X, table[2])
    found = check(net, X)
    assert {*found["label"]} == {"cheap", "dear"}
    check(net, new, model=to_onnx(net, X))


def test_numbers_beyond_float32_have_inputs_of_float64(table):
    X, number, _ = table
    X = X[["size", "income", "city"]].assign(time=1.7e18 + 1e9 * number, power=1e45 * number, charge=1e-50 * number)
    X.loc[X.index[::5], "power"] = np.nan
    net = TabularMLPRegressor(**FEW).fit(X, number)
    check(net, X)
    numbers = X.drop(columns="city").to_numpy()
    check(TabularMLPRegressor(**FEW).fit(numbers, number), numbers)


def test_regression_on_a_table_with_quantiles(table, unseen):
    X, new = unseen
    targets = np.column_stack([1e6 + 1000 * table[1], table[1] > 4])
    parameters = {"quantiles": [0.1, 0.5, 0.9], "categorical_features": CATEGORIES, "views": SOME_VIEWS} | FEW
    for y in (table[1], targets):
        net = TabularMLPRegressor(**parameters).fit(X, y)
        check(net, new, rtol=1e-5)
        net._range = tuple(np.quantile(y.reshape(len(y), -1), [0.45, 0.55], axis=0))  # so that many are clipped
        check(net, new, rtol=1e-5)


@pytest.mark.parametrize("parameters", [{"activation": "step"}, {"activation": "mish", "metric": "roc_auc"}], ids=str)
def test_multilabel_table(parameters, table):
    X, number, _ = table
    y = np.column_stack([number > 3, X["colour"] == "red"]).astype(int)
    check(TabularMLPClassifier(views=SOME_VIEWS, **FEW, **parameters).fit(X, y), X)


def test_tuned_ensemble_has_weights_and_temperatures(table):
    X, number, _ = table
    parameters = {**FEW, "preset": "tuned", "n_trials": 4, "max_iter": 12}
    for y in (np.digitize(number, [2, 4]), np.column_stack([number > 3, X["colour"] == "red"]).astype(int)):
        net = TabularMLPClassifier(**parameters).fit(X, y)
        check(net, X)
    assert net._averages["members_"].temperature != 1


def test_rare_categories_share_a_column():
    city = np.array([f"city {k}" for k in np.arange(2000) ** 2 // 7000])
    X = pd.DataFrame({"city": city, "flag": np.where(np.arange(2000) % 3, "True", "False")})
    net = TabularMLPRegressor(**FEW).fit(X, np.arange(2000) % 7)
    assert net.encoder_._n_positions == [256, 2]
    check(net, X)


def test_arrays_with_numeric_categories_and_with_text(diabetes):
    X, y = diabetes
    X = X.copy()
    X[:, 1] = np.round(X[:, 1]) + 0.1
    check(TabularMLPRegressor(categorical_features=[1], **FEW).fit(X, y), X)
    mixed = X[:, :3].astype(object)
    mixed[:, 2] = np.where(X[:, 2] > 0, "yes", "no")
    check(TabularMLPRegressor(**FEW).fit(mixed.tolist(), y), mixed)


# --- pipelines and skl2onnx -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [MLPRegressor, TabularMLPRegressor])
def test_column_transformer_of_a_frame(cls, table):
    X, number, _ = table
    X = X[["size", "income", "city", "owned"]]
    transformer = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size", "income"]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"]),
        (OneHotEncoder(sparse_output=False), ["owned"]),
    )
    check(make_pipeline(transformer, cls(**(SHORT if cls is MLPRegressor else FEW))).fit(X, number), X)


def test_frame_of_numbers_has_an_input_for_each_column(diabetes):
    X = pd.DataFrame(diabetes[0][:, :3], columns=["a", "b c", "d"]).assign(count=np.arange(442) % 4)
    net = MLPRegressor(**SHORT).fit(X, diabetes[1])
    check(net, X)
    assert [each.name for each in to_onnx(net, X).graph.input] == ["a", "b_c", "d", "count"]


@pytest.mark.parametrize("search", [False, True])
def test_functions_of_skl2onnx_convert_the_estimators(search, cancer):
    X, y = cancer
    net = make_pipeline(StandardScaler(), MLPClassifier(**SHORT))
    if search:
        net = GridSearchCV(net, {"mlpclassifier__alpha": [0.1]}, cv=2)
    net.fit(X, y)
    check(net, X, model=skl2onnx.to_onnx(net, X.astype(np.float32), target_opset=20))
    exact = skl2onnx.to_onnx(net, X)
    session = onnxruntime.InferenceSession(exact.SerializeToString())
    assert abs(session.run(["probabilities"], {"X": X})[0] - net.predict_proba(X)).max() < 1e-5


# --- errors -----------------------------------------------------------------------------------------------------


def cubed(z):
    return z * z * z, 3.0 * z * z


class HalvedError(SquaredError):
    """Predictions are halved."""

    def narrow(self, value):
        return value / 2


class Negated(ReLU):
    """Another activation, with the names of its base class."""


@pytest.mark.parametrize("name", ["cubed", "Negated", "HalvedError"])
def test_custom_functions_are_refused_by_name(name, diabetes):
    parameters = {
        "cubed": {"activation": cubed},
        "Negated": {"activation": Negated()},
        "HalvedError": {"loss": HalvedError()},
    }
    net = MLPRegressor(**SHORT | parameters[name]).fit(*diabetes)
    for convert in (to_onnx, skl2onnx.to_onnx):
        with pytest.raises(ValueError, match=f"custom .* {name} cannot"):
            convert(make_pipeline(net), diabetes[0])


def test_custom_target_transformers_are_refused_by_name(diabetes):
    def tripled(y):
        return 3 * y

    transformer = FunctionTransformer(inverse_func=tripled)
    net = TransformedTargetRegressor(MLPRegressor(**SHORT), transformer=transformer, check_inverse=False).fit(*diabetes)
    with pytest.raises(ValueError, match="tripled"):
        to_onnx(net, diabetes[0])


def test_other_estimators_and_labels_are_refused_by_name(iris):
    X, y = iris
    with pytest.raises(TypeError, match=r"MLPClassifier.*got LogisticRegression"):
        to_onnx(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X)
    net = MLPClassifier(**SHORT).fit(X, y)
    net._targets.classes = net.classes_ = np.array([Fraction(1, 3), Fraction(2, 3), Fraction(1)], object)
    with pytest.raises(TypeError, match="Fraction"):
        to_onnx(net, X)


@pytest.mark.parametrize("cls", [MLPClassifier, TabularMLPRegressor])
def test_unfitted_estimators_old_opsets_and_other_tables_are_refused(cls, iris):
    X, y = iris
    net = cls(**(SHORT if cls is MLPClassifier else FEW))
    for unfitted in (net, make_pipeline(StandardScaler(), net)):
        with pytest.raises(NotFittedError):
            to_onnx(unfitted, X)
    net.fit(X, y)
    with pytest.raises(ValueError, match="at least 17, got 16"):
        to_onnx(net, X, target_opset=16)
    with pytest.raises(ValueError, match="at least 17"):
        skl2onnx.to_onnx(net, X.astype(np.float32), target_opset=15)
    with pytest.raises(ValueError, match="features"):
        to_onnx(net, X[:, :3])


def test_inputs_of_the_wrong_type_are_refused(table):
    X, number, _ = table
    net = TabularMLPRegressor(**FEW).fit(X[["size", "city"]], number)
    floats, strings = (kind([None, 1]) for kind in (FloatTensorType, StringTensorType))
    for size, city, error in (
        (floats, floats, "'city' cannot be Float.*not all of its categories are such numbers"),
        (strings, strings, "'size' cannot be String.*because it is numeric"),
    ):
        with pytest.raises(TypeError, match=error):
            skl2onnx.to_onnx(net, initial_types=[("size", size), ("city", city)])
    with pytest.raises(ValueError, match="1 columns"):
        skl2onnx.to_onnx(net, initial_types=[("size", floats)])


def test_quantiles_set_after_fit_are_refused(diabetes):
    net = TabularMLPRegressor(**FEW).fit(*diabetes).set_params(quantiles=[0.5])
    with pytest.raises(ValueError, match="set after fit"):
        to_onnx(net, diabetes[0])


def test_targets_beyond_float32_are_refused(diabetes):
    X, y = diabetes
    for targets in (1e40 * y, np.column_stack([y, -1e200 * y])):
        net = TabularMLPRegressor(**FEW).fit(X, targets)
        with pytest.raises(ValueError, match=r"largest y in fit was .* float32"):
            to_onnx(net, X)


@pytest.mark.parametrize("package", ["onnx", "skl2onnx"])
def test_missing_packages_are_named_with_the_extra(package, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sknn_iitb.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}; pip install 'sknn-iitb\[onnx\]'"):
        import sknn_iitb.onnx  # noqa: F401
