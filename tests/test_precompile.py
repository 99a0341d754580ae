"""``python -m sknn_iitb.precompile``."""

import os
import subprocess
import sys

import pytest

from sknn_iitb import precompile
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS

LATER = """
import warnings
import numpy as np
from numba.core import event
from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.losses import Quantile
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor
warnings.simplefilter("ignore")
compilations = event.RecordingListener()
event.register("numba:compile", compilations)
X = np.random.RandomState(0).normal(size=(50, 3))
MLPClassifier(max_iter=2, early_stopping=True).fit(X, X[:, 0] > 0).predict_proba(X)
MLPClassifier(max_iter=2, solver="adamw", dropout=0.2, activation="gelu").fit(X, np.arange(50) % 3).predict(X)
MLPRegressor(max_iter=2, loss="huber", batch_norm=True, clip_norm=1.0).fit(X, X[:, 0]).predict(X)
MLPRegressor(max_iter=2, solver="lbfgs").fit(X, X[:, 0]).predict(X)
MLPRegressor(max_iter=2, loss=Quantile([0.1, 0.9]), dropout=[0.1, 0.1]).fit(X, X[:, 0]).predict(X)
MLPRegressor(max_iter=2).fit((9 * X).astype(np.uint16), X[:, 0])
TabularMLPClassifier(max_iter=2).fit(X, X[:, 0] > 0).predict_proba(X)
TabularMLPRegressor(max_iter=2, quantiles=[0.1, 0.9]).fit(X, X[:, 0]).predict(X)
print(sum(e.is_start for _, e in compilations.buffer))
"""


def run(cache, *arguments):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_precompile_leaves_nothing_to_compile(tmp_path):
    assert str(tmp_path) in run(tmp_path, "-m", "sknn_iitb.precompile")
    assert run(tmp_path, "-c", LATER) == "0\n"


FULL_DISK = """
import errno, os, sys
from sknn_iitb import precompile

def full(source, target):
    raise OSError(errno.ENOSPC, "No space left on device")

os.replace = full
first = next(precompile.nets())
precompile.nets = lambda: [first]
sys.exit(precompile.main(["float64"]))
"""


@pytest.mark.newest
def test_full_disk_is_reported_and_leaves_no_file(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_OPT": "0"}
    done = subprocess.run([sys.executable, "-c", FULL_DISK], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "compiled functions could not be stored: [Errno 28] No space left on device" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_networks_cover_all_components():
    nets = [net.get_params() for net, _, _ in precompile.nets()]
    names = {parameter: {net[parameter] for net in nets} for parameter in ("activation", "loss", "solver")}
    assert names["activation"] == {cls.names[0] for cls in ACTIVATIONS if cls.hidden}
    assert names["loss"] >= {cls.names[0] for cls in LOSSES}
    assert names["solver"] == {cls.names[0] for cls in OPTIMIZERS}


def test_unknown_dtype_exits_with_an_error(capsys):
    with pytest.raises(SystemExit):
        precompile.main(["float16"])
    assert "float16 is not one of float32, float64" in capsys.readouterr().err
