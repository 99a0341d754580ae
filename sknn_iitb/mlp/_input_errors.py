"""Errors about missing values and text in X that recommend estimators of this package."""

from contextlib import contextmanager

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

__all__ = ["explained"]

_N_NAMED = 3


@contextmanager
def explained(estimator, X):
    """Within this context, errors of the validation of X say how to use text and missing values.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X : frame, array-like or sparse matrix
    """
    try:
        yield
    except ValueError as error:
        remedy = _remedy(estimator, X, str(error))
        if remedy is None:
            raise
        raise ValueError(remedy) from None


def _remedy(estimator, X, message):
    """A better message for this error, or None."""
    kind = type(estimator).__name__
    tabular = "TabularMLPClassifier" if is_classifier(estimator) else "TabularMLPRegressor"
    if message.startswith("Input X contains NaN"):
        return (
            f"Input X contains NaN. {kind} does not accept missing values. Use sknn_iitb.{tabular}, which does, or "
            "impute them in a pipeline: make_pipeline(SimpleImputer(), StandardScaler(), net)."
        )
    columns = [] if sparse.issparse(X) else _text_columns(X)
    if not columns:
        return None
    more = f" and {len(columns) - _N_NAMED} more" if len(columns) > _N_NAMED else ""
    return (
        f"Input X contains text in column{'s' * (len(columns) > 1)} {', '.join(columns[:_N_NAMED])}{more}. {kind} "
        f"requires numbers. Use sknn_iitb.{tabular}, which encodes categories itself, or encode them in a pipeline, "
        "for example by OneHotEncoder in a ColumnTransformer."
    )


def _text_columns(X):
    """Each column with text that is not a number, with an example."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        columns = {name: np.asarray(X[name], dtype=object) for name in X.columns}
    else:
        matrix = np.array(X, dtype=object)
        columns = dict(enumerate(matrix.T)) if matrix.ndim == 2 else {}
    found = {name: next(filter(_is_text, column), None) for name, column in columns.items()}
    return [f"{name!r} (such as {str(text)!r})" for name, text in found.items() if text is not None]


def _is_text(value):
    if not isinstance(value, (str, bytes)):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False
