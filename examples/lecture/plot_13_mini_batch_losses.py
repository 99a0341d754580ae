"""
Each mini-batch has a loss of its own
=====================================

A step on a mini-batch descends on the loss of these samples only. Along the same line
through the parameters, the losses of single mini-batches have other minima than that of
all samples, and differ less the larger the batches are. The second figure shows the
same in two directions, those of the largest curvature: stars mark the network, crosses
the minima.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import LossSurfaceDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
net = MLPClassifier((30,), max_iter=10, n_iter_no_change=10, random_state=0)
net.set_params(learning_rate="cosine").fit(X, y)
start = net.parameters_.copy()
downhill = -net.loss_and_gradient(X, y)[1]
downhill /= np.linalg.norm(downhill)
distances = np.linspace(-1, 15, 81)


def along_the_line(rows):
    """The loss of some samples along the direction of steepest descent."""
    losses = []
    for distance in distances:
        net.parameters_[:] = start + distance * downhill
        losses.append(net.loss_and_gradient(X[rows], y[rows])[0])
    return np.array(losses)


rng = np.random.default_rng(0)
spread = {}
figure, axes = plt.subplots(2, 1, figsize=(5, 5.5), sharex=True, layout="constrained")
whole = along_the_line(slice(None))
for ax, size in zip(axes, (16, 128), strict=True):
    found = [along_the_line(rng.choice(len(X), size, replace=False)) for _ in range(8)]
    for curve in found:
        (line,) = ax.plot(distances, curve, color="C0", linewidth=0.8)
    line.set_label(f"8 mini-batches of {size}")
    ax.plot(distances, whole, color="C1", linewidth=3, label="all samples")
    ax.set_ylabel("loss")
    ax.legend()
    spread[size] = np.std([distances[curve.argmin()] for curve in found])
    print(
        f"batches of {size}: minima at {spread[size]:.2f} (standard deviation) "
        f"around that of all samples, {distances[whole.argmin()]:.2f}"
    )
axes[1].set_xlabel("distance along the direction of steepest descent")

net.parameters_[:] = start
options = {
    "directions": "eigenvectors",
    "extent": 0.3,
    "n_batches": 3,
    "batch_size": 16,
}
surface = LossSurfaceDisplay.from_estimator(net, X, y, **options)
plt.show()
