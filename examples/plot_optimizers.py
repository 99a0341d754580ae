"""
Optimizers
==========

The training loss of each first-order solver over 30 epochs on handwritten digits. Each
panel highlights one solver and shows the others in grey.

All solvers start from the same weights. Solvers for which the default learning rate of
0.001 is unsuitable use a different one. The figure is not a ranking, because each
solver would benefit from a tuned learning rate. rprop takes one step per epoch on all
samples, whereas the others take nine.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier
from sknn_iitb.optimizers import OPTIMIZERS

# training is cut off after 30 epochs on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

LEARNING_RATES = {"sgd": 0.05, "adagrad": 0.01, "adadelta": 1.0, "lion": 0.0003}

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)

curves = {}
for cls in OPTIMIZERS:
    if cls.kernel is not None:  # all except lbfgs, which has no epochs
        name = cls.names[0]
        net = MLPClassifier(
            solver=name,
            learning_rate_init=LEARNING_RATES.get(name, 0.001),
            max_iter=30,
            n_iter_no_change=30,
            random_state=0,
        )
        curves[name] = net.fit(X, y).loss_curve_

n_columns = 2
n_rows = -(-len(curves) // n_columns)
figure, axes = plt.subplots(
    n_rows,
    n_columns,
    figsize=(5, 1.5 * n_rows),
    sharex=True,
    sharey=True,
    layout="constrained",
)
for ax, name in zip(axes.flat, curves, strict=False):
    for other in curves.values():
        ax.semilogy(other, color="0.85", linewidth=1)
    ax.semilogy(curves[name], color="C0", linewidth=2)
    rate = LEARNING_RATES.get(name, 0.001)
    ax.set_title(f"{name}, learning rate {rate:g}", fontsize="medium")
for ax in axes.flat[len(curves) :]:
    ax.axis("off")
for ax in axes.flat[len(curves) - n_columns : len(curves)]:
    ax.tick_params(labelbottom=True)
figure.supxlabel("epoch")
figure.supylabel("training loss")

plt.show()
