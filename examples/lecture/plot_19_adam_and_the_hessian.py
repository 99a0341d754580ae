"""
What Adam divides by
====================

Newton's method divides the gradient by the Hessian. Adam divides the gradient of each
parameter by sqrt(v), the root mean square of its recent gradients, which costs nothing
more. Far from the minimum, sqrt(v) is nearly proportional to the diagonal of the
Hessian where that is large; where it is small, and everywhere at the minimum, the noise
of the mini-batches is left, which grows as the square root of the diagonal.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb import MLPRegressor

# A linear network with inputs of different scales. With the squared error, the diagonal
# of its Hessian is the mean square of each input.
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 30)) * np.geomspace(0.1, 3, 30)
y = X @ np.ones(30) + rng.normal(0, 0.5, 2000)
net = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs", max_iter=500)
minimum = net.fit(X, y).parameters_.copy()
diagonal = np.mean(X**2, axis=0)


def root_mean_square(parameters):
    """Of the gradients of mini-batches of 200 at one place, which v would approach."""
    net.parameters_[:] = parameters
    batches = [slice(k, k + 200) for k in range(0, len(X), 200)]
    gradients = [net.loss_and_gradient(X[b], y[b])[1][:30] for b in batches]
    return np.sqrt(np.mean(np.square(gradients), axis=0))


far = minimum.copy()
far[:30] += 3 * rng.choice([-1, 1], 30)
exponents = {}
figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for name, place in {"far from the minimum": far, "at the minimum": minimum}.items():
    root = root_mean_square(place)
    ax.plot(diagonal, root, "o", label=name)
    for which, part in (("all", slice(None)), ("the ten largest", slice(-10, None))):
        slope = np.polyfit(np.log(diagonal[part]), np.log(root[part]), 1)[0]
        exponents[name, which] = slope
        print(f"{name}, {which}: sqrt(v) grows as the diagonal to the {slope:.2f}")
ax.set(xlabel="diagonal of the Hessian", xscale="log", yscale="log")
ax.set_ylabel("sqrt(v): root mean square gradient")
ax.legend()
plt.show()
