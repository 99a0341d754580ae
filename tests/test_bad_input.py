"""Invalid input: a clear error before training, and a fitted model that stays unchanged."""

import _thread
import copy
import inspect
import itertools
import re
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from refused import assert_refused
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine import objective
from sknn_iitb.activations import ACTIVATIONS, LeakyReLU, Softmax
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES, Hinge, Huber, Quantile
from sknn_iitb.optimizers import OPTIMIZERS, SGD, Adam, RMSprop, Rprop
from sknn_iitb.schedules import SCHEDULES, Cosine, InvScaling, StepDecay, WarmUp
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FIRST_ORDER = [cls.names[0] for cls in OPTIMIZERS if cls.kernel is not None]
BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])


@pytest.fixture
def data(cancer):
    X, y = cancer
    return X[:60, :3], y[:60]


def _net(cls, **parameters):
    return cls(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **parameters})


# --- parameters -----------------------------------------------------------------------------------------------------

# parameter, invalid value, what the error says besides the name of the parameter
OUT_OF_RANGE = [
    ("hidden_layer_sizes", 0, r"\[1, inf\)"),
    ("hidden_layer_sizes", (5, 0), "integers > 0"),
    ("hidden_layer_sizes", (5, -1), "integers > 0"),
    ("hidden_layer_sizes", (5.0,), "integers > 0"),
    ("hidden_layer_sizes", 5.0, "int"),
    ("hidden_layer_sizes", ("5",), "integers > 0"),
    ("hidden_layer_sizes", [[5, 5]], "integers > 0"),
    ("hidden_layer_sizes", [[5], 5], "integers > 0"),
    ("hidden_layer_sizes", None, "array-like"),
    ("alpha", -1, r"\[0"),
    ("alpha", np.nan, r"\[0"),
    ("batch_size", 0, "'full'|'auto'"),
    ("batch_size", -3, "'full'|'auto'"),
    ("batch_size", 2.5, "'full'|'auto'"),
    ("batch_size", "all", "'full'|'auto'"),
    ("learning_rate_init", 0, r"\(0"),
    ("learning_rate_init", -0.1, r"\(0"),
    ("learning_rate_init", np.inf, r"\(0"),
    ("power_t", -1, r"\[0"),
    ("max_iter", 0, r"\[1"),
    ("tol", -1e-3, r"\[0"),
    ("momentum", 1.0, r"1\.0\)"),
    ("momentum", 1, r"1\.0\)"),
    ("momentum", -0.1, r"\[0"),
    ("validation_fraction", 1.0, r"1\.0\)"),
    ("validation_fraction", -0.1, r"0"),
    ("beta_1", 1.0, r"1\.0\)"),
    ("beta_2", 1.0, r"1\.0\)"),
    ("epsilon", 0, r"\(0"),
    ("n_iter_no_change", 0, r"\[1"),
    ("max_fun", 0, r"\[1"),
    ("dtype", "float16", "float32"),
    ("dtype", int, "float32"),
    ("shuffle", "yes", "bool"),
    ("warm_start", "yes", "bool"),
    ("early_stopping", None, "bool"),
    ("nesterovs_momentum", "yes", "bool"),
    ("random_state", "seed", "RandomState"),
    ("init", 1.0, "zeros"),
    ("init", ([np.ones((3, 4))], [np.ones(4)]), "2 arrays"),
    ("init", ([np.ones((4, 3)), np.ones((4, 1))], [np.ones(4), np.ones(1)]), r"\(3, 4\)"),
    ("init", ([np.full((3, 4), np.nan), np.ones((4, 1))], [np.ones(4), np.ones(1)]), "finite"),
    ("init", (1, 2), r"\(coefs, intercepts\)"),
    ("init", (1, 2, 3), r"\(coefs, intercepts\)"),
    ("activation", ["relu", "relu"], "a list with one for each of the 1 hidden layers"),
    ("activation", [], "a list with one for each of the 1 hidden layers"),
    ("activation", ["no such"], "'no such' is not among 'identity'.*'relu'"),
    ("activation", ["softmax"], "not among 'identity'"),
    ("activation", [3], r"activation=\[3\]: 3 is not a name, an Activation or a function"),
    ("activation", (None,), r"activation=\(None,\): None is not a name"),
    ("activation", [["relu"]], r"\['relu'\] is not a name"),
    ("dropout", 1.0, r"1\.0\)"),
    ("dropout", -0.1, r"\[0"),
    ("dropout", np.nan, r"\[0"),
    ("dropout", "half", "float"),
    ("dropout", [0.1], r"list of 1 \+ 1"),
    ("dropout", [0.1, 0.1, 0.1], r"list of 1 \+ 1"),
    ("dropout", (0.1, 1.0), r"\[0, 1\)"),
    ("dropout", [0.1, None], r"\[0, 1\)"),
    ("dropout", [True, 0.1], r"\[0, 1\)"),
    ("dropout", [[0.1], 0.1], r"\[0, 1\)"),
    ("dropout", [[0.1, 0.1]], r"\[0, 1\)"),
    ("dropout", np.array([0.1, 1.0]), r"\[0, 1\)"),
    ("dropout", np.array([[0.1, 0.1]]), r"\[0, 1\)"),
    ("dropout", np.array(0.1), r"\[0, 1\)"),
    ("batch_norm", "yes", "bool"),
    ("layer_norm", "yes", "bool"),
    ("l1", -1e-3, r"\[0"),
    ("l1", np.inf, r"\[0"),
    ("max_norm", 0, r"\(0"),
    ("max_norm", np.inf, r"\(0"),
    ("clip_norm", 0.0, r"\(0"),
    ("clip_norm", -1, r"\(0"),
    ("clip_value", 0, r"\(0"),
    ("clip_value", np.nan, r"\(0"),
    ("early_stopping", "always", "'auto'"),
    ("validation_fraction", "last", "split"),
    ("scoring", "no such", "'roc_auc'"),
    ("scoring", 1, "callable"),
]


