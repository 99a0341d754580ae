"""
Regions of a network
====================

A unit with a step activation is a linear classifier: its line cuts the plane into two.
A sigmoid is a smoother step, and with larger weights it becomes one. The network puts
the half-planes of its units together.

Each panel is the plane of the two columns x0 and x1. Yellow is where a unit is close to
1, dark blue where it is close to 0, and the white line is where its weighted sum is 0.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import DecisionRegionDisplay, NetworkDisplay

X, y = make_moons(300, noise=0.15, random_state=0)
net = MLPClassifier(
    (5,),
    activation="logistic",
    solver="lbfgs",
    alpha=0.01,
    max_iter=5000,
    random_state=0,
).fit(X, y)
smooth = DecisionRegionDisplay.from_estimator(net, X, y)
before = net.predict(X)
print(f"sigmoid units: accuracy {net.score(X, y):.3f}")

# %%
# The same network with 20 times the weights and biases of its hidden units: the lines
# stay where they are, and the slopes become steps.

net.coefs_[0] *= 20
net.intercepts_[0] *= 20
steps = DecisionRegionDisplay.from_estimator(net, X, y)
same = np.mean(net.predict(X) == before)
between = np.mean((steps.units > 0.05) & (steps.units < 0.95))
print(f"steps: accuracy {net.score(X, y):.3f}, {same:.1%} of the predictions stay")
print(f"{between:.0%} of the plane is between 0.05 and 0.95")

# %%
# The network as a graph. Blue weights are positive, orange ones negative.

graph = NetworkDisplay.from_estimator(net)
plt.show()
