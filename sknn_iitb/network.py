"""What a chain of layers looks like: its widths, its activations, and where each layer's parameters lie.

All parameters are one flat vector: the weight matrices of all layers, then the biases of all layers. A matrix has the
shape (fan_in, fan_out), so a neuron is a column.
"""

from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from sknn_iitb import _kernels, layers
from sknn_iitb._jit import compiled
from sknn_iitb.activations import Identity, elementwise

__all__ = ["Network", "Parameters", "aligned"]

# rows of a batch that go through the layers at a time; products are large enough, and values still in the cache
PIECE = 1024


def aligned(size, dtype):
    """An empty vector that starts at a cache line: otherwise every other vector load would cross one."""
    itemsize = np.dtype(dtype).itemsize
    vector = np.empty(size + 64 // itemsize, dtype)
    start = -vector.ctypes.data % 64 // itemsize
    return vector[start : start + size]


class Network:
    """A chain of dense layers.

    Parameters
    ----------
    units : sequence of int
        Number of inputs, of neurons in each hidden layer, and of outputs.
    hidden : sequence of Activation
        One for each hidden layer.
    output : Activation
        The activation of the last layer.
    """

    def __init__(self, units, hidden, output):
        self.units = tuple(int(n) for n in units)
        self.hidden = tuple(hidden)
        self.output = output

    @cached_property
    def n_coefs(self):
        """Number of weights, without biases."""
        return sum(n_in * n_out for n_in, n_out in pairwise(self.units))

    @cached_property
    def n_parameters(self):
        """Length of the flat vector."""
        return self.n_coefs + sum(self.units[1:])

    def tables(self, dtype, activate_output):
        """The chain as the kernels read it: addresses, so for this process only.

        Parameters
        ----------
        dtype : dtype
        activate_output : bool
            Whether the last layer applies its activation, or ends with the raw score.

        Returns
        -------
        table : ndarray of int64, shape (n_layers, n_columns)
        hypers : ndarray of float64, shape (n_layers, n_hyper)
        """
        activations = [*self.hidden, self.output if activate_output else Identity()]
        forward, backward = (
            compiled(family, function, dtype).address
            for family, function in zip(("layer_forward", "layer_backward"), layers.DENSE, strict=True)
        )
        table = np.zeros((len(activations), layers.N_COLUMNS), dtype=np.int64)
        hypers = np.zeros((len(activations), max(len(a.hyper()) for a in activations)), dtype)
        coef, intercept, width = 0, self.n_coefs, 0
        for row, hyper, activation, n_in, n_out in zip(
            table, hypers, activations, self.units[:-1], self.units[1:], strict=True
        ):
            linear = isinstance(activation, Identity)  # address 0: nothing to compute
            address = 0 if linear else compiled("activation", activation.function, dtype, elementwise).address
            row[:] = forward, backward, address, n_in, n_out, coef, intercept, width
            hyper[: len(activation.hyper())] = activation.hyper()
            coef, intercept, width = coef + n_in * n_out, intercept + n_out, width + n_out
        return table, hypers

    def predict(self, X, theta, activate_output):
        """Outputs for all rows of X.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), C order, dtype of theta
        theta : ndarray of shape (n_parameters,)
        activate_output : bool
            Whether to return g(z) or the raw score z.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs)
        """
        table, hypers = self.tables(theta.dtype, activate_output)
        out = np.empty((len(X), self.units[-1]), theta.dtype)
        piece = min(PIECE, len(X))
        work = aligned(2 * piece * sum(self.units[1:]), theta.dtype)
        program = np.array([compiled("forward", _kernels.forward, theta.dtype).address], np.int64)
        compiled("predict", _kernels.predict, theta.dtype).function(X, theta, work, out, table, hypers, program, piece)
        return out


class Parameters:
    """The flat vector of a network with its layers' matrices and biases as views into it.

    Parameters
    ----------
    units : sequence of int
    vector : ndarray of shape (n_parameters,)

    Attributes
    ----------
    vector : ndarray
    coefs, intercepts : list of ndarray
        Views; assigning an item copies into the vector.
    """

    def __init__(self, units, vector):
        self.units = tuple(units)
        self.vector = vector
        shapes = list(pairwise(self.units))
        sizes = [n_in * n_out for n_in, n_out in shapes] + list(self.units[1:])
        parts = [vector[stop - size : stop] for size, stop in zip(sizes, accumulate(sizes), strict=True)]
        weights, biases = parts[: len(shapes)], parts[len(shapes) :]
        self.coefs = Views("coefs_", (w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)))
        self.intercepts = Views("intercepts_", biases)

    def __reduce__(self):
        # the vector alone: views would come back from a pickle or a deep copy as arrays of their own
        return Parameters, (self.units, self.vector)

    def writable(self):
        """Self, or a copy if the vector is read-only, as one that joblib has memory-mapped is."""
        return self if self.vector.flags.writeable else Parameters(self.units, self.vector.copy())


class Views(list):
    """A list of arrays of fixed shapes: an item that is assigned is copied into the array that is there."""

    def __init__(self, name, arrays):
        super().__init__(arrays)
        self._name = name

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
        for index, array in zip(indices, arrays, strict=True):
            self[index][...] = array