@BOTH
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("name", "value", "legal"), OUT_OF_RANGE)
def test_out_of_range_parameter_raises(data, cls, name, value, legal, fitted):
    net = _net(cls)
    if fitted:
        net.fit(*data)
    net.set_params(**{name: value})
    assert_refused(net, data, f"(?s)(?=.*{name})(?=.*({legal}))")


@BOTH
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solver", "no such"),
        ("learning_rate", "no such"),
        ("alpha", "much"),
        ("batch_size", 0),
        ("learning_rate_init", -1),
        ("momentum", 1.0),
        ("activation", "no such"),
        ("hidden_layer_sizes", (4.0,)),
    ],
)
def test_invalid_parameter_between_partial_fit_calls_raises(data, cls, name, value):
    net = _net(cls)
    net.partial_fit(*data, **({"classes": [0, 1]} if cls is MLPClassifier else {}))
    net.set_params(**{name: value})
    assert_refused(net, data, name, call=lambda: net.partial_fit(*data))


@BOTH
@pytest.mark.parametrize(
    "registry", [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS], ids=lambda r: r.parameter
)
def test_error_for_an_unknown_name_lists_the_legal_names(data, cls, registry):
    condition = {
        "activation": lambda activation: activation.hidden,
        "loss": lambda loss: loss.classifier_outputs if cls is MLPClassifier else loss.regressor_outputs,
    }.get(registry.parameter, lambda component: True)
    for value in ("no such", 3):
        net = _net(cls, **{registry.parameter: value})
        with pytest.raises(ValueError, match=f"'{registry.parameter}' parameter of {cls.__name__}") as caught:
            net.fit(*data)
        for name in registry.names(condition):
            assert repr(name) in str(caught.value)
        assert not hasattr(net, "coefs_")


@BOTH
@pytest.mark.parametrize(
    ("name", "value"), [("solver", RMSprop), ("learning_rate", Cosine), ("activation", LeakyReLU), ("loss", Huber)]
)
def test_class_instead_of_an_instance_raises(data, cls, name, value):
    assert_refused(_net(cls, **{name: value}), data, rf"{name}={value.__name__}.*{value.__name__}\(\)")


@BOTH
@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"solver": RMSprop(rho=1.0)}, "rho"),
        ({"solver": Adam(beta_1=-0.1)}, "beta_1"),
        ({"activation": LeakyReLU(negative_slope=-1)}, "negative_slope"),
        ({"learning_rate": StepDecay(factor=2)}, "factor"),
        ({"learning_rate": WarmUp(StepDecay(factor=2))}, "factor"),
        ({"learning_rate": WarmUp("no such")}, "schedule"),
        ({"learning_rate": WarmUp(duration=0)}, "duration"),
    ],
)
def test_out_of_range_component_parameter_raises(data, cls, parameters, name):
    component = next(iter(parameters.values()))
    assert_refused(_net(cls, **parameters), data, f"'{name}' parameter of (StepDecay|{type(component).__name__})")


def test_out_of_range_loss_parameter_raises(data):
    assert_refused(_net(MLPRegressor, loss=Quantile(quantile=1)), data, "'quantile' parameter of Quantile")


@pytest.mark.parametrize(("cls", "loss"), [(MLPClassifier, Huber()), (MLPRegressor, Hinge())])
def test_loss_of_the_other_estimator_raises(data, cls, loss):
    assert_refused(_net(cls, loss=loss), data, "loss")


@BOTH
@pytest.mark.parametrize("name", ACTIVATIONS.names(lambda activation: not activation.output))
def test_hidden_layer_activation_as_output_activation_raises(data, cls, name):
    legal = "logistic" if cls is MLPClassifier else "identity"
    for value in (name, ACTIVATIONS[name]()):
        match = f"(?s)output_activation=.*hidden layers only.*not supported.*{legal}"
        assert_refused(_net(cls, output_activation=value), data, match)


@pytest.mark.parametrize("output", ACTIVATIONS.names(lambda activation: activation.output))
def test_output_activation_incompatible_with_the_loss_raises(data, output):
    X, y = data
    canonical = ACTIVATIONS[output].names[0]
    for cls, attribute in ((MLPClassifier, "classifier_outputs"), (MLPRegressor, "regressor_outputs")):
        for loss in LOSSES:
            legal = getattr(loss, attribute)
            if legal and canonical not in legal:
                net = _net(cls, output_activation=output, loss=loss.names[0])
                match = f"output_activation='{output}'.*not supported with loss='{loss.names[0]}'"
                assert_refused(net, (X, y + 1), match + "".join(f".*'{name}'" for name in legal))


def test_error_for_loss_auto_lists_every_output_that_has_a_loss(data):
    outputs = ("softmax", "logistic", "tanh", "identity", "step")
    with pytest.raises(ValueError, match="loss='auto'") as error:
        _net(MLPClassifier, output_activation="exponential").fit(*data)
    legal = str(error.value).partition("legal values:")[2]
    assert {name for name in ACTIVATIONS.names() if repr(name) in legal} == set(outputs)
    for output in outputs:
        _net(MLPClassifier, output_activation=output, max_iter=1).fit(*data)


