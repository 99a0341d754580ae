"""The objective: the penalized loss of a network on given samples, its gradient, and training steps."""

import threading
from concurrent.futures import Future, wait

import numpy as np

from sknn_iitb._engine import kernels
from sknn_iitb._engine.layers import Mode
from sknn_iitb._engine.network import CHUNK, CompiledNetwork
from sknn_iitb._engine.parameters import aligned
from sknn_iitb._engine.rows import as_rows
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.intrinsics import reset_denormals
from sknn_iitb._jit.records import pack
from sknn_iitb._jit.signatures import Memory, Problem, Update

__all__ = ["Objective", "batches_in"]

# Floating-point operations between two checks for Ctrl-C, about 100 ms. An update counts as this many for each
# parameter, and everything else in a step as this many.
_WORK_PER_CALL, _WORK_PER_UPDATE, _WORK_BESIDES = 5e9, 60, 2e5
# A call that takes longer than about 200 ms, which is one huge batch then, runs in a thread that Ctrl-C can stop.
_WORK_TO_STOP = 1e10

# the processor's mode before the kernel has started
_UNKNOWN = -1


def _products(n_rows, n_parameters):
    """Floating-point operations of the matrix products for `n_rows` rows."""
    return 6 * n_rows * n_parameters


def batches_in(work, batch_size, n_parameters):
    """How many batches take `work` floating-point operations; 5e9 take about 100 ms."""
    step = _products(batch_size, n_parameters) + _WORK_PER_UPDATE * n_parameters + _WORK_BESIDES
    return max(1, int(work / step))


