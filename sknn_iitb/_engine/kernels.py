"""The compiled loops: train on many batches, compute the loss and gradient of one batch, predict.

They know no component by name: they call layers, loss, optimizer and constraints by the addresses in the records of
:mod:`sknn_iitb._jit.signatures`, which each loop unpacks from `packed`. A batch of more than `chunk_rows` rows is split
into chunks, and their gradients are summed. Kernels neither allocate nor raise.
"""

from sknn_iitb._jit.compilation import call
from sknn_iitb._jit.intrinsics import flush_denormals, matrix_at, restore_denormals, row, vector_at
from sknn_iitb._jit.records import unpack
from sknn_iitb._jit.signatures import Batch, LayerRecord, Memory, Net, Problem, Step, Update

__all__ = ["backward", "forward", "given", "gradient", "predict", "train", "work_size"]

# the weight of a batch in the running moments of batch normalization, after the first few batches
_MOMENTUM = 0.1

_load = call["load"]
_layer_forward = call["layer_forward"]
_layer_backward = call["layer_backward"]
_loss = call["loss"]
_constrain = call["constraint"]
_update = call["optimizer"]
_forward = call["forward"]
_backward = call["backward"]
_gradient = call["gradient"]

# the records in `packed`: the first for prediction, three for a gradient, all for training
_net, _evaluation, _training = unpack(Net), unpack(Net, Problem, Memory), unpack(Net, Problem, Memory, Update)


def work_size(n_loaded, n_outputs, n_numbers, chunk_rows):
    """Length of `work`, which holds per row: its weight, input, targets, loss weights, delta, values and caches."""
    return chunk_rows * (1 + n_loaded + 3 * n_outputs + n_numbers)


def forward(x, values, packed, theta, batch):
    """Run the layers in order. `values` holds the values of all layers, followed by their caches."""
    (net,) = _net(packed, theta)
    n_rows = x.shape[0]
    caches = n_rows * net.n_values
    for k in range(net.forward.size):
        layer = LayerRecord(net.n_in[k], net.n_out[k], int(k == 0), row(net.own, k), row(net.hyper, k))
        value = matrix_at(values, n_rows * net.value_start[k], n_rows, net.n_out[k])
        cache = matrix_at(values, caches + n_rows * net.cache_start[k], n_rows, net.cache_size[k])
        if k == 0:
            _layer_forward(net.forward[k], (x, value, cache, layer, theta, batch))
        else:
            below = matrix_at(values, n_rows * net.value_start[k - 1], n_rows, net.n_in[k])
            _layer_forward(net.forward[k], (below, value, cache, layer, theta, batch))


def backward(x, delta, values, packed, theta, batch):
    """Run the layers backward from `delta`, the derivative of the loss with respect to the last value."""
    (net,) = _net(packed, theta)
    n_rows = x.shape[0]
    caches = n_rows * net.n_values
    for k in range(net.backward.size - 1, -1, -1):
        layer = LayerRecord(net.n_in[k], net.n_out[k], int(k == 0), row(net.own, k), row(net.hyper, k))
        cache = matrix_at(values, caches + n_rows * net.cache_start[k], n_rows, net.cache_size[k])
        if k == 0:
            _layer_backward(net.backward[k], (x, delta, cache, layer, theta, batch))
        else:
            below = matrix_at(values, n_rows * net.value_start[k - 1], n_rows, net.n_in[k])
            _layer_backward(net.backward[k], (below, delta, cache, layer, theta, batch))
            if net.value_start[k - 1] != net.value_start[k]:  # else the layer works in place
                delta = below


def gradient(packed, theta, order, key):
    """Gradient of the mean loss over the rows `order` of X, plus the penalties divided by the number of rows."""
    net, problem, memory = _evaluation(packed, theta)
    n_batch = order.size
    n_in, n_out = problem.n_loaded, problem.Y.shape[1]
    last = net.forward.size - 1
    inverse = theta.dtype.type(1 / n_batch)
    rate = theta.dtype.type(problem.input_dropout)
    memory.loss[0] = 0.0
    for start in range(0, n_batch, problem.chunk_rows):
        if memory.stop[0] != 0:
            return
        n_rows = min(problem.chunk_rows, n_batch - start)
        rows = vector_at(order, start, n_rows)
        # where each of them begins in `work`
        y_start = n_rows * n_in
        w_start = y_start + n_rows * n_out
        delta_start = w_start + n_rows * n_out
        values_start = delta_start + n_rows * n_out
        n_values = n_rows * (net.n_values + net.n_cached)
        x = matrix_at(memory.work, 0, n_rows, n_in)
        y = matrix_at(memory.work, y_start, n_rows, n_out)
        w = matrix_at(memory.work, w_start, n_rows, n_out)
        delta = matrix_at(memory.work, delta_start, n_rows, n_out)
        values = vector_at(memory.work, values_start, n_values)
        row_weight = vector_at(memory.work, values_start + n_values, n_rows)
        if problem.load != 0:
            _load(problem.load, (problem.source, rows, x, rate, key))
        for i in range(n_rows):
            row_weight[i] = problem.weight[rows[i]] * inverse
            for j in range(n_out):
                y[i, j] = problem.Y[rows[i], j]
                w[i, j] = row_weight[i]
        batch = Batch(rows, row_weight, memory.gradient if start == 0 else memory.spare, key)
        _forward(net.forward_pass, (x, values, packed, theta, batch))
        score = matrix_at(values, n_rows * net.value_start[last], n_rows, n_out)
        memory.loss[0] += _loss(problem.loss, (score, y, w, delta, problem.loss_hyper, problem.output_groups))
        _backward(net.backward_pass, (x, delta, values, packed, theta, batch))
        if start > 0:
            for i in range(memory.gradient.size):
                memory.gradient[i] += memory.spare[i]
    l2, l1 = theta.dtype.type(problem.l2 / n_batch), theta.dtype.type(problem.l1 / n_batch)
    zero = theta.dtype.type(0)
    square = absolute = 0.0
    for i in range(problem.n_penalized):
        memory.gradient[i] += l2 * theta[i]
        square += theta[i] * theta[i]
    if l1 > 0:
        for i in range(problem.n_penalized):
            memory.gradient[i] += l1 if theta[i] > zero else (-l1 if theta[i] < zero else zero)
            absolute += abs(theta[i])
    memory.penalty[0] = (0.5 * problem.l2 * square + problem.l1 * absolute) / n_batch


