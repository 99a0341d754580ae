"""Saved models: plain values, schemas, files of earlier releases, damaged and hostile files."""

import copy
import io
import json
import pickle
import random
import zipfile
import zlib

import golden
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer
from sklearn.model_selection import ShuffleSplit

from sknn_iitb import MLPClassifier, activations, initializers, losses, optimizers, schedules
from sknn_iitb._engine import plain, saving
from sknn_iitb._engine.saving import SCHEMA
from sknn_iitb.persistence import TRUSTED_TYPES
from sknn_iitb.tabular import TabularMLPClassifier, View

# of the scaler in the files
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
X, Y = golden.IRIS
SCHEMAS = sorted(golden.FOLDER.glob("schema_*"))
PATHS = sorted(path for suffix in golden.LOAD for path in golden.FOLDER.glob(f"*/*.{suffix}"))
# by the name of the model
INPUTS = {
    "float32": np.float32(X),
    **dict.fromkeys(["regressor", "gaussian", "quantiles", "pipeline", "tabular regressor"], golden.DIABETES[0]),
    **dict.fromkeys(
        ["tabular classifier", "tabular custom", "tabular custom regressor", "tabular partial_fit", "encoder"],
        golden.table()[0],
    ),
}


@pytest.fixture(scope="module")
def models():
    return golden.models()


def _joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def _skops(model):
    skops = pytest.importorskip("skops.io")
    return skops.loads(skops.dumps(model), trusted=TRUSTED_TYPES)


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": _joblib,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "skops": _skops,
}
NAMES = [path.stem for path in sorted(SCHEMAS[-1].glob("*.pickle"))]
# What skops must not load: functions of a user, and callbacks, which may write files in a later fit. Estimators of Dask
# are converted with to_local.
UNSAFE = {
    "dask": ["DaskMLPClassifier"],
    "dask regressor": ["DaskMLPRegressor"],
    "dask tabular": ["DaskTabularMLPClassifier"],
    "dask tabular regressor": ["DaskTabularMLPRegressor"],
    "custom": ["golden.square"],
    "tabular custom": ["golden.Square"],
    "tabular custom regressor": ["golden.Square"],
    "custom components": ["golden.square", "golden.cubic", "golden.descend", "golden.decay"],
    "checkpoint": ["sknn_iitb.callbacks.Checkpoint"],
    "progress bar": ["sklearn.callback._progressbar.ProgressBar"],
}
needs_callbacks = pytest.mark.skipif(golden.ProgressBar is None, reason="earlier releases have no callbacks")


def _marked(names):
    return [pytest.param(name, marks=needs_callbacks if name == "progress bar" else ()) for name in names]


# --- round trips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", _marked(NAMES))
def test_a_restored_model_is_the_same(models, name, way):
    model, x = models[name]
    if way == "skops" and name in UNSAFE:
        pytest.skip("skops refuses it")
    loaded = WAYS[way](model)
    np.testing.assert_array_equal(golden.outputs(loaded, x), golden.outputs(model, x))
    assert repr(loaded) == repr(model)
    assert vars(loaded).keys() == vars(model).keys()


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"copy"}))
@pytest.mark.parametrize("name", ["classifier", "float32", "normalized", "partial_fit", "tabular partial_fit"])
def test_a_restored_model_continues_as_if_it_had_not_been_saved(models, name, way):
    model, x = models[name]
    model = pickle.loads(pickle.dumps(model)).set_params(**{"early_stopping": False} if name == "normalized" else {})
    loaded = WAYS[way](model)
    y = golden.table()[1] if name.startswith(("tabular", "normalized")) else Y
    for each in (model, loaded):
        each.partial_fit(x[::2], y[::2]).partial_fit(x, y)
    np.testing.assert_array_equal(golden.outputs(loaded, x), golden.outputs(model, x))


# --- plain values ------------------------------------------------------------------------------------------------

PLAIN = (type(None), bool, int, float, str, np.ndarray, np.generic)


def _check_plain(value):
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        value = list(value.values())
    if type(value) in (list, tuple):
        for each in value:
            _check_plain(each)
    elif isinstance(value, View):  # the encoder's parameter
        _check_plain(tuple(value))
    elif isinstance(value, BaseEstimator):
        _check_plain(value.__getstate__())
    else:
        assert isinstance(value, PLAIN), repr(value)
        assert not isinstance(value, np.ndarray) or value.dtype.kind in "biufU" or value.dtype == object


