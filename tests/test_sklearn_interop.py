"""Conversion to and from scikit-learn: predictions, further training and attributes stay the same."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.fixes import parse_version

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._registry import parameter_defaults
from sknn_iitb.activations import ReLU
from sknn_iitb.initializers import Orthogonal
from sknn_iitb.losses import Huber, Quantile, SquaredError
from sknn_iitb.mlp._sklearn import translated
from sknn_iitb.optimizers import LBFGS, SGD, Adam, AMSGrad, RMSprop
from sknn_iitb.schedules import InvScaling, WarmUp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SAME_MODEL = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="earlier releases have a different model"
)

# each: the fixture that has the data, the estimators, parameters
TASKS = {
    "binary": ("cancer", MLPClassifier, {}),
    "four classes": ("digits", MLPClassifier, {}),
    "multilabel": ("bits", MLPClassifier, {}),
    "one output": ("diabetes", MLPRegressor, {}),
    "three outputs": ("wine", MLPRegressor, {}),
    "poisson": ("counts", MLPRegressor, {"loss": "poisson"}),
}

SOLVERS = {
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    # no epoch improves, so the learning rate falls before and after the conversion
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    "adam": {"solver": "adam", "beta_1": 0.8},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.fixture
def data(request):
    def select(task):
        X, y = request.getfixturevalue(TASKS[task][0])
        if task == "four classes":
            X, y = X[y < 4], y[y < 4]
        return X[:70, :10], y[:70]

    return select


def _net(task, **parameters):
    _, cls, own = TASKS[task]
    defaults = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "batch_size": 20, "random_state": 3}
    return cls(**{**defaults, **own, **parameters})


def _theirs(net):
    """scikit-learn's estimator with the same parameters."""
    cls = getattr(neural_network, type(net).__name__)
    return cls(**{name: value for name, value in net.get_params().items() if name in parameter_defaults(cls)})


def _outputs(net, X):
    return net.predict_proba(X) if is_classifier(net) else net.predict(X)


def _numbers(value):
    """All numbers in an attribute; NaN for None."""
    if isinstance(value, (list, tuple)):
        return np.concatenate([_numbers(item) for item in value]) if value else np.array([])
    return np.array(value, dtype=float).ravel()


def _assert_same_attributes(one, other):
    names = {name for name in vars(other) if name.endswith("_") and not name.startswith("_")}
    assert names <= set(dir(one))
    for name in names - {"out_activation_"}:
        np.testing.assert_allclose(_numbers(getattr(one, name)), _numbers(getattr(other, name)), rtol=1e-7, atol=1e-9)
    assert one.out_activation_ == other.out_activation_


# --- to scikit-learn ------------------------------------------------------------------------------------------------


@SAME_MODEL
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", [task for task in TASKS if task != "three outputs"])
def test_converted_network_matches_one_fitted_by_scikit_learn(data, task, solver, early_stopping):
    X, y = data(task)
    net = _net(task, early_stopping=early_stopping, warm_start=True, **SOLVERS[solver]).fit(X, y)
    converted, fitted = net.to_sklearn(), _theirs(net).fit(X, y)
    assert type(converted) is type(fitted)
    assert repr(converted) == repr(fitted)
    _assert_same_attributes(converted, fitted)
    assert converted.score(X, y) == pytest.approx(fitted.score(X, y))
    if not early_stopping:  # with early stopping, scikit-learn loses the best weights
        _assert_same_attributes(converted.fit(X, y), fitted.fit(X, y))


@SAME_MODEL
@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "lbfgs"])
@pytest.mark.parametrize("task", TASKS)
def test_partial_fit_of_a_converted_network_continues_like_scikit_learn(data, task, solver):
    X, y = data(task)
    net = _net(task, **SOLVERS[solver]).fit(X, y)
    converted, fitted = net.to_sklearn(), _theirs(net).fit(X, y)
    for _ in range(4):
        converted.partial_fit(X, y)
        fitted.partial_fit(X, y)
    _assert_same_attributes(converted, fitted)
    assert converted._optimizer.learning_rate == pytest.approx(fitted._optimizer.learning_rate)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu", "linear", "sigmoid", ReLU()])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("task", TASKS)
def test_conversion_keeps_predictions(data, task, dtype, activation):
    X, y = data(task)
    net = _net(task, activation=activation, dtype=dtype).fit(X, y)
    theirs = net.to_sklearn()
    tolerances = {"float64": {"rtol": 1e-10}, "float32": {"rtol": 1e-4, "atol": 1e-6}}
    np.testing.assert_allclose(_outputs(theirs, X.astype(dtype)), _outputs(net, X), **tolerances[dtype])
    assert {array.dtype for array in [*theirs.coefs_, *theirs.intercepts_]} == {np.dtype(dtype)}


