"""A linear model beside the networks, for tables with few samples or a weak signal."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from sknn_iitb._engine.parameters import Parameters
from sknn_iitb.tabular._members import Member
from sknn_iitb.tabular._network import tabular_network
from sknn_iitb.tabular.views import dense

__all__ = ["linear_member"]

# Strengths of the penalty, as scikit-learn's Ridge has them, or 1 / C of LogisticRegression. When a step of L-BFGS
# changes the loss by a smaller share than the tolerance, the next strength follows.
_STRENGTHS, _TOLERANCE = np.logspace(3, -2, 6), 1e-4
# With more columns, a linear model would take too long; with more entries, it is fitted to some of the rows.
_MOST_COLUMNS, _MOST_CELLS = 1024, 2**21
# weights of the linear model that are tried beside a member; half of less than the last is not worth it
_WEIGHTS, _LEAST = np.linspace(0, 1, 21), 0.2


def _ridge(X, samples, weight, strengths, start):
    """Coefficients and intercepts that minimize ``sum(weight (y - x w - b)**2) + strength w**2``, for each strength."""
    center, mean = (np.average(each, axis=0, weights=weight) for each in (X, samples.Y))
    X, root = X - center, np.sqrt(weight)[:, None]
    values, vectors = np.linalg.eigh((root * X).T @ (root * X))
    projected = vectors.T @ (X.T @ (weight[:, None] * (samples.Y - mean)))
    for strength in strengths:
        coefs = vectors @ (projected / (np.maximum(values, 0) + strength)[:, None])
        yield np.vstack([coefs, mean - center @ coefs])


def _logistic(log_loss):
    """The same for ``sum(weight loss(y, x w + b)) + strength w**2 / 2``, by L-BFGS from one strength to the next.

    Arrays have a column for each sample: sums over the classes are faster.
    """

    def solve(X, samples, weight, strengths, start):
        X = np.vstack([X.T, np.ones(len(X))]).astype(np.float32)
        Y, parameters = np.ascontiguousarray(samples.Y.T), start

        def function(vector, strength):
            parameters = vector.reshape(start.shape)
            losses, slopes = log_loss(parameters.T.astype(np.float32) @ X, Y)
            coefs = np.vstack([parameters[:-1], 0 * parameters[-1:]])
            slope = X @ (weight * slopes).T + strength * coefs
            return weight @ losses + strength / 2 * (coefs**2).sum(), slope.ravel()

        for strength in strengths:
            settings = {"method": "L-BFGS-B", "jac": True, "options": {"ftol": _TOLERANCE}}
            parameters = minimize(function, parameters.ravel(), strength, **settings).x.reshape(start.shape)
            yield parameters

    return solve


def _softmax_log_loss(score, Y):
    score = score - score.max(axis=0)
    e = np.exp(score)
    total = e.sum(axis=0)
    return np.log(total) - (Y * score).sum(axis=0), e / total - Y


def _logistic_log_loss(score, Y):
    return -(Y * score + log_expit(-score)).sum(axis=0), expit(score) - Y


# by the loss and the output of the networks
_SOLVERS = {
    ("squared_error", "identity"): _ridge,
    ("log_loss", "softmax"): _logistic(_softmax_log_loss),
    ("log_loss", "logistic"): _logistic(_logistic_log_loss),
}


def linear_member(members, data, features, goal):
    """Fit a linear model on each split, and find its weight in the average of all members.

    The weight is half of the one that is best for a single member: the average over the members has less variance
    than each of them, but the held-out samples of a split belong to one member only.

    Parameters
    ----------
    members : dict of Member
        By number.
    data : EnsembleData
    features : Features
        What the linear model sees of the columns.
    goal : Goal

    Returns
    -------
    member : Member or None
        The average of the linear models of all splits. None if it does not improve the predictions of held-out samples
        by more than the standard error of the improvement over the splits.
    weight : float
    """
    solve = _SOLVERS.get((goal.loss.names[0], goal.output.names[0]))
    folds = _disjoint(members, data)
    if solve is None or len(folds) < 2 or data.samples.X.shape[1] > _MOST_COLUMNS:
        return None, 0.0
    units = data.samples.X.shape[1], data.samples.Y.shape[1]
    network = tabular_network(units, goal.output, goal.output, features=features)
    strengths, start, models, errors = _STRENGTHS, np.zeros((units[0] + 1, units[1])), [], []
    step = -(-data.samples.X.size // _MOST_CELLS)
    for k in folds:
        samples, held_out = data.samples.take(data.splits[k][0][::step]), data.held_out(k)
        weight = np.ones(len(samples.Y)) if samples.weight is None else samples.weight / samples.weight.mean()
        found = [*solve(dense(features, samples.X).astype(np.float64), samples, weight, strengths, start)]
        scores = [_member(network, each).scores(held_out.X) for each in found]
        best = int(np.argmin([goal.error(score, held_out) for score in scores]))
        strengths, start = strengths[[best]], found[best]
        models.append(found[best])
        both = members[k].scores(held_out.X), scores[best]
        errors.append([goal.error(goal.mean(both, [1 - share, share]), held_out) for share in _WEIGHTS])
    errors = np.array(errors)
    which = int(np.argmin(errors.mean(axis=0)))
    gains = errors[:, 0] - errors[:, which]
    if _WEIGHTS[which] < _LEAST or gains.mean() <= gains.std(ddof=1) / len(gains) ** 0.5:
        return None, 0.0
    member = _member(network, np.mean(models, axis=0))
    return member._replace(error=float(errors[:, -1].mean())), float(_WEIGHTS[which] / 2)


def _member(network, coefs_and_intercepts):
    parameters = Parameters.initial(network.layout, np.float32)
    parameters["coefs"][0][...], parameters["intercepts"][0][...] = np.split(coefs_and_intercepts, [-1])
    return Member(network, parameters.vector, 1.0, np.inf, 0, [], [], {"hidden_layer_sizes": ()})


def _disjoint(members, data):
    """Members with different held-out samples."""
    found, seen = [], np.zeros(len(data.samples.Y), bool)
    for k in members if data.validation_set is None else ():
        held_out = data.splits[k][1]
        if not seen[held_out].any():
            found.append(k)
            seen[held_out] = True
    return found