def given(packed, theta, order, key):
    """In place of `gradient`: leave loss and gradient as the caller has set them."""


def train(packed, theta, order, learning_rates, step):
    """Take one step per batch of `order`, numbered from `step`, and sum the losses of these batches.

    The sum is NaN if a parameter is not finite at the end.
    """
    _, problem, memory, update = _training(packed, theta)
    memory.loss_sum[0] = memory.penalty_sum[0] = 0.0
    n_trained, batch_rows = update.n_trained, update.batch_rows
    n_vectors = update.optimizer_state.size // n_trained
    trained, slopes = vector_at(theta, 0, n_trained), vector_at(memory.gradient, 0, n_trained)
    before = flush_denormals()
    memory.denormals[0] = before
    for b in range(learning_rates.size):
        rows = vector_at(order, b * batch_rows, min(batch_rows, order.size - b * batch_rows))
        _gradient(problem.gradient, (packed, theta, rows, update.seed + step + b))
        if memory.stop[0] != 0:
            break
        memory.loss_sum[0] += memory.loss[0] * rows.size
        memory.penalty_sum[0] += memory.penalty[0] * rows.size
        for k in range(update.before.size):
            _constrain(update.before[k], (trained, slopes, update.matrices, theta.dtype.type(update.bound_before[k])))
        for k in range(update.group_start.size):
            start, size = update.group_start[k], update.group_stop[k] - update.group_start[k]
            learning_rate = theta.dtype.type(learning_rates[b] * update.learning_rate_factor[k])
            _update(
                update.optimizer,
                (
                    vector_at(theta, start, size),
                    vector_at(memory.gradient, start, size),
                    matrix_at(update.optimizer_state, n_vectors * start, n_vectors, size),
                    update.hyper,
                    Step(step + b + 1, learning_rate, theta.dtype.type(update.decay_factor[k])),
                ),
            )
        for k in range(update.after.size):
            _constrain(update.after[k], (trained, slopes, update.matrices, theta.dtype.type(update.bound_after[k])))
        # Running moments: averaging the first batches makes the initial moments irrelevant. A short batch counts in
        # proportion to its rows.
        share = theta.dtype.type(max(_MOMENTUM, update.averages_moments / (step + b + 1)) * rows.size / batch_rows)
        for i in range(n_trained, theta.size):
            theta[i] -= share * memory.gradient[i]
    # NaN if a parameter is infinite or NaN, else zero
    check = 0.0
    for i in range(theta.size):
        check += theta[i] * 0.0
    memory.loss_sum[0] += check
    restore_denormals(before)


def predict(packed, X, rows, theta, work, out):
    """Values of the last layer for all rows of X, in chunks that fit into `work`.

    If X has no columns, the rows are `rows` of a sparse matrix.
    """
    (net,) = _net(packed, theta)
    last = net.forward.size - 1
    n_out = out.shape[1]
    n_numbers = net.n_values + net.n_cached
    nothing = vector_at(work, 0, 0)
    chunk_rows = work.size // n_numbers
    for start in range(0, X.shape[0], chunk_rows):
        n_rows = min(chunk_rows, X.shape[0] - start)
        x = matrix_at(X, start * X.shape[1], n_rows, X.shape[1])
        values = vector_at(work, 0, n_rows * n_numbers)
        # there are no indices of the rows of a dense X
        batch = Batch(vector_at(rows, min(start, rows.size), min(n_rows, rows.size)), nothing, nothing, 0)
        _forward(net.forward_pass, (x, values, packed, theta, batch))
        first = n_rows * net.value_start[last]
        for i in range(n_rows):
            for j in range(n_out):
                out[start + i, j] = values[first + i * n_out + j]
