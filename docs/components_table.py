"""Write the tables of components in README.md and docs/guide/losses.md from the registries.

Run ``python docs/components_table.py`` after adding a component. Each table stands between ``<!-- name -->`` and
``<!-- end name -->``. A test checks that the tables in the files are up to date.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sknn_iitb.activations import ACTIVATIONS  # noqa: E402
from sknn_iitb.initializers import INITIALIZERS  # noqa: E402
from sknn_iitb.losses import LOSSES  # noqa: E402
from sknn_iitb.optimizers import OPTIMIZERS  # noqa: E402
from sknn_iitb.schedules import SCHEDULES  # noqa: E402

FILES = "README.md", "docs/guide/losses.md"


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def names(classes):
    """The names of components, with their aliases."""
    return ", ".join(f"{own} (= {', '.join(also)})" if also else own for own, *also in (cls.names for cls in classes))


def components():
    """The values that each parameter accepts: names, objects of a module and functions."""
    selections = [
        ("`activation`", ACTIVATIONS, lambda cls: cls.hidden, ""),
        ("`output_activation`", ACTIVATIONS, lambda cls: cls.output, "auto, "),
        ("`loss`, classifier", LOSSES, lambda cls: cls.classifier_outputs, "auto, "),
        ("`loss`, regressor", LOSSES, lambda cls: cls.regressor_outputs, ""),
        ("`solver`", OPTIMIZERS, lambda cls: True, ""),
        ("`learning_rate`", SCHEDULES, lambda cls: True, ""),
        ("`init`", INITIALIZERS, lambda cls: True, ""),
    ]
    function = {registry: f"`{registry.custom.form}`" for _, registry, _, _ in selections if registry.custom}
    rows = [
        [
            parameter,
            auto + names(filter(condition, registry)),
            f"`{registry.base.__module__}`",
            function.get(registry, "") if parameter != "`output_activation`" else "",
        ]
        for parameter, registry, condition, auto in selections
    ]
    return table(["parameter", "names", "module", "custom function"], rows)


def combinations(kind):
    """The valid output activations of each loss of an estimator."""
    rows = [
        [" = ".join(loss.names), ", ".join(getattr(loss, f"{kind}_outputs"))]
        for loss in LOSSES
        if getattr(loss, f"{kind}_outputs")
    ]
    return table(["loss", "supported output_activation, the default first"], rows)


TABLES = {
    "components": components,
    "classifier": lambda: combinations("classifier"),
    "regressor": lambda: combinations("regressor"),
}


def updated(text, tables):
    """The text with up-to-date tables, given by name as functions."""
    for name, make in tables.items():
        block = f"<!-- {name} -->\n\n{make()}\n\n<!-- end {name} -->"
        text = re.sub(f"<!-- {name} -->.*?<!-- end {name} -->", lambda _, block=block: block, text, flags=re.DOTALL)
    return text


def write(files, tables):
    """Update the tables in the files."""
    for file in files:
        path = ROOT / file
        path.write_text(updated(path.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    write(FILES, TABLES)
