"""Tools to inspect fitted networks, in the style of :mod:`sklearn.inspection`."""

from sknn_iitb.inspection.comparison import compare_with_sklearn
from sknn_iitb.inspection.importance import ImportanceDisplay, gradient_importance

__all__ = ["ImportanceDisplay", "compare_with_sklearn", "gradient_importance"]