class Objective:
    """The penalized loss of a network on given data, as compiled code with the memory that it needs.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : ndarray or CSR matrix of shape (n_samples, n_features), C order
    Y : ndarray of shape (n_samples, n_outputs)
        Its dtype is that of the parameters and of all arithmetic.
    weight : ndarray of shape (n_samples,) or None
        Sample weights, all positive. A batch's loss is sum(w_i l_i) / (rows * mean weight).
    mean_weight : float or None
        The mean of the weights, None for that of the training samples here.
    alpha : float
        Strength of the L2 penalty, alpha / (2 * rows * mean weight) times the squared weights.
    max_rows : int
        Rows of the largest batch.
    rows : ndarray of int64 or None
        Indices of the training samples; None for all.
    l1 : float
        Strength of the L1 penalty, l1 / (rows * mean weight) times the sum of the absolute weights.
    output_groups : sequence of int or None
        Where each output group begins, and then the number of outputs; None for a single group.
    dropout : bool
        Whether dropout is active.
    gradient : callable
        The kernel that computes the gradient; with ``kernels.given``, :meth:`train` uses what is in ``self.gradient``.
    """

    def __init__(
        self,
        network,
        loss,
        X,
        Y,
        weight=None,
        *,
        max_rows,
        mean_weight=None,
        rows=None,
        alpha=0.0,
        l1=0.0,
        output_groups=None,
        dropout=False,
        gradient=kernels.gradient,
    ):
        dtype = self.dtype = Y.dtype
        self.network = network
        self.n_samples = len(Y) if rows is None else len(rows)
        self._rows, self._permuted = rows, None
        if mean_weight is None:
            mean_weight = 1.0 if weight is None else float(np.mean(weight if rows is None else weight[rows]))
        weight = np.ones(len(Y), dtype) if weight is None else (weight / mean_weight).astype(dtype)
        self._divisor = network.units[-1] if loss.mean_over_outputs else 1

        loop, template, on_scores = loss.loop(network.output.names[0])
        self._inputs = as_rows(X, dtype)  # keeps the memory alive that the kernels access by address
        n_loaded, n_outputs = self._inputs.n_loaded, network.units[-1]
        mode = Mode(self._inputs, activate_output=not on_scores, training=True, dropout=dropout)
        self._compiled = CompiledNetwork(network.chain(mode), dtype)
        rate = network.input_dropout if dropout else 0.0
        chunk_rows = max_rows if network.whole_batch else min(CHUNK, max_rows)
        has_chunks = max(max_rows, self.n_samples) > chunk_rows
        self._gradient_kernel, gradient_address = compiled("gradient", gradient, dtype, from_python=True)
        self._problem = Problem(
            gradient=gradient_address,
            load=self._inputs.loader(rate),
            n_loaded=n_loaded,
            source=self._inputs.source,
            Y=Y,
            weight=weight,
            loss=compiled("loss", loop, dtype, template).address,
            loss_hyper=loss.hyper_array(dtype),
            output_groups=np.array([0, n_outputs] if output_groups is None else output_groups, np.int64),
            l2=alpha / mean_weight,
            l1=l1 / mean_weight,
            n_penalized=network.layout.n_penalized if alpha or l1 else 0,
            input_dropout=rate,
            chunk_rows=chunk_rows,
        )
        self.gradient = aligned(network.layout.size, dtype)
        self._memory = Memory(
            gradient=self.gradient,
            spare=aligned(network.layout.size * has_chunks, dtype),
            work=aligned(kernels.work_size(n_loaded, n_outputs, self._compiled.n_numbers, chunk_rows), dtype),
            **{name: np.zeros(1) for name in ("loss", "penalty", "loss_sum", "penalty_sum")},
            **{name: np.zeros(1, np.int64) for name in ("stop", "denormals")},
        )
        self._packed = pack([self._compiled.net, self._problem, self._memory], dtype)

    def evaluate(self, theta):
        """Compute the gradient on all samples into ``self.gradient``; return the loss and the penalty, as minimized."""
        order = self.order(None)
        self._call(self._gradient_kernel, len(order), (self._packed, theta, order, 0))
        return self._memory.loss[0], self._memory.penalty[0]

    def begin(self, state, config):
        """Compile what a first-order optimizer needs; call it before :meth:`train`."""
        dtype, constraints = self.gradient.dtype, {False: [], True: []}
        size = config.optimizer.n_state_vectors * self.network.layout.n_trained
        if state.optimizer_state.shape != (size,) or state.optimizer_state.dtype != dtype:
            raise ValueError("The state of the optimizer does not fit the network; call fit instead of partial_fit.")
        for constraint, bound in config.constraints:
            address = compiled("constraint", constraint.function, dtype).address
            constraints[constraint.afterwards].append((address, bound))
        (before, bound_before), (after, bound_after) = (
            zip(*pairs, strict=True) if pairs else ((), ()) for pairs in constraints.values()
        )
        groups = list(self.network.layout.groups(config.optimizer.decays))
        bounds, factors = np.array([group[0] for group in groups], np.int64), np.array([group[1] for group in groups])
        self._update = Update(
            optimizer=compiled("optimizer", config.optimizer.kernel, dtype).address,
            optimizer_state=state.optimizer_state,
            hyper=config.optimizer.hyper_array(np.float64),
            group_start=bounds[:, 0].copy(),
            group_stop=bounds[:, 1].copy(),
            learning_rate_factor=factors[:, 0].copy(),
            decay_factor=factors[:, 1].copy(),
            matrices=self.network.layout.matrices(),
            before=np.array(before, np.int64),
            bound_before=np.array(bound_before, np.float64),
            after=np.array(after, np.int64),
            bound_after=np.array(bound_after, np.float64),
            n_trained=self.network.layout.n_trained,
            averages_moments=int(state.averages_moments),
            batch_rows=config.batch_size,
            seed=state.seed,
        )
        self._packed_update = np.vstack([self._packed, pack([self._update], dtype)])
        self._train_kernel = compiled("train", kernels.train, dtype, from_python=True).function

    def train(self, theta, order, learning_rates, step):
        """Take a step for each learning rate over the samples `order`, numbered from `step`.

        Returns
        -------
        loss, penalty : float
            Summed over the samples.
        """
        self._memory.denormals[0] = _UNKNOWN
        try:
            self._call(self._train_kernel, len(order), (self._packed_update, theta, order, learning_rates, step))
        except BaseException:  # raised by a user's function
            if (before := self._memory.denormals[0]) != _UNKNOWN:
                reset_denormals(before)
            raise
        if self._memory.stop[0]:
            raise KeyboardInterrupt
        return self._memory.loss_sum[0], self._memory.penalty_sum[0]

    def interrupt(self):
        """From any thread, make :meth:`train` raise KeyboardInterrupt before its next step."""
        self._memory.stop[0] = 1

    def _work(self, n_rows):
        return _products(n_rows, self.network.layout.size)

    def _call(self, kernel, n_rows, arguments):
        """Call compiled code, keeping Ctrl-C responsive."""
        if self._work(n_rows) < _WORK_TO_STOP:
            kernel(*arguments)
            return
        done = Future()

        def complete(self):
            try:
                done.set_result(kernel(*arguments))
            except BaseException as error:
                done.set_exception(error)

        # After Ctrl-C the thread ends with its chunk of the batch and changes no parameter. It holds `self`, and so its
        # memory, until then.
        try:  # an interrupt may arrive while the thread starts
            threading.Thread(target=complete, args=(self,), daemon=True).start()
            # without a timeout, Windows would not see the interrupt
            while wait([done], 0.1).not_done:
                pass
        except KeyboardInterrupt:
            self.interrupt()
            raise
        done.result()

    def first(self):
        """An objective for a trial, in memory: self."""
        return self

    def parts(self, state, config):
        """Yield the objectives that an epoch is trained on, and their rows in the order of training."""
        yield self, self.order(state.next_order(self.n_samples) if config.shuffle else None)

    def progress(self):
        """Words for how much of an epoch is done."""
        return []

    def order(self, permutation):
        """Row indices of the training samples, permuted."""
        if permutation is None:
            return np.arange(self.n_samples, dtype=np.int64) if self._rows is None else self._rows
        if self._rows is None:
            return permutation
        if self._permuted is None:
            self._permuted = np.empty_like(self._rows)
        return np.take(self._rows, permutation, out=self._permuted, mode="clip")  # "raise" would buffer

    def reported(self, loss, penalty):
        """The loss for ``loss_`` and ``loss_curve_``: some losses report their mean over the outputs."""
        return float(loss / self._divisor + penalty)

    def batches_per_call(self, batch_size):
        """How many batches take about 100 ms: estimated, because results must not depend on a clock."""
        return batches_in(_WORK_PER_CALL, batch_size, self.network.layout.size)
