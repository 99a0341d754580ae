"""Long compilations: announced, because the first fit would seem to hang, and protected from interrupts.

A bar of tqdm could not announce them: its `delay` takes effect at the next update, after the compilation.
"""

import contextvars
import sys
import threading
from concurrent.futures import Future, wait
from contextlib import contextmanager
from time import perf_counter

__all__ = ["announced", "clock", "uninterrupted"]

_PATIENCE = 1.0  # seconds


class _Clock:
    """Adds up the time spent compiling, and announces it as soon as it is too long."""

    def __init__(self, say=None):
        self.say, self.left, self.timer = say, _PATIENCE, None

    def start(self, text):
        """Begin a compilation, which `text` announces."""
        if self.say and self.left > 0:
            self.began = perf_counter()
            self.timer = threading.Timer(self.left, self.say, [text])
            self.timer.daemon = True
            self.timer.start()

    def stop(self):
        """End the compilation, if there is one."""
        if self.timer:
            self.timer.cancel()
            self.timer.join()  # its message must not mix with later output
            self.timer, self.left = None, self.left - (perf_counter() - self.began)


_current = contextvars.ContextVar("clock")
_silent = _Clock()


def clock():
    """The clock of this context."""
    return _current.get(_silent)


def _say(text):
    print(text, file=sys.stderr)


@contextmanager
def announced(say=_say):
    """Call ``say(text)`` once if compilations within the block take over a second; None for silence.

    By default, print to the standard error, which leaves the standard output to `verbose` and the user.

    It applies to this thread's context, not to threads started within the block.
    """
    token = _current.set(_Clock(say))
    try:
        yield
    finally:
        _current.reset(token)


def uninterrupted(function, *arguments):
    """Call a function; an interrupt ends the wait for it, not the function.

    An interrupted compilation can leave Numba's registries in a state where every later one fails or the process
    crashes. Interrupts only reach the main thread, so another thread compiles.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    done = Future()

    def call():
        try:
            done.set_result(function(*arguments))
        except BaseException as error:
            done.set_exception(error)

    # not a daemon: the interpreter waits for it at exit
    threading.Thread(target=contextvars.copy_context().run, args=(call,)).start()
    while wait([done], 0.1).not_done:  # without a timeout Windows would not see an interrupt
        pass
    return done.result()
