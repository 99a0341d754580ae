"""What mattered: how much each column of a table has to do with what a net predicts."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._typing import Array, MatrixLike, RandomState

__all__ = ["ImportanceDisplay", "gradient_importance"]

# rows that gradients are averaged over, enough for two digits
_ROWS = 2000
# how far of the way to its mean a column is moved: float32 predictions have seven digits
_STEP = 0.02


def gradient_importance(estimator: Any, X: MatrixLike, random_state: RandomState = None) -> Array:
    """How strongly predictions react to each column, by gradients; no targets are needed.

    For column j, its encoding z_j, and a prediction f, the mean over the rows of ``abs(df/dz_j . (mean(z_j) - z_j))``:
    how much it would change, by the slope where it is, if the column said nothing. (The gradient times the input of
    Shrikumar et al., arXiv:1605.01713, section 3.2, with the mean as the reference.) A category, its levels and its
    missing values count together.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        Fitted.
    X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
        Of more than 2,000 rows, so many are drawn.
    random_state : int, RandomState or None, default=None
        For the draw.

    Returns
    -------
    importances : ndarray of shape (n_features,)
        In the units of y, or of probabilities; the mean over classes or outputs.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_iitb import TabularMLPRegressor
    >>> from sknn_iitb.inspection import gradient_importance
    >>> X = np.random.RandomState(0).normal(size=(500, 3))
    >>> net = TabularMLPRegressor(preset="fast", random_state=0).fit(X, 10 * X[:, 1] + X[:, 2])
    >>> gradient_importance(net, X).argmax()
    np.int64(1)
    """
    check_is_fitted(estimator)
    Z = estimator._matrix(X)
    mean = Z.mean(axis=0)
    if len(Z) > _ROWS:
        Z = Z[check_random_state(random_state).choice(len(Z), _ROWS, replace=False)]
    return np.array([_reaction(estimator, Z, mean, columns) for columns in _columns(estimator)])


def _columns(estimator):
    """Of each column of the table, the columns of its encoding."""
    origins = estimator.encoder_.origins_
    return [np.flatnonzero(origins == j) for j in range(estimator.n_features_in_)]


def _reaction(estimator, Z, mean, columns):
    """The mean size of the derivative of what is predicted on the way of some columns to their means."""
    ends = []
    for step in (_STEP, -_STEP):
        moved = Z.copy()
        moved[:, columns] += step * (mean[columns] - Z[:, columns])
        ends.append(estimator._predicted(moved))
    return abs(ends[0] - ends[1]).mean() / (2 * _STEP)


class ImportanceDisplay:
    """A bar for each column of a table: how much a net's predictions depend on it.

    Made by :meth:`from_estimator`.

    Parameters
    ----------
    importances : ndarray of shape (n_features,)
    names : sequence of str
    spread : ndarray of shape (n_features,), default=None
        Standard deviations.
    label : str, default=""
        What the numbers are.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
    """

    ax_: Any
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
        estimator : TabularMLPClassifier or TabularMLPRegressor
            Fitted.
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            Best of samples that the net has not learned from.
        y : array-like, default=None
            Needed for permutations.
        kind : {"permutation", "gradient"}, default="permutation"
            By how much the score falls when a column is shuffled (:func:`sklearn.inspection.permutation_importance`),
            or how strongly predictions react to it (:func:`gradient_importance`), which is faster.
        scoring : str or callable, default=None
            For permutations; None for the estimator's own score.
        n_repeats : int, default=5
            How often each column is shuffled.
        max_features : int, default=20
            The most bars.
        random_state : int, RandomState or None, default=None
        n_jobs : int, default=None
            Columns that are shuffled at a time.
        ax : matplotlib Axes, default=None
            None for a new figure.

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        ValueError
            If `kind` is neither, or y is missing.
        """
        if kind not in ("permutation", "gradient"):
            raise ValueError(f"kind must be 'permutation' or 'gradient', got {kind!r}.")
        check_is_fitted(estimator)
        names = getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(estimator.n_features_in_)])
        if kind == "gradient":
            label = "mean reaction of the prediction"
            return cls(gradient_importance(estimator, X, random_state), names, None, label).plot(max_features, ax)
        if y is None:
            raise ValueError("kind='permutation' needs y; kind='gradient' does without.")
        found = permutation_importance(
            estimator, X, y, scoring=scoring, n_repeats=n_repeats, random_state=random_state, n_jobs=n_jobs
        )
        score = check_scoring(estimator, scoring)(estimator, X, y)
        of = scoring if isinstance(scoring, str) else "score"
        label = f"fall of the {of.replace('_', ' ')} ({score:.3g}) when the column is shuffled"
        return cls(found.importances_mean, names, found.importances_std, label).plot(max_features, ax)

    def plot(self, max_features: int = 20, ax: Any = None) -> Self:
        """Plot, the largest bar above.

        Parameters
        ----------
        max_features : int, default=20
        ax : matplotlib Axes, default=None

        Returns
        -------
        self : ImportanceDisplay
        """
        check_matplotlib_support("ImportanceDisplay.plot")
        from matplotlib import pyplot

        shown = np.argsort(self.importances)[-max_features:]
        if ax is None:
            _, ax = pyplot.subplots(figsize=(6.4, 1 + 0.28 * len(shown)), layout="constrained")
        spread = None if self.spread is None else self.spread[shown]
        self.bars_ = ax.barh([str(self.names[j]) for j in shown], self.importances[shown], xerr=spread, color="C0")
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.set_xlabel(self.label)
        self.ax_, self.figure_ = ax, ax.figure
        return self
