"""
A sigmoid neuron is logistic regression
=======================================

A network without a hidden layer, whose output is a sigmoid and whose loss is the cross
entropy, is logistic regression. Its weights are those of scikit-learn.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
neuron = MLPClassifier((), solver="lbfgs", alpha=1, tol=1e-8, max_iter=1000).fit(X, y)
regression = LogisticRegression(C=1, tol=1e-10, max_iter=1000).fit(X, y)

apart = abs(neuron.coefs_[0].ravel() - regression.coef_.ravel()).max()
print(f"largest difference of the 30 weights: {apart:.1e}")
print(f"accuracy: {neuron.score(X, y):.4f} and {regression.score(X, y):.4f}")

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
ax.plot(regression.coef_.ravel(), neuron.coefs_[0].ravel(), "o", markersize=4)
ax.set(xlabel="weight of logistic regression", ylabel="weight of the neuron")
plt.show()
