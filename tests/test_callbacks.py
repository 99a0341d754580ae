"""scikit-learn callbacks: when they are called with what, that they can stop training, and change nothing else."""

import pickle
import runpy
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.mlp import _callbacks

callback = pytest.importorskip(
    "sklearn.callback", reason="this release of scikit-learn has no callbacks", exc_type=ImportError
)

ignores_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ESTIMATORS = [MLPClassifier, MLPRegressor]
SOLVERS = ["adam", "sgd", "lbfgs"]


class Recorder:
    """Record the calls; stop after a given number of epochs; raise in a given hook."""

    def __init__(self, stop_after=np.inf, fail=None, error=ZeroDivisionError):
        self.stop_after, self.fail, self.error = stop_after, fail, error
        self.calls, self.fitted, self.data = [], [], []

    def _record(self, hook, context):
        self.calls.append(f"{hook} {context.task_name}")
        if hook == self.fail:
            raise self.error

    def setup(self, estimator, context):
        self._record("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._record("begin", context)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.fitted.append(fitted_estimator)
        self.data.append((X, y, metadata))
        self._record("end", context)
        return context.task_name == "epoch" and context.task_id + 1 >= self.stop_after

    def teardown(self, estimator, context):
        self._record("teardown", context)


class PropagatedRecorder(Recorder):
    """A recorder that is set on the outermost estimator and propagated to the inner ones."""

    max_propagation_depth = None

    def _record(self, hook, context):
        names = []
        while context is not None:
            names.insert(0, context.estimator_name)
            last, context = context, context.parent
        if hook == "end" and last is not None:
            self.calls.append(tuple(names))


def _worsens(step, n_steps):
    return np.where(step < 3, 0.1, 3.0)


# the best epoch is not the last
WORSENING = {"solver": "sgd", "learning_rate_init": 1.0, "learning_rate": _worsens, "early_stopping": True}


def _net(cls, **parameters):
    return cls(hidden_layer_sizes=4, random_state=0, **{"max_iter": 5} | parameters)


def _protocol(n_epochs):
    return ["setup fit", "begin fit", *["begin epoch", "end epoch"] * n_epochs, "end fit", "teardown fit"]


def _assert_same(one, other):
    np.testing.assert_array_equal(one.parameters_, other.parameters_)
    assert one.n_iter_ == other.n_iter_
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-12)
    for name in ("loss_curve_", "validation_scores_", "learning_rate_curve_", "best_loss_", "t_"):
        assert getattr(one, name, None) == getattr(other, name, None)