@BOTH
@pytest.mark.parametrize("value", ["softmax", Softmax()])
def test_softmax_in_a_hidden_layer_raises(data, cls, value):
    assert_refused(_net(cls, activation=value), data, "activation")


@BOTH
@pytest.mark.parametrize(
    ("flat", "value"),
    [("momentum", 0.5), ("nesterovs_momentum", False), ("beta_1", 0.5), ("beta_2", 0.5), ("epsilon", 1e-3)],
)
def test_flat_parameter_beside_a_solver_instance_raises(data, cls, flat, value):
    net = _net(cls, solver=RMSprop(), **{flat: value})
    assert_refused(net, data, rf"{flat}={value}.*solver=RMSprop\(\)")
    net.set_params(solver="sgd").fit(*data)


@BOTH
def test_flat_parameter_beside_a_schedule_instance_raises(data, cls):
    net = _net(cls, learning_rate=Cosine(), power_t=0.3)
    assert_refused(net, data, r"power_t=0.3.*learning_rate=Cosine\(\)")
    net.set_params(learning_rate="invscaling").fit(*data)


@pytest.mark.parametrize("solver", [name for name in OPTIMIZERS.names() if name != "lbfgs"])
def test_solver_by_name_has_the_defaults_of_its_class(data, solver):
    by_name, by_object = (_net(MLPClassifier, solver=s) for s in (solver, OPTIMIZERS[solver]()))
    np.testing.assert_array_equal(by_name.fit(*data).parameters_, by_object.fit(*data).parameters_)


@BOTH
@pytest.mark.parametrize(
    ("solver", "flat", "instead"),
    [
        ("sgd", {"momentum": 0.5, "nesterovs_momentum": False}, SGD(0.5, False)),
        ("adam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, Adam(0.8, 0.9, 1e-3)),
    ],
)
def test_flat_parameters_reach_sgd_and_adam(data, cls, solver, flat, instead):
    by_name, by_object = _net(cls, solver=solver, **flat), _net(cls, solver=instead)
    np.testing.assert_array_equal(by_name.fit(*data).parameters_, by_object.fit(*data).parameters_)


@BOTH
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "lion", "beta_2": 0.5}, r"beta_2=0.5 has no effect with solver='lion'.*such as Lion\(beta_2=0.5\)"),
        (
            {"solver": "rmsprop", "epsilon": 1e-3},
            r"epsilon=0.001 has no effect with solver='rmsprop'.*RMSprop\(epsilon=0.001",
        ),
        ({"solver": Adam(), "beta_1": 0.5}, r"beta_1=0.5 has no effect with solver=Adam\(\).*Adam\(beta_1=0.5"),
        ({"learning_rate": "cosine", "power_t": 0.3}, r"power_t=0.3 has no effect with learning_rate='cosine'"),
    ],
)
def test_flat_parameter_unknown_to_the_component_raises(data, cls, parameters, message):
    with pytest.raises(ValueError, match=message):
        _net(cls, **parameters).fit(*data)


@BOTH
def test_nested_parameter_of_a_name_raises(data, cls):
    net = cls(solver="rmsprop")
    with pytest.raises(ValueError, match=r"solver__rho.*solver='rmsprop'.*RMSprop\(\)"):
        net.set_params(solver__rho=0.8)
    with pytest.raises(ValueError, match=r"learning_rate__factor.*StepDecay\(\)"):
        net.set_params(learning_rate__factor=0.8)
    with pytest.raises(ValueError, match=r"learning_rate__duration.*WarmUp\(\)"):
        net.set_params(learning_rate__duration=0.1)
    with pytest.raises(ValueError, match=r"learning_rate__rho.*no learning_rate has a parameter 'rho'\.$"):
        net.set_params(learning_rate__rho=0.8)
    with pytest.raises(ValueError, match=r"activation__negative_slope.*LeakyReLU\(\)"):
        net.set_params(activation__negative_slope=0.8)
    with pytest.raises(ValueError, match=r"solver__rho.*RMSprop\(\)"):
        make_pipeline(StandardScaler(), net).set_params(**{f"{cls.__name__.lower()}__solver__rho": 0.8})
    with pytest.raises(ValueError, match=r"RMSprop\(\)"):
        GridSearchCV(net, {"solver__rho": [0.8]}, cv=2, error_score="raise").fit(*data)
    assert net.solver == "rmsprop"


@BOTH
@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"activation": ["relu"]}, "activation__negative_slope"),
        ({"activation": (LeakyReLU(),)}, "activation__negative_slope"),
        ({"init": ([1], [2])}, "init__scale"),
        ({"learning_rate": lambda step, n_steps: step}, "learning_rate__factor"),
    ],
    ids=["list", "tuple", "arrays", "function"],
)
def test_nested_parameter_of_a_value_without_parameters_raises(cls, parameters, key):
    ((name, value),) = parameters.items()
    with pytest.raises(ValueError, match=rf"{key} cannot be set: {name}=.* is a {type(value).__name__}, which has no"):
        cls(**parameters).set_params(**{key: 1})


@BOTH
def test_scorer_names_are_listed_in_order(data, cls):
    with pytest.raises(ValueError, match="scoring='no such' is not among") as raised:
        _net(cls, scoring="no such").fit(*data)
    listed = re.findall(r"'(\w+)'", str(raised.value).partition("among")[2])
    assert listed == ["loss", *sorted(get_scorer_names())]


