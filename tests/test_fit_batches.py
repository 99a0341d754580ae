"""Training on partitions: the same as fit where it can be, memory, sources, and bad sources."""

import subprocess
import sys
import threading

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import PEAK_MEMORY
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_class_weight

from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.callbacks import Checkpoint
from sknn_iitb.partitions import ArrayPartitions, ArrowPartitions, DaskPartitions

X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X_NUMBERS, Y_NUMBERS = (scale(each) for each in load_diabetes(return_X_y=True))
SEVERAL = np.column_stack([Y_NUMBERS, -(Y_NUMBERS**2)])
LABELS = np.array(["benign", "malignant"])[y]
WEIGHT = np.random.default_rng(0).uniform(size=len(y)) * (np.arange(len(y)) % 7 > 0)

CLASSIFIER = MLPClassifier(learning_rate="cosine", max_iter=6, random_state=0)
REGRESSOR = MLPRegressor(learning_rate="cosine", max_iter=6, random_state=0)


def cut(*arrays, sizes):
    """Partitions of these sizes, repeated as often as needed."""
    partitions, start = [], 0
    while start < arrays[0].shape[0]:
        stop = start + sizes[len(partitions) % len(sizes)]
        partitions.append(tuple(array[start:stop] for array in arrays))
        start = stop
    return partitions


def assert_same(net, other):
    np.testing.assert_array_equal(net.parameters_, other.parameters_)
    np.testing.assert_allclose(net.loss_curve_, other.loss_curve_, rtol=1e-13)  # summed in parts
    assert net.validation_scores_ == other.validation_scores_
    assert (net.n_iter_, net.t_) == (other.n_iter_, other.t_)
    np.testing.assert_array_equal(net._optimizer.optimizer_state, other._optimizer.optimizer_state)


@pytest.mark.parametrize(
    ("net", "data"),
    [
        (CLASSIFIER, (X, LABELS)),
        (CLASSIFIER, (X, y, WEIGHT)),
        (CLASSIFIER, (sparse.csr_matrix(X_DIGITS), Y_DIGITS)),
        (CLASSIFIER, (X, np.column_stack([y, 1 - y]))),
        (CLASSIFIER, (X, np.column_stack([y, y + 2]))),
        (REGRESSOR, (X_NUMBERS.astype(np.float32), Y_NUMBERS)),
        (REGRESSOR, (X_NUMBERS, SEVERAL)),
        (clone(CLASSIFIER).set_params(dropout=0.3, batch_size=50), (X, y, WEIGHT)),
        (clone(CLASSIFIER).set_params(class_weight="balanced"), (X, LABELS, WEIGHT)),
        (clone(CLASSIFIER).set_params(class_weight={"benign": 0}), (X, LABELS)),
        (clone(CLASSIFIER).set_params(early_stopping=True, validation_fraction=0.2), (X, y)),
        (clone(CLASSIFIER).set_params(learning_rate_init="auto", solver="sgd"), (X, y)),
        (clone(CLASSIFIER).set_params(batch_norm=True, batch_size="full"), (X, y)),
    ],
)
def test_a_single_partition_gives_the_weights_of_fit(net, data):
    assert_same(clone(net).fit_batches([data]), clone(net).fit(*data))


def test_empty_partitions_change_nothing(tmp_path):
    """Their order was drawn too, so a fit that was resumed could not tell the order of the rows."""
    partitions = [(X[:0], y[:0]), (X, y), (X[:0], y[:0])]
    whole = clone(CLASSIFIER).fit_batches(partitions)
    assert_same(whole, clone(CLASSIFIER).fit(X, y))

    class Failing(list):
        n_reads = 0

        def __getitem__(self, k):
            Failing.n_reads += 1
            if Failing.n_reads > len(self) + 4:
                raise OSError("the disk is gone")
            return super().__getitem__(k)

    net = clone(CLASSIFIER).set_callbacks(Checkpoint(tmp_path / "file", every=1))
    with pytest.raises(OSError, match="the disk is gone"):
        net.fit_batches(Failing(partitions))
    assert_same(clone(CLASSIFIER).fit_batches(partitions, resume_from=tmp_path / "file"), whole)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 120), min_size=1, max_size=6).filter(any),
    batch_size=st.sampled_from([1, 7, 64, "auto"]),
    params=st.sampled_from(
        [{}, {"class_weight": "balanced"}, {"batch_norm": True, "batch_size": 40}, {"solver": "sgd"}]
    ),
    is_function=st.booleans(),
)
def test_without_shuffling_any_partitions_give_the_weights_of_fit(sizes, batch_size, params, is_function):
    net = clone(CLASSIFIER).set_params(**{"batch_size": batch_size, "shuffle": False, "max_iter": 2, **params})
    partitions = cut(X, LABELS, sizes=sizes)
    net.fit_batches((lambda: iter(partitions)) if is_function else partitions)
    expected = clone(net).fit(X, LABELS)
    if "class_weight" in params:  # the mean weight is summed in another order
        np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=1e-9, atol=1e-12)
    else:
        assert_same(net, expected)


