"""Compilation: the cache on disk, recompilation, calls by address, processes and threads."""

import compileall
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import types
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from mounts import disk, read_only
from numba import cloudpickle  # which joblib workers pickle with
from numba.core import errors, event

import sknn_iitb
from sknn_iitb import MLPClassifier
from sknn_iitb._engine import kernels
from sknn_iitb._engine.layers import Mode, dense
from sknn_iitb._engine.network import CompiledNetwork
from sknn_iitb._engine.rows import as_rows
from sknn_iitb._jit import cache as cache_module
from sknn_iitb._jit import compilation, store
from sknn_iitb._jit.compilation import SIGNATURES, call, compiled
from sknn_iitb._jit.signatures import Step
from sknn_iitb._jit.store import Stored
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import ReLU
from sknn_iitb.tabular import TabularMLPRegressor

DTYPES = sorted(map(str, SIGNATURES))

pytestmark = [
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled code"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # a few epochs suffice
]

# --- other processes --------------------------------------------------------------------------------------------

# The start of every script, which waits before it compiles, so that several processes can compile at the same time.
PRELUDE = """
import json, os, pickle, sys, warnings
import numpy as np
from numba.core import event
compilations = event.RecordingListener()
event.register("numba:compile", compilations)
from sknn_iitb import MLPRegressor
from sknn_iitb._jit import compilation

def n_compiled():
    return sum(e.is_start for _, e in compilations.buffer)

X = np.random.RandomState(0).normal(size=(50, 3))
y = X[:, 0] > 0

def network(dtype, solver="sgd", max_iter=5):
    return MLPRegressor(hidden_layer_sizes=5, activation="logistic", output_activation="logistic", solver=solver,
                        batch_size=20, max_iter=max_iter, random_state=0, dtype=dtype)

def trained(dtype, **parameters):
    net = network(dtype, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not converge
        return net.fit(X, y)

def results(net):
    return {"losses": net.loss_curve_, "weights": net.parameters_.tolist(), "outputs": net.predict(X).tolist()}

print("ready", flush=True)
input()
"""


def run(root, cache, *bodies, meanwhile=lambda: None, **environment):
    """Run scripts at the same time, each in its own process; return the `report` of each.

    They import the package from `root` and keep their compiled functions in `cache`; `meanwhile` is called after all
    have imported it and before any compiles.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"{PRELUDE}{body}\nprint(json.dumps(report))"],
            cwd=root,
            # less optimized code compiles faster and is stored in the same way
            env={**inherited, "NUMBA_OPT": "0", "NUMBA_CACHE_DIR": str(cache), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for body in bodies
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        meanwhile()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        reports = []
        for process in processes:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, f"ended with {process.returncode}: {err}"
            reports.append(json.loads(out))
        return reports
    finally:
        for process in processes:
            process.kill()


def fits(*dtypes):
    """A script that trains a network for each dtype."""
    return f"report = {{dtype: results(trained(dtype)) for dtype in {dtypes!r}}} | {{'n_compiled': n_compiled()}}"


def copy_of_package(root):
    """Copy the sources: tests edit them, and the package may be edited while tests run."""
    source = Path(sknn_iitb.__file__).parent
    shutil.copytree(source, root / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def halve_sigmoid(package):
    """Edit an elementary function, which is compiled into activations; their file is unchanged."""
    path = package / "sknn_iitb" / "_jit/math.py"
    source = path.read_text(encoding="utf-8")
    assert source.count("return (even - odd) / (") == 1
    path.write_text(source.replace("return (even - odd) / (", "return one / two * (even - odd) / ("), encoding="utf-8")


def cached_files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A directory with a copy of the package."""
    return copy_of_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def reference(package):
    """Reports, by dtype, of processes without a cache: a file blocks the cache directory."""
    reports = run(package, package / "sknn_iitb" / "py.typed" / "cache", *map(fits, DTYPES))
    return dict(zip(DTYPES, reports, strict=True))


@pytest.fixture(scope="session")
def filled(package, tmp_path_factory):
    """A cache filled by three processes at the same time, and their reports by dtype."""
    cache = tmp_path_factory.mktemp("cache")
    dtypes = [*DTYPES, DTYPES[-1]]
    return cache, list(zip(dtypes, run(package, cache, *map(fits, dtypes)), strict=True))


@pytest.fixture
def cache(filled, tmp_path):
    """A cache for both dtypes that a test may change."""
    return shutil.copytree(filled[0], tmp_path / "cache")


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_are_compiled_in_memory_without_a_writable_cache(package, reference, dtype):
    assert reference[dtype]["n_compiled"] > 0
    assert np.isfinite(reference[dtype][dtype]["losses"]).all()
    assert (package / "sknn_iitb" / "py.typed").is_file()
    assert not list(package.rglob("*.nbc"))


