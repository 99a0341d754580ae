"""``python -m sknn_iitb.precompile``: compile ahead of time, for container images and clusters.

Without it, functions are compiled on first use and cached for the user: in ``NUMBA_CACHE_DIR`` if it is set, else in
Numba's cache directory. This command stores them beside the package instead, if that is writable, for all users of the
installation; ``pip uninstall`` then leaves this folder behind. The cache only serves processors of the same type,
unless ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` are the same on both machines. Custom functions are left out, and
so are integer X that is sparse or has input dropout, which few need.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from scipy import sparse

from sknn_iitb._engine.constraints import CONSTRAINTS
from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._jit.cache import cache_directory, store_in_package
from sknn_iitb._jit.store import failures
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES, Quantile
from sknn_iitb.mlp._base import WHOLE_NUMBERS
from sknn_iitb.mlp.classifier import MLPClassifier
from sknn_iitb.mlp.regressor import MLPRegressor
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

__all__ = ["main", "nets"]


def nets() -> Iterator[tuple[Any, Any, Any]]:
    """Yield networks that together use every component, each with samples to fit."""
    X = np.random.RandomState(0).normal(size=(12, 3))
    pairs, triples = np.arange(12) % 2, np.arange(12) % 3
    for cls in ACTIVATIONS:
        if cls.hidden:
            yield MLPRegressor(activation=cls.names[0]), X, pairs
    # validation calls the loss on its own
    validated = {"early_stopping": True, "validation_fraction": 0.25}
    for cls in LOSSES:
        for output in cls.regressor_outputs:
            yield MLPRegressor(loss=cls.names[0], output_activation=output, **validated), X, 1.0 + pairs
        for output in cls.classifier_outputs:
            y = triples if output == "softmax" else pairs
            yield MLPClassifier(loss=cls.names[0], output_activation=output, **validated), X, y
    for cls in OPTIMIZERS:
        yield MLPClassifier(solver=cls.names[0]), X, pairs
    yield MLPRegressor(loss=Quantile([0.1, 0.9]), **validated), X, pairs
    for name in NORMALIZATIONS:
        yield MLPClassifier(dropout=[0.1, 0.1], **{name: True}), X, pairs
    yield MLPClassifier(dropout=0.1, **dict.fromkeys(CONSTRAINTS.names(), 1.0)), sparse.csr_array(X), pairs
    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    yield MLPClassifier(), wide, pairs
    for kind in WHOLE_NUMBERS:
        yield MLPClassifier(), (100 * X).astype(kind), pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile for the dtypes given on the command line, and print where the results are."""
    parser = argparse.ArgumentParser(prog="python -m sknn_iitb.precompile", description="Compile ahead of time.")
    parser.add_argument("dtypes", nargs="*", metavar="dtype", help="float32, float64; both if none is given")
    dtypes = parser.parse_args(arguments).dtypes or ["float32", "float64"]
    if unknown := set(dtypes) - {"float32", "float64"}:
        parser.error(f"dtype {', '.join(sorted(unknown))} is not one of float32, float64")
    store_in_package()
    begin = perf_counter()
    jobs = [(dtype, *job) for dtype in dtypes for job in nets()]
    for k, (dtype, net, X, y) in enumerate(jobs, 1):
        if sys.stderr.isatty() or k == len(jobs):
            end = "\n" if k == len(jobs) else ""
            sys.stderr.write(f"\rCompiling: {k} of {len(jobs)} networks, {perf_counter() - begin:.0f} s{end}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks this small learn nothing
            net.set_params(dtype=dtype, hidden_layer_sizes=2, max_iter=1).fit(X, y).predict(X)
    if "float32" in dtypes:  # the only dtype of the tabular estimators
        X = np.random.RandomState(0).normal(size=(12, 3))
        for net in (TabularMLPClassifier(max_iter=1), TabularMLPRegressor(max_iter=1, metric="mae", quantiles=[0.5])):
            net.set_params(n_estimators=1).fit(X, np.arange(12) % 2).predict(X)
    if failures:
        *_, reason = failures.values()
        print(f"{len(failures)} compiled functions could not be stored: {reason}", file=sys.stderr)
        return 1
    directory = cache_directory()
    print(f"Stored in {directory}." if directory else "No cache directory is writable: nothing was stored.")
    return 0 if directory else 1


if __name__ == "__main__":
    sys.exit(main())