# --- calls ------------------------------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_fit_task_contains_a_task_per_epoch(iris, cls, solver):
    recorder = Recorder()
    net = _net(cls, solver=solver).set_callbacks(recorder).fit(*iris)
    assert net.n_iter_ == 5
    assert recorder.calls == _protocol(5)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    "parameters", [{"tol": 0.1, "n_iter_no_change": 2}, {"early_stopping": True}, {"solver": "lbfgs", "tol": 0.01}]
)
def test_stopped_training_has_no_further_tasks(iris, cls, parameters):
    recorder = Recorder()
    net = _net(cls, max_iter=5000, **parameters).set_callbacks(recorder).fit(*iris)
    assert 1 < net.n_iter_ < 5000
    assert recorder.calls == _protocol(net.n_iter_)


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fitted_estimator_of_each_epoch_matches_a_shorter_fit(iris, cls, solver, dtype):
    recorder = Recorder()
    net = _net(cls, solver=solver, dtype=dtype).set_callbacks(recorder).fit(*iris)
    *epochs, last = recorder.fitted
    assert len(epochs) == 5
    for n, fitted in enumerate(epochs, start=1):
        shorter = _net(cls, solver=solver, dtype=dtype, max_iter=n).fit(*iris)
        _assert_same(fitted, shorter)
        np.testing.assert_array_equal(fitted.predict(iris[0]), shorter.predict(iris[0]))
    _assert_same(last, net)


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fitted_estimators_of_callbacks_stay_unchanged(iris, cls):
    recorder = Recorder()
    net = _net(cls, warm_start=True).set_callbacks(recorder).fit(*iris)
    first, *_, last = [pickle.loads(pickle.dumps(fitted)) for fitted in recorder.fitted]
    net.fit(*iris)
    net.partial_fit(*iris)
    net.parameters_ = 0 * net.parameters_
    _assert_same(recorder.fitted[0], first)
    _assert_same(recorder.fitted[5], last)
    recorder.fitted[5].set_callbacks().partial_fit(*iris)
    assert not net.parameters_.any()
    # a warm start continues the curve
    assert [len(fitted.loss_curve_) for fitted in recorder.fitted[6:]] == [6, 7, 8, 9, 10, 10]
    assert len(net.loss_curve_) == 11


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_callbacks_see_the_weights_of_each_epoch_with_early_stopping(iris, cls):
    recorder = Recorder()
    net = _net(cls, **WORSENING).set_callbacks(recorder).fit(*iris)
    *epochs, last = recorder.fitted
    assert net.validation_scores_[-1] < max(net.validation_scores_)
    assert [fitted.validation_scores_[-1] for fitted in epochs] == net.validation_scores_
    assert len({fitted.parameters_.tobytes() for fitted in epochs}) == 5
    np.testing.assert_array_equal(last.parameters_, epochs[np.argmax(net.validation_scores_)].parameters_)


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_callbacks_get_the_data_passed_to_fit(iris, cls):
    X, y = iris
    weight = np.linspace(1, 2, len(X))
    recorder = Recorder()
    _net(cls).set_callbacks(recorder).fit(X, y, sample_weight=weight)
    for seen_X, seen_y, metadata in recorder.data:
        assert seen_X is X
        assert seen_y is y
        assert metadata["sample_weight"] is weight
    recorder = Recorder()
    _net(cls).set_callbacks(recorder).fit(X, y)
    assert recorder.data[0][2] == {}


# --- scikit-learn's own callbacks -------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scoring_monitor_logs_the_score_of_each_epoch(iris, cls, solver, weighted):
    # named columns, which predict must get too
    X, y = pd.DataFrame(iris[0], columns=list("abcd")), iris[1]
    arguments = {"sample_weight": np.linspace(0, 2, len(X))} if weighted else {}
    scoring = "accuracy" if cls is MLPClassifier else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    parameters = {"solver": solver, "learning_rate_init": 0.05}
    net = _net(cls, **parameters).set_callbacks(monitor).fit(X, y, **arguments)
    logged = {row["task_id_path"]: row[scoring] for row in monitor.get_logs().data}
    expected = {(0,): net.score(X, y, **arguments)}
    for n in range(5):
        shorter = _net(cls, **parameters, max_iter=n + 1).fit(X, y, **arguments)
        expected[0, n] = shorter.score(X, y, **arguments)
    assert logged == expected
    assert len(set(logged.values())) > 2


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("outer", ["itself", "pipeline", "grid search"])
def test_progress_bar_runs_to_its_end(iris, capsys, cls, solver, outer):
    pytest.importorskip("rich")
    net = _net(cls, solver=solver)
    model = {
        "itself": net,
        "pipeline": make_pipeline(StandardScaler(), net),
        "grid search": GridSearchCV(net, {"alpha": [0.0, 1.0]}, cv=2),
    }[outer]
    model.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(*iris)
    out = capsys.readouterr().out
    assert f"{cls.__name__} - fit" in out
    assert out.count("100%") == {"itself": 1, "pipeline": 3, "grid search": 7}[outer]


# --- stopping ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n", [1, 3])
def test_callback_stops_training_without_a_warning(iris, cls, solver, n):
    recorder = Recorder(stop_after=n)
    net = _net(cls, solver=solver).set_callbacks(recorder).fit(*iris)
    assert recorder.calls == _protocol(n)
    _assert_same(net, recorder.fitted[n - 1])


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_callback_may_stop_in_the_last_epoch(iris, cls, solver):
    assert _net(cls, solver=solver).set_callbacks(Recorder(stop_after=5)).fit(*iris).n_iter_ == 5


