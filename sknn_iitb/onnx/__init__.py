"""Export of fitted estimators to ONNX.

Importing this module registers the estimators with skl2onnx, so that its own functions convert them too.
"""

try:
    import onnx  # noqa: F401
    import skl2onnx  # noqa: F401
except ImportError as _error:
    raise ImportError(f"sknn_iitb.onnx requires {_error.name}; pip install 'sknn-iitb[onnx]'.") from None

from sknn_iitb.onnx._registration import register
from sknn_iitb.onnx._transformed_targets import register_transformed_targets
from sknn_iitb.onnx.conversion import to_onnx

__all__ = ["to_onnx"]

register()
register_transformed_targets()