@pytest.mark.parametrize("name", sorted({*NAMES} - {*UNSAFE, "pipeline"}))
def test_saved_state_is_plain(models, name):
    model = models[name][0]
    state = {key: value for key, value in model.__getstate__().items() if key not in model.get_params(deep=False)}
    assert (state["_schema"], state["_version"]) == (SCHEMA, "0.1.0")
    _check_plain(state)


def test_a_user_keeps_the_own_function_and_class(models):
    state = models["custom"][0].__getstate__()
    assert golden.square in [layer.get("activation", {}).get("function") for layer in state["_network"]["blocks"][0]]


@pytest.mark.parametrize("name", plain._CLASSES)
def test_kinds_are_those_of_the_schema(name):
    """The names and fields in files of this schema; with another set, raise SCHEMA and add a migration."""
    found = set()

    def collect(value):
        if isinstance(value, BaseEstimator):
            value = value.__getstate__()
        if isinstance(value, dict):
            if value.get("__kind__") == name:
                found.add(tuple(sorted(value)))
            value = list(value.values())
        if type(value) in (list, tuple):
            for each in value:
                collect(each)

    for path in SCHEMAS[-1].glob("*.pickle"):
        if path.stem != "progress bar":  # it needs a release of scikit-learn with callbacks
            collect(pickle.loads(path.read_bytes()))
    assert len(found) == 1


# --- files of earlier releases -----------------------------------------------------------------------------------


