"""How often kernels read their arrays, and whether in vector code: costs that no result shows."""

import re
from collections import Counter
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from nets import new_state, run
from numba import config

from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.objective import Objective
from sknn_iitb._jit import compilation
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS

pytestmark = pytest.mark.newest

UNITS = [4, 5, 3, 2]
N_ROWS, BATCH_SIZE = 20, 8
# activations of hidden layers have an elementwise function
FUNCTIONS = [cls for cls in ACTIVATIONS if getattr(cls, "function", None) is not None]
SOLVERS = [cls for cls in OPTIMIZERS if getattr(cls, "kernel", None) is not None]


class Counted(np.ndarray):
    """An array that counts the reads of single items."""

    n_reads = 0

    def __getitem__(self, index):
        found = super().__getitem__(index)
        Counted.n_reads += not isinstance(found, np.ndarray)
        return found


def epoch_runner():
    """Return a function that trains for an epoch of three batches."""
    rng = np.random.RandomState(0)
    network = feedforward(UNITS, [ACTIVATIONS["relu"]()] * 2, ACTIVATIONS["softmax"]())
    X, Y = rng.normal(size=(N_ROWS, UNITS[0])), np.eye(2)[rng.randint(2, size=N_ROWS)]
    objective = Objective(network, LOSSES["log_loss"](), X, Y, alpha=0.1, max_rows=BATCH_SIZE)
    solver = OPTIMIZERS["adam"]()
    theta = rng.normal(size=network.layout.size)
    state = new_state(objective, solver)
    return lambda: run(
        objective, theta.view(Counted), np.arange(N_ROWS), np.full(3, 0.1), BATCH_SIZE, solver, (), state
    )


needs_python = pytest.mark.skipif(not config.DISABLE_JIT, reason="only Python functions can be counted")
needs_compiler = pytest.mark.skipif(config.DISABLE_JIT, reason="needs compiled code")


@pytest.mark.nojit
@needs_python
def test_each_function_runs_once_per_batch():
    epoch_runner()()  # the functions are registered by the first step
    train, calls = epoch_runner(), Counter()

    def counting(function):
        def counted(*arguments):
            calls[function.__name__] += 1
            return function(*arguments)

        return counted

    counting_all = {handle: counting(function) for handle, function in compilation._python_functions.items()}
    with patch.dict(compilation._python_functions, counting_all):
        train()
    once = ["gradient", "forward", "backward", "softmax_log_loss", "_adam", "bias_forward", "bias_backward"]
    in_each_hidden_layer = ["neurons_forward", "neurons_backward", "activate"]
    in_each_layer = ["dense_forward", "dense_backward"]
    (loader,) = (name for name in calls if name.startswith("load"))
    assert calls == Counter(3 * (once + [loader] + 2 * in_each_hidden_layer + 3 * in_each_layer))


@pytest.mark.nojit
@needs_python
def test_each_batch_reads_each_weight_four_times():
    train = epoch_runner()
    Counted.n_reads = 0
    train()
    n_weights = sum(n_in * n_out for n_in, n_out in pairwise(UNITS))
    n_biases = sum(UNITS[1:])
    # penalty and its gradient: three reads in one loop; the update; once an epoch, the check that all are finite
    n_parameter_reads = 3 * (3 * n_weights + n_weights + n_biases) + n_weights + n_biases
    # the bias of each neuron for each row
    assert Counted.n_reads == n_parameter_reads + N_ROWS * n_biases


def _llvm(family, function, dtype, template=None):
    """The LLVM code of a function, compiled like a custom one: functions loaded from the cache have none."""
    with patch.object(compilation, "name_in_package", return_value=None):
        compilation._compile(family, function, np.dtype(dtype), template, False)
    (code,) = compilation._alive.pop().inspect_llvm().values()
    return code


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("component", [*FUNCTIONS, *SOLVERS], ids=lambda component: component.__name__)
def test_loops_are_vectorized_without_calls(component, dtype):
    if component in SOLVERS:
        code = _llvm("optimizer", component.kernel, dtype)
    else:
        code = _llvm("activation", component.function, dtype, elementwise)
    number = {"float32": "float", "float64": "double"}[dtype]
    assert re.search(rf"= f\w+ .*<\d+ x {number}>", code)
    libm = r"(?:exp|expm1|exp2|erf|erfc|log|log1p|pow|sin|cos|sinh|cosh|tanh)f?"
    called = set(re.findall(rf"@(?:llvm\.)?({libm})\b", code))
    # bias correction of adam, once per batch
    assert called <= ({"pow"} if component in SOLVERS else set())
