"""The figures of the documentation in docs/figures.json, and the options of the benchmarks that write them.

A benchmark replaces its own section of the file: the environment in which it ran, and its figures, rounded as the
documents show them. ``python docs/figures_table.py`` writes them into the documents.
"""

import json
import os
import platform
import re
from datetime import date
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_info

import sknn_iitb  # also loads the BLAS libraries that threadpool_info lists

FILE = Path(__file__).resolve().parents[1] / "docs" / "figures.json"


def parse(parser, quick):
    """Parse the command line with the options that all benchmarks share. `quick` says what ``--quick`` does."""
    parser.add_argument("--quick", action="store_true", help=f"{quick}, to test the script")
    parser.add_argument(
        "--save", nargs="?", const=FILE, type=Path, metavar="FILE", help="save the figures; default: docs/figures.json"
    )
    arguments = parser.parse_args()
    if arguments.quick and arguments.save and arguments.save.resolve() == FILE:
        parser.error("--quick gives inaccurate figures: save them to another file")
    return arguments


def environment():
    """The date, the processor and the versions of the libraries."""
    info = Path("/proc/cpuinfo")  # on Linux, platform.processor() does not know the model
    model = re.search(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.exists() else None
    blas = {f"{each['internal_api']} {each['version']}" for each in threadpool_info() if each["user_api"] == "blas"}
    return {
        "date": date.today().isoformat(),
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "versions": {"sknn_iitb": sknn_iitb.__version__, "Python": platform.python_version()}
        | {name: version(name) for name in ("numba", "numpy", "scikit-learn", "scipy")}
        | {"BLAS": " and ".join(sorted(blas))},
    }


def figure(values, digits, unit="", target=None):
    """A figure as the file holds it: a single value, or the smallest and the largest of several, rounded."""
    measured = sorted({round(value, digits) for value in (min(values), max(values))})
    return {"measured": measured, "unit": unit, "target": target}


def save(file, section, figures):
    """Replace a section of the file, if there is a file to save to."""
    if file is None:
        return
    sections = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    sections[section] = {"environment": environment(), "figures": figures}
    text = json.dumps(sections, indent=2)
    text = re.sub(r"\n {8,}|\n {6}(?=})", " ", text)  # one figure per line
    file.write_text(text + "\n", encoding="utf-8")
