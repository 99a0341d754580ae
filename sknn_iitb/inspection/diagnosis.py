"""Why a network does not train: one check for each of the usual reasons."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sknn_iitb._typing import MatrixLike
from sknn_iitb.inspection._case import Case, MemberCase
from sknn_iitb.inspection._checks import CHECKS, Finding
from sknn_iitb.inspection._estimators import last_step

__all__ = ["Diagnosis", "Finding", "diagnose"]


class Diagnosis(tuple):
    """Findings, the most likely cause first; ``str(diagnosis)`` is the report."""

    has_validation: bool

    def __new__(cls, findings: Iterable[Finding] = (), has_validation: bool = False) -> Self:
        """`has_validation` says whether overfitting was checked for, on validation samples."""
        self = super().__new__(cls, findings)
        self.has_validation = has_validation
        return self

    def __str__(self) -> str:
        """The report: two lines for each finding."""
        if not self:
            more = "" if self.has_validation else " Pass X_val and y_val to check for overfitting."
            return f"Nothing was found: the network trains as it should.{more}"
        return "\n".join(f"{k}. {each.message}\n   {each.fix}" for k, each in enumerate(self, start=1))


def diagnose(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    X_val: MatrixLike | None = None,
    y_val: ArrayLike | None = None,
    *,
    member: int = 0,
) -> Diagnosis:
    """Say why a network does not train, or does not predict well, and what to do about it.

    The checks measure the scale of X and y, the learning rate against that of a range test, the share of the penalties
    in the loss, the gradient of the first layer against that of the last, dead and saturated units, whether the loss is
    still falling, the recall of rare classes, the score on validation samples, and the loss against that of a constant
    prediction.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator of this package, or a pipeline that ends with one. It is not changed.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    X_val : {array-like, sparse matrix, DataFrame} of shape (n_val_samples, n_features), default=None
        Validation data, to detect overfitting.
    y_val : array-like, default=None
        Targets of the validation data.
    member : int, default=0
        Which network of a tabular estimator. Rare classes and overfitting concern the whole ensemble.

    Returns
    -------
    diagnosis : Diagnosis
        A tuple of :class:`Finding`, the most likely cause first; empty for a healthy network. Print it for a report.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an estimator of this package.
    ValueError
        If only one of `X_val` and `y_val` is given, or the data are invalid.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import diagnose
    >>> X, y = load_wine(return_X_y=True)
    >>> net = MLPClassifier(learning_rate="cosine", random_state=0).fit(X, y)
    >>> print(diagnose(net, X, y)[0].fix)
    Use make_pipeline(StandardScaler(), net).
    """
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val must be given together.")
    net, X = last_step(estimator, X)
    net._member(member)
    if X_val is not None:
        _, X_val = last_step(estimator, X_val)
    case = (MemberCase if hasattr(net, "members_") else Case)(net, X, np.asarray(y), X_val, y_val, member)
    findings = (found for check in CHECKS if (found := check(case)) is not None)
    return Diagnosis(findings, has_validation=X_val is not None)
