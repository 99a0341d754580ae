"""The output of `verbose`: a live line in a terminal or notebook, a line for each epoch elsewhere.

The live line is not a bar of tqdm 4.70 or rich 15. In a notebook, both need ipywidgets and warn without it, and where
widgets are not rendered, a saved notebook shows "0/2000" (tqdm) or "Output()" (rich). In 80 columns, tqdm cuts off the
last number, and rich the number of epochs. An epoch costs 0.3 us here, 1.8 us with tqdm and 2.7 us with rich, where
training on 150 x 4 takes 30 us. For a bar, use scikit-learn's callback `ProgressBar`.
"""

import shutil
import sys
from datetime import timedelta
from functools import partial
from time import perf_counter

__all__ = ["reporter"]

_SECONDS_BETWEEN_UPDATES, _SECONDS_BETWEEN_LINES = 0.1, 10.0


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
        held-out samples, if any, ``report.within(history, n_done, objective)`` after some samples of an epoch, or
        ``report.update(n, words)`` after the n-th epoch, where ``words()`` returns a list
        of what to say of it, the least important words last. Call ``report.say(text)`` for a message, and
        ``report.close()`` at the end and before anything else is printed; calling it twice is harmless.

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
    return _LiveLine(n_epochs, stream) if verbose == 1 and _can_rewrite(stream) else _Lines(n_epochs, stream)


def _can_rewrite(stream):
    """Whether "\\r" returns to the start of the line: in a terminal, and in a notebook, which is not a terminal."""
    return getattr(stream, "isatty", bool)() or type(stream).__module__ == "ipykernel.iostream"


class _Silence:
    def epoch(self, history, score=None):
        pass

    def within(self, history, n_done, objective):
        pass

    def update(self, n, words):
        pass

    def say(self, text):
        pass

    def close(self):
        pass


class _Pace:
    """Estimates the time left from the epochs after the first, which includes compilation."""

    def __init__(self, n_epochs):
        self._n_epochs, self._first = n_epochs, None

    def begin(self, n, now):
        """The n-th epoch has ended."""
        if self._first is None:
            self._first = n, now

    def left(self, n, now):
        """Words for the time left, none after the first epoch."""
        n_first, then = self._first
        return [f"{_duration((now - then) / (n - n_first) * (self._n_epochs - n))} left"] if n > n_first else []


def _words_within(history, n_done, objective):
    """Words for how much of an epoch is done."""
    return [f"{n_done:,} of {objective.n_samples:,} samples", *objective.progress()]


class _Lines:
    """A line for each epoch, in scikit-learn's format, and every ten seconds within one."""

    def __init__(self, n_epochs, stream):
        self._pace, self._stream = _Pace(n_epochs), stream
        self._said = perf_counter()

    def epoch(self, history, score=None):
        self.say(f"Iteration {history.n_iter}, loss = {history.loss:.8f}")
        if score is not None:
            self.say(f"Validation score: {score:f}")

    def within(self, history, n_done, objective):
        if n_done < objective.n_samples and perf_counter() - self._said >= _SECONDS_BETWEEN_LINES:
            self.say(f"Iteration {history.n_iter + 1}: {', '.join(_words_within(history, n_done, objective))}")

    def update(self, n, words):
        now = perf_counter()
        self._pace.begin(n, now)
        self.say(", ".join([*words(), *self._pace.left(n, now)]))

    def say(self, text):
        self._said = perf_counter()
        print(text, file=self._stream)

    def close(self):
        pass


class _LiveLine:
    """One line that overwrites itself; messages appear above it, and the final state remains."""

    def __init__(self, n_epochs, stream):
        self._n_epochs = n_epochs
        self._stream = stream
        self._began = self._updated = perf_counter()
        self._pace = _Pace(n_epochs)
        self._words = None  # those of the last epoch, as a function, because few epochs are shown
        self._length = 0

    def epoch(self, history, score=None):
        # the current numbers, because the history keeps changing
        numbers = history.n_iter, history.loss, score, history.learning_rate_curve[-1:]
        self.update(history.n_iter, partial(self._words_of, *numbers))

    def within(self, history, n_done, objective):
        if n_done < objective.n_samples and (now := perf_counter()) - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            epoch = f"Epoch {history.n_iter + 1}/{self._n_epochs}"
            self._write(_as_line([epoch, *_words_within(history, n_done, objective)]))

    def update(self, n, words):
        now = perf_counter()
        self._words = words
        self._pace.begin(n, now)
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._write(self._state(self._pace.left(n, now)))

    def say(self, text):
        self._write(text, "\n")

    def close(self):
        if self._words is not None:
            self._write(self._state([f"in {_duration(perf_counter() - self._began)}"]), "\n")
            self._words = None

    def _words_of(self, n, loss, score, learning_rate):
        words = [f"{'Epoch' if learning_rate else 'Iteration'} {n}/{self._n_epochs}", f"loss {loss:#.4g}"]
        words += [] if score is None else [f"validation {score:#.4g}"]
        return words + [f"lr {value:.4g}" for value in learning_rate]

    def _state(self, time):
        """The last epoch as text."""
        return _as_line(self._words() + time)

    def _write(self, text, end=""):
        # spaces erase the rest of a longer line: not every notebook supports the terminal's escape sequence for it
        self._stream.write(f"\r{text:<{min(self._length, _width())}}{end}")
        self._stream.flush()
        self._length = 0 if end else len(text)


def _as_line(words):
    """Words as text, the least important ones last, as far as they fit on the line."""
    while len(words) > 1 and len(", ".join(words)) > _width():
        words.pop()
    return ", ".join(words)[: _width()]


def _width():
    # some terminals wrap a line that fills the last column
    return shutil.get_terminal_size().columns - 1


def _duration(seconds):
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
