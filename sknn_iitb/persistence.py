"""Saved models: the types that a safe file may contain.

``TRUSTED_TYPES`` is the list of the names of our classes that a file of `skops <https://skops.readthedocs.io>`_ may
contain: the estimators, the transformers of ``sknn_iitb.tabular``, and the components. Pass it to ``skops.io.load``
as `trusted`.
"""

from sknn_iitb import tabular
from sknn_iitb._engine.plain import REGISTRIES
from sknn_iitb.mlp import MLPClassifier, MLPRegressor

__all__ = ["TRUSTED_TYPES"]

_ESTIMATORS = [MLPClassifier, MLPRegressor, *(getattr(tabular, name) for name in tabular.__all__)]
_COMPONENTS = [cls for registry in REGISTRIES.values() for cls in registry.classes]

TRUSTED_TYPES: list[str] = sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in _ESTIMATORS + _COMPONENTS)
