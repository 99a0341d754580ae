"""
Full batch, mini-batches and single samples
===========================================

An update can use the gradient of all samples (full batch, the vanilla form), of a few
of them (a mini-batch, often called just "batch"), or of one (stochastic gradient
descent). An epoch costs the same arithmetic in all three, but has more updates the
smaller the batches are. Larger batches bear larger learning rates, so each has the best
of four. Single samples learn most in an epoch, which takes several times as long as one
of mini-batches, whose products are those of matrices.
"""

import time
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from sknn_iitb import MLPClassifier

# training ends after a fixed number of epochs on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X = X / 16
settings = {"solver": "sgd", "momentum": 0, "max_iter": 15, "random_state": 0}
rates = [0.02, 0.05, 0.3, 1]
losses, seconds = {}, {}
figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for batch_size, label in ((1, "1 sample"), (32, "32 samples"), ("full", "all samples")):
    start = time.perf_counter()
    nets = [
        MLPClassifier(**settings, batch_size=batch_size, learning_rate_init=rate)
        for rate in rates
    ]
    finite = [net for net in (net.fit(X, y) for net in nets) if net.loss_curve_]
    seconds[batch_size] = (time.perf_counter() - start) / len(rates)
    best = min(finite, key=lambda net: log_loss(y, net.predict_proba(X)))
    losses[batch_size] = log_loss(y, best.predict_proba(X))
    rate = best.learning_rate_init
    curve = best.loss_curve_
    ax.plot(range(1, len(curve) + 1), curve, label=f"{label}, learning rate {rate}")
    print(
        f"{label}: loss {losses[batch_size]:.3f} after 15 epochs at the learning rate "
        f"{rate}, {seconds[batch_size]:.2f} s"
    )
ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
figure.legend(loc="outside upper center")
plt.show()