def test_weights_of_samples_without_shuffling():
    net = clone(CLASSIFIER).set_params(shuffle=False)
    in_partitions = clone(net).fit_batches(cut(X, y, WEIGHT, sizes=[90, 31]))
    np.testing.assert_allclose(in_partitions.parameters_, net.fit(X, y, WEIGHT).parameters_, rtol=1e-9, atol=1e-12)


@pytest.mark.newest
def test_accuracy_is_that_of_fit():
    X_train, X_test, y_train, y_test = train_test_split(X_DIGITS, Y_DIGITS, random_state=0, stratify=Y_DIGITS)
    scores = np.array(
        [
            [
                clone(net).fit(X_train, y_train).score(X_test, y_test),
                clone(net).fit_batches(cut(X_train, y_train, sizes=[230, 170])).score(X_test, y_test),
            ]
            for net in (clone(CLASSIFIER).set_params(max_iter=30, random_state=seed) for seed in range(8))
        ]
    )
    difference = scores[:, 1] - scores[:, 0]
    assert scores[:, 1].mean() > 0.9
    assert abs(difference.mean()) < 3 * difference.std() / np.sqrt(len(scores)) + 0.002


def test_rows_and_the_partitions_of_a_sequence_are_shuffled():
    class Recorder(list):
        def __getitem__(self, k):
            read.append(k)
            return super().__getitem__(k)

    read, partitions = [], Recorder(cut(X, y, sizes=[60]))
    net = clone(CLASSIFIER).fit_batches(partitions, epochs=3)
    epochs = np.reshape(read, (4, len(partitions)))
    assert [*epochs[0]] == [*range(10)]  # the first reading
    assert all(sorted(order) == [*range(10)] and [*order] != [*range(10)] for order in epochs[1:])
    assert len({tuple(order) for order in epochs}) == 4
    same_order = clone(CLASSIFIER).fit_batches(lambda: iter(partitions), epochs=3)
    unshuffled = clone(CLASSIFIER).set_params(shuffle=False).fit_batches(partitions, epochs=3)
    assert not np.array_equal(net.parameters_, same_order.parameters_)
    assert not np.array_equal(unshuffled.parameters_, same_order.parameters_)


def test_every_sample_counts_once_per_epoch():
    # a linear net whose samples each move a weight of their own
    n = 83
    net = MLPRegressor(hidden_layer_sizes=(), solver="sgd", momentum=0, learning_rate_init=0.001, alpha=0, batch_size=8)
    net.set_params(init=([np.zeros((n, 1))], [np.zeros(1)]), random_state=0)
    for source in (
        cut(np.eye(n), np.ones(n), sizes=[20, 3, 0, 31]),
        lambda: iter(cut(np.eye(n), np.ones(n), sizes=[5])),
    ):
        moved = clone(net).fit_batches(source, epochs=1).coefs_[0].ravel()
        # all batches have 8 samples, except for the last; the bias has moved a little before
        np.testing.assert_allclose(np.sort(moved)[:-3], 0.001 / 8, rtol=0.02)
        np.testing.assert_allclose(np.sort(moved)[-3:], 0.001 / 3, rtol=0.02)


@pytest.mark.newest
def test_memory_does_not_grow_with_the_number_of_partitions():
    code = """
import numpy as np
from sknn_iitb import MLPRegressor

def partitions(n):
    for seed in range(n):
        X = np.random.default_rng(seed).normal(size=(20_000, 50))
        yield X, X[:, 0]

net = MLPRegressor(hidden_layer_sizes=(4,), batch_size=1000, random_state=0)
net.fit_batches(lambda: partitions(5), epochs=1)
before = peak_memory()
net.fit_batches(lambda: partitions(60), epochs=1)
print((peak_memory() - before) / 1e6)
"""
    grown = subprocess.run([sys.executable, "-c", PEAK_MEMORY + code], check=True, capture_output=True, text=True)
    assert float(grown.stdout) < 60  # MB; the data take 480


