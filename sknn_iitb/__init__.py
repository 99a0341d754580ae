"""Fast neural networks for tabular data: drop-in scikit-learn estimators for the CPU."""

from importlib import import_module
from typing import Any

from sknn_iitb._version import __version__ as __version__
from sknn_iitb.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularMLPClassifier", "TabularMLPRegressor", "compare_with_sklearn"]

# imported on first access, so that `import sknn_iitb` stays fast
_LAZY = {
    "TabularMLPClassifier": "tabular",
    "TabularMLPRegressor": "tabular",
    "compare_with_sklearn": "inspection",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