def test_racing_processes_give_the_results_of_a_single_one(reference, filled):
    for dtype, report in filled[1]:
        assert report[dtype] == reference[dtype][dtype]


def test_racing_processes_share_the_work(reference, filled):
    counts = [report["n_compiled"] for dtype, report in filled[1] if dtype == DTYPES[-1]]
    assert len(counts) == 2
    assert sum(counts) < 1.5 * reference[DTYPES[-1]]["n_compiled"]


@pytest.mark.newest
def test_racing_processes_leave_a_complete_cache(package, reference, cache):
    before = cached_files(cache)
    (report,) = run(package, cache, fits(*DTYPES))
    assert report.pop("n_compiled") == 0
    assert report == {dtype: reference[dtype][dtype] for dtype in DTYPES}
    assert cached_files(cache) == before


def test_cache_holds_exactly_one_file_per_function_and_dtype(cache):
    files = [path for path in cache.rglob("*") if path.is_file()]
    names = {path.stem.rpartition(".")[0] for path in files if ".load_" not in path.name}
    expected = [f"{name}.{dtype}.nbc" for name in names for dtype in DTYPES]
    expected += [f"sknn_iitb._engine.rows.load_{dtype}.load.{dtype}.nbc" for dtype in DTYPES]  # for X of the same dtype
    assert sorted(path.name for path in files) == sorted(expected)
    assert len({path.parent for path in files}) == 1


_AT_ONE = """
import functools
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import ReLU

@functools.wraps(ReLU.function)
def disguised(z):
    return 100.0 * z, 100.0

def at_one(function):
    value = np.ones((1, 1))
    entry = compilation.compiled("activation", function, "float64", elementwise, from_python=True)
    entry.function(value, np.zeros(1), np.zeros((1, 1)), np.zeros(0))
    return value.item()

report = at_one({})
"""


@pytest.mark.newest
def test_custom_function_with_the_name_of_a_builtin_bypasses_the_cache(package, tmp_path):
    assert run(package, tmp_path, _AT_ONE.format("disguised")) == [100.0]
    assert run(package, tmp_path, _AT_ONE.format("ReLU.function")) == [1.0]
    assert run(package, tmp_path, _AT_ONE.format("disguised")) == [100.0]


@pytest.mark.newest
def test_renamed_builtin_function_keeps_its_file(package, tmp_path):
    renamed = "ReLU.function.__name__ = 'logistic'; ReLU.function.__module__ = '__main__'"
    assert run(package, tmp_path, _AT_ONE.format("ReLU.function")) == [1.0]
    body = _AT_ONE.replace("def at_one", f"{renamed}\n\ndef at_one").format("ReLU.function")
    assert run(package, tmp_path, f"{body}\nreport = n_compiled()") == [0]


def _without_sources(package):
    compileall.compile_dir(package, quiet=2, legacy=True)
    for path in package.rglob("*.py"):
        path.unlink()
    return package.parent


def _zipped(package):
    return Path(shutil.make_archive(package.parent / "zipped", "zip", package.parent, package.name))


@pytest.mark.slow
@pytest.mark.parametrize("packed", [_without_sources, _zipped])
def test_versions_imported_without_source_files_do_not_share_code(packed, tmp_path):
    versions = []
    for factor in ("1.0", "3.0"):
        copy = copy_of_package(tmp_path / factor) / "sknn_iitb"
        source = (copy / "activations.py").read_text(encoding="utf-8")
        assert source.count("return 0.0 if z < 0.0 else z, 1.0 if") == 1
        source = source.replace("return 0.0 if z < 0.0 else z,", f"return 0.0 if z < 0.0 else {factor} * z,")
        (copy / "activations.py").write_text(source, encoding="utf-8")
        versions.append(packed(copy))
    body = _AT_ONE.format("ReLU.function") + "report = [report, n_compiled()]"
    counts = []
    for root, result in zip(versions * 2, [1.0, 3.0] * 2, strict=True):
        ((at_one, n_compiled),) = run(tmp_path, tmp_path / "cache", body, PYTHONPATH=str(root))
        assert at_one == result
        counts.append(n_compiled)
    assert min(counts[:2]) > 0
    assert counts[2:] == [0, 0]


def test_no_cache_without_files_that_identify_the_version(monkeypatch):
    monkeypatch.setattr(store, "files", lambda package: Path("there is no such directory"))
    assert store._sources() is None
    monkeypatch.setattr(cache_module, "SOURCES", None)
    assert cache_module._directories.__wrapped__() == []


