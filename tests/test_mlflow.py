"""MLflow: the metrics of each epoch by a callback, and autologging of a search."""

import pickle
import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, callbacks
from sknn_iitb.callbacks import MLflowCallback

pytest.importorskip("sklearn.callback", reason="this release of scikit-learn has no callbacks", exc_type=ImportError)
needs_mlflow = pytest.mark.usefixtures("mlflow")


@pytest.fixture(scope="module")
def _store(tmp_path_factory):
    """A tracking store of files, which needs no database."""
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri((tmp_path_factory.mktemp("mlflow") / "runs").as_uri())
        yield mlflow
        mlflow.set_tracking_uri(before)


@pytest.fixture
def mlflow(_store):
    yield _store
    while _store.active_run():
        _store.end_run()


def _runs(mlflow):
    return mlflow.search_runs(output_format="list")


def _logged(mlflow, run_id, name):
    """The values of a metric, and their steps."""
    history = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [each.value for each in history], [each.step for each in history]


def _assert_logged(mlflow, run_id, net):
    for name, curve in {
        "loss": net.loss_curve_,
        "learning_rate": net.learning_rate_curve_,
        "validation_score": net.validation_scores_ or [],
        "validation_loss": net.validation_loss_curve_ or [],
    }.items():
        assert _logged(mlflow, run_id, name) == (curve, [*range(1, 1 + len(curve))]), name


def _net(cls=MLPClassifier, **parameters):
    return cls(**{"hidden_layer_sizes": 4, "max_iter": 5, "learning_rate": "cosine", "random_state": 0} | parameters)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_active_run_has_the_curves_of_the_fit_and_stays_active(mlflow, iris, cls, early_stopping):
    with mlflow.start_run() as run:
        net = _net(cls, early_stopping=early_stopping).set_callbacks(MLflowCallback()).fit(*iris)
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert bool(net.validation_scores_) == early_stopping
    _assert_logged(mlflow, run.info.run_id, net)


def test_fit_without_an_active_run_creates_one_and_ends_it(mlflow, iris):
    before = len(_runs(mlflow))
    net = _net().set_callbacks(MLflowCallback()).fit(*iris)
    run, *others = _runs(mlflow)
    assert len(others) == before
    assert mlflow.active_run() is None
    assert run.info.status == "FINISHED"
    _assert_logged(mlflow, run.info.run_id, net)


def test_metrics_of_a_given_run_are_logged_to_it(mlflow, iris):
    with mlflow.start_run() as run:
        pass
    with mlflow.start_run() as other:
        net = _net().set_callbacks(MLflowCallback(run.info.run_id)).fit(*iris)
    _assert_logged(mlflow, run.info.run_id, net)
    assert not mlflow.get_run(other.info.run_id).data.metrics


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_iterations_of_lbfgs_are_logged(mlflow, iris):
    with mlflow.start_run() as run:
        net = _net(solver="lbfgs", learning_rate="constant").set_callbacks(MLflowCallback()).fit(*iris)
    losses, steps = _logged(mlflow, run.info.run_id, "loss")
    assert steps == [1, 2, 3, 4, 5]
    assert losses[-1] == net.loss_ < losses[0]
    assert _logged(mlflow, run.info.run_id, "learning_rate") == ([], [])


def test_warm_start_continues_the_steps(mlflow, iris):
    net = _net(warm_start=True).set_callbacks(MLflowCallback())
    with mlflow.start_run() as run:
        net.fit(*iris).fit(*iris)
    assert len(net.loss_curve_) == 10
    _assert_logged(mlflow, run.info.run_id, net)


@pytest.mark.parametrize("limits", [(0.0, 1000), (1e9, 3)], ids=["every epoch", "many small requests"])
def test_metrics_are_the_same_however_they_are_sent(mlflow, iris, monkeypatch, limits):
    monkeypatch.setattr(callbacks, "_SECONDS_BETWEEN_REQUESTS", limits[0])
    monkeypatch.setattr(callbacks, "_METRICS_PER_REQUEST", limits[1])
    with mlflow.start_run() as run:
        net = _net().set_callbacks(MLflowCallback()).fit(*iris)
    _assert_logged(mlflow, run.info.run_id, net)


def test_long_fit_is_not_slowed_down_by_requests(mlflow, iris, monkeypatch):
    requests = []
    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", lambda self, run_id, metrics: requests.append(len(metrics)))
    clock = iter(np.arange(1000.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))  # a second from one reading to the next
    with mlflow.start_run():
        _net(max_iter=50).set_callbacks(MLflowCallback()).fit(*iris)
    assert sum(requests) == 100
    assert 50 / 5 / 2 <= len(requests) <= 50 / 5 + 1


@pytest.mark.parametrize("active", [False, True])
def test_failed_fit_keeps_its_metrics_and_ends_its_run_as_failed(mlflow, iris, active):
    class Fails:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            if context.task_id == 2:
                raise ZeroDivisionError

    if active:
        mlflow.start_run()
    with pytest.raises(ZeroDivisionError):
        _net().set_callbacks(MLflowCallback(), Fails()).fit(*iris)
    run, *_ = _runs(mlflow)
    assert run.info.status == ("RUNNING" if active else "FAILED")
    assert _logged(mlflow, run.info.run_id, "loss")[1] == [1, 2, 3]
    assert bool(mlflow.active_run()) == active


@needs_mlflow
def test_logging_does_not_change_the_weights(iris):
    np.testing.assert_array_equal(
        _net().set_callbacks(MLflowCallback()).fit(*iris).parameters_, _net().fit(*iris).parameters_
    )


def test_each_fit_of_a_search_has_its_own_run(mlflow, iris):
    before = len(_runs(mlflow))
    net = _net().set_callbacks(MLflowCallback())
    search = GridSearchCV(net, {"alpha": [0.1, 1.0]}, cv=2).fit(*iris)
    runs = _runs(mlflow)[: 2 * 2 + 1]
    assert len(_runs(mlflow)) == before + len(runs)
    _assert_logged(mlflow, runs[0].info.run_id, search.best_estimator_)
    assert len({tuple(_logged(mlflow, run.info.run_id, "loss")[0]) for run in runs}) == 5


@needs_mlflow
def test_callback_can_be_cloned_pickled_and_printed():
    callback = MLflowCallback("abc")
    (cloned,) = clone(_net().set_callbacks(callback))._skl_callbacks
    assert cloned is callback
    assert repr(pickle.loads(pickle.dumps(callback))) == repr(callback) == "MLflowCallback('abc')"


@needs_mlflow
def test_ensembles_are_refused_before_training(iris):
    net = TabularMLPClassifier(preset="fast").set_callbacks(MLflowCallback())
    with pytest.raises(TypeError, match="TabularMLPClassifier does not report"):
        net.fit(*iris)
    assert not hasattr(net, "members_")


def test_missing_package_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"sknn-iitb\[mlflow\]"):
        MLflowCallback()


@pytest.mark.filterwarnings("ignore")  # of MLflow about its own dependencies
def test_autologging_records_each_candidate_of_a_search(mlflow, iris):
    search = GridSearchCV(_net(), {"alpha": [0.1, 1.0, 10.0]}, cv=2)
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        search.fit(*iris)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    parent = next(run for run in _runs(mlflow) if "best_cv_score" in run.data.metrics)
    assert parent.data.metrics["best_cv_score"] == search.best_score_
    children = [run for run in _runs(mlflow) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    scores = {float(run.data.params["alpha"]): run.data.metrics["mean_test_score"] for run in children}
    assert scores == dict(zip([0.1, 1.0, 10.0], search.cv_results_["mean_test_score"], strict=True))
