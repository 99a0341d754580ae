"""How many rounds per second a cluster of 2 to 1,000 workers makes: a model of sknn_iitb.dask.

``python -m benchmarks.scale_model`` measures the parts of a round on this machine: the steps, the tasks, their latency,
and the bytes. It compares predicted with real rounds of fits on 1, 2 and 4 local workers, whose steps it measures while
all of them work, because they share cores and caches. Then it predicts the rounds of clusters with the bandwidths in
BANDWIDTHS, with a machine for each worker. ``--figure FILE`` draws them.

A round sends P bytes of parameters from the client to a worker, from there to all workers, which copy them from each
other, and back through a tree that merges FAN_IN results at a time:

    latency x (3 + levels) + task x (workers + merges) + P (serialisation + 1 / bandwidth) (2 + log2 workers + arrivals)

with ``arrivals`` the results that a merging worker receives, summed over the levels. Tasks are counted one after the
other, because a single client and a single scheduler handle all. The steps take place in all workers at once.
"""

import argparse
import math
import os
import warnings
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import dask
import numpy as np
from distributed import Client, LocalCluster

from benchmarks.figures import figure, parse, save
from sknn_iitb.dask import DaskMLPClassifier
from sknn_iitb.dask._cluster import FAN_IN
from sknn_iitb.dask._dask_cluster import DaskCluster
from sknn_iitb.dask._shards import Learner
from sknn_iitb.inspection._figures import WIDTH

BANDWIDTHS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8, "100 Gbit/s": 1e11 / 8}  # bytes per second
ROUND_TRIP = 2e-4  # seconds between two machines of a rack, on top of the measured latency
N_FEATURES, HIDDEN, N_CLASSES, BATCH = 50, (256, 256), 2, 200
N_WORKERS = 1, 2, 4
SMALL, LARGE = 1_000, 1_000_000  # lengths of vectors for the measurement


@dataclass
class Costs:
    """Seconds: of the latency of a dependent task, of each task, of a byte, of a step, and of the gradient of a row."""

    latency: float
    task: float
    byte: float
    step: float
    row: float


