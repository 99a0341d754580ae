"""Long compilations: they are announced, as the first fit otherwise seems to hang, and interrupts cannot harm them."""

import contextvars
import threading
from concurrent.futures import Future, wait
from contextlib import contextmanager
from time import perf_counter

__all__ = ["announced", "clock", "uninterrupted"]

_PATIENCE = 1.0  # seconds


class _Clock:
    """Adds up the time of compilations and says so as soon as they have taken too long."""

    def __init__(self, say=None):
        self.say, self.left, self.timer = say, _PATIENCE, None

    def start(self, text):
        """A compilation begins; `text` is what to say of it."""
        if self.say and self.left > 0:
            self.began = perf_counter()
            self.timer = threading.Timer(self.left, self.say, [text])
            self.timer.daemon = True
            self.timer.start()

    def stop(self):
        """It has ended, if there was one."""
        if self.timer:
            self.timer.cancel()
            self.timer.join()  # what it says must not mix with what is printed next
            self.timer, self.left = None, self.left - (perf_counter() - self.began)


_current = contextvars.ContextVar("clock")
_silent = _Clock()


def clock():
    """The clock of this context."""
    return _current.get(_silent)


@contextmanager
def announced(say):
    """Within the block, call ``say(text)`` once if compilations take over a second; None for silence.

    It applies to this thread's context, and not to threads started within the block.
    """
    token = _current.set(_Clock(say))
    try:
        yield
    finally:
        _current.reset(token)


def uninterrupted(function, *arguments):
    """Call a function so that an interrupt ends the wait for it and not the function itself.

    Half a compilation can leave Numba's registries in a state in which every later one fails, and the process may even
    crash. An interrupt only reaches the main thread, so another thread compiles.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    done = Future()

    def call():
        try:
            done.set_result(function(*arguments))
        except BaseException as error:
            done.set_exception(error)

    # no daemon: at the end of the process the interpreter waits for it
    threading.Thread(target=contextvars.copy_context().run, args=(call,)).start()
    while wait([done], 0.1).not_done:  # without a timeout Windows would not see an interrupt
        pass
    return done.result()
