"""Tabular estimators on partitions: accuracy, the random sample, held-out rows, tables of all kinds, bad sources."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split

from sknn_iitb import TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb._engine.source import PartitionReader
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.partitions import ArrowPartitions
from sknn_iitb.tabular import _partitions
from sknn_iitb.tabular._partitions import TableSurvey

X, y = load_digits(return_X_y=True)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True, as_frame=True)
FAST = TabularMLPClassifier(preset="fast", random_state=0)


def cut(*arrays, size):
    return [tuple(array[k : k + size] for array in arrays) for k in range(0, arrays[0].shape[0], size)]


def mixed(n=600):
    rng = np.random.default_rng(0)
    color, number = rng.choice(["red", "green", "blue"], n), rng.normal(size=n)
    frame = pd.DataFrame({"number": np.where(rng.uniform(size=n) < 0.1, np.nan, number), "color": color})
    return frame, np.where((color == "red") ^ (number > 0), "yes", "no")


@pytest.mark.newest
def test_accuracy_is_that_of_fit():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    whole = TabularMLPClassifier(preset="fast", random_state=0).fit(X_train, y_train)
    parts = TabularMLPClassifier(preset="fast", random_state=0).fit_batches(cut(X_train, y_train, size=400))
    assert parts.score(X_test, y_test) > whole.score(X_test, y_test) - 0.015
    assert set(parts.views_) <= {"smooth", "bins", "wide", "spline", "discrete"}
    assert parts.n_iter_ == whole.n_iter_


@pytest.mark.newest
def test_a_regressor_learns_from_rows_beyond_the_sample(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(20_000, 4))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=len(X))
    X_test, y_test, X, y = X[:2000], y[:2000], X[2000:], y[2000:]
    original = TableSurvey
    monkeypatch.setattr("sknn_iitb.tabular._base.TableSurvey", lambda *args: original(*args, n_rows=300))
    net = TabularMLPRegressor(preset="fast", random_state=0)
    few = TabularMLPRegressor(preset="fast", random_state=0).fit(X[:300], y[:300])
    net.fit_batches(cut(X, y, size=5000), epochs=10)
    assert net.score(X_test, y_test) > max(0.9, few.score(X_test, y_test) + 0.1)


def test_quantiles_weights_and_metric():
    net = TabularMLPRegressor(preset="fast", quantiles=[0.1, 0.9], random_state=0, max_iter=20)
    weight = np.linspace(0, 1, len(Y_NUMBERS))
    net.fit_batches(cut(X_NUMBERS, Y_NUMBERS, weight, size=120))
    low, high = net.predict_quantiles(X_NUMBERS).T
    assert 0.6 < np.mean((low <= Y_NUMBERS) & (high >= Y_NUMBERS)) < 0.95
    assert [*net.feature_names_in_] == [*X_NUMBERS.columns]


@pytest.mark.parametrize("kind", ["frame", "categorical", "arrow", "objects", "parquet", "function"])
def test_tables_with_text_and_gaps(kind, tmp_path):
    frame, labels = mixed()
    source = cut(frame, labels, size=170)
    if kind == "categorical":  # the codes of a category differ from partition to partition
        source = [(part.assign(color=part["color"].astype("category")), labels) for part, labels in source]
        source[0] = (
            source[0][0].assign(color=source[0][0]["color"].cat.reorder_categories(["red", "blue", "green"])),
            source[0][1],
        )
    elif kind == "arrow":
        source = [(pa.Table.from_pandas(part, preserve_index=False), labels) for part, labels in source]
    elif kind == "objects":
        source = [(part.to_numpy(object), labels) for part, labels in source]
    elif kind == "parquet":
        frame.assign(answer=labels).to_parquet(tmp_path / "a.parquet", row_group_size=170)
        source = ArrowPartitions(tmp_path, "answer", n_rows=170)
    net = TabularMLPClassifier(preset="fast", random_state=0)
    net.fit_batches((lambda: iter(source)) if kind == "function" else source)
    table = pa.Table.from_pandas(frame, preserve_index=False) if kind == "arrow" else frame
    assert net.score(frame.to_numpy(object) if kind == "objects" else table, labels) > 0.85
    assert [*net.classes_] == ["no", "yes"]


def test_sparse_tables():
    net = TabularMLPClassifier(preset="fast", random_state=0, max_iter=10)
    net.fit_batches(cut(sparse.csr_matrix(X), y, size=500))
    assert net.score(X, y) > 0.95


def test_a_class_that_most_partitions_lack():
    order = np.argsort(y, kind="stable")
    net = TabularMLPClassifier(preset="fast", random_state=0, class_weight="balanced")
    net.fit_batches(cut(X[order], y[order], size=300))
    assert [*net.classes_] == [*range(10)]
    assert net.score(X, y) > 0.95


def survey(source, n_rows, seed=0):
    return TableSurvey(PartitionReader(source), np.asarray, np.unique, np.random.RandomState(seed), n_rows)


def test_the_sample_is_uniform_and_held_out_rows_are_left_out():
    numbers = np.arange(10_000.0)[:, None]
    source, n_drawn = cut(numbers, np.zeros(10_000), size=1234), np.zeros(10)
    for seed in range(40):
        found = survey(source, 500, seed)
        data = found.data(0.2, _partitions.ValidationData())
        trained, held_out = data.X.ravel(), data.validation.X_val.ravel()
        assert len(trained) + len(held_out) == 500
        assert 60 < len(held_out) < 140
        assert not np.intersect1d(trained, held_out).size
        n_drawn += np.histogram(np.append(trained, held_out), 10, (0, 10_000))[0]
        read = np.concatenate(
            [rows.ravel() for _, rows, *_ in _partitions._Others(found._reader, found._held_out).read()]
        )
        np.testing.assert_array_equal(np.sort(read), np.setdiff1d(numbers, held_out))
    assert abs(n_drawn - 2000).max() < 5 * np.sqrt(2000)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (iter([(X, y)]), ValueError, "can be read only once"),
        (
            [(X, y), (X[:, :5], y)],
            ValueError,
            r"partition 1: X has the shape \(n_rows, 5\), but had the shape \(n_rows, 64\)",
        ),
        ([(X, y), (X, y[:5])], ValueError, "partition 1: Found input variables with inconsistent numbers"),
        (
            [(X, y), (X, y, np.ones(len(y)))],
            ValueError,
            "partition 1: All partitions must have sample weights, or none",
        ),
        ([(X, np.zeros(len(y)))], ValueError, "y contains only one class"),
        ([], ValueError, "source has no samples"),
    ],
)
def test_bad_sources(source, error, message):
    net = TabularMLPClassifier(preset="fast", max_iter=1, random_state=0).fit(X, y)
    before = net.predict_proba(X[:300])
    with pytest.raises(error, match=message):
        net.fit_batches(source)
    np.testing.assert_array_equal(net.predict_proba(X[:300]), before)


def test_what_is_not_supported():
    with pytest.raises(ValueError, match="preset='tuned' is not supported by fit_batches"):
        TabularMLPClassifier(preset="tuned").fit_batches([(X, y)])
    with pytest.raises(ValueError, match="epochs must be an integer"):
        FAST.fit_batches([(X, y)], epochs=0)


def test_a_source_that_changes():
    def shrinking():
        reads.append(None)
        yield X[: 1500 - 100 * len(reads)], y[: 1500 - 100 * len(reads)]

    reads = []
    with pytest.raises(ValueError, match="source has changed: partition 0 has"):
        TabularMLPClassifier(preset="fast", random_state=0).fit_batches(shrinking)


def test_members_that_are_done_are_not_trained_again(tmp_path):
    class Counting(list):
        n_reads, most = 0, np.inf

        def __getitem__(self, k):
            self.n_reads += 1
            if self.n_reads > self.most:
                raise OSError("the disk is gone")
            return super().__getitem__(k)

    file, partitions = tmp_path / "net.checkpoint", Counting(cut(X, y, size=360))
    net = TabularMLPClassifier(preset="fast", n_estimators=2, max_iter=2, random_state=0)
    whole = clone(net).fit_batches(partitions)
    assert partitions.n_reads == 5 * (1 + 2 * 2)  # the survey, and two epochs of two members
    partitions.n_reads, partitions.most = 0, 5 * (1 + 2 + 1)  # fails in the last epoch
    with pytest.raises(OSError, match="the disk is gone"):
        clone(net).set_callbacks(Checkpoint(file, every=1)).fit_batches(partitions)
    partitions.n_reads, partitions.most = 0, np.inf
    resumed = clone(net).fit_batches(partitions, resume_from=file)
    assert partitions.n_reads == 5 * (1 + 2)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))


def test_a_validation_set_is_used_for_all_members():
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)
    net = TabularMLPClassifier(preset="fast", random_state=0, metric="log_loss", max_iter=4)
    net.fit_batches(cut(X_train, y_train, size=400), X_val=X_val, y_val=y_val)
    for member, curve in zip(net.members_, net.validation_curves_, strict=True):
        assert len(curve) == 4
        assert min(curve) == curve[member.n_iter - 1] or member.n_iter <= 4