def levels(n_workers, fan_in=FAN_IN):
    """Numbers of results at each level of the tree, from the workers' to the last but one."""
    found = []
    while n_workers > 1:
        found.append(n_workers)
        n_workers = -(-n_workers // fan_in)
    return found


def communication(costs, n_workers, n_bytes, bandwidth=math.inf, round_trip=0.0, fan_in=FAN_IN):
    """Seconds of a round without its steps, on a machine for each worker."""
    tree = levels(n_workers, fan_in)
    arrivals = sum(min(n, fan_in) - 1 for n in tree)
    n_tasks = 1 + n_workers + sum(-(-n // fan_in) for n in tree)
    transfers = 2 + math.log2(n_workers) + arrivals
    delay = (costs.latency + round_trip) * (3 + len(tree))
    return delay + costs.task * n_tasks + n_bytes * transfers * (costs.byte + 1 / bandwidth)


# --- measurement ------------------------------------------------------------------------------------------------


def _same(value, argument):
    return argument


def _first(results):
    return results[0]


def _nothing(number, value, argument):
    return number


def _identity(value):
    return value


def _elapsed(function, value, argument):
    start = perf_counter()
    function(value, argument)
    return perf_counter() - start


def _seconds(function, n):
    times = []
    for _ in range(n):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return median(times)


def rounds_without_steps(client, n_workers, length, n):
    """Seconds of a round that only sends a vector there and back."""
    cluster, vector = DaskCluster(client), np.zeros(length)
    groups = cluster.scatter([dask.delayed(int)(i) for i in range(n_workers)])
    handles = cluster.place(_nothing, groups, None)
    return _seconds(lambda: cluster.map_reduce(_same, handles, vector, _first), n)


def chain(client, length, n):
    """Seconds of a task that depends on another, on the same worker."""

    def run(depth):
        future = client.submit(_identity, 0, pure=False)
        for _ in range(depth):
            future = client.submit(_identity, future, pure=False)
        future.result()

    return (_seconds(lambda: run(length), n) - _seconds(lambda: run(1), n)) / (length - 1)


class Timed(DaskCluster):
    """Records the seconds of the rounds of a fit."""

    def __init__(self, client):
        super().__init__(client)
        self.seconds = []

    def map_reduce(self, function, handles, argument, combine):
        """A round, timed if it is one of training."""
        start = perf_counter()
        result = super().map_reduce(function, handles, argument, combine)
        if function in (Learner.steps, Learner.gradient):
            self.seconds.append(perf_counter() - start)
            self._last = function, handles, argument
        return result

    def work(self):
        """Seconds of the last round of training without its communication: until all workers have done their part."""
        function, handles, argument = self._last
        given = self.broadcast(argument)

        def slowest():
            tasks = [self._submit(_elapsed, function, each.value, given, worker=each.worker) for each in handles]
            return max(task.result() for task in tasks)

        return median(slowest() for _ in range(9))


def data(n_rows):
    """Rows of two classes, as numbers and as Dask arrays in eight chunks."""
    import dask.array as da

    X = np.random.default_rng(0).normal(size=(n_rows, N_FEATURES)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int8)
    return X, y, *(da.from_array(each, chunks=(n_rows // 8, *each.shape[1:])) for each in (X, y))


# with as many rows of a batch on each worker as one machine would take
MODES = {"local steps": {"local_steps": 250}, "full gradient": {"batch_size": "full"}}


def fit(client, n_rows, parameters, n_epochs):
    """The rounds of a fit in seconds, the bytes of its parameters, and the seconds of the work of a round."""
    cluster = Timed(client)
    net = DaskMLPClassifier(HIDDEN, client=cluster, max_iter=n_epochs, tol=0, random_state=0, **parameters)
    net.fit(*data(n_rows)[2:])
    return cluster.seconds[1:], net.parameters_.nbytes, cluster.work()


def measure(n_rows, n):
    """The costs on this machine, and for the fits to predict: seconds of a round, bytes, and seconds of its work."""
    measured, noops = {}, {}
    for n_workers in N_WORKERS:
        with (
            LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            for mode, parameters in MODES.items():
                parameters = {"batch_size": BATCH * n_workers, **parameters}
                fit(client, n_rows, parameters, 2)  # compiles
                seconds, n_bytes, work = fit(client, n_rows, parameters, 1 + n // (4 if "full" in mode else 8))
                measured[mode, n_workers] = median(seconds), n_bytes, work
            for length in (SMALL, LARGE):
                noops[n_workers, length] = rounds_without_steps(client, n_workers, length, n)
            if n_workers == 1:
                latency = chain(client, 11, n)
                step = measured["local steps", 1][2] / MODES["local steps"]["local_steps"]
                row = measured["full gradient", 1][2] / n_rows
    return Costs(latency, *_fitted(latency, noops), step, row), measured


def _fitted(latency, noops):
    """The costs of a task and of a byte that explain the rounds without steps best, relative to their seconds."""
    rows, seconds = [], []
    for (n_workers, length), measured in noops.items():
        unit = [communication(Costs(*each, 0, 0), n_workers, 8 * length) for each in np.eye(3)]
        crowd = max(1.0, n_workers / os.cpu_count())
        rows.append([unit[1] / measured, crowd * unit[2] / measured])
        seconds.append(1 - latency * unit[0] / measured)
    return np.maximum(np.linalg.lstsq(np.array(rows), np.array(seconds), rcond=None)[0], 0)


# --- report -----------------------------------------------------------------------------------------------------


def check(costs, measured):
    """Print predicted and measured rounds per second; return the largest deviation."""
    worst = 0.0
    for (mode, n_workers), (seconds, n_bytes, work) in measured.items():
        n_vectors = 1 if mode == "full gradient" else 3
        predicted = communication(costs, n_workers, n_vectors * n_bytes) + work
        worst = max(worst, abs(seconds / predicted - 1))
        print(f"{mode:14} {n_workers} workers: {1 / predicted:7.2f} rounds/s predicted, {1 / seconds:7.2f} measured")
    return worst


def efficient_steps(costs, n_workers, n_bytes, bandwidth, efficiency=0.8):
    """Local steps of which so large a share of a round consists."""
    time = communication(costs, n_workers, 3 * n_bytes, bandwidth, ROUND_TRIP)
    return efficiency / (1 - efficiency) * time / costs.step


def draw(costs, n_bytes, file):
    """Draw the steps that a round needs, and the rounds per second of the full gradient."""
    from matplotlib import pyplot as plt

    workers = np.unique(np.geomspace(2, 1000, 60).astype(int))
    figure, (left, right) = plt.subplots(2, 1, figsize=(WIDTH, 6.4), layout="constrained")
    for name, bandwidth in BANDWIDTHS.items():
        left.plot(workers, [efficient_steps(costs, n, n_bytes, bandwidth) for n in workers], label=name)
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="local steps for 80 % efficiency")
    left.set_title(f"{n_bytes / 1e6:.1f} MB of parameters, batches of {BATCH}", fontsize="medium")
    left.legend(frameon=False)
    bandwidth = BANDWIDTHS["10 Gbit/s"]
    for color, n_rows in enumerate((1e6, 1e7, 1e8)):
        for style, fan_in, kind in (("-", FAN_IN, "tree"), ("--", 10**9, "one worker merges all")):
            rates = [
                1 / (communication(costs, n, n_bytes, bandwidth, ROUND_TRIP, fan_in) + costs.row * n_rows / n)
                for n in workers
            ]
            label = f"{n_rows:.0e} rows, {kind}".replace("e+0", "e")
            right.plot(workers, rates, style, color=f"C{color}", label=label)
            best = int(np.argmax(rates))
            if best < len(workers) - 1:
                right.plot(workers[best], rates[best], "o", color=f"C{color}")
    right.set(xscale="log", yscale="log", xlabel="workers", ylabel="full gradients per second")
    right.set_title("10 Gbit/s; dots: more workers do not pay", fontsize="medium")
    right.legend(frameon=False, fontsize="x-small")
    figure.savefig(file, dpi=150)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model", description=__doc__.partition("\n")[0])
    parser.add_argument("--figure", metavar="FILE", help="draw the predictions")
    parser.add_argument("--rows", type=int, default=100_000, help="of the fits; default: 100,000")
    arguments = parse(parser, "fewer rounds on 20,000 rows")
    warnings.simplefilter("ignore")
    n_rows, n = (20_000, 8) if arguments.quick else (arguments.rows, 40)
    costs, measured = measure(n_rows, n)
    print(costs)
    worst = check(costs, measured)
    print(f"largest deviation: {worst:.0%}")
    n_bytes = next(iter(measured.values()))[1]
    print(f"{'':12} {'workers':>8} {'rounds/s of 100 steps':>22} {'steps for 80 %':>15}")
    for name, bandwidth in BANDWIDTHS.items():
        for n_workers in (2, 10, 100, 1000):
            time = communication(costs, n_workers, 3 * n_bytes, bandwidth, ROUND_TRIP) + 100 * costs.step
            needed = efficient_steps(costs, n_workers, n_bytes, bandwidth)
            print(f"{name:12} {n_workers:8} {1 / time:22.2f} {needed:15.0f}")
    if arguments.figure:
        draw(costs, n_bytes, arguments.figure)
    save(arguments.save, "scale", {"model": {"deviation": figure([100 * worst], 0, " %", 20)}})


if __name__ == "__main__":
    main()
