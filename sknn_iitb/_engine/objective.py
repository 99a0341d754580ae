"""What is minimised: the penalised loss of a network on given samples, its gradient, and steps against that."""

import threading
from concurrent.futures import Future, wait

import numpy as np

from sknn_iitb._engine import kernels
from sknn_iitb._engine.network import PIECE, Described, aligned
from sknn_iitb._engine.rows import table_of
from sknn_iitb._jit.compilation import compiled
from sknn_iitb._jit.intrinsics import reset_denormals

__all__ = ["Objective"]

# floating-point operations between two looks for Ctrl-C, about 100 ms; an update takes as long as so many for each
# parameter, and all else in a step as long as so many
_WORK_PER_CALL, _WORK_PER_UPDATE, _WORK_BESIDES = 5e9, 60, 2e5
# from where on a call, which is one huge batch then, is made in a thread that Ctrl-C can stop: about 200 ms
_WORK_TO_STOP = 1e10

# in `program`, before the kernel has begun
_UNKNOWN = -1

# the arrays that the gradient's kernel takes after the samples and the parameters
_OF_GRADIENT = (
    *("gradient", "spare", "work", "totals", "layers", "hypers", "loss_hyper", "blocks"),
    *("program", "strengths"),
)


class Objective:
    """The penalised loss of a network on given data, as compiled code, with all the memory that it needs.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : ndarray or CSR matrix of shape (n_samples, n_features), C order
    Y : ndarray of shape (n_samples, n_outputs)
        Its dtype is that of the parameters and of all arithmetic.
    weight : ndarray of shape (n_samples,) or None
        Sample weights, all positive. A batch's loss is sum(w_i l_i) / (rows * mean weight).
    alpha : float
        Strength of the L2 penalty, alpha / (2 * rows * mean weight) times the squared weights.
    max_rows : int
        Rows of the largest batch.
    rows : ndarray of int64 or None
        The samples to train on; None for all.
    l1 : float
        Strength of the L1 penalty, l1 / (rows * mean weight) times the sum of the absolute weights.
    blocks : sequence of int or None
        Where the outputs begin that belong together, and their number in the end; None if all do.
    dropout : bool
        Whether inputs and neurons are left out.
    """

    def __init__(
        self,
        network,
        loss,
        X,
        Y,
        weight,
        alpha,
        max_rows,
        rows=None,
        l1=0.0,
        blocks=None,
        dropout=False,
    ):
        dtype = Y.dtype
        self.network = network
        self.n_samples = len(Y) if rows is None else len(rows)
        self._rows, self._permuted = rows, None
        mean_weight = 1.0 if weight is None else float(np.mean(weight if rows is None else weight[rows]))
        weight = np.ones(len(Y), dtype) if weight is None else (weight / mean_weight).astype(dtype)
        self._divisor = network.units[-1] if loss.mean_over_outputs else 1

        loop, template, on_scores = loss.loop(network.output.names[0])
        self._table = table_of(X, dtype)  # holds the memory that the kernels know by its address
        chain = network.layers(self._table, activate_output=not on_scores, training=True, dropout=dropout)
        described = Described(list(chain), dtype)
        rate = network.dropout[0] if dropout else 0.0
        # the moments of batch normalization are those of a batch, not of a piece
        piece = max_rows if network.batch_norm else min(PIECE, max_rows)
        self._program = program = np.zeros(12, np.int64)
        program[kernels.FORWARD_PASS] = compiled("forward", kernels.forward, dtype).address
        program[kernels.BACKWARD_PASS] = compiled("backward", kernels.backward, dtype).address
        program[kernels.LOSS] = compiled("loss", loop, dtype, template).address
        self._gradient_kernel, program[kernels.GRADIENT] = compiled(
            "gradient", kernels.gradient, dtype, from_python=True
        )
        program[kernels.LOAD] = self._table.loader(rate)
        program[kernels.N_LOADED] = self._table.n_loaded
        program[kernels.N_COEFS] = network.n_coefs
        program[kernels.N_TRAINED] = network.n_trained
        program[kernels.PIECE_ROWS] = piece
        self.gradient = aligned(network.n_parameters, dtype)
        self._totals = np.zeros(4)
        n_work = kernels.work_size(self._table.n_loaded, network.units[-1], described.n_values, described.n_kept, piece)
        has_pieces = max(max_rows, self.n_samples) > piece
        # by the names that the kernels have for them
        self._arrays = {
            "source": self._table.source,
            "Y": Y,
            "weight": weight,
            "gradient": self.gradient,
            "spare": aligned(network.n_parameters * has_pieces, dtype),
            "work": aligned(n_work, dtype),
            "totals": self._totals,
            "layers": described.table,
            "hypers": described.hypers,
            "loss_hyper": loss.hyper_array(dtype),
            "blocks": np.array([0, network.units[-1]] if blocks is None else blocks, np.int64),
            "program": program,
            "strengths": np.array([alpha / mean_weight, l1 / mean_weight, rate, 0.0]),
        }

    def evaluate(self, theta):
        """Compute the gradient on all samples into ``self.gradient``; return the loss and the penalty, as minimised."""
        order = self.order(None)
        source, Y, weight = (self._arrays[name] for name in ("source", "Y", "weight"))
        memory = (self._arrays[name] for name in _OF_GRADIENT)
        self._call(self._gradient_kernel, len(order), (source, Y, weight, order, theta, *memory, 0))
        return self._totals[kernels.BATCH_LOSS], self._totals[kernels.BATCH_PENALTY]

    def train(self, theta, order, rates, batch_size, state, plan):
        """Take ``len(rates)`` steps over the samples `order`; return the loss and the penalty, summed over them."""
        if self._arrays.get("slots") is not state.slots:
            self._prepare(theta.dtype, state, plan)
        arguments = self._frame, theta, order, rates, batch_size, state.step, state.seed
        self._program[kernels.CONTROL] = _UNKNOWN
        try:
            self._call(self._train_kernel, len(order), arguments)
        except BaseException:  # from a user's function
            if (before := self._program[kernels.CONTROL]) != _UNKNOWN:
                reset_denormals(before)
            raise
        if self._program[kernels.STOP]:
            raise KeyboardInterrupt
        return self._totals[kernels.SUM_LOSS], self._totals[kernels.SUM_PENALTY]

    def interrupt(self):
        """End :meth:`train`, which may be running in another thread, with KeyboardInterrupt before its next step."""
        self._program[kernels.STOP] = 1

    def _work(self, n_rows):
        """Floating-point operations of the products for so many rows."""
        return 6 * n_rows * self.network.n_parameters

    def _call(self, kernel, n_rows, arguments):
        """Call compiled code so that Ctrl-C is heard."""
        if self._work(n_rows) < _WORK_TO_STOP:
            kernel(*arguments)
            return
        done = Future()

        def complete(self):
            try:
                done.set_result(kernel(*arguments))
            except BaseException as error:
                done.set_exception(error)

        # after Ctrl-C it ends with its piece of the batch and changes no parameter; `self` keeps its memory until then
        try:  # an interrupt may arrive while the thread starts
            threading.Thread(target=complete, args=(self,), daemon=True).start()
            # not without a timeout, which Windows would wait for to the end
            while wait([done], 0.1).not_done:
                pass
        except KeyboardInterrupt:
            self.interrupt()
            raise
        done.result()

    def _prepare(self, dtype, state, plan):
        """Compile what only training by a first-order optimizer needs, for one run."""
        ranges, factors = zip(*self.network.blocks(plan.optimizer.decays), strict=True)
        adjust = [(compiled("adjustment", a.function, dtype).address, a.afterwards) for a, _ in plan.adjustments]
        self._arrays["program"][kernels.UPDATE] = compiled("optimizer", plan.optimizer.kernel, dtype).address
        self._arrays["strengths"][kernels.AVERAGE] = state.averages
        self._arrays |= {
            "slots": state.slots,
            "update_hyper": plan.optimizer.hyper_array(np.float64),
            "ranges": np.array(ranges, np.int64),
            "factors": np.array(factors, np.float64),
            "matrices": self.network.matrices(),
            "adjustments": np.array(adjust, np.int64).reshape(-1, 2),
            "bounds": np.array([bound for _, bound in plan.adjustments], np.float64),
        }
        self._frame = kernels.frame(self._arrays, dtype)
        self._train_kernel = compiled("train", kernels.train, dtype, from_python=True).function

    def order(self, permutation):
        """The samples to train on, permuted."""
        if permutation is None:
            return np.arange(self.n_samples, dtype=np.int64) if self._rows is None else self._rows
        if self._rows is None:
            return permutation
        if self._permuted is None:
            self._permuted = np.empty_like(self._rows)
        return np.take(self._rows, permutation, out=self._permuted, mode="clip")  # "raise" would buffer

    def reported(self, loss, penalty):
        """The loss as ``loss_`` and ``loss_curve_`` have it: some losses report their mean over the outputs."""
        return float(loss / self._divisor + penalty)

    def batches_per_call(self, batch_size):
        """How many batches take about 100 ms, from their arithmetic alone, so that results do not depend on a clock."""
        step = self._work(batch_size) + _WORK_PER_UPDATE * self.network.n_parameters + _WORK_BESIDES
        return max(1, int(_WORK_PER_CALL / step))
