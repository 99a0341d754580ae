"""The gradient of a batch by several threads.

A batch is cut into as many parts as there are threads. The thread that trains, here *the first*, computes part 0 and
then adds the others' in their order, so a result depends on the number of threads and not on which was faster. It never
depends on a helper either: a part that its helper has not begun by then, the first computes itself; one that is begun
and does not end in about the time that it should take, because another process has the helper's core, it computes as
well, and what the helper then finds is not looked at.

So they share three numbers, each in a cache line of its own, and nothing has to be locked. A *ticket* counts the
batches; the first shows it when the parameters are as they should be. A helper's part belongs to who sets its *claim*
from the last ticket to this one. And a helper shows the ticket as *done* when its gradient is there. Helpers only ever
write to memory of their own. All of them end with the call.
"""

import threading
from contextlib import contextmanager, suppress

import numpy as np

from sknn_iitb._intrinsics import address, flush_denormals, inlined, restore_denormals, seen, shown, taken, waited
from sknn_iitb._jit import call, compiled
from sknn_iitb._kernels import BATCH_LOSS, BATCH_PENALTY, DESK, N_THREADS, OF_PART

__all__ = ["Helpers", "assist", "shared_gradient"]

# bytes from one shared number to the next: ticket, end, then each helper's claim and done
_LINE = 64
_TICKET, _END, _CLAIM, _DONE = range(0, 4 * _LINE, _LINE)

# how many multiplications of a row by a weight a look at another thread's number stands for; it takes less time
_PER_LOOK = 800

_gradient = call["gradient"]


@inlined
def first_row(n_rows, part, n_parts):
    """Where a part begins; the first is never empty."""
    return (n_rows * part + n_parts - 1) // n_parts


def shared_gradient(
    source,
    Y,
    weight,
    order,
    theta,
    gradient,
    spare,
    work,
    totals,
    layers,
    hypers,
    loss_hyper,
    blocks,
    program,
    strengths,
    key,
):
    """What `_kernels.gradient` computes. Each thread has an equal share of `spare` and `work`, and 4 of `totals`."""
    n_rows, n_threads, desk = order.size, program[N_THREADS], program[DESK]
    share, n_work = spare.size // (2 * n_threads), work.size // n_threads
    ticket = seen(desk + _TICKET) + 1
    shown(desk + _TICKET, ticket)
    loss, scale = 0.0, theta.dtype.type(1)
    for part in range(n_threads):
        begin, end = first_row(n_rows, part, n_threads), first_row(n_rows, part + 1, n_threads)
        of_all = (end - begin) / n_rows
        words = desk + 2 * _LINE * (part - 1)
        is_done = False
        if part > 0 and not taken(words + _CLAIM, ticket - 1, ticket):
            patience = (end - begin) * theta.size // _PER_LOOK
            for look in range(patience):
                is_done = seen(words + _DONE) == ticket
                if is_done:
                    break
                waited(look)
        if begin == end:
            continue
        if is_done:
            into, sums = spare[2 * part * share :][: theta.size], totals[4 * part :]
        else:
            into, sums = gradient if part == 0 else spare[share:][: theta.size], totals[4 * n_threads :]
            _gradient(
                program[OF_PART],
                (
                    source,
                    Y,
                    weight,
                    order[begin:end],
                    theta,
                    into,
                    spare[: theta.size],
                    work[:n_work],
                    sums,
                    layers,
                    hypers,
                    loss_hyper,
                    blocks,
                    program,
                    strengths[4 * min(part, 1) :],
                    key,
                ),
            )
        loss += of_all * sums[BATCH_LOSS]
        if part == 0:
            totals[BATCH_PENALTY] = of_all * sums[BATCH_PENALTY]
            scale = theta.dtype.type(of_all)
        else:
            factor = theta.dtype.type(of_all)
            for i in range(theta.size):
                gradient[i] = scale * gradient[i] + factor * into[i]
            scale = theta.dtype.type(1)
    totals[BATCH_LOSS] = loss


def assist(
    source,
    Y,
    weight,
    order,
    theta,
    gradient,
    spare,
    work,
    totals,
    layers,
    hypers,
    loss_hyper,
    blocks,
    program,
    strengths,
    key,
    batch_size,
    part,
    ticket,
):
    """Compute the gradient of that part of each batch of `order`, the first having the ticket after `ticket`."""
    n_threads, desk = program[N_THREADS], program[DESK]
    share, n_work = spare.size // (2 * n_threads), work.size // n_threads
    words = desk + 2 * _LINE * (part - 1)
    before = flush_denormals()
    first, look = ticket + 1, 0
    while seen(desk + _END) == 0:
        now = seen(desk + _TICKET)
        if now == ticket:
            waited(look)
            look += 1
            continue
        ticket, look = now, 0
        if not taken(words + _CLAIM, ticket - 1, ticket):
            continue
        b = ticket - first
        rows = order[b * batch_size : min((b + 1) * batch_size, order.size)]
        begin, end = first_row(rows.size, part, n_threads), first_row(rows.size, part + 1, n_threads)
        if begin < end:
            _gradient(
                program[OF_PART],
                (
                    source,
                    Y,
                    weight,
                    rows[begin:end],
                    theta,
                    spare[2 * part * share :][: theta.size],
                    spare[(2 * part + 1) * share :][: theta.size],
                    work[part * n_work :][:n_work],
                    totals[4 * part :],
                    layers,
                    hypers,
                    loss_hyper,
                    blocks,
                    program,
                    strengths[4:],
                    key + b,
                ),
            )
        shown(words + _DONE, ticket)
    restore_denormals(before)


class Helpers:
    """The threads beside the first, and what they share.

    Parameters
    ----------
    n_threads : int
        With the first.
    dtype : dtype

    Attributes
    ----------
    desk : int
        Where the shared numbers are.
    """

    def __init__(self, n_threads, dtype):
        self._n_threads = n_threads
        numbers = np.zeros((2 * n_threads + 1) * _LINE // 8, np.int64)
        start = -numbers.ctypes.data % _LINE // 8
        self._numbers = numbers[start:][: 2 * n_threads * _LINE // 8].reshape(-1, _LINE // 8)
        self.desk, *_ = map(address, self._numbers)
        self._assist = compiled("assist", assist, dtype, from_python=True).function

    @contextmanager
    def at_work(self, arguments, batch_size):
        """Let them help, within the block, with the batches that the gradient's `arguments` have in `order`."""
        self._numbers[1, 0] = 0
        ticket = int(self._numbers[0, 0])
        threads = [
            threading.Thread(target=self._try, args=(*arguments, batch_size, part, ticket), daemon=True)
            for part in range(1, self._n_threads)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._numbers[1, 0] = 1
            for thread in threads:
                thread.join()

    def _try(self, *arguments):
        with suppress(Exception):  # of a user's function: the first thread computes that part too, and raises it
            self._assist(*arguments)
