"""
Gradient descent on a mountain: the step size and the Hessian
=============================================================

Training walks downhill on the surface of the loss, in fog: it knows the slope under its
feet, and nothing of the valleys around. The gradient says where to go, but not how far.
Two functions can have the same gradient and still need different steps, because their
Hessians differ. Gradient descent converges below 2 divided by the largest eigenvalue of
the Hessian, and diverges above.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from sknn_iitb import MLPRegressor
from sknn_iitb.inspection import (
    OptimizerPathDisplay,
    Surface,
    curvature,
    optimizer_paths,
)
from sknn_iitb.optimizers import SGD

# training ends after a fixed number of updates on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

# %%
# A mountain with many valleys. Plain gradient descent ends in the first one, momentum
# rolls on into a deeper one, and neither finds the deepest, in the middle.

mountain = OptimizerPathDisplay.from_surface(
    "many_minima",
    [SGD(momentum=0), "sgd"],
    learning_rate_init=0.02,
    kind="surface",
)
for label, path in mountain.paths.items():
    print(
        f"{label}: from (-2.2, 1.7) to ({path[-1][0]:.2f}, {path[-1][1]:.2f}),", end=""
    )
    print(f" height {mountain.heights[label][-1]:.2f}")

# %%
# Both surfaces have the gradient (2, 2) where the descent begins.

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for k, largest in enumerate((1.0, 10.0)):
    surface = Surface.quadratic([[0.8, 0], [0, largest]], start=(2.5, 2.0 / largest))
    for rate in (0.19, 0.21):
        found = optimizer_paths(
            surface, SGD(momentum=0), learning_rate_init=rate, n_steps=60
        )
        (heights,) = found.heights.values()
        label = f"largest eigenvalue {largest:g}, step {rate}"
        ax.plot(heights, color=f"C{k}", linestyle=["-", "--"][rate > 0.2], label=label)
        print(f"{label}: {heights[0]:.2f} -> {heights[-1]:.2g}")
ax.set(xlabel="update", ylabel="value", yscale="log")
ax.legend()

# %%
# The same holds for a network. :func:`~sknn_iitb.inspection.curvature` finds the
# eigenvalue without storing the Hessian.

X, y = map(scale, load_diabetes(return_X_y=True))
settings = {
    "hidden_layer_sizes": (),
    "solver": "sgd",
    "momentum": 0,
    "batch_size": "full",
    "alpha": 0,
    "random_state": 0,
}
net = MLPRegressor(**settings, max_iter=1).fit(X, y)
limit = curvature(net, X, y).max_learning_rate
print(f"largest stable learning rate: {limit:.4f}")
for share in (0.98, 1.02):
    settings |= {"max_iter": 200, "tol": 0, "n_iter_no_change": 200}
    net = MLPRegressor(**settings, learning_rate_init=share * limit)
    net.fit(X, y)
    print(f"{share:.2f} times that rate: the loss ends at {net.loss_:.3g}")
plt.show()