_SIGMOID_AT_ZERO = """
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import Logistic
value, slope = np.zeros((1, 1)), np.zeros((1, 1))
entry = compilation.compiled("activation", Logistic.function, "float64", elementwise, from_python=True)
entry.function(value, np.zeros(1), slope, np.zeros(0))
report = value.item()
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [(numba, "__version__"), (np, "__version__"), (cache_module, "llvmlite_version"), (cache_module.config, "OPT")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_releases_of_the_compiler_do_not_share_code(module, name, monkeypatch):
    before = cache_module._target_digest()
    monkeypatch.setattr(module, name, "99")
    assert cache_module._target_digest() != before


@pytest.mark.newest
def test_code_compiled_before_an_edit_of_a_callee_in_another_file_is_not_reused(cache, tmp_path):
    # an upgrade under a running notebook: what it compiles from the old sources must not serve the new ones
    edited = copy_of_package(tmp_path)
    assert run(edited, cache, _SIGMOID_AT_ZERO, meanwhile=lambda: halve_sigmoid(edited)) == [0.5]
    assert run(edited, cache, _SIGMOID_AT_ZERO) == [0.25]


def _cut_short(content):
    return content[: len(content) // 2]


def _emptied(content):
    return b""


def _noise(content):
    return np.random.RandomState(0).bytes(len(content))


def _with_a_lost_block(content):
    # a power failure can leave a file of full length with blocks of zeros
    return content[:4096] + bytes(4096) + content[8192:]


@pytest.mark.newest
def test_damaged_files_are_recompiled_and_repaired(package, reference, cache):
    damages = [_emptied, _cut_short, _noise, _with_a_lost_block]
    paths = sorted(cache.rglob("*.float64.nbc"))[: len(damages)]
    damaged = [damage(path.read_bytes()) for damage, path in zip(damages, paths, strict=True)]
    for path, content in zip(paths, damaged, strict=True):
        path.write_bytes(content)
    (report,) = run(package, cache, fits("float64"))
    assert 0 < report.pop("n_compiled") < reference["float64"]["n_compiled"]
    assert report["float64"] == reference["float64"]["float64"]
    assert all(path.read_bytes() != content for path, content in zip(paths, damaged, strict=True))
    (report,) = run(package, cache, fits("float64"))
    assert report["n_compiled"] == 0
    assert report["float64"] == reference["float64"]["float64"]


@pytest.mark.newest
def test_swapped_files_are_recompiled(package, reference, cache):
    paths = sorted(cache.rglob("*.float64.nbc"))
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    (report,) = run(package, cache, fits("float64"))
    assert report == reference["float64"]


@pytest.mark.newest
@pytest.mark.parametrize("ahead", [False, True])
def test_an_installed_package_does_not_store_files_in_its_folder(ahead, tmp_path):
    """pip would not remove them, and the folder would remain as an empty package."""
    site, home = copy_of_package(tmp_path / "site-packages"), tmp_path / "home"
    body = f"""
from sknn_iitb._jit.cache import cache_directory, store_in_package
if {ahead}:  # as precompile does
    store_in_package()
{_SIGMOID_AT_ZERO}
report = {{"n_compiled": n_compiled(), "at": str(cache_directory())}}
"""
    environment = {"NUMBA_CACHE_DIR": "", "HOME": str(home), "XDG_CACHE_HOME": str(home), "LOCALAPPDATA": str(home)}
    first, second = (run(site, "", body, **environment)[0] for _ in range(2))
    assert first["n_compiled"] > 0 == second["n_compiled"]
    if ahead:
        assert Path(first["at"]).parent == site / "__pycache__"
    else:
        assert Path(first["at"]).is_relative_to(home) or sys.platform == "darwin"
    assert not list((site / "sknn_iitb").rglob("*.nbc"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs the XDG folders")
@pytest.mark.parametrize("value", ["", "relative", None])
def test_the_cache_is_never_in_the_working_directory(value, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    found = {path.parent for path in cache_module._directories.__wrapped__()}
    assert found == {store.IN_TREE, tmp_path / ".cache" / "numba"}
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user without a home
    assert [path.parent for path in cache_module._directories.__wrapped__()] == [store.IN_TREE]


@pytest.mark.newest
def test_read_only_cache_is_used(package, reference, cache):
    # permissions do not bind an administrator, so an audit hook rejects every attempt to write
    body = f"""
