"""Types shared by the annotations of the public interface."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Array", "ArrayOrList", "ClassWeight", "MatrixLike", "RandomState", "SparseMatrix", "Splitter"]

Array = NDArray[Any]

# an array, or a list for y with several columns of classes; a union would make every user narrow the type
ArrayOrList = Array | Any

RandomState = int | np.random.RandomState | None

ClassWeight = Mapping[Any, float] | Literal["balanced"] | None


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy, which has no type annotations."""

    def tocsr(self, copy: bool = False) -> Any:
        """Convert to compressed sparse row format."""
        ...


# a data frame has `__array__`, so it is array-like
MatrixLike = ArrayLike | SparseMatrix


class Splitter(Protocol):
    """A cross-validation splitter."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Any, Any]]:
        """Pairs of training and test indices."""
        ...

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of pairs."""
        ...
