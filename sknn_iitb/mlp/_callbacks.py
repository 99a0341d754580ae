"""scikit-learn's callbacks (``sklearn.callback``, from 1.9 on): a fit as the tasks that they are told of."""

from copy import copy, deepcopy

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:

    class CallbackSupport:
        """Nothing: this scikit-learn has no callbacks."""


__all__ = ["CallbackSupport", "observers_of"]


def observers_of(estimator, X, y, sample_weight):
    """What training has to tell of its epochs, for the callbacks of the estimator: none if it has none.

    To be called in a method that `_fit_context` wraps, which sees to the callbacks' teardown.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return ()
    metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
    return (_Tasks(estimator, {"X": X, "y": y, "metadata": metadata}),)


class _Tasks:
    """A task for the fit, and in it one for each epoch (each iteration of lbfgs).

    ``expose(estimator, history)`` has to be set before the first epoch ends: it gives an estimator the fitted
    attributes of that moment. It is called only for a callback that asks for a fitted estimator.
    """

    def __init__(self, estimator, data):
        self._estimator = estimator
        self._arguments = {"estimator": estimator, **data}
        self._epoch = None
        self._fit = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self._fit.call_on_fit_task_begin(**self._arguments)

    def begin(self):
        """An epoch begins, unless one has begun already."""
        if self._epoch is None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._arguments)

    def end(self, history):
        """It has ended; True if a callback asks to stop."""

        def attributes():
            fitted = _detached(self._estimator)
            self.expose(fitted, history)
            return vars(fitted)

        return self._end_epoch(attributes)

    def _end_epoch(self, attributes):
        task, self._epoch = self._epoch, None
        return task.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes)

    def close(self):
        """The estimator is fitted."""
        if self._epoch is not None:  # broken off: by Ctrl-C, by divergence or within lbfgs
            self._end_epoch(None)
        self._fit.call_on_fit_task_end(
            **self._arguments, reconstruction_attributes=lambda: vars(_detached(self._estimator))
        )


def _detached(estimator):
    """A copy that shares nothing which training changes in place."""
    other = copy(estimator)
    for name, value in vars(estimator).items():
        if name.endswith("_") or name in ("_parameters", "_optimizer"):
            setattr(other, name, deepcopy(value))
    return other
