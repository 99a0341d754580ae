"""Neural networks for tables, on a CPU, as scikit-learn estimators."""

from sknn_iitb.classifier import MLPClassifier
from sknn_iitb.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
__version__ = "0.1.0"