# --- data -----------------------------------------------------------------------------------------------------------


def _replaced(values, value):
    values = np.array(values, dtype=complex if isinstance(value, complex) else float)
    values[4] = value
    return values


BAD_X = {
    "NaN": (lambda X: _replaced(X, np.nan), "NaN"),
    "infinity": (lambda X: _replaced(X, np.inf), "infinity"),
    "no rows": (lambda X: X[:0], "0 sample"),
    "no columns": (lambda X: X[:, :0], r"0 feature|has 0 features"),
    "one dimension": (lambda X: X[:, 0], "Expected 2D array"),
    "three dimensions": (lambda X: X[None], "dim 3|3D array"),
    "text": (lambda X: np.where(X > 0, "a", "b"), "X contains text in columns 0 .*, 1 .*, 2 "),
    "objects": (lambda X: np.where(X > 0, "a", "b").astype(object), "X contains text in columns 0 .*, 1 .*, 2 "),
    "complex": (lambda X: _replaced(X, 1j), "Complex data"),
    "sparse NaN": (lambda X: sparse.csr_matrix(_replaced(X, np.nan)), "NaN"),
    "sparse infinity": (lambda X: sparse.coo_array(_replaced(X, np.inf)), "infinity"),
    "sparse complex": (lambda X: sparse.csc_array(_replaced(X, 1j)), "Complex data"),
    "None": (lambda X: None, "None|got 0D|scalar"),
}


@BOTH
@pytest.mark.parametrize("method", ["fit", "fit again", "warm start", "partial_fit", "predict", "loss_and_gradient"])
@pytest.mark.parametrize("kind", BAD_X)
def test_invalid_x_raises(data, cls, method, kind):
    X, y = data
    net = _net(cls, warm_start=method == "warm start")
    if method != "fit":
        net.fit(X, y)
    bad, match = BAD_X[kind][0](X), BAD_X[kind][1]
    target = y[: bad.shape[0]] if hasattr(bad, "shape") else y
    calls = {
        "partial_fit": lambda: net.partial_fit(bad, target),
        "predict": lambda: net.predict(bad),
        "loss_and_gradient": lambda: net.loss_and_gradient(bad, target),
    }
    assert_refused(net, data, match, call=calls.get(method, lambda: net.fit(bad, target)))


@pytest.mark.parametrize(
    ("cls", "tabular"), [(MLPClassifier, TabularMLPClassifier), (MLPRegressor, TabularMLPRegressor)]
)
def test_missing_values_and_text_name_an_estimator_that_accepts_them(data, cls, tabular):
    X, y = data
    frame = pd.DataFrame(X, columns=["size", "price", "age"])
    net = _net(cls).fit(frame, y)
    missing, text = frame.copy(), frame.astype({"price": object})
    missing.loc[4, "price"] = np.nan
    text.loc[4, "price"] = "dear"
    for bad, cause in ((missing, "contains NaN"), (text, r"text in column 'price' \(such as 'dear'\)\.")):
        for call in (lambda bad: clone(net).fit(bad, y), net.predict):
            with pytest.raises(ValueError, match=f"{cause}.*sknn_iitb.{tabular.__name__}") as caught:
                call(bad)
            assert "HistGradientBoosting" not in str(caught.value)
        # the advice works
        tabular(preset="fast", max_iter=1).fit(bad, y).predict(bad)
    make_pipeline(SimpleImputer(), StandardScaler(), _net(cls)).fit(missing, y)


@pytest.mark.parametrize("convert", [list, np.array, lambda rows: np.array(rows, dtype=object)])
def test_text_in_arrays_and_lists_is_found_by_number(convert):
    rows = [[1, "a", "7", "b", "c", "d"], [2, "c", "8", "b", "1", "e"]]
    with pytest.raises(ValueError, match=r"columns 1 \(such as 'a'\), 3 \(such as 'b'\), 4 \(such as 'c'\) and 1 more"):
        MLPClassifier().fit(convert(rows), [0, 1])


@BOTH
@pytest.mark.parametrize("method", ["predict", "partial_fit", "warm start", "loss_and_gradient"])
@pytest.mark.parametrize("n_features", [2, 4])
def test_different_number_of_features_raises(data, cls, method, n_features):
    X, y = data
    net = _net(cls, warm_start=True).fit(X, y)
    other = np.ones((60, n_features))
    calls = {
        "predict": lambda: net.predict(other),
        "partial_fit": lambda: net.partial_fit(other, y),
        "warm start": lambda: net.fit(other, y),
        "loss_and_gradient": lambda: net.loss_and_gradient(other, y),
    }
    assert_refused(net, data, f"X has {n_features} features.*expecting 3", call=calls[method])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # from NumPy, in scikit-learn's validation
@BOTH
def test_x_beyond_the_float32_range_raises(data, cls):
    X, y = data
    assert_refused(_net(cls, dtype="float32"), (1e300 * X, y), "X contains infinity or a value too large")


def test_y_beyond_the_float32_range_raises(data):
    X, y = data
    assert_refused(_net(MLPRegressor, dtype="float32"), (X, 1e300 * (y + 1.0)), r"\by\b.*too large")


