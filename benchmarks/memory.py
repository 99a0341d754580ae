"""Memory: training from a table on disk that is larger than what the process may take.

``python -m benchmarks.memory`` writes a float32 table of `--gigabytes` (4), maps it and trains with early stopping in a
process of its own, which reports its largest anonymous memory: what is not the mapped file. A row takes about 100 bytes
besides its numbers, most of them while scikit-learn splits off the samples to validate on. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

N_COLUMNS = 400

TRAIN = """
import sys, threading, time, warnings
import numpy as np
from sknn_iitb import MLPClassifier

warnings.simplefilter("ignore")
largest = {"RssAnon": 0}

def watch():
    while True:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("RssAnon"):
                    largest["RssAnon"] = max(largest["RssAnon"], int(line.split()[1]))
        time.sleep(0.02)

X = np.memmap(sys.argv[1], np.float32, "r").reshape(-1, int(sys.argv[2]))
y = np.arange(len(X)) % 2
threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
net = MLPClassifier(50, max_iter=1, batch_size=1000, early_stopping=True, random_state=0)
net.fit(X, y)
print(time.perf_counter() - start, largest["RssAnon"] / 1024, len(X))
"""


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Training from a mapped table.")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    n_rows = int(parser.parse_args().gigabytes * 1e9 / 4 / N_COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table"
        rng = np.random.default_rng(0)
        with path.open("wb") as file:
            for start in range(0, n_rows, 100_000):
                file.write(rng.standard_normal((min(100_000, n_rows - start), N_COLUMNS), np.float32))
        command = [sys.executable, "-c", TRAIN, str(path), str(N_COLUMNS)]
        seconds, anonymous, n_rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"{n_rows} rows x {N_COLUMNS}, an epoch with early stopping: {float(seconds):.1f} s")
    print(f"anonymous memory at most {float(anonymous):.0f} MB (target 600)")


if __name__ == "__main__":
    main()
