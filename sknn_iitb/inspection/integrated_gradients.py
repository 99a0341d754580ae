"""Integrated gradients: how much each column contributes to the prediction for each row."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils import Bunch, gen_batches
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._typing import MatrixLike
from sknn_iitb.inspection import _secants
from sknn_iitb.inspection._estimators import check_count, column_names, steps_and_net
from sknn_iitb.inspection._units import member_layers
from sknn_iitb.mlp._sklearn import folded

__all__ = ["attributions"]

# numbers in the largest temporary array
_NUMBERS_AT_A_TIME = 1 << 19
# numbers of a result, of which there are more only by mistake
_MOST_NUMBERS = 1 << 27


def attributions(
    estimator: Any, X: MatrixLike, baseline: ArrayLike | None = None, *, n_steps: int = 16, as_shap: bool = False
) -> Any:
    """Attribute the prediction for each row to the columns, by integrated gradients.

    The attribution of column j is ``(x_j - b_j)`` times the mean of ``df/dx_j`` on the straight line from the baseline
    b to the row x [1]_. The attributions of a row sum to ``f(x) - f(b)``. On each of the `n_steps` parts of the line,
    secants of the activations take the place of their slopes, as in the rescale rule of DeepLIFT [2]_, so the sum is
    exact to rounding for any number of steps. They are computed in float64.

    Parameters
    ----------
    estimator : TabularMLPClassifier, TabularMLPRegressor, MLPClassifier, MLPRegressor or Pipeline that ends with one
        Fitted estimator. f is `predict` of a regressor and `predict_proba` of a classifier: the probability of the
        second class if there are two, and those of all classes or labels otherwise. Without probabilities, f is the
        scores. The columns of a pipeline are those that its last step receives.
    X : DataFrame, pyarrow Table, array-like or sparse matrix of shape (n_samples, n_features)
        Rows to explain, as the estimator receives them.
    baseline : array-like of shape (n_features,), or as X, default=None
        The row to compare with. The baseline of several rows is their mean, after encoding for a tabular estimator.
        None uses X.
    n_steps : int, default=16
        Number of parts of the line. In tests, 16 parts changed no attribution by more than 0.2 % of the largest,
        compared with 512.
    as_shap : bool, default=False
        Whether to return a ``shap.Explanation``, which the plots of the shap package accept.

    Returns
    -------
    result : Bunch or shap.Explanation
        The Bunch has these attributes.

        attributions : ndarray of shape (n_samples, n_features) or (n_samples, n_features, n_outputs)
            In the unit of f. The second shape is that of more than two classes, and of several labels or targets. A
            categorical column of a table has a single attribution.
        base_value : float or ndarray of shape (n_outputs,)
            ``f(b)``.
        predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            ``f(x)``.
        columns : list of str
            Names of the columns.

    Raises
    ------
    ImportError
        If `as_shap` is True and shap is not installed.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind.
    ValueError
        If X or the baseline cannot be used, X is too wide and has too many rows, or the network predicts several
        quantiles.

    See Also
    --------
    gradient_importance : The importance of each column over all rows.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365.
    .. [2] A. Shrikumar, P. Greenside and A. Kundaje, "Learning Important Features Through Propagating Activation
       Differences", ICML 2017, arXiv:1704.02685.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import attributions
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> net = MLPClassifier(learning_rate="cosine", random_state=0)
    >>> net = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> found = attributions(net, X)
    >>> found.attributions.shape
    (569, 30)
    >>> total = found.base_value + found.attributions.sum(axis=1)
    >>> bool(abs(total - net.predict_proba(X)[:, 1]).max() < 1e-6)
    True
    """
    check_count("n_steps", n_steps, 1)
    if as_shap:
        try:
            import shap
        except ImportError:
            raise ImportError("as_shap=True requires shap; pip install 'sknn-iitb[shap]'.") from None
    check_is_fitted(estimator)
    steps, net = steps_and_net(estimator)

    def matrix(rows):
        return net._matrix(rows if steps is None else steps.transform(rows))

    Z = matrix(X)
    reference = Z if baseline is None else matrix(_as_rows(baseline))
    function = (_of_members if hasattr(net, "members_") else _of_mlp)(net)
    n_numbers = Z.shape[0] * net.n_features_in_ * len(function.outputs)
    if n_numbers > _MOST_NUMBERS:
        raise ValueError(
            f"The attributions of {Z.shape[0]} rows and {net.n_features_in_} columns would be {n_numbers} numbers. "
            "Pass fewer rows."
        )
    with BLASThreads(1):
        starts = [part.mean_inputs(reference) for part in function.parts]
        widest = max(max(len(part.columns), n_steps * len(part.biases)) for part in function.parts)
        size = max(1, _NUMBERS_AT_A_TIME // widest)
        found = [_attribute(function, Z[rows], starts, n_steps) for rows in gen_batches(Z.shape[0], size)]
    contributions, predictions, base = (np.concatenate(each) for each in zip(*found, strict=True))
    base = base[0]
    if function.single:
        contributions, predictions, base = contributions[..., 0], predictions[:, 0], float(base[0])
    names = [str(name) for name in column_names(estimator)]
    if as_shap:
        data = None if issparse(X) or steps is not None else np.asarray(X)
        bases = np.broadcast_to(base, predictions.shape).copy()
        return shap.Explanation(values=contributions, base_values=bases, data=data, feature_names=names)
    return Bunch(attributions=contributions, base_value=base, predictions=predictions, columns=names)


def _as_rows(baseline):
    """A single row becomes a table with one row."""
    if hasattr(baseline, "to_frame") and getattr(baseline, "ndim", 2) == 1:
        return baseline.to_frame().T.infer_objects()
    if isinstance(baseline, (list, tuple, np.ndarray)) and not any(map(np.ndim, baseline)):
        return np.asarray(baseline).reshape(1, -1)
    return baseline


class _Part(NamedTuple):
    """A network of an average.

    `columns` are the columns of the table to which the inputs belong. `computed` returns the inputs, given the encoded
    table; None if they are the same. `weights` and `biases` are those of the first layer, whose sums are linear in the
    inputs. `steps` lead from there to the outputs that are averaged, with a `share`.
    """

    columns: Any
    computed: Any
    weights: Any
    biases: Any
    steps: list[Any]
    share: float = 1.0

    def inputs(self, Z):
        Z = np.asarray(Z.toarray() if issparse(Z) else Z, dtype=np.float64)
        return Z if self.computed is None else self.computed(Z)

    def mean_inputs(self, Z):
        """The mean of the inputs over the rows."""
        if self.computed is None:
            return np.asarray(Z.mean(axis=0, dtype=np.float64)).ravel()
        size = max(1, _NUMBERS_AT_A_TIME // len(self.columns))
        return sum(self.inputs(Z[rows]).sum(axis=0) for rows in gen_batches(Z.shape[0], size)) / Z.shape[0]


class _Function(NamedTuple):
    """An average of networks, and the steps from it to the predictions, of which `outputs` are chosen."""

    n_columns: int
    parts: list[_Part]
    steps: list[Any]
    outputs: Any
    single: bool


def _attribute(function, Z, starts, n_steps):
    """The attributions of some rows, (n_rows, n_columns, n_outputs), and what f is at both ends of their lines."""
    shares = np.linspace(0, 1, n_steps + 1)[:, None, None]
    average, changes, pulls = 0.0, [], []
    for part, start in zip(function.parts, starts, strict=True):
        change = part.inputs(Z) - start
        sums = start @ part.weights + part.biases + shares * (change @ part.weights)
        outputs, pull = _secants.through(part.steps, sums)
        average = average + part.share * outputs
        changes.append(change)
        pulls.append(pull)
    outputs, pull = _secants.through(function.steps, average)
    result = np.zeros((Z.shape[0], function.n_columns, len(function.outputs)))
    for k, output in enumerate(function.outputs):
        m = np.zeros((n_steps, *outputs.shape[1:]))
        m[..., output] = 1 / n_steps
        m = pull(m)
        for part, change, pull_part in zip(function.parts, changes, pulls, strict=True):
            of_sums = pull_part(part.share * m).sum(axis=0)
            np.add.at(result[..., k], (slice(None), part.columns), of_sums @ part.weights.T * change)
    return result, outputs[-1][:, function.outputs], outputs[0][:, function.outputs]


def _of_mlp(net):
    """The function of an MLPClassifier or MLPRegressor."""
    coefs, intercepts = (list(map(np.float64, each)) for each in folded(net))
    steps, activations = [], net._network.activations
    for k, weights in enumerate(coefs):
        is_hidden = k < len(coefs) - 1
        normalization = []
        if net.layer_norm and is_hidden:  # the biases come after it
            scales = np.float64(net._parameters.block(k)["scales"])
            normalization, intercepts[k] = [_secants.layer_norm(scales, intercepts[k])], 0 * intercepts[k]
        if k > 0:
            steps.append(_secants.linear(weights, intercepts[k]))
        steps += normalization
        if is_hidden:
            steps.append(_secants.activate(activations[k]))
    if is_classifier(net):
        found, outputs, single = _probabilities(net, len(intercepts[-1]), hasattr(net, "predict_proba"))
        steps += found
    else:
        steps.append(_secants.activate(activations[-1]))
        chosen = net._loss.narrow(np.eye(len(intercepts[-1])))
        if chosen.ndim > 2:
            raise ValueError("A network of several quantiles has no attributions; choose one quantile.")
        steps.append(_secants.linear(chosen))
        outputs, single = range(chosen.shape[1]), chosen.shape[1] == 1
    n = net.n_features_in_
    part = _Part(np.arange(n), None, coefs[0], intercepts[0], steps)
    return _Function(n, [part], [], np.array(outputs), single)


def _of_members(net):
    """The function of a tabular estimator, on its encoded table."""
    goal, average = net._goals()["members_"], net._averages["members_"]
    origins = net.encoder_.origins_
    shares = np.ones(len(net.members_)) if average.weights is None else np.asarray(average.weights, float)
    parts = []
    for member, share in zip(net.members_, shares / shares.sum(), strict=True):
        (coefs, intercepts), steps = member_layers(member), []
        coefs[-1], intercepts[-1] = coefs[-1] / member.temperature, intercepts[-1] / member.temperature
        for activation, weights, biases in zip(member.network.activations, coefs[1:], intercepts[1:], strict=False):
            steps += [_secants.activate(activation), _secants.linear(weights, biases)]
        if is_classifier(net):
            found, outputs, single = _probabilities(net, len(intercepts[-1]), True)
            steps += found
        parts.append(_Part(origins[member.input_columns], member.inputs, coefs[0], intercepts[0], steps, share))
    if is_classifier(net):
        top = _secants.tempered(average.temperature, goal.least_probability, goal.targets.multilabel)
    else:
        n = len(net._scale)
        top = [_secants.linear(np.diag(net._scale), net._mean), _secants.clip(*net._range)]
        outputs, single = range(n), net._targets.single
    return _Function(net.n_features_in_, parts, list(top), np.array(outputs), single)


def _probabilities(net, n_scores, has_probabilities):
    """The steps from scores to probabilities, which of these are attributed, and whether they lose their axis."""
    targets = net._targets
    if not has_probabilities:
        return [], range(n_scores), n_scores == 1
    output = (net._output() if hasattr(net, "members_") else net._network.output).names[0]
    if targets.output_groups is not None:
        return [_secants.grouped(_secants.softmax, targets.output_groups)], range(n_scores), False
    if len(targets.classes) == 1 and not targets.multilabel:  # its probability is one
        return [_secants.linear(np.zeros((n_scores, 1)), 1.0)], [0], True
    if output == "softmax":
        return ([_secants.softmax], [1], True) if n_scores == 2 else ([_secants.softmax], range(n_scores), False)
    double = [_secants.linear(2 * np.eye(n_scores))] if output == "tanh" else []
    if targets.multilabel or n_scores == 1:
        return [*double, _secants.logistic], range(n_scores), n_scores == 1 and not targets.multilabel
    return [*double, _secants.normalized_logistic], range(n_scores), False
