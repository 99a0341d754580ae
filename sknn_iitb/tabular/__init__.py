"""Neural networks for tables as they come: categories, missing values, numbers of any scale."""

from sknn_iitb.tabular.classifier import TabularMLPClassifier
from sknn_iitb.tabular.encoder import TableEncoder
from sknn_iitb.tabular.importance import ImportanceDisplay, gradient_importance
from sknn_iitb.tabular.preprocessing import PiecewiseLinearEncoder, RobustSmoothScaler
from sknn_iitb.tabular.regressor import TabularMLPRegressor

__all__ = [
    "ImportanceDisplay",
    "PiecewiseLinearEncoder",
    "RobustSmoothScaler",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "gradient_importance",
]
