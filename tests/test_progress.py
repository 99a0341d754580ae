"""The output of `verbose`: scikit-learn's lines, or a live line in a terminal or notebook."""

import io
import sys
import warnings
from contextlib import closing

import numpy as np
import pytest
import sklearn.neural_network
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine import progress
from sknn_iitb._engine.progress import reporter
from sknn_iitb._engine.run import History

ignores_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class OutStream(io.StringIO):
    """Stand-in for the stream of a notebook, which is not a terminal."""


OutStream.__module__ = "ipykernel.iostream"

LIVE = [Terminal, OutStream]


def screen(written):
    """The visible lines: "\\r" returns to the start of the line, and later text overwrites it."""
    lines = []
    for line in written.split("\n"):
        cells = []
        for text in line.split("\r"):
            cells[: len(text)] = text
        lines.append("".join(cells).rstrip())
    return lines


@pytest.fixture
def clock(monkeypatch):
    """A fake clock, as a function that advances it by a number of seconds."""
    now = [100.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def _history(n_iter, loss=0.5, rate=0.001):
    return History(n_iter=n_iter, loss=loss, learning_rate_curve=[rate] * n_iter)


def _net(cls, **parameters):
    return cls(hidden_layer_sizes=3, random_state=0, **parameters)


def _printed(monkeypatch, stream, fit):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        fit()
    return stream.getvalue()


# --- lines ------------------------------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("verbose", [True, 1, 2, 10])
@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"tol": 1.0, "n_iter_no_change": 1}])
def test_output_to_a_file_matches_scikit_learn(cancer, capsys, name, verbose, parameters):
    printed = []
    for module in (sklearn.neural_network, sys.modules["sknn_iitb"]):
        _net(getattr(module, name), max_iter=4, verbose=verbose, **parameters).fit(*cancer)
        printed.append(capsys.readouterr().out)
    assert printed[1].startswith("Iteration 1, loss = ")
    assert printed[1] == printed[0]


@ignores_convergence
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("stream", [io.StringIO, *LIVE])
@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"solver": "lbfgs"}], ids=["adam", "lbfgs"])
def test_verbose_2_prints_a_line_per_epoch_to_any_stream(cancer, monkeypatch, cls, stream, parameters):
    net = _net(cls, max_iter=4, verbose=2, **parameters)
    lines = _printed(monkeypatch, stream(), lambda: net.fit(*cancer)).splitlines()
    starts = ["Iteration", "Validation score"] if net.early_stopping else ["Iteration"]
    assert [line.split(",")[0].split(":")[0] for line in lines] == [
        f"Iteration {epoch + 1}" if start == "Iteration" else start for epoch in range(4) for start in starts
    ]


@ignores_convergence
@pytest.mark.parametrize("stream", [io.StringIO, *LIVE])
@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"solver": "lbfgs"}, {"tol": 10, "max_iter": 50}])
def test_verbose_0_prints_nothing(cancer, monkeypatch, stream, parameters):
    net = _net(MLPClassifier).set_params(**{"max_iter": 3} | parameters)
    assert _printed(monkeypatch, stream(), lambda: net.fit(*cancer)) == ""


@ignores_convergence
@pytest.mark.parametrize("verbose", [1, 2])
def test_fit_works_without_standard_output(cancer, monkeypatch, verbose):
    monkeypatch.setattr(sys, "stdout", None)
    assert _net(MLPClassifier, max_iter=2, verbose=verbose).fit(*cancer).n_iter_ == 2


# --- live line --------------------------------------------------------------------------------------------------


