"""Errors that suggest the name or the parameter that the user probably meant."""

import inspect
import pickle

import pytest
from sklearn.base import clone

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor, dask
from sknn_iitb._registry import parameter_defaults
from sknn_iitb._suggestions import _SYNONYMS, did_you_mean
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

ESTIMATORS = [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor]
REGISTRIES = [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.parameter)
def test_spelling_of_other_libraries_is_recognized(registry):
    names = registry.names()
    for name in names:
        for spelling in (name.upper(), name.title().replace("_", "-"), name.title().replace("_", "")):
            assert did_you_mean(spelling, names) == f" Did you mean {name!r}?"


@pytest.mark.parametrize(
    ("cls", "parameters", "meant"),
    [
        (MLPClassifier, {"activation": "rely"}, "relu"),
        (MLPClassifier, {"activation": "ReLU"}, "relu"),
        (MLPClassifier, {"hidden_layer_sizes": (3, 3), "activation": ["relu", "Tanh"]}, "tanh"),
        (MLPClassifier, {"output_activation": "soft-max"}, "softmax"),
        (MLPClassifier, {"solver": "ADAM"}, "adam"),
        (MLPClassifier, {"loss": "logloss"}, "log_loss"),
        (MLPClassifier, {"scoring": "acuracy"}, "accuracy"),
        (MLPRegressor, {"learning_rate": "one cycle"}, "one_cycle"),
        (MLPRegressor, {"init": "HeNormal"}, "he_normal"),
        (MLPRegressor, {"dtype": "Float32"}, "float32"),
        (TabularMLPClassifier, {"preset": "defualt"}, "default"),
        (TabularMLPClassifier, {"metric": "logloss"}, "log_loss"),
        (TabularMLPRegressor, {"activation": "Mish"}, "mish"),
        (TabularMLPRegressor, {"views": ["splines"]}, "spline"),
    ],
)
def test_misspelt_name_is_corrected(iris, cls, parameters, meant):
    with pytest.raises(ValueError, match=rf"Did you mean '{meant}'\?$"):
        cls(**parameters).fit(*iris)


def test_there_is_no_suggestion_for_something_else(iris):
    with pytest.raises(ValueError, match=r"Got 'xyz' instead\.$"):
        MLPClassifier(solver="xyz").fit(*iris)
    with pytest.raises(ValueError, match=r"Got -1 instead\.$"):
        MLPClassifier(alpha=-1).fit(*iris)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_number_as_learning_rate_is_that_of_another_parameter(iris, cls):
    with pytest.raises(ValueError, match=r"schedule; set the number with learning_rate_init=0\.01\.$"):
        cls(learning_rate=0.01).fit(*iris)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_unknown_parameter_is_corrected(cls):
    net = cls()
    for wrong, meant in (("epochs", "max_iter"), ("lr", "learning_rate_init"), ("batchsize", "batch_size")):
        with pytest.raises(ValueError, match=rf"Invalid parameter '{wrong}'.* Did you mean '{meant}'\?$"):
            net.set_params(**{wrong: 3})
    with pytest.raises(ValueError, match=r"Invalid parameter 'xyz'.*\]\.$"):
        net.set_params(xyz=3)
    assert net.get_params() == clone(net).get_params() == cls().get_params()


@pytest.mark.parametrize("cls", [*ESTIMATORS, *(getattr(dask, f"Dask{cls.__name__}") for cls in ESTIMATORS)])
def test_unknown_argument_of_the_constructor_is_corrected(cls):
    for wrong, meant in (("epochs", "max_iter"), ("lr", "learning_rate_init"), ("units", "hidden_layer_sizes")):
        with pytest.raises(TypeError, match=rf"^{cls.__name__}\(\) got .* '{wrong}'\. Did you mean '{meant}'\?$"):
            cls(**{wrong: 3})
    with pytest.raises(TypeError, match=r"argument 'xyz'\.$"):
        cls(xyz=3)
    net = cls(max_iter=3)
    assert set(inspect.signature(cls).parameters) == set(net.get_params(deep=False))
    assert clone(net).max_iter == pickle.loads(pickle.dumps(net)).max_iter == 3


def test_unknown_argument_of_a_dask_estimator_is_corrected():
    with pytest.raises(TypeError, match=r"Did you mean 'local_steps'\?$"):
        dask.DaskMLPClassifier(local_step=3)


def test_subclass_has_its_own_parameters():
    class Net(MLPClassifier):
        def __init__(self, epochs=3, lr=0.1):
            super().__init__(max_iter=epochs, learning_rate_init=lr)
            self.epochs, self.lr = epochs, lr

    net = clone(Net(epochs=5))
    assert (net.max_iter, net.get_params()) == (5, {"epochs": 5, "lr": 0.1})
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'solver'"):
        Net(solver="sgd")


def test_synonyms_are_parameters():
    known = set(parameter_defaults(MLPClassifier))
    assert set(_SYNONYMS.values()) <= known
    assert not known & set(_SYNONYMS)
