"""From a table as people have it to the matrix that the net learns from."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_iitb.tabular.columns import columns_of, is_frame, names_of
from sknn_iitb.tabular.preprocessing import RobustSmoothScaler, counted

__all__ = ["TableEncoder"]

# more levels than these share one, the rare ones: a column for each would be long to learn from
_MAX_LEVELS = 100
# what a float32 can hold
_LARGEST = float(np.finfo(np.float32).max)


class TableEncoder(TransformerMixin, BaseEstimator):
    """Turn a table with categories and missing values into a float32 matrix for a net.

    Numbers go through :class:`RobustSmoothScaler`; a missing one becomes 0, the median, and is marked in a column of
    its own. A category of two levels becomes -1 or 1, or 0 if it is missing or unseen; one of more levels a column for
    each, scaled as numbers are, none of which is set where it is missing or unseen. Of more than 100 levels the rare
    ones share a column.

    Parameters
    ----------
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        The columns that are categories: those of a DataFrame or pyarrow Table whose type is neither numeric nor
        temporal nor complex, such as category, string or boolean; or their names, their numbers, or a mask.

    Attributes
    ----------
    is_categorical_ : ndarray of bool, shape (n_features,)
    origins_ : ndarray of int, shape (n_outputs,)
        The column of the table that each column of the matrix comes from.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknn_iitb.tabular import TableEncoder
    >>> X = pd.DataFrame({"size": [1.0, 2.0, None, 4.0], "colour": pd.Categorical(["red", "blue", "red", None])})
    >>> TableEncoder().fit_transform(X).round(2)
    array([[-0.33,  0.  , -0.33],
           [ 0.  ,  0.  ,  0.95],
           [ 0.  ,  1.66, -0.33],
           [ 0.65,  0.  ,  0.33]], dtype=float32)
    """

    def __init__(self, categorical_features="from_dtype"):
        self.categorical_features = categorical_features

    def fit(self, X, y=None, sample_weight=None):
        """Learn scales and levels.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; a weight of 2 is two samples, one of 0 is none.

        Returns
        -------
        self : TableEncoder

        Raises
        ------
        ValueError
            If a column cannot be used; the message has its name and says what to do.
        """
        self._fit_transform(X, sample_weight, all_rows=False)
        return self

    def fit_transform(self, X, y=None, sample_weight=None):
        """As `fit` followed by `transform`, in one go.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        Z : ndarray of float32, shape (n_samples, n_outputs)
        """
        return self._fit_transform(X, sample_weight, all_rows=True)

    def _fit_transform(self, X, sample_weight, all_rows):
        X, columns = self._columns(X, reset=True)
        self.is_categorical_ = self._chosen(columns)
        numeric, categories = self._split(columns)
        rows, weight = counted(np.arange(len(numeric)), sample_weight)
        few = numeric[rows]
        self._missing = np.isnan(few).any(axis=0) & ~np.isnan(few).all(axis=0)
        self._levels = [_levels(labels.index[rows], labels.names, weight) for labels in categories]
        self._n_levels = [len({*codes.values()}) for codes in self._levels]
        is_number = np.flatnonzero(~self.is_categorical_)
        of_levels = np.flatnonzero(self.is_categorical_)
        widths = [n if n > 2 else 1 for n in self._n_levels]
        self.origins_ = np.concatenate([is_number, is_number[self._missing], np.repeat(of_levels, widths)]).astype(int)
        self._names = [column.name for column in columns]
        matrix = self._matrix(numeric, categories)
        self._scaler = RobustSmoothScaler().fit(matrix[rows], sample_weight=weight)
        return self._scaled(matrix) if all_rows else None

    def _scaled(self, matrix):
        return np.nan_to_num(self._scaler.transform(matrix), copy=False)

    def transform(self, X):
        """The matrix.

        Parameters
        ----------
        X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of float32, shape (n_samples, n_outputs)
        """
        check_is_fitted(self)
        X, columns = self._columns(X, reset=False)
        numeric, categories = self._split(columns)
        self._warn_of_unseen(columns, categories)
        return self._scaled(self._matrix(numeric, categories))

    def _warn_of_unseen(self, columns, categories):
        """Warn of categories none of whose values was seen in fit, one warning for all: they may be of another type."""
        chosen = [column.name for column, is_category in zip(columns, self.is_categorical_, strict=True) if is_category]
        unseen = [
            name
            for name, labels, levels in zip(chosen, categories, self._levels, strict=True)
            if labels.names and levels.keys().isdisjoint(labels.names)
        ]
        if unseen:
            warnings.warn(
                f"No value of the categorical columns {unseen} was seen in fit, so they are encoded as unknown. Check "
                "that their types and spelling are those of the training data.",
                UserWarning,
                stacklevel=3,
            )

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of the matrix.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of object
        """
        check_is_fitted(self)
        names = [f"x{name}" if isinstance(name, int) else str(name) for name in self._names]
        numeric = [names[j] for j in np.flatnonzero(~self.is_categorical_)]
        missing = [f"{name}_missing" for name, is_marked in zip(numeric, self._missing, strict=True) if is_marked]
        levels = []
        for j, n in zip(np.flatnonzero(self.is_categorical_), self._n_levels, strict=True):
            levels += [f"{names[j]}_{k}" for k in range(n)] if n > 2 else [names[j]]
        return np.array(numeric + missing + levels, dtype=object)

    def _columns(self, X, reset):
        """The table as it is checked, and its columns."""
        if is_frame(X):
            names = [*map(str, names_of(X))]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                found = ", ".join(map(repr, twice))
                raise ValueError(f"X has columns of the same name: {found}; names must be unique.")
            for number, of in zip(X.shape, ("sample", "feature"), strict=True):
                if number == 0:
                    raise ValueError(f"Found array with 0 {of}(s) (shape={X.shape}) while a minimum of 1 is required.")
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X, columns_of(X)
        checked = partial(check_array, accept_sparse="csr", ensure_all_finite=False, estimator=self)
        X = checked(X, dtype=None)
        columns = columns_of(X)  # raises for times, which have numbers too
        if not self._may_be_text():
            X = checked(X, dtype="numeric")
            columns = columns_of(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X, columns

    def _may_be_text(self):
        return not isinstance(self.categorical_features, str) and self.categorical_features is not None

    def _chosen(self, columns):
        """Which columns are categories."""
        chosen = self.categorical_features
        if chosen is None:
            return np.zeros(len(columns), bool)
        if isinstance(chosen, str):
            if chosen != "from_dtype":
                raise ValueError(f"categorical_features must be 'from_dtype' or a list of columns, got {chosen!r}.")
            return np.array([column.is_category for column in columns])
        chosen = np.asarray(chosen)
        if chosen.dtype == bool:
            if chosen.shape != (len(columns),):
                raise ValueError(f"categorical_features, as a mask, must have {len(columns)} entries; got {chosen!r}.")
            return chosen
        names = [column.name for column in columns]
        mask = np.zeros(len(columns), bool)
        for each in chosen.tolist():
            if each in names:
                mask[names.index(each)] = True
            elif isinstance(each, int) and -len(columns) <= each < len(columns):
                mask[each] = True
            else:
                raise ValueError(f"categorical_features has {each!r}, which is no column of X; those are {names}.")
        return mask

    def _split(self, columns):
        """The numbers, a float64 matrix, and the categories, a list of labels."""
        pairs = list(zip(columns, self.is_categorical_, strict=True))
        categories = [column.labels() for column, is_category in pairs if is_category]
        numeric = [column.numbers() for column, is_category in pairs if not is_category]
        return np.column_stack(numeric) if numeric else np.empty((len(categories[0].index), 0)), categories

    def _matrix(self, numeric, categories):
        """The columns of the matrix before they are scaled."""
        matrix = np.empty((len(numeric), len(self.origins_)), np.float32)
        matrix[:, : numeric.shape[1]] = np.clip(numeric, -_LARGEST, _LARGEST)
        at = numeric.shape[1]
        for j in np.flatnonzero(self._missing):
            matrix[:, at] = np.isnan(numeric[:, j])
            at += 1
        for labels, levels, n in zip(categories, self._levels, self._n_levels, strict=True):
            # the last entry is that of missing values, whose index is -1
            codes = np.array([*(levels.get(name, -1) for name in labels.names), -1])[labels.index]
            if n > 2:
                matrix[:, at : at + n] = codes[:, None] == np.arange(n)
                at += n
            else:
                matrix[:, at] = np.where(codes < 0, 0, 2 * codes - 1) if n == 2 else 0
                at += 1
        return matrix

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _levels(index, names, weight):
    """The number of each level, from the most frequent to the rarest; the rarest of many share the last."""
    counts = np.bincount(index + 1, weight, minlength=len(names) + 1)[1:]
    found = sorted((k for k in range(len(names)) if counts[k] > 0), key=lambda k: (-counts[k], names[k]))
    return {names[k]: min(number, _MAX_LEVELS - 1) for number, k in enumerate(found)}
