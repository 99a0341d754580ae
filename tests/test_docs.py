"""Documentation: snippets and examples run, and tables, links and paths are up to date."""

import inspect
import json
import re
import runpy
import tomllib
from contextlib import suppress
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

import sknn_iitb
from benchmarks.figures import figure, save
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.initializers import INITIALIZERS
from sknn_iitb.inspection._figures import WIDTH
from sknn_iitb.losses import LOSSES
from sknn_iitb.optimizers import OPTIMIZERS
from sknn_iitb.schedules import SCHEDULES
from sknn_iitb.tabular._base import PRESETS

pytestmark = pytest.mark.newest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = sorted(path for folder in ("docs", "docs/guide") for path in (ROOT / folder).glob("*.md"))
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [*sorted(ROOT.glob("*.md")), *PAGES]
}
CODE_COLUMNS = 88  # what fits beside the sidebars of the documentation


def snippets(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_all_pages_are_tested():
    """A page in a folder that TEXTS leaves out would not be tested."""
    generated = "_build", "auto_examples", "generated"
    pages = {path for path in (ROOT / "docs").rglob("*.md") if not set(generated) & set(path.parts)}
    assert pages == set(PAGES)


@pytest.mark.parametrize("name", TEXTS)
def test_code_fits_into_its_box(name):
    for block in re.findall(r"^```(?:\w+|{code-block}[^\n]*)\n(.*?)^```", TEXTS[name], flags=re.DOTALL | re.MULTILINE):
        assert max(map(len, block.splitlines())) <= CODE_COLUMNS, block


@pytest.mark.parametrize("path", sorted(Path(sknn_iitb.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_code_in_docstrings_fits_into_its_box(path):
    lines = re.findall(r"^ *((?:>>>|\.\.\.) .*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert max(map(len, lines), default=0) <= CODE_COLUMNS


def set_up_commands():
    section = re.search(r"^## Set-up\n(.*?)^## ", TEXTS["README.md"], flags=re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"^    (python .*)$", section, flags=re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if snippets(text)])
def test_snippets_run_in_order(name):
    namespace = {}
    plots = "Display.from_estimator" in TEXTS[name]
    if plots:
        pytest.importorskip("matplotlib").use("agg")
    for number, snippet in enumerate(snippets(TEXTS[name])):
        exec(compile(snippet, f"{name}, snippet {number}", "exec"), namespace)
    if plots:
        from matplotlib import pyplot

        pyplot.close("all")


@pytest.mark.parametrize("script", ["components_table", "figures_table", "onnx_table"])
def test_generated_tables_are_up_to_date(script):
    """The tables of components are what the registries say, and those of figures what the benchmarks have saved."""
    namespace = runpy.run_path(str(ROOT / "docs" / f"{script}.py"))
    files, tables = namespace["FILES"], namespace["TABLES"]
    for name, make in tables.items():
        assert "| --- |" in make()
        assert sum(f"<!-- {name} -->" in TEXTS[file] for file in files) == 1
    for file in files:
        assert namespace["updated"](TEXTS[file], tables) == TEXTS[file], f"run: python docs/{script}.py"


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_figures_stand_only_in_generated_tables(name):
    text = TEXTS[name].partition("## Development measurements")[0]
    prose = re.sub(r"<!-- (.*?) -->.*?<!-- end \1 -->", "", text, flags=re.DOTALL)
    assert not re.findall(r".*\d (?:times|[num]?s|[kMG]B)\b.*", prose)


def test_a_benchmark_replaces_its_own_section_of_the_figures(tmp_path):
    file = tmp_path / "figures.json"
    for seconds in (1.04, 2.06):
        save(file, "start", {"first fit": figure([seconds], 1, "s", 5)})
    save(file, "predict", {"one row": figure([3.0, 1.04, 1.0], 1)})
    sections = json.loads(file.read_text(encoding="utf-8"))
    assert {name: section["figures"] for name, section in sections.items()} == {
        "start": {"first fit": {"measured": [2.1], "unit": "s", "target": 5}},
        "predict": {"one row": {"measured": [1.0, 3.0], "unit": "", "target": None}},
    }
    assert all(set(each["environment"]) == {"date", "cpu", "cores", "versions"} for each in sections.values())


@pytest.mark.parametrize(
    "registry", [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS], ids=lambda r: r.parameter
)
def test_readme_names_every_component(registry):
    cells = "".join(line for line in TEXTS["README.md"].splitlines() if line.startswith("| `"))
    words = set(re.findall(r"\w+", cells))
    assert words.issuperset(registry.names())


@pytest.mark.parametrize(
    "registry", [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS], ids=lambda r: r.parameter
)
def test_api_reference_lists_every_component_module(registry):
    assert f"   {registry.base.__module__}\n" in TEXTS["docs/api.md"]


def _our_names():
    """The code in the columns of docs/coming_from.md that are headed "sknn_iitb"."""
    column = None
    for line in TEXTS["docs/coming_from.md"].splitlines():
        cells = line.strip("| ").split(" | ") if line.startswith("|") else []
        if "sknn_iitb" in cells:
            column = cells.index("sknn_iitb")
        elif cells and column < len(cells):
            yield from re.findall(r"`([^`]+)`", cells[column])


@pytest.mark.parametrize("code", sorted(set(_our_names())))
def test_names_for_users_of_other_libraries_are_ours(code):
    """Each is a parameter with a legal value, or else a method, an attribute, a parameter of fit or an estimator."""
    if code == "set_callbacks":
        pytest.importorskip("sklearn.callback", reason="a method of later releases", exc_type=ImportError)
    classes = sknn_iitb.MLPClassifier, sknn_iitb.MLPRegressor
    if "=" in code:
        parameters = eval(f"dict({code})", vars(sknn_iitb) | {"np": np})
        accepting = [cls for cls in classes if parameters.keys() <= cls().get_params().keys()]
        assert accepting
        valid = []
        for cls in accepting:
            with suppress(InvalidParameterError):
                cls(**parameters)._validate_params()
                valid.append(cls)
        assert valid
    elif "__" in code:
        solver = sknn_iitb.optimizers.RMSprop()
        assert code in sknn_iitb.MLPClassifier(solver=solver).get_params()
    else:
        cls = sknn_iitb.MLPClassifier
        known = {*dir(sknn_iitb), *dir(cls), *inspect.signature(cls).parameters, *inspect.signature(cls.fit).parameters}
        assert code in known or re.search(rf"\b{code}\b.* : ", cls.__doc__)


def test_set_up_commands_name_existing_files_and_extras():
    first, second = set_up_commands()
    script = re.fullmatch(r"python -m pip install \. && python (\S+)", first)[1]
    assert (ROOT / script).is_file()
    extras = re.fullmatch(r'python -m pip install -e "\.\[([\w,]+)\]" && python -m pytest( -n \d+)?', second)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert "test" in extras.split(",")


def test_changelog_lists_the_version():
    assert f"## [{sknn_iitb.__version__}]" in TEXTS["CHANGELOG.md"]


@pytest.mark.parametrize("name", TEXTS)
def test_links_and_included_files_exist(name):
    text, folder = TEXTS[name], (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)\)", text):
        target = folder / link
        assert target.is_file() or target.with_suffix(".md").is_file(), link
    for file, options in re.findall(r"^```\{literalinclude\} (\S+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        for marker in re.findall(r':(?:start-after|end-before): "(.*)"', options):
            assert lines.count(marker) == 1, marker


def anchors(text):
    """The anchors of the headings, as GitHub and MyST make them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_link_anchors_lead_to_headings(name):
    for page, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", TEXTS[name]):
        target = ((ROOT / name).parent / page).resolve() if page else ROOT / name
        assert anchor in anchors(TEXTS[target.relative_to(ROOT).as_posix()]), anchor


def test_custom_components_example_learns():
    example = runpy.run_path(str(EXAMPLES / "custom_components.py"))
    assert example["accuracy_with_custom_activation"]() > 0.95
    assert example["fraction_below_with_custom_loss"]() > 0.65  # about a half with a symmetric loss
    assert example["accuracy_with_custom_optimizer"]() > 0.9
    search = example["search_with_custom_schedule"]()
    assert min(search.cv_results_["mean_test_score"]) > 0.95


@cache
def run_plot(name):
    """The namespace of an example after it has shown its figure, and the number of its figures."""
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    pyplot.close("all")  # leftovers of other tests
    try:
        # small ensembles draw the same figures
        small = mock.patch.dict(PRESETS["default"], n_estimators=2, max_iter=8)
        with small, mock.patch.object(pyplot, "show") as show:
            namespace = runpy.run_path(str(EXAMPLES / f"{name}.py"))
        show.assert_called_once()
        return namespace, len(pyplot.get_fignums())
    finally:
        pyplot.close("all")


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("plot_*.py")))
def test_examples_draw_one_figure(name):
    namespace, n_figures = run_plot(name)
    assert n_figures == 1
    figure = namespace["figure"]
    assert figure.get_figwidth() == WIDTH
    figure.canvas.draw()
    for ax in figure.axes:
        assert ax.has_data() == ax.axison  # each panel has data or is hidden


def test_every_image_is_drawn_by_a_script_and_shown():
    drawn = runpy.run_path(str(ROOT / "docs" / "images.py"))
    files = {path.stem: path for path in (ROOT / "docs" / "images").glob("*.png")}
    assert files.keys() == {
        *drawn["IMAGES"],
        "accuracy",
        "epochs",
        "growth",
        "scale_model",
        "tabular",
    }  # the others are those of benchmarks
    for name, path in files.items():
        assert any(f"images/{name}.png" in text for text in TEXTS.values())
        width = int.from_bytes(path.read_bytes()[16:20], "big")
        assert width == (900 if name == "growth" else WIDTH * drawn["DPI"])  # it has not been measured since
    for file, variable in drawn["IMAGES"].values():
        assert re.search(rf"\b{variable}\b.* = ", (ROOT / file).read_text(encoding="utf-8"))


def test_numbers_of_the_imbalanced_example():
    example, _ = run_plot("plot_imbalanced")
    share = example["y"].mean()
    as_it_is, weighted, focal, _ = (p.mean() for p in example["probabilities"].values())
    assert as_it_is == pytest.approx(share, rel=0.1)
    assert weighted == pytest.approx(3 * share, rel=0.1)
    assert focal == pytest.approx(0.22, abs=0.02)
    assert example["taken_back"].mean() == pytest.approx(share, rel=0.15)
    assert example["thresholds"]["tuned threshold"] == pytest.approx(0.12, abs=0.03)
    recall = [scores[1] for scores in example["scores"].values()]
    assert recall == pytest.approx([1 / 4, 5 / 6, 1 / 3, 5 / 6], abs=0.05)
    assert example["scores"]["tuned threshold"] == pytest.approx(example["scores"]['class_weight="balanced"'], abs=0.03)


@pytest.mark.slow
def test_quickstart_takes_under_a_minute_and_agrees_with_scikit_learn(capsys):
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    out, err = capsys.readouterr()
    assert err == ""
    scores = dict.fromkeys(["scikit-learn", "sknn_iitb, same settings"])
    for label in scores:
        scores[label] = re.findall(rf"^  {label} +(\S+ \+- \S+)", out, flags=re.MULTILINE)
    theirs, ours = scores.values()
    assert len(theirs) == 3
    assert ours == theirs
    assert int(re.search(r"total: (\d+) s", out)[1]) < 60