def test_every_schema_has_files():
    assert [path.name for path in SCHEMAS] == [f"schema_{k}" for k in range(1, SCHEMA + 1)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_files_of_every_release_load(path):
    if path.stem == "progress bar" and golden.ProgressBar is None:
        pytest.skip("earlier releases have no callbacks")
    model = golden.LOAD[path.suffix[1:]](path)
    expected = np.load(path.parent / "outputs.npz")[path.stem]
    found = golden.outputs(model, INPUTS.get(path.stem, X))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # on any machine


def test_a_network_of_schema_1_continues():
    """Its file has the last order of the rows as an array."""
    net = pickle.loads((golden.FOLDER / "schema_1" / "partial_fit.pickle").read_bytes())
    assert net._optimizer.order is None
    t, loss = net.t_, net.loss_
    for _ in range(5):
        net.partial_fit(X, Y)
    assert (net.t_, net.loss_ < loss) == (t + 5 * len(X), True)


def test_an_older_schema_is_migrated(models, monkeypatch):
    state = {**models["classifier"][0].__getstate__(), "_schema": SCHEMA - 1}
    state["old_classes"] = state.pop("classes_")
    loaded = MLPClassifier.__new__(MLPClassifier)
    monkeypatch.setattr(saving, "MIGRATIONS", {})
    with pytest.raises(ValueError, match=rf"schema {SCHEMA - 1}; version 0.1.0 reads schemas {SCHEMA} to {SCHEMA}"):
        loaded.__setstate__(state)

    def migrate(state):
        return {"classes_": state["old_classes"], **{key: each for key, each in state.items() if key != "old_classes"}}

    monkeypatch.setitem(saving.MIGRATIONS, SCHEMA - 1, migrate)
    loaded.__setstate__(state)
    np.testing.assert_array_equal(loaded.predict(X), models["classifier"][0].predict(X))
    assert not hasattr(loaded, "old_classes")


@pytest.mark.parametrize("schema", [SCHEMA + 1, 99, 0, -1, None, "1", 1.0, True])
def test_a_newer_or_foreign_schema_is_refused(models, schema):
    for model in (models["classifier"][0], models["tabular classifier"][0], models["encoder"][0]):
        state = {**model.__getstate__(), "_schema": schema, "_version": "99.0.0"}
        loaded = type(model).__new__(type(model))
        author = "another version" if schema is None else "version 99.0.0"
        with pytest.raises(ValueError, match=f"was saved by {author} of sknn_iitb, with schema {schema!r}"):
            loaded.__setstate__(state)
        assert vars(loaded) == {}


# --- damaged and hostile files -----------------------------------------------------------------------------------


def _damage(model, change):
    state = copy.deepcopy(model.__getstate__())
    change(state)
    loaded = type(model).__new__(type(model))
    with pytest.raises(ValueError, match=f"This saved {type(model).__name__} is damaged"):
        loaded.__setstate__(state)
    assert vars(loaded) == {}


DAMAGES = {
    "short vector": lambda s: s.update(_parameters=s["_parameters"][:-1]),
    "matrix": lambda s: s.update(_parameters=s["_parameters"][None]),
    "integers": lambda s: s.update(_parameters=s["_parameters"].astype(int)),
    "no vector": lambda s: s.pop("_parameters"),
    "no network": lambda s: s.pop("_network"),
    "no targets": lambda s: s.update(_targets=None),
    "classes": lambda s: s["_targets"].update(classes=np.arange(9)),
    "no loss": lambda s: s.pop("_loss"),
    "kind": lambda s: s["_network"].update(__kind__="eval"),
    "unhashable kind": lambda s: s["_network"].update(__kind__=["Network"]),
    "field": lambda s: s["_network"].update(x=1),
    "no blocks": lambda s: s["_network"].update(blocks=()),
    "wide input": lambda s: s["_network"]["blocks"][0][0].update(n_in=5),
    "wide layer": lambda s: s["_network"]["blocks"][1][0].update(n_in=7),
    "wide neurons": lambda s: s["_network"]["blocks"][0][1].update(n_out=6),
    "negative size": lambda s: s["_network"]["blocks"][0][0].update(n_in=-4),
    "text size": lambda s: s["_network"]["blocks"][0][0].update(n_in="4"),
    "more columns": lambda s: s.update(n_features_in_=5),
    "more outputs": lambda s: s.update(n_outputs_=4),
    "activation": lambda s: s["_network"]["blocks"][0][1]["activation"].update(name="system"),
    "family": lambda s: s["_network"]["blocks"][0][1]["activation"].update(family="os"),
    "activation parameter": lambda s: s["_network"]["blocks"][0][1]["activation"].update(parameters={"alpha": 1}),
    "random state": lambda s: s["_optimizer"]["rng"].update(state={}),
    "place in the random state": lambda s: s["_optimizer"]["rng"]["state"]["state"].update(pos=2**31 - 1),
    "optimizer": lambda s: s.update(_optimizer={"__kind__": "State"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_network_is_refused(models, damage):
    _damage(models["classifier"][0], DAMAGES[damage])


TABULAR_DAMAGES = {
    "column of a bin": lambda s: s["members_"][0]["network"]["blocks"][0][0]["features"]["bins"]["column"].fill(1000),
    "negative column": lambda s: s["members_"][0]["network"]["blocks"][0][0]["features"]["bins"]["column"].fill(-1),
    "slope of a bin": lambda s: s["members_"][0]["network"]["blocks"][0][0]["features"]["bins"].update(
        slope=np.ones(1)
    ),
    "knots": lambda s: s["members_"][1]["network"]["blocks"][0][0]["features"]["knots"]["column"].fill(99),
    "parameters": lambda s: s["members_"][0].update(theta=s["members_"][0]["theta"][1:]),
    "member": lambda s: s["members_"].append(None),
    "columns": lambda s: vars(s["encoder_"]).update(_n_columns=3),
    "no targets": lambda s: s.pop("_targets"),
}


@pytest.mark.parametrize("damage", TABULAR_DAMAGES)
def test_a_damaged_ensemble_is_refused(models, damage):
    _damage(models["tabular classifier"][0], TABULAR_DAMAGES[damage])


@pytest.mark.parametrize(
    "values",
    [
        {"n_rows": 0},
        {"n_rows": 2.0},
        {"n_epochs": -1},
        {"n_epochs": "1"},
        {"first": {}},
        {"first": None},
        {"rows": [0]},
        {"n_epochs": 100},  # in a saved network, an order ends then
    ],
    ids=str,
)
def test_an_order_of_no_rows_is_refused(models, values):
    _damage(models["partial_fit"][0], lambda s: s["_optimizer"]["order"].update(values))


OPTIMIZER_DAMAGES = {
    "size": lambda s: s["_optimizer"].update(optimizer_state=s["_optimizer"]["optimizer_state"][1:]),
    "dtype": lambda s: s["_optimizer"].update(optimizer_state=s["_optimizer"]["optimizer_state"].astype("f4")),
    "best": lambda s: s["_optimizer"].update(best=np.zeros(2)),
    "kind": lambda s: s.update(_optimizer={}),
}


@pytest.mark.parametrize("damage", OPTIMIZER_DAMAGES)
def test_the_state_of_another_optimizer_is_refused(models, damage):
    _damage(models["partial_fit"][0], OPTIMIZER_DAMAGES[damage])


def test_an_order_of_very_many_rows_takes_no_memory(models):
    state = copy.deepcopy(models["partial_fit"][0].__getstate__())
    state["_optimizer"]["order"]["n_rows"] = 10**15
    loaded = MLPClassifier.__new__(MLPClassifier)
    loaded.__setstate__(state)
    assert loaded.partial_fit(X, Y).t_ == 2 * len(X)


def test_the_state_of_another_optimizer_of_an_ensemble_is_refused(models):
    def change(state):
        of_member = state["members_"][1]["state"]
        of_member["optimizer_state"] = of_member["optimizer_state"][1:]

    _damage(models["tabular partial_fit"][0], change)


# --- skops -------------------------------------------------------------------------------------------------------


def test_every_type_of_a_safe_file_is_ours_and_documented(models):
    skops = pytest.importorskip("skops.io")
    for name, (model, _) in models.items():
        if name not in UNSAFE:
            assert set(skops.get_untrusted_types(data=skops.dumps(model))) <= set(TRUSTED_TYPES)


@pytest.mark.parametrize(
    "module", [activations, losses, optimizers, schedules, initializers], ids=lambda module: module.__name__
)
def test_every_component_is_trusted(module):
    """Also those that no name selects."""
    public = [getattr(module, name) for name in module.__all__]
    components = {each for each in public if isinstance(each, type)} - {each.base for each in plain.REGISTRIES.values()}
    assert {f"{cls.__module__}.{cls.__qualname__}" for cls in components} <= set(TRUSTED_TYPES)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [({"scoring": get_scorer("accuracy")}, "_Scorer"), ({"validation_fraction": ShuffleSplit(1)}, "ShuffleSplit")],
    ids=["scorer", "splitter"],
)
def test_skops_refuses_scorers_and_splitters_by_name(parameters, name):
    skops = pytest.importorskip("skops.io")
    net = MLPClassifier(learning_rate="cosine", max_iter=5, random_state=0, **parameters).fit(X, Y)
    with pytest.raises(TypeError, match=name):
        skops.loads(skops.dumps(net), trusted=TRUSTED_TYPES)
    loaded = skops.loads(skops.dumps(net.set_params(scoring=None, validation_fraction=0.1)), trusted=TRUSTED_TYPES)
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))


@pytest.mark.parametrize("name", _marked(UNSAFE))
def test_skops_refuses_custom_functions_and_callbacks_by_name(models, name):
    skops = pytest.importorskip("skops.io")
    model, x = models[name]
    with pytest.raises(TypeError) as caught:
        skops.loads(skops.dumps(model), trusted=TRUSTED_TYPES)
    assert all(each in str(caught.value) for each in UNSAFE[name])
    if name in ("checkpoint", "progress bar"):
        loaded = skops.loads(skops.dumps(copy.copy(model).set_callbacks()), trusted=TRUSTED_TYPES)
        np.testing.assert_array_equal(golden.outputs(loaded, x), golden.outputs(model, x))


def test_a_checkpoint_is_saved_without_a_path_of_this_operating_system(models):
    data = pickle.dumps(models["checkpoint"][0])
    assert b"pathlib" not in data
    (callback,) = pickle.loads(data)._skl_callbacks
    (expected,) = models["checkpoint"][0]._skl_callbacks
    assert vars(callback) == vars(expected)


def _mutated(data, rng):
    """A file with bytes changed, cut off, or with other content in its description of the objects."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    archive, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    contents = {name: archive.read(name) for name in archive.namelist()}
    if kind == 2:  # an array of another member, or none
        names = [name for name in contents if name != "schema.json"]
        first, second = rng.choice(names), rng.choice(names)
        contents[first] = contents[second] if rng.random() < 0.7 else b""
    else:
        _mutate_tree(tree := json.loads(contents["schema.json"]), rng)
        contents["schema.json"] = json.dumps(tree).encode()
    with zipfile.ZipFile(out, "w") as file:
        for name, each in contents.items():
            file.writestr(name, each)
    return out.getvalue()


def _mutate_tree(tree, rng):
    """Change a random node."""
    nodes, stack = [], [tree]
    while stack:
        node = stack.pop()
        nodes.append(node)
        stack += [each for each in (node.values() if isinstance(node, dict) else node) if isinstance(each, dict | list)]
    node = rng.choice([each for each in nodes if each])
    key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    values = [None, 0, -1, 10**9, "x", [], {}, "os", "system", rng.choice(nodes)]
    numbers = [each for each in nodes if isinstance(each, dict) and each.get("__loader__") == "JsonNode"]
    kind = rng.random()
    if kind < 0.4 and numbers:  # numbers and text are in these, as text
        rng.choice(numbers)["content"] = rng.choice(["0", "-1", "7", "1000000000", "2147483647", "1e308", "null"])
    elif kind < 0.6:
        del node[key]
    else:
        node[key] = copy.deepcopy(rng.choice(values))


# What a file that is not whole may raise: skops and zipfile have no common base class. A crash would end the run.
REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


MUTATED = ["classifier", "float32", "normalized", "partial_fit", "gaussian", "encoder", "tuned"]
MUTATED += ["scaler", "bins", "splines", "tabular classifier", "tabular regressor", "tabular partial_fit"]


@pytest.mark.newest
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutated_files_never_crash(models, n):
    """A mutated file is refused, or it predicts or fails like any estimator."""
    skops = pytest.importorskip("skops.io")
    rng = random.Random(n)
    files = {name: skops.dumps(models[name][0]) for name in MUTATED}
    outcomes = {"refused": 0, "failed in use": 0, "used": 0}
    for _ in range(n):
        name = rng.choice(list(files))
        try:
            model = skops.loads(_mutated(files[name], rng), trusted=TRUSTED_TYPES)
        except REFUSALS:
            outcomes["refused"] += 1
            continue
        try:
            assert np.isfinite(golden.outputs(model, models[name][1])).all()
            if name == "partial_fit":
                assert np.isfinite(golden.outputs(model.partial_fit(X, Y), X)).all()
            outcomes["used"] += 1
        except REFUSALS:
            outcomes["failed in use"] += 1
    print(outcomes)
    assert outcomes["refused"] > n / 2
    assert outcomes["failed in use"] < n / 100  # of the right form, such as an array of the same shape and other values


ENCODER_DAMAGES = {
    "field": lambda s: s["_features"].update(x=1),
    "no features": lambda s: s.update(_features=None),
    "slopes": lambda s: s["_features"]["knots"].update(slope=np.ones(1)),
    "columns of knots": lambda s: s["_features"]["knots"]["column"].fill(99),
    "mask": lambda s: s.update(is_categorical_=s["is_categorical_"].astype(int)),
    "shorter mask": lambda s: s.update(is_categorical_=s["is_categorical_"][1:]),
    "scales": lambda s: s["_scaler"].__dict__.update(scale_=np.ones(1)),
    "no scales": lambda s: s["_scaler"].__dict__.pop("center_"),
    "origins": lambda s: s.update(origins_=s["origins_"][1:]),
    "indicators": lambda s: s.update(_has_indicator=s["_has_indicator"][1:]),
    "levels": lambda s: s["_positions"].pop(),
    "number of levels": lambda s: s["_n_positions"].__setitem__(0, 10**9),
    "names": lambda s: s["_names"].pop(),
}


@pytest.mark.parametrize("damage", ENCODER_DAMAGES)
def test_a_damaged_encoder_is_refused(models, damage):
    _damage(models["encoder"][0], ENCODER_DAMAGES[damage])


TRANSFORMER_DAMAGES = {
    "scales": ("scaler", lambda s: s.update(scale_=s["scale_"][1:])),
    "scales of text": ("scaler", lambda s: s.update(scale_=s["scale_"].astype(str))),
    "edges": ("bins", lambda s: s["edges_"].pop()),
    "order of the edges": ("bins", lambda s: s["edges_"].__setitem__(0, s["edges_"][0][::-1])),
    "order of the knots": ("splines", lambda s: s["knots_"].__setitem__(0, s["knots_"][0][::-1])),
}


@pytest.mark.parametrize("damage", TRANSFORMER_DAMAGES)
def test_a_damaged_transformer_is_refused(models, damage):
    name, change = TRANSFORMER_DAMAGES[damage]
    _damage(models[name][0], change)


def test_an_encoder_that_is_fitted_to_another_table_is_refused():
    net = TabularMLPClassifier(n_estimators=1, max_iter=1, random_state=0).fit(X, Y)
    net.encoder_.fit(X[:, :1])
    for predict in (net.predict, net.predict_proba):
        with pytest.raises(ValueError, match="fitted again: it has 1 columns, but the networks have 4"):
            predict(X[:, :1])


def test_an_unfitted_estimator_has_a_schema_too():
    for net in (MLPClassifier(), TabularMLPClassifier()):
        assert net.__getstate__()["_schema"] == SCHEMA
        assert repr(pickle.loads(pickle.dumps(net))) == repr(net)
