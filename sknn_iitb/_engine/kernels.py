"""The compiled loops: train many batches, loss and gradient of one batch, predict.

They know no part by name: layers, loss, optimizer and what else a step consists of are called by the addresses in
`layers` (the table of layers.py), `program` and `adjustments`. Matrices live in one flat vector `work`, which the
caller allocates with :func:`work_size` numbers for pieces of at most `piece` rows; a larger batch goes through in
several pieces, whose gradients are added up. Nothing is allocated here, and nothing is raised.
"""

import numpy as np

from sknn_iitb._engine.layers import BACKWARD, FORWARD, KEPT, N_IN, N_KEPT, N_OUT, VALUE
from sknn_iitb._jit.compilation import call
from sknn_iitb._jit.intrinsics import (
    address,
    block,
    flush_denormals,
    matrix_in,
    part,
    restore_denormals,
    row,
    vector_in,
)

__all__ = ["backward", "forward", "frame", "gradient", "predict", "train", "work_size"]

# entries of `program`: addresses, then numbers; STOP may become other than 0 meanwhile, and ends a batch unfinished
FORWARD_PASS, BACKWARD_PASS, LOSS, GRADIENT, UPDATE, LOAD, N_LOADED, N_COEFS, N_TRAINED, PIECE_ROWS, STOP = range(11)
# what the processor did with denormal numbers before training, for who has to restore that after an error
CONTROL = 11
# the first entries of the shorter `program` of predict
PREDICT_FORWARD, PREDICT_PIECE = range(2)
# entries of `strengths`: of the two penalties; the share of the inputs that dropout leaves out; 1 where the running
# moments begin with the first step, else 0
L2, L1, INPUT_DROPOUT, AVERAGE = range(4)
# entries of `totals`: mean loss and penalty of the last batch; their sums over the batches, times their rows
BATCH_LOSS, BATCH_PENALTY, SUM_LOSS, SUM_PENALTY = range(4)
# the arrays of a `frame` and their types, None for that of theta; its columns are address, rows and columns
FRAME = {
    **dict.fromkeys(("Y", "weight", "gradient", "spare", "work", "hypers", "loss_hyper", "slots")),
    **dict.fromkeys(("totals", "strengths", "update_hyper", "factors", "bounds"), np.float64),
    **dict.fromkeys(("source", "layers", "blocks", "program", "ranges", "matrices", "adjustments"), np.int64),
}
_Y, _WEIGHT, _GRADIENT, _SPARE, _WORK, _HYPERS, _LOSS_HYPER, _SLOTS = range(8)
_TOTALS, _STRENGTHS, _UPDATE_HYPER, _FACTORS, _BOUNDS = range(8, 13)
_SOURCE, _LAYERS, _BLOCKS, _PROGRAM, _RANGES, _MATRICES, _ADJUSTMENTS = range(13, 20)
# columns of `adjustments`: an address, and whether it comes after the update
ADJUST, AFTERWARDS = range(2)

# the share of a batch in the running moments of batch normalization, once there have been more batches
_MOMENTUM = 0.1

_load = call["load"]
_layer_forward = call["layer_forward"]
_layer_backward = call["layer_backward"]
_loss = call["loss"]
_adjust = call["adjustment"]
_update = call["optimizer"]
_forward = call["forward"]
_backward = call["backward"]
_gradient = call["gradient"]


def work_size(n_loaded, n_outputs, n_values, n_kept, piece):
    """Length of `work`: a row's weight, input, targets, weights and gradients of the loss, values and what is kept."""
    return piece * (1 + n_loaded + 3 * n_outputs + n_values + n_kept)


def frame(arrays, dtype):
    """The frame for :func:`train`: where `arrays`, by name, are. The caller keeps them alive.

    Raises
    ------
    TypeError
        If an array is not what the kernel will take it for.
    """
    for name, kind in FRAME.items():
        if arrays[name].dtype != (kind or dtype) or not arrays[name].flags.c_contiguous:
            raise TypeError(f"{name} must be of {np.dtype(kind or dtype)} in C order, got {arrays[name].dtype}")
    return np.array([(address(arrays[name]), *arrays[name].shape, 1)[:3] for name in FRAME], np.int64)


def forward(x, rows, weight, theta, gradient, values, kept, layers, hypers, key):
    """Run the layers one after the other; `values` and `kept` hold theirs behind one another."""
    n_rows = x.shape[0]
    for k in range(layers.shape[0]):
        layer, hyper = row(layers, k), row(hypers, k)
        value = block(values, n_rows * layer[VALUE], n_rows, layer[N_OUT])
        keep = block(kept, n_rows * layer[KEPT], n_rows, layer[N_KEPT])
        if k == 0:
            _layer_forward(layer[FORWARD], (x, rows, weight, theta, gradient, value, keep, layer, hyper, key))
        else:
            before = block(values, n_rows * layers[k - 1, VALUE], n_rows, layer[N_IN])
            _layer_forward(layer[FORWARD], (before, rows, weight, theta, gradient, value, keep, layer, hyper, key))


