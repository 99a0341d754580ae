"""Values of hidden layers as features for other estimators."""

from numbers import Integral

from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import Array, MatrixLike

__all__ = ["FeaturesMixin", "hidden_layer_index"]


def hidden_layer_index(layer: int, n_hidden: int) -> int:
    """The index of a hidden layer, not negative.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if not isinstance(layer, Integral) or isinstance(layer, bool) or not -n_hidden <= layer < n_hidden:
        raise ValueError(f"layer={layer!r} is not one of the {n_hidden} hidden layers of this network.")
    return int(layer % n_hidden)


class FeaturesMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """A network as a transformer; the estimator has ``_outputs(X, activate_output, n_hidden)``."""

    def hidden_activations(self, X: MatrixLike, layer: int = -1) -> Array:
        """Values of the neurons of a hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        layer : int, default=-1
            Index of the hidden layer, from 0. Negative indices count from the last layer.

        Returns
        -------
        values : ndarray of shape (n_samples, n_neurons)

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        check_is_fitted(self)
        n_hidden = hidden_layer_index(layer, self.n_layers_ - 2) + 1
        return self._outputs(X, activate_output=False, n_hidden=n_hidden)

    def transform(self, X: MatrixLike) -> Array:
        """Values of the neurons of the last hidden layer: the features that the network has learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        values : ndarray of shape (n_samples, n_neurons)

        Raises
        ------
        ValueError
            If there is no hidden layer.
        """
        check_is_fitted(self)
        if self.n_layers_ == 2:
            raise ValueError("transform returns the values of the last hidden layer, but this network has none.")
        return self.hidden_activations(X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the output of :meth:`transform`: the name of the class and the number of the neuron.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str of shape (n_neurons,)

        Raises
        ------
        ValueError
            If there is no hidden layer.
        """
        check_is_fitted(self)
        if self.n_layers_ == 2:
            raise ValueError("This network has no hidden layer, so transform has no output.")
        return super().get_feature_names_out(input_features)

    @property
    def _n_features_out(self):
        if self.n_layers_ == 2:
            # not a ValueError: dir() and the HTML of scikit-learn ask by hasattr
            raise AttributeError("This network has no hidden layer.")
        return self._network.units[-2]
