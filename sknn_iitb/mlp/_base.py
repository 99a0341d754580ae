"""Base class of the MLP estimators: fitted attributes, and the use of a fitted network."""

from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_iitb._engine.description import DescriptionMixin, network_entries, training_entries
from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.parameters import Parameters
from sknn_iitb._engine.plain import DamagedError
from sknn_iitb._engine.rows import check_before_conversion, check_csr
from sknn_iitb._engine.samples import TrainingData, ValidationData
from sknn_iitb._engine.saving import SavedStateMixin
from sknn_iitb._engine.source import PartitionReader, Source, checked_epochs
from sknn_iitb._engine.times import refuse_times
from sknn_iitb._jit.blas import BLASThreads
from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.mlp import _sklearn
from sknn_iitb.mlp._callbacks import CallbackSupport
from sknn_iitb.mlp._features import FeaturesMixin
from sknn_iitb.mlp._fitting import FittingMixin
from sknn_iitb.mlp._input_errors import explained
from sknn_iitb.mlp._parameters import ParametersMixin
from sknn_iitb.mlp._reading import Call
from sknn_iitb.mlp._weights import WeightsMixin
from sknn_iitb.optimizers import LBFGS

__all__ = ["WHOLE_NUMBERS", "BaseMLP", "is_first_order"]

# types of X that are converted to the network's a batch at a time
WHOLE_NUMBERS = [np.bool_, *(np.dtype(f"{u}int{bits}").type for u in ("", "u") for bits in (8, 16, 32, 64))]


def is_first_order(estimator: Any) -> bool:
    solver = estimator.solver
    if isinstance(solver, LBFGS) or (isinstance(solver, str) and solver == "lbfgs"):
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