def backward(x, rows, weight, theta, gradient, delta, values, kept, layers, hypers, key):
    """Run the layers backwards from `delta`, the loss's derivative with respect to the last value."""
    n_rows = x.shape[0]
    for k in range(layers.shape[0] - 1, -1, -1):
        layer, hyper = row(layers, k), row(hypers, k)
        keep = block(kept, n_rows * layer[KEPT], n_rows, layer[N_KEPT])
        if k == 0:
            nothing = block(values, 0, 0, layer[N_IN])
            arguments = (x, rows, weight, theta, gradient, delta, keep, nothing, layer, hyper, key)
            _layer_backward(layer[BACKWARD], arguments)
        else:
            below = layers[k - 1, VALUE]
            before = block(values, n_rows * below, n_rows, layer[N_IN])
            arguments = (before, rows, weight, theta, gradient, delta, keep, before, layer, hyper, key)
            _layer_backward(layer[BACKWARD], arguments)
            if below != layer[VALUE]:  # else it has worked in place
                delta = before


def gradient(
    source,
    Y,
    weight,
    order,
    theta,
    gradient,
    spare,
    work,
    totals,
    layers,
    hypers,
    loss_hyper,
    blocks,
    program,
    strengths,
    key,
):
    """Gradient of the mean loss over the rows `order` of X, plus the penalties, divided by the number of rows."""
    n_batch = order.size
    n_in, n_out = program[N_LOADED], Y.shape[1]
    last = layers.shape[0] - 1
    n_values = layers[last, VALUE] + n_out
    n_kept = layers[last, KEPT] + layers[last, N_KEPT]
    inverse = weight.dtype.type(1 / n_batch)
    rate = theta.dtype.type(strengths[INPUT_DROPOUT])
    piece = program[PIECE_ROWS]
    totals[BATCH_LOSS] = 0.0
    for start in range(0, n_batch, piece):
        if program[STOP] != 0:
            return
        n_rows = min(piece, n_batch - start)
        rows = part(order, start, n_rows)
        begin_y = n_rows * n_in
        begin_w = begin_y + n_rows * n_out
        begin_delta = begin_w + n_rows * n_out
        begin_values = begin_delta + n_rows * n_out
        begin_kept = begin_values + n_rows * n_values
        x = block(work, 0, n_rows, n_in)
        y = block(work, begin_y, n_rows, n_out)
        w = block(work, begin_w, n_rows, n_out)
        delta = block(work, begin_delta, n_rows, n_out)
        values = part(work, begin_values, n_rows * n_values)
        kept = part(work, begin_kept, n_rows * n_kept)
        row_weight = part(work, begin_kept + n_rows * n_kept, n_rows)
        if program[LOAD] != 0:
            _load(program[LOAD], (source, rows, x, rate, key))
        for i in range(n_rows):
            row_weight[i] = weight[rows[i]] * inverse
            for j in range(n_out):
                y[i, j] = Y[rows[i], j]
                w[i, j] = row_weight[i]
        _forward(program[FORWARD_PASS], (x, rows, row_weight, theta, gradient, values, kept, layers, hypers, key))
        score = block(values, n_rows * layers[last, VALUE], n_rows, n_out)
        totals[BATCH_LOSS] += _loss(program[LOSS], (score, y, w, delta, loss_hyper, blocks))
        into = gradient if start == 0 else spare
        _backward(program[BACKWARD_PASS], (x, rows, row_weight, theta, into, delta, values, kept, layers, hypers, key))
        if start > 0:
            for i in range(gradient.size):
                gradient[i] += spare[i]
    l2, l1 = theta.dtype.type(strengths[L2] / n_batch), theta.dtype.type(strengths[L1] / n_batch)
    zero = theta.dtype.type(0)
    square = absolute = 0.0
    for i in range(program[N_COEFS]):
        gradient[i] += l2 * theta[i]
        square += theta[i] * theta[i]
    if l1 > 0:
        for i in range(program[N_COEFS]):
            gradient[i] += l1 if theta[i] > zero else (-l1 if theta[i] < zero else zero)
            absolute += abs(theta[i])
    totals[BATCH_PENALTY] = (0.5 * strengths[L2] * square + strengths[L1] * absolute) / n_batch