@ignores_convergence
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("stream", LIVE)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_live_line_ends_with_the_last_epoch(cancer, monkeypatch, cls, stream, early_stopping):
    net = _net(cls, max_iter=30, verbose=1, early_stopping=early_stopping, learning_rate="cosine")
    line, after = screen(_printed(monkeypatch, stream(), lambda: net.fit(*cancer)))
    assert after == ""
    words = line.split(", ")
    assert words[0] == f"Epoch {net.n_iter_}/30"
    numbers = {word.rpartition(" ")[0]: float(word.rpartition(" ")[2]) for word in words[1:-1]}
    expected = {"loss": net.loss_, "lr": net.learning_rate_curve_[-1]}
    if early_stopping:
        expected["validation"] = net.validation_scores_[-1]
    assert numbers == pytest.approx(expected, rel=1e-3)
    assert words[-1].startswith("in ")


@pytest.mark.parametrize("stream", LIVE)
def test_10236_lbfgs_updates_the_live_line(cancer, monkeypatch, stream):
    net = _net(MLPClassifier, solver="lbfgs", max_iter=5, verbose=1)
    with pytest.warns(ConvergenceWarning):
        written = _printed(monkeypatch, stream(), lambda: net.fit(*cancer))
    line, after = screen(written)
    assert line.startswith("Iteration 5/5, loss 0.")
    assert "lr" not in line
    assert after == ""


def test_live_line_does_not_change_the_results(cancer, monkeypatch):
    nets = [_net(MLPClassifier, max_iter=300, verbose=verbose, tol=1e-3) for verbose in (0, 1)]
    for net in nets:
        _printed(monkeypatch, Terminal(), lambda net=net: net.fit(*cancer))
    np.testing.assert_array_equal(nets[0].parameters_, nets[1].parameters_)


def test_live_line_is_written_at_most_ten_times_a_second(clock):
    stream = Terminal()
    with closing(reporter(1, 10_000, stream)) as report:
        for epoch in range(10_000):
            clock(0.001)
            report.epoch(_history(1, loss=epoch))
    assert 90 <= stream.getvalue().count("\r") <= 101


def test_every_slow_epoch_is_shown(clock):
    stream = Terminal()
    with closing(reporter(1, 5, stream)) as report:
        for epoch in range(1, 6):
            clock(2.0)
            report.epoch(_history(epoch))
            assert f"\rEpoch {epoch}/5" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "left", "total"), [(2, "12.0 s", "28.0 s"), (30, "0:03:00", "0:04:40"), (3600, "6:00:00", "9:00:10")]
)
def test_remaining_time_ignores_the_duration_of_the_first_epoch(clock, seconds, left, total):
    stream = Terminal()
    with closing(reporter(1, 10, stream)) as report:
        clock(10.0)  # mostly compilation
        report.epoch(_history(1))
        assert "left" not in stream.getvalue()
        for epoch in range(2, 11):
            clock(seconds)
            report.epoch(_history(epoch))
            if epoch == 4:
                assert screen(stream.getvalue())[-1].endswith(f", {left} left")
    assert screen(stream.getvalue())[-2].endswith(f", in {total}")


@pytest.mark.parametrize("columns", [2, 10, 20, 40, 60, 80])
def test_live_line_is_narrower_than_the_terminal(clock, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with closing(reporter(1, 12345, stream)) as report:
        for epoch in range(1, 12345, 1000):
            clock(100.0)
            report.epoch(_history(epoch, loss=1.2345e10 / epoch, rate=1.234567e-5), score=-1.23456e-7)
    writes = stream.getvalue().split("\r")
    assert max(map(len, writes)) - len("\n") < columns
    # the epoch number is dropped last
    assert screen(stream.getvalue())[-2].startswith("Epoch 12001/12345"[: columns - 1])


def test_typical_line_fits_into_80_columns(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    report = reporter(1, 2000, stream)
    for epoch in (998, 999):
        clock(1.0)
        report.epoch(_history(epoch, loss=0.00123456, rate=0.000123456), score=0.98765)
    assert screen(stream.getvalue()) == ["Epoch 999/2000, loss 0.001235, validation 0.9877, lr 0.0001235, 0:16:41 left"]


def test_closing_twice_or_before_the_first_epoch_prints_nothing():
    stream = Terminal()
    report = reporter(1, 5, stream)
    report.close()
    assert stream.getvalue() == ""
    report.epoch(_history(1))
    report.close()
    written = stream.getvalue()
    report.close()
    assert stream.getvalue() == written


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.floats(allow_nan=True, allow_infinity=True), st.none() | st.floats()),
        st.text("abc ", min_size=1, max_size=60).filter(lambda text: text.strip() == text),
    )
)


