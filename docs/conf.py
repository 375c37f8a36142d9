"""Sphinx settings. Built with warnings as errors and without a network."""

from auralise import __version__

project = "auralise"
author = "the auralise authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
numpydoc_show_class_members = False

default_role = "py:obj"

html_theme = "furo"
html_title = f"auralise {release}"
html_static_path: list[str] = []
