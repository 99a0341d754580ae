"""Reading: validate and encode the user's data."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples, check_consistent_length

from sknn_iitb._engine.naming import naming
from sknn_iitb._engine.partitions import PartitionedSamples
from sknn_iitb._engine.samples import Samples, TrainingData, checked_weight
from sknn_iitb._engine.source import PartitionReader, ahead, locating
from sknn_iitb.mlp._survey import Survey

__all__ = ["Call", "ReadingMixin", "Task"]


class Call(NamedTuple):
    """How training was called.

    Attributes
    ----------
    continues : bool
        Whether it continues a fitted network.
    incremental : bool
        Whether by ``partial_fit``.
    classes : array-like or None
    n_epochs : int
    ends : bool
        Whether the user has set the number of epochs for this call.
    """

    continues: bool
    incremental: bool
    classes: Any
    n_epochs: int
    ends: bool = False


class Task(NamedTuple):
    """What a network learns."""

    targets: Any
    loss: Any
    output: Any
    dtype: Any


class ReadingMixin:
    """Reading: validate and encode the data.

    A subclass has ``_validate(X, types, reset)``, ``_checked_targets(y)``, ``_find_targets(y, loss, call)`` and
    ``_distinct(y)``.
    """

    def _read(self, data, call, components):
        """Validate and encode the data, and choose the components that depend on it."""
        if call.continues and self.dtype is not None and np.dtype(self.dtype) != self._parameters.vector.dtype:
            raise ValueError(
                f"dtype={self.dtype!r} cannot be set on a network that continues from weights in "
                f"{self._parameters.vector.dtype}; call fit with warm_start=False."
            )
        if isinstance(data.X, PartitionReader):
            return self._read_partitions(data.X, call, components)
        X, y = self._validate_all(data.X, data.y, self._input_types(not call.continues), reset=not call.continues)
        components, task = self._task(X.dtype, y, call, components)
        return components, task, self._samples(data._replace(X=X, y=y), task, call)

    def _read_partitions(self, source, call, components):
        """Read a source once, to check it and to find what must be known before training."""
        types, survey = self._input_types(not call.continues), Survey()
        for number, X, y, sample_weight in ahead(source.read()):
            with locating(number):
                if _num_samples(X) == 0 or not (sample_weight is None or np.any(sample_weight)):
                    check_consistent_length(X, y, sample_weight)
                    survey.skip(_num_samples(X))
                    continue
                X, y = self._validate_all(X, y, types, reset=survey.is_empty and not call.continues)
                weight = None if sample_weight is None else checked_weight(sample_weight, X)
                if components.loss is not None:  # "auto", which takes all labels
                    with naming("y"):
                        components.loss.check_target(y)
                survey.add(X, y, weight, *self._distinct(y))
        y, n, weight = survey.targets()
        components, task = self._task(survey.X.dtype, y, call, components)
        weights = self._weigh(task.targets, y, weight, call)
        if not weights.any():
            raise ValueError(self._all_zero(weight))
        n_samples = int(n[weights > 0].sum())
        Y = task.targets.encode(survey.y, task.output.names[0], task.dtype)
        samples = PartitionedSamples(
            source,
            partial(self._further_samples, may_be_empty=True),
            survey.n_rows,
            n_samples,
            float(weights.sum() / n_samples),
            head=Samples(survey.X, Y, survey.y, None, None),
        )
        return components, task, samples

    def _task(self, dtype, y, call, components):
        """What the network learns, and the components that depend on it."""
        with naming("y", "classes"):
            targets = self._find_targets(y, components.loss, call)
        components = self._choose_output(components, targets)
        dtype = self._parameters.vector.dtype if call.continues else self._network_dtype(dtype)
        return components, Task(targets, components.loss, components.output, dtype)

    def _samples(self, data, task, call=None, may_be_empty=False):
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
        if not weight.any() and not may_be_empty:
            raise ValueError(self._all_zero(sample_weight))
        return samples.take(weight > 0)

    def _all_zero(self, sample_weight):
        """The message that no sample has a weight."""
        of_samples = sample_weight is not None and not sample_weight.any()
        what = "sample_weight" if of_samples else f"class_weight={self.class_weight!r}, times sample_weight,"
        return f"{what} is zero for every sample."

    def _further_samples(self, X, y, sample_weight, may_be_empty=False):
        """Samples for the fitted network."""
        X, y = self._validate_all(X, y, self._input_types(False), reset=False)
        task = Task(self._targets, self._loss, self._network.output, self._parameters.vector.dtype)
        samples = self._samples(TrainingData(X, y, sample_weight), task, may_be_empty=may_be_empty)
        if samples.Y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {samples.Y.shape[1]} outputs, the network has {self.n_outputs_}.")
        return samples

    def _validate_all(self, X, y, types, reset):
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X = self._validate(X, types, reset)
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
