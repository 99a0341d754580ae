"""Validation splits: the samples that each member of an ensemble trains on, and those that it holds out."""

import warnings
from fractions import Fraction

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from sknn_iitb._engine.samples import Samples
from sknn_iitb._engine.validation import checked_split
from sknn_iitb._typing import Array, Splitter

__all__ = ["distinct", "merged", "splits"]

# Maximum number of folds for frequent samples if 1 / fraction is not an integer: at least 5 % of them are held out.
_MAX_FOLDS = 20


def splits(
    n_members: int,
    fraction: float | Splitter,
    samples: Samples,
    strata: Array | None,
    rng: np.random.RandomState,
    grouped: bool = False,
) -> list[tuple[Array, Array]]:
    """Choose the training and validation samples of each member.

    If ``1 / fraction`` is an integer, the validation sets are the folds of a cross-validation, repeated if there are
    more members than folds. The members together then train on all samples. Otherwise each member has a random split.

    Parameters
    ----------
    n_members : int
    fraction : float or CV splitter
        Fraction of the samples to hold out.
    samples : Samples
        The original samples for a splitter, otherwise the result of :func:`merged`.
    strata : ndarray or None
        Classes of the samples, for stratified splits.
    rng : RandomState
    grouped : bool, default=False
        Whether ``samples.groups`` are the user's groups, which a float `fraction` keeps together.

    Returns
    -------
    splits : list of (ndarray, ndarray)
        Row indices of the training and the validation set of each member.

    Raises
    ------
    ValueError
        If the samples cannot be split in this way.
    """
    if hasattr(fraction, "split"):
        return _repeated(n_members, lambda: _splits_of(fraction, samples))
    if grouped and samples.groups.max() == 0:
        raise ValueError(
            "groups contains only one group of samples with nonzero weight. At least 2 are required, because "
            f"validation_fraction={fraction!r} holds out whole groups."
        )
    if len(samples.Y) == 1:  # a constant
        everything = np.arange(1)
        return [(everything, everything)] * n_members
    n_folds, n_held_out = _folds_of(fraction)
    if not _is_integer(1 / fraction):
        return _repeated(n_members, lambda: [_random_split(fraction, n_held_out, samples.groups, strata, rng, grouped)])

    def cross_validation():
        if grouped:
            n_groups = samples.groups.max() + 1
            folds = (_positions(samples.groups, strata, rng) * min(n_folds, n_groups)).astype(int)
        else:
            folds = _folds(n_folds, samples.groups, strata, rng.randint(2**31 - 1))
        return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]

    return _repeated(n_members, cross_validation)


def _repeated(n_members, make_splits):
    """Make splits until there is one for each member."""
    found = []
    while len(found) < n_members:
        found += make_splits()
    return found[:n_members]


def _splits_of(splitter, samples):
    try:
        found = [checked_split(split, len(samples.Y)) for split in splitter.split(samples.X, samples.y, samples.groups)]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"validation_fraction={splitter!r} gives no split of these samples: {error}") from error
    if not found or not all(len(side) for split in found for side in split):
        raise ValueError(
            f"validation_fraction={splitter!r} yields no split of these samples, or one with an empty side."
        )
    return found


def _is_integer(number):
    return 1.5 < number < np.inf and abs(number - round(number)) < 1e-9 * number


def _folds_of(fraction):
    """Express a fraction as a number of folds, and how many of them are held out."""
    if _is_integer(1 / fraction):
        return round(1 / fraction), 1
    closest = Fraction(float(min(max(fraction, 1 / _MAX_FOLDS), 1 - 1 / _MAX_FOLDS))).limit_denominator(_MAX_FOLDS)
    return closest.denominator, closest.numerator