def test_partitions_are_read_by_another_thread_ahead_of_training():
    threads, reading = [], threading.Semaphore(0)

    def partitions():
        for partition in cut(X, y, sizes=[100]):
            threads.append(threading.get_ident())
            reading.release()
            yield partition

    clone(CLASSIFIER).fit_batches(partitions, epochs=2)
    assert threading.get_ident() not in threads
    assert len(threads) == 3 * 6


# --- validation, callbacks, checkpoints -------------------------------------------------------------------------


def test_held_out_samples_are_not_trained_on():
    # each sample has a feature of its own, so the weights show which ones have been used
    n = 400
    net = MLPRegressor(hidden_layer_sizes=(), solver="sgd", alpha=0, early_stopping=True, random_state=0)
    net.set_params(init=([np.zeros((n, 1))], [np.zeros(1)]), validation_fraction=0.25)
    net.fit_batches(cut(np.eye(n), np.ones(n), sizes=[30, 7, 1]), epochs=2)
    n_unused = np.sum(net.coefs_[0] == 0)
    assert len(net.validation_scores_) == 2
    assert 80 <= n_unused <= 120
    assert net.t_ == 2 * (n - n_unused)


def test_early_stopping_on_a_validation_set_stops_and_keeps_the_best_epoch():
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)
    net = clone(CLASSIFIER).set_params(early_stopping=True, learning_rate="constant", tol=1e-3, n_iter_no_change=3)
    net.fit_batches(cut(X_train, y_train, sizes=[50]), epochs=300, X_val=X_val, y_val=y_val)
    assert net.n_iter_ < 300
    assert net.score(X_val, y_val) == max(net.validation_scores_)


def test_balanced_class_weights_are_those_of_all_partitions():
    order = np.argsort(y)  # most partitions lack a class
    partitions = cut(X[order], LABELS[order], sizes=[100])
    balanced = clone(CLASSIFIER).set_params(class_weight="balanced").fit_batches(partitions)
    classes = np.unique(LABELS)
    weights = dict(zip(classes, compute_class_weight("balanced", classes=classes, y=LABELS), strict=True))
    explicit = clone(CLASSIFIER).set_params(class_weight=weights).fit_batches(partitions)
    np.testing.assert_allclose(balanced.parameters_, explicit.parameters_, rtol=1e-9)
    assert [*balanced.classes_] == ["benign", "malignant"]


@pytest.mark.parametrize("params", [{}, {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 20}])
def test_training_that_is_resumed_ends_with_the_same_weights(tmp_path, params):
    file, partitions = tmp_path / "net.checkpoint", cut(X, y, sizes=[70, 41])

    class Failing(list):
        n_reads = 0

        def __getitem__(self, k):
            Failing.n_reads += 1
            if Failing.n_reads > 5 * len(self):
                raise OSError("the disk is gone")
            return super().__getitem__(k)

    net = clone(CLASSIFIER).set_params(**params)
    with pytest.raises(OSError, match="the disk is gone"):
        clone(net).set_callbacks(Checkpoint(file, every=1)).fit_batches(Failing(partitions), epochs=8)
    resumed = clone(net).fit_batches(partitions, epochs=8, resume_from=file)
    whole = clone(net).fit_batches(partitions, epochs=8)
    assert whole.n_iter_ == 8
    assert_same(resumed, whole)
    with pytest.raises(ValueError, match="was saved while training on other data"):
        clone(net).fit_batches(cut(X, y, sizes=[70]), resume_from=file)


def test_warm_start_continues():
    net = clone(CLASSIFIER).set_params(warm_start=True)
    partitions = cut(X, y, sizes=[100])
    once = net.fit_batches(partitions, epochs=2).loss_
    assert net.fit_batches(partitions, epochs=2).loss_ < once
    assert len(net.loss_curve_) == 4


def test_progress_tells_samples_and_partitions(capsys, monkeypatch):
    monkeypatch.setattr("sknn_iitb._engine.progress._SECONDS_BETWEEN_LINES", 0.0)
    clone(CLASSIFIER).set_params(verbose=2, shuffle=False).fit_batches(cut(X, y, sizes=[200]), epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Iteration 1: 200 of 569 samples, partition 1 of 3",
        "Iteration 1: 400 of 569 samples, partition 2 of 3",
    ]
    assert lines[2].startswith("Iteration 1, loss")


