"""What a chain of layers looks like: its widths, its activations, and where each layer's parameters lie.

All parameters are one flat vector: the weight matrices of all layers, then the biases of all layers, then what batch
normalization has: scales, running means and running variances of all hidden layers. A matrix has the shape (fan_in,
fan_out), so a neuron is a column.
"""

import math
from functools import cached_property
from itertools import accumulate, pairwise
from weakref import ref

import numpy as np

from sknn_iitb._engine import kernels, layers
from sknn_iitb._engine.rows import table_of
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.records import pack
from sknn_iitb._jit.signatures import Net
from sknn_iitb.activations import Activation, Identity, elementwise

__all__ = ["CompiledNetwork", "Network", "Parameters", "aligned", "native"]

# rows of a batch that go through the layers at a time; products are large enough, and values still in the cache
CHUNK = 1024
# floating-point operations of a prediction between two looks for Ctrl-C
_WORK_PER_CALL = 5e9


def aligned(size, dtype):
    """An empty vector that starts at a cache line: otherwise every other vector load would cross one."""
    itemsize = np.dtype(dtype).itemsize
    vector = np.empty(size + 64 // itemsize, dtype)
    start = -vector.ctypes.data % 64 // itemsize
    return vector[start : start + size]


def native(array):
    """The array in this machine's byte order, for one that was pickled on a machine with the other; else itself."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class Network:
    """A chain of layers.

    Parameters
    ----------
    units : sequence of int
        Number of inputs, of neurons in each hidden layer, and of outputs.
    hidden : sequence of Activation
        One for each hidden layer.
    output : Activation
        The activation of the last layer.
    dropout : sequence of float, optional
        The share that is left out in training of the inputs, and of the neurons of each hidden layer.
    batch_norm : bool, default=False
        Whether the weighted sums of the hidden layers are standardised over the batch.
    """

    def __init__(self, units, hidden, output, dropout=None, batch_norm=False):
        self.units = tuple(int(n) for n in units)
        self.hidden = tuple(hidden)
        self.output = output
        self.dropout = tuple(dropout or [0.0] * (1 + len(self.hidden)))
        self.batch_norm = bool(batch_norm)
        self._compiled = {}  # chains for prediction, for a call of one row should not have to describe one

    def __getstate__(self):
        # addresses are for this process only
        return {**vars(self), "_compiled": {}}

    @cached_property
    def n_coefs(self):
        """Number of weights, without biases."""
        return sum(n_in * n_out for n_in, n_out in pairwise(self.units))

    @cached_property
    def n_trained(self):
        """Number of weights, biases and scales of batch normalization, which the solver moves."""
        return self.n_coefs + sum(self.units[1:]) + self.batch_norm * sum(self.units[1:-1])

    @cached_property
    def n_parameters(self):
        """Length of the flat vector: running means and variances come last."""
        return self.n_trained + 2 * self.batch_norm * sum(self.units[1:-1])

    def matrices(self):
        """(offset, fan_in, fan_out) of each weight matrix, of shape (n_layers, 3)."""
        sizes = [n_in * n_out for n_in, n_out in pairwise(self.units)]
        offsets = accumulate([0, *sizes[:-1]])
        return np.array([(offset, *shape) for offset, shape in zip(offsets, pairwise(self.units), strict=True)])

    def parameter_groups(self, decays):
        """Parts of the parameters, (start, stop), with factors of the rate and of the optimizer's own decay, if any."""
        if not decays:
            return [((0, self.n_trained), (1.0, 1.0))]
        return [((0, self.n_coefs), (1.0, 1.0)), ((self.n_coefs, self.n_trained), (1.0, 0.0))]

    def layers(self, table, activate_output, training=False, dropout=False):
        """The chain, layer by layer.

        Parameters
        ----------
        table : DenseRows or SparseRows
        activate_output : bool
            Whether the last layer applies its activation, or ends with the raw score.
        training : bool
            Whether batch normalization takes the batch's moments.
        dropout : bool
            Whether neurons are left out.
        """
        rates = self.dropout if dropout else [0.0] * len(self.dropout)
        activations = [*self.hidden, self.output if activate_output else Identity()]
        n_hidden = sum(self.units[1:-1])
        weights, bias, scale = 0, self.n_coefs, self.n_coefs + sum(self.units[1:])
        for k, (n_in, n_out) in enumerate(pairwise(self.units)):
            first = k == 0
            yield table.first_layer(n_in, n_out, weights, rates[0]) if first else layers.dense(n_in, n_out, weights)
            if self.batch_norm and k < len(self.hidden):
                moments = scale, scale + n_hidden, scale + 2 * n_hidden
                yield layers.batch_norm(n_out, *moments, bias) if training else layers.standardize(n_out, *moments)
                scale += n_out
            if isinstance(activations[k], Identity):
                yield layers.bias(n_out, bias)
            else:
                yield layers.neurons(n_out, bias, activations[k])
            if k < len(self.hidden) and rates[k + 1] > 0:
                yield layers.dropout(n_out, rates[k + 1], k + 1)
            weights, bias = weights + n_in * n_out, bias + n_out

    def _up_to(self, n_hidden, table, activate_output):
        """The chain to predict with, which has no way back, or that to the values of one hidden layer."""
        chain = [layer._replace(backward=None) for layer in self.layers(table, activate_output)]
        if n_hidden is not None:
            ends = [k for k, layer in enumerate(chain) if not layer.in_place][1:]
            chain = chain[: ends[n_hidden - 1]]
        return chain

    def predict(self, X, theta, activate_output, n_hidden=None):
        """Outputs for all rows of X.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            C order, or CSR.
        theta : ndarray of shape (n_parameters,)
        activate_output : bool
            Whether to return g(z) or the raw score z.
        n_hidden : int, optional
            To return the values of that hidden layer, counted from 1, instead.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs)
        """
        table = table_of(X, theta.dtype)
        key = theta.dtype, activate_output, n_hidden
        network = self._compiled.get(key) if table.described_once else None
        if network is None:
            network = CompiledNetwork(self._up_to(n_hidden, table, activate_output), theta.dtype)
            if table.described_once:
                self._compiled[key] = network
        out = np.empty((X.shape[0], network.n_out), theta.dtype)
        chunk_rows = min(CHUNK, len(out))
        work = aligned(chunk_rows * network.n_numbers, theta.dtype)
        kernel = compiled("predict", kernels.predict, theta.dtype, from_python=True).function
        # some chunks at a time, that Ctrl-C is heard: about 100 ms
        at_once = chunk_rows * max(1, int(_WORK_PER_CALL / (2 * chunk_rows * self.n_parameters + 1)))
        for rows, matrix, indices in table.chunks():
            for start in range(0, len(matrix), at_once):
                few = slice(start, start + at_once)
                kernel(network.packed, matrix[few], indices[few], theta, work, out[rows][few])
        return out


class CompiledNetwork:
    """A chain of layers as the kernels read it. It holds addresses, so it is for this process only.

    Parameters
    ----------
    chain : sequence of LayerSpec
    dtype : dtype

    Attributes
    ----------
    net : Net
        The record.
    n_numbers : int
        How many numbers a row needs for the layers' values and caches.
    n_out : int
        Numbers in a row of the last layer's values.
    """

    def __init__(self, chain, dtype):
        self.n_out = chain[-1].n_out
        own = [[_address(entry, dtype) for entry in layer.own] for layer in chain]
        # a layer that works in place has the value of the layer below
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
        """The table for kernels that only predict."""
        return pack([self.net], self.net.hyper.dtype)


def _integers(values):
    return np.array(list(values), np.int64)


def _padded(rows, dtype):
    """Rows of different lengths as a matrix."""
    matrix = np.zeros((len(rows), max(map(len, rows))), dtype)
    for row, values in zip(matrix, rows, strict=True):
        row[: len(values)] = values
    return matrix


def _address(entry, dtype):
    if isinstance(entry, Activation):
        return compiled("activation", entry.function, dtype, elementwise).address
    return entry


class Parameters:
    """The flat vector of a network with its layers' matrices and biases as views into it.

    Parameters
    ----------
    units : sequence of int
    vector : ndarray of shape (n_parameters,)
    batch_norm : bool

    Attributes
    ----------
    vector : ndarray
    trained : ndarray
        The part of the vector that the solver moves: all but running means and variances.
    coefs, intercepts, scales, means, variances : list of ndarray
        Views; assigning an item copies into the vector. The last three are empty without batch normalization.
    """

    def __init__(self, units, vector, batch_norm=False):
        self.units = tuple(units)
        self.vector = vector = native(vector)
        self.batch_norm = batch_norm
        neurons = [(n,) for n in self.units[1:]]
        of_batch_norm = neurons[:-1] if batch_norm else []
        shapes = [*pairwise(self.units), *neurons, *(3 * of_batch_norm)]
        rest = iter(np.split(vector, list(accumulate(map(math.prod, shapes)))[:-1]))
        self.coefs = Views("coefs_", [next(rest).reshape(shape) for shape in pairwise(self.units)], self)
        self.intercepts = Views("intercepts_", [next(rest) for _ in neurons], self)
        self.scales, self.means, self.variances = (
            Views(name, [next(rest) for _ in of_batch_norm], self) for name in ("scales_", "means_", "variances_")
        )
        self.trained = vector[: vector.size - 2 * sum(map(math.prod, of_batch_norm))]

    def __reduce__(self):
        # the vector alone: views would come back from a pickle or a deep copy as arrays of their own
        return Parameters, (self.units, self.vector, self.batch_norm)

    def folded(self):
        """Weights and biases of the net without batch normalization that predicts the same: it is linear then."""
        coefs, intercepts = [w.copy() for w in self.coefs], [b.copy() for b in self.intercepts]
        for k, (scale, mean, variance) in enumerate(zip(self.scales, self.means, self.variances, strict=True)):
            factor = scale / np.sqrt(variance + variance.dtype.type(layers.EPSILON))
            coefs[k] *= factor
            intercepts[k] -= mean * factor
        return coefs, intercepts

    def writable(self):
        """Self, its vector copied if it is read-only, as one that joblib has memory-mapped is."""
        if not self.vector.flags.writeable:
            other = Parameters(self.units, self.vector.copy(), self.batch_norm)
            for name in ("coefs", "intercepts", "scales", "means", "variances"):
                list.__setitem__(getattr(self, name), slice(None), getattr(other, name))
            self.vector, self.trained = other.vector, other.trained
        return self


class Views(list):
    """A list of arrays of fixed shapes: an item that is assigned is copied into the array that is there."""

    def __init__(self, name, arrays, parameters):
        super().__init__(arrays)
        self._name = name
        self._parameters = ref(parameters)  # weak: memory in a cycle would not be freed at once

    def __reduce__(self):
        return list, (list(self),)

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            self._assign(list(range(len(self)))[index], value)
        else:
            self._assign([index], [value])

    def _refuse(self, *args, **kwargs):
        raise TypeError(f"{self._name} has one array for each layer; assign to its items to change the weights.")

    append = extend = insert = pop = remove = clear = sort = reverse = __delitem__ = __iadd__ = __imul__ = _refuse

    def assign(self, values):
        """Copy one array into each."""
        self._assign(range(len(self)), values)

    def _assign(self, indices, values):
        values = list(values)
        if len(values) != len(indices):
            raise ValueError(f"{self._name} has {len(self)} arrays, got {len(values)} for {len(indices)} of them.")
        arrays = [np.asarray(value) for value in values]
        for index, array in zip(indices, arrays, strict=True):
            if array.shape != self[index].shape or array.dtype.kind not in "biuf":
                shape = self[index].shape
                raise ValueError(f"{self._name}[{index}] has shape {shape}, got {array.shape} of {array.dtype}.")
        if (parameters := self._parameters()) is not None:
            parameters.writable()
        for index, array in zip(indices, arrays, strict=True):
            self[index][...] = array
