"""
Why activation functions?
=========================

Without an activation, a network of any depth is a linear function of its inputs: the
product of its weight matrices. With one, it can bend.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sknn_iitb import MLPRegressor
from sknn_iitb.inspection import ActivationDisplay

x = np.linspace(-3, 3, 200)[:, None]
y = np.sin(2 * x).ravel()
settings = {
    "hidden_layer_sizes": (30, 30, 30),
    "solver": "lbfgs",
    "alpha": 0,
    "max_iter": 3000,
    "max_fun": 100_000,
    "random_state": 0,
}
nets = {
    activation: MLPRegressor(activation=activation, **settings).fit(x, y)
    for activation in ("identity", "tanh")
}

# %%
# Three hidden layers without an activation are one matrix.

linear = nets["identity"]
product = np.linalg.multi_dot(linear.coefs_)
line = LinearRegression().fit(x, y)
print("slope of the network's matrix:", product.item())
print("slope of linear regression:   ", line.coef_.item())
apart = abs(linear.predict(x) - line.predict(x)).max()
print(f"largest difference of the predictions: {apart:.1e}")

# %%
# With tanh the same network follows the curve.

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
ax.plot(x, y, color="0.7", linewidth=4, label="target")
for activation, net in nets.items():
    label = f"{activation}, R2 {net.score(x, y):.3f}"
    ax.plot(x, net.predict(x), label=label)
ax.set(xlabel="x", ylabel="y")
figure.legend(loc="outside upper center", ncols=3, fontsize="small")

# %%
# The activations of the lecture. A sigmoid is a smoother step, and almost flat at both
# ends, where a neuron hardly learns. The slope of a step is 0; training uses that of a
# straight line between the two levels instead.

ActivationDisplay.from_activation(["step", "logistic", "tanh", "relu"], limits=(-5, 5))
ActivationDisplay.from_activation("logistic")
plt.show()
