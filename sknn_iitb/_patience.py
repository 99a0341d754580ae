"""Word of a long compilation: without it, the first fit seems to hang."""

import threading
from contextlib import contextmanager
from time import perf_counter

__all__ = ["announced", "clock"]

_PATIENCE = 1.0  # seconds


class _Clock(threading.local):
    """Each thread's own: adds up what its compilations take, and says so as soon as they have taken too much."""

    say = None
    left = _PATIENCE
    timer = None

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


clock = _Clock()


@contextmanager
def announced(say):
    """Within the block, call ``say(text)`` once if this thread's compilations take over a second; None for silence."""
    before = clock.say, clock.left
    clock.say, clock.left = say, _PATIENCE
    try:
        yield
    finally:
        clock.say, clock.left = before
