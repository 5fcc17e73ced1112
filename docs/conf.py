"""Sphinx configuration: `python -m sphinx -W -b html docs build/docs`."""

import hessfast

project = "hessfast"
author = "the hessfast developers"
version = release = hessfast.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["conf.py"]
myst_enable_extensions = ["fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc writes them in words
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "alabaster"
html_theme_options = {
    "description": "Curvature of black-box functions, with error bars",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
html_copy_source = False


def escape_bars(app, what, name, obj, options, lines):
    """Keep |x| in a docstring from being read as a substitution."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else line.replace("|", r"\|") for line in lines]


def setup(app):
    """Escape after numpydoc has formatted."""
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
