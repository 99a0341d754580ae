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
for activation in ("logistic", "relu"):
    net = MLPClassifier([30] * 5, activation=activation, **settings)
    display = GradientFlowDisplay.from_estimator(net, X, y)
    display.axes_[0].set_title(activation)
    flow = display.flow
    first, last = (flow.gradients[f"coefs_[{k}]"][0] for k in (0, 5))
    print(f"{activation}: gradient of the first layer / last layer {first / last:.1e}")

# %%
# :func:`~sknn_iitb.inspection.diagnose` names it.

net = MLPClassifier([30] * 8, activation="logistic", **settings).fit(X, y)
print(f"accuracy {net.score(X, y):.3f}")
print(diagnose(net, X, y))
plt.show()
