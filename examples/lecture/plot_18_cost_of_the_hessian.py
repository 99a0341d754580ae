"""
The cost of the Hessian
=======================

Newton's method needs the Hessian: n columns for n parameters, each as expensive as two
gradients, and memory for n squared numbers. The product of the Hessian with one vector
costs two gradients only. Lanczos iterations need a few dozen such products to find the
largest eigenvalues, so :func:`~sknn_iitb.inspection.curvature` does not store the
Hessian of a large network.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from sknn_iitb import MLPClassifier

X, y = load_iris(return_X_y=True)
X = scale(X)


def product(net, direction, step=1e-5):
    """The Hessian times a direction, by a central difference of gradients."""
    start, gradients = net.parameters_.copy(), []
    for sign in (1, -1):
        net.parameters_[:] = start + sign * step * direction
        gradients.append(net.loss_and_gradient(X, y)[1])
    net.parameters_[:] = start
    return (gradients[0] - gradients[1]) / (2 * step)


sizes, of_product, of_hessian = [], [], []
for width in (5, 10, 20, 40):
    net = MLPClassifier(
        (width, width), activation="tanh", solver="lbfgs", max_iter=5000, random_state=0
    ).fit(X, y)
    n = net.parameters_.size
    times = []
    for _ in range(20):
        start = time.perf_counter()
        product(net, np.ones(n) / np.sqrt(n))
        times.append(time.perf_counter() - start)
    sizes.append(n)
    of_product.append(np.median(times))
    if width <= 20:
        start = time.perf_counter()
        hessian = np.array([product(net, unit) for unit in np.eye(n)])
        of_hessian.append(time.perf_counter() - start)
        asymmetry = abs(hessian - hessian.T).max() / abs(hessian).max()
        ratio = of_hessian[-1] / of_product[-1]
        print(
            f"{n} parameters: product {1000 * of_product[-1]:.2f} ms, Hessian "
            f"{1000 * of_hessian[-1]:.0f} ms ({ratio:.0f} times), asymmetry "
            f"{asymmetry:.0e}"
        )

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
ax.plot(sizes[:3], of_hessian, "o-", label="whole Hessian")
ax.plot(sizes, of_product, "s-", label="one product")
ax.set(xlabel="parameters", ylabel="seconds", xscale="log", yscale="log")
ax.legend(loc="center right")
plt.show()
