"""
Finding the learning rate
=========================

The perfect step size is impossible to guess, but quick to find: train with a growing
learning rate and look where the loss falls. ``learning_rate_init="auto"`` does that at
the beginning of ``fit``.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import LearningRateRangeDisplay, LossCurveDisplay

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# Below some rate nothing happens, then the loss falls, and at last it explodes.

net = MLPClassifier(max_iter=20, learning_rate="cosine", random_state=0)
range_test = LearningRateRangeDisplay.from_estimator(net, X, y)

# %%
# Twenty epochs with the default rate, and with the one that the test has found.

nets = [
    MLPClassifier(
        max_iter=20, learning_rate="cosine", learning_rate_init=rate, random_state=0
    ).fit(X, y)
    for rate in (0.001, "auto")
]
for net in nets:
    print(f"learning rate {net.learning_rate_init_:.3g}: loss {net.loss_:.3f}")
curves = LossCurveDisplay.from_estimator(nets, show=["learning_rate"])
plt.show()
