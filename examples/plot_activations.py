"""
Activation functions
====================

All activation functions of the package with their default parameters: the value and the
slope that backpropagation uses. The slope is the derivative, except for the step
function, whose derivative is zero everywhere. It uses the slope of the straight line
between its two levels instead.

Softmax is not shown, because it is a function of a whole layer rather than of a single
number.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb.activations import ACTIVATIONS

z = np.linspace(-4, 4, 801)
activations = [cls() for cls in ACTIVATIONS if cls.function is not None]

n_columns = 2
n_rows = -(-(len(activations) + 1) // n_columns)  # one panel for the legend
figure, axes = plt.subplots(
    n_rows, n_columns, figsize=(5, 1.3 * n_rows), sharex=True, layout="constrained"
)

for ax, activation in zip(axes.flat, activations, strict=False):
    value, slope = np.array([activation.function(x, *activation.hyper()) for x in z]).T
    ax.axhline(0, color="0.8", linewidth=0.8)
    ax.axvline(0, color="0.8", linewidth=0.8)
    (value_line,) = ax.plot(z, value, color="C0", linewidth=2)
    (slope_line,) = ax.plot(z, slope, color="C1", linewidth=1.5, linestyle="--")
    where = "" if activation.hidden else " (output only)"
    ax.set_title(" = ".join(activation.names) + where, fontsize="medium")
    ax.set_ylim(-2, 2.5)

for ax in axes.flat[len(activations) :]:
    ax.axis("off")
for ax in axes.flat[len(activations) - n_columns : len(activations)]:
    ax.tick_params(labelbottom=True)
axes.flat[len(activations)].legend(
    [value_line, slope_line], ["value g(z)", "slope"], loc="center", frameon=False
)
figure.supxlabel("weighted sum z", fontsize="medium")

plt.show()
