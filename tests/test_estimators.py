"""The estimators on real data, alone and with scikit-learn's tools."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.activations import ACTIVATIONS, LeakyReLU
from sknn_iitb.losses import LOSSES, Huber
from sknn_iitb.optimizers import OPTIMIZERS, SGD, RMSprop
from sknn_iitb.schedules import SCHEDULES, Cosine, Plateau, StepDecay, WarmUp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FIRST_ORDER = [cls.names[0] for cls in OPTIMIZERS if cls.kernel is not None]
SOLVERS = OPTIMIZERS.names()
DTYPES = ["float32", "float64"]

# learning rates of the solvers for which 0.01 does not work
LEARNING_RATES = {"sgd": 0.1, "adadelta": 5.0, "adagrad": 0.1, "lion": 0.003}


def _classifier(**parameters):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0}
    return MLPClassifier(**{**defaults, **parameters})


def _regressor(**parameters):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0}
    return MLPRegressor(**{**defaults, **parameters})


def _legal(attribute):
    return [(loss.names[0], output) for loss in LOSSES for output in getattr(loss, attribute)]


# --- scikit-learn's tools -------------------------------------------------------------------------------------------


def test_grid_search_over_names_and_instances(cancer):
    X, y = cancer
    pipeline = Pipeline([("scale", StandardScaler()), ("net", _classifier(max_iter=10))])
    grid = {
        "net__activation": ["tanh", LeakyReLU(negative_slope=0.1)],
        "net__solver": ["adam", RMSprop(rho=0.8), SGD(momentum=0.5)],
        "net__learning_rate": ["cosine", StepDecay(factor=0.5)],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert len(search.cv_results_["params"]) == 12
    assert search.best_score_ > 0.95
    assert search.score(X, y) > 0.95


def test_grid_search_over_nested_parameters(cancer):
    X, y = cancer
    net = _classifier(max_iter=5, solver=RMSprop())
    search = GridSearchCV(net, {"solver__rho": [0.1, 0.99], "solver__epsilon": [1e-3]}, cv=3).fit(X, y)
    for rho, score in zip([0.1, 0.99], search.cv_results_["mean_test_score"], strict=True):
        direct = clone(net).set_params(solver=RMSprop(rho=rho, epsilon=1e-3))
        assert score == cross_val_score(direct, X, y, cv=3).mean()
    assert search.best_estimator_.solver.rho == search.best_params_["solver__rho"]
    assert (net.solver.rho, net.solver.epsilon) == (0.9, 1e-8)


def test_set_params_sets_components_and_their_parameters_together():
    net = MLPRegressor(solver="adam", learning_rate=WarmUp(Cosine()))
    net.set_params(solver=RMSprop(), solver__rho=0.5, learning_rate__schedule__end=0.1)
    assert (net.solver.rho, net.learning_rate.schedule.end) == (0.5, 0.1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_reaches_cross_validated_accuracy(cancer, solver, dtype):
    net = _classifier(solver=solver, learning_rate_init=LEARNING_RATES.get(solver, 0.01), batch_size=50, dtype=dtype)
    if solver == "rprop":  # the signs of small batches are noise
        net.set_params(batch_size="auto")
    assert cross_val_score(net, *cancer, cv=3).mean() > 0.93


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_reaches_cross_validated_r2(diabetes, solver, dtype):
    net = _regressor(solver=solver, learning_rate_init=LEARNING_RATES.get(solver, 0.01), batch_size=50, dtype=dtype)
    net.set_params(hidden_layer_sizes=())
    if solver == "rprop":
        net.set_params(batch_size="auto")
    assert cross_val_score(net, *diabetes, cv=3).mean() > 0.4


def test_regressor_with_transformed_targets(diabetes):
    X, y = diabetes
    net = make_pipeline(StandardScaler(), _regressor(loss=Huber(delta=0.5), early_stopping=True))
    model = TransformedTargetRegressor(net, transformer=StandardScaler())
    assert cross_val_score(model, X, 80 * y + 150, cv=3).mean() > 0.35


def test_fit_leaves_parameters_and_components_unchanged(cancer):
    components = {"solver": RMSprop(), "activation": LeakyReLU(), "learning_rate": Plateau(patience=2)}
    net = _classifier(max_iter=5, **components)
    before = {name: repr(value) for name, value in net.get_params().items()}
    net.fit(*cancer)
    assert {name: repr(value) for name, value in net.get_params().items()} == before
    for name, component in components.items():
        assert getattr(net, name) is component
        assert vars(component) == vars(type(component)(**component.get_params()))


def test_feature_names_are_kept_and_checked(cancer):
    pandas = pytest.importorskip("pandas")
    X, y = cancer
    frame = pandas.DataFrame(X[:, :3], columns=["a", "b", "c"])
    net = _classifier(max_iter=2).fit(frame, y)
    assert list(net.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[["b", "a", "c"]])


# --- targets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [["benign", "malignant"], [False, True], [-7, 3], [0.0, 1.0], ["setosa", "versicolor", "z"], [-7, 3, 10]]
)
def test_predict_returns_labels_of_any_type(cancer, iris, labels):
    X, y = cancer if len(labels) == 2 else iris
    labels = np.array(labels)
    net, twin = _classifier().fit(X, labels[y]), _classifier().fit(X, y)
    np.testing.assert_array_equal(net.classes_, labels)
    np.testing.assert_array_equal(net.predict(X), labels[twin.predict(X)])
    assert net.score(X, labels[y]) == twin.score(X, y) > 0.8


@pytest.mark.parametrize("output", ["logistic", "tanh", "identity"])
def test_multilabel_classification(bits, output):
    X, Y = bits
    net = _classifier(output_activation=output, hidden_layer_sizes=30, max_iter=60, batch_size=50).fit(X, Y)
    assert net.predict(X).shape == net.decision_function(X).shape == Y.shape
    assert (net.predict(X) == Y).mean() > 0.9
    np.testing.assert_array_equal(net.predict(X), net.decision_function(X) > 0)
    np.testing.assert_array_equal(net.classes_, range(4))
    if output != "identity":
        p = net.predict_proba(X)
        assert p.shape == Y.shape
        assert p.min() >= 0
        assert p.max() <= 1
        np.testing.assert_array_equal(net.predict(X), p > 0.5)


def test_sparse_labels_equal_dense_labels(bits):
    X, Y = bits
    dense, sparsely = _classifier(max_iter=3).fit(X, Y), _classifier(max_iter=3).fit(X, sparse.csr_matrix(Y))
    np.testing.assert_array_equal(dense.parameters_, sparsely.parameters_)


def test_multioutput_regression(wine):
    X, Y = wine
    net = _regressor(max_iter=300).fit(X, Y)
    assert net.predict(X).shape == Y.shape
    assert net.n_outputs_ == 3
    assert net.score(X, Y) > 0.4


def test_column_vector_y_is_raveled_with_a_warning(cancer, diabetes):
    for net, (X, y) in ((_classifier(max_iter=2), cancer), (_regressor(max_iter=2), diabetes)):
        with pytest.warns(match="column-vector"):
            other = clone(net).fit(X, y[:, None])
        np.testing.assert_array_equal(other.predict(X), net.fit(X, y).predict(X))


def test_single_class_is_predicted_with_certainty(cancer):
    X, _ = cancer
    net = _classifier(max_iter=2).fit(X, np.full(len(X), "only"))
    assert set(net.predict(X)) == {"only"}
    np.testing.assert_array_equal(net.predict_proba(X), np.ones((len(X), 1)))


# --- losses and outputs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)], ids=["no hidden layer", "hidden layer"])
@pytest.mark.parametrize(("loss", "output"), _legal("classifier_outputs"))
def test_every_legal_output_and_loss_trains_a_classifier(cancer, iris, bits, loss, output, hidden_layer_sizes, dtype):
    net = _classifier(loss=loss, output_activation=output, hidden_layer_sizes=hidden_layer_sizes, dtype=dtype)
    net.set_params(max_iter=60, batch_size=50)
    assert net.fit(*cancer).out_activation_ == output
    assert net.coefs_[0].dtype == dtype
    assert net.score(*cancer) > 0.94  # 0.63 by chance
    if output != "tanh":
        assert net.fit(*iris).score(*iris) > 0.75  # 0.33 by chance
    if output != "softmax":
        X, Y = bits
        assert (net.fit(X, Y).predict(X) == Y).mean() > 0.8  # 0.6 by chance


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), _legal("regressor_outputs"))
def test_every_legal_output_and_loss_trains_a_regressor(diabetes, wine, loss, output, dtype):
    net = _regressor(loss=loss, output_activation=output, dtype=dtype, max_iter=400, batch_size=50, tol=1e-6)
    for X, y in (diabetes, wine):
        low, high = y.min(axis=0), y.max(axis=0)
        y = 0.1 + 0.8 * (y - low) / (high - low)  # within the range of every output activation
        net.fit(X, y)
        assert net.out_activation_ == ("exp" if output == "exponential" else output)
        assert net.coefs_[0].dtype == dtype
        assert r2_score(y, net.predict(X)) > 0.45  # 0 by chance
        if output in ("logistic", "exponential", "softplus"):
            assert net.predict(X).min() >= 0


@pytest.mark.parametrize(
    ("loss", "output", "chosen"),
    [("auto", "tanh", "squared_error"), ("auto", "identity", "squared_error"), ("auto", "step", "perceptron")],
)
def test_automatic_loss_suits_the_output(cancer, loss, output, chosen):
    net = _classifier(loss=loss, output_activation=output, max_iter=3).fit(*cancer)
    twin = _classifier(loss=chosen, output_activation=output, max_iter=3).fit(*cancer)
    np.testing.assert_array_equal(net.parameters_, twin.parameters_)


def test_automatic_output_suits_loss_and_classes(cancer, iris, bits, counts):
    assert _classifier(max_iter=1).fit(*cancer).out_activation_ == "logistic"
    assert _classifier(max_iter=1).fit(*iris).out_activation_ == "softmax"
    assert _classifier(max_iter=1).fit(*bits).out_activation_ == "logistic"
    assert _classifier(max_iter=1, loss="hinge").fit(*cancer).out_activation_ == "identity"
    assert _regressor(max_iter=1).fit(*counts).out_activation_ == "identity"
    assert _regressor(max_iter=1, loss="poisson").fit(*counts).out_activation_ == "exp"


def _probable(dataset):
    outputs = ("softmax", "logistic", "tanh") if dataset == "cancer" else ("softmax", "logistic")
    return [(dataset, *pair) for pair in _legal("classifier_outputs") if pair[1] in outputs]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("dataset", "loss", "output"), _probable("cancer") + _probable("iris"))
def test_probabilities_are_valid(dataset, loss, output, dtype, request):
    X, y = request.getfixturevalue(dataset)
    net = _classifier(loss=loss, output_activation=output, dtype=dtype, max_iter=5).fit(X, y)
    for scale in (1, 1e4):  # the second scores are so large that probabilities round to 0 and 1
        net.coefs_[-1] *= scale
        p, log_p = net.predict_proba(X), net.predict_log_proba(X)
        assert p.shape == log_p.shape == (len(X), len(net.classes_))
        assert p.dtype == log_p.dtype == dtype
        assert p.min() >= 0
        assert p.max() <= 1
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        assert np.isfinite(log_p).all()
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(net.predict(X), net.classes_[p.argmax(axis=1)])


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    ("loss", "output"), [pair for pair in _legal("classifier_outputs") if pair[1] in ("identity", "step")]
)
def test_outputs_without_probabilities_have_no_predict_proba(iris, loss, output, fitted):
    X, y = iris
    net = _classifier(loss=loss, output_activation=output, max_iter=1)
    if fitted:
        net.fit(X, y)
        assert net.decision_function(X).shape == (len(X), 3)
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(net, name)
    assert hasattr(net, "decision_function")


@pytest.mark.parametrize(
    "parameters",
    [{"loss": name} for name in ("hinge", "perceptron")]
    + [{"loss": LOSSES["hinge"]()}, {"output_activation": ACTIVATIONS["step"]()}]
    + [{"output_activation": name} for cls in ("identity", "step") for name in ACTIVATIONS[cls].names],
    ids=str,
)
def test_unfitted_classifier_without_probabilities_has_no_predict_proba(parameters):
    assert not hasattr(MLPClassifier(**parameters), "predict_proba")


@pytest.mark.parametrize(("loss", "output"), _legal("classifier_outputs"))
def test_decision_function_has_one_column_for_two_classes(cancer, iris, loss, output):
    net = _classifier(loss=loss, output_activation=output, max_iter=2).fit(*cancer)
    score = net.decision_function(cancer[0])
    assert score.shape == (len(cancer[0]),)
    np.testing.assert_array_equal(net.predict(cancer[0]), net.classes_[(score > 0).astype(int)])
    if output != "tanh":
        net.fit(*iris)
        score = net.decision_function(iris[0])
        assert score.shape == (len(iris[0]), 3)
        np.testing.assert_array_equal(net.predict(iris[0]), score.argmax(axis=1))


@pytest.mark.parametrize(("loss", "output"), _legal("classifier_outputs"))
def test_tie_goes_to_the_first_class(cancer, iris, bits, loss, output):
    for X, y in (cancer, iris) if output != "tanh" else (cancer,):
        labels = np.array(["c", "b", "a"])[y]
        net = _classifier(loss=loss, output_activation=output, max_iter=1).fit(X, labels)
        net.parameters_[:] = 0
        assert set(net.predict(X)) == {net.classes_[0]}
    if output != "softmax":
        net = _classifier(loss=loss, output_activation=output, max_iter=1).fit(*bits)
        net.parameters_[:] = 0
        assert not net.predict(bits[0]).any()


# --- sample weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dataset", ["cancer", "iris", "bits", "diabetes", "wine", "counts"])
def test_integer_weights_equal_repeated_rows(dataset, solver, request):
    X, y = request.getfixturevalue(dataset)
    X, y = X[:100], y[:100]
    make = _classifier if y.dtype.kind == "i" else _regressor
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    net = make(batch_size="full", shuffle=False, solver=solver, max_iter=10, alpha=0.5, n_iter_no_change=np.inf)
    net.set_params(learning_rate_init=0.001)
    if dataset == "counts":
        net.set_params(loss="poisson")
    weighted, repeated = clone(net), clone(net)
    weighted.fit(X, y, sample_weight=weight)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-7)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dataset", ["cancer", "iris", "bits", "diabetes", "wine"])
def test_zero_weights_equal_removed_rows(dataset, solver, early_stopping, request):
    X, y = request.getfixturevalue(dataset)
    make = _classifier if y.dtype.kind == "i" else _regressor
    weight = np.random.RandomState(0).randint(0, 3, len(X)) * 0.7
    net = make(max_iter=3, batch_size=32, solver=solver, early_stopping=early_stopping)
    kept = weight > 0
    with_zeros, without = clone(net), clone(net)
    with_zeros.fit(X, y, sample_weight=weight)
    without.fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_array_equal(with_zeros.parameters_, without.parameters_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_weights_equal_no_weights(iris, solver):
    X, y = iris
    net = _classifier(max_iter=3, batch_size=32, solver=solver, alpha=0.5)
    weighted, plain = clone(net), clone(net)
    # the loss weighs a quarter, so the penalty must too
    weighted.set_params(alpha=0.125).fit(X, y, sample_weight=np.full(len(X), 0.25))
    np.testing.assert_array_equal(weighted.parameters_, plain.fit(X, y).parameters_)


def test_weights_act_across_batches(iris):
    X, y = iris
    batch = np.arange(len(X)) // 25
    # equal within each batch; only the batches differ
    weight = np.array([0.1, 3, 1, 2, 0.5, 4])[batch]
    parameters = {"solver": "sgd", "momentum": 0, "alpha": 0, "shuffle": False, "batch_size": 25, "max_iter": 1}
    net = _classifier(**parameters)
    fitted = clone(net).fit(X, y, sample_weight=weight)
    by_hand = clone(net).set_params(learning_rate_init=1e-300).fit(X, y)
    for b in range(6):
        rows = batch == b
        gradient = by_hand.loss_and_gradient(X[rows], y[rows])[1]
        by_hand.parameters_ -= 0.01 * weight[rows].mean() / weight.mean() * gradient
    np.testing.assert_allclose(fitted.parameters_, by_hand.parameters_, rtol=1e-12, atol=1e-15)


def test_validation_score_is_weighted(cancer):
    X, y = cancer
    constant_1 = [np.zeros((30, 1))], [[1.0]]
    net = _classifier(
        init=constant_1, hidden_layer_sizes=(), learning_rate_init=1e-300, early_stopping=True, max_iter=1
    )
    assert net.fit(X, y).best_validation_score_ == pytest.approx(np.mean(y), abs=0.02)
    assert net.fit(X, y, sample_weight=np.where(y == 1, 1e-6, 1.0)).best_validation_score_ < 1e-5


# --- batches, shapes and types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "batch_size", "number"),
    [("adam", "full", 500), ("adam", "auto", 200), ("rprop", "auto", 500), ("rprop", "full", 500)],
)
def test_named_batch_sizes_equal_numbers_of_rows(digits, solver, batch_size, number):
    named = _classifier(solver=solver, batch_size=batch_size, max_iter=3).fit(*digits)
    numbered = _classifier(solver=solver, batch_size=number, max_iter=3).fit(*digits)
    np.testing.assert_array_equal(named.parameters_, numbered.parameters_)
    other = _classifier(solver=solver, batch_size=number // 2, max_iter=3).fit(*digits)
    assert not np.array_equal(named.parameters_, other.parameters_)


def test_batch_size_above_n_samples_is_clipped_with_a_warning(iris):
    with pytest.warns(UserWarning, match="batch_size=1000") as warned:
        net = _classifier(batch_size=1000, max_iter=2).fit(*iris)
    assert warned[0].filename == __file__
    np.testing.assert_array_equal(net.parameters_, _classifier(batch_size="full", max_iter=2).fit(*iris).parameters_)


def _interrupts():
    calls = []

    def scoring(estimator, X, y):
        calls.append(1)
        if len(calls) == 3:
            calls.clear()
            raise KeyboardInterrupt
        return 0.0

    return scoring


@pytest.mark.parametrize(
    ("parameters", "factor", "match"),
    [
        ({"max_iter": 2}, 1, "Maximum iterations"),
        ({"max_iter": 2, "solver": "lbfgs"}, 1, "lbfgs failed to converge"),
        ({"n_iter_no_change": 2, "tol": 10, "solver": "sgd"}, 1e-6, "stalled after"),
        ({"learning_rate": lambda step, n: np.where(step < 4, 1, 1e200), "early_stopping": True}, 1, "diverged"),
        ({"early_stopping": True, "scoring": _interrupts()}, 1, "interrupted"),
    ],
    ids=["end", "lbfgs", "stalled", "diverged", "interrupted"],
)
def test_warnings_point_to_the_call_of_fit(iris, parameters, factor, match):
    X, y = iris
    net = _classifier(**{"max_iter": 100, **parameters})
    for estimator in (net, make_pipeline(clone(net))):
        with pytest.warns(UserWarning, match=match) as warned:
            estimator.fit(X * factor, y)
        assert [each.filename for each in warned if re.search(match, str(each.message))] == [__file__]


@pytest.mark.parametrize("shuffle", [False, True])
def test_batch_size_one_takes_a_step_per_sample(iris, shuffle):
    X, y = iris
    parameters = {"solver": "sgd", "momentum": 0, "batch_size": 1, "max_iter": 1, "random_state": 4}
    start = _classifier(max_iter=1).fit(X, y)
    init = ([w.copy() for w in start.coefs_], [b.copy() for b in start.intercepts_])
    fitted = _classifier(init=init, shuffle=shuffle, **parameters).fit(X, y)
    order = np.random.RandomState(4).permutation(len(X)) if shuffle else np.arange(len(X))
    for i in order:
        _, gradient = start.loss_and_gradient(X[i : i + 1], y[i : i + 1])
        start.parameters_ -= 0.01 * gradient
    np.testing.assert_allclose(fitted.parameters_, start.parameters_, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("sizes", "units"),
    [((), []), ([], []), (5, [5]), ([4, 3], [4, 3]), (np.array([4, 3]), [4, 3]), ((2,) * 12, [2] * 12)],
)
def test_any_number_of_hidden_layers_works(iris, sizes, units):
    net = _classifier(hidden_layer_sizes=sizes, max_iter=2, activation="tanh").fit(*iris)
    assert [w.shape[1] for w in net.coefs_] == [*units, 3]
    assert net.n_layers_ == len(units) + 2


@pytest.mark.parametrize("activation", ["tanh", LeakyReLU(negative_slope=0.2)])
def test_list_of_equal_activations_equals_one_activation(task, activation):
    cls, X, y = task
    net = cls(hidden_layer_sizes=(8, 5, 3), max_iter=3, random_state=0)
    one = clone(net).set_params(activation=activation).fit(X, y)
    for several in ([activation] * 3, (activation,) * 3):
        other = clone(net).set_params(activation=several).fit(X, y)
        np.testing.assert_array_equal(other.parameters_, one.parameters_)
    mixed = clone(net).set_params(activation=[activation, activation, "relu"]).fit(X, y)
    assert not np.array_equal(mixed.parameters_, one.parameters_)


def test_network_without_hidden_layers_takes_an_empty_list_of_activations(task):
    cls, X, y = task
    net = cls(hidden_layer_sizes=(), max_iter=3, random_state=0, init="glorot_uniform")
    one = clone(net).fit(X, y)
    np.testing.assert_array_equal(clone(net).set_params(activation=[]).fit(X, y).parameters_, one.parameters_)


def test_grid_search_over_lists_of_activations(cancer):
    X, y = cancer
    candidates = [["tanh", "relu"], [LeakyReLU(), "tanh"], "relu"]
    net = _classifier(hidden_layer_sizes=(5, 3), max_iter=5)
    search = GridSearchCV(net, {"activation": candidates}, cv=2).fit(X, y)
    for candidate, score in zip(candidates, search.cv_results_["mean_test_score"], strict=True):
        assert score == cross_val_score(clone(net).set_params(activation=candidate), X, y, cv=2).mean()


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        (None, np.float32, np.float32),
        (None, np.float64, np.float64),
        (None, np.int64, np.float64),
        ("float32", np.float64, np.float32),
        (np.float32, np.float64, np.float32),
        ("float64", np.float32, np.float64),
    ],
)
def test_dtype_is_that_of_x_unless_given(diabetes, dtype, given, expected):
    X, y = diabetes
    net = _regressor(dtype=dtype, max_iter=2).fit((10 * X).astype(given), y)
    assert net.parameters_.dtype == expected
    for data in (X, X.astype(np.float32)):
        assert net.predict(data).dtype == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_layout_of_x_does_not_matter(diabetes, order):
    X, y = diabetes
    X = np.repeat(X, 2, axis=1)[:, ::2]
    net = _regressor(max_iter=2).fit(np.asarray(X, order=order), y)
    np.testing.assert_array_equal(net.parameters_, _regressor(max_iter=2).fit(np.ascontiguousarray(X), y).parameters_)


def test_random_state_determines_everything(iris):
    fits = [_classifier(max_iter=3, batch_size=20, random_state=seed).fit(*iris).parameters_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
    generator = np.random.RandomState(0)
    first, second = (_classifier(max_iter=3, batch_size=20, random_state=generator).fit(*iris) for _ in range(2))
    np.testing.assert_array_equal(first.parameters_, fits[0])
    assert not np.array_equal(first.parameters_, second.parameters_)


# --- the course of training -----------------------------------------------------------------------------------------

# the factor of the learning rate in epoch e of 10, with 150 samples
FORMULAS = {
    "constant": lambda e: 1.0,
    "invscaling": lambda e: 1 / (150 * e + 1) ** 0.5 if e else 1.0,
    "linear": lambda e: 1 - e / 10,
    "cosine": lambda e: (1 + np.cos(np.pi * e / 10)) / 2,
    "exponential": lambda e: 0.01 ** (e / 10),
    "step": lambda e: 0.1 ** (e // 4),
    "inverse_time": lambda e: 1 / (1 + 0.9 * e),
}


@pytest.mark.parametrize("schedule", FORMULAS)
@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_every_solver_follows_the_schedule(iris, solver, schedule):
    parameters = {"solver": solver, "batch_size": 50, "max_iter": 10, "n_iter_no_change": np.inf}
    net = _classifier(learning_rate=schedule, **parameters).fit(*iris)
    np.testing.assert_allclose(net.learning_rate_curve_, [0.01 * FORMULAS[schedule](e) for e in range(10)], rtol=1e-12)
    constant = _classifier(**parameters).fit(*iris)
    assert (schedule == "constant") == np.array_equal(net.parameters_, constant.parameters_)


@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_zero_learning_rate_stops_every_solver(iris, solver):
    def only_at_first(step, n_steps):
        return 1.0 * (step < 1)

    parameters = {"solver": solver, "batch_size": "full", "shuffle": False}
    one = _classifier(max_iter=1, **parameters).fit(*iris)
    many = _classifier(max_iter=5, learning_rate=only_at_first, **parameters).fit(*iris)
    if solver == "sgd":  # its velocity would carry it on
        one, many = (net.set_params(momentum=0).fit(*iris) for net in (one, many))
    np.testing.assert_array_equal(many.parameters_, one.parameters_)
    np.testing.assert_array_equal(many.learning_rate_curve_, [0.01, 0, 0, 0, 0])


@pytest.mark.parametrize("schedule", SCHEDULES.names())
def test_every_schedule_warms_up(iris, schedule):
    net = _classifier(learning_rate=schedule, max_iter=10, batch_size="full").fit(*iris)
    warm = clone(net).set_params(learning_rate=WarmUp(schedule, duration=4)).fit(*iris)
    ratio = np.minimum(1, np.arange(1, 11) / 4)
    np.testing.assert_allclose(warm.learning_rate_curve_, ratio * net.learning_rate_curve_, rtol=1e-12)


def test_plateau_lowers_the_learning_rate_when_training_stalls(iris):
    net = _classifier(learning_rate=Plateau(factor=0.5, patience=3), tol=100.0, max_iter=8, n_iter_no_change=20)
    # the first epoch improves on infinity, the next three do not improve
    net.fit(*iris)
    np.testing.assert_allclose(net.learning_rate_curve_, 0.01 * 0.5 ** np.array([0, 0, 0, 0, 1, 1, 1, 2]))


def test_training_stops_when_it_stalls(iris):
    net = _classifier(tol=100.0, n_iter_no_change=4, max_iter=100).fit(*iris)
    assert net.n_iter_ == len(net.loss_curve_) == 1 + 4 + 1
    assert net.best_loss_ == min(net.loss_curve_)


@pytest.mark.parametrize("dtype", DTYPES)
def test_early_stopping_restores_the_best_weights(cancer, dtype):
    X, y = cancer
    start = _classifier(max_iter=1).fit(X, y)
    # with given weights, the split is the first random draw
    net = _classifier(init=(start.coefs_, start.intercepts_), early_stopping=True, dtype=dtype, random_state=3)
    net.set_params(learning_rate_init=1.0, n_iter_no_change=8, max_iter=100).fit(X, y)
    _, X_held_out, _, y_held_out = train_test_split(X, y, test_size=0.1, stratify=y, random_state=3)
    assert net.score(X_held_out, y_held_out) == net.best_validation_score_ == max(net.validation_scores_)
    assert net.validation_scores_[-1] < net.best_validation_score_  # there was something to restore
    assert len(net.validation_scores_) == net.n_iter_ < 100
    assert net.best_loss_ is None


@pytest.mark.parametrize("solver", FIRST_ORDER)
def test_partial_fit_equals_epochs_of_fit_exactly(iris, solver):
    X, y = iris
    for schedule in ("constant", "cosine", "invscaling", "adaptive", "plateau"):
        net = _classifier(solver=solver, learning_rate=schedule, batch_size=32, max_iter=6, n_iter_no_change=2, tol=1.0)
        if schedule != "adaptive":  # the others would stop
            net.set_params(n_iter_no_change=np.inf)
        whole, by_epochs = clone(net).fit(X, y), clone(net)
        for _ in range(6):
            by_epochs.partial_fit(X, y, classes=[0, 1, 2])
        np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)
        assert by_epochs.loss_curve_ == whole.loss_curve_
        assert by_epochs.learning_rate_curve_ == whole.learning_rate_curve_
        assert by_epochs.t_ == whole.t_ == 6 * len(X)


@pytest.mark.parametrize("dataset", ["diabetes", "wine"])
def test_partial_fit_of_a_regressor_equals_epochs_of_fit_exactly(dataset, request):
    X, y = request.getfixturevalue(dataset)
    whole, by_epochs = _regressor(max_iter=5, batch_size=32).fit(X, y), _regressor(max_iter=5, batch_size=32)
    for _ in range(5):
        by_epochs.partial_fit(X, y)
    np.testing.assert_array_equal(by_epochs.parameters_, whole.parameters_)


def test_schedule_in_partial_fit_ends_after_max_iter_epochs(iris):
    net = _classifier(learning_rate=Cosine(end=0.1), max_iter=4, batch_size="full")
    for _ in range(7):
        net.partial_fit(*iris, classes=[0, 1, 2])
    expected = [0.1 + 0.9 * (1 + np.cos(np.pi * min(e, 3) / 4)) / 2 for e in range(7)]
    np.testing.assert_allclose(net.learning_rate_curve_, np.multiply(0.01, expected))


def with_momentum(theta, gradient, optimizer_state, hyper, step):
    for i in range(theta.size):
        optimizer_state[0, i] = 0.9 * optimizer_state[0, i] - step.learning_rate * gradient[i]
        theta[i] += optimizer_state[0, i]


def by_the_step(theta, gradient, optimizer_state, hyper, step):
    for i in range(theta.size):
        optimizer_state[0, i] += gradient[i] * gradient[i]
        theta[i] -= step.learning_rate / step.number * gradient[i] / (np.sqrt(optimizer_state[0, i]) + 1e-8)


@pytest.mark.parametrize(
    ("before", "after"),
    [("sgd", "rmsprop"), ("sgd", "adagrad"), ("adam", "adadelta"), (with_momentum, by_the_step)],
)
def test_changed_solver_starts_with_new_state_vectors(diabetes, before, after):
    X, y = diabetes
    net = _regressor(solver=before, shuffle=False).partial_fit(X, y)
    fresh = _regressor(solver=after, shuffle=False, max_iter=1, init=(list(net.coefs_), list(net.intercepts_)))
    net.set_params(solver=after)
    fresh = clone(fresh)  # with copies of the weights
    np.testing.assert_array_equal(net.partial_fit(X, y).parameters_, fresh.fit(X, y).parameters_)


def test_partial_fit_accepts_classes_that_appear_later(iris):
    X, y = iris
    net = _classifier(batch_size=32).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    for _ in range(40):
        net.partial_fit(X, y)
    assert net.score(X, y) > 0.9


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_continues(iris, solver):
    X, y = iris
    net = _classifier(warm_start=True, max_iter=5, solver=solver).fit(X, y)
    weights, loss = net.parameters_.copy(), net.loss_
    net.fit(X, y)
    assert net.loss_ < loss
    cold = _classifier(
        max_iter=5, solver=solver, init=([weights[:32].reshape(4, 8), weights[32:56].reshape(8, 3)], None)
    )
    cold.init = (cold.init[0], [weights[56:64], weights[64:]])
    np.testing.assert_array_equal(net.parameters_, cold.fit(X, y).parameters_)
    if solver != "lbfgs":
        assert len(net.loss_curve_) == 10
        assert net.t_ == 10 * len(X)


def test_fit_without_warm_start_starts_over(iris):
    net = _classifier(max_iter=3).fit(*iris)
    first = net.parameters_.copy()
    np.testing.assert_array_equal(net.fit(*iris).parameters_, first)
    assert len(net.loss_curve_) == 3


def test_warm_start_after_stalled_training_does_not_stop_at_once(iris):
    net = _classifier(warm_start=True, tol=100.0, n_iter_no_change=3, max_iter=50).fit(*iris)
    assert net.n_iter_ == 5
    assert net.fit(*iris).n_iter_ == 4


def test_warm_start_with_early_stopping_keeps_the_best_weights_so_far(cancer):
    X, y = cancer
    net = _classifier(warm_start=True, early_stopping=True, max_iter=30).fit(X, y)
    best, score, n_before = net.parameters_.copy(), net.best_validation_score_, net.n_iter_
    # far too large steps
    net.set_params(solver="sgd", learning_rate_init=50.0, momentum=0.0, max_iter=5).fit(X, y)
    assert len(net.validation_scores_) == n_before + net.n_iter_
    assert max(net.validation_scores_[n_before:]) <= score
    assert net.best_validation_score_ == score
    np.testing.assert_array_equal(net.parameters_, best)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_a_line_for_each_epoch(cancer, capsys, early_stopping):
    net = _classifier(max_iter=3, verbose=True, early_stopping=early_stopping).fit(*cancer)
    lines = capsys.readouterr().out.splitlines()
    expected = []
    for epoch in range(3):
        expected.append(f"Iteration {epoch + 1}, loss = {net.loss_curve_[epoch]:.8f}")
        if early_stopping:
            expected.append(f"Validation score: {net.validation_scores_[epoch]:f}")
    assert lines == expected


def test_verbose_says_why_training_stops(cancer, capsys):
    _classifier(verbose=True, tol=100.0, n_iter_no_change=2).fit(*cancer)
    assert "did not improve more than tol=100.000000 for 2 consecutive epochs. Stopping." in capsys.readouterr().out
    _classifier(verbose=True, tol=100.0, n_iter_no_change=2, learning_rate="adaptive", max_iter=5).fit(*cancer)
    assert "Setting learning rate to 0.002000" in capsys.readouterr().out


def test_verbose_prints_the_iterations_of_lbfgs(cancer, capsys):
    _classifier(max_iter=3, verbose=True, solver="lbfgs").fit(*cancer)
    assert capsys.readouterr().out.count("Iteration") == 3
    _classifier(max_iter=3, solver="lbfgs").fit(*cancer)
    assert capsys.readouterr().out == ""


def test_lbfgs_lacks_attributes_and_methods_of_epochs(cancer):
    net = _classifier(max_iter=3).fit(*cancer)
    net.set_params(solver="lbfgs").fit(*cancer)
    assert np.isfinite(net.loss_)
    for name in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "best_loss_"):
        assert not hasattr(net, name)
    assert not hasattr(net, "partial_fit")
