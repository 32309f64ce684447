"""The documentation as a site: `make docs`. No page needs the network, neither when it is made nor when it is read."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import viceversa

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

import reference  # noqa: E402  beside this file

project, author, release = "viceversa", "The viceversa authors", viceversa.__version__
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "toc.not_included"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
default_role = "code"  # of single backticks in docstrings
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
html_theme = "furo"
html_title = f"viceversa {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = False
html_math_renderer = "mathml"

NAVIGATION = {
    "Use": "gallery quickstart data presets translate export serve studio evaluate report troubleshooting",
    "Methods": "cyclegan pix2pix cut onesided cyclegan-vae",
    "Depend on it": "performance reliability experiments coming-from",
    "Build on it": "extend architecture",
    "Reference": "reference/configuration reference/command-line reference/python",
}
"""What the sidebar shows. On GitHub the front page's own links do, so it stands here and not on that page."""


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the tables of contents to the front page."""
    if page == "index":
        for caption, pages in NAVIGATION.items():
            entries = "\n".join(pages.split())
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def link_outwards(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside of docs/ lead to the repository; without its address, to a copy of the file."""
    repository = os.environ.get("GITHUB_REPOSITORY")  # which GitHub's own workflows set
    source[0] = source[0].replace("](../experiments/README.md", "](experiments.md")  # which includes it
    place = f"https://github.com/{repository}/blob/main/" if repository else "path:../"
    source[0] = re.sub(r"\]\(\.\./", f"]({place}", source[0])


def inline_math(translator: Any, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers draw themselves."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def display_math(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Make the reference from the code, before the pages are read."""
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))
    app.connect("builder-inited", lambda app: reference.write(HERE / "reference"))
    app.connect("source-read", add_navigation)
    app.connect("source-read", link_outwards)
