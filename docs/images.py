"""Draw the images of the documentation from its examples: ``python docs/images.py [NAME ...]``.

Those of the benchmarks come from ``python -m benchmarks.growth`` and ``python -m benchmarks.tables``.
"""

import re
import runpy
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images"
DPI = 150

# name of the image -> the page or script, and its variable that is the figure or the display
IMAGES = {
    "get_started": ("docs/get_started.md", "figure"),
    "importance": ("examples/plot_importance.py", "figure"),
    "regions": ("examples/lecture/plot_03_decision_regions.py", "smooth"),
    "network": ("examples/lecture/plot_03_decision_regions.py", "graph"),
    "gradient_flow": ("examples/lecture/plot_05_vanishing_gradient.py", "vanishing"),
    "mountain": ("examples/lecture/plot_09_step_size.py", "mountain"),
    "range_test": ("examples/lecture/plot_10_learning_rate.py", "range_test"),
    "loss_curves": ("examples/lecture/plot_10_learning_rate.py", "curves"),
    "loss_surface": ("examples/lecture/plot_13_mini_batch_losses.py", "surface"),
}


def run(file):
    """The variables of a script or of the snippets of a page."""
    path, namespace = ROOT / file, {}
    if path.suffix == ".py":
        return runpy.run_path(str(path))
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
        exec(code, namespace)
    return namespace


def main(names):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from PIL import Image

    pyplot.show = lambda: None
    warnings.simplefilter("ignore")
    runs = {file: run(file) for file in dict.fromkeys(IMAGES[name][0] for name in names)}
    for name in names:
        file, variable = IMAGES[name]
        found = runs[file][variable]
        figure = getattr(found, "figure_", found)
        figure.savefig(FOLDER / f"{name}.png", dpi=DPI)
        with Image.open(FOLDER / f"{name}.png") as image:  # a palette takes a third of the space
            image.convert("RGB").quantize(128).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(IMAGES))
