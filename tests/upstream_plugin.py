"""A pytest plugin that replaces scikit-learn's estimators by ours before its tests are imported."""

import pytest
from sklearn import neural_network

import sknn_iitb


def pytest_configure(config):
    """Replace the estimators in a hook, so importing this module has no effect."""
    neural_network.MLPClassifier = sknn_iitb.MLPClassifier
    neural_network.MLPRegressor = sknn_iitb.MLPRegressor


def pytest_collection_modifyitems(items):
    """Check that the tests use the replacements."""
    assert {item.module.MLPClassifier for item in items} == {sknn_iitb.MLPClassifier}
    assert {item.module.MLPRegressor for item in items} == {sknn_iitb.MLPRegressor}


@pytest.fixture
def global_random_seed():
    """The default seed of scikit-learn's conftest.py."""
    return 42
