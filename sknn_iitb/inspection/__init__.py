"""Tools to inspect fitted networks, in the style of :mod:`sklearn.inspection`."""

from sknn_iitb.inspection.activation import ActivationDisplay
from sknn_iitb.inspection.comparison import compare_with_sklearn
from sknn_iitb.inspection.diagnosis import Diagnosis, Finding, diagnose
from sknn_iitb.inspection.gradient_check import check_gradients
from sknn_iitb.inspection.gradient_flow import GradientFlowDisplay, gradient_flow
from sknn_iitb.inspection.hessian import curvature
from sknn_iitb.inspection.importance import ImportanceDisplay, gradient_importance
from sknn_iitb.inspection.integrated_gradients import attributions
from sknn_iitb.inspection.learning_rate import LearningRateRangeDisplay, learning_rate_range_test
from sknn_iitb.inspection.loss_curve import LossCurveDisplay
from sknn_iitb.inspection.network_graph import NetworkDisplay
from sknn_iitb.inspection.paths import OptimizerPathDisplay, Surface, optimizer_paths
from sknn_iitb.inspection.regions import DecisionRegionDisplay
from sknn_iitb.inspection.summary import describe
from sknn_iitb.inspection.surface import LossSurfaceDisplay, loss_surface

__all__ = [
    "ActivationDisplay",
    "DecisionRegionDisplay",
    "Diagnosis",
    "Finding",
    "GradientFlowDisplay",
    "ImportanceDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
    "LossSurfaceDisplay",
    "NetworkDisplay",
    "OptimizerPathDisplay",
    "Surface",
    "attributions",
    "check_gradients",
    "compare_with_sklearn",
    "curvature",
    "describe",
    "diagnose",
    "gradient_flow",
    "gradient_importance",
    "learning_rate_range_test",
    "loss_surface",
    "optimizer_paths",
]