def test_all_callbacks_see_the_epoch_in_which_one_stops(iris):
    recorders = Recorder(), Recorder(stop_after=2), Recorder(stop_after=2), Recorder()
    _net(MLPClassifier).set_callbacks(*recorders).fit(*iris)
    assert [recorder.calls for recorder in recorders] == [_protocol(2)] * 4


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_callback_that_stops_early_stopping_keeps_the_best_weights(iris, cls):
    recorder = Recorder(stop_after=5)
    net = _net(cls, **WORSENING, max_iter=50).set_callbacks(recorder).fit(*iris)
    assert len(net.validation_scores_) == 5
    best = np.argmax(net.validation_scores_)
    assert best < 4
    np.testing.assert_array_equal(net.parameters_, recorder.fitted[best].parameters_)


# --- inside other estimators ------------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_callbacks_work_in_a_pipeline(iris, cls):
    inner, outer = Recorder(stop_after=3), PropagatedRecorder()
    model = make_pipeline(StandardScaler(), _net(cls).set_callbacks(inner)).set_callbacks(outer).fit(*iris)
    assert inner.calls[-2:] == ["end fit", "teardown fit"]
    assert inner.calls.count("end epoch") == model[-1].n_iter_ == 3
    assert outer.calls.count(("Pipeline", cls.__name__, cls.__name__)) == 3
    assert vars(model[-1])["_skl_callbacks"] == [inner]


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_callbacks_work_in_a_grid_search(iris, cls, n_jobs):
    scoring = "accuracy" if cls is MLPClassifier else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    search = GridSearchCV(_net(cls).set_callbacks(monitor), {"alpha": [0.0, 1.0]}, cv=3, n_jobs=n_jobs).fit(*iris)
    rows = [row for row in monitor.get_logs().data if row["estimator_name"] == cls.__name__]
    assert len(rows) == (2 * 3 + 1) * (5 + 1)
    scores = [row[scoring] for row in rows if row["task_id_path"][-1:] == (4,) and len(row["task_id_path"]) == 3]
    assert search.best_estimator_.score(*iris) in scores
    assert search.best_estimator_._skl_callbacks == [monitor]


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_grid_search_propagates_its_callbacks(iris, cls):
    recorder = PropagatedRecorder()
    search = GridSearchCV(_net(cls), {"alpha": [0.0, 1.0]}, cv=3).set_callbacks(recorder).fit(*iris)
    epochs = [names for names in recorder.calls if names[-2:] == (cls.__name__, cls.__name__)]
    assert len(epochs) == (2 * 3 + 1) * 5
    assert {names[0] for names in epochs} == {"GridSearchCV"}
    assert "_skl_callbacks" not in vars(search.best_estimator_)
    assert "_parent_callback_ctx" not in vars(search.best_estimator_)


