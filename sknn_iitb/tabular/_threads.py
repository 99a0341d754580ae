"""Work that is shared out among threads."""

import threading
from collections import deque
from contextvars import copy_context

__all__ = ["in_threads"]


def in_threads(function, items, n_threads, stop=None):
    """Call `function` for each item, in this thread and others.

    It is not a ThreadPoolExecutor, which starts no threads after the main thread has ended and waits for all tasks
    after Ctrl-C, nor joblib's Parallel, which looks at its threads every 10 ms and leaves them at work.

    Parameters
    ----------
    function : callable
    items : iterable
    n_threads : int
        At most, with this one.
    stop : callable, optional
        Called without arguments after an error or interrupt, so that the calls that have begun can end early.

    Returns
    -------
    results : list
        In the order of the items.

    Raises
    ------
    BaseException
        The first that a call raises, or an interrupt. No call begins after it, and none is at work any more.
    """
    tasks, failures = deque(enumerate(items)), []
    results = [None] * len(tasks)

    def end():
        tasks.clear()
        if stop is not None:
            stop()

    def work():
        try:
            while tasks:
                try:
                    k, item = tasks.popleft()
                except IndexError:  # another thread was faster
                    return
                results[k] = function(item)
        except BaseException as failure:
            failures.append(failure)
            end()

    threads = []
    try:
        try:
            for _ in range(min(n_threads, len(tasks)) - 1):
                # in this context, in which compilations are announced
                thread = threading.Thread(target=copy_context().run, args=[work], daemon=True)
                threads.append(thread)  # before it starts, because an interrupt may come as soon as it has
                thread.start()
        except RuntimeError:  # the interpreter is about to end
            pass
        work()
        _join(threads)
    except BaseException:  # an interrupt between the calls
        end()
        _join(threads)
        raise
    if failures:
        raise failures[0]
    return results


def _join(threads):
    for thread in threads:
        while thread.is_alive():
            thread.join(0.1)  # without a timeout Windows would not see an interrupt
