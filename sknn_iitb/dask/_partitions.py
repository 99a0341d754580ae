"""Dask collections as partitions: rows of X with their targets and weights."""

from typing import Any, NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np

from sknn_iitb.dask._shards import Part

__all__ = ["Table", "computed", "is_collection", "joined_array", "partitions_of"]


class Table(NamedTuple):
    """The partitions of a fit, and what all of them must look like: number and names of the features."""

    partitions: list
    n_features: int
    columns: list | None


def is_collection(value: Any) -> bool:
    """Whether a value is a Dask array or data frame."""
    return isinstance(value, (da.Array, dd.DataFrame, dd.Series))


def partitions_of(X, y, sample_weight):
    """Pair the partitions of X with those of y and of the weights.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
    y, sample_weight : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame
        In other partitions than X, these are repartitioned. `sample_weight` may be None.

    Returns
    -------
    table : Table

    Raises
    ------
    TypeError
        If one is not a Dask collection.
    ValueError
        If the shapes do not fit.
    """
    for name, value in (("X", X), ("y", y), ("sample_weight", sample_weight)):
        if not is_collection(value) and not (name == "sample_weight" and value is None):
            raise TypeError(
                f"{name} must be a Dask array or data frame, got {type(value).__name__}; convert it with "
                "dask.array.from_array, or fit the estimator that is not distributed."
            )
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got {X.ndim}.")
    if isinstance(X, da.Array) and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    others = [None if each is None else _like(X, each, name) for name, each in (("y", y), ("weight", sample_weight))]
    blocks = [_blocks(each) for each in (X, *others)]
    parts = [
        dask.delayed(Part, pure=True)(number, *parts) for number, parts in enumerate(zip(*_filled(blocks), strict=True))
    ]
    columns = None if isinstance(X, da.Array) else list(X.columns)
    return Table(parts, X.shape[1] if columns is None else len(columns), columns)


def computed(value: Any) -> Any:
    """The value, computed if it is a Dask collection."""
    return value.compute() if is_collection(value) else value


def _blocks(collection):
    if collection is None:
        return None
    # optimized, small Parquet files become one partition for y, which is small, and not for X
    found = collection.to_delayed(optimize_graph=False)
    return list(found.ravel()) if isinstance(found, np.ndarray) else list(found)


def _filled(blocks):
    """Without weights, None for each partition."""
    return [[None] * len(blocks[0]) if each is None else each for each in blocks]


def _lengths(collection):
    """Rows of each partition, NaN where unknown."""
    return collection.chunks[0] if isinstance(collection, da.Array) else (np.nan,) * collection.npartitions


def _like(X, other, name):
    """`other` in the partitions of X."""
    if isinstance(other, da.Array) and other.ndim == 2 and other.numblocks[1] > 1:
        other = other.rechunk({1: -1})
    lengths, theirs = _lengths(X), _lengths(other)
    if not (np.isnan(lengths).any() or np.isnan(theirs).any()):
        if sum(lengths) != sum(theirs):
            raise ValueError(f"X has {sum(lengths)} rows, {name} has {sum(theirs)}.")
        return other if lengths == theirs else other.rechunk({0: lengths})
    frames = not isinstance(X, da.Array) and not isinstance(other, da.Array)
    are_known = frames and X.known_divisions and other.known_divisions
    # rows are paired in their order, whatever the index; the workers check their number
    if X.divisions == other.divisions if are_known else len(lengths) == len(theirs):
        return other
    lengths = tuple(dask.compute(*[dask.delayed(len)(block) for block in _blocks(X)]))
    theirs = tuple(dask.compute(*[dask.delayed(len)(block) for block in _blocks(other)]))
    if sum(lengths) != sum(theirs):
        raise ValueError(f"X has {sum(lengths)} rows, {name} has {sum(theirs)}.")
    if lengths == theirs:
        return other
    example = np.asarray(other._meta)
    blocks = [dask.delayed(np.asarray)(block) for block in _blocks(other)]
    return joined_array(blocks, example, theirs).rechunk({0: lengths})


def joined_array(blocks, example, lengths=None):
    """The Dask array of delayed arrays.

    Parameters
    ----------
    blocks : list of Delayed
    example : ndarray
        An array like each, with any number of rows.
    lengths : sequence of int or None
        The rows of each, None if unknown.
    """
    lengths = [np.nan] * len(blocks) if lengths is None else lengths
    shapes = [(n, *example.shape[1:]) for n in lengths]
    return da.concatenate(
        [da.from_delayed(block, shape, meta=example[:0]) for block, shape in zip(blocks, shapes, strict=True)],
        allow_unknown_chunksizes=True,
    )