def read_only(name, arguments):
    path = str(arguments[0]) if arguments else ""
    writes = name in ("os.mkdir", "os.rename", "os.remove") or (
        name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes and path.startswith({str(cache)!r}):
        raise PermissionError(path)

sys.addaudithook(read_only)
report = results(trained("float64")) | {{"n_compiled": n_compiled()}}
from sknn_iitb._loops import elementwise
from sknn_iitb.activations import Softsign
compilation.compiled("activation", Softsign.function, "float64", elementwise)  # is not in the cache
report["not_cached"] = n_compiled()
"""
    before = cached_files(cache)
    (report,) = run(package, cache, body)
    assert report.pop("n_compiled") == 0
    assert report.pop("not_cached") > 0
    assert report == reference["float64"]["float64"]
    assert cached_files(cache) == before


@pytest.mark.newest
@pytest.mark.parametrize("cls", [MLPClassifier, pytest.param(TabularMLPRegressor, marks=pytest.mark.slow)])
def test_a_read_only_installation_without_a_writable_home_works(cls, iris, tmp_path):
    """As in a container for a user without a home; only a read-only mount binds an administrator too."""
    X, y = iris
    net = cls(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    (tmp_path / "net.pickle").write_bytes(pickle.dumps((net, X, y)))
    body = f"""
from sknn_iitb._jit.cache import _announcement, cache_directory
with open({str(tmp_path / "net.pickle")!r}, "rb") as file:
    net, X, y = pickle.load(file)
warnings.simplefilter("ignore")  # it does not converge
outputs = net.fit(X, y).predict(X).tolist()
report = {{
    "outputs": outputs, "n_compiled": n_compiled(), "stored": cache_directory() is not None, "says": _announcement()
}}
"""
    site, home, work = copy_of_package(tmp_path / "site-packages"), tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    before = cached_files(site)
    with read_only(site, home) as (fixed_site, fixed_home):
        for folder in (fixed_site, fixed_home):
            with pytest.raises(OSError, match="Read-only file system"):
                (folder / "file").touch()
        environment = {"PYTHONPATH": str(fixed_site), "HOME": str(fixed_home), "XDG_CACHE_HOME": ""}
        (report,) = run(work, "", body, **environment)
    assert report["n_compiled"] > 0
    assert not report["stored"]
    assert "Set NUMBA_CACHE_DIR to a writable folder" in report["says"]
    np.testing.assert_allclose(report["outputs"], net.fit(X, y).predict(X), rtol=1e-5)
    assert cached_files(site) == before
    assert not list(home.iterdir())
    assert not list(work.iterdir())


@pytest.mark.newest
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_a_home_that_cannot_be_entered_is_passed_over(package, tmp_path):
    """As that of root for the user of a container; root itself is bound by permissions without a capability only."""
    home = tmp_path / "home"
    home.mkdir(mode=0)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    body = "from sknn_iitb._jit.cache import _announcement, cache_directory\nprint(cache_directory(), _announcement())"
    paths = {"PYTHONPATH": str(package), "HOME": str(home), "XDG_CACHE_HOME": ""}
    for environment in ({**paths, "NUMBA_CACHE_DIR": ""}, {**paths, "NUMBA_CACHE_DIR": str(home / "cache")}):
        command = [*bound, sys.executable, "-c", body]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("Set NUMBA_CACHE_DIR" in done.stdout) == bool(environment["NUMBA_CACHE_DIR"])


@pytest.mark.newest
@pytest.mark.parametrize("limit", ["size=500k", pytest.param("nr_inodes=8", marks=pytest.mark.slow)])
def test_a_full_disk_holds_complete_files_that_are_used(limit, package, reference, tmp_path):
    with disk(tmp_path / "disk", limit) as full:
        (first,) = run(package, full, fits("float64"))
        before = cached_files(full)
        (second,) = run(package, full, fits("float64"))
        assert cached_files(full) == before
        files = [full / name for name in before]
        assert all(Stored([path.parent], path.name).load(bytes) for path in files)
    assert {path.suffix for path in files} == {".nbc"}
    assert first.pop("n_compiled") > second.pop("n_compiled") > 0
    assert first["float64"] == second["float64"] == reference["float64"]["float64"]


def test_losses_are_the_same_without_the_jit(package, reference, cache):
    (report,) = run(package, cache, fits("float64"), NUMBA_DISABLE_JIT="1")
    assert report["n_compiled"] == 0
    np.testing.assert_allclose(report["float64"]["losses"], reference["float64"]["float64"]["losses"], rtol=1e-10)
    np.testing.assert_allclose(report["float64"]["outputs"], reference["float64"]["float64"]["outputs"], rtol=1e-10)


def test_bounds_checks_pass_for_kernels_and_raise_for_a_custom_callee(package, reference, cache):
    body = """
from scipy.sparse import csr_array
from sknn_iitb import MLPClassifier
from sknn_iitb.losses import Quantile

report = results(trained("float64"))

everything = {"batch_norm": True, "dropout": [0.1, 0.2], "l1": 0.1}
everything |= {"clip_value": 0.1, "clip_norm": 0.1, "max_norm": 1.0}
labels = np.column_stack([y, (X[:, 1] > 0).astype(int) + (X[:, 2] > 0)])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they do not converge
    for data in (X, (9 * X).astype("int8"), csr_array(X * (X > 0))):
        net = network("float64").set_params(output_activation="auto", **everything)
        for loss in ("gaussian", Quantile([0.1, 0.9])):
            net.set_params(loss=loss).fit(data, y).predict(data)
        for loss in ("log_loss", "focal", "squared_error"):
            MLPClassifier(5, loss=loss, output_activation="softmax", max_iter=2, **everything).fit(data, labels)

def beyond(theta, gradient, optimizer_state, hyper, step):
    theta[0] = gradient[theta.size]

net = network("float64", solver=beyond)
try:
    net.fit(X, y)
except IndexError as error:
    report["raised"] = str(error)
report["fitted"] = hasattr(net, "coefs_")
"""
    (report,) = run(package, cache, body, NUMBA_BOUNDSCHECK="1")
    assert "out of bounds" in report.pop("raised")
    assert report.pop("fitted") is False
    np.testing.assert_allclose(report["losses"], reference["float64"]["float64"]["losses"], rtol=1e-12)


_EVERY_COMPONENT = """
from scipy.sparse import csr_array
from sknn_iitb import MLPClassifier, precompile

warnings.simplefilter("ignore")  # they do not converge
X = np.random.RandomState(0).normal(size=(12, 3))
few = (9 * X).astype("int8")
rare = [MLPClassifier(dropout=[0.1, 0.1]), few, y[:12]], [MLPClassifier(), csr_array(few), y[:12]]
report = []
for net, X, y in (*precompile.nets(), *rare):
    # the last batch has fewer rows than neurons, the others more
    net.set_params(dtype='{}', hidden_layer_sizes=4, max_iter=3, batch_size=5, random_state=0).fit(X, y)
    report.append([*net.parameters_.tolist(), *np.ravel(net.predict(X)).tolist()])
"""

_EVERY_TABULAR_KERNEL = """
import pandas as pd
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor
from sknn_iitb.tabular.views import VIEWS

warnings.simplefilter("ignore")  # they do not converge
rng = np.random.RandomState(0)
table = pd.DataFrame({
    "number": np.where(rng.uniform(size=60) < 0.1, np.nan, rng.normal(size=60)),
    "outliers": rng.lognormal(3, 2, 60),
    "few": rng.randint(4, size=60),
    "constant": 1.0,
    "colour": pd.Categorical(rng.choice(["red", "blue", None], 60), ["red", "unused", "blue"]),
    "city": [f"city {k}" for k in rng.randint(12, size=60)],
})
target = table["few"] + np.log(table["outliers"])
small = {"views": [*VIEWS], "n_estimators": len(VIEWS), "hidden_layer_sizes": (9, 5), "max_iter": 2, "random_state": 0}
regressor = TabularMLPRegressor(**small, quantiles=[0.1, 0.9], batch_size=16).fit(table, target)
absolute = TabularMLPRegressor(**small, metric="mae", n_bins=None, batch_size=5).fit(table, target)
classifier = TabularMLPClassifier(**small, dropout=0.1, batch_size=16).fit(table, table["few"])
predictions = regressor.predict, regressor.predict_quantiles, absolute.predict, classifier.predict_proba
# categories and numbers that the training set does not have, and tables of fewer rows than neurons
table.loc[0, ["number", "few", "city"]] = [1e9, 10**9, "another"]
report = [np.ravel(predict(table[:n])).tolist() for predict in predictions for n in (1, 7, 60)]
"""


@pytest.mark.slow
def test_bounds_checks_pass_for_all_components_and_do_not_change_results(package, tmp_path):
    bodies = [*map(_EVERY_COMPONENT.format, DTYPES), _EVERY_TABULAR_KERNEL]
    checked, unchecked = (run(package, tmp_path, *bodies, NUMBA_BOUNDSCHECK=value) for value in ("1", "0"))
    for each, other, rtol in zip(checked, unchecked, [1e-4, 1e-9, 1e-6], strict=True):
        assert len(each) == len(other)
        for a, b in zip(each, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_child_predicts_and_fits(package, reference, cache):
    body = """
net = trained("float64")
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    # the other dtype is new to this process
    done = {dtype: results(trained(dtype)) for dtype in ("float32", "float64")}
    with os.fdopen(writer, "w") as pipe:
        json.dump(done | {"outputs": net.predict(X).tolist()}, pipe)
    os._exit(0)
os.close(writer)
with os.fdopen(reader) as pipe:
    report = json.load(pipe)
report["status"] = os.waitpid(child, 0)[1]
"""
    (report,) = run(package, cache, body)
    assert report["status"] == 0
    assert report["outputs"] == reference["float64"]["float64"]["outputs"]
    for dtype in DTYPES:
        assert report[dtype] == reference[dtype][dtype]


# --- pickles ----------------------------------------------------------------------------------------------------


def _holds(payload, addresses):
    # pickled integers and arrays are little-endian
    return any(address.to_bytes(8, "little").rstrip(b"\0") in payload for address in addresses)


def test_pickled_network_holds_no_address_and_predicts_in_another_process(package, cache, cancer, tmp_path):
    X, y = cancer
    common = {"hidden_layer_sizes": (5,), "activation": "logistic", "max_iter": 5, "random_state": 0}
    nets = [MLPClassifier(early_stopping=True, **common).fit(X, y), MLPClassifier(solver="lbfgs", **common).fit(X, y)]
    addresses = {entry.address for entry in compilation._memo.values()}
    compiled_network = CompiledNetwork(nets[0]._network.chain(Mode(as_rows(X, X.dtype), activate_output=True)), X.dtype)
    assert _holds(pickle.dumps(compiled_network.net), addresses)  # the check finds addresses
    payload = pickle.dumps(nets)
    assert not _holds(payload, addresses)
    (tmp_path / "nets.pickle").write_bytes(payload)
    np.save(tmp_path / "X.npy", X)
    body = f"""
X = np.load({str(tmp_path / "X.npy")!r})
with open({str(tmp_path / "nets.pickle")!r}, "rb") as file:
    report = [net.predict_proba(X).tolist() for net in pickle.load(file)]
"""
    (report,) = run(package, cache, body)
    for net, probabilities in zip(nets, report, strict=True):
        np.testing.assert_allclose(probabilities, net.predict_proba(X), rtol=1e-12)


# --- recompilation ----------------------------------------------------------------------------------------------


# functions of every network, as arguments of `compiled`
_MEMBERS = [
    ("activation", ReLU.function, elementwise),
    ("layer_forward", dense.dense_forward, None),
    ("layer_backward", dense.dense_backward, None),
    *((name, getattr(kernels, name), None) for name in ("forward", "backward", "gradient", "train", "predict")),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("family", "function", "template"), _MEMBERS)
def test_compiled_function_accepts_only_its_signature(family, function, template, dtype):
    entry = compiled(family, function, dtype, template, from_python=True)
    assert entry.function.signatures == [SIGNATURES[np.dtype(dtype)][family].args]
    assert compiled(family, function, np.dtype(dtype), template, from_python=True) is entry
    other = np.zeros((2, 2), next(name for name in DTYPES if name != dtype))
    with pytest.raises(TypeError, match="No matching definition"):
        entry.function(*[other] * len(entry.function.signatures[0]))
    assert len(entry.function.signatures) == 1


_FORM = "def g(theta, gradient, optimizer_state, hyper, step):"


def _defined(source, **constants):
    """The function g of a source, as a notebook cell defines it: not importable from a module."""
    namespace = {"__name__": "__main__", **constants}
    exec(source, namespace)
    return namespace["g"]


def _step(optimizer, dtype="float64"):
    """The weight after a step of a custom optimizer."""
    theta, one = np.ones(1, dtype), np.ones(1, dtype)[0]
    compiled("optimizer", optimizer, dtype, from_python=True).function(
        theta, theta, np.ones((2, 1), dtype), np.ones(0), Step(1, one, one)
    )
    return theta.item()


def _n_compiled(recorder):
    return sum(e.is_start and e.data["dispatcher"].py_func.__name__ == "g" for _, e in recorder.buffer)


def test_custom_function_is_compiled_once_per_dtype():
    g = _defined(f"{_FORM} theta[0] = 2.0")
    with event.install_recorder("numba:compile") as recorder:
        assert [_step(g, dtype) for dtype in DTYPES * 2] == [2.0] * 2 * len(DTYPES)
    assert _n_compiled(recorder) == len(DTYPES)


_CLOSURE = f"def make(constant):\n  {_FORM} theta[0] = constant\n  return g\ng = make(constant)"


@pytest.mark.parametrize("source", [f"{_FORM} theta[0] = constant", _CLOSURE], ids=["global", "closure"])
def test_unpickled_custom_function_is_not_recompiled(source):
    g = _defined(source, constant=5.0)
    returned = cloudpickle.loads(cloudpickle.dumps(g))
    assert returned is not g
    with event.install_recorder("numba:compile") as recorder:
        assert _step(g) == 5
        assert _step(returned) == 5
        assert _step(_defined(source, constant=6.0)) == 6
    assert _n_compiled(recorder) == 2


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        ("constant", 2, 3),
        ("constant", 2.0, 3.0),
        ("constant", np.float32(2), np.float32(3)),
        ("constant[0]", (2.0,), (3.0,)),
        ("constant[0]", np.array([2.0]), np.array([3.0])),
        ("2.0 if constant else 3.0", True, False),
    ],
)
def test_custom_function_with_a_changed_global_is_recompiled(expression, before, after):
    g = _defined(f"{_FORM} theta[0] = {expression}", constant=before)
    assert _step(g) == 2
    g.__globals__["constant"] = after
    assert _step(g) == 3


@pytest.fixture
def settings():
    """A user's module."""
    module = types.ModuleType("settings")
    module.inner = types.ModuleType("settings.inner")
    module.constant = module.inner.constant = 2.0
    return module


_SETTINGS_IN = {
    "a global": f"{_FORM} theta[0] = settings.constant",
    "a closure": f"def make(settings):\n  {_FORM} theta[0] = settings.constant\n  return g\ng = make(settings)",
    "an inner module": f"{_FORM} theta[0] = settings.inner.constant",
    "a nested function": f"{_FORM}\n  def f(): return settings.constant\n  theta[0] = f()",
    "a compiled function": f"@njit\ndef f(): return settings.constant\n{_FORM} theta[0] = f()",
    "a compiled function's callee": "@njit\ndef h(): return settings.constant\n@njit\ndef f(): return h()\n"
    f"{_FORM} theta[0] = f()",
    "a compiled function of a module": "@njit\ndef f(): return settings.constant\nsettings.f = f\n"
    f"{_FORM} theta[0] = settings.f()",
    "functions that call each other": "@njit('f8(i8)')\ndef f(n): return f(n - 1) if n else settings.constant\n"
    f"{_FORM} theta[0] = f(3)",
}


@pytest.mark.parametrize("source", _SETTINGS_IN.values(), ids=_SETTINGS_IN)
def test_custom_function_that_reads_a_changed_module_is_recompiled(settings, source):
    g = _defined(source, settings=settings, njit=numba.njit)
    with event.install_recorder("numba:compile") as recorder:
        for constant in (2.0, 3.0, 2.0, 3.0):
            settings.constant = settings.inner.constant = constant
            assert _step(g) == constant
    assert _n_compiled(recorder) == 2


def test_changed_global_of_a_nested_function_is_detected():
    g = _defined(f"{_FORM}\n  def f(): return constant\n  theta[0] = f()", constant=2.0)
    assert _step(g) == 2
    g.__globals__["constant"] = 3.0
    assert _step(g) == 3


def test_functions_that_share_a_callee_with_a_changed_constant():
    namespace = {"constant": 2.0, "njit": numba.njit}
    first = _defined(f"@njit\ndef f(): return constant\n{_FORM} theta[0] = f()", **namespace)
    assert _step(first) == 2
    read = first.__globals__
    read["constant"] = 3.0
    exec(f"{_FORM} theta[0] = 10 * f()", read)
    assert _step(read["g"]) == 30
    assert _step(first) == 3


_PAIRS = [namedtuple("Pair", "a b"), namedtuple("Pair", "b a")]


@pytest.mark.filterwarnings("ignore:tostring:DeprecationWarning")  # numba 0.61, of structured constants
@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        ("2.0 if 1 / constant < 0 else 3.0", -0.0, 0.0),
        ("2.0 if 1 / constant[0] < 0 else 3.0", (-0.0,), (0.0,)),
        ("constant.a", _PAIRS[0](2.0, 3.0), _PAIRS[1](2.0, 3.0)),
        ("constant.a", *np.array([(2.0, 3.0), (3.0, 2.0)], [("a", "f8"), ("b", "f8")])),
        ("constant[0].a", *(np.array([(2.0, 3.0)], [(x, "f8"), (y, "f8")]) for x, y in ("ab", "ba"))),
    ],
)
def test_equal_constants_that_compile_differently_are_distinguished(expression, before, after):
    g = _defined(f"{_FORM} theta[0] = {expression}", constant=before)
    assert _step(g) == 2
    g.__globals__["constant"] = after
    assert _step(g) == 3


