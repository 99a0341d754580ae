"""The weights of an estimator as attributes: views that a user may assign to."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._typing import Array

__all__ = ["WeightsMixin"]


def _view(name: str, doc: str) -> Any:
    def get(self):
        return self._views(name)

    def assign(self, values):
        if "_parameters" not in vars(self):
            # assigned before fit: the initial weights of partial_fit and a warm start
            vars(self).setdefault("_by_hand", {})[name] = list(values)
            return
        self._views(name).assign(values)

    return property(get, assign, doc=doc)


class WeightsMixin:
    """Properties over ``_parameters``, the flat vector of a fitted net."""

    coefs_: list[Array] = _view(
        "coefs_", "List of the weight matrices, each (fan_in, fan_out): views into `parameters_`."
    )
    intercepts_: list[Array] = _view(
        "intercepts_", "List of the bias vectors, each (fan_out,): views into `parameters_`."
    )
    scales_: list[Array] = _view(
        "scales_", "Scales of the normalization, (n_neurons,) for each hidden layer: views into `parameters_`."
    )
    means_: list[Array] = _view("means_", "Running means of batch normalization, (n_neurons,) for each hidden layer.")
    variances_: list[Array] = _view(
        "variances_", "Running variances of batch normalization, (n_neurons,) for each hidden layer."
    )

    @property
    def parameters_(self) -> Array:
        """The flat vector of all weights, then all biases, then the scales of the normalization."""
        return self._fitted("parameters_").trained

    @parameters_.setter
    def parameters_(self, values: ArrayLike) -> None:
        vector, values = self._fitted("parameters_").writable().trained, np.asarray(values)
        if values.shape != vector.shape:
            raise ValueError(f"parameters_ has shape {vector.shape}, got {values.shape}.")
        vector[:] = values

    def _assigned(self):
        """Weights and biases that were assigned by hand before fit; None unless both were."""
        by_hand = vars(self).get("_by_hand", {})
        return (by_hand["coefs_"], by_hand["intercepts_"]) if {"coefs_", "intercepts_"} <= by_hand.keys() else None

    def _fitted(self, attribute):
        if "_parameters" in vars(self):
            return self._parameters
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}: it is not fitted yet.")

    def _views(self, attribute):
        if "_parameters" not in vars(self) and attribute in vars(self).get("_by_hand", ()):
            return self._by_hand[attribute]
        name, parameters = attribute.removesuffix("_"), self._fitted(attribute)
        if name in parameters:
            return parameters[name]
        owners = (option for option, layer in NORMALIZATIONS.items() if name in layer(1).parameters())
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {attribute!r}: "
            f"{' and '.join(f'{option} was False' for option in owners)}."
        )
