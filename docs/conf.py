"""Sphinx settings. Built with warnings as errors and without a network."""

from sphinx.application import Sphinx

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


def skip_foreign_signature(
    _app: object, _what: str, _name: str, obj: object, *_rest: object
) -> tuple[()] | None:
    """Leave the signatures of built-in things, which autodoc cannot replace, as they are.

    Autodoc asks for the signature of every name in a module before it leaves out imported ones,
    and fails where numpydoc answers for a name that has none. An empty answer is no answer.
    """
    module = getattr(obj, "__module__", None) or "auralise"
    return None if module.startswith("auralise") else ()


def setup(app: Sphinx) -> None:
    """Connect the function above ahead of numpydoc's own."""
    app.connect("autodoc-process-signature", skip_foreign_signature, priority=400)
