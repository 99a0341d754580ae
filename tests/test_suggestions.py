"""Errors that suggest the name or the parameter that the user probably meant."""

import pytest
from sklearn.base import clone

from sknn_iitb import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
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


def test_synonyms_are_parameters():
    known = set(parameter_defaults(MLPClassifier))
    assert set(_SYNONYMS.values()) <= known
    assert not known & set(_SYNONYMS)
