"""The output of `verbose`: a live line in a terminal or notebook, a line for each epoch elsewhere.

The live line is not a bar of tqdm 4.70 or rich 15. In a notebook, both need ipywidgets and warn without it, and where
widgets are not rendered, a saved notebook shows "0/2000" (tqdm) or "Output()" (rich). In 80 columns, tqdm cuts off the
last number, and rich the number of epochs. An epoch costs 0.3 us here, 1.8 us with tqdm and 2.7 us with rich, where
training on 150 x 4 takes 30 us. For a bar, use scikit-learn's callback `ProgressBar`.
"""

import shutil
import sys
from datetime import timedelta
from time import perf_counter

__all__ = ["reporter"]

_SECONDS_BETWEEN_UPDATES = 0.1


def reporter(verbose, n_epochs, stream=None):
    """Choose how a run reports its progress.

    Parameters
    ----------
    verbose : bool or int
        0 prints nothing. 1 updates a single line in a terminal or notebook, and prints a line for each epoch
        elsewhere, such as in a file. 2 or more prints a line for each epoch everywhere.
    n_epochs : int
        The maximum number of epochs.
    stream : file object, default=None
        Where to print; None for ``sys.stdout``.

    Returns
    -------
    report : object
        Call ``report.epoch(history, score=None)`` after each epoch (each iteration of lbfgs), with the score on
        held-out samples, if any, and ``report.say(text)`` for a message. Call ``report.close()`` at the end and before
        anything else is printed; calling it twice is harmless.

    Examples
    --------
    >>> from contextlib import closing
    >>> from sknn_iitb._engine.progress import reporter
    >>> from sknn_iitb._engine.run import History
    >>> with closing(reporter(verbose=2, n_epochs=1)) as report:
    ...     report.epoch(History(n_iter=1, loss=0.5))
    ...     report.say("That is all.")
    Iteration 1, loss = 0.50000000
    That is all.
    """
    stream = sys.stdout if stream is None else stream
    if not verbose:
        return _Silence()
    return _LiveLine(n_epochs, stream) if verbose == 1 and _can_rewrite(stream) else _Lines(stream)


def _can_rewrite(stream):
    """Whether "\\r" returns to the start of the line: in a terminal, and in a notebook, which is not a terminal."""
    return getattr(stream, "isatty", bool)() or type(stream).__module__ == "ipykernel.iostream"


class _Silence:
    def epoch(self, history, score=None):
        pass

    def say(self, text):
        pass

    def close(self):
        pass


class _Lines:
    """A line for each epoch, in scikit-learn's format."""

    def __init__(self, stream):
        self._stream = stream

    def epoch(self, history, score=None):
        self.say(f"Iteration {history.n_iter}, loss = {history.loss:.8f}")
        if score is not None:
            self.say(f"Validation score: {score:f}")

    def say(self, text):
        print(text, file=self._stream)

    def close(self):
        pass


class _LiveLine:
    """One line that overwrites itself; messages appear above it, and the final state remains."""

    def __init__(self, n_epochs, stream):
        self._n_epochs = n_epochs
        self._stream = stream
        self._began = self._updated = perf_counter()
        self._first = None  # the first epoch and when it ended: the time before it includes compilation
        self._last = None
        self._length = 0

    def epoch(self, history, score=None):
        now, n = perf_counter(), history.n_iter
        # the current numbers, because the history keeps changing
        self._last = n, history.loss, score, history.learning_rate_curve[-1:]
        if self._first is None:
            self._first = n, now
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            n_first, then = self._first
            left = (now - then) / (n - n_first) * (self._n_epochs - n) if n > n_first else None
            self._write(self._state(None if left is None else f"{_duration(left)} left"))

    def say(self, text):
        self._write(text, "\n")

    def close(self):
        if self._last is not None:
            self._write(self._state(f"in {_duration(perf_counter() - self._began)}"), "\n")
            self._last = None

    def _state(self, time):
        """The last epoch as text, the least important words last, as far as they fit on the line."""
        n, loss, score, learning_rate = self._last
        words = [f"{'Epoch' if learning_rate else 'Iteration'} {n}/{self._n_epochs}", f"loss {loss:#.4g}"]
        words += [] if score is None else [f"validation {score:#.4g}"]
        words += [f"lr {value:.4g}" for value in learning_rate]
        words += [] if time is None else [time]
        while len(words) > 1 and len(", ".join(words)) > _width():
            words.pop()
        return ", ".join(words)[: _width()]

    def _write(self, text, end=""):
        # spaces erase the rest of a longer line: not every notebook supports the terminal's escape sequence for it
        self._stream.write(f"\r{text:<{min(self._length, _width())}}{end}")
        self._stream.flush()
        self._length = 0 if end else len(text)


def _width():
    # some terminals wrap a line that fills the last column
    return shutil.get_terminal_size().columns - 1


def _duration(seconds):
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
