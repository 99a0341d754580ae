"""Time per epoch compared with scikit-learn's MLP, other libraries, and the matrix products alone.

``python -m benchmarks.fit`` runs all workloads and ``python -m benchmarks.fit W1 W2`` a selection. ``--quick`` is for
testing the script and gives inaccurate figures. ``--threads 0`` lets every library use all cores; this package then
sets `n_threads` to the number of cores.

All libraries get the same data in the same dtype, use one thread and take turns. The time per epoch is the difference
between a long and a short fit, which excludes the fixed cost of a fit; that cost is `fixed`. All figures are medians
over the turns. `ratio` is scikit-learn's time divided by ours, `least` its lower limit and `target` its target.
`efficiency` is the time of the matrix products of an epoch, with the same BLAS, divided by our time. The last columns
are the ratios for the networks in peers.py.
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
from benchmarks.figures import parse, save
from benchmarks.peers import PEERS
from benchmarks.products import time_products

# Rows, inputs, hidden layers, outputs (1: regression), batch size, other parameters; the ratios `least` and `target`
# for float32 and float64. An epoch of lbfgs is one iteration.
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
# the fraction of nonzero entries of a sparse X
DENSITY = {"W8": 0.002}


def description(name):
    """A workload in words, for the documentation."""
    n_rows, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    matrix = f"{n_inputs:,} (CSR, {100 * DENSITY[name]:g} % nonzero)" if name in DENSITY else n_inputs
    batch = "full batch" if batch_size == n_rows else f"batch {batch_size}"
    kind = [parameters[key] for key in ("activation", "solver") if key in parameters]
    return ", ".join([f"{n_rows:,} x {matrix} -> {', '.join(map(str, hidden))} -> {n_outputs}", batch, *kind])


def make_data(n_rows, n_inputs, n_outputs, dtype, density=None):
    rng = np.random.RandomState(0)
    if density:
        X = sparse.random(n_rows, n_inputs, density, "csr", dtype, rng)
    else:
        X = rng.normal(size=(n_rows, n_inputs)).astype(dtype)
    y = rng.normal(size=n_rows).astype(dtype) if n_outputs == 1 else rng.randint(n_outputs, size=n_rows)
    return X, y


def make_network(module, n_outputs, **parameters):
    """An estimator that always trains for `max_iter` epochs."""
    cls = module.MLPRegressor if n_outputs == 1 else module.MLPClassifier
    return cls(tol=0, n_iter_no_change=np.inf, random_state=0, **parameters)


def time_fit(network, n_epochs, X, y):
    network.set_params(max_iter=n_epochs)
    start = perf_counter()
    network.fit(X, y)
    return perf_counter() - start, network.n_iter_


def time_epoch(network, n_epochs, X, y):
    """Seconds per epoch, measured over `n_epochs`, and the fixed cost of a fit in seconds."""
    short, n_short = time_fit(network, 1, X, y)
    long, n_long = time_fit(network, 1 + n_epochs, X, y)
    epoch = (long - short) / (n_long - n_short)
    return epoch, short - n_short * epoch


def enough_epochs(network, seconds, X, y):
    """The number of epochs that take this many seconds."""
    time_fit(network, 1, X, y)  # compiles
    epoch = time_epoch(network, 1, X, y)[0]
    if epoch < seconds / 10:
        epoch = time_epoch(network, 10, X, y)[0]
    return max(1, round(seconds / max(epoch, 1e-5)))


def contestants(name, dtype, n_threads):
    """The networks to compare, by name: ours, scikit-learn's, and those of libraries that support the workload."""
    _, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    activation = parameters.get("activation", "relu")
    both = {"hidden_layer_sizes": hidden, "batch_size": batch_size, **parameters}
    nets = {"ours": make_network(sknn_iitb, n_outputs, n_threads=n_threads, **both)}
    if activation not in ONLY_OURS:
        nets["scikit-learn"] = make_network(sklearn.neural_network, n_outputs, **both)
    if name not in DENSITY and "solver" not in parameters and batch_size > 1:
        units = units_of(n_inputs, hidden, n_outputs)
        for peer in PEERS:
            if peer.is_installed():
                nets[peer.name] = peer(units, n_outputs == 1, batch_size, activation, n_threads, dtype)
    return nets