def test_interrupt_keeps_the_weights_so_far():
    def partitions():
        nonlocal n_passes
        n_passes += 1
        for k, partition in enumerate(cut(X, y, sizes=[100])):
            if n_passes == 4 and k == 3:
                raise KeyboardInterrupt
            yield partition

    n_passes = 0
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net = clone(CLASSIFIER).fit_batches(partitions, epochs=10)
    assert net.n_iter_ == 2
    assert net.score(X, y) > 0.8


# --- sources ----------------------------------------------------------------------------------------------------


def test_slices_of_arrays(tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    source = ArrayPartitions(on_disk, LABELS, WEIGHT, n_rows=100)
    assert len(source) == 6
    assert [len(part[0]) for part in source] == [100] * 5 + [69]
    assert type(source[0][0]) is np.ndarray  # read, not mapped
    np.testing.assert_array_equal(np.concatenate([part[1] for part in source]), LABELS)
    net = clone(CLASSIFIER).set_params(shuffle=False)
    expected = clone(net).fit(X.astype(np.float32), LABELS, WEIGHT)
    np.testing.assert_allclose(net.fit_batches(source).parameters_, expected.parameters_, rtol=1e-4, atol=1e-6)
    assert len(ArrayPartitions(np.empty((2**21, 8)), np.empty(2**21))) == 2
    assert next(iter(ArrayPartitions(X, y)))[0].shape == X.shape


def test_zarr_arrays(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(store=tmp_path / "X.zarr", shape=X.shape, chunks=(64, 30), dtype=X.dtype)
    array[:] = X
    net = clone(CLASSIFIER).set_params(shuffle=False)
    assert_same(clone(net).fit_batches(ArrayPartitions(array, y, n_rows=128)), net.fit(X, y))


def test_parquet_files(tmp_path):
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(30)]).assign(tumor=LABELS, w=WEIGHT)
    frame[:300].to_parquet(tmp_path / "a.parquet", row_group_size=110)
    frame[300:].to_parquet(tmp_path / "b.parquet", row_group_size=110)
    source = ArrowPartitions(tmp_path, "tumor", sample_weight="w", n_rows=150)
    assert [len(part[0]) for part in source] == [220, 190, 159]
    net = clone(CLASSIFIER).set_params(shuffle=False, batch_size=50)
    expected = clone(net).fit(frame.iloc[:, :30], LABELS, WEIGHT)
    net.fit_batches(source)
    np.testing.assert_allclose(net.parameters_, expected.parameters_, rtol=1e-8, atol=1e-11)
    assert [*net.feature_names_in_] == [*frame.columns[:30]]
    net.predict(frame.iloc[:, :30])
    one = ArrowPartitions(ds.dataset(tmp_path), ["x0", "x1"], features=["x2", "x3"])
    assert (one[0][0].shape, one[0][1].shape) == ((569, 2), (569, 2))
    with pytest.raises(ValueError, match=r"data has no columns \['y'\]"):
        ArrowPartitions(tmp_path, "y")
    for target, features in (("tumor", []), ([], ["x0"]), ("w", ["x0", "x0"]), ("w", ["x0", "w"]), ("w", "x0")):
        with pytest.raises(ValueError, match="features and target must name at least one column each"):
            ArrowPartitions(tmp_path, target, features=features)
    assert ArrowPartitions(tmp_path, "w", features=frame.columns[:2])[0][0].shape == (569, 2)


@pytest.mark.parametrize("kind", ["csv", "feather"])
def test_files_of_other_formats_are_a_data_set(tmp_path, kind):
    file, frame = tmp_path / "data", pd.DataFrame(X, columns=[f"x{k}" for k in range(30)]).assign(y=y)
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_feather(file)
    source = ArrowPartitions(ds.dataset(file, format=kind), target="y")
    assert_same(clone(CLASSIFIER).fit_batches(source), clone(CLASSIFIER).fit(frame.iloc[:, :30], y))


def test_missing_values_and_text_in_parquet_files(tmp_path):
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"], "y": [0, 1]})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="partition 0: Input X contains NaN"):
        MLPClassifier().fit_batches(ArrowPartitions(tmp_path, "y", features=["a"]))
    with pytest.raises(ValueError, match="Input X contains text in column 'b'"):
        MLPClassifier().fit_batches(ArrowPartitions(tmp_path, "y"))


