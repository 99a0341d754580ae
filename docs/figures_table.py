"""Write the tables of measured figures in README.md and docs/performance.md from docs/figures.json.

The benchmarks write that file. Run ``python docs/figures_table.py`` afterwards. Each table stands between
``<!-- name -->`` and ``<!-- end name -->``. A test checks that the tables in the files are up to date.
"""

import json
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the tests, which run this file from another folder

from components_table import ROOT, table, updated, write  # noqa: F401

FILES = "README.md", "docs/performance.md"
NETWORK = "rows x inputs -> hidden -> outputs"
SECTIONS = json.loads((ROOT / "docs" / "figures.json").read_text(encoding="utf-8"))
FORMATS = {"speedup": ".1f", "target": "g", "share": ".2f"}


def pair(row, key):
    """The figures of a workload for float32 and float64."""
    return " / ".join(format(value, FORMATS[key]) for value in row.get(key, []))


def default_networks():
    """The speedups of three networks with the default parameters."""
    rows = [SECTIONS["fit"]["figures"][name] for name in ("W1", "W2", "W4")]
    return table(
        [NETWORK, "float32", "float64"], [[row["network"], *pair(row, "speedup").split(" / ")] for row in rows]
    )


def training():
    """The speedup per epoch of all workloads, in float32 and float64."""
    one, every = (SECTIONS[name]["figures"] for name in ("fit", "fit --threads 0"))
    rows = [
        [row["network"], *(pair(row, key) for key in FORMATS), pair(every[name], "speedup")]
        for name, row in one.items()
    ]
    return table([NETWORK, "speedup, one thread", "target", "share of matrix products", "speedup, all cores"], rows)


def measured(name):
    """The figures of another benchmark, with their targets if it has any."""
    figures = SECTIONS[name]["figures"]
    has_target = any(figure["target"] for figure in figures.values())
    rows = []
    for what, figure in figures.items():
        target = f"{figure['target']:g} {figure['unit']}" if figure["target"] else ""
        value = f"{' to '.join(f'{each:g}' for each in figure['measured'])} {figure['unit']}"
        rows.append([what, *[target.strip()] * has_target, value.strip()])
    return table(["workload", *["target"] * has_target, "measured"], rows)


def environments():
    """When, on which processor and with which libraries the figures were measured."""
    names = {}
    for name, section in SECTIONS.items():
        names.setdefault(json.dumps(section["environment"]), []).append(f"`{name}`")
    rows = []
    for each, benchmarks in names.items():
        about = json.loads(each)
        versions = ", ".join(f"{library} {version}" for library, version in about["versions"].items())
        rows.append([", ".join(benchmarks), about["date"], f"{about['cpu']}, {about['cores']} cores", versions])
    return table(["benchmarks", "date", "processor", "versions"], rows)


TABLES = {
    "environments": environments,
    "default networks": default_networks,
    "fit": training,
    **{
        name: partial(measured, name)
        for name in ("growth", "threads", "search", "predict", "predict --tables", "start", "memory", "out_of_core")
    },
}

if __name__ == "__main__":
    write(FILES, TABLES)
