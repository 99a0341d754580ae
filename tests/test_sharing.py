"""Several threads for one batch: the same gradient, whoever computes it, and whatever becomes of the helpers."""

import threading
import time
from unittest.mock import patch

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import examples, network_of, new_state, random_data, run
from scipy import sparse

from sknn_iitb import MLPClassifier, MLPRegressor, _sharing, objective
from sknn_iitb.activations import ReLU, Softmax
from sknn_iitb.losses import LogLoss
from sknn_iitb.objective import Objective
from sknn_iitb.optimizers import Adam

pytestmark = [pytest.mark.nojit, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

NET = naive.Net((7, 6, 5, 3), [ReLU(), ReLU()], Softmax(), LogLoss(), alpha=0.1, l1=0.05)


@pytest.fixture(autouse=True)
def always_share(monkeypatch):
    """Batches of these tests are small."""
    monkeypatch.setattr(objective, "_WORK_TO_SHARE", 0)


def build(X, Y, weight, max_rows, n_threads, dropout=None):
    network = network_of(NET, dropout)
    return Objective(
        *(network, NET.loss, X, Y, weight, NET.alpha, max_rows),
        l1=NET.l1,
        dropout=dropout is not None,
        n_threads=n_threads,
    )


def close(dtype):
    return {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-13}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@examples(30)
@given(
    n_rows=st.integers(1, 40),
    max_rows=st.integers(1, 45),
    n_threads=st.integers(2, 5),
    weighted=st.booleans(),
    dropout=st.sampled_from([None, (0.3, 0.2, 0.4)]),
)
def test_loss_penalty_and_gradient_are_those_of_one_thread(dtype, n_rows, max_rows, n_threads, weighted, dropout):
    theta, X, Y, weight = random_data(NET, dtype, 0, n_rows, weighted)
    one, several = (build(X, Y, weight, max_rows, n, dropout) for n in (1, n_threads))
    for _ in range(2):
        np.testing.assert_allclose(several.evaluate(theta), one.evaluate(theta), **close(dtype))
        np.testing.assert_allclose(several.gradient, one.gradient, **close(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 3, 8, 50])
def test_an_epoch_is_that_of_one_thread_and_the_same_to_the_bit_every_time(dtype, batch_size):
    n_rows = 50
    start, X, Y, weight = random_data(NET, dtype, 1, n_rows, weighted=True)
    order = np.random.default_rng(0).permutation(n_rows)
    rates = np.full(-(-n_rows // batch_size), 0.01)
    ends = []
    for n_threads in (1, 2, 2, 3):
        theta, shared = start.copy(), build(X, Y, weight, batch_size, n_threads, dropout=(0.1, 0.2, 0.2))
        state = new_state(shared, Adam(), seed=3)
        for _ in range(3):
            sums = run(shared, theta, order, rates, batch_size, Adam(), state=state)
            state.step += len(rates)
        ends.append((theta, sums))
    for theta, sums in ends[1:]:
        np.testing.assert_allclose(theta, ends[0][0], **close(dtype))
        np.testing.assert_allclose(sums, ends[0][1], **close(dtype))
    np.testing.assert_array_equal(ends[1][0], ends[2][0])
    assert ends[1][1] == ends[2][1]


def _never(self, *arguments):
    """A helper that does not come."""


def _late(self, *arguments):
    """A helper that comes when the first thread is well under way."""
    time.sleep(0.01)
    self._assist(*arguments)


@pytest.mark.parametrize("helper", [_never, _late])
def test_helpers_that_are_late_or_missing_change_nothing(helper, cancer):
    net = MLPClassifier(hidden_layer_sizes=(30, 30), max_iter=5, random_state=0, n_threads=2)
    weights = net.fit(*cancer).parameters_
    with patch.object(_sharing.Helpers, "_try", helper):
        np.testing.assert_array_equal(net.fit(*cancer).parameters_, weights)


def test_a_part_that_its_helper_has_begun_and_does_not_end_is_computed_by_the_first(cancer):
    net = MLPClassifier(hidden_layer_sizes=(30, 30), max_iter=5, random_state=0, n_threads=2)
    weights = net.fit(*cancer).parameters_
    begun = []

    def begin(self):
        """Claim the next batch's part, as a helper does that then loses its core."""
        begun.append(self._numbers[0, 0] + 1)
        self._numbers[2, 0] = begun[-1]

    start = threading.Thread.start
    helpers = patch.object(_sharing.Helpers, "_try", _never)
    with helpers, patch.object(threading.Thread, "start", lambda self: (begin(self._target.__self__), start(self))):
        np.testing.assert_array_equal(net.fit(*cancer).parameters_, weights)
    assert len(begun) == 5


def raises(z):
    if z > -1e9:
        raise ValueError("raised by the user")
    return z, 1.0


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_what_a_users_function_raises_arrives_and_no_thread_is_left(cancer, cls):
    n_threads = threading.active_count()
    with pytest.raises(ValueError, match="raised by the user"):
        cls(activation=raises, n_threads=2).fit(*cancer)
    assert threading.active_count() == n_threads


@pytest.mark.parametrize("parameters", [{"batch_norm": True}, {"solver": "lbfgs"}, {"early_stopping": True}, {}])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_estimators_learn_the_same(cancer, parameters, form):
    X, y = cancer
    nets = [
        MLPClassifier(hidden_layer_sizes=(8, 8), max_iter=5, random_state=0, n_threads=n, **parameters)
        for n in (1, 2, 3)
    ]
    one, *several = (net.fit(form(X), y) for net in nets)
    for net in several:
        np.testing.assert_allclose(net.parameters_, one.parameters_, rtol=1e-7, atol=1e-9)
        assert net.loss_ == pytest.approx(one.loss_)


def test_small_batches_are_left_to_one_thread(cancer, monkeypatch):
    monkeypatch.undo()
    with patch.object(objective, "Helpers") as helpers:
        MLPClassifier(hidden_layer_sizes=5, max_iter=2, n_threads=2).fit(*cancer)
    assert not helpers.called
