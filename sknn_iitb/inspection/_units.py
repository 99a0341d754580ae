"""What the hidden units of a fitted network do on given samples."""

from typing import Any, NamedTuple

import numpy as np

from sknn_iitb._engine.layers.layer_norm import EPSILON
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._loops import elementwise
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.mlp._sklearn import folded

__all__ = ["FLAT", "HiddenLayer", "hidden_layers", "member_layers", "values_and_slopes"]

# more rows would not change the shares
_MAX_ROWS = 2000
# a unit is saturated where its slope is below this share of the steepest slope of its activation
FLAT = 0.05


class HiddenLayer(NamedTuple):
    """A hidden layer on some samples.

    Attributes
    ----------
    activation : Activation
    sums : ndarray of shape (n_rows, n_neurons)
        What the activation receives.
    values, slopes : ndarray of shape (n_rows, n_neurons)
        What it returns.
    """

    activation: Any
    sums: Array
    values: Array
    slopes: Array

    @property
    def dead(self) -> float:
        """The share of the units whose slope is zero for every row, so that they do not learn."""
        return float(np.mean(np.all(self.slopes == 0, axis=0)))

    @property
    def saturated(self) -> float:
        """The share of the values at which the slope is almost zero."""
        steepest = abs(values_and_slopes(self.activation, np.linspace(-6, 6, 241)[:, None])[1]).max()
        return float(np.mean(abs(self.slopes) < FLAT * steepest))

    @property
    def is_bounded(self) -> bool:
        """Whether the activation is flat on both sides, as a sigmoid is."""
        far = values_and_slopes(self.activation, np.array([[-60.0, -30.0, 30.0, 60.0]]))[0].ravel()
        return bool(abs(far[0] - far[1]) < 0.1 and abs(far[2] - far[3]) < 0.1)


def values_and_slopes(activation: Any, sums: Array) -> tuple[Array, Array]:
    """An activation and its derivative, of a matrix, by the compiled function that training uses."""
    values, slopes = np.array(sums, np.float64, order="C"), np.empty(np.shape(sums))
    function = compiled("activation", activation.function, values.dtype, elementwise, from_python=True).function
    function(values, np.zeros(values.shape[1]), slopes, activation.hyper_array(values.dtype))
    return values, slopes


def member_layers(member: Any) -> tuple[list[Array], list[Array]]:
    """Weights and biases of each layer of a member, in float64, for the inputs that it computes."""
    arrays = member.network.layout.views(member.theta.astype(np.float64))
    coefs = list(arrays["coefs"])
    coefs[0] = arrays["factors"][0][:, None] * coefs[0]
    return coefs, list(arrays["intercepts"])


def hidden_layers(net: Any, Z: MatrixLike, member: int = 0, max_rows: int = _MAX_ROWS) -> list[HiddenLayer]:
    """The hidden layers of a fitted network on at most `max_rows` rows of its matrix, evenly spaced."""
    network, _ = net._member(member)
    below = Z[:: max(1, -(-Z.shape[0] // max_rows))]
    if hasattr(net, "members_"):
        below = net.members_[member].inputs(below.astype(np.float64))
        (coefs, intercepts), normalizes = member_layers(net.members_[member]), False
    else:  # batch normalization is linear in prediction
        (coefs, intercepts), normalizes = folded(net), net.layer_norm
    layers = []
    for k, activation in enumerate(network.activations[:-1]):
        sums = _normalized(net, below, k) if normalizes else below @ coefs[k] + intercepts[k]
        layers.append(HiddenLayer(activation, sums, *values_and_slopes(activation, sums)))
        below = layers[-1].values
    return layers


def _normalized(net, below, k):
    """What the activation of a layer with layer normalization receives."""
    block = net._parameters.block(k)
    sums = below @ block["coefs"]
    mean, variance = sums.mean(axis=1, keepdims=True), sums.var(axis=1, keepdims=True)
    return block["scales"] * (sums - mean) / np.sqrt(variance + EPSILON) + block["intercepts"]