def test_dask_collections():
    net = clone(CLASSIFIER).set_params(shuffle=False)
    expected = clone(net).fit(X, y)
    arrays = DaskPartitions(da.from_array(X, chunks=(100, 20)), da.from_array(y, chunks=100))
    assert_same(clone(net).fit_batches(arrays), expected)
    frame = dd.from_pandas(pd.DataFrame(X, columns=[f"x{k}" for k in range(30)]).assign(y=y), npartitions=4)
    frames = DaskPartitions(frame.drop(columns="y"), frame["y"])
    assert_same(clone(net).fit_batches(frames), expected)
    with pytest.raises(ValueError, match="must have the same partitions, got \\[6, 1\\] of them"):
        DaskPartitions(da.from_array(X, chunks=(100, 30)), da.from_array(y, chunks=569))
    with pytest.raises(TypeError, match="y must be a Dask array or data frame, got ndarray"):
        DaskPartitions(da.from_array(X, chunks=(100, 30)), y)


# --- bad sources ------------------------------------------------------------------------------------------------


def parts_with(position, **changes):
    partitions = [dict(zip(("X", "y"), part, strict=True)) for part in cut(X, LABELS, sizes=[100])]
    partitions[position].update(changes)
    return [tuple(part.values()) for part in partitions]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3, TypeError, "source must be a sequence of partitions"),
        (X, TypeError, "source must be a sequence of partitions"),
        (lambda: None, TypeError, "must return an iterator over partitions, got None"),
        (iter([(X, y)]), ValueError, "can be read only once"),
        (((X, y) for _ in range(2)), ValueError, "Pass the function that creates it"),
        ((X, y), TypeError, r"source must yield tuples \(X, y\) or .*; partition 0 is <class 'numpy.ndarray'>"),
        ([(X,)], TypeError, "partition 0 is 1 items"),
        ([(X, None)], ValueError, "partition 0: y is None"),
        ([], ValueError, "source has no samples"),
        ([(X[:0], y[:0])], ValueError, "source has no samples"),
        (parts_with(2, X=X[:100, :5]), ValueError, "partition 2: X has 5 features, but MLPClassifier is expecting 30"),
        (parts_with(3, X=np.full((100, 30), np.nan)), ValueError, "partition 3: Input X contains NaN"),
        (parts_with(2, X=sparse.csr_array(X[:100])), ValueError, "partition 2: X is sparse, but was dense"),
        (parts_with(3, X=X[:99]), ValueError, "partition 3: X and y: Found input variables with inconsistent numbers"),
        (
            parts_with(1, y=y[:100]),
            ValueError,
            "partition 1: y is one column of numbers without sample weights, but was one column of text",
        ),
        (parts_with(1, y=LABELS[:200].reshape(100, 2)), ValueError, "partition 1: y is 2 columns of text"),
        (
            parts_with(4, w=WEIGHT[:100]),
            ValueError,
            "partition 4: y is one column of text with sample weights, but was one column of text without",
        ),
        (parts_with(4, w=-np.ones(100)), ValueError, "partition 4: Negative values in data passed to `sample_weight`"),
        ([(X, y, np.zeros(569))], ValueError, "source has no samples with a weight"),
    ],
)
def test_bad_sources(source, error, message):
    net = clone(CLASSIFIER).fit(X, y)
    before = net.parameters_.copy()
    with pytest.raises(error, match=message):
        net.fit_batches(source)
    np.testing.assert_array_equal(net.parameters_, before)


def test_sources_that_change():
    class Growing(list):
        def __len__(self):
            return min(6, super().__len__() + len(reads) // 5)

        def __getitem__(self, k):
            reads.append(k)
            return (X[:100], y[:100]) if len(reads) < 13 else (X[:101], y[:101])

    reads = []
    net = clone(CLASSIFIER)
    with pytest.raises(ValueError, match="source has changed: partition 5 has 100 rows, and had 0"):
        clone(net).set_params(shuffle=False).fit_batches(Growing([None] * 5))
    reads[:] = []
    with pytest.raises(ValueError, match=r"source has changed: partition . has 101 rows, and had 100"):
        net.fit_batches(Growing([None] * 3))
    used_up = iter(cut(X, y, sizes=[100]))
    with pytest.raises(ValueError, match="source has changed: it yielded 0 rows, and 569 when it was first read"):
        net.fit_batches(lambda: used_up)
    assert not hasattr(net, "classes_")


def test_values_may_change():
    def augmented():
        noise = np.random.default_rng(len(seeds)).normal(scale=0.1, size=X.shape)
        seeds.append(None)
        yield from cut(X + noise, y, sizes=[100])

    seeds = []
    assert clone(CLASSIFIER).fit_batches(augmented, epochs=10).score(X, y) > 0.9
    assert len(seeds) == 11


def test_a_target_that_the_loss_refuses():
    net = MLPRegressor(loss="poisson")
    with pytest.raises(ValueError, match="partition 2: "):
        net.fit_batches([(X, y), (X, y), (X, -y)])


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "3"])
def test_bad_epochs(epochs):
    with pytest.raises(ValueError, match="epochs must be an integer of at least 1 or None"):
        MLPClassifier().fit_batches([(X, y)], epochs=epochs)


