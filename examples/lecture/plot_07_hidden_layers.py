"""
Hidden layers compute features of features
==========================================

Two spirals cannot be separated by a line. A linear classifier that is trained on the
output of each hidden layer, a *linear probe*, shows how much closer each layer brings
them to that.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from sknn_iitb import MLPClassifier

rng = np.random.default_rng(0)
angle = 3 * np.pi * np.sqrt(rng.random(1000))
side = rng.integers(0, 2, 1000)
X = np.column_stack([np.cos(angle + np.pi * side), np.sin(angle + np.pi * side)])
X = X * angle[:, np.newaxis] / np.pi + rng.normal(0, 0.05, X.shape)

net = MLPClassifier(
    (12, 12, 12),
    activation="tanh",
    learning_rate_init=0.01,
    learning_rate="cosine",
    max_iter=400,
    n_iter_no_change=400,
    random_state=0,
).fit(X, side)
layers = [X, *(net.hidden_activations(X, k) for k in range(3))]
probes = [LogisticRegression(max_iter=5000).fit(Z, side).score(Z, side) for Z in layers]
names = ["inputs", "layer 1", "layer 2", "layer 3"]
for name, accuracy in zip(names, probes, strict=True):
    print(f"linear probe on {name}: accuracy {accuracy:.3f}")

# %%
# The two directions of each layer along which the classes are furthest apart and the
# outputs vary most.

figure, axes = plt.subplots(2, 2, figsize=(5, 5), layout="constrained")
for ax, name, Z, accuracy in zip(axes.flat, names, layers, probes, strict=True):
    normal = LogisticRegression(max_iter=5000).fit(Z, side).coef_[0]
    normal /= np.linalg.norm(normal)
    centred = Z - Z.mean(axis=0)
    rest = centred - np.outer(centred @ normal, normal)
    along = np.linalg.svd(rest, full_matrices=False)[2][0]
    for k, color in enumerate(("C0", "C1")):
        own = centred[side == k]
        ax.plot(own @ normal, own @ along, ".", color=color, markersize=3)
    ax.set_title(f"{name}: probe {accuracy:.1%}", fontsize="medium")
figure.supxlabel("normal of the probe", fontsize="medium")
figure.supylabel("widest other direction", fontsize="medium")
plt.show()
