"""The net for tables: a factor for each column and bin, then dense layers, in blocks with rates of their own."""

from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from sknn_iitb._engine import layers
from sknn_iitb._engine.network import Network, aligned, native
from sknn_iitb.tabular._layers import Bins, first_dense

__all__ = ["TabularNetwork"]

# how many times the rate is what factors of columns and biases learn at
_SCALING_RATE, _BIAS_RATE = 6.0, 0.1


class TabularNetwork(Network):
    """A chain of layers for columns of about the same scale.

    The flat vector has the factors of the columns and of the bins of their ranges, then the weights of all layers,
    then the biases of all layers.

    Parameters
    ----------
    units : sequence of int
        Number of columns and bins, of neurons in each hidden layer, and of outputs.
    hidden : sequence of Activation
        One for each hidden layer.
    output : Activation
        The activation of the last layer.
    dropout : float, default=0.0
        The share of the neurons of each hidden layer that is left out in training.
    bins : Bins, optional
        Of the ranges of which columns the net sees bins, besides the columns.
    """

    # penalties are not for these weights: the optimizer's own decay is
    n_coefs = 0

    def __init__(self, units, hidden, output, dropout=0.0, bins=None):
        super().__init__(units, hidden, output, [0.0] + [dropout] * len(hidden))
        self.bins = bins

    def __setstate__(self, state):
        vars(self).update(state)
        if self.bins is not None:  # read by address
            self.bins = Bins(*map(native, self.bins))

    @cached_property
    def n_trained(self):
        """Number of parameters, all of which the solver moves."""
        return self._starts[-1]

    @cached_property
    def n_parameters(self):
        """Length of the flat vector."""
        return self.n_trained

    @cached_property
    def _starts(self):
        """Where each matrix begins, then where the biases of each layer begin, then the end."""
        sizes = [n_in * n_out for n_in, n_out in pairwise(self.units)]
        return list(accumulate([self.units[0], *sizes, *self.units[1:]]))

    def matrices(self):
        """(offset, fan_in, fan_out) of each weight matrix, of shape (n_layers, 3)."""
        return np.array([(start, *shape) for start, shape in zip(self._starts, pairwise(self.units), strict=False)])

    def parameter_groups(self, decays):
        """Parts of the parameters, (start, stop), with factors of the rate and of the optimizer's own decay.

        In the "neural tangent" form a layer is W x / sqrt(fan_in) + b, with weights of variance 1 (Jacot et al.,
        arXiv:1806.07572). Here the root is part of W, so it divides the rate instead; under an optimizer that scales
        each gradient, as adam does, both are the same. The decay does not depend on the form.
        """
        n_layers = len(self.units) - 1
        yield (0, self.units[0]), (_SCALING_RATE, 1.0)
        for (start, stop), n_in in zip(pairwise(self._starts[: n_layers + 1]), self.units, strict=False):
            yield (start, stop), (n_in**-0.5, n_in**0.5)
        yield (self._starts[n_layers], self.n_trained), (_BIAS_RATE, 0.0)

    def layers(self, table, activate_output, training=False, dropout=False):
        """The chain, layer by layer; the last ends with the raw score."""
        rates = self.dropout if dropout else [0.0] * len(self.dropout)
        n_layers = len(self.units) - 1
        for k, (n_in, n_out) in enumerate(pairwise(self.units)):
            weights, bias = self._starts[k], self._starts[n_layers + k]
            yield layers.dense(n_in, n_out, weights) if k else first_dense(n_in, n_out, 0, weights, self.bins)
            if k == len(self.hidden):
                yield layers.bias(n_out, bias)
                return
            yield layers.neurons(n_out, bias, self.hidden[k])
            if rates[k + 1] > 0:
                yield layers.dropout(n_out, rates[k + 1], k + 1)

    def draw(self, rng, dtype):
        """Parameters to start from: weights and biases are normal, and those of the last layer zero."""
        theta = aligned(self.n_parameters, dtype)
        theta[:] = 0
        theta[: self.units[0]] = 1
        n_layers = len(self.units) - 1
        for k, (n_in, n_out) in enumerate(pairwise(self.units[:-1])):
            weights, bias = self._starts[k], self._starts[n_layers + k]
            theta[weights : weights + n_in * n_out] = rng.normal(0, n_in**-0.5, n_in * n_out)
            theta[bias : bias + n_out] = rng.normal(0, 1, n_out)
        return theta
