"""Small standardized datasets and fixtures shared by the test modules."""

import signal

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.preprocessing import scale

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._jit import patience

pytest.register_assert_rewrite("refused")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items):
    """Run the examples of docstrings only with the newest releases: they are about our own code."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("newest")


@pytest.fixture(autouse=True)
def no_announcements(monkeypatch):
    """Keep the printed output independent of whether the cache is warm."""
    monkeypatch.setattr(patience, "_PATIENCE", 1e6)


@pytest.fixture(autouse=True)
def denormals():
    """Check that training, which flushes denormals to zero, restores the processor's mode."""
    yield
    assert np.float32(1e-40) * np.float32(1) > 0


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Enable Ctrl-C in a background job of a shell, which ignores it: its tests would wait forever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cancer():
    """Two classes."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def iris():
    """Three classes."""
    X, y = datasets.load_iris(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def digits():
    """Ten classes."""
    X, y = datasets.load_digits(return_X_y=True)
    return scale(X[:500]), y[:500]


@pytest.fixture(scope="session")
def bits(digits):
    """Four binary labels per sample: the bits of the digit."""
    X, y = digits
    return X, y[:, None] >> np.arange(4) & 1


@pytest.fixture(scope="session")
def diabetes():
    """A standardized regression target."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), scale(y)


@pytest.fixture(scope="session")
def counts():
    """Counts as the target."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), np.floor(y / 50)


@pytest.fixture(scope="session")
def wine():
    """Three regression targets, ten features."""
    X = scale(datasets.load_wine(return_X_y=True)[0])
    return X[:, 3:], X[:, :3]


@pytest.fixture(params=[MLPClassifier, MLPRegressor])
def task(request):
    """An estimator class and data for it."""
    return request.param, *request.getfixturevalue("cancer" if request.param is MLPClassifier else "diabetes")


@pytest.fixture(scope="session")
def table():
    """A DataFrame with the quirks of real tables, and two targets that depend on it."""
    rng = np.random.RandomState(0)
    n = 300
    size, income = rng.normal(size=n), rng.lognormal(3, 2, n)
    colour = rng.choice(["red", "green", "blue"], n)
    X = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=n) < 0.1, np.nan, size),
            "income": income,
            "rooms": pd.array(rng.randint(1, 6, n), dtype="Int64"),
            "colour": pd.Categorical(
                np.where(rng.uniform(size=n) < 0.1, None, colour), ["red", "green", "blue", "unused"]
            ),
            "city": [f"city {k}" for k in rng.randint(12, size=n)],
            "owned": rng.uniform(size=n) < 0.5,
            "constant": 1.0,
        }
    )
    X.loc[3, "rooms"] = pd.NA
    number = size + np.log(income) + (colour == "red")
    return X, number, np.where(number > np.median(number), "dear", "cheap")
