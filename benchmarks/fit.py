"""Time per epoch, beside scikit-learn's MLP, other libraries' nets and the matrix products alone.

``python -m benchmarks.fit`` runs all workloads, ``python -m benchmarks.fit W1 W2`` some; ``--quick`` is for trying
the script, its figures mean little; ``--threads 0`` lets every library use all cores as it likes, ours by `n_threads`.

All sides get the same data in the same type and one thread, and take turns. An epoch's time is the difference of a long
and a short fit, so what a fit costs once drops out; that is `fixed`. Of all turns the median counts. `ratio` is
scikit-learn's time to ours, `least` what it must not fall below and `target` what is aimed at. `efficiency` is the time
of an epoch's matrix products alone, by the same BLAS, to our time. The last columns are the ratios to the nets of
peers.py.
"""

import argparse
import math
import os
import warnings
from statistics import median
from time import perf_counter

import numpy as np
import sklearn.neural_network
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import sknn_iitb
from benchmarks.peers import PEERS
from benchmarks.products import time_products

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
    "W8": (4_000, 20_000, (100,), 5, 200, {}, None, (3, 3)),
    "W9": (1_797, 64, (50,), 10, 1_797, {"solver": "lbfgs", "max_fun": 10**9}, None, (2, 2)),
}
ONLY_OURS = {"gelu"}
# the share of numbers that a sparse X has
DENSITY = {"W8": 0.002}


def make_data(n_rows, n_inputs, n_outputs, dtype, density=None):
    rng = np.random.RandomState(0)
    if density:
        X = sparse.random(n_rows, n_inputs, density, "csr", dtype, rng)
    else:
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


def contestants(name, dtype, n_threads):
    """Our net, scikit-learn's and those of the libraries that are installed, where they can do the same, by name."""
    _, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    activation = parameters.get("activation", "relu")
    both = {"hidden_layer_sizes": hidden, "batch_size": batch_size, **parameters}
    nets = {"ours": make_network(sknn_iitb, n_outputs, n_threads=n_threads, **both)}
    if activation not in ONLY_OURS:
        nets["scikit-learn"] = make_network(sklearn.neural_network, n_outputs, **both)
    if name not in DENSITY and "solver" not in parameters and batch_size > 1:
        units = units_of(n_inputs, hidden, n_outputs)
        for peer in PEERS:
            if peer.is_there():
                nets[peer.name] = peer(units, n_outputs == 1, batch_size, activation, n_threads, dtype)
    return nets


def units_of(n_inputs, hidden, n_outputs):
    return [n_inputs, *hidden, 1 if n_outputs == 2 else n_outputs]


def measure(name, dtype, n_turns, seconds, n_threads):
    """By contestant, the median seconds for an epoch and for all else; and an epoch's products' seconds."""
    n_rows, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    X, y = make_data(n_rows, n_inputs, n_outputs, dtype, DENSITY.get(name))
    nets = contestants(name, dtype, n_threads)
    n_epochs = {who: enough_epochs(net, seconds, X, y) for who, net in nets.items()}
    units = units_of(n_inputs, hidden, n_outputs)
    # one iteration of lbfgs evaluates the loss an unknown number of times, and sparse products are not BLAS's
    has_products = "solver" not in parameters and name not in DENSITY
    times, products = {who: [] for who in nets}, []
    for _ in range(n_turns):
        for who, net in nets.items():
            times[who].append(time_epoch(net, n_epochs[who], X, y))
        if has_products:
            products.append(time_products(units, batch_size, dtype, seconds / 5) * n_rows / batch_size)
    medians = {who: tuple(map(median, zip(*each, strict=True))) for who, each in times.items()}
    return medians, median(products) if products else math.nan


def number(value, digits=1):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description="Time per epoch.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(WORKLOADS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="one short turn of each, to try the script")
    parser.add_argument("--threads", type=int, default=1, help="of each library; 0: as many as it likes")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    n_turns, seconds = (1, 0.05) if arguments.quick else (5, 0.5)
    warnings.simplefilter("ignore", ConvergenceWarning)

    peers = [peer.name for peer in PEERS if peer.is_there()]
    row = ("{:12} {:8} {:>10} {:>12} {:>7} {:>6} {:>7} {:>11} {:>11} {:>13}" + " {:>9}" * len(peers)).format
    print(row("", "", "ours", "scikit-learn", "", "", "", "", "ours", "scikit-learn", *peers))
    columns = ("workload", "dtype", "ms/epoch", "ms/epoch", "ratio", "least", "target", "efficiency")
    print(row(*columns, "fixed ms", "fixed ms", *["ratio"] * len(peers)))
    ratios = {"float32": [], "float64": []}
    for name in arguments.names or WORKLOADS:
        *_, least, target = WORKLOADS[name]
        for k, dtype in enumerate(ratios):
            with threadpool_limits(arguments.threads or None, "blas"):
                n_threads = arguments.threads or os.cpu_count()
                times, products = measure(name, dtype, n_turns, seconds, n_threads)
            ours, fixed = times["ours"]
            theirs, theirs_fixed = times.get("scikit-learn", (math.nan, math.nan))
            if not math.isnan(theirs):
                ratios[dtype].append(theirs / ours)
            print(
                row(
                    *(name, dtype, number(1e3 * ours, 3), number(1e3 * theirs, 3), number(theirs / ours)),
                    *(number(goals and goals[k]) for goals in (least, target)),
                    *(number(products / ours, 2), number(1e3 * fixed), number(1e3 * theirs_fixed)),
                    *(number(times[peer][0] / ours) if peer in times else "-" for peer in peers),
                ),
                flush=True,
            )
    for dtype, values in ratios.items():
        if values:
            print(f"geometric mean of the ratios in {dtype}: {np.exp(np.mean(np.log(values))):.1f}")


if __name__ == "__main__":
    main()
