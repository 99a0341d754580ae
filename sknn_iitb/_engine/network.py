"""Networks: blocks of layers, and the chain of compiled functions that a network becomes."""

from functools import cached_property
from itertools import accumulate
from numbers import Integral

import numpy as np

from sknn_iitb._engine import kernels
from sknn_iitb._engine.layers import Dense, Dropout, FirstDense, Mode, Neurons, Output
from sknn_iitb._engine.parameters import ParameterLayout, aligned
from sknn_iitb._engine.plain import kind
from sknn_iitb._engine.rows import as_rows
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.records import pack
from sknn_iitb._jit.signatures import Net
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import Activation

__all__ = ["CHUNK", "CompiledNetwork", "Network", "feedforward"]

# Rows that go through the layers at a time: enough for fast matrix products, few enough for the cache.
CHUNK = 1024
# floating-point operations of a prediction between two checks for Ctrl-C
_WORK_PER_CALL = 5e9


@kind("Network")
class Network:
    """Blocks of layers, one after the other.

    Parameters
    ----------
    blocks : sequence of sequence of Layer
        A block for each hidden layer, and one for the output. Each begins with a dense layer.

    Attributes
    ----------
    blocks : tuple of tuple of Layer
    layout : ParameterLayout
    units : tuple of int
        Number of inputs, of neurons in each hidden layer, and of outputs.
    """

    def __init__(self, blocks):
        self.blocks = tuple(map(tuple, blocks))
        _check(self.blocks)
        self.layout = ParameterLayout([_parameters(block) for block in self.blocks])
        self.units = (self.blocks[0][0].n_in, *(block[0].n_out for block in self.blocks))
        self._compiled = {}  # chains for prediction: a call of one row should not have to build one

    def fields(self):
        """What makes an equal network: addresses are valid in this process only."""
        return {"blocks": self.blocks}

    def __reduce__(self):
        return Network, (self.blocks,)

    @property
    def layers(self):
        """All layers, in order."""
        return [layer for block in self.blocks for layer in block]

    @property
    def activations(self):
        """The activation of each hidden layer and of the output."""
        return [layer.activation for layer in self.layers if isinstance(layer, Neurons)]

    @property
    def output(self):
        """The activation of the output."""
        return self.blocks[-1][-1].activation

    @property
    def input_dropout(self):
        """The dropout rate of the inputs."""
        return getattr(self.blocks[0][0], "dropout", 0.0)

    @property
    def drops(self):
        """Whether there is dropout."""
        return self.input_dropout > 0 or any(isinstance(layer, Dropout) and layer.rate > 0 for layer in self.layers)

    @property
    def whole_batch(self):
        """Whether a batch cannot be split into chunks."""
        return any(layer.whole_batch for layer in self.layers)

    def chain(self, mode, n_blocks=None):
        """The specs of the layers, or of those of the first blocks, in order."""
        chain = []
        for k, block in enumerate(self.blocks[:n_blocks]):
            start = self.layout.start(k)
            specs = (layer.spec(start, mode) for layer in block)
            chain += [spec for spec in specs if spec is not None]
        return chain

    def predict(self, X, theta, activate_output, n_hidden=None, chunk_rows=CHUNK):
        """Outputs for all rows of X.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            C order, or CSR.
        theta : ndarray of shape (layout.size,)
        activate_output : bool
            Whether to return g(z) or the raw score z.
        n_hidden : int, optional
            Return the values of this hidden layer instead, counted from 1.
        chunk_rows : int, optional
            Rows that go through the layers at a time. One by one, outputs do not depend on the other rows, to the bit.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs)
        """
        inputs = as_rows(X, theta.dtype)
        key = theta.dtype, activate_output, n_hidden
        network = self._compiled.get(key) if inputs.is_reusable else None
        if network is None:
            chain = self.chain(Mode(inputs, activate_output), n_hidden)
            network = CompiledNetwork([spec._replace(backward=None) for spec in chain], theta.dtype)
            if inputs.is_reusable:
                self._compiled[key] = network
        out = np.empty((X.shape[0], network.n_out), theta.dtype)
        chunk_rows = min(chunk_rows, len(out))
        work = aligned(chunk_rows * network.n_numbers, theta.dtype)
        kernel = compiled("predict", kernels.predict, theta.dtype, from_python=True).function
        # chunks of about 100 ms, between which Ctrl-C works
        at_once = chunk_rows * max(1, int(_WORK_PER_CALL / (2 * chunk_rows * self.layout.size + 1)))
        for rows, matrix, indices in inputs.chunks():
            for start in range(0, len(matrix), at_once):
                few = slice(start, start + at_once)
                kernel(network.packed, matrix[few], indices[few], theta, work, out[rows][few])
        return out


