"""The parameters of a network: one flat vector, and the arrays of the layers as views into it."""

import math
from itertools import groupby
from typing import NamedTuple
from weakref import ref

import numpy as np

from sknn_iitb._engine.layers import Kind, Parameter

__all__ = ["ParameterLayout", "Parameters", "aligned", "native"]


def aligned(size, dtype):
    """An empty vector that starts at a cache line; otherwise every other vector load would cross one."""
    itemsize = np.dtype(dtype).itemsize
    vector = np.empty(size + 64 // itemsize, dtype)
    start = -vector.ctypes.data % 64 // itemsize
    return vector[start : start + size]


def native(array):
    """The array in this machine's byte order: a pickle may come from a machine with the other."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class Entry(NamedTuple):
    """A parameter in its place: its name, the index of its block, where it begins and ends."""

    name: str
    block: int
    start: int
    stop: int
    parameter: Parameter


class ParameterLayout:
    """Where the parameters of each layer lie in the flat vector.

    They are sorted by kind, then by name, then by block: all weight matrices, all biases, all scales, and so on.

    Parameters
    ----------
    blocks : sequence of dict of str to Parameter
        The parameters of each block. A block is a dense layer with what follows it up to the next.

    Attributes
    ----------
    entries : tuple of Entry
        In the order of the vector.
    n_penalized : int
        Number of weights, which come first.
    n_trained : int
        Number of parameters that the solver updates: all but running moments, which come last.
    size : int
        Length of the vector.
    """

    def __init__(self, blocks):
        found = [(name, k, parameter) for k, block in enumerate(blocks) for name, parameter in block.items()]
        names = list(dict.fromkeys(name for name, _, _ in found))
        found.sort(key=lambda item: (item[2].kind, names.index(item[0]), item[1]))
        entries, start = [], 0
        for name, k, parameter in found:
            stop = start + math.prod(parameter.shape)
            entries.append(Entry(name, k, start, stop, parameter))
            start = stop
        self.entries, self.size = tuple(entries), start
        self.n_penalized, self.n_trained = (
            max((entry.stop for entry in entries if entry.parameter.kind <= last), default=0)
            for last in (Kind.WEIGHT, Kind.SCALE)
        )

    def __eq__(self, other):
        return isinstance(other, ParameterLayout) and self.entries == other.entries

    __hash__ = None

    def start(self, block):
        """Where each parameter of a block begins, by name."""
        return {entry.name: entry.start for entry in self.entries if entry.block == block}

    def views(self, vector):
        """The arrays by name, a list with one for each block that has it, as views into the vector."""
        views = {}
        for name, _, start, stop, parameter in self.entries:
            views.setdefault(name, []).append(vector[start:stop].reshape(parameter.shape))
        return views

    def matrices(self):
        """(offset, fan_in, fan_out) of each weight matrix, of shape (n_matrices, 3)."""
        entries = [e for e in self.entries if e.parameter.kind == Kind.WEIGHT and len(e.parameter.shape) == 2]
        return np.array([(entry.start, *entry.parameter.shape) for entry in entries])

    def groups(self, decays):
        """Ranges of the trained parameters with the same factors of the learning rate and of the decay.

        Parameters
        ----------
        decays : bool
            Whether the optimizer has a decoupled weight decay; otherwise factors of the decay make no difference.

        Yields
        ------
        bounds : tuple of int
            Start and stop.
        factors : tuple of float
            Of the learning rate and of the decay.
        """
        trained = (entry for entry in self.entries if entry.stop <= self.n_trained)
        for factors, group in groupby(trained, lambda e: (e.parameter.learning_rate, e.parameter.decay * decays)):
            entries = list(group)
            yield (entries[0].start, entries[-1].stop), factors


class Parameters:
    """A flat vector with the layers' arrays as views into it.

    Parameters
    ----------
    layout : ParameterLayout
    vector : ndarray of shape (layout.size,)

    Attributes
    ----------
    vector : ndarray
    trained : ndarray
        The part of the vector that the solver updates.
    """

    def __init__(self, layout, vector):
        self.layout, self.vector = layout, native(vector)
        self.trained = self.vector[: layout.n_trained]
        self._views = {name: Views(f"{name}_", arrays, self) for name, arrays in layout.views(self.vector).items()}

    @classmethod
    def initial(cls, layout, dtype):
        """Parameters before training; those that an initializer draws are not set."""
        parameters = cls(layout, aligned(layout.size, dtype))
        for entry in layout.entries:
            if entry.parameter.initial is not None:
                parameters.vector[entry.start : entry.stop] = entry.parameter.initial
        return parameters

    def __reduce__(self):
        # the vector only: views would come back from a pickle or a deep copy as arrays of their own
        return Parameters, (self.layout, self.vector)

    def __contains__(self, name):
        return name in self._views

    def __getitem__(self, name):
        """The arrays of that name, as a list that copies what is assigned to an item."""
        return self._views[name]

    def block(self, k):
        """The arrays of a block by name."""
        entries = (entry for entry in self.layout.entries if entry.block == k)
        return {e.name: self.vector[e.start : e.stop].reshape(e.parameter.shape) for e in entries}

    def writable(self):
        """Self, with a copy of the vector if it is read-only, as after joblib has memory-mapped it."""
        if not self.vector.flags.writeable:
            other = Parameters(self.layout, self.vector.copy())
            for name, views in self._views.items():
                list.__setitem__(views, slice(None), other[name])
            self.vector, self.trained = other.vector, other.trained
        return self


class Views(list):
    """A list of arrays of fixed shapes; assigning an item copies it into the array."""

    def __init__(self, name, arrays, parameters):
        super().__init__(arrays)
        self._name = name
        self._parameters = ref(parameters)  # weak, because memory in a reference cycle is not freed at once

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