def units_of(n_inputs, hidden, n_outputs):
    return [n_inputs, *hidden, 1 if n_outputs == 2 else n_outputs]


def measure(name, dtype, n_turns, seconds, n_threads):
    """The median seconds per epoch and the fixed cost of each contestant, and the seconds of an epoch's products."""
    n_rows, n_inputs, hidden, n_outputs, batch_size, parameters, _, _ = WORKLOADS[name]
    X, y = make_data(n_rows, n_inputs, n_outputs, dtype, DENSITY.get(name))
    nets = contestants(name, dtype, n_threads)
    n_epochs = {who: enough_epochs(net, seconds, X, y) for who, net in nets.items()}
    units = units_of(n_inputs, hidden, n_outputs)
    # an iteration of lbfgs evaluates the loss an unknown number of times, and sparse products do not use BLAS
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
    parser.add_argument("names", nargs="*", metavar="name", help=f"workloads: {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--threads", type=int, default=1, help="threads per library; 0: no limit")
    arguments = parse(parser, "one short turn per workload")
    unknown = set(arguments.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}; choose from {', '.join(WORKLOADS)}")
    if arguments.save and arguments.names:
        parser.error("--save requires all workloads")
    n_turns, seconds = (1, 0.05) if arguments.quick else (5, 0.5)
    warnings.simplefilter("ignore", ConvergenceWarning)

    peers = [peer.name for peer in PEERS if peer.is_installed()]
    row = ("{:12} {:8} {:>10} {:>12} {:>7} {:>6} {:>7} {:>11} {:>11} {:>13}" + " {:>9}" * len(peers)).format
    print(row("", "", "ours", "scikit-learn", "", "", "", "", "ours", "scikit-learn", *peers))
    columns = ("workload", "dtype", "ms/epoch", "ms/epoch", "ratio", "least", "target", "efficiency")
    print(row(*columns, "fixed ms", "fixed ms", *["ratio"] * len(peers)))
    ratios = {"float32": [], "float64": []}
    figures = {}
    for name in arguments.names or WORKLOADS:
        *_, least, target = WORKLOADS[name]
        figures[name] = {"network": description(name), "target": target or []}
        for k, dtype in enumerate(ratios):
            with threadpool_limits(arguments.threads or None, "blas"):
                n_threads = arguments.threads or os.cpu_count()
                times, products = measure(name, dtype, n_turns, seconds, n_threads)
            ours, fixed = times["ours"]
            theirs, theirs_fixed = times.get("scikit-learn", (math.nan, math.nan))
            if not math.isnan(theirs):
                ratios[dtype].append(theirs / ours)
                figures[name].setdefault("speedup", []).append(round(theirs / ours, 1))
            if not math.isnan(products):
                figures[name].setdefault("share", []).append(round(products / ours, 2))
            print(
                row(
                    *(name, dtype, number(1e3 * ours, 3), number(1e3 * theirs, 3), number(theirs / ours)),
                    *(number(goals and goals[k]) for goals in (least, target)),
                    *(number(products / ours, 2), number(1e3 * fixed), number(1e3 * theirs_fixed)),
                    *(number(times[peer][0] / ours) if peer in times else "-" for peer in peers),
                ),
                flush=True,
            )
    means = {dtype: float(np.exp(np.mean(np.log(values)))) for dtype, values in ratios.items() if values}
    for dtype, mean in means.items():
        print(f"geometric mean of the ratios in {dtype}: {mean:.1f}")
    figures["mean"] = {"network": "geometric mean", "speedup": [round(mean, 1) for mean in means.values()]}
    save(arguments.save, "fit" if arguments.threads == 1 else f"fit --threads {arguments.threads}", figures)


if __name__ == "__main__":
    main()
