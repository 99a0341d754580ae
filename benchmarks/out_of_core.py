"""Training on Parquet files by ``fit_batches``: rows per second compared with ``fit`` in memory, and peak memory.

``python -m benchmarks.out_of_core`` writes `--gigabytes` (default 10) of float32 numbers to Parquet files in a
temporary folder. One process trains on the files by ``fit_batches`` and reports its peak resident memory, and another
by ``fit`` on the rows of the first 2 GB. Both report rows per second and the accuracy on rows that none was trained on.
Linux only, because of the unit of ``ru_maxrss``.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.figures import figure, parse, save

N_COLUMNS, ROW_GROUP, IN_MEMORY = 50, 131_072, 2e9
BYTES = 4 * N_COLUMNS * ROW_GROUP

TRAIN = """
import resource, sys, time, warnings
import numpy as np
from sknn_iitb import MLPClassifier
from sknn_iitb.partitions import ArrowPartitions

warnings.simplefilter("ignore")
files, test_file, epochs, n_in_memory = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
hidden = [int(n) for n in sys.argv[5].split(",")]
net = MLPClassifier(hidden_layer_sizes=hidden, batch_size=512, random_state=0, max_iter=epochs)
source = ArrowPartitions(files, "y", n_rows=int(sys.argv[6]))
X, y = source[0]
net.fit(X[:2000], y[:2000])  # compiles
if n_in_memory:
    parts = [source[k] for k in range(n_in_memory)]
    X, y = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    del parts
    start = time.perf_counter()
    net.fit(X, y)
else:
    del X, y
    start = time.perf_counter()
    net.fit_batches(source)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
X, y = ArrowPartitions(test_file, "y")[0]
print(net.t_ / seconds, peak, net.score(X.to_numpy(), y))
"""


def made(seed):
    """A table of a row group, with labels that are not linear in the numbers."""
    import pyarrow as pa

    X = np.random.default_rng(seed).standard_normal((ROW_GROUP, N_COLUMNS), np.float32)
    columns = {f"x{k}": column for k, column in enumerate(np.ascontiguousarray(X.T))}
    return pa.table({**columns, "y": (X[:, 0] * X[:, 1] + X[:, 2] + X[:, 3] > 0).astype(np.int8)})


def write(folder, seeds):
    """Write a file for each seed, without compression, because random numbers have none."""
    from pyarrow import parquet

    for seed in seeds:
        parquet.write_table(made(seed), folder / f"{seed:06}.parquet", row_group_size=ROW_GROUP, compression="none")


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--hidden", nargs="+", default=["64,64", "256,256"], help="units of the hidden layers")
    arguments = parse(parser, "Uses 60 MB of data")
    gigabytes = 0.06 if arguments.quick else arguments.gigabytes
    n_groups = max(2, round(gigabytes * 1e9 / BYTES))
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train").mkdir()
        (folder / "test").mkdir()
        write(folder / "train", range(n_groups))
        write(folder / "test", range(n_groups, n_groups + 1))
        for hidden in arguments.hidden:
            figures |= compared(folder, hidden, n_groups, arguments.epochs)
    save(arguments.save, "out_of_core", figures)


def compared(folder, hidden, n_groups, epochs):
    """The figures of a network that trains on the files, and one of the same size that trains in memory."""
    found = {}
    for label, n_in_memory in {"files": 0, "memory": min(n_groups, max(1, int(IN_MEMORY / BYTES)))}.items():
        options = folder / "train", folder / "test", epochs, n_in_memory, hidden, ROW_GROUP
        command = [sys.executable, "-c", TRAIN, *map(str, options)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[label] = speed, peak, accuracy = [float(number) for number in done.stdout.split()]
        print(f"{hidden}, {label}: {speed:,.0f} rows/s, peak {peak:,.0f} MB, accuracy {accuracy:.4f}", flush=True)
    (speed, peak, accuracy), (in_memory, _, expected) = found["files"], found["memory"]
    size = n_groups * BYTES
    what = f"{size / 1e9:.0f} GB, {N_COLUMNS} -> {hidden.replace(',', ', ')}"
    return {
        f"{what}: rows per second": figure([speed / 1e6], 2, "million"),
        f"{what}: compared with training in memory": figure([speed / in_memory], 2, "times as fast", 0.8),
        f"{what}: peak memory of the process": figure([peak], 0, "MB", 1000),
        f"{what}: accuracy": figure([accuracy], 4),
        f"{what}: accuracy in memory, {min(size, IN_MEMORY) / 1e9:.0f} GB": figure([expected], 4),
    }


if __name__ == "__main__":
    main()
