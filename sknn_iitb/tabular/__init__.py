"""Neural networks for tables as they come: categories, missing values, numbers of any scale."""

from sknn_iitb.tabular.classifier import TabularMLPClassifier
from sknn_iitb.tabular.encoder import TableEncoder
from sknn_iitb.tabular.preprocessing import PiecewiseLinearEncoder, RobustSmoothScaler
from sknn_iitb.tabular.regressor import TabularMLPRegressor

__all__ = [
    "PiecewiseLinearEncoder",
    "RobustSmoothScaler",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]
