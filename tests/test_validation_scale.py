"""The warning about a validation set on another scale than the training samples."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from sknn_iitb import MLPClassifier
from sknn_iitb.mlp._validation_scale import warn_of_another_scale

RAW = {
    "breast cancer": lambda: datasets.load_breast_cancer().data,
    "diabetes": lambda: datasets.load_diabetes(scaled=False).data,
    "wine": lambda: datasets.load_wine().data,
    "log-normal": lambda: np.random.RandomState(0).lognormal(5, 2, (600, 5)),
    "random walk": lambda: 50 + np.random.RandomState(0).normal(size=(2000, 6)).cumsum(axis=0),
}


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler])
@pytest.mark.parametrize("name", RAW)
def test_raw_validation_set_is_noticed_and_a_scaled_one_is_not(name, scaler):
    X, X_val = train_test_split(RAW[name](), random_state=0)
    scaler = scaler().fit(X)
    warn_of_another_scale(scaler.transform(X), scaler.transform(X_val))
    for pair in ((scaler.transform(X), X_val), (X, scaler.transform(X_val))):
        with pytest.warns(UserWarning, match=r"X_val is on another scale than X.*transform_input=\['X_val'\]"):
            warn_of_another_scale(*pair)


@pytest.mark.parametrize(
    "X",
    [
        *(load().data for load in (datasets.load_iris, datasets.load_digits)),
        *(make() for make in RAW.values()),
        np.random.RandomState(0).standard_normal((300, 1)),
        OneHotEncoder(sparse_output=False).fit_transform(datasets.load_digits().data[:, 20:24]),
    ],
    ids=["iris", "digits", *RAW, "column", "indicators"],
)
def test_no_warning_between_parts_of_a_data_set(X):
    half = len(X) // 2
    warn_of_another_scale(X[:half], X[half:])  # in the order of time, or of classes
    for seed in range(100):
        for size in (2, 20, 50):
            warn_of_another_scale(*train_test_split(X, test_size=size, random_state=seed))


def test_sparse_and_constant_columns_are_not_compared():
    X = np.eye(30)
    warn_of_another_scale(X, 1e3 + 1e3 * X)
    warn_of_another_scale(sparse.csr_array(X), sparse.csr_array(1e3 * X))
    warn_of_another_scale(np.repeat([[-1e308], [1e308]], 20, axis=0), np.ones((20, 1)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_warns_once_if_a_pipeline_has_not_transformed_the_validation_set():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=2, random_state=0))
    with pytest.warns(UserWarning, match="X_val is on another scale") as caught:
        model.fit(X, y, mlpclassifier__X_val=X_val, mlpclassifier__y_val=y_val)
    assert [warning.category for warning in caught].count(UserWarning) == 1
    Z, Z_val = model[0].transform(X), model[0].transform(X_val)
    with warnings.catch_warnings(record=True) as caught:
        net = MLPClassifier(max_iter=2, random_state=0).fit(Z, y, X_val=Z_val, y_val=y_val)
    assert not any(warning.category is UserWarning for warning in caught)
    with pytest.warns(UserWarning, match="X_val is on another scale"):
        net = MLPClassifier().partial_fit(Z, y, classes=[0, 1], X_val=X_val, y_val=y_val)
    net.partial_fit(Z, y, X_val=X_val, y_val=y_val)  # does not repeat it
