"""scikit-learn's estimator checks, without expected failures."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_param_validation,
    parametrize_with_checks,
)

from sknn_iitb import MLPClassifier, MLPRegressor

# the checks train for only a few epochs
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_check_estimator_passes(cls):
    results = check_estimator(cls(), on_skip=None)
    outcome = {result["check_name"]: result["status"] for result in results}
    assert {name for name, status in outcome.items() if status != "passed"} <= {"check_array_api_input"}


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("check", [check_param_validation, check_dataframe_column_names_consistency])
def test_check_outside_check_estimator(cls, check):
    check(cls.__name__, cls())
