"""Validation splits: which samples each member of an ensemble trains on, and which it is judged by."""

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from sknn_iitb._typing import Array

__all__ = ["distinct", "merged", "splits"]

# Samples that occur very often are cut into at most so many shares: 5 % of them is the least that can be held out.
_MAX_SHARES = 20


def splits(
    n_members: int, fraction: Any, samples: Any, strata: Array | None, rng: np.random.RandomState, grouped: bool = False
) -> list[tuple[Array, Array]]:
    """Training and validation samples of each member.

    If 1 / fraction is a whole number, the validation samples are the folds of one cross-validation, or of several if
    there are more members, so the members see all samples between them. Otherwise each member has a random split.

    Parameters
    ----------
    n_members : int
    fraction : float or CV splitter
        The share of the samples that a member is judged by.
    samples : Samples
        As they are given for a splitter, else as :func:`merged` returns them.
    strata : ndarray or None
        Classes of the samples, for stratified splits.
    rng : RandomState
    grouped : bool, default=False
        Whether ``samples.groups`` are the user's groups, which a float `fraction` keeps together.

    Returns
    -------
    splits : list of (ndarray, ndarray)
    """
    if hasattr(fraction, "split"):
        return _cycled(n_members, lambda: _parts_of_splitter(fraction, samples))
    if grouped and samples.groups.max() == 0:
        raise ValueError(
            f"groups has a single group among the samples with nonzero weight, but validation_fraction={fraction!r} "
            "holds out whole groups; at least 2 are needed."
        )
    if len(samples.Y) == 1:  # a constant
        everything = np.arange(1)
        return [(everything, everything)] * n_members
    n_folds, n_held_out = _shares_of(fraction)
    if not _is_whole(1 / fraction):
        return _cycled(n_members, lambda: [_random_split(fraction, n_held_out, samples.groups, strata, rng, grouped)])

    def parts():
        if grouped:
            n_groups = samples.groups.max() + 1
            folds = (_positions(samples.groups, strata, rng) * min(n_folds, n_groups)).astype(int)
        else:
            folds = _folds(n_folds, samples.groups, strata, rng.randint(2**31 - 1))
        return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]

    return _cycled(n_members, parts)


def _cycled(n_members, parts):
    found = []
    while len(found) < n_members:
        found += parts()
    return found[:n_members]


def _parts_of_splitter(splitter, samples):
    parts = list(splitter.split(samples.X, samples.y, samples.groups))
    if not parts:
        raise ValueError(f"validation_fraction={splitter!r} gives no split of these samples.")
    return parts


def _is_whole(number):
    return number > 1.5 and abs(number - round(number)) < 1e-9 * number


def _shares_of(fraction):
    """Into how many shares samples that occur very often are cut, and how many of the shares are held out."""
    if _is_whole(1 / fraction):
        return round(1 / fraction), 1
    closest = Fraction(min(max(fraction, 1 / _MAX_SHARES), 1 - 1 / _MAX_SHARES)).limit_denominator(_MAX_SHARES)
    return closest.denominator, closest.numerator


