"""scikit-learn's callbacks (``sklearn.callback``, since 1.9): a fit as tasks that are reported to them."""

from copy import copy, deepcopy

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import with_callbacks
except ImportError:

    def with_callbacks(method):
        """Stand-in for a scikit-learn without callbacks."""
        return method

    class CallbackSupport:
        """Stand-in for a scikit-learn without callbacks, which has checkpoints only."""

        def set_callbacks(self, *callbacks):
            """Set a Checkpoint.

            Parameters
            ----------
            *callbacks : Checkpoint

            Returns
            -------
            self : estimator instance
            """
            if not all(isinstance(each, Checkpoint) for each in callbacks):
                raise TypeError("Callbacks other than Checkpoint require scikit-learn 1.9 or later.")
            self._skl_callbacks = list(callbacks)
            return self


from sknn_iitb.callbacks import Checkpoint

__all__ = ["CallbackSupport", "observers_of", "with_callbacks"]


def observers_of(estimator, X, y, sample_weight, n_steps, step="epoch"):
    """Observers that report the steps of training to the estimator's callbacks; empty if it has none.

    Call it in a method wrapped by `_fit_context` or `with_callbacks`, which tears the callbacks down.
    """
    if all(isinstance(each, Checkpoint) for each in getattr(estimator, "_skl_callbacks", ())):
        return ()
    metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
    return (_Tasks(estimator, {"X": X, "y": y, "metadata": metadata}, n_steps, step),)


class _Tasks:
    """A task for the fit, with a subtask for each step: an epoch, an iteration of lbfgs, or a network of an ensemble.

    ``expose(estimator, history)`` must be set before the first step ends. It gives an estimator the current fitted
    attributes, and is called only if a callback asks for a fitted estimator.
    """

    def __init__(self, estimator, data, n_steps, step):
        self._estimator, self._name = estimator, step
        self._arguments = {"estimator": estimator, **data}
        self._step = None
        self._fit = estimator._init_callback_context(max_subtasks=n_steps)
        self._fit.call_on_fit_task_begin(**self._arguments)

    def begin(self):
        """Begin a step, unless one has already begun."""
        if self._step is None:
            self._step = self._fit.subcontext(task_name=self._name)
            self._step.call_on_fit_task_begin(**self._arguments)

    def end(self, history):
        """End the step; return True if a callback asks to stop."""

        def attributes():
            fitted = _detached(self._estimator)
            self.expose(fitted, history)
            return vars(fitted)

        return self._end_step(attributes)

    def _end_step(self, attributes):
        task, self._step = self._step, None
        return task.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes)

    def close(self):
        """End the fit."""
        if self._step is not None:  # cut short by Ctrl-C, by divergence or within lbfgs
            self._end_step(None)
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