def test_conversion_keeps_labels_and_feature_names(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    X, y = pandas.DataFrame(X, columns=list("abcd")), np.array(["x", "yy", "z"])[y]
    theirs = MLPClassifier(max_iter=5, random_state=0).fit(X, y).to_sklearn()
    back = MLPClassifier.from_sklearn(theirs)
    for net in (theirs, back):
        assert list(net.feature_names_in_) == list("abcd")
        assert list(net.classes_) == ["x", "yy", "z"]
        assert set(net.predict(X)) <= set(y)
        with pytest.raises(ValueError, match="feature names"):
            net.predict(X[list("bacd")])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"solver": SGD(momentum=0.3, nesterovs_momentum=False)}, {"momentum": 0.3, "nesterovs_momentum": False}),
        ({"solver": Adam(beta_1=0.3, epsilon=1e-5)}, {"solver": "adam", "beta_1": 0.3, "epsilon": 1e-5}),
        ({"solver": LBFGS()}, {"solver": "lbfgs"}),
        ({"solver": "sgd", "learning_rate": InvScaling(0.2)}, {"learning_rate": "invscaling", "power_t": 0.2}),
        ({"activation": "linear", "loss": SquaredError()}, {"activation": "identity", "loss": "squared_error"}),
    ],
    ids=str,
)
def test_components_become_names_and_flat_parameters(diabetes, ours, theirs):
    net = MLPRegressor(max_iter=2, hidden_layer_sizes=3, **ours).fit(*diabetes)
    assert translated(net)[1] == {}
    assert net.to_sklearn().get_params().items() >= theirs.items()


@pytest.mark.parametrize(
    "ours",
    [
        {"solver": RMSprop(epsilon=1e-3)},
        {"solver": "lion"},
        {"solver": AMSGrad()},
        {"solver": LBFGS(memory=3)},
        {"learning_rate": "cosine"},
        {"learning_rate": WarmUp()},
        {"init": "he_normal"},
        {"init": Orthogonal()},
        {"batch_size": "full"},
        {"dtype": "float32"},
        {"loss": Huber(0.5)},
        {"loss": Quantile(0.9)},
        {"loss": lambda value, target: (abs(value - target), 1.0 if value > target else -1.0)},
        {"dropout": 0.2},
        {"l1": 0.1},
        {"max_norm": 1.0},
        {"scoring": "r2"},
    ],
    ids=lambda ours: next(iter(ours)),
)
def test_training_options_missing_in_scikit_learn_become_its_defaults(diabetes, ours):
    X, y = diabetes
    net = MLPRegressor(max_iter=2, hidden_layer_sizes=3, random_state=0, **ours).fit(X, y)
    assert len(translated(net)[1]) == 1
    theirs = net.to_sklearn()
    np.testing.assert_allclose(theirs.predict(X.astype(net.coefs_[0].dtype)), net.predict(X), rtol=1e-3)
    assert (
        theirs.get_params()
        == neural_network.MLPRegressor(
            max_iter=2, hidden_layer_sizes=3, random_state=0, solver=theirs.solver
        ).get_params()
    )
    if theirs.solver != "lbfgs":
        n_before = len(theirs.loss_curve_)
        assert len(theirs.partial_fit(X, y).loss_curve_) == n_before + 1


