"""Conversion of fitted networks to and from scikit-learn's estimators.

The converted network predicts the same and can continue training. Parameters that only affect training may differ: if
scikit-learn does not support a value, such as ``solver="rmsprop"`` or any `init`, its default is used.
"""

import copy
from numbers import Real
from typing import Any

import numpy as np
import sklearn
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._engine.layers import NORMALIZATIONS
from sknn_iitb._engine.network import feedforward
from sknn_iitb._engine.parameters import Parameters
from sknn_iitb._engine.run import State, planned_steps
from sknn_iitb._engine.targets import ClassTargets, NumberTargets
from sknn_iitb._registry import parameter_defaults
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS, SGD, Adam
from sknn_iitb.schedules import SCHEDULES

__all__ = ["counterpart", "folded", "from_sklearn", "to_sklearn", "translated"]

# for parameters that scikit-learn does not have: the values without effect, if there are others than the default
_ALIKE = {"loss": ("auto", "log_loss")}

# scikit-learn's loss for each output activation of a regressor
_LOSS_OF = {"identity": "squared_error", "exp": "poisson"}

# identity of our optimizer -> scikit-learn's class, its constructor arguments and the attributes of its state
_OPTIMIZERS = {
    SGD().identity: (
        "SGDOptimizer",
        ("learning_rate_init", "learning_rate", "momentum", "nesterovs_momentum", "power_t"),
        ("velocities",),
    ),
    Adam().identity: ("AdamOptimizer", ("learning_rate_init", "beta_1", "beta_2", "epsilon"), ("ms", "vs")),
}

# attributes with the same name and meaning in both
_ATTRIBUTES = (
    "classes_",
    "n_features_in_",
    "feature_names_in_",
    "n_outputs_",
    "n_layers_",
    "out_activation_",
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
)


def counterpart(cls):
    """The scikit-learn class that corresponds to one of ours.

    Parameters
    ----------
    cls : type
    """
    module = sklearn.neural_network  # loaded here because it takes a third of the import time
    return module.MLPClassifier if issubclass(cls, ClassifierMixin) else module.MLPRegressor


def _copy_attributes(source, target):
    for name in _ATTRIBUTES:
        if hasattr(source, name):
            setattr(target, name, copy.copy(getattr(source, name)))


# --- parameters -------------------------------------------------------------------------------------------------


def translated(estimator, **settled):
    """Translate the parameters of one of our estimators into scikit-learn's.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        One of ours, fitted or not.
    **settled : dict
        Parameters that override the estimator's.

    Returns
    -------
    parameters : dict
        The parameters of scikit-learn's estimator, without the refused ones.
    refused : dict of str to str
        The parameters that scikit-learn does not support, with a reason that names the value and the legal ones.

    Examples
    --------
    >>> from sknn_iitb import MLPRegressor
    >>> from sknn_iitb.optimizers import SGD, RMSprop
    >>> parameters, refused = translated(MLPRegressor(solver=SGD(momentum=0.5)))
    >>> parameters["solver"], parameters["momentum"], refused
    ('sgd', 0.5, {})
    >>> sorted(translated(MLPRegressor(solver=RMSprop(), dtype="float32"))[1])
    ['dtype', 'solver']
    """
    theirs = counterpart(type(estimator))
    given = {**estimator.get_params(deep=False), **settled}
    del given["n_threads"]  # only changes the time
    defaults = dict(parameter_defaults(type(estimator)))
    for registry in (ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES):
        family, component = registry.parameter, given[registry.parameter]
        given[family] = _name(registry, component)
        if isinstance(component, registry.base) and not _refusal(theirs, family, given[family], defaults):
            for name, value in component.get_params(deep=False).items():
                flat = name if name in defaults else f"{family}__{name}"
                given[flat] = value
                defaults.setdefault(flat, parameter_defaults(type(component))[name])
    reasons = {name: _refusal(theirs, name, value, defaults) for name, value in given.items()}
    refused = {name: reason for name, reason in reasons.items() if reason}
    known = parameter_defaults(theirs)
    return {name: value for name, value in given.items() if name in known and name not in refused}, refused


def _name(registry, value):
    """The first name of a component, given by name or as an object, or of a list of equal ones."""
    if isinstance(value, (list, tuple)):
        names = [_name(registry, item) for item in value]
        return names[0] if names and all(name == names[0] for name in names) else value
    component = registry[value] if isinstance(value, str) and value in registry else value
    return next(iter(getattr(component, "names", ())), value)