def _folds(n_folds, assigned, strata, seed):
    """Assign a fold to each sample for which `assigned` has -1 instead of a fold."""
    folds, free = assigned.copy(), np.flatnonzero(assigned < 0)
    n_folds = min(n_folds, len(free))
    if n_folds < 2:
        folds[free] = 0
        return folds
    strata = None if strata is None else strata[free]
    stratifies = strata is not None and np.bincount(strata).max() >= n_folds
    splitter = (StratifiedKFold if stratifies else KFold)(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # for classes with fewer samples than folds
        for k, (_, held_out) in enumerate(splitter.split(free, strata)):
            folds[free[held_out]] = k
    return folds


def _random_split(fraction, n_held_out, groups, strata, rng, grouped):
    """Hold out a fraction of the samples or groups, but at least one.

    Without the user's groups, `groups` has the folds of frequent samples, of which the first `n_held_out` are held out.
    """
    if grouped:
        position = _positions(groups, strata, rng)
        held_out = position < max(fraction, np.nextafter(position.min(), 1))
    else:
        held_out, free = (groups >= 0) & (groups < n_held_out), np.flatnonzero(groups < 0)
        if free.size:
            position = _positions(np.arange(free.size), None if strata is None else strata[free], rng)
            least = 0 if held_out.any() else np.nextafter(position.min(), 1)
            held_out[free] = position < max(fraction, least)
    if held_out.all():
        total = f"{groups.max() + 1} groups" if grouped else f"{len(groups)} distinct samples"
        raise ValueError(f"validation_fraction={fraction!r} of {total} leaves none to train on.")
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _positions(groups, strata, rng):
    """Arrange the groups as intervals of [0, 1] in random order, with lengths proportional to their sizes.

    The groups of each class are spread evenly, so the proportions of the classes are about the same in any part of
    [0, 1].

    Returns
    -------
    positions : ndarray of shape (n_samples,)
        Midpoint of each sample's group.
    """
    size = np.bincount(groups)
    order = rng.permutation(len(size))
    if strata is not None:
        counts = np.zeros((len(size), strata.max() + 1), int)
        np.add.at(counts, (groups, strata), 1)
        main = counts.argmax(axis=1)
        spread = np.empty(len(size))
        for label in np.unique(main):
            of_label = order[main[order] == label]
            spread[of_label] = (np.cumsum(size[of_label]) - rng.uniform() * size[of_label]) / size[of_label].sum()
        order = order[np.argsort(spread[order], kind="stable")]
    middle = np.empty(len(size))
    middle[order] = (np.cumsum(size[order]) - size[order] / 2) / len(groups)
    return middle[groups]


def merged(samples: Samples, fraction: float) -> Samples:
    """Merge identical samples, and sort the samples by their content.

    Identical samples become one sample with the sum of their weights. A sample of weight 2 is therefore equivalent to
    two samples, and a few identical samples are never on both sides of a split.

    If there are at least as many identical samples as folds, as in a table of a few categories, they become one sample
    per fold instead. Otherwise each member would be validated on samples unlike those that it trained on. `groups` of
    the result has the folds of these samples, and -1 for all others.

    If the samples have groups, identical samples of different groups stay distinct, because a group stays on one side
    of a split. `groups` of the result then has the numbers of the groups from 0.

    Parameters
    ----------
    samples : Samples
    fraction : float
        Fraction of the samples that will be held out.

    Returns
    -------
    samples : Samples
    """
    codes = None if samples.groups is None else np.unique(samples.groups, return_inverse=True)[1].ravel()
    first, inverse = distinct(samples.X, samples.Y, *([] if codes is None else [codes[:, None]]))
    n_identical = np.bincount(inverse)
    if codes is None:
        n_folds, _ = _folds_of(fraction)
        n_copies = np.where(n_identical >= n_folds, n_folds, 1)
        number = np.arange(n_copies.sum()) - np.repeat(np.cumsum(n_copies) - n_copies, n_copies)
        groups = np.where(np.repeat(n_copies, n_copies) > 1, number, -1)
    else:
        n_copies, groups = np.ones_like(n_identical), codes[first]
    weight = np.repeat(np.bincount(inverse, samples.weight) / n_copies, n_copies)
    samples = samples.take(np.repeat(first, n_copies))
    return samples._replace(weight=None if np.all(weight == weight[0]) else weight, groups=groups)


def distinct(*matrices: Array) -> tuple[Array, Array]:
    """Find the distinct rows of matrices that are joined side by side, sorted by their bytes.

    One column after the other is compared, and only in rows that are identical in all previous columns. This needs
    little memory, whereas sorting whole rows would copy the table.

    Parameters
    ----------
    *matrices : ndarray of shape (n_samples, n_columns)

    Returns
    -------
    first : ndarray of int64 of shape (n_distinct,)
        Index of the first occurrence of each distinct row.
    inverse : ndarray of int64 of shape (n_samples,)
        Position of each row among the distinct rows.
    """
    n_samples = len(matrices[0])
    order, is_first = np.arange(n_samples), np.zeros(n_samples, bool)
    is_first[0] = True
    for matrix in matrices:
        for j in range(matrix.shape[1]):
            is_single = is_first & np.append(is_first[1:], True)
            tied = np.flatnonzero(~is_single)
            if tied.size == 0:
                break
            rows, run = order[tied], np.cumsum(is_first)[tied]
            # integers that sort like the bytes
            key = np.ascontiguousarray(matrix[rows, j]).view(f">u{matrix.itemsize}").astype(f"u{matrix.itemsize}")
            by_key = np.lexsort((key, run))
            order[tied], key = rows[by_key], key[by_key]
            is_first[tied[1:]] |= key[1:] != key[:-1]
    inverse = np.empty(n_samples, np.int64)
    inverse[order] = np.cumsum(is_first) - 1
    return order[is_first], inverse
