"""The signature of every family of compiled functions, and the records that kernels pass to each other."""

from typing import NamedTuple

import numpy as np
from numba import types

from sknn_iitb._jit.records import (
    INDEX_MATRIX,
    INDICES,
    INTEGER,
    MATRIX,
    READONLY_INDICES,
    REAL,
    REALS,
    SCALAR,
    VECTOR,
    numba_type,
)

__all__ = ["SIGNATURES", "Batch", "LayerRecord", "Memory", "Net", "Problem", "Step", "Update"]


class Net(NamedTuple):
    """A chain of layers: addresses of functions, and arrays with an entry per layer.

    `value_start` and `cache_start` are the offsets, per row, of a layer's value and cache among those of all layers.
    """

    forward_pass: INTEGER
    backward_pass: INTEGER
    n_values: INTEGER
    n_cached: INTEGER
    forward: INDICES
    backward: INDICES
    n_in: INDICES
    n_out: INDICES
    value_start: INDICES
    cache_start: INDICES
    cache_size: INDICES
    own: INDEX_MATRIX
    hyper: MATRIX


class LayerRecord(NamedTuple):
    """One layer: its widths, whether its input is the network's, and its own integers and hyperparameters."""

    n_in: INTEGER
    n_out: INTEGER
    is_first: INTEGER
    own: INDICES
    hyper: VECTOR


class Batch(NamedTuple):
    """Rows of the training set with their weights in the loss, their gradient, and the key of random numbers."""

    rows: READONLY_INDICES
    weight: VECTOR
    gradient: VECTOR
    key: INTEGER


class Problem(NamedTuple):
    """The objective: the loss of the training set plus penalties on the first `n_penalized` parameters.

    `gradient`, `load` and `loss` are addresses of functions; `load` is 0 if there is nothing to copy.
    """

    gradient: INTEGER
    load: INTEGER
    n_loaded: INTEGER
    source: INDICES
    Y: MATRIX
    weight: VECTOR
    loss: INTEGER
    loss_hyper: VECTOR
    output_groups: INDICES
    l2: REAL
    l1: REAL
    n_penalized: INTEGER
    input_dropout: REAL
    chunk_rows: INTEGER


class Memory(NamedTuple):
    """Memory that a run writes. Loss and penalty are those of the last batch; the sums cover all batches of a call.

    Another thread may set `stop` to 1 to abandon a batch. `denormals` is the processor's mode before the run.
    """

    gradient: VECTOR
    spare: VECTOR
    work: VECTOR
    loss: REALS
    penalty: REALS
    loss_sum: REALS
    penalty_sum: REALS
    stop: INDICES
    denormals: INDICES


class Step(NamedTuple):
    """One update of a parameter group: its number, from 1, and the group's learning rate and decay."""

    number: INTEGER
    learning_rate: SCALAR
    decay: SCALAR


class Update(NamedTuple):
    """The update after a gradient: constraints, the optimizer for each parameter group, constraints."""

    optimizer: INTEGER
    optimizer_state: VECTOR
    hyper: REALS
    group_start: INDICES
    group_stop: INDICES
    learning_rate_factor: REALS
    decay_factor: REALS
    matrices: INDEX_MATRIX
    before: INDICES
    bound_before: REALS
    after: INDICES
    bound_after: REALS
    n_trained: INTEGER
    averages_moments: INTEGER
    batch_rows: INTEGER
    seed: INTEGER


def _array(dtype, ndim, readonly=False):
    return types.Array(dtype, ndim, "C", readonly=readonly)


def _signatures(f):
    """The signature of every family for the float type `f`."""
    vector, matrix = _array(f, 1), _array(f, 2)
    const_vector, const_matrix = _array(f, 1, readonly=True), _array(f, 2, readonly=True)
    hyper = _array(types.float64, 1, readonly=True)
    index, integers = _array(types.int64, 1, readonly=True), _array(types.int64, 2, readonly=True)
    real, integer, nothing = types.float64, types.int64, types.void
    layer, batch, step = (numba_type(record, f) for record in (LayerRecord, Batch, Step))
    return {
        # components
        "activation": nothing(matrix, const_vector, matrix, const_vector),
        "loss": real(const_matrix, const_matrix, const_matrix, matrix, const_vector, index),
        "constraint": nothing(vector, vector, integers, f),
        "optimizer": nothing(vector, const_vector, matrix, hyper, step),
        # a layer: x, value or delta, cache
        "layer_forward": nothing(const_matrix, matrix, matrix, layer, const_vector, batch),
        "layer_backward": nothing(matrix, matrix, matrix, layer, const_vector, batch),
        # source, rows, x, rate, key
        "load": nothing(index, index, matrix, f, integer),
        # the loops of _engine/kernels.py, which get the packed records
        "forward": nothing(const_matrix, vector, integers, const_vector, batch),
        "backward": nothing(matrix, matrix, vector, integers, const_vector, batch),
        "gradient": nothing(integers, const_vector, index, integer),
        "train": nothing(integers, vector, index, hyper, integer),
        "predict": nothing(integers, const_matrix, index, const_vector, vector, matrix),
    }


SIGNATURES = {
    np.dtype("float32"): _signatures(types.float32),
    np.dtype("float64"): _signatures(types.float64),
}
