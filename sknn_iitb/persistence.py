"""Saved models: the types that a safe file may contain.

``TRUSTED_TYPES`` is the list of the names of our classes that a file of `skops <https://skops.readthedocs.io>`_ may
contain: the estimators, the transformers of ``sknn_iitb.tabular``, and the components. Pass it to ``skops.io.load``
as `trusted`.
"""

from sknn_iitb import tabular
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.mlp import MLPClassifier, MLPRegressor
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

__all__ = ["TRUSTED_TYPES"]

_ESTIMATORS = [MLPClassifier, MLPRegressor, *(getattr(tabular, name) for name in tabular.__all__)]
_COMPONENTS = [cls for registry in (ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS, SCHEDULES) for cls in registry]

TRUSTED_TYPES: list[str] = sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in _ESTIMATORS + _COMPONENTS)
