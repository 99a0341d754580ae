"""Random networks and data, and the compiled counterpart of a naive net."""

from itertools import pairwise
from types import SimpleNamespace

import numba
import numpy as np
from hypothesis import HealthCheck, settings

from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.objective import Objective
from sknn_iitb._engine.run import State
from sknn_iitb.activations import Softmax


def examples(n):
    """Settings for `n` random networks; fewer without the JIT, where each takes a tenth of a second."""
    n = n // 3 if numba.config.DISABLE_JIT else n
    return settings(max_examples=n, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def random_data(net, dtype, seed, n_rows, weighted=False):
    """Parameters that keep the scale of the values from layer to layer, inputs, targets and sample weights."""
    rng = np.random.default_rng(seed)
    coefs = [rng.normal(size=(n_in, n_out)) / np.sqrt(n_in) for n_in, n_out in pairwise(net.units)]
    intercepts = [rng.normal(size=n) for n in net.units[1:]]
    X = rng.normal(size=(n_rows, net.units[0]))
    if isinstance(net.output, Softmax):
        sizes = np.diff([0, net.units[-1]] if net.output_groups is None else net.output_groups)
        Y = np.hstack([np.eye(n)[rng.integers(0, n, n_rows)] for n in sizes])
    else:
        Y = rng.integers(0, 2, (n_rows, net.units[-1]))
    weight = rng.uniform(0.5, 2, n_rows) if weighted else None
    n_hidden = sum(net.units[1:-1])
    scales, variances = rng.uniform(0.5, 2, (2, n_hidden))
    means = rng.normal(size=n_hidden)
    norm_parameters = {None: [], "batch_norm": [scales, means, variances], "layer_norm": [scales]}[net.normalization]
    theta = np.concatenate([W.ravel() for W in coefs] + intercepts + norm_parameters)
    return theta.astype(dtype), X.astype(dtype), Y.astype(dtype), weight


def exact(*arrays):
    return [None if array is None else array.astype(np.float64) for array in arrays]


def network_of(net, dropout=None):
    return feedforward(net.units, net.hidden, net.output, dropout, NORMALIZATIONS.get(net.normalization))


def build(net, X, Y, weight, max_rows=None, rows=None, dropout=None):
    """The objective of a naive net; `dropout` lists the dropout rates of the inputs and of each hidden layer."""
    network, max_rows = network_of(net, dropout), max_rows or len(Y)
    return Objective(
        network,
        net.loss,
        X,
        Y,
        weight,
        alpha=net.alpha,
        l1=net.l1,
        max_rows=max_rows,
        rows=rows,
        output_groups=net.output_groups,
        dropout=dropout is not None,
    )


def new_state(objective, optimizer, seed=0):
    """The state of a run before its first step."""
    optimizer_state = np.zeros(optimizer.n_state_vectors * objective.network.layout.n_trained, objective.gradient.dtype)
    return State(rng=None, optimizer_state=optimizer_state, n_steps=1, steps_per_epoch=1, learning_rate=0.0, seed=seed)


def run(objective, theta, order, learning_rates, batch_size, optimizer, constraints=(), state=None):
    """Take a step for each learning rate; `constraints` are (constraint, bound) pairs."""
    state = new_state(objective, optimizer) if state is None else state
    objective.begin(state, SimpleNamespace(optimizer=optimizer, constraints=constraints, batch_size=batch_size))
    return objective.train(theta, order, learning_rates, state.step)


def differences(function, theta, h=1e-4):
    """The derivative by five-point finite differences, with an error of order h**4."""
    derivative = np.empty_like(theta)
    for i in range(theta.size):
        at = {}
        for k in (-2, -1, 1, 2):
            moved = theta.copy()
            moved[i] += k * h
            at[k] = function(moved)
        derivative[i] = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    return derivative


def assert_close(actual, expected, dtype):
    """Assert equality within 100 rounding errors of the largest number."""
    size = max(1.0, np.max(np.abs(expected)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=100 * np.finfo(dtype).eps * size)
