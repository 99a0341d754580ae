"""
A neuron computes AND and OR, but XOR needs a hidden layer
==========================================================

A neuron with a step activation fires if the weighted sum of its inputs exceeds a
threshold: it is a linear classifier. AND and OR of two inputs are linear, XOR is not.
Two hidden neurons, one for OR and one for AND, are enough for it.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb import MLPRegressor

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def network(coefs, intercepts):
    """A network of step neurons whose weights are set by hand."""
    sizes = [len(each) for each in intercepts[:-1]]
    net = MLPRegressor(
        hidden_layer_sizes=sizes,
        activation="step",
        init=(coefs, intercepts),
        learning_rate_init=1e-300,  # the weights stay as they are
        max_iter=1,
        learning_rate="cosine",  # a schedule that ends, so one epoch is no surprise
    )
    return net.fit(X, np.zeros(4))


# %%
# One neuron and an output that copies it. Only the threshold differs.

nets = {
    name: network([[[1.0], [1.0]], [[1.0]]], [[-threshold], [0.0]])
    for name, threshold in (("AND", 1.5), ("OR", 0.5))
}
for name, neuron in nets.items():
    print(name, neuron.predict(X).round().astype(int))

# %%
# XOR is "OR, but not AND".

xor = network([[[1.0, 1.0], [1.0, 1.0]], [[1.0], [-1.0]]], [[-0.5, -1.5], [0.0]])
print("XOR", xor.predict(X).round().astype(int))

# %%
# A neuron cuts the plane in two. The hidden neurons of XOR cut it twice. The output is
# 1 in the blue region and at the white points, and 0 elsewhere.

axis = np.linspace(-0.5, 1.5, 201)
plane = np.array([[a, b] for b in axis for a in axis])
figure, axes = plt.subplots(
    1, 3, figsize=(5, 2.3), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, net) in zip(axes, {**nets, "XOR": xor}.items(), strict=True):
    fires = net.predict(plane).reshape(201, 201)
    ax.contourf(axis, axis, fires, levels=[-0.5, 0.5, 1.5], colors=["0.92", "C0"])
    ax.scatter(*X.T, c=net.predict(X) > 0.5, cmap="Greys_r", edgecolors="k", zorder=3)
    ax.set(title=name, aspect="equal")
figure.supxlabel("first input", fontsize="medium")
figure.supylabel("second input", fontsize="medium")

# %%
# No single neuron can do it: the best linear function of the inputs is constant.

best, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(4)]), [0, 1, 1, 0], rcond=None)
print("best linear function:", best.round(10))
plt.show()