BAD_Y = {
    "short": (MLPRegressor, {}, lambda y: y[:-1], "inconsistent numbers of samples"),
    "NaN": (MLPRegressor, {}, lambda y: _replaced(y, np.nan), "y contains NaN"),
    "infinity": (MLPRegressor, {}, lambda y: _replaced(y, np.inf), "y contains infinity"),
    "text": (MLPRegressor, {}, lambda y: np.where(y > 0, "a", "b"), "convert string to float"),
    "complex": (MLPRegressor, {}, lambda y: _replaced(y, 1j), "Complex data"),
    "None": (MLPRegressor, {}, lambda y: None, "requires y"),
    "three dimensions": (MLPRegressor, {}, lambda y: y[:, None, None], "dim 3|3D"),
    "negative counts": (MLPRegressor, {"loss": "poisson"}, lambda y: y - 2.0, "loss='poisson' requires y >= 0"),
    "zeros": (MLPRegressor, {"loss": "gamma"}, lambda y: y * 1.0, "loss='gamma' requires y > 0"),
    "short labels": (MLPClassifier, {}, lambda y: y[:-1], "inconsistent numbers of samples"),
    "no labels": (MLPClassifier, {}, lambda y: None, "requires y"),
    "continuous labels": (
        MLPClassifier,
        {},
        lambda y: y + np.linspace(0, 1, len(y)),
        "Unknown label type: continuous",
    ),
    "NaN label": (MLPClassifier, {}, lambda y: _replaced(y, np.nan), "y contains NaN"),
    "columns of numbers": (MLPClassifier, {}, lambda y: np.column_stack([y, y / 3]), "continuous-multioutput"),
    "multiclass columns for logistic": (
        MLPClassifier,
        {"output_activation": "logistic"},
        lambda y: np.column_stack([y, 2 * y, 3 * y]),
        "logistic.*several columns of classes.*softmax",
    ),
    "third class for tanh": (
        MLPClassifier,
        {"output_activation": "tanh"},
        lambda y: np.arange(len(y)) % 3,
        "tanh.*two classes.*3.*softmax.*logistic",
    ),
    "multilabel for softmax": (
        MLPClassifier,
        {"output_activation": "softmax"},
        lambda y: np.column_stack([y, 1 - y]),
        "softmax.*multilabel.*logistic",
    ),
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("kind", BAD_Y)
def test_invalid_y_raises(data, kind, fitted):
    cls, parameters, change, match = BAD_Y[kind]
    X, y = data
    net = _net(cls, **parameters)
    if fitted:
        net.fit(X, y + 1)
    assert_refused(net, (X, change(y)), match)


@pytest.mark.parametrize(("loss", "match"), [("poisson", "y >= 0"), ("gamma", "y > 0")])
def test_targets_outside_the_domain_of_the_loss_raise_in_later_calls(data, loss, match):
    X, y = data
    net = _net(MLPRegressor, loss=loss).partial_fit(X, y + 1.0)
    assert_refused(net, data, match, call=lambda: net.partial_fit(X, y - 1.0))
    assert_refused(net, data, match, call=lambda: net.loss_and_gradient(X, y - 1.0))


BAD_WEIGHTS = {
    "short": (np.ones(59), r"sample_weight.shape == \(59,\), expected \(60,\)"),
    "negative": (-np.ones(60), "Negative values.*sample_weight"),
    "NaN": (np.full(60, np.nan), "sample_weight contains NaN"),
    "infinity": (np.full(60, np.inf), "sample_weight contains infinity"),
    "zeros": (np.zeros(60), "(?i)sample.weight"),
    "matrix": (np.ones((60, 2)), "(?i)sample.weights"),
    "text": (np.full(60, "a"), "convert string to float"),
}


@BOTH
@pytest.mark.parametrize("method", ["fit", "fit again", "partial_fit", "loss_and_gradient"])
@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_invalid_sample_weight_raises(data, cls, method, kind):
    weight, match = BAD_WEIGHTS[kind]
    net = _net(cls)
    if method != "fit":
        net.fit(*data)
    call = getattr(net, "fit" if method == "fit again" else method)
    assert_refused(net, data, match, call=lambda: call(*data, sample_weight=weight))


@BOTH
def test_unfitted_network_raises(data, cls):
    for method in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        if hasattr(cls(), method):
            with pytest.raises(NotFittedError):
                getattr(cls(), method)(data[0])
    with pytest.raises(NotFittedError):
        cls().loss_and_gradient(*data)


def test_partial_fit_with_undeclared_labels_raises(data):
    X, y = data
    assert_refused(_net(MLPClassifier), data, "classes must be passed", call=lambda: MLPClassifier().partial_fit(X, y))
    net = _net(MLPClassifier)
    assert_refused(net, data, "classes not in", call=lambda: net.partial_fit(X, y, classes=[0, 5]))
    net.partial_fit(X, y, classes=[0, 1])
    for call, match in [
        (lambda: net.partial_fit(X, y + 1), r"classes not in.*\n?.*2"),
        (lambda: net.partial_fit(X, y, classes=[0, 1, 2]), "not the same as on last call"),
        (lambda: net.partial_fit(X, np.where(y == 1, "a", "b")), "classes not in"),
        (lambda: net.partial_fit(X, np.column_stack([y, y, 1 - y])), "y must have 1 column"),
    ]:
        assert_refused(net, data, match, call=call)


@BOTH
def test_partial_fit_with_early_stopping_needs_validation_data(data, cls):
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    net = _net(cls, early_stopping=True)
    assert_refused(net, data, "early_stopping", call=lambda: net.partial_fit(*data, **classes))


@BOTH
@pytest.mark.parametrize("solver", ["lbfgs", OPTIMIZERS["lbfgs"]()])
def test_lbfgs_has_no_partial_fit(data, cls, solver):
    net = _net(cls, solver=solver)
    assert not hasattr(net, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        _ = net.partial_fit


@BOTH
@pytest.mark.parametrize("fraction", [0, 0.01])
def test_validation_fraction_without_enough_rows_raises(data, cls, fraction):
    net = _net(cls, early_stopping=True, validation_fraction=fraction)
    assert_refused(net, data, "validation_fraction")


@BOTH
@pytest.mark.parametrize("change", [{"hidden_layer_sizes": 5}, {"hidden_layer_sizes": ()}])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fitted_network_cannot_change_its_layers(data, cls, change, method):
    net = _net(cls, warm_start=True).fit(*data).set_params(**change)
    assert_refused(net, data, "hidden_layer_sizes", call=lambda: getattr(net, method)(*data))


def test_warm_start_cannot_change_classes_or_outputs(data):
    X, y = data
    net = _net(MLPClassifier, warm_start=True).fit(X, y)
    assert_refused(net, data, "same classes", call=lambda: net.fit(X, y + 1))
    net = _net(MLPRegressor, warm_start=True).fit(X, y)
    assert_refused(net, data, "outputs", call=lambda: net.fit(X, np.column_stack([y, y])))


COLUMNS = {
    "labels": lambda y: y,
    "indicator": lambda y: np.column_stack([y, 1 - y]),
    "columns of classes": lambda y: np.column_stack([y + 1, y + 2, y + 3]),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(COLUMNS, 2)))
def test_labels_cannot_change_their_number_of_columns(data, before, after, method):
    X, y = data
    before, after = COLUMNS[before](y), COLUMNS[after](y)
    net = _net(MLPClassifier, warm_start=True).fit(X, before)
    n_before, n_after = (y[0].size for y in (before, after))
    match = f"y must have {n_before} columns?, as when the net was fitted; it has {n_after}"
    assert_refused(net, (X, before), match, call=lambda: getattr(net, method)(X, after))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("before", "after", "blamed", "innocent"),
    [
        ({}, {"batch_norm": True}, ["batch_norm"], ["hidden_layer_sizes", "outputs"]),
        ({}, {"hidden_layer_sizes": 3}, ["hidden_layer_sizes"], ["batch_norm", "outputs"]),
        (
            {"loss": Quantile([0.1, 0.9])},
            {"loss": Quantile([0.1, 0.5, 0.9])},
            ["outputs", "0.5"],
            ["hidden", "batch_n"],
        ),
        ({}, {"loss": "gaussian"}, ["outputs", "loss='gaussian'"], ["hidden_layer_sizes", "batch_norm"]),
        ({}, {"loss": "gaussian", "batch_norm": True}, ["outputs", "batch_norm"], ["hidden_layer_sizes"]),
    ],
    ids=["batch_norm", "layers", "quantiles", "loss", "two"],
)
def test_error_names_exactly_the_parameters_that_cannot_change(data, before, after, blamed, innocent, method):
    net = _net(MLPRegressor, warm_start=True, **before).fit(*data).set_params(**after)
    with pytest.raises(ValueError, match="cannot continue with layers") as raised:
        getattr(net, method)(*data)
    _, advice = str(raised.value).split(";")
    assert all(word in advice for word in blamed)
    assert not any(word in advice for word in innocent)