@pytest.mark.parametrize("source", [f"{_FORM} theta[0] = constant", _CLOSURE], ids=["global", "closure"])
@pytest.mark.parametrize(
    "values",
    [lambda: float("nan"), lambda: np.float64("nan"), lambda: np.full(3, np.nan), lambda: (1.0, float("nan"))],
    ids=["number", "scalar", "array", "tuple"],
)
def test_nan_constant_equals_itself(source, values):
    source = source.replace("= constant", "= 2.0 if constant is None else 3.0")
    with event.install_recorder("numba:compile") as recorder:
        assert [_step(_defined(source, constant=values())) for _ in range(3)] == [3.0] * 3
    assert _n_compiled(recorder) == 1


def test_custom_function_with_an_incomplete_closure_raises():
    with pytest.raises(ValueError, match="custom optimizer 'g' cannot be compiled"):
        _step(_defined(f"def make():\n  {_FORM} theta[0] = later\n  return g\n  later = 2.0\ng = make()"))


def test_global_with_the_name_of_an_attribute_does_not_matter():
    with event.install_recorder("numba:compile") as recorder:
        assert [_step(_defined(f"{_FORM} theta[0] = 2.0 * theta.size", size=size)) for size in (1, 2)] == [2.0, 2.0]
    assert _n_compiled(recorder) == 1


