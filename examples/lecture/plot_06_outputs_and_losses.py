"""
Outputs and their losses
========================

The task decides the output and the loss: numbers have a linear output and the squared
error; two classes a sigmoid, and several classes a softmax, both with cross-entropy.
With squared error, a sigmoid that is wrong and certain hardly learns.

A softmax is ``exp(z_k) / sum_j exp(z_j)``: the sum runs over an index j of its own. The
squared error, sometimes listed for classification, is the loss of regression.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

from sknn_iitb import MLPClassifier, MLPRegressor

# %%
# The estimators choose output and loss by the targets.

X, species = load_iris(return_X_y=True)
tasks = {
    "a number": (MLPRegressor, *map(scale, load_diabetes(return_X_y=True))),
    "two classes": (MLPClassifier, scale(X), species == 0),
    "three classes": (MLPClassifier, scale(X), species),
    "two labels": (MLPClassifier, scale(X), np.eye(3, dtype=int)[species][:, :2]),
}
outputs = {}
for task, (kind, inputs, targets) in tasks.items():
    net = kind((10,)) if kind is MLPClassifier else kind(hidden_layer_sizes=(10,))
    net.set_params(solver="lbfgs", alpha=0.1, max_iter=5000, random_state=0)
    outputs[task] = net.fit(inputs, targets).out_activation_
    print(f"{task}: {net.n_outputs_} output(s), {outputs[task]}, {net.loss}")
net = MLPClassifier((10,), solver="lbfgs", alpha=0.1, max_iter=5000, random_state=0)
total = net.fit(scale(X), species).predict_proba(scale(X)).sum(axis=1)
print(f"the softmax sums to 1 within {abs(total - 1).max():.0e}")

# %%
# The slope of a loss with respect to the weighted sum z is what training gets to see.
# The class is 1, so a very negative z is certain and wrong.

z = np.linspace(-8, 8, 321)
p = 1 / (1 + np.exp(-z))
losses = {"squared error": (p - 1) ** 2 / 2, "cross-entropy": -np.log(p)}
slopes = {"squared error": (p - 1) * p * (1 - p), "cross-entropy": p - 1}
figure, axes = plt.subplots(2, 1, figsize=(5, 4.5), sharex=True, layout="constrained")
for name in losses:
    axes[0].plot(z, losses[name], label=name)
    axes[1].plot(z, slopes[name])
    print(f"{name}: slope {slopes[name][0]:.1e} at z = -8")
axes[0].set(ylabel="loss of class 1")
axes[1].set(xlabel="weighted sum z of the output", ylabel="slope")
axes[0].legend()
plt.show()