# --- divergence -----------------------------------------------------------------------------------------------------

NON_FINITE = (
    r"Solver produced non-finite parameter weights\. The input data may contain large values and need to be "
    r"preprocessed\. .*epoch {} .*learning rate of {}"
)


def _explodes(step, n_steps):
    return np.where(step < n_steps // 2, 1.0, 1e200)


def _unbounded(solver):
    """Rprop limits its steps whatever the learning rate."""
    return Rprop(max_step=1e300) if solver == "rprop" else solver


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_divergence_raises_and_names_its_epoch(data, capsys, cls, solver, fitted, dtype):
    net = _net(cls, solver=_unbounded(solver), batch_size=20, dtype=dtype)
    if fitted:
        net.fit(*data)
    net.set_params(max_iter=4, learning_rate=_explodes, verbose=True)
    assert_refused(net, data, NON_FINITE.format(3, r"1e\+197"))
    assert capsys.readouterr().out.count("Iteration") == 2


@BOTH
def test_divergence_error_names_the_largest_learning_rate_of_the_epoch(data, cls):
    net = _net(cls, batch_size=20, learning_rate=lambda step, n_steps: 1e300 * step)
    n_steps = -(-len(data[0]) // 20)
    assert_refused(
        net, data, NON_FINITE.format(1, rf"{net.learning_rate_init * 1e300 * (n_steps - 1):g}".replace("+", r"\+"))
    )


@BOTH
def test_divergence_in_partial_fit_leaves_the_training_state_unchanged(data, cls):
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    net = _net(cls, batch_size=20).partial_fit(*data, **classes)
    twin = copy.deepcopy(net)
    net.set_params(learning_rate_init=1e300)
    assert_refused(net, data, NON_FINITE.format(1, r"1e\+300"), call=lambda: net.partial_fit(*data))
    net.set_params(learning_rate_init=twin.learning_rate_init)
    for _ in range(2):
        net.partial_fit(*data)
        twin.partial_fit(*data)
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)


@BOTH
@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_divergence_with_early_stopping_restores_the_best_epoch(data, cls, solver):
    parameters = {"solver": _unbounded(solver), "batch_size": 20, "early_stopping": True, "random_state": 1}
    net = _net(cls, max_iter=8, learning_rate=_explodes, **parameters)
    with pytest.warns(ConvergenceWarning, match=r"epoch 5 with a learning rate of 1e\+197"):
        net.fit(*data)
    assert len(net.validation_scores_) == net.n_iter_ == 5
    assert np.isfinite(net.validation_scores_[:4]).all()
    assert np.isnan(net.validation_scores_[4])
    assert net.best_validation_score_ == max(net.validation_scores_[:4])
    stopped_before = _net(cls, max_iter=4, **parameters).fit(*data)
    np.testing.assert_array_equal(net.parameters_, stopped_before.parameters_)
    assert np.isfinite(net.predict(data[0])).all()


@BOTH
def test_divergence_in_the_first_epoch_raises_even_with_early_stopping(data, cls):
    net = _net(cls, solver="sgd", batch_size=20, learning_rate_init=1e300, early_stopping=True)
    assert_refused(net, data, NON_FINITE.format(1, r"1e\+300"))


@pytest.mark.parametrize("scale", ["X", "y"])
def test_divergence_of_lbfgs_raises(data, scale):
    X, y = data
    bad = (1e200 * X, y) if scale == "X" else (X, 1e200 * (y + 1))
    net = _net(MLPRegressor, solver="lbfgs").fit(*data)
    weights = net.parameters_.copy()
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        net.fit(*bad)
    np.testing.assert_array_equal(net.parameters_, weights)


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": 200},
        {"batch_size": 1, "hidden_layer_sizes": (300, 300)},  # an epoch takes seconds
        {"batch_size": "full"},
        {"early_stopping": True},
        {"solver": "lbfgs"},
    ],
    ids=str,
)
def test_ctrl_c_stops_within_a_second_and_keeps_the_weights(cls, parameters):
    X = np.random.RandomState(0).normal(size=(15_000, 30))
    y = (X[:, 0] > 0).astype(int)
    forever = {"max_iter": 10**8, "max_fun": 10**8, "n_iter_no_change": np.inf, "tol": 0}
    net = cls(**{"hidden_layer_sizes": (100, 100), "warm_start": True, "random_state": 0, **forever, **parameters})
    net.set_params(max_iter=1).fit(X[:500], y[:500])  # compiles everything
    net.set_params(max_iter=10**8)
    weights, start = net.parameters_, net.parameters_.copy()
    pressed = []

    def press():
        # processor time, because other processes compete for the cores
        while np.array_equal(weights, start):
            time.sleep(0.01)
        begin = time.process_time()
        while time.process_time() < begin + 0.3:
            time.sleep(0.01)
        pressed.append(time.process_time())
        _thread.interrupt_main()

    threading.Thread(target=press, daemon=True).start()
    with pytest.warns(UserWarning, match="interrupted by user"):
        net.fit(X, y)
    assert time.process_time() - pressed[0] < 1
    assert np.isfinite(net.parameters_).all()
    assert not np.array_equal(net.parameters_, start)
    assert np.isfinite(net.score(X, y))
    if "batch_size" in parameters:
        assert (net.n_iter_ == 0) == (parameters["batch_size"] == 1)
    if "early_stopping" in parameters:
        assert net.best_validation_score_ == max(net.validation_scores_)


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_ctrl_c_interrupts_a_single_long_step(solver, batch_norm, n_threads):
    """A full-batch step that takes a dozen seconds."""
    X = np.random.RandomState(0).normal(size=(300_000, 300)).astype("float32")
    y = X[:, 0].copy()
    net = MLPRegressor(hidden_layer_sizes=(800, 800), solver=solver, batch_size="full", warm_start=True, max_iter=1)
    net.set_params(batch_norm=batch_norm, n_threads=n_threads).fit(X[:100], y[:100])
    start = net.parameters_.copy()
    pressed = []

    def press():
        time.sleep(4)
        pressed.append(time.perf_counter())
        _thread.interrupt_main()

    threading.Thread(target=press, daemon=True).start()
    begin = time.perf_counter()
    with pytest.warns(UserWarning, match="interrupted by user"):
        net.fit(X, y)
    assert time.perf_counter() - pressed[0] < 1
    assert pressed[0] - begin > 3.9
    np.testing.assert_array_equal(net.parameters_, start)
    net.fit(X[:100], y[:100])  # nothing lingers
    assert not np.array_equal(net.parameters_, start)


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_step_in_a_separate_thread_gives_the_same_weights(monkeypatch, data, cls, solver):
    net = _net(cls, solver=solver)
    weights = net.fit(*data).parameters_
    monkeypatch.setattr(objective, "_WORK_TO_STOP", 0)
    np.testing.assert_array_equal(net.fit(*data).parameters_, weights)


