"""Assert that a call raises and leaves the estimator unchanged."""

from enum import Enum

import numpy as np
import pytest


def _content(value):
    """The content of an attribute, in a form that can be compared."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, np.random.RandomState):
        return _content(value.get_state())
    if isinstance(value, (list, tuple)):
        return [_content(each) for each in value]
    if hasattr(value, "__dict__") and not isinstance(value, Enum):  # a member of an Enum refers to itself
        return type(value), {name: _content(each) for name, each in vars(value).items()}
    return repr(value)  # equal for two NaNs, too


def _fitted_state(net):
    parameters = net.get_params(deep=False)
    return {name: _content(value) for name, value in vars(net).items() if name not in parameters}


def assert_refused(net, data, match, *, call=None, error=(ValueError, TypeError)):
    """Assert that `net`, fitted or not, raises and stays unchanged."""
    X, _ = data
    fitted = hasattr(net, "coefs_")
    if fitted:
        weights, predictions = net.parameters_, net.predict(X)
    before = _fitted_state(net)
    with pytest.raises(error, match=match):
        (call or (lambda: net.fit(*data)))()
    assert _fitted_state(net) == before
    assert hasattr(net, "coefs_") == fitted
    if fitted:
        assert net.parameters_ is weights  # the user's views stay views
        np.testing.assert_array_equal(net.predict(X), predictions)
