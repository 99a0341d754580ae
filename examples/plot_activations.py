"""
Activations
===========

Every activation that the package has, at its default parameters: what a neuron makes of the weighted sum of its inputs,
and the slope that backpropagation uses. Only the step's slope is not its derivative, which is zero everywhere: it is
that of a straight line that joins the two levels.

Softmax is missing, for it is a function of a whole layer and not of a number.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb.activations import ACTIVATIONS

z = np.linspace(-4, 4, 801)
activations = [cls() for cls in ACTIVATIONS if cls.function is not None]

n_columns = 3
n_rows = -(-(len(activations) + 1) // n_columns)  # one more for the legend
figure, axes = plt.subplots(n_rows, n_columns, figsize=(9, 1.9 * n_rows), sharex=True, layout="constrained")

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
axes.flat[len(activations)].legend([value_line, slope_line], ["value g(z)", "slope"], loc="center", frameon=False)
figure.supxlabel("weighted sum z")

plt.show()
