"""Checkpoints: training that continues from one is as if it had not been interrupted."""

import errno
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from itertools import pairwise

import numpy as np
import pytest
from mounts import disk
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.losses import Quantile
from sknn_iitb.optimizers import LBFGS
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor, _runs

pytestmark = pytest.mark.newest

X, Y = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)


class CrashError(Exception):
    """Ends a fit."""


class CrashingCheckpoint(Checkpoint):
    """Ends a fit after some checkpoints."""

    def __init__(self, path, n, **options):
        super().__init__(path, **options)
        self.n_left = n

    def _write(self, content):
        super()._write(content)
        self.n_left -= 1
        if self.n_left == 0:
            raise CrashError


def _fit(net, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return net.fit(*data, **options)


SHORT = {"hidden_layer_sizes": (6, 5), "max_iter": 12, "random_state": 0}
EARLY = {"early_stopping": True, "n_iter_no_change": 8, "tol": 1e-3, "max_iter": 60}
NETS = {
    "adam": (MLPClassifier(**SHORT), (X, Y)),
    "sgd": (MLPClassifier(**SHORT, solver="sgd", learning_rate="invscaling", learning_rate_init=0.1), (X, Y)),
    "adaptive": (
        MLPClassifier(**SHORT | {"max_iter": 80}, solver="sgd", learning_rate="adaptive", tol=0.1, n_iter_no_change=2),
        (X, Y),
    ),
    "auto rate": (MLPClassifier(**SHORT, learning_rate_init="auto", learning_rate="cosine"), (X, Y)),
    "stalls": (MLPClassifier(**SHORT | {"max_iter": 60}, tol=0.03, n_iter_no_change=2), (X, Y)),
    "early stopping": (MLPClassifier(**SHORT | EARLY, learning_rate_init=0.05), CANCER),
    "splitter": (MLPClassifier(**SHORT | EARLY, validation_fraction=ShuffleSplit(1, random_state=1)), (X, Y)),
    "random numbers": (MLPClassifier(**SHORT | EARLY | {"random_state": None}, dropout=0.2), (X, Y)),
    "dropout": (MLPClassifier(**SHORT, dropout=[0.1, 0.3, 0.2], batch_norm=True), (X, Y)),
    "float32": (MLPRegressor(**SHORT, dtype="float32", solver="nadam", layer_norm=True), DIABETES),
    "quantiles": (MLPRegressor(Quantile([0.1, 0.9]), **SHORT, solver="rmsprop", batch_size=7), DIABETES),
    "sparse": (MLPClassifier(**SHORT, shuffle=False, max_norm=2.0), (sparse.csr_array(X), Y)),
    "weights": (MLPClassifier(**SHORT, class_weight="balanced"), (X, Y, np.arange(150.0))),
}


@pytest.mark.parametrize("n", [1, 4, 8])
@pytest.mark.parametrize("name", NETS)
def test_a_fit_continues_to_the_same_bits(name, n, tmp_path):
    net, data = NETS[name]
    whole = clone(net).set_callbacks(Checkpoint(tmp_path / "whole", every=1000))
    _fit(whole, data)
    if name == "random numbers":  # only a fit from the same checkpoint begins with the same
        _fit(clone(net).set_callbacks(Checkpoint(tmp_path / "whole", every=1000)), data)
        crash = clone(net).set_callbacks(CrashingCheckpoint(tmp_path / "file", n, every=1))
        with pytest.raises(CrashError):
            _fit(crash, data)
        resumed, other = (_fit(clone(net), data, resume_from=tmp_path / "file") for _ in range(2))
        np.testing.assert_array_equal(resumed.parameters_, other.parameters_)
        return
    crash = clone(net).set_callbacks(CrashingCheckpoint(tmp_path / "file", n, every=1))
    with pytest.raises(CrashError):
        _fit(crash, data)
    assert not hasattr(crash, "coefs_")
    resumed = _fit(clone(net), data, resume_from=tmp_path / "file")
    np.testing.assert_array_equal(resumed.parameters_, whole.parameters_)
    for attribute in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "best_loss_", "n_iter_", "t_"):
        assert getattr(resumed, attribute) == getattr(whole, attribute)
    before, after = (pickle.dumps(each.__getstate__()["_optimizer"]) for each in (whole, resumed))
    assert before == after
    if not net.early_stopping and name != "weights":
        for each in (whole, resumed):
            each.partial_fit(*data[:2])
        np.testing.assert_array_equal(resumed.parameters_, whole.parameters_)


