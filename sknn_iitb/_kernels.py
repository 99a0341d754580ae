"""The compiled loops: train many batches, loss and gradient of one batch, predict.

They know no part by name: layers, activation, loss and optimizer are called by the addresses in `layers` (the table of
layers.py) and `program`. Matrices live in one flat vector `work`, which the caller allocates with :func:`work_size`
numbers for pieces of at most `piece` rows; a larger batch goes through in several pieces, whose gradients are added up.
Nothing is allocated here, and nothing is raised.
"""

from sknn_iitb._jit import call, prefetch
from sknn_iitb.layers import ACTIVATION, BACKWARD, FORWARD, N_IN, N_OUT, VALUE

__all__ = ["backward", "forward", "gradient", "predict", "train", "work_size"]

# entries of `program`: addresses
FORWARD_PASS, BACKWARD_PASS, LOSS, GRADIENT, UPDATE = range(5)
# entries of `totals`: mean loss and penalty of the last batch; their sums over the batches, times their rows
BATCH_LOSS, BATCH_PENALTY, SUM_LOSS, SUM_PENALTY = range(4)

# rows between asking for one and copying it
_AHEAD = 8

_layer_forward = call["layer_forward"]
_layer_backward = call["layer_backward"]
_loss = call["loss"]
_update = call["optimizer"]
_forward = call["forward"]
_backward = call["backward"]
_gradient = call["gradient"]


def work_size(units, piece):
    """Length of `work`: a row's input, targets, weights and gradients, and each layer's value and slope."""
    return piece * (units[0] + 3 * units[-1] + 2 * sum(units[1:]))


def forward(x, theta, values, slopes, layers, hypers):
    """Run the layers one after the other; `values` and `slopes` hold theirs behind one another."""
    n_rows = x.shape[0]
    for k in range(layers.shape[0]):
        layer = layers[k]
        start, stop = n_rows * layer[VALUE], n_rows * (layer[VALUE] + layer[N_OUT])
        value = values[start:stop].reshape(n_rows, layer[N_OUT])
        slope = slopes[start:stop].reshape(n_rows, layer[N_OUT])
        if k == 0:
            _layer_forward(layer[FORWARD], (x, theta, value, slope, layer, hypers[k]))
        else:
            start = n_rows * layers[k - 1, VALUE]
            before = values[start : start + n_rows * layer[N_IN]].reshape(n_rows, layer[N_IN])
            _layer_forward(layer[FORWARD], (before, theta, value, slope, layer, hypers[k]))


def backward(x, theta, gradient, delta, values, slopes, layers):
    """Run the layers backwards from `delta`, the loss's derivative with respect to the last value."""
    n_rows = x.shape[0]
    last = layers.shape[0] - 1
    if layers[last, ACTIVATION] != 0:
        start = n_rows * layers[last, VALUE]
        d, s = delta.ravel(), slopes[start : start + delta.size]
        for i in range(d.size):
            d[i] *= s[i]
    for k in range(last, 0, -1):
        layer = layers[k]
        start = n_rows * layers[k - 1, VALUE]
        stop = start + n_rows * layer[N_IN]
        before = values[start:stop].reshape(n_rows, layer[N_IN])
        n_sloped = n_rows if layers[k - 1, ACTIVATION] != 0 else 0
        slope = slopes[start : start + n_sloped * layer[N_IN]].reshape(n_sloped, layer[N_IN])
        _layer_backward(layer[BACKWARD], (before, theta, gradient, delta, slope, before, layer))
        delta = before
    nothing = values[:0].reshape(0, layers[0, N_IN])
    _layer_backward(layers[0, BACKWARD], (x, theta, gradient, delta, nothing, nothing, layers[0]))


