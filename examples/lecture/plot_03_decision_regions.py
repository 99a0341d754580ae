"""
The step neuron as a linear classifier
======================================

A unit with a step activation is a linear classifier: its line cuts the plane into two.
A sigmoid is a smoother step, and with larger weights it becomes one. A network puts the
half-planes of its units together.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris, make_moons
from sklearn.linear_model import Perceptron
from sklearn.preprocessing import scale
from sklearn.svm import SVC

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.inspection import DecisionRegionDisplay, NetworkDisplay
from sknn_iitb.optimizers import SGD

# %%
# Rosenblatt's perceptron learns the line of a single step neuron: each sample on the
# wrong side is added to the weights, with its sign. If some line separates the classes,
# the rule finds one after at most (R / margin)**2 mistakes, where R is the length of
# the longest sample and the margin is the distance of a separating line to the closest
# one.

table, species = load_iris(return_X_y=True)
Z, sign = scale(table[:100, :2]), np.where(species[:100] == 1, 1.0, -1.0)
order = np.random.default_rng(0).permutation(100)
Z, sign = Z[order], sign[order]

weights, mistakes = np.zeros(3), []
inputs = np.column_stack([Z, np.ones(100)])  # the last weight is the bias
for _ in range(1000):
    before = len(mistakes)
    for z, s in zip(inputs, sign, strict=True):
        if s * (z @ weights) <= 0:
            weights += s * z
            mistakes.append(s)
    if len(mistakes) == before:
        break
machine = SVC(kernel="linear", C=1e6).fit(Z, sign)  # its line has a wide margin
line = np.append(machine.coef_, machine.intercept_)
margin = (sign * (inputs @ line)).min() / np.linalg.norm(line)
bound = (inputs**2).sum(axis=1).max() / margin**2
print(f"{len(mistakes)} mistakes, at most {bound:.0f} possible; weights {weights}")


# %%
# It is stochastic gradient descent with single samples on the loss max(0, -s z), which
# has no slope on the right side. So a network without a hidden layer, given this loss,
# learns the same weights, and so does scikit-learn's Perceptron.


def wrong_side(z, s):
    return max(0.0, -s * z), -s if s * z <= 0 else 0.0


neuron = MLPRegressor(
    loss=wrong_side,
    hidden_layer_sizes=(),
    init=([np.zeros((2, 1))], [np.zeros(1)]),
    solver=SGD(momentum=0),
    learning_rate_init=1,
    alpha=0,
    batch_size=1,
    shuffle=False,
)
for _ in range(5):
    neuron.partial_fit(Z, sign)
theirs = Perceptron(shuffle=False, max_iter=5, tol=None).fit(Z, sign)
learned = neuron.parameters_
print("network:     ", learned)
print("scikit-learn:", np.append(theirs.coef_, theirs.intercept_))

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for s, marker, name in ((-1, "o", "setosa"), (1, "s", "versicolor")):
    ax.plot(*Z[sign == s].T, marker, markersize=4, label=name)
ax.axline(
    (0, -learned[2] / learned[1]),
    slope=-learned[0] / learned[1],
    color="k",
    label="neuron",
)
ax.set(xlabel="sepal length (scaled)", ylabel="sepal width (scaled)")
ax.legend()

# %%
# Two half-moons need several lines. Each panel is the plane of the two columns x0 and
# x1. Yellow is where a unit is close to 1, dark blue where it is close to 0, and the
# white line is where its weighted sum is 0.

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