def _refusal(theirs, name, value, defaults):
    """The reason why scikit-learn does not support a parameter's value; empty if it does."""
    if name in parameter_defaults(theirs):
        try:
            validate_parameter_constraints(
                theirs._parameter_constraints, {name: value}, f"scikit-learn's {theirs.__name__}"
            )
        except InvalidParameterError as error:
            return str(error)
        return ""
    legal = _ALIKE.get(name, (defaults[name],))
    if isinstance(value, (str, Real, type(None))) and value in legal:
        return ""
    return f"scikit-learn's {theirs.__name__} has no parameter {name!r}, so it must be {legal[0]!r}. Got {value!r}."


# --- to scikit-learn --------------------------------------------------------------------------------------------


def to_sklearn(estimator: Any) -> Any:
    """Convert a fitted network to scikit-learn's estimator.

    It predicts the same, up to rounding. `partial_fit` and a warm start continue from it, with the same updates if the
    solver is sgd or adam. Arrays are copied.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A fitted network. Omit it when you call this as a method.

    Returns
    -------
    estimator : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        Parameters that scikit-learn does not support have its defaults if predictions do not depend on them. A
        regressor's `loss` becomes scikit-learn's loss for the same output activation. Batch normalization is folded
        into the weights. With a single class, `predict_proba` has two columns, as always in scikit-learn.

    Raises
    ------
    ValueError
        If no network of scikit-learn predicts the same. The message names the parameter and its legal values.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sknn_iitb import MLPRegressor
    >>> X, y = map(scale, load_diabetes(return_X_y=True))
    >>> net = MLPRegressor(loss="huber", solver="rmsprop", early_stopping=True)
    >>> net = net.set_params(random_state=0).fit(X, y)
    >>> theirs = to_sklearn(net)
    >>> theirs
    MLPRegressor(early_stopping=True, random_state=0)
    >>> bool(abs(theirs.predict(X) - net.predict(X)).max() < 1e-12)
    True
    """
    check_is_fitted(estimator)
    hidden, output, outputs = estimator._network.activations[:-1], estimator.out_activation_, _outputs(estimator)
    settled = {"learning_rate_init": estimator._initial_learning_rate(is_fitted=True)}
    parameters, refused = translated(estimator, **settled, **({"activation": hidden} if hidden else {}))
    reasons = [refused["activation"]] if hidden and "activation" in refused else []
    if output not in outputs:
        reasons.append(
            f"The output is {output!r}, from output_activation={estimator.output_activation!r} and "
            f"loss={estimator.loss!r}; for such targets scikit-learn has {' or '.join(map(repr, outputs)) or 'none'}."
        )
    for name, kind in NORMALIZATIONS.items():
        if any(isinstance(layer, kind) and kind.fold is None for layer in estimator._network.layers):
            reasons.append(f"{name}=True is not a linear function for prediction; it must be False.")
    if reasons:
        raise ValueError(f"scikit-learn has no network that predicts like this one. {' '.join(reasons)}")
    theirs = counterpart(type(estimator))(**copy.deepcopy(parameters | outputs[output]))
    _copy_attributes(estimator, theirs)
    theirs.coefs_, theirs.intercepts_ = folded(estimator)
    theirs._best_coefs, theirs._best_intercepts = folded(estimator)
    if is_classifier(theirs):
        labels = np.eye(len(theirs.classes_), dtype=int) if estimator._targets.multilabel else theirs.classes_
        theirs._label_binarizer = sklearn.preprocessing.LabelBinarizer().fit(labels)
    if hasattr(estimator, "_optimizer") and "scales" not in estimator._parameters:
        _hand_over_state(estimator._optimizer.copy(), estimator._network.layout, theirs)
    return theirs


def folded(estimator):
    """Copies of the weights and biases, with linear normalizations folded into them."""
    coefs, intercepts = [], []
    for k, layers in enumerate(estimator._network.blocks):
        block = estimator._parameters.block(k)
        weights, biases = block["coefs"].copy(), block["intercepts"].copy()
        for layer in layers:
            if layer.fold is not None:
                weights, biases = layer.fold(block)
        coefs.append(weights)
        intercepts.append(biases)
    return coefs, intercepts


def _outputs(estimator):
    """The output activations with which scikit-learn predicts the same, and the parameters that select them."""
    if not is_classifier(estimator):
        values = np.zeros((1, estimator.n_outputs_))
        alike = estimator._loss.narrow(values) is values  # each output is a prediction
        return {output: {"loss": loss} for output, loss in _LOSS_OF.items()} if alike else {}
    if estimator._targets.output_groups is not None:  # several columns of classes
        return {}
    several = len(estimator.classes_) > 2 and not estimator._targets.multilabel
    return {"softmax" if several else "logistic": {}}


