"""
Full batch, mini-batches and single samples
===========================================

An update can use the gradient of all samples (full batch, the vanilla form), of a few
of them (a mini-batch, often called just "batch"), or of one (stochastic gradient
descent). An epoch costs about the same arithmetic in all three, but has more updates
the smaller the batches are.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb import MLPClassifier

# training ends after a fixed number of epochs on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X = X / 16
settings = {
    "solver": "sgd",
    "momentum": 0,
    "learning_rate_init": 0.05,
    "max_iter": 15,
    "random_state": 0,
}
nets = {}
figure, ax = plt.subplots(layout="constrained")
for batch_size in (1, 32, "full"):
    net = MLPClassifier(**settings, batch_size=batch_size).fit(X, y)
    n_updates = 1 if batch_size == "full" else -(-len(X) // batch_size)
    nets[batch_size] = net
    ax.plot(range(1, 16), net.loss_curve_, label=f"batches of {batch_size}")
    print(
        f"batches of {batch_size}: {n_updates} updates an epoch, "
        f"loss {net.loss_:.3f} after 15 epochs"
    )
ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
ax.legend()
plt.show()
