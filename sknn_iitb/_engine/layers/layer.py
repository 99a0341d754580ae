"""The contract of a layer: its parameters, and its compiled functions."""

from enum import IntEnum
from typing import Any, NamedTuple

__all__ = ["Kind", "Layer", "LayerSpec", "Mode", "Parameter"]


class Kind(IntEnum):
    """The kinds of parameters, in the order in which they lie in the flat vector.

    The solver updates all but running moments. Penalties and decoupled weight decay act on weights only. A running
    moment follows the batches: its entry in the gradient is its difference from the moment of the batch.
    """

    WEIGHT = 0
    BIAS = 1
    SCALE = 2
    MOMENT = 3


class Parameter(NamedTuple):
    """An array of parameters.

    Attributes
    ----------
    kind : Kind
    shape : tuple of int
        (fan_in, fan_out) for a weight matrix, usually (n_neurons,) for others.
    initial : float or None
        The value before training; None for an array that is drawn at random.
    learning_rate, decay : float
        Factors of the learning rate and of the optimizer's decoupled weight decay.
    """

    kind: Kind
    shape: tuple[int, ...]
    initial: float | None = None
    learning_rate: float = 1.0
    decay: float = 0.0


class Mode(NamedTuple):
    """What a network is compiled for.

    Attributes
    ----------
    inputs : DenseRows or SparseRows
        What the first layer reads.
    activate_output : bool
        Whether the last layer applies its activation; otherwise it ends with the raw score.
    training : bool
        Whether batch normalization uses the moments of the batch instead of the running moments.
    dropout : bool
        Whether dropout is active.
    """

    inputs: Any
    activate_output: bool = False
    training: bool = False
    dropout: bool = False


class LayerSpec(NamedTuple):
    """A layer as the kernels call it.

    Attributes
    ----------
    forward, backward : function or None
        See :mod:`sknn_iitb._engine.layers`. `backward` is None for prediction.
    n_in, n_out : int
        Number of columns of the input and of the value.
    in_place : bool
        Whether the layer changes its input instead of writing a value of its own.
    cache_size : int
        How many numbers per row it keeps for the backward pass.
    own : tuple of int or Activation
        Offsets into the flat vector, addresses and other integers; an activation stands for its function's address.
    hyper : tuple of float
    """

    forward: Any
    backward: Any
    n_in: int
    n_out: int
    in_place: bool = False
    cache_size: int = 0
    own: tuple = ()
    hyper: tuple = ()


class Layer:
    """Base of the layers, which are frozen dataclasses.

    Attributes
    ----------
    whole_batch : bool
        Whether the layer needs all rows of a batch at once, so that a batch cannot be split into chunks.
    min_rows, min_neurons : int
        The smallest batch and the smallest hidden layer that it makes sense for.
    fold : callable or None
        ``fold(block)`` returns weights and biases that predict the same without the layer, given the arrays of its
        block by name; None if there are none.
    """

    whole_batch = False
    min_rows = min_neurons = 1
    fold = None

    def parameters(self):
        """Return the layer's parameters by name; the estimator's attribute is the name and an underscore."""
        return {}

    def spec(self, start, mode):
        """Return the compiled functions and what they need, or None if the layer does nothing in this mode.

        Parameters
        ----------
        start : dict of str to int
            Offset of each parameter of the layer's block in the flat vector.
        mode : Mode

        Returns
        -------
        spec : LayerSpec or None
        """
        raise NotImplementedError