def _folds(n_folds, shares, strata, seed):
    """The number of the fold that each sample is in."""
    folds, alone = shares.copy(), np.flatnonzero(shares < 0)
    n_folds = min(n_folds, len(alone))
    if n_folds < 2:
        folds[alone] = 0
        return folds
    strata = None if strata is None else strata[alone]
    stratifies = strata is not None and np.bincount(strata).max() >= n_folds
    splitter = (StratifiedKFold if stratifies else KFold)(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer samples than there are folds
        for k, (_, held_out) in enumerate(splitter.split(alone, strata)):
            folds[alone[held_out]] = k
    return folds


def _random_split(fraction, n_held_out, groups, strata, rng, grouped):
    """Hold out a share of the samples, or of the groups, but at least one."""
    if grouped:
        place = _positions(groups, strata, rng)
        held_out = place < max(fraction, np.nextafter(place.min(), 1))
    else:
        held_out, alone = (groups >= 0) & (groups < n_held_out), np.flatnonzero(groups < 0)
        if alone.size:
            place = _positions(np.arange(alone.size), None if strata is None else strata[alone], rng)
            least = 0 if held_out.any() else np.nextafter(place.min(), 1)
            held_out[alone] = place < max(fraction, least)
    if held_out.all():
        counted = f"{groups.max() + 1} groups" if grouped else f"{len(groups)} distinct samples"
        raise ValueError(f"validation_fraction={fraction!r} of {counted} leaves none to train on.")
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _positions(groups, strata, rng):
    """Place the groups in random order on the line from 0 to 1, each as long as its share of the samples.

    The groups of each class are spread evenly, so every stretch of the line has about the same share of each class.

    Returns
    -------
    positions : ndarray of shape (n_samples,)
        The middle of each sample's group.
    """
    size = np.bincount(groups)
    order = rng.permutation(len(size))
    if strata is not None:
        counts = np.zeros((len(size), strata.max() + 1), int)
        np.add.at(counts, (groups, strata), 1)
        main = counts.argmax(axis=1)
        spread = np.empty(len(size))
        for label in np.unique(main):
            members = order[main[order] == label]
            spread[members] = (np.cumsum(size[members]) - rng.uniform() * size[members]) / size[members].sum()
        order = order[np.argsort(spread[order], kind="stable")]
    middle = np.empty(len(size))
    middle[order] = (np.cumsum(size[order]) - size[order] / 2) / len(groups)
    return middle[groups]


def merged(samples: Any, fraction: Any) -> Any:
    """The distinct samples, in an order that is their own, with the weights of equal ones added up.

    So a sample of weight 2 is the same as two samples, and a few equal ones are never on both sides of a split. Of
    those that there are many of, as in a table of a few categories, each fold is to have its share, or what is held out
    would be what has not been learned: they become as many samples as there are folds. `groups` has the number of the
    fold then, and -1 for the others.

    Samples of different groups are distinct, since a group has to stay on one side of a split. With groups given,
    `groups` has their numbers from 0.

    Parameters
    ----------
    samples : Samples
    fraction : float
        The share of the samples that is to be held out.

    Returns
    -------
    samples : Samples
    """
    codes = None if samples.groups is None else np.unique(samples.groups, return_inverse=True)[1].ravel()
    first, index = distinct(samples.X, samples.Y, *([] if codes is None else [codes[:, None]]))
    n_equal = np.bincount(index)
    if codes is None:
        n_folds, _ = _shares_of(fraction)
        n_shares = np.where(n_equal >= n_folds, n_folds, 1)
        number = np.arange(n_shares.sum()) - np.repeat(np.cumsum(n_shares) - n_shares, n_shares)
        groups = np.where(np.repeat(n_shares, n_shares) > 1, number, -1)
    else:
        n_shares, groups = np.ones_like(n_equal), codes[first]
    weight = np.repeat(np.bincount(index, samples.weight) / n_shares, n_shares)
    samples = samples.take(np.repeat(first, n_shares))
    return samples._replace(weight=None if np.all(weight == weight[0]) else weight, groups=groups)


def distinct(*parts: Any) -> tuple[Array, Array]:
    """The distinct rows of matrices side by side, in the order of their bytes.

    Columns are compared one after the other, and only in the rows that are equal in all columns before. So little
    memory is needed, where a sort of whole rows needs copies of the table.

    Parameters
    ----------
    *parts : ndarray of shape (n_samples, n_columns)

    Returns
    -------
    first : ndarray of int64, shape (n_distinct,)
        The first row of each kind.
    index : ndarray of int64, shape (n_samples,)
        The kind of each row.
    """
    n_samples = len(parts[0])
    order, begins = np.arange(n_samples), np.zeros(n_samples, bool)
    begins[0] = True
    for part in parts:
        for j in range(part.shape[1]):
            alone = begins & np.append(begins[1:], True)
            tied = np.flatnonzero(~alone)
            if tied.size == 0:
                break
            rows, kind = order[tied], np.cumsum(begins)[tied]
            # as numbers whose order is that of the bytes
            key = np.ascontiguousarray(part[rows, j]).view(f">u{part.itemsize}").astype(f"u{part.itemsize}")
            by_key = np.lexsort((key, kind))
            order[tied], key = rows[by_key], key[by_key]
            begins[tied[1:]] |= key[1:] != key[:-1]
    index = np.empty(n_samples, np.int64)
    index[order] = np.cumsum(begins) - 1
    return order[begins], index
