"""Multi-layer perceptrons with the interface of :mod:`sklearn.neural_network`."""

from sknn_iitb.mlp.classifier import MLPClassifier
from sknn_iitb.mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