# --- no other effects -------------------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_callbacks_do_not_change_results_or_attributes(iris, cls, solver):
    without, watched = _net(cls, solver=solver), _net(cls, solver=solver).set_callbacks(Recorder())
    without.fit(*iris)
    watched.fit(*iris)
    _assert_same(watched, without)
    assert vars(watched).keys() - vars(without).keys() == {"_skl_callbacks"}


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_task_is_created_without_callbacks(iris, monkeypatch, cls, solver):
    def refuse(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(callback.CallbackContext, "_from_estimator", refuse)
    assert _net(cls, solver=solver).fit(*iris).n_iter_ == 5
    assert _net(cls, solver=solver).set_callbacks(Recorder()).set_callbacks().fit(*iris).n_iter_ == 5


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_partial_fit_calls_no_callbacks(iris, cls):
    recorder = Recorder()
    net = _net(cls).set_callbacks(recorder).fit(*iris)
    calls = len(recorder.calls)
    net.partial_fit(*iris)
    assert len(recorder.calls) == calls


@ignores_convergence
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("fail", ["setup", "begin", "end"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_error_in_a_callback_leaves_the_estimator_unchanged(iris, cls, solver, fail, warm_start):
    X, y = iris
    net = _net(cls, solver=solver, warm_start=warm_start).fit(X, y)
    recorder = Recorder(fail=fail)
    net.set_callbacks(recorder)
    before = pickle.dumps(clone(net).set_callbacks()), net.parameters_.copy(), vars(net).copy()
    with pytest.raises(ZeroDivisionError):
        net.fit(X, y)
    assert recorder.calls[-1] == "teardown fit"
    assert recorder.calls.count("teardown fit") == 1
    assert vars(net).keys() == before[2].keys()
    np.testing.assert_array_equal(net.parameters_, before[1])
    assert pickle.dumps(clone(net).set_callbacks()) == before[0]
    net.set_callbacks(Recorder()).fit(X, y)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    ("factor", "parameters", "error"),
    [(np.nan, {}, "NaN"), (1, {"solver": "sgd", "learning_rate": lambda step, n_steps: 1e300 * step}, "diverged")],
    ids=["X", "diverges"],
)
def test_failed_fit_tears_down_the_callbacks(iris, cls, factor, parameters, error):
    recorder = Recorder()
    net = _net(cls, **parameters).set_callbacks(recorder)
    with pytest.raises(ValueError, match=error):
        net.fit(factor * iris[0], iris[1])
    assert recorder.calls[0] == "setup fit"
    assert recorder.calls[-1] == "teardown fit"
    assert vars(net).keys() == vars(_net(cls).set_callbacks(recorder)).keys()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_ends_the_task_and_keeps_the_weights(iris, solver):
    class Interrupts(Recorder):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if context.task_name == "epoch" and context.task_id == 2:
                raise KeyboardInterrupt

    recorder = Interrupts()
    with pytest.warns(UserWarning, match="interrupted"):
        net = _net(MLPClassifier, solver=solver).set_callbacks(recorder).fit(*iris)
    assert net.n_iter_ == 2
    np.testing.assert_array_equal(net.parameters_, recorder.fitted[1].parameters_)
    assert recorder.calls == _protocol(3)
    assert recorder.fitted[2] is None


@ignores_convergence
def test_divergence_with_early_stopping_ends_the_last_task(iris):
    recorder = Recorder()
    net = _net(MLPRegressor, solver="sgd", learning_rate=_explodes, early_stopping=True)
    net.set_callbacks(recorder).fit(*iris)
    assert recorder.calls == _protocol(net.n_iter_)
    assert recorder.fitted[-2] is None
    assert np.isfinite(recorder.fitted[-1].predict(iris[0])).all()


def _explodes(step, n_steps):
    return np.where(step < n_steps // 2, 1.0, 1e200)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_clone_shares_callbacks_and_pickle_includes_them(cls):
    recorder = Recorder()
    net = _net(cls).set_callbacks(recorder)
    assert clone(net)._skl_callbacks == [recorder]
    (other,) = pickle.loads(pickle.dumps(net))._skl_callbacks
    assert isinstance(other, Recorder)


@pytest.mark.parametrize("wrong", [None, Recorder, 1])
def test_setting_an_invalid_callback_raises(wrong):
    with pytest.raises(TypeError, match="callbacks must be instances"):
        MLPClassifier().set_callbacks(wrong)


def test_scikit_learn_without_callbacks_is_supported(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    older = runpy.run_path(_callbacks.__file__)
    net, checkpoint = older["CallbackSupport"](), Checkpoint("file")
    assert net.set_callbacks(checkpoint)._skl_callbacks == [checkpoint]
    assert older["observers_of"](net, None, None, None, 1) == ()
    assert older["with_callbacks"](len) is len
    with pytest.raises(TypeError, match=r"other than Checkpoint require scikit-learn 1\.9"):
        net.set_callbacks(Recorder())