def test_a_fit_may_be_interrupted_many_times(tmp_path):
    net, data = NETS["dropout"]
    resume = {}
    for _ in range(5):
        crash = clone(net).set_callbacks(CrashingCheckpoint(tmp_path / "file", 2, every=1))
        with pytest.raises(CrashError):
            _fit(crash, data, **resume)
        resume = {"resume_from": tmp_path / "file"}
    resumed = _fit(clone(net), data, **resume)
    assert resumed.n_iter_ == 12
    np.testing.assert_array_equal(resumed.parameters_, _fit(clone(net), data).parameters_)


def test_a_finished_fit_is_not_trained_again(tmp_path):
    net, data = NETS["stalls"]
    path = tmp_path / "file"
    whole = _fit(clone(net).set_callbacks(Checkpoint(path)), data)
    assert whole.n_iter_ < 60
    resumed = _fit(clone(net).set_params(verbose=False), data, resume_from=str(path))
    assert resumed.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(resumed.parameters_, whole.parameters_)


def test_a_checkpoint_does_not_change_the_fit_and_is_written_when_it_is_due(tmp_path, monkeypatch):
    net, data = NETS["adam"]
    epochs = []
    monkeypatch.setattr(Checkpoint, "_write", lambda self, content: epochs.append(pickle.loads(content)))
    fitted = _fit(clone(net).set_callbacks(Checkpoint(tmp_path / "file", every=5)), data)
    assert [each["history"]["n_iter"] for each in epochs] == [5, 10, 12]
    np.testing.assert_array_equal(fitted.parameters_, _fit(clone(net), data).parameters_)
    epochs.clear()
    _fit(clone(net).set_callbacks(Checkpoint(tmp_path / "file")), data)
    assert [each["history"]["n_iter"] for each in epochs] == [12]  # 30 seconds have not passed
    epochs.clear()
    clone(net).set_callbacks(Checkpoint(tmp_path / "file", every=1)).partial_fit(X, Y, classes=[0, 1, 2])
    assert epochs == []


# --- tables ------------------------------------------------------------------------------------------------------

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
TABLES = {
    "classifier": (TabularMLPClassifier(**SMALL), (X, Y)),
    "threads": (TabularMLPClassifier(**SMALL, n_jobs=2), (X, Y)),
    "regressor": (TabularMLPRegressor(**SMALL, quantiles=[0.1, 0.9]), DIABETES),
    "last epochs": (TabularMLPRegressor(**SMALL | {"max_iter": 30}), DIABETES),
    "tuned": (TabularMLPClassifier("tuned", **SMALL | {"max_iter": 15}, n_trials=8), CANCER),
}


@pytest.mark.parametrize("n", [1, 4, 9])
@pytest.mark.parametrize("name", TABLES)
def test_complete_networks_are_not_trained_again(name, n, tmp_path, monkeypatch):
    net, data = TABLES[name]
    epochs = []
    train = _runs.train

    def counted(run, theta):
        epochs.append(run.config.n_epochs)
        train(run, theta)

    monkeypatch.setattr(_runs, "train", counted)
    whole = clone(net).fit(*data)
    n_whole = sum(epochs)
    epochs.clear()
    with pytest.raises(CrashError):
        clone(net).set_callbacks(CrashingCheckpoint(tmp_path / "file", n, every=1)).fit(*data)
    n_before = sum(epochs)
    epochs.clear()
    resumed = clone(net).fit(*data, resume_from=tmp_path / "file")
    # with threads, another network was being trained during the crash
    assert sum(epochs) == n_whole - n_before or name == "threads"
    assert sum(epochs) < n_whole
    for goal in whole._goals():
        for a, b in zip(getattr(whole, goal), getattr(resumed, goal), strict=True):
            np.testing.assert_array_equal(a.theta, b.theta)
            assert repr(a[2:]) == repr(b[2:])
    assert resumed.views_ == whole.views_
    np.testing.assert_array_equal(resumed.predict(data[0]), whole.predict(data[0]))