def test_what_is_not_supported():
    splitter = ShuffleSplit(1)
    with pytest.raises(ValueError, match="fit_batches requires a number as validation_fraction, got ShuffleSplit"):
        MLPClassifier(early_stopping=True, validation_fraction=splitter).fit_batches([(X, y)])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "fit_batches")
    for data in (X.tolist(), sparse.csr_array(X), pd.DataFrame(X)):
        with pytest.raises(TypeError, match=f"X must be an array, such as a memory map, got {type(data).__name__}; "):
            ArrayPartitions(data, y)
    with pytest.raises(TypeError, match=r"y must be an array.*got list"):
        ArrayPartitions(X, y.tolist())
    with pytest.raises(ValueError, match="must have the same length"):
        ArrayPartitions(X, y[:5])
    with pytest.raises(ValueError, match="n_rows must be an integer of at least 1"):
        ArrayPartitions(X, y, n_rows=0)


def test_a_range_test_passes_over_a_partition_that_is_held_out_as_a_whole():
    """It took batches from no rows without end."""
    net = clone(CLASSIFIER).set_params(learning_rate_init="auto", early_stopping=True, validation_fraction=0.5)
    for seed in range(20):
        fitted = clone(net).set_params(random_state=seed).fit_batches([(X[:1], y[:1]), (X[1:], y[1:])], epochs=1)
        assert 1e-6 < fitted.learning_rate_init_ < 100


@pytest.mark.parametrize("change", ["columns", "rows"])
def test_a_parquet_file_that_has_changed_is_an_error(change, tmp_path):
    pytest.importorskip("pyarrow")
    table = pd.DataFrame(X_NUMBERS).rename(columns=str).assign(y=Y_NUMBERS)
    table.to_parquet(tmp_path / "data.parquet", row_group_size=100)
    source = ArrowPartitions(tmp_path, "y", n_rows=100)
    clone(REGRESSOR).fit_batches(source)
    changed = table[table.columns[::-1]] if change == "columns" else table[:300]
    changed.to_parquet(tmp_path / "data.parquet", row_group_size=100)
    with pytest.raises(ValueError, match=r"data\.parquet has changed since"):
        clone(REGRESSOR).fit_batches(source)


def test_folders_of_a_hive_partitioning_are_a_column_and_filters_are_refused(tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    table = pd.DataFrame(X_NUMBERS[:, :2]).rename(columns=str).assign(y=Y_NUMBERS)
    for year in (2025, 2026):
        (tmp_path / f"year={year}").mkdir()
        table[year % 2 :: 2].to_parquet(tmp_path / f"year={year}" / "data.parquet")
    source = ArrowPartitions(tmp_path, "y")
    found = pd.concat([part[0] for part in source])
    assert found["year"].value_counts().to_dict() == {2025: 221, 2026: 221}
    filtered = dataset.dataset(tmp_path, partitioning="hive").filter(dataset.field("y") > 0)
    with pytest.raises(ValueError, match="data must be a data set without a filter or projection"):
        ArrowPartitions(filtered, "y")


def test_a_generator_may_fill_the_same_array_again():
    def parts(make):
        for start in range(0, 400, 100):
            array = make()
            array[:] = X_NUMBERS[start : start + 100]
            yield array, Y_NUMBERS[start : start + 100]

    buffer = np.empty_like(X_NUMBERS[:100])
    fresh = clone(REGRESSOR).fit_batches(lambda: parts(lambda: np.empty_like(buffer)))
    reused = clone(REGRESSOR).fit_batches(lambda: parts(lambda: buffer))
    assert_same(fresh, reused)
