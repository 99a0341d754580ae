"""
Momentum in a ravine
====================

In a ravine the largest stable step is small, because of the steep walls, and the way
along the bottom is long. Momentum adds up the steps along the bottom, while those
across cancel out. Nesterov's look-ahead damps the swinging; RMSprop and Adam divide the
gradient of each parameter by its size.
"""

import matplotlib.pyplot as plt

from sknn_iitb.inspection import OptimizerPathDisplay
from sknn_iitb.optimizers import SGD

solvers = [
    SGD(momentum=0),
    SGD(momentum=0.9, nesterovs_momentum=False),
    "sgd",  # Nesterov's momentum of 0.9
    "rmsprop",
    "adam",
]
rates = {"rmsprop": 0.05, "adam": 0.1}
rates |= dict.fromkeys(("sgd", *map(repr, solvers[:2])), 0.03)
display = OptimizerPathDisplay.from_surface(
    "ravine", solvers, learning_rate_init=rates, n_steps=120
)
for label, heights in display.heights.items():
    print(f"{label}: {heights[0]:.1f} -> {heights[-1]:.1e}")
plt.show()
