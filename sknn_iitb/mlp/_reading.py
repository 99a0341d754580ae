"""Reading: validate and encode the user's data."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.samples import Samples, TrainingData, checked_weight

__all__ = ["Call", "ReadingMixin", "Task"]


class Call(NamedTuple):
    """How training was called: whether it continues a fitted network, whether by ``partial_fit``, and `classes`."""

    continues: bool
    incremental: bool
    classes: Any


class Task(NamedTuple):
    """What a network learns."""

    targets: Any
    loss: Any
    output: Any
    dtype: Any


class ReadingMixin:
    """Reading: validate and encode the data.

    A subclass has ``_validate(X, types, reset)``, ``_checked_targets(y)`` and ``_find_targets(y, loss, call)``.
    """

    def _read(self, data, call, components):
        """Validate and encode the data, and choose the components that depend on it."""
        if call.continues and self.dtype is not None and np.dtype(self.dtype) != self._parameters.vector.dtype:
            raise ValueError(
                f"dtype={self.dtype!r} cannot be set on a network that continues from weights in "
                f"{self._parameters.vector.dtype}; call fit with warm_start=False."
            )
        X, y = self._validate_all(data.X, data.y, reset=not call.continues)
        with naming("y", "classes"):
            targets = self._find_targets(y, components.loss, call)
        components = self._choose_output(components, targets)
        dtype = self._parameters.vector.dtype if call.continues else self._network_dtype(X)
        task = Task(targets, components.loss, components.output, dtype)
        return components, task, self._samples(data._replace(X=X, y=y), task, call)

    def _samples(self, data, task, call=None):
        """The samples with nonzero weight, as a network learns from them; without `call`, for evaluation."""
        X, y, sample_weight, (*_, groups) = data
        if sample_weight is not None:
            sample_weight = checked_weight(sample_weight, X)
        with naming("y"):
            task.loss.check_target(y)
            Y = task.targets.encode(y, task.output.names[0], task.dtype)
        weight = self._weigh(task.targets, y, sample_weight, call)
        if weight is not None and not weight.max() < np.finfo(np.float64).max / len(weight):
            raise ValueError("sample_weight, times class_weight, is too large: the sum of the weights overflows.")
        if groups is not None and len(groups) != len(Y):
            raise ValueError(f"groups has {len(groups)} entries, X has {len(Y)} samples.")
        samples = Samples(X, Y, y, weight, None if groups is None else np.asarray(groups))
        if weight is None or weight.all():
            return samples
        if not weight.any():
            of_samples = sample_weight is not None and not sample_weight.any()
            what = "sample_weight" if of_samples else f"class_weight={self.class_weight!r}, times sample_weight,"
            raise ValueError(f"{what} is zero for every sample.")
        return samples.take(weight > 0)

    def _further_samples(self, X, y, sample_weight):
        """Samples for the fitted network."""
        X, y = self._validate_all(X, y, reset=False)
        task = Task(self._targets, self._loss, self._network.output, self._parameters.vector.dtype)
        samples = self._samples(TrainingData(X, y, sample_weight), task)
        if samples.Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {samples.Y.shape[1]} outputs, the network has {self.n_outputs_}.")
        return samples

    def _validate_all(self, X, y, reset):
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X = self._validate(X, self._input_types(reset), reset)
        with naming("y"):
            y = self._checked_targets(y)
        with naming("X and y"):
            check_consistent_length(X, y)
        return X, y

    def _weigh(self, targets, y, sample_weight, call):
        """The weights of the samples in the loss."""
        return sample_weight

    def _soften(self, targets, Y, loss, output):
        """The targets for training."""
        return Y
