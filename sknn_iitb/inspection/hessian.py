"""The curvature of the loss at the parameters of a fitted network."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.utils import Bunch, check_random_state

from sknn_iitb._typing import MatrixLike, RandomState
from sknn_iitb.inspection._loss_function import LossFunction
from sknn_iitb.optimizers import SGD

__all__ = ["curvature", "largest_stable_rate"]

# up to this number of parameters, the whole Hessian takes no longer than Lanczos iterations
_FEW_PARAMETERS = 300
# Of many equal eigenvalues, such as zeros of inputs that are constant, Lanczos iterations find one after the other. Up
# to this number of parameters, the whole Hessian takes their place after as many products as it needs.
_MODERATELY_MANY = 3000
# eigenvalues of this size relative to the largest are rounding errors of the products
_NEGLIGIBLE = 1e-6
# Lanczos iterations end at this error, relative to the largest eigenvalue, and keep this many vectors.
_TOLERANCE, _N_VECTORS = 1e-6, 40
# a minimum with a larger condition number is a ravine
_RAVINE = 1e3


def curvature(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_eigenvalues: int = 3,
    n_probes: int = 10,
    momentum: float = 0.0,
    member: int = 0,
    random_state: RandomState = 0,
) -> Bunch:
    """Eigenvalues and trace of the Hessian of the loss, and the largest stable learning rate.

    The Hessian is not stored for more than 300 parameters: the eigenvalues at both ends are found by Lanczos
    iterations [1]_ and the trace by Hutchinson's estimator [2]_, which only need its products with vectors. A product
    is a central difference of two gradients, in float64; `product_error` says how exact it is. Only if the iterations
    do not converge, the Hessian of up to 3,000 parameters is stored after all.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator of this package, or a pipeline that ends with one. It is not changed.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples that define the loss, usually those of `fit`, or some thousands of them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    n_eigenvalues : int, default=3
        Number of eigenvalues to compute at each end of the spectrum.
    n_probes : int, default=10
        Number of random vectors for the trace.
    momentum : float in [0, 1), default=0.0
        Momentum of the gradient descent that `max_learning_rate` is for.
    member : int, default=0
        Which network of a tabular estimator.
    random_state : int, RandomState instance or None, default=0
        Determines the random vectors.

    Returns
    -------
    result : Bunch
        - `largest`, ndarray of shape (n_eigenvalues,): the largest eigenvalues, the largest first.
        - `smallest`, ndarray of shape (n_eigenvalues,): the smallest, the smallest first.
        - `n_negative`, int: how many eigenvalues are negative, among all if the Hessian is stored and among those
          computed otherwise, where it is a lower bound.
        - `trace`, float: the sum of all eigenvalues; `trace_error`, its standard error, 0 if the Hessian is stored.
        - `condition`, float: the largest eigenvalue divided by the smallest; inf if that is not positive.
        - `shape`, {'minimum', 'ravine', 'saddle point'}: the loss around the parameters. A saddle point has a negative
          eigenvalue, and a ravine a condition number above 1,000.
        - `max_learning_rate`, float: 2 (1 + momentum) / `largest[0]`. Above it, gradient descent on all samples moves
          away from a minimum [3]_; inf if no eigenvalue is positive.
        - `gradient_norm`, float: length of the gradient, 0 at a minimum or saddle point.
        - `loss`, float: the loss that training minimizes, with its penalties.
        - `product_error`, float: relative difference of a product computed with two different steps.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an estimator of this package.
    ValueError
        If a parameter or the samples are invalid.

    References
    ----------
    .. [1] C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear differential and
       integral operators", Journal of Research of the National Bureau of Standards 45, 1950; as in ARPACK.
    .. [2] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
       splines", Communications in Statistics 19, 1990.
    .. [3] B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational
       Mathematics and Mathematical Physics 4, 1964.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknn_iitb import MLPRegressor
    >>> from sknn_iitb.inspection import curvature
    >>> X, y = load_diabetes(return_X_y=True)
    >>> linear = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", max_iter=1000)
    >>> curvature(linear.fit(X, y), X, y).shape
    'ravine'
    """
    loss = LossFunction.of(estimator, X, y, sample_weight, member)
    n = len(loss.theta)
    for name, value, most in (("n_eigenvalues", n_eigenvalues, n - 1), ("n_probes", n_probes, None)):
        if not isinstance(value, Integral) or value < 1 or (most is not None and value > max(most, 1)):
            up_to = "" if most is None else f" below the number of parameters, {n}"
            raise ValueError(f"{name} must be a positive integer{up_to}, got {value!r}.")
    if not isinstance(momentum, Real) or not 0 <= momentum < 1:
        raise ValueError(f"momentum must be a number in [0, 1), got {momentum!r}.")
    rng = check_random_state(random_state)
    eigenvalues = None if n <= _FEW_PARAMETERS else _both_ends(loss, n_eigenvalues, rng)
    if eigenvalues is None:
        hessian = np.array([loss.hessian_product(unit) for unit in np.eye(n)])
        eigenvalues = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        trace, trace_error = eigenvalues.sum(), 0.0
    else:
        probes = rng.choice([-1.0, 1.0], size=(n_probes, n))
        each = np.array([probe @ loss.hessian_product(probe) for probe in probes])
        trace, trace_error = each.mean(), each.std() / np.sqrt(n_probes)
    largest, smallest = eigenvalues[::-1][:n_eigenvalues], eigenvalues[:n_eigenvalues]
    negligible = _NEGLIGIBLE * abs(eigenvalues).max()
    n_negative = int(np.count_nonzero(eigenvalues < -negligible))
    condition = largest[0] / smallest[0] if smallest[0] > negligible else np.inf
    direction = rng.normal(size=n)
    product, with_other_step = loss.hessian_product(direction), loss.hessian_product(direction, step=1e-6)
    value, gradient = loss.value_and_gradient(loss.theta)
    return Bunch(
        largest=largest,
        smallest=smallest,
        n_negative=n_negative,
        trace=float(trace),
        trace_error=float(trace_error),
        condition=float(condition),
        shape="saddle point" if n_negative else "ravine" if condition > _RAVINE else "minimum",
        max_learning_rate=float(2 * (1 + momentum) / largest[0]) if largest[0] > negligible else np.inf,
        gradient_norm=float(np.linalg.norm(gradient)),
        loss=value,
        product_error=float(np.linalg.norm(with_other_step - product) / max(np.linalg.norm(product), 1e-300)),
    )


def largest_stable_rate(loss: LossFunction, optimizer: SGD) -> float:
    """The largest learning rate at which gradient descent on this loss is stable, by the curvature where it is.

    It is ``2 (1 + m) / lambda_max`` with a momentum m, divided by ``1 + 2 m`` if it is Nesterov's, and inf where the
    loss is not convex in any direction.
    """
    n, m = len(loss.theta), optimizer.momentum
    if n <= _N_VECTORS:
        hessian = np.array([loss.hessian_product(unit) for unit in np.eye(n)])
        largest = np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]
    else:
        operator = LinearOperator((n, n), matvec=loss.hessian_product, dtype=np.float64)
        start = check_random_state(0).normal(size=n)
        (largest,) = eigsh(operator, 1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)
    limit = 2 * (1 + m) / (1 + 2 * m if optimizer.nesterovs_momentum else 1)
    return float(limit / largest) if largest > 0 else np.inf


def _both_ends(loss, n_eigenvalues, rng):
    """The smallest and the largest eigenvalues of the Hessian, in increasing order; None if they take too long."""
    n = len(loss.theta)
    hessian = LinearOperator((n, n), matvec=loss.hessian_product, dtype=np.float64)
    start, n_vectors = rng.normal(size=n), min(n, _N_VECTORS + n_eigenvalues)
    options = {"v0": start, "return_eigenvectors": False, "tol": _TOLERANCE, "ncv": n_vectors}
    if n <= _MODERATELY_MANY:
        options["maxiter"] = max(5, n // _N_VECTORS)  # each has up to n_vectors - n_eigenvalues products
    try:
        largest = eigsh(hessian, n_eigenvalues, which="LA", **options)
        # shifted by the largest, the smallest has the largest absolute value, which Lanczos iterations find first
        shift = abs(largest).max()
        shifted = LinearOperator((n, n), matvec=lambda v: loss.hessian_product(v) - shift * v.ravel(), dtype=np.float64)
        smallest = eigsh(shifted, n_eigenvalues, which="SA", **options) + shift
    except ArpackNoConvergence:
        if n > _MODERATELY_MANY:
            raise
        return None
    return np.sort(np.concatenate([smallest, largest]))