def test_network_without_hidden_layers_converts_with_any_activation(diabetes):
    X, y = diabetes
    net = MLPRegressor(hidden_layer_sizes=(), activation="gelu", max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(net.to_sklearn().predict(X), net.predict(X), rtol=1e-12)


def test_losses_with_an_output_of_scikit_learn_are_replaced(counts):
    X, y = counts
    for loss, output, theirs in [
        ("absolute_error", "auto", "squared_error"),
        ("gamma", "auto", "poisson"),
        ("squared_error", "exponential", "poisson"),
    ]:
        net = MLPRegressor(loss=loss, output_activation=output, max_iter=3, random_state=0).fit(X, y + 1)
        converted = net.to_sklearn()
        assert converted.loss == theirs
        np.testing.assert_allclose(converted.predict(X), net.predict(X), rtol=1e-10)


UNSUPPORTED = [
    ("iris", {"activation": "gelu"}, "'activation'.*'tanh'.*Got 'gelu'"),
    ("iris", {"output_activation": "logistic"}, "output_activation='logistic'.*for such targets.*'softmax'"),
    ("cancer", {"output_activation": "softmax"}, "output_activation='softmax'.*for such targets.*'logistic'"),
    ("cancer", {"output_activation": "tanh"}, "output_activation='tanh'.*for such targets.*'logistic'"),
    ("cancer", {"loss": "hinge"}, "'identity'.*loss='hinge'.*for such targets.*'logistic'"),
    ("diabetes", {"output_activation": "tanh"}, "output_activation='tanh'.*for such targets.*'identity' or 'exp'"),
    (
        "counts",
        {"loss": "poisson", "output_activation": "softplus"},
        "'softplus'.*for such targets.*'identity' or 'exp'",
    ),
    ("diabetes", {"loss": "gaussian"}, "loss='gaussian'.*for such targets scikit-learn has none"),
    ("diabetes", {"loss": Quantile([0.1, 0.9])}, "loss=Quantile.*for such targets scikit-learn has none"),
    ("iris", {"activation": ["relu", "tanh"], "hidden_layer_sizes": (3, 2)}, "'activation'.*ReLU.*Tanh"),
    ("diabetes", {"layer_norm": True}, "layer_norm=True"),
]


@pytest.mark.parametrize(("dataset", "parameters", "message"), UNSUPPORTED)
def test_network_without_equivalent_in_scikit_learn_raises(request, dataset, parameters, message):
    X, y = request.getfixturevalue(dataset)
    cls = MLPClassifier if dataset in ("iris", "cancer") else MLPRegressor
    net = cls(max_iter=2, **parameters).fit(X, y)
    with pytest.raises(ValueError, match=f"scikit-learn has no network that predicts like this one.*{message}"):
        net.to_sklearn()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_batch_norm_is_folded_into_the_weights(cls, dtype, wine):
    X, y = wine[0], wine[1][:, 0] if cls is MLPRegressor else wine[1][:, 0] > 0
    sizes = {"hidden_layer_sizes": (6, 5), "max_iter": 20, "random_state": 0}
    net = cls(batch_norm=True, dtype=dtype, **sizes).fit(X, y)
    converted = net.to_sklearn()
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(_outputs(converted, X.astype(dtype)), _outputs(net, X), atol=tolerance)
    with pytest.warns(ConvergenceWarning):
        converted.set_params(warm_start=True, max_iter=2).fit(X, y)


def test_single_class_has_the_probability_columns_of_scikit_learn(iris):
    X, _ = iris
    y = np.full(len(X), "only")
    net, sklearns = (cls(max_iter=2).fit(X, y) for cls in (MLPClassifier, neural_network.MLPClassifier))
    theirs = net.to_sklearn()
    assert theirs.predict_proba(X).shape == sklearns.predict_proba(X).shape == (len(X), 2)
    np.testing.assert_array_equal(theirs.predict(X), net.predict(X))
    assert MLPClassifier.from_sklearn(theirs).predict_proba(X).shape == net.predict_proba(X).shape == (len(X), 1)


def test_label_columns_with_several_classes_raise(iris):
    X, y = iris
    net = MLPClassifier(max_iter=2).fit(X, np.column_stack([y, 2 - y]))
    with pytest.raises(ValueError, match="for such targets scikit-learn has none"):
        net.to_sklearn()


def test_conversion_uses_the_fitted_components_and_not_later_parameters(diabetes):
    net = MLPRegressor(activation="gelu", max_iter=2).fit(*diabetes).set_params(activation="relu")
    with pytest.raises(ValueError, match="Got 'gelu'"):
        net.to_sklearn()


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_every_parameter_unknown_to_scikit_learn_is_reported_unless_default(cls):
    known = parameter_defaults(getattr(neural_network, cls.__name__))
    assert translated(cls())[1] == {}
    assert translated(cls(n_threads=2))[1] == {}  # which changes only the speed
    for name in parameter_defaults(cls).keys() - known.keys() - {"n_threads"}:
        net = cls()
        setattr(net, name, 0.123)
        _, refused = translated(net)
        assert list(refused) == [name]
        assert f"'{name}'" in refused[name]
        assert "0.123" in refused[name]


def test_list_of_equal_activations_becomes_one():
    net = MLPClassifier()
    net.activation = ["tanh", "tanh"]
    assert translated(net)[0]["activation"] == "tanh"
    net.activation = ["tanh", "relu"]
    assert list(translated(net)[1]) == ["activation"]


# --- from scikit-learn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", TASKS)
def test_network_of_scikit_learn_becomes_ours(data, task, solver, early_stopping):
    X, y = data(task)
    theirs = _theirs(_net(task, early_stopping=early_stopping, **SOLVERS[solver])).fit(X, y)
    ours = TASKS[task][1].from_sklearn(theirs)
    assert type(ours) is TASKS[task][1]
    assert ours.get_params().items() >= theirs.get_params().items()
    _assert_same_attributes(ours, theirs)
    np.testing.assert_allclose(_outputs(ours, X), _outputs(theirs, X), rtol=1e-10, atol=1e-14)


@SAME_MODEL
@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "lbfgs"])
@pytest.mark.parametrize("task", TASKS)
def test_training_continues_as_if_the_network_had_been_ours(data, task, solver):
    X, y = data(task)
    net = _net(task, **SOLVERS[solver])
    converted, fitted = type(net).from_sklearn(_theirs(net).fit(X, y)), net.fit(X, y)
    for _ in range(3):
        converted.partial_fit(X, y)
        fitted.partial_fit(X, y)
    _assert_same_attributes(fitted, converted.to_sklearn())
    np.testing.assert_allclose(converted.learning_rate_curve_[-3:], fitted.learning_rate_curve_[-3:])
    for each in (converted, fitted):
        each.set_params(warm_start=True).fit(X, y)
    _assert_same_attributes(fitted, converted.to_sklearn())


