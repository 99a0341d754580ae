"""Structure of the package: imports, public names and their documentation, registries."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import tomllib
import warnings
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from sklearn.utils.fixes import parse_version

import sknn_iitb
from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb._engine.user_warnings import deprecated
from sknn_iitb._jit.identity import name_in_package
from sknn_iitb._registry import parameter_defaults
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES

pytestmark = pytest.mark.newest

ESTIMATORS = [MLPClassifier, MLPRegressor]
REGISTRIES = [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS]
COMPONENTS = [cls for registry in REGISTRIES for cls in registry]

PACKAGE = Path(sknn_iitb.__file__).parent
PROJECT = Path(__file__).parents[1]
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
PUBLIC = [name for name in SOURCES if not name.startswith("_") and "._" not in name]

# A module imports from its own group and from the groups below, each a line:
GROUPS = [
    {"__init__", "persistence", "precompile"},
    {"onnx", "dask"},
    {"tabular", "inspection"},
    {"mlp"},
    {"_engine"},
    {"activations", "losses", "optimizers", "schedules", "initializers", "callbacks", "partitions"},
    {"_loops", "_rowwise"},
    {"_registry", "_suggestions", "_typing", "_version"},
    {"_jit"},
]


def _imports(path):
    """Full names of all modules imported anywhere in a source, including our modules imported by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            for full in (f"{node.module}.{alias.name}" for alias in node.names):
                yield full if full.removeprefix(f"{PACKAGE.name}.") in SOURCES else node.module


def _ours(path):
    return {name.partition(".")[2] for name in _imports(path) if name.startswith(f"{PACKAGE.name}.")}


def _top_level(path):
    return {name.partition(".")[0] for name in _imports(path)} - {PACKAGE.name}


def _group(module):
    return next(number for number, names in enumerate(GROUPS) if module.partition(".")[0] in names)


def test_every_module_belongs_to_a_group():
    assert {name.partition(".")[0] for name in SOURCES} == set().union(*GROUPS)


@pytest.mark.parametrize("module", SOURCES)
def test_modules_import_only_from_their_group_and_those_below(module):
    assert all(_group(module) <= _group(imported) for imported in _ours(SOURCES[module]))


def test_tabular_and_inspection_do_not_import_each_other():
    for module, other in (("tabular", "inspection"), ("inspection", "tabular")):
        imported = set().union(*(_ours(path) for name, path in SOURCES.items() if name.startswith(module)))
        assert not any(name.partition(".")[0] == other for name in imported)


def test_imports_have_no_cycles():
    # a package stands for its __init__, which imports its public modules
    arrows = {name: {each for each in _ours(path) if each in SOURCES} - {name} for name, path in SOURCES.items()}
    TopologicalSorter(arrows).prepare()  # raises CycleError


def test_components_do_not_import_each_other():
    components = next(group for group in GROUPS if "activations" in group)
    for module in components:
        assert not _ours(SOURCES[module]) & (components - {module})


def test_only_jit_imports_numba():
    users = {name for name, path in SOURCES.items() if _top_level(path) & {"numba", "llvmlite"}}
    assert {name.partition(".")[0] for name in users} == {"_jit"}


def test_package_imports_only_its_dependencies():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    required, extras = (
        {re.match(r"[\w-]+", line)[0] for line in lines}
        for lines in (project["dependencies"], [line for x in ("plot", "shap", "onnx", "dask") for line in optional[x]])
    )
    # the second line installs nothing more: dependencies of scikit-learn and numba
    assert required == {
        "numba",
        "numpy",
        "scikit-learn",
        "scipy",
        "joblib",
        "llvmlite",
        "threadpoolctl",
    }
    # pandas and polars are those of the user, whose frames we take and return; mlflow-skinny is imported as mlflow
    importable = {"sklearn", "pandas", "polars", "mlflow", *required, *extras}
    imported = set().union(*map(_top_level, SOURCES.values()))
    assert imported - sys.stdlib_module_names <= importable


def test_import_compiles_nothing_and_needs_no_optional_package():
    # scikit-learn itself imports pandas if installed
    script = """
import sys
sys.modules["pandas"] = sys.modules["matplotlib"] = sys.modules["onnx"] = None
from numba.core import event
with event.install_recorder("numba:compile") as compilations:
    import sknn_iitb.tabular
print(len(compilations.buffer))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"]


def test_estimators_train_without_docstrings():
    script = """
import warnings
import numpy as np
from sknn_iitb import MLPClassifier, MLPRegressor
from sknn_iitb.tabular import TabularMLPClassifier, TabularMLPRegressor

