"""With scikit-learn's own options, the estimators match scikit-learn's epoch by epoch."""

import inspect

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.utils.fixes import parse_version

from sknn_iitb import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.skipif(
        parse_version(sklearn.__version__) < parse_version("1.9"), reason="earlier releases have a different model"
    ),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]

# each: how it differs from the defaults
SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    # no epoch improves, so the learning rate falls four times within 20 epochs
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 3},
    "adam": {"solver": "adam"},
}

# each: the fixture that has the data, the estimators, parameters
TASKS = {
    "binary": ("cancer", "MLPClassifier", {}),
    "four classes": ("digits", "MLPClassifier", {}),
    "multilabel": ("bits", "MLPClassifier", {}),
    "one output": ("diabetes", "MLPRegressor", {}),
    "three outputs": ("wine", "MLPRegressor", {}),
    "poisson": ("counts", "MLPRegressor", {"loss": "poisson"}),
}

OURS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}


@pytest.fixture(scope="module")
def data(request):
    def select(task):
        X, y = request.getfixturevalue(TASKS[task][0])
        if task == "four classes":
            X, y = X[y < 4], y[y < 4]
        return X[:70, :10], y[:70]

    return select


def _pair(task, **parameters):
    _, name, own = TASKS[task]
    return [cls(random_state=3, **own, **parameters) for cls in (OURS[name], getattr(neural_network, name))]


def _outputs(net, X):
    return net.predict_proba(X) if is_classifier(net) else net.predict(X)


def _floats(values):
    return np.array(values, dtype=float)  # None becomes NaN, which is equal to NaN below


def _assert_same_run(ours, theirs, X):
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(_outputs(ours, X), _outputs(theirs, X), rtol=1e-7, atol=1e-9)
    for name in ("loss_", "best_loss_", "validation_scores_", "best_validation_score_"):
        np.testing.assert_allclose(_floats(getattr(ours, name)), _floats(getattr(theirs, name)), rtol=1e-7, atol=1e-9)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name)
    if is_classifier(ours):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("shuffle", [False, True], ids=["fixed order", "shuffled"])
@pytest.mark.parametrize("early_stopping", [False, True], ids=["all rows", "early stopping"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", TASKS)
def test_20_epochs_match_scikit_learn(data, task, solver, activation, early_stopping, shuffle):
    X, y = data(task)
    parameters = {"learning_rate_init": 0.01, "n_iter_no_change": 20, **SOLVERS[solver]}
    ours, theirs = _pair(
        task,
        hidden_layer_sizes=(6, 5),
        activation=activation,
        early_stopping=early_stopping,
        shuffle=shuffle,
        batch_size=20,  # the last batch of an epoch is short
        max_iter=20,
        **parameters,
    )
    ours.fit(X, y)
    theirs.fit(X, y)
    assert len(theirs.loss_curve_) == 20
    _assert_same_run(ours, theirs, X)


@pytest.mark.parametrize("ignored", [{}, {"early_stopping": True, "shuffle": False}], ids=["defaults", "ignored"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
# the gradient of several outputs is too large in scikit-learn (issue 8349)
@pytest.mark.parametrize("task", [task for task in TASKS if task != "three outputs"])
def test_lbfgs_finds_the_same_minimum_as_scikit_learn(data, task, activation, ignored):
    X, y = data(task)
    parameters = {"hidden_layer_sizes": (6, 5), "activation": activation, "solver": "lbfgs", **ignored}
    ours, theirs = _pair(task, max_iter=20, **parameters)
    ours.fit(X, y)
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
    np.testing.assert_allclose(_outputs(ours, X), _outputs(theirs, X), rtol=1e-5, atol=1e-7)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_training_stops_where_scikit_learn_stops(data, task, early_stopping):
    X, y = data(task)
    parameters = {"hidden_layer_sizes": 8, "tol": 1e-3, "n_iter_no_change": 2, "learning_rate_init": 0.03}
    ours, theirs = _pair(task, early_stopping=early_stopping, batch_size=20, max_iter=1000, **parameters)
    ours.fit(X, y)
    theirs.fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ < 1000
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(_floats(ours.best_validation_score_), _floats(theirs.best_validation_score_), rtol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_warm_start_continues_like_scikit_learn(data, task):
    X, y = data(task)
    ours, theirs = _pair(task, hidden_layer_sizes=8, max_iter=5, batch_size=20, warm_start=True)
    for _ in range(2):
        ours.fit(X, y)
        theirs.fit(X, y)
    _assert_same_run(ours, theirs, X)


@pytest.mark.parametrize("task", TASKS)
def test_partial_fit_matches_scikit_learn(data, task):
    X, y = data(task)
    # without shuffling: scikit-learn repeats the same shuffle in each call
    ours, theirs = _pair(task, hidden_layer_sizes=8, batch_size=20, shuffle=False)
    classes = {}
    if is_classifier(ours):
        classes = {"classes": np.arange(4) if task == "multilabel" else np.unique(y)}
    for _ in range(5):
        ours.partial_fit(X, y, **classes)
        theirs.partial_fit(X, y, **classes)
    _assert_same_run(ours, theirs, X)


@pytest.mark.parametrize("task", TASKS)
def test_equal_sample_weights_match_scikit_learn(data, task):
    X, y = data(task)
    ours, theirs = _pair(task, hidden_layer_sizes=8, max_iter=5, batch_size=20, early_stopping=True)
    ours.fit(X, y, sample_weight=np.full(len(X), 2.5))
    theirs.fit(X, y, sample_weight=np.full(len(X), 2.5))
    _assert_same_run(ours, theirs, X)


@pytest.mark.parametrize("task", TASKS)
def test_float32_is_preserved_and_close_to_scikit_learn(data, task):
    X, y = data(task)
    ours, theirs = _pair(task, hidden_layer_sizes=8, max_iter=20, batch_size=20)
    ours.fit(X.astype(np.float32), y)
    theirs.fit(X.astype(np.float32), y)
    assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("name", OURS)
def test_parameters_start_with_those_of_scikit_learn_in_order_and_with_their_defaults(name):
    classes = OURS[name], getattr(neural_network, name)
    # scikit-learn's signatures have no annotations
    ours, theirs = (
        [parameter.replace(annotation=parameter.empty) for parameter in inspect.signature(cls).parameters.values()]
        for cls in classes
    )
    assert ours[: len(theirs)] == theirs
    assert {parameter.kind for parameter in ours[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_fitted_attributes_include_those_of_scikit_learn(data, task, parameters):
    X, y = data(task)
    ours, theirs = _pair(task, max_iter=2, **parameters)
    public = [name for name in vars(theirs.fit(X, y)) if name.endswith("_") and not name.startswith("_")]
    assert "coefs_" in public
    ours.fit(X, y)
    assert [name for name in public if not hasattr(ours, name)] == []
