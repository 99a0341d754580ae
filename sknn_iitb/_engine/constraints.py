"""Constraints on the gradient before an update, and on the weights after it.

A constraint is a function ``f(theta, gradient, matrices, bound)`` that changes one of the two vectors in place;
`matrices` has a row (offset, fan_in, fan_out) for each weight matrix in theta. Its class is registered under the
estimators' parameter that sets the bound; None disables it.
"""

import math

import numpy as np

from sknn_iitb._jit.intrinsics import matrix_at, vector_at
from sknn_iitb._registry import Registry

__all__ = ["CONSTRAINTS", "ClipNorm", "ClipValue", "Constraint", "MaxNorm"]


class Constraint:
    """Base of the constraints.

    Attributes
    ----------
    names : tuple of str
        The estimators' parameter.
    function : function
    afterwards : bool
        Whether it is applied after the update.
    """

    names = ()
    function = None
    afterwards = False


# in the order of application
CONSTRAINTS = Registry("constraint", Constraint)


def clip_value(theta, gradient, matrices, bound):
    for i in range(gradient.size):
        gradient[i] = min(max(gradient[i], -bound), bound)


@CONSTRAINTS.add("clip_value")
class ClipValue(Constraint):
    """Clips each entry of the gradient to +-bound."""

    function = staticmethod(clip_value)


def clip_norm(theta, gradient, matrices, bound):
    square = 0.0  # in float64, where the square of a float32 cannot overflow
    for i in range(gradient.size):
        entry = np.float64(gradient[i])
        square += entry * entry
    norm = np.sqrt(square)
    if bound < norm < math.inf:
        for i in range(gradient.size):
            gradient[i] *= bound / norm


@CONSTRAINTS.add("clip_norm")
class ClipNorm(Constraint):
    """Scales a gradient down to the bound if its norm exceeds it (Pascanu et al., arXiv:1211.5063)."""

    function = staticmethod(clip_norm)


def max_norm(theta, gradient, matrices, bound):
    for k in range(matrices.shape[0]):
        start, n_in, n_out = matrices[k]
        weights = matrix_at(theta, start, n_in, n_out)
        squares = vector_at(gradient, start, n_out)  # no longer needed after the update
        squares[:] = 0
        for i in range(n_in):
            for j in range(n_out):
                squares[j] += weights[i, j] * weights[i, j]
        for j in range(n_out):
            squares[j] = bound / math.sqrt(squares[j]) if bound * bound < squares[j] < math.inf else 1
        for i in range(n_in):
            for j in range(n_out):
                weights[i, j] *= squares[j]


@CONSTRAINTS.add("max_norm")
class MaxNorm(Constraint):
    """Scales a neuron's incoming weights down to the bound if their norm exceeds it (Srivastava et al., 2014)."""

    function = staticmethod(max_norm)
    afterwards = True