warnings.simplefilter("ignore")  # one epoch does not converge
X = np.random.RandomState(0).normal(size=(20, 3))
for cls in (MLPClassifier, MLPRegressor):
    print(cls(hidden_layer_sizes=2, max_iter=1).fit(X, X[:, 0] > 0).predict(X).shape, cls.__doc__)
for cls in (TabularMLPClassifier, TabularMLPRegressor):
    print(cls(n_estimators=1, max_iter=1).fit(X, X[:, 0] > 0).predict(X).shape, cls.__doc__)
"""
    command = [sys.executable, "-OO", "-c", script]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "(20,) None\n" * 4


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()


# --- documentation ----------------------------------------------------------------------------------------------


def _public_objects():
    for module in PUBLIC:
        namespace = importlib.import_module(f"{PACKAGE.name}.{module}")
        for name in namespace.__all__:
            thing = getattr(namespace, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield pytest.param(thing, id=f"{module}.{name}")


PUBLIC_OBJECTS = list(_public_objects())


def _public_methods(cls):
    return [f for name, f in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]


def _section(thing, title):
    """The entries of a section of a numpydoc docstring, with their types."""
    lines = inspect.cleandoc(thing.__doc__).splitlines()
    if title not in lines:
        return {}
    start = lines.index(title)
    assert lines[start + 1] == "-" * len(title)
    entries = {}
    for line, below in zip(lines[start + 2 :], [*lines[start + 3 :], ""], strict=True):
        if below and set(below) == {"-"}:
            break
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            entries |= dict.fromkeys(names.split(", "), kind)
    return entries


@pytest.mark.parametrize("module", SOURCES)
def test_modules_have_a_docstring_and_valid_all(module):
    name = f"{PACKAGE.name}.{module}".removesuffix(".__init__")
    namespace = importlib.import_module(name)
    assert inspect.getdoc(namespace).partition("\n\n")[0].endswith((".", ":"))
    assert len(set(namespace.__all__)) == len(namespace.__all__)
    assert all(hasattr(namespace, public) for public in namespace.__all__)
    own = [each for each, value in vars(namespace).items() if getattr(value, "__module__", None) == name]
    assert module not in PUBLIC or {each for each in own if not each.startswith("_")} <= set(namespace.__all__)


@pytest.mark.parametrize("thing", PUBLIC_OBJECTS)
def test_public_objects_have_their_own_docstring_with_a_summary(thing):
    doc = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert doc
    assert inspect.cleandoc(doc).partition("\n\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("thing", PUBLIC_OBJECTS)
def test_documented_parameters_match_the_signature(thing):
    for function in [thing, *(_public_methods(thing) if inspect.isclass(thing) else [])]:
        documented = _section(function, "Parameters") if function.__doc__ else {}
        if documented or function in COMPONENTS:
            parameters = inspect.signature(function).parameters.values()
            names = {
                str(p).partition(":")[0] if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) else p.name for p in parameters
            }
            assert set(documented) == names - {"self"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_documented_defaults_of_components_match_the_signature(component):
    documented = _section(component, "Parameters")
    defaults = {name: ast.literal_eval(kind.partition("default=")[2]) for name, kind in documented.items()}
    assert defaults == parameter_defaults(component)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_public_methods_document_parameters_and_returns(estimator):
    methods = [f for f in _public_methods(estimator) if f.__module__.startswith(PACKAGE.name)]
    assert {"fit", "partial_fit", "predict", "loss_and_gradient"} <= {f.__name__ for f in methods}
    for method in methods:
        if len(inspect.signature(method).parameters) > 1:
            assert _section(method, "Parameters"), method
        assert _section(method, "Returns") or len(method.__doc__.splitlines()) == 1, method


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_documented_attributes_match_a_fitted_estimator(estimator, iris):
    X, y = iris
    net = estimator(hidden_layer_sizes=(3,), max_iter=1, early_stopping=True, batch_norm=True).fit(X, y)
    own = {name for name in dir(net) if name.endswith("_") and not name.startswith("_")}
    assert set(_section(estimator, "Attributes")) - {"feature_names_in_"} == own
    net.set_params(batch_norm=False).fit(X, y)
    assert own - {name for name in own if hasattr(net, name)} == {"scales_", "means_", "variances_"}


def _options(estimator, parameter):
    """The names in braces in the documentation of a parameter."""
    description = re.search(rf"^ *{parameter} : .*\n((?: {{8}}.*\n|\n)+)", _indented_doc(estimator), re.MULTILINE)[1]
    return re.findall(r"'(\w+)'", description[description.index("{") : description.index("}")])


def _indented_doc(estimator):
    """The docstring indented as in the source: Python 3.13 strips the indentation."""
    return textwrap.indent(inspect.cleandoc(estimator.__doc__), "    ")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_documented_options_match_the_registries(estimator):
    outputs = "classifier_outputs" if estimator is MLPClassifier else "regressor_outputs"
    assert _options(estimator, "activation") == ACTIVATIONS.names(lambda cls: cls.hidden)
    assert _options(estimator, "loss") == LOSSES.names(lambda cls: getattr(cls, outputs))
    assert _options(estimator, "solver") == OPTIMIZERS.names()
    assert _options(estimator, "learning_rate") == SCHEDULES.names()
    assert _options(estimator, "init") == INITIALIZERS.names()
    assert _options(estimator, "output_activation") == ACTIVATIONS.names(lambda cls: cls.output)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_documentation_lists_every_legal_output_of_every_loss(estimator):
    attribute = "classifier_outputs" if estimator is MLPClassifier else "regressor_outputs"
    legal = {}
    for losses, outputs in re.findall(r"^ *- loss (.*): (.*)$", estimator.__doc__, re.MULTILINE):
        legal |= dict.fromkeys(re.findall(r"'(\w+)'", losses), tuple(re.findall(r"'(\w+)'", outputs)))
    assert legal == {name: getattr(LOSSES[name], attribute) for name in LOSSES.names(lambda c: getattr(c, attribute))}


def test_estimators_share_the_descriptions_of_common_parameters():
    entries = [
        dict(re.findall(r"^ {4}(\S.*)\n((?: {8}.*\n|\n)+)", _indented_doc(cls), re.MULTILINE)) for cls in ESTIMATORS
    ]
    shared = entries[0].keys() & entries[1].keys()
    assert len(shared) > 40
    differing = {
        name for name in shared if re.sub(r"\[\d\]", "", entries[0][name]) != re.sub(r"\[\d\]", "", entries[1][name])
    }
    assert {name.partition(" : ")[0] for name in differing} == {"output_activation"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_registered_components_have_their_own_docstring(component):
    assert vars(component).get("__doc__")


# --- registries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.parameter)
def test_names_are_unique_in_a_registry(registry):
    names = [name for cls in registry for name in cls.names]
    assert sorted(names) == sorted(set(names)) == sorted(registry.names())
    assert all(registry[name] is cls for cls in registry for name in cls.names)
    for name in names:
        with pytest.raises(ValueError, match="already registered"):
            registry.add(name)(type("Another", (registry.base,), {}))


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.parameter)
def test_public_components_are_registered_or_wrappers(registry):
    namespace = importlib.import_module(registry.base.__module__)
    classes = [getattr(namespace, name) for name in namespace.__all__]
    components = {cls for cls in classes if inspect.isclass(cls) and issubclass(cls, registry.base)} - {registry.base}
    wrappers = {cls for cls in components if not cls.names}
    assert components - wrappers == set(registry)
    assert all("schedule" in cls().get_params(deep=False) for cls in wrappers)


def _functions(component):
    """The functions of a component that are compiled."""
    if issubclass(component, LOSSES.base):
        functions = [component.function, *component.fused.values(), *component.rowwise.values()]
    else:
        functions = [getattr(component, "function", None), getattr(component, "kernel", None)]
    return [f for f in functions if f is not None]


@pytest.mark.parametrize("registry", REGISTRIES[:3], ids=lambda registry: registry.parameter)
def test_functions_of_a_family_have_unique_cache_names(registry):
    functions = {function for component in registry for function in _functions(component)}
    assert len(functions) > 1
    names = {name_in_package(function) for function in functions}
    assert None not in names
    assert len(names) == len(functions)


def _calls_of_deprecated(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "deprecated":
            yield node.args[2].value


def test_deprecations_end():
    """What was to be removed in this version is gone."""
    assert list(_calls_of_deprecated('deprecated("x", "y", "0.3.0")')) == ["0.3.0"]
    now = parse_version(sknn_iitb.__version__)
    versions = [each for path in SOURCES.values() for each in _calls_of_deprecated(path.read_text(encoding="utf-8"))]
    assert all(now < parse_version(each) for each in versions)


def test_a_deprecation_warns_once_at_the_users_line():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            deprecated("The parameter x", "y", "0.3.0")
    (warning,) = found
    assert warning.category is FutureWarning
    assert warning.filename == __file__
    assert str(warning.message) == "The parameter x is deprecated and will be removed in version 0.3.0. Use y."
