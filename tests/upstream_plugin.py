"""A pytest plugin that puts our estimators in the place of scikit-learn's, before its own tests are imported."""

import pytest
from sklearn import neural_network

import sknn_iitb


def pytest_configure(config):
    """Exchange the estimators; in a hook, so that to import this module changes nothing."""
    neural_network.MLPClassifier = sknn_iitb.MLPClassifier
    neural_network.MLPRegressor = sknn_iitb.MLPRegressor


def pytest_collection_modifyitems(items):
    """Make sure that the tests have got them."""
    assert {item.module.MLPClassifier for item in items} == {sknn_iitb.MLPClassifier}
    assert {item.module.MLPRegressor for item in items} == {sknn_iitb.MLPRegressor}


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's conftest.py gives its tests, unless the environment asks for another."""
    return 42
