"""Configuration of Sphinx, for ``make docs``."""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from pyg_advinfonce import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

OUTSIDE = (
    *("torch", "torch_geometric", "numpy", "pandas", "pd", "optuna", "matplotlib"),
    *("annotated_types", "pydantic", "collections", "pathlib", "fractions"),
    *("urllib", "http", "types"),
)

project = "pyg_advinfonce"
author = "pyg_advinfonce developers"
copyright = "pyg_advinfonce developers, MIT licence"
version = release = __version__

extensions = [
    "myst_nb",  # notebooks, and Markdown by myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "mathml",
    "faces",
    "public_names",
    "registry_table",
    "command_line",
]
exclude_patterns = ["_build", "data/*/**"]  # downloads
nitpicky = True
# No other project's inventory is fetched: the site is built without a network.
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(OUTSIDE)})(\..*)?"),
    (
        r"py:class",
        r"HeteroData|FieldInfo|NoneType|Ge|Le|1e\+100|Axes|Figure|NDArray|ArrayLike|P|pyg_advinfonce\..*\.[A-Z]|.*\.Model",
    ),
]

nb_execution_mode = "off"  # the tests run the notebooks

myst_heading_anchors = 3
myst_fence_as_directive = ["math"]  # as GitHub writes formulas

autodoc_default_options = {"members": True, "no-value": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_custom_sections = ["Shapes"]
napoleon_use_ivar = False
maximum_signature_line_length = 110
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = "pyg_advinfonce"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"


def setup(app: Sphinx) -> None:
    """Highlight CSV blocks as plain text."""
    app.add_lexer("csv", TextLexer)