def test_callbacks_see_each_complete_network():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = TabularMLPClassifier(**SMALL).set_callbacks(monitor).fit(X, Y)
    scores = {row["task_id_path"]: row["accuracy"] for row in monitor.get_logs().data}
    assert scores.keys() == {(0,), *((0, k) for k in range(5))}
    assert scores[0,] == net.score(X, Y)
    assert len({*scores.values()}) > 1


# --- kill -9 -----------------------------------------------------------------------------------------------------

_CHILD = """
    import sys, warnings
    from pathlib import Path
    from sklearn.datasets import load_iris
    from sknn_iitb import MLPClassifier
    from sknn_iitb.callbacks import Checkpoint
    from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

    warnings.simplefilter("ignore")
    path, net = Path(sys.argv[1]), eval(sys.argv[2])
    net.set_callbacks(Checkpoint(path, every=1))
    print("ready", flush=True)
    net.fit(*load_iris(return_X_y=True), resume_from=path if path.exists() else None)
    print("done", flush=True)
"""
# by name: the estimator, which trains long enough for this number of kills
_KILLED = {
    "network": "MLPClassifier((6, 5), max_iter={n} * 1000, random_state=0, dropout=0.1, tol=0, n_iter_no_change=10**9)",
    "tabular": "TabularMLPClassifier(hidden_layer_sizes=(8,), max_iter=5, n_estimators=200 + 10 * {n}, random_state=0)",
    "tuned": "TabularMLPRegressor('tuned', n_trials=10 + 10 * {n}, hidden_layer_sizes=8, max_iter=9, random_state=0)",
}


def _progress(saved):
    """The number of epochs of a network, or of steps of the networks of an ensemble."""
    return saved["history"]["n_iter"] if "history" in saved else sum(map(len, saved["pauses"].values()))


@pytest.mark.newest
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("network", 5),
        ("tabular", 1),
        pytest.param("network", 200, marks=pytest.mark.slow),
        pytest.param("tabular", 50, marks=pytest.mark.slow),
        pytest.param("tuned", 50, marks=pytest.mark.slow),
    ],
)
def test_a_killed_process_leaves_a_checkpoint(name, n, tmp_path):
    """Killed at random moments; each child continues from the file of the one before."""
    path, rng, progress, n_killed = tmp_path / "file", random.Random(0), [0], 0
    estimator = _KILLED[name].format(n=n)
    command = [sys.executable, "-c", textwrap.dedent(_CHILD), str(path), estimator]
    for _ in range(n):
        before = path.stat().st_mtime_ns if path.exists() else 0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            deadline = time.monotonic() + 30
            while child.poll() is None and time.monotonic() < deadline:
                if path.exists() and path.stat().st_mtime_ns != before:
                    break
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.2))
            child.send_signal(signal.SIGKILL)
            n_killed += child.wait() == -signal.SIGKILL
        progress.append(_progress(pickle.loads(path.read_bytes())))
    assert n_killed == n
    assert all(b > a for a, b in pairwise(progress)), progress
    net = eval(estimator)
    whole, resumed = _fit(clone(net), (X, Y)), _fit(clone(net), (X, Y), resume_from=path)
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))
    if name == "network":
        np.testing.assert_array_equal(resumed.parameters_, whole.parameters_)
        assert resumed.loss_curve_ == whole.loss_curve_
    else:
        for a, b in zip(resumed.members_, whole.members_, strict=True):
            np.testing.assert_array_equal(a.theta, b.theta)