def _hand_over_state(state, layout, theirs):
    theirs._random_state = state.rng
    kind, names, attributes = _OPTIMIZERS.get(state.optimizer, (None, (), ()))
    if kind is None or kind.lower() != f"{theirs.solver}optimizer":
        return  # the next call of partial_fit creates a new one
    kind = getattr(sklearn.neural_network._stochastic_optimizers, kind)
    optimizer = kind([*theirs.coefs_, *theirs.intercepts_], *(getattr(theirs, name) for name in names))
    for attribute, vector in zip(attributes, np.split(state.optimizer_state, len(attributes)), strict=True):
        memory = layout.views(vector)
        setattr(optimizer, attribute, [*memory["coefs"], *memory["intercepts"]])
    optimizer.learning_rate, optimizer.t = state.learning_rate, state.step
    theirs._optimizer = optimizer


# --- from scikit-learn ------------------------------------------------------------------------------------------


def from_sklearn(cls: Any, estimator: Any) -> Any:
    """Convert a fitted network of scikit-learn to an estimator of this package.

    It predicts the same, up to rounding, and has the same parameters and attributes. `partial_fit` and a warm start
    continue from it. scikit-learn does not record learning rates and validation losses, so `learning_rate_curve_` and
    `validation_loss_curve_` are NaN for past epochs.

    Parameters
    ----------
    cls : type
        The class of the result. Omit it when you call this as a class method.
    estimator : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        A fitted network. Arrays are copied.

    Returns
    -------
    estimator : instance of cls

    Raises
    ------
    TypeError
        If the estimator is not scikit-learn's estimator of the same name.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
    >>> from sknn_iitb import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = SklearnMLPClassifier(tol=1e-2, random_state=0).fit(X, y)
    >>> net = from_sklearn(MLPClassifier, theirs)
    >>> bool((net.predict(X) == theirs.predict(X)).all())
    True
    >>> net.partial_fit(X, y).n_iter_
    1
    """
    kind = counterpart(cls)
    if not isinstance(estimator, kind):
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a fitted sklearn.neural_network.{kind.__name__}, "
            f"got an instance of {type(estimator)}."
        )
    check_is_fitted(estimator)
    ours = cls(**copy.deepcopy(estimator.get_params(deep=False)))
    _copy_attributes(estimator, ours)
    units = len(estimator.coefs_[0]), *map(len, estimator.intercepts_)
    hidden, output = ACTIVATIONS.resolve(estimator.activation), ACTIVATIONS.resolve(estimator.out_activation_)
    ours._network = feedforward(units, [hidden] * (len(units) - 2), output)
    ours._parameters = Parameters.initial(ours._network.layout, estimator.coefs_[0].dtype)
    ours._parameters["coefs"].assign(estimator.coefs_)
    ours._parameters["intercepts"].assign(estimator.intercepts_)
    ours._loss = LOSSES.resolve(estimator.loss)
    if is_classifier(estimator):
        ours._targets = ClassTargets(ours.classes_, estimator._label_binarizer.y_type_ == "multilabel-indicator")
    else:
        ours._targets = NumberTargets(estimator.n_outputs_ == 1, ours._loss)
    best_loss, best_score = (getattr(estimator, f"best_{name}_", None) for name in ("loss", "validation_score"))
    ours._scored_by = None
    ours._no_improvement_count = getattr(estimator, "_no_improvement_count", 0)
    ours._to_beat = np.inf if best_loss is None else best_loss, -np.inf if best_score is None else best_score
    if hasattr(estimator, "loss_curve_"):
        ours.learning_rate_curve_ = [np.nan] * len(estimator.loss_curve_)
        scores = estimator.validation_scores_
        ours.validation_loss_curve_ = None if scores is None else [np.nan] * len(scores)
    if hasattr(estimator, "_optimizer"):
        ours._optimizer = _take_over_state(estimator)
    return ours


def _take_over_state(theirs):
    optimizer, dtype = theirs._optimizer, theirs.coefs_[0].dtype
    identity, (_, _, attributes) = next(item for item in _OPTIMIZERS.items() if item[1][0] == type(optimizer).__name__)
    memory = [array.ravel() for attribute in attributes for array in getattr(optimizer, attribute)]
    n_epochs = len(theirs.loss_curve_)
    n_samples = max(1, theirs.t_ // max(1, n_epochs))
    batch_size = min(200 if theirs.batch_size == "auto" else theirs.batch_size, n_samples)
    steps_per_epoch = -(-n_samples // batch_size)
    # adam's own learning rate includes the bias correction
    learning_rate = theirs.learning_rate_init if theirs.solver == "adam" else optimizer.learning_rate
    state = State(
        rng=theirs._random_state,
        optimizer_state=np.concatenate(memory).astype(dtype),  # float64 even for float32 data
        n_steps=planned_steps(theirs.max_iter, steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        learning_rate=float(learning_rate),
        step=getattr(optimizer, "t", n_epochs * steps_per_epoch),
        divisor=float(theirs.learning_rate_init / learning_rate),
        optimizer=identity,
    )
    return state.copy()