def _check(blocks):
    """Raise ValueError unless the sizes of the layers go together; kernels trust them."""
    n_in = blocks[0][0].n_in
    for dense, *others in blocks:
        sizes = n_in, dense.n_out, *(layer.n_out for layer in others)
        if dense.n_in != n_in or len({*sizes[1:]}) > 1 or not all(isinstance(n, Integral) and n > 0 for n in sizes):
            raise ValueError(f"layers of {dense.n_in} inputs and {sizes[1:]} outputs do not follow one of {n_in}")
        n_in = dense.n_out


def _parameters(block):
    return {name: parameter for layer in block for name, parameter in layer.parameters().items()}


def feedforward(units, hidden, output, dropout=None, normalization=None):
    """The network of a multilayer perceptron.

    Parameters
    ----------
    units : sequence of int
        Number of inputs, of neurons in each hidden layer, and of outputs.
    hidden : sequence of Activation
        One for each hidden layer.
    output : Activation
        The activation of the last layer.
    dropout : sequence of float, optional
        The dropout rates of the inputs and of each hidden layer.
    normalization : type, optional
        One of ``layers.NORMALIZATIONS``, which normalizes the weighted sums of the hidden layers.

    Returns
    -------
    network : Network
    """
    rates = dropout or [0.0] * (1 + len(hidden))
    blocks = []
    for k, activation in enumerate(hidden, start=1):
        n_in, n_out = units[k - 1 : k + 1]
        block = [FirstDense(n_in, n_out, dropout=rates[0]) if k == 1 else Dense(n_in, n_out)]
        block += [normalization(n_out)] if normalization else []
        block += [Neurons(n_out, activation)]
        block += [Dropout(n_out, rates[k], k)] if rates[k] > 0 else []
        blocks.append(block)
    n_in, n_out = units[-2:]
    last = Dense(n_in, n_out) if hidden else FirstDense(n_in, n_out, dropout=rates[0])
    return Network([*blocks, [last, Output(n_out, output)]])


class CompiledNetwork:
    """A chain of layers for the kernels. It holds addresses, so it is valid in this process only.

    Parameters
    ----------
    chain : sequence of LayerSpec
    dtype : dtype

    Attributes
    ----------
    net : Net
        The record.
    n_numbers : int
        How many numbers the layers' values and caches take per row.
    n_out : int
        Number of columns of the last layer's values.
    """

    def __init__(self, chain, dtype):
        self.n_out = chain[-1].n_out
        own = [[_address(entry, dtype) for entry in layer.own] for layer in chain]
        # a layer that works in place shares the value of the layer below
        stops = list(accumulate(0 if layer.in_place else layer.n_out for layer in chain))
        caches = list(accumulate((layer.cache_size for layer in chain), initial=0))
        self.net = Net(
            forward_pass=compiled("forward", kernels.forward, dtype).address,
            backward_pass=compiled("backward", kernels.backward, dtype).address if chain[-1].backward else 0,
            n_values=stops[-1],
            n_cached=caches[-1],
            forward=_integers(compiled("layer_forward", layer.forward, dtype).address for layer in chain),
            backward=_integers(
                compiled("layer_backward", layer.backward, dtype).address if layer.backward else 0 for layer in chain
            ),
            n_in=_integers(layer.n_in for layer in chain),
            n_out=_integers(layer.n_out for layer in chain),
            value_start=_integers(stop - layer.n_out for stop, layer in zip(stops, chain, strict=True)),
            cache_start=_integers(caches[:-1]),
            cache_size=_integers(layer.cache_size for layer in chain),
            own=_padded(own, np.int64),
            hyper=_padded([layer.hyper for layer in chain], dtype),
        )
        self.n_numbers = self.net.n_values + self.net.n_cached

    @cached_property
    def packed(self):
        """The packed record, for prediction."""
        return pack([self.net], self.net.hyper.dtype)


def _integers(values):
    return np.array(list(values), np.int64)


def _padded(rows, dtype):
    """Rows of different lengths as a matrix, padded with zeros."""
    matrix = np.zeros((len(rows), max(map(len, rows))), dtype)
    for row, values in zip(matrix, rows, strict=True):
        row[: len(values)] = values
    return matrix


def _address(entry, dtype):
    if isinstance(entry, Activation):
        return compiled("activation", entry.function, dtype, elementwise).address
    return entry
