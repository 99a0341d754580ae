"""Counts of work, independent of the speed of the machine, that reveal additions to a hot path."""

import pickle
import subprocess
import sys
import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from numba import config

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine import kernels, network, training
from sknn_iitb._engine import objective as objective_module
from sknn_iitb._jit import cache
from sknn_iitb._jit.store import CHECKSUM

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.normal(size=(300, 4))
Y = RNG.randint(3, size=300)


def calls_of(owner, name):
    return patch.object(owner, name, autospec=True, side_effect=getattr(owner, name))


def test_epoch_is_one_call_of_compiled_code():
    net = MLPClassifier(hidden_layer_sizes=5, max_iter=7, random_state=0)
    with calls_of(objective_module.Objective, "train") as train:
        net.fit(X, Y)
    assert train.call_count == 7


def test_fit_packs_its_records_once():
    with calls_of(objective_module, "pack") as pack:
        MLPClassifier(hidden_layer_sizes=5, max_iter=7, random_state=0).fit(X, Y)
    assert pack.call_count == 2  # for the evaluation and for the update


@pytest.mark.parametrize("parameters", [{"shuffle": False}, {}, {"early_stopping": True}], ids=str)
def test_epochs_allocate_nothing_that_grows_with_data_or_network(parameters):
    net = MLPRegressor(hidden_layer_sizes=300, max_iter=12, **{"early_stopping": False, **parameters}, random_state=0)
    rows = RNG.normal(size=(20_000, 30))
    peaks = []
    run_epoch = training._run_epoch

    def watched(*arguments):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        run_epoch(*arguments)
        peaks.append(tracemalloc.get_traced_memory()[1] - before)

    tracemalloc.start()
    try:
        with patch.object(training, "_run_epoch", watched):
            net.fit(rows, rows[:, 0])
    finally:
        tracemalloc.stop()
    # without shuffling, a new array of row indices, 8 bytes each
    assert max(peaks[2:]) < 8 * len(rows) * (not net.shuffle) + 10_000


def test_predictions_compile_the_network_once_and_skip_scikit_learns_validation():
    net = MLPClassifier(hidden_layer_sizes=(5, 5), max_iter=2, random_state=0).fit(X, Y)
    with (
        calls_of(network, "CompiledNetwork") as compiled_networks,
        patch("sknn_iitb.mlp._base.validate_data") as validate,
    ):
        for k in range(5):
            net.predict(X[k : k + 1])
    assert compiled_networks.call_count == 1
    assert validate.call_count == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_numbers_in_unconverted_rows_raise(bad):
    net = MLPClassifier(hidden_layer_sizes=5, max_iter=2, random_state=0).fit(X, Y)
    rows = X[:3].copy()
    rows[1, 2] = bad
    with pytest.raises(ValueError, match="contains"):
        net.predict(rows)


def test_large_numbers_with_an_overflowing_sum_are_accepted():
    net = MLPRegressor(hidden_layer_sizes=5, max_iter=2, random_state=0).fit(X, X[:, 0])
    rows = np.full((2, 4), 1.5e308)
    rows[1] = 1
    assert np.isfinite(net.predict(rows)[1])


def test_rarely_needed_modules_are_not_imported():
    """Each of these modules takes about as long to load as a first fit."""
    script = """
import sys
import numpy as np
from sknn_iitb import MLPClassifier
X = np.random.RandomState(0).normal(size=(50, 3))
MLPClassifier(hidden_layer_sizes=5, max_iter=1000, tol=0.01).fit(X, X[:, 0] > 0).predict(X)
unneeded = "sklearn.metrics", "sklearn.model_selection", "sklearn.neural_network"
print(*(name for name in unneeded if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.skipif(config.DISABLE_JIT, reason="needs compiled code")
def test_cache_file_is_mostly_machine_code():
    assert objective_module.compiled("forward", kernels.forward, "float64")
    name = "sknn_iitb._engine.kernels.forward.forward.float64.nbc"
    path = next(folder / name for folder in cache._directories() if (folder / name).exists())
    (_, _, (machine_code, llvm_code)), *_ = pickle.loads(path.read_bytes()[CHECKSUM:])
    assert len(llvm_code) < len(machine_code)
