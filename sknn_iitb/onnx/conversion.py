"""Conversion of fitted estimators and pipelines to ONNX."""

import warnings
from typing import Any

import numpy as np
import skl2onnx
from onnx import ModelProto
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import MatrixLike
from sknn_iitb.onnx._registration import ESTIMATORS, OPSET, check
from sknn_iitb.tabular._columns import as_numpy, columns_of, is_frame, rows_of

__all__ = ["to_onnx"]

# types of categorical columns, by the kind of their dtype; all others are strings
_CATEGORIES = {"b": BooleanTensorType, "i": Int64TensorType, "u": Int64TensorType, "f": FloatTensorType}


def to_onnx(estimator: Any, X: MatrixLike, *, target_opset: int = OPSET) -> ModelProto:
    """Convert a fitted estimator, or a pipeline that ends with one, to ONNX.

    The graph computes in float32, and in float64 where rounding could change predictions by more than 1e-5: the first
    layer of a float64 network, step functions, and the averages of a tabular estimator.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor or Pipeline that ends with one
        Fitted estimator. skl2onnx must be able to convert the other steps of a pipeline. A TransformedTargetRegressor
        is accepted with ``transformer=StandardScaler()``.
    X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        Sample of the data to predict, with at least one row. It determines the inputs of the graph. For an array, there
        is a single input "X", float32 of shape (n, n_features). For a data frame, there is an input of shape (n, 1) for
        each column, in the same order and with its name, in which "_" replaces all but letters and digits. Numbers are
        float32, with NaN if missing. They are float64, also in an array, if float32 cannot hold a column of a tabular
        estimator, such as times in nanoseconds. Categories are strings. Missing categories are encoded like unknown
        ones, so any string that is not a category stands for them, such as the empty string. Categorical columns of a
        tabular estimator that hold integers, floats or booleans in X are int64, float32 or bool instead. Its inputs for
        an array with text are the columns "x0", "x1" and so on.
    target_opset : int, default=17
        Version of the ONNX operators, at least 17.

    Returns
    -------
    model : onnx.ModelProto
        A classifier has the first output, and the second or the third; a regressor has the others.

        label : int64 or string of shape (n,) or (n, n_labels)
            As `predict` returns them; booleans become 0 and 1.
        probabilities : float32 of shape (n, n_classes), or sequence of such matrices
            As `predict_proba` returns them.
        scores : float32 of shape (n, 1) or (n, n_classes), or sequence of such matrices
            As `decision_function` returns them, for a classifier without probabilities.
        variable : float32 of shape (n, n_targets), (n, n_quantiles) or (n, n_targets, n_quantiles)
            As `predict` returns them, with a column for a single target.
        std : float32 of shape (n, n_targets)
            Standard deviations, for ``loss="gaussian"``.
        quantiles : float32 of shape (n, n_quantiles) or (n, n_targets, n_quantiles)
            As `predict_quantiles` returns them, for a TabularMLPRegressor with `quantiles`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator or its class labels are of another kind.
    ValueError
        If a component is a custom function, X cannot be used, the y of a TabularMLPRegressor is too large for float32,
        or `target_opset` is too low.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.onnx import to_onnx
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> net = MLPClassifier(tol=1e-3, random_state=0)
    >>> net = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> model = to_onnx(net, X)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> label, p = session.run(None, {"X": X.astype(np.float32)})
    >>> bool(abs(p - net.predict_proba(X)).max() < 1e-5)
    True
    """
    first, last = _ends(estimator)
    if type(last) not in ESTIMATORS:
        names = [each.__name__ for each in ESTIMATORS]
        raise TypeError(
            f"estimator must be {', '.join(names[:-1])} or {names[-1]}, or a Pipeline that ends with one, got "
            f"{type(last).__name__}. skl2onnx converts other estimators."
        )
    check_is_fitted(estimator)
    check(last)
    if target_opset < OPSET:
        raise ValueError(f"target_opset must be at least {OPSET}, got {target_opset!r}.")
    X = _as_table(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the categories of a single row may be unknown
        estimator.predict(rows_of(X, slice(0, 1)))  # raises if X cannot be used
    options = {id(last): {"zipmap": False}} if is_classifier(last) else None
    return skl2onnx.to_onnx(estimator, initial_types=_inputs(first, X), target_opset=target_opset, options=options)


def _ends(estimator):
    """The first step of a pipeline, which receives X, and the last; or the estimator twice."""
    if isinstance(estimator, TransformedTargetRegressor):
        return _ends(getattr(estimator, "regressor_", estimator.regressor))
    if isinstance(estimator, Pipeline):
        return _ends(estimator[0])[0], _ends(estimator[-1])[1]
    return estimator, estimator


def _as_table(X):
    """A list becomes an array, of objects if it has text."""
    X = as_numpy(X)
    if hasattr(X, "shape"):
        return X
    matrix = np.array(X)
    return matrix if matrix.dtype.kind in "biuf" else np.array(X, dtype=object)


def _inputs(first, X):
    """The names and types of the inputs."""
    encoder = getattr(first, "encoder_", None)
    number = DoubleTensorType if encoder is not None and encoder._beyond_float32() else FloatTensorType
    if not is_frame(X) and X.dtype.kind in "biuf":
        return [("X", number([None, X.shape[1]]))]
    columns = columns_of(X)
    if encoder is None:
        types = [StringTensorType if column.is_categorical else number for column in columns]
    else:
        types = [
            _CATEGORIES.get(column.to_numpy().dtype.kind, StringTensorType) if is_categorical else number
            for column, is_categorical in zip(columns, encoder.is_categorical_, strict=True)
        ]
    names = [f"x{column.name}" if isinstance(column.name, int) else str(column.name) for column in columns]
    return [(name, kind([None, 1])) for name, kind in zip(names, types, strict=True)]