@settings(deadline=None)
@given(events=_EVENTS)
def test_messages_appear_above_the_live_line_and_older_text_is_erased(events):
    stream, messages, n_epochs = Terminal(), [], 0
    with pytest.MonkeyPatch.context() as patch, closing(reporter(1, len(events), stream)) as report:
        patch.setattr(progress, "_SECONDS_BETWEEN_UPDATES", 0)
        for event in events:
            if isinstance(event, str):
                messages.append(event)
                report.say(event)
            else:
                n_epochs += 1
                loss, score = event
                report.epoch(_history(n_epochs, loss=loss), score)
    *lines, after = screen(stream.getvalue())
    assert after == ""
    if n_epochs:
        last = lines.pop()
        alone = Terminal()
        with closing(reporter(1, len(events), alone)) as report:
            report.epoch(_history(n_epochs, loss=loss), score)
        assert last.rpartition(" in ")[0] == screen(alone.getvalue())[0].rpartition(" in ")[0]
    assert lines == messages


# --- end of a run -----------------------------------------------------------------------------------------------


def _shared_terminal(monkeypatch, fit):
    """The screen of a terminal that shows both standard output and standard error."""
    terminal = Terminal()
    with monkeypatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        patch.setattr(warnings, "showwarning", lambda message, *where: terminal.write(f"{message}\n"))
        warnings.simplefilter("always")
        fit()
    return screen(terminal.getvalue())


def _interrupted(step, n_steps):
    if step.max() >= 2 * 569:  # in the third epoch, with one sample per batch
        raise KeyboardInterrupt
    return np.ones(step.shape)


@pytest.mark.parametrize(
    ("parameters", "starts"),
    [
        ({"max_iter": 3}, ["Epoch 3/3", "Stochastic Optimizer: Maximum"]),
        ({"solver": "lbfgs", "max_iter": 3}, ["Iteration 3/3", "lbfgs failed to converge after 3"]),
        (
            {"solver": "sgd", "learning_rate_init": 1e3, "early_stopping": True, "validation_fraction": 0.2},
            ["Epoch", "Training diverged"],
        ),
        ({"tol": 10, "n_iter_no_change": 2}, ["Training loss did not improve", "Epoch 4/200"]),
        (
            {
                "tol": 10,
                "n_iter_no_change": 1,
                "learning_rate": "adaptive",
                "solver": "sgd",
                "learning_rate_init": 2e-6,
            },
            ["Training loss did not improve more", "Training loss did not improve more", "Epoch 5/200"],
        ),
        ({"batch_size": 1, "learning_rate": _interrupted}, ["Epoch 2/200", "Training interrupted by user."]),
    ],
    ids=["max_iter", "lbfgs", "diverged", "converged", "adaptive", "ctrl-c"],
)
def test_messages_and_warnings_are_on_separate_lines(cancer, monkeypatch, parameters, starts):
    net = _net(MLPClassifier, verbose=1).set_params(**parameters)
    *lines, after = _shared_terminal(monkeypatch, lambda: net.fit(*cancer))
    assert after == ""
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


def test_error_ends_the_live_line(cancer, monkeypatch):
    def fit():
        with pytest.raises(ValueError, match="diverged"):
            net.fit(*cancer)

    net = _net(MLPRegressor, solver="sgd", learning_rate_init=2, verbose=1, max_iter=50)
    written = _printed(monkeypatch, Terminal(), fit)
    line, after = screen(written)
    assert line.startswith("Epoch ")
    assert after == ""
