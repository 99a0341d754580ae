"""
Vanishing gradients
===================

The slope of a sigmoid is at most 1/4, so each sigmoid layer makes the gradient of the
layers below smaller. Six layers deep, the first layer hardly learns. With ReLU the
gradient keeps its size.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sknn_iitb import MLPClassifier
from sknn_iitb.inspection import GradientFlowDisplay, diagnose

X, y = load_digits(return_X_y=True)
X = X / 16
settings = {"max_iter": 40, "learning_rate": "cosine", "random_state": 0}
nets = {
    activation: MLPClassifier([30] * 5, activation=activation, **settings)
    for activation in ("logistic", "relu")
}
vanishing, healthy = (
    GradientFlowDisplay.from_estimator(net, X, y) for net in nets.values()
)
for activation, display in zip(nets, (vanishing, healthy), strict=True):
    display.ax_.set_title(activation)
    gradients = display.flow.gradients
    ratio = gradients["coefs_[0]"][0] / gradients["coefs_[5]"][0]
    print(f"{activation}: gradient of the first layer / last layer {ratio:.1e}")

# %%
# :func:`~sknn_iitb.inspection.diagnose` names it.

net = MLPClassifier([30] * 8, activation="logistic", **settings).fit(X, y)
print(f"accuracy {net.score(X, y):.3f}")
print(diagnose(net, X, y))
plt.show()
