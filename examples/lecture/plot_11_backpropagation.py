"""
Backpropagation: the chain rule at the cost of one pass
=======================================================

Backpropagation multiplies the derivatives of the layers, from the last to the first.
The result is that of finite differences, which need two evaluations of the loss for
each parameter; backpropagation needs one pass forward and one backward for all.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import check_gradients

# %%
# By hand, on a network with one hidden neuron: z = w x, h = tanh(z), f = v h, and the
# loss (f - y)**2 / 2.

x, y, w, v = 0.5, 1.0, 0.8, -1.2
h = np.tanh(w * x)
f = v * h
d_f = f - y  # derivative of the loss by f
d_v = d_f * h
d_h = d_f * v
d_w = d_h * (1 - h**2) * x  # the slope of tanh, and the input
print(f"backward: dL/dv = {d_v:.6f}, dL/dw = {d_w:.6f}")


def loss(w, v):
    return (v * np.tanh(w * x) - y) ** 2 / 2


e = 1e-6
by_v = (loss(w, v + e) - loss(w, v - e)) / (2 * e)
by_w = (loss(w + e, v) - loss(w - e, v)) / (2 * e)
print(f"finite differences:  {by_v:.6f}          {by_w:.6f}")

# %%
# The same for a network with some 7,000 parameters: errors relative to the largest
# derivative of each array.

X, y = load_digits(return_X_y=True)
X = X / 16
net = MLPClassifier((100,), activation="tanh", learning_rate="cosine", max_iter=5)
net.fit(X, y)
for name, error in check_gradients(net, X, y, n_parameters=10).errors.items():
    print(f"{name}: {error:.1e}")

# %%
# And its cost. Finite differences take the time of two losses for each parameter.

began = perf_counter()
for _ in range(20):
    net.loss_and_gradient(X, y)
backward = (perf_counter() - began) / 20
began = perf_counter()
for _ in range(20):
    net.predict_proba(X)
differences = 2 * net.parameters_.size * (perf_counter() - began) / 20
print(f"one gradient {1000 * backward:.1f} ms, finite differences {differences:.0f} s")

figure, ax = plt.subplots(figsize=(5, 1.75), layout="constrained")
ax.barh(["finite differences", "backpropagation"], [differences, backward])
ax.set(xscale="log", xlabel="seconds for one gradient of 7,510 parameters")
plt.show()