def gradient(
    X,
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
    program,
    l2,
    n_coefs,
    piece,
):
    """Gradient of the mean loss over the rows `order` of X plus l2 / (2 rows) times the squared weights."""
    n_batch = order.size
    n_in, n_out = X.shape[1], Y.shape[1]
    width = layers[-1, VALUE] + layers[-1, N_OUT]
    inverse = weight.dtype.type(1 / n_batch)
    line = 64 // X.itemsize
    totals[BATCH_LOSS] = 0.0
    for start in range(0, n_batch, piece):
        n_rows = min(piece, n_batch - start)
        end_x = n_rows * n_in
        end_y = end_x + n_rows * n_out
        end_w = end_y + n_rows * n_out
        end_delta = end_w + n_rows * n_out
        end_values = end_delta + n_rows * width
        x = work[:end_x].reshape(n_rows, n_in)
        y = work[end_x:end_y].reshape(n_rows, n_out)
        w = work[end_y:end_w].reshape(n_rows, n_out)
        delta = work[end_w:end_delta].reshape(n_rows, n_out)
        values = work[end_delta:end_values]
        slopes = work[end_values : end_values + n_rows * width]
        for i in range(n_rows):
            row = order[start + i]
            # rows come in random order, which the processor cannot foresee: ask for one some rows ahead
            ahead = order[min(start + i + _AHEAD, n_batch - 1)]
            for j in range(0, n_in, line):
                prefetch(X, ahead, j)
            for j in range(n_in):
                x[i, j] = X[row, j]
            row_weight = weight[row] * inverse
            for j in range(n_out):
                y[i, j] = Y[row, j]
                w[i, j] = row_weight
        _forward(program[FORWARD_PASS], (x, theta, values, slopes, layers, hypers))
        score = values[n_rows * layers[-1, VALUE] :].reshape(n_rows, n_out)
        totals[BATCH_LOSS] += _loss(program[LOSS], (score, y, w, delta, loss_hyper))
        if start == 0:
            _backward(program[BACKWARD_PASS], (x, theta, gradient, delta, values, slopes, layers))
        else:
            _backward(program[BACKWARD_PASS], (x, theta, spare, delta, values, slopes, layers))
            for i in range(gradient.size):
                gradient[i] += spare[i]
    scale = theta.dtype.type(l2 / n_batch)
    square = 0.0
    for i in range(n_coefs):
        gradient[i] += scale * theta[i]
        square += theta[i] * theta[i]
    totals[BATCH_PENALTY] = 0.5 * l2 / n_batch * square


def train(
    X,
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
    program,
    l2,
    n_coefs,
    piece,
    slots,
    rates,
    batch_size,
    step,
    update_hyper,
    blocks,
    factors,
):
    """Take one step per batch of `batch_size` rows in `order`.

    `blocks` holds ranges of theta, `factors` for each the factor of the rate and that of the optimizer's own decay. The
    slots of a block lie behind one another in `slots`. The loss is NaN if a parameter is not finite in the end.
    """
    n_slots = slots.size // theta.size
    for b in range(rates.size):
        rows = order[b * batch_size : min((b + 1) * batch_size, order.size)]
        _gradient(
            program[GRADIENT],
            (
                X,
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
                program,
                l2,
                n_coefs,
                piece,
            ),
        )
        totals[SUM_LOSS] += totals[BATCH_LOSS] * rows.size
        totals[SUM_PENALTY] += totals[BATCH_PENALTY] * rows.size
        for k in range(blocks.shape[0]):
            start, stop = blocks[k, 0], blocks[k, 1]
            memory = slots[n_slots * start : n_slots * stop].reshape(n_slots, stop - start)
            _update(
                program[UPDATE],
                (
                    theta[start:stop],
                    gradient[start:stop],
                    memory,
                    update_hyper,
                    theta.dtype.type(rates[b] * factors[k, 0]),
                    theta.dtype.type(factors[k, 1]),
                    step + b + 1,
                ),
            )
    # NaN if a parameter is infinite or NaN, else zero
    check = 0.0
    for i in range(theta.size):
        check += theta[i] * 0.0
    totals[SUM_LOSS] += check


def predict(X, theta, work, out, layers, hypers, program, piece):
    """Values of the last layer for all rows of X, piece by piece."""
    n_out = out.shape[1]
    width = layers[-1, VALUE] + n_out
    for start in range(0, X.shape[0], piece):
        stop = min(start + piece, X.shape[0])
        n_rows = stop - start
        values = work[: n_rows * width]
        slopes = work[n_rows * width : 2 * n_rows * width]
        _forward(program[FORWARD_PASS], (X[start:stop], theta, values, slopes, layers, hypers))
        first = n_rows * layers[-1, VALUE]
        for i in range(n_rows):
            for j in range(n_out):
                out[start + i, j] = values[first + i * n_out + j]
