"""Time per epoch, beside scikit-learn's MLP and beside the matrix products alone.

``python -m benchmarks.fit`` runs all workloads, ``python -m benchmarks.fit W1 W2`` some; ``--quick`` is for trying
the script, its figures mean little.

Both sides get the same data in the same type and one BLAS thread, and take turns. An epoch's time is the difference of
a long and a short fit, so what a fit costs once drops out; that is `fixed`. Of all turns the median counts. `ratio` is
scikit-learn's time to ours, `least` what it must not fall below and `target` what is aimed at. `efficiency` is the time
of an epoch's matrix products alone, by NumPy, to our time.
"""

import argparse
import math
import warnings
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import sknn_iitb

# rows, inputs, hidden layers, outputs (1: regression), batch size, other parameters; for float32 and float64 the
# ratios `least` and `target`. An epoch of lbfgs is an iteration.
WORKLOADS = {
    "W1": (150, 4, (100,), 3, 150, {}, (10, 10), (14, 12)),
    "W2": (10_000, 20, (100,), 2, 200, {}, (8, 7), (12, 8)),
    "W2-tanh": (10_000, 20, (100,), 2, 200, {"activation": "tanh"}, None, (9, 6)),
    "W2-logistic": (10_000, 20, (100,), 2, 200, {"activation": "logistic"}, None, (9, 6)),
    "W2-gelu": (10_000, 20, (100,), 2, 200, {"activation": "gelu"}, None, None),
    "W3": (10_000, 20, (100, 100), 2, 32, {}, None, (10, 7)),
    "W4": (20_000, 100, (256, 256), 10, 256, {}, (1.5, 1.5), (1.8, 1.8)),
    "W5": (10_000, 784, (100,), 10, 200, {}, None, (1.8, 1.8)),
    "W6": (5_000, 20, (50,), 2, 1, {}, None, (50, 50)),
    "W7": (20_000, 50, (512, 512), 1, 512, {}, None, (1.8, 1.8)),
    "W9": (1_797, 64, (50,), 10, 1_797, {"solver": "lbfgs", "max_fun": 10**9}, None, (2, 2)),
}
ONLY_OURS = {"gelu"}


def make_data(n_rows, n_inputs, n_outputs, dtype):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, n_inputs)).astype(dtype)
    y = rng.normal(size=n_rows).astype(dtype) if n_outputs == 1 else rng.randint(n_outputs, size=n_rows)
    return X, y


def make_network(module, n_outputs, **parameters):
    """An estimator that trains to the last epoch."""
    cls = module.MLPRegressor if n_outputs == 1 else module.MLPClassifier
    return cls(tol=0, n_iter_no_change=np.inf, random_state=0, **parameters)


def time_fit(network, n_epochs, X, y):
    network.set_params(max_iter=n_epochs)
    start = perf_counter()
    network.fit(X, y)
    return perf_counter() - start, network.n_iter_


def time_epoch(network, n_epochs, X, y):
    """Seconds per epoch, measured over `n_epochs`, and seconds that a fit takes besides."""
    short, n_short = time_fit(network, 1, X, y)
    long, n_long = time_fit(network, 1 + n_epochs, X, y)
    epoch = (long - short) / (n_long - n_short)
    return epoch, short - n_short * epoch


def enough_epochs(network, seconds, X, y):
    """How many epochs take so long."""
    time_fit(network, 1, X, y)  # compiles
    epoch = time_epoch(network, 1, X, y)[0]
    if epoch < seconds / 10:
        epoch = time_epoch(network, 10, X, y)[0]
    return max(1, round(seconds / max(epoch, 1e-5)))


