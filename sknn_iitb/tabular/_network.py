"""The network for tables: a learned factor for each input, then dense layers."""

from itertools import pairwise

from sknn_iitb._engine.layers import Dense, Dropout, Neurons, Output
from sknn_iitb._engine.network import Network
from sknn_iitb._engine.parameters import Parameters
from sknn_iitb.tabular._layers import PLAIN, ScaledDense

__all__ = ["draw", "tabular_network"]

# factors of the learning rate, for the factors of the columns and for the biases
_SCALING_RATE, _BIAS_RATE = 6.0, 0.1


def tabular_network(units, activation, output, dropout=0.0, features=PLAIN):
    """A network for columns of about the same scale.

    In the "neural tangent" form a layer is W x / sqrt(fan_in) + b, with weights of variance 1 (Jacot et al.,
    arXiv:1806.07572). Here the root is part of W and divides the learning rate instead; under an optimizer that scales
    each gradient, as adam does, the two are the same. The decay does not depend on the form.

    Parameters
    ----------
    units : sequence of int
        Number of columns, of neurons in each hidden layer, and of outputs.
    activation : Activation
        The activation of the hidden layers.
    output : Activation
        The activation of the last layer.
    dropout : float, default=0.0
        The dropout rate of each hidden layer.
    features : Features, optional
        What the first layer computes from the columns.

    Returns
    -------
    network : Network
    """
    blocks = []
    for k, (n_in, n_out) in enumerate(pairwise(units), start=1):
        fan_in = n_in + features.n_added if k == 1 else n_in
        factors = {"learning_rate": fan_in**-0.5, "decay": fan_in**0.5}
        if k == 1:
            dense = ScaledDense(n_in, n_out, features, _SCALING_RATE, **factors)
        else:
            dense = Dense(n_in, n_out, **factors)
        if k == len(units) - 1:
            blocks.append([dense, Output(n_out, output, _BIAS_RATE)])
        else:
            blocks.append([dense, Neurons(n_out, activation, _BIAS_RATE), Dropout(n_out, dropout, k)])
    return Network(blocks)


def draw(network, rng, dtype):
    """Draw the initial parameters: weights and biases are normal, and those of the last layer zero.

    Returns
    -------
    theta : ndarray of shape (layout.size,)
    """
    parameters = Parameters.initial(network.layout, dtype)
    *hidden, last = zip(parameters["coefs"], parameters["intercepts"], strict=True)
    for weights, biases in hidden:
        weights[...] = rng.normal(0, len(weights) ** -0.5, weights.shape)
        biases[...] = rng.normal(0, 1, len(biases))
    for zeros in last:
        zeros[...] = 0
    return parameters.vector