def train(frame, theta, order, rates, batch_size, step, key):
    """Take one step per batch of `batch_size` rows in `order`; add up the totals of these alone.

    The other arrays stay the same for a whole run and come in the `frame`, for numba takes longer to hand over twenty
    arrays than a small net needs to learn from a batch. `ranges` are parts of theta, `factors` for each the factor of
    the rate and that of the optimizer's own decay. The slots of a part lie behind one another in `slots`.
    `adjustments`, each with its bound, change the gradient before the update or theta after it. The loss is NaN if a
    parameter is not finite in the end.
    """
    weight = vector_in(frame, _WEIGHT, theta)
    gradient = vector_in(frame, _GRADIENT, theta)
    spare = vector_in(frame, _SPARE, theta)
    work = vector_in(frame, _WORK, theta)
    loss_hyper = vector_in(frame, _LOSS_HYPER, theta)
    slots = vector_in(frame, _SLOTS, theta)
    Y = matrix_in(frame, _Y, theta)
    hypers = matrix_in(frame, _HYPERS, theta)
    totals = vector_in(frame, _TOTALS, rates)
    strengths = vector_in(frame, _STRENGTHS, rates)
    bounds = vector_in(frame, _BOUNDS, rates)
    update_hyper = vector_in(frame, _UPDATE_HYPER, rates)
    factors = matrix_in(frame, _FACTORS, rates)
    source = vector_in(frame, _SOURCE, order)
    blocks = vector_in(frame, _BLOCKS, order)
    program = vector_in(frame, _PROGRAM, order)
    layers = matrix_in(frame, _LAYERS, order)
    ranges = matrix_in(frame, _RANGES, order)
    matrices = matrix_in(frame, _MATRICES, order)
    adjustments = matrix_in(frame, _ADJUSTMENTS, order)
    totals[:] = 0
    n_trained = program[N_TRAINED]
    n_slots = slots.size // n_trained
    trained, slopes = part(theta, 0, n_trained), part(gradient, 0, n_trained)
    before = flush_denormals()
    program[CONTROL] = before
    for b in range(rates.size):
        rows = part(order, b * batch_size, min(batch_size, order.size - b * batch_size))
        _gradient(
            program[GRADIENT],
            (
                source,
                Y,
                weight,
                rows,
                theta,
                gradient,
                spare,
                work,
                totals,
                layers,
                hypers,
                loss_hyper,
                blocks,
                program,
                strengths,
                key + step + b,
            ),
        )
        if program[STOP] != 0:
            break
        totals[SUM_LOSS] += totals[BATCH_LOSS] * rows.size
        totals[SUM_PENALTY] += totals[BATCH_PENALTY] * rows.size
        for k in range(adjustments.shape[0]):
            if adjustments[k, AFTERWARDS] == 0:
                bound = theta.dtype.type(bounds[k])
                _adjust(adjustments[k, ADJUST], (trained, slopes, matrices, bound))
        for k in range(ranges.shape[0]):
            start, size = ranges[k, 0], ranges[k, 1] - ranges[k, 0]
            _update(
                program[UPDATE],
                (
                    part(theta, start, size),
                    part(gradient, start, size),
                    block(slots, n_slots * start, n_slots, size),
                    update_hyper,
                    theta.dtype.type(rates[b] * factors[k, 0]),
                    theta.dtype.type(factors[k, 1]),
                    step + b + 1,
                ),
            )
        for k in range(adjustments.shape[0]):
            if adjustments[k, AFTERWARDS] != 0:
                bound = theta.dtype.type(bounds[k])
                _adjust(adjustments[k, ADJUST], (trained, slopes, matrices, bound))
        # running moments; the first batches are averaged, so that where they started from does not matter
        # a short batch counts by its rows
        share = theta.dtype.type(max(_MOMENTUM, strengths[AVERAGE] / (step + b + 1)) * rows.size / batch_size)
        for i in range(n_trained, theta.size):
            theta[i] -= share * gradient[i]
    # NaN if a parameter is infinite or NaN, else zero
    check = 0.0
    for i in range(theta.size):
        check += theta[i] * 0.0
    totals[SUM_LOSS] += check
    restore_denormals(before)


def predict(X, rows, theta, work, out, layers, hypers, program):
    """Values of the last layer for all rows of X, piece by piece; of the table's `rows` where X is empty."""
    last = layers.shape[0] - 1
    n_out = out.shape[1]
    n_values = layers[last, VALUE] + n_out
    nothing = part(work, 0, 0)
    piece = program[PREDICT_PIECE]
    for start in range(0, X.shape[0], piece):
        n_rows = min(piece, X.shape[0] - start)
        x, of_piece = block(X, start * X.shape[1], n_rows, X.shape[1]), part(rows, start, n_rows)
        values, kept = part(work, 0, n_rows * n_values), part(work, n_rows * n_values, work.size - n_rows * n_values)
        arguments = (x, of_piece, nothing, theta, nothing, values, kept, layers, hypers, 0)
        _forward(program[PREDICT_FORWARD], arguments)
        first = n_rows * layers[last, VALUE]
        for i in range(n_rows):
            for j in range(n_out):
                out[start + i, j] = values[first + i * n_out + j]