@SAME_MODEL
@pytest.mark.parametrize("task", TASKS)
def test_warm_start_with_early_stopping_continues_with_the_best_score(data, task):
    X, y = data(task)
    net = _net(task, early_stopping=True, warm_start=True)
    converted, fitted = type(net).from_sklearn(_theirs(net).fit(X, y)), net.fit(X, y)
    np.testing.assert_allclose(converted.fit(X, y).parameters_, fitted.fit(X, y).parameters_, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("batch_size", ["auto", 20])
@pytest.mark.parametrize("solver", ["momentum", "adam", "lbfgs"])
@pytest.mark.parametrize("task", TASKS)
def test_round_trip_is_exact(data, task, solver, batch_size):
    X, y = data(task)
    net = _net(task, batch_size=batch_size, **SOLVERS[solver]).fit(X, y)
    back = type(net).from_sklearn(pickle.loads(pickle.dumps(net.to_sklearn())))
    np.testing.assert_array_equal(back.parameters_, net.parameters_)
    assert back.get_params() == net.get_params()
    if solver == "lbfgs":
        assert not hasattr(back, "loss_curve_")
        return
    assert back._optimizer.step == net._optimizer.step
    for name in ("n_steps", "steps_per_epoch"):
        assert getattr(back._optimizer, name) == getattr(net._optimizer, name)
    assert np.isnan(back.learning_rate_curve_).all()
    for _ in range(2):
        np.testing.assert_array_equal(back.partial_fit(X, y).parameters_, net.partial_fit(X, y).parameters_)
    assert back.loss_curve_ == net.loss_curve_


def test_float32_stays_float32(diabetes):
    X, y = diabetes
    theirs = neural_network.MLPRegressor(max_iter=2).fit(X.astype(np.float32), y)
    ours = MLPRegressor.from_sklearn(theirs)
    assert ours.parameters_.dtype == np.float32
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X.astype(np.float32)), rtol=1e-3, atol=1e-5)
    assert ours.partial_fit(X, y).parameters_.dtype == np.float32


def test_conversion_shares_no_state(iris):
    X, y = iris
    net = MLPClassifier(max_iter=3, random_state=np.random.RandomState(0)).fit(X, y)
    theirs = net.to_sklearn()
    back = MLPClassifier.from_sklearn(theirs)
    before = [_outputs(each, X) for each in (net, theirs, back)]
    curves = [list(each.loss_curve_) for each in (net, theirs, back)]
    for trained in range(3):
        (net, theirs, back)[trained].partial_fit(X, y)
        for other in range(trained + 1, 3):
            each = (net, theirs, back)[other]
            np.testing.assert_array_equal(_outputs(each, X), before[other])
            assert each.loss_curve_ == curves[other]
    assert net.random_state is not theirs.random_state is not back.random_state


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_converting_unfitted_or_wrong_estimators_raises(cls):
    with pytest.raises(NotFittedError):
        cls().to_sklearn()
    with pytest.raises(NotFittedError):
        cls.from_sklearn(getattr(neural_network, cls.__name__)())
    other = MLPRegressor if cls is MLPClassifier else MLPClassifier
    for wrong in (cls(), getattr(neural_network, other.__name__)(), None):
        with pytest.raises(TypeError, match=rf"a fitted sklearn\.neural_network\.{cls.__name__}, .*{type(wrong)}"):
            cls.from_sklearn(wrong)
