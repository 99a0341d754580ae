"""Neural networks for tables, on a CPU, as scikit-learn estimators."""

from sknn_iitb.comparison import compare_with_sklearn
from sknn_iitb.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "compare_with_sklearn"]
__version__ = "0.1.0"
