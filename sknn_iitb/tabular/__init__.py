"""Neural networks for tables as they come: categories, missing values, numbers of any scale."""

from sknn_iitb.tabular.classifier import TabularMLPClassifier
from sknn_iitb.tabular.encoder import TableEncoder
from sknn_iitb.tabular.piecewise import PiecewiseLinearEncoder, SplineEncoder
from sknn_iitb.tabular.regressor import TabularMLPRegressor
from sknn_iitb.tabular.scaler import RobustSmoothScaler
from sknn_iitb.tabular.views import View

__all__ = [
    "PiecewiseLinearEncoder",
    "RobustSmoothScaler",
    "SplineEncoder",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "View",
]
