"""How training time scales with rows, width, depth and batch size.

``python -m benchmarks.growth`` prints one table each. ``--figure FILE`` plots rows per second against the batch size.
One thread, float32, adam, 20 inputs and two classes.
"""

import argparse
import warnings
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.figures import figure, parse, save
from sknn_iitb import MLPClassifier

SEARCHES = {
    "rows": [{"n_rows": n} for n in (10_000, 100_000, 1_000_000)],
    "width": [{"width": n} for n in (25, 50, 100, 200, 400, 800)],
    "depth": [{"depth": n} for n in (1, 2, 4, 8)],
    "batch_size": [{"batch_size": n} for n in (1, 8, 32, 80, 200, 512, 2048, 8192)],
}


def seconds_per_epoch(n_rows=10_000, width=100, depth=1, batch_size=200, dtype="float32", n_turns=3):
    """The median difference between a longer and a shorter fit, per epoch."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((n_rows, 20)).astype(dtype), rng.randint(2, size=n_rows)
    net = MLPClassifier((width,) * depth, batch_size=batch_size, tol=0, n_iter_no_change=np.inf, random_state=0)
    more = max(1, round(300_000 / n_rows))

    def took(n_epochs):
        start = perf_counter()
        net.set_params(max_iter=n_epochs).fit(X, y)
        return perf_counter() - start

    took(1)
    return median((took(1 + more) - took(1)) / more for _ in range(n_turns))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="Scaling of the training time.")
    parser.add_argument("--figure", metavar="FILE", help="file for the plot of rows per second against batch size")
    arguments = parse(parser, "one turn, at most 10,000 rows")
    warnings.simplefilter("ignore", ConvergenceWarning)

    found, batches = {}, {what: {} for what in SEARCHES}
    for what, settings in SEARCHES.items():
        print(f"{what:>10} {'ms/epoch':>10} {'rows/s':>12} {'us/batch':>10}")
        for setting in settings:
            n_rows = setting.get("n_rows", 10_000)
            if arguments.quick and n_rows > 10_000:
                continue
            seconds = seconds_per_epoch(**setting, n_turns=1 if arguments.quick else 3)
            n_batches = -(-n_rows // setting.get("batch_size", 200))
            ((_, value),) = setting.items()
            found[what, value] = n_rows / seconds
            batches[what][value] = 1e6 * seconds / n_batches
            print(f"{value:10} {1e3 * seconds:10.2f} {n_rows / seconds:12,.0f} {batches[what][value]:10.1f}")
    rows, widths, depths = (batches[what] for what in ("rows", "width", "depth"))
    few, many, deepest = min(rows), max(rows), max(depths)
    figures = {
        f"{few:,} rows": figure([rows[few]], None, "us per batch"),
        f"{many:,} rows": figure([rows[many]], None, "us per batch", round(1.25 * rows[few])),
        "twice the width": figure([b / a for a, b in pairwise(widths.values())], 1, "times as long"),
        "each further hidden layer": figure([(depths[deepest] - depths[1]) / (deepest - 1)], None, "us per batch"),
    }
    save(arguments.save, "growth", figures)
    if arguments.figure:
        import matplotlib.pyplot as plt

        sizes, rates = zip(
            *((value, rate) for (what, value), rate in found.items() if what == "batch_size"), strict=True
        )
        _, axes = plt.subplots(figsize=(5, 3.75), layout="constrained")
        axes.plot(sizes, rates, marker="o")
        axes.set(xscale="log", yscale="log", xlabel="batch_size", ylabel="rows per second")
        axes.set_xticks(sizes, sizes)
        powers = 10.0 ** np.arange(5, 8)
        axes.set_yticks(powers, [f"{power:,.0f}" for power in powers])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        plt.savefig(arguments.figure, dpi=150)


if __name__ == "__main__":
    main()
