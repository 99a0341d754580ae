"""Configuration of Sphinx. Build with ``python -m sphinx -W docs docs/_build/html``."""

import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import sknn_iitb  # noqa: E402
from sknn_iitb import __version__, inspection, tabular  # noqa: E402

os.environ.setdefault("MPLBACKEND", "agg")

project = "sknn_iitb"
author = "The sknn_iitb developers"
copyright = "2026, The sknn_iitb developers"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb"]
templates_path = ["_templates"]

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_inherit_docstrings = False
autodoc_typehints = "none"  # the docstrings have the types, with shapes
numpydoc_show_class_members = False
# a link to a name that the package does not have fails the build; those of other packages are plain text
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!sknn_iitb\b).*")]
toc_object_entries_show_parents = "hide"
myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 3
DEFAULT_NETWORK = json.loads((ROOT / "docs/figures.json").read_text(encoding="utf-8"))["fit"]["figures"]["W2"]
myst_substitutions = dict(zip(["speedup32", "speedup64"], DEFAULT_NETWORK["speedup"], strict=True))
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output of doctests

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",  # the others are shown and not run
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sknn_iitb",),  # each page of the reference shows the examples that use its object
    "backreferences_dir": "api/generated/gallery",
    "download_all_examples": False,
    "show_memory": False,
    "capture_repr": (),  # what is printed, and not the last expression
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sknn_iitb"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {page: [] for page in ("index", "get_started", "coming_from", "glossary")}
html_show_sourcelink = False


def _plain_docstring(app, what, name, obj, options, lines):
    """Replace references into scikit-learn's user guide by their text, and keep the initials of authors."""
    text = re.sub(r":ref:`([^`<]+?)\s*<[^`]*>`", r"\1", "\n".join(lines))
    text = re.sub(r":ref:`([^`<>]+)`", r"\1", text)
    # an initial at the beginning of a reference would be the first letter of an enumerated list
    text = re.sub(r"^( *\.\. \[[\w-]+\] )(?=[A-Z]\. )", r"\1\\", text, flags=re.MULTILINE)
    lines[:] = re.sub(r":math:`([^`]+)`", r"``\1``", text).split("\n")  # MathJax would need a network


def _to_gallery(app, docname, source):
    """Let links to examples, which GitHub opens as source code, lead to their pages in the gallery."""
    source[0] = re.sub(r"\]\(((?:\.\./)*)\.\./examples/((?:\w+/)?\w+)\.py\)", r"](\1auto_examples/\2)", source[0])


def _to_reference(app, docname, source):
    """Let names of estimators and tools in the text, which GitHub shows as code, lead to the reference."""
    # the last module is that of the page: the estimators are in both sknn_iitb and sknn_iitb.tabular
    modules = {name: module.__name__ for module in (inspection, sknn_iitb, tabular) for name in module.__all__}

    def role(match):
        name, rest = match["name"], match["rest"] or ""
        known = name in modules and hasattr(getattr(sys.modules[modules[name]], name), rest[1:] or "__doc__")
        return f"{{py:obj}}`{name}{rest} <{modules[name]}.{name}{rest}>`" if known else match[0]

    name = r"(?<![`{}\[])`(?P<name>[A-Za-z]\w*)(?P<rest>\.\w+)?`(?![`\]])"
    if docname == "index" or Path(app.env.doc2path(docname)).suffix != ".md":
        return  # the cards of the start page are links already
    # every second part is a block of code or a heading
    parts = re.split(r"(^```.*?^```$|^#+ .*?$)", source[0], flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [re.sub(name, role, part) for part in parts[::2]]
    source[0] = "".join(parts)


def setup(app):
    app.connect("source-read", _to_gallery)
    app.connect("source-read", _to_reference)
    app.connect("autodoc-process-docstring", _plain_docstring)