def time_products(units, batch_size, dtype, seconds):
    """Seconds that the matrix products of one update take: values, gradients, and derivatives by the inner values."""
    rng = np.random.RandomState(0)
    values = [rng.normal(size=(batch_size, n)).astype(dtype) for n in units]
    deltas = [value.copy() for value in values]
    weights = [rng.normal(size=shape).astype(dtype) for shape in pairwise(units)]
    gradients = [weight.copy() for weight in weights]
    n_steps, took = 0, 0.0
    start = perf_counter()
    while took < seconds:
        for k, weight in enumerate(weights):
            np.matmul(values[k], weight, out=values[k + 1])
        for k in reversed(range(len(weights))):
            np.matmul(values[k].T, deltas[k + 1], out=gradients[k])
            if k > 0:
                # an outer product is faster without BLAS
                multiply = np.matmul if units[k + 1] > 1 else np.multiply
                multiply(deltas[k + 1], weights[k].T, out=deltas[k])
        n_steps += 1
        took = perf_counter() - start
    return took / n_steps


def measure(name, dtype, n_turns, seconds):
    """Medians of ours, scikit-learn's (each seconds per epoch and besides) and the products' seconds per epoch."""
    n_rows, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    X, y = make_data(n_rows, n_inputs, n_outputs, dtype)
    parameters = {"hidden_layer_sizes": hidden, "batch_size": batch_size, **parameters}
    modules = [sknn_iitb, sklearn.neural_network]
    if parameters.get("activation") in ONLY_OURS:
        modules.pop()
    networks = [make_network(module, n_outputs, **parameters) for module in modules]
    n_epochs = [enough_epochs(network, seconds, X, y) for network in networks]
    units = [n_inputs, *hidden, 1 if n_outputs == 2 else n_outputs]
    turns = [
        (
            [time_epoch(network, n, X, y) for network, n in zip(networks, n_epochs, strict=True)],
            time_products(units, batch_size, dtype, seconds / 5) * n_rows / batch_size,
        )
        for _ in range(n_turns)
    ]
    medians = [tuple(map(median, zip(*times, strict=True))) for times in zip(*(t for t, _ in turns), strict=True)]
    ours, theirs = [*medians, (math.nan, math.nan)][:2]
    # one iteration of lbfgs evaluates the loss an unknown number of times
    products = math.nan if parameters.get("solver") == "lbfgs" else median(products for _, products in turns)
    return ours, theirs, products


def number(value, digits=1):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description="Time per epoch.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(WORKLOADS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="one short turn of each, to try the script")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    n_turns, seconds = (1, 0.05) if arguments.quick else (5, 0.5)
    warnings.simplefilter("ignore", ConvergenceWarning)

    row = "{:12} {:8} {:>10} {:>12} {:>7} {:>6} {:>7} {:>11} {:>11} {:>13}".format
    print(row("", "", "ours", "scikit-learn", "", "", "", "", "ours", "scikit-learn"))
    print(
        row(
            "workload",
            "dtype",
            "ms/epoch",
            "ms/epoch",
            "ratio",
            "least",
            "target",
            "efficiency",
            "fixed ms",
            "fixed ms",
        )
    )
    ratios = {"float32": [], "float64": []}
    for name in arguments.names or WORKLOADS:
        *_, least, target = WORKLOADS[name]
        for k, dtype in enumerate(ratios):
            with threadpool_limits(1, "blas"):
                ours, theirs, products = measure(name, dtype, n_turns, seconds)
            ratio = theirs[0] / ours[0]
            if not math.isnan(ratio):
                ratios[dtype].append(ratio)
            asked = (number(goals and goals[k]) for goals in (least, target))
            times = number(1e3 * ours[0], 3), number(1e3 * theirs[0], 3)
            fixed = number(1e3 * ours[1]), number(1e3 * theirs[1])
            print(row(name, dtype, *times, number(ratio), *asked, number(products / ours[0], 2), *fixed), flush=True)
    for dtype, values in ratios.items():
        if values:
            print(f"geometric mean of the ratios in {dtype}: {np.exp(np.mean(np.log(values))):.1f}")


if __name__ == "__main__":
    main()
