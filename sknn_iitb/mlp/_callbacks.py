"""scikit-learn's callbacks (``sklearn.callback``, since 1.9): a fit as tasks that are reported to them."""

from copy import copy, deepcopy

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:

    class CallbackSupport:
        """Stand-in for a scikit-learn without callbacks."""


__all__ = ["CallbackSupport", "observers_of"]


def observers_of(estimator, X, y, sample_weight):
    """Observers that report the epochs to the estimator's callbacks; empty if it has none.

    Call it in a method wrapped by `_fit_context`, which tears the callbacks down.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return ()
    metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
    return (_Tasks(estimator, {"X": X, "y": y, "metadata": metadata}),)


class _Tasks:
    """A task for the fit, with a subtask for each epoch (each iteration of lbfgs).

    ``expose(estimator, history)`` must be set before the first epoch ends. It gives an estimator the current fitted
    attributes, and is called only if a callback asks for a fitted estimator.
    """

    def __init__(self, estimator, data):
        self._estimator = estimator
        self._arguments = {"estimator": estimator, **data}
        self._epoch = None
        self._fit = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self._fit.call_on_fit_task_begin(**self._arguments)

    def begin(self):
        """Begin an epoch, unless one has already begun."""
        if self._epoch is None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._arguments)

    def end(self, history):
        """End the epoch; return True if a callback asks to stop."""

        def attributes():
            fitted = _detached(self._estimator)
            self.expose(fitted, history)
            return vars(fitted)

        return self._end_epoch(attributes)

    def _end_epoch(self, attributes):
        task, self._epoch = self._epoch, None
        return task.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes)

    def close(self):
        """End the fit."""
        if self._epoch is not None:  # cut short by Ctrl-C, by divergence or within lbfgs
            self._end_epoch(None)
        self._fit.call_on_fit_task_end(
            **self._arguments, reconstruction_attributes=lambda: vars(_detached(self._estimator))
        )


def _detached(estimator):
    """A copy that shares nothing that training changes in place."""
    other = copy(estimator)
    for name, value in vars(estimator).items():
        if name.endswith("_") or name in ("_parameters", "_optimizer"):
            setattr(other, name, deepcopy(value))
    return other
