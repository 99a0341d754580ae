"""
Momentum in a ravine
====================

In a ravine the largest stable step is small, because of the steep walls, and the way
along the bottom is long. Momentum adds up the steps along the bottom, while those
across cancel out. Nesterov's look-ahead damps the swinging; RMSprop and Adam divide the
gradient of each parameter by its size.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb.inspection import OptimizerPathDisplay, optimizer_paths
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

# %%
# Nesterov's momentum takes the gradient at the place to which the momentum is about to
# carry the parameters, and so brakes before a wall. It has a single learning rate, as
# the others do: a step v = m v - rate * gradient(theta + m v), with the momentum m.
#
# One rate says little, so here are many. With the largest eigenvalue L = 30 of the
# Hessian, a rate is stable below 2 / L for plain gradient descent, 2 (1 + m) / L with
# momentum, and 2 (1 + m) / (L (1 + 2 m)) with Nesterov's. Plain descent is only fast
# just below its limit. Momentum needs the same number of updates over more than a
# decade of rates. The look-ahead has a lower limit, but needs fewer updates below it.

m, largest = 0.9, 30
variants = {
    "plain": (SGD(momentum=0), 2 / largest),
    "momentum": (SGD(momentum=m, nesterovs_momentum=False), 2 * (1 + m) / largest),
    "Nesterov": (SGD(momentum=m), 2 * (1 + m) / (1 + 2 * m) / largest),
}
rates = np.geomspace(2e-3, 0.2, 45)
n_steps, updates = 1000, {}
figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for k, (name, (solver, limit)) in enumerate(variants.items()):
    updates[name] = []
    for rate in rates:
        run = optimizer_paths(
            "ravine", solver, learning_rate_init=rate, n_steps=n_steps
        )
        (heights,) = run.heights.values()
        far = np.flatnonzero(~(heights < 1e-6 * heights[0]))  # NaN is far, too
        updates[name].append(far[-1] + 1 if far[-1] < n_steps else np.nan)
    best = np.nanargmin(updates[name])
    ax.plot(rates, updates[name], ".-", color=f"C{k}", markersize=4, label=name)
    ax.axvline(limit, color=f"C{k}", linestyle=":", linewidth=1)
    print(
        f"{name}: {updates[name][best]:.0f} updates at the rate {rates[best]:.3f}; "
        f"largest rate that converges {rates[np.isfinite(updates[name])].max():.3f}, "
        f"limit {limit:.3f}"
    )
ax.set(xlabel="learning rate", ylabel="updates to a millionth of the height")
ax.set(xscale="log", yscale="log")
ax.legend(title="dotted: stable below")
plt.show()