# --- faults and bad input ----------------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    net, data = NETS["adam"]
    path = tmp_path / "file"
    with pytest.raises(CrashError):
        _fit(clone(net).set_callbacks(CrashingCheckpoint(path, 3, every=1)), data)
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    fitting = clone(net).set_callbacks(Checkpoint(path, every=1))
    with pytest.raises(OSError, match="cannot be written, because the disk is full; the last one is intact") as caught:
        _fit(fitting, data)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert not hasattr(fitting, "coefs_")
    monkeypatch.undo()
    assert _fit(clone(net), data, resume_from=path).n_iter_ == 12


@pytest.mark.newest
def test_a_fit_continues_after_the_disk_was_full(tmp_path):
    net, data = NETS["adam"]
    with disk(tmp_path / "disk", "size=256k") as folder:
        path, other = folder / "file", folder / "other"
        with pytest.raises(CrashError):
            _fit(clone(net).set_callbacks(CrashingCheckpoint(path, 1, every=1)), data)
        before = path.read_bytes()
        # room for one page, so that the error comes in the middle of a checkpoint
        other.write_bytes(bytes(shutil.disk_usage(folder).free - 4096))
        assert len(before) > 4096
        fitting = clone(net).set_callbacks(Checkpoint(path, every=1))
        with pytest.raises(OSError, match="because the disk is full; the last one is intact") as caught:
            _fit(fitting, data, resume_from=path)
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == before
        assert sorted(folder.iterdir()) == [path, other]
        assert not hasattr(fitting, "coefs_")
        other.unlink()
        _fit(fitting, data, resume_from=path)
        assert pickle.loads(path.read_bytes())["history"]["n_iter"] == 12
    np.testing.assert_array_equal(fitting.parameters_, _fit(clone(net), data).parameters_)