@pytest.mark.slow
def test_ctrl_c_interrupts_a_long_validation():
    X = np.random.RandomState(0).normal(size=(300_000, 100)).astype("float32")
    y = X[:, 0].copy()
    net = MLPRegressor(hidden_layer_sizes=(512, 512), max_iter=10**6, n_iter_no_change=10**6, tol=0, warm_start=True)
    net.set_params(max_iter=1).fit(X[:50], y[:50], X_val=X[:50], y_val=y[:50])
    net.set_params(max_iter=10**6)
    pressed = []

    def press():
        time.sleep(3)
        pressed.append(time.perf_counter())
        _thread.interrupt_main()

    threading.Thread(target=press, daemon=True).start()
    with pytest.warns(UserWarning, match="interrupted by user"):
        net.fit(X[:50], y[:50], X_val=X, y_val=y)
    assert time.perf_counter() - pressed[0] < 1


# --- exploding losses ---------------------------------------------------------------------------------------------


@pytest.fixture
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("learning_rate", [3, 10, 100])
def test_exploding_finite_loss_counts_as_divergence(wine, learning_rate):
    net = MLPClassifier(solver="sgd", learning_rate_init=learning_rate, random_state=0)
    with pytest.raises(
        ValueError, match=r"The loss has risen from 1\.\d+ to \d.*diverged.*rate of \d+; try a smaller one"
    ):
        net.fit(*wine)
    assert not hasattr(net, "coefs_")