class BaseMLP(
    SavedStateMixin,
    DescriptionMixin,
    ParametersMixin,
    FittingMixin,
    WeightsMixin,
    FeaturesMixin,
    CallbackSupport,
    BaseEstimator,
):
    """Everything that does not depend on whether targets are labels or numbers."""

    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    learning_rate_init_: float
    loss_curve_: list[float]
    learning_rate_curve_: list[float]
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    # functions of a module of their own, as methods
    to_sklearn = _sklearn.to_sklearn
    from_sklearn = classmethod(_sklearn.from_sklearn)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @available_if(is_first_order)
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_batches(
        self,
        source: Source,
        *,
        epochs: int | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume_from: str | PathLike[str] | None = None,
    ) -> Self:
        """Train on samples in partitions, which need not fit in memory together.

        `source` is read once before training, to check it and to find the classes and the number of samples, and then
        once per epoch. A thread reads the next partition during training on the last one, so about three are in memory.
        With a single partition, the result is that of :meth:`fit`.

        Parameters
        ----------
        source : sequence, callable or iterable of tuples
            Partitions ``(X, y)`` or ``(X, y, sample_weight)``, each as for :meth:`fit`: a sequence of them, a function
            without parameters that returns an iterator over them, such as a generator function, or another object that
            can be iterated over repeatedly. ``sknn_iitb.partitions`` has sequences for Parquet files and other
            data. The numbers of rows must be the same in each epoch; the values may vary, as for augmentation.
        epochs : int, default=None
            The maximum number of epochs; None for `max_iter`. If it is set, there is no warning that training has not
            converged.
        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            Validation set, scored after each epoch. With `early_stopping` and no `X_val`, `validation_fraction` of each
            partition is held out and kept in memory.
        y_val : array-like, default=None
            Targets of the validation set.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Sample weights of the validation set, not negative, for its score and loss.
        resume_from : str or path-like, default=None
            File of a :class:`~sknn_iitb.callbacks.Checkpoint`. Training continues from it; the data and the parameters
            must be the same.

        Returns
        -------
        self : estimator instance

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`, and if `source` can be read only once or changes. The estimator is then unchanged.

        Notes
        -----
        With ``shuffle=True``, the rows of a partition are shuffled, and also the partitions if they are a sequence. If
        samples are sorted, by class for example, each partition should have some of all kinds.

        Examples
        --------
        >>> import numpy as np
        >>> from sknn_iitb import MLPRegressor
        >>> def partitions():
        ...     for seed in range(10):
        ...         X = np.random.default_rng(seed).normal(size=(1000, 3))
        ...         yield X, X[:, 0] * X[:, 1]
        >>> net = MLPRegressor(random_state=0).fit_batches(partitions, epochs=20)
        >>> bool(net.score(*next(partitions())) > 0.9)
        True
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        data = TrainingData(PartitionReader(source), None, None, validation)
        return self._fit(data, resume_from=resume_from, epochs=checked_epochs(epochs))

    def _saved(self):
        attributes = dict(vars(self))
        if "_parameters" in attributes:
            attributes["_parameters"] = self._parameters.vector  # where the arrays lie in it, the network knows
        if callable(scorer := attributes.get("_scored_by")) and scorer != self.scoring:
            attributes["_scored_by"] = ""  # an earlier scorer, which only has to differ from the next one
        return attributes

    def _restored(self):
        known = vars(self)
        if not known.keys() & {"_parameters", "_network", "_targets", "_loss"}:
            return
        network, vector = self._network, np.asarray(self._parameters)
        self._parameters = Parameters(network.layout, vector)
        if not (
            vector.shape == (network.layout.size,)
            and vector.dtype.kind == "f"
            and (network.units[0], network.units[-1]) == (self.n_features_in_, self.n_outputs_)
            and self._targets.fits(self.n_outputs_)
            and hasattr(self._loss, "loop")
        ):
            raise DamagedError(f"{vector.shape} parameters of type {vector.dtype} do not fit its network")
        if "_optimizer" in known:
            self._optimizer.check(network.layout, self._parameters.vector.dtype)

    def _checked(self, X):
        if self._is_ready(X):
            return X
        check_is_fitted(self)
        return self._validate(X, [self._parameters.vector.dtype, *WHOLE_NUMBERS], reset=False)

    def _validate(self, X, types, reset):
        with naming("X"), explained(self, X):
            check_before_conversion(X)
            refuse_times(X)
            X = validate_data(self, X, dtype=types, order="C", accept_sparse="csr", reset=reset)
            check_csr(X)
        return X

    def _is_ready(self, X):
        """Whether validate_data would return X unchanged; its own checks take longer than predicting one row."""
        if type(X) is not np.ndarray or X.ndim != 2 or X.size == 0 or not X.flags.c_contiguous:
            return False
        known = vars(self)
        if "_parameters" not in known or "feature_names_in_" in known:
            return False
        if X.dtype != known["_parameters"].vector.dtype or X.shape[1] != known.get("n_features_in_"):
            return False
        with np.errstate(over="ignore"):
            return bool(np.isfinite(X.sum()))

    def _outputs(self, X, activate_output, n_hidden=None):
        X = self._checked(X)
        with BLASThreads(1):
            return self._network.predict(X, self._parameters.vector, activate_output, n_hidden)

    def _matrix(self, X):
        """X as floats, dense or sparse."""
        return self._checked(X).astype(self._parameters.vector.dtype)

    def loss_and_gradient(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """Compute the loss that training minimizes and its gradient at the current parameters.

        ``est.parameters_ -= learning_rate * gradient`` is one step of gradient descent.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        loss : float
            The mean loss of the samples plus the penalties. Losses of several outputs are added up, also where
            ``loss_`` reports their mean.
        gradient : ndarray of shape (n_parameters,)
            Its derivative with respect to `parameters_`, in their order.
        """
        check_is_fitted(self)
        samples = self._further_samples(X, y, sample_weight)
        objective = self._objective(samples, len(samples.Y))
        with BLASThreads(1):
            loss, penalty = objective.evaluate(self._parameters.vector)
        return float(loss + penalty), objective.gradient[: self._network.layout.n_trained]

    def _member(self, member):
        """The network and its parameters; a tabular estimator has several."""
        if member != 0:
            raise ValueError(f"member must be 0 for {type(self).__name__}, which has a single network; got {member!r}.")
        check_is_fitted(self)
        return self._network, self._parameters.vector

    def _exact_objective(self, X, y, sample_weight, member):
        """The network, its parameters and the loss that training minimizes on these samples, in float64."""
        network, theta = self._member(member)
        samples = self._further_samples(X, y, sample_weight)
        samples = samples._replace(X=samples.X.astype(np.float64), Y=samples.Y.astype(np.float64))
        return network, theta.astype(np.float64), self._objective(samples, len(samples.Y))

    def _new_run(self, X, y, sample_weight, member):
        """The run that `fit` would begin, and the initial parameters, which the estimator receives."""
        run = self._begin(TrainingData(X, y, sample_weight), Call(False, False, None, int(self.max_iter)))
        return run, self._member(member)[1]

    def _described_networks(self):
        loss, curve = getattr(self, "loss_", None), getattr(self, "loss_curve_", [])
        components, rate = self._resolve_components(), getattr(self, "learning_rate_init_", 0.0)
        training = training_entries(components.optimizer, components.schedule, rate, self.batch_size)
        return [network_entries(self._network, training, self.n_iter_, loss, curve)]

    # --- types ---

    def _float_types(self, reset):
        if not reset:
            return [self._parameters.vector.dtype]
        return [np.float64, np.float32] if self.dtype is None else [np.dtype(self.dtype)]

    def _input_types(self, reset):
        """Dtypes accepted for X; others are converted to the first."""
        return [*self._float_types(reset), *WHOLE_NUMBERS]

    def _network_dtype(self, dtype):
        types = self._float_types(reset=True)
        return np.dtype(dtype if dtype in types else types[0])
