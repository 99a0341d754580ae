"""Predictions for Dask collections, which are computed block by block when they are needed."""

from typing import Any

import dask
import dask.array as da
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sknn_iitb.dask._client import ClientMixin
from sknn_iitb.dask._partitions import computed, is_collection, joined_array

__all__ = ["LazyClassifierMixin", "LazyMixin"]


class LazyMixin(ClientMixin):
    """`predict` and `score`, and what other methods need to be lazy.

    A subclass has ``_one_row(X)``, a row like those of a collection, whose prediction tells the dtype and the shape.
    """

    def _lazily(self, name, X):
        """What a method returns for a Dask collection, as a Dask array; other X go to the method itself."""
        local = getattr(super(), name)
        if not is_collection(X):
            return local(X)
        check_is_fitted(self)
        if X.ndim != 2:
            raise ValueError(f"X must have two dimensions, got {X.ndim}.")
        model = self.to_local()
        of_one = getattr(model, name)(self._one_row(X))
        if isinstance(of_one, list):
            raise ValueError(
                f"{name} has an array for each column of y, which is not supported for Dask collections; map "
                f"to_local().{name} over the partitions."
            )
        model = dask.delayed(model, pure=False)
        if not isinstance(X, da.Array):
            return joined_array(
                [dask.delayed(_predicted)(block, model, name, of_one[:0]) for block in X.to_delayed()], of_one
            )
        X = X.rechunk({1: -1})
        shape = {"drop_axis": 1} if of_one.ndim == 1 else {"chunks": (X.chunks[0], of_one.shape[1:])}
        return X.map_blocks(_predicted, model, name, of_one[:0], dtype=of_one.dtype, meta=of_one[:0], **shape)

    def predict(self, X: Any) -> Any:
        """Predict, lazily for a Dask collection.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        y : dask.array.Array of shape (n_samples,) or (n_samples, n_outputs)
            An ndarray if X is not a Dask collection.
        """
        return self._lazily("predict", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy or R2, as the estimator for one machine.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)
            Predictions for a Dask collection are computed on the cluster, and the score in this process.
        y : Dask collection or array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : Dask collection or array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        predicted, y, sample_weight = map(computed, (self.predict(X), y, sample_weight))
        local = self.to_local()
        local.predict = lambda X: predicted
        return local.score(None, y, sample_weight)


def _has(name):
    """The check whether the estimator for one machine has a method; its AttributeError says why not."""
    return lambda estimator: getattr(super(LazyClassifierMixin, estimator), name)


class LazyClassifierMixin:
    """Probabilities; before LazyMixin in the bases."""

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities, lazily for a Dask collection.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        probabilities : dask.array.Array of shape (n_samples, n_classes)
            An ndarray if X is not a Dask collection.
        """
        return self._lazily("predict_proba", X)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of the class probabilities, lazily for a Dask collection.

        Parameters
        ----------
        X : Dask collection, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : dask.array.Array of shape (n_samples, n_classes)
            An ndarray if X is not a Dask collection.
        """
        return self._lazily("predict_log_proba", X)


def _predicted(X, model, name, nothing):
    """What a method of the model returns for a block, which may be empty."""
    return getattr(model, name)(X) if X.shape[0] else nothing