@pytest.mark.skipif(os.name == "nt", reason="needs links and permissions")
def test_a_checkpoint_keeps_a_link_and_the_permissions(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    net = clone(NETS["adam"][0]).set_callbacks(Checkpoint(link))
    _fit(net, (X, Y))
    path.chmod(0o664)
    _fit(net, (X, Y))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    net = MLPClassifier(**SHORT).set_callbacks(Checkpoint(tmp_path / "no" / "file", every=1))
    with pytest.raises(OSError, match="The checkpoint cannot be written: No such file or directory"):
        _fit(net, (X, Y))


def _changed(name, value):
    net = clone(NETS["adam"][0])
    return net.set_params(**{name: value})


REFUSED = {
    "parameter": (_changed("alpha", 0.1), (X, Y), r"with other values of the parameters \['alpha'\]"),
    "seed": (_changed("random_state", 1), (X, Y), r"with other values of the parameters \['random_state'\]"),
    "data": (_changed("alpha", 0.0001), (X[:-1], Y[:-1]), "while training on other data"),
    "values": (_changed("alpha", 0.0001), (X + 1e-9, Y), "while training on other data"),
    "labels": (_changed("alpha", 0.0001), (X, Y[::-1]), "while training on other data"),
    "weights": (_changed("alpha", 0.0001), (X, Y, np.arange(1, 151)), "while training on other data"),
    "class": (MLPRegressor(**SHORT), (X, Y), "is a checkpoint of MLPClassifier, not MLPRegressor"),
    "tabular": (TabularMLPClassifier(**SMALL), (X, Y), "is a checkpoint of MLPClassifier, not TabularMLPClassifier"),
    "lbfgs": (_changed("solver", "lbfgs"), (X, Y), "require a new fit with a first-order solver, got solver='lbfgs'"),
    "lbfgs as an object": (_changed("solver", LBFGS()), (X, Y), r"first-order solver, got solver=LBFGS\(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_of_another_fit_is_refused(case, tmp_path):
    path = tmp_path / "file"
    _fit(clone(NETS["adam"][0]).set_callbacks(Checkpoint(path)), (X, Y))
    net, data, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        _fit(net, data, resume_from=path)
    assert not hasattr(net, "n_features_in_")


class _Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile",)


def test_damaged_and_hostile_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, path = clone(NETS["adam"][0]), tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        _fit(net, (X, Y), resume_from=path)
    _fit(clone(net).set_callbacks(Checkpoint(path)), (X, Y))
    content = path.read_bytes()
    saved = pickle.loads(content)
    damaged = {
        "is not a checkpoint, or is damaged": [
            b"\x80\x05Nr\xff\xff\xff\x7f.",  # would make the faster unpickler take 16 GB
            b"",
            b"text",
            content[:-1],
            content[: len(content) // 2],
            pickle.dumps([]),
            pickle.dumps(_Hostile()),
            pickle.dumps(saved | {"theta": _Hostile()}),
        ],
        "was written by version 99 of sknn_iitb, in format 7": [pickle.dumps(saved | {"format": 7, "version": "99"})],
        "is damaged": [
            pickle.dumps(saved | {"theta": saved["theta"][1:]}),
            pickle.dumps(saved | {"theta": saved["theta"].astype("f4")}),
            pickle.dumps(saved | {"history": {"x": 1}}),
            pickle.dumps(saved | {"state": {"__kind__": "State"}}),
            pickle.dumps({name: value for name, value in saved.items() if name != "best"}),
        ],
    }
    for message, contents in damaged.items():
        for each in contents:
            path.write_bytes(each)
            with pytest.raises(ValueError, match=message):
                _fit(net, (X, Y), resume_from=path)
    assert not (tmp_path / "hostile").exists()
    assert not hasattr(net, "coefs_")


def test_invalid_checkpoints_are_refused(tmp_path):
    for every in (0, -1, 1.5, True, "1"):
        with pytest.raises(ValueError, match="every must be an integer of at least 1 or None, got"):
            Checkpoint(tmp_path / "file", every=every)
    two = MLPClassifier(**SHORT).set_callbacks(Checkpoint(tmp_path / "a"), Checkpoint(tmp_path / "b"))
    with pytest.raises(ValueError, match="Only one Checkpoint can be set"):
        _fit(two, (X, Y))
    for solver in ("lbfgs", LBFGS()):
        net = MLPClassifier(**SHORT, solver=solver).set_callbacks(Checkpoint(tmp_path / "a"))
        with pytest.raises(ValueError, match="Checkpoints require a new fit with a first-order solver"):
            _fit(net, (X, Y))
    warm = _fit(MLPClassifier(**SHORT, warm_start=True), (X, Y)).set_callbacks(Checkpoint(tmp_path / "a"))
    with pytest.raises(ValueError, match="first-order solver, got warm_start=True"):
        _fit(warm, (X, Y))
    assert repr(Checkpoint("a", every=2)) == "Checkpoint('a', every=2)"


def test_a_nested_function_may_be_a_parameter(tmp_path):
    def square(z):
        return z * z, 2 * z

    path = tmp_path / "file"
    for activation in (square, lambda z: (z * z, 2 * z)):
        net = MLPClassifier(**SHORT, activation=activation)
        whole = _fit(clone(net).set_callbacks(Checkpoint(path, every=5)), (X, Y))
        resumed = _fit(clone(net), (X, Y), resume_from=path)
        np.testing.assert_array_equal(resumed.parameters_, whole.parameters_)
    with pytest.raises(ValueError, match=r"other values of the parameters \['activation'\]"):
        _fit(MLPClassifier(**SHORT), (X, Y), resume_from=path)


def test_a_pipeline_passes_the_file_on(tmp_path):
    path = tmp_path / "file"
    net = MLPClassifier(**SHORT).set_callbacks(Checkpoint(path, every=3))
    whole = _fit(make_pipeline(StandardScaler(), net), (X, Y))
    again = make_pipeline(StandardScaler(), MLPClassifier(**SHORT))
    resumed = _fit(again, (X, Y), mlpclassifier__resume_from=path)
    np.testing.assert_array_equal(resumed[-1].parameters_, whole[-1].parameters_)