@pytest.mark.parametrize("namespace", [{}, {"__name__": None}], ids=["nameless", "None"])
def test_custom_function_without_a_module_is_compiled(namespace):
    namespace = dict(namespace)
    exec(f"{_FORM} theta[0] = 2.0", namespace)
    assert namespace["g"].__module__ is None
    assert _step(namespace["g"]) == 2


# --- calls by address -------------------------------------------------------------------------------------------


def _check_call(family, argument_types):
    """Compile, without running it, a kernel that calls a member of `family` with arguments of these types."""
    by_address = call[family]
    numba.njit(lambda address, arguments: by_address(address, arguments)).compile(
        (numba.types.int64, numba.types.Tuple(argument_types))
    )


_OTHER = {numba.types.float32: numba.types.float64, numba.types.float64: numba.types.float32}
_WRONG = {
    "another dtype": lambda a: a.copy(dtype=_OTHER[a.dtype]),
    "integers": lambda a: a.copy(dtype=numba.types.int64),
    "another number of dimensions": lambda a: a.copy(ndim=3 - a.ndim),
    "not contiguous": lambda a: a.copy(layout="A"),
    "read-only where it is written to": lambda a: a.copy(readonly=True),
    "a number": lambda a: a.dtype,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", SIGNATURES[np.dtype("float64")])
def test_call_by_address_accepts_exactly_the_arguments_of_its_family(family, dtype):
    right = SIGNATURES[np.dtype(dtype)][family].args
    _check_call(family, right)
    for wrong in (right[:-1], (*right, right[-1])):
        with pytest.raises(errors.TypingError, match=f"{family} takes"):
            _check_call(family, wrong)


@pytest.mark.parametrize("wrong", _WRONG.values(), ids=_WRONG)
@pytest.mark.parametrize("family", SIGNATURES[np.dtype("float64")])
def test_call_by_address_with_a_wrong_type_does_not_compile(family, wrong):
    arguments = list(SIGNATURES[np.dtype("float64")][family].args)
    floats = [isinstance(a, numba.types.Array) and a.dtype in _OTHER for a in arguments]
    other = SIGNATURES[np.dtype("float32")][family].args
    telling = [a for a, b in zip(arguments, other, strict=True) if a != b and isinstance(a, numba.types.Array)]
    if len(telling) == 1 and wrong is _WRONG["another dtype"]:
        pytest.skip("a single float array determines the dtype")
    written = [is_float and a.mutable for a, is_float in zip(arguments, floats, strict=True)]
    if not any(written) and wrong is _WRONG["read-only where it is written to"]:
        pytest.skip("the function writes only through addresses")
    place = (written if any(written) else floats).index(True)
    arguments[place] = wrong(arguments[place])
    with pytest.raises(errors.TypingError, match=f"{family} takes"):
        _check_call(family, arguments)


def test_call_by_address_without_a_float_array_does_not_compile():
    with pytest.raises(errors.TypingError, match="activation takes"):
        _check_call("activation", [numba.types.int64] * 4)


# --- threads ----------------------------------------------------------------------------------------------------


def test_concurrent_fits_match_sequential_fits(cancer):
    X, y = cancer
    g = _defined("def g(z): return 0.5 * z * z, z")  # is compiled while all of them train
    common = {"max_iter": 15, "solver": "rmsprop"}
    settings = [
        {"hidden_layer_sizes": (30,), "dtype": "float32", "activation": g, "random_state": 0, **common},
        {"hidden_layer_sizes": (30,), "dtype": "float32", "activation": g, "random_state": 1, **common},
        {"hidden_layer_sizes": (20, 10), "dtype": "float64", "activation": "tanh", "early_stopping": True, **common},
        {"hidden_layer_sizes": (25,), "dtype": "float64", "max_iter": 15, "solver": "lbfgs"},
    ]
    nets = [MLPClassifier(**{"random_state": 2, **setting}) for setting in settings]
    start = threading.Barrier(len(nets))

    def fit(net):
        start.wait(60)
        return net.fit(X, y)

    with event.install_recorder("numba:compile") as recorder, ThreadPoolExecutor(len(nets)) as pool:
        at_once = list(pool.map(fit, nets))
    assert _n_compiled(recorder) == 1
    for net, setting in zip(at_once, settings, strict=True):
        reference = MLPClassifier(**{"random_state": 2, **setting}).fit(X, y)
        np.testing.assert_array_equal(net.parameters_, reference.parameters_)
        np.testing.assert_array_equal(net.predict_proba(X), reference.predict_proba(X))
