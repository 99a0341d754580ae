"""The axes of the displays, and the size of their figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

__all__ = ["HEIGHT", "ROW_HEIGHT", "WIDTH", "set_axes"]

# In inches. On a telephone, whose pages are 390 pixels wide, text of 10 points is 10 pixels high in a figure of this
# width.
WIDTH = 5.0
HEIGHT = 3.75
ROW_HEIGHT = 2.25  # of several rows of panels


def set_axes(
    display: Any,
    ax: Any,
    panels: Sequence[str],
    *,
    n_columns: int = 1,
    size: tuple[float, float] | None = None,
    labels: tuple[str, str] | None = None,
    **options: Any,
) -> list[Any]:
    """Set `ax_`, `axes_` and `figure_` of a display.

    Parameters
    ----------
    display : object
    ax : matplotlib Axes, list of them or None
        The axes that the user wants it to be plotted on; None creates a new figure.
    panels : sequence of str
        Names of the panels, each once.
    n_columns : int, default=1
        Number of panels beside each other in a new figure.
    size : tuple of float, default=None
        Width and height of a new figure; None follows from the number of panels.
    labels : tuple of str, default=None
        Labels of the x and of the y axes, if they are the same in all panels.
    **options : dict
        Arguments of ``matplotlib.pyplot.subplot_mosaic``.

    Returns
    -------
    axes : list of matplotlib Axes
        One for each panel.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `ax` is of another type.
    ValueError
        If it has another number of axes.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    from matplotlib import pyplot
    from matplotlib.axes import Axes

    n = len(panels)
    if ax is None:
        cells = [*panels, *["."] * (-n % n_columns)]
        rows = [cells[k : k + n_columns] for k in range(0, n, n_columns)]
        size = size or (WIDTH, HEIGHT if len(rows) == 1 else ROW_HEIGHT * len(rows))
        figure, found = pyplot.subplot_mosaic(rows, figsize=size, layout="constrained", **options)
        axes = [found[panel] for panel in panels]
        for each in axes[-n_columns:]:  # there may be no panel below
            each.tick_params(labelbottom=True)
    else:
        axes = list(np.ravel(np.array(ax, dtype=object)))
        if not all(isinstance(each, Axes) for each in axes):
            raise TypeError(f"ax must be a matplotlib Axes or a list of them, got {ax!r}.")
        if len(axes) != n:
            raise ValueError(f"ax must have an Axes for each of the {n} panels {[*panels]}, got {len(axes)}.")
        figure = axes[0].figure
    display.ax_, display.axes_, display.figure_ = axes[0], axes, figure
    if labels is not None and ax is None and n > 1:
        figure.supxlabel(labels[0], fontsize="medium")
        figure.supylabel(labels[1], fontsize="medium")
    elif labels is not None:
        for each in axes:
            each.set(xlabel=labels[0], ylabel=labels[1])
    return axes
