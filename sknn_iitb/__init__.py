"""Neural networks for tables, on a CPU, as scikit-learn estimators."""

from sknn_iitb.classifier import MLPClassifier
from sknn_iitb.comparison import compare_with_sklearn
from sknn_iitb.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "compare_with_sklearn"]
__version__ = "0.1.0"