def test_exploding_loss_with_early_stopping_restores_the_best_epoch(wine):
    net = MLPClassifier(solver="sgd", learning_rate_init=3, early_stopping=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged.*best epoch's weights are kept"):
        net.fit(*wine)
    assert net.score(*wine) > 0.9


@pytest.mark.parametrize("learning_rate", [3, 10, 100])
def test_stalling_far_above_the_first_loss_warns(wine, learning_rate):
    net = MLPClassifier(learning_rate_init=learning_rate, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=r"stalled after .* with a loss of .*, far above .*smaller learning rate"
    ):
        net.fit(*wine)
    assert net.loss_ > 10 * net.loss_curve_[0]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_ending_far_above_the_first_loss_warns_once(wine, schedule):
    net = MLPClassifier(learning_rate_init=1000, learning_rate=schedule, max_iter=8, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        net.fit(*wine)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert re.search(r"ended after 8 epochs with a loss of .*, far above .*smaller learning rate", message)
    assert net.loss_ > 10 * net.loss_curve_[0]


# --- NaN validation scores -----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("max_iter", [3, 40])
def test_scorer_that_returns_only_nan_raises(data, cls, early_stopping, max_iter):
    calls = []

    def useless(estimator, X, y):
        calls.append(1)
        return np.nan

    net = _net(cls, scoring=useless, early_stopping=early_stopping, max_iter=max_iter)
    with pytest.raises(ValueError, match=r"scoring=<function .*useless.* returned NaN each time"):
        net.fit(*data, X_val=data[0], y_val=data[1])
    assert len(calls) <= 10
    assert not hasattr(net, "coefs_")


@BOTH
def test_scorer_that_returns_nan_at_first_is_accepted(data, cls):
    calls = []

    def late(estimator, X, y):
        calls.append(1)
        return np.nan if len(calls) < 8 else float(len(calls))

    net = _net(cls, scoring=late, early_stopping=True, max_iter=9).fit(*data)
    assert net.best_validation_score_ == 10


# --- what cannot change after fit -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_cannot_continue_in_another_dtype(data, cls, method):
    net = _net(cls, dtype="float64", warm_start=True).fit(*data)
    net.set_params(dtype="float64")
    getattr(net, method)(*data)
    net.set_params(dtype="float32")
    before = net.parameters_.copy()
    with pytest.raises(ValueError, match=r"dtype='float32' cannot be set on a network .* in float64"):
        getattr(net, method)(*data)
    np.testing.assert_array_equal(net.parameters_, before)
    assert net.set_params(warm_start=False).fit(*data).parameters_.dtype == "float32"


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor])
def test_validation_data_are_keyword_only(cls):
    for method in (cls.fit, getattr(cls, "partial_fit", cls.fit)):
        parameters = inspect.signature(method).parameters
        for name in ("X_val", "y_val", "sample_weight_val", "groups"):
            if name in parameters:
                assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


# --- huge parameters -------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 1e300},
        {"learning_rate": InvScaling(power_t=1e300)},
        {"max_iter": 10**400},
        {"max_iter": 10**400, "learning_rate": "cosine"},
        {"n_iter_no_change": 10**400, "max_iter": 3},
        {"batch_size": 10**400, "max_iter": 3},
    ],
    ids=str,
)
def test_parameters_beyond_the_float_range_are_accepted(data, cls, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = _net(cls, **{"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, **parameters}).fit(*data)
    assert np.isfinite(net.loss_)


def generates(z):
    yield z, 1.0


async def awaits(z):
    return z, 1.0


@BOTH
@pytest.mark.parametrize("function", [generates, awaits])
def test_generator_or_coroutine_as_activation_raises(data, cls, function):
    with pytest.raises(ValueError, match=r"activation=<function .*plain Python function g\(z\)"):
        _net(cls, activation=function).fit(*data)


def test_exploding_loss_in_partial_fit_counts_as_divergence(wine):
    net = MLPClassifier(solver="sgd", learning_rate_init=10, random_state=0)

    def epochs():
        for _ in range(20):
            net.partial_fit(*wine, classes=[0, 1, 2])

    with pytest.raises(ValueError, match=r"The loss has risen from 1\.\d+ to"):
        epochs()


@BOTH
def test_scorer_that_returns_only_nan_raises_in_partial_fit(data, cls):
    X, y = data
    net = _net(cls, scoring=lambda estimator, X, y: np.nan, early_stopping=True)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}

    def epochs():
        for _ in range(20):
            net.partial_fit(X, y, X_val=X, y_val=y, **classes)

    with pytest.raises(ValueError, match="returned NaN each time"):
        epochs()
