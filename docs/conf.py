"""Sphinx settings. Built with warnings as errors and without a network."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from auralise import __version__

project = "auralise"
author = "the auralise authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
numpydoc_show_class_members = False

default_role = "py:obj"

html_math_renderer = "mathml"
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


def show_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in the text as MathML, which browsers draw without a network."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def show_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(
        formula.replace("<math ", '<math style="overflow: visible; margin: 0.5em 0" ', 1)
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect the functions above, the first ahead of numpydoc's own."""
    app.add_html_math_renderer("mathml", (show_inline, None), (show_block, None))
    app.connect("autodoc-process-signature", skip_foreign_signature, priority=400)
