"""Feature importance: how much the predictions of a network depend on each column of a table."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import Array, MatrixLike, RandomState
from sknn_iitb.inspection._estimators import column_names, steps_and_net
from sknn_iitb.inspection._figures import WIDTH, set_axes

__all__ = ["ImportanceDisplay", "gradient_importance"]

# maximum number of rows to average gradients over, enough for two digits
_MAX_ROWS = 2000
# Step of the finite differences, relative to the distance to the mean: long enough to pass several bins and knots,
# whose slopes are noisy.
_STEP = 0.25
# numbers in all tables that are predicted, which take minutes
_MOST_NUMBERS = 1e11


def gradient_importance(estimator: Any, X: MatrixLike, random_state: RandomState = None) -> Array:
    """Gradient importance of each column: how much predictions change, to first order, if it is set to its mean.

    For column j with the encoding z_j and a prediction f, this is the mean of ``abs(df/dz_j . (mean(z_j) - z_j))`` over
    the rows. It is the gradient times the input of [1]_, section 3.2, with the mean as the reference. In a table, a
    categorical column has a single importance, which includes that of its missing values. For :class:`MLPClassifier`
    and :class:`MLPRegressor`, z_j is the column itself. The derivative is a central difference. Targets are not
    required.

    Parameters
    ----------
    estimator : TabularMLPClassifier, TabularMLPRegressor, MLPClassifier, MLPRegressor or Pipeline that ends with one
        Fitted estimator. The columns of a pipeline are those that its last step receives.
    X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        Raw table, or the input of the pipeline. If it has more than 2,000 rows, 2,000 of them are drawn at random.
    random_state : int, RandomState instance or None, default=None
        Determines the rows that are drawn.

    Returns
    -------
    importances : ndarray of shape (n_features,)
        Importance of each column, in the unit of y or as a probability, averaged over outputs or classes. For a
        classifier without probabilities, in the unit of its scores.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind.
    ValueError
        If X cannot be used, or is too wide and has too many rows.

    References
    ----------
    .. [1] A. Shrikumar et al., "Not Just a Black Box: Learning Important Features Through Propagating Activation
       Differences", arXiv:1605.01713, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_iitb import TabularMLPRegressor
    >>> from sknn_iitb.inspection import gradient_importance
    >>> X = np.random.RandomState(0).normal(size=(500, 3))
    >>> net = TabularMLPRegressor(preset="fast", random_state=0)
    >>> net = net.fit(X, 10 * X[:, 1] + X[:, 2])
    >>> gradient_importance(net, X).argmax()
    np.int64(1)
    """
    check_is_fitted(estimator)
    steps, net = steps_and_net(estimator)
    Z = net._matrix(X if steps is None else steps.transform(X))
    if min(Z.shape[0], _MAX_ROWS) * net.n_features_in_ * Z.shape[1] > _MOST_NUMBERS:
        raise ValueError(
            f"X has {net.n_features_in_} columns, too many for two predictions each. Average the absolute values of "
            "sknn_iitb.inspection.attributions instead, whose time grows more slowly, or pass fewer rows."
        )
    mean = np.asarray(Z.mean(axis=0)).ravel()
    if Z.shape[0] > _MAX_ROWS:
        Z = Z[check_random_state(random_state).choice(Z.shape[0], _MAX_ROWS, replace=False)]
    Z = Z.toarray() if issparse(Z) else Z
    return np.array([_mean_change(net, Z, mean, columns) for columns in _encoded_columns(net)])


def _encoded_columns(net):
    """Indices of the columns that encode each column of the table."""
    origins = net.encoder_.origins_ if hasattr(net, "encoder_") else np.arange(net.n_features_in_)
    return [np.flatnonzero(origins == j) for j in range(net.n_features_in_)]


def _mean_change(net, Z, mean, columns):
    """Mean absolute derivative of the predictions as some columns move to their means, by a central difference."""
    predictions = []
    for step in (_STEP, -_STEP):
        moved = Z.copy()
        moved[:, columns] += step * (mean[columns] - Z[:, columns])
        predictions.append(net._predicted(moved))
    return abs(predictions[0] - predictions[1]).mean() / (2 * _STEP)


class ImportanceDisplay:
    """Bar plot of the importance of each column of a table.

    Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    importances : ndarray of shape (n_features,)
        Importance of each column.
    names : sequence of str
        Names of the columns.
    spread : ndarray of shape (n_features,), default=None
        Standard deviation of each importance.
    label : str, default=''
        Label of the x axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the bars.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : matplotlib BarContainer
        Bars, in increasing order of importance.

    See Also
    --------
    gradient_importance : Gradient importance as numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any
    bars_: Any

    def __init__(self, importances: Array, names: Sequence[str], spread: Array | None = None, label: str = "") -> None:
        self.importances = importances
        self.names = names
        self.spread = spread
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        kind: Literal["permutation", "gradient"] = "permutation",
        scoring: str | Callable[[Any, Any, Any], float] | None = None,
        n_repeats: int = 5,
        max_features: int = 20,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute importances and plot them.

        Parameters
        ----------
        estimator : TabularMLPClassifier, TabularMLPRegressor, MLPClassifier, MLPRegressor or Pipeline
            Fitted estimator; for permutation importance, any. Gradient importance is that of the columns that the last
            step of a pipeline receives, and permutation importance that of the columns of X.
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
            Input of the estimator, preferably of held-out samples. Permutation importance does not accept a sparse
            matrix.
        y : array-like, default=None
            Targets, required for permutation importance.
        kind : {'permutation', 'gradient'}, default='permutation'
            Permutation importance is how much the score drops when a column is shuffled
            (:func:`sklearn.inspection.permutation_importance`). Gradient importance (:func:`gradient_importance`) is
            faster.
        scoring : str, callable or None, default=None
            Score for permutation importance. None uses the estimator's `score`.
        n_repeats : int, default=5
            Number of times that each column is shuffled.
        max_features : int, default=20
            Maximum number of bars. The most important columns are shown.
        random_state : int, RandomState instance or None, default=None
            Determines the permutations, or the rows for gradient importance.
        n_jobs : int or None, default=None
            Number of columns to shuffle in parallel.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no gradient importance.
        ValueError
            If `kind` is unknown, or y is missing or X is sparse for permutation importance.
        """
        if kind not in ("permutation", "gradient"):
            raise ValueError(f"kind must be 'permutation' or 'gradient', got {kind!r}.")
        check_is_fitted(estimator)
        if kind == "gradient":
            importances = gradient_importance(estimator, X, random_state)
            label = "mean change in the prediction"
            return cls(importances, column_names(estimator), None, label).plot(ax, max_features=max_features)
        if y is None:
            raise ValueError("kind='permutation' requires y, kind='gradient' does not.")
        if issparse(X):
            raise ValueError(
                "kind='permutation' does not support a sparse X. Use kind='gradient', or pass X.toarray()."
            )
        found = permutation_importance(
            estimator, X, y, scoring=scoring, n_repeats=n_repeats, random_state=random_state, n_jobs=n_jobs
        )
        score = check_scoring(estimator, scoring)(estimator, X, y)
        name = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        label = f"drop in {name} (from {score:.3g}) when the column is shuffled"
        # a pipeline that begins with "passthrough" does not know its columns
        names = getattr(X, "columns", [f"x{j}" for j in range(len(found.importances_mean))])
        names = getattr(estimator, "feature_names_in_", names)
        return cls(found.importances_mean, names, found.importances_std, label).plot(ax, max_features=max_features)

    def plot(self, ax: Any = None, *, max_features: int = 20) -> Self:
        """Plot the importances, the largest at the top.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
        max_features : int, default=20
            Maximum number of bars. The most important columns are shown.

        Returns
        -------
        self : ImportanceDisplay
        """
        shown = np.argsort(self.importances)[-max_features:]
        (ax,) = set_axes(self, ax, ["importances"], size=(WIDTH, 1 + 0.28 * len(shown)))
        spread = None if self.spread is None else self.spread[shown]
        self.bars_ = ax.barh([str(self.names[j]) for j in shown], self.importances[shown], xerr=spread, color="C0")
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.set_xlabel(self.label)
        return self
